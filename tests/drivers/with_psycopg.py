"""psycopg 3 with the libpq that its package carries."""

import os
import threading

import psycopg
import psycopg_pool
from checks import COPIED, DIRECT, LARGE, check, report, restart, same, verify_large

libpq = psycopg.pq.version()
report("version", f"{psycopg.__version__}, libpq {libpq // 10000}.{libpq % 10000}")
assert not DIRECT or libpq >= 170000, libpq
connection = None


@check("login")
def _():
    global connection
    connection = psycopg.connect("", autocommit=True)
    same(connection.execute("select current_user").fetchone(), (os.environ["PGUSER"],))
    same(connection.pgconn.ssl_in_use, os.environ["PGSSLMODE"] != "disable")


@check("prepared")
def _():
    for number in range(100):
        values = (number, "żółw\n" * number, b"\0\xff")
        row = connection.execute("select %s::int + 1, %s::text, %s::bytea", values, prepare=True).fetchone()
        same(row, (number + 1, *values[1:]))
    same(connection.execute("select count(*) from pg_prepared_statements").fetchone(), (1,))
    with connection.pipeline():
        cursors = [connection.execute("select %s::int", (number,)) for number in range(50)]
        same([cursor.fetchone()[0] for cursor in cursors], list(range(50)))


@check("large")
def _():
    verify_large(connection.execute(LARGE))
    with connection.cursor(binary=True) as cursor:
        verify_large(cursor.execute(LARGE))


@check("copy")
def _():
    connection.execute("create temp table copied (n int, t text)")
    with connection.cursor() as cursor:
        with cursor.copy("copy copied from stdin") as copy:
            for row in COPIED:
                copy.write_row(row)
        with cursor.copy("copy (select * from copied order by n) to stdout") as copy:
            copy.set_types(["int4", "text"])
            same(list(copy.rows()), COPIED)


@check("error")
def _():
    try:
        connection.execute("select 1 / %s::int", (0,))
        raise AssertionError("a division by zero succeeded")
    except psycopg.errors.DivisionByZero:
        same(connection.execute("select 1").fetchone(), (1,))


@check("cancel")
def _():
    timer = threading.Timer(1, connection.cancel_safe)
    timer.start()
    try:
        connection.execute("select pg_sleep(60)")
        raise AssertionError("the query was not cancelled")
    except psycopg.errors.QueryCanceled:
        timer.join()


@check("notify")
def _():
    connection.execute("listen drivers")
    with psycopg.connect("", autocommit=True) as other:
        other.execute("notify drivers, 'received'")
    same([notice.payload for notice in connection.notifies(timeout=20, stop_after=1)], ["received"])


@check("transaction")
def _():
    connection.execute("create temp table kept (n int)")
    with connection.transaction():
        connection.execute("insert into kept values (1)")
    with connection.transaction() as transaction:
        connection.execute("insert into kept values (2)")
        raise psycopg.Rollback(transaction)
    same(connection.execute("select n from kept").fetchall(), [(1,)])


@check("reconnect")
def _():
    with psycopg_pool.ConnectionPool("", min_size=1, check=psycopg_pool.ConnectionPool.check_connection) as pool:
        with pool.connection() as pooled:
            before = pooled.info.backend_pid
        restart()
        with pool.connection(timeout=20) as pooled:
            assert pooled.execute("select pg_backend_pid()").fetchone()[0] != before
