#!/usr/bin/env bash
# Runs the two commands of the README on a machine that has never built this: a minimal Debian with an empty HOME and
# CARGO_HOME.
#
#   build/fresh-test.sh          the demo, with its login, and the tests up to the end of the step "Dependencies"
#   build/fresh-test.sh --all    the demo and all tests
#
# Needs Debian or Ubuntu, root, and: apt-get install mmdebstrap. The new system shares the Rust toolchain, the package
# sources, the CA certificates and the network of this machine, and nothing else. docs/development.md has the last result.
set -euo pipefail
cd "$(dirname "$0")/.."

until=(--until Dependencies)
case ${1:-} in
    '') ;;
    --all) until=() ;;
    *) sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 2 ;;
esac
command -v mmdebstrap >/dev/null || { echo "fresh-test: mmdebstrap is missing: apt-get install mmdebstrap" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "fresh-test: run it as root" >&2; exit 1; }

# The mounts of this script end with it.
if [ -z "${FRESH_TEST_UNSHARED:-}" ]; then
    FRESH_TEST_UNSHARED=yes exec unshare --mount --propagation private -- bash build/fresh-test.sh "$@"
fi

toolchain=$(rustc --print sysroot)
root=$(mktemp -d)
trap 'umount --recursive --lazy "$root" 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT

step() { printf '\n==> %s (%s)\n' "$*" "$(date +%T)"; }

step "Debian"
options=() source=
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
for shared in "$toolchain" /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates /dev /proc /sys; do
    [ -d "$shared" ] || continue
    to=$root$shared
    [ "$shared" != "$toolchain" ] || to=$root/opt/rust
    mkdir -p "$to"
    mount --rbind "$shared" "$to"
done
cp /etc/resolv.conf /etc/hosts "$root/etc/"
git clone --quiet --no-local . "$root/src"

# inside COMMAND…: runs it in the new system, in the clone of the repository.
inside() {
    # shellcheck disable=SC2016 # the shell in the new system expands it
    env --ignore-environment HOME=/root TERM=dumb LANG=C.UTF-8 \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$root" bash -c 'cd /src && exec "$@"' bash "$@"
}

step "The first command of the README"
inside build/demo.sh
step "The second command of the README"
inside build/test.sh "${until[@]}"
step "A fresh machine runs both"
