# SPDX-License-Identifier: Apache-2.0
"""Addresses that lie in no subnet of the LAN: a router there has a route to them by the link itself."""

from collections.abc import Iterator

import pytest
import yaml
from conftest import NODES, PODS, MakeService

from lab import arp, dual, ndp, netns, web
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

FOUR, SIX = "198.51.100.0/28", "2001:db8:51::/124"
ROUTER, ROUTER6 = "192.168.1.2", f"{dual.LAN}2"
FAR, FAR6 = "203.0.113", "fd00:9::"
TAKEOVER_SECONDS = 15.0


def configure(lab: Lab, entry: dict[str, object] | None) -> None:
    pool = {"name": "routed", "protocol": "layer2", "addresses": [FOUR, SIX]}
    config = yaml.safe_dump({"address-pools": [pool | ({"layer2": [entry]} if entry else {})]})
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": config}}, "fairlead-system")


def routed(*interfaces: str) -> dict[str, object]:
    return {"interfaces": list(interfaces), "subnet": "routed"}


@pytest.fixture(scope="module", autouse=True)
def both_families(lab: Lab) -> None:
    dual.add_lan(lab)
    for pod in PODS:
        dual.add_pod(lab, pod)


@pytest.fixture(scope="module")
def router(lab: Lab) -> str:
    """A machine on the LAN that has the pool on the link, and another behind it; proxy ARP has no part in it."""
    gateway, far = f"{lab.network.prefix}gateway", f"{lab.network.prefix}far"
    for name in (gateway, far):
        netns.create(name)
    netns.set_sysctls(gateway, {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})
    leg = [f"link add gateway type veth peer name eth0 address 02:f1:00:00:00:02 netns {gateway}"]
    netns.configure(lab.network.lan, [*leg, "link set gateway master br0", "link set gateway up"])
    netns.configure(
        gateway,
        [
            "link set lo up",
            f"addr add {ROUTER}/24 dev eth0",
            f"addr add {ROUTER6}/64 dev eth0 nodad",
            "link set eth0 up",
            f"link add eth1 type veth peer name eth0 netns {far}",
            f"addr add {FAR}.1/24 dev eth1",
            f"addr add {FAR6}1/64 dev eth1 nodad",
            "link set eth1 up",
            f"route add {FOUR} dev eth0",
            f"route add {SIX} dev eth0",
        ],
    )
    netns.configure(
        far,
        [
            "link set lo up",
            f"addr add {FAR}.2/24 dev eth0",
            f"addr add {FAR6}2/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via {FAR}.1",
            f"route add default via {FAR6}1",
        ],
    )
    for node in lab.network.nodes:
        back = [f"route add {FAR}.0/24 via {ROUTER}", f"route add {FAR6}/64 via {ROUTER6}"]
        netns.configure(node.namespace, back)
    return gateway


@pytest.fixture
def service(lab: Lab, make_service: MakeService, router: str) -> Iterator[tuple[str, str]]:
    """The addresses of a Service of both families."""
    configure(lab, routed("eth0"))
    make_service("web", ipFamilyPolicy="RequireDualStack")
    dual.endpoints(lab, "web", list(PODS), 8080)

    def assigned() -> tuple[str, ...]:
        found = tuple(lab.addresses("web"))
        return found if len(found) == 2 else ()

    try:
        four, six = wait_for("two addresses", assigned)
        yield four, six
    finally:
        lab.api.delete("EndpointSlice", "web-ipv6")


def owner_of(lab: Lab, router: str, address: str) -> str:
    """Who answers the router; "" if nobody does."""
    if ":" in address:
        source = f"{dual.LAN}2:{next(dual.questions):x}"
        found = [a.mac for a in ndp.ask(router, "02:f1:00:00:00:02", source, address)]
    else:
        found = [a.mac for a in arp.ask(router, "02:f1:00:00:00:02", ROUTER, address)]
    if len(found) > 1:
        raise LabError(f"{len(found)} answers for {address}")
    return lab.network.host_of_mac(found[0]) if found else ""


def wait_owner(lab: Lab, router: str, address: str, among: list[str] | None = None) -> str:
    def owner() -> str:
        found = owner_of(lab, router, address)
        return found if not among or found in among else ""

    return wait_for(f"one answer for {address}", owner, TAKEOVER_SECONDS)


def get(lab: Lab, address: str) -> web.Reply:
    return web.get(f"{lab.network.prefix}far", address, 80, "/", 1.0)


def test_a_router_reaches_what_is_in_no_subnet(lab: Lab, router: str, service: tuple[str, str]) -> None:
    owners = set()
    for address in service:
        wait_for(f"HTTP from {address}", lambda a=address: get(lab, a))
        owners.add(wait_owner(lab, router, address))
    assert len(owners) == 1, "one node has both"
    owner = owners.pop()
    for address in service:
        for node in NODES:
            lab.wait_reason(node, "web", address, "Announced" if node == owner else "NotOwner")
        assert lab.announcement(owner, "web", address)["interface"] == "eth0"

    # Another node takes over, and tells the router.
    speaker = lab.speaker(owner)
    speaker.pause()
    try:
        others = [n for n in NODES if n != owner]
        for address in service:
            wait_owner(lab, router, address, others)
            wait_for(f"HTTP from {address} by way of another node", lambda a=address: get(lab, a))
    finally:
        speaker.resume()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "NoInterface"),
        ({"interfaces": ["eth0"]}, "NoInterface"),
        ({"interfaces": ["eth0"], "subnet": "local"}, "NoInterface"),
        (routed("eth7"), "InterfaceNotSelected"),
    ],
)
def test_elsewhere_it_is_not_announced(
    lab: Lab, router: str, service: tuple[str, str], entry: dict[str, object] | None, reason: str
) -> None:
    for address in service:
        wait_owner(lab, router, address)
    configure(lab, entry)
    for address in service:
        for node in NODES:
            lab.wait_reason(node, "web", address, reason)
        assert not owner_of(lab, router, address)


def test_what_somebody_uses_is_not_taken(lab: Lab, make_service: MakeService, router: str) -> None:
    """Probes there find a machine that has the address, as they do in the LAN's subnet."""
    client = lab.network.client.namespace
    configure(lab, routed("eth0"))
    netns.configure(client, ["addr add 198.51.100.9/32 dev eth0"])
    try:
        make_service("web", loadBalancerIP="198.51.100.9")
        for node in NODES:
            lab.wait_reason(node, "web", "198.51.100.9", "AddressInUse")
        assert owner_of(lab, router, "198.51.100.9") == "client"
    finally:
        netns.configure(client, ["addr del 198.51.100.9/32 dev eth0"])
    wait_owner(lab, router, "198.51.100.9", list(NODES))
