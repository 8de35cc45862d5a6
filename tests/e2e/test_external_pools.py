# SPDX-License-Identifier: Apache-2.0
"""External IPs from pools, on the embedded API server: given, taken back, refused, and never on two Services.

Judged from the objects, the API server's log of writes and the controller's own counters.
"""

import signal
import time
from functools import partial
from typing import Any

import conftest
import pytest
from controllers import (
    configure,
    events,
    holder,
    in_status,
    lab_fixtures,
    leader_status,
    restart,
    settled,
    start_controllers,
    status,
    stop_controllers,
    wait_active,
    wait_addresses,
    wait_leader,
)

from lab.api import ApiError, Object
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

POOL, RECORD = "fairlead.io/external-ips", "fairlead.io/external-ips-assigned"
POOLS = """\
address-pools:
- name: edge
  protocol: layer2
  use: [external-ip]
  addresses: [203.0.113.1-203.0.113.4, "fd00:61::1-fd00:61::4"]
- name: lan
  protocol: layer2
  addresses: [192.168.1.240-192.168.1.250]
- name: both
  protocol: layer2
  auto-assign: false
  use: [load-balancer, external-ip]
  addresses: [10.61.0.1-10.61.0.3]
external-ips: {allow: [198.51.100.0/24], namespaces: [default]}
"""
WIDE = "address-pools:\n- {name: wide, protocol: layer2, use: [external-ip], addresses: [10.62.0.0/16]}\n"

whole_lab, lab = lab_fixtures(POOLS)
condition = partial(conftest.condition, kind="ExternalIPsAssigned")
wait_condition = partial(conftest.wait_condition, kind="ExternalIPsAssigned")


def create(lab: Lab, name: str, pool: str | None = "edge", **spec: Any) -> Object:
    annotations = {POOL: pool} if pool else {}
    body = {"type": "ClusterIP", "ports": [{"name": "http", "port": 80}], **spec}
    meta = {"name": name, "annotations": annotations}
    return lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": body})


def annotate(lab: Lab, name: str, **annotations: str | None) -> None:
    names = {"pool": POOL, "record": RECORD}
    values = {names[key]: value for key, value in annotations.items()}
    lab.api.patch("Service", name, {"metadata": {"annotations": values}})


def external(lab: Lab, name: str) -> tuple[list[str], str | None]:
    """spec.externalIPs and the record."""
    found = lab.api.get("Service", name)
    return found["spec"].get("externalIPs", []), found["metadata"].get("annotations", {}).get(RECORD)


def wait_external(lab: Lab, name: str, *addresses: str) -> None:
    """The Service has them, all recorded."""
    want = (list(addresses), ",".join(addresses) or None)

    def has_them() -> bool:
        found = external(lab, name)
        if found != want:
            raise LabError(str(found))
        return True

    wait_for(f"{name} to have {addresses}", has_them)


def patches(lab: Lab, name: str, offset: int) -> list[str]:
    """The subresources that the controllers have tried to patch, "" for the Service itself."""
    path = f"/api/v1/namespaces/default/services/{name}"
    ours = [w for w in lab.writes(offset) if w["agent"].startswith("fairlead-controller") and w["verb"] == "patch"]
    return [w["path"].split("?")[0][len(path) + 1 :] for w in ours if w["path"].startswith(path)]


# ---- given and taken back ----


@pytest.mark.parametrize(
    "spec, addresses",
    [
        ({}, ["203.0.113.1"]),
        ({"type": "NodePort"}, ["203.0.113.1"]),
        ({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}, ["fd00:61::1"]),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}, ["203.0.113.1", "fd00:61::1"]),
    ],
    ids=["cluster-ip", "node-port", "ipv6", "both"],
)
def test_given_with_one_patch_and_taken_back_with_one(lab: Lab, spec: dict[str, Any], addresses: list[str]) -> None:
    offset = lab.write_log.stat().st_size
    create(lab, "web", **spec)
    wait_external(lab, "web", *addresses)
    said = wait_condition(lab, "web", "Assigned")
    assert (said["status"], said["message"]) == (
        "True",
        f"assigned external IP {', '.join(addresses)} from pool edge",
    )
    wait_for("the Event", lambda: events(lab, "web") == ["Assigned"])
    settled(lab)
    assert patches(lab, "web", offset) == ["", "status"]

    offset = lab.write_log.stat().st_size
    annotate(lab, "web", pool=None)
    wait_external(lab, "web")
    assert wait_condition(lab, "web", "NoExternalIpsWanted")["status"] == "False"
    wait_for("the Event", lambda: sorted(events(lab, "web")) == ["Assigned", "Released"])
    settled(lab)
    assert patches(lab, "web", offset) == ["", "status"]
    create(lab, "next")
    wait_external(lab, "next", addresses[0] if "ipFamilies" not in spec else "203.0.113.1")


def test_beside_a_load_balancer(lab: Lab) -> None:
    offset = lab.write_log.stat().st_size
    create(lab, "web", type="LoadBalancer")
    wait_external(lab, "web", "203.0.113.1")
    wait_addresses(lab, "web", "192.168.1.240")
    wait_condition(lab, "web", "Assigned")
    settled(lab)
    assert patches(lab, "web", offset) == ["status", "", "status"]
    annotate(lab, "web", pool=None)
    wait_external(lab, "web")
    assert lab.addresses("web") == ["192.168.1.240"]
    lab.api.patch("Service", "web", {"spec": {"type": "ClusterIP"}, "metadata": {"annotations": {POOL: "edge"}}})
    wait_external(lab, "web", "203.0.113.1")
    wait_for("the status to be empty", lambda: lab.addresses("web") == [])


def test_another_pool_is_another_address(lab: Lab) -> None:
    create(lab, "web")
    wait_external(lab, "web", "203.0.113.1")
    annotate(lab, "web", pool="both")
    wait_external(lab, "web", "10.61.0.1")
    wait_for("the Event", lambda: "Moved" in events(lab, "web"))
    annotate(lab, "web", pool="nowhere")
    assert "spec.externalIPs keeps 10.61.0.1" in wait_condition(lab, "web", "NoSuchPool")["message"]
    assert external(lab, "web") == (["10.61.0.1"], "10.61.0.1")


@pytest.mark.parametrize(
    "pool, spec, reason, words",
    [
        ("nowhere", {}, "NoSuchPool", "pool nowhere"),
        ("lan", {}, "PoolNotForUse", "pool lan is not for external IPs"),
        ("edge", {"clusterIP": "None"}, "NotForwarded", "headless"),
        ("edge", {"type": "ExternalName", "externalName": "a.example"}, "NotForwarded", "ExternalName"),
        ("edge", {"externalIPs": ["198.51.100.7"]}, "ExternalIpsMixed", "198.51.100.7 was written"),
    ],
    ids=["no-pool", "other-use", "headless", "name", "mixed"],
)
def test_what_cannot_be_had_is_said(lab: Lab, pool: str, spec: dict[str, Any], reason: str, words: str) -> None:
    before = create(lab, "web", pool, **spec)
    said = wait_condition(lab, "web", reason)
    assert said["status"] == "False"
    assert words in said["message"]
    wait_for("the Event", lambda: events(lab, "web") == [reason])
    settled(lab)
    now = lab.api.get("Service", "web")
    assert (now["spec"], now["metadata"]["annotations"]) == (before["spec"], before["metadata"]["annotations"])
    told = in_status(lab, "web")["external_ips"]
    assert (told["reason"], told["message"]) == (reason, said["message"])
    metrics = lab.daemon(f"controller-{wait_leader(lab)}", "/metrics")
    assert f'fairlead_external_ips{{reason="{reason}"}} 1\n' in metrics


def test_whose_turn_it_is(lab: Lab) -> None:
    for i in range(6):
        create(lab, f"s{i}")
        time.sleep(0.02)
    for i in range(4):
        wait_external(lab, f"s{i}", f"203.0.113.{i + 1}")
    for i in (4, 5):
        assert "edge has all its 4 IPv4 addresses in use" in wait_condition(lab, f"s{i}", "PoolExhausted")["message"]
    annotate(lab, "s2", pool=None)
    wait_external(lab, "s4", "203.0.113.3")
    lab.api.delete("Service", "s0")
    wait_external(lab, "s5", "203.0.113.1")


# ---- both kinds, and those of hand ----


def test_one_allocator_for_both_kinds(lab: Lab) -> None:
    annotations = {"fairlead.io/address-pool": "both"}
    meta = {"name": "lb", "annotations": annotations}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    wait_addresses(lab, "lb", "10.61.0.1")
    create(lab, "web", "both")
    wait_external(lab, "web", "10.61.0.2")
    create(lab, "asks", None, type="LoadBalancer", loadBalancerIP="10.61.0.2")
    wait_for("a reason", lambda: "web (external IPs)" in str(lab.api.get("Service", "asks").get("status", {})))
    create(lab, "by-hand", None, externalIPs=["10.61.0.3", "203.0.113.1"])
    settled(lab)
    # What is denied empties no pool: it is given last, and whoever names it is told.
    create(lab, "late", "both")
    wait_external(lab, "late", "10.61.0.3")
    create(lab, "later")
    wait_external(lab, "later", "203.0.113.2")
    told = [e["note"] for e in lab.api.objects("Event", "default") if e["regarding"]["name"] == "by-hand"]
    assert any("2 such addresses are of pools" in note for note in told), told
    create(lab, "too-late", "both")
    said = wait_condition(lab, "too-late", "PoolExhausted")
    assert "default/by-hand names one of its addresses in spec.externalIPs" in said["message"]
    lab.api.delete("Service", "late")
    wait_external(lab, "too-late", "10.61.0.3")


def test_those_of_hand_are_judged_and_never_changed(lab: Lab) -> None:
    create(lab, "inside", None, externalIPs=["198.51.100.1"])
    create(lab, "outside", None, externalIPs=["198.51.100.2", "8.8.8.8"])
    said = wait_condition(lab, "outside", "ExternalIpNotAllowed")
    assert "8.8.8.8 was written into spec.externalIPs by hand" in said["message"]
    settled(lab)
    assert condition(lab, "inside") == {}
    other = POOLS.replace("198.51.100.0/24", "8.8.0.0/16, 198.51.100.2/32")
    configure(lab, other)
    assert wait_condition(lab, "outside", "ExternalIpsAllowed")["status"] == "True"
    wait_condition(lab, "inside", "ExternalIpNotAllowed")
    configure(lab, POOLS.replace("namespaces: [default]", "namespaces: [edge]"))
    wait_condition(lab, "outside", "ExternalIpNotAllowed")
    assert external(lab, "inside") == (["198.51.100.1"], None)
    assert external(lab, "outside") == (["198.51.100.2", "8.8.8.8"], None)


def test_beside_ours_nothing_is_overwritten(lab: Lab) -> None:
    create(lab, "web")
    wait_external(lab, "web", "203.0.113.1")
    lab.api.patch("Service", "web", {"spec": {"externalIPs": ["203.0.113.1", "198.51.100.9"]}})
    said = wait_condition(lab, "web", "ExternalIpsMixed")
    assert "spec.externalIPs keeps 203.0.113.1" in said["message"]
    settled(lab)
    assert external(lab, "web") == (["203.0.113.1", "198.51.100.9"], "203.0.113.1")
    annotate(lab, "web", pool=None)  # only what is recorded is taken back
    wait_for("ours to be gone", lambda: external(lab, "web") == (["198.51.100.9"], None))
    assert wait_condition(lab, "web", "ExternalIpsAllowed")["status"] == "True"


def test_taken_out_or_forged_by_hand(lab: Lab) -> None:
    create(lab, "web")
    wait_external(lab, "web", "203.0.113.1")
    lab.api.patch("Service", "web", {"spec": {"externalIPs": None}})
    wait_external(lab, "web", "203.0.113.1")
    # A copied manifest brings a record along that is not its own.
    meta = {"name": "copy", "annotations": {POOL: "edge", RECORD: "203.0.113.1"}}
    spec = {"ports": [{"port": 80}], "externalIPs": ["203.0.113.1"]}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
    wait_external(lab, "copy", "203.0.113.2")
    assert external(lab, "web") == (["203.0.113.1"], "203.0.113.1")


# ---- restarts and failovers ----


def test_a_restart_keeps_what_specs_record(lab: Lab) -> None:
    create(lab, "first", "both")
    wait_external(lab, "first", "10.61.0.1")
    create(lab, "web", "both")
    wait_external(lab, "web", "10.61.0.2")
    lab.api.delete("Service", "first")
    settled(lab)
    stop_controllers(lab)
    create(lab, "late", "both")
    offset = lab.write_log.stat().st_size
    start_controllers(lab)
    wait_external(lab, "late", "10.61.0.1")
    settled(lab)
    assert external(lab, "web") == (["10.61.0.2"], "10.61.0.2")
    assert patches(lab, "web", offset) == []


def test_a_service_being_deleted_keeps_its_address(lab: Lab) -> None:
    create(lab, "web")
    wait_external(lab, "web", "203.0.113.1")
    lab.api.patch("Service", "web", {"metadata": {"finalizers": ["example.com/hold"]}})
    lab.api.delete("Service", "web")
    stop_controllers(lab)
    start_controllers(lab)
    create(lab, "next")
    wait_external(lab, "next", "203.0.113.2")
    assert external(lab, "web") == (["203.0.113.1"], "203.0.113.1")
    lab.api.patch("Service", "web", {"metadata": {"finalizers": None}})
    wait_for("it to be gone", lambda: lab.api.find("Service", "web") is None)
    create(lab, "last")
    wait_external(lab, "last", "203.0.113.1")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.embedded
def test_two_leaders_give_no_address_twice(lab: Lab, number: int) -> None:
    n = 60
    configure(lab, WIDE)
    wait_active(lab, WIDE)
    lab.set_faults(rules=[{"verb": "patch", "path": "/services/", "agent": "controller", "delay_ms": 200}])
    for i in range(n):
        create(lab, f"s{i}", "wide")
    victim = wait_leader(lab)
    lab.processes[f"controller-{victim}"].signal(number)
    wait_for("the standby to have the Lease", lambda: holder(lab) not in ("", f"controller-{victim}"), 20)

    def assigned() -> dict[str, str]:
        found = {s["metadata"]["name"]: s["spec"].get("externalIPs", []) for s in lab.api.objects("Service")}
        return {name: ips[0] for name, ips in found.items() if ips}

    wait_for("everybody to have an address", lambda: len(assigned()) == n, 40, 0.2)
    lab.set_faults()
    before = assigned()
    if number == signal.SIGSTOP:
        lab.processes[f"controller-{victim}"].resume()
        wait_for("it to notice", lambda: not status(lab, victim)["leader"])
    else:
        restart(lab, victim)
    settled(lab)
    assert assigned() == before
    assert len(set(before.values())) == n


# ---- what breaks ----


@pytest.mark.parametrize(
    "rule",
    [
        {"code": 409, "next": 2},
        {"code": 429, "retry_after": 1, "next": 2},
        {"code": 500, "next": 3},
        {"drop": True, "next": 2},
        {"delay_ms": 900, "next": 2},
    ],
    ids=["conflict", "throttled", "error", "dropped", "slow"],
)
@pytest.mark.embedded
def test_patches_that_fail_are_made_good(lab: Lab, rule: dict[str, Any]) -> None:
    lab.set_faults(rules=[{"verb": "patch", "path": "/services/", "agent": "controller", **rule}])
    for i in range(3):
        create(lab, f"s{i}")
    for i in range(3):
        wait_external(lab, f"s{i}", f"203.0.113.{i + 1}")
        wait_for("the condition", lambda i=i: condition(lab, f"s{i}").get("status") == "True")


@pytest.mark.embedded
def test_changed_while_its_patch_is_in_flight(lab: Lab) -> None:
    lab.set_faults(rules=[{"verb": "patch", "path": "/services/web", "agent": "controller", "delay_ms": 300}])
    create(lab, "web")
    wait_for("the patch", lambda: leader_status(lab)["stats"]["in_flight"])
    annotate(lab, "web", pool="both")
    wait_external(lab, "web", "10.61.0.1")
    settled(lab)
    used = {p["name"]: p["used"] for p in leader_status(lab)["pools"]}
    assert used == {"edge": 0, "lan": 0, "both": 1}, "the address that was set aside first is free again"


@pytest.mark.embedded
def test_an_admission_plugin_that_denies(lab: Lab) -> None:
    lab.set_faults(deny_external_ips=True)
    offset = lab.write_log.stat().st_size
    create(lab, "web", type="LoadBalancer")
    said = wait_condition(lab, "web", "ExternalIpsRefused")
    assert said["status"] == "False"
    assert "Use of external IPs is denied by admission control" in said["message"]
    wait_addresses(lab, "web", "192.168.1.240")
    wait_for("the Event", lambda: sorted(events(lab, "web")) == ["Assigned", "ExternalIpsRefused"])
    settled(lab, 1.5)
    assert patches(lab, "web", offset).count("") == 1, "it is not asked again and again"
    lab.api.patch("Service", "web", {"status": {"conditions": [{**said, "type": "other"}]}}, subresource="status")
    settled(lab)
    assert patches(lab, "web", offset).count("") == 1, "a status of others is no reason to ask again"
    create(lab, "next")
    wait_condition(lab, "next", "ExternalIpsRefused")
    used = {p["name"]: p["used"] for p in leader_status(lab)["pools"]}
    assert used["edge"] == 0, "what nobody got is free"
    # A change of the Service is tried at once.
    lab.set_faults()
    lab.api.patch("Service", "web", {"metadata": {"labels": {"any": "thing"}}})
    wait_external(lab, "web", "203.0.113.1")
    assert wait_condition(lab, "web", "Assigned")["status"] == "True"
    # So is everything by a leader that is new.
    stop_controllers(lab)
    start_controllers(lab)
    wait_external(lab, "next", "203.0.113.2")


@pytest.mark.embedded
def test_denied_what_somebody_took_out(lab: Lab) -> None:
    create(lab, "web")
    wait_external(lab, "web", "203.0.113.1")
    settled(lab)
    lab.set_faults(deny_external_ips=True)
    offset = lab.write_log.stat().st_size
    lab.api.patch("Service", "web", {"spec": {"externalIPs": None}})
    wait_condition(lab, "web", "ExternalIpsRefused")
    settled(lab, 1.5)
    assert patches(lab, "web", offset).count("") == 1
    create(lab, "next")
    assert external(lab, "web") == ([], "203.0.113.1")


@pytest.mark.kubernetes
def test_a_validating_admission_policy(lab: Lab) -> None:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["services"]}]
    validation = {"expression": "!has(object.spec.externalIPs)", "message": "no external IPs here"}
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": [validation]}
    objects = {
        "validatingadmissionpolicies": spec,
        "validatingadmissionpolicybindings": {"policyName": "no-external-ips", "validationActions": ["Deny"]},
    }
    group = "/apis/admissionregistration.k8s.io/v1"
    for resource, body in objects.items():
        lab.api.call("POST", f"{group}/{resource}", {"metadata": {"name": "no-external-ips"}, "spec": body})

    def denied() -> bool:
        meta, ports = {"name": "probe"}, [{"port": 80}]
        try:
            body = {"metadata": meta, "spec": {"ports": ports, "externalIPs": ["198.51.100.1"]}}
            lab.api.call("POST", "/api/v1/namespaces/default/services?dryRun=All", body)
        except ApiError:
            return True
        return False

    try:
        wait_for("the policy to be in force", denied, 20, 0.2)
        create(lab, "web")
        assert "no external IPs here" in wait_condition(lab, "web", "ExternalIpsRefused")["message"]
    finally:
        for resource in objects:
            lab.api.call("DELETE", f"{group}/{resource}/no-external-ips")
    wait_for("the policy to be gone", lambda: not denied(), 20, 0.2)
    lab.api.patch("Service", "web", {"metadata": {"labels": {"any": "thing"}}})
    wait_external(lab, "web", "203.0.113.1")


@pytest.mark.embedded
def test_a_denied_release_is_said(lab: Lab) -> None:
    create(lab, "web")
    wait_condition(lab, "web", "Assigned")
    settled(lab)
    rule = {"verb": "patch", "path": "/services/web", "agent": "controller", "next": 1, "code": 422}
    lab.set_faults(rules=[rule])
    annotate(lab, "web", pool=None)
    wait_condition(lab, "web", "ExternalIpsRefused")
    create(lab, "next")
    wait_external(lab, "next", "203.0.113.2")
    assert external(lab, "web") == (["203.0.113.1"], "203.0.113.1")


def test_switched_off(lab: Lab) -> None:
    create(lab, "had")
    wait_external(lab, "had", "203.0.113.1")
    settled(lab)
    stop_controllers(lab)
    offset = lab.write_log.stat().st_size
    start_controllers(lab, "--external-ips", "off")
    create(lab, "web", type="LoadBalancer")
    assert "--external-ips off" in wait_condition(lab, "web", "ExternalIpsOff")["message"]
    wait_addresses(lab, "web", "192.168.1.240")
    assert "spec.externalIPs keeps 203.0.113.1" in wait_condition(lab, "had", "ExternalIpsOff")["message"]
    annotate(lab, "had", pool=None)
    settled(lab)
    assert external(lab, "had") == (["203.0.113.1"], "203.0.113.1")
    assert {sub for name in ("had", "web") for sub in patches(lab, name, offset)} == {"status"}
    stop_controllers(lab)
    start_controllers(lab)
    wait_external(lab, "web", "203.0.113.2")
    wait_external(lab, "had")
