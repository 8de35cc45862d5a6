# SPDX-License-Identifier: Apache-2.0
"""Where layer 2 announces: on the interfaces that a pool's `layer2` names, by the nodes and for the Services that it
selects, and what becomes of an address when labels change."""

from collections.abc import Iterator

import pytest
from conftest import NODES, MakeService
from test_service import wait_http

from lab import arp, net, netns
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

POOL = """\
address-pools:
- name: lan
  protocol: layer2
  addresses: [192.168.1.240-192.168.1.250]
"""
RACK = "node-selectors: [{match-labels: {rack: a}}]"


@pytest.fixture(autouse=True)
def as_before(lab: Lab) -> Iterator[None]:
    yield
    for node in NODES:
        label(lab, node, None)


def configure(lab: Lab, *entries: str) -> None:
    text = POOL + (f"  layer2: [{', '.join('{' + e + '}' for e in entries)}]\n" if entries else "")
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": text}}, "fairlead-system")


def label(lab: Lab, node: str, rack: str | None) -> None:
    lab.api.patch("Node", node, {"metadata": {"labels": {"rack": rack}}}, "")


@pytest.fixture(scope="module")
def second_lan(lab: Lab) -> str:
    """Another LAN with the same subnet, on eth1 of the nodes and of the client."""
    network = lab.network
    netns.configure(network.lan, ["link add br1 type bridge stp_state 0 forward_delay 0", "link set br1 up"])
    for host in (*network.nodes, network.client):
        port = f"{host.name}-b"
        peer = f"peer name eth1 netns {host.namespace}"
        commands = [f"link add {port} type veth {peer}", f"link set {port} master br1", f"link set {port} up"]
        netns.configure(network.lan, commands)
        netns.configure(host.namespace, ["link set eth1 up"])
    for host in network.nodes:
        last = int(host.address.rsplit(".", 1)[1]) + 20
        netns.configure(host.namespace, [f"addr add {net.LAN_PREFIX}.{last}/24 dev eth1 noprefixroute"])
    return "eth1"


def answers(lab: Lab, address: str, interface: str) -> int:
    """How many machines answer the client there."""
    client = lab.network.client
    return len(arp.ask(client.namespace, client.mac, client.address, address, 0.2, interface))


def wait_answers(lab: Lab, address: str, interface: str, other: str) -> None:
    def is_there() -> bool:
        found = {i: answers(lab, address, i) for i in (interface, other)}
        if found != {interface: 1, other: 0}:
            raise LabError(f"answers: {found}")
        return True

    wait_for(f"one answer for {address}, on {interface} alone", is_there)


def test_only_on_the_interface_that_is_named(lab: Lab, make_service: MakeService, second_lan: str) -> None:
    make_service("web")
    address = lab.wait_address("web")
    configure(lab)
    wait_answers(lab, address, "eth0", second_lan)
    for interface, other in ((second_lan, "eth0"), ("eth0", second_lan)):
        configure(lab, f"interfaces: ['{interface[:-1]}[{interface[-1]}]']")
        wait_answers(lab, address, interface, other)
        said = [lab.announcement(n, "web", address) for n in NODES]
        assert {s["interface"] for s in said} == {interface}
        assert sorted(s["reason"] for s in said) == ["Announced", "NotOwner", "NotOwner"]
    wait_http(lab, address)


def test_an_interface_that_no_node_has(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    configure(lab, "interfaces: [eth7]")
    for node in NODES:
        lab.wait_reason(node, "web", address, "InterfaceNotSelected")
        assert "eth0" in lab.announcement(node, "web", address)["message"]
    assert lab.arp_answers(address) == []
    # An entry more adds to what there is.
    label(lab, "node2", "a")
    configure(lab, "interfaces: [eth7]", f"interfaces: [eth0], {RACK}")
    lab.wait_owner(address, among=["node2"])
    lab.wait_reason("node1", "web", address, "InterfaceNotSelected")


def test_labels_move_an_address(lab: Lab, make_service: MakeService) -> None:
    """From node to node as they are labelled, and no connection fails."""
    make_service("web")
    address = lab.wait_address("web")
    label(lab, "node1", "a")
    configure(lab, RACK)
    lab.wait_owner(address, among=["node1"])
    lab.wait_reason("node2", "web", address, "NodeNotSelected")
    wait_http(lab, address)
    for before, after in (("node1", "node2"), ("node2", "node3"), ("node3", "node1")):
        label(lab, after, "a")
        lab.wait_reason(after, "web", address, "NotOwner")
        label(lab, before, "b")

        def has_moved(before: str = before) -> bool:
            assert lab.get(address).status == 200
            return lab.announcement(before, "web", address)["reason"] == "NodeNotSelected"

        wait_for(f"{before} to let go", has_moved)
        lab.wait_owner(address, among=[after])
        assert lab.get(address).status == 200


def test_a_service_that_no_entry_is_for(lab: Lab, make_service: MakeService) -> None:
    configure(lab, "service-selectors: [{match-labels: {reach: all}}]")
    make_service("web")
    address = lab.wait_address("web")
    for node in NODES:
        lab.wait_reason(node, "web", address, "ServiceNotSelected")
    assert lab.arp_answers(address) == []
    lab.api.patch("Service", "web", {"metadata": {"labels": {"reach": "all"}}})
    lab.wait_owner(address)
    wait_http(lab, address)
    lab.api.patch("Service", "web", {"metadata": {"labels": {"reach": None}}})
    wait_for("nobody to answer", lambda: not lab.arp_answers(address))


def test_preferred_nodes_get_what_nobody_has(lab: Lab, make_service: MakeService) -> None:
    label(lab, "node3", "a")
    configure(lab, "preferred-nodes: [{weight: 10, match-labels: {rack: a}}]")
    for name in ("web", "more", "most"):
        make_service(name)
    addresses = [lab.wait_address(name) for name in ("web", "more", "most")]
    for address in addresses:
        lab.wait_owner(address, among=["node3"])
    # They stay when another one is preferred, and go there when they have to go.
    label(lab, "node2", "a")
    label(lab, "node3", None)
    for address in addresses:
        lab.wait_owner(address, among=["node3"])
    lab.api.patch("Node", "node3", {"metadata": {"annotations": {"fairlead.io/drain": "true"}}}, "")
    try:
        for address in addresses:
            lab.wait_owner(address, among=["node2"])
    finally:
        lab.api.patch("Node", "node3", {"metadata": {"annotations": {"fairlead.io/drain": None}}}, "")
