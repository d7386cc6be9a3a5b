"""Rules that no schema checks: the parts of the chart are consistent with each other, the image and the client."""

import re
import tomllib

import yaml

from golden import client_config, server_config
from helm import Helm


def versions(helm: Helm) -> list[str]:
    program = tomllib.loads((helm.root / "Cargo.toml").read_text())["package"]["version"]
    chart = yaml.safe_load((helm.source / "Chart.yaml").read_text())
    return [
        f"Chart.yaml {key} is {chart[key]}, Cargo.toml says {program}"
        for key in ("version", "appVersion")
        if chart[key] != program
    ]


def check(rendered: list[dict], notes: str | None) -> list[str]:
    by_kind = {item["kind"]: item for item in rendered}
    deployment = by_kind["Deployment"]
    pod = deployment["spec"]["template"]
    config = yaml.safe_load(server_config(rendered))
    faults = []

    def rule(holds: bool, sentence: str) -> None:
        if not holds:
            faults.append(sentence)

    name = deployment["metadata"]["name"]
    labels = pod["metadata"]["labels"]
    for selector in selectors(rendered):
        rule(selector.items() <= labels.items(), f"a selector does not match the pods: {selector}")
    if notes is not None:
        faults += client(yaml.safe_load(client_config(notes)), deployment, config)
        for service in rendered:
            if service["kind"] == "Service" and service["spec"]["type"] == "LoadBalancer":
                upstream = f"`host: ADDRESS:{service['spec']['ports'][0]['port']}`"
                rule(upstream in notes, "the notes do not explain the connection without a tunnel")

    container = pod["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    everywhere = "[::]" if config["proxy"]["listen_addr"].startswith("[") else "0.0.0.0"
    rule(config["proxy"]["listen_addr"] == f"{everywhere}:{ports['postgres']}", "the proxy listens on another address")
    rule(config["proxy"].get("admin_addr") == f"{everywhere}:{ports['admin']}", "the admin listener has another address")
    variables = {variable["name"] for variable in container.get("env", [])}
    rule(not variables & {"LOG_LEVEL", "RUST_LOG", "DEBUG"}, "an environment variable overrides proxy.log_level")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        rule(container[probe]["httpGet"]["port"] in ports, f"{probe} names a port that does not exist")
        # Otherwise the kubelet sends the IP address of the pod, which the listener answers to.
        rule("host" not in container[probe]["httpGet"], f"{probe} has a name that the admin listener may refuse")
        rule("httpHeaders" not in container[probe]["httpGet"], f"{probe} has headers")
    for service in rendered:
        if service["kind"] == "Service" and "admin" in [port["name"] for port in service["spec"]["ports"]]:
            names = names_of(service, config["proxy"].get("admin_hosts", []))
            rule(not names, f"the admin listener does not answer to {names}")
    rule("cpu" not in container["resources"].get("limits", {}), "a CPU limit throttles every query")
    rule(*holds_sessions(container["resources"], config["proxy"]))
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    for path in re.findall(r"/etc/\S+", str(container["args"]) + yaml.safe_dump(config)):
        rule(any(path.strip("',]").startswith(mount) for mount in mounts), f"{path} is not mounted")
    rule(
        {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["spec"]["volumes"]},
        "volumes and mounts differ",
    )

    grace = pod["spec"]["terminationGracePeriodSeconds"]
    needed = seconds(config["proxy"]["shutdown_delay"]) + seconds(config["proxy"]["drain_timeout"])
    rule(grace > needed, f"the kubelet kills the pod after {grace} s, but it may drain for {needed} s")
    if "HorizontalPodAutoscaler" in by_kind:
        rule("replicas" not in deployment["spec"], "both the autoscaler and the Deployment set replicas")
    wanted = {name, labels["app.kubernetes.io/name"], "rds-auth-proxy"}
    return faults + restricted(pod["spec"]) + portforward(by_kind) + certificates(rendered, wanted)


def client(notes: dict, deployment: dict, server: dict) -> list[str]:
    """Compares the configuration that developers copy with that of the server."""
    tunnel = notes["upstream_proxies"]["default"]["port_forward"]
    hosts = {name: target["host"] for name, target in server.get("targets", {}).items()}
    holds = {
        "other pods": tunnel["deployment"] == deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"],
        "another namespace": tunnel["namespace"] == deployment["metadata"]["namespace"],
        "another port": server["proxy"]["listen_addr"].endswith(f":{tunnel['remote_port']}"),
        "other targets": {name: target["host"] for name, target in notes.get("targets", {}).items()} == hosts,
        "another value of rds.enabled": notes.get("rds", {}).get("enabled", True) == server["rds"]["enabled"],
        "other regions": notes.get("rds", {}).get("regions") == server["rds"].get("regions"),
    }
    return [f"the notes name {difference}" for difference, same in holds.items() if not same]


def names_of(service: dict, known: list[str]) -> list[str]:
    """The names by which Prometheus can request the metrics of the Service, without the known ones."""
    short = service["metadata"]["name"]
    scoped = f"{short}.{service['metadata']['namespace']}"
    return [name for name in (short, scoped, f"{scoped}.svc", f"{scoped}.svc.cluster.local") if name not in known]


def selectors(rendered: list[dict]):
    for item in rendered:
        spec = item.get("spec", {})
        if item["kind"] == "Service":
            yield spec["selector"]
        elif "podSelector" in spec:
            yield spec["podSelector"]["matchLabels"]
        elif item["kind"] in ("Deployment", "PodDisruptionBudget", "ServiceMonitor"):
            yield spec["selector"]["matchLabels"]
        for constraint in spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", []):
            yield constraint["labelSelector"]["matchLabels"]


def seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)?", duration).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}[unit]


# Memory in bytes as in docs/operations.md: of the program, and of a session with TLS on both sides plus a pending connection.
PROGRAM, SESSION = 32 * 2**20, 536 * 2**10
# The default of max_connections (src/session/limits.rs).
MAX_CONNECTIONS = 1000


def holds_sessions(resources: dict, proxy: dict) -> tuple[bool, str]:
    limit = resources.get("limits", {}).get("memory")
    sessions = proxy.get("max_connections", MAX_CONNECTIONS)
    needed = PROGRAM + sessions * SESSION
    holds = limit is None or size(limit) >= needed
    return holds, f"a memory limit of {limit} is below the {needed >> 20} MiB that {sessions} sessions may need"


def size(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)", quantity).groups()
    return int(number) << {"Ki": 10, "Mi": 20, "Gi": 30}[unit]


def restricted(pod: dict) -> list[str]:
    """The "restricted" Pod Security Standard (kubernetes.io, "Pod Security Standards"), and a read-only root."""
    faults = []
    context = pod["securityContext"]
    if not context.get("runAsNonRoot") or context.get("runAsUser") == 0:
        faults.append("the pod may run as root")
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        faults.append("the pod has no seccomp profile")
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        faults.append("the pod shares a namespace of the host")
    for volume in pod["volumes"]:
        if not volume.keys() - {"name"} <= {"configMap", "secret", "projected", "emptyDir", "csi"}:
            faults.append(f"volume {volume['name']} has a type that the restricted standard refuses")
    for container in pod["containers"]:
        own = container["securityContext"]
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            faults.append("the container may gain privileges")
        if own.get("capabilities") != {"drop": ["ALL"]}:
            faults.append("the container keeps capabilities")
        if not own.get("readOnlyRootFilesystem"):
            faults.append("the root file system is writable")
    return faults


def portforward(by_kind: dict[str, dict]) -> list[str]:
    if "Role" not in by_kind:
        return []
    rules = by_kind["Role"]["rules"]
    granted = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    wanted = {
        ("pods", "get"), ("pods", "list"), ("pods", "watch"),
        ("pods/portforward", "get"), ("pods/portforward", "create"),
    }
    if "Service" in by_kind:
        wanted.add(("services", "get"))
    return [] if granted == wanted else [f"the role grants {sorted(granted ^ wanted)} too much or too little"]


def region(rendered: list[dict]) -> list[str]:
    """Outside EKS nothing else sets it, and the server exits without a region (src/aws/mod.rs)."""
    deployment = next(item for item in rendered if item["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    names = [variable["name"] for variable in container.get("env", [])]
    return [] if "AWS_REGION" in names else [f"the container has no AWS_REGION, only {names}"]


def certificates(rendered: list[dict], names: set[str]) -> list[str]:
    """With verify-full, clients verify the name of the Deployment or Service, or else rds-auth-proxy (src/app/tunnel.rs)."""
    servers = [item for item in rendered if item["kind"] == "Certificate" and "server auth" in item["spec"]["usages"]]
    return [
        f"the certificate {item['metadata']['name']} is not for {wanted}"
        for item in servers
        for wanted in sorted(names)
        if wanted not in item["spec"]["dnsNames"]
    ]
