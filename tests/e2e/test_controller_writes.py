# SPDX-License-Identifier: Apache-2.0
"""What the controller does not get written: refused, undone, unanswered, or about an object that has changed.

On the embedded API server, which fails on command.
"""

import time
from typing import Any

import pytest
import test_controller
import test_external_pools
from conftest import wait_condition
from controllers import (
    SYSTEM,
    active,
    configure,
    events,
    in_status,
    lab_fixtures,
    leader_status,
    restart,
    wait_active,
    wait_addresses,
    wait_leader,
)
from test_controller import annotate
from test_external_pools import patches, wait_external

from lab.cluster import Lab
from lab.waiting import wait_for

POOLS = """\
address-pools:
- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250]}
- {name: edge, protocol: layer2, use: [external-ip], addresses: [203.0.113.1-203.0.113.4]}
- {name: other-edge, protocol: layer2, use: [external-ip], addresses: [203.0.114.1-203.0.114.4]}
"""
OTHER = POOLS.replace("name: lan", "name: renamed")
ACTIVE = "/configmaps/fairlead-active"

pytestmark = pytest.mark.embedded

whole_lab, lab = lab_fixtures(POOLS)


def fail(lab: Lab, path: str, **how: Any) -> None:
    lab.set_faults(rules=[{"verb": "patch", "path": path, "agent": "controller", **how}])


def struck(lab: Lab) -> int:
    return int(lab.api.call("GET", "/sim/faults")["rules"][0]["struck"])


def wait_in_flight(lab: Lab) -> None:
    wait_for("the patch", lambda: leader_status(lab)["stats"]["in_flight"])


# ---- an API server that fails for one object, as it does where an admission webhook is away ----


@pytest.mark.parametrize("how", [{"code": 500}, {"delay_ms": 60000}], ids=["fails", "hangs"])
def test_a_status_that_cannot_be_written_is_said(lab: Lab, how: dict[str, Any]) -> None:
    fail(lab, "/services/web/status", **how)
    test_controller.create(lab, "web")
    wait_for("the Event", lambda: events(lab, "web") == ["StatusRefused"], 20)
    before = struck(lab)
    test_controller.create(lab, "next")
    wait_addresses(lab, "next", "192.168.1.240")
    time.sleep(2)
    assert struck(lab) == before, "it is not asked again and again"


@pytest.mark.parametrize("how", [{"code": 500}, {"delay_ms": 60000}], ids=["fails", "hangs"])
def test_external_ips_that_cannot_be_written_are_said(lab: Lab, how: dict[str, Any]) -> None:
    rules = [{"verb": "patch", "path": "/web/status", "delay_ms": 1}, {"verb": "patch", "path": "/web", **how}]
    lab.set_faults(rules=rules)
    test_external_pools.create(lab, "web")
    said = test_external_pools.wait_condition(lab, "web", "ExternalIpsRefused", 20)
    assert "the API server refuses it: PATCH /api/v1/namespaces/default/services/web" in said["message"]
    assert events(lab, "web") == ["ExternalIpsRefused"]
    test_external_pools.create(lab, "next")
    wait_external(lab, "next", "203.0.113.1")


# ---- an API server that says yes and changes nothing ----


def test_external_ips_that_are_undone_are_said(lab: Lab) -> None:
    fail(lab, "/services/web", undo=True, next=1)
    test_external_pools.create(lab, "web")
    said = test_external_pools.wait_condition(lab, "web", "ExternalIpsRefused")
    assert "does not keep what was written" in said["message"]
    # A change of the Service is tried at once.
    lab.api.patch("Service", "web", {"metadata": {"labels": {"any": "thing"}}})
    wait_external(lab, "web", "203.0.113.1")


def test_a_status_that_was_undone_once_is_no_server_without_conditions(lab: Lab) -> None:
    fail(lab, "/services/web/status", undo=True, next=1)
    test_controller.create(lab, "web")
    wait_for("the Event", lambda: events(lab, "web") == ["StatusRefused"])
    test_controller.create(lab, "next", {"fairlead.io/address-pool": "nowhere"})
    wait_condition(lab, "next", "NoSuchPool")


def test_a_configuration_that_is_undone_is_not_published_at_full_speed(lab: Lab) -> None:
    generation, before = active(lab)
    fail(lab, ACTIVE, undo=True)
    configure(lab, OTHER)
    time.sleep(2.5)
    assert 1 <= struck(lab) <= 4
    assert active(lab) == (generation, before)
    lab.set_faults()
    wait_for("it to be published", lambda: active(lab)[1] == OTHER)


def test_a_publication_without_an_answer_is_told(lab: Lab) -> None:
    fail(lab, ACTIVE, lose=True, next=1)
    configure(lab, OTHER)
    said = f"generation {wait_active(lab, OTHER)} is in force"
    wait_for("the Event", lambda: said in [e["note"] for e in lab.api.objects("Event", SYSTEM)])


# ---- an object that changes meanwhile ----


def test_a_refusal_is_not_held_against_what_has_changed(lab: Lab) -> None:
    fail(lab, "/services/web", code=403, delay_ms=500, next=1)
    test_external_pools.create(lab, "web")
    wait_in_flight(lab)
    test_external_pools.annotate(lab, "web", pool="other-edge")
    wait_external(lab, "web", "203.0.114.1")
    fail(lab, "/services/lb/status", code=403, delay_ms=500, next=1)
    test_controller.create(lab, "lb")
    wait_in_flight(lab)
    annotate(lab, "lb", addresses="192.168.1.249")
    wait_addresses(lab, "lb", "192.168.1.249")
    assert "StatusRefused" not in events(lab, "lb")


def test_a_service_that_becomes_unreadable_keeps_its_address(lab: Lab) -> None:
    test_controller.create(lab, "web")
    wait_addresses(lab, "web", "192.168.1.240")
    offset = lab.write_log.stat().st_size
    annotate(lab, "web", junk=20000 * "x", addresses="192.168.1.249")
    wait_for("the reason", lambda: in_status(lab, "web")["reason"] == "Unreadable")
    configure(lab, OTHER)
    wait_active(lab, OTHER)
    test_controller.create(lab, "next")
    wait_addresses(lab, "next", "192.168.1.241")
    told = in_status(lab, "web")
    assert (told["reason"], told["addresses"]) == ("Unreadable", ["192.168.1.240"])
    assert patches(lab, "web", offset) == []
    annotate(lab, "web", junk=None)
    wait_addresses(lab, "web", "192.168.1.249")


# ---- the end ----


def test_a_write_that_is_put_off_does_not_put_off_the_end(lab: Lab) -> None:
    fail(lab, "/services/web/status", code=429, retry_after=60)
    test_controller.create(lab, "web")
    leader = wait_leader(lab)
    wait_for("the patch", lambda: struck(lab))
    assert lab.processes[f"controller-{leader}"].stop(10) == 0
    restart(lab, leader)
