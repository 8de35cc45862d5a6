# SPDX-License-Identifier: Apache-2.0
"""The owner's link is cut: how long until another node answers ARP?

The cut is made at the LAN's side of the owner's link and found out by silence alone: the figure is that of a switch
port that dies quietly.  The yardstick is the time that one ARP question to a living owner takes.
"""

import time

from lab.cluster import Lab
from lab.waiting import LabError, wait_for

from . import figures, objects

ROUNDS = 20
ADDRESS = "192.168.1.240"


def run(lab: Lab) -> None:
    lab.start_cluster()
    for obj in objects.configuration(f"{ADDRESS}/32"):
        lab.api.apply(obj)
    lab.start_controller("a")
    for host in lab.network.nodes:
        lab.start_speaker(host.name)
    lab.api.create(objects.endpoints("bench", {h.pod_prefix + ".200": h.name for h in lab.network.nodes}))
    lab.api.create(objects.service("bench"))
    lab.wait_owner(ADDRESS)

    asks = [a.ms for _ in range(ROUNDS) for a in lab.arp_answers(ADDRESS, 0.05)]
    gaps = [_round(lab) for _ in range(ROUNDS)]
    print("failover, link cut without loss of carrier at the owner's end")
    figures.report("  one ARP question to a living owner (yardstick)", asks)
    figures.report("  link cut -> first ARP answer by another node", gaps)


def _round(lab: Lab) -> float:
    owner = lab.wait_owner(ADDRESS)
    mac = lab.host(owner).mac
    with lab.arp_watcher(ADDRESS, 0.001) as watcher:
        wait_for("answers before the cut", lambda: watcher.answers)
        cut = time.monotonic()
        lab.cut(owner, carrier=False)
        answer = wait_for("an ARP answer by another node", lambda: watcher.first_after(cut, mac), 10, 0.005)
    lab.heal(owner)
    wait_for("all speakers to hear each other", lambda: _all_alive(lab), 15, 0.1)
    return (answer.at - cut) * 1000


def _all_alive(lab: Lab) -> bool:
    for host in lab.network.nodes:
        alive = [p["node"] for p in lab.daemon(host.name)["l2"]["peers"] if p["alive"]]
        if len(alive) != len(lab.network.nodes) - 1:
            raise LabError(f"{host.name} hears {alive}")
    return True
