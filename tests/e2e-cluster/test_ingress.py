# SPDX-License-Identifier: Apache-2.0
"""An ingress controller behind our addresses, as docs/ingress.md has it: Traefik, built from its Go module.

Four Services lead to the same Pods, one of each policy by layer 2 and by BGP.  The tests are one story.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import netns, web
from lab.changes import Watched
from lab.kubernetes import program
from lab.router import OUTSIDE
from lab.waiting import LabError, wait_for
from podlab import images
from podlab.cluster import SOURCE, Cluster
from podlab.desk import Desk
from podlab.installation import Installation
from podlab.load import ServiceLoad, none_failed

pytestmark = [pytest.mark.data_plane, pytest.mark.mode("nftables")]

HERE = "tests/e2e-cluster/test_ingress.py"
EXAMPLES = SOURCE / "examples/ingress"
NAMESPACE = "ingress"
CONTROLLER = "app.kubernetes.io/name=traefik"
# Of the controller: the example's own comes first.
SERVICES = {
    "traefik": ("lan", "Local"),
    "lan-cluster": ("lan", "Cluster"),
    "routed-local": ("routed", "Local"),
    "routed-cluster": ("routed", "Cluster"),
}
# What is asked for, and the application that answers.
ROUTES = {
    "shop.example.org/": "shop",
    "shop.example.org/orders": "orders",
    "orders.example.org/": "orders",
}
PER_SECOND = 25


def _manifest(kind: str, name: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((EXAMPLES / "controller.yaml").read_text(encoding="utf-8"))
    return next(d for d in documents if (d["kind"], d["metadata"]["name"]) == (kind, name))


class Front:
    """One of the controller's Services, and the client that asks by it."""

    def __init__(self, installation: Installation, name: str) -> None:
        self.cluster, self._router = installation.cluster, installation.router
        self.pool, self.policy = SERVICES[name]
        self.address = installation.address(name, NAMESPACE)
        near, outside = self.cluster.network.client, (self._router.outside, OUTSIDE)
        self.client, self.client_address = (near.namespace, near.address) if self.pool == "lan" else outside

    def get(self, url: str) -> web.Reply:
        host, _, path = url.partition("/")
        return web.get(self.client, self.address, path=f"/{path}", name=host)

    def nodes(self) -> list[str]:
        """To which packets of the client are sent: by its own neighbour table, or by the router."""
        if self.pool == "routed":
            return self._router.next_hops(f"{self.address}/32")
        entry = netns.output(self.client, ["ip", "neigh", "show", self.address]).split()
        macs = [entry[i + 1] for i, word in enumerate(entry) if word == "lladdr"]
        return [self.cluster.network.host_of_mac(mac) for mac in macs]

    def is_where_it_should_be(self) -> bool:
        """Whether packets are sent to the nodes that may have them, by layer 2 to one of them."""
        found, may = set(self.nodes()), set(self.cluster.nodes) if self.policy == "Cluster" else _nodes(self.cluster)
        if not found or not (found <= may if self.pool == "lan" else found == may):
            raise LabError(f"packets go to {sorted(found)} rather than {sorted(may)}")
        return True

    def load(self, url: str) -> ServiceLoad:
        where = Watched(self.nodes)
        return ServiceLoad(self.cluster, self.client, self.address, where, per_second=PER_SECOND, url=url)


def _image() -> str:
    reference: str = _manifest("Deployment", "traefik")["spec"]["template"]["spec"]["containers"][0]["image"]
    return reference


def test_the_example_names_the_version_that_is_built() -> None:
    module = (SOURCE / "tests/kube/traefik/go.mod").read_text(encoding="utf-8")
    assert f"github.com/traefik/traefik/v3 {_image().rsplit(':')[-1]}\n" in module


@pytest.fixture(scope="module")
def desk(cluster: Cluster, installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    archive = images.of_program(cluster.disk / "traefik.tar", (_image(),), Path(program("traefik")))
    for node in cluster.nodes.values():
        node.import_image(archive)
    yield Desk(cluster, tmp_path_factory.mktemp("desk"))
    cluster.kubectl("delete", "--ignore-not-found", "--filename", str(EXAMPLES), "--timeout", "120s")


@pytest.fixture(scope="module")
def fronts(installation: Installation, desk: Desk) -> dict[str, Front]:
    """By all four Services, once the page was followed."""
    for name, (pool, policy) in SERVICES.items():
        if name != "traefik":
            made = _manifest("Service", "traefik")
            made["metadata"] |= {"name": name, "annotations": {"fairlead.io/address-pool": pool}}
            made["spec"]["externalTrafficPolicy"] = policy
            installation.apply(made)
    return {name: Front(installation, name) for name in SERVICES}


def _pods(cluster: Cluster) -> dict[str, tuple[str, str]]:
    """Of the controller: each one's node and address."""
    found = cluster.get("pods", "--namespace", NAMESPACE, "--selector", CONTROLLER)["items"]
    return {p["metadata"]["name"]: (p["spec"].get("nodeName", ""), p["status"].get("podIP", "")) for p in found}


def _nodes(cluster: Cluster) -> set[str]:
    """Those with a Pod of the controller that stays."""
    found = cluster.get("pods", "--namespace", NAMESPACE, "--selector", CONTROLLER)["items"]
    return {p["spec"].get("nodeName", "") for p in found if "deletionTimestamp" not in p["metadata"]}


def test_the_page(cluster: Cluster, installation: Installation, desk: Desk) -> None:
    desk.follow(f"{HERE}::test_the_page")
    address = installation.address("traefik", NAMESPACE)
    (told,) = cluster.get("ingress", "shop")["status"]["loadBalancer"]["ingress"]
    assert told["ip"] == address


def test_the_page_by_hand(installation: Installation, desk: Desk) -> None:
    """Without names."""
    desk.follow(f"{HERE}::test_the_page_by_hand", ADDRESS=installation.address("traefik", NAMESPACE))


@pytest.mark.parametrize("name", SERVICES)
def test_names_and_a_path(cluster: Cluster, fronts: dict[str, Front], name: str) -> None:
    front = fronts[name]
    for url, application in ROUTES.items():
        wait_for(f"{url} from {application}", lambda u=url, a=application: front.get(u).name == a, 60)
    assert front.get("nobody.example.org/").status == 404
    wait_for("the nodes that announce it", front.is_where_it_should_be, 60, 0.2)
    clients = {front.get("shop.example.org/").field("X-Forwarded-For") for _ in range(10)}
    if front.policy == "Local":
        assert clients == {front.client_address}
    else:
        assert front.client_address not in clients


@contextmanager
def _load(fronts: dict[str, Front]) -> Iterator[list[ServiceLoad]]:
    """Requests by each of them while the block runs, and before it until all are answered."""
    with ExitStack() as stack:
        loads = [f.load(url) for f, url in zip(fronts.values(), cycle(ROUTES))]
        for one in loads:
            stack.enter_context(one)
        for one in loads:
            wait_for("answers", lambda one=one: len(one.outcomes) > PER_SECOND, 30)
        yield loads


def _none_lost(loads: list[ServiceLoad], before: dict[str, tuple[str, str]], since: float, what: str) -> None:
    """An error that the controller answered with is its own; what got no answer is told with where it went."""
    told = ", ".join(f"{name} ({address}) on {node}" for name, (node, address) in sorted(before.items()))
    wrong = [o for one in loads for o in one.failures if o.error.startswith("answered")]
    assert not wrong, f"the controller itself answered {len(wrong)} with an error: {wrong[:4]}"
    none_failed(loads, ServiceLoad.moved_or_bereft, since, f"{what} at 0 s; the controllers before: {told}")


def test_the_controller_is_rolled(cluster: Cluster, installation: Installation, fronts: dict[str, Front]) -> None:
    old = _pods(cluster)
    with _load(fronts) as loads:
        began = time.monotonic()
        cluster.kubectl("rollout", "restart", "deployment/traefik", "--namespace", NAMESPACE)
        installation.wait_rolled_out("deployment/traefik", NAMESPACE)
        wait_for("the old Pods to go", lambda: not old.keys() & _pods(cluster).keys(), 60, 0.5)
        for front in fronts.values():
            wait_for("the nodes that announce it", front.is_where_it_should_be, 60, 0.5)
    _none_lost(loads, old, began, "it was rolled")


def test_its_node_is_drained(cluster: Cluster, installation: Installation, fronts: dict[str, Front]) -> None:
    """The one that owns the address by layer 2, with policy Local; the Pods that other tests need stay."""
    old = _pods(cluster)
    with _load(fronts) as loads:
        (owner,) = fronts["traefik"].nodes()
        began = time.monotonic()
        try:
            flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout", "120s")
            cluster.kubectl("drain", owner, "--pod-selector", "app!=web", *flags)
            installation.wait_rolled_out("deployment/traefik", NAMESPACE)
            assert owner not in _nodes(cluster)
            for front in fronts.values():
                wait_for("the nodes that announce it", front.is_where_it_should_be, 60, 0.5)
        finally:
            cluster.kubectl("uncordon", owner)
    _none_lost(loads, old, began, f"{owner} was drained")
