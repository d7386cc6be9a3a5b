"""Values that must not install, each with a part of the error message."""

from helm import Helm

IMAGE = "deployment.image.repository=r/i"
CASES = [
    ("no image", [], "deployment.image.repository is empty"),
    ("a typo", [IMAGE, "proxy.allowedRdsTags=x"], "allowedRdsTags"),
    ("a typo at the top", [IMAGE, "replicaCount=3"], "replicaCount"),
    ("a tag twice", ["deployment.image.repository=r/i:1", "deployment.image.tag=v2"], "names a tag or digest already"),
    ("a short digest", [IMAGE, "deployment.image.digest=sha256:12"], "digest"),
    ("a duration without a unit", [IMAGE, "proxy.drainTimeout=30"], "drainTimeout"),
    ("a grace shorter than the drain", [IMAGE, "proxy.drainTimeout=5m", "deployment.terminationGracePeriodSeconds=60"],
     "the kubelet would cut sessions off"),
    ("an endless drain without a grace", [IMAGE, "proxy.drainTimeout=forever"], "deployment.terminationGracePeriodSeconds"),
    ("metrics without the admin listener", [IMAGE, "proxy.admin.enabled=false", "serviceMonitor.enabled=true"],
     "needs proxy.admin.enabled"),
    ("required TLS that is off", [IMAGE, "proxy.ssl.required=true"], "proxy.ssl.required needs proxy.ssl.enabled"),
    ("client certificates without TLS", [IMAGE, "proxy.ssl.clientAuth=require"], "proxy.ssl.clientAuth needs proxy.ssl.enabled"),
    ("client certificates without a CA", [IMAGE, "proxy.ssl.enabled=true", "proxy.ssl.clientAuth=request"], "proxy.ssl.clientCASecretName"),
    ("an unknown mode of client certificates", [IMAGE, "proxy.ssl.clientAuth=always"], "clientAuth"),
    ("a certificate without its key", [IMAGE, "proxy.ssl.enabled=true", "proxy.ssl.certificatePath=/c.pem"], "proxy.ssl.keyPath"),
    ("a client certificate without its key", [IMAGE, "proxy.ssl.clientCertificatePath=/c.pem"], "proxy.ssl.clientPrivateKey"),
    ("a setting owned by another value", [IMAGE, "proxy.config.proxy.drain_timeout=1m"], "set proxy.drainTimeout instead"),
    ("names of the admin listener twice", [IMAGE, "proxy.config.proxy.admin_hosts[0]=a"], "set proxy.admin.hosts instead"),
    ("a name with a port", [IMAGE, "proxy.admin.hosts[0]=metrics:9090"], "hosts"),
    ("no port of AWS", [IMAGE, "networkPolicy.awsPorts=[]"], "awsPorts"),
    ("no reachable database", [IMAGE, "networkPolicy.databaseCIDRs=[]"], "no database could be reached"),
    ("a maximum below the minimum", [IMAGE, "autoscaling.enabled=true", "autoscaling.minReplicas=9"], "is more than"),
    ("a subject of an unknown kind", [IMAGE, "rbac.portforwardSubjects[0].kind=Team", "rbac.portforwardSubjects[0].name=x"], "kind"),
    ("a tag without a value", [IMAGE, "proxy.allowedRDSTags[0].name=x"], "value"),
]


def check(helm: Helm, settings: list[str], expected: str) -> list[str]:
    done = helm.template(*(part for setting in settings for part in (option(setting), setting)))
    if done.returncode == 0:
        return [f"{settings} was accepted"]
    return [] if expected in done.stderr else [f"{settings} does not mention {expected!r}:\n{done.stderr}"]


def option(setting: str) -> str:
    """An empty list can only be written as JSON."""
    return "--set-json" if setting.endswith("=[]") else "--set"
