# SPDX-License-Identifier: Apache-2.0
"""BGP: an endpoint is ready or lost, a node with 1000 addresses is taken out: how long until the router knows?

The router knows once it has received the prefix, or the withdrawal; what it does with that is its own.  Ours is from
the decision to bgpd's acknowledgement of the last command; on top comes bgpd's own hold of 50 ms, and before it the way
of the news from the API server.  The yardstick is the same change by a bare `network` on the socket of the same bgpd,
for the same session, while no speaker runs.
"""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from lab import frr
from lab.cluster import Lab
from lab.router import NODES_ASN, Router
from lab.waiting import LabError, wait_for

from . import figures, objects

ROUNDS = 100
BULK_ROUNDS = 10
BULK = 1000
ONE = "198.51.100.1"
NODE = "node1"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
FAMILY = (f"router bgp {NODES_ASN}", "address-family ipv4 unicast")

CONFIG = """\
peers:
- {peer-address: 192.168.1.2, my-asn: 64512, peer-asn: 64513}
address-pools:
- {name: one, protocol: bgp, addresses: [198.51.100.1/32], auto-assign: false}
- {name: bench, protocol: bgp, addresses: [198.51.104.0/21]}
"""


class Watch:
    """What the router has received from one node; asked over one connection, again and again."""

    def __init__(self, lab: Lab, router: Router) -> None:
        self._vty, self._node = router.bgpd.vty(), lab.host(NODE).address

    def received(self) -> int:
        text = self._vty.say("show bgp ipv4 unicast summary json")
        # Reading all of the JSON would take longer than bgpd takes to print it.
        found = re.search(rf'"{re.escape(self._node)}":{{[^}}]*"pfxRcd":(\d+)', text)
        return int(found.group(1)) if found else -1

    def until(self, count: int) -> float:
        """When the router had so many prefixes, by the monotonic clock."""
        deadline = time.monotonic() + 30
        while self.received() != count:
            if time.monotonic() > deadline:
                raise LabError(f"the router has {self.received()} prefixes, not {count}")
            time.sleep(0.0005)
        return time.monotonic()


def run(lab: Lab) -> None:
    if not frr.installed():
        raise LabError("bgpd is not installed")
    router = Router(lab)
    router.start()
    lab.start_cluster()
    lab.api.apply(objects.config_map(CONFIG))
    lab.start_controller("a")
    flags = ("--proxy-mode", "none", "--bgp-socket-dir", str(router.socket_directory(NODE)))
    lab.start_speaker(NODE, *flags)
    lab.api.create(_endpoints(lab, ready=False))
    service = objects.service("one", ONE)
    service["spec"]["externalTrafficPolicy"] = "Local"
    lab.api.create(service)
    watch = Watch(lab, router)
    wait_for("the session", lambda: watch.received() >= 0, 30)
    wait_for("an engine at rest", lambda: _stats(lab), 30)
    time.sleep(2)  # right after its start a session is served in larger pieces
    _one(lab, watch)
    _bulk(lab, watch)
    _yardstick(lab, router, watch)


def _endpoints(lab: Lab, ready: bool) -> objects.Object:
    made = objects.endpoints("one", {lab.host(NODE).pod_prefix + ".200": NODE})
    made["endpoints"][0]["conditions"] = {"ready": ready, "serving": ready, "terminating": False}
    return made


def _stats(lab: Lab) -> dict[str, Any]:
    """The engine's counters once nothing is under way."""
    said = lab.daemon(NODE)["bgp"]
    if said.get("generation", 0) == 0 or said["applied"] != said["generation"]:
        raise LabError(f"{said}")
    stats: dict[str, Any] = said["stats"]
    return stats


class Figures:
    """Of one kind of change: all of it, ours of it, and the commands that it took."""

    def __init__(self) -> None:
        self.all: list[float] = []
        self.ours: list[float] = []
        self.commands: set[int] = set()

    def add(self, lab: Lab, took: float) -> None:
        stats = wait_for("an engine at rest", lambda: _stats(lab), 10, 0.005)
        self.all.append(took * 1000)
        self.ours.append(stats["last_batch_us"] / 1000)
        self.commands.add(stats["last_batch_commands"])

    def report(self, what: str) -> None:
        figures.report(f"  {what}", self.all)
        figures.report(f"    ours of it, {'/'.join(map(str, sorted(self.commands)))} commands", self.ours)


def _rounds(lab: Lab, watch: Watch, n: int, changes: Iterable[tuple[int, Callable[[], object]]]) -> list[Figures]:
    """Each change in turn, n times; a change comes with how many prefixes the router has after it."""
    made = [(count, change, Figures()) for count, change in changes]
    for _ in range(n):
        for count, change, figure in made:
            change()
            returned = time.monotonic()
            figure.add(lab, watch.until(count) - returned)
            time.sleep(0.1)
    return [figure for _, _, figure in made]


def _one(lab: Lab, watch: Watch) -> None:
    def set_ready(ready: bool) -> None:
        endpoints = _endpoints(lab, ready)["endpoints"]
        lab.api.patch("EndpointSlice", "one-bench", {"endpoints": endpoints})

    there, gone = _rounds(lab, watch, ROUNDS, [(1, lambda: set_ready(True)), (0, lambda: set_ready(False))])
    print("bgp, one Service with policy Local")
    there.report("endpoint ready: PATCH returned -> prefix at the router")
    gone.report("endpoint lost: PATCH returned -> withdrawn at the router")


def _bulk(lab: Lab, watch: Watch) -> None:
    for i in range(BULK):
        lab.api.create(objects.endpoints(f"b{i}", {lab.host(NODE).pod_prefix + ".200": NODE}))
        lab.api.create(objects.service(f"b{i}"))
    watch.until(BULK)

    def exclude(value: str | None) -> None:
        lab.api.patch("Node", NODE, {"metadata": {"labels": {EXCLUDED: value}}}, "")

    gone, there = _rounds(lab, watch, BULK_ROUNDS, [(0, lambda: exclude("")), (BULK, lambda: exclude(None))])
    print(f"bgp, a node with {BULK} addresses leaves the load balancers and comes back")
    there.report(f"PATCH returned -> {BULK} prefixes at the router")
    gone.report(f"PATCH returned -> {BULK} prefixes withdrawn")


def _yardstick(lab: Lab, router: Router, watch: Watch) -> None:
    bgpd = router.bgpds[NODE]
    found = re.search(r"network \S+ (route-map FAIRLEAD-A-\w+)", bgpd.running_config())
    if not found:
        raise LabError("no network of ours in bgpd")
    lab.speaker(NODE).stop()
    vty = bgpd.vty()
    vty.say("configure terminal", *FAMILY)
    prefixes = [f"198.51.{104 + i // 250}.{i % 250}/32" for i in range(BULK)]
    held = re.findall(r"network (\S+) route-map", bgpd.running_config())
    vty.say(*(f"no network {p}" for p in held))
    watch.until(0)

    def timed(commands: list[str], count: int) -> float:
        start = time.monotonic()
        vty.pipeline(commands)
        took = watch.until(count) - start
        time.sleep(0.1)
        return took * 1000

    def both(some: list[str], n: int) -> tuple[list[float], list[float]]:
        add, drop = [f"network {p} {found.group(1)}" for p in some], [f"no network {p}" for p in some]
        rows = [(timed(add, len(some)), timed(drop, 0)) for _ in range(n)]
        return [r[0] for r in rows], [r[1] for r in rows]

    print("bgp, yardstick: the same by a bare `network` on bgpd's socket")
    there, gone = both(prefixes[:1], ROUNDS)
    figures.report("  network -> prefix at the router", there)
    figures.report("  no network -> withdrawn at the router", gone)
    there, gone = both(prefixes, BULK_ROUNDS)
    figures.report(f"  {BULK} x network -> at the router", there)
    figures.report(f"  {BULK} x no network -> withdrawn", gone)
