#!/usr/bin/env bash
# Everything CI runs, in the order in which it fails fastest. Ends by itself.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n==> %s (%s)\n' "$*" "$(date +%T)"; }

step "What is missing"
bash build/prepare.sh shellcheck

step "Formatting"
cargo fmt --check

step "Shell scripts"
shellcheck build/*.sh build/ca/*.sh .ci/run

step "Lints"
cargo clippy --all-targets --locked -- -D warnings

step "Tests"
cargo test --locked

step "Demo"
timeout 600 bash build/demo.sh

step "All is well"
