"""The tests of the chart. build/chart-test.sh installs their dependencies and starts them."""

import argparse
import pathlib
import sys

import defaults
import documents
import files
import go_chart
import golden
import refusals
import rules
import schemas
from helm import Helm

ROOT = pathlib.Path(__file__).resolve().parents[3]
VALUES = sorted((ROOT / "build/helm/tests/values").glob("*.yaml"))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tools", type=pathlib.Path, required=True, help="the folder with helm, kubectl and node_modules")
    arguments.add_argument("--update", action="store_true", help="write the golden files")
    options = arguments.parse_args()
    helm = Helm(ROOT, options.tools)
    if options.update:
        golden.update(helm, VALUES)

    passed = failed = 0
    for name, check in cases(helm):
        faults = check()
        passed, failed = (passed, failed + 1) if faults else (passed + 1, failed)
        print("\n  ".join([f"{'FAIL' if faults else 'ok  '} {name}", *faults]))
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


def cases(helm: Helm):
    yield "versions agree", lambda: rules.versions(helm)
    yield "Dockerfile and compose file agree", lambda: files.check(ROOT)
    for values in VALUES:
        yield f"{values.stem} lints", lambda values=values: helm.lint(values)
        yield f"{values.stem} equals its golden files", lambda values=values: golden.compare(helm, values)
        yield f"{values.stem} fits the schemas", lambda values=values: schemas.check(helm, helm.render(values))
        yield f"{values.stem} is consistent", lambda values=values: rules.check(helm.render(values), helm.notes(values))
    yield "plain manifests are up to date", lambda: golden.compare_plain(helm)
    yield "plain manifests pass kustomize and the schemas", lambda: schemas.check(helm, helm.kustomize())
    yield "plain manifests are consistent", lambda: rules.check(helm.kustomize(), None)
    yield "plain manifests name a region", lambda: rules.region(helm.kustomize())
    for name, check in go_chart.cases(helm):
        yield f"Go chart: {name}", check
    for name, arguments, cluster, expected in defaults.CASES:
        yield f"defaults: {name}", lambda a=arguments, c=cluster, e=expected: defaults.check(helm, a, c, e)
    for name, arguments, live, expected in defaults.REPLICAS:
        yield f"replicas: {name}", lambda a=arguments, l=live, e=expected: defaults.check_replicas(helm, a, l, e)
    for name, arguments, expected in refusals.CASES:
        yield f"refused: {name}", lambda a=arguments, e=expected: refusals.check(helm, a, e)
    for position, text in documents.blocks(ROOT):
        yield f"{position} renders", lambda text=text: documents.check(helm, text)


if __name__ == "__main__":
    sys.exit(main())
