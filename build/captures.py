#!/usr/bin/env python3
"""Makes the pictures of terminals in the documentation, from a real run: docs/captures/NAME.svg.

    build/captures.py [NAME...]     all of them, or these

It builds the program, starts the test world (as build/demo.sh) with a server, and types into a shell on a pseudo-terminal. The
example `screen` draws what the terminal shows then.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/captures"
COLUMNS, ROWS = 110, 40
# bash turns the paste mode of the terminal on before it prompts.
PROMPT = "\x1b[?2004h$ "
PATIENCE = 60


def build() -> pathlib.Path:
    """Builds what is needed, and returns the directory of the programs."""
    subprocess.run(["bash", "build/prepare.sh"], cwd=ROOT, check=True)
    subprocess.run(
        ["cargo", "build", "--quiet", "--bin", "rds-auth-proxy", "--example", "world", "--example", "screen"],
        cwd=ROOT, check=True,
    )
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"], cwd=ROOT, check=True, capture_output=True
    )
    return pathlib.Path(json.loads(metadata.stdout)["target_directory"]) / "debug"


def wait_for(path: pathlib.Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (path.exists() and text in path.read_text()):
        if time.monotonic() > deadline:
            sys.exit(f"`{text}` does not appear in {path}")
        time.sleep(0.1)


def environment(path: pathlib.Path) -> dict[str, str]:
    """The variables that the world wrote for a program."""
    script = f'. "{path}" && env -0'
    text = subprocess.run(["env", "-i", "sh", "-c", script], check=True, capture_output=True).stdout.decode()
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def with_ending_credentials(variables: dict[str, str], directory: pathlib.Path) -> None:
    """Moves the keys of the world from the variables to a credential process, which can name their end."""
    names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}
    keys = {name: variables.pop(variable) for name, variable in names.items()}
    # The world's key is valid for 12 hours.
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 12 * 3600))
    directory.mkdir()
    (directory / "keys.json").write_text(json.dumps({"Version": 1, "Expiration": end} | keys))
    (directory / "config").write_text(f"[default]\ncredential_process = cat {directory}/keys.json\n")


@contextlib.contextmanager
def running(command: list, output: pathlib.Path, variables: dict[str, str] | None = None):
    """A program that runs until the end of the block."""
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=variables)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


class Shell:
    """An interactive shell on a terminal, and everything that was written there."""

    def __init__(self, variables: dict[str, str]):
        self.written = b""
        process, self.terminal = pty.fork()
        if process == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile"], variables)
        self.process = process
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.expect("$ ")

    def read(self, seconds: float) -> None:
        """Reads what is written within this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    self.written += os.read(self.terminal, 65536)
                except OSError:
                    return

    def expect(self, text: str, since: int = 0) -> None:
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.written[since:]:
            if time.monotonic() > deadline:
                sys.exit(f"`{text}` does not appear: {self.written.decode(errors='replace')}")
            self.read(0.1)
        self.read(0.3)

    def type(self, line: str, until: str) -> None:
        """Types a line, and waits until this text is written behind it."""
        os.write(self.terminal, line.encode() + b"\n")
        before = len(self.written) + len(line)
        self.expect(until, before)

    def hide(self, line: str) -> None:
        """Types a line that is not in the picture."""
        self.type(line, "$ ")
        self.written = b"$ "

    def press(self, key: bytes) -> None:
        os.write(self.terminal, key)

    def close(self) -> None:
        os.close(self.terminal)
        os.waitpid(self.process, 0)


def psql(shell: Shell, variables: dict[str, str]) -> bytes:
    shell.type("rds-auth-proxy client --target orders-db --user alice -- psql", "app=>")
    shell.type("select current_user, current_database();", "app=>")
    shell.type("\\q", "$ ")
    return shell.written


def status(shell: Shell, variables: dict[str, str]) -> bytes:
    # Not the line with the path of the configuration.
    shell.hide("export RUST_LOG=warn,rds_auth_proxy::session=info")
    shell.type("rds-auth-proxy client --target orders-db", "0 sessions")
    port = subprocess.run(
        ["sed", "-n", r"s/.*psql -h 127.0.0.1 -p \([0-9]*\) .*/\1/p"], input=shell.written, capture_output=True, check=True
    ).stdout.decode().split()[0]
    query = "select n, md5(n::text) from generate_series(1, 100000) n \\watch 1"
    command = ["psql", "-X", "-q", "-w", "-h", "127.0.0.1", "-p", port, "-U", "alice", "-d", "app"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=variables) as reader:
        reader.stdin.write(query.encode() + b"\n")
        reader.stdin.flush()
        shell.expect("1 session")
        shell.read(4)
        picture = shell.written
        reader.terminate()
    shell.press(b"\x03")
    shell.expect("$ ", len(picture))
    return picture


def doctor(shell: Shell, variables: dict[str, str]) -> bytes:
    shell.type("rds-auth-proxy doctor --target orders-db --user alice", PROMPT)
    return shell.written


CAPTURES = {
    "psql": (psql, "rds-auth-proxy runs psql, which logs in without a password"),
    "status": (status, "A client: the table of its targets, its log, and its state in the last line"),
    "doctor": (doctor, "rds-auth-proxy doctor checks each step of the way to a database"),
}


def capture(name: str, programs: pathlib.Path, variables: dict[str, str]) -> None:
    steps, title = CAPTURES[name]
    shell = Shell(variables)
    # The home is a temporary directory; the picture has a usual one.
    output = steps(shell, variables).replace(variables["HOME"].encode(), b"/home/alice")
    shell.close()
    drawn = subprocess.run(
        [programs / "examples/screen", str(COLUMNS), str(ROWS), title], input=output, check=True, capture_output=True
    ).stdout
    for foreign in (str(ROOT), str(programs), tempfile.gettempdir() + "/"):
        if foreign.encode() in drawn:
            sys.exit(f"the picture {name} shows a path of this machine: {foreign}")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_bytes(drawn)
    print(f"docs/captures/{name}.svg")


def main() -> None:
    names = sys.argv[1:] or list(CAPTURES)
    if unknown := [name for name in names if name not in CAPTURES]:
        sys.exit(f"there is no capture {unknown[0]}; there are {', '.join(CAPTURES)}")
    programs = build()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        world = pathlib.Path(directory)
        stack.enter_context(running([programs / "examples/world", "--instance", "orders-db", world], world / "world.out"))
        wait_for(world / "world.out", "ready")
        server = environment(world / "server-env.sh") | {"PATH": os.environ["PATH"]}
        command = [programs / "rds-auth-proxy", "server", "--configfile", world / "server.yaml"]
        stack.enter_context(running(command, world / "server.out", server))
        wait_for(world / "server.out", '"listening"')
        home = world / "home/.config/rds-auth-proxy"
        home.mkdir(parents=True)
        shutil.copy(world / "client.yaml", home / "config.yaml")
        variables = environment(world / "client-env.sh") | {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(world / "home"), "TERM": "xterm-256color", "PS1": "$ ",
            "PAGER": "cat", "LANG": "C.UTF-8", "PSQLRC": "/dev/null",
        }
        with_ending_credentials(variables, world / "home/.aws")
        for name in names:
            capture(name, programs, variables)


if __name__ == "__main__":
    main()
