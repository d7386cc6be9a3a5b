#!/usr/bin/env bash
# Builds the image without Docker and without a registry, and runs it like a restricted pod.
#
#   build/image-test.sh                               compiles in the image, as for a release: at least 15 minutes
#   build/image-test.sh --quick                       the same without optimisation: 5 minutes
#   build/image-test.sh --binary FILE --world FILE    uses these programs (from `cargo build` and `cargo build --example
#                                                     world`): 1 minute; one of the two options is enough
#   build/image-test.sh --arch arm64                  the image for arm64, cross-compiled by the Dockerfile and emulated
#                                                     by the kernel; also with --quick, or with FILE for arm64
#
# Needs Debian or Ubuntu on amd64, root, and: apt-get install buildah podman runc mmdebstrap
# For arm64 also qemu-user-static, registered with the kernel: apt-get install binfmt-support qemu-user-static
# The script builds replacements for the upstream base images, which need a container registry. It keeps images and
# compiled crates in target/image-test and does not use the container storage of the machine. build/compose-test.sh uses
# these images.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/target/image-test
native=amd64 arch=amd64 binary='' world='' quick=false
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=${2:?FILE}; shift 2 ;;
        --world) world=${2:?FILE}; shift 2 ;;
        --quick) quick=true; shift ;;
        --arch) arch=${2:?amd64 or arm64}; shift 2 ;;
        *) sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 2 ;;
    esac
done
for tool in buildah podman runc mmdebstrap; do
    command -v "$tool" > /dev/null || { echo "image-test: $tool is missing: apt-get install buildah podman runc mmdebstrap" >&2; exit 1; }
done
for file in "$binary" "$world"; do
    [ -z "$file" ] || [ -x "$file" ] || { echo "image-test: $file is not a program: build it first, or omit the option" >&2; exit 2; }
done
case $arch in
    amd64) triplet=x86_64-linux-gnu loader=lib64/ld-linux-x86-64.so.2 machine='3e 00' ;;
    arm64) triplet=aarch64-linux-gnu loader=lib/ld-linux-aarch64.so.1 machine='b7 00' ;;
    *) echo "image-test: no image for $arch, only for amd64 and arm64" >&2; exit 2 ;;
esac
[ "$arch" = "$native" ] || grep -qsx enabled "/proc/sys/fs/binfmt_misc/qemu-${triplet%%-*}" \
    || { echo "image-test: this kernel cannot run programs for $arch: apt-get install binfmt-support qemu-user-static" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "image-test: run it as root" >&2; exit 1; }

passed=0 revision=0123456789abcdef0123456789abcdef01234567
storage=(--root "$work/storage" --runroot "$work/run")
mkdir -p "$work"
# An unprivileged outer container cannot grant the default limits.
printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n' > "$work/containers.conf"
# This script runs the health checks itself, without systemd.
export CONTAINERS_CONF=$work/containers.conf DISABLE_HC_SYSTEMD=true
ok() { passed=$((passed + 1)); echo "ok   $*"; }
fail() { echo "FAIL $*" >&2; echo "$passed passed, 1 failed"; exit 1; }
builder() { buildah "${storage[@]}" "$@"; }
pod() { podman "${storage[@]}" --runtime runc --cgroup-manager cgroupfs "$@"; }

# --- base images -----------------------------------------------------------------------------------------------------

debian=localhost/image-test-debian rust=localhost/image-test-rust-$arch runtime=localhost/image-test-runtime-$arch
image=localhost/image-test-server
[ "$arch" = "$native" ] || image=$image-$arch

image_exists() { builder inspect --type image "$1" > /dev/null 2>&1; }

bootstrap() { # bootstrap FILE OPTIONS…: a Debian, from the package sources of this machine
    local to=$1 sources=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources) source options=() file
    shift
    for file in /etc/apt/apt.conf.d/*; do
        ! grep -q 'Acquire::' "$file" || options+=(--aptopt="$file")
    done
    for source in "${sources[@]}"; do [ ! -s "$source" ] || break; done
    mmdebstrap --quiet --mode=root "${options[@]}" "$@" bookworm "$to" "$source"
}

make_debian() {
    ! image_exists "$debian" || return 0
    bootstrap "$work/debian.tar" --variant=apt --include=gcc,libc6-dev,ca-certificates,postgresql-15,postgresql-client-15
    pod import --quiet "$work/debian.tar" "$debian" > /dev/null
}

# Replaces the upstream Rust image. For the native platform: the same Debian, with PATH to the mounted toolchain.
make_rust() { # make_rust ARCH
    local container
    ! image_exists "${rust%-*}-$1" || return 0
    container=$(builder from --pull-never "$debian")
    if [ "$1" = "$native" ]; then
        builder config --env PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    else
        add_cross_rust "$container" "$1"
    fi
    builder commit --quiet --rm "$container" "${rust%-*}-$1" > /dev/null
}

# rustup cannot download a standard library without the network. This uses the Rust of Debian, which has the libraries as
# packages, and a fake `rustup target add` that checks for the library. The Dockerfile installs the linker.
add_cross_rust() { # add_cross_rust CONTAINER ARCH
    # shellcheck disable=SC2016 # the shell in the container expands it
    builder run --isolation chroot "$1" -- sh -euc '
        dpkg --add-architecture "$1"
        apt-get update
        apt-get install -y --no-install-recommends rustc-web cargo-web "libstd-rust-web-dev:$1"
        printf "#!/bin/sh\n[ \"\$1 \$2\" = \"target add\" ] && [ -d \"\$(rustc --print target-libdir --target \"\$3\")\" ]\n" > /usr/local/bin/rustup
        chmod +x /usr/local/bin/rustup' sh "$2" > "$work/rust-$2.log" 2>&1 || { tail -5 "$work/rust-$2.log" >&2; fail "no Rust for $2"; }
}

# The content of the distroless image: C library, CA certificates, two users; no shell, no programs.
make_runtime() {
    ! image_exists "$runtime" || return 0
    local from=$work/debian to=$work/runtime libraries file
    rm -rf "$from" "$to"
    mkdir -p "$from" "$to"/{etc/ssl/certs,"${loader%/*}","lib/$triplet",home/nonroot,tmp}
    tar -xf "$work/debian.tar" -C "$from" ./etc/ssl/certs
    bootstrap "$work/libraries.tar" --variant=extract --architectures="$arch" --include=libc6,libgcc-s1
    tar -xf "$work/libraries.tar" -C "$from" ./lib "./usr/lib/$triplet"
    libraries=$from/lib/$triplet
    for file in libc libm libgcc_s libdl libpthread librt libresolv libnss_dns libnss_files; do
        cp -L "$libraries/$file".so.[0-9] "$to/lib/$triplet/"
    done
    cp -L "$libraries/${loader##*/}" "$to/$loader"
    cp -L "$from/etc/ssl/certs/ca-certificates.crt" "$to/etc/ssl/certs/"
    printf 'root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n' > "$to/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' > "$to/etc/group"
    echo 'hosts: files dns' > "$to/etc/nsswitch.conf"
    tar -C "$to" -cf "$work/runtime.tar" .
    pod import --quiet --arch "$arch" "$work/runtime.tar" "$runtime" > /dev/null
    rm -rf "$from" "$to"
}

# --- the build -------------------------------------------------------------------------------------------------------

build() { # build TARGET CONTEXT TAG ARCH
    local target=$1 options=(--isolation chroot --format docker --platform "linux/$4")
    options+=(--build-arg RUST_IMAGE="$(pinned "${rust%-*}-$4")" --build-arg RUNTIME_IMAGE="$(pinned "$runtime")")
    options+=(--build-arg POSTGRES_IMAGE="$(pinned "$debian")")
    options+=(--build-arg VERSION=0.0.0-test --build-arg REVISION="$revision" --build-arg CREATED=2001-02-03T04:05:06Z)
    if [ "$4" = "$arch" ]; then use_program "$binary" build rds-auth-proxy && link_program; fi
    use_program "$world" world-build world
    if [ -z "$binary" ] || [ -z "$world" ]; then prepare_cargo "$4"; fi
    [ "$arch" != "$native" ] || echo "${options[*]}" > "$work/build-options"   # for build/compose-test.sh
    builder bud --pull-never --layers "${options[@]}" --target "$target" --tag "$3" "$2" \
        > "$work/build-$target.log" 2>&1 || { tail -30 "$work/build-$target.log" >&2; fail "the stage $target does not build"; }
}

# NAME:TAG@DIGEST, as in the Dockerfile.
pinned() { echo "$1:latest@$(pod image inspect --format '{{.Digest}}' "$1")"; }

# use_program FILE STAGE NAME: uses FILE, if set, instead of the program that the stage compiles.
use_program() {
    [ -n "$1" ] || return 0
    mkdir -p "$work/$2/out"
    install "$1" "$work/$2/out/$3"
    options+=(--build-context "$2=$work/$2")
}

# The link that the stage `build` makes beside the program.
link_program() {
    [ -n "$binary" ] || return 0
    mkdir -p "$work/build/out/bin"
    ln -sf /usr/local/bin/rds-auth-proxy "$work/build/out/bin/rds-auth-proxy"
}

# Mounts the toolchain and the downloaded crates of this machine, so that the build needs no network.
prepare_cargo() { # prepare_cargo ARCH
    local cargo=${CARGO_HOME:-$HOME/.cargo} config=$work/cargo-config.toml
    cargo fetch --quiet --locked
    : > "$config"
    [ ! -e "$cargo/config.toml" ] || cat "$cargo/config.toml" > "$config"
    ! "$quick" || printf '[profile.release]\nopt-level = 0\nlto = "off"\ncodegen-units = 16\n' >> "$config"
    [ "$1" != "$native" ] || options+=(--volume "$(rustc --print sysroot):/usr/local/rust:ro")
    options+=(--volume "$cargo/registry:/root/.cargo/registry")
    options+=(--volume "$config:/root/.cargo/config.toml:ro" --build-arg CARGO_NET_OFFLINE=true)
}

# The build context contains only the files that the stages copy, whatever else is in the directory.
check_context() {
    local copy=$work/context mount size
    rm -rf "$copy"
    mkdir "$copy"
    cp -a .dockerignore Dockerfile Cargo.toml Cargo.lock src tests build docs "$copy/"
    rm -rf "$copy"/tests/fuzz/{target,artifacts}
    (cd "$copy" && find Cargo.toml Cargo.lock src tests build/build.rs build/ca build/compose-world.sh -type f | sort) > "$work/context.expected"
    (cd "$copy" && mkdir -p .git .aws target tests/fuzz/{target,artifacts} src/proptest-regressions \
        && touch .env .git/config .aws/credentials target/large tests/fuzz/{target,artifacts}/large \
            src/.env.local src/server.key tests/ca.pem build/ca/ca.key src/proptest-regressions/seed)
    printf 'FROM scratch\nCOPY . /\n' > "$work/context.Dockerfile"
    builder bud --quiet --isolation chroot --ignorefile "$copy/.dockerignore" --file "$work/context.Dockerfile" \
        --tag localhost/image-test-context "$copy" > "$work/build-context.log" 2>&1 || fail "the context cannot be copied"
    mount=$(pod image mount localhost/image-test-context)
    (cd "$mount" && find . -type f -printf '%P\n' | sort) > "$work/context.found"
    size=$(du -s --apparent-size --block-size=1K "$mount" | cut -f1)
    pod image unmount localhost/image-test-context > /dev/null
    pod image rm localhost/image-test-context > /dev/null
    diff "$work/context.expected" "$work/context.found" >&2 || fail "the context has other files than expected"
    [ "$size" -lt 5000 ] || fail "the context has $size KB"
    ok "the context: $(wc -l < "$work/context.found") files, $size KB, no secrets, nothing large"
}

# After a change in src only our crate is compiled, for the program and for the world.
check_layers() { # check_layers STAGE ARCH
    local stage=$1 log=$work/build-$1.log compiled
    echo "// Changed at $(date +%s%N)." >> "$work/context/src/main.rs"
    build "$stage" "$work/context" "localhost/image-test-$stage" "$2"
    [ "$(grep -A1 'cargo build .*cargo clean' "$log" | grep -c 'Using cache')" = "$(grep -c 'cargo build .*cargo clean' "$log")" ] \
        || fail "a layer with dependencies was rebuilt, see $log"
    compiled=$(sed -n 's/^ *Compiling \([^ ]*\) .*/\1/p' "$log" | sort -u)
    [ "$compiled" = rds-auth-proxy ] || fail "crates compiled for $stage after a change in src: $compiled"
    ok "stage $stage: a change in src compiles only our crate"
}

# --- running ---------------------------------------------------------------------------------------------------------

names=() volume=image-test-world-$$

clean_up() {
    [ "${#names[@]}" = 0 ] || pod rm --force --time 0 "${names[@]}" > /dev/null 2>&1 || true
    pod volume rm --force "$volume" > /dev/null 2>&1 || true
}
trap clean_up EXIT

# start NAME ROLE OPTIONS… -- ARGUMENTS…: runs the image like a restricted pod, in the network of the world, with the AWS
# identity of ROLE (server or client).
start() {
    local name=$1 role=$2 options=()
    shift 2
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    names=("$name" "${names[@]}")
    pod run --detach --name "$name" --network "container:$volume" --pull never --arch "$arch" \
        --read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges \
        --volume "$volume:/world:ro" --env AWS_EC2_METADATA_DISABLED=true \
        --env "AWS_SHARED_CREDENTIALS_FILE=/world/compose/$role.credentials" --env "AWS_CONFIG_FILE=/world/compose/$role.aws" "${options[@]}" \
        "$image" "$@" > /dev/null
}

wait_for_log() { # wait_for_log NAME PATTERN
    for _ in $(seq 150); do
        pod logs "$1" 2>&1 | grep -Eq "$2" && return
        sleep 0.2
    done
    pod logs "$1" >&2 || true
    fail "the log of $1 does not contain $2"
}

query() { # query SQL: runs psql in the network of the world, without a password
    pod exec "$volume" psql -X -w -A -t -h 127.0.0.1 -p 8001 -U alice -d app -c "$1" 2>&1
}

proc_of() { echo "/proc/$(pod inspect --format '{{.State.Pid}}' "$1")"; }
status_of() { grep -E "^$2:" "$(proc_of "$1")/status" | tr -s '\t ' ' '; }

check_image() {
    local facts mount
    facts=$(pod image inspect --format '{{.Config.User}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.WorkingDir}}' "$image")
    [ "$facts" = '65532:65532 [/usr/local/bin/rds-auth-proxy] [server] /etc/rds-auth-proxy' ] || fail "unexpected user, entry point or command: $facts"
    ok "the image has its user, entry point and command"
    [ "$(pod image inspect --format '{{.Os}}/{{.Architecture}}' "$image")" = "linux/$arch" ] || fail "the image is for another platform"
    for label in title=rds-auth-proxy licenses=MIT version=0.0.0-test "revision=$revision" created=2001-02-03T04:05:06Z "base.name=$(pinned "$runtime")"; do
        [ "$(pod image inspect --format "{{index .Labels \"org.opencontainers.image.${label%%=*}\"}}" "$image")" = "${label#*=}" ] \
            || fail "the label $label is missing or different"
    done
    ok "the image has its labels"
    facts=$(pod image inspect --format '{{with .HealthCheck}}{{.Test}}{{end}}' "$image")
    [ "$facts" = '[CMD /usr/local/bin/rds-auth-proxy healthcheck]' ] || fail "unexpected health check: $facts"
    ok "the health check needs no shell"
    mount=$(pod image mount "$image")
    cmp -s "$mount/etc/rds-auth-proxy/rds-bundle.pem" build/ca/rds-bundle.pem || fail "the RDS bundle in the image differs from build/ca/rds-bundle.pem"
    [ "$(find "$mount" -xdev -type f -perm /111 ! -name '*.so*' -printf '%P ')" = 'usr/local/bin/rds-auth-proxy ' ] \
        || fail "the image has other programs: $(find "$mount" -xdev -type f -perm /111 ! -name '*.so*')"
    [ "$(readlink "$mount/bin/rds-auth-proxy")" = /usr/local/bin/rds-auth-proxy ] || fail "/bin/rds-auth-proxy is no link to the program"
    # The architecture of the program (elf(5), e_machine).
    [ "$(od -An -tx1 -j18 -N2 "$mount/usr/local/bin/rds-auth-proxy")" = " $machine" ] || fail "the program is not for $arch"
    [ -z "$(find "$mount/etc/rds-auth-proxy" "$mount/usr/local" -perm /022 ! -type l)" ] || fail "other users may write to files of the image"
    pod image unmount "$image" > /dev/null
    ok "the image has one program, for $arch, and the bundle; no file is writable"
    # As the chart of the Go program starts it.
    pod run --rm --pull never --arch "$arch" --network none --read-only --entrypoint /bin/rds-auth-proxy "$image" version > /dev/null \
        || fail "/bin/rds-auth-proxy does not start"
    ok "the path of the Go program's image starts the program"
    if [ -z "$binary" ]; then
        pod run --rm --pull never --arch "$arch" --network none "$image" version | tr '\n' ' ' | grep -q "commit: ${revision:0:12} date: 2001-02-03" \
            || fail "the program does not print its commit"
        ok "the program prints its commit"
    fi
}

check_login() { # check_login USER: server and client with that uid, a login, a shutdown
    local user=$1 server=image-test-server-$$-${1%%:*} client=image-test-client-$$-${1%%:*} answer begun
    start "$server" server --user "$user" --env RDS_AUTH_PROXY_CONFIGFILE=/world/compose/server.yaml --
    start "$client" client --user "$user" -- client --configfile /world/compose/client.yaml --target db-1
    wait_for_log "$server" listening
    wait_for_log "$client" listening
    [ "$(status_of "$server" Uid)" = "Uid: ${user%%:*} ${user%%:*} ${user%%:*} ${user%%:*}" ] || fail "$(status_of "$server" Uid)"
    [ "$(status_of "$server" CapEff)$(status_of "$server" CapBnd)" = 'CapEff: 0000000000000000CapBnd: 0000000000000000' ] \
        || fail "the server has capabilities: $(status_of "$server" CapBnd)"
    [ "$(status_of "$server" NoNewPrivs)" = 'NoNewPrivs: 1' ] || fail "the server may gain privileges"
    grep -Eq '^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ / ro,' "$(proc_of "$server")/mountinfo" || fail "the root file system of the server is writable"
    ok "uid ${user%%:*}: the server runs without capabilities on a read-only root"
    answer=$(query "select current_user || ' of ' || current_database()") || fail "login: $answer"
    [ "$answer" = 'alice of app' ] || fail "login: $answer"
    ok "uid ${user%%:*}: alice logs in to PostgreSQL with an IAM token"
    # A published port needs a listener on 0.0.0.0:8001 (proc(5), net/tcp).
    pod exec "$volume" grep -q '00000000:1F41 00000000:0000 0A' /proc/net/tcp || fail "the client's port cannot be published"
    check_health "$server"
    begun=$SECONDS
    pod stop --time 20 "$client" "$server" > /dev/null
    [ $((SECONDS - begun)) -lt 10 ] || fail "the server takes $((SECONDS - begun)) s to stop"
    [ "$(pod inspect --format '{{.State.ExitCode}}' "$server")" = 0 ] || fail "the server exits with $(pod inspect --format '{{.State.ExitCode}}' "$server")"
    ok "uid ${user%%:*}: the server exits with 0 on SIGTERM"
}

check_health() { # check_health SERVER
    local answer
    answer=$(pod healthcheck run "$1" 2>&1) || fail "the server is running, but the health check failed: $answer"
    pod kill --signal STOP "$1" > /dev/null
    answer=$(pod healthcheck run "$1" 2>&1) && fail "the server is stopped, but the health check passed: $answer"
    [ "$answer" = unhealthy ] || fail "the health check does not run: $answer"
    pod kill --signal CONT "$1" > /dev/null
    answer=$(pod healthcheck run "$1" 2>&1) || fail "the server is running again, but the health check failed: $answer"
    ok "the health check passes while the server runs and fails while it is stopped"
}

# The server uses the bundle in the image: as shipped it lacks the CA of the world, and with that CA appended it has it.
check_bundle() {
    local shared answer ca number=0
    shared=$(pod volume inspect --format '{{.Mountpoint}}' "$volume")
    ca=$(sed -n 's/^ *root_certificate: \([^ ]*\).*/\1/p' "$shared/server.yaml")
    sed 's#root_certificate: [^ ]*#root_certificate: /etc/rds-auth-proxy/rds-bundle.pem#' "$shared/server.yaml" > "$work/bundled.yaml"
    cat build/ca/rds-bundle.pem "$shared${ca#/world}" > "$work/bundle.pem"
    chmod 0644 "$work/bundled.yaml" "$work/bundle.pem"
    for options in '' "--volume=$work/bundle.pem:/etc/rds-auth-proxy/rds-bundle.pem:ro"; do
        number=$((number + 1))
        # shellcheck disable=SC2086 # no option or one
        start "image-test-server-$$-bundle$number" server --volume "$work/bundled.yaml:/etc/rds-auth-proxy/config.yaml:ro" $options --
        start "image-test-client-$$-bundle$number" client -- client --configfile /world/compose/client.yaml --target db-1
        wait_for_log "image-test-server-$$-bundle$number" listening
        wait_for_log "image-test-client-$$-bundle$number" listening
        answer=$(query 'select 1') && [ "$number" = 1 ] && fail "a database with an unknown CA was accepted"
        case $number in
            1) grep -qi 'certificate\|issuer' <<< "$answer" || fail "refused, but not because of the certificate: $answer" ;;
            2) [ "$answer" = 1 ] || fail "refused with the CA in the bundle: $answer" ;;
        esac
        pod stop --time 20 "image-test-client-$$-bundle$number" "image-test-server-$$-bundle$number" > /dev/null
    done
    ok "verify-full uses the bundle in the image; config.yaml is read from the working directory"
}

# AWS files at /.aws, as in the image of the Go program; for uid 65532 and for one that the image does not know.
check_home() {
    local user name shared
    shared=$(pod volume inspect --format '{{.Mountpoint}}' "$volume")
    for user in 65532:65532 12345:0; do
        name=image-test-server-$$-home-${user%%:*}
        names=("$name" "${names[@]}")
        pod run --detach --name "$name" --network "container:$volume" --pull never --arch "$arch" --user "$user" \
            --read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges \
            --volume "$volume:/world:ro" --env AWS_EC2_METADATA_DISABLED=true \
            --volume "$shared/compose/server.credentials:/.aws/credentials:ro" --volume "$shared/compose/server.aws:/.aws/config:ro" \
            --entrypoint /bin/rds-auth-proxy "$image" server --configfile /world/compose/server.yaml > /dev/null
        wait_for_log "$name" 'the list of targets changed'
        pod stop --time 20 "$name" > /dev/null
    done
    ok "the server finds AWS files at /.aws"
}

# The image starts with the configuration that the chart renders.
check_chart() {
    local name=image-test-server-$$-chart
    start "$name" server --volume "$PWD/build/helm/tests/golden/irsa.server.yaml:/etc/rds-auth-proxy/config/config.yaml:ro" \
        -- server --configfile /etc/rds-auth-proxy/config/config.yaml
    wait_for_log "$name" 'listening.*8000'
    pod stop --time 50 "$name" > /dev/null
    ok "the image starts with the configuration of the chart"
}

# CredProxy's configuration at its path, as in build/compose-credentials.yaml.
check_credentials() {
    local name=image-test-credentials-$$ config=$work/credentials.yaml token=b1946ac92492d2347c6235b4d2611184aa77
    printf 'services: {orders: {auth_token: %s, assumed_role: {RoleArn: "arn:aws:iam::123456789012:role/Orders"}}}\n' "$token" > "$config"
    chmod 0644 "$config"
    start "$name" server --user 1338:1338 --volume "$config:/credproxy/config.yaml:ro" -- credentials
    wait_for_log "$name" 'listening.*1338'
    [ "$(status_of "$name" Uid)" = 'Uid: 1338 1338 1338 1338' ] || fail "$(status_of "$name" Uid)"
    [ "$(status_of "$name" CapBnd) $(status_of "$name" NoNewPrivs)" = 'CapBnd: 0000000000000000 NoNewPrivs: 1' ] \
        || fail "credentials: $(status_of "$name" CapBnd) $(status_of "$name" NoNewPrivs)"
    grep -Eq '^[0-9]+ [0-9]+ [0-9:]+ [^ ]+ / ro,' "$(proc_of "$name")/mountinfo" || fail "the root file system of credentials is writable"
    check_health "$name"
    pod stop --time 20 "$name" > /dev/null
    [ "$(pod inspect --format '{{.State.ExitCode}}' "$name")" = 0 ] || fail "credentials exits with $(pod inspect --format '{{.State.ExitCode}}' "$name")"
    ok "uid 1338: credentials runs without capabilities on a read-only root, and exits with 0 on SIGTERM"
}

# Sizes on disk, not compressed.
print_sizes() {
    local mount whole base
    mount=$(pod image mount "$image")
    whole=$(pod image inspect --format '{{.Size}}' "$image")
    base=$(pod image inspect --format '{{.Size}}' "$runtime")
    echo "binary $(stat -c %s "$mount/usr/local/bin/rds-auth-proxy") bytes; the image adds $((whole - base)) bytes to its base (here $base)"
    pod image unmount "$image" > /dev/null
}

make_debian
make_rust "$arch"
make_rust "$native"
make_runtime
check_context
build server . "$image" "$arch"
build world . localhost/image-test-world "$native"
[ -n "$binary" ] || check_layers build "$arch"
[ -n "$world" ] || check_layers world-build "$native"
check_image
names+=("$volume")
pod run --detach --name "$volume" --network none --pull never --volume "$volume:/world" \
    localhost/image-test-world > /dev/null
wait_for_log "$volume" '^ready'
until pod exec "$volume" test -e /world/compose; do sleep 0.2; done
check_login 65532:65532
check_login 12345:0
check_bundle
check_home
check_chart
check_credentials
echo
print_sizes
echo "$passed passed, 0 failed"
