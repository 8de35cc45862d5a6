# SPDX-License-Identifier: Apache-2.0
"""The lab's router with FRR, a client behind it, and a bgpd on each node.

	192.168.1.2        203.0.113.1      203.0.113.10
	LAN ──────── router ───────────────── outside

The router learns by BGP from the nodes and puts the routes into its kernel, several next hops where there are; the
client outside reaches Services through them.
"""

import json
import shutil
from pathlib import Path
from typing import Any
from typing import Protocol

from . import frr, net, netns, web
from .changes import Watched
from .waiting import WAIT_SECONDS, LabError, wait_for

ADDRESS = f"{net.LAN_PREFIX}.2"
OUTSIDE = "203.0.113.10"
_GATEWAY = "203.0.113.1"
ASN, NODES_ASN = 64513, 64512


class Place(Protocol):
    """A lab, or whatever else has this network and a directory for files."""

    network: net.Network
    dir: Path


class Router:
    """Ends with its lab: all its processes live in the lab's namespaces."""

    def __init__(self, lab: Place, on_nodes: bool = True) -> None:
        """Without `on_nodes` the nodes' own bgpds are somebody else's to start."""
        self.lab = lab
        self.namespace = lab.network.prefix + "router"
        self.outside = lab.network.prefix + "outside"
        self.bgpd = frr.Daemon("bgpd", self.namespace, self._directory("router"))
        self.bgpds = {
            n.name: frr.Daemon("bgpd", n.namespace, self.socket_directory(n.name))
            for n in lab.network.nodes
            if on_nodes
        }

    def _directory(self, name: str) -> Path:
        return self.lab.dir / f"frr-{name}"

    def socket_directory(self, node: str) -> Path:
        return self._directory(node)

    # ---- life ----

    def start(self) -> None:
        self._network()
        for bgpd in (self.bgpd, *self.bgpds.values()):
            bgpd.directory.mkdir()
            shutil.chown(bgpd.directory, "frr", "frr")
            # bgpd knows the interfaces, and so a router id, from zebra.
            frr.Daemon("zebra", bgpd.namespace, bgpd.directory).start()
            bgpd.start()
        self._configure()

    def _network(self) -> None:
        lan = self.lab.network.lan
        for name in (self.namespace, self.outside):
            netns.create(name)
        # By the whole of a packet's flow, so that one client uses every next hop.
        forwarding = {"ipv4/ip_forward": "1", "ipv4/fib_multipath_hash_policy": "1"}
        netns.set_sysctls(self.namespace, forwarding | {f"ipv4/conf/{i}/rp_filter": "0" for i in ("all", "default")})
        netns.configure(
            lan,
            [
                f"link add router type veth peer name eth0 netns {self.namespace}",
                "link set router master br0",
                "link set router up",
            ],
        )
        netns.configure(
            self.namespace,
            [
                "link set lo up",
                f"addr add {ADDRESS}/24 dev eth0",
                "link set eth0 up",
                f"link add eth1 type veth peer name eth0 netns {self.outside}",
                f"addr add {_GATEWAY}/24 dev eth1",
                "link set eth1 up",
            ],
        )
        up = ["link set lo up", f"addr add {OUTSIDE}/24 dev eth0", "link set eth0 up"]
        netns.configure(self.outside, [*up, f"route add default via {_GATEWAY}"])
        for node in self.lab.network.nodes:
            netns.configure(node.namespace, [f"route add 203.0.113.0/24 via {ADDRESS}"])

    def _configure(self) -> None:
        neighbours = [n.address for n in self.lab.network.nodes]
        self.bgpd.configure(
            f"router bgp {ASN}",
            f"bgp router-id {ADDRESS}",
            "no bgp ebgp-requires-policy",
            *(f"neighbor {a} remote-as {NODES_ASN}" for a in neighbours),
            *(f"neighbor {a} timers connect 1" for a in neighbours),
            *(f"neighbor {a} advertisement-interval 0" for a in neighbours),
            "address-family ipv4 unicast",
            "maximum-paths 8",
        )

    # ---- questions ----

    def next_hops(self, prefix: str) -> list[str]:
        """The nodes to which the router's kernel sends packets for a prefix."""
        routes = json.loads(netns.output(self.namespace, ["ip", "-j", "route", "show", "exact", prefix]) or "[]")
        hops = [hop["gateway"] for r in routes for hop in r.get("nexthops", [r]) if "gateway" in hop]
        names = {n.address: n.name for n in self.lab.network.nodes}
        return sorted(names.get(h, h) for h in hops)

    def learned(self) -> list[str]:
        """The prefixes that the router's kernel has from BGP."""
        routes = json.loads(netns.output(self.namespace, ["ip", "-j", "route", "show", "proto", "bgp"]) or "[]")
        return [r["dst"] for r in routes]

    def table(self) -> dict[str, Any]:
        """All of what the router's bgpd has learned, and the version of the table, which grows with every change."""
        table: dict[str, Any] = self.bgpd.json("show bgp ipv4 unicast json detail")
        for paths in table["routes"].values():
            for path in paths:
                path.pop("lastUpdate", None)  # computed anew each time, to the second
        return {"version": table["tableVersion"], "routes": table["routes"]}

    def wait_next_hops(self, prefix: str, nodes: list[str], seconds: float = WAIT_SECONDS) -> None:
        def as_wanted() -> bool:
            if (hops := self.next_hops(prefix)) != sorted(nodes):
                raise LabError(f"{hops}")
            return True

        wait_for(f"the router to send {prefix} to {', '.join(nodes) or 'nobody'}", as_wanted, seconds)

    def get(self, address: str, port: int = 80, timeout: float = 2.0) -> web.Reply:
        """HTTP from the client behind the router."""
        return web.get(self.outside, address, port, "/", timeout)


class Paths(Watched):
    """Where the router sends a prefix's packets."""

    def __init__(self, router: Router, prefix: str, every: float = 0.1) -> None:
        super().__init__(lambda: router.next_hops(prefix), every)
