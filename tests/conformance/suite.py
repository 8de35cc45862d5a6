# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' end-to-end suite as `tests/kube/build --suite` has made it: its tests, and running some of them."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import netns
from lab.kubernetes import program
from lab.waiting import LabError

from .outcomes import FAIL, PASS, SKIP, Outcome

_OUTCOMES = {"passed": PASS, "skipped": SKIP}  # of what ginkgo calls states; all others are failures
_RUN_IS_OVER = "A suite timeout occurred"  # is what ginkgo says of the tests that are under way then
_CONFORMANCE = "Conformance"
ABOUT = "[sig-network] "


@dataclass(frozen=True)
class Test:
    name: str
    conformance: bool


def images() -> list[str]:
    """The full names of all images that the suite may ask for."""
    done = subprocess.run([program("e2e.test"), "--list-images"], capture_output=True, text=True, check=False)
    names = [line.strip() for line in done.stdout.splitlines() if "/" in line and ":" in line]
    if done.returncode != 0 or not names:
        raise LabError(f"e2e.test --list-images: {done.stderr.strip() or 'names none'}")
    return names


def version() -> str:
    """Of Kubernetes, "v1.34.4"."""
    done = subprocess.run([program("kubectl"), "version", "--client"], capture_output=True, text=True, check=False)
    found = re.search(r"Client Version: (\S+)", done.stdout)
    if not found:
        raise LabError(f"kubectl version --client: {done.stderr.strip() or done.stdout.strip()}")
    return found[1]


def tests() -> list[Test]:
    """All tests of the suite that are about the network, by name."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        argv = [program("e2e.test"), "--provider=local", "--ginkgo.dry-run", f"--ginkgo.json-report={report}"]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)}: {done.stdout[-1000:]}")
        specs = _specs(report)
    found = [Test(_name(s), _CONFORMANCE in _labels(s)) for s in specs]
    return sorted((t for t in found if t.name.startswith(ABOUT)), key=lambda t: t.name)


def run(
    names: Iterable[str], namespace: str, kubeconfig: Path, processes: int, report: Path, log: Path
) -> dict[str, Outcome]:
    """Runs the tests of these names in a namespace, some side by side, and says what became of each.

    Each has a line in @report once it has ended; told() reads them, so that a run that is killed has not been for
    nothing.  What ginkgo says of the whole is of no interest: it fails with any of its tests."""
    wanted = list(names)
    report.unlink(missing_ok=True)
    focus = "|".join(f"{re.escape(name)}$" for name in wanted)  # behind the name of the suite
    argv = [
        program("ginkgo"),
        f"--procs={processes}",
        "--timeout=4h",
        "--no-color",
        f"--focus={focus}",
        program("e2e.test"),
        "--",
        "--provider=local",
        f"--kubeconfig={kubeconfig}",
        f"--kubectl-path={program('kubectl')}",
        "--node-os-distro=debian",
        "--allowed-not-ready-nodes=-1",
        "--num-nodes=3",
        f"--outcomes={report}",
    ]
    with log.open("wb") as out:
        with netns.entered(namespace):
            running = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, process_group=0
            )
        try:
            running.wait()
        except BaseException:
            # All its processes, as ginkgo does not tell them, and at once: what the tests leave goes with the cluster.
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            raise
    found = told(report)
    if lost := [name for name in wanted if name not in found]:
        raise LabError(f"{len(lost)} tests were not run to their end, as {lost[0]!r}; what ginkgo said is in {log}")
    return {name: found[name] for name in wanted}


def told(report: Path) -> dict[str, Outcome]:
    """What became of the tests that have come to their end in the last run that wrote this report, if there was one."""
    if not report.exists():
        return {}
    lines = report.read_text(encoding="utf-8").splitlines(keepends=True)
    specs = [json.loads(line) for line in lines if line.endswith("\n")]  # or else who wrote it was killed
    return {_name(s): _outcome(s) for s in specs if _has_ended(s)}


def _specs(report: Path) -> list[dict[str, Any]]:
    """The tests in a report of ginkgo's, without what is done before and after all of them."""
    suites = json.loads(report.read_text(encoding="utf-8"))
    return [s for suite in suites for s in suite["SpecReports"] if s["LeafNodeType"] == "It"]


def _name(spec: dict[str, Any]) -> str:
    return " ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]])


def _labels(spec: dict[str, Any]) -> list[str]:
    nested = spec["ContainerHierarchyLabels"] or []
    return [label for group in nested for label in group or []] + (spec["LeafNodeLabels"] or [])


def _has_ended(spec: dict[str, Any]) -> bool:
    """Whether the test said itself what became of it: it was neither left out nor cut short with the whole run."""
    if spec["State"] == "skipped":
        return bool(_said(spec))
    return spec["State"] not in ("pending", "interrupted", "aborted") and not _said(spec).startswith(_RUN_IS_OVER)


def _said(spec: dict[str, Any]) -> str:
    return (spec.get("Failure") or {}).get("Message", "")


def _outcome(spec: dict[str, Any]) -> Outcome:
    said = _said(spec)
    return Outcome(_OUTCOMES.get(spec["State"], FAIL), round(spec["RunTime"] / 1e9), " ".join(said.split())[:500])
