#!/usr/bin/env bash
# Brings build/compose.yaml up and asks its database from this machine, through the published port, as its user would:
# with podman-compose, from the layers that build/image-test.sh has left.
#
#   build/image-test.sh && build/compose-test.sh
#
# Needs root and: apt-get install podman runc containernetworking-plugins iptables iproute2 postgresql-client python3-venv
# It runs in a network namespace of its own, which stands for the machine: bridge, firewall rules and ports end with it.
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
mount -t tmpfs none /var/lib/cni   # the addresses that are taken
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

# Succeeds when the command does, tried for 30 s.
until_it() {
    for _ in $(seq 60); do
        "$@" > "$work/said" 2>&1 && return
        sleep 0.5
    done
    fail "$* says: $(cat "$work/said")"
}
query() { PGCONNECT_TIMEOUT=5 psql -X -w -A -t -h 127.0.0.1 -p 8001 -U alice -c "$1" app; }
up() { compose up --detach "$@" > "$work/compose-up.log" 2>&1 || fail "it does not come up: $(tail -5 "$work/compose-up.log")"; }
answers() { [ "$(query "$1")" = "$2" ]; }

trap 'compose down --volumes --timeout 10 > "$work/compose-down.log" 2>&1 || true' EXIT
up --build
# What `depends_on` waits for; this podman leaves the waiting to `restart`.
until_it pod healthcheck run "$(name_of world)"
ok "built and up; the world is healthy"
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
ok "it answers again after the server was restarted"
compose down --timeout 10 > "$work/compose-down.log" 2>&1 || fail "it does not go down"
up --no-build
until_it answers 'select 1' 1
ok "and after all of it went down and came up, with the volume of the first time"
compose down --volumes --timeout 10 > "$work/compose-down.log" 2>&1 || fail "it does not go down"
[ -z "$(pod ps --all --quiet)$(pod volume ls --quiet)" ] || fail "it leaves containers or volumes"
ok "down, and nothing is left"
echo "$passed passed, 0 failed"
