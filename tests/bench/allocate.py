# SPDX-License-Identifier: Apache-2.0
"""Pending Services on a real API server: from the controller's start to the last address.

The yardstick is the server's own rate for as many status patches from a plain parallel client (patcher.c), on Services
of a class that the controller leaves alone, right before and right after, with HTTP/1.1 and with HTTP/2; the fastest
counts.  The patches are like the controller's: an address and a condition.
"""

import json
import os
import subprocess
import time
from typing import Any

from lab import netns
from lab.api import Object
from lab.cluster import Lab
from lab.processes import Process
from lab.waiting import wait_for

from . import memory, objects

SERVICES = int(os.environ.get("FAIRLEAD_BENCH_SERVICES", "2000"))
IN_FLIGHT = 32
OTHER_CLASS = "example.com/yardstick"
METALLB = "MetalLB's controller in such a lab, 2000 Services: 29 s, 10.5 s of CPU, 45 MB private"


def run(lab: Lab) -> None:
    lab.start_api()
    lab.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fairlead-system"}})
    for obj in objects.configuration("10.77.0.0/16"):
        lab.api.apply(obj)
    rates = _yardstick(lab, "before")
    lab.api.create_all([_service(f"bench-{i}") for i in range(SERVICES)])
    started = time.monotonic()
    process = lab.start_controller("a")
    with memory.Peak(process) as peak:
        wait_for("all to have an address", lambda: _patched(lab) >= SERVICES, 300, 0.1)
        took = time.monotonic() - started
        cpu = _cpu_seconds(process)
        events = _wait_events(lab)
    rest = memory.private_kb(process.pid)
    found = [s for s in lab.api.objects("Service") if s["metadata"]["name"].startswith("bench-")]
    assert all(s["status"]["loadBalancer"].get("ingress") for s in found)
    process.stop()
    rates |= _yardstick(lab, "after")

    print(f"allocate, {SERVICES} pending Services on a real API server")
    for what, rate in rates.items():
        print(f"  yardstick, a plain client, {IN_FLIGHT} in flight, {what:<16} {rate:6.0f} patches/s")
    rate = SERVICES / took
    print(f"  controller, start -> last address{'':<20} {took:6.2f} s = {rate:.0f}/s")
    print(f"  of the fastest yardstick {rate / max(rates.values()):.2f}; CPU until then {cpu:.2f} s; Events {events}")
    print(f"  private memory at rest {rest / 1000:.1f} MB, peak {peak.kb / 1000:.1f} MB")
    print(f"  ({METALLB})", flush=True)


def _service(name: str, **spec: Any) -> Object:
    obj = objects.service(name)
    obj["spec"] |= spec
    return obj


def _yardstick(lab: Lab, when: str) -> dict[str, float]:
    rates = {}
    for number, protocol in enumerate(("http1", "http2")):
        names = [f"{when}-{protocol}-{i}" for i in range(SERVICES)]
        # Without node ports, of which there are not enough for all.
        lab.api.create_all(
            [_service(n, loadBalancerClass=OTHER_CLASS, allocateLoadBalancerNodePorts=False) for n in names]
        )
        lines = "".join(f"{lab.plane.server}{_path(n)} {_patch(number, i)}\n" for i, n in enumerate(names))
        argv = [str(lab.build / "tests/bench/patcher"), protocol, str(IN_FLIGHT)]
        argv += [lab.plane.authority, lab.plane.token("admin")]
        with netns.entered(lab.network.control_plane.namespace):
            done = subprocess.run(argv, input=lines, stdout=subprocess.PIPE, text=True, check=True)
        rates[f"{protocol}, {when}"] = SERVICES / float(done.stdout)
    return rates


def _path(name: str) -> str:
    return f"/api/v1/namespaces/default/services/{name}/status"


def _patch(number: int, i: int) -> str:
    address = f"10.{80 + number}.{i // 250}.{i % 250 + 1}"
    condition = {
        "type": "example.com/AddressAssigned",
        "status": "True",
        "reason": "Assigned",
        "message": f"assigned {address} from pool bench",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    ingress = [{"ip": address, "ipMode": "VIP"}]
    return json.dumps({"status": {"loadBalancer": {"ingress": ingress}, "conditions": [condition]}})


def _patched(lab: Lab) -> int:
    """By the controller's own counter, so that asking costs the API server nothing."""
    return _metric(lab, 'fairlead_patches_total{result="success"}')


def _wait_events(lab: Lab) -> str:
    started = time.monotonic()
    count = lambda: len(lab.api.objects("Event", "default"))  # noqa: E731
    wait_for("the Events", lambda: count() >= SERVICES, 60, 0.5)
    return f"{count()} within {time.monotonic() - started:.1f} s more"


def _metric(lab: Lab, name: str) -> int:
    lines = lab.daemon("controller-a", "/metrics").splitlines()
    return next((int(float(l.split()[-1])) for l in lines if l.startswith(name + " ")), 0)


def _cpu_seconds(process: Process) -> float:
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
