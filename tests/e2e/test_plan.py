# SPDX-License-Identifier: Apache-2.0
"""`fairlead plan` against the controller itself: whatever the state, both come to the same answers.

The state is made at random from a seed, with statuses as if written before; then the plan is asked, live and from what
the API server lists, and then the controller is let loose.  At most one Service of a state gives an address up that
others may want: with more, the order in which the server answers these writes decides who of those that wait comes
first.  Who has an address keeps it in any case.
"""

import json
import random
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import open_lab

from lab import netns
from lab.api import Object
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

SYSTEM = "fairlead-system"
CONDITION, EXTERNAL = "fairlead.io/AddressAssigned", "fairlead.io/ExternalIPsAssigned"
POOL, RECORD = "fairlead.io/external-ips", "fairlead.io/external-ips-assigned"
LEASE = ("--lease-duration", "3", "--renew-deadline", "2", "--retry-period", "1")
POOLS = """\
address-pools:
- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250, "fd00:60::10-fd00:60::12"]}
- name: first
  protocol: layer2
  priority: 1
  addresses: [10.60.1.0/29]
  avoid-buggy-ips: true
  reservations: [{service: default/s05, address: 10.60.1.2}, {service: default/absent, address: 10.60.1.1}]
- {name: tiny, protocol: layer2, auto-assign: false, addresses: [10.60.0.1-10.60.0.2]}
- {name: edge, protocol: layer2, use: [external-ip], addresses: [203.0.113.1-203.0.113.3, "fd00:61::1-fd00:61::2"]}
- name: any
  protocol: layer2
  priority: 2
  use: [load-balancer, external-ip]
  addresses: [10.61.0.1-10.61.0.4]
- name: mine
  protocol: layer2
  namespace-selectors: [{match-labels: {team: red}}]
  service-selectors: [{match-labels: {tier: web}}]
  addresses: [10.62.0.1-10.62.0.2]
- {name: others, protocol: layer2, namespaces: [elsewhere], addresses: [10.63.0.1-10.63.0.2]}
external-ips: {allow: [198.51.100.0/24], namespaces: [default]}
"""
SEEDS = range(40)
SERVICES = 24


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The API server alone, with the configuration."""
    with open_lab() as opened:
        opened.start_api()
        opened.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        meta = {"name": "fairlead", "namespace": SYSTEM}
        opened.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config": POOLS}})
        opened.api.patch("Namespace", "default", {"metadata": {"labels": {"team": "red"}}}, "")
        (opened.dir / "pools.yaml").write_text(POOLS, encoding="utf-8")
        yield opened
        opened.stop_daemons()


def fairlead(lab: Lab, *args: str, codes: tuple[int, ...] = (0,)) -> Any:
    argv = [lab.program("fairlead"), *args, "-o", "json"]
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stderr
    return json.loads(done.stdout)


def random_service(chance: random.Random, number: int) -> Object:
    annotations: dict[str, str] = {}
    spec: dict[str, Any] = {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}]}
    if chance.random() < 0.3:
        annotations["fairlead.io/address-pool"] = chance.choice(("lan", "first", "tiny", "mine", "others", "nowhere"))
    if chance.random() < 0.3:
        wishes = ("192.168.1.244", "192.168.1.245", "10.60.0.2", "10.99.0.1", "fd00:60::11", "no address")
        annotations["fairlead.io/addresses"] = chance.choice(wishes)
    if chance.random() < 0.3:
        spec["ipFamilyPolicy"] = chance.choice(("PreferDualStack", "RequireDualStack"))
    if chance.random() < 0.1:
        spec["loadBalancerClass"] = "example.com/other"
    elif chance.random() < 0.1:
        spec["type"] = "ClusterIP"
    if chance.random() < 0.5:
        add_external_ips(chance, annotations, spec)
    labels = {"tier": "web"} if number % 3 == 0 else {}
    meta = {"name": f"s{number:02}", "annotations": annotations, "labels": labels}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def add_external_ips(chance: random.Random, annotations: dict[str, str], spec: dict[str, Any]) -> None:
    """Asks for some; may hold some, as if given before; or has some that somebody wrote by hand."""
    pool = chance.choice(("edge", "edge", "any", "any", "lan", "nowhere"))
    annotations[POOL] = pool
    if "loadBalancerClass" not in spec:
        spec["type"] = chance.choice(("ClusterIP", "NodePort", spec["type"], spec["type"]))
    if chance.random() < 0.25:
        held = "10.61.0.2" if pool == "any" else chance.choice(("203.0.113.2", "203.0.113.3"))
        annotations[RECORD] = held
        spec["externalIPs"] = [held]
    elif chance.random() < 0.25:
        written = ("203.0.113.1", "10.61.0.3", "198.51.100.7", "192.168.1.241")
        spec["externalIPs"] = chance.sample(written, 2)
        if chance.random() < 0.7:
            del annotations[POOL]
    if spec["type"] == "ClusterIP" and "externalIPs" not in spec and chance.random() < 0.2:
        spec["clusterIP"] = "None"
        spec.pop("ipFamilyPolicy", None)


def random_status(chance: random.Random, service: Object, free: list[str]) -> Object | None:
    """What an earlier controller, or another program, may have written; None: nothing."""
    asks = set(service["metadata"]["annotations"]) - {POOL, RECORD} or service["spec"]["type"] != "LoadBalancer"
    if not free or asks or chance.random() < 0.5:
        return None
    if chance.random() < 0.1:
        return {"loadBalancer": {"ingress": [{"ip": "172.16.0.9", "ipMode": "VIP"}]}}
    return {"loadBalancer": {"ingress": [{"ip": free.pop(chance.randrange(len(free))), "ipMode": "VIP"}]}}


def make_state(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    free = [f"192.168.1.{n}" for n in range(240, 250)]
    services = [random_service(chance, n) for n in range(SERVICES)]
    for service in services:
        lab.api.create(service)
    for service in services:
        status = random_status(chance, service, free)
        if status:
            lab.api.patch("Service", service["metadata"]["name"], {"status": status}, subresource="status")
    mover = chance.choice([s for s in services if s["spec"]["type"] == "LoadBalancer"])["metadata"]["name"]
    held = {"loadBalancer": {"ingress": [{"ip": "10.60.0.1", "ipMode": "VIP"}]}}
    lab.api.patch("Service", mover, {"metadata": {"annotations": {"fairlead.io/address-pool": "lan"}}})
    lab.api.patch("Service", mover, {"status": held}, subresource="status")
    # One that gives up an address of the family that is scarce: it has both, and wants IPv4.
    meta, spec = {"name": "leaver"}, {"type": "LoadBalancer", "ports": [{"port": 80}]}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    held = {"loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"} for ip in ("192.168.1.250", "fd00:60::12")]}}
    lab.api.patch("Service", "leaver", {"status": held}, subresource="status")


def clean(lab: Lab) -> None:
    for name in [s["metadata"]["name"] for s in lab.api.objects("Service")]:
        if name != "kubernetes":
            lab.api.delete("Service", name)


def facts(service: Object) -> dict[str, tuple[list[str], str]]:
    """Of each kind the addresses, and the reason of the condition."""
    status = service.get("status", {})
    ingress = status.get("loadBalancer", {}).get("ingress") or []
    reasons = {c["type"]: c["reason"] for c in status.get("conditions", [])}
    return {
        "load-balancer": ([i["ip"] for i in ingress if "ip" in i], reasons.get(CONDITION, "")),
        "external-ip": (service["spec"].get("externalIPs", []), reasons.get(EXTERNAL, "")),
    }


def parts(row: Object) -> list[Object]:
    """What a row of the plan says of each kind."""
    return list(row.get("parts", [{**row, "kind": "load-balancer"}]))


def check_part(part: Object, done: tuple[list[str], str], said: Object) -> None:
    addresses, reason = done
    assert sorted(part["after"]) == sorted(addresses), part
    assert part["change"] != "assign" or reason == part["reason"], part
    assert part["change"] != "fail" or said["reason"] == part["reason"], part


def settled(lab: Lab) -> dict[str, dict[str, tuple[list[str], str]]]:
    """What the controller has come to: it leads, has decided, and nothing has changed between two looks."""
    last: dict[str, Any] = {}

    def still() -> dict[str, Any]:
        nonlocal last
        said = lab.daemon("controller-a")
        stats = said["stats"]
        now = {"stats": stats, "services": {s["metadata"]["name"]: facts(s) for s in lab.api.objects("Service")}}
        before, last = last, now
        if not said["leader"] or not stats["decisions"] or stats["in_flight"] or before != now:
            raise LabError(f"not at rest: {stats}")
        return dict(now["services"])

    return wait_for("the controller to be at rest", still, every=0.2)


@pytest.mark.parametrize("seed", SEEDS)
def test_plan_and_controller_agree(lab: Lab, seed: int) -> None:
    clean(lab)
    make_state(lab, seed)
    pools = str(lab.dir / "pools.yaml")
    listed = lab.dir / "state.json"
    objects = [{**s, "kind": "Service", "apiVersion": "v1"} for s in lab.api.objects("Service")]
    in_force = lab.api.find("ConfigMap", "fairlead-active", SYSTEM)
    items = [*objects, *({**n, "kind": "Namespace", "apiVersion": "v1"} for n in lab.api.objects("Namespace"))]
    items += [{**in_force, "kind": "ConfigMap", "apiVersion": "v1"}] if in_force else []
    listed.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}), encoding="utf-8")
    live = fairlead(lab, "plan", "--config", pools, "--kubeconfig", str(lab.kubeconfig), codes=(0, 2))
    assert fairlead(lab, "plan", "--config", pools, "--state", str(listed), codes=(0, 2)) == live
    lab.start_controller("a", *LEASE)
    try:
        done = settled(lab)
        said = {s["name"]: s for s in lab.daemon("controller-a")["services"]}
        for row in live:
            assert row["after"] == [a for part in parts(row) for a in part["after"]]
            assert row["change"] in [part["change"] for part in parts(row)]
            for part in parts(row):
                about = said[row["name"]]
                about = about if part["kind"] == "load-balancer" else about["external_ips"]
                check_part(part, done[row["name"]][part["kind"]], about)
        planned = {row["name"] for row in live}
        left_alone = {s["metadata"]["name"]: facts(s) for s in objects if s["metadata"]["name"] not in planned}
        assert {name: done[name] for name in left_alone} == left_alone
        again = fairlead(lab, "plan", "--config", pools, "--kubeconfig", str(lab.kubeconfig), codes=(0, 2))
        assert {row["change"] for row in again} <= {"none", "keep", "fail"}
        pools_seen = fairlead(lab, "pools", "--kubeconfig", str(lab.kubeconfig), codes=(0, 1, 2))["pools"]
        pool = {p["name"]: p for p in pools_seen}
        assert pool["tiny"]["total"] == 2
    finally:
        assert lab.processes["controller-a"].stop() == 0


def test_lists_are_read_whatever_their_size(lab: Lab) -> None:
    """Twenty Services with annotations as large as the API takes them: a page of the list is larger than any answer."""
    live = ("--kubeconfig", str(lab.kubeconfig))
    for i in range(20):
        meta = {"name": f"large-{i:02d}", "annotations": {"example.com/notes": 220_000 * "x"}}
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    try:
        rows = fairlead(lab, "plan", "--config", str(lab.dir / "pools.yaml"), *live, codes=(0, 2))
        assert len([r for r in rows if r["name"].startswith("large-")]) == 20
        services = fairlead(lab, "status", "--exit-code=answer", *live)["services"]
        assert len([s for s in services if s["name"].startswith("large-")]) == 20
    finally:
        for i in range(20):
            lab.api.delete("Service", f"large-{i:02d}")
