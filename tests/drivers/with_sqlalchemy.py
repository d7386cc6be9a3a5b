"""SQLAlchemy and Alembic with psycopg: a migration forward and back."""

import os

import alembic
import sqlalchemy
from alembic.migration import MigrationContext
from alembic.operations import Operations
from checks import check, report, same

report("version", f"{sqlalchemy.__version__}, Alembic {alembic.__version__}")


@check("run")
def _():
    # libpq's variables have the rest.
    engine = sqlalchemy.create_engine("postgresql+psycopg://")
    table = f"migrated_{os.getpid()}"
    with engine.begin() as connection:
        migration = Operations(MigrationContext.configure(connection))
        migration.create_table(table, sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True))
        migration.add_column(table, sqlalchemy.Column("name", sqlalchemy.Text, server_default="żółw"))
        migration.create_index(f"{table}_name", table, ["name"], unique=True)
    with engine.begin() as connection:
        columns = [column["name"] for column in sqlalchemy.inspect(connection).get_columns(table)]
        same(columns, ["id", "name"])
        connection.execute(sqlalchemy.text(f"insert into {table} (id) values (1)"))
        same(connection.execute(sqlalchemy.text(f"select name from {table}")).scalar(), "żółw")
    with engine.begin() as connection:
        Operations(MigrationContext.configure(connection)).drop_table(table)
