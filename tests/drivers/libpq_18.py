"""libpq 18 before PostgreSQL 18: TLS without asking, protocol 3.2 with its long cancel keys, and channel binding."""

import os
import threading
import time

import psycopg
from psycopg import pq

CA = os.environ["CA"]
assert pq.version() >= 180000, pq.version()
secure = f"host=localhost sslmode=verify-full sslrootcert={CA}"


def wait_until_it_sleeps(backend):
    """A cancel request that comes before the query cancels nothing."""
    with psycopg.connect(secure, autocommit=True) as watcher:
        sleeps = "select 1 from pg_stat_activity where pid = %s and state = 'active' and query like '%%pg_sleep%%'"
        while not watcher.execute(sleeps, (backend,)).fetchone():
            time.sleep(0.1)


for options in ("sslnegotiation=direct", "sslnegotiation=postgres"):
    with psycopg.connect(f"{secure} {options} max_protocol_version=3.2") as connection:
        assert connection.execute("show ssl").fetchone() is not None
        assert connection.pgconn.ssl_in_use
        assert connection.pgconn.full_protocol_version == 30002, connection.pgconn.full_protocol_version

        def cancel():
            wait_until_it_sleeps(connection.info.backend_pid)
            connection.cancel_safe()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            connection.execute("select pg_sleep(300)")
            raise AssertionError("a long sleep was short")
        except psycopg.errors.QueryCanceled:
            pass
        thread.join()

try:
    psycopg.connect(f"{secure} channel_binding=require")
    raise AssertionError("channel binding passed a proxy")
except psycopg.OperationalError as error:
    assert "channel binding" in str(error), error

# An older protocol and one that no server knows.
with psycopg.connect(f"{secure} min_protocol_version=3.0 max_protocol_version=3.0") as connection:
    assert connection.pgconn.full_protocol_version == 30000
with psycopg.connect(f"{secure} max_protocol_version=latest") as connection:
    assert connection.execute("select 1").fetchone() == (1,)
print("ok")
