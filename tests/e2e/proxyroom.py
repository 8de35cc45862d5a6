# SPDX-License-Identifier: Apache-2.0
"""A room for the service proxy alone: no Kubernetes, tests/proxy/proxyctl says what is wanted.

A client and two nodes on one LAN, a Pod on each node; the client reaches addresses of Services by way of node1.

A plugin of pytest: a module with `pytest_plugins = ["proxyroom"]` has its fixtures.
"""

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import ipvs, netns, web
from lab.cluster import SOURCE
from lab.proxyctl import Proxyctl
from lab.waiting import PATIENCE

BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
PREFIX = f"flpx{os.getpid()}"
CLIENT = "192.168.77.100"
NODE = {"node1": "192.168.77.11", "node2": "192.168.77.12"}
POD = {"node1": "10.244.1.2", "node2": "10.244.2.2"}
GATE = {"node1": "10.244.1.1", "node2": "10.244.2.1"}  # each node's address on its Pod's link
POD6 = {"node1": "fd00:244:1::2", "node2": "fd00:244:2::2"}
CIDRS = ("--cluster-cidr", "10.244.0.0/16", "--cluster-cidr", "fd00:244::/32")
BOTH = f"cluster={POD['node1']};8080 cluster={POD['node2']};8080"
A = f"cluster={POD['node1']};8080"
B = f"cluster={POD['node2']};8080"
# What a test is run in: the variants of iptables, and other modes; ipvs only in the suite vm, on most machines.
MODES = ("nft", "legacy", "nftables") if ipvs.missing() else ("nft", "legacy", "nftables", "ipvs")
BY_NFTABLES = ("nftables", "ipvs")  # those with tables of nftables, which are no variants of iptables
# No answer for so long is none.  Longer than a SYN takes to be sent again: over veth a refusal may come so fast that
# the client's socket is still held by connect(), and then it is the second one that counts.
DROPPED_S = 1.6 * min(PATIENCE, 3)
FOREIGN = """*nat
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "a rule of others, not -j FL-SVC" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.250.250/32 -p tcp -m tcp --dport 80 -j RETURN
COMMIT
*filter
:FLUSHABLE - [0:0]
-A FORWARD -s 198.51.100.0/24 -j FLUSHABLE
-A FLUSHABLE -j DROP
COMMIT
"""
FOREIGN6 = FOREIGN.replace("10.96.250.250/32", "fd00:96::250/128").replace("198.51.100.0/24", "fd00:51::/64")


def ns(name: str) -> str:
    return f"{PREFIX}-{name}"


def save(node: str, mode: str) -> list[str]:
    """All rules of a node in both families, without counters and dates, and in mode ipvs all virtual servers."""
    commands = [["nft", "-s", "list", "ruleset"]]
    if mode == "ipvs":
        commands.append(["cat", str(ipvs.TABLE)])
    elif mode != "nftables":
        commands = [[f"{family}-{mode}-save"] for family in ("iptables", "ip6tables")]
    text = "".join(netns.output(ns(node), command) for command in commands)
    text = re.sub(r"\n\t\telements = {[^}]*timeout[^}]*}", "", text)  # which clients are remembered changes by itself
    text = re.sub(r"(-> \S+ +Masq +\d+) .*", r"\1", text)  # without how many connections each has
    return [re.sub(r" \[\d+:\d+\]$", "", line) for line in text.splitlines() if not line.startswith("#")]


class Driver(Proxyctl):
    """proxyctl on a node, in a variant of iptables or another mode; started already."""

    def __init__(
        self, node: str, mode: str, *options: str, begin: bool = True, pods: tuple[str, ...] = CIDRS, **more: Any
    ) -> None:
        how = ("--mode", mode) if mode in BY_NFTABLES else ("--variant", mode)
        super().__init__(ns(node), *how, *pods, *options, **more)
        if begin:
            self.start()


def make_network() -> None:
    for name in ("lan", "client", "node1", "node2", "pod1", "pod2"):
        netns.create(ns(name))
        # Nobody waits here for a second to hear whether his address is another's.
        netns.set_sysctls(ns(name), {f"ipv6/conf/{which}/accept_dad": "0" for which in ("all", "default")})
        netns.configure(ns(name), ["link set lo up"])
    netns.configure(ns("lan"), ["link add br0 type bridge", "link set br0 up"])
    for name, host in (("client", 100), ("node1", 11), ("node2", 12)):
        netns.configure(
            ns("lan"),
            [
                f"link add {name} type veth peer name eth0 netns {ns(name)}",
                f"link set {name} master br0",
                f"link set {name} up",
            ],
        )
        netns.configure(
            ns(name),
            [
                f"addr add 192.168.77.{host}/24 dev eth0",
                f"addr add fd00:77::{host}/64 dev eth0 nodad",
                "link set eth0 up",
            ],
        )
    for number in (1, 2):
        node, pod, other = ns(f"node{number}"), ns(f"pod{number}"), 3 - number
        netns.set_sysctls(
            node,
            {
                "ipv4/ip_forward": "1",
                "ipv6/conf/all/forwarding": "1",
                "ipv4/icmp_ratelimit": "0",  # redirects on this one LAN would use it up
                "ipv6/icmp/ratelimit": "0",
            },
        )
        netns.configure(
            node,
            [
                f"link add pod0 type veth peer name eth0 netns {pod}",
                f"addr add 10.244.{number}.1/24 dev pod0",
                f"addr add fd00:244:{number}::1/64 dev pod0 nodad",
                "link set pod0 up",
                f"route add 10.244.{other}.0/24 via 192.168.77.1{other}",
                f"route add fd00:244:{other}::/64 via fd00:77::1{other}",
                f"route add default via {CLIENT}",
                "route add default via fd00:77::100",
            ],
        )
        netns.configure(
            pod,
            [
                f"addr add 10.244.{number}.2/24 dev eth0",
                f"addr add fd00:244:{number}::2/64 dev eth0 nodad",
                "link set eth0 up",
                f"route add default via 10.244.{number}.1",
                f"route add default via fd00:244:{number}::1",
            ],
        )
    netns.configure(
        ns("client"),
        [
            f"route add 203.0.113.0/24 via {NODE['node1']}",
            "route add fd00:203::/64 via fd00:77::11",
        ],
    )


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    echoes = []
    try:
        make_network()
        for number in (1, 2):
            environment = {"WHOAMI_PORT_NUMBER": "8080", "HOSTNAME": f"pod{number}", "WHOAMI_NAME": "echo"}
            with netns.entered(ns(f"pod{number}")):
                echoes.append(subprocess.Popen([BUILD / "tests/lab/fairlead-echo"], env=environment))
        yield
    finally:
        for echo in echoes:
            echo.kill()
            echo.wait()
        for name in netns.names(f"{PREFIX}-"):
            netns.delete(name)


def seen(namespace: str, host: str, port: int = 80, tries: int = 30) -> dict[str, str]:
    """Which Pods answer, and the address that each saw."""
    replies = [web.get(ns(namespace), host, port) for _ in range(tries)]
    return {reply.pod: reply.peer for reply in replies}


def outcome(namespace: str, host: str, port: int = 80) -> str:
    """How a connection fails: "refused", or "timeout" where its packets are dropped."""
    try:
        web.get(ns(namespace), host, port, timeout=DROPPED_S)
    except web.Unreachable as error:
        return error.kind
    return "answered"


def sniffer_of(namespace: str, family: int) -> socket.socket:
    """Gets what comes in, from the network's header on."""
    with netns.entered(ns(namespace)):
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800 if family == 4 else 0x86DD))
    sniffer.settimeout(5)
    return sniffer


def nft(namespace: str, text: str) -> None:
    netns.feed(namespace, ["nft", "-f", "-"], text)


def talk(s: socket.socket) -> str:
    """Which Pod answers on this socket, so by the flow that conntrack remembers; else how it fails."""
    try:
        s.send(b"hello")
        return re.search(r"Hostname: (\S+)", s.recv(2048).decode())[1]  # type: ignore[index]
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"


@contextlib.contextmanager
def udp_client(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with netns.entered(ns("client")):
        s = socket.socket(family, socket.SOCK_DGRAM)
    with s:
        s.settimeout(DROPPED_S)
        s.connect((host, port))
        yield s
