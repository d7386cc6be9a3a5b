"""pg8000, a pure Python driver: prepared statements and a large parameter."""

import os
import pg8000.native

connection = pg8000.native.Connection(
    os.environ["PGUSER"],
    host=os.environ["PGHOST"],
    port=int(os.environ["PGPORT"]),
    database=os.environ["PGDATABASE"],
)
statement = connection.prepare("select cast(:n as int) + 1, cast(:t as text)")
for number in range(100):
    assert statement.run(n=number, t="żółw\n" * number) == [[number + 1, "żółw\n" * number]]
try:
    connection.run("select 1 / cast(:n as int)", n=0)
    raise AssertionError("a division by zero succeeded")
except pg8000.exceptions.DatabaseError as error:
    assert error.args[0]["C"] == "22012", error
assert connection.run("select length(:t)", t="x" * 5_000_000) == [[5_000_000]]
statement.close()
connection.close()
print("ok")
