"""The values and policies in the deploy guide: each must work as printed."""

import json
import pathlib
import re
import tempfile

from helm import Helm, objects

GUIDE = "docs/guides/deploy.md"
BLOCK = re.compile(r"^```(yaml helm-values|json)\n(.*?)^```$", re.M | re.S)


def blocks(root: pathlib.Path):
    text = (root / GUIDE).read_text()
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield f"{GUIDE}:{line} ({match[1]})", match


def check(helm: Helm, block: re.Match) -> list[str]:
    return check_policy(block[2]) if block[1] == "json" else check_values(helm, block[2])


def check_values(helm: Helm, text: str) -> list[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = helm.template("--values", file.name, "--set", "deployment.image.repository=r/i")
    if done.returncode != 0:
        return [done.stderr]
    return [] if objects(done.stdout) else ["nothing was rendered"]


def check_policy(text: str) -> list[str]:
    """An IAM policy: version, statements that allow named actions and never a wildcard of a service."""
    policy = json.loads(text)
    faults = [] if policy["Version"] == "2012-10-17" else ["not the policy language of 2012-10-17"]
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        faults += [f"{action} is more than one action" for action in actions if "*" in action]
        if not ("Resource" in statement) ^ ("Principal" in statement):
            faults.append("neither a resource (identity policy) nor a principal (trust policy)")
    return faults
