#!/usr/bin/env bash
# Packs a binary for download: build/package.sh BINARY VERSION TARGET DIRECTORY
# The archive contains the binary, completion scripts, manual pages, LICENSE, README, changelog, and the file with which a
# client runs in the background (Linux: a systemd user unit; macOS: a launchd agent). The binary writes completions and
# manual pages, so it must run on this machine.
set -euo pipefail

if [ "$#" -ne 4 ]; then
    echo "Usage: build/package.sh BINARY VERSION TARGET DIRECTORY" >&2
    exit 2
fi
binary=$1 version=${2#v} target=$3 directory=$4
root=$(cd "$(dirname "$0")/.." && pwd)
name="rds-auth-proxy-$version-$target"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

mkdir -p "$work/$name/completions" "$work/$name/man" "$directory"
cp "$binary" "$work/$name/"
for document in LICENSE README.md CHANGELOG.md; do
    cp "$root/$document" "$work/$name/"
done
case "$target" in
*linux*) service=systemd/user/rds-auth-proxy.service ;;
*darwin*) service=launchd/rds-auth-proxy.plist ;;
*) service= ;;
esac
if [ -n "$service" ]; then
    mkdir -p "$work/$name/$(dirname "$service")"
    cp "$root/build/$service" "$work/$name/$service"
fi
while read -r shell file; do
    "$binary" completion "$shell" >"$work/$name/completions/$file"
    [ -s "$work/$name/completions/$file" ] || { echo "no completions for $shell" >&2 && exit 1; }
done <<'LIST'
bash rds-auth-proxy.bash
zsh _rds-auth-proxy
fish rds-auth-proxy.fish
powershell _rds-auth-proxy.ps1
elvish rds-auth-proxy.elv
LIST
"$binary" man "$work/$name/man"
[ -s "$work/$name/man/rds-auth-proxy.1" ] || { echo "no manual page" >&2 && exit 1; }

# GNU tar gives the same bytes for the same input; all files get the date of the commit.
options=()
if [[ "$(tar --version)" == *GNU* ]]; then
    options=(--sort=name --owner=0 --group=0 --numeric-owner "--mtime=@$(git -C "$root" log -1 --format=%ct)")
fi
case "$target" in
*windows*)
    archive="$directory/$name.zip"
    python=$(command -v python3 || command -v python)
    (cd "$work" && "$python" -m zipfile -c "$name.zip" "$name/")
    mv "$work/$name.zip" "$archive"
    ;;
*)
    archive="$directory/$name.tar.gz"
    tar ${options[@]+"${options[@]}"} -C "$work" -cf - "$name" | gzip -9n >"$archive"
    ;;
esac
echo "$archive"
