# SPDX-License-Identifier: Apache-2.0
"""Tenants, the administrator and the leaders do whatever they may, in an order made from a seed.

Tenants write anything that the API server accepts: requests, records, external IPs, types, classes, annotations.
They delete, and make anew under the same name.  The administrator splits, shrinks, renames and removes pools and
changes what they are for.  Leaders are killed, stopped and ended.  When all is settled after each step:

- no address is on the air for two Services,
- no Service has lost an address that it had, unless its own change asked for that,
- and what was on the air is on the air.

On the air is what `fairlead explain` says: the decision that speakers make.  FAIRLEAD_TENANT_SEEDS: so many seeds, or
"N-M".
"""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import open_lab
from controllers import SYSTEM, configure, restart, settled, start_controllers, wait_leader

from lab import netns
from lab.api import ApiError, Object
from lab.cluster import Lab

STEPS, SERVICES = 16, 8
RECORD = "fairlead.io/external-ips-assigned"
LEASE_S = 3

# By name, what the administrator may write.  All have the external IPs' section of the first one.
BASE = """\
- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.247]}
- {name: named, protocol: layer2, auto-assign: false, addresses: [10.60.0.0/30]}
- {name: edge, protocol: layer2, use: external-ip, addresses: [203.0.113.0/30]}
"""
EDITS = {
    "base": BASE,
    "split": BASE.replace(
        "addresses: [192.168.1.240-192.168.1.247]}",
        "addresses: [192.168.1.240-192.168.1.242]}\n"
        "- {name: lan2, protocol: layer2, addresses: [192.168.1.243-192.168.1.247]}",
    ),
    "shrunk": BASE.replace("192.168.1.240-192.168.1.247", "192.168.1.244-192.168.1.247"),
    "renamed": BASE.replace("name: lan,", "name: office,").replace("name: named,", "name: told,"),
    "removed": "\n".join(line for line in BASE.splitlines() if "named" not in line) + "\n",
    "other use": BASE.replace("name: lan,", "name: lan, use: external-ip,"),
    "buggy": BASE.replace("name: named,", "name: named, avoid-buggy-ips: true,"),
    "priority": BASE.replace("name: edge,", "name: edge, priority: 1,").replace(
        "use: external-ip,", "use: [load-balancer, external-ip],"
    ),
    "swapped": BASE.replace("name: lan,", "name: x,")
    .replace("name: named,", "name: lan,")
    .replace("name: x,", "name: named,"),
}
ALLOW = "external-ips: {allow: [198.51.100.0/28], namespaces: [default]}\n"


def seeds() -> list[int]:
    text = os.environ.get("FAIRLEAD_TENANT_SEEDS", "2")
    first, _, last = text.rpartition("-")
    return list(range(int(first), int(last) + 1)) if first else list(range(1, int(last) + 1))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        opened.start_api()
        opened.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        configure(opened, pools("base"))
        meta = {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}
        status = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "192.168.1.11"}],
        }
        opened.api.create({"apiVersion": "v1", "kind": "Node", "metadata": meta})
        opened.api.patch("Node", "n1", {"status": status}, namespace="", subresource="status")
        for number in range(SERVICES):
            opened.api.create(endpoints(f"s{number}"))
        start_controllers(opened)
        yield opened
        opened.stop_daemons()


def pools(edit: str) -> str:
    return "address-pools:\n" + EDITS[edit] + ALLOW


def endpoints(name: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080}],
    }


# ---- what they do ----


def wishes(chance: random.Random, held: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Annotations and a spec that anybody may write; @held: addresses that somebody has."""
    annotations: dict[str, Any] = {}
    spec: dict[str, Any] = {"type": chance.choice(("LoadBalancer",) * 6 + ("NodePort", "ClusterIP"))}
    if chance.random() < 0.3:
        annotations["fairlead.io/address-pool"] = chance.choice(("lan", "named", "edge", "office", "nowhere"))
    if chance.random() < 0.25:
        asked = (*held, "10.60.0.0", "10.60.0.2", "192.168.1.243", "203.0.113.1", "no address")
        annotations["fairlead.io/addresses"] = chance.choice(asked)
    if chance.random() < 0.1 and spec["type"] == "LoadBalancer":
        spec["loadBalancerIP"] = chance.choice((*held, "192.168.1.245"))
    if chance.random() < 0.1 and spec["type"] == "LoadBalancer":
        spec["loadBalancerClass"] = "example.com/other"
    if chance.random() < 0.3:
        annotations["fairlead.io/external-ips"] = chance.choice(("edge", "edge", "lan", "nowhere"))
    if chance.random() < 0.15:
        annotations[RECORD] = chance.choice((*held, "203.0.113.2"))
    if chance.random() < 0.2:
        spec["externalIPs"] = [chance.choice((*held, "198.51.100.1", "203.0.113.1"))]
    if chance.random() < 0.1:
        annotations["example.com/huge"] = "x" * 200_000
    return annotations, spec


def make(lab: Lab, chance: random.Random, name: str, held: list[str]) -> None:
    annotations, spec = wishes(chance, held)
    meta = {"name": name, "annotations": annotations, "labels": {"tier": chance.choice(("a", "b"))}}
    spec["ports"] = [{"name": "http", "port": 80}]
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})


def change(lab: Lab, chance: random.Random, name: str, held: list[str]) -> None:
    annotations, spec = wishes(chance, held)
    if "loadBalancerClass" in spec:
        del spec["loadBalancerClass"]  # immutable
    for key in ("address-pool", "addresses", "external-ips"):
        annotations.setdefault(f"fairlead.io/{key}", None)
    lab.api.patch("Service", name, {"metadata": {"annotations": annotations}, "spec": spec})


def tenant(lab: Lab, chance: random.Random, held: list[str]) -> set[str]:
    name = f"s{chance.randrange(SERVICES)}"
    try:
        if not lab.api.find("Service", name):
            make(lab, chance, name, held)
        elif chance.random() < 0.5:
            change(lab, chance, name, held)
        else:
            lab.api.delete("Service", name)
            if chance.random() < 0.5:
                make(lab, chance, name, held)
    except ApiError as error:
        assert error.code in (400, 422), error  # not everything is accepted
    return {name}


def leader_suffers(lab: Lab, chance: random.Random) -> None:
    replica = wait_leader(lab)
    if not replica:
        return
    process = lab.processes[f"controller-{replica}"]
    how = chance.choice(("kill", "pause", "end"))
    if how == "pause":
        process.pause()
        time.sleep(chance.choice((0.5, LEASE_S + 1.5)))
        process.signal(signal.SIGCONT)
    elif how == "kill":
        process.kill()
        restart(lab, replica)
    else:
        process.stop()
        restart(lab, replica)


# ---- what is ----


def explain(lab: Lab, name: str) -> list[str]:
    """The addresses of a Service that node n1 would announce."""
    argv = [lab.program("fairlead"), "explain", f"default/{name}", "-o", "json", "--kubeconfig", str(lab.kubeconfig)]
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if not done.stdout.strip().startswith("["):
        return []
    rows = json.loads(done.stdout)
    return [row["address"] for row in rows if any(node["announce"] for node in row["nodes"])]


class State:
    """Each Service's UID, the addresses of its status, and those on the air."""

    def __init__(self, lab: Lab) -> None:
        self.uid: dict[str, str] = {}
        self.held: dict[str, list[str]] = {}
        self.air: dict[str, list[str]] = {}
        for service in lab.api.objects("Service", "default"):
            name = service["metadata"]["name"]
            if name == "kubernetes":
                continue
            ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
            self.uid[name] = service["metadata"]["uid"]
            self.held[name] = [entry["ip"] for entry in ingress if "ip" in entry]
            self.air[name] = explain(lab, name)

    def everything(self) -> list[str]:
        return sorted({a for addresses in (*self.held.values(), *self.air.values()) for a in addresses})


def judge(before: State, after: State, touched: set[str], what: str) -> None:
    owner: dict[str, str] = {}
    for name, addresses in after.air.items():
        for address in addresses:
            other = owner.setdefault(address, name)
            assert other == name, f"{what}: {address} is on the air for {other} and {name}"
    for name, uid in before.uid.items():
        if name in touched or after.uid.get(name) != uid:
            continue
        assert after.held[name] == before.held[name] or not before.held[name], (
            f"{what}: {name} had {before.held[name]} and has {after.held[name]}"
        )
        gone = set(before.air[name]) - set(after.air[name])
        assert not gone, f"{what}: {name} is off the air with {', '.join(sorted(gone))}"


@pytest.mark.embedded
@pytest.mark.parametrize("seed", seeds())
def test_nobody_takes_an_address(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    for name in [s["metadata"]["name"] for s in lab.api.objects("Service", "default")]:
        if name != "kubernetes":
            lab.api.delete("Service", name)
    configure(lab, pools("base"))
    settled(lab)
    before = State(lab)
    for number in range(STEPS):
        what, touched = "", set()
        act = chance.random()
        if act < 0.6 or number < SERVICES:
            touched = tenant(lab, chance, before.everything())
            what = f"tenant of {', '.join(touched)}"
        elif act < 0.85:
            edit = chance.choice(list(EDITS))
            configure(lab, pools(edit))
            what = f"pools {edit}"
        if act > 0.9:
            leader_suffers(lab, chance)
            what += " leader"
        wait_leader(lab)
        settled(lab)
        after = State(lab)
        judge(before, after, touched, f"seed {seed}, step {number} ({what})")
        before = after
