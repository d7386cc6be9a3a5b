#!/bin/sh
# The entry point of the image's `world` stage: starts the test world in DIRECTORY, a volume that server and client share,
# and writes to DIRECTORY/compose what they need and cannot make themselves, having no shell: their configurations, and
# their AWS identities as files.
set -eu
directory=$1
mkdir -p "$directory"
# What an earlier start has left.
rm -rf "${directory:?}"/*
chmod 0755 "$directory"

# The CA and the database live in the volume too, so that the paths in server.yaml are good in every container.
TMPDIR=$directory world "$directory" &
world=$!
trap 'kill -TERM "$world"; wait "$world"; exit 0' TERM INT

while ! [ -s "$directory/client-env.sh" ]; do
    kill -0 "$world" || exit 1
    sleep 0.2
done

# identity NAME: from the environment in NAME-env.sh to credentials and configuration files.
identity() (
    # shellcheck disable=SC1090 # the world writes it
    . "$directory/$1-env.sh"
    {
        echo '[default]'
        echo "aws_access_key_id = $AWS_ACCESS_KEY_ID"
        echo "aws_secret_access_key = $AWS_SECRET_ACCESS_KEY"
        [ -z "${AWS_SESSION_TOKEN:-}" ] || echo "aws_session_token = $AWS_SESSION_TOKEN"
    } > "$directory/new/$1.credentials"
    printf '[default]\nregion = %s\nendpoint_url = %s\n' "$AWS_REGION" "$AWS_ENDPOINT_URL" > "$directory/new/$1.aws"
)
mkdir "$directory/new"
identity server
identity client
# With it the image's health check sees whether the server is ready, not only whether it listens.
sed 's/^proxy:$/&\n  admin_addr: 127.0.0.1:9090/' "$directory/server.yaml" > "$directory/new/server.yaml"
# A published port arrives at the container's address, not on its loopback.
sed 's/listen_addr: 127\.0\.0\.1:/listen_addr: 0.0.0.0:/' "$directory/client.yaml" > "$directory/new/client.yaml"
# All at once: who starts too early finds nothing, never a half.
mv "$directory/new" "$directory/compose"
wait "$world"
