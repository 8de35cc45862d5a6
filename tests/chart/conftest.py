# SPDX-License-Identifier: Apache-2.0
"""The chart as the real Helm sees it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `pytest tests/chart` by hand

from lab import kubernetes
from lab.cluster import SOURCE

CHART = SOURCE / "charts/fairlead"
BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
NAMESPACE = "fairlead-system"
KUBE_VERSION = "1.34.0"

Object = dict[str, Any]
Render = Callable[[Object], list[Object]]


def helm(values: Object, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [kubernetes.program("helm"), *words, "--namespace", NAMESPACE, "--values", "-"]
    return subprocess.run(argv, input=json.dumps(values), capture_output=True, text=True, check=False)


@pytest.fixture(scope="session", autouse=True)
def needs_helm() -> None:
    if why := kubernetes.missing():
        pytest.skip(why)


@pytest.fixture
def render() -> Render:
    """The manifests that the chart makes of these values."""

    def run(values: Object) -> list[Object]:
        done = helm(values, "template", "fairlead", str(CHART), "--kube-version", KUBE_VERSION)
        assert done.returncode == 0, done.stderr
        return [d for d in yaml.safe_load_all(done.stdout) if d]

    return run


def one(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found
