#!/usr/bin/env bash
# psql, and so libpq, of the installed version.
set -uo pipefail

tab=$'\t'
printf 'version\t%s\n' "$(psql --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)"
if [ "${PGSSLNEGOTIATION:-}" = direct ] && ! psql 'sslnegotiation=direct' -c '' 2>&1 | grep -qv 'invalid connection option'; then
    printf 'login\timpossible\tlibpq before 17 always sends SSLRequest\n'
    exit
fi
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT

run() { psql -X -q -A -t -w -v ON_ERROR_STOP=1 "$@" 2>&1; }

# same CHECK EXPECTED FOUND
same() {
    if [ "$2" = "$3" ]; then printf '%s\tok\n' "$1"; else printf '%s\tfail\t%s\n' "$1" "$(head -c 300 <<<"$3" | tr '\n\t' '  ')"; fi
}

same login "$PGUSER" "$(run -c 'select current_user')"

statements="prepare ask as select \$1::int + 1 || ' ' || length(\$2);"
expected=
for number in $(seq 0 99); do
    statements+="execute ask($number, repeat('ż', $number));"
    expected+="$((number + 1)) $number "
done
same prepared "$expected" "$(run -c "$statements" | tr '\n' ' ')"

run -F "$tab" -c 'select n, repeat(md5(n::text), 32) from generate_series(1, 51200) as n' >"$files/large"
same large '51200 52428800' "$(awk -F "$tab" '$1 == NR {rows++; bytes += length($2)} END {print rows, bytes}' "$files/large")"

seq 10000 | sed "s/\(.*\)/\1${tab}żółw \1/" >"$files/in"
run -c 'create temp table copied (n int, t text)' -c "\\copy copied from '$files/in'" -c "\\copy (select * from copied order by n) to '$files/out'"
same copy '' "$(cmp "$files/in" "$files/out" 2>&1)"

same error "22012${tab}1" "$(run -v ON_ERROR_STOP=0 -c 'select 1 / 0' -c '\echo :SQLSTATE' -c 'select 1' | grep -v ERROR | paste -s -)"

# A job of a script ignores SIGINT, psql sets its own handler.
psql -X -q -w -v VERBOSITY=verbose -c 'select pg_sleep(60)' >"$files/cancelled" 2>&1 &
sleep 2
kill -INT $!
wait $!
same cancel 57014 "$(grep -o 57014 "$files/cancelled")"

{ echo 'listen drivers;'; sleep 1; run -c "notify drivers, 'received'" >&2; sleep 1; echo 'select 1;'; } |
    run >"$files/notified"
same notify 1 "$(grep -c 'payload "received"' "$files/notified")"

same transaction 1 "$(run -c 'create temp table kept (n int)' -c 'begin' -c 'insert into kept values (1)' -c 'commit' \
    -c 'begin' -c 'insert into kept values (2)' -c 'rollback' -c 'select n from kept')"

echo restart
read -r
same reconnect again "$(run -c "select 'again'")"
