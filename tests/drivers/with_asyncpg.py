"""asyncpg: its own prepared statements, cursors, and a query that is cancelled by a timeout."""

import asyncio
import asyncpg


async def main():
    connection = await asyncpg.connect()
    statement = await connection.prepare("select $1::int + 1, $2::text, $3::bytea")
    for number in range(100):
        row = await statement.fetchrow(number, "żółw\n" * number, b"\0\xff")
        assert tuple(row) == (number + 1, "żółw\n" * number, b"\0\xff")
    try:
        await connection.fetch("select 1 / $1::int", 0)
        raise AssertionError("a division by zero succeeded")
    except asyncpg.DivisionByZeroError:
        pass
    try:
        await connection.fetch("select pg_sleep(300)", timeout=3)
        raise AssertionError("the sleep was not cancelled")
    except asyncio.TimeoutError:
        pass
    async with connection.transaction():
        numbers = [row[0] async for row in connection.cursor("select generate_series(1, 1000)")]
    assert numbers == list(range(1, 1001))
    await connection.execute("create temp table many (n int)")
    await connection.executemany("insert into many values ($1)", [(number,) for number in range(1000)])
    assert await connection.fetchval("select sum(n) from many") == 499500
    await connection.close()


asyncio.run(main())
print("ok")
