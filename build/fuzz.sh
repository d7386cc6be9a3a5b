#!/usr/bin/env bash
# Runs every fuzz target on its corpus and then for a limited time. Fails on the first finding.
#
#     build/fuzz.sh              10 seconds for each target
#     build/fuzz.sh 300          300 seconds
#     build/fuzz.sh 60 config    only this target; several names are allowed
#     build/fuzz.sh --smoke 10   without AddressSanitizer and optimisation, which builds much faster, for CI
#
# FUZZ_KEEP=DIRECTORY keeps the inputs that reached new code for later runs. The script also writes
# tests/fuzz/artifacts (the findings), tests/fuzz/Cargo.lock and the build, all ignored by git.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.2   # of cargo-fuzz
memory=2048      # MB; AddressSanitizer needs several times the memory of the program
slow=20          # seconds for one input
smoke=
if [ "${1:-}" = --smoke ]; then
    smoke=yes
    slow=120     # no optimisation, and a busy machine
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

# Does the same as cargo-fuzz 0.13 with `--sanitizer none --dev`, without the time to build cargo-fuzz. --target keeps the
# flags away from build scripts.
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
cp Cargo.lock "$fuzz/Cargo.lock"   # fuzz the versions of the release
if [ "$smoke" ]; then build_smoke; else build; fi
# Starts the built programs directly, because cargo may build them again each time.
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
mkdir -p "$empty/work" "$kept"
kept=$(cd "$kept" && pwd)
cd "$empty/work"   # relative paths in configurations find no files
for target in "${targets[@]}"; do
    printf '\n==> %s for %s s (%s)\n' "$target" "$seconds" "$(date +%T)"
    mkdir -p "$kept/$target"
    log=$empty/log
    artifacts=$fuzz/artifacts/$target
    mkdir -p "$artifacts"
    if ! "$programs/$target" -artifact_prefix="$artifacts/" -max_total_time="$seconds" -rss_limit_mb="$memory" \
        -timeout="$slow" -print_final_stats=1 "$kept/$target" "$fuzz/corpus/$target" >"$log" 2>&1; then
        tail -n 200 "$log"
        echo "$target: failed; the input is in tests/fuzz/artifacts/$target" >&2
        exit 1
    fi
    grep -E '^(Done|stat::(average_exec_per_sec|new_units_added|peak_rss_mb))' "$log"
done
