# SPDX-License-Identifier: Apache-2.0
"""fairlead rebalance: what it says beforehand is what the speakers then do, without a question left unanswered."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import NODES, PODS, MakeService
from test_moves import fairlead

from lab import dual
from lab.cluster import Lab
from lab.waiting import wait_for

COUNT = 6
BOTH = {
    "name": "both",
    "protocol": "layer2",
    "addresses": ["192.168.1.230-192.168.1.239", f"{dual.LAN}f0-{dual.LAN}ff"],
}
INCOMPLETE = 3
# Nothing may have been wrong for a minute.
CALM = 60


@pytest.fixture(scope="module", autouse=True)
def both_families(lab: Lab) -> None:
    dual.add_lan(lab)
    for pod in PODS:
        dual.add_pod(lab, pod)
    # A machine that stands still for a moment makes no dead node.
    config = {"data": {"config": json.dumps({"address-pools": [BOTH], "failover": "calm"})}}
    lab.api.patch("ConfigMap", "fairlead", config, "fairlead-system")


@pytest.fixture
def services(lab: Lab, make_service: MakeService) -> Iterator[list[str]]:
    names = [f"web-{i}" for i in range(COUNT)]
    for name in names:
        make_service(name, ipFamilyPolicy="RequireDualStack")
        dual.endpoints(lab, name, list(PODS), 8080)
    yield names
    for name in names:
        lab.api.delete("EndpointSlice", f"{name}-ipv6")


def owners(lab: Lab, services: list[str]) -> dict[str, str]:
    """By Service, of which each has one for both of its addresses; nothing while some has none."""
    found: dict[str, set[str]] = {name: set() for name in services}
    for node in NODES:
        for told in lab.daemon(node)["services"]:
            if told["name"] in found:
                found[told["name"]] |= {node for a in told["addresses"] if a.get("claim") == "owner"}
    return {name: str(*nodes) for name, nodes in found.items() if len(nodes) == 1}


def foretold(lab: Lab, *words: str) -> Any:
    done = fairlead(lab, "rebalance", *words, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["moves"]


def test_a_node_that_returns_gets_its_share(lab: Lab, services: list[str]) -> None:
    wait_for("both addresses of each", lambda: all(len(lab.addresses(name)) == 2 for name in services))
    wait_for("an owner of each", lambda: len(owners(lab, services)) == COUNT)
    away = NODES[0]
    lab.speaker(away).kill()
    others = [n for n in NODES if n != away]

    def taken() -> bool:
        told = [a for n in others for s in lab.daemon(n)["services"] for a in s["addresses"]]
        return sum(a.get("claim") == "owner" for a in told) == 2 * COUNT

    wait_for("others to own all", taken)
    told = fairlead(lab, "rebalance", "--dry-run")
    assert told.returncode == INCOMPLETE, told.stderr
    lab.restart(f"speaker-{away}")
    wait_for("the speaker to be ready", lambda: lab.daemon(away, "/readyz"))
    wait_for("all to be told", lambda: len(owners(lab, services)) == COUNT)
    before = owners(lab, services)
    assert away not in before.values()

    moves = foretold(lab, "--dry-run")
    assert {m["to"] for m in moves} == {away}
    assert all(before[m["service"].split("/")[1]] == m["from"] and len(m["addresses"]) == 2 for m in moves)
    assert owners(lab, services) == before

    assert foretold(lab, "--yes") == moves
    after = before | {m["service"].split("/")[1]: m["to"] for m in moves}
    wait_for("what was foretold", lambda: owners(lab, services) == after, 2 * CALM)
    assert list(after.values()).count(away) == COUNT // len(NODES)
    causes = {a["cause"] for s in lab.daemon(away)["services"] for a in s["addresses"] if a.get("claim") == "owner"}
    assert causes == {"OwnerRebalanced"}
    assert foretold(lab, "--dry-run") == []
