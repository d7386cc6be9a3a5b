#!/usr/bin/env bash
# Pins the base images of the Dockerfile: looks up the current digest of each tag and writes it to the ARG line.
#
#   build/base-images.sh
#
# Needs docker with buildx and access to the registries. Review the diff, build, and commit it.
set -euo pipefail
cd "$(dirname "$0")/.."

# The digest of the image index, which covers all platforms.
digest_of() { docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}'; }

pin() { # pin TAG
    local digest
    digest=$(digest_of "$1")
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "base-images: $1 has no digest: $digest" >&2; exit 1; }
    sed -i "s#=$1@sha256:.*#=$1@$digest#" Dockerfile
    echo "$1@$digest"
}

mapfile -t tags < <(sed -n 's/^ARG [A-Z]*_IMAGE=\(.*\)@sha256:.*/\1/p' Dockerfile)
[ "${#tags[@]}" -gt 0 ] || { echo "base-images: the Dockerfile pins no image" >&2; exit 1; }
for tag in "${tags[@]}"; do pin "$tag"; done
