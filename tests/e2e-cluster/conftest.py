# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests on a whole cluster: one cluster, in which Fairlead is installed twice, once beside kube-proxy
and once instead of it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `pytest tests/e2e-cluster` by hand

from lab.cluster import SOURCE, end_on_signals
from lab.router import Router
from podlab import cluster as podlab
from podlab import machine
from podlab.cluster import Cluster
from podlab.installation import MODES, Installation


def pytest_configure() -> None:
    end_on_signals()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keeps the logs of the cluster as they were when a test failed."""
    outcome = yield
    report = outcome.get_result()
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and report.when != "teardown" and cluster is not None:
        report.sections.append(("logs", str(cluster.save_logs())))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if reason := machine.missing():
        pytest.skip(reason)
    cluster_id = os.environ.get("FAIRLEAD_LAB_ID", "e2ecluster")
    build = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
    podlab.remove(cluster_id)  # of a killed run; refuses if it is in use
    with Cluster(cluster_id, build, "tests/run") as opened:
        opened.start(kube_proxy=True)
        opened.import_product()
        yield opened


@pytest.fixture(scope="session")
def router(cluster: Cluster) -> Router:
    """A router with FRR on the LAN, and a client behind it; the nodes' FRR is the chart's."""
    router = Router(cluster, on_nodes=False)
    router.start()
    return router


@pytest.fixture(scope="session", params=MODES)
def installation(cluster: Cluster, router: Router, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """The chart, installed with the values of a mode, and a Deployment with its Services."""
    made = Installation(cluster, router, request.param)
    made.install()
    yield made
    made.uninstall()
