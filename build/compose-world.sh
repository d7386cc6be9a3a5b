#!/bin/sh
# The entry point of the `world` stage of the image: starts the test world in DIRECTORY, a volume that server and client
# share, and writes their configurations and AWS identities to DIRECTORY/compose. Their images have no shell to do it.
set -eu
directory=$1
mkdir -p "$directory"
# Files of an earlier start.
rm -rf "${directory:?}"/*
chmod 0755 "$directory"

# CA and database are in the volume too, so that the paths in server.yaml are valid in every container.
TMPDIR=$directory world "$directory" &
world=$!
trap 'kill -TERM "$world"; wait "$world"; exit 0' TERM INT

while ! [ -s "$directory/client-env.sh" ]; do
    kill -0 "$world" || exit 1
    sleep 0.2
done

# identity NAME: writes the environment in NAME-env.sh as credentials and configuration files.
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
# With an admin address the health check of the image checks that the server is ready, not only that it listens.
sed 's/^proxy:$/&\n  admin_addr: 127.0.0.1:9090/' "$directory/server.yaml" > "$directory/new/server.yaml"
# Connections to a published port arrive at the address of the container, not on its loopback.
sed 's/listen_addr: 127\.0\.0\.1:/allow_remote: true\n  listen_addr: 0.0.0.0:/' "$directory/client.yaml" > "$directory/new/client.yaml"
# Atomic: a container that starts too early finds no files, never some of them.
mv "$directory/new" "$directory/compose"
wait "$world"
