# SPDX-License-Identifier: Apache-2.0
"""The lab's router with FRR, a client behind it, and a bgpd on each node.

	192.168.1.2        203.0.113.1      203.0.113.10
	LAN ──────── router ───────────────── outside

The router learns by BGP from the nodes and puts the routes into its kernel, several next hops where there are; the
client outside reaches Services through them.
"""

import json
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol

from . import frr, net, netns, web
from .waiting import LabError, wait_for

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

    def wait_next_hops(self, prefix: str, nodes: list[str], seconds: float = 30.0) -> None:
        def as_wanted() -> bool:
            if (hops := self.next_hops(prefix)) != sorted(nodes):
                raise LabError(f"{hops}")
            return True

        wait_for(f"the router to send {prefix} to {', '.join(nodes) or 'nobody'}", as_wanted, seconds)

    def get(self, address: str, port: int = 80, timeout: float = 2.0) -> web.Reply:
        """HTTP from the client behind the router."""
        return web.get(self.outside, address, port, "/", timeout)


@dataclass(frozen=True)
class Change:
    """The nodes to which the router sends packets became others: between two looks, at moments of time.monotonic()."""

    after: float
    before: float
    was: list[str]
    now: list[str]

    def within(self, started: float, ended: float) -> bool:
        """Whether it may have been within that time."""
        return started < self.before and ended > self.after


class Paths:
    """Looks again and again, in a thread, where the router sends a prefix's packets, and keeps every change."""

    def __init__(self, router: Router, prefix: str, every: float = 0.1) -> None:
        self.changes: list[Change] = []
        self._router, self._prefix, self._every = router, prefix, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Paths":
        self._looked = time.monotonic()
        self._hops = self._router.next_hops(self._prefix)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._look()

    def _look(self) -> None:
        looked = time.monotonic()
        hops = self._router.next_hops(self._prefix)
        if hops != self._hops:
            self.changes.append(Change(self._looked, time.monotonic(), self._hops, hops))
        self._looked, self._hops = looked, hops
