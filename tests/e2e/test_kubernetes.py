# SPDX-License-Identifier: Apache-2.0
"""What only a real API server can tell: its audit log, and what kubectl makes of our objects."""

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import NODES, open_lab
from test_uninstall import tell_pods

from lab import kubernetes, netns, writes
from lab.api import ApiError, Object
from lab.cluster import Lab
from lab.waiting import wait_for

pytestmark = pytest.mark.kubernetes

SYSTEM = "fairlead-system"
LEASE = ("--lease-duration", "3", "--renew-deadline", "2", "--retry-period", "1")
POOLS = """\
address-pools:
- {name: wide, protocol: layer2, addresses: [10.50.0.0/16]}
- {name: tiny, protocol: layer2, auto-assign: false, addresses: [10.60.0.1/32]}
"""
SEED = 20260801
SERVICES, KILLS = 2000, 20
IDLE_SECONDS = 8
TURNS = 12


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """An API server with the configuration, and three Nodes."""
    with open_lab() as opened:
        opened.start_api()
        opened.start_kubelet()
        opened.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        meta = {"name": "fairlead", "namespace": SYSTEM}
        opened.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config": POOLS}})
        yield opened
        opened.stop_daemons()


def service(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": False, **spec},
    }


def create(lab: Lab, prefix: str, n: int) -> None:
    lab.api.create_all([service(f"{prefix}{i}") for i in range(n)])


@pytest.fixture
def controllers(lab: Lab) -> Iterator[Callable[..., None]]:
    """Starts the replicas that it is given."""

    def start(*replicas: str) -> None:
        for replica in replicas:
            if f"controller-{replica}" in lab.processes:
                lab.restart(f"controller-{replica}")
            else:
                lab.start_controller(replica, *LEASE)

    yield start
    for replica in ("b", "a"):
        process = lab.processes.get(f"controller-{replica}")
        if process and process.running():
            process.stop()


def requests(lab: Lab, offset: int = 0) -> list[writes.Request]:
    """Those of our daemons."""
    return [r for r in writes.requests(lab.write_log, offset) if r["agent"].startswith("fairlead-")]


def test_one_patch_a_service_and_events_last(lab: Lab, controllers: Callable[..., None]) -> None:
    n = 300
    create(lab, "one", n)
    offset = lab.write_log.stat().st_size
    controllers("a")

    def events() -> list[writes.Request]:
        of_us = [r for r in requests(lab, offset) if r["verb"] == "create" and r["objectRef"]["resource"] == "events"]
        return [r for r in of_us if r["objectRef"]["namespace"] == "default" and r["code"] == 201]

    wait_for("an Event for each Service", lambda: len(events()) == n, 60, 0.3)
    patches = [r for r in requests(lab, offset) if r["objectRef"]["resource"] == "services" and r["verb"] == "patch"]
    assert {r["objectRef"]["subresource"] for r in patches} == {"status"}
    # On a busy server one may conflict, and comes a second time.
    assert {r["code"] for r in patches} <= {200, 409}
    assert Counter(r["objectRef"]["name"] for r in patches if r["code"] == 200) == {f"one{i}": 1 for i in range(n)}
    first_of_each = {r["objectRef"]["name"]: r for r in reversed(patches)}.values()
    last_patch = max(r["stageTimestamp"] for r in first_of_each)
    assert min(r["requestReceivedTimestamp"] for r in events()) >= last_patch


def addresses_of(obj: Object) -> list[str]:
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [i["ip"] for i in ingress]


class Assignments(threading.Thread):
    """Counts the Services that have had an address, as a watch shows them."""

    def __init__(self, lab: Lab, prefix: str) -> None:
        super().__init__(daemon=True)
        self._lab, self._prefix = lab, prefix
        self.uids: set[str] = set()

    def run(self) -> None:
        items, version = self._lab.api.objects_with_version("Service")
        for obj in items:
            self._note(obj)
        try:
            for kind, obj in self._lab.api.watch("Service", version):
                if kind != "BOOKMARK":
                    self._note(obj)
        except ApiError:
            return  # the lab has ended

    def _note(self, obj: Object) -> None:
        if obj["metadata"]["name"].startswith(self._prefix) and addresses_of(obj):
            self.uids.add(obj["metadata"]["uid"])


def holder(lab: Lab) -> str:
    found = lab.api.find("Lease", "fairlead-controller", SYSTEM)
    return (found or {}).get("spec", {}).get("holderIdentity", "")


def test_leaders_killed_in_the_midst_of_it(lab: Lab, controllers: Callable[..., None]) -> None:
    create(lab, "many", SERVICES)
    assigned = Assignments(lab, "many")
    assigned.start()
    offset = lab.write_log.stat().st_size
    controllers("a", "b")
    for point in sorted(random.Random(SEED).sample(range(1, SERVICES - 50), KILLS)):
        wait_for(f"{point} to have an address", lambda p=point: len(assigned.uids) >= p, 60, 0.001)
        victim = wait_for("a leader", lambda: holder(lab))
        lab.processes[victim].signal(signal.SIGKILL)
        lab.processes[victim].wait()
        wait_for("the other one to have the Lease", lambda v=victim: holder(lab) not in ("", v), 30, 0.1)
        lab.restart(victim)
    wait_for("all to have an address", lambda: len(assigned.uids) == SERVICES, 60, 0.1)
    judge([w for w in lab.writes(offset) if "uid" in w] + final_state(lab))


def final_state(lab: Lab) -> list[writes.Write]:
    """As writes.  The audit log does not tell what became of a patch whose sender was killed before the answer."""
    return [
        {"uid": s["metadata"]["uid"], "name": s["metadata"]["name"], "ingress": addresses_of(s)}
        for s in lab.api.objects("Service", "default")
    ]


def judge(told: list[writes.Write]) -> None:
    """Each write of a Service, in the order of the resourceVersions."""
    holder_of: dict[str, str] = {}  # address: UID
    held: dict[str, list[str]] = {}  # UID: addresses
    for write in told:
        uid, addresses = write["uid"], write.get("ingress") or []
        before = held.get(uid, [])
        assert not before or addresses == before, f"{write['name']} had {before}: {write}"
        for address in addresses:
            assert holder_of.setdefault(address, uid) == uid, f"{address} was given twice: {write}"
        held[uid] = addresses
    assert sum(1 for a in held.values() if a) >= SERVICES


def at_least(lab: Lab, n: int) -> None:
    """So many Services, whatever tests before this one have left."""
    create(lab, "more", max(0, n - len(lab.api.objects("Service", "default"))))


def leader(lab: Lab) -> str:
    """"controller-a", say; "" if none leads yet."""
    running = [n for n, p in lab.processes.items() if n.startswith("controller-") and p.running()]
    return next((n for n in running if lab.daemon(n)["leader"]), "")


def test_leaders_take_turns(lab: Lab, controllers: Callable[..., None]) -> None:
    """Each sees all there is before it leads, in a list that other lists and watches do not hold up."""
    at_least(lab, SERVICES)
    controllers("a", "b")
    for _ in range(TURNS):
        name = wait_for("a leader", lambda: leader(lab))
        assert lab.processes[name].stop() == 0
        wait_for("the other one to lead", lambda: leader(lab))
        lab.restart(name)
        wait_for("it to answer", lambda n=name: lab.daemon(n))


def asks_for(request: dict[str, Any]) -> str:
    """A resource, or a path that is none."""
    resource: str = request["objectRef"]["resource"] if "objectRef" in request else request["requestURI"]
    return resource


def test_at_rest_nothing_is_asked_but_the_lease(lab: Lab, controllers: Callable[..., None]) -> None:
    at_least(lab, SERVICES)
    controllers("a", "b")
    for node in NODES:
        lab.start_speaker(node, "--proxy-mode", "none")
    for node in NODES:
        wait_for(f"{node}'s speaker", lambda n=node: lab.daemon(n, "/readyz"), 30)

    def quiet() -> bool:
        offset = lab.write_log.stat().st_size
        time.sleep(0.5)
        return {asks_for(r) for r in requests(lab, offset)} <= {"leases", "/version"}

    def complete() -> bool:
        return sum(p["used"] for p in lab.daemon("controller-a")["pools"]) >= SERVICES - 1  # the API server's own

    wait_for("the books to be complete", complete, 30, 0.2)
    wait_for("everything to be written", quiet, 60)
    offset = lab.write_log.stat().st_size
    time.sleep(IDLE_SECONDS)
    asked = Counter((r["verb"], asks_for(r)) for r in requests(lab, offset))
    # The version tells each speaker that the server is there: once in four seconds.
    assert {what for _, what in asked} == {"leases", "/version"}, asked
    assert asked["update", "leases"] >= IDLE_SECONDS // 2
    assert asked["get", "/version"] <= len(NODES) * (IDLE_SECONDS // 4 + 1)
    for node in NODES:
        lab.speaker(node).stop()


def kubectl(lab: Lab, *arguments: str) -> str:
    flags = ["--kubeconfig", str(lab.kubeconfig), "--cache-dir", str(lab.dir / "kubectl")]
    return netns.output(lab.network.control_plane.namespace, [kubernetes.kubectl(), *flags, *arguments])


def test_kubectl_describe_tells_why_there_is_no_address(lab: Lab, controllers: Callable[..., None]) -> None:
    wanted = {
        "outside": ({"fairlead.io/addresses": "8.8.8.8"}, "AddressOutsidePools", "8.8.8.8 was asked for"),
        "nowhere": ({"fairlead.io/address-pool": "nowhere"}, "NoSuchPool", "pool nowhere"),
        "second": ({"fairlead.io/address-pool": "tiny"}, "PoolExhausted", "tiny has all its 1 IPv4 addresses in use"),
        "garbage": ({"fairlead.io/addresses": "here"}, "InvalidRequest", '"here" is no IP address'),
    }
    lab.api.create(service("first", {"fairlead.io/address-pool": "tiny"}))
    controllers("a")
    lab.wait_address("first")
    for name, (annotations, _, _) in wanted.items():
        lab.api.create(service(name, annotations))
    for name, (_, reason, words) in wanted.items():

        def described(n: str = name, r: str = reason) -> str:
            text = kubectl(lab, "describe", "service", n)
            return text if r in text else ""

        text = wait_for(f"an Event about {name}", described)
        (line,) = [line for line in text.splitlines() if reason in line]
        assert line.split()[0] == "Warning" and words in line, text
        assert "LoadBalancer Ingress" not in text
    assert "<pending>" in kubectl(lab, "get", "service", "outside")
    text = kubectl(lab, "describe", "service", "first")
    assert "LoadBalancer Ingress:     10.60.0.1 (VIP)" in text and "Assigned" in text


def test_kubectl_create_service(lab: Lab, controllers: Callable[..., None]) -> None:
    """Which sends protobuf."""
    controllers("a")
    kubectl(lab, "create", "service", "loadbalancer", "web", "--tcp=80:8080")
    assert lab.wait_address("web") in kubectl(lab, "get", "service", "web")


@pytest.fixture
def outpost(lab: Lab) -> Iterator[str]:
    """A namespace that reaches the API server, and no speaker."""
    namespace = lab.network.client.namespace
    rules = "add table inet wall; add chain inet wall out { type filter hook output priority 0; }; "
    netns.output(namespace, ["nft", rules + "add rule inet wall out tcp dport 17482 drop"])
    yield namespace
    netns.output(namespace, ["nft", "delete table inet wall"])


def test_speakers_out_of_reach_are_asked_by_the_api_server(
    lab: Lab, controllers: Callable[..., None], outpost: str
) -> None:
    """By the proxy subresource of nodes, and of Pods where there are any.  Afterwards all is uninstalled."""
    controllers("a")
    for node in NODES:
        lab.restart(f"speaker-{node}")
    for node in NODES:
        wait_for(f"{node}'s speaker", lambda n=node: lab.daemon(n, "/readyz"), 30)
    flags = ["--kubeconfig", str(lab.kubeconfig)]
    argv = [str(lab.program("fairlead")), "status", "-o", "json", "--exit-code=answer", *flags]
    status = json.loads(netns.output(outpost, argv))
    assert [n["speaker"]["reachable"] for n in status["nodes"]] == [True, True, True]
    tell_pods(lab)
    said = netns.output(outpost, [str(lab.program("fairlead")), "uninstall", *flags])
    assert said.splitlines() == [f"node {n}: cleaned up" for n in NODES]
    every = writes.requests(lab.write_log)
    asked = [r["objectRef"] for r in every if r.get("objectRef", {}).get("subresource") == "proxy"]
    assert {a["resource"] for a in asked} == {"nodes", "pods"}
