# SPDX-License-Identifier: Apache-2.0
"""Two routers with FRR, and advertisements that are for some of them, for some nodes, for some Services."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import NODES, MakeService, open_lab, start_with_router
from controllers import configure

from lab import frr
from lab.cluster import Lab
from lab.router import ASN, NODES_ASN, Paths, Router
from lab.waiting import LabError, wait_for

pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")

POOL = {"fairlead.io/address-pool": "public"}
SLOW = 60.0  # a session comes up by timers of whole seconds
OTHER_ASN = 64514

CONFIGURATION = f"""\
peers:
- {{name: tor-a, peer-address: 192.168.1.2, my-asn: {NODES_ASN}, peer-asn: {ASN}, hold-time: 9s}}
- {{name: tor-b, peer-address: 192.168.1.100, my-asn: {NODES_ASN}, peer-asn: {OTHER_ASN}, hold-time: 9s}}
bgp-communities: {{gold: "large:64512:1:2", no-export: "65535:65281"}}
address-pools:
- name: public
  protocol: bgp
  auto-assign: false
  addresses: [198.51.100.10-198.51.100.99]
  bgp-advertisements:
"""


def start_other(lab: Lab) -> frr.Daemon:
    """A second router, where the client of layer 2 is."""
    directory = lab.dir / "frr-other"
    directory.mkdir()
    shutil.chown(directory, "frr", "frr")
    frr.Daemon("zebra", lab.network.client.namespace, directory).start()
    bgpd = frr.Daemon("bgpd", lab.network.client.namespace, directory)
    bgpd.start()
    nodes = [n.address for n in lab.network.nodes]
    bgpd.configure(
        f"router bgp {OTHER_ASN}",
        "no bgp ebgp-requires-policy",
        *(f"neighbor {a} remote-as {NODES_ASN}" for a in nodes),
        *(f"neighbor {a} timers connect 1" for a in nodes),
    )
    return bgpd


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with open_lab() as lab:
        yield start_with_router(lab)
        lab.stop_daemons()


@pytest.fixture(scope="module")
def lab(router: Router) -> Lab:
    return router.lab


@pytest.fixture(scope="module")
def other(lab: Lab) -> frr.Daemon:
    bgpd = start_other(lab)
    configure(lab, CONFIGURATION + "  - {}\n")

    def all_up() -> bool:
        peers = [p for n in NODES for p in lab.daemon(n)["bgp"]["peers"]]
        return len(peers) == 2 * len(NODES) and all(p["established"] for p in peers)

    wait_for("all sessions", all_up, SLOW)
    return bgpd


def heard(bgpd: frr.Daemon, address: str) -> list[dict[str, Any]]:
    """What it has of the address: for each path from whom, and the communities."""
    paths = bgpd.route(f"{address}/32").get("paths", [])
    return [
        {
            "from": p["peer"]["peerId"],
            "communities": p.get("community", {}).get("string", ""),
            "large": p.get("largeCommunity", {}).get("string", ""),
        }
        for p in paths
    ]


def wait_heard(
    lab: Lab, bgpd: frr.Daemon, address: str, nodes: list[str], communities: str = "", large: str = ""
) -> None:
    addresses = {n.name: n.address for n in lab.network.nodes}
    want = [{"from": addresses[n], "communities": communities, "large": large} for n in sorted(nodes)]

    def as_wanted() -> bool:
        if (has := sorted(heard(bgpd, address), key=lambda p: p["from"])) != want:
            raise LabError(f"{has}, not {want}")
        return True

    wait_for(f"{address} from {nodes}", as_wanted)


def make_public(lab: Lab, make_service: MakeService, name: str) -> str:
    make_service(name, POOL)
    return lab.wait_address(name)


def test_each_router_gets_what_is_for_it(
    lab: Lab, router: Router, other: frr.Daemon, make_service: MakeService
) -> None:
    to_a = "  - {peers: [tor-a], communities: ['64512:1', no-export]}\n"
    to_b = "  - {peers: [tor-b], communities: [gold]}\n"
    configure(lab, CONFIGURATION + to_a + to_b)
    address = make_public(lab, make_service, "web")
    wait_heard(lab, router.bgpd, address, list(NODES), "64512:1 no-export")
    wait_heard(lab, other, address, list(NODES), large="64512:1:2")
    prefixes = [p["prefixes_wanted"] for p in lab.daemon("node1")["bgp"]["peers"]]
    assert prefixes == [1, 1]
    # While the one that stays gets other communities and the other one none, no packet loses its way.
    with Paths(router, f"{address}/32", 0.02) as paths:
        configure(lab, CONFIGURATION + "  - {peers: [tor-a], communities: [gold]}\n")
        wait_heard(lab, other, address, [])
        wait_heard(lab, router.bgpd, address, list(NODES), large="64512:1:2")
    assert [c.now for c in paths.changes if set(c.now) != set(NODES)] == []  # the last may come late
    for node in NODES:
        lab.wait_reason(node, "web", address, "Announced")
        assert "by bgp-advertisements[0] (to tor-a)" in lab.announcement(node, "web", address)["message"]
        assert [p["prefixes_wanted"] for p in lab.daemon(node)["bgp"]["peers"]] == [1, 0]


def test_only_nodes_that_are_selected_announce(
    lab: Lab, router: Router, other: frr.Daemon, make_service: MakeService
) -> None:
    configure(lab, CONFIGURATION + "  - {node-selectors: [{match-labels: {rack: a}}]}\n  - {peers: [tor-b]}\n")
    address = make_public(lab, make_service, "web")
    wait_heard(lab, other, address, list(NODES))
    wait_heard(lab, router.bgpd, address, [])
    try:
        lab.api.patch("Node", "node1", {"metadata": {"labels": {"rack": "a"}}}, "")
        wait_heard(lab, router.bgpd, address, ["node1"])
    finally:
        lab.api.patch("Node", "node1", {"metadata": {"labels": {"rack": None}}}, "")
    wait_heard(lab, router.bgpd, address, [])
    configure(lab, CONFIGURATION + "  - {node-selectors: [{match-labels: {rack: a}}]}\n")
    lab.wait_reason("node1", "web", address, "NotAdvertised")
    wait_heard(lab, other, address, [])
    said = lab.announcement("node1", "web", address)["message"]
    assert "pool public has bgp-advertisements[0] (to all peers; from nodes rack=a)" in said


def test_only_services_that_are_selected_are_announced(
    lab: Lab, router: Router, other: frr.Daemon, make_service: MakeService
) -> None:
    selected = "  - {peers: [tor-a], service-selectors: [{match-labels: {tier: gold}}]}\n"
    configure(lab, CONFIGURATION + selected)
    address = make_public(lab, make_service, "web")
    lab.wait_reason("node1", "web", address, "NotAdvertised")
    assert heard(router.bgpd, address) == []
    lab.api.patch("Service", "web", {"metadata": {"labels": {"tier": "gold"}}})
    wait_heard(lab, router.bgpd, address, list(NODES))
    assert heard(other, address) == []
    lab.api.patch("Service", "web", {"metadata": {"labels": {"tier": "tin"}}})
    wait_heard(lab, router.bgpd, address, [])
