# SPDX-License-Identifier: Apache-2.0
"""What the service proxy has to know of the node, judged by packets: who is a Pod, which addresses have node ports, and
what becomes of the loopback addresses."""

import contextlib
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxyload import Downloads, Pod
from proxyroom import (
    BOTH,
    BUILD,
    BY_NFTABLES,
    CIDRS,
    CLIENT,
    GATE,
    MODES,
    NODE,
    POD,
    POD6,
    A,
    B,
    Driver,
    ns,
    outcome,
    seen,
    sniffer_of,
)

from lab import netns
from lab.waiting import wait_for

pytest_plugins = ["proxyroom"]


# IPVS sends nothing from a loopback address to other machines, and the speaker refuses the flag then.
with_localhost = pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "ipvs"], indirect=True)


@pytest.fixture(params=MODES)
def mode(network: None, request: pytest.FixtureRequest) -> Iterator[str]:
    """Leaves nothing of ours on node1."""
    yield str(request.param)
    netns.output(ns("node1"), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])
    assert route_localnet("node1") == "0"


@contextlib.contextmanager
def running(
    mode: str, options: tuple[str, ...], *lines: str, pods: tuple[str, ...] = CIDRS, before: tuple[str, ...] = ()
) -> Iterator[Driver]:
    """On node1, with these Services; its rules stay."""
    driver = Driver("node1", mode, *options, begin=False, pods=pods, before=before)
    driver.start(*lines)
    try:
        yield driver
        driver.stop(failures=bool(before))
    finally:
        driver.end()


def whole(address: str) -> str:
    """As an echo prints it."""
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("how", ["bridge", "prefix"])
def test_pods_are_known_by_their_interface(mode: str, how: str, family: int) -> None:
    """What one sends to itself is masqueraded in any case, so all endpoints are on the other node."""
    four = family == 4
    ip, vip = ("10.96.0.37", "203.0.113.37") if four else ("fd00:96::37", "fd00:203::37")
    node, pods = (NODE["node1"], POD) if four else ("fd00:77::11", POD6)
    lines = (
        f"service t/known {family} cluster-ip={ip} port=tcp/80 cluster={pods['node2']};8080",
        f"service t/short {family} vip={vip} external=Local port=tcp/80 cluster={pods['node2']};8080",
    )
    right = ("--pod-bridge-interface", "pod0") if how == "bridge" else ("--pod-interface-name-prefix", "po")
    wrong = ("--pod-bridge-interface", "po") if how == "bridge" else ("--pod-interface-name-prefix", "od")
    with running(mode, right, *lines, pods=()):
        # The Pod keeps its address, and reaches what policy Local has elsewhere; the node is masqueraded.
        assert seen("pod1", ip, tries=3) == seen("pod1", vip, tries=3) == {"pod2": whole(pods["node1"])}
        assert seen("node1", ip, tries=3) == {"pod2": whole(node)}
        assert outcome("client", vip) == "timeout"
    with running(mode, wrong, *lines, pods=()):
        assert seen("pod1", ip, tries=3) == {"pod2": whole(node)}
        assert outcome("pod1", vip) == "timeout"


def asked_on_and_on(namespace: str, host: str, port: int, until: threading.Event, answers: list[str]) -> None:
    while not until.is_set():
        answers.append(outcome(namespace, host, port))


def test_what_the_node_is_like_may_change(mode: str) -> None:
    spec = f"service t/node 4 cluster-ip=10.96.0.38 vip=203.0.113.38 external=Local port=tcp/80/30038 {B}"
    everywhere = "ports=0.0.0.0/0 ports=::/0"
    with running(mode, (), spec) as driver:
        for pods, peer in (("", POD), ("pods=10.99.0.0/16", NODE), ("pods=10.99.0.0/16 pods=10.244.1.0/24", POD)):
            driver.tell(f"node {pods} {everywhere}")
            assert seen("pod1", "10.96.0.38", tries=3) == {"pod2": peer["node1"]}, pods
        assert seen("pod1", "203.0.113.38", tries=3) == {"pod2": POD["node1"]}
        driver.tell(f"node {everywhere}")
        assert outcome("pod1", "203.0.113.38") == "timeout"  # as from outside
        # Node ports: at the one, at the other, nowhere.
        driver.tell(f"service t/node 4 cluster-ip=10.96.0.38 port=tcp/80/30038 {B}")
        for ports, there in ((f"ports={NODE['node1']}/32", True), (f"ports={GATE['node1']}/32", False), ("", False)):
            driver.tell(f"node {ports}")
            assert outcome("client", NODE["node1"], 30038) == ("answered" if there else "refused"), ports
        # The same as before costs no write.
        before = driver.tell(f"node {everywhere}")
        assert driver.tell(f"node {everywhere}") == before


def test_a_change_of_the_node_leaves_no_gap(mode: str) -> None:
    lines = [f"service t/gap{i} 4 cluster-ip=10.96.1.{i} port=tcp/80/{30100 + i} {B}" for i in range(1, 41)]
    lines += [f"service t/local{i} 4 vip=203.0.113.{200 + i} external=Local port=tcp/80 {B}" for i in range(1, 21)]
    asked = [("pod1", "10.96.1.7", 80), ("node1", "10.96.1.8", 80), ("client", NODE["node1"], 30109)]
    asked += [("pod1", "203.0.113.205", 80)]
    answers: list[str] = []
    with running(mode, (), *lines) as driver:
        done = threading.Event()
        threads = [threading.Thread(target=asked_on_and_on, args=(*a, done, answers)) for a in asked]
        for t in threads:
            t.start()
        try:
            for i in range(6):
                pods = "pods=10.244.0.0/16" if i % 2 else "pods=10.244.1.0/24 pods=10.99.0.0/16"
                driver.tell(f"node {pods} ports={NODE['node1']}/32 {f'ports=10.99.0.{i}/32' if i % 2 else ''}")
        finally:
            done.set()
            for t in threads:
                t.join()
    assert len(answers) >= 4 and set(answers) == {"answered"}


def route_localnet(node: str) -> str:
    with netns.entered(ns(node)):
        return Path("/proc/sys/net/ipv4/conf/all/route_localnet").read_text(encoding="ascii").strip()


@with_localhost
@pytest.mark.parametrize("where", ["everywhere", "chosen"])
def test_node_ports_at_localhost(mode: str, where: str) -> None:
    lines = (
        f"service t/localhost 4 cluster-ip=10.96.0.39 port=tcp/80/30039 {BOTH}",
        f"service t/localhost-local 4 cluster-ip=10.96.0.40 external=Local port=tcp/80/30040 {B}",
        "service t/localhost-none 4 cluster-ip=10.96.0.41 port=tcp/80/30041",
    )
    options = ("--nodeport-address", f"{NODE['node1']}/32") if where == "chosen" else ()
    with running(mode, options, *lines):
        assert route_localnet("node1") == "0"
        assert outcome("node1", "127.0.0.1", 30039) == "refused"
    with running(mode, (*options, "--localhost-nodeports"), *lines) as driver:
        status = driver.status()
        assert (status["node"]["localhost_node_ports"], status["node"]["localhost_error"]) == (True, None)
        assert route_localnet("node1") == "2"
        assert seen("node1", "127.0.0.1", 30039) == {"pod1": GATE["node1"], "pod2": NODE["node1"]}
        assert seen("node1", "127.3.2.1", 30039, tries=3).keys() <= {"pod1", "pod2"}
        assert seen("node1", "127.0.0.1", 30040, tries=3) == {"pod2": NODE["node1"]}
        assert set(seen("client", NODE["node1"], 30039)) == {"pod1", "pod2"}
        # Also where a process of the node listens there.
        with netns.entered(ns("node1")):
            listener = socket.create_server(("127.0.0.1", 30041))
        with listener:
            assert outcome("node1", "127.0.0.1", 30041) == "refused"
    with running(mode, ()):
        assert route_localnet("node1") == "0"


def guards(mode: str) -> list[str]:
    """The rules by which what comes in for the node itself is dropped."""
    command = ["nft", "list", "chain", "ip", "fairlead", "input"]
    if mode != "nftables":
        command = [f"iptables-{mode}", "-w", "5", "-S", "FL-IN"]
    return [line for line in netns.output(ns("node1"), command).splitlines() if "drop" in line.lower()]


@with_localhost
def test_the_sysctl_for_localhost_may_be_others(mode: str) -> None:
    """Who set it keeps it; ours goes with --cleanup; and where it cannot be written that is said."""
    cleanup = [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"]
    netns.set_sysctls(ns("node1"), {"ipv4/conf/all/route_localnet": "1"})
    with running(mode, ("--localhost-nodeports",)) as driver:
        status = driver.status()
        assert status["node"]["localhost_node_ports"]
    netns.output(ns("node1"), cleanup)
    assert route_localnet("node1") == "1"
    with running(mode, ()):
        assert route_localnet("node1") == "1"
    netns.set_sysctls(ns("node1"), {"ipv4/conf/all/route_localnet": "0"})
    with running(mode, ("--localhost-nodeports",)):
        assert route_localnet("node1") == "2"
    netns.output(ns("node1"), cleanup)
    assert route_localnet("node1") == "0"
    before = ("unshare", "-m", "sh", "-c", 'mount -o bind,ro /proc/sys /proc/sys && exec "$0" "$@"')
    spec = f"service t/read-only 4 cluster-ip=10.96.0.42 port=tcp/80/30042 {B}"
    with running(mode, ("--localhost-nodeports",), spec, before=before) as driver:
        status = driver.status()
        assert not status["node"]["localhost_node_ports"]
        assert "cannot set the sysctl net.ipv4.conf.all.route_localnet: Read-only" in status["node"]["localhost_error"]
        assert seen("client", NODE["node1"], 30042, tries=3) == {"pod2": NODE["node1"]}
    # Nor can an earlier run's be taken back then; what guards it stays.
    with running(mode, ("--localhost-nodeports",)):
        assert route_localnet("node1") == "2"
    with running(mode, (), before=before) as driver:
        status = driver.status()
        error = status["node"]["localhost_error"]
        assert 'run "sysctl -w net.ipv4.conf.all.route_localnet=0" on the node itself' in error, error
        assert any("127.0.0.0/8" in line and "lo" in line for line in guards(mode)), guards(mode)
    with netns.entered(ns("node1")):
        done = subprocess.run([*before, *cleanup], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot take back the sysctl" in done.stderr, done.stderr
    netns.output(ns("node1"), cleanup)
    assert route_localnet("node1") == "0"


def test_a_full_table_of_connections_is_told(mode: str, tmp_path: Path) -> None:
    """The bound is the machine's, so the speaker sees another one than there is."""
    bound = tmp_path / "max"
    bound.write_text("4\n", encoding="ascii")
    script = f'mount --bind {bound} /proc/sys/net/netfilter/nf_conntrack_max && exec "$0" "$@"'
    before = ("unshare", "-m", "sh", "-c", script)
    spec = f"service t/full 4 vip=203.0.113.46 port=tcp/80 {B}"
    with running(mode, ("--audit-ms", "200"), spec, before=before) as driver:
        seen("client", "203.0.113.46", tries=6)
        wait_for("the table to be full", lambda: driver.status()["conntrack"]["full"])
        assert driver.status()["conntrack"]["max"] == 4
        bound.write_text("100000\n", encoding="ascii")
        wait_for("room", lambda: not driver.status()["conntrack"]["full"])


NF_CONNTRACK_MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
HELD = 32


@contextlib.contextmanager
def at_most(n: int) -> Iterator[None]:
    """So many connections, on each node."""
    before = NF_CONNTRACK_MAX.read_text(encoding="ascii")
    NF_CONNTRACK_MAX.write_text(str(n), encoding="ascii")
    try:
        yield
    finally:
        NF_CONNTRACK_MAX.write_text(before, encoding="ascii")


@pytest.mark.machine
def test_a_really_full_table_of_connections(mode: str) -> None:
    """New connections are dropped, and the node says so; those that are there go on; later all is well again."""
    vip = "203.0.113.47"
    pod = Pod("full", "node2", 0)
    line = f"service t/full 4 vip={vip} port=tcp/80 {B} port=tcp/81 cluster={pod.endpoint(pod.download_port)}"
    with running(mode, ("--audit-ms", "200"), line) as driver, contextlib.ExitStack() as stack:
        stack.callback(pod.end)
        downloads = stack.enter_context(Downloads(ns("client"), vip, 81, HELD, 1 << 30))
        wait_for("connections that stay", lambda: pod.n_downloads == HELD)
        # What has ended may be forgotten in favour of what is new.
        with netns.entered(ns("node1")):
            subprocess.run(["conntrack", "-D", "-p", "tcp", "--dport", "80"], capture_output=True, check=False)
        with at_most(HELD // 2):
            wait_for("the node to say so", lambda: driver.status()["conntrack"]["full"])
            wait_for("new connections to be dropped", lambda: outcome("client", vip) == "timeout")
            n_before = downloads.n_lines
            wait_for("each old one to go on", lambda: downloads.n_lines > n_before + 4 * HELD)
        wait_for("room", lambda: not driver.status()["conntrack"]["full"])
        assert outcome("client", vip) == "answered"
        downloads.stop()
    assert not downloads.failures


def syn(target: str, port: int, source_port: int) -> bytes:
    """An IPv4 packet of the client."""
    source = CLIENT
    tcp = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
    a, b = socket.inet_aton(source), socket.inet_aton(target)
    tcp = tcp[:16] + struct.pack("!H", checksum(a + b + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + a + b
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + tcp


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(namespace: str, link: str) -> bytes:
    with netns.entered(ns(namespace)):
        found = json.loads(subprocess.check_output(["ip", "-j", "link", "show", link]))
    return bytes.fromhex(found[0]["address"].replace(":", ""))


def answered_from(sniffer: socket.socket, port: int) -> str:
    """The source of the next segment from that port that came in."""
    while True:
        packet = sniffer.recv(2048)
        if packet[9] == socket.IPPROTO_TCP and int.from_bytes(packet[20:22], "big") == port:
            return socket.inet_ntoa(packet[12:16])


@with_localhost
def test_nobody_else_reaches_localhost(mode: str) -> None:
    """With the sysctl anybody on the link could, but for a rule of ours; nor by a node port there."""
    spec = f"service t/martian 4 cluster-ip=10.96.0.43 port=tcp/80/30043 {A}"
    iptables = [f"iptables-{mode}", "-w", "5"]
    let_in = ["INPUT", "-d", "127.0.0.1/32", "-p", "tcp", "-j", "ACCEPT"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(mode, ("--localhost-nodeports",), spec))
        with netns.entered(ns("node1")):
            stack.enter_context(socket.create_server(("127.0.0.1", 81)))
            stack.enter_context(socket.create_server((NODE["node1"], 81)))
        with netns.entered(ns("client")):
            sender = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM))
        at_client = stack.enter_context(sniffer_of("client", 4))
        to_node = ("eth0", 0x0800, 0, 0, mac("node1", "eth0"))

        def first_answer(port: int, source_port: int) -> str:
            for target in ("127.0.0.1", NODE["node1"]):
                sender.sendto(syn(target, port, source_port), to_node)
            return answered_from(at_client, port)

        assert first_answer(81, 40001) == NODE["node1"]
        assert first_answer(30043, 40002) == NODE["node1"]
        if mode in BY_NFTABLES:
            return
        # Without the rule it would be answered.
        netns.output(ns("node1"), [*iptables, "-I", *let_in])
        assert first_answer(81, 40003) == "127.0.0.1"
        netns.output(ns("node1"), [*iptables, "-D", *let_in])
