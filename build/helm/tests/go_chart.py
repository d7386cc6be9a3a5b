"""Values of the Go program's chart: each works as there, or its error names the line to change."""

import api_server
from helm import Helm, objects
from refusals import IMAGE, check as refused

SUBJECT = ["rbac.portforwardSubjects[0].kind=Group", "rbac.portforwardSubjects[0].name=developers"]
TARGET = ["proxy.targets.db.host=db:5432", "proxy.targets.db.ssl.mode=require"]
REFUSED = [
    ("a camel-case key of a target", [IMAGE, *TARGET, "proxy.targets.db.ssl.clientCertificatePath=/c.pem"],
     "proxy.targets.db.ssl.clientCertificatePath: write client_certificate"),
    ("the old mount of the client certificate", [IMAGE, *TARGET, "proxy.targets.db.ssl.client_certificate=/client-tls/tls.crt"],
     "/client-tls/tls.crt is now /etc/rds-auth-proxy/client-tls/tls.crt"),
    ("a container that runs as root", [IMAGE, "deployment.securityContext.runAsUser=0"],
     "set deployment.podSecurityContext.runAsNonRoot to false"),
    ("a pod that runs as root", [IMAGE, "deployment.podSecurityContext.runAsUser=0"],
     "set deployment.podSecurityContext.runAsNonRoot to false"),
]


def cases(helm: Helm):
    yield "no Role unless rbac.create is set", lambda: roles(helm, SUBJECT, [])
    yield "the Role has its old name", lambda: roles(helm, ["rbac.create=true"], [("Role", "rds-auth-proxy:allow-portforward")])
    yield "the subjects get the Role", lambda: roles(
        helm, ["rbac.create=true", *SUBJECT],
        [("Role", "rds-auth-proxy:allow-portforward"), ("RoleBinding", "rds-auth-proxy:allow-portforward")],
    )
    yield "pull secrets are names or objects", lambda: pull_secrets(helm)
    yield "clientPrivateKeyPath is read", lambda: client_key(helm)
    yield "a root user is allowed where the values say so", lambda: root_user(helm)
    for name, settings, expected in REFUSED:
        yield f"refused: {name}", lambda s=settings, e=expected: refused(helm, s, e)
    yield "another selector of the installed Deployment is an error", lambda: installed(helm)


def render(helm: Helm, settings: list[str]) -> list[dict]:
    done = helm.template(*(part for setting in [IMAGE, *settings] for part in ("--set", setting)))
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return objects(done.stdout)


def equal(found, expected) -> list[str]:
    return [] if found == expected else [f"expected {expected}, found {found}"]


def roles(helm: Helm, settings: list[str], expected: list[tuple[str, str]]) -> list[str]:
    found = [(item["kind"], item["metadata"]["name"]) for item in render(helm, settings) if "Role" in item["kind"]]
    bound = [item["roleRef"]["name"] for item in render(helm, settings) if item["kind"] == "RoleBinding"]
    return equal(sorted(found), expected) + equal(set(bound) - {"rds-auth-proxy:allow-portforward"}, set())


def pull_secrets(helm: Helm) -> list[str]:
    settings = ["serviceAccount.imagePullSecrets[0]=a", "serviceAccount.imagePullSecrets[1].name=b"]
    account = next(item for item in render(helm, settings) if item["kind"] == "ServiceAccount")
    return equal(account["imagePullSecrets"], [{"name": "a"}, {"name": "b"}])


def client_key(helm: Helm) -> list[str]:
    """The old chart's schema named clientPrivateKey, its template read clientPrivateKeyPath."""
    settings = ["proxy.ssl.clientCertificatePath=/c.pem", "proxy.ssl.clientPrivateKeyPath=/c.key"]
    config = next(item for item in render(helm, settings) if item["kind"] == "ConfigMap")["data"]["config.yaml"]
    return [] if "client_private_key: /c.key" in config else [config]


def root_user(helm: Helm) -> list[str]:
    settings = ["deployment.podSecurityContext.runAsUser=0", "deployment.podSecurityContext.runAsNonRoot=false"]
    pod = next(item for item in render(helm, settings) if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    return equal(pod["securityContext"]["runAsUser"], 0)


def installed(helm: Helm) -> list[str]:
    """Kubernetes refuses a changed selector with a text that names no value of the chart."""
    with api_server.serve(one_deployment("old-label")) as url:
        options = ["--set", IMAGE, *api_server.options(url)]
        done = helm.template(*options)
        expected = "app.kubernetes.io/name=old-label, which Kubernetes cannot change: set deployment.nameLabel to old-label"
        faults = [] if done.returncode != 0 and expected in done.stderr else [done.stdout[:200] + done.stderr]
        kept = helm.template(*options, "--set", "deployment.nameLabel=old-label")
    # The API has nothing else, so the second one fails too, and later.
    return faults + ([kept.stderr] if "nameLabel" in kept.stderr else [])


def one_deployment(label: str) -> dict[str, dict]:
    """A cluster with one Deployment, whose pods have this name label."""
    selector = {"matchLabels": {"app.kubernetes.io/name": label, "app.kubernetes.io/instance": "rds-auth-proxy"}}
    metadata = {"name": "rds-auth-proxy", "namespace": "rds-auth-proxy"}
    resource = {"name": "deployments", "singularName": "deployment", "namespaced": True, "kind": "Deployment", "verbs": ["get"]}
    version = {"groupVersion": "apps/v1", "version": "v1"}
    group = {"name": "apps", "versions": [version], "preferredVersion": version}
    return {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]},
        "/apis/apps/v1": {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [resource]},
        "/apis/apps/v1/namespaces/rds-auth-proxy/deployments/rds-auth-proxy": {
            "kind": "Deployment", "apiVersion": "apps/v1", "metadata": metadata, "spec": {"selector": selector},
        },
    }
