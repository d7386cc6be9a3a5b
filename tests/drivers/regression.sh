#!/usr/bin/env bash
# Runs PostgreSQL's regression tests through client and server and through the front door, and then pg_dump and pg_restore of
# the database that they leave behind. The tests come from Debian's source package of the installed PostgreSQL.
#
#     tests/drivers/regression.sh
#
# A test counts if it also passes directly on the database: some depend on the system. PATHS is that of run.sh, and the results
# are where that script has them. The exit code is 1 if a test failed.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=${CARGO_TARGET_DIR:-$PWD/target}/drivers
results=$work/results
bin=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 | sort -V | tail -n 1)/bin
major=$(basename "$(dirname "$bin")")
version=$("$bin/postgres" --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
source=$work/regression/postgresql-$version
mkdir -p "$results" "$work/regression"
IFS=' ' read -ra paths <<<"${PATHS:-client door}"

# Downloads and unpacks the source. The lists of source packages stay apart from those of the system.
fetch_source() {
    local options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/regression/sources"
        -o "Dir::State::lists=$work/regression/lists" -o "Dir::Cache=$work/regression" -o APT::Sandbox::User=root)
    mkdir -p "$work/regression/sources" "$work/regression/lists/partial" "$work/regression/archives/partial"
    sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$work/regression/sources/source.sources"
    apt-get "${options[@]}" -qq update
    local package
    package=$(apt-cache "${options[@]}" showsrc "postgresql-$major" | sed -n "s/^Version: \($version-.*\)/\1/p" | head -n 1)
    (cd "$work/regression" && apt-get "${options[@]}" -qq --download-only source "postgresql-$major=$package" &&
        tar -xf "postgresql-${major}_$version.orig.tar.bz2")
}

# Builds the functions in C that the tests load.
build_library() {
    (cd "$source" && ./configure --quiet --without-readline --without-zlib && make -s -C src/backend generated-headers &&
        cc -O1 -fPIC -shared -Isrc/include -o src/test/regress/regress.so src/test/regress/regress.c)
}

# on PATH COMMAND...: runs COMMAND as the superuser of a path; `database` is the database without proxies.
on() (
    # shellcheck disable=SC1090
    . "${directory:?}/paths/${1/database/door}.sh"
    [ "$1" != database ] || PGPORT=$(sed -n "s/.*host: 'localhost:\([0-9]*\)'.*/\1/p" "$directory/door.yaml")
    export PGPORT PGUSER=$OWNER PGPASSWORD=${OWNERPASSWORD:-}
    shift
    exec "$@"
)

# regress PATH: runs the tests and writes the names of those that fail to PATH.failed.
regress() {
    local output=$directory/$1
    mkdir -p "$output/results"
    chown -R postgres "$output"   # the server writes files there
    # shellcheck disable=SC2016   # the inner shell expands them
    on "$1" bash -c 'exec "$0" --host="$PGHOST" --port="$PGPORT" --user="$PGUSER" "$@"' \
        "/usr/lib/postgresql/$major/lib/pgxs/src/test/regress/pg_regress" \
        --inputdir="$tests" --outputdir="$output" --dlpath="$tests" --bindir="$bin" --dbname=regression \
        --schedule="$tests/parallel_schedule" --max-connections=10 >"$output.out" 2>&1 || true
    grep -qE '^ (All|[0-9]+ of) [0-9]+ tests' "$output.out" || fail "the regression tests do not run on the path $1" "$output.out"
    sed -nE 's/^(test|    ) +([a-z0-9_]+) +\.\.\. FAILED.*/\2/p' "$output.out" | sort >"$output.failed"
    echo "$1: $(grep -E 'tests (passed|failed)' "$output.out" | tr -d '=')"
}

# report NAME PATH FAILURE: writes a result; an empty FAILURE is a success.
report() {
    { printf 'version\t%s\n' "$version"; if [ -z "$3" ]; then printf 'run\tok\n'; else printf 'run\tfail\t%s\n' "$3"; fi; } >"$results/$1.$2"
    [ -z "$3" ] || { echo "$1 $2: $3"; status=1; }
}

# dump PATH: dumps the regression database, compares the dump with one without proxies, and restores it into another database.
dump() {
    local failure='' output=$directory/dump errors=$directory/dump.log
    on database "$bin/pg_dump" -w --restrict-key=drivers regression >"$output.database"
    {
        on "$1" "$bin/pg_dump" -w --restrict-key=drivers -f "$output.$1" regression && cmp "$output.database" "$output.$1" &&
            on "$1" "$bin/pg_dump" -w -Fc -f "$output.custom" regression && on "$1" "$bin/dropdb" -w --if-exists restored &&
            on "$1" "$bin/createdb" -w -T template0 restored && on "$1" "$bin/pg_restore" -w -e -d restored "$output.custom"
    } >"$errors" 2>&1 || failure=$(tail -n 2 "$errors" | tr '\n\t' '  ')
    report pg_dump "$1" "$failure"
}

[ -d "$source" ] || fetch_source
tests=$source/src/test/regress
[ -e "$tests/regress.so" ] || build_library

# shellcheck source=build/world.sh
. build/world.sh
build_world
# The server reads the files of the tests as the user postgres.
cp -r "$tests" "$directory/tests"
chmod -R a+rX "$directory"
tests=$directory/tests
start_world
start_server server
start_client
if [[ " ${paths[*]} " == *door* ]]; then start_server door; fi

status=0
regress database
for path in "${paths[@]}"; do
    regress "$path"
    report regression "$path" "$(comm -13 "$directory/database.failed" "$directory/$path.failed" | tr '\n' ' ')"
    dump "$path"
done
exit "$status"
