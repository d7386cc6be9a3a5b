#!/usr/bin/env bash
# Runs the programs of the drivers in this directory through client and server and through the front door, and prints what
# works. Installs what it needs: Debian packages, and packages of PyPI, npm and crates.io.
#
#     tests/drivers/run.sh               all drivers and tools
#     tests/drivers/run.sh psycopg pg    only these
#     tests/drivers/run.sh --page        writes docs/compatibility.md from the results so far
#
# The results are in target/drivers/results, a file for each driver and path, which the next run replaces. The exit code is 1
# if a check failed. PATHS in the environment limits the paths: client, door, direct, mutual (tests/support/paths.rs).
#
# A program reads libpq's variables (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT,
# PGSSLKEY, PGSSLNEGOTIATION) and prints lines with tabs between the fields:
#
#     version      TEXT                 of the driver; the first line
#     CHECK        ok
#     CHECK        fail        REASON
#     CHECK        impossible  REASON   the driver cannot do it; after an impossible `login` nothing follows
#     restart                           requests a restart of the server; the program waits for a line on its input
#
# The checks:
#
#     login        as PGUSER, encrypted as PGSSLMODE says
#     prepared     100 runs of a prepared statement, with parameters of growing size
#     large        a result of 50 MiB; every row is verified
#     copy         10,000 rows with COPY in, and out again
#     error        a division by zero has SQLSTATE 22012, and the session continues
#     cancel       the driver's own cancel request ends a sleep of 60 s, with SQLSTATE 57014
#     notify       a NOTIFY of another session arrives
#     transaction  one is committed, one is rolled back
#     reconnect    after a restart, the driver's pool (or a new connection, for drivers without one) runs queries
#     run          the one check of a tool
set -euo pipefail
cd "$(dirname "$0")/../.."

here=$PWD/tests/drivers
work=${CARGO_TARGET_DIR:-$PWD/target}/drivers
results=$work/results
checks="login prepared large copy error cancel notify transaction reconnect"
mkdir -p "$results"

# shellcheck source=tests/drivers/drivers.sh
. "$here/drivers.sh"

if [ "${1:-}" = --page ]; then
    python3 "$here/page.py" "$results" >docs/compatibility.md
    exit
fi
IFS=' ' read -ra drivers <<<"${*:-$DRIVERS $TOOLS}"
IFS=' ' read -ra paths <<<"${PATHS:-client door direct mutual}"

# shellcheck source=build/world.sh
. build/world.sh

# server_of PATH: the server that a restart on this path restarts.
server_of() {
    case $1 in
        client) echo server ;;
        door | direct) echo door ;;
        mutual) echo mutual ;;
    esac
}

# cancels_in_clear PATH: whether the server of this path has refused a cancel request without TLS since its start.
cancels_in_clear() { grep -q 'the application connected without TLS' "$directory/$(server_of "$1").log"; }

# run DRIVER PATH: runs the program of a driver and writes its results.
run() {
    local driver=$1 path=$2 check outcome reason result=$results/$1.$2
    local answers=${directory:?}/answers errors=$directory/errors command=()
    rm -f "$answers"
    mkfifo "$answers"
    exec 4<>"$answers"   # opening it for writing alone would wait
    driver_command "$driver"
    (
        # shellcheck disable=SC1090
        . "$directory/paths/$path.sh"
        timeout --kill-after=5 180 "${command[@]}" <"$answers" 2>"$errors" 3>&- || echo "exit code $?" >>"$errors"
    ) | while IFS=$'\t' read -r check outcome reason; do
        if [ "$check" = restart ]; then
            stop "$(server_of "$path")"
            start_server "$(server_of "$path")"
            echo >&4
        elif [ "$check $outcome" = 'cancel fail' ] && cancels_in_clear "$path"; then
            printf 'cancel\timpossible\tsends its cancel requests in clear text, without the client certificate\n'
        else
            printf '%s\t%s\t%s\n' "$check" "$outcome" "$reason"
        fi
    done >"$result"
    exec 4>&-
    add_missing "$driver" "$result" "$errors"
    printf '%-15s %-12s %s\n' "$driver" "$path" "$(awk -F '\t' '$1 != "version" {print $1 ($2 == "ok" ? "" : " " toupper($2) ": " $3 ";")}' "$result" | tr '\n' ' ')"
}

# add_missing NAME RESULT ERRORS: adds the checks that have no result, with the last lines of the program's errors.
add_missing() {
    local check checks=$checks
    [[ " $TOOLS " != *" $1 "* ]] || checks=run
    shift
    if grep -q '^login	impossible' "$1"; then return; fi
    # shellcheck disable=SC2094   # the added lines are not searched for again
    for check in $checks; do
        grep -q "^$check	" "$1" || printf '%s\tfail\tno result: %s\n' "$check" "$(grep -iE 'error|code' "$2" | tail -n 3 | tr '\n\t' '  ')"
    done >>"$1"
}

build_world
for driver in "${drivers[@]}"; do install_driver "$driver"; done
start_world
start_server server
start_client
if [[ " ${paths[*]} " =~ door|direct ]]; then start_server door; fi
if [[ " ${paths[*]} " =~ mutual ]]; then start_server mutual; fi

failed=0
for driver in "${drivers[@]}"; do
    for path in "${paths[@]}"; do
        run "$driver" "$path"
        if grep -q '	fail	' "$results/$driver.$path"; then failed=1; fi
    done
done
exit "$failed"
