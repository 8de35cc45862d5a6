# SPDX-License-Identifier: Apache-2.0
"""Connections outlive a move of their address: the new owner hands what it does not know to the one before.

In each mode that carries traffic; what is downloaded are numbered lines, so nothing can be missing unnoticed.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import yaml
from conftest import NODES, PODS, MakeService, open_lab
from proxyload import Downloads, Loop, Source

from lab import dual, netns
from lab.cluster import Lab
from lab.load import Load
from lab.waiting import PATIENCE, wait_for

POOL = {
    "name": "both",
    "protocol": "layer2",
    "addresses": ["192.168.1.230-192.168.1.239", f"{dual.LAN}f0-{dual.LAN}ff"],
}
DRAIN = "fairlead.io/drain"
PORT = 9100
AT_A_TIME = 12
FOR_EVER = 1 << 30

Addresses = Callable[[str], dict[int, str]]


@pytest.fixture(scope="module", params=["iptables", "nftables", pytest.param("ipvs", marks=pytest.mark.ipvs)])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def lab(mode: str) -> Iterator[Lab]:
    with open_lab() as opened:
        opened.start_cluster()
        opened.apply("fairlead.yaml")
        opened.apply("webapp.yaml")
        opened.start_controller("a")
        for node in NODES:
            opened.start_speaker(node, "--proxy-mode", mode)
        wait_for("the Pods to be ready", lambda: all(opened.pod_ready(p) for p in PODS))
        for node in NODES:
            wait_for(f"{node}'s speaker to be ready", lambda n=node: opened.daemon(n, "/readyz"))
        dual.add_lan(opened)
        config = {"data": {"config": yaml.safe_dump({"address-pools": [POOL]})}}
        opened.api.patch("ConfigMap", "fairlead", config, "fairlead-system")
        with sources(opened):
            yield opened
        opened.stop_daemons()


@contextmanager
def sources(lab: Lab) -> Iterator[None]:
    """Each Pod sends lines, by both families."""
    loops = []
    for pod in PODS:
        dual.add_pod(lab, pod)
        loops.append(Loop(f"{lab.network.prefix}pod-{pod}"))
        Source(pod, loops[-1], "", PORT)
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()


@pytest.fixture
def addresses(lab: Lab, make_service: MakeService) -> Iterator[Addresses]:
    """Of a Service with this traffic policy, by family."""

    def make(policy: str) -> dict[int, str]:
        ports = [{"name": "http", "port": 80, "targetPort": PORT}]
        make_service("lines", ipFamilyPolicy="RequireDualStack", externalTrafficPolicy=policy, ports=ports)
        dual.endpoints(lab, "lines", list(PODS), PORT)
        found = wait_for("both addresses", lambda: len(lab.addresses("lines")) == 2 and lab.addresses("lines"))
        for address in found:
            wait_for(f"lines from {address}", lambda address=address: answers(lab, address), 60)
        return {6 if ":" in address else 4: address for address in found}

    try:
        yield make
    finally:
        lab.api.delete("EndpointSlice", "lines-ipv6")


def owner_of(lab: Lab, address: str) -> str:
    return dual.wait_owner(lab, address) if ":" in address else lab.wait_owner(address)


def announces(lab: Lab, node: str, address: str) -> bool:
    return lab.announcement(node, "lines", address).get("reason") == "Announced"


@contextmanager
def drained(lab: Lab, node: str, addresses: dict[int, str]) -> Iterator[str]:
    """Its addresses have moved; the name of the node that has them."""
    others = [n for n in NODES if n != node]
    lab.api.patch("Node", node, {"metadata": {"annotations": {DRAIN: "true"}}}, "")
    try:
        yield wait_for(
            "another owner of both",
            lambda: next((n for n in others if all(announces(lab, n, a) for a in addresses.values())), ""),
        )
    finally:
        lab.api.patch("Node", node, {"metadata": {"annotations": {DRAIN: None}}}, "")


def answers(lab: Lab, address: str) -> bool:
    with Downloads(lab.client, address, 80, 1, 1) as one:
        wait_for("an answer or none", lambda: one.n_done or one.failures, 60)
        one.stop()
    return not one.failures


def begin(downloads: Downloads) -> None:
    wait_for("downloads", lambda: downloads.n_lines > 10 * AT_A_TIME)


def go_on(downloads: Downloads) -> None:
    """Some time, or until one has failed."""
    lines = downloads.n_lines
    wait_for("more lines", lambda: downloads.failures or downloads.n_lines > lines + 50 * AT_A_TIME, 60)


def table(lab: Lab, node: str, family: int) -> str:
    name = "ip" if family == 4 else "ip6"
    return netns.output(lab.host(node).namespace, ["sh", "-c", f"nft list table {name} fairlead-relay 2>&1 || true"])


def n_relayed(lab: Lab, node: str) -> int:
    lines = lab.daemon(node, "/metrics").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("fairlead_l2_relayed_packets_total ")))


def relayed(lab: Lab, node: str) -> dict[str, str]:
    """The addresses that it has taken over, and from whom."""
    return {a["address"]: a["node"] for a in lab.daemon(node)["relay"]["addresses"]}


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_downloads_go_on(lab: Lab, addresses: Addresses, policy: str) -> None:
    both = addresses(policy)
    owner = owner_of(lab, both[4])
    wait_for("one owner of both", lambda: owner_of(lab, both[6]) == owner)
    with (
        Downloads(lab.client, both[4], 80, AT_A_TIME, FOR_EVER) as by4,
        Downloads(lab.client, both[6], 80, AT_A_TIME, FOR_EVER) as by6,
    ):
        begin(by4)
        begin(by6)
        before = n_relayed(lab, owner)
        with drained(lab, owner, both) as heir:
            go_on(by4)
            go_on(by6)
            assert relayed(lab, heir) == {address: owner for address in both.values()}
            assert n_relayed(lab, heir) > 100
            assert n_relayed(lab, owner) in (before, 0)
            by4.stop()
            by6.stop()
    assert not by4.failures + by6.failures
    assert by4.n_done == by6.n_done == AT_A_TIME


def test_a_restart_of_the_new_owner_breaks_none(lab: Lab, addresses: Addresses) -> None:
    both = addresses("Cluster")
    owner = owner_of(lab, both[4])
    with Downloads(lab.client, both[4], 80, AT_A_TIME, FOR_EVER) as downloads:
        begin(downloads)
        with drained(lab, owner, both) as heir:
            go_on(downloads)
            lab.speaker(heir).stop()
            lab.restart(f"speaker-{heir}")
            wait_for("the speaker to be ready", lambda: lab.daemon(heir, "/readyz"))
            wait_for("it to announce", lambda: announces(lab, heir, both[4]))
            wait_for("it to know whose they were", lambda: relayed(lab, heir).get(both[4]) == owner)
            go_on(downloads)
            downloads.stop()
    assert not downloads.failures


def test_without_the_rules_they_break(lab: Lab, addresses: Addresses) -> None:
    """What the others prove would otherwise be proven by nothing."""
    both = addresses("Cluster")
    owner = owner_of(lab, both[4])
    with Downloads(lab.client, both[4], 80, AT_A_TIME, FOR_EVER) as downloads:
        begin(downloads)
        for node in set(NODES) - {owner}:
            wait_for("a table", lambda n=node: both[4] in table(lab, n, 4))
            netns.output(lab.host(node).namespace, ["nft", "flush", "chain", "ip", "fairlead-relay", "prerouting"])
        with drained(lab, owner, both):
            wait_for("failures", lambda: len(downloads.failures) >= AT_A_TIME // 2)
            downloads.stop()


def test_an_upgrade_fails_nobody(lab: Lab, make_service: MakeService) -> None:
    """One speaker after the other is replaced, as a DaemonSet does it."""
    ports = [
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "lines", "port": 81, "targetPort": PORT},
    ]
    make_service("web", ports=ports)
    address = lab.wait_address("web")
    wait_for(f"HTTP from {address}", lambda: lab.get(address, timeout=1))
    with (
        Load(lab.client, address, per_second=1000 // PATIENCE) as load,
        Downloads(lab.client, address, 81, 100, FOR_EVER) as downloads,
    ):
        wait_for("downloads", lambda: downloads.n_lines > 500, 60)
        for node in NODES:
            lab.speaker(node).stop()
            gone = len(load.outcomes)
            wait_for("connections without it", lambda gone=gone: len(load.outcomes) > gone + 30, 60)
            lab.restart(f"speaker-{node}")
            wait_for("the speaker to be ready", lambda n=node: lab.daemon(n, "/readyz"))
            back = len(load.outcomes)
            wait_for("connections with it", lambda back=back: len(load.outcomes) > back + 100, 60)
        downloads.stop()
    assert not load.failures, load.summary()
    assert not downloads.failures
    assert downloads.n_done == 100


def test_what_nobody_knows_goes_round_nowhere(lab: Lab, addresses: Addresses) -> None:
    """A packet of no connection: the new owner hands it over, and the one before refuses it by itself."""
    both = addresses("Cluster")
    owner = owner_of(lab, both[4])
    with drained(lab, owner, both) as heir:
        before = n_relayed(lab, heir), n_relayed(lab, owner)
        netns.configure(lab.client, [f"neigh flush to {both[4]} dev eth0"])
        send_stray(lab, both[4], 31000)
        wait_for("it to be handed over", lambda: n_relayed(lab, heir) > before[0])
        assert n_relayed(lab, owner) == before[1]


def send_stray(lab: Lab, address: str, port: int) -> None:
    """An ACK without a connection."""
    head = struct.pack("!HHIIBBHHH", port, 80, 1, 1, 5 << 4, 0x10, 1024, 0, 0)
    ends = socket.inet_aton(lab.host("client").address) + socket.inet_aton(address)
    pseudo = ends + struct.pack("!BBH", 0, 6, len(head))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(head)) // 2}H", pseudo + head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:16] + struct.pack("!H", ~total & 0xFFFF) + head[18:]
    with netns.entered(lab.client), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as s:
        s.sendto(head, (address, 0))


def test_a_dead_node_gets_nothing_more(lab: Lab, addresses: Addresses) -> None:
    """And its speaker, once it is back, leaves nothing when it is cleaned up."""
    both = addresses("Cluster")
    owner = owner_of(lab, both[4])
    with drained(lab, owner, both) as heir:
        wait_for("it to know whose they were", lambda: len(relayed(lab, heir)) == 2)
        lab.speaker(owner).kill()
        wait_for("nothing to be handed over", lambda: not relayed(lab, heir))
        assert "No such" in table(lab, heir, 4) and "No such" in table(lab, heir, 6)
    clean = [lab.program("fairlead-speaker"), "--cleanup"]
    assert "table" in table(lab, owner, 4)
    netns.output(lab.host(owner).namespace, clean)
    assert "No such" in table(lab, owner, 4) and "No such" in table(lab, owner, 6)
    lab.restart(f"speaker-{owner}")
    wait_for("the speaker to be ready", lambda: lab.daemon(owner, "/readyz"))
