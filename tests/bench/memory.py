# SPDX-License-Identifier: Apache-2.0
"""Private memory with 2000 Services of two endpoints each, at rest and at its peak while everything is listed.

Private is RssAnon + RssShmem of /proc/PID/status: what the process costs this machine, without pages of programs and
libraries that all share.  The yardstick is the size of what the API server sends: Services and EndpointSlices as JSON.
"""

import json
import threading
import time
from pathlib import Path

from lab.cluster import Lab
from lab.processes import Process
from lab.waiting import LabError, wait_for

from . import objects

SERVICES = 2000


def run(lab: Lab) -> None:
    lab.start_cluster()
    for obj in objects.configuration("10.77.0.0/16, 192.168.1.240/32"):
        lab.api.apply(obj)
    nodes = [h.name for h in lab.network.nodes]
    for i in range(SERVICES):
        name = f"bench-{i}"
        places = {f"10.244.{1 + (i + k) % 3}.{200 + k}": nodes[(i + k) % 3] for k in range(2)}
        lab.api.create(objects.endpoints(name, places))
        lab.api.create(objects.service(name))
    listed = sum(len(json.dumps(lab.api.objects(kind))) for kind in ("Service", "EndpointSlice"))
    print(f"memory, {SERVICES} Services; the two lists are {listed / 1e6:.1f} MB of JSON (yardstick)")

    _measure("controller, assigning all", lab.start_controller("a"), lambda: _assigned(lab))
    _measure("controller, standby that knows all", lab.start_controller("b"), lambda: _known(lab))
    for mode in ("none", "iptables"):
        speaker = lab.start_speaker("node1", "--proxy-mode", mode)
        _measure(f"speaker, proxy mode {mode}", speaker, lambda: lab.daemon("node1", "/readyz"))
        speaker.stop()


def _assigned(lab: Lab) -> bool:
    """Asks the controller for its counters, which is cheaper than to list the Services again and again."""
    used = sum(p["used"] for p in lab.daemon("controller-a")["pools"] if p["name"] == "bench")
    if used < SERVICES:
        raise LabError(f"{used} addresses assigned")
    return True


def _known(lab: Lab) -> bool:
    return lab.daemon("controller-b", "/readyz") is not None


def private_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem"))


class Peak:
    """The most private memory that a process has while the block runs."""

    def __init__(self, process: Process) -> None:
        self.kb = 0
        self._pid = process.pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(0.002):
            self.kb = max(self.kb, private_kb(self._pid))


def _measure(what: str, process: Process, done) -> None:  # type: ignore[no-untyped-def]
    with Peak(process) as peak:
        wait_for(what, done, 300, 0.2)
        time.sleep(2)
        rest = private_kb(process.pid)
    print(f"  {what:<40} private memory at rest {rest / 1000:6.1f} MB   peak {peak.kb / 1000:6.1f} MB", flush=True)
