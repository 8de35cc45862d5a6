# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests on a whole cluster: one cluster, in which Fairlead is installed twice, once beside kube-proxy
and once instead of it.

With FAIRLEAD_DUAL_STACK=1 the cluster has both families, and only what is about these is run.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `pytest tests/e2e-cluster` by hand

from lab.cluster import SOURCE, end_on_signals
from lab.router import Router
from podlab import cluster as podlab
from podlab import machine
from podlab.cluster import Cluster
from podlab.installation import MODES, NAMESPACE, Installation


DUAL_STACK = os.environ.get("FAIRLEAD_DUAL_STACK") == "1"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "dual_stack: for a cluster with both families alone")
    config.addinivalue_line("markers", "data_plane: also in the second mode in which Fairlead carries the traffic")
    config.addinivalue_line("markers", "mode(name): in this mode alone")
    end_on_signals()


# What comes first; the others in the order of their names.  test_modes uninstalls in the end what it has found.
_FIRST = ("test_install", "test_load", "test_names", "test_ingress")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is the same in whatever way the traffic is carried is not tried in each of them."""

    def turn(item: pytest.Item) -> int:
        return _FIRST.index(item.path.stem) if item.path.stem in _FIRST else len(_FIRST)

    items.sort(key=turn)

    def repeats(item: pytest.Item) -> bool:
        call = getattr(item, "callspec", None)
        mode = call and call.params.get("installation")
        if alone := item.get_closest_marker("mode"):
            return bool(mode and mode != alone.args[0])
        return bool(mode == "nftables" and not item.get_closest_marker("data_plane"))

    def is_elsewhere(item: pytest.Item) -> bool:
        return repeats(item) or bool(item.get_closest_marker("dual_stack")) != DUAL_STACK

    config.hook.pytest_deselected(items=[i for i in items if is_elsewhere(i)])
    items[:] = [i for i in items if not is_elsewhere(i)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keeps the logs of the cluster as they were when a test failed."""
    outcome = yield
    report = outcome.get_result()
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and report.when != "teardown" and cluster is not None:
        where = cluster.save_logs()
        report.sections.append(("logs", f"{where}\n{_ends_of_logs(where)}"))


def _ends_of_logs(where: Path) -> str:
    """What our Pods said last, so that a test's report tells why it failed."""
    told = []
    for log in sorted(path for path in where.glob("pods-*/**/*.log") if NAMESPACE in str(path)):
        with suppress(OSError):  # a link to what is gone
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            told += [f"-- {log.relative_to(where)}", *(line[:300] for line in lines[-12:])]
    return "\n".join(told)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if reason := machine.missing():
        pytest.skip(reason)
    cluster_id = os.environ.get("FAIRLEAD_LAB_ID", "e2ecluster")
    build = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
    podlab.remove(cluster_id)  # of a killed run; refuses if it is in use
    with Cluster(cluster_id, build, "tests/run", DUAL_STACK) as opened:
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
