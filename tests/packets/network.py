# SPDX-License-Identifier: Apache-2.0
"""The network of the table: a client and two nodes on one LAN, and on each node an endpoint and a Pod that calls.

node1 is under test.  node2 has no data plane: it only forwards to and from its Pods, and what its endpoint answers
goes back by way of node1, as that has to see both directions.  No namespace but node1's answers anything by itself,
so that only the table's endpoints do.
"""

import os
from collections.abc import Sequence

from lab import netns

from .cases import (
    CALLER,
    CLIENT,
    ENDPOINT,
    FAMILIES,
    MASQUERADE,
    NODE,
    NODE_TOO,
    OTHER_NODE,
    OUTER_CIDRS,
    SERVICE_CIDRS,
    STRANGER,
    Service,
)
from .specification import To

SERVER = "192.168.77.2"  # for an API server, in the LAN's own namespace
_LAN = {4: 24, 6: 64}
_PODS = {4: 25, 6: 64}
# All Pods of each node.
_NODE_CIDR = {
    "here": {4: "10.244.1.0/24", 6: "fd00:244:1::/48"},
    "elsewhere": {4: "10.244.2.0/24", 6: "fd00:244:2::/48"},
}
_CALLER_GATE = {
    "here": {4: "10.244.1.129", 6: "fd00:244:1:1::1"},
    "elsewhere": {4: "10.244.2.129", 6: "fd00:244:2:1::1"},
}
_ENDPOINT_GATE = {"here": MASQUERADE["here"], "elsewhere": {4: "10.244.2.1", 6: "fd00:244:2::1"}}
_BACK_TABLE = 100

_SYSCTLS = {
    **{f"ipv6/conf/{which}/accept_dad": "0" for which in ("all", "default")},
    **{f"ipv4/conf/{which}/{key}": "0" for which in ("all", "default") for key in ("rp_filter", "send_redirects")},
}
_ROUTER_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    # Each refusal is told to its sender, however many there are.
    "ipv4/icmp_ratelimit": "0",
    "ipv4/icmp_ratemask": "0",
    "ipv6/icmp/ratelimit": "0",
    "ipv6/icmp/ratemask": "3-127",
    # Nobody goes on where an endpoint on the node itself has answered.
    "ipv4/tcp_synack_retries": "0",
    "ipv4/tcp_max_syn_backlog": "65536",
    "core/somaxconn": "65536",
}
_SILENT = """table inet silent {
	chain input {
		type filter hook input priority 0; policy drop;
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
	}
}
"""

HOSTS = {"here": "node1", "elsewhere": "node2"}
_NAMES = ("lan", "client", "node1", "node2", "endpoint1", "endpoint2", "caller1", "caller2")


class Network:
    """Use as a context: the namespaces exist within it."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._prefix = f"flpt{os.getpid()}"
        self.services = services

    def __enter__(self) -> "Network":
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def ns(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _remove(self) -> None:
        for name in netns.names(f"{self._prefix}-"):
            netns.delete(name)

    def _make(self) -> None:
        for name in _NAMES:
            netns.create(self.ns(name))
            netns.set_sysctls(self.ns(name), _SYSCTLS | (_ROUTER_SYSCTLS if name.startswith("node") else {}))
            netns.configure(self.ns(name), ["link set lo up"])
        bridge = ["link add br0 type bridge", "link set br0 up", f"addr add {SERVER}/{_LAN[4]} dev br0"]
        netns.configure(self.ns("lan"), bridge)
        self._on_lan("client", CLIENT, STRANGER)
        self._on_lan("node1", NODE)
        self._on_lan("node2", OTHER_NODE)
        for where in HOSTS:
            self._pods(where)
        self._routes()
        self._bind()
        for name in ("client", "endpoint1", "endpoint2", "caller1", "caller2"):
            netns.feed(self.ns(name), ["nft", "-f", "-"], _SILENT)

    def _on_lan(self, name: str, *addresses: dict[int, str]) -> None:
        peer = self.ns(name)
        link = f"link add {name} type veth peer name eth0 netns {peer}"
        netns.configure(self.ns("lan"), [link, f"link set {name} master br0", f"link set {name} up"])
        adds = [f"addr add {a[f]}/{_LAN[f]} dev eth0" for a in addresses for f in FAMILIES]
        netns.configure(peer, [*adds, "link set eth0 up"])

    def _pods(self, where: str) -> None:
        node = HOSTS[where]
        for kind, own, gate in (("endpoint", ENDPOINT, _ENDPOINT_GATE), ("caller", CALLER, _CALLER_GATE)):
            pod = self.ns(kind + node[-1])
            gates = [f"addr add {gate[where][f]}/{_PODS[f]} dev {kind}" for f in FAMILIES]
            link = f"link add {kind} type veth peer name eth0 netns {pod}"
            netns.configure(self.ns(node), [link, *gates, f"link set {kind} up"])
            owns = [f"addr add {own[where][f]}/{_PODS[f]} dev eth0" for f in FAMILIES]
            defaults = [f"route add default via {gate[where][f]}" for f in FAMILIES]
            netns.configure(pod, [*owns, "link set eth0 up", *defaults])

    def _routes(self) -> None:
        for family in FAMILIES:
            services = (SERVICE_CIDRS[family], OUTER_CIDRS[family])
            for name in ("client", "node2"):
                cidrs = (*services, _NODE_CIDR["here"][family], NODE_TOO[family])
                netns.configure(self.ns(name), [f"route add {c} via {NODE[family]}" for c in cidrs])
            remote = f"route add {_NODE_CIDR['elsewhere'][family]} via {OTHER_NODE[family]}"
            netns.configure(self.ns("node1"), [remote, f"route add default via {CLIENT[family]}"])
            netns.configure(self.ns("client"), [remote])
            netns.configure(self.ns("node2"), [f"route add default via {NODE[family]} table {_BACK_TABLE}"])
            rule = ["ip", f"-{family}", "rule", "add", "iif", "endpoint", "lookup", str(_BACK_TABLE)]
            netns.output(self.ns("node2"), rule)

    def _bind(self) -> None:
        """The node's own further address, and all that are bound."""
        bound = [s.address(to, f, True) for s in self.services for to in (To.VIP, To.EXTERNAL_IP) for f in FAMILIES]
        addresses = [*NODE_TOO.values(), *bound]
        netns.configure(self.ns("node1"), [f"addr add {a}/{128 if ':' in a else 32} dev lo" for a in addresses])
