# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: one lab a module, Services that vanish with their test.

A module may set SPEAKER_FLAGS, flags for every speaker.  node3 takes no Pods, so it never has an endpoint.

With --server=kubernetes the same tests run against a real API server (lab/kubernetes.py).  Marked `embedded` is what
only the embedded one can do (faults, above all) or what the API server has no part in; marked `kubernetes` what needs
the real one; `ipvs` what takes a kernel that has it, and `machine` what takes a whole machine, as tests/vm makes one.
None is counted where it does not apply.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `pytest tests/e2e` by hand

pytest.register_assert_rewrite("bgproom", "proxyroom")  # before any module imports it

from lab import ipvs, netns, rundir
from lab.cluster import SOURCE, Lab, end_on_signals
from lab.router import Router
from lab.waiting import WAIT_SECONDS, LabError, wait_for

NODES = ("node1", "node2", "node3")
WITH_PODS = ("node1", "node2")
PODS = ("webapp-a", "webapp-b", "webapp-c")

MakeService = Callable[..., dict[str, Any]]


# Begun first, so that none of these modules is left to one lab at the end.
LONGEST = (
    *("documents", "controller", "kubernetes", "command_test", "packets", "daemons", "demo", "proxy", "proxy_faults"),
    *("l2", "faults", "bgp", "l2_others"),
)

_server = "embedded"


def pytest_addoption(parser: pytest.Parser) -> None:
    servers = ("embedded", "kubernetes")
    parser.addoption("--server", choices=servers, default="embedded", help="the API server of the labs")


def pytest_configure(config: pytest.Config) -> None:
    global _server
    _server = config.getoption("--server")
    config.addinivalue_line("markers", "embedded: for the embedded API server alone")
    config.addinivalue_line("markers", "kubernetes: for a real API server alone")
    config.addinivalue_line("markers", "ipvs: for a kernel with IPVS alone")
    config.addinivalue_line("markers", "machine: for the virtual machine alone")
    end_on_signals()
    if worker := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):  # each has a lab of its own
        os.environ["FAIRLEAD_LAB_ID"] = os.environ.get("FAIRLEAD_LAB_ID", "e2e") + worker


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = {"embedded" if _server == "kubernetes" else "kubernetes"}
    if any(i.get_closest_marker("ipvs") for i in items) and ipvs.missing():
        others.add("ipvs")
    if not os.environ.get("FAIRLEAD_VM"):
        others.add("machine")
    elsewhere = [i for i in items if any(i.get_closest_marker(other) for other in others)]
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = sorted((i for i in items if i not in elsewhere), key=_turn)


def _turn(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keeps the logs of a lab in which a test failed, and what was there at that moment; tells the ends of the logs."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed or report.when == "teardown":
        return
    for lab in {id(v): v for v in getattr(item, "funcargs", {}).values() if isinstance(v, Lab)}.values():
        where = lab.save_logs()
        lab.save_state(where)
        report.sections.append(("logs", f"{where}\n{lab.ends_of_logs()}"))


def open_lab() -> Lab:
    lab_id = os.environ.get("FAIRLEAD_LAB_ID", "e2e")
    rundir.clean(lab_id)  # of a killed run; refuses if the lab is in use
    build = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
    return Lab(lab_id, build, "python3 -m lab", cordoned=("node3",), real=_server == "kubernetes")


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab with the examples' configuration and Pods, two controllers and a speaker on each node."""
    with open_lab() as opened:
        opened.start_cluster()
        opened.apply("fairlead.yaml")
        opened.apply("webapp.yaml")
        for replica in ("a", "b"):
            opened.start_controller(replica)
        for node in NODES:
            opened.start_speaker(node, *getattr(request.module, "SPEAKER_FLAGS", ()))
        wait_for("the Pods to be ready", lambda: all(opened.pod_ready(p) for p in PODS))
        for node in NODES:
            wait_for(f"{node}'s speaker to be ready", lambda n=node: opened.daemon(n, "/readyz"))
        yield opened
        opened.stop_daemons()


def start_with_router(lab: Lab) -> Router:
    """With the examples' configuration for BGP: a router, a controller, and a speaker beside each node's bgpd."""
    router = Router(lab)
    router.start()
    lab.start_cluster()
    lab.apply("bgp/fairlead.yaml")
    lab.apply("webapp.yaml")
    lab.start_controller("a")
    for node in NODES:
        lab.start_speaker(node, "--bgp-socket-dir", str(router.socket_directory(node)))
    wait_for("the Pods to be ready", lambda: all(lab.pod_ready(p) for p in PODS), 60.0)
    return router


@pytest.fixture
def make_service(lab: Lab) -> Iterator[MakeService]:
    """Makes Services over the example's Pods (unless told otherwise), which are deleted after the test.

    The next test's Service may have the same name and address, so that nothing is left on the nodes either, and the
    client forgets who had the address: whoever remembers sends to that node before it has the new Service's rules.
    """
    made: list[str] = []
    cluster_ips: list[str] = []

    def make(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {
                "type": "LoadBalancer",
                "selector": {"app": "webapp"},
                "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
                **spec,
            },
        }
        made.append(name)
        created = lab.api.create({**service, "spec": {k: v for k, v in service["spec"].items() if v is not None}})
        cluster_ips.extend(ip for ip in created["spec"].get("clusterIPs") or [] if ip != "None")
        return created

    yield make
    for name in made:
        if lab.api.find("Service", name):
            lab.api.delete("Service", name)
    wait_for("the slices of deleted Services to go", lambda: not any(lab.endpoints(n) for n in made))
    wait_for("the rules of deleted Services to go", lambda: not _rules_to(lab, cluster_ips))
    netns.configure(lab.client, ["neigh flush all"])


def _rules_to(lab: Lab, addresses: list[str]) -> list[str]:
    """The nodes with a speaker that runs whose rules name one of the addresses."""
    speakers = {n: lab.processes.get(f"speaker-{n}") for n in NODES}
    running = [n for n, process in speakers.items() if process and process.running()]
    return [n for n in running if any(f" {a}/32 " in rule for a in addresses for rule in lab.iptables(n, "nat"))]


def make_pod(lab: Lab, name: str, labels: dict[str, str], node: str = "", pre_stop_seconds: int = 0) -> None:
    """One more Pod of the example's kind, and waits until it is ready."""
    template = lab.api.get("Pod", "webapp-a")
    container = template["spec"]["containers"][0]
    container = {k: container[k] for k in ("name", "image", "env", "ports", "readinessProbe") if k in container}
    if pre_stop_seconds:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop_seconds}}}
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 30}
    if node:
        spec["nodeName"] = node
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
    lab.api.create(pod)
    wait_for(f"Pod {name} to be ready", lambda: lab.pod_ready(name))


def condition(lab: Lab, service: str, kind: str = "AddressAssigned") -> dict[str, Any]:
    """Our condition on a Service; empty if there is none."""
    status = lab.api.get("Service", service).get("status") or {}
    return next((c for c in status.get("conditions") or [] if c["type"] == f"fairlead.io/{kind}"), {})


def wait_condition(
    lab: Lab, service: str, reason: str, seconds: float = WAIT_SECONDS, kind: str = "AddressAssigned"
) -> dict[str, Any]:
    def has_reason() -> dict[str, Any]:
        found = condition(lab, service, kind)
        if found.get("reason") != reason:
            raise LabError(f"{found}")
        return found

    return wait_for(f"{kind} of Service {service} with reason {reason}", has_reason, seconds)


def our_rules(lab: Lab, node: str, save: str = "iptables-save") -> list[str]:
    """Every chain and rule of ours on a node."""
    return [line for table in ("filter", "nat") for line in lab.iptables(node, table, save) if "FL-" in line]
