"""Golden files: what three typical values files give, the two configurations in it, and the plain manifests."""

import difflib
import pathlib
import re

from helm import Helm, objects


def update(helm: Helm, values: list[pathlib.Path]) -> None:
    for file in values:
        for path, text in wanted(helm, file).items():
            path.write_text(text)
    path, text = plain(helm)
    path.write_text(text)


def compare(helm: Helm, values: pathlib.Path) -> list[str]:
    return [fault for path, text in wanted(helm, values).items() for fault in difference(path, text)]


def compare_plain(helm: Helm) -> list[str]:
    return difference(*plain(helm))


def wanted(helm: Helm, values: pathlib.Path) -> dict[pathlib.Path, str]:
    folder = helm.root / "build/helm/tests/golden"
    text = helm.text(values)
    return {
        folder / f"{values.stem}.yaml": text,
        folder / f"{values.stem}.server.yaml": server_config(objects(text)),
        folder / f"{values.stem}.client.yaml": client_config(helm.notes(values)),
    }


def server_config(rendered: list[dict]) -> str:
    return next(item for item in rendered if item["kind"] == "ConfigMap")["data"]["config.yaml"]


def client_config(notes: str) -> str:
    """The block in the notes that developers paste."""
    return re.search(r"^upstream_proxies:\n.*?(?=\n\n)", notes, re.M | re.S).group(0) + "\n"


def plain(helm: Helm) -> tuple[pathlib.Path, str]:
    text = helm.text(helm.root / "build/kubernetes/values.yaml")
    text = re.sub(r"^# Source: .*\n|^ +(helm\.sh/chart|app\.kubernetes\.io/(managed-by|version)): .*\n", "", text, flags=re.M)
    head = "# Made by `build/chart-test.sh --update` from the chart and values.yaml beside this file.\n"
    return helm.root / "build/kubernetes/rds-auth-proxy.yaml", head + text


def difference(path: pathlib.Path, text: str) -> list[str]:
    there = path.read_text() if path.exists() else ""
    if there == text:
        return []
    lines = difflib.unified_diff(there.splitlines(), text.splitlines(), f"{path.name} (committed)", "now", lineterm="")
    return ["\n".join(lines) + "\nIf that is meant: build/chart-test.sh --update"]
