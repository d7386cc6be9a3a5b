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
bold='' dim='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'
fi

# shellcheck source=build/world.sh
. build/world.sh

say() { printf '%s%s%s\n' "$bold" "$*" "$plain"; }
report() { printf '  %s✓%s %-9s %s%s%s\n' "$green" "$plain" "$1" "$dim" "$2" "$plain"; }

say "Building (the first time takes a few minutes)"
bash build/prepare.sh
build_world

say "Starting"
start_world
report database "PostgreSQL behind an RDS-like listener: TLS, IAM tokens, no passwords"
report aws "an endpoint that lists the instance db-1"
unset RUST_LOG DEBUG   # they may suppress the expected log lines
export LOG_LEVEL=info
start_server server
report server "lists the databases and checks access to them"
start_client
port=$(sed -n 's/.*listening.*address=127\.0\.0\.1:\([0-9]*\).*/\1/p' "${directory:?}/client.log" | head -n 1)
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
    wait
else
    say "It works. build/demo.sh --keep leaves it running to try with psql."
fi
