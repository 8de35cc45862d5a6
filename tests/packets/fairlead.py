# SPDX-License-Identifier: Apache-2.0
"""Fairlead's data plane on the node under test.  Which endpoints are for whom is given to it, as specified."""

from collections.abc import Sequence

from lab.proxyctl import Proxyctl

from .cases import AFFINITY_SECONDS, CLUSTER_CIDRS, ENDPOINTS, FAMILIES, NODE, PORT, PROTOCOLS, Service
from .network import Network
from .specification import Node, To, selected

# What proxyctl is told of each mode.
OPTIONS = {
    "nft": ("--variant", "nft"),
    "legacy": ("--variant", "legacy"),
    "nftables": ("--mode", "nftables"),
    "ipvs": ("--mode", "ipvs"),
}


def _ports(service: Service, family: int) -> list[str]:
    everywhere, here = selected(ENDPOINTS[service.endpoints])
    words = []
    for protocol in PROTOCOLS:
        node_port = f"/{service.node_port(protocol)}" if service.traffic.external else ""
        words.append(f"port={protocol.lower()}/{PORT}{node_port}")
        target = service.target_port(protocol)
        words += [f"cluster={service.endpoint(e, family)};{target}" for e in sorted(everywhere)]
        words += [f"local={service.endpoint(e, family)};{target}" for e in sorted(here)]
    return words


def _ranges(service: Service, family: int) -> list[str]:
    """With the VIPs themselves where the ranges have the node, as the speaker adds them (src/speaker/forward.c)."""
    ranges = service.ranges_of(family)
    if ranges and service.admits(NODE[family], family):
        bits = {4: 32, 6: 128}[family]
        ranges += [f"{service.address(To.VIP, family, bound)}/{bits}" for bound in (False, True)]
    return ranges


def line(service: Service, family: int) -> str:
    """What proxyctl is told of a Service."""
    words = [f"service packets/{service.name} {family} cluster-ip={service.address(To.CLUSTER_IP, family)}"]
    if service.traffic.external:
        words += [f"vip={service.address(To.VIP, family, bound)}" for bound in (False, True)]
        words += [f"external-ip={service.address(To.EXTERNAL_IP, family, bound)}" for bound in (False, True)]
    words += [f"range={cidr}" for cidr in _ranges(service, family)]
    words += ["external=Local"] * service.traffic.external_local + ["internal=Local"] * service.traffic.internal_local
    words += [f"affinity={AFFINITY_SECONDS}"] * service.traffic.affinity
    return " ".join(words + _ports(service, family))


class Fairlead:
    """Use as a context: within it the rules are in the kernel."""

    def __init__(self, mode: str, node: Node, network: Network, services: Sequence[Service]) -> None:
        options = ["--masquerade-all"] * node.masquerade_all + ["--localhost-nodeports"] * node.localhost
        if node.knows_pods:
            options += [word for cidr in CLUSTER_CIDRS.values() for word in ("--cluster-cidr", cidr)]
        self._proxyctl = Proxyctl(network.ns("node1"), *OPTIONS[mode], *options)
        self._lines = [line(s, f) for s in services for f in FAMILIES]

    def __enter__(self) -> "Fairlead":
        self._proxyctl.start(*self._lines)
        return self

    def __exit__(self, *_: object) -> None:
        self._proxyctl.stop()
