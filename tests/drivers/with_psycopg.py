"""psycopg 3: prepared statements on the server, pipelines, COPY and binary results."""

import psycopg

with psycopg.connect("", autocommit=True) as connection:
    assert connection.execute("select current_user").fetchone() == ("alice",)
    connection.prepare_threshold = 0
    for number in range(100):
        row = connection.execute("select %s::int + 1, %s::text, %s::bytea", (number, "żółw\n" * number, b"\0\xff"))
        assert row.fetchone() == (number + 1, "żółw\n" * number, b"\0\xff")
    prepared = connection.execute("select count(*) from pg_prepared_statements").fetchone()
    assert prepared[0] >= 1, prepared
    try:
        connection.execute("select 1 / %s::int", (0,))
        raise AssertionError("a division by zero succeeded")
    except psycopg.errors.DivisionByZero:
        pass
    with connection.pipeline():
        cursors = [connection.execute("select %s::int", (number,)) for number in range(50)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(50))
    with connection.transaction(), connection.cursor(binary=True) as cursor:
        cursor.execute("create temp table copied (n int, t text) on commit drop")
        with cursor.copy("copy copied from stdin") as copy:
            for number in range(1000):
                copy.write_row((number, str(number)))
        assert cursor.execute("select sum(n), count(t) from copied").fetchone() == (499500, 1000)
print("ok")
