"""A query that sleeps, and a cancel request for it over TLS with libpq 17 or later."""

import threading
import time

import psycopg


def expect_cancelled(connection, secure):
    """Cancels a query of this connection. `secure` is how another one logs in as the same user."""

    def cancel():
        wait_until_the_query_runs(connection.info.backend_pid, secure)
        connection.cancel_safe()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        connection.execute("select pg_sleep(300)")
        raise AssertionError("the sleep was not cancelled")
    except psycopg.errors.QueryCanceled:
        pass
    thread.join()


def wait_until_the_query_runs(backend, secure):
    """A cancel request before the query has no effect."""
    with psycopg.connect(secure, autocommit=True) as watcher:
        running = "select 1 from pg_stat_activity where pid = %s and state = 'active' and query like '%%pg_sleep%%'"
        while not watcher.execute(running, (backend,)).fetchone():
            time.sleep(0.1)
