"""pg8000, a driver in Python alone."""

import io
import os
import time

import pg8000.native
from checks import COPIED, DIRECT, LARGE, PASSWORD, Impossible, check, report, restart, same, tls, verify_large

report("version", pg8000.__version__)
connection = None


def connect():
    return pg8000.native.Connection(
        os.environ["PGUSER"],
        host=os.environ["PGHOST"],
        port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"],
        password=PASSWORD,
        ssl_context=tls() or False,
    )


@check("login")
def _():
    global connection
    if DIRECT:
        raise Impossible("always sends SSLRequest")
    try:
        connection = connect()
    except pg8000.exceptions.DatabaseError as error:
        if "binds its login" in error.args[0]["M"]:
            raise Impossible("binds its SCRAM login to TLS, and has no setting to disable that")
        raise
    same(connection.run("select current_user"), [[os.environ["PGUSER"]]])


if connection is None:
    raise SystemExit


@check("prepared")
def _():
    statement = connection.prepare("select cast(:n as int) + 1, cast(:t as text), cast(:b as bytea)")
    for number in range(100):
        text = "żółw\n" * number
        same(statement.run(n=number, t=text, b=b"\0\xff"), [[number + 1, text, b"\0\xff"]])
    statement.close()
    same(connection.run("select length(:t)", t="x" * 5_000_000), [[5_000_000]])


@check("large")
def _():
    verify_large(connection.run(LARGE))


@check("copy")
def _():
    connection.run("create temp table copied (n int, t text)")
    text = "".join(f"{number}\t{number}\n" for number, _ in COPIED)
    connection.run("copy copied from stdin", stream=io.StringIO(text))
    received = io.BytesIO()
    connection.run("copy (select * from copied order by n) to stdout", stream=received)
    same(received.getvalue().decode(), text)


@check("error")
def _():
    try:
        connection.run("select 1 / cast(:n as int)", n=0)
        raise AssertionError("a division by zero succeeded")
    except pg8000.exceptions.DatabaseError as error:
        same(error.args[0]["C"], "22012")
        same(connection.run("select 1"), [[1]])


@check("cancel")
def _():
    raise Impossible("has no cancel requests")


@check("notify")
def _():
    connection.run("listen drivers")
    other = connect()
    other.run("notify drivers, 'received'")
    other.close()
    for _ in range(100):
        connection.run("select 1")
        if connection.notifications:
            break
        time.sleep(0.1)
    same([notice[2] for notice in connection.notifications], ["received"])


@check("transaction")
def _():
    connection.run("create temp table kept (n int)")
    for number, end in ((1, "commit"), (2, "rollback")):
        connection.run("begin")
        connection.run("insert into kept values (:n)", n=number)
        connection.run(end)
    same(connection.run("select n from kept"), [[1]])


@check("reconnect")
def _():
    global connection
    restart()
    try:
        connection.run("select 1")
        raise AssertionError("the session survived")
    except (pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError):
        connection = connect()
        same(connection.run("select 1"), [[1]])
