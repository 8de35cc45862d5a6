# SPDX-License-Identifier: Apache-2.0
"""Taking over from MetalLB: its ConfigMap, annotations and assigned addresses, as examples/metallb has them."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from conftest import condition, open_lab, wait_condition

from lab import netns
from lab.api import Object
from lab.cluster import SOURCE, Lab
from lab.waiting import wait_for

SYSTEM = "fairlead-system"
EXAMPLE = SOURCE / "examples" / "metallb"
LEASE = ("--lease-duration", "3", "--renew-deadline", "2", "--retry-period", "1")


@pytest.fixture(scope="module")
def services() -> list[Object]:
    return list(yaml.safe_load_all((EXAMPLE / "services.yaml").read_text(encoding="utf-8")))


def held(service: Object) -> list[str]:
    return [i["ip"] for i in (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or []]


@pytest.fixture(scope="module")
def lab(services: list[Object]) -> Iterator[Lab]:
    """The API server as MetalLB left it."""
    with open_lab() as opened:
        opened.start_api()
        legacy = yaml.safe_load((EXAMPLE / "config.yaml").read_text(encoding="utf-8"))
        opened.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        meta = {"name": "fairlead", "namespace": SYSTEM}
        opened.api.apply({**legacy, "metadata": meta})
        for service in services:
            opened.api.create({k: v for k, v in service.items() if k != "status"})
            if "status" in service:
                change = {"status": service["status"]}
                opened.api.patch("Service", service["metadata"]["name"], change, subresource="status")
        yield opened
        opened.stop_daemons()


def plan(lab: Lab) -> dict[str, Any]:
    argv = [lab.program("fairlead"), "plan", "--config", str(EXAMPLE / "config.yaml"), "-o", "json"]
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(
            [*argv, "--kubeconfig", str(lab.kubeconfig)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}


def contested(lab: Lab) -> int:
    return int(lab.daemon("controller-a")["stats"]["contested"])


def test_every_address_stays(lab: Lab, services: list[Object]) -> None:
    before = {s["metadata"]["name"]: held(s) for s in services}
    planned = plan(lab)
    assert {name: row["change"] for name, row in planned.items()} == {
        name: "keep" if addresses else "assign" for name, addresses in before.items()
    }
    lab.start_controller("a", *LEASE)
    for name, addresses in before.items():
        wait_condition(lab, name, "Kept" if addresses else "Assigned")
        now = held(lab.api.get("Service", name))
        assert sorted(now) == sorted(planned[name]["after"])
        assert not addresses or now == addresses
    for write in lab.writes():
        if write.get("kind") == "Service" and before.get(write["name"]):
            assert (write.get("ingress") or before[write["name"]]) == before[write["name"]], write
    assert {row["change"] for row in plan(lab).values()} == {"keep"}
    assert contested(lab) == 0


def contests(lab: Lab) -> dict[str, str]:
    """What the Events say, by Service."""
    found = lab.api.objects("Event", "default")
    return {e["regarding"]["name"]: e["note"] for e in found if e["reason"] == "StatusContested"}


def test_a_second_load_balancer_is_noticed(lab: Lab) -> None:
    """MetalLB's controller was left running, and gives a new Service an address of its own choice."""
    before = contested(lab)
    change = {"status": {"loadBalancer": {"ingress": [{"ip": "192.168.1.249"}]}}}
    lab.api.patch("Service", "waiting", change, subresource="status")
    wait_for("the Event", lambda: list(contests(lab)) == ["waiting"])
    writer = "fairlead-lab" if lab.real else "another program"  # the embedded server has no managedFields
    assert f"were written by {writer}. End the other load balancer" in contests(lab)["waiting"]
    assert contested(lab) == before + 1
    assert condition(lab, "waiting")["status"] == "True"
    wait_for("ipMode", lambda: lab.api.get("Service", "waiting")["status"]["loadBalancer"]["ingress"][0].get("ipMode"))
    # An address of our pool is not taken from anybody.
    assert held(lab.api.get("Service", "waiting")) == ["192.168.1.249"]
    assert f"fairlead_status_contested_total {before + 1}\n" in lab.daemon("controller-a", "/metrics")
