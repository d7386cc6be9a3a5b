#!/usr/bin/env bash
# Runs every fuzz target for a bounded time, beginning with its corpus. Ends by itself; fails on the first finding.
#
#     build/fuzz.sh              10 seconds for each target
#     build/fuzz.sh 300          300 seconds
#     build/fuzz.sh 60 config    one target; several can be named
#     build/fuzz.sh --smoke 10   without the memory checker and hardly optimised: built in a fraction of the time, for CI
#
# FUZZ_KEEP=DIRECTORY keeps the inputs that reached new code, for a later run to begin with. Nothing else is written
# but tests/fuzz/artifacts (what was found), tests/fuzz/Cargo.lock and the build, none of which git sees.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.2   # of cargo-fuzz
memory=2048      # MB; the memory checker takes several times what the program does
slow=20          # seconds that one input may take
smoke=
if [ "${1:-}" = --smoke ]; then
    smoke=yes
    slow=120     # nothing is optimised, and the machine is busy
    shift
fi
seconds=${1:-10}
case $seconds in
    '' | *[!0-9]* | 0*) echo "usage: build/fuzz.sh [--smoke] [SECONDS [TARGET…]]" >&2; exit 2 ;;
esac
shift || true

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "skipped: no nightly toolchain (rustup toolchain install nightly --profile minimal)"
    exit 0
fi

# What cargo-fuzz 0.13 does with `--sanitizer none --dev`, without having to be built itself. The flags do not reach build
# scripts, because of --target.
build_smoke() {
    RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing \
        -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Cllvm-args=-sanitizer-coverage-stack-depth \
        -Cdebug-assertions" cargo +nightly build --manifest-path "$fuzz/Cargo.toml" --target "$host"
}

build() {
    if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
        cargo +nightly install cargo-fuzz --locked --version "$version"
    fi
    cargo +nightly fuzz build --fuzz-dir "$fuzz"
}

root=$PWD
fuzz=$root/tests/fuzz
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
cp Cargo.lock "$fuzz/Cargo.lock"   # what is fuzzed is what is shipped
if [ "$smoke" ]; then build_smoke; else build; fi
# Started from where they were built: cargo may find a reason to build again each time it is asked.
programs=$(cargo +nightly metadata --manifest-path "$fuzz/Cargo.toml" --format-version 1 --no-deps |
    sed -E 's/.*"target_directory":"([^"]*)".*/\1/')/$host/$([ "$smoke" ] && echo debug || echo release)
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_odr_violation=0}   # as cargo-fuzz does

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(sed -n '/^\[\[bin\]\]/,/^name/s/^name = "\(.*\)"/\1/p' "$fuzz/Cargo.toml")
fi

empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
kept=${FUZZ_KEEP:-$empty/kept}
mkdir -p "$empty/place" "$kept"
kept=$(cd "$kept" && pwd)
cd "$empty/place"   # relative paths in configurations lead nowhere
for target in "${targets[@]}"; do
    printf '\n==> %s for %s s (%s)\n' "$target" "$seconds" "$(date +%T)"
    mkdir -p "$kept/$target"
    log=$empty/log
    artifacts=$fuzz/artifacts/$target
    mkdir -p "$artifacts"
    if ! "$programs/$target" -artifact_prefix="$artifacts/" -max_total_time="$seconds" -rss_limit_mb="$memory" \
        -timeout="$slow" -print_final_stats=1 "$kept/$target" "$fuzz/corpus/$target" >"$log" 2>&1; then
        tail -n 200 "$log"
        echo "$target: found something; the input is below tests/fuzz/artifacts/$target" >&2
        exit 1
    fi
    grep -E '^(Done|stat::(average_exec_per_sec|new_units_added|peak_rss_mb))' "$log"
done
