# SPDX-License-Identifier: Apache-2.0
"""A switch that snoops IGMP and MLD: heartbeats and questions for IPv6 addresses arrive, with and without a querier."""

import json
from collections.abc import Iterator

import pytest
from l2bridge import BRIDGE, QUERIED, Room
from l2wire import FAMILIES, IPV6, KEY, SWITCH, Family

from lab import ndp, netns
from lab.waiting import LabError, wait_for


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(params=["with a querier", "without a querier"])
def room(request: pytest.FixtureRequest, family: Family) -> Iterator[Room]:
    made = Room(family, KEY, bridge="mcast_snooping 1" + (QUERIED if request.param == "with a querier" else ""))
    yield made
    made.close()


def ports_of(group: str) -> set[str]:
    """Where the switch delivers the group."""
    shown = json.loads(netns.output(SWITCH, ["bridge", "-json", "mdb", "show", "dev", BRIDGE]))
    return {e["port"] for e in shown[0]["mdb"] if e["grp"] == group}


def test_owners_agree_and_are_asked(room: Room, family: Family) -> None:
    """Speakers join the groups of all addresses that they may own, so that a next owner is asked at once."""
    if family is IPV6:
        ports = {f"port-{name}" for name in room.nodes}
        for address in room.addresses:
            group = ndp.group_of(address)

            def joined(group: str = group) -> bool:
                if missing := ports - ports_of(group):
                    raise LabError(f"{group} was not joined on {missing}")
                return True

            wait_for(f"{group} to be joined", joined)
    owners = room.wait_agreed()
    assert set(owners.values()) == set(room.nodes)
    for node in room.nodes.values():
        others = sorted(f"{name} eth0 alive" for name in room.nodes if name != node.name)
        assert sorted(node.command("peers")) == others
    for address, owner in owners.items():
        assert room.ask(address) == [room.nodes[owner].mac]
    gone = room.nodes[owners[room.addresses[0]]]
    gone.signal(9)
    lost = [a for a, owner in owners.items() if owner == gone.name]
    rest = [n for n in room.nodes.values() if n is not gone]
    wait_for(
        "others to answer",
        lambda: all(room.ask(a, 0.2) in [[n.mac] for n in rest] for a in lost),
    )
