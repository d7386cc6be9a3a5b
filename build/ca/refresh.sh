#!/usr/bin/env bash
# Rewrites build/ca/rds-bundle.pem: the RDS root certificates of the commercial regions, and the Amazon roots of RDS Proxy
# endpoints. GovCloud and China have separate bundles. Drops expired and duplicate certificates.
#
#   build/ca/refresh.sh                 downloads them from AWS
#   build/ca/refresh.sh FILE [FILE...]  reads them from PEM files
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ $# -gt 0 ]; then
  cat "$@" >"$work/all.pem"
else
  curl -fsS https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem >"$work/all.pem"
  for root in 1 2 3 4; do
    curl -fsS "https://www.amazontrust.com/repository/AmazonRootCA$root.pem" >>"$work/all.pem"
  done
fi

awk -v dir="$work" '/BEGIN CERT/ {n++} n {print > sprintf("%s/%04d.crt", dir, n)}' "$work/all.pem"
for file in "$work"/*.crt; do
  openssl x509 -in "$file" -noout -checkend 0 >/dev/null || continue
  fingerprint=$(openssl x509 -in "$file" -noout -fingerprint -sha256)
  grep -qxF "$fingerprint" "$work/seen" 2>/dev/null && continue
  echo "$fingerprint" >>"$work/seen"
  openssl x509 -in "$file" -noout -subject -enddate | sed 's/^/# /'
  openssl x509 -in "$file"
done >"$work/bundle.pem"
[ -s "$work/bundle.pem" ] || { echo "no valid certificate found; the bundle is unchanged" >&2; exit 1; }
mv "$work/bundle.pem" rds-bundle.pem
echo "$(grep -c BEGIN rds-bundle.pem) certificates in build/ca/rds-bundle.pem"
