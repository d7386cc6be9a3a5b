#!/usr/bin/env bash
# Writes an image or the chart as a directory that `skopeo copy dir:…` can push (containers-transports(5)). It needs no
# registry, so a release knows the digests, and can sign them, before a tag points to them.
#
#   build/oci-dir.sh image DIRECTORY amd64.tar arm64.tar   one image from the archives of `docker save`
#   build/oci-dir.sh chart DIRECTORY CHART.tgz VERSION     the chart, as `helm push` uploads it
#
# The names of the archives are the architectures. Prints the digest. Needs jq, and for images skopeo.
set -euo pipefail

usage() { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }
digest_of() { sha256sum "$1" | cut -d' ' -f1; }

# A file of the directory as JSON: its media type, digest and size.
descriptor() { # descriptor MEDIA-TYPE FILE
    jq --null-input --compact-output --arg type "$1" --arg digest "sha256:$(digest_of "$2")" \
        --argjson size "$(wc -c <"$2")" '{mediaType: $type, size: $size, digest: $digest}'
}

# Adds a file as a blob, whose name is its digest.
add_blob() { cp "$1" "$directory/$(digest_of "$1")"; }

image() {
    local archive architecture part entries=()
    for archive in "$@"; do
        architecture=$(basename "$archive" .tar)
        part=$scratch/$architecture
        skopeo copy --quiet --dest-compress "docker-archive:$archive" "dir:$part"
        [ "$(jq -r .architecture "$part/$(jq -r '.config.digest | ltrimstr("sha256:")' "$part/manifest.json")")" = "$architecture" ] \
            || { echo "oci-dir: $archive has an image for another architecture" >&2; exit 1; }
        entries+=("$(descriptor "$(jq -r .mediaType "$part/manifest.json")" "$part/manifest.json" |
            jq --compact-output --arg architecture "$architecture" '.platform = {architecture: $architecture, os: "linux"}')")
        mv "$part/manifest.json" "$directory/$(digest_of "$part/manifest.json").manifest.json"
        rm "$part/version"
        mv "$part"/* "$directory"
    done
    printf '%s\n' "${entries[@]}" | jq --slurp '{
        schemaVersion: 2, mediaType: "application/vnd.docker.distribution.manifest.list.v2+json", manifests: .
    }' >"$directory/manifest.json"
}

# The media types are those of Helm (helm.sh/docs/topics/registries, "The Helm OCI Registry").
chart() {
    local config=$scratch/config.json
    jq --null-input --compact-output --arg version "$2" \
        '{apiVersion: "v2", name: "rds-auth-proxy", type: "application", version: $version, appVersion: $version}' >"$config"
    add_blob "$config"
    add_blob "$1"
    jq --null-input --argjson config "$(descriptor application/vnd.cncf.helm.config.v1+json "$config")" \
        --argjson layer "$(descriptor application/vnd.cncf.helm.chart.content.v1.tar+gzip "$1")" '{
            schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: [$layer]
        }' >"$directory/manifest.json"
}

[ $# -eq 4 ] || usage
kind=$1 directory=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$directory"
printf 'Directory Transport Version: 1.1\n' >"$directory/version"
case $kind in
    image | chart) "$kind" "$3" "$4" ;;
    *) usage ;;
esac
echo "sha256:$(digest_of "$directory/manifest.json")"
