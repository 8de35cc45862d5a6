# SPDX-License-Identifier: Apache-2.0
"""What shall become of the first packet of a flow to a Service: Kubernetes' rules, as kube-proxy keeps them.

Written by hand, from the documentation of Services and kube-proxy's behaviour; the data plane under test has no part
in it.  Plain values in, plain values out: nothing here knows addresses, packets or namespaces.
"""

from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    """Of one endpoint, as its conditions say."""

    READY = "ready"
    DRAINING = "serving, terminating"
    UNREADY = "not ready"


class To(Enum):
    """What kind of address the packet is sent to."""

    CLUSTER_IP = "cluster IP"
    NODE_PORT = "node port"
    NODE_PORT_TOO = "node port at another address of the node"
    VIP = "VIP"
    EXTERNAL_IP = "external IP"
    LOOPBACK = "node port at loopback"
    # Addresses of a Service at a port that it does not have.
    CLUSTER_IP_CLOSED = "cluster IP, other port"
    VIP_CLOSED = "VIP, other port"
    EXTERNAL_IP_CLOSED = "external IP, other port"


CLOSED = (To.CLUSTER_IP_CLOSED, To.VIP_CLOSED, To.EXTERNAL_IP_CLOSED)


class From(Enum):
    """Who sends it."""

    OUTSIDE = "outside"
    STRANGER = "outside, in no source range"
    NODE = "the node"
    ITSELF = "the address itself, on the node"
    LOOPBACK = "the node's loopback address"
    POD = "a Pod here"
    REMOTE_POD = "a Pod elsewhere"
    ENDPOINT = "the endpoint here"
    REMOTE_ENDPOINT = "the endpoint elsewhere"


PODS = (From.POD, From.REMOTE_POD, From.ENDPOINT, From.REMOTE_ENDPOINT)
# Processes of the node under test.
HOST = (From.NODE, From.ITSELF, From.LOOPBACK)


@dataclass(frozen=True)
class Node:
    """What the data plane is told of the node that it serves."""

    knows_pods: bool = True  # the addresses of all Pods
    masquerade_all: bool = False  # toward cluster IPs
    localhost: bool = False  # node ports at loopback addresses, where there is a choice


@dataclass(frozen=True)
class Traffic:
    """What a Service says of its traffic."""

    external_local: bool = False
    internal_local: bool = False
    # Whether anything outside the cluster reaches it: node port, VIP, external IP.
    external: bool = True
    affinity: bool = False  # a client stays with the endpoint that it had first


@dataclass(frozen=True)
class Endpoints:
    """The one endpoint on this node and the one on another, where there are any."""

    here: State | None = None
    elsewhere: State | None = None
    host: bool = False  # the one here is a process on the node's own network


@dataclass(frozen=True)
class Way:
    """Where packets go: the endpoint, and whether it sees the sender's address or the node's."""

    endpoint: str  # "here" or "elsewhere"
    masqueraded: bool

    def __str__(self) -> str:
        return f"{self.endpoint}, {'masqueraded' if self.masqueraded else 'source kept'}"


@dataclass(frozen=True)
class Fate:
    """What becomes of a packet: one of the ways, or an answer that refuses it, or nothing."""

    ways: frozenset[Way] = field(default_factory=frozenset)
    refused: bool = False
    constant: bool = False  # of packets of the same sender: always the same way

    def __str__(self) -> str:
        if self.refused:
            return "refused"
        ways = "; or ".join(sorted(map(str, self.ways))) or "silence"
        return f"{ways}; always the same" if self.constant else ways


REFUSED = Fate(refused=True)
SILENCE = Fate()


def selected(endpoints: Endpoints) -> tuple[set[str], set[str]]:
    """The endpoints for all nodes and those for this one: ready ones; if there are none, those that still serve."""
    states = {"here": endpoints.here, "elsewhere": endpoints.elsewhere}

    def choose(among: tuple[str, ...]) -> set[str]:
        ready = {name for name in among if states[name] is State.READY}
        return ready or {name for name in among if states[name] is State.DRAINING}

    return choose(("here", "elsewhere")), choose(("here",))


def fate(
    node: Node, traffic: Traffic, endpoints: Endpoints, to: To, sender: From, in_ranges: bool, bound: bool
) -> Fate:
    """@in_ranges: the sender's address is in the Service's source ranges, or it has none.

    @bound: the node has the destination among its own addresses; nothing listens there.
    """
    if to in CLOSED:
        return REFUSED if bound else SILENCE
    everywhere, here = selected(endpoints)
    if not everywhere and not here:
        return REFUSED
    if to is To.VIP and not in_ranges:
        return SILENCE
    decide = _internal if to is To.CLUSTER_IP else _external
    found = decide(node, traffic, everywhere, here, sender)
    ways = _without_masquerade_here(found.ways) if endpoints.host else found.ways
    return Fate(ways, constant=traffic.affinity and len(ways) > 1)


def _without_masquerade_here(ways: frozenset[Way]) -> frozenset[Way]:
    """What ends on the node itself leaves by no interface, and so keeps its source.  The node's own is one of its
    addresses in any case, whichever it takes."""
    return frozenset(Way(w.endpoint, w.masqueraded and w.endpoint != "here") for w in ways)


def _internal(node: Node, traffic: Traffic, everywhere: set[str], here: set[str], sender: From) -> Fate:
    """Who is no Pod is masqueraded, if that can be told."""
    masqueraded = node.masquerade_all or (node.knows_pods and sender not in PODS)
    return _to(here if traffic.internal_local else everywhere, sender, masqueraded)


def _external(node: Node, traffic: Traffic, everywhere: set[str], here: set[str], sender: From) -> Fate:
    """By policy Local the node and all Pods reach all endpoints, and others those here with their own address."""
    if not traffic.external_local:
        return _to(everywhere, sender, True)
    if sender in PODS and node.knows_pods:
        return _to(everywhere, sender, False)
    if sender in HOST:
        return _to(everywhere, sender, True)
    return _to(here, sender, False)


def _to(endpoints: set[str], sender: From, masqueraded: bool) -> Fate:
    """Whoever reaches himself sees the node's address."""
    selves = {From.ENDPOINT: "here", From.REMOTE_ENDPOINT: "elsewhere"}
    return Fate(frozenset(Way(e, masqueraded or selves.get(sender) == e) for e in endpoints))
