#!/usr/bin/env bash
# Rewrites the certificates that the binary embeds:
#
#   rds-bundle.pem     the root certificates of RDS, by region (the common name is "Amazon RDS REGION Root CA …")
#   amazon-roots.pem   the public root certificates of Amazon, which RDS Proxy endpoints chain to
#
# Drops expired and duplicate certificates, intermediates, and the Beta and Preview roots of RDS, which sign no production
# database.
#
#   build/ca/refresh.sh                 downloads them from the sources below
#   build/ca/refresh.sh FILE [FILE...]  reads them from PEM files
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every certificate in the two files comes from one of these. Sources:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html (commercial regions, GovCloud),
# https://docs.amazonaws.cn/en_us/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html (China),
# https://www.amazontrust.com/repository/ (public roots).
sources=(
  https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
  https://truststore.pki.us-gov-west-1.rds.amazonaws.com/global/global-bundle.pem
  https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/global/global-bundle.pem
  https://www.amazontrust.com/repository/AmazonRootCA1.pem
  https://www.amazontrust.com/repository/AmazonRootCA2.pem
  https://www.amazontrust.com/repository/AmazonRootCA3.pem
  https://www.amazontrust.com/repository/AmazonRootCA4.pem
  https://www.amazontrust.com/repository/SFSRootCAG2.pem
)

if [ $# -gt 0 ]; then
  cat "$@" >"$work/all.pem"
else
  for source in "${sources[@]}"; do
    curl -fsS "$source" >>"$work/all.pem"
    echo >>"$work/all.pem"
  done
fi

# The file that a certificate with this subject belongs to; nothing for one that is not wanted.
destination() {
  case $1 in
    *'CN=Amazon RDS Beta '* | *'CN=Amazon RDS Preview '*) ;;
    *'CN=Amazon RDS '*' Root CA '*) echo rds-bundle.pem ;;
    *'O=Amazon,CN=Amazon Root CA '[1-4] | *'CN=Starfield Services Root Certificate Authority - G2') echo amazon-roots.pem ;;
  esac
}

awk -v dir="$work" '/BEGIN CERT/ {n++} n {print > sprintf("%s/%04d.crt", dir, n)}' "$work/all.pem"
for file in "$work"/*.crt; do
  openssl x509 -in "$file" -noout -checkend 0 >/dev/null || continue
  subject=$(openssl x509 -in "$file" -noout -subject -nameopt RFC2253,sep_comma_plus,-dn_rev)
  name=$(destination "$subject")
  [ -n "$name" ] || continue
  fingerprint=$(openssl x509 -in "$file" -noout -fingerprint -sha256)
  grep -qxF "$fingerprint" "$work/seen" 2>/dev/null && continue
  echo "$fingerprint" >>"$work/seen"
  { openssl x509 -in "$file" -noout -subject -enddate | sed 's/^/# /'; openssl x509 -in "$file"; } >>"$work/$name"
done
for name in rds-bundle.pem amazon-roots.pem; do
  [ -s "$work/$name" ] || { echo "no valid certificate for $name; both files are unchanged" >&2; exit 1; }
done
for name in rds-bundle.pem amazon-roots.pem; do
  mv "$work/$name" "$name"
  echo "$(grep -c BEGIN "$name") certificates in build/ca/$name"
done
