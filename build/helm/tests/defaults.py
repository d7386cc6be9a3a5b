"""The defaults that depend on the release: strict in a new one, unchanged by the upgrade of an older one. The number of pods that
an upgrade with autoscaling keeps."""

import yaml

import api_server
from golden import server_config
from helm import Helm, objects

IMAGE = ["--set", "deployment.image.repository=r/i"]
TLS = ["--set", "proxy.ssl.enabled=true"]
UPGRADE = ["--is-upgrade"]
# The kinds of the chart, which helm looks up in the cluster.
KINDS = {
    "v1": ["ConfigMap", "Service", "ServiceAccount"],
    "apps/v1": ["Deployment"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "rbac.authorization.k8s.io/v1": ["Role", "RoleBinding"],
}
MARK = {"rds-auth-proxy/strict-defaults": "true"}
STRICT, LOOSE = (True, 500), (None, None)

# Name, arguments, the annotations of the ConfigMap in the cluster (None: helm has no cluster), and the expected
# ssl.required and max_connections_per_peer.
CASES = [
    ("a new release with TLS", TLS, None, STRICT),
    ("a new release without TLS", [], None, (None, 500)),
    ("a new release with its own values", [*TLS, "--set", "proxy.ssl.required=false,proxy.maxConnectionsPerPeer=0"], None, LOOSE),
    ("a new release with more connections", [*TLS, "--set", "proxy.maxConnections=3001"], None, (True, 1501)),
    ("an upgrade without a cluster", [*TLS, *UPGRADE], None, LOOSE),
    ("an upgrade of an older release", [*TLS, *UPGRADE], {}, LOOSE),
    ("an upgrade of a strict release", [*TLS, *UPGRADE], MARK, STRICT),
    ("an upgrade that turns it on", [*TLS, *UPGRADE, "--set", "proxy.ssl.required=true"], {}, (True, None)),
    ("an upgrade that turns it off", [*TLS, *UPGRADE, "--set", "proxy.ssl.required=false"], MARK, (None, 500)),
]


def check(helm: Helm, arguments: list[str], annotations: dict | None, expected: tuple) -> list[str]:
    if annotations is None:
        done = helm.template(*IMAGE, *arguments)
    else:
        with api_server.serve(cluster(annotations)) as url:
            done = helm.template(*IMAGE, *arguments, *api_server.options(url))
    if done.returncode != 0:
        return [done.stderr]
    rendered = objects(done.stdout)
    proxy = yaml.safe_load(server_config(rendered))["proxy"]
    found = (proxy["ssl"].get("required"), proxy.get("max_connections_per_peer"))
    faults = [] if found == expected else [f"ssl.required and max_connections_per_peer are {found}, not {expected}"]
    config_map = next(item for item in rendered if item["kind"] == "ConfigMap")
    marked, strict = config_map["metadata"].get("annotations") == MARK, "--is-upgrade" not in arguments or annotations == MARK
    return faults if marked == strict else [*faults, f"the mark of the next upgrade is {marked}"]


# Name, arguments, the replicas of the Deployment in the cluster (None: there is none; NO_CLUSTER), and the expected ones. The HPA
# acts after up to 15 s, and a Deployment without `replicas` has 1 until then (the documentation of Kubernetes, "Migrating
# Deployments and StatefulSets to horizontal autoscaling").
HPA = ["--set", "autoscaling.enabled=true"]
NO_CLUSTER = -1
REPLICAS = [
    ("an upgrade that switches autoscaling on", [*HPA, *UPGRADE], 4, 4),
    ("an upgrade after the autoscaler acted", [*HPA, *UPGRADE], 6, 6),
    ("an upgrade of a Deployment that is scaled to zero", [*HPA, *UPGRADE], 0, 0),
    ("an upgrade that switches autoscaling off", [*UPGRADE, "--set", "deployment.replicaCount=3"], 6, 3),
    ("a new release with autoscaling", HPA, NO_CLUSTER, None),
    ("helm template with autoscaling", [*HPA, *UPGRADE], NO_CLUSTER, None),
]


def check_replicas(helm: Helm, arguments: list[str], live: int | None, expected: int | None) -> list[str]:
    if live == NO_CLUSTER:
        done = helm.template(*IMAGE, *arguments)
    else:
        with api_server.serve(cluster(MARK, live)) as url:
            done = helm.template(*IMAGE, *arguments, *api_server.options(url))
    if done.returncode != 0:
        return [done.stderr]
    deployment = next(item for item in objects(done.stdout) if item["kind"] == "Deployment")
    found = deployment["spec"].get("replicas")
    return [] if found == expected else [f"replicas is {found}, not {expected}"]


def cluster(annotations: dict, replicas: int | None = None) -> dict[str, dict]:
    """A cluster that has only the ConfigMap of the release, and its Deployment if this has `replicas`."""
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rds-auth-proxy", "annotations": annotations}}
    named = [version for version in KINDS if "/" in version]
    groups = [version.split("/")[0] for version in named]
    versions = [{"groupVersion": version, "version": version.split("/")[1]} for version in named]
    answers = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [
                {"name": group, "versions": [version], "preferredVersion": version}
                for group, version in zip(groups, versions)
            ],
        },
        "/api/v1/namespaces/rds-auth-proxy/configmaps/rds-auth-proxy": config_map,
    }
    if replicas is not None:
        labels = {"app.kubernetes.io/name": "rds-auth-proxy", "app.kubernetes.io/instance": "rds-auth-proxy"}
        answers["/apis/apps/v1/namespaces/rds-auth-proxy/deployments/rds-auth-proxy"] = {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "rds-auth-proxy"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}},
        }
    for version, kinds in KINDS.items():
        resources = [{"name": name(kind), "kind": kind, "namespaced": True, "verbs": ["get"]} for kind in kinds]
        listed = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        answers[f"/apis/{version}" if "/" in version else f"/api/{version}"] = listed
    return answers


def name(kind: str) -> str:
    """The plural of a kind in URLs."""
    return kind.lower().removesuffix("y") + "ies" if kind.endswith("y") else kind.lower() + "s"
