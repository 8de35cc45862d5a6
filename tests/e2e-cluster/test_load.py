# SPDX-License-Identifier: Apache-2.0
"""Which connections that failed are excused, and what is told of the others.  Pure."""

import os
from errno import ECONNRESET
from pathlib import Path

import pytest

from lab import netns
from lab.changes import Change
from lab.load import Outcome
from podlab.cluster import Cluster
from podlab.load import ServiceLoad, none_failed

_RESET = os.strerror(ECONNRESET)
_FLOWS = {
    "node1": "tcp      6 117 SYN_SENT src=203.0.113.10 dst=198.51.100.10 sport=10001 dport=80 [UNREPLIED] "
    "src=10.244.2.3 dst=192.168.1.11 sport=8080 dport=10001 mark=0 use=1\n",
    "node2": "tcp      6 5 CLOSE src=203.0.113.10 dst=198.51.100.10 sport=10002 dport=80 "
    "src=10.244.1.7 dst=192.168.1.12 sport=8080 dport=10002 [ASSURED] mark=0 use=1\n",
}


class _Failed(ServiceLoad):
    """One that had these outcomes while the router got a path, between 10.0 and 10.2; later it lost one."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__(Cluster("none", Path("build"), "tests/run"), "ns", "198.51.100.10")
        self.outcomes.extend([Outcome(8.0, 8.1, 10000, "web-1", ""), *outcomes])

    @property
    def changes(self) -> list[Change]:
        return [Change(10.0, 10.2, ["node1"], ["node1", "node2"]), Change(20.0, 20.2, ["node1", "node2"], ["node1"])]


def _flows(namespace: str, argv: list[str]) -> str:
    assert argv[0] == "conntrack"
    return _FLOWS.get(namespace.rsplit("-", 1)[1], "")


@pytest.mark.parametrize("started, ended, error, excused", [
    (9.9, 10.1, _RESET, True),
    (10.1, 10.3, _RESET, True),
    (9.9, 10.3, _RESET, True),
    (10.05, 10.1, _RESET, True),
    (9.9, 10.3, "timeout", False),
    (9.8, 9.9, _RESET, False),
    (10.3, 10.4, _RESET, False),
    (19.9, 20.3, _RESET, False),
])
def test_what_the_router_moved(
    started: float, ended: float, error: str, excused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netns, "output", _flows)
    load = _Failed(Outcome(started, ended, 10001, "", error))
    if excused:
        none_failed([load], ServiceLoad.moved)
    else:
        with pytest.raises(AssertionError):
            none_failed([load], ServiceLoad.moved)
    with pytest.raises(AssertionError):
        none_failed([load])


@pytest.mark.parametrize("started, ended, error, excused", [
    (9.9, 10.1, _RESET, True),
    (19.9, 20.3, _RESET, True),
    (19.9, 20.3, "timeout", False),
    (20.3, 20.4, _RESET, False),
])
def test_what_the_router_took_away(started: float, ended: float, error: str, excused: bool) -> None:
    load = _Failed()
    assert load.moved_or_bereft(Outcome(started, ended, 10001, "", error)) == excused


def test_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netns, "output", _flows)
    load = _Failed(Outcome(12.0, 22.0, 10001, "", "timeout"), Outcome(11.0, 11.1, 10002, "", _RESET))
    with pytest.raises(AssertionError) as raised:
        none_failed([load], ServiceLoad.moved, 9.0, "node2 was started at 0 s")
    assert str(raised.value).splitlines() == [
        "failed, and nothing excuses it",
        "node2 was started at 0 s",
        "2 of 3 connections to 198.51.100.10:",
        f"  2.00 s to 2.10 s, from port 10002: {_RESET} (node2: CLOSE to 10.244.1.7:8080)",
        "  3.00 s to 13.00 s, from port 10001: timeout (node1: SYN_SENT to 10.244.2.3:8080)",
        "  1.00 s to 1.20 s: packets go to node1, node2, and before that to node1",
        "  11.00 s to 11.20 s: packets go to node1, and before that to node1, node2",
    ]
