# SPDX-License-Identifier: Apache-2.0
"""The Services of the table with their addresses, and every combination of what a packet may meet.

One Service for each combination of policies, source ranges and endpoints; it has both families, three protocols, and
each kind of address twice: `bound` ones are also addresses of the node under test.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from .specification import CLOSED, SILENCE, Endpoints, Fate, From, Node, State, To, Traffic, fate

FAMILIES = (4, 6)
PROTOCOLS = ("TCP", "UDP", "SCTP")
PORT = 80
CLOSED_PORT = 81
AFFINITY_SECONDS = 10800
FIRST_TARGET_PORT, LAST_TARGET_PORT = 20000, 20999

CLUSTER_CIDRS = {4: "10.244.0.0/16", 6: "fd00:244::/32"}
SERVICE_CIDRS = {4: "10.96.0.0/16", 6: "fd00:96::/112"}
# All other addresses of Services.
OUTER_CIDRS = {4: "198.18.0.0/15", 6: "fd00:18::/32"}

CLIENT = {4: "192.168.77.100", 6: "fd00:77::100"}
STRANGER = {4: "192.168.77.101", 6: "fd00:77::101"}
# The address by which the cluster knows the node, and another one, so that masquerading shows.
NODE = {4: "192.168.77.11", 6: "fd00:77::11"}
NODE_TOO = {4: "192.168.78.1", 6: "fd00:78::1"}
OTHER_NODE = {4: "192.168.77.12", 6: "fd00:77::12"}
ENDPOINT = {"here": {4: "10.244.1.2", 6: "fd00:244:1::2"}, "elsewhere": {4: "10.244.2.2", 6: "fd00:244:2::2"}}
CALLER = {"here": {4: "10.244.1.130", 6: "fd00:244:1:1::2"}, "elsewhere": {4: "10.244.2.130", 6: "fd00:244:2:1::2"}}
# The node's address on the link to each endpoint, which it takes when it masquerades.
MASQUERADE = {"here": {4: "10.244.1.1", 6: "fd00:244:1::1"}, "elsewhere": NODE}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}

SENDERS = {
    From.OUTSIDE: CLIENT,
    From.STRANGER: STRANGER,
    From.NODE: NODE_TOO,
    From.LOOPBACK: LOOPBACK,
    From.POD: CALLER["here"],
    From.REMOTE_POD: CALLER["elsewhere"],
    From.ENDPOINT: ENDPOINT["here"],
    From.REMOTE_ENDPOINT: ENDPOINT["elsewhere"],
}
EVERYBODY = tuple(s for s in SENDERS if s is not From.LOOPBACK)

ENDPOINTS = {
    "none": Endpoints(),
    "elsewhere": Endpoints(None, State.READY),
    "here": Endpoints(State.READY, None),
    "both": Endpoints(State.READY, State.READY),
    "draining": Endpoints(State.DRAINING, State.DRAINING),
    "draining-here": Endpoints(State.DRAINING, State.READY),
    "unready": Endpoints(State.UNREADY, State.UNREADY),
    "host": Endpoints(State.READY, None, host=True),
    "host-both": Endpoints(State.READY, State.READY, host=True),
}

_CLIENT_RANGES = (f"{CLIENT[4]}/32", f"{CLIENT[6]}/128")
# What the node is told; by the last nothing, but all Services have affinity.  All but the first are tried on Services
# without source ranges, as those play no part in it.
SETTINGS = {
    "": Node(),
    "masquerade-all": Node(masquerade_all=True),
    "no-cluster-cidr": Node(knows_pods=False),
    "localhost-nodeports": Node(localhost=True),
    "affinity": Node(),
}

RANGES: dict[str, tuple[str, ...]] = {
    "": (),
    "client": _CLIENT_RANGES,
    "insiders": (
        *_CLIENT_RANGES,
        *(f"{NODE[4]}/32", f"{NODE[6]}/128", f"{NODE_TOO[4]}/32", f"{NODE_TOO[6]}/128"),
        *CLUSTER_CIDRS.values(),
    ),
    "everyone": (*_CLIENT_RANGES, "0.0.0.0/0", "::/0"),
    "ipv4": (_CLIENT_RANGES[0],),
}


@dataclass(frozen=True)
class Service:
    number: int  # from 1 to 250; its addresses and ports follow
    traffic: Traffic
    ranges: str
    endpoints: str

    @property
    def name(self) -> str:
        traffic = self.traffic
        policies = "".join("l" if local else "c" for local in (traffic.external_local, traffic.internal_local))
        words = ("lb" if traffic.external else "in", policies, self.ranges, self.endpoints)
        return "-".join(w for w in words if w)

    def address(self, to: To, family: int, bound: bool = False) -> str:
        if to in (To.CLUSTER_IP, To.CLUSTER_IP_CLOSED):
            return f"10.96.1.{self.number}" if family == 4 else f"fd00:96::{0x100 + self.number:x}"
        if to in (To.VIP, To.VIP_CLOSED):
            return f"198.18.{int(bound)}.{self.number}" if family == 4 else f"fd00:18:0:{int(bound)}::{self.number:x}"
        if to in (To.EXTERNAL_IP, To.EXTERNAL_IP_CLOSED):
            return f"198.19.{int(bound)}.{self.number}" if family == 4 else f"fd00:18:1:{int(bound)}::{self.number:x}"
        return {To.LOOPBACK: LOOPBACK, To.NODE_PORT_TOO: NODE_TOO}.get(to, NODE)[family]

    def node_port(self, protocol: str) -> int:
        return 30000 + 4 * self.number + PROTOCOLS.index(protocol)

    @property
    def health_port(self) -> int:
        return 30000 + 4 * self.number + len(PROTOCOLS)

    def target_port(self, protocol: str) -> int:
        return FIRST_TARGET_PORT + 4 * self.number + PROTOCOLS.index(protocol)

    @property
    def host(self) -> bool:
        return ENDPOINTS[self.endpoints].host

    def endpoint(self, where: str, family: int) -> str:
        """The address of the endpoint here or elsewhere."""
        return (NODE if self.host and where == "here" else ENDPOINT[where])[family]

    def states(self) -> dict[str, State]:
        """Of the endpoints that it has."""
        endpoints = ENDPOINTS[self.endpoints]
        states = {"here": endpoints.here, "elsewhere": endpoints.elsewhere}
        return {name: state for name, state in states.items() if state}

    def ranges_of(self, family: int) -> list[str]:
        return [r for r in RANGES[self.ranges] if ipaddress.ip_network(r).version == family]

    def admits(self, address: str, family: int) -> bool:
        """Whether an address is in the source ranges of its family; without any, all are."""
        ranges = self.ranges_of(family)
        return not ranges or any(ipaddress.ip_address(address) in ipaddress.ip_network(r) for r in ranges)


@dataclass(frozen=True)
class Case:
    """One combination."""

    node: Node
    service: Service
    to: To
    bound: bool
    sender: From
    family: int
    protocol: str

    @property
    def destination(self) -> str:
        return self.service.address(self.to, self.family, self.bound)

    @property
    def port(self) -> int:
        if self.to in CLOSED:
            return CLOSED_PORT
        at_node = self.to in (To.NODE_PORT, To.NODE_PORT_TOO, To.LOOPBACK)
        return self.service.node_port(self.protocol) if at_node else PORT

    @property
    def source(self) -> str:
        return self.destination if self.sender is From.ITSELF else SENDERS[self.sender][self.family]

    @property
    def admitted(self) -> bool:
        """Whether source ranges let the sender in; a node that sends from the VIP itself, by the node's own address."""
        return self.service.admits(NODE[self.family] if self.sender is From.ITSELF else self.source, self.family)

    @property
    def fate(self) -> Fate:
        """As specified.  SCTP that only the node could refuse is met with silence: the table's own socket takes it."""
        if self.to in CLOSED and self.protocol == "SCTP":
            return SILENCE
        endpoints = ENDPOINTS[self.service.endpoints]
        traffic = self.service.traffic
        return fate(self.node, traffic, endpoints, self.to, self.sender, self.admitted, self.bound)

    @property
    def packet(self) -> str:
        """All but the Service."""
        to = f"{self.to.value}{' (bound)' if self.bound else ''}"
        return f"{self.protocol} over IPv{self.family} from {self.sender.value} to {to}"


def services(setting: str) -> list[Service]:
    wanted: list[tuple[Traffic, str, str]] = []
    policies = list(product((False, True), (False, True)))
    for (external, internal), ranges, endpoints in product(policies, ("", "client", "insiders"), ENDPOINTS):
        wanted.append((Traffic(external, internal), ranges, endpoints))
    for external, ranges in product((False, True), ("everyone", "ipv4")):
        wanted.append((Traffic(external), ranges, "both"))
    for internal, endpoints in product((False, True), ENDPOINTS):
        wanted.append((Traffic(internal_local=internal, external=False), "", endpoints))
    if setting == "affinity":
        wanted = [(replace(traffic, affinity=True), *rest) for traffic, *rest in wanted]
    return [Service(number, *what) for number, what in enumerate(wanted, 1) if not setting or not what[1]]


def _destinations(service: Service) -> Iterator[tuple[To, bool, tuple[From, ...]]]:
    """Each with whether it is bound, and who sends to it."""
    yield To.CLUSTER_IP, False, EVERYBODY
    if not service.traffic.external:
        return
    yield To.NODE_PORT, False, EVERYBODY
    yield To.NODE_PORT_TOO, False, EVERYBODY
    yield To.LOOPBACK, False, (From.LOOPBACK,)
    for to in (To.VIP, To.EXTERNAL_IP):
        yield to, False, EVERYBODY
        yield to, True, (*EVERYBODY, From.ITSELF)
    if service.ranges == "" and service.endpoints in ("none", "both"):
        yield To.CLUSTER_IP_CLOSED, False, EVERYBODY
        for to in (To.VIP_CLOSED, To.EXTERNAL_IP_CLOSED):
            yield to, False, EVERYBODY
            yield to, True, (*EVERYBODY, From.ITSELF)


def cases(setting: str) -> list[Case]:
    found = []
    for service in services(setting):
        for to, bound, senders in _destinations(service):
            for sender, family, protocol in product(senders, FAMILIES, PROTOCOLS):
                found.append(Case(SETTINGS[setting], service, to, bound, sender, family, protocol))
    return found
