# SPDX-License-Identifier: Apache-2.0
"""The controller against an API server: what it assigns, what it says, and what breaks around it.

Judged from the objects, from the API server's log of writes, and from the controller's own counters.
"""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import condition, wait_condition
from controllers import (
    LEASE,
    SYSTEM,
    active,
    any_leader,
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

from lab.api import Object
from lab.cluster import Lab
from lab.waiting import wait_for

POOLS = """\
address-pools:
- name: lan
  protocol: layer2
  addresses: [192.168.1.240-192.168.1.250, "fd00:60::10-fd00:60::1f"]
- name: tiny
  protocol: layer2
  auto-assign: false
  addresses: [10.60.0.1-10.60.0.2]
"""
DUAL = """\
address-pools:
- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250, "fd00:60::10/128"]}
"""
WIDE = "address-pools:\n- {name: wide, protocol: layer2, addresses: [10.50.0.0/16]}\n"


# ---- the world ----

whole_lab, lab = lab_fixtures(POOLS)


def status_patches(lab: Lab, offset: int = 0) -> list[dict[str, Any]]:
    """The controllers' patches of Services."""
    ours = [w for w in lab.writes(offset) if w["agent"].startswith("fairlead-controller")]
    return [w for w in ours if w["verb"] == "patch" and "/services/" in w["path"]]


def service(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"type": "LoadBalancer", "ports": ports, **spec},
    }


def create(lab: Lab, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    return lab.api.create(service(name, annotations, **spec))


def annotate(lab: Lab, name: str, **annotations: str | None) -> None:
    values = {f"fairlead.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    lab.api.patch("Service", name, {"metadata": {"annotations": values}})


# ---- assigning ----


def test_a_service_gets_the_lowest_address_with_one_patch(lab: Lab) -> None:
    offset = lab.write_log.stat().st_size
    create(lab, "web")
    assert lab.wait_address("web") == "192.168.1.240"
    found = lab.api.get("Service", "web")
    assert found["status"]["loadBalancer"]["ingress"] == [{"ip": "192.168.1.240", "ipMode": "VIP"}]
    said = condition(lab, "web")
    assert (said["status"], said["reason"]) == ("True", "Assigned")
    assert said["message"] == "assigned 192.168.1.240 from pool lan"
    assert "finalizers" not in found["metadata"]
    wait_for("the Event", lambda: events(lab, "web") == ["Assigned"])
    settled(lab)
    assert len(status_patches(lab, offset)) == 1


@pytest.mark.parametrize(
    "spec, addresses",
    [
        ({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}, ["fd00:60::10"]),
        ({"ipFamilyPolicy": "RequireDualStack"}, ["192.168.1.240", "fd00:60::10"]),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["192.168.1.240", "fd00:60::10"]),
        ({"loadBalancerIP": "192.168.1.245"}, ["192.168.1.245"]),
        ({"allocateLoadBalancerNodePorts": False}, ["192.168.1.240"]),
    ],
    ids=["ipv6", "both", "both-preferred", "address", "no-node-ports"],
)
def test_what_a_spec_asks_for(lab: Lab, spec: dict[str, Any], addresses: list[str]) -> None:
    create(lab, "web", **spec)
    wait_addresses(lab, "web", *addresses)


@pytest.mark.parametrize(
    "annotations, addresses",
    [
        ({"fairlead.io/address-pool": "tiny"}, ["10.60.0.1"]),
        ({"metallb.universe.tf/address-pool": "tiny"}, ["10.60.0.1"]),
        ({"fairlead.io/addresses": "192.168.1.250"}, ["192.168.1.250"]),
        ({"metallb.io/loadBalancerIPs": "10.60.0.2"}, ["10.60.0.2"]),
    ],
    ids=["pool", "pool-of-old", "address", "address-of-old"],
)
def test_what_annotations_ask_for(lab: Lab, annotations: dict[str, str], addresses: list[str]) -> None:
    create(lab, "web", annotations)
    wait_addresses(lab, "web", *addresses)


@pytest.mark.parametrize(
    "annotations, reason, words",
    [
        ({"fairlead.io/addresses": "8.8.8.8"}, "AddressOutsidePools", "8.8.8.8 was asked for, but is in no pool"),
        ({"fairlead.io/addresses": "192.168.1.240"}, "AddressTaken", "belongs to default/first"),
        ({"fairlead.io/addresses": "fd00:60::11"}, "FamilyMismatch", "no IPv6 cluster IP"),
        ({"fairlead.io/addresses": "192.168.1.241,192.168.1.242"}, "TooManyAddresses", "gives a Service one"),
        ({"fairlead.io/addresses": "here"}, "InvalidRequest", '"here" is no IP address'),
        ({"fairlead.io/addresses": "h" + 30 * "é"}, "InvalidRequest", "?…\" is no IP address"),
        ({"fairlead.io/address-pool": "nowhere"}, "NoSuchPool", "pool nowhere"),
        (
            {"fairlead.io/address-pool": "tiny", "fairlead.io/addresses": "192.168.1.241"},
            "AddressNotInNamedPool",
            "is in pool lan",
        ),
    ],
    ids=["outside", "taken", "family", "two", "garbage", "cut-garbage", "no-pool", "other-pool"],
)
def test_what_cannot_be_had_is_said(lab: Lab, annotations: dict[str, str], reason: str, words: str) -> None:
    create(lab, "first")
    wait_addresses(lab, "first", "192.168.1.240")
    create(lab, "web", annotations)
    said = wait_condition(lab, "web", reason)
    assert said["status"] == "False"
    assert words in said["message"]
    assert lab.addresses("web") == []
    wait_for("the Event", lambda: events(lab, "web") == [reason])
    told = in_status(lab, "web")
    assert (told["reason"], told["message"]) == (reason, said["message"])
    # The way out of it.
    annotate(lab, "web", addresses=None, address_pool=None)
    wait_addresses(lab, "web", "192.168.1.241")
    assert wait_condition(lab, "web", "Assigned")["status"] == "True"


def test_exhausted_pool_and_whose_turn_it_is(lab: Lab) -> None:
    for i in range(4):
        create(lab, f"s{i}", {"fairlead.io/address-pool": "tiny"})
        time.sleep(0.02)
    for i in (2, 3):
        assert "tiny has all its 2 IPv4 addresses in use" in wait_condition(lab, f"s{i}", "PoolExhausted")["message"]
    lab.api.delete("Service", "s0")
    wait_addresses(lab, "s2", "10.60.0.1")
    assert lab.addresses("s3") == []
    assert lab.addresses("s1") == ["10.60.0.2"]


def test_a_taken_address_is_had_when_it_gets_free(lab: Lab) -> None:
    create(lab, "first")
    wait_addresses(lab, "first", "192.168.1.240")
    create(lab, "web", {"fairlead.io/addresses": "192.168.1.240"})
    wait_condition(lab, "web", "AddressTaken")
    lab.api.patch("Service", "first", {"spec": {"type": "ClusterIP"}})
    wait_addresses(lab, "web", "192.168.1.240")
    assert lab.addresses("first") == []
    assert wait_condition(lab, "first", "NoAddressWanted")["status"] == "False"


def test_a_freed_address_wakes_only_those_that_wait_for_its_pool(lab: Lab) -> None:
    for i in range(2):
        create(lab, f"t{i}", {"fairlead.io/address-pool": "tiny"})
        wait_addresses(lab, f"t{i}", f"10.60.0.{i + 1}")
    for i in range(60):
        create(lab, f"w{i:02}", {"fairlead.io/address-pool": "tiny"})
    create(lab, "asks", {"fairlead.io/addresses": "10.60.0.2"})
    wait_condition(lab, "asks", "AddressTaken")
    wait_condition(lab, "w59", "PoolExhausted")
    settled(lab)
    before = leader_status(lab)["stats"]["decisions"]
    for i in range(5):
        create(lab, f"lan{i}")
        wait_addresses(lab, f"lan{i}", "192.168.1.240")
        lab.api.delete("Service", f"lan{i}")
    settled(lab)
    decisions = leader_status(lab)["stats"]["decisions"] - before
    assert decisions <= 20, f"{decisions} decisions"
    lab.api.delete("Service", "t0")
    wait_addresses(lab, "w00", "10.60.0.1")
    lab.api.delete("Service", "t1")  # which of two is the older one, a timestamp of seconds may not tell
    wait_for("the next one to have it", lambda: lab.addresses("asks") + lab.addresses("w01") == ["10.60.0.2"])


def test_an_annotation_without_effect_is_told_once(lab: Lab) -> None:
    create(lab, "web", {"fairlead.io/terminating": "yes"})
    create(lab, "good", {"fairlead.io/terminating": "hold"})
    wait_for("the Event", lambda: "AnnotationIgnored" in events(lab, "web"))
    lab.api.patch("Service", "web", {"metadata": {"labels": {"changed": "yes"}}})
    settled(lab)
    assert events(lab, "web").count("AnnotationIgnored") == 1
    assert "AnnotationIgnored" not in events(lab, "good")


def test_a_tenant_learns_no_name_of_another_namespace(lab: Lab) -> None:
    create(lab, "first")
    wait_addresses(lab, "first", "192.168.1.240")
    other = service("curious", {"fairlead.io/addresses": "192.168.1.240"})
    other["metadata"]["namespace"] = "other"
    lab.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    lab.api.create(other)
    create(lab, "same", {"fairlead.io/addresses": "192.168.1.240"})
    assert "default/first" in wait_condition(lab, "same", "AddressTaken")["message"]
    wait_for("the Event", lambda: "AddressTaken" in events(lab, "curious", "other"))
    told = [e["note"] for e in lab.api.objects("Event", "other")]
    told += [c["message"] for c in lab.api.get("Service", "curious", "other")["status"]["conditions"]]
    assert any("a Service of another namespace" in words for words in told)
    assert not any("first" in words for words in told), told
    lab.api.delete("Service", "curious", "other")


def test_a_failed_request_costs_nothing_and_a_good_one_moves(lab: Lab) -> None:
    create(lab, "web")
    wait_addresses(lab, "web", "192.168.1.240")
    annotate(lab, "web", addresses="8.8.8.8")
    assert "the status keeps 192.168.1.240" in wait_condition(lab, "web", "AddressOutsidePools")["message"]
    assert lab.addresses("web") == ["192.168.1.240"]
    annotate(lab, "web", addresses="192.168.1.249")
    wait_addresses(lab, "web", "192.168.1.249")
    annotate(lab, "web", addresses=None)
    settled(lab)
    assert lab.addresses("web") == ["192.168.1.249"], "a withdrawn request changes nothing"
    create(lab, "next")
    wait_addresses(lab, "next", "192.168.1.240")


def test_other_classes_are_never_touched(lab: Lab) -> None:
    offset = lab.write_log.stat().st_size
    create(lab, "theirs", loadBalancerClass="example.com/other")
    ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.168.1.240"}]}}}
    lab.api.patch("Service", "theirs", ingress, subresource="status")
    create(lab, "ours")
    wait_addresses(lab, "ours", "192.168.1.241")  # what they hold is taken all the same
    assert [w["name"] for w in status_patches(lab, offset)] == ["ours"]

    stop_controllers(lab)
    start_controllers(lab, "--load-balancer-class", "example.com/mine")
    offset = lab.write_log.stat().st_size
    create(lab, "mine", loadBalancerClass="example.com/mine")
    create(lab, "nobodys")
    wait_addresses(lab, "mine", "192.168.1.242")
    settled(lab)
    assert [w["name"] for w in status_patches(lab, offset)] == ["mine"]
    stop_controllers(lab)
    start_controllers(lab)
    wait_addresses(lab, "nobodys", "192.168.1.243")


# ---- what is there already ----


def test_adoption_before_anything_that_waits(lab: Lab) -> None:
    stop_controllers(lab)
    create(lab, "waiting")
    statuses = {
        "holder": [{"ip": "192.168.1.240"}],
        "foreign": [{"ip": "203.0.113.9"}],
        "cloud": [{"hostname": "lb.example.com"}],
        "second-holder": [{"ip": "192.168.1.240"}],
    }
    for name, ingress in statuses.items():
        create(lab, name)
        lab.api.patch("Service", name, {"status": {"loadBalancer": {"ingress": ingress}}}, subresource="status")
        time.sleep(0.01)
    before = {name: lab.api.get("Service", name) for name in statuses}
    offset = lab.write_log.stat().st_size
    start_controllers(lab)
    wait_addresses(lab, "waiting", "192.168.1.241")
    assert wait_condition(lab, "holder", "Kept")["status"] == "True"
    settled(lab)
    assert lab.addresses("holder") == ["192.168.1.240"]
    assert sorted(w["name"] for w in status_patches(lab, offset)) == ["holder", "waiting"]
    for name in ("foreign", "cloud", "second-holder"):
        assert lab.api.get("Service", name) == before[name], f"{name} is not ours to touch"
    reasons = {s["name"]: s["reason"] for s in leader_status(lab)["services"]}
    assert reasons["foreign"] == reasons["cloud"] == "ForeignAddress"
    assert {reasons["holder"], reasons["second-holder"]} == {"Kept", "AddressShared"}
    # It has it when the first one is gone.
    lab.api.delete("Service", "holder")
    wait_condition(lab, "second-holder", "Kept")


@pytest.mark.embedded
def test_an_unchanged_world_causes_no_write(lab: Lab) -> None:
    for i in range(5):
        create(lab, f"s{i}")
    create(lab, "bad", {"fairlead.io/addresses": "8.8.8.8"})
    wait_condition(lab, "bad", "AddressOutsidePools")
    settled(lab)
    offset = lab.write_log.stat().st_size
    lab.api.call("POST", "/sim/reset-history")
    stop_controllers(lab)
    start_controllers(lab)
    lab.set_faults(cut=True)
    wait_for("books", lambda: sum(p["used"] for p in leader_status(lab)["pools"]) == 5)
    settled(lab, 1.0)
    assert [w for w in lab.writes(offset) if w["agent"].startswith("fairlead") and "/leases/" not in w["path"]] == []


def stats_after(lab: Lab, replica: str, decisions: int) -> dict[str, int]:
    """Once more than these were made, which the page of a large cluster shows some seconds later."""
    settled(lab)

    def seen() -> dict[str, int]:
        stats: dict[str, int] = status(lab, replica)["stats"]
        return stats if stats["decisions"] > decisions else {}

    return wait_for("a newer page", seen, 20, 0.2)


@pytest.mark.embedded
def test_one_change_among_many_is_one_decision(lab: Lab) -> None:
    n = 10000
    configure(lab, WIDE)
    wait_active(lab, WIDE)
    for i in range(n):
        create(lab, f"s{i}", allocateLoadBalancerNodePorts=False)
    wait_for("all to have addresses", lambda: leader_status(lab)["pools"][0]["used"] == n, 30, 0.2)
    settled(lab)
    replica = wait_leader(lab)
    settled(lab)
    time.sleep(11)  # a page serves for ten seconds at most
    before = status(lab, replica)["stats"]
    annotate(lab, "s7", addresses="10.50.200.9")
    wait_addresses(lab, "s7", "10.50.200.9")
    after = stats_after(lab, replica, before["decisions"])
    assert after["decisions"] - before["decisions"] == 1
    assert after["patches"] - before["patches"] == 1
    lab.api.patch("Service", "s8", {"metadata": {"labels": {"any": "thing"}}})
    last = stats_after(lab, replica, after["decisions"])
    assert last["decisions"] - after["decisions"] == 1
    assert last["patches"] == after["patches"]


# ---- the configuration ----


@pytest.mark.parametrize(
    "text, line, path, words",
    [
        ("address-pools: [", 1, "", "not YAML"),
        (POOLS + "frobnicate: 1\n", 9, "frobnicate", 'unknown key "frobnicate"'),
        (POOLS.replace("addresses: [10", "adresses: [10"), 8, "address-pools[1].adresses", 'write "addresses"'),
        (POOLS.replace("10.60.0.1-10.60.0.2", "192.168.1.250/32"), 8, "address-pools[1].addresses[0]", "overlaps"),
        (POOLS.replace("10.60.0.1-10.60.0.2", "10.60.0.1"), 8, "address-pools[1].addresses[0]", "write 10.60.0.1/32"),
        (
            POOLS.replace("10.60.0.1-10.60.0.2", "10.60.0.2-10.60.0.1"),
            8,
            "address-pools[1].addresses[0]",
            "ends before it starts; write 10.60.0.1-10.60.0.2",
        ),
    ],
    ids=["not-yaml", "unknown-key", "misspelt-key", "overlap", "bare-address", "backwards"],
)
def test_a_bad_edit_leaves_the_last_good_one_in_force(lab: Lab, text: str, line: int, path: str, words: str) -> None:
    generation, before = active(lab)
    configure(lab, text)
    replica = wait_leader(lab)
    errors = wait_for("errors", lambda: status(lab, replica)["config"]["errors"])
    assert any(e["line"] == line and e["path"] == path and words in e["message"] for e in errors), errors
    said = status(lab, replica)["config"]
    assert (said["accepted"], said["generation"]) == (False, generation)
    wait_for("the Event", lambda: "ConfigurationRejected" in events(lab, "fairlead", SYSTEM))
    create(lab, "web")
    wait_addresses(lab, "web", "192.168.1.240")
    assert active(lab) == (generation, before)
    metrics = lab.daemon(f"controller-{replica}", "/metrics")
    assert f"fairlead_config_errors {len(errors)}\n" in metrics
    # A restart does not make it worse.
    stop_controllers(lab)
    start_controllers(lab)
    create(lab, "after")
    wait_addresses(lab, "after", "192.168.1.241")
    configure(lab, POOLS)
    wait_for("no errors", lambda: leader_status(lab)["config"]["accepted"])
    assert active(lab) == (generation, POOLS), "nothing that was in force has changed"


def test_a_missing_configmap_changes_nothing(lab: Lab) -> None:
    create(lab, "web")
    wait_addresses(lab, "web", "192.168.1.240")
    lab.api.delete("ConfigMap", "fairlead", SYSTEM)
    replica = wait_leader(lab)
    errors = wait_for("errors", lambda: status(lab, replica)["config"]["errors"])
    assert "ConfigMap fairlead-system/fairlead does not exist" in errors[0]["message"]
    stop_controllers(lab)
    start_controllers(lab)
    create(lab, "after")
    wait_addresses(lab, "after", "192.168.1.241")
    assert lab.addresses("web") == ["192.168.1.240"]
    # Not even the published one is safe from hands, but it comes back.
    generation = active(lab)[0]
    lab.api.delete("ConfigMap", "fairlead-active", SYSTEM)
    assert wait_active(lab, POOLS) > generation
    lab.api.patch("ConfigMap", "fairlead-active", {"data": {"config": "address-pools: []\n"}}, SYSTEM)
    wait_active(lab, POOLS)
    assert lab.addresses("web") == ["192.168.1.240"]


def test_no_configuration_at_all(lab: Lab) -> None:
    stop_controllers(lab)
    lab.api.delete("ConfigMap", "fairlead", SYSTEM)
    lab.api.delete("ConfigMap", "fairlead-active", SYSTEM)
    offset = lab.write_log.stat().st_size
    start_controllers(lab)
    create(lab, "web")
    said = wait_for("a reason", lambda: leader_status(lab)["services"])
    assert said[0]["reason"] == "NoConfiguration"
    settled(lab)
    assert status_patches(lab, offset) == []
    configure(lab, "")
    wait_condition(lab, "web", "NoPools")
    configure(lab, POOLS)
    wait_addresses(lab, "web", "192.168.1.240")


def test_a_configuration_that_changes_moves_nobody_by_itself(lab: Lab) -> None:
    create(lab, "low")
    create(lab, "high", {"fairlead.io/addresses": "192.168.1.250"})
    wait_addresses(lab, "high", "192.168.1.250")
    wait_addresses(lab, "low", "192.168.1.240")
    smaller = "address-pools:\n- {name: renamed, protocol: layer2, addresses: [192.168.1.245-192.168.1.250]}\n"
    configure(lab, smaller)
    wait_active(lab, smaller)
    said = wait_condition(lab, "low", "Retained")
    assert "192.168.1.240 is in no pool" in said["message"]
    assert "Retained" in wait_for("the Event", lambda: "Retained" in events(lab, "low") and events(lab, "low"))
    create(lab, "new")
    wait_addresses(lab, "new", "192.168.1.245")
    assert (lab.addresses("low"), lab.addresses("high")) == (["192.168.1.240"], ["192.168.1.250"])
    configure(lab, POOLS)
    wait_active(lab, POOLS)
    wait_condition(lab, "low", "Kept")
    assert lab.addresses("low") == ["192.168.1.240"]


def test_the_second_family_comes_when_it_gets_free(lab: Lab) -> None:
    configure(lab, DUAL)
    wait_active(lab, DUAL)
    create(lab, "six", ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"])
    wait_addresses(lab, "six", "fd00:60::10")
    create(lab, "web", ipFamilyPolicy="PreferDualStack")
    wait_addresses(lab, "web", "192.168.1.240")
    assert "has all its 1 IPv6 addresses in use" in condition(lab, "web")["message"]
    settled(lab)
    lab.api.delete("Service", "six")
    wait_addresses(lab, "web", "192.168.1.240", "fd00:60::10")


def test_what_two_have_is_not_free_when_one_leaves(lab: Lab) -> None:
    create(lab, "first", {"fairlead.io/addresses": "192.168.1.245"})
    wait_addresses(lab, "first", "192.168.1.245")
    create(lab, "second", loadBalancerClass="example.com/other")
    status = {"loadBalancer": {"ingress": [{"ip": "192.168.1.245"}]}}
    lab.api.patch("Service", "second", {"status": status}, subresource="status")
    create(lab, "third", {"fairlead.io/addresses": "192.168.1.245"})
    assert "belongs to default/first" in wait_condition(lab, "third", "AddressTaken")["message"]
    settled(lab)
    lab.api.delete("Service", "first")

    def said() -> bool:
        return "belongs to default/second" in condition(lab, "third")["message"]

    wait_for("the other one to have it", said)
    assert lab.addresses("third") == []


def test_a_pool_that_is_divided_takes_nothing(lab: Lab) -> None:
    create(lab, "web", ipFamilyPolicy="PreferDualStack")
    wait_addresses(lab, "web", "192.168.1.240", "fd00:60::10")  # of two of one second the lesser name comes first
    create(lab, "asks", {"fairlead.io/address-pool": "lan"}, ipFamilyPolicy="PreferDualStack")
    wait_addresses(lab, "asks", "192.168.1.241", "fd00:60::11")
    settled(lab)
    offset = lab.write_log.stat().st_size
    divided = POOLS.replace(', "fd00:60::10-fd00:60::1f"]', "]")
    divided += '- {name: six, protocol: layer2, addresses: ["fd00:60::10-fd00:60::1f"]}\n'
    configure(lab, divided)
    wait_active(lab, divided)
    settled(lab)
    assert status_patches(lab, offset) == []
    assert lab.addresses("web") == ["192.168.1.240", "fd00:60::10"]
    assert lab.addresses("asks") == ["192.168.1.241", "fd00:60::11"]


def test_what_looks_like_a_mistake_is_said(lab: Lab) -> None:
    text = POOLS + "peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1, hold-time: 0.5s}\n"
    configure(lab, text)
    wait_active(lab, text)
    warnings = wait_for("the warning", lambda: leader_status(lab)["config"]["warnings"])
    assert [w["path"] for w in warnings] == ["peers[0].hold-time"]


# ---- what breaks ----


@pytest.mark.embedded
@pytest.mark.parametrize(
    "rule",
    [
        {"code": 409, "next": 2},
        {"code": 429, "retry_after": 1, "next": 2},
        {"code": 500, "next": 3},
        {"code": 503, "next": 1},
        {"drop": True, "next": 2},
        {"delay_ms": 900, "next": 2},
        {"lose": True, "next": 2},
    ],
    ids=["conflict", "throttled", "error", "unavailable", "dropped", "slow", "answer-lost"],
)
def test_patches_that_fail_are_made_good(lab: Lab, rule: dict[str, Any]) -> None:
    lab.set_faults(rules=[{"verb": "patch", "path": "/services/", "agent": "controller", **rule}])
    for i in range(3):
        create(lab, f"s{i}")
    for i in range(3):
        wait_for(f"s{i} to have its address", lambda i=i: lab.addresses(f"s{i}") == [f"192.168.1.{240 + i}"])
    lab.set_faults()
    settled(lab)
    for i in range(3):
        assert condition(lab, f"s{i}")["status"] == "True"
        wait_for(f"the Event about s{i}", lambda i=i: events(lab, f"s{i}") == ["Assigned"])


@pytest.mark.embedded
def test_a_refusal_is_said_and_not_repeated_at_once(lab: Lab) -> None:
    lab.set_faults(rules=[{"verb": "patch", "path": "/services/web/status", "agent": "controller", "code": 403}])
    offset = lab.write_log.stat().st_size
    create(lab, "web")
    wait_for("the Event", lambda: events(lab, "web") == ["StatusRefused"])
    create(lab, "next")
    wait_addresses(lab, "next", "192.168.1.240")
    time.sleep(1)
    replica = wait_leader(lab)
    assert status(lab, replica)["stats"]["refused"] == 1
    assert [w["name"] for w in status_patches(lab, offset) if w["code"] < 300] == ["next"]
    lab.set_faults()
    annotate(lab, "web", addresses="192.168.1.250")  # a change is tried at once
    wait_addresses(lab, "web", "192.168.1.250")


def test_a_contested_status_is_not_fought_over_at_full_speed(lab: Lab) -> None:
    create(lab, "web")
    started = time.monotonic()
    for _ in range(12):
        lab.wait_address("web")
        lab.api.patch("Service", "web", {"status": {"loadBalancer": {"ingress": None}}}, subresource="status")
    assert time.monotonic() - started > 4, "it rests after ten rounds"
    wait_for("the Event", lambda: "StatusContested" in events(lab, "web"))
    wait_addresses(lab, "web", "192.168.1.240")


@pytest.fixture
def second_fairlead(lab: Lab) -> Iterator[str]:
    """Replica "b" can be started as another Fairlead, in the namespace that this yields, with other pools."""
    namespace = "second-fairlead"
    stop_controllers(lab)  # what they told in other tests they do not tell again so soon
    lab.start_controller("a", *LEASE)
    lab.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    pools = "address-pools: [{name: else, protocol: layer2, addresses: [10.61.0.0/24]}]"
    meta = {"name": "fairlead", "namespace": namespace}
    lab.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config": pools}})
    yield namespace
    stop_controllers(lab)
    start_controllers(lab)


def test_a_second_fairlead_makes_one_event_for_all_services(lab: Lab, second_fairlead: str) -> None:
    """Each sees a status that is the other's, and both write the condition."""
    n = 11
    for i in range(n):
        create(lab, f"s{i}")
    for i in range(n):
        lab.wait_address(f"s{i}")
    lab.start_controller("b", *LEASE, "--namespace", second_fairlead)

    def told(namespace: str) -> list[Object]:
        return [e for e in lab.api.objects("Event", namespace) if e["reason"] == "StatusContested"]

    for namespace in (SYSTEM, second_fairlead):
        wait_for("the Event", lambda ns=namespace: told(ns), 40)
        (event,) = told(namespace)
        assert event["regarding"]["kind"] == "ConfigMap"
        assert f"the statuses of {n} Services" in event["note"]
    assert len(told("default")) <= 2, "each Fairlead has one"
    of_services = Counter((e["regarding"]["name"], e["reason"]) for e in lab.api.objects("Event", "default"))
    assert max(of_services.values()) <= 2, of_services


@pytest.mark.embedded
def test_deleted_while_its_patch_is_in_flight(lab: Lab) -> None:
    rule = {"verb": "patch", "path": "/services/doomed/status", "agent": "controller", "delay_ms": 300}
    lab.set_faults(rules=[rule])
    create(lab, "doomed")
    wait_for("the patch", lambda: leader_status(lab)["stats"]["in_flight"])
    lab.api.delete("Service", "doomed")
    create(lab, "next")
    wait_addresses(lab, "next", "192.168.1.240")
    time.sleep(0.4)
    create(lab, "doomed", {"fairlead.io/addresses": "192.168.1.241"})  # of the same name, but not the same
    wait_addresses(lab, "doomed", "192.168.1.241")


@pytest.mark.embedded
def test_changed_while_its_patch_is_in_flight(lab: Lab) -> None:
    lab.set_faults(rules=[{"verb": "patch", "path": "/services/web/status", "agent": "controller", "delay_ms": 300}])
    create(lab, "web")
    wait_for("the patch", lambda: leader_status(lab)["stats"]["in_flight"])
    annotate(lab, "web", addresses="192.168.1.250")
    wait_addresses(lab, "web", "192.168.1.250")
    settled(lab)
    used = [p["used"] for p in leader_status(lab)["pools"] if p["name"] == "lan"]
    assert used == [1], "the address that was set aside first is free again"


@pytest.mark.embedded
def test_watches_cut_every_second(lab: Lab) -> None:
    lab.set_faults(cut_every_ms=1000)
    for i in range(8):
        create(lab, f"s{i}")
        time.sleep(0.4)
    for i in range(8):
        wait_addresses(lab, f"s{i}", f"192.168.1.{240 + i}")


@pytest.mark.embedded
def test_history_that_starts_anew(lab: Lab) -> None:
    create(lab, "before")
    wait_addresses(lab, "before", "192.168.1.240")
    lab.api.call("POST", "/sim/reset-history")
    create(lab, "after")
    wait_addresses(lab, "after", "192.168.1.241")
    assert lab.addresses("before") == ["192.168.1.240"]


def test_api_server_away_and_back(lab: Lab) -> None:
    create(lab, "before")
    wait_addresses(lab, "before", "192.168.1.240")
    lab.stop_api()
    time.sleep(4.5)  # the lease runs out, and nobody writes
    assert not any_leader(lab)
    lab.start_api()
    create(lab, "after")
    wait_addresses(lab, "after", "192.168.1.241")
    assert lab.addresses("before") == ["192.168.1.240"]


@pytest.mark.embedded
def test_a_silent_watch_does_not_stop_a_new_leader(lab: Lab) -> None:
    lab.set_faults(silent="services", cut="services")
    time.sleep(0.3)
    create(lab, "web")
    replica = wait_leader(lab)
    lab.processes[f"controller-{replica}"].kill()
    lab.wait_address("web")  # it looks for itself before it leads
    restart(lab, replica)


def test_sigterm_hands_over(lab: Lab) -> None:
    old = wait_leader(lab)
    assert lab.processes[f"controller-{old}"].stop() == 0
    assert holder(lab) != f"controller-{old}"
    started = time.monotonic()
    wait_for("the standby to lead", lambda: any_leader(lab), 5)
    assert time.monotonic() - started < 3, "no waiting for a lease that was handed over"
    restart(lab, old)
    create(lab, "web")
    lab.wait_address("web")


@pytest.mark.embedded
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_struck_with_many_in_the_queue(lab: Lab, number: int) -> None:
    n = 200
    configure(lab, WIDE)
    wait_active(lab, WIDE)
    lab.set_faults(rules=[{"verb": "patch", "path": "/services/", "agent": "controller", "delay_ms": 200}])
    for i in range(n):
        create(lab, f"s{i}")
    victim = wait_leader(lab)
    offset = lab.write_log.stat().st_size
    lab.processes[f"controller-{victim}"].signal(number)
    wait_for("the standby to have the Lease", lambda: holder(lab) not in ("", f"controller-{victim}"), 20)

    def assigned() -> dict[str, list[str]]:
        found = {s["metadata"]["uid"]: s["status"].get("loadBalancer", {}) for s in lab.api.objects("Service")}
        return {uid: [i["ip"] for i in lb["ingress"]] for uid, lb in found.items() if lb.get("ingress")}

    wait_for("everybody to have an address", lambda: len(assigned()) == n, 30, 0.2)
    before = assigned()
    if number == signal.SIGSTOP:
        lab.processes[f"controller-{victim}"].resume()
        wait_for("it to notice", lambda: not status(lab, victim)["leader"])
    else:
        restart(lab, victim)
    settled(lab)
    assert assigned() == before
    refused = [w for w in status_patches(lab, offset) if w["code"] not in (200, 409)]
    assert refused == []


# ---- the program ----


def run(lab: Lab, *flags: str) -> tuple[int, str]:
    process = lab.start("once", [lab.program("fairlead-controller"), *flags])
    code = process.wait()
    text = process.log.read_text(encoding="utf-8")
    process.log.unlink()
    return code, text


@pytest.mark.embedded
@pytest.mark.parametrize(
    "flags, code, words",
    [
        (["--help"], 0, "--lease-duration"),
        (["--version"], 0, "fairlead-controller"),
        (["--lease-duration", "10"], 2, "must be longer than --renew-deadline"),
        (["--retry-period", "9"], 2, "must be longer than 1.2 times --retry-period"),
        (["--config-map", "fairlead-active"], 2, "what the leader publishes"),
        (["--frobnicate"], 2, "frobnicate"),
        (["--kubeconfig", "/nonexistent"], 1, "/nonexistent"),
    ],
)
def test_command_lines(lab: Lab, flags: list[str], code: int, words: str) -> None:
    got, text = run(lab, *flags)
    lab.processes.pop("once")
    assert (got, words in text) == (code, True), text


def test_readiness_and_metrics(lab: Lab) -> None:
    create(lab, "web")
    lab.wait_address("web")
    replica = wait_leader(lab)
    for path in ("/healthz", "/readyz"):
        lab.daemon(f"controller-{replica}", path)
    text = lab.daemon(f"controller-{replica}", "/metrics")
    for line in (
        "fairlead_leader 1",
        'fairlead_pool_addresses{pool="lan",family="ipv4",state="free"} 10',
        'fairlead_services{reason="Assigned"} 1',
    ):
        assert line + "\n" in text, text
    standby = "b" if replica == "a" else "a"
    assert "fairlead_leader 0\n" in lab.daemon(f"controller-{standby}", "/metrics")
    wait_for(
        "the standby to know as much",
        lambda: status(lab, standby)["services"] and status(lab, standby)["services"][0]["reason"] == "Assigned",
    )
