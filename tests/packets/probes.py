# SPDX-License-Identifier: Apache-2.0
"""Sends all packets of the table, answers those that reach an endpoint, and says what became of each.

All sockets, in all namespaces, are in this process.  Packets go out in rounds; behind each round go markers, straight
to the endpoints and back, by the ways that the round's packets took: when they are all there, so is what was to come.
No clock decides what silence is, and whatever comes later still counts.
"""

import errno
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from lab import netns
from lab.waiting import LabError, wait_for

from . import wire
from .cases import (
    CALLER,
    CLIENT,
    ENDPOINT,
    FAMILIES,
    FIRST_TARGET_PORT,
    LAST_TARGET_PORT,
    MASQUERADE,
    NODE,
    NODE_TOO,
    Case,
    Service,
)
from .network import Network
from .specification import HOST, Fate, From, Way

ROUNDS = 6  # each with twice as many packets
# After two rounds: where more is left it is no bad luck, and others are only tried if one of two endpoints was reached.
PENDING_MAX = 1000
# Packets between two looks at what has come, and the longest time.
BATCH = 200
LOOK_SECONDS = 0.2
# IPVS forgets an SCTP INIT that nobody has answered for 4 s (INIT1 in its ip_vs_proto_sctp.c, which no sysctl changes),
# and no longer translates an answer that is later, though conntrack does.  Where the machine held up an endpoint so
# long, it says nothing, and the packet does not count.
SCTP_ANSWER_SECONDS = 1.5
FIRST_PORT = 1024
_BUFFER_BYTES = 64 << 20
_MARKER_PORT = 9
_MARKER_SECONDS = 2.0  # until others are sent in their place
_MARKERS_FROM = 1 << 31  # their numbers lie above those of all packets
_BACKLOG = 4096
_ENDPOINTS = {"endpoint1": "here", "endpoint2": "elsewhere", "node1": "here"}
_SO_RCVBUFFORCE = 33
_IP, _IPV6 = 0x0800, 0x86DD

_PLACES = {
    From.OUTSIDE: "client",
    From.STRANGER: "client",
    From.POD: "caller1",
    From.REMOTE_POD: "caller2",
    From.ENDPOINT: "endpoint1",
    From.REMOTE_ENDPOINT: "endpoint2",
    **{sender: "node1" for sender in HOST},
}
# Who sends a marker from where.
_MARKERS = {
    "client": CLIENT,
    "node1": NODE_TOO,
    "caller1": CALLER["here"],
    "caller2": CALLER["elsewhere"],
    "endpoint1": ENDPOINT["here"],
    "endpoint2": ENDPOINT["elsewhere"],
}


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def unpacked(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address)


_NODE_ADDRESSES = {packed(a) for a in (*NODE.values(), *NODE_TOO.values())}


class Place:
    """A namespace that sends and receives."""

    def __init__(self, name: str, namespace: str) -> None:
        self.name = name
        self._senders: dict[int, socket.socket] = {}
        self.receivers: list[socket.socket] = []
        with netns.entered(namespace):
            for family, kind in ((4, socket.AF_INET), (6, socket.AF_INET6)):
                self._senders[family] = socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW)
            self._open_receivers()
        for one in self.receivers:
            one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            one.setblocking(False)

    def _open_receivers(self) -> None:
        for kind in (_IP, _IPV6):
            self.receivers.append(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind)))

    def close(self) -> None:
        for one in (*self._senders.values(), *self.receivers):
            one.close()

    def send(self, packet: bytes) -> None:
        six = packet[0] >> 4 == 6
        destination = packet[24:40] if six else packet[16:20]
        host = socket.inet_ntop(socket.AF_INET6 if six else socket.AF_INET, destination)
        try:
            self._senders[6 if six else 4].sendto(packet, (host, 0))
        except OSError as error:
            # That is what the sender is told of a packet dropped on its way out, or led where its source cannot go.
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise

    def receive(self, receiver: socket.socket) -> wire.Seen | None:
        return wire.parse(receiver.recv(65536))


class Node(Place):
    """The node under test: only behind its own translation are answers what the sender would get.

    Endpoints on its own network are here: somebody listens, so that the kernel does not refuse what comes.
    """

    def __init__(self, name: str, namespace: str, services: Sequence[Service]) -> None:
        super().__init__(name, namespace)
        with netns.entered(namespace):
            for service, family in product((s for s in services if s.host), FAMILIES):
                self._listen(service.endpoint("here", family), service)

    def _listen(self, address: str, service: Service) -> None:
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        for protocol, transport in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
            listener = socket.socket(kind, transport)
            listener.bind((address, service.target_port(protocol)))
            if protocol == "TCP":
                listener.listen(_BACKLOG)
            self._listeners.append(listener)

    def close(self) -> None:
        super().close()
        for listener in self._listeners:
            listener.close()

    def _open_receivers(self) -> None:
        self._protocols: dict[socket.socket, int] = {}
        self._listeners: list[socket.socket] = []
        for protocol in (wire.TCP, wire.UDP, wire.SCTP, wire.ICMP):
            self.receivers.append(socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol))
        for protocol in (wire.TCP, wire.UDP, wire.SCTP, wire.ICMP6):
            receiver = socket.socket(socket.AF_INET6, socket.SOCK_RAW, protocol)
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            self._protocols[receiver] = protocol
            self.receivers.append(receiver)

    def receive(self, receiver: socket.socket) -> wire.Seen | None:
        if receiver not in self._protocols:
            return super().receive(receiver)
        segment, ancillary, _, peer = receiver.recvmsg(65536, 256)
        destination = next(data[:16] for level, _, data in ancillary if level == socket.IPPROTO_IPV6)
        return wire.parse_segment(self._protocols[receiver], packed(peer[0].split("%")[0]), destination, segment)


@dataclass
class Probe:
    """One packet on its way."""

    flow: wire.Flow
    sent: float
    way: Way | None = None
    answered: bool = False
    refused: bool = False
    late: bool = False  # it arrived when the kernel may have forgotten it
    strange: str = ""  # what no fate has words for

    def __str__(self) -> str:
        if self.strange or self.refused:
            return self.strange or "refused"
        unanswered = ", too late to be answered" if self.late else ", no answer came"
        return f"{self.way}{'' if self.answered else unanswered}" if self.way else "silence"


class Tried:
    """A case and what became of its packets."""

    def __init__(self, case: Case, fate: Fate) -> None:
        self.case, self.fate = case, fate
        self.probes: list[Probe] = []
        self._round = 0

    def begin_round(self, number: int) -> int:
        """How many packets to send: few where one tells all, and enough for each endpoint to have its turn."""
        self._round = len(self.probes)
        return max(len(self.fate.ways) * 2, 1) << number

    def contradicted(self) -> bool:
        """Something was seen that cannot be."""
        several = self.fate.constant and len({p.way for p in self.probes if p.way}) > 1
        return several or any(self._is_wrong(p) for p in self.probes)

    def _is_wrong(self, probe: Probe) -> bool:
        elsewhere = probe.way is not None and probe.way not in self.fate.ways
        return bool(probe.strange) or probe.refused > self.fate.refused or elsewhere

    def arrived(self) -> bool:
        return any(p.way for p in self.probes)

    def fulfilled(self) -> bool:
        """Everything was seen that shall be; of what a round lost the next one is to show that it was bad luck."""
        if self.contradicted():
            return False
        ways = {p.way for p in self.probes if p.way}
        last = [p for p in self.probes[self._round :] if not p.late]
        if self.fate.refused:
            return all(p.refused for p in last)
        complete = len(ways) == 1 if self.fate.constant else ways == self.fate.ways
        return complete and (not ways or (bool(last) and all(p.way and p.answered for p in last)))

    def __str__(self) -> str:
        said = Counter(str(p) for p in self.probes)
        return "; ".join(f"{what} ({n} of {len(self.probes)})" for what, n in sorted(said.items()))


class Prober:
    """Use as a context."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._places: dict[str, Place] = {}
        self._poll = select.epoll()
        self._receivers: dict[int, tuple[Place, socket.socket]] = {}
        self._probes: list[tuple[Tried, Probe]] = []
        self._of_flow: dict[tuple[int, bytes, int], tuple[Tried, Probe]] = {}
        self._ports: Counter[tuple[int, bytes]] = Counter()
        self._markers: set[int] = set()
        self._n_markers = 0
        self._look_at = 0.0

    def __enter__(self) -> "Prober":
        for name in _MARKERS:
            namespace = self._network.ns(name)
            place = Node(name, namespace, self._network.services) if name == "node1" else Place(name, namespace)
            self._places[name] = place
            for receiver in place.receivers:
                self._receivers[receiver.fileno()] = place, receiver
                self._poll.register(receiver, select.EPOLLIN)
        return self

    def __exit__(self, *_: object) -> None:
        self._poll.close()
        for place in self._places.values():
            place.close()

    def run(self, tries: Sequence[Tried]) -> None:
        """Tries each until it is fulfilled, something contradicts it, or there were enough rounds."""
        self._settle()  # so that the neighbours know each other
        pending = list(tries)
        for number in range(ROUNDS):
            for tried in pending:
                for _ in range(tried.begin_round(number)):
                    self._send(tried)
            self._settle()
            pending = [t for t in pending if not t.fulfilled() and not t.contradicted()]
            if number > 0 and len(pending) > PENDING_MAX:
                pending = [t for t in pending if t.arrived()][:PENDING_MAX]
            if not pending:
                break

    # ---- out ----

    def _port(self, protocol: int, source: bytes) -> int:
        """One that this sender has not used, so that every packet opens a flow."""
        self._ports[protocol, source] += 1
        port = FIRST_PORT + self._ports[protocol, source]
        if port > 0xFFFF:
            raise LabError(f"no port left at {unpacked(source)}")
        return port

    def _send(self, tried: Tried) -> None:
        case = tried.case
        protocol, source = wire.NUMBERS[case.protocol], packed(case.source)
        flow = wire.Flow(protocol, source, packed(case.destination), self._port(protocol, source), case.port)
        probe = Probe(flow, time.monotonic())
        tried.probes.append(probe)
        self._probes.append((tried, probe))
        self._of_flow[protocol, source, flow.source_port] = tried, probe
        self._places[_PLACES[case.sender]].send(wire.packet(flow, len(self._probes)))
        if len(self._probes) % BATCH == 0 or time.monotonic() >= self._look_at:
            self._take(0)

    def _settle(self) -> None:
        """Waits until all that is under way has come: a set of markers is complete."""

        def all_back() -> bool:
            self._send_markers()
            self._take(_MARKER_SECONDS)
            return not self._markers

        wait_for("all markers to come back", all_back, 60, 0)

    def _send_markers(self) -> None:
        self._markers.clear()
        for family in FAMILIES:
            for where, endpoint in ENDPOINT.items():
                for name, addresses in _MARKERS.items():
                    if addresses is not ENDPOINT[where]:
                        self._send_marker(name, packed(addresses[family]), packed(endpoint[family]))

    def _send_marker(self, name: str, source: bytes, destination: bytes) -> None:
        self._n_markers += 1
        number = _MARKERS_FROM + self._n_markers
        self._markers.add(number)
        flow = wire.Flow(wire.UDP, source, destination, self._port(wire.UDP, source), _MARKER_PORT)
        self._places[name].send(wire.packet(flow, number))

    # ---- in ----

    def _take(self, seconds: float) -> None:
        """All that has come, or comes within some time; returns once all markers are back."""
        deadline = time.monotonic() + seconds
        while ready := self._poll.poll(max(deadline - time.monotonic(), 0) if self._markers else 0):
            for fd, _ in ready:
                self._drain(*self._receivers[fd])
        self._look_at = time.monotonic() + LOOK_SECONDS

    def _drain(self, place: Place, receiver: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                seen = place.receive(receiver)
            except BlockingIOError:
                return
            if seen:
                self._note(place, seen)

    def _note(self, place: Place, seen: wire.Seen) -> None:
        if seen.kind == "opens":
            if place.name in _ENDPOINTS and (place.name != "node1" or self._is_endpoint(seen.flow)):
                self._arrived(place, seen)
        elif seen.kind == "answers" and seen.number > _MARKERS_FROM:
            self._markers.discard(seen.number)
        else:
            self._came_back(place, seen)

    @staticmethod
    def _is_endpoint(flow: wire.Flow) -> bool:
        """Of the node itself: most of what comes there is for nobody."""
        return flow.destination in _NODE_ADDRESSES and FIRST_TARGET_PORT <= flow.port <= LAST_TARGET_PORT

    def _arrived(self, place: Place, seen: wire.Seen) -> None:
        """At an endpoint, which answers; on the node itself the kernel does that for TCP."""
        tried, probe = self._probes[seen.number - 1] if 0 < seen.number <= len(self._probes) else (None, None)
        if probe and seen.flow.protocol == wire.SCTP:
            probe.late = time.monotonic() - probe.sent > SCTP_ANSWER_SECONDS
        if not (probe and probe.late) and (place.name != "node1" or seen.flow.protocol != wire.TCP):
            place.send(wire.packet(seen.flow.back, seen.number, answers=True))
        if tried and probe:
            if probe.way:
                probe.strange = "more than one arrived"
            else:
                self._judge(tried.case, probe, _ENDPOINTS[place.name], seen.flow)

    @staticmethod
    def _judge(case: Case, probe: Probe, where: str, flow: wire.Flow) -> None:
        target = case.service.target_port(case.protocol)
        own = case.service.host and where == "here" and case.sender in HOST and flow.source in _NODE_ADDRESSES
        if flow.source == probe.flow.source or own:
            probe.way = Way(where, False)
        elif flow.source == packed(MASQUERADE[where][case.family]):
            probe.way = Way(where, True)
        else:
            probe.strange = f"{where}, from {unpacked(flow.source)}"
        if flow.destination != packed(case.service.endpoint(where, case.family)) or flow.port != target:
            probe.strange = f"{where}, at {unpacked(flow.destination)} port {flow.port} instead of {target}"

    def _came_back(self, place: Place, seen: wire.Seen) -> None:
        sent = seen.flow if seen.kind == "refuses" else seen.flow.back
        tried, probe = self._of_flow.get((sent.protocol, sent.source, sent.source_port), (None, None))
        if not tried or not probe or place.name != _PLACES[tried.case.sender]:
            return
        if seen.kind == "refuses":
            probe.refused = True
        elif sent == probe.flow:
            probe.answered = True
        else:
            probe.strange = f"answered by {unpacked(sent.destination)} port {sent.port}"
