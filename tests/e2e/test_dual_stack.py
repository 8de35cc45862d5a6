# SPDX-License-Identifier: Apache-2.0
"""Services with addresses of both families on a segment of both: one owner, traffic of either policy, and failover."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import NODES, PODS, WITH_PODS, MakeService

from lab import dual, ndp, net, netns, web
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

POOL = {
    "name": "both",
    "protocol": "layer2",
    "addresses": ["192.168.1.230-192.168.1.239", f"{dual.LAN}f0-{dual.LAN}ff"],
    "addresses-per-service": 2,
}


@pytest.fixture(scope="module", autouse=True)
def both_families(lab: Lab) -> None:
    dual.add_lan(lab)
    for pod in PODS:
        dual.add_pod(lab, pod)
    config = {"data": {"config": yaml.safe_dump({"address-pools": [POOL]})}}
    lab.api.patch("ConfigMap", "fairlead", config, "fairlead-system")


@pytest.fixture
def service(lab: Lab, make_service: MakeService) -> Iterator[tuple[str, str]]:
    """The addresses of a Service of both families, once one node owns both and both are carried."""
    make_service("web", ipFamilyPolicy="RequireDualStack")
    dual.endpoints(lab, "web", list(PODS), 8080)

    def assigned() -> tuple[str, ...]:
        found = tuple(lab.addresses("web"))
        return found if len(found) == 2 else ()

    try:
        four, six = wait_for("two addresses", assigned)
        for address in (four, six):
            wait_for(f"HTTP from {address}", lambda a=address: lab.get(a, timeout=1))
        yield four, six
    finally:
        lab.api.delete("EndpointSlice", "web-ipv6")


def wait_one_owner(lab: Lab, four: str, six: str, among: list[str] | None = None) -> str:
    def same() -> str:
        owner = dual.wait_owner(lab, six, 1, among)
        if lab.wait_owner(four, 1) != owner:
            raise LabError(f"{owner} owns only {six}")
        return owner

    return wait_for("one owner of both addresses", same)


def cached(lab: Lab, address: str) -> str:
    """The host that the client's kernel sends to for an address."""
    found = json.loads(netns.output(lab.client, ["ip", "-json", "neigh", "show", "to", address]))
    return lab.network.host_of_mac(found[0].get("lladdr", "")) if found else ""


def test_one_node_owns_both(lab: Lab, service: tuple[str, str]) -> None:
    four, six = service

    def told() -> str:
        owner = wait_one_owner(lab, four, six)
        for node in NODES:
            for address in (four, six):
                lab.wait_reason(node, "web", address, "Announced" if node == owner else "NotOwner", 1)
        return owner

    owner = wait_for("all nodes to agree who owns both addresses", told)
    # Neither its own kernel answers beside it, nor another node.
    for _ in range(3):
        dual.only_owner(lab, six)

    def counted() -> bool:
        stats = lab.daemon(owner)["l2"]["stats"]
        return all(stats[f"ndp_{name}"] > 0 for name in ("solicitations", "advertisements", "unsolicited"))

    wait_for("metrics of neighbour discovery", counted)


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_traffic(lab: Lab, service: tuple[str, str], policy: str) -> None:
    four, six = service
    lab.api.patch("Service", "web", {"spec": {"externalTrafficPolicy": policy}})
    clients = {four: net.CLIENT, six: f"[{dual.of_host(lab.network.client)}]"}

    def as_wanted(address: str) -> bool:
        """Local: the Pod is the owner's, and sees the client."""
        replies = [lab.get(address, timeout=1) for _ in range(10)]
        owner = cached(lab, address)
        if policy == "Cluster":
            return clients[address] not in {r.peer for r in replies} and len({r.name for r in replies}) == 2
        at = {lab.node_of_pod(r.pod) for r in replies}
        return {r.peer for r in replies} == {clients[address]} and at == {owner}

    for address in (four, six):
        wait_for(f"policy {policy} to act on {address}", lambda a=address: as_wanted(a))
    if policy == "Local":
        assert wait_one_owner(lab, four, six) in WITH_PODS


def test_several_of_one_family(lab: Lab, make_service: MakeService) -> None:
    """What the Service names is its own, on one node, and goes when it is named no more."""
    first, second = "192.168.1.232", "192.168.1.238"
    make_service("several", {"fairlead.io/addresses": f"{second},{first}"})

    def has(*wanted: str) -> None:
        wait_for(f"the addresses {wanted}", lambda: lab.addresses("several") == list(wanted))

    has(first, second)
    owner = lab.wait_owner(first)
    assert lab.wait_owner(second) == owner
    for address in (first, second):
        wait_for(f"HTTP from {address}", lambda a=address: lab.get(a, timeout=1))
        for node in NODES:
            lab.wait_reason(node, "several", address, "Announced" if node == owner else "NotOwner")
    lab.api.patch("Service", "several", {"metadata": {"annotations": {"fairlead.io/addresses": second}}})
    has(second)
    wait_for(f"nobody to answer for {first}", lambda: not lab.arp_answers(first))
    assert lab.get(second).name and lab.wait_owner(second) == owner


def test_both_move_when_the_owner_dies(lab: Lab, service: tuple[str, str]) -> None:
    four, six = service
    owner = wait_one_owner(lab, four, six)

    def known(address: str) -> bool:
        lab.get(address)
        return cached(lab, address) == owner

    for address in (four, six):
        wait_for(f"the client to know who has {address}", lambda a=address: known(a))
    lab.cut(owner)
    try:
        others = [n for n in NODES if n != owner]
        heir = wait_one_owner(lab, four, six, others)
        # The client's kernel has heard of it, unasked.
        for address in (four, six):
            wait_for(f"the client to know who has {address}", lambda a=address: cached(lab, a) == heir)
            wait_for(f"HTTP from {address}", lambda a=address: lab.get(a, timeout=1))
    finally:
        lab.heal(owner)
    lab.wait_reason(owner, "web", six, "NotOwner")
    assert wait_one_owner(lab, four, six) == heir, "who returns takes nothing"


def test_a_machine_that_takes_the_address_is_told(lab: Lab, service: tuple[str, str]) -> None:
    """Duplicate address detection: another kernel asks before it uses the address, and is answered."""
    _, six = service
    netns.configure(lab.client, [f"addr add {six}/64 dev eth0"])
    try:

        def failed() -> bool:
            shown = netns.output(lab.client, ["ip", "-6", "addr", "show", "dev", "eth0", "to", six])
            return "dadfailed" in shown

        wait_for("duplicate address detection to fail", failed)
    finally:
        netns.configure(lab.client, [f"addr del {six}/64 dev eth0"])
    dual.only_owner(lab, six)


def has_joined(lab: Lab, node: str, group: str) -> bool:
    shown = json.loads(netns.output(lab.host(node).namespace, ["ip", "-json", "-6", "maddr", "show", "dev", "eth0"]))
    return group in [m["address"] for link in shown for m in link["maddr"]]


def test_groups_of_wanted_addresses_are_joined(lab: Lab, service: tuple[str, str]) -> None:
    """By each node, whether it owns the address or not, for as long as the address is wanted."""
    group = ndp.group_of(service[1])
    for node in NODES:
        wait_for(f"{node} to join {group}", lambda n=node: has_joined(lab, n, group))
    lab.api.delete("Service", "web")
    for node in NODES:
        wait_for(f"{node} to leave {group}", lambda n=node: not has_joined(lab, n, group))


def holders(namespace: str, mac: str) -> int:
    """How many want the frames of a group from the card eth0."""
    with netns.entered(namespace):
        rows = [line.split() for line in Path("/proc/thread-self/net/dev_mcast").read_text("ascii").splitlines()]
    return sum(int(row[2]) for row in rows if row[1] == "eth0" and row[4] == mac.replace(":", ""))


def test_heartbeats_of_either_family_are_let_in(lab: Lab) -> None:
    """By a membership of the speaker's own: the kernel has none for IPv6 where that is off."""
    for mac in ("01:00:5e:00:00:ad", ndp.group_mac(ndp.ALL_NODES)):
        kernel = holders(lab.client, mac)
        for node in NODES:
            where = lab.host(node).namespace
            wait_for(f"the speaker of {node} to join {mac}", lambda w=where, m=mac, k=kernel: holders(w, m) > k)


def test_no_answer_for_what_is_not_ours(lab: Lab, service: tuple[str, str]) -> None:
    assert dual.answers(lab, f"{dual.LAN}ab") == []
    with pytest.raises(web.Unreachable):
        web.get(lab.client, f"{dual.LAN}ab", timeout=0.5)
