"""The values, policies and Kubernetes objects in the documentation: each must work as printed."""

import json
import pathlib
import re
import tempfile

import schemas
from helm import Helm, objects

BLOCK = re.compile(r"^```(yaml helm-values|yaml|json)\n(.*?)^```$", re.M | re.S)
# The minimum number of blocks in the pages about installing a server.
EXPECTED = {"docs/guides/setup.md": 2, "docs/guides/deploy.md": 10, "docs/guides/kubernetes.md": 1, "docs/guides/ingress.md": 5}


def blocks(root: pathlib.Path):
    for page in sorted((root / "docs").rglob("*.md")):
        name, text = str(page.relative_to(root)), page.read_text()
        found = [match for match in BLOCK.finditer(text) if is_ours(match)]
        assert len(found) >= EXPECTED.get(name, 0), f"{name} has fewer values, policies or objects than expected"
        for match in found:
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line} ({match[1]})", match


def is_ours(block: re.Match) -> bool:
    """Other JSON blocks are log lines; other YAML blocks are configurations, which the tests of the program read."""
    marks = {"json": '"Statement"', "yaml": "apiVersion:", "yaml helm-values": ""}
    return marks[block[1]] in block[2]


def check(helm: Helm, block: re.Match) -> list[str]:
    if block[1] == "json":
        return check_policy(block[2])
    return schemas.check(helm, objects(block[2])) if block[1] == "yaml" else check_values(helm, block[2])


def check_values(helm: Helm, text: str) -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = helm.template("--values", file.name, "--set", "deployment.image.repository=r/i")
    if done.returncode != 0:
        return [done.stderr]
    return [] if objects(done.stdout) else ["nothing was rendered"]


# Without resource types: IAM demands every resource (AWS Service Authorization Reference).
OF_NO_RESOURCE = {"dsql:ListClusters"}


def check_policy(text: str) -> list[str]:
    """An IAM policy has a version and statements that allow named actions on named resources."""
    policy = json.loads(text)
    faults = [] if policy["Version"] == "2012-10-17" else ["not the policy language of 2012-10-17"]
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        faults += [f"{action} is more than one action" for action in actions if "*" in action]
        if statement.get("Resource") in ("*", ["*"]) and not OF_NO_RESOURCE.issuperset(actions):
            faults.append("it allows an action on every resource of the account")
        if not ("Resource" in statement) ^ ("Principal" in statement):
            faults.append("neither a resource (identity policy) nor a principal (trust policy)")
    return faults
