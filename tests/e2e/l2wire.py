# SPDX-License-Identifier: Apache-2.0
"""A switch of our own, and speakers' layer 2 alone (tests/l2/l2node) on its ports, in one family of addresses.

The switch floods every frame to every other port, unless told to hold it back, and keeps all of them; so loss in one
direction, replays and forgeries need no help from the kernel.  It is the client, too: each question comes from
a MAC address of its own, so that every answer can be laid beside the very request that it answers.

Nodes and switch stand for machines of their own, and a wire that is late by a tenth of a second is none.  So they run
before everything else that this machine does, where that is allowed, and what is seen does not depend on its load.
"""

import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import arp, ndp, netns, processes
from lab.cluster import SOURCE
from lab.waiting import WAIT_SECONDS, LabError, wait_for

PREFIX = f"fl2-{os.environ.get('FAIRLEAD_LAB_ID', 'e2e')}-"
SWITCH = PREFIX + "switch"
HOST = PREFIX + "host"  # with a kernel's own cache of neighbours, where a test asks for one
NAMES = ("a", "b", "c")
KEY = "a key for tests"
PORTS = [struct.pack("!H", port) for port in (7473, 7474)]
# Where the answer to a probe is all that keeps a second owner away, it may be late: the switch is a program.
PATIENT_MS = 250
# Where for a long time nothing may be wrong: a machine that stands still for a second makes no dead node.
CALM_MULTIPLIER = 20
PACKET_OUTGOING = 4
REQUEST_EVERY = 0.004
# A failure tells what the nodes said about an address so long before the first request with two answers, and after it.
TOLD_BEFORE, TOLD_AFTER = 2.0, 0.5
# The switch is a program: when it pauses for longer, that is told, too.
PAUSE = 0.05

# Does the switch hold this frame back?
Block = Callable[[str, str, bytes], bool]


@dataclass(frozen=True)
class Family:
    name: str
    codec: Any  # lab.arp, lab.ndp
    network: str
    prefix: int
    client: str
    addresses: tuple[str, ...]

    def host(self, number: int, longer: int = 0) -> str:
        """An address of a node, for `ip addr add`; with a prefix that is so many bits longer."""
        return f"{self.network}{number}/{self.prefix + longer}{' nodad' if self.codec is ndp else ''}"


IPV4 = Family("IPv4", arp, "10.9.0.", 24, "10.9.0.200", tuple(f"10.9.0.{100 + i}" for i in range(12)))
IPV6 = Family("IPv6", ndp, "fd00:9::", 64, "fd00:9::200", tuple(f"fd00:9::{0x100 + i:x}" for i in range(12)))
FAMILIES = (IPV4, IPV6)


def payload_at(frame: bytes) -> int:
    """Where the payload of a UDP datagram begins."""
    return 42 if frame[12:14] == b"\x08\x00" else 62


def is_message(frame: bytes) -> bool:
    """Of one speaker to the others, in either version."""
    udp = payload_at(frame) - 8
    protocol = {b"\x08\x00": 23, b"\x86\xdd": 20}.get(frame[12:14], 0)
    return frame[protocol : protocol + 1] == b"\x11" and frame[udp + 2 : udp + 4] in PORTS


def is_copy(frame: bytes) -> bool:
    """Said to speakers of version 1, and by others left alone."""
    udp = payload_at(frame) - 8
    return frame[udp + 2 : udp + 4] == PORTS[0]


@contextmanager
def urgent() -> Iterator[None]:
    """What this thread does meanwhile, and each process that it starts, runs before everything else."""
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameter)


@dataclass
class Request:
    at: float
    target: str
    answers: list[str] = field(default_factory=list)  # MACs


class Switch:
    def __init__(self, family: Family, names: tuple[str, ...]) -> None:
        self.family = family
        self.frames: list[tuple[float, str, bytes]] = []  # when, from whom
        self.pauses: list[tuple[float, float]] = []  # when it went on, and for how long it had not run
        self.requests: list[Request] = []
        self.block: Block = lambda _from, _to, _frame: False
        self.stranger: tuple[str, str] | None = None  # an address and the MAC that answers for it
        self.asking: list[str] = []
        self.tag = b""  # of 802.1Q, in the requests
        self._sockets = {}
        for name in names:
            with netns.entered(SWITCH):
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
                s.bind((f"port-{name}", 3))
            s.setblocking(False)
            self._sockets[name] = s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for s in self._sockets.values():
            s.close()

    def send(self, to: str, frame: bytes) -> None:
        try:
            self._sockets[to].send(frame)
        except OSError:
            pass  # the port is down

    def flood(self, origin: str, frame: bytes) -> None:
        for name in self._sockets:
            if name != origin and not self.block(origin, name, frame):
                self.send(name, frame)

    def _receive(self, name: str) -> None:
        while True:
            try:
                frame, address = self._sockets[name].recvfrom(65536)
            except OSError:
                return
            if address[2] == PACKET_OUTGOING:
                continue
            self.frames.append((time.monotonic(), name, frame))
            self.flood(name, frame)
            if packet := self.family.codec.decode(frame):
                self._receive_neighbor(name, packet)

    def _receive_neighbor(self, name: str, packet: arp.Frame) -> None:
        if packet.op == arp.REPLY and packet.dst.startswith("02:cc:"):
            number = int.from_bytes(arp.mac_bytes(packet.dst)[2:], "big")
            if number < len(self.requests):  # else it is for a node, whose MAC, made by lot, begins like ours
                self.requests[number].answers.append(packet.sender_mac)
        if self.stranger and packet.op == arp.REQUEST and packet.target_ip == self.stranger[0]:
            address, mac = self.stranger
            self.send(name, self.family.codec.reply(mac, address, packet))

    def _ask(self, target: str) -> None:
        mac = arp.mac_text(b"\x02\xcc" + len(self.requests).to_bytes(4, "big"))
        self.requests.append(Request(time.monotonic(), target))
        frame = self.family.codec.request(mac, self.family.client, target)
        frame = frame[:12] + self.tag + frame[12:]
        for name in self._sockets:
            if not self.block("client", name, frame):
                self.send(name, frame)

    def _run(self) -> None:
        with urgent():
            self._carry()

    def _carry(self) -> None:
        due, turn = time.monotonic(), 0
        ran = due
        while not self._stop.is_set():
            now = time.monotonic()
            if now - ran > PAUSE:
                self.pauses.append((now, now - ran))
            ran = now
            left = max(0.0, min(due - now, 0.02)) if self.asking else 0.02
            ready, _, _ = select.select(list(self._sockets.values()), [], [], left)
            for name, s in self._sockets.items():
                if s in ready:
                    self._receive(name)
            if self.asking and time.monotonic() >= due:
                due = max(due + REQUEST_EVERY, time.monotonic())
                self._ask(self.asking[turn % len(self.asking)])
                turn += 1


@dataclass(frozen=True)
class State:
    ownership: str
    owner: str
    epoch: int
    mac: str


class Node:
    """A program that owns addresses, or none at the moment."""

    def __init__(self, family: Family, name: str, key: str, probe_ms: int, multiplier: int = 5) -> None:
        self.family, self.name, self.key = family, name, key
        self.timing = [str(probe_ms), str(multiplier)]
        self.namespace = PREFIX + name
        self.mac = ""
        self._popen: subprocess.Popen[str] | None = None

    def start(self) -> None:
        program = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build")) / "tests/l2/l2node"
        wants = [self.family.addresses[0], str(len(self.family.addresses))]
        argv = [str(program), self.name, ",".join(NAMES), self.key, *wants, *self.timing]
        with netns.entered(self.namespace), urgent():
            self._popen = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
            )

    def running(self) -> bool:
        return self._popen is not None

    @property
    def pid(self) -> int:
        assert self._popen
        return self._popen.pid

    def _ended(self) -> None:
        assert self._popen
        self._popen.wait(WAIT_SECONDS)
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe:
                pipe.close()
        self._popen = None

    def signal(self, number: int) -> None:
        assert self._popen
        self._popen.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._ended()

    def leave(self) -> None:
        assert self._popen and self._popen.stdin
        self._popen.stdin.write("yield\n")
        self._popen.stdin.flush()
        self._ended()

    def command(self, line: str) -> list[str]:
        assert self._popen and self._popen.stdin and self._popen.stdout
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()
        said = []
        while (text := self._popen.stdout.readline()) != ".\n":
            if not text:
                raise LabError(f"l2node {self.name} ended")
            said.append(text.strip())
        return said

    def states(self) -> dict[str, State]:
        states = {}
        for line in self.command("states"):
            address, ownership, *rest = line.split()
            values = dict(item.split("=", 1) for item in rest)
            states[address] = State(ownership, values["owner"], int(values["epoch"]), values["mac"])
        return states

    def stats(self) -> dict[str, int]:
        return {k: int(v) for k, v in (item.split("=") for item in self.command("stats")[0].split())}


def mac_of(namespace: str) -> str:
    with netns.entered(namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
        packet.bind(("eth0", 0))
        return arp.mac_text(packet.getsockname()[4])


class Segment:
    """Nodes that share a segment."""

    def __init__(self, family: Family, nodes: dict[str, Node]) -> None:
        self.family, self.addresses, self.nodes = family, list(family.addresses), nodes
        remove()
        netns.create(SWITCH)

    def close(self) -> None:
        for node in self.nodes.values():
            if node.running():
                node.signal(signal.SIGKILL)
        remove()

    def owners(self) -> dict[str, str]:
        """Who says that it owns what; LabError while an address has no owner or several."""
        found: dict[str, str] = {}
        for node in self.nodes.values():
            for address, state in node.states().items() if node.running() else ():
                if state.ownership == "owner":
                    if address in found:
                        raise LabError(f"{address} is owned by {found[address]} and {node.name}")
                    found[address] = node.name
        if len(found) < len(self.addresses):
            raise LabError(f"{len(found)} addresses are owned")
        return found

    def wait_owners(self, seconds: float = WAIT_SECONDS) -> dict[str, str]:
        return wait_for("every address to have one owner", self.owners, seconds)

    def agreed(self) -> dict[str, str]:
        """Who owns what, as every node tells it; LabError while they differ."""
        owners = self.owners()
        for node in self.nodes.values():
            if node.running() and {address: state.owner for address, state in node.states().items()} != owners:
                raise LabError(f"{node.name} tells of other owners")
        return owners

    def wait_agreed(self, seconds: float = WAIT_SECONDS) -> dict[str, str]:
        return wait_for("every node to know who owns what", self.agreed, seconds)


class Wire(Segment):
    def __init__(
        self,
        family: Family,
        names: tuple[str, ...] = NAMES,
        keys: dict[str, str] | None = None,
        probe_ms: int = 25,
        second_legs: tuple[str, ...] = (),
        multiplier: int = 5,
        host: bool = False,
    ) -> None:
        super().__init__(
            family, {n: Node(family, n, (keys or {}).get(n, KEY), probe_ms, multiplier) for n in names}
        )
        for node in self.nodes.values():
            netns.create(node.namespace)
            netns.configure(node.namespace, ["link set lo up"])
            netns.set_sysctls(node.namespace, {"ipv6/conf/default/accept_dad": "0"})
            self._plug(node.namespace, f"port-{node.name}", "eth0", 11 + NAMES.index(node.name))
        for name in second_legs:
            self._plug(self.nodes[name].namespace, f"port-{name}2", "eth1", 21 + NAMES.index(name))
        if host:
            netns.create(HOST)
            self._plug(HOST, "port-host", "eth0", 31)
        for node in self.nodes.values():
            node.mac = mac_of(node.namespace)
        self.switch = Switch(family, (*names, *(f"{name}2" for name in second_legs), *(["host"] if host else [])))
        for node in self.nodes.values():
            node.start()

    def _plug(self, namespace: str, port: str, interface: str, host: int) -> None:
        peer = f"peer name {interface} netns {namespace}"
        netns.configure(SWITCH, [f"link add {port} type veth {peer}", f"link set {port} up"])
        commands = [f"addr add {self.family.host(host)} dev {interface}", f"link set {interface} up"]
        netns.configure(namespace, commands)

    def close(self) -> None:
        self.switch.close()
        super().close()

    def cut(self, name: str, cut: bool = True) -> None:
        """Takes the carrier away, or gives it back."""
        netns.configure(SWITCH, [f"link set port-{name} {'down' if cut else 'up'}"])

    def owned_by_itself(self, name: str) -> list[str]:
        """What the node alone says that it owns."""
        return [a for a, state in self.nodes[name].states().items() if state.ownership == "owner"]

    def owned_by(self, name: str) -> list[str]:
        owned = [a for a, owner in self.owners().items() if owner == name]
        assert owned, f"{name} owns nothing"
        return owned

    def observe(self, seconds: float, meanwhile: Callable[[], None] | None = None) -> "Observed":
        """Asks for all addresses in turn, and does something a moment after it began."""
        first = len(self.switch.requests)
        self.switch.asking = self.addresses
        time.sleep(0.2)
        if meanwhile:
            meanwhile()
        began = time.monotonic()
        time.sleep(seconds)
        self.switch.asking = []
        time.sleep(0.1)
        names = {node.mac: node.name for node in self.nodes.values()}
        return Observed(
            self.family, self.switch.requests[first:], began, names, list(self.switch.frames), list(self.switch.pauses)
        )

    def probes(self, name: str, address: str, since: float) -> int:
        """How often a node asked by probe for an address."""
        found = 0
        for at, origin, frame in list(self.switch.frames):
            packet = self.family.codec.decode(frame)
            if at >= since and origin == name and packet and packet.sender_ip == self.family.codec.NOBODY:
                found += packet.target_ip == address
        return found


@dataclass(frozen=True)
class Observed:
    family: Family
    requests: list[Request]
    began: float = 0.0  # when what was to happen meanwhile had happened; times are told from then on
    names: dict[str, str] = field(default_factory=dict)  # of nodes, by MAC
    frames: list[tuple[float, str, bytes]] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)

    def _longest(self, address: str, bad: Callable[[Request], bool]) -> float:
        longest, began = 0.0, None
        for request in self.requests:
            if request.target != address:
                continue
            if not bad(request):
                began = None
                continue
            began = began or request.at
            longest = max(longest, request.at - began)
        return longest

    def unanswered(self, addresses: list[str], but_by: str = "") -> float:
        """The longest stretch without an answer, or with none but this machine's, in seconds."""
        return max(self._longest(a, lambda r: not set(r.answers) - {but_by}) for a in addresses)

    def answered_twice(self) -> float:
        """The longest stretch in which two nodes answered the same requests."""
        return max(self._longest(a, lambda r: len(set(r.answers)) > 1) for a in self.family.addresses)

    def assert_one_owner(self, but_for: float = 0.0) -> None:
        """No request was answered by two nodes, but for so many seconds at most."""
        twice = [r for r in self.requests if len(set(r.answers)) > 1]
        if twice and self.answered_twice() >= but_for:
            raise AssertionError("two nodes answered for one address" + self._told(twice))

    def _told(self, twice: list[Request]) -> str:
        lines = []
        for address in sorted({r.target for r in twice}):
            mine = [r for r in twice if r.target == address]
            first, last = mine[0].at, mine[-1].at
            who = ", ".join(sorted({self.names.get(mac, mac) for r in mine for mac in r.answers}))
            lines.append(
                f"{address}: {who} answered the same {len(mine)} requests,"
                f" {first - self.began:.3f} to {last - self.began:.3f} s after it was done; what nodes said before:"
            )
            lines += self._said(address, first - TOLD_BEFORE, first + TOLD_AFTER)
        return "".join(f"\n  {line}" for line in lines)

    def _said(self, address: str, since: float, until: float) -> list[str]:
        said = [(at, f"the switch had paused for {seconds:.3f} s") for at, seconds in self.pauses]
        for at, origin, frame in self.frames:
            packet = self.family.codec.decode(frame) if since <= at <= until else None
            if not packet or address not in (packet.sender_ip, packet.target_ip):
                continue
            what = "answers"
            if packet.op == arp.REQUEST:
                what = "asks" if packet.sender_ip == self.family.codec.NOBODY else "announces"
            if what != "answers" or packet.gratuitous or packet.target_ip == self.family.codec.NOBODY:
                to = self.names.get(packet.dst, "all")
                said.append((at, f"{origin} {what}{f' {to}' if what == 'answers' else ''}"))
        return [f"  {at - self.began:8.3f} {what}" for at, what in sorted(said) if since <= at <= until]

    def macs(self, addresses: list[str]) -> set[str]:
        return {mac for r in self.requests if r.target in addresses for mac in r.answers}


def remove() -> None:
    """Also what a killed run left."""
    for name in netns.names(PREFIX):
        processes.end(processes.identity(pid) for pid in netns.pids(name))
        netns.delete(name)
