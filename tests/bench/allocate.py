# SPDX-License-Identifier: Apache-2.0
"""Pending Services on a real API server: from the controller's start to the last address.

The yardstick is the server's own rate for as many status patches from a plain parallel client (patcher.c), over
HTTP/1.1 and over HTTP/2; the faster counts.  The patches are like the controller's, an address and a condition, on
Services that are gone when the controller runs.  Each round takes both; the medians are compared.
"""

import json
import os
import statistics
import subprocess
import time

from lab import netns
from lab.api import Object
from lab.cluster import Lab
from lab.processes import Process
from lab.waiting import wait_for

from . import figures, memory, objects

SERVICES = int(os.environ.get("FAIRLEAD_BENCH_SERVICES", "2000"))
ROUNDS = 3
IN_FLIGHT = 32
YARDSTICK = "yardstick"
METALLB = "MetalLB's controller in such a lab, 2000 Services: 29 s, 10.5 s of CPU, 45 MB private"


def run(lab: Lab) -> None:
    lab.plane.start(audited=False)
    for namespace in ("fairlead-system", YARDSTICK):
        lab.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for obj in objects.configuration("10.77.0.0/16"):
        lab.api.apply(obj)
    rates: dict[str, list[float]] = {"http1": [], "http2": [], "controller": []}
    for number in range(ROUNDS):
        for protocol, rate in _yardstick(lab, f"round{number}").items():
            rates[protocol].append(rate)
        rates["controller"].append(_controller(lab))

    print(f"allocate, {SERVICES} pending Services on a real API server")
    for what in ("http1", "http2"):
        figures.report(f"  yardstick, a plain client over {what}, {IN_FLIGHT} in flight", rates[what], "/s")
    figures.report("  controller, start -> last address", rates["controller"], "/s")
    yardstick = max(statistics.median(rates["http1"]), statistics.median(rates["http2"]))
    print(f"  of the yardstick: {statistics.median(rates['controller']) / yardstick:.2f}")
    print(f"  ({METALLB})", flush=True)


def _controller(lab: Lab) -> float:
    """Its rate, with new Services."""
    lab.api.create_all([_service(f"bench-{i}") for i in range(SERVICES)])
    started = time.monotonic()
    process = lab.start_controller("a")
    with memory.Peak(process) as peak:
        wait_for("all to have an address", lambda: _patched(lab) >= SERVICES, 300, 0.05)
        took = time.monotonic() - started
        cpu = _cpu_seconds(process)
        wait_for("the Events", lambda: len(lab.api.objects("Event", "default")) >= SERVICES, 60, 0.5)
    rest = memory.private_kb(process.pid)
    found = [s["status"]["loadBalancer"].get("ingress") for s in lab.api.objects("Service", "default")]
    assert len([ingress for ingress in found if ingress]) == SERVICES
    process.stop()
    print(f"  controller: {took:.2f} s, {cpu:.2f} s of CPU, private {rest / 1000:.1f} MB, peak {peak.kb / 1000:.1f} MB")
    for path in ("/api/v1/namespaces/default/services", "/apis/events.k8s.io/v1/namespaces/default/events"):
        lab.api.call("DELETE", path, timeout=120)
    return SERVICES / took


def _service(name: str, namespace: str = "default") -> Object:
    obj = objects.service(name)
    obj["metadata"]["namespace"] = namespace
    obj["spec"]["allocateLoadBalancerNodePorts"] = False  # there are not enough for all
    return obj


def _yardstick(lab: Lab, prefix: str) -> dict[str, float]:
    rates = {}
    names = [f"{prefix}-{i}" for i in range(SERVICES)]
    lab.api.create_all([_service(n, YARDSTICK) for n in names])
    for number, protocol in enumerate(("http1", "http2")):
        lines = "".join(f"{lab.plane.server}{_path(n)} {_patch(number, i)}\n" for i, n in enumerate(names))
        argv = [str(lab.build / "tests/bench/patcher"), protocol, str(IN_FLIGHT)]
        argv += [lab.plane.authority, lab.plane.token("admin")]
        with netns.entered(lab.network.control_plane.namespace):
            done = subprocess.run(argv, input=lines, stdout=subprocess.PIPE, text=True, check=True)
        rates[protocol] = SERVICES / float(done.stdout)
    lab.api.call("DELETE", f"/api/v1/namespaces/{YARDSTICK}/services", timeout=120)
    return rates


def _path(name: str) -> str:
    return f"/api/v1/namespaces/{YARDSTICK}/services/{name}/status"


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
    name = 'fairlead_patches_total{result="success"} '
    lines = lab.daemon("controller-a", "/metrics").splitlines()
    return next((int(float(line.removeprefix(name))) for line in lines if line.startswith(name)), 0)


def _cpu_seconds(process: Process) -> float:
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
