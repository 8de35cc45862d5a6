# SPDX-License-Identifier: Apache-2.0
"""Service proxies side by side: ours in each of its modes, and kube-proxy in its own, with the same Services from the
same API server, each in a room of its own, one after the other.

Time is judged by connections alone: a change counts as made when the first connection gets there.  CPU is that of the
process and of the programs it has run, in user and system mode; what the kernel does later by itself is not in it.
Private memory is Private_Dirty of the process: what it alone has written.  With its clean pages (USS) comes the program
itself, as far as no other process runs it at that moment.  What was rewritten by a restart is judged by the kernel's
handles of rules, which a rule keeps for its life; legacy iptables has none, and there the proxy's own count is shown.
"""

import argparse
import os
import re
import shlex
import shutil
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from lab import netns
from lab.api import Object
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

from . import figures
from .proxyroom import PORT, TARGET, Catalogue, Notices, Proxy, Room, Stalls, ask, connect_ms, endpoint

SUBJECTS = (
    "fairlead-iptables-nft",
    "fairlead-iptables-legacy",
    "fairlead-nftables",
    "fairlead-ipvs",
    "kubeproxy-iptables-nft",
    "kubeproxy-iptables-legacy",
    "kubeproxy-nftables",
    "kubeproxy-ipvs",
)
COLD_SECONDS = 1800.0
CHANGE_SECONDS = 300.0
SAMPLE = 50  # Services that tell whether all are carried
# kube-proxy writes at most once a second after a burst; each change comes to a proxy at rest.
REST_SECONDS = 1.5


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/proxy", description=__doc__)
    parser.add_argument("--services", type=int, default=1000, help="Services (1000)")
    parser.add_argument("--endpoints", type=int, default=2, help="endpoints of each (2)")
    parser.add_argument("--changes", type=int, default=20, help="changes of one endpoint (20)")
    parser.add_argument("--bulk", type=int, default=500, help="Services of the bulk load; 0: none (500)")
    parser.add_argument("--large", type=int, metavar="N", help="also a Service of 256 ports with N endpoints")
    parser.add_argument("--idle", type=float, default=30, help="seconds that it is watched at rest (30)")
    parser.add_argument("--connections", type=int, default=1000, help="new connections for their latency (1000)")
    parser.add_argument("--rounds", type=int, default=1, help="how often all is done (1)")
    parser.add_argument("--quick", action="store_true", help="few of everything: shows that it runs")
    parser.add_argument("subjects", nargs="*", metavar="PROXY", help=" ".join(SUBJECTS))
    chosen = parser.parse_args(shlex.split(os.environ.get("FAIRLEAD_BENCH_PROXY", "")))
    if chosen.quick:
        chosen.services, chosen.changes, chosen.bulk, chosen.idle, chosen.connections = 20, 3, 10, 1, 20
    return chosen


Values = dict[tuple[str, str], list[float]]  # of each figure and unit


def run(lab: Lab) -> None:
    chosen = options()
    print(f"proxy, {chosen.services} Services x {chosen.endpoints} endpoints", flush=True)
    results: dict[str, Values] = defaultdict(lambda: defaultdict(list))
    for _ in range(chosen.rounds):
        for name in chosen.subjects or SUBJECTS:
            proxy = Proxy(lab, name)
            if why := proxy.missing():
                print(f"{name}: not measured: {why}", flush=True)
                continue
            _Measurement(lab, proxy, chosen, results[name]).run()
            if chosen.rounds == 1:
                _report(name, results[name])
    for name, values in results.items():
        if chosen.rounds > 1:
            _report(name, values)
    if not results:
        raise LabError("nothing could be measured")


def _report(name: str, values: Values) -> None:
    print(name)
    for (what, unit), numbers in values.items():
        figures.report(f"  {what}", numbers, unit)


class _Measurement:
    """Everything about one proxy, from an empty node to its end."""

    def __init__(self, lab: Lab, proxy: Proxy, chosen: argparse.Namespace, values: Values) -> None:
        self._lab, self._proxy, self._chosen, self._values = lab, proxy, chosen, values
        self._catalogue = Catalogue(chosen.services, chosen.endpoints)
        self._last = chosen.services - 1

    def _note(self, what: str, unit: str, *values: float) -> None:
        self._values[what, unit].extend(values)

    def run(self) -> None:
        self._catalogue.write(self._lab.dir / "api.json")
        self._lab.start_api()
        try:
            with Room(self._lab) as self._room:
                try:
                    with self._room.calling():
                        self._cold_start()
                        self._latency()
                        self._changes()
                        self._one_of_many()
                        self._bulk()
                        self._idle()
                        self._restart()
                        self._large()
                finally:
                    self._proxy.stop()
        finally:
            self._lab.stop_api()
            self._lab.processes.pop("api")

    # ---- cold start, memory ----

    def _cold_start(self) -> None:
        step = max(1, self._catalogue.n // SAMPLE)
        sample = [*range(0, self._catalogue.n, step), self._last]
        started = time.perf_counter()
        self._proxy.start(self._room)
        target = self._catalogue.endpoints(0)[0]
        direct = Stalls(self._room, lambda: ask(target, TARGET))
        with self._stalls(0, from_first=True) as stalls, direct:
            for i in sample:
                self._wait_carried(i, COLD_SECONDS)
            took = (time.perf_counter() - started) * 1000
        self._note("process started -> all Services carried", "ms", took)
        self._note("  -> the first one carried", "ms", (stalls.first_at - started) * 1000)
        self._note("  longest time without a connection to that one", "ms", stalls.longest_ms)
        self._note("  the same to its endpoint itself (yardstick)", "ms", direct.longest_ms)
        wait_for("the proxy to be in sync", lambda: self._proxy.in_sync(self._room), COLD_SECONDS, 0.2)
        for i in range(self._catalogue.n):
            self._wait_carried(i, 5)  # the sample told the truth
        self._note("CPU until then", "ms", cpu_ms(self._proxy.pid))
        self._rest()
        dirty, clean = private_bytes(self._proxy.pid)
        self._note("private memory", "MB", dirty / 1e6)
        self._note("  with clean pages (USS)", "MB", (dirty + clean) / 1e6)

    def _stalls(self, i: int, from_first: bool = False) -> Stalls:
        address = self._catalogue.cluster_ip(i)
        return Stalls(self._room, lambda: ask(address), from_first)

    def _wait_carried(self, i: int, seconds: float) -> None:
        address, wanted = self._catalogue.cluster_ip(i), set(self._catalogue.endpoints(i))
        deadline = time.monotonic() + seconds
        while (answer := ask(address)) not in wanted:
            if time.monotonic() > deadline:
                raise LabError(f"{self._proxy.name}: {address} is answered by {answer or 'nobody'}")
            self._proxy.pid  # raises if it has ended
            time.sleep(0.002)

    def _rest(self) -> None:
        """Until the process and its programs take no time any more."""
        before = -1.0
        while (now := cpu_ms(self._proxy.pid)) > before:
            before = now
            time.sleep(REST_SECONDS)

    # ---- connections ----

    def _latency(self) -> None:
        through, direct = [], []
        target = self._catalogue.endpoints(self._last)[0]
        for _ in range(self._chosen.connections):
            through.append(connect_ms(self._catalogue.cluster_ip(self._last)))
            direct.append(connect_ms(target, TARGET))
        self._note("a new connection to the last cluster IP", "us", *(v * 1000 for v in through))
        self._note("the same to the endpoint itself (yardstick)", "us", *(v * 1000 for v in direct))
        self._note("  ratio of the medians", "x", statistics.median(through) / statistics.median(direct))

    # ---- changes ----

    def _changes(self) -> None:
        """One of two endpoints is another one now; where there are more, all are: it would be a matter of luck when
        the first connection goes to the new one."""
        times, before = [], cpu_ms(self._proxy.pid)
        addresses = self._catalogue.endpoints(self._last)
        for _ in range(self._chosen.changes):
            fresh = [self._catalogue.fresh_endpoint() for _ in range(1 if len(addresses) <= 2 else len(addresses))]
            addresses = [*fresh, *addresses[len(fresh) :]]
            times.append(self._change(addresses, set(fresh)))
            time.sleep(max(REST_SECONDS, 3 * times[-1] / 1000))
        which = "an endpoint" if len(addresses) <= 2 else "all endpoints of a Service"
        self._note(f"{which} changed, PATCH returned -> first connection", "ms", *times)
        self._rest()
        self._note("CPU of one change", "ms", (cpu_ms(self._proxy.pid) - before) / self._chosen.changes)

    def _one_of_many(self) -> None:
        """A connection to the one that is new would be a matter of luck: the kernel tells of it."""
        if self._chosen.endpoints <= 2 or "legacy" in self._proxy.name:
            return
        times, addresses = [], self._catalogue.endpoints(0)
        with Notices(self._room) as notices:
            for k in range(self._chosen.changes):
                addresses[k % len(addresses)] = fresh = self._catalogue.fresh_endpoint()
                self._patch(0, addresses)
                started = time.perf_counter()
                if not notices.wait_for(fresh, CHANGE_SECONDS):
                    raise LabError(f"{self._proxy.name}: the kernel never told of {fresh}")
                times.append((time.perf_counter() - started) * 1000)
                time.sleep(max(REST_SECONDS, 3 * times[-1] / 1000))
        self._note(f"one of {len(addresses)} endpoints changed, PATCH returned -> in the kernel", "ms", *times)

    def _patch(self, i: int, addresses: list[str]) -> None:
        name = f"{self._catalogue.name(i)}-bench"
        self._lab.api.patch("EndpointSlice", name, {"endpoints": [endpoint(a) for a in addresses]})

    def _change(self, addresses: list[str], fresh: set[str]) -> float:
        self._patch(self._last, addresses)
        started = time.perf_counter()
        while ask(self._catalogue.cluster_ip(self._last)) not in fresh:
            if time.perf_counter() - started > CHANGE_SECONDS:
                raise LabError(f"{self._proxy.name}: no connection to {fresh}")
            time.sleep(0.0005)
        return (time.perf_counter() - started) * 1000

    # ---- bulk load ----

    def _bulk(self) -> None:
        if not self._chosen.bulk:
            return
        added = [self._catalogue.add() for _ in range(self._chosen.bulk)]
        api = self._lab.api
        with self._stalls(0) as stalls:
            api.create_all([self._catalogue.slice(i, self._catalogue.endpoints(i)) for i in added], 2)
            api.create_all([self._catalogue.service(i) for i in added], 2)
            started = time.perf_counter()
            for i in added:
                self._wait_carried(i, COLD_SECONDS)
            took = (time.perf_counter() - started) * 1000
        if not stalls.successes:
            raise LabError("no connection during the bulk load")
        self._note(f"{len(added)} more, last POST returned -> all carried", "ms", took)
        self._note("  longest time without a connection to another", "ms", stalls.longest_ms)
        self._rest()

    # ---- a large Service ----

    def _large(self) -> None:
        """What the proxy is asked meanwhile waits while it does something else in one go."""
        if not (self._chosen.large and self._proxy.ours):
            return
        n_endpoints = self._chosen.large
        api, objects = self._lab.api, self._catalogue.large(n_endpoints)
        address, last = objects[-1]["spec"]["clusterIP"], PORT + self._catalogue.LARGE_PORTS - 1
        with Stalls(self._room, lambda: self._proxy.answers(self._room)) as stalls, self._stalls(0) as others:
            for obj in objects:
                api.create(obj)
            started = time.perf_counter()
            wait_for("the large Service to be carried", lambda: ask(address, last), COLD_SECONDS, 0.01)
            wait_for("the proxy to be in sync", lambda: self._proxy.in_sync(self._room), COLD_SECONDS, 0.05)
            took = (time.perf_counter() - started) * 1000
        size = f"{self._catalogue.LARGE_PORTS} ports x {n_endpoints} endpoints"
        self._note(f"{size}, last POST returned -> carried", "ms", took)
        self._note("  longest time in which the proxy answers nobody", "ms", stalls.longest_ms)
        self._note("  longest time without a connection to another Service", "ms", others.longest_ms)
        self._note("  private memory", "MB", private_bytes(self._proxy.pid)[0] / 1e6)
        self._change_large([o for o in objects if o["kind"] == "EndpointSlice"])

    def _change_large(self, slices: list[Object]) -> None:
        """One endpoint, of all ports."""
        before = self._proxy.metric(self._room, "fairlead_proxy_lines_total")
        last, fresh = slices[0]["endpoints"][-1], endpoint(self._catalogue.fresh_endpoint())
        started = time.perf_counter()
        with Stalls(self._room, lambda: self._proxy.answers(self._room)) as stalls:
            for one in slices:
                if one["endpoints"][-1] == last:
                    one["endpoints"][-1] = fresh
                    self._lab.api.patch("EndpointSlice", one["metadata"]["name"], {"endpoints": one["endpoints"]})
            # Of each port one goes and another one comes; a part of it may be in the kernel before the last PATCH.
            least = 2 * self._catalogue.LARGE_PORTS
            wait_for("the change to be written", lambda: self._written(before) >= least, COLD_SECONDS, 0.01)
            wait_for("the proxy to be in sync", lambda: self._proxy.in_sync(self._room), COLD_SECONDS, 0.05)
        took = (time.perf_counter() - started) * 1000
        self._note("  one endpoint of it changed, of all ports -> in the kernel", "ms", took)
        self._note("    elements or rules written for that", "", self._written(before))
        self._note("    longest time in which the proxy answers nobody", "ms", stalls.longest_ms)

    def _written(self, before: float) -> float:
        return self._proxy.metric(self._room, "fairlead_proxy_lines_total") - before

    # ---- rest ----

    def _idle(self) -> None:
        pid, seconds = self._proxy.pid, self._chosen.idle
        before, cpu, started = switches(pid), cpu_ms(pid), time.monotonic()
        time.sleep(seconds)
        minutes = (time.monotonic() - started) / 60
        self._note("at rest: voluntary context switches a minute", "", (switches(pid) - before) / minutes)
        self._note("  CPU a minute", "ms", (cpu_ms(pid) - cpu) / minutes)
        if calls := system_calls(pid, seconds):
            self._note("  system calls a minute", "", sum(calls.values()) * 60 / seconds)
            often = ", ".join(f"{k} {v}" for k, v in sorted(calls.items(), key=lambda c: -c[1])[:6])
            print(f"{self._proxy.name} at rest for {seconds:g} s: {often}", flush=True)

    # ---- restart ----

    def _restart(self) -> None:
        before = handles(self._room)
        self._proxy.stop()
        started = time.perf_counter()
        self._proxy.start(self._room)
        wait_for("the proxy to be in sync", lambda: self._proxy.in_sync(self._room), COLD_SECONDS, 0.02)
        self._note("restart, nothing changed -> in sync", "ms", (time.perf_counter() - started) * 1000)
        self._rest()
        self._note("  CPU", "ms", cpu_ms(self._proxy.pid))
        after = handles(self._room)
        if len(after) > self._catalogue.n:
            self._note("  rules, elements and chains written again", "", len(after - before))
        else:
            own = "fairlead_proxy_lines_total" if self._proxy.ours else "kubeproxy_sync_proxy_rules_iptables_total"
            self._note(f"  {own}", "", self._proxy.metric(self._room, own))


# ---- what the kernel says of a process ----


def _tasks(pid: int) -> Iterable[Path]:
    return Path(f"/proc/{pid}/task").iterdir()


def cpu_ms(pid: int) -> float:
    """Of the process and of those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    return sum(int(f) for f in fields[11:15]) * 1000 / os.sysconf("SC_CLK_TCK")


def private_bytes(pid: int) -> tuple[int, int]:
    """Dirty and clean."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8", errors="replace").splitlines()
    found = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_")}
    return found["Private_Dirty:"], found["Private_Clean:"]


def switches(pid: int) -> int:
    """Voluntary context switches: how often a thread went to sleep, so how often it had woken up."""
    total = 0
    for task in _tasks(pid):
        text = (task / "status").read_text(encoding="utf-8", errors="replace")
        total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M).group(1))  # type: ignore[union-attr]
    return total


def system_calls(pid: int, seconds: float) -> dict[str, int]:
    """How many of each, as strace counts them; empty where there is none."""
    if not shutil.which("strace"):
        return {}
    argv = ["timeout", "-s", "INT", str(seconds), "strace", "-f", "-c", "-qq", "-U", "calls,name", "-p", str(pid)]
    told = subprocess.run(argv, capture_output=True, text=True, check=False).stderr
    found = re.findall(r"^\s*(\d+)\s+(\w+)\s*$", told, re.M)
    return {name: int(n) for n, name in found if name != "total"}


def handles(room: Room) -> set[tuple[str, str]]:
    """Tables and handles of everything that has one, and each element of a map or set."""
    table, found = "", set()
    for line in netns.output(room.node, ["nft", "-a", "list", "ruleset"]).splitlines():
        if line.startswith("table "):
            table = line
        elif handle := re.search(r"# handle (\d+)$", line):
            found.add((table, handle.group(1)))
    return found
