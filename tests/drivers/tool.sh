#!/usr/bin/env bash
# Runs a tool of PostgreSQL as the superuser OWNER, in a separate database, and prints its result as a driver program does
# (see run.sh), with the one check `run`.
#
#     tool.sh pg_basebackup|pg_recvlogical|pgbench
set -euo pipefail

tool=$1
bin=$(pg_config --bindir 2>/dev/null || dirname "$(find /usr/lib/postgresql -name "$tool" | sort -V | tail -n 1)")
export PGUSER=$OWNER PGPASSWORD=${OWNERPASSWORD:-}
version=$("$bin/$tool" --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
printf 'version\t%s\n' "$version"
if [ "${PGSSLNEGOTIATION:-}" = direct ] && [ "${version%.*}" -lt 17 ]; then
    printf 'run\timpossible\tlibpq before 17 always sends SSLRequest\n'
    exit
fi

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
query() { psql -X -q -A -t -w -v ON_ERROR_STOP=1 -c "$1"; }

pg_basebackup() {
    "$bin/pg_basebackup" -w -D "$files/backup" -X stream -c fast
    "$bin/pg_verifybackup" -q "$files/backup"
}

pg_recvlogical() {
    local received=("$bin/pg_recvlogical" -w -d "$PGDATABASE" -S drivers)
    "${received[@]}" --create-slot -P test_decoding
    query "create table decoded (n int); insert into decoded select generate_series(1, 1000)"
    "${received[@]}" --start --endpos "$(query 'select pg_current_wal_insert_lsn()')" -f "$files/changes"
    "${received[@]}" --drop-slot
    query 'drop table decoded'
    echo "$(grep -c 'table public.decoded: INSERT' "$files/changes") of 1000 rows"
    grep -c 'table public.decoded: INSERT' "$files/changes" | grep -qx 1000
}

pgbench() {
    "$bin/pgbench" -i -q
    for mode in simple prepared; do "$bin/pgbench" -n -M "$mode" -c 4 -t 100 --connect; "$bin/pgbench" -n -M "$mode" -c 8 -t 500; done
    query 'drop table pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers'
}

if (set -e; "$tool") >"$files/output" 2>&1; then
    printf 'run\tok\n'
else
    printf 'run\tfail\t%s\n' "$(tail -n 3 "$files/output" | tr '\n\t' '  ')"
fi
