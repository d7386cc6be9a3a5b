# Sourced by run.sh: how each driver and tool is installed, and the command that runs its program. $here is this directory, $work one
# for what is installed.
# shellcheck shell=bash disable=SC2034,SC2154

DRIVERS="psql psycopg asyncpg pg8000 pg postgres.js tokio-postgres sqlx pgjdbc lib-pq pgx ruby-pg pdo dbd-pg psqlodbc npgsql"
TOOLS="pg_basebackup pg_recvlogical pgbench sqlalchemy django activerecord prisma"

# The versions of the packages of PyPI and npm. Those of crates.io are in rust/Cargo.toml, Debian's are those of the system.
PYTHON_DRIVERS=('psycopg[binary,pool]==3.3.9' asyncpg==0.32.0 pg8000==1.31.6 \
    sqlalchemy==2.1.9 alembic==1.20.1 django==5.2.19)
NODE_DRIVERS=(pg@8.23.1 pg-copy-streams@7.0.0 postgres@3.4.9)

install_driver() {
    case $1 in
        psql | pg_basebackup | pg_recvlogical | pgbench | npgsql | prisma) ;;
        psycopg | asyncpg | pg8000 | sqlalchemy | django) install_python ;;
        pg | postgres.js) install_node ;;
        tokio-postgres | sqlx)
            cp Cargo.lock "$here/rust/Cargo.lock"
            cargo build --quiet --manifest-path "$here/rust/Cargo.toml" --target-dir "$work/rust"
            ;;
        pgjdbc)
            bash build/prepare.sh javac=default-jdk-headless
            debian libpostgresql-jdbc-java
            javac -cp "$jdbc" -d "$work" "$here/WithPgjdbc.java"
            ;;
        lib-pq)
            bash build/prepare.sh go=golang-go
            debian golang-github-lib-pq-dev
            build_go with_lib_pq
            ;;
        pgx)
            bash build/prepare.sh go=golang-go
            debian golang-github-jackc-pgx-v4-dev
            build_go with_pgx
            ;;
        ruby-pg) debian ruby-pg ;;
        activerecord) debian ruby-activerecord ruby-pg ;;
        pdo) debian php-cli php-pgsql ;;
        dbd-pg) debian libdbd-pg-perl ;;
        psqlodbc) debian odbc-postgresql python3-pyodbc ;;
        *) fail "there is no driver $1" /dev/null ;;
    esac
}

jdbc=/usr/share/java/postgresql.jar

# driver_command NAME: sets the array `command`.
driver_command() {
    case $1 in
        psql) command=(bash "$here/with_psql.sh") ;;
        psycopg | asyncpg | pg8000 | sqlalchemy | django) command=("$work/python/bin/python" -B "$here/with_$1.py") ;;
        pg) command=(env NODE_PATH="$work/node/node_modules" node "$here/with_pg.js") ;;
        postgres.js) command=(env NODE_PATH="$work/node/node_modules" node "$here/with_postgres.js") ;;
        tokio-postgres) command=("$work/rust/debug/with_tokio_postgres") ;;
        sqlx) command=("$work/rust/debug/with_sqlx") ;;
        pgjdbc) command=(java -Xmx512m -cp "$jdbc:$work" WithPgjdbc) ;;
        lib-pq) command=("$work/with_lib_pq" "$(version_of golang-github-lib-pq-dev)") ;;
        pgx) command=("$work/with_pgx" "$(version_of golang-github-jackc-pgx-v4-dev)") ;;
        ruby-pg) command=(ruby "$here/with_ruby_pg.rb") ;;
        activerecord) command=(ruby "$here/with_activerecord.rb") ;;
        pg_basebackup | pg_recvlogical | pgbench) command=(bash "$here/tool.sh" "$1") ;;
        pdo) command=(php "$here/with_pdo.php") ;;
        dbd-pg) command=(perl "$here/with_dbd_pg.pl") ;;
        psqlodbc) command=(/usr/bin/python3 -B "$here/with_psqlodbc.py") ;;
        prisma) command=(printf 'run\timpossible\tnot tested: Prisma downloads the engine of its migrations outside npm\n') ;;
        npgsql) command=(printf 'login\timpossible\tnot tested: Debian has no .NET SDK\n') ;;
    esac
}

install_python() {
    bash build/prepare.sh python3
    once python python3 -m venv "$work/python"
    once python-drivers "$work/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON_DRIVERS[@]}"
}

install_node() {
    bash build/prepare.sh node=nodejs npm
    mkdir -p "$work/node"
    once node-drivers npm install --prefix "$work/node" --no-audit --no-fund --silent "${NODE_DRIVERS[@]}"
}

# once NAME COMMAND...: runs COMMAND unless the same command succeeded before.
once() {
    local marker=$work/$1.installed
    shift
    [ "$(cat "$marker" 2>/dev/null)" != "$*" ] || return 0
    "$@"
    echo "$*" >"$marker"
}

# debian PACKAGE...: installs the packages unless all of them are there.
debian() {
    dpkg-query -W -f='${Status}\n' "$@" 2>/dev/null | awk '/ok installed/ {n++} END {exit n != '$#'}' && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# version_of PACKAGE: the upstream version of a Debian package.
version_of() { dpkg-query -W -f='${Version}' "$1" | sed -E 's/^[0-9]+://; s/-[^-]*$//'; }

# Debian's Go packages are a GOPATH.
build_go() { env GO111MODULE=off GOPATH=/usr/share/gocode go build -o "$work/$1" "$here/checks.go" "$here/$1.go"; }
