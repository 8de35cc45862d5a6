# SPDX-License-Identifier: Apache-2.0
"""What mode ipvs alone has: virtual servers beside others', firewalls at more hooks, changes of the mode, and what
becomes of connections when another node takes over.  What it has in common with the others is tried with those.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxyload import Downloads, Pod
from proxyroom import BOTH, BUILD, CLIENT, NODE, POD, A, B, Driver, nft, ns, outcome, seen, talk
from test_proxy_load import VIP, deployment

from lab import ipvs, netns, virtualservers
from lab.load import Load
from lab.virtualservers import Server
from lab.waiting import PATIENCE, wait_for

pytest_plugins = ["proxyroom"]
pytestmark = pytest.mark.ipvs

SERVICE = f"service t/one 4 cluster-ip=10.96.0.80 vip={VIP} port=tcp/80/30080"


def clean(node: str = "node1") -> None:
    netns.output(ns(node), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])


@contextlib.contextmanager
def running(*lines: str, node: str = "node1", options: tuple[str, ...] = ()) -> Iterator[Driver]:
    """Nothing of ours is left then."""
    driver = Driver(node, "ipvs", "--audit-ms", "1000", *options, begin=False)
    try:
        driver.start(*lines)
        yield driver
        driver.stop()
    finally:
        driver.end()
        clean(node)


# ---- what others have ----


def virtual_servers(node: str) -> list[Server]:
    return virtualservers.servers(ns(node))


def test_virtual_servers_of_others_stay(network: None) -> None:
    """Also one whose mark has our bit, and one at an address of a Service; and they are of use all the time."""
    clean()
    netns.configure(ns("node1"), ["addr add 203.0.113.81/32 dev lo"])
    ipvs.add_foreign(ns("node1"), f"{POD['node1']}:8080", "203.0.113.81", 80)
    ipvs.add_foreign(ns("node1"), f"{POD['node1']}:8080", VIP, 80)
    ipvs.add_foreign(ns("node1"), f"{POD['node1']}:8080", mark=0x1002)
    theirs = virtual_servers("node1")
    assert len(theirs) == 3
    # Who has no masquerading for them has a Pod that answers by the node.
    used = lambda: seen("client", "203.0.113.81", tries=3)  # noqa: E731
    try:
        assert used() == {"pod1": CLIENT}
        with running(f"{SERVICE} {B}") as driver:
            assert set(theirs) < set(virtual_servers("node1"))
            assert used() == {"pod1": CLIENT}
            assert seen("client", VIP, tries=3) == {"pod2": NODE["node1"]}
            for endpoints in (A, BOTH, ""):
                driver.tell(f"{SERVICE} {endpoints}")
                assert set(theirs) <= set(virtual_servers("node1"))
        assert virtual_servers("node1") == theirs
        assert used() == {"pod1": CLIENT}
    finally:
        netns.configure(ns("node1"), ["addr del 203.0.113.81/32 dev lo"])


SYSCTLS = {
    name: Path("/proc/sys/net/ipv4/vs") / name
    for name in ("conntrack", "expire_nodest_conn", "expire_quiescent_template", "sloppy_tcp", "sloppy_sctp")
}


def sysctls(node: str) -> dict[str, str]:
    with netns.entered(ns(node)):
        return {name: path.read_text(encoding="ascii").strip() for name, path in SYSCTLS.items()}


def test_sysctls_are_ours_or_others(network: None) -> None:
    """Ours go with --cleanup, and not before; what others had switched on stays."""
    clean()
    off, ours = dict.fromkeys(SYSCTLS, "0"), dict.fromkeys(SYSCTLS, "2")
    assert sysctls("node1") == off
    netns.set_sysctls(ns("node1"), {"ipv4/vs/conntrack": "1"})
    driver = Driver("node1", "ipvs", "--audit-ms", "300")
    driver.tell(f"{SERVICE} {A}")
    assert sysctls("node1") == {**ours, "conntrack": "1"}
    netns.set_sysctls(ns("node1"), {"ipv4/vs/sloppy_tcp": "0"})
    wait_for("it to be set again", lambda: sysctls("node1")["sloppy_tcp"] == "2")
    driver.stop()
    assert sysctls("node1") == {**ours, "conntrack": "1"}
    clean()
    assert sysctls("node1") == {**off, "conntrack": "1"}
    netns.set_sysctls(ns("node1"), {"ipv4/vs/conntrack": "0"})


# ---- firewalls ----


def ufw(chain: str) -> str:
    return f"""table ip filter {{
        chain {chain.upper()} {{
            type filter hook {chain} priority 0; policy drop;
            ct state established,related counter accept
            ct state invalid counter drop
            tcp dport 22 counter accept
        }}
    }}"""


def firewalld(chain: str) -> str:
    return f"""table inet firewalld {{
        chain filter_{chain} {{
            type filter hook {chain} priority 10; policy accept;
            ct state {{ established, related }} accept
            iifname "lo" accept
            jump filter_{chain}_zones
            reject with icmpx admin-prohibited
        }}
        chain filter_{chain}_zones {{
            tcp dport 22 ct state new accept
        }}
    }}"""


ACCEPT = "ct mark and 0x1000 != 0 accept"
# The chain, whether new connections pass there, and where a rule of the operator's goes.
FIREWALLS = {
    "ufw-input": (ufw("input"), False, "ip filter INPUT"),
    "ufw-output": (ufw("output"), False, "ip filter OUTPUT"),
    "ufw-forward": (ufw("forward"), True, ""),
    "firewalld-input": (firewalld("INPUT").replace("hook INPUT", "hook input"), False, "inet firewalld filter_INPUT"),
    "firewalld-forward": (firewalld("FORWARD").replace("hook FORWARD", "hook forward"), True, ""),
}


@pytest.mark.parametrize("firewall", FIREWALLS)
def test_firewalls_that_refuse_what_is_new(network: None, firewall: str) -> None:
    """At input and output they refuse what goes to IPVS, until they accept its mark; at forward they see answers alone.

    Whichever it is, the node says so.
    """
    text, passes, chain = FIREWALLS[firewall]
    kept = f"service t/kept 4 cluster-ip=10.96.0.82 vip=203.0.113.82 external=Local port=tcp/80 {A}"
    with running(f"{SERVICE} {B}", f"{kept} local={POD['node1']};8080") as driver:

        def passage() -> str:
            return str(driver.status()["forward"][0]["passage"])

        def outcomes() -> set[str]:
            return {outcome("client", host) for host in (VIP, "203.0.113.82")}

        nft(ns("node1"), text)
        try:
            wait_for("the node to say so", lambda: passage() != "passes")
            if not passes:
                assert "answered" not in outcomes()
                nft(ns("node1"), f"insert rule {chain} {ACCEPT}")
                wait_for("the node to be content", lambda: passage() == "passes")
            else:  # of Services with affinity, which go that way
                assert passage() == "uncertain"
            assert outcomes() == {"answered"}
        finally:
            table = " ".join(text.split()[1:3])
            nft(ns("node1"), f"delete table {table}")


# ---- changes of mode ----


# The variants of iptables mark connections for policy Local, and packets for the other, as mode nftables does.
@pytest.mark.parametrize(("other", "policy"), [("nftables", "Cluster"), ("nft", "Local"), ("legacy", "Local")])
def test_a_change_to_ipvs_and_back(network: None, other: str, policy: str) -> None:
    """To it nobody's connection fails, old or new; back, those end at once that IPVS has, and there is no gap."""
    driver, per_second = Driver("node1", other), 50 // PATIENCE
    with deployment(driver, policy, 4) as pods:
        line = pods.line(pods.pods)

        def change(mode: str) -> Driver:
            driver.stop()
            new = Driver("node1", mode, begin=False)
            assert new.start(line)["in_sync"]
            return new

        with (
            Downloads(ns("client"), VIP, 81, 4, 1 << 30) as whole,
            Load(ns("client"), VIP, per_second=per_second) as load,
        ):
            time.sleep(1)
            driver = change("ipvs")
            assert virtual_servers("node1")
            time.sleep(1)
            whole.stop()
        assert not load.failures, load.summary()
        assert not whole.failures

        with Load(ns("client"), VIP, per_second=per_second) as load:
            time.sleep(1)
            begun = time.monotonic()
            driver = change(other)
            ended = time.monotonic()
            wait_for("what IPVS had to go", lambda: not virtual_servers("node1"))
            time.sleep(1)
        others = [o for o in load.failures if o.ended < begun or o.started > ended]
        assert not others, load.summary()
        # What is cut is told so: nobody waits for nothing.
        assert not [o for o in load.failures if o.error == "timeout"], load.summary()
    driver.tell("remove t/rolled 4")
    driver.stop()
    clean()


def test_udp_flows_go_on_after_a_change_of_mode(network: None) -> None:
    """Whoever keeps a socket is led by the new mode's rules."""
    spec = f"service t/udp 4 cluster-ip=10.96.0.83 vip={VIP} port=udp/53 {A}"
    with running(spec) as driver, udp_clients(VIP, 5) as clients:
        assert {talk(client) for client in clients} == {"pod1"}
        driver.stop()
        driver = Driver("node1", "nftables")
        driver.tell(spec)
        wait_for("IPVS to be out of use", lambda: not virtual_servers("node1"))
        wait_for("the flows to go on", lambda: {talk(client) for client in clients} == {"pod1"})
        driver.stop()


# ---- another node takes over ----


@contextlib.contextmanager
def udp_clients(host: str, n: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack, netns.entered(ns("client")):
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(n)]
        for client in clients:
            client.settimeout(2 * PATIENCE)
            client.connect((host, 53))
        yield clients


def lead(node: str) -> None:
    """From now on this one has the address."""
    netns.configure(ns("client"), [f"route replace {VIP}/32 via {NODE[node]}"])


@contextlib.contextmanager
def two_nodes(line: str) -> Iterator[None]:
    with running(line), running(line, node="node2"):
        lead("node1")
        try:
            yield
        finally:
            netns.configure(ns("client"), [f"route del {VIP}/32"])


def connect(port: int) -> tuple[socket.socket, str]:
    """By TCP, from a port of the client's; and which Pod answers."""
    with netns.entered(ns("client")):
        s = socket.create_connection((VIP, 81), timeout=5 * PATIENCE, source_address=(CLIENT, port))
    return s, s.recv(100).split()[0].decode()


def how_it_ends(s: socket.socket) -> str:
    """A connection whose client goes on sending."""
    try:
        while s.recv(1 << 16):
            s.send(b"more, please")
    except OSError as error:
        return type(error).__name__
    return "end"


def test_connections_of_tcp_end_when_another_node_takes_over(network: None) -> None:
    """The endpoint knows the first node's address. Each client is told at once, and finds the same endpoint again."""
    ports = range(42000, 42016)
    with contextlib.ExitStack() as stack:
        pods = [Pod(f"pod-{n}", f"node{n % 2 + 1}", n) for n in range(4)]
        for pod in pods:
            stack.callback(pod.end)
        endpoints = " ".join(f"cluster={pod.endpoint(pod.download_port)}" for pod in pods)
        stack.enter_context(two_nodes(f"service t/tcp 4 cluster-ip=10.96.0.84 vip={VIP} port=tcp/81 {endpoints}"))
        before = [connect(port) for port in ports]
        assert len({name for _, name in before}) > 1
        lead("node2")
        assert {how_it_ends(s) for s, _ in before} == {"ConnectionResetError"}
        for s, _ in before:
            s.close()
        after = [connect(port) for port in ports]
        assert [name for _, name in after] == [name for _, name in before]
        for s, _ in after:
            s.close()


def test_flows_of_udp_stay_with_their_endpoint_when_another_node_takes_over(network: None) -> None:
    """From the new node's address, so it is up to the protocol whether that is the same session."""
    spec = f"service t/udp 4 cluster-ip=10.96.0.83 vip={VIP} port=udp/53 {BOTH}"
    with two_nodes(spec), udp_clients(VIP, 100) as clients:
        before = [talk(client) for client in clients]
        assert set(before) == {"pod1", "pod2"}
        lead("node2")
        assert [talk(client) for client in clients] == before
