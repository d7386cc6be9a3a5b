"""Checks Dockerfile, .dockerignore, compose file and release workflow against each other, without a container engine."""

import fnmatch
import pathlib
import re

import yaml


def check(root: pathlib.Path) -> list[str]:
    dockerfile = (root / "Dockerfile").read_text()
    compose = yaml.safe_load((root / "build/compose.yaml").read_text())
    return (
        unpinned_bases(dockerfile)
        + unknown_arguments(root, dockerfile)
        + unknown_targets(dockerfile, compose)
        + ignored_sources(root, dockerfile)
        + loose_containers(compose)
        + unguarded_jobs(yaml.safe_load((root / ".github/workflows/release.yml").read_text())["jobs"])
    )


def unpinned_bases(dockerfile: str) -> list[str]:
    """Every base image is a build argument with a digest, in the form that build/base-images.sh updates."""
    stages = re.findall(r"^FROM .* AS (\S+)$", dockerfile, re.M)
    bases = re.findall(r"^FROM (?:--platform=\S+ )?(\S+)", dockerfile, re.M)
    pinned = re.findall(r"^ARG ([A-Z]+_IMAGE)=\S+:\S+@sha256:[0-9a-f]{64}$", dockerfile, re.M)
    allowed = stages + [f"${{{name}}}" for name in pinned]
    return [f"Dockerfile: the base {base} is not pinned by digest" for base in bases if base not in allowed]


def unknown_arguments(root: pathlib.Path, dockerfile: str) -> list[str]:
    """Docker only warns about an unknown build argument and builds the image with the default."""
    known = re.findall(r"^ARG (\w+)", dockerfile, re.M)
    faults = []
    for path in (".github/workflows/release.yml", "docs/guides/deploy.md"):
        passed = re.findall(r"--build-arg (\w+)=", (root / path).read_text())
        faults += [f"{path}: the Dockerfile has no argument {name}" for name in passed if name not in known]
        faults += [f"{path}: {name} is not passed" for name in ("VERSION", "REVISION", "CREATED") if name not in passed]
    return faults


def unknown_targets(dockerfile: str, compose: dict) -> list[str]:
    stages = re.findall(r"^FROM .* AS (\S+)$", dockerfile, re.M)
    return [
        f"compose.yaml: service {name} needs the stage {service['build']['target']}, the Dockerfile has {stages}"
        for name, service in compose["services"].items()
        if service["build"]["target"] not in stages
    ]


def ignored_sources(root: pathlib.Path, dockerfile: str) -> list[str]:
    """Each copied path exists and .dockerignore allows it."""
    lines = (root / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M)
        for source in [word for word in line.split() if not word.startswith("--")][:-1]
    ]
    faults = [] if sources else ["the Dockerfile copies nothing"]
    for source in sources:
        if not (root / source).exists():
            faults.append(f"Dockerfile: {source} does not exist")
        if not any(source == entry or fnmatch.fnmatch(source, f"{entry}/*") for entry in allowed):
            faults.append(f"Dockerfile: {source} is excluded by .dockerignore")
    return faults


def loose_containers(compose: dict) -> list[str]:
    """Server and client are as restricted as in a pod, and ports are published on loopback only."""
    faults = []
    for name in ("server", "client"):
        service = compose["services"][name]
        if service["cap_drop"] != ["ALL"] or not service["read_only"]:
            faults.append(f"compose.yaml: {name} is not restricted")
    for service in compose["services"].values():
        faults += [f"compose.yaml: port {port} is open to the network" for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
    return faults


# The commands that make something public, and what must have run before, in the same job.
GUARDS = {
    "skopeo copy --all --preserve-digests dir:image \"docker://$IMAGE:": "cosign verify",
    "skopeo copy --preserve-digests dir:chart \"docker://$CHART:": "cosign verify",
    "cosign verify": "cosign sign",
    "gh release create": "cosign sign-blob",
}
# Commands that push a tag that is not signed yet.
UNSIGNED = ("docker push", "helm push", "imagetools create")


def unguarded_jobs(jobs: dict) -> list[str]:
    """A job that may write or sign waits for every other kind of job and for a person, and signs before it publishes."""
    faults = []
    checks = {name for name, job in jobs.items() if "environment" not in job}
    for name, job in jobs.items():
        commands = "\n".join(step.get("run", "") for step in job.get("steps", []))
        faults += [f"release.yml: {name} runs {command}" for command in UNSIGNED if command in commands]
        for command, guard in GUARDS.items():
            if command in commands and not 0 <= commands.find(guard) < commands.find(command):
                faults.append(f"release.yml: {name} runs {command} without {guard} before it")
        if "write" not in job.get("permissions", {}).values():
            continue
        if job.get("environment") != "release":
            faults.append(f"release.yml: {name} may write outside the protected environment")
        if missing := checks - needed(jobs, name):
            faults.append(f"release.yml: {name} does not wait for {sorted(missing)}")
    published = "\n".join(step.get("run", "") for job in jobs.values() for step in job.get("steps", []))
    faults += [f"release.yml: no job runs {command}" for command in GUARDS if command not in published]
    return faults


def needed(jobs: dict, name: str) -> set[str]:
    """The jobs that a job waits for, directly and indirectly."""
    direct = jobs[name].get("needs", [])
    direct = {direct} if isinstance(direct, str) else set(direct)
    return direct.union(*(needed(jobs, other) for other in direct))
