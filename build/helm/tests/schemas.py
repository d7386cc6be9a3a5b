"""Validates objects strictly against the schemas of Kubernetes, cert-manager, the Prometheus operator and gateways."""

import json
import subprocess

import kubernetes_validate

from helm import Helm

# The oldest version that Chart.yaml allows, and later ones.
VERSIONS = ("1.27", "1.30", "1.33", "1.35", "1.37")
CUSTOM = {
    "cert-manager.io/v1": "@kubernetes-models/cert-manager/cert-manager.io/v1",
    "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
    "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1",
    "gateway.envoyproxy.io/v1alpha1": "@kubernetes-models/envoy-gateway/gateway.envoyproxy.io/v1alpha1",
    "networking.istio.io/v1": "@kubernetes-models/istio/networking.istio.io/v1",
}


def check(helm: Helm, rendered: list[dict]) -> list[str]:
    if not rendered:
        return ["nothing was rendered"]
    faults = []
    for item in rendered:
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["apiVersion"] in CUSTOM:
            faults += [f"{name}: {fault}" for fault in check_custom(helm, item)]
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                faults.append(f"{name} against {version}: {error.message}")
    return faults


def check_custom(helm: Helm, item: dict) -> list[str]:
    program = f"""
        import * as models from {json.dumps(CUSTOM[item["apiVersion"]])};
        const item = {json.dumps(item)};
        new models[item.kind](item).validate();
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], cwd=helm.tools, capture_output=True, text=True
    )
    return [] if done.returncode == 0 else [done.stderr]
