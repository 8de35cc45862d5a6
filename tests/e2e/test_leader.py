# SPDX-License-Identifier: Apache-2.0
"""Two controllers, one leader: killed, or stopped and continued after its lease ran out, in the middle of its work.

Judged from the API server's log of writes: no address is given twice, none is taken from a Service that had it, and
the standby finishes what was begun.
"""

import random
import signal
import time
from collections.abc import Iterator

import pytest
from conftest import open_lab
from controllers import holder

from lab.api import ApiError
from lab.cluster import Lab
from lab.waiting import wait_for

ROUNDS, SERVICES_A_ROUND = 20, 10
SEED = 20260722
LEASE = ("--lease-duration", "3", "--renew-deadline", "2", "--retry-period", "1")
CONFIG = "address-pools:\n- {name: wide, protocol: layer2, addresses: [10.50.0.0/24]}\n"


@pytest.fixture(scope="module")
def control_plane() -> Iterator[Lab]:
    with open_lab() as lab:
        lab.start_api()
        lab.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fairlead-system"}})
        meta = {"name": "fairlead", "namespace": "fairlead-system"}
        lab.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config": CONFIG}})
        for replica in ("a", "b"):
            lab.start_controller(replica, *LEASE)
        yield lab
        lab.stop_daemons()


def leader(lab: Lab) -> str:
    return holder(lab).removeprefix("controller-")


def create(lab: Lab, name: str) -> None:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})


def judge(lab: Lab) -> None:
    """Walks through every write of a Service's status, in the order in which the API server made them."""
    holder: dict[str, str] = {}  # address: UID
    held: dict[str, list[str]] = {}  # UID: addresses
    for write in lab.writes():
        if write.get("kind") != "Service" or write["code"] >= 300:
            continue
        uid, addresses = write["uid"], write.get("ingress") or []
        before = held.get(uid, [])
        assert not before or addresses == before, f"{write['name']} lost {before}: {write}"
        for address in addresses:
            assert holder.setdefault(address, uid) == uid, f"{address} was given twice: {write}"
        held[uid] = addresses
    assert sum(1 for a in held.values() if a) == ROUNDS * SERVICES_A_ROUND


@pytest.mark.embedded
def test_leaders_that_die_or_stall_give_no_address_twice(control_plane: Lab) -> None:
    lab = control_plane
    wait_for("a leader", lambda: leader(lab))
    rng = random.Random(SEED)
    for number in range(ROUNDS):
        names = [f"svc-{number:02d}-{i}" for i in range(SERVICES_A_ROUND)]
        strike_at = rng.randrange(SERVICES_A_ROUND)
        stall = rng.random() < 0.5
        victim_name = leader(lab)
        victim = lab.processes[f"controller-{victim_name}"]
        for i, name in enumerate(names):
            create(lab, name)
            if i == strike_at:
                time.sleep(rng.uniform(0, 0.005))
                victim.signal(signal.SIGSTOP if stall else signal.SIGKILL)
        wait_for("another leader", lambda v=victim_name: leader(lab) not in ("", v), 30)
        if stall:
            victim.resume()  # it had work under way, and its lease has run out
        else:
            victim.wait()
            lab.restart(victim.name)
        wait_for("every Service to have an address", lambda n=names: all(lab.addresses(s) for s in n), 30)
    judge(lab)


def test_two_that_start_together_agree(control_plane: Lab) -> None:
    lab = control_plane
    for replica in ("a", "b"):
        lab.processes[f"controller-{replica}"].stop()
    try:
        lab.api.delete("Lease", "fairlead-controller", "fairlead-system")
    except ApiError as error:
        assert error.code == 404
    create(lab, "together")
    for replica in ("a", "b"):
        lab.restart(f"controller-{replica}")
    lab.wait_address("together")
    statuses = [lab.daemon(f"controller-{r}") for r in ("a", "b")]
    assert sorted(s["leader"] for s in statuses) == [False, True]


def test_a_deleted_lease_makes_no_second_leader(control_plane: Lab) -> None:
    """Its leader hears of that at its next renewal; a replica that starts meanwhile waits as long as it may write."""
    lab = control_plane
    create(lab, "before")
    lab.wait_address("before")
    first = leader(lab)
    other = {"a": "b", "b": "a"}[first]
    for number in range(3):
        lab.processes[f"controller-{other}"].kill()
        lab.api.delete("Lease", "fairlead-controller", "fairlead-system")
        lab.restart(f"controller-{other}")

        def leads(replica: str) -> bool:
            try:
                return bool(lab.daemon(f"controller-{replica}")["leader"])
            except ApiError:
                return False

        for step in range(40):
            if step % 8 == 0:
                create(lab, f"while-{number}-{step}")
            assert not (leads(first) and leads(other)), "two lead"
            time.sleep(0.05)
        lab.wait_address(f"while-{number}-32")
        first = leader(lab)
        other = {"a": "b", "b": "a"}[first]
    holders = [a for s in lab.api.objects("Service") for a in lab.addresses(s["metadata"]["name"])]
    assert len(holders) == len(set(holders))
