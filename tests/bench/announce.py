# SPDX-License-Identifier: Apache-2.0
"""A Service is created: how long until somebody answers ARP for its address?

Each round takes another address that nobody held before.  The client asks every millisecond, from before the Service
exists.  The yardstick is the POST itself: the figure counts from its return, so it can be negative.
"""

import time

from lab.cluster import Lab
from lab.waiting import wait_for

from . import figures, objects

ROUNDS = 50
SETTLE_SECONDS = 0.1


def run(lab: Lab) -> None:
    lab.start_cluster()
    for obj in objects.configuration("192.168.1.101-192.168.1.250"):
        lab.api.apply(obj)
    lab.start_controller("a")
    next_address = 101
    for mode, probe in (("none", "off"), ("none", "on"), ("iptables", "off")):
        for host in lab.network.nodes:
            lab.start_speaker(host.name, "--proxy-mode", mode, "--first-use-probe", probe)
        for host in lab.network.nodes:
            wait_for(f"the speaker of {host.name}", lambda h=host: lab.daemon(h.name, "/readyz"), 10)
        time.sleep(1)  # a speaker that just started listens before it claims
        posts, answers = [], []
        for i in range(next_address, next_address + ROUNDS):
            post, answer = _round(lab, f"bench-{i}", f"192.168.1.{i}")
            posts.append(post)
            answers.append(answer)
        next_address += ROUNDS
        print(f"announce, proxy mode {mode}, first-use probe {probe}")
        figures.report("  the POST itself (yardstick)", posts)
        figures.report("  POST returned -> first ARP answer", answers)
        for host in lab.network.nodes:
            lab.speaker(host.name).stop()


def _round(lab: Lab, name: str, address: str) -> tuple[float, float]:
    lab.api.create(objects.endpoints(name, {h.pod_prefix + ".200": h.name for h in lab.network.nodes}))
    with lab.arp_watcher(address, 0.001) as watcher:
        started = time.monotonic()
        lab.api.create(objects.service(name, address))
        returned = time.monotonic()
        answer = wait_for(f"an ARP answer for {address}", lambda: watcher.first_after(started), 10, 0.005)
    lab.api.delete("Service", name)
    lab.api.delete("EndpointSlice", f"{name}-bench")
    time.sleep(SETTLE_SECONDS)
    return (returned - started) * 1000, (answer.at - returned) * 1000
