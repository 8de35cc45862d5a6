# SPDX-License-Identifier: Apache-2.0
"""Two controllers, an API server and nothing else, for tests that judge them by what they write.

A module names its pools: `whole_lab, lab = lab_fixtures(POOLS)`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import open_lab

from lab.api import ApiError
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

SYSTEM = "fairlead-system"
LEASE = ("--lease-duration", "3", "--renew-deadline", "2", "--retry-period", "1")


def configure(lab: Lab, text: str) -> None:
    meta = {"name": "fairlead", "namespace": SYSTEM}
    lab.api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config": text}})


def active(lab: Lab) -> tuple[int, str]:
    """Generation and text of the published configuration."""
    found = lab.api.find("ConfigMap", "fairlead-active", SYSTEM)
    if not found:
        return 0, ""
    return int(found["metadata"]["annotations"]["fairlead.io/generation"]), found["data"]["config"]


def wait_active(lab: Lab, text: str) -> int:
    wait_for("the configuration to be published", lambda: active(lab)[1] == text)
    return active(lab)[0]


def status(lab: Lab, replica: str = "a") -> Any:
    return lab.daemon(f"controller-{replica}")


def start_controllers(lab: Lab, *flags: str) -> None:
    for replica in ("a", "b"):
        lab.start_controller(replica, *LEASE, *flags)
        wait_for("it to answer", lambda r=replica: status(lab, r))
        wait_leader(lab)


def any_leader(lab: Lab) -> str:
    """The replica that leads; "" if none does at the moment, or is up to say so."""
    for replica in ("a", "b"):
        process = lab.processes.get(f"controller-{replica}")
        try:
            if process and process.running() and status(lab, replica)["leader"]:
                return replica
        except ApiError:
            continue
    return ""


def wait_leader(lab: Lab) -> str:
    """Leases of three seconds change hands on a busy machine: who leads now may soon not, and sometimes nobody does."""
    return wait_for("a leader", lambda: any_leader(lab), 20)


def leader_status(lab: Lab) -> Any:
    """What the leader says; one that has just begun to lead has decided about nothing yet."""
    return status(lab, wait_leader(lab))


def in_status(lab: Lab, name: str) -> Any:
    """What the leader says of a Service, once it has decided about it."""

    def found() -> Any:
        return next((s for s in leader_status(lab)["services"] if s["name"] == name), None)

    return wait_for(f"{name} in the leader's status", found)


def holder(lab: Lab) -> str:
    return lab.api.get("Lease", "fairlead-controller", SYSTEM)["spec"].get("holderIdentity", "")


def restart(lab: Lab, replica: str) -> None:
    lab.restart(f"controller-{replica}")
    wait_for("it to answer", lambda: status(lab, replica))


def stop_controllers(lab: Lab) -> None:
    for replica in ("b", "a"):
        process = lab.processes.get(f"controller-{replica}")
        if process and process.running():
            assert process.stop() == 0


def clean(lab: Lab) -> None:
    services = [s["metadata"]["name"] for s in lab.api.objects("Service")]
    if len(services) > 1000:  # quicker than to delete each: a server that has forgotten everything
        lab.processes["api"].kill()
        (lab.dir / "api.json").unlink()
        lab.start_api()
        return
    for name in services:
        if name != "kubernetes":
            lab.api.delete("Service", name)
    for event in lab.api.objects("Event"):
        lab.api.delete("Event", event["metadata"]["name"], event["metadata"]["namespace"])


def judge(lab: Lab, offset: int) -> None:
    """The controllers put no address on a Service while another one has it, in the status or assigned in the spec."""
    owner: dict[str, str] = {}
    by_hand: set[tuple[str, str]] = set()
    for write in lab.writes(offset):
        if write.get("kind") != "Service" or write["code"] >= 300:
            continue
        uid, now = write["uid"], [*(write.get("ingress") or []), *(write.get("external") or [])]
        # With a finalizer it goes not by the deletion, but by what is written after that.
        if (write["verb"] == "delete") != ("deleting" in write):
            now = []
        for address in [a for a, u in owner.items() if u == uid and a not in now]:
            del owner[address]
        if not write["agent"].startswith("fairlead-controller"):
            by_hand |= {(uid, a) for a in write.get("external") or [] if owner.get(a) != uid}
        for address in now:
            if (uid, address) in by_hand and address not in (write.get("ingress") or []):
                continue
            before = owner.setdefault(address, uid)
            assert before == uid or not write["agent"].startswith("fairlead-controller"), f"given twice: {write}"


def lab_fixtures(pools: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The lab of a module, and for each test the same under these pools, without a Service and judged afterwards."""

    @pytest.fixture(scope="module")
    def whole_lab() -> Iterator[Lab]:
        with open_lab() as lab:
            lab.start_api()
            lab.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
            configure(lab, pools)
            start_controllers(lab)
            yield lab
            lab.stop_daemons()

    @pytest.fixture
    def lab(whole_lab: Lab) -> Iterator[Lab]:
        start = whole_lab.write_log.stat().st_size
        yield whole_lab
        whole_lab.set_faults()
        judge(whole_lab, start)
        clean(whole_lab)
        settle(whole_lab, pools)

    return whole_lab, lab


def settle(lab: Lab, pools: str) -> None:
    """Somebody leads, under these pools, and knows that no Service is left."""
    configure(lab, pools)
    if not any(p.running() for name, p in lab.processes.items() if name.startswith("controller-")):
        start_controllers(lab)
    wait_leader(lab)
    wait_active(lab, pools)
    wait_for("the books to be empty", lambda: all(p["used"] == 0 for p in leader_status(lab)["pools"]))


def wait_addresses(lab: Lab, name: str, *addresses: str) -> None:
    def has_them() -> bool:
        found = lab.addresses(name)
        if found != list(addresses):
            raise LabError(str(found))
        return True

    wait_for(f"{name} to have {addresses}", has_them)


def events(lab: Lab, name: str, namespace: str = "default") -> list[str]:
    """Of the object that has this name now: those of an earlier one may come late."""
    about = [e for e in lab.api.objects("Event", namespace) if e["regarding"]["name"] == name]
    now = [lab.api.find(kind, name, namespace) for kind in {e["regarding"]["kind"] for e in about}]
    uids = {obj["metadata"]["uid"] for obj in now if obj}
    return [e["reason"] for e in about if e["regarding"]["uid"] in uids]


def settled(lab: Lab, seconds: float = 0.5) -> None:
    """Nothing of ours but the Lease is written for that long."""

    def quiet() -> bool:
        before = lab.write_log.stat().st_size
        time.sleep(seconds)
        return not [w for w in lab.writes(before) if "/leases/" not in w["path"]]

    wait_for("the writes to end", quiet, 20)
