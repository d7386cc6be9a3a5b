"""asyncpg, whose protocol code is its own."""

import asyncio
import os

import asyncpg
from checks import COPIED, DIRECT, LARGE, outcome, report, restart, same, tls, verify_large

report("version", asyncpg.__version__)
context = tls()
settings = {"ssl": context if context else False, "direct_tls": DIRECT}


async def login(_):
    connection = await asyncpg.connect(**settings)
    same(await connection.fetchval("select current_user"), os.environ["PGUSER"])
    return connection


async def prepared(connection):
    statement = await connection.prepare("select $1::int + 1, $2::text, $3::bytea")
    for number in range(100):
        values = (number, "żółw\n" * number, b"\0\xff")
        same(tuple(await statement.fetchrow(*values)), (number + 1, *values[1:]))
    async with connection.transaction():
        numbers = [row[0] async for row in connection.cursor("select generate_series(1, 1000)")]
    same(numbers, list(range(1, 1001)))


async def large(connection):
    verify_large(await connection.fetch(LARGE))


async def copy(connection):
    await connection.execute("create temp table copied (n int, t text)")
    await connection.copy_records_to_table("copied", records=COPIED)
    same([tuple(row) for row in await connection.fetch("select * from copied order by n")], COPIED)
    received = bytearray()

    async def receive(data):
        received.extend(data)

    await connection.copy_from_query("select n from copied order by n", output=receive)
    same(received.decode().split(), [str(number) for number, _ in COPIED])


async def error(connection):
    try:
        await connection.fetch("select 1 / $1::int", 0)
        raise AssertionError("a division by zero succeeded")
    except asyncpg.DivisionByZeroError:
        same(await connection.fetchval("select 1"), 1)


async def cancel(connection):
    try:
        await connection.fetch("select pg_sleep(60)", timeout=1)
        raise AssertionError("the query was not cancelled")
    except asyncio.TimeoutError:
        same(await asyncio.wait_for(connection.fetchval("select 1"), 20), 1)


async def notify(connection):
    received = asyncio.get_running_loop().create_future()
    await connection.add_listener("drivers", lambda *arguments: received.set_result(arguments[-1]))
    other = await asyncpg.connect(**settings)
    await other.execute("notify drivers, 'received'")
    await other.close()
    same(await asyncio.wait_for(received, 20), "received")


async def transaction(connection):
    await connection.execute("create temp table kept (n int)")
    async with connection.transaction():
        await connection.execute("insert into kept values (1)")
    started = connection.transaction()
    await started.start()
    await connection.execute("insert into kept values (2)")
    await started.rollback()
    same(await connection.fetchval("select array_agg(n) from kept"), [1])


async def reconnect(_):
    async with asyncpg.create_pool(min_size=1, max_size=1, **settings) as pool:
        before = await pool.fetchval("select pg_backend_pid()")
        await asyncio.to_thread(restart)
        assert await asyncio.wait_for(pool.fetchval("select pg_backend_pid()"), 20) != before


async def main():
    connection = None
    for step in (login, prepared, large, copy, error, cancel, notify, transaction, reconnect):
        caught = None
        try:
            connection = await step(connection) or connection
        except Exception as raised:
            caught = raised
        outcome(step.__name__, caught)


asyncio.run(main())
