"""Prints docs/compatibility.md from the results of run.sh and regression.sh.

    page.py DIRECTORY

The file NAME.PATH has the results of a driver or tool on a path, see run.sh.
"""

import datetime
import pathlib
import platform
import sys

PATHS = {
    "client": "client and server, IAM",
    "door": "front door",
    "direct": "front door, direct TLS",
    "mutual": "front door, client certificate",
}
CHECKS = ["login", "prepared", "large", "copy", "error", "cancel", "notify", "transaction", "reconnect"]
HEADINGS = ["login", "prepared", "50 MiB", "COPY", "error", "cancel", "NOTIFY", "transaction", "restart"]
DRIVERS = {
    "psql": "psql",
    "psycopg": "psycopg 3 (Python; pgAdmin)",
    "asyncpg": "asyncpg (Python)",
    "pg8000": "pg8000 (Python)",
    "pg": "node-postgres (Node)",
    "postgres.js": "postgres.js (Node)",
    "tokio-postgres": "tokio-postgres (Rust)",
    "sqlx": "sqlx (Rust)",
    "pgjdbc": "pgjdbc (Java; DBeaver, DataGrip)",
    "lib-pq": "lib/pq (Go)",
    "pgx": "pgx (Go)",
    "ruby-pg": "ruby-pg (Ruby; Rails)",
    "pdo": "PDO (PHP)",
    "dbd-pg": "DBD::Pg (Perl)",
    "psqlodbc": "psqlODBC",
    "npgsql": "Npgsql (.NET)",
}
TOOLS = {
    "pg_dump": "pg_dump, pg_restore",
    "pg_basebackup": "pg_basebackup",
    "pg_recvlogical": "pg_recvlogical",
    "pgbench": "pgbench",
    "sqlalchemy": "migrations of SQLAlchemy (Alembic)",
    "django": "migrations of Django",
    "activerecord": "migrations of Rails (Active Record)",
    "prisma": "migrations of Prisma",
    "regression": "PostgreSQL's regression tests",
}

INTRODUCTION = """\
# Compatibility

This page lists drivers and tools that were run against the program, and what worked. `tests/drivers/run.sh --page` writes it from the
results of `tests/drivers/run.sh` and `tests/drivers/regression.sh`; do not edit it. The last result is of {date}, on {system}
with PostgreSQL {postgres}.

An application can take these paths:

{paths}

On the paths of the front door the application logs in with its own password by SCRAM. Drivers that bind a channel, such as libpq's, need
`channel_binding=disable` there: a proxy that terminates TLS cannot pass the binding on.
"""

LEGEND = """\
Each check is that of a program in [tests/drivers](../tests/drivers), which uses the driver as an application does:

| check | what it does |
|---|---|
| login | connects; on the paths of the front door with `verify-full` |
| prepared | 100 runs of a prepared statement, with parameters of growing size |
| 50 MiB | reads a result of 50 MiB and verifies every row |
| COPY | 10,000 rows in (psql: `\\copy`), and out again where the driver has it |
| error | a division by zero has its SQLSTATE, and the session continues |
| cancel | the driver's own cancel request ends a query |
| NOTIFY | the notification of another session arrives |
| transaction | one is committed, one is rolled back |
| restart | after a restart of the server, the driver's pool runs queries; a driver without a pool reports the loss and connects again |
"""


TOOLS_LEGEND = """\
- pg_dump and pg_restore handle the database of the regression tests; the dump equals the one without proxies.
- The regression tests pass if no test fails that passes directly on the database.
- DBeaver and DataGrip use pgjdbc, pgAdmin uses psycopg: see their rows above.
"""


class Results:
    """The results of all files."""

    def __init__(self, directory):
        self.files = {}
        for path in pathlib.Path(directory).iterdir():
            name, _, way = path.name.rpartition(".")
            lines = [line.rstrip("\n").split("\t") for line in path.open()]
            self.files[name, way] = {line[0]: line[1:] for line in lines if line}
        self.last = max(path.stat().st_mtime for path in pathlib.Path(directory).iterdir())
        self.notes = []

    def paths(self):
        return [path for path in PATHS if any(way == path for _, way in self.files)]

    def names(self, wanted):
        return [name for name in wanted if any(file == name for file, _ in self.files)]

    def version(self, name):
        versions = [found["version"][0] for (file, _), found in self.files.items() if file == name and "version" in found]
        return versions[0] if versions else ""

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
        return self.notes.index(text) + 1

    def cell(self, name, path, checks):
        """What a driver does on a path: yes, or the exceptions with numbers of notes."""
        found = self.files.get((name, path))
        if found is None:
            return "not run"
        if found.get("login", found.get("run", ["ok"]))[0] == "impossible":
            return f"not possible ({self.note(found.get('login', found.get('run'))[1])})"
        failed = [check for check in checks if found.get(check, ["fail"])[0] == "fail"]
        if not failed:
            lost = [check for check in checks if found.get(check, [""])[0] == "impossible" and self.works(name, check)]
            without = ", ".join(f"{check} ({self.note(found[check][1])})" for check in lost)
            return f"yes, without {without}" if lost else "yes"
        return "fails: " + ", ".join(f"{check} ({self.note(reason(found.get(check)))})" for check in failed)

    def works(self, name, check):
        """Whether a driver passes the check on some path."""
        return any(found.get(check, [""])[0] == "ok" for (file, _), found in self.files.items() if file == name)

    def check(self, name, check):
        """The outcome of a check on all paths on which the driver connects."""
        outcomes = {path: self.files[name, path].get(check) for path in PATHS if (name, path) in self.files}
        outcomes = {path: outcome for path, outcome in outcomes.items() if outcome}
        failed = {path: outcome for path, outcome in outcomes.items() if outcome[0] == "fail"}
        if failed:
            return "fails: " + ", ".join(f"{PATHS[path]} ({self.note(reason(outcome))})" for path, outcome in failed.items())
        impossible = [outcome[1] for outcome in outcomes.values() if outcome[0] == "impossible"]
        if any(outcome[0] == "ok" for outcome in outcomes.values()):
            return "yes"
        return f"not possible ({self.note(impossible[0])})" if impossible else "not run"


def reason(outcome):
    return outcome[1] if outcome and len(outcome) > 1 and outcome[1] else "no result"


def table(headings, rows):
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main():
    results = Results(sys.argv[1])
    paths = results.paths()
    drivers, tools = results.names(DRIVERS), results.names(TOOLS)
    sections = [
        "## Drivers",
        table(
            ["driver", "version", *(PATHS[path] for path in paths)],
            [
                [DRIVERS[name], results.version(name), *(results.cell(name, path, CHECKS) for path in paths)]
                for name in drivers
            ],
        ),
        "\"yes\": every check that the driver can do on this path passed. The numbers in parentheses are those of the reasons below.",
        "## Checks",
        LEGEND.rstrip(),
        table(
            ["driver", *HEADINGS],
            [[DRIVERS[name], *(results.check(name, check) for check in CHECKS)] for name in drivers],
        ),
    ]
    if tools:
        rows = [[TOOLS[name], results.version(name), *(results.cell(name, path, ["run"]) for path in paths)] for name in tools]
        sections += [
            "## Tools",
            table(["tool", "version", *(PATHS[path] for path in paths)], rows),
            TOOLS_LEGEND.rstrip(),
        ]
    if results.notes:
        reasons = "\n".join(f"{number}. {note}" for number, note in enumerate(results.notes, 1))
        sections += ["## Reasons", reasons]
    date = datetime.date.fromtimestamp(results.last)
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    introduction = INTRODUCTION.format(
        date=date,
        system=system,
        postgres=results.version("psql"),
        paths="\n".join(f"- {PATHS[path]}" for path in paths),
    )
    print(introduction + "\n" + "\n\n".join(sections))


main()
