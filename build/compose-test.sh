#!/usr/bin/env bash
# Starts build/compose.yaml with podman-compose, from the layers that build/image-test.sh has built, and queries its
# database from this machine through the published port.
#
#   build/image-test.sh && build/compose-test.sh
#
# Needs root and: apt-get install podman runc containernetworking-plugins iptables iproute2 postgresql-client python3-venv
# Runs in a separate network namespace, so that bridge, firewall rules and ports disappear with it.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/target/image-test
[ -e "$work/build-options" ] || { echo "compose-test: run build/image-test.sh first" >&2; exit 1; }
if [ "${1:-}" != --inside ]; then
    [ -x "$work/compose/bin/python" ] || python3 -m venv "$work/compose"
    "$work/compose/bin/python" -m pip install --quiet --disable-pip-version-check podman-compose==1.6.0
    mkdir -p /var/lib/cni
    exec unshare --net --mount bash "$0" --inside
fi

ip link set lo up
mount -t tmpfs none /var/lib/cni   # the addresses in use
export CONTAINERS_CONF=$work/containers.conf DISABLE_HC_SYSTEMD=true
printf '#!/bin/sh\nexec podman --root %s --runroot %s --runtime runc --cgroup-manager cgroupfs --network-config-dir %s "$@"\n' \
    "$work/storage" "$work/run" "$work/networks" > "$work/podman"
chmod +x "$work/podman"

passed=0
ok() { passed=$((passed + 1)); echo "ok   $*"; }
fail() { echo "FAIL $*" >&2; compose logs >&2 || true; echo "$passed passed, 1 failed"; exit 1; }
pod() { "$work/podman" "$@"; }
compose() {
    "$work/compose/bin/podman-compose" --in-pod false --podman-path "$work/podman" \
        --podman-build-args="--pull=never $(cat "$work/build-options")" --file build/compose.yaml "$@"
}
name_of() { pod ps --all --filter "label=com.docker.compose.service=$1" --format '{{.Names}}'; }

# Repeats the command until it succeeds, for at most 30 s.
until_it() {
    for _ in $(seq 60); do
        "$@" > "$work/output" 2>&1 && return
        sleep 0.5
    done
    fail "$* failed: $(cat "$work/output")"
}
query() { PGCONNECT_TIMEOUT=5 psql -X -w -A -t -h 127.0.0.1 -p 8001 -U alice -c "$1" app; }
up() { compose up --detach "$@" > "$work/compose-up.log" 2>&1 || fail "compose up failed: $(tail -5 "$work/compose-up.log")"; }
answers() { [ "$(query "$1")" = "$2" ]; }

trap 'compose down --volumes --timeout 10 > "$work/compose-down.log" 2>&1 || true' EXIT
up --build
# `depends_on` waits for this health check; this podman relies on `restart` instead.
until_it pod healthcheck run "$(name_of world)"
ok "compose builds and starts; the world is healthy"
until_it answers "select current_user || ' of ' || current_database()" 'alice of app'
ok "alice logs in through the published port, without a password"
until_it pod healthcheck run "$(name_of server)"
ok "the server is healthy"
for role in server client; do
    [ "$(pod inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.BoundingCaps}} {{.HostConfig.SecurityOpt}}' "$(name_of $role)")" = 'true [] [no-new-privileges]' ] \
        || fail "$role is not restricted"
done
ok "server and client are restricted"
pod restart --time 10 "$(name_of server)" > /dev/null
until_it answers 'select 1' 1
ok "queries work again after a restart of the server"
compose down --timeout 10 > "$work/compose-down.log" 2>&1 || fail "compose down failed"
up --no-build
until_it answers 'select 1' 1
ok "queries work after compose down and up with the same volume"
compose down --volumes --timeout 10 > "$work/compose-down.log" 2>&1 || fail "compose down failed"
[ -z "$(pod ps --all --quiet)$(pod volume ls --quiet)" ] || fail "containers or volumes are left"
ok "compose down leaves no containers and no volumes"
echo "$passed passed, 0 failed"
