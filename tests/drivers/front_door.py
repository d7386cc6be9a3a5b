"""libpq 18 at the front door of a server: SSLRequest and direct TLS with a server name, and cancel requests that carry it."""

import os

import psycopg
from cancelling import expect_cancelled
from psycopg import pq

CA = os.environ["CA"]
assert pq.version() >= 180000, pq.version()
secure = (
    "host=orders.db.example hostaddr=127.0.0.1 user=by_scram dbname=app channel_binding=disable "
    f"sslmode=verify-full sslrootcert={CA}"
)

for options in ("sslnegotiation=direct", "sslnegotiation=postgres", "max_protocol_version=latest"):
    with psycopg.connect(f"{secure} {options}") as connection:
        assert connection.pgconn.ssl_in_use
        expect_cancelled(connection, secure)
print("ok")
