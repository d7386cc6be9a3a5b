"""Runs helm and kubectl for the tests."""

import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

# The version in rendered files, so that a release changes no golden file.
VERSION = "0.0.0"
RELEASE = ["rds-auth-proxy", "--namespace", "rds-auth-proxy"]


class Helm:
    def __init__(self, root: pathlib.Path, tools: pathlib.Path):
        self.root = root
        self.tools = tools
        self.source = root / "build/helm/rds-auth-proxy"
        self.scratch = tempfile.TemporaryDirectory()
        self.chart = unversioned(self.source, pathlib.Path(self.scratch.name))

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.tools / arguments[0], *arguments[1:]], capture_output=True, text=True, cwd=self.root)

    def output(self, *arguments: str) -> str:
        done = self.run(*arguments)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, arguments))}\n{done.stderr}")
        return done.stdout

    def lint(self, values: pathlib.Path) -> list[str]:
        done = self.run("helm", "lint", "--strict", self.chart, "--values", values)
        return [] if done.returncode == 0 else [done.stdout + done.stderr]

    def text(self, values: pathlib.Path) -> str:
        return self.output("helm", "template", *RELEASE[:1], self.chart, *RELEASE[1:], "--values", values)

    def render(self, values: pathlib.Path) -> list[dict]:
        return objects(self.text(values))

    def template(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.run("helm", "template", *RELEASE[:1], self.chart, *RELEASE[1:], *arguments)

    def notes(self, values: pathlib.Path) -> str:
        """The notes that `helm install` prints."""
        text = self.output(
            "helm", "install", *RELEASE[:1], self.chart, *RELEASE[1:], "--dry-run=client", "--values", values
        )
        return text.split("NOTES:\n", 1)[1]

    def kustomize(self) -> list[dict]:
        return objects(self.output("kubectl", "kustomize", "build/kubernetes"))


def unversioned(source: pathlib.Path, scratch: pathlib.Path) -> pathlib.Path:
    chart = scratch / source.name
    shutil.copytree(source, chart)
    description = chart / "Chart.yaml"
    description.write_text(re.sub(r"^(version|appVersion): .*", rf"\1: {VERSION}", description.read_text(), flags=re.M))
    return chart


def objects(text: str) -> list[dict]:
    return [item for item in yaml.safe_load_all(text) if item]
