"""psqlODBC, with the libpq of the system, through unixODBC and pyodbc."""

import os
import subprocess
import threading

import pyodbc
from checks import DIRECT, LARGE, Impossible, check, report, restart, same, verify_large

package = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "odbc-postgresql"], capture_output=True, text=True).stdout
report("version", package.partition("-")[0].partition(":")[2])
connection = None


def connect():
    # libpq's variables have the files of TLS.
    keys = {"Server": "PGHOST", "Port": "PGPORT", "Database": "PGDATABASE", "UID": "PGUSER", "PWD": "PGPASSWORD", "SSLmode": "PGSSLMODE"}
    settings = ";".join(f"{key}={os.environ[name]}" for key, name in keys.items() if name in os.environ)
    # Without it, an error inside a transaction is rolled back to a savepoint by the driver.
    return pyodbc.connect(f"Driver={{PostgreSQL Unicode}};{settings};UseServerSidePrepare=1", autocommit=True)


def state(sql):
    try:
        connection.execute(sql).fetchall()
        return "no error"
    except pyodbc.Error as error:
        return error.args[0]


@check("login")
def _():
    global connection
    if DIRECT:
        raise Impossible("libpq before 17 always sends SSLRequest")
    connection = connect()
    same(connection.execute("select current_user").fetchval(), os.environ["PGUSER"])


if DIRECT:
    raise SystemExit


@check("prepared")
def _():
    cursor = connection.cursor()
    for number in range(100):
        text = "żółw\n" * number
        row = cursor.execute("select ?::int + 1, ?::text", number, text).fetchone()
        same((row[0], row[1].replace("\r\n", "\n")), (number + 1, text))


@check("large")
def _():
    verify_large(connection.execute(LARGE))


@check("copy")
def _():
    raise Impossible("ODBC has no COPY")


@check("error")
def _():
    same(state("select 1 / 0"), "22012")
    same(connection.execute("select 1").fetchval(), 1)


@check("cancel")
def _():
    cursor = connection.cursor()
    threading.Timer(1, cursor.cancel).start()
    try:
        cursor.execute("select pg_sleep(60)")
        raise AssertionError("the query was not cancelled")
    except pyodbc.Error as error:
        assert "57014" in str(error) or "cancel" in str(error), error


@check("notify")
def _():
    raise Impossible("ODBC has no notifications")


@check("transaction")
def _():
    connection.execute("create temp table kept (n int)")
    connection.autocommit = False
    for number, end in ((1, connection.commit), (2, connection.rollback)):
        connection.execute("insert into kept values (?)", number)
        end()
    connection.autocommit = True
    same([tuple(row) for row in connection.execute("select n from kept")], [(1,)])


@check("reconnect")
def _():
    global connection
    restart()
    assert state("select 1") != "no error", "the session survived"
    connection = connect()
    same(connection.execute("select 1").fetchval(), 1)
