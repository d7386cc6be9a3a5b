"""libpq 18 with PostgreSQL 18: direct TLS, protocol 3.2 with its long cancel keys, and channel binding."""

import os
import threading
import time

import psycopg
from psycopg import pq

CA = os.environ["CA"]
assert pq.version() >= 180000, pq.version()
secure = f"host=localhost sslmode=verify-full sslrootcert={CA}"


def wait_until_the_query_runs(backend):
    """A cancel request before the query has no effect."""
    with psycopg.connect(secure, autocommit=True) as watcher:
        running = "select 1 from pg_stat_activity where pid = %s and state = 'active' and query like '%%pg_sleep%%'"
        while not watcher.execute(running, (backend,)).fetchone():
            time.sleep(0.1)


for options in ("sslnegotiation=direct", "sslnegotiation=postgres"):
    with psycopg.connect(f"{secure} {options} max_protocol_version=3.2") as connection:
        assert connection.execute("show ssl").fetchone() is not None
        assert connection.pgconn.ssl_in_use
        assert connection.pgconn.full_protocol_version == 30002, connection.pgconn.full_protocol_version

        def cancel():
            wait_until_the_query_runs(connection.info.backend_pid)
            connection.cancel_safe()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            connection.execute("select pg_sleep(300)")
            raise AssertionError("the sleep was not cancelled")
        except psycopg.errors.QueryCanceled:
            pass
        thread.join()

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
