# SPDX-License-Identifier: Apache-2.0
"""The service proxy alone, judged by packets, in both variants of iptables.

Every test uses an address of its own and takes its Service away again.
"""

import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxyroom import (
    BOTH,
    BUILD,
    BY_NFTABLES,
    CLIENT,
    DROPPED_S,
    FOREIGN,
    FOREIGN6,
    GATE,
    MODES,
    NODE,
    POD,
    POD6,
    A,
    B,
    Driver,
    nft,
    ns,
    outcome,
    save,
    seen,
    sniffer_of,
    talk,
    udp_client,
)

from lab import ipvs, netns, web
from lab.waiting import wait_for

pytest_plugins = ["proxyroom"]


class Proxies:
    """A driver on each node."""

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.drivers = {node: Driver(node, variant, "--audit-ms", "1000") for node in NODE}
        self.made: set[tuple[str, str, int]] = set()

    def service(self, node: str, key: str, spec: str, family: int = 4) -> dict[str, Any]:
        self.made.add((node, key, family))
        return self.drivers[node].tell(f"service {key} {family} {spec}")


# Of both variants of iptables, for what a mode nftables has no part in.
iptables_alone = pytest.mark.parametrize("drivers", ["nft", "legacy"], indirect=True)


def iptables_of(variant: str) -> str:
    """The variant of the programs by which others write rules: beside tables of nftables that of nftables."""
    return "nft" if variant in BY_NFTABLES else variant


@pytest.fixture(scope="module", params=MODES)
def drivers(network: None, request: pytest.FixtureRequest) -> Iterator[Proxies]:
    before = {}
    for node in NODE:
        with netns.entered(ns(node)):
            for family, rules in (("iptables", FOREIGN), ("ip6tables", FOREIGN6)):
                restore = [f"{family}-{iptables_of(request.param)}-restore", "--noflush"]
                subprocess.run(restore, input=rules, text=True, check=True)
        before[node] = save(node, request.param)
    proxies = Proxies(request.param)
    yield proxies
    for node in NODE:
        proxies.drivers[node].stop()
        for _ in range(2):  # the second time there is nothing to do
            netns.output(ns(node), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])
            assert save(node, request.param) == before[node]
        for family in ("iptables", "ip6tables"):
            for table in ("nat", "filter"):
                for command in ("-F", "-X"):
                    netns.output(ns(node), [f"{family}-{iptables_of(request.param)}", "-t", table, command])


@pytest.fixture
def proxies(drivers: Proxies) -> Iterator[Proxies]:
    yield drivers
    for node, key, family in drivers.made:
        drivers.drivers[node].tell(f"remove {key} {family}")
    drivers.made.clear()


def test_cluster_ip(proxies: Proxies) -> None:
    proxies.service("node1", "t/cluster-ip", f"cluster-ip=10.96.0.10 port=tcp/80 {BOTH}")
    # A Pod keeps its address, but where it reaches itself.
    assert seen("pod1", "10.96.0.10") == {"pod1": GATE["node1"], "pod2": POD["node1"]}
    # The node is masqueraded; so is what comes from outside.
    assert seen("node1", "10.96.0.10") == {"pod1": GATE["node1"], "pod2": NODE["node1"]}
    netns.configure(ns("client"), [f"route replace 10.96.0.10/32 via {NODE['node1']}"])
    assert seen("client", "10.96.0.10") == {"pod1": GATE["node1"], "pod2": NODE["node1"]}


def test_node_port(proxies: Proxies) -> None:
    proxies.service("node1", "t/node-port", f"cluster-ip=10.96.0.11 port=tcp/80/30011 {BOTH}")
    proxies.service("node2", "t/node-port", f"cluster-ip=10.96.0.11 port=tcp/80/30011 {A}")
    assert seen("client", NODE["node1"], 30011) == {"pod1": GATE["node1"], "pod2": NODE["node1"]}
    # A node without an endpoint: the Pod sees that node.
    assert seen("client", NODE["node2"], 30011) == {"pod1": NODE["node2"]}
    assert set(seen("node1", NODE["node1"], 30011)) == {"pod1", "pod2"}
    assert set(seen("pod1", NODE["node1"], 30011)) == {"pod1", "pod2"}
    assert outcome("client", NODE["node1"], 30012) == "refused"  # as before we came


def test_address_from_outside(proxies: Proxies) -> None:
    proxies.service("node1", "t/vip", f"cluster-ip=10.96.0.12 vip=203.0.113.12 port=tcp/80 {BOTH}")
    assert seen("client", "203.0.113.12") == {"pod1": GATE["node1"], "pod2": NODE["node1"]}
    assert set(seen("pod1", "203.0.113.12")) == {"pod1", "pod2"}
    assert set(seen("node1", "203.0.113.12")) == {"pod1", "pod2"}
    # The guard: no other port of the address leads anywhere, and says so.
    for namespace in ("client", "pod1", "node1"):
        assert outcome(namespace, "203.0.113.12", 81) == "refused"


def test_two_services_on_one_address(proxies: Proxies) -> None:
    """Port by port; of a port that both have the older Service has it, here by its name."""
    vip = "203.0.113.99"
    one = f"cluster-ip=10.96.0.98 vip={vip} port=tcp/80 {A} port=udp/53 {A}"
    two = f"cluster-ip=10.96.0.99 vip={vip} port=tcp/81 {B} port=tcp/80 {B}"
    proxies.service("node1", "t/shared-1", one)
    assert set(seen("client", vip)) == {"pod1"}
    proxies.service("node1", "t/shared-2", two)
    assert set(seen("client", vip)) == {"pod1"}
    assert set(seen("client", vip, 81)) == {"pod2"}
    with udp_client(vip, 53) as s:
        assert talk(s) == "pod1"
    assert outcome("client", vip, 82) == "refused"
    # One goes: what the other has is its own now, and the guard stays.
    proxies.drivers["node1"].tell("remove t/shared-1 4")
    assert set(seen("client", vip, 80)) == {"pod2"}
    assert set(seen("client", vip, 81)) == {"pod2"}
    for port in (53, 82):
        assert outcome("client", vip, port) == "refused"
    proxies.service("node1", "t/shared-1", one)
    proxies.drivers["node1"].tell("remove t/shared-2 4")
    assert set(seen("client", vip, 80)) == {"pod1"}
    assert outcome("client", vip, 81) == "refused"


def test_external_ip(proxies: Proxies) -> None:
    spec = f"cluster-ip=10.96.0.19 external-ip=203.0.113.19 port=tcp/80 {A}"
    # Source ranges are for the address of the load balancer alone.
    proxies.service("node1", "t/external", f"{spec} vip=203.0.113.20 range=198.51.100.0/24")
    assert seen("client", "203.0.113.19") == {"pod1": GATE["node1"]}
    assert outcome("client", "203.0.113.20") == "timeout"
    assert seen("pod1", "203.0.113.19") == {"pod1": GATE["node1"]}  # back to itself
    for namespace in ("client", "pod1", "node1"):
        assert outcome(namespace, "203.0.113.19", 81) == "refused"
    proxies.service("node1", "t/external", f"{spec} external=Local local={POD['node1']};8080")
    assert seen("client", "203.0.113.19") == {"pod1": CLIENT}
    proxies.service("node1", "t/external", spec.replace(f"external-ip=203.0.113.19 port=tcp/80 {A}", "port=tcp/80 any"))
    assert outcome("client", "203.0.113.19") != "answered"


@pytest.mark.parametrize("kind", ["vip", "external-ip"])
def test_an_address_may_be_the_nodes_own(proxies: Proxies, kind: str) -> None:
    spec = f"cluster-ip=10.96.0.20 {kind}={NODE['node1']} port=tcp/80 {B}"
    proxies.service("node1", "t/own", spec)
    assert seen("client", NODE["node1"]) == {"pod2": NODE["node1"]}
    # What else listens on the node is reached as before.
    with netns.entered(ns("node1")):
        listener = socket.create_server((NODE["node1"], 81))
    with listener, netns.entered(ns("client")):
        socket.create_connection((NODE["node1"], 81), timeout=DROPPED_S).close()
    assert outcome("client", NODE["node1"], 82) == "refused"


def test_policy_local(proxies: Proxies) -> None:
    spec = f"cluster-ip=10.96.0.13 vip=203.0.113.13 external=Local port=tcp/80/30013 {A}"
    proxies.service("node1", "t/local", f"{spec} local={POD['node1']};8080")
    proxies.service("node2", "t/local", spec)
    # The client's address is kept, even where FORWARD drops by default; in mode nftables nothing could help there.
    firewall = [f"iptables-{iptables_of(proxies.variant)}", "-P", "FORWARD"]
    if proxies.variant not in BY_NFTABLES:
        netns.output(ns("node1"), [*firewall, "DROP"])
    assert seen("client", "203.0.113.13") == {"pod1": CLIENT}
    assert seen("client", NODE["node1"], 30013) == {"pod1": CLIENT}
    netns.output(ns("node1"), [*firewall, "ACCEPT"])
    # The node without an endpoint drops what comes from outside, and serves its Pods and itself.
    assert outcome("client", NODE["node2"], 30013) == "timeout"
    netns.configure(ns("client"), [f"route add 203.0.113.13/32 via {NODE['node2']}"])
    assert outcome("client", "203.0.113.13") == "timeout"
    netns.configure(ns("client"), ["route del 203.0.113.13/32"])
    assert seen("pod2", "203.0.113.13") == {"pod1": POD["node2"]}
    assert seen("node2", "203.0.113.13") == {"pod1": NODE["node2"]}
    # The cluster IP has its own policy.
    assert seen("pod2", "10.96.0.13") == {"pod1": POD["node2"]}


FIREWALLS = {
    "reject": ["-A FORWARD -j REJECT --reject-with icmp-host-prohibited"],
    "drop": ["-A FORWARD -j DROP"],
    "policy": ["-P FORWARD DROP"],
    "new": [
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -p tcp -m state --state NEW -j DROP",
    ],
    "chain": ["-N fw", "-A fw -s 198.51.100.9/32 -j DROP", "-A fw -j REJECT", "-A FORWARD -j fw"],
    "ufw": [
        *("-P FORWARD DROP", "-N ufw-before-forward", "-N ufw-user-forward", "-N ufw-reject-forward"),
        *("-A ufw-before-forward -j ufw-user-forward", "-A ufw-reject-forward -j REJECT"),
        *("-A FORWARD -j ufw-before-forward", "-A FORWARD -j ufw-reject-forward"),
    ],
}
POLICY = ["-N KUBE-ROUTER-FORWARD", f"-A KUBE-ROUTER-FORWARD -d {POD['node1']}/32 -j DROP"]


def iptables(node: str, variant: str, rules: list[str]) -> None:
    for rule in rules:
        netns.output(ns(node), [f"iptables-{variant}", "-w", "5", *rule.split()])


def undo(node: str, variant: str, rules: list[str]) -> None:
    """Takes rules away again, last one first, and with a chain whatever else stands in it."""
    for rule in reversed(rules):
        verb, chain = rule.split()[:2]
        if verb == "-N":
            iptables(node, variant, [f"-F {chain}", f"-X {chain}"])
        elif verb == "-P":
            iptables(node, variant, [f"-P {chain} ACCEPT"])
        else:
            iptables(node, variant, [rule.replace(verb, "-D", 1)])


@iptables_alone
@pytest.mark.parametrize("late", [False, True], ids=["before-us", "after-us"])
@pytest.mark.parametrize("firewall", FIREWALLS)
def test_a_host_firewall_lets_ours_through(proxies: Proxies, firewall: str, late: bool) -> None:
    variant, driver = proxies.variant, proxies.drivers["node1"]
    masqueraded = f"cluster-ip=10.96.0.29 vip=203.0.113.29 port=tcp/80 {B}"
    kept = f"cluster-ip=10.96.0.30 vip=203.0.113.30 port=tcp/80 {A} local={POD['node1']};8080 external=Local"
    lines = [f"service t/masqueraded 4 {masqueraded}", f"service t/kept 4 {kept}"]
    proxies.made.update({("node1", "t/masqueraded", 4), ("node1", "t/kept", 4)})
    netns.configure(ns("client"), [f"route replace {POD['node1']}/32 via {NODE['node1']}"])

    def reached() -> bool:
        return [outcome("client", host) for host in ("203.0.113.29", "203.0.113.30")] == ["answered"] * 2

    rules = FIREWALLS[firewall]
    if late:
        driver.tell(*lines)
        if len(rules) == 1:  # even before everything that is there, ours included
            rules = [rules[0].replace("-A", "-I", 1)]
        iptables("node1", variant, rules)
    else:
        driver.stop()
        iptables("node1", variant, rules)
        driver.start(*lines)
    try:
        wait_for("our flows to be accepted", reached, 30)
        assert [reached() for _ in range(12)] == [True] * 12
        # Nothing else is.
        assert outcome("client", POD["node1"], 8080) != "answered"
    finally:
        undo("node1", variant, rules)


@iptables_alone
def test_a_host_firewall_does_not_overrule_policies(proxies: Proxies) -> None:
    variant = proxies.variant
    proxies.service("node1", "t/policy", f"cluster-ip=10.96.0.29 vip=203.0.113.29 port=tcp/80 {A}")
    proxies.service("node1", "t/other", f"cluster-ip=10.96.0.30 vip=203.0.113.30 port=tcp/80 {B}")
    rules = [*POLICY, "-A FORWARD -j KUBE-ROUTER-FORWARD", "-A FORWARD -j REJECT"]
    iptables("node1", variant, rules)
    try:
        # Both came behind us: what accepts goes between them.
        wait_for("the policy to be heard", lambda: outcome("client", "203.0.113.29") == "timeout", 30)
        wait_for("the other flows to be accepted", lambda: outcome("client", "203.0.113.30") == "answered", 30)
    finally:
        undo("node1", variant, rules)


def test_marks_on_the_way_back(proxies: Proxies) -> None:
    """Where the look-up of a packet's source takes its mark along, as wg-quick has it, marks of ours mean nothing."""
    vip = "203.0.113.47"
    proxies.service("node1", "t/way-back", f"cluster-ip=10.96.0.47 vip={vip} port=tcp/80 {A}")
    netns.set_sysctls(ns("node1"), {"ipv4/conf/all/src_valid_mark": "1"})
    try:
        assert outcome("client", vip) == "answered"
    finally:
        netns.set_sysctls(ns("node1"), {"ipv4/conf/all/src_valid_mark": "0"})


def table(
    rules: str = "", policy: str = "drop", family: str = "inet", more: str = "", hook: str = "forward"
) -> str:
    """A firewall that others made with nft."""
    chain = f"type filter hook {hook} priority 0; policy {policy}\n{rules}"
    return f"table {family} fw {{\n{more}\nchain forward {{\n{chain}\n}}\n}}"


STATES = "ct state vmap {{ invalid : drop, established : accept, related : accept, new : {} }}"
SOME = "iifname eth7 accept"
# What it makes of new connections that are translated: for IPv4, and for IPv6 where that differs.
TABLES = {
    "nothing": ("", "passes"),
    "policy": (table(), "refused"),
    "ip": (table(family="ip"), "refused passes"),
    "ip6": (table(family="ip6"), "passes refused"),
    "input": (table(hook="input"), "passes"),
    "dormant": (table(more="flags dormant"), "passes"),
    "established": (table("ct state established,related accept\nct state invalid drop"), "refused"),
    "reject": (table("ct state established,related accept\ncounter reject", "accept"), "refused"),
    "reject-new": (table("ct state new reject", "accept"), "refused"),
    "log": (table('counter log prefix "no " drop', "accept"), "refused"),
    "some-are-refused": (table("ip saddr 198.51.100.0/24 drop\ntcp dport { 22, 23 } reject", "accept"), "passes"),
    "invalid": (table("ct state invalid drop", "accept"), "passes"),
    "accept": (table("accept"), "passes"),
    "accept-new": (table("ct state new,established accept"), "passes"),
    "accept-translated": (table("ct status dnat accept"), "passes"),
    "accept-some": (table(SOME), "uncertain"),
    "accept-some-reject": (table(f"{SOME}\nreject", "accept"), "uncertain"),
    "accept-a-set": (table("iifname { eth7, eth8 } accept"), "uncertain"),
    "accept-a-rate": (table("limit rate 5/second accept"), "uncertain"),
    "family": (table("meta nfproto ipv4 accept"), "passes refused"),
    "address": (table("ip saddr 10.0.0.0/8 accept"), "uncertain refused"),
    "jump": (table("jump more", more=f"chain more {{\n{SOME}\n}}"), "uncertain"),
    "jump-to-nothing": (table("jump more", more="chain more {\n}"), "refused"),
    "jump-to-drop": (table("jump more", "accept", more="chain more {\ndrop\n}"), "refused"),
    "some-jump-to-drop": (table("iifname eth7 jump more", "accept", more="chain more {\ndrop\n}"), "passes"),
    "jump-to-accept": (table("jump more", more="chain more {\nct status dnat accept\n}"), "passes"),
    "goto": (table("goto more\naccept", more="chain more {\n}"), "refused"),
    "return": (table("jump more", "accept", more="chain more {\niifname eth7 return\ndrop\n}"), "uncertain"),
    "map": (table(STATES.format("jump more"), more=f"chain more {{\n{SOME}\n}}"), "uncertain"),
    "map-to-accept": (table(STATES.format("jump more"), more="chain more {\nct status dnat accept\n}"), "passes"),
}


OURS = "ct mark and 0x1000 != 0 accept"


def test_tables_of_nftables_are_judged() -> None:
    """For one alone, all of them; what is certain is refused, and what nobody can tell is not."""
    name, found, tables = ns("judge"), {}, TABLES
    netns.create(name)
    try:
        for case, (text, _) in tables.items():
            nft(name, f"flush ruleset\n{text}\n")
            how = ["--variant", "legacy" if case == "log" else "nft"]
            with netns.entered(name):
                argv = [str(BUILD / "tests/proxy/proxyctl"), *how]
                done = subprocess.run(argv, input="complete\nwait\n", capture_output=True, text=True, check=True)
            forward = json.loads(done.stdout)["forward"]
            found[case] = " ".join(one["passage"] for one in forward)
            assert ("fw, chain" in str(forward)) == (found[case] != "passes passes")
    finally:
        netns.delete(name)
    assert found == {case: said if " " in said else f"{said} {said}" for case, (_, said) in tables.items()}


def test_a_table_of_nftables_that_refuses_is_noticed(proxies: Proxies) -> None:
    driver, vip = proxies.drivers["node1"], "203.0.113.35"
    proxies.service("node1", "t/fw", f"cluster-ip=10.96.0.35 vip={vip} port=tcp/80 {A}")

    def says(passage: str) -> None:
        wait_for(f"forwarding: {passage}", lambda: driver.tell()["forward"][0]["passage"] == passage, 20)

    says("passes")
    try:
        nft(ns("node1"), table())
        says("refused")
        assert outcome("client", vip) == "timeout"
        nft(ns("node1"), "add rule inet fw forward iifname eth0 accept")
        says("uncertain")
        nft(ns("node1"), "flush chain inet fw forward\nadd rule inet fw forward ct status dnat accept")
        if proxies.variant == "ipvs":
            says("refused")
            nft(ns("node1"), f"add rule inet fw forward {OURS}")
        says("passes")
        assert outcome("client", vip) == "answered"
    finally:
        nft(ns("node1"), "delete table inet fw")


def test_flows_that_are_not_ours_may_be_lopsided(proxies: Proxies) -> None:
    """A node that routes for others may see one half of a flow only, which conntrack calls invalid."""
    with netns.entered(ns("pod1")):
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    with netns.entered(ns("client")):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    netns.configure(ns("client"), [f"route replace {POD['node1']}/32 via {NODE['node1']}"])
    with sniffer, raw:
        sniffer.settimeout(2)
        # The answer to a connection that took another way: SYN and ACK.
        fields = (4711, 4712, 1, 1, 0x50, 0x12, 512)
        head = struct.pack(">HHIIBBHHH", *fields, 0, 0)
        pseudo = socket.inet_aton(CLIENT) + socket.inet_aton(POD["node1"]) + struct.pack(">HH", 6, len(head))
        total = sum(struct.unpack(f">{len(pseudo + head) // 2}H", pseudo + head))
        total = (total & 0xFFFF) + (total >> 16)
        raw.sendto(struct.pack(">HHIIBBHHH", *fields, ~total & 0xFFFF, 0), (POD["node1"], 0))
        while True:  # until it comes, or a timeout
            packet = sniffer.recv(2048)
            if packet[9] == 6 and packet[20:24] == struct.pack(">HH", 4711, 4712):
                break


def segment_size(sniffer: socket.socket, family: int) -> int:
    """What the next SYN that came in says of the largest segment that its sender takes."""
    while True:  # until it comes, or a timeout
        packet = sniffer.recv(2048)
        head = (packet[0] & 15) * 4 if family == 4 else 40
        tcp = packet[head:]
        if packet[9 if family == 4 else 6] != socket.IPPROTO_TCP or not tcp[13] & 2:
            continue
        assert tcp[20:22] == b"\x02\x04", "the option comes first"
        return int.from_bytes(tcp[22:24], "big")


@contextlib.contextmanager
def started_with(driver: Driver, options: tuple[str, ...], *lines: str) -> Iterator[None]:
    plain = driver.options
    driver.stop()
    driver.options = (*plain, *options)
    driver.start(*lines)
    try:
        yield
    finally:
        driver.stop()
        driver.options = plain
        driver.start()


def test_everything_is_masqueraded_where_one_wishes(proxies: Proxies) -> None:
    spec = f"service t/masquerade 4 cluster-ip=10.96.0.35 vip=203.0.113.35 external=Local port=tcp/80 {BOTH}"
    proxies.made.add(("node1", "t/masquerade", 4))
    with started_with(proxies.drivers["node1"], ("--masquerade-all",), f"{spec} local={POD['node1']};8080"):
        assert seen("pod1", "10.96.0.35") == {"pod1": GATE["node1"], "pod2": NODE["node1"]}
        # From outside policy Local keeps the address all the same.
        assert seen("client", "203.0.113.35") == {"pod1": CLIENT}


@pytest.mark.parametrize("family", [4, 6])
def test_node_ports_at_chosen_addresses(proxies: Proxies, family: int) -> None:
    chosen, other = (NODE["node1"], GATE["node1"]) if family == 4 else ("fd00:77::11", "fd00:244:1::1")
    ip, pod = ("10.96.0.36", POD["node1"]) if family == 4 else ("fd00:96::36", POD6["node1"])
    lines = [
        f"service t/chosen {family} cluster-ip={ip} port=tcp/80/30036 cluster={pod};8080",
        f"service t/nobody {family} cluster-ip={ip} port=tcp/81/30037",
    ]
    proxies.made |= {("node1", "t/chosen", family), ("node1", "t/nobody", family)}
    options = ("--nodeport-address", f"{chosen}/{32 if family == 4 else 128}")
    with started_with(proxies.drivers["node1"], options, *lines):
        assert set(seen("client", chosen, 30036, tries=5)) == {"pod1"}
        assert outcome("client", chosen, 30037) == "refused"
        # Elsewhere the ports are the node's own.
        assert outcome("pod1", other, 30036) == "refused"
        for port in (30036, 30037):
            with netns.entered(ns("node1")):
                where = socket.AF_INET if family == 4 else socket.AF_INET6
                listener = socket.create_server((other, port), family=where)
            with listener, netns.entered(ns("pod1")):
                socket.create_connection((other, port), timeout=DROPPED_S).close()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("clamp", ["off", "600", "pmtu"])
def test_segments_are_bounded_in_both_directions(proxies: Proxies, clamp: str, family: int) -> None:
    driver = proxies.drivers["node1"]
    plain, options = driver.options, () if clamp == "off" else ("--clamp-mss", clamp)
    vip, pod = ("203.0.113.34", POD["node1"]) if family == 4 else ("fd00:203::34", POD6["node1"])
    spec = f"cluster-ip={'10.96.0.34' if family == 4 else 'fd00:96::34'} vip={vip} port=tcp/80 cluster={pod};8080"
    whole, header = 1500, 40 if family == 4 else 60
    expected = {"off": whole - header, "600": 600, "pmtu": 1400 - header}[clamp]
    proxies.made.add(("node1", "t/segments", family))
    driver.stop()
    driver.options = (*plain, *options)
    driver.start(f"service t/segments {family} {spec}")
    # Behind the node is a path with less room, of which neither end knows.
    netns.configure(ns("node1"), ["link set pod0 mtu 1400"])
    netns.configure(ns("client"), [f"route replace {pod} via {NODE['node1'] if family == 4 else 'fd00:77::11'}"])
    try:
        for host, port, size in ((vip, 80, expected), (pod, 8080, whole - header)):  # others' flows are left alone
            with sniffer_of("pod1", family) as at_pod, sniffer_of("client", family) as at_client:
                assert outcome("client", host, port) == "answered"
                assert (segment_size(at_pod, family), segment_size(at_client, family)) == (size, size), host
    finally:
        netns.configure(ns("node1"), ["link set pod0 mtu 1500"])
        netns.configure(ns("client"), [f"route del {pod}"])
        driver.stop()
        driver.options = plain
        driver.start()


def test_internal_policy_local(proxies: Proxies) -> None:
    spec = f"cluster-ip=10.96.0.14 internal=Local port=tcp/80 {BOTH}"
    proxies.service("node1", "t/internal", f"{spec} local={POD['node1']};8080")
    proxies.service("node2", "t/internal", spec)
    assert set(seen("pod1", "10.96.0.14")) == {"pod1"}
    assert outcome("pod2", "10.96.0.14") == "timeout"


def test_source_ranges(proxies: Proxies) -> None:
    spec = f"cluster-ip=10.96.0.15 vip=203.0.113.15 port=tcp/80/30015 {B}"
    proxies.service("node1", "t/ranges", f"{spec} range={CLIENT}/32")
    assert seen("client", "203.0.113.15") == {"pod2": NODE["node1"]}
    assert outcome("pod1", "203.0.113.15") == "timeout"
    proxies.service("node1", "t/ranges", f"{spec} range=198.51.100.0/24")
    assert outcome("client", "203.0.113.15") == "timeout"
    assert seen("client", NODE["node1"], 30015) == {"pod2": NODE["node1"]}  # node ports are never filtered
    proxies.service("node1", "t/ranges", f"{spec} range=198.51.100.0/24 range=0.0.0.0/0")
    assert seen("client", "203.0.113.15") == {"pod2": NODE["node1"]}


def test_affinity(proxies: Proxies) -> None:
    spec = f"cluster-ip=10.96.0.16 vip=203.0.113.16 port=tcp/80 {BOTH}"
    proxies.service("node1", "t/affinity", f"{spec} affinity=600")
    first = seen("client", "203.0.113.16", tries=40)
    assert len(first) == 1
    # It stands when other endpoints come, and moves when its own goes.
    proxies.service("node1", "t/affinity", f"{spec} affinity=600 cluster=10.244.1.77;8080")
    assert set(seen("client", "203.0.113.16", tries=20)) == set(first)
    other = B if "pod1" in first else A
    spec = f"cluster-ip=10.96.0.16 vip=203.0.113.16 port=tcp/80 {other}"
    proxies.service("node1", "t/affinity", f"{spec} affinity=600")
    assert set(seen("client", "203.0.113.16", tries=20)) == {"pod1", "pod2"} - set(first)


def test_no_endpoints_are_refused(proxies: Proxies) -> None:
    spec = "cluster-ip=10.96.0.17 vip=203.0.113.17 port=tcp/80/30017 port=udp/53"
    proxies.service("node1", "t/none", spec)
    for namespace in ("pod1", "node1"):
        assert outcome(namespace, "10.96.0.17") == "refused"
        assert outcome(namespace, "203.0.113.17") == "refused"
    assert outcome("client", "203.0.113.17") == "refused"
    assert outcome("client", NODE["node1"], 30017) == "refused"
    with pytest.raises(web.Unreachable, match="refused"):
        web.udp(ns("client"), "203.0.113.17", 53)
    proxies.service("node1", "t/none", f"{spec} {A}".replace("port=udp/53", ""))
    assert set(seen("client", "203.0.113.17", tries=3)) == {"pod1"}


# Valid, and rare: what is set, of a family each, and where packets to an address, port and protocol end.
ODD = {
    "one number, two protocols": (
        [(4, f"cluster-ip=10.96.0.70 vip=203.0.113.70 port=tcp/80/30070 {A} port=udp/80/30070 {B}")],
        [
            ("client", "203.0.113.70", 80, "tcp", "pod1"),
            ("client", "203.0.113.70", 80, "udp", "pod2"),
            ("client", NODE["node1"], 30070, "tcp", "pod1"),
            ("client", NODE["node1"], 30070, "udp", "pod2"),
        ],
    ),
    "another's node port, at an address of the node": (
        [
            (4, f"cluster-ip=10.96.0.71 external-ip={NODE['node1']} port=tcp/30071 {A}"),
            (4, f"cluster-ip=10.96.0.72 port=tcp/80/30071 {B}"),
        ],
        [
            ("client", NODE["node1"], 30071, "tcp", "pod1"),
            ("pod1", GATE["node1"], 30071, "tcp", "pod2"),
        ],
    ),
    "another's cluster IP": (
        [
            (4, f"cluster-ip=10.96.0.73 port=tcp/80 {A}"),
            (4, f"cluster-ip=10.96.0.74 external-ip=10.96.0.73 port=tcp/80 {B} port=tcp/81 {B}"),
        ],
        [
            ("pod1", "10.96.0.73", 80, "tcp", "pod1"),
            ("pod1", "10.96.0.73", 81, "tcp", "pod2"),
            ("pod1", "10.96.0.74", 80, "tcp", "pod2"),
        ],
    ),
    "many ports, one endpoint": (
        [(4, "cluster-ip=10.96.0.75 " + " ".join(f"port=tcp/{n} {A}" for n in range(1000, 1060)))],
        [
            ("pod1", "10.96.0.75", 1000, "tcp", "pod1"),
            ("pod1", "10.96.0.75", 1059, "tcp", "pod1"),
        ],
    ),
    "a port that no slice has": (
        [(4, f"cluster-ip=10.96.0.76 vip=203.0.113.76 port=tcp/80 {A} port=tcp/81 port=udp/81 {B}")],
        [
            ("client", "203.0.113.76", 80, "tcp", "pod1"),
            ("client", "203.0.113.76", 81, "tcp", "refused"),
            ("client", "203.0.113.76", 81, "udp", "pod2"),
            ("pod1", "10.96.0.76", 81, "tcp", "refused"),
        ],
    ),
    "two families, endpoints of one": (
        [(4, f"cluster-ip=10.96.0.77 port=tcp/80 {A}"), (6, "cluster-ip=fd00:96::77 vip=fd00:203::77 port=tcp/80")],
        [
            ("pod1", "10.96.0.77", 80, "tcp", "pod1"),
            ("pod1", "fd00:96::77", 80, "tcp", "refused"),
            ("client", "fd00:203::77", 80, "tcp", "refused"),
        ],
    ),
    "the longest affinity, and the shortest": (
        [
            (4, f"cluster-ip=10.96.0.78 affinity=86400 port=tcp/80 {BOTH}"),
            (4, f"cluster-ip=10.96.0.79 affinity=1 port=tcp/80 {B}"),
        ],
        [
            ("node1", "10.96.0.78", 80, "tcp", "one"),
            ("pod1", "10.96.0.79", 80, "tcp", "pod2"),
        ],
    ),
    "ranges that are all addresses": (
        [(4, f"cluster-ip=10.96.0.80 vip=203.0.113.80 range=0.0.0.0/1 range=128.0.0.0/1 port=tcp/80 {B}")],
        [("client", "203.0.113.80", 80, "tcp", "pod2")],
    ),
}


def end_of(namespace: str, host: str, port: int, protocol: str) -> str:
    """Which Pod answers, or how that fails."""
    if protocol == "udp":
        with udp_client(host, port) as s:
            return talk(s)
    try:
        pods = set(seen(namespace, host, port, tries=8))
    except web.Unreachable as error:
        return error.kind
    return pods.pop() if len(pods) == 1 else "several"


@pytest.mark.parametrize("what", ODD)
def test_odd_services(proxies: Proxies, what: str) -> None:
    services, ends = ODD[what]
    for i, (family, spec) in enumerate(services):
        proxies.service("node1", f"t/odd-{i}", spec, family)
    for namespace, host, port, protocol, want in ends:
        end = end_of(namespace, host, port, protocol)
        assert end in ({"pod1", "pod2"} if want == "one" else {want}), (namespace, host, port, protocol)


def test_udp_follows_its_endpoints(proxies: Proxies) -> None:
    spec = "cluster-ip=10.96.0.18 vip=203.0.113.18 external-ip=203.0.113.118 port=udp/53/30018"
    proxies.service("node1", "t/udp", f"{spec} {A}")
    for host, port in (("203.0.113.18", 53), ("203.0.113.118", 53), (NODE["node1"], 30018)):
        with netns.entered(ns("client")):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.settimeout(2)
            s.connect((host, port))
            for endpoint, pod in ((A, "pod1"), (B, "pod2")):
                proxies.service("node1", "t/udp", f"{spec} {endpoint}")
                # The same socket: a flow that conntrack remembers.
                s.send(b"hello")
                assert f"Hostname: {pod}" in s.recv(2048).decode()


def test_udp_stays_with_an_endpoint_that_terminates(proxies: Proxies) -> None:
    spec = "cluster-ip=10.96.0.23 vip=203.0.113.23 port=udp/53"
    proxies.service("node1", "t/udp", f"{spec} {A}")
    with netns.entered(ns("client")):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.settimeout(2)
        s.connect(("203.0.113.23", 53))
        # Serving still, beside one that is ready; then gone.
        for endpoints, pod in ((A, "pod1"), (f"{B} {A.replace('cluster', 'kept')}", "pod1"), (B, "pod2")):
            proxies.service("node1", "t/udp", f"{spec} {endpoints}")
            s.send(b"hello")
            assert f"Hostname: {pod}" in s.recv(2048).decode()


UDP_ENDS = {
    "endpoint": "cluster-ip=10.96.0.25 vip=203.0.113.25 port=udp/53/30025",
    "port": f"cluster-ip=10.96.0.25 vip=203.0.113.25 port=tcp/53/30025 {A}",
    "addresses": f"cluster-ip=10.96.0.25 port=udp/53 {A}",
    "service": None,
}


@pytest.mark.parametrize("what", UDP_ENDS)
def test_udp_flows_end_with_what_they_used(proxies: Proxies, what: str) -> None:
    """With the last endpoint, the port, the address or the Service itself."""
    proxies.service("node1", "t/udp-ends", f"cluster-ip=10.96.0.25 vip=203.0.113.25 port=udp/53/30025 {A}")
    with udp_client("203.0.113.25", 53) as vip, udp_client(NODE["node1"], 30025) as node_port:
        assert talk(vip) == "pod1" and talk(node_port) == "pod1"
        spec = UDP_ENDS[what]
        if spec:
            proxies.service("node1", "t/udp-ends", spec)
        else:
            proxies.drivers["node1"].tell("remove t/udp-ends 4")
        wait_for("the flows to end", lambda: talk(vip) != "pod1" and talk(node_port) != "pod1", 20)


def test_udp_flows_to_node_ports_end_where_they_are_no_more(proxies: Proxies) -> None:
    """At an address that is no longer chosen, while the node runs and over a restart; not at the others."""
    spec = f"service t/udp-moves 4 cluster-ip=10.96.0.29 port=udp/53/30029 {A}"
    proxies.made.add(("node1", "t/udp-moves", 4))
    pods = "pods=10.244.0.0/16 pods=fd00:244::/32"
    driver = proxies.drivers["node1"]
    netns.configure(ns("client"), [f"route replace {GATE['node1']}/32 via {NODE['node1']}"])
    with udp_client(NODE["node1"], 30029) as ends, udp_client(GATE["node1"], 30029) as stays:
        driver.tell(spec)
        assert talk(ends) == talk(stays) == "pod1"
        driver.tell(f"node {pods} ports={GATE['node1']}/32 ports=::/0")
        wait_for("the flow to end", lambda: talk(ends) != "pod1", 20)
        assert talk(stays) == "pod1"
        driver.tell(f"node {pods} ports=0.0.0.0/0 ports=::/0")
        wait_for("the flow to be led again", lambda: talk(ends) == "pod1", 20)
        with started_with(driver, ("--nodeport-address", f"{GATE['node1']}/32"), spec):
            wait_for("the flow to end", lambda: talk(ends) != "pod1", 20)
            assert talk(stays) == "pod1"


def test_udp_flows_of_an_earlier_life_end(proxies: Proxies) -> None:
    """Also where the rules are right at the start, and where the Service went while nobody looked."""
    keep = f"service t/udp-keep 4 cluster-ip=10.96.0.26 vip=203.0.113.26 port=udp/53 {A}"
    gone = f"service t/udp-gone 4 cluster-ip=10.96.0.27 vip=203.0.113.27 port=udp/53 {A}"
    driver = proxies.drivers["node1"]
    proxies.made.update({("node1", "t/udp-keep", 4), ("node1", "t/udp-gone", 4)})
    driver.tell(keep, gone)
    # Before all of ours, in whatever mode.
    earlier = f"""table ip earlier {{
        chain to {{
            type nat hook prerouting priority -190; ip daddr 203.0.113.26 udp dport 53 dnat to {POD["node2"]}:8080;
        }}
        chain from {{
            type nat hook postrouting priority 50; ip daddr {POD["node2"]} meta l4proto udp masquerade;
        }}
    }}"""
    with udp_client("203.0.113.26", 53) as kept, udp_client("203.0.113.27", 53) as going:
        assert talk(going) == "pod1"
        driver.stop()
        nft(ns("node1"), earlier)
        assert talk(kept) == "pod2"  # as if that endpoint had gone while nobody looked
        nft(ns("node1"), "delete table ip earlier")
        assert talk(kept) == "pod2"
        driver.start(keep)
        wait_for("the flow to follow", lambda: talk(kept) == "pod1", 20)
        wait_for("the other one to end", lambda: talk(going) != "pod1", 20)


def send_flows(host: str, port: int, sources: int) -> None:
    """One packet from each of so many ports of each of two addresses, as if two machines were behind the client."""
    with netns.entered(ns("client")):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        for source in (CLIENT, "192.168.77.101"):
            head = struct.pack(
                ">BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(host)
            )
            for number in range(1024, 1024 + sources):
                raw.sendto(head + struct.pack(">HHHH", number, port, 8, 0), (host, 0))


def test_many_udp_flows_end(proxies: Proxies) -> None:
    """More than 65 536 of them, which take more than one look at the kernel's table."""
    if int(netns.output(ns("node1"), ["sysctl", "-n", "net.netfilter.nf_conntrack_max"])) < 150000:
        pytest.skip("the kernel tracks fewer than 150000 flows")
    spec = "cluster-ip=10.96.0.28 vip=203.0.113.28 port=udp/53"
    # They do not end by themselves meanwhile.
    netns.set_sysctls(ns("node1"), {"netfilter/nf_conntrack_udp_timeout": "600"})

    def count() -> int:
        return int(netns.output(ns("node1"), ["sysctl", "-n", "net.netfilter.nf_conntrack_count"]))

    others = count()  # of earlier tests
    # Nobody is there: a flow needs no answer.  Two, since a masqueraded one takes a port of the node's.
    proxies.service("node1", "t/udp-many", f"{spec} cluster=10.244.1.98;8080 cluster=10.244.1.99;8080")
    send_flows("203.0.113.28", 53, 40000)
    assert count() - others > 65536
    proxies.service("node1", "t/udp-many", f"{spec} {A}")
    wait_for("the flows to end", lambda: count() < others + 1000, 60)


def test_ipv6(proxies: Proxies) -> None:
    both = f"cluster={POD6['node1']};8080 cluster={POD6['node2']};8080"
    spec = f"cluster-ip=fd00:96::19 vip=fd00:203::19 port=tcp/80/30019 {both}"
    proxies.service("node1", "t/six", spec, 6)
    assert seen("pod1", "fd00:96::19") == {"pod1": "[fd00:244:1::1]", "pod2": "[fd00:244:1::2]"}
    assert seen("client", "fd00:203::19") == {"pod1": "[fd00:244:1::1]", "pod2": "[fd00:77::11]"}
    assert seen("client", "fd00:77::11", 30019) == {"pod1": "[fd00:244:1::1]", "pod2": "[fd00:77::11]"}
    assert outcome("client", "fd00:203::19", 81) == "refused"
    proxies.service("node1", "t/six", f"{spec} external=Local local={POD6['node1']};8080", 6)
    assert seen("client", "fd00:203::19") == {"pod1": "[fd00:77::100]"}
    proxies.service("node1", "t/six", "cluster-ip=fd00:96::19 vip=fd00:203::19 port=tcp/80", 6)
    assert outcome("client", "fd00:203::19") == "refused"


def test_ipv6_has_all_that_ipv4_has(proxies: Proxies) -> None:
    one, other = (f"cluster={POD6[node]};8080" for node in NODE)
    here, node1 = f"local={POD6['node1']};8080", "fd00:77::11"
    spec = "cluster-ip=fd00:96::24 vip=fd00:203::24"
    both = f"{spec} port=tcp/80/30024 {one} {other}"
    # Node ports, and back to itself.
    proxies.service("node1", "t/six", both, 6)
    assert set(seen("client", node1, 30024)) == {"pod1", "pod2"}
    assert seen("pod1", "fd00:96::24") == {"pod1": "[fd00:244:1::1]", "pod2": "[fd00:244:1::2]"}
    assert outcome("client", "fd00:203::24", 81) == "refused"
    # Policy Local keeps the client's address, and drops where no endpoint is.
    proxies.service("node1", "t/six", f"{both} {here} external=Local", 6)
    assert seen("client", "fd00:203::24") == {"pod1": "[fd00:77::100]"}
    assert set(seen("node1", "fd00:203::24")) == {"pod1", "pod2"}
    proxies.service("node1", "t/six", f"{both} external=Local", 6)
    assert outcome("client", node1, 30024) == "timeout"
    proxies.service("node1", "t/six", f"{both} range=fd00:99::/64", 6)
    assert outcome("client", "fd00:203::24") == "timeout"
    proxies.service("node1", "t/six", f"{both} range=fd00:99::/64 range=fd00:77::/64 affinity=60", 6)
    assert len(seen("client", "fd00:203::24")) == 1
    proxies.service("node1", "t/six", f"{spec} port=tcp/80/30024", 6)
    assert outcome("client", node1, 30024) == "refused"
    # UDP flows follow their endpoints.
    with netns.entered(ns("client")):
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with s:
        s.settimeout(2)
        s.connect(("fd00:203::24", 53))
        for endpoint, pod in ((one, "pod1"), (other, "pod2")):
            proxies.service("node1", "t/six", f"{spec} port=udp/53 {endpoint}", 6)
            s.send(b"hello")
            assert f"Hostname: {pod}" in s.recv(2048).decode()


def kinds_of_sets(node: str, family: str) -> set[str]:
    """For which there are chains, with tables of our own."""
    listed = netns.output(ns(node), ["nft", "list", "table", family, "fairlead"])
    return set(re.findall(r"chain near-(\d\S*)", listed))


def test_a_restart_changes_nothing(proxies: Proxies) -> None:
    driver = proxies.drivers["node1"]
    lines = [
        f"service t/keep 4 cluster-ip=10.96.0.20 vip=203.0.113.20 affinity=60 port=tcp/80/30020 {BOTH}",
        f"service t/keep6 6 cluster-ip=fd00:96::20 port=tcp/80 cluster={POD6['node1']};8080",
        "service t/keep-none 4 cluster-ip=10.96.0.21 vip=203.0.113.21 port=tcp/80/30021",
    ]
    proxies.made.update({("node1", "t/keep", 4), ("node1", "t/keep6", 6), ("node1", "t/keep-none", 4)})
    driver.tell(*lines)
    if proxies.variant in BY_NFTABLES:  # a look takes away what the tests before this one used
        wait_for("other chains to go", lambda: kinds_of_sets("node1", "ip") == {"2-for-60s"})
        wait_for("other chains of IPv6 to go", lambda: kinds_of_sets("node1", "ip6") <= {"1"})
    before = save("node1", proxies.variant)
    connection = web.Connection(ns("client"), "203.0.113.20", 80, 2)
    connection.request("GET", "/")
    connection.getresponse().read()

    driver.stop()
    assert save("node1", proxies.variant) == before
    status = driver.start(*reversed(lines))
    assert status["batches"] == 0 and status["lines_written"] == 0
    assert save("node1", proxies.variant) == before
    connection.request("GET", "/")  # on the same connection
    assert connection.getresponse().status == 200
    connection.close()

    # One Service went while nobody looked.
    driver.stop()
    status = driver.start(*lines[:2])
    assert 0 < status["lines_written"] < 20
    assert not [line for line in save("node1", proxies.variant) if "203.0.113.21" in line or "30021" in line]
    assert seen("client", "203.0.113.20", tries=1)


@iptables_alone
def test_a_node_without_the_match_bpf(proxies: Proxies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel has it not, each endpoint has a chain, and carries the same; when it has it, those chains go."""
    for family in ("iptables", "ip6tables"):
        program = tmp_path / f"{family}-{proxies.variant}"
        program.write_text(
            '#!/bin/sh\n[ "$*" = "-m bpf --help" ] && echo "Extension bpf revision 1 not supported" >&2\n'
            f'exec /usr/sbin/{program.name} "$@"\n'
        )
        program.chmod(0o755)
    driver = proxies.drivers["node1"]
    lines = [
        f"service t/old 4 cluster-ip=10.96.0.36 vip=203.0.113.36 port=tcp/80 {BOTH}",
        f"service t/old6 6 cluster-ip=fd00:96::36 port=tcp/80 cluster={POD6['node1']};8080",
    ]
    proxies.made.update({("node1", "t/old", 4), ("node1", "t/old6", 6)})
    path = os.environ["PATH"]
    for has_match in (False, True):
        monkeypatch.setenv("PATH", path if has_match else f"{tmp_path}:{path}")
        with started_with(driver, (), *lines):
            rules = save("node1", proxies.variant)
            assert any("-m bpf" in r for r in rules) == has_match
            assert any("FL-P-" in r for r in rules) != has_match
            assert seen("pod1", "10.96.0.36") == {"pod1": GATE["node1"], "pod2": POD["node1"]}
            assert seen("client", "203.0.113.36") == {"pod1": GATE["node1"], "pod2": NODE["node1"]}
            assert seen("pod1", "fd00:96::36") == {"pod1": "[fd00:244:1::1]"}


@iptables_alone
def test_kube_proxys_jump_stays_behind_ours(proxies: Proxies) -> None:
    """kube-proxy prepends its jump when it starts; the next look at the rules puts ours before it."""
    driver = proxies.drivers["node1"]
    iptables = [f"iptables-{proxies.variant}", "-t", "nat"]
    driver.stop()
    netns.output(ns("node1"), [*iptables, "-I", "PREROUTING", "-j", "KUBE-SERVICES"])
    driver.start()
    jumps = netns.output(ns("node1"), [*iptables, "-S", "PREROUTING"]).splitlines()
    assert jumps[1] == "-A PREROUTING -j FL-SVC"
    assert jumps.count("-A PREROUTING -j FL-SVC") == 1
    netns.output(ns("node1"), [*iptables, "-D", "PREROUTING", "-j", "KUBE-SERVICES"])


BREAKAGES = {
    "an inner chain is flushed": "-t nat -F FL-B-1f",
    "an endpoint's chain is emptied": "-t nat -F @endpoint",
    "a rule leads elsewhere": "-t nat -R @endpoint 2 -p tcp -j DNAT --to-destination 192.0.2.1:80",
    "a rule too many": "-t nat -I FL-B-1f -j RETURN",
    "the frame accepts nothing": "-t filter -F FL-ACC",
    "the guard is flushed": "-t filter -F FL-D-1f",
    "the mark is lost": "-t nat -F FL-POST",
    "a jump is deleted": "-t nat -D PREROUTING -j FL-SVC",
    "the accepting jump is deleted": "-t filter -D FORWARD -j FL-ACC",
    "a table is flushed": "-t nat -F",
    "the other table is flushed": "-t filter -F",
}


def ours(node: str, variant: str) -> list[str]:
    return sorted(line for line in save(node, variant) if "FL-" in line and "others" not in line)


@iptables_alone
@pytest.mark.parametrize("what", BREAKAGES)
def test_what_others_break_is_repaired(proxies: Proxies, what: str) -> None:
    variant, command = proxies.variant, f"iptables-{proxies.variant}"
    proxies.service("node1", "t/broken", f"cluster-ip=10.96.0.31 vip=203.0.113.31 port=tcp/80 {A}")
    proxies.service("node1", "t/whole", f"cluster-ip=10.96.0.32 vip=203.0.113.32 port=tcp/80 {B}")
    assert seen("client", "203.0.113.31", tries=1)
    before = ours("node1", variant)
    (endpoint,) = (line.split()[1] for line in before if f"{POD['node1']}:8080" in line)
    time.sleep(2.5)  # with legacy, so that the rules were looked at once
    argv = [command, "-w", "5", *BREAKAGES[what].replace("@endpoint", endpoint).split()]
    netns.output(ns("node1"), argv)
    wait_for("the rules to be back", lambda: ours("node1", variant) == before, 30)
    assert seen("client", "203.0.113.31", tries=1)
    if BREAKAGES[what].endswith("-F"):  # that took others' rules along
        start = FOREIGN.index("*filter")
        table = FOREIGN[:start] if "nat" in BREAKAGES[what] else FOREIGN[start:]
        with netns.entered(ns("node1")):
            subprocess.run([f"{command}-restore", "--noflush"], input=table, text=True, check=True)
    proxies.service("node1", "t/broken", f"cluster-ip=10.96.0.31 vip=203.0.113.31 port=tcp/80 {B}")
    assert seen("client", "203.0.113.31", tries=1)


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_a_restored_dump_does_not_last(variant: str) -> None:
    """It brings back the frame, which looks right, and chains of the day when it was made."""
    name = f"audit-{variant}"
    netns.create(ns(name))
    try:
        driver = Driver(name, variant, "--audit-ms", "10")
        spec = "service t/dump 4 cluster-ip=10.96.0.22 port=tcp/80"
        driver.tell(f"{spec} {A}")
        dump = netns.output(ns(name), [f"iptables-{variant}-save"])
        driver.tell(f"{spec} {B}")
        with netns.entered(ns(name)):
            subprocess.run([f"iptables-{variant}-restore"], input=dump, text=True, check=True)
        assert [line for line in save(name, variant) if f"--to-destination {POD['node1']}:8080" in line]
        wait_for(
            "the rules of today",
            lambda: [line for line in save(name, variant) if f"--to-destination {POD['node2']}:8080" in line],
            30,
        )
        # The chains of that day go with a batch of their own.
        wait_for("the old ones to go", lambda: POD["node1"] not in str(save(name, variant)), 30)
        driver.stop()
    finally:
        netns.delete(ns(name))


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_another_variant_takes_the_first_ones_rules_away(variant: str) -> None:
    other = "legacy" if variant == "nft" else "nft"
    name = f"switch-{variant}"
    netns.create(ns(name))
    try:
        spec = f"service t/switch 4 cluster-ip=10.96.0.33 port=tcp/80 {A}"
        driver = Driver(name, other)
        driver.tell(spec)
        driver.stop()
        assert "FL-SVC" in str(save(name, other))
        driver = Driver(name, variant)
        driver.tell(spec)
        wait_for("the other rules to go", lambda: "FL-" not in str(save(name, other)), 20)
        assert "FL-SVC" in str(save(name, variant))
        driver.stop()
    finally:
        netns.delete(ns(name))


@pytest.mark.parametrize(
    ("chain", "rule"),
    [
        ("ip nat POSTROUTING", 'oifname "lo" masquerade'),
        ("ip filter FORWARD", "ct state established counter accept"),
    ],
)
def test_a_table_is_shared_with_nftables(chain: str, rule: str) -> None:
    """iptables-save shows nothing of a table with such a rule; ours are there all the same, and others' stay."""
    name = "shared"
    netns.create(ns(name))

    def rules() -> str:
        return "".join(netns.output(ns(name), ["nft", "list", "table", "ip", table]) for table in ("filter", "nat"))

    def jumps() -> list[str]:
        return sorted(re.findall(r"jump (FL-(?:SVC|POST|IN|OUT|FWD|ACC)$)", rules(), re.MULTILINE))

    try:
        spec = "service t/shared{} 4 cluster-ip=10.96.0.{} port=tcp/80 cluster=10.244.1.{};8080"
        driver = Driver(name, "nft", "--audit-ms", "50")
        driver.tell(spec.format(1, 61, 61), spec.format(2, 62, 62))
        netns.output(ns(name), ["nft", "add", "rule", *chain.split(), *rule.split()])
        assert "is incompatible" in netns.output(ns(name), ["iptables-nft-save"])
        before = jumps()
        assert len(before) == 7
        seen_so_far = driver.tell()["resyncs"]
        wait_for("more comparisons", lambda: driver.tell()["resyncs"] > seen_so_far + 2, 30)
        assert driver.tell()["repairs"] == 0
        assert jumps() == before
        # Changes go on, and leave nothing behind.
        driver.tell("remove t/shared1 4", spec.format(2, 62, 63))
        assert "10.96.0.61" not in rules() and "shared1" not in rules()
        assert "10.96.0.62" in rules()
        # What others take away is found.
        netns.output(ns(name), ["nft", "flush", "chain", "ip", "nat", "PREROUTING"])
        wait_for("the jump to be back", lambda: jumps() == before, 30)
        driver.stop()
        # A restart finds all of it.
        driver = Driver(name, "nft")
        assert driver.tell(spec.format(2, 62, 63))["repairs"] == 0
        assert jumps() == before
        driver.stop()
        netns.output(ns(name), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])
        assert "FL-" not in rules()
        assert rule.split()[0] in netns.output(ns(name), ["nft", "list", "chain", *chain.split()])
    finally:
        netns.delete(ns(name))


def test_another_variants_rules_go_though_that_fails_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds the lock of legacy, and one Service is refused; neither keeps the old rules for ever."""
    (tmp_path / "iptables-legacy-restore").write_text(
        f'#!/bin/sh\n[ "$1" = --noflush ] && [ ! -e {tmp_path}/held ] && {{ touch {tmp_path}/held\n'
        "  echo 'Another app is currently holding the xtables lock' >&2; exit 4; }\n"
        'exec /usr/sbin/iptables-legacy-restore "$@"\n'
    )
    (tmp_path / "iptables-nft-restore").write_text(
        '#!/bin/sh\n[ "$1" = --noflush ] || exec /usr/sbin/iptables-nft-restore "$@"\n'
        f"text=$(mktemp {tmp_path}/XXXXXX); cat >$text\n"
        "grep -q 'm recent' $text && { echo 'no such match' >&2; exit 2; }\n"
        'exec /usr/sbin/iptables-nft-restore "$@" <$text\n'
    )
    for program in tmp_path.iterdir():
        program.chmod(0o755)
    name = "stubborn"
    netns.create(ns(name))
    try:
        spec = f"service t/switch 4 cluster-ip=10.96.0.33 port=tcp/80 {A}"
        driver = Driver(name, "legacy")
        driver.tell(spec)
        driver.stop()
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        with netns.entered(ns(name)):
            process = subprocess.Popen(
                [BUILD / "tests/proxy/proxyctl", "--variant", "nft", "--audit-ms", "500"],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert process.stdin
        refused = f"service t/refused 4 cluster-ip=10.96.0.34 affinity=60 port=tcp/80 {A}"
        process.stdin.write(f"{spec}\n{refused}\ncomplete\n")
        process.stdin.flush()
        wait_for("the other rules to go", lambda: "FL-" not in str(save(name, "legacy")), 30)
        assert (tmp_path / "held").exists()
        process.communicate(timeout=20)
        assert "FL-SVC" in str(save(name, "nft"))
    finally:
        netns.delete(ns(name))


def test_lost_notifications_count_as_a_change() -> None:
    """More of them than the socket holds, and what matters is among those that are lost."""
    name = "lost"
    netns.create(ns(name))
    many = "table ip crowd {\n chain crowd {\n" + "  ip saddr 192.0.2.1 counter drop\n" * 30000 + " }\n}\n"
    try:
        driver = Driver(name, "nft", "--audit-ms", "3600000")
        driver.tell(f"service t/lost 4 cluster-ip=10.96.0.36 port=tcp/80 {A}")
        before = ours(name, "nft")
        driver.pause()
        try:
            with netns.entered(ns(name)):
                subprocess.run(["nft", "-f", "-"], input=many, text=True, check=True)
            netns.output(ns(name), ["iptables-nft", "-t", "nat", "-F", "FL-SVC"])
        finally:
            driver.resume()
        wait_for("the rules to be back", lambda: ours(name, "nft") == before, 30)
        driver.stop()
    finally:
        netns.delete(ns(name))


def test_legacy_tables_are_looked_at_all_the_time() -> None:
    """Though the regular looks are an hour apart."""
    name = "looks"
    netns.create(ns(name))
    try:
        driver = Driver(name, "legacy", "--audit-ms", "3600000")
        driver.tell(f"service t/looks 4 cluster-ip=10.96.0.35 port=tcp/80 {A}")
        before = ours(name, "legacy")
        netns.output(ns(name), ["iptables-legacy", "-w", "5", "-t", "nat", "-F"])
        wait_for("the rules to be back", lambda: ours(name, "legacy") == before, 30)
        driver.stop()
    finally:
        netns.delete(ns(name))


@pytest.mark.skipif(not ipvs.kernel_lacks(), reason="this kernel has IPVS")
def test_a_kernel_without_ipvs_is_named() -> None:
    """In the mode that needs it, which then leaves the node as it is; and there is nothing to clean."""
    name = ns("without")
    netns.create(name)

    def kernel() -> str:
        return netns.output(name, ["nft", "list", "ruleset"]) + netns.output(name, ["ip", "rule"])

    try:
        before = kernel()
        proxyctl = str(BUILD / "tests/proxy/proxyctl")
        with netns.entered(name):
            argv = [proxyctl, "--mode", "ipvs"]
            done = subprocess.run(argv, input="complete\nwait\n", capture_output=True, text=True, check=False)
        assert done.returncode != 0 and "the kernel has no IPVS (module ip_vs)" in done.stderr, done.stderr
        assert kernel() == before
        netns.output(name, [proxyctl, "--cleanup"])
    finally:
        netns.delete(name)


@pytest.mark.parametrize("sign", ["KUBE-IPTABLES-HINT", "KUBE-KUBELET-CANARY", "", "ours"])
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_auto_finds_the_nodes_variant(variant: str, sign: str) -> None:
    """By our own chains, the kubelet's, or simply where the rules are."""
    other = "legacy" if variant == "nft" else "nft"
    namespace = ns("auto")
    netns.create(namespace)
    try:
        proxyctl = [str(BUILD / "tests/proxy/proxyctl"), "--variant"]
        rule = "-A INPUT -s 198.51.100.1/32 -j DROP\n"
        with netns.entered(namespace):

            def feed(argv: list[str], text: str) -> str:
                return subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout

            if sign == "ours":
                feed([*proxyctl, variant], "complete\nwait\n")
                feed([f"iptables-{other}-restore", "--noflush"], "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n")
            else:
                chain = f"*mangle\n:{sign} - [0:0]\nCOMMIT\n" if sign else ""
                more, fewer = (1, 3) if sign else (3, 1)
                feed([f"iptables-{variant}-restore", "--noflush"], f"{chain}*filter\n{rule * more}COMMIT\n")
                feed([f"iptables-{other}-restore", "--noflush"], f"*filter\n{rule * fewer}COMMIT\n")
            status = json.loads(feed([*proxyctl, "auto"], "complete\nwait\n"))
        assert status["variant"] == variant
    finally:
        netns.delete(namespace)
