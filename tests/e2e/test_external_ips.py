# SPDX-License-Identifier: Apache-2.0
"""External IPs: those that a pool gave and those that are allowed are announced and served, the others are neither."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import NODES, WITH_PODS, MakeService, our_rules
from test_service import refused, wait_http
from test_status import fairlead

from lab import net, netns, web
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

ALLOWED, DENIED = "192.168.1.224", "192.168.1.200"  # on the LAN
FROM_POOL = "192.168.1.232"
FAR, FAR_DENIED = "203.0.113.7", "203.0.113.200"  # the client sends there by way of a node
CONFIG = """\
address-pools:
- name: lan
  protocol: layer2
  addresses: [192.168.1.240-192.168.1.250]
- name: external
  protocol: layer2
  use: external-ip
  addresses: [192.168.1.232-192.168.1.239]
external-ips:
  allow: [192.168.1.224/29, 192.168.1.12/32, 203.0.113.0/25]
  namespaces: [default]
"""


@pytest.fixture(autouse=True)
def configured(lab: Lab) -> Iterator[None]:
    configure(lab, CONFIG)
    yield


def configure(lab: Lab, config: str) -> None:
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": config}}, "fairlead-system")


def make_external(make_service: MakeService, name: str, *ips: str, **spec: Any) -> None:
    make_service(name, **{"type": "ClusterIP", "externalIPs": list(ips), **spec})


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_every_type_is_reached_by_arp(lab: Lab, make_service: MakeService, kind: str) -> None:
    make_external(make_service, "web", ALLOWED, type=kind)
    owner = lab.wait_owner(ALLOWED)
    for node in NODES:
        lab.wait_reason(node, "web", ALLOWED, "Announced" if node == owner else "NotOwner")
    reply = wait_http(lab, ALLOWED)
    assert reply.peer != net.CLIENT
    if kind == "LoadBalancer":
        # Its own address comes beside it, and is another.
        address = lab.wait_address("web")
        assert address != ALLOWED
        wait_http(lab, address)
    # An address that is ours has no other ports.
    assert refused(lambda: lab.get(ALLOWED, 81)) == "refused"
    # From inside as well: from a node, and from a Pod that the Service may send back to itself.
    lab.wait_carried("web")
    assert lab.get_from("node3", ALLOWED).status == 200
    seen = {lab.get_from_pod("webapp-a", ALLOWED).pod for _ in range(30)}
    assert seen == {"webapp-a", "webapp-b", "webapp-c"}


def test_policy_local_is_theirs_as_well(lab: Lab, make_service: MakeService) -> None:
    make_external(make_service, "web", ALLOWED, FAR, externalTrafficPolicy="Local")
    owner = lab.wait_owner(ALLOWED, among=list(WITH_PODS))
    lab.wait_reason("node3", "web", ALLOWED, "NoLocalEndpoint")
    lab.wait_carried("web")
    replies = [lab.get(ALLOWED) for _ in range(10)]
    assert {r.peer for r in replies} == {net.CLIENT}
    assert {lab.node_of_pod(r.pod) for r in replies} == {owner}
    # A Pod of a node without endpoints takes the short way to any.
    assert lab.get_from("node3", ALLOWED).status == 200
    with routed(lab, "node3"):
        assert refused(lambda: lab.get(FAR, timeout=1)) == "timeout"


class routed:
    """The client sends to 203.0.113.0/24 by way of a node."""

    def __init__(self, lab: Lab, node: str) -> None:
        self._lab, self._via = lab, lab.host(node).address

    def __enter__(self) -> None:
        netns.configure(self._lab.client, [f"route add 203.0.113.0/24 via {self._via}"])

    def __exit__(self, *_: object) -> None:
        netns.configure(self._lab.client, ["route del 203.0.113.0/24"])


def rules_about(lab: Lab, address: str) -> list[str]:
    return [line for node in NODES for line in our_rules(lab, node) if f" {address}/32 " in line]


def test_what_is_not_allowed_is_neither_announced_nor_served(lab: Lab, make_service: MakeService) -> None:
    make_external(make_service, "web", ALLOWED, DENIED, FAR, FAR_DENIED)
    lab.wait_owner(ALLOWED)
    wait_http(lab, ALLOWED)
    for node in NODES:
        for address in (DENIED, FAR_DENIED):
            lab.wait_reason(node, "web", address, "ExternalIpNotAllowed")
        # Layer 2 does not reach that one; it is served all the same to whom it comes.
        lab.wait_reason(node, "web", FAR, "NoInterface")
    assert lab.arp_answers(DENIED) == []
    assert rules_about(lab, DENIED) == [] == rules_about(lab, FAR_DENIED)
    with routed(lab, "node1"):
        wait_http(lab, FAR)
        assert refused(lambda: lab.get(FAR_DENIED, timeout=1)) != "answered"
    # Nor does a node or a Pod get there.
    assert refused(lambda: lab.get_from("node1", FAR_DENIED, timeout=1)) != "answered"
    assert refused(lambda: lab.get_from_pod("webapp-a", FAR_DENIED, timeout=1)) != "answered"
    text = fairlead(lab, "status", "-o", "wide", "--exit-code=answer")
    (line,) = [line for line in text.splitlines() if DENIED in line]
    assert "external-ip-handwritten" in line and "ExternalIpNotAllowed" in line
    metrics = web.get(lab.network.control_plane.namespace, lab.host("node1").address, 17482, "/metrics").body
    assert 'fairlead_decision{reason="ExternalIpNotAllowed"} 2' in metrics


def test_another_namespace_is_not_allowed(lab: Lab, make_service: MakeService) -> None:
    make_external(make_service, "web", ALLOWED)
    lab.wait_owner(ALLOWED)
    configure(lab, CONFIG.replace("[default]", "[edge]"))
    lab.wait_reason("node1", "web", ALLOWED, "ExternalIpNotAllowed")
    wait_for("silence", lambda: lab.arp_answers(ALLOWED) == [])
    wait_for("the rules to go", lambda: rules_about(lab, ALLOWED) == [])
    configure(lab, CONFIG)
    lab.wait_owner(ALLOWED)
    wait_http(lab, ALLOWED)


def test_one_that_a_pool_gave(lab: Lab, make_service: MakeService) -> None:
    make_service("given", {"fairlead.io/external-ips": "external"}, type="ClusterIP")
    owner = lab.wait_owner(FROM_POOL)
    assert lab.api.get("Service", "given")["spec"]["externalIPs"] == [FROM_POOL]
    wait_http(lab, FROM_POOL)
    lab.wait_reason(owner, "given", FROM_POOL, "Announced")
    assert lab.announcement(owner, "given", FROM_POOL)["kind"] == "external-ip-assigned"
    (said,) = json.loads(fairlead(lab, "explain", "given", "-o", "json"))
    assert (said["address"], said["kind"], said["pool"]) == (FROM_POOL, "external-ip-assigned", "external")
    assert {n["node"]: n["announce"] for n in said["nodes"]} == {n: n == owner for n in NODES}
    # What is not asked for any more is taken back, and goes from the wire.
    lab.api.patch("Service", "given", {"metadata": {"annotations": {"fairlead.io/external-ips": None}}})
    wait_for("silence", lambda: lab.arp_answers(FROM_POOL) == [])
    wait_for("the rules to go", lambda: rules_about(lab, FROM_POOL) == [])


def test_a_pools_address_written_by_hand_is_denied(lab: Lab, make_service: MakeService) -> None:
    make_external(make_service, "taken", "192.168.1.234")
    lab.wait_reason("node1", "taken", "192.168.1.234", "ExternalIpNotAllowed")
    assert lab.arp_answers("192.168.1.234") == []
    text = fairlead(lab, "explain", "taken")
    assert "external IP written by hand, pool external" in text
    assert "external-ips of the configuration" in text


def test_the_earlier_of_two_has_it(lab: Lab, make_service: MakeService) -> None:
    selector = {"app": "webapp", "version": "1.0.0"}
    make_external(make_service, "a-first", ALLOWED, selector=selector)
    lab.wait_owner(ALLOWED)
    make_external(make_service, "b-second", ALLOWED, selector={"app": "webapp", "version": "2.0.0"})
    for node in NODES:
        lab.wait_reason(node, "b-second", ALLOWED, "AddressShared")
    assert {wait_http(lab, ALLOWED).name for _ in range(8)} == {"webapp 1.0.0"}
    lab.api.patch("Service", "a-first", {"spec": {"externalIPs": None}})

    def by_the_second() -> bool:
        name = lab.get(ALLOWED, timeout=1).name
        if name != "webapp 2.0.0":
            raise LabError(name)
        return True

    wait_for("the second one to have it", by_the_second)


def test_a_record_takes_no_load_balancers_address(lab: Lab, make_service: MakeService) -> None:
    configure(lab, CONFIG.replace("- name: external", "  use: [load-balancer, external-ip]\n- name: external"))
    make_external(make_service, "a-forger", selector={"app": "webapp", "version": "2.0.0"})
    make_service("victim", selector={"app": "webapp", "version": "1.0.0"})
    address = lab.wait_address("victim")
    wait_http(lab, address)
    for replica in ("a", "b"):
        lab.processes[f"controller-{replica}"].pause()  # it would take the record back
    try:
        lab.api.patch(
            "Service",
            "a-forger",
            {
                "metadata": {"annotations": {"fairlead.io/external-ips-assigned": address}},
                "spec": {"externalIPs": [address]},
            },
        )
        for node in NODES:
            lab.wait_reason(node, "a-forger", address, "AddressShared")
        assert {lab.get(address).name for _ in range(10)} == {"webapp 1.0.0"}
    finally:
        for replica in ("a", "b"):
            lab.processes[f"controller-{replica}"].resume()


def test_a_nodes_own_address_is_carried_and_not_announced(lab: Lab, make_service: MakeService) -> None:
    own = lab.host("node2").address
    make_external(make_service, "web", own)
    for node in NODES:
        lab.wait_reason(node, "web", own, "NodeAddress")
    wait_http(lab, own)
    assert lab.owners(own) == ["node2"]
    assert lab.daemon("node2", "/healthz")  # its other ports are open as before


def test_udp(lab: Lab, make_service: MakeService) -> None:
    ports = [{"name": "dns", "port": 5353, "targetPort": 8080, "protocol": "UDP"}]
    make_external(make_service, "dns", ALLOWED, ports=ports)
    lab.wait_owner(ALLOWED)
    reply = wait_for("a datagram back", lambda: web.udp(lab.client, ALLOWED, 5353, 1))
    assert reply.name.startswith("webapp")
