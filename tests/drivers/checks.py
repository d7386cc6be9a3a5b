"""What the Python programs share: the checks, their results on standard output (see run.sh), and TLS as libpq's variables say."""

import os
import ssl
import sys

DIRECT = os.environ.get("PGSSLNEGOTIATION") == "direct"
PASSWORD = os.environ.get("PGPASSWORD")
ROWS = 51_200
LARGE = f"select n, repeat(md5(n::text), 32) from generate_series(1, {ROWS}) as n"
COPIED = [(number, "żółw\t\n\\" * (number % 7)) for number in range(10_000)]


class Impossible(Exception):
    """The driver cannot do it, for this reason."""


def report(*fields):
    print(*(" ".join(str(field).split()) for field in fields), sep="\t", flush=True)


def outcome(name, error):
    if isinstance(error, Impossible):
        report(name, "impossible", error)
    elif error:
        report(name, "fail", f"{type(error).__name__}: {error}")
    else:
        report(name, "ok")


def check(name):
    """Runs the decorated function at once and reports the result."""

    def run(function):
        error = None
        try:
            function()
        except Exception as caught:
            error = caught
        outcome(name, error)

    return run


def restart():
    """Has the server restarted, and returns once it listens."""
    print("restart", flush=True)
    sys.stdin.readline()


def tls():
    """A context for the drivers that take one; none without TLS."""
    if os.environ["PGSSLMODE"] == "disable":
        return None
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    if "PGSSLCERT" in os.environ:
        context.load_cert_chain(os.environ["PGSSLCERT"], os.environ["PGSSLKEY"])
    if DIRECT:
        context.set_alpn_protocols(["postgresql"])
    return context


def same(found, expected):
    assert found == expected, f"{str(found)[:80]} instead of {str(expected)[:80]}"


def verify_large(rows):
    """The rows of LARGE: 50 MiB of text."""
    count = 0
    for count, (number, text) in enumerate(rows, 1):
        assert number == count and len(text) == 1024, (number, len(text))
    same(count, ROWS)
