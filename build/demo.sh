#!/usr/bin/env bash
# Runs the whole chain on this machine, without a cloud account: PostgreSQL behind an RDS-like listener, a fake AWS
# endpoint, server and client. Runs a query as an IAM user and shows the logs of each hop.
#
#     build/demo.sh           ends after the query
#     build/demo.sh --keep    runs until Ctrl-C, to try it with psql
set -euo pipefail

keep=false
case "$*" in
    '') ;;
    --keep) keep=true ;;
    *) echo "usage: build/demo.sh [--keep]" >&2; exit 2 ;;
esac

cd "$(dirname "$0")/.."
bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

directory=$(mktemp -d)
running=()   # process ids, in the order they were started

stop_all() {
    local index
    exec 3>&-   # the world ends when its standard input is closed
    for ((index = ${#running[@]} - 1; index >= 0; index--)); do
        kill -TERM "${running[index]}" 2>/dev/null || true
        wait "${running[index]}" 2>/dev/null || true
    done
    rm -rf "$directory"
}
exec 3>/dev/null
trap stop_all EXIT
trap 'exit 130' INT TERM

say() { printf '%s%s%s\n' "$bold" "$*" "$plain"; }
report() { printf '  %s✓%s %-9s %s%s%s\n' "$green" "$plain" "$1" "$dim" "$2" "$plain"; }

fail() {
    printf '%s✗ %s%s\n' "$red" "$1" "$plain" >&2
    tail -n 20 "$2" >&2
    exit 1
}

# start NAME LINE COMMAND...: runs COMMAND in the background and waits until its output matches the pattern LINE.
start() {
    local name=$1 line=$2
    shift 2
    "$@" >"$directory/$name.out" 2>"$directory/$name.log" 3>&- &
    running+=($!)
    for _ in $(seq 900); do
        if grep -Eq "$line" "$directory/$name.out" "$directory/$name.log"; then return; fi
        kill -0 "$!" 2>/dev/null || break
        sleep 0.1
    done
    fail "$name does not start" "$directory/$name.log"
}

# with_environment NAME COMMAND...: runs COMMAND in the environment that the world wrote for NAME.
with_environment() {
    # shellcheck disable=SC1090
    . "$directory/$1-env.sh"
    shift
    exec "$@"
}

say "Building (the first time takes a few minutes)"
bash build/prepare.sh
cargo build --quiet --bin rds-auth-proxy --example world
binaries=$(cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug
proxy=$binaries/rds-auth-proxy

say "Starting"
mkfifo "$directory/input"
world() { exec "$binaries/examples/world" --until-eof "$directory" <"$directory/input"; }
# Opening a pipe waits for the other end, so the world starts first.
world >"$directory/world.out" 2>"$directory/world.log" 3>&- &
running+=($!)
exec 3>"$directory/input"
for _ in $(seq 1200); do
    if grep -q '^ready' "$directory/world.out"; then break; fi
    kill -0 "${running[0]}" 2>/dev/null || fail "the world does not start" "$directory/world.log"
    sleep 0.1
done
report database "PostgreSQL behind an RDS-like listener: TLS, IAM tokens, no passwords"
report aws "an endpoint that lists the instance db-1"
unset RUST_LOG DEBUG   # they may suppress the expected log lines
export LOG_LEVEL=info
start server '"message":"listening"' with_environment server "$proxy" server --configfile "$directory/server.yaml"
report server "lists the databases and checks access to them"
start client 'listening' with_environment client "$proxy" client --configfile "$directory/client.yaml" --target db-1
port=$(sed -n 's/.*listening.*address=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$directory/client.log" | head -n 1)
report client "has an AWS identity and a port for psql: $port"

query="SELECT current_user AS login, current_database() AS database, 'none typed, none stored' AS password"
psql=(psql -X -h 127.0.0.1 -p "$port" -U alice -d app)
client_lines=$(wc -l <"$directory/client.log")
server_lines=$(wc -l <"$directory/server.log")
printf '\n%s$ psql -h 127.0.0.1 -p %s -U alice -d app%s\n' "$bold" "$port" "$plain"
env -u PGPASSWORD PGPASSFILE="$directory/none" "${psql[@]}" -w -P pager=off -c "$query" </dev/null ||
    fail "the query failed" "$directory/server.log"
sleep 0.5   # for the last lines of the logs

# hop NAME: prints log lines from standard input, with NAME before the first one.
hop() {
    local name=$1 first=true line
    while IFS= read -r line; do
        if $first; then printf '  %s%-9s%s' "$bold" "$name" "$plain"; else printf '  %-9s' ''; fi
        first=false
        printf ' %s\n' "$line"
    done
}

# {"timestamp":…,"level":…,"message":"session ended","user":"alice"} becomes: session ended user=alice
from_json() {
    sed -E 's/"(timestamp|level|module)":"[^"]*",?//g; s/,?"[a-z_]+":""//g
            s/"message":"([^"]*)",?/\1 /; s/[{}]//g; s/"([a-z_.]+)":/\1=/g; s/,([a-z_.]+=)/ \1/g; s/,$//; s/"//g'
}
from_text() { sed -E 's/^[^ ]+ +[A-Z]+ +//; s/ [a-z_]+=""//g'; }

say "What happened at each hop"
tail -n +"$((client_lines + 1))" "$directory/client.log" | from_text | hop client
tail -n +"$((server_lines + 1))" "$directory/server.log" | from_json | hop server
tail -n +2 "$directory/world.out" | hop database
printf '\n'

if $keep; then
    printf '%sTry it:%s psql -h 127.0.0.1 -p %s -U alice -d app\n' "$bold" "$plain" "$port"
    printf '%sLogs and configuration: %s\nCtrl-C stops everything.%s\n' "$dim" "$directory" "$plain"
    for id in "${running[@]}"; do wait "$id" || true; done
else
    say "It works. build/demo.sh --keep leaves it running to try with psql."
fi
