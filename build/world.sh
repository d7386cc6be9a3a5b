# Sourced by build/demo.sh and the scripts in tests/drivers: starts the test world and proxies, and stops all at the end.
# Everything they write is in $directory; NAME.out and NAME.log are what the process NAME prints.
# shellcheck shell=bash

directory=$(mktemp -d)
chmod 711 "$directory"
binaries=   # the directory of the built programs, after build_world

stop_all() {
    exec 3>&-   # the world ends when its standard input is closed
    local name
    [ ! -e "$directory/started" ] || tac "$directory/started" | while read -r name; do stop "$name"; done
    rm -rf "$directory"
}
exec 3>/dev/null
trap stop_all EXIT
trap 'exit 130' INT TERM

# fail REASON LOG: shows the end of the log and exits.
fail() {
    printf '✗ %s\n' "$1" >&2
    tail -n 20 "$2" >&2
    exit 1
}

# launch NAME COMMAND...: runs COMMAND in the background.
launch() {
    local name=$1
    shift
    "$@" >"$directory/$name.out" 2>"$directory/$name.log" 3>&- 4>&- &
    echo $! >"$directory/$name.pid"
    grep -qx "$name" "$directory/started" 2>/dev/null || echo "$name" >>"$directory/started"
}

# wait_for NAME LINE: waits until the output of NAME matches the pattern LINE.
wait_for() {
    for _ in $(seq 1200); do
        if grep -Eq "$2" "$directory/$1.out" "$directory/$1.log"; then return; fi
        kill -0 "$(cat "$directory/$1.pid")" 2>/dev/null || break
        sleep 0.1
    done
    fail "$1 does not start" "$directory/$1.log"
}

# stop NAME: sends SIGTERM, after 30 s SIGKILL, and waits until the process has ended.
stop() {
    local id
    id=$(cat "$directory/$1.pid")
    kill -TERM "$id" 2>/dev/null || true
    for _ in $(seq 600); do
        kill -0 "$id" 2>/dev/null || return 0
        sleep 0.05
    done
    kill -KILL "$id" 2>/dev/null || true
}

# with_environment NAME COMMAND...: runs COMMAND in the environment that the world wrote for NAME.
with_environment() {
    # shellcheck disable=SC1090
    . "$directory/$1-env.sh"
    shift
    exec "$@"
}

build_world() {
    cargo build --quiet --locked --bin rds-auth-proxy --example world
    binaries=$(cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug
}

# Starts PostgreSQL, the database and the AWS endpoint.
start_world() {
    mkfifo "$directory/input"
    # shellcheck disable=SC2317   # called by launch
    world() { exec "$binaries/examples/world" --until-eof "$directory" <"$directory/input"; }
    # Opening a pipe waits for the other end, so the world starts first.
    launch world world
    exec 3>"$directory/input"
    wait_for world '^ready'
}

# start_server NAME: starts a server with the configuration NAME.yaml.
start_server() {
    launch "$1" with_environment server "$binaries/rds-auth-proxy" server --configfile "$directory/$1.yaml"
    wait_for "$1" '"message":"listening"'
}

start_client() {
    launch client with_environment client "$binaries/rds-auth-proxy" client --configfile "$directory/client.yaml" --target db-1
    wait_for client 'listening'
}
