"""libpq 18 with PostgreSQL 18: direct TLS, protocol 3.2 with its long cancel keys, and channel binding."""

import os

import psycopg
from cancelling import expect_cancelled
from psycopg import pq

CA = os.environ["CA"]
assert pq.version() >= 180000, pq.version()
secure = f"host=localhost sslmode=verify-full sslrootcert={CA}"


for options in ("sslnegotiation=direct", "sslnegotiation=postgres"):
    with psycopg.connect(f"{secure} {options} max_protocol_version=3.2") as connection:
        assert connection.execute("show ssl").fetchone() is not None
        assert connection.pgconn.ssl_in_use
        assert connection.pgconn.full_protocol_version == 30002, connection.pgconn.full_protocol_version
        expect_cancelled(connection, secure)

try:
    psycopg.connect(f"{secure} channel_binding=require")
    raise AssertionError("channel binding worked through a proxy")
except psycopg.OperationalError as error:
    assert "channel binding" in str(error), error

# An older protocol and one that no server knows.
with psycopg.connect(f"{secure} min_protocol_version=3.0 max_protocol_version=3.0") as connection:
    assert connection.pgconn.full_protocol_version == 30000
with psycopg.connect(f"{secure} max_protocol_version=latest") as connection:
    assert connection.execute("select 1").fetchone() == (1,)
print("ok")
