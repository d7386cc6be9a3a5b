#!/usr/bin/env bash
# Installs missing packages for the demo and the tests on Debian and Ubuntu; on other systems prints their names.
set -euo pipefail

packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v git >/dev/null || packages+=(git)
command -v openssl >/dev/null || packages+=(openssl)
command -v psql >/dev/null || packages+=(postgresql-client)
command -v setpriv >/dev/null || packages+=(util-linux)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null ||
    [ -n "${RDS_AUTH_PROXY_TEST_PG_BIN:-}" ] || packages+=(postgresql)
# Arguments: COMMAND, or COMMAND=PACKAGE if the package has another name.
for extra in "$@"; do
    command -v "${extra%%=*}" >/dev/null || packages+=("${extra##*=}")
done
if [[ " $* " == *" python3 "* ]] && ! python3 -c 'import ensurepip' 2>/dev/null; then
    packages+=(python3-venv)   # a separate package on Debian
fi

if [ "${#packages[@]}" -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "Please install: ${packages[*]}" >&2
        exit 1
    fi
    sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    echo "Installing ${packages[*]}"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null; then
    echo "Please install Rust first: the version is in Cargo.toml (rust-version)" >&2
    exit 1
fi
