#!/usr/bin/env bash
# Runs the two commands of the README on a machine that has never built this: a minimal Debian with an empty HOME and
# CARGO_HOME.
#
#   build/fresh-test.sh          the demo, with its login, and the tests up to the end of the step "Dependencies"
#   build/fresh-test.sh --all    the demo and all tests
#
# Needs Debian or Ubuntu, root, a Rust toolchain of rustup, and: apt-get install mmdebstrap. The new system sees the
# toolchain read-only and gets copies of the package sources and CA certificates. docs/development.md has the last result.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n==> %s (%s)\n' "$*" "$(date +%T)"; }

usage() {
    sed -n '2,/^set/{/^#/p}' "$0" >&2
    exit 2
}

# Creates the new system and removes it again. Everything that is mounted in it exists in the mount namespace of
# run_inside only, so the removal here cannot reach files of this machine.
main() {
    local root
    command -v mmdebstrap >/dev/null || { echo "fresh-test: mmdebstrap is missing: apt-get install mmdebstrap" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "fresh-test: run it as root" >&2; exit 1; }
    root=$(mktemp -d)
    # shellcheck disable=SC2064 # the value of now
    trap "rm -rf --one-file-system '$root'" EXIT
    step "Debian"
    bootstrap "$root"
    unshare --mount --propagation private --kill-child -- bash build/fresh-test.sh --inside "$root" "$@"
    step "A fresh machine runs both"
}

# bootstrap ROOT: a Debian from the package sources of this machine, with a clone of this repository in /src.
bootstrap() {
    local root=$1 options=() source release file
    for file in /etc/apt/apt.conf.d/*; do
        ! grep -q 'Acquire::' "$file" || options+=(--aptopt="$file")
    done
    for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ ! -s "$source" ] || break
    done
    # shellcheck disable=SC1091 # every Debian and Ubuntu has it
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates "${options[@]}" "$release" "$root" "$source"
    for file in /etc/apt/apt.conf.d/*; do
        ! grep -q 'Acquire::' "$file" || cp "$file" "$root/etc/apt/apt.conf.d/"
    done
    cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
    cp --recursive /usr/local/share/ca-certificates "$root/usr/local/share/"
    chroot "$root" update-ca-certificates >/dev/null
    git clone --quiet --no-local . "$root/src"
}

# run_inside ROOT [--until STEP]: the two commands, in a mount namespace of this process.
run_inside() {
    local root=$1 directory
    shift
    mkdir -p "$root/opt/rust"
    mount --bind "$(rustc --print sysroot)" "$root/opt/rust"
    mount -o remount,bind,ro "$root/opt/rust"
    for directory in /dev /proc /sys; do
        mount --rbind "$directory" "$root$directory"
    done
    step "The first command of the README"
    command_of_readme "$root" build/demo.sh
    step "The second command of the README"
    command_of_readme "$root" build/test.sh "$@"
}

# command_of_readme ROOT COMMAND…: runs it in the new system, in the clone of the repository.
command_of_readme() {
    local root=$1
    shift
    # shellcheck disable=SC2016 # the shell in the new system expands it
    env --ignore-environment HOME=/root TERM=dumb LANG=C.UTF-8 \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$root" bash -c 'cd /src && exec "$@"' bash "$@"
}

case ${1:-} in
    '') main --until Dependencies ;;
    --all) main ;;
    --inside) shift && run_inside "$@" ;;
    *) usage ;;
esac
