# SPDX-License-Identifier: Apache-2.0
"""What grows with the number of Services, on the embedded API server: the controller, a speaker, `fairlead plan`.

Processor time is that of the process, in all its threads (schedstat), so that what else runs on the machine matters
little; connections, decisions and patches are the daemons' own counters.  FAIRLEAD_BENCH_SIZES: the numbers of
Services, with commas.
"""

import http.client
import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab import net, netns
from lab.api import Object, path_of
from lab.cluster import Lab
from lab.processes import Process
from lab.waiting import wait_for

from . import figures, memory, objects
from . import plan as plans

SIZES = [int(n) for n in os.environ.get("FAIRLEAD_BENCH_SIZES", "2000,10000").split(",")]
SINGLE = 50  # changes, each awaited
PATIENCE = 600
NODE = "node1"
POOL = "10.64.0.0/12"
FIRST = ipaddress.ip_address("10.64.0.1")


def run(lab: Lab) -> None:
    lab.service_cidrs = "10.128.0.0/9"  # the usual one has 65 536 addresses
    lab.start_cluster()
    for obj in objects.configuration(POOL):
        lab.api.apply(obj)
    have = 0
    for size in SIZES:
        print(f"scale, {size} Services of two endpoints", flush=True)
        _write(lab, "POST", (_objects(lab, i) for i in range(have, size)))
        _controller(lab, have, size)
        _speaker(lab, size)
        _plan(lab, size)
        have = size


# ---- objects ----


def _objects(lab: Lab, i: int) -> Iterable[Object]:
    nodes = [h.name for h in lab.network.nodes]
    prefixes = [h.pod_prefix for h in lab.network.nodes]
    places = {f"{prefixes[(i + k) % 3]}.{200 + k}": nodes[(i + k) % 3] for k in range(2)}
    yield objects.endpoints(f"s{i}", places)
    yield _service(f"s{i}")


def _service(name: str) -> Object:
    obj = objects.service(name)
    obj["spec"]["allocateLoadBalancerNodePorts"] = False  # there are not enough for all
    return obj


def _write(lab: Lab, method: str, groups: Iterable[Iterable[Object]]) -> None:
    """All by one connection, one after the other."""
    with netns.entered(lab.network.control_plane.namespace):
        connection = http.client.HTTPConnection(net.CONTROL_PLANE, net.API_PORT)
        connection.connect()
    for group in groups:
        for obj in group:
            name = obj["metadata"]["name"] if method != "POST" else ""
            path = path_of(obj["kind"], "default", name)
            connection.request(method, path, json.dumps(obj), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status < 300, answer.status
    connection.close()


# ---- figures of one process ----


def cpu_ms(pid: int) -> float:
    """Processor time so far, user and system, of all threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks) / 1e6


def _metrics(lab: Lab, daemon: str) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in lab.daemon(daemon, "/metrics").splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def _say(what: str, text: str) -> None:
    print(f"  {what:<58} {text}", flush=True)


class Steps:
    """Processor time of single changes, each awaited, without what asking for the outcome costs."""

    def __init__(self, process: Process) -> None:
        self._pid = process.pid
        self.ms: list[float] = []

    def __enter__(self) -> "Steps":
        self._before = cpu_ms(self._pid)
        return self

    def __exit__(self, *_: object) -> None:
        self.ms.append(cpu_ms(self._pid) - self._before)


# ---- the controller ----


def _controller(lab: Lab, have: int, size: int) -> None:
    process = lab.start_controller("a")
    new = size - have
    wait_for("all to have an address", lambda: _metrics(lab, "controller-a").get(PATCHES, 0) >= new, PATIENCE, 0.5)
    counts, cpu = _metrics(lab, "controller-a"), cpu_ms(process.pid)
    assigned = time.monotonic()
    _say(f"controller, start -> {new} assigned", f"{cpu / 1000:.2f} s of CPU, {counts[CONNECTS]:.0f} connections")
    wait_for("the Events", lambda: not _metrics(lab, "controller-a")[WAITING], PATIENCE, 0.1)
    lost = _metrics(lab, "controller-a")[LOST]
    _say("last status -> last Event", f"{time.monotonic() - assigned:.1f} s, {lost:.0f} lost")
    _one_more(lab, process)
    process.stop()

    process = lab.start_controller("a")
    with memory.Peak(process) as peak:
        wait_for("the lead", lambda: _metrics(lab, "controller-a").get("fairlead_leader") == 1, PATIENCE, 0.1)
        wait_for("its decisions", lambda: _metrics(lab, "controller-a")[DECISIONS] >= size, PATIENCE, 0.1)
    _say(
        f"controller, start -> leading, {size} held",
        f"{cpu_ms(process.pid) / 1000:.2f} s of CPU, {memory.private_kb(process.pid) / 1000:.1f} MB private, "
        f"peak {peak.kb / 1000:.1f} MB",
    )
    process.stop()


PATCHES = 'fairlead_patches_total{result="success"}'
CONNECTS = "fairlead_kube_connects_total"
WAITING = "fairlead_kube_events_waiting"
LOST = "fairlead_kube_events_lost_total"
DECISIONS = "fairlead_decisions_total"


def _one_more(lab: Lab, process: Process) -> None:
    steps = Steps(process)
    before = _metrics(lab, "controller-a")[DECISIONS]
    for i in range(SINGLE):
        with steps:
            lab.api.create(_service(f"more{i}"))
            wait_for("its address", lambda n=f"more{i}": lab.addresses(n), 30, 0.02)
            time.sleep(0.05)
    decisions = _metrics(lab, "controller-a")[DECISIONS] - before
    figures.report("  one Service more: CPU", steps.ms)
    _say("decisions for each", f"{decisions / SINGLE:.2f}")
    for i in range(SINGLE):
        lab.api.delete("Service", f"more{i}")


# ---- a speaker ----


def _speaker(lab: Lab, size: int) -> None:
    process = lab.start_speaker(NODE, "--proxy-mode", "none")
    wait_for("the speaker", lambda: lab.daemon(NODE, "/readyz"), PATIENCE, 0.2)
    wait_for("its decisions", lambda: _metrics(lab, NODE)[PASSES] >= size, PATIENCE, 0.2)
    _rest(process)
    _say(
        "speaker, mode none: start",
        f"{cpu_ms(process.pid) / 1000:.2f} s of CPU, {memory.private_kb(process.pid) / 1000:.1f} MB private",
    )
    lost, ready, quiet = Steps(process), Steps(process), Steps(process)
    for i in range(SINGLE):
        for steps, is_ready in ((lost, False), (ready, True)):
            with steps:
                _endpoints_ready(lab, size // SINGLE * i, is_ready)
                time.sleep(0.1)
        with quiet:
            time.sleep(0.1)
    figures.report("  all endpoints of a Service lost: CPU", lost.ms)
    figures.report("  all endpoints of a Service ready again: CPU", ready.ms)
    figures.report("  in as much time without a change (yardstick)", quiet.ms)
    process.stop()


PASSES = "fairlead_decision_passes_total"


def _rest(process: Process) -> None:
    """Waits until it has nothing to do but what time brings."""
    while True:
        before = cpu_ms(process.pid)
        time.sleep(1)
        if cpu_ms(process.pid) - before < 20:
            return


def _endpoints_ready(lab: Lab, i: int, ready: bool) -> None:
    obj = list(_objects(lab, i))[0]
    for endpoint in obj["endpoints"]:
        endpoint["conditions"]["ready"] = endpoint["conditions"]["serving"] = ready
    _write(lab, "PUT", [[obj]])


# ---- fairlead plan ----


def _plan(lab: Lab, size: int) -> None:
    config, state = lab.dir / "wide.yaml", lab.dir / "state.json"
    config.write_text(f"address-pools:\n- {{name: wide, protocol: layer2, addresses: [{POOL}]}}\n", encoding="utf-8")
    for what, held in (("none held", lambda i: None), ("all held, at random", _scattered)):
        services: list[dict[str, Any]] = []
        for i in range(size):
            service = plans.service(i)
            where = held(i)
            service["status"]["loadBalancer"] = {"ingress": [{"ip": where, "ipMode": "VIP"}]} if where else {}
            services.append(service)
        state.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": services}), encoding="utf-8")
        argv = [lab.program("fairlead"), "plan", "--config", str(config), "--state", str(state), "-o", "json"]
        cpu, kb = cost_of(argv)
        _say(f"plan, {what}", f"{cpu:.2f} s of CPU, {kb / 1000:.0f} MB at most")


# Who starts a program leaves its own size behind as the least that the program had, so this one is small.
_COST = """import os, sys
nothing = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nothing, 1)])
_, status, used = os.wait4(pid, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def cost_of(argv: list[str]) -> tuple[float, int]:
    """Seconds of processor time and the most resident memory, in KiB, of one program that ends well.

    Less than some 10 MB it cannot tell from the interpreter that starts it."""
    helper = [sys.executable, "-I", "-S", "-c", _COST, *argv]
    cpu, kb = subprocess.run(helper, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(cpu), int(kb)


def _scattered(i: int) -> str:
    return str(FIRST + i * 7919 % (1 << 20))
