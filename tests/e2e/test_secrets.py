# SPDX-License-Identifier: Apache-2.0
"""What the daemons keep in Secrets: the heartbeat key, made once by a leader and read by every speaker."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import NODES, MakeService, open_lab

from lab.cluster import Lab
from lab.waiting import LabError, wait_for

NAMESPACE = "fairlead-system"
SECRET = "fairlead-heartbeat"
FLAG = ("--heartbeat-key-secret", SECRET)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        opened.start_cluster()
        opened.apply("fairlead.yaml")
        opened.apply("webapp.yaml")
        # No flag: this one makes no key.
        opened.start_controller("a")
        for node in NODES:
            opened.start_speaker(node, *FLAG)
        yield opened
        opened.stop_daemons()


def l2(lab: Lab, node: str) -> dict[str, Any]:
    said: dict[str, Any] = lab.daemon(node)["l2"]
    return said


def not_ready(lab: Lab, node: str) -> str:
    try:
        lab.daemon(node, "/readyz")
    except LabError as error:
        return str(error)
    return ""


def test_without_a_key_nobody_announces_and_all_say_why(lab: Lab, make_service: MakeService) -> None:
    make_service("early")
    address = lab.wait_address("early")
    for node in NODES:
        lab.wait_reason(node, "early", address, "HeartbeatKeyPending")
        assert f"Secret {NAMESPACE}/{SECRET}" in not_ready(lab, node)
        assert l2(lab, node)["heartbeat_key"] == "awaited"
        lab.daemon(node, "/healthz")
    assert lab.owners(address) == []
    assert lab.api.find("Secret", SECRET, NAMESPACE) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, 'it has no key "key"'),
        ({"other": b"x" * 32}, 'it has no key "key"'),
        ({"key": b""}, "16 to 4096 bytes, and this one has 0"),
        ({"key": b"k"}, "16 to 4096 bytes, and this one has 1"),
        ({"key": b"k" * 15}, "16 to 4096 bytes, and this one has 15"),
    ],
)
def test_what_is_no_key_is_refused_with_words(lab: Lab, data: dict[str, bytes], words: str) -> None:
    lab.api.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": NAMESPACE},
            "data": {k: base64.b64encode(v).decode() for k, v in data.items()},
        }
    )
    for node in NODES:
        wait_for(f"{node} to say why", lambda n=node: words in not_ready(lab, n))
        assert l2(lab, node)["heartbeat_key"] == "awaited"
        lab.daemon(node, "/healthz")
    lab.api.delete("Secret", SECRET, NAMESPACE)


def test_a_leader_makes_the_key_and_the_speakers_know_each_other(lab: Lab, make_service: MakeService) -> None:
    make_service("early")
    lab.processes["controller-a"].stop()
    lab.start_controller("b", *FLAG)
    secret = wait_for("the Secret", lambda: lab.api.find("Secret", SECRET, NAMESPACE), 20)
    assert secret["type"] == "Opaque"
    assert [len(base64.b64decode(v)) for v in secret["data"].values()] == [32]
    assert list(secret["data"]) == ["key"]
    for node in NODES:
        wait_for(f"{node} to be ready", lambda n=node: not not_ready(lab, n))
        wait_for(f"{node} to hear both others", lambda n=node: sum(p["alive"] for p in l2(lab, n)["peers"]) == 2)
        assert l2(lab, node)["heartbeat_key"] == "in force"
    lab.wait_owner(lab.wait_address("early"))


def test_the_next_leader_leaves_the_key_alone(lab: Lab) -> None:
    before = lab.api.get("Secret", SECRET, NAMESPACE)
    lab.processes["controller-b"].stop()
    lab.restart("controller-b")
    wait_for("a leader", lambda: lab.daemon("controller-b")["leader"], 20)
    assert lab.api.get("Secret", SECRET, NAMESPACE) == before


def test_a_changed_key_is_said_and_in_force_after_a_restart(lab: Lab, make_service: MakeService) -> None:
    make_service("late")
    owner = lab.wait_owner(lab.wait_address("late"))
    old = lab.api.get("Secret", SECRET, NAMESPACE)["data"]
    key = base64.b64encode(b"another key, long enough").decode()
    lab.api.patch("Secret", SECRET, {"data": {"key": key}}, NAMESPACE)
    for node in NODES:
        wait_for(f"{node} to say so", lambda n=node: l2(lab, n)["heartbeat_key"].startswith("changed"))
        assert sum(p["alive"] for p in l2(lab, node)["peers"]) == 2, "the old one is in force"
    assert lab.owners(lab.wait_address("late")) == [owner]
    for node in NODES:
        lab.speaker(node).stop()
        lab.restart(f"speaker-{node}")
    for node in NODES:
        wait_for(f"{node} to hear both others", lambda n=node: sum(p["alive"] for p in l2(lab, n)["peers"]) == 2)
        assert l2(lab, node)["heartbeat_key"] == "in force"
    assert len(lab.owners(lab.wait_address("late"))) <= 1
    lab.wait_owner(lab.wait_address("late"))
    assert lab.api.get("Secret", SECRET, NAMESPACE)["data"] != old


def test_a_deleted_key_ends_nothing(lab: Lab, make_service: MakeService) -> None:
    make_service("later")
    lab.api.delete("Secret", SECRET, NAMESPACE)
    owner = lab.wait_owner(lab.wait_address("later"))
    others = [n for n in NODES if n != owner]
    assert all(sum(p["alive"] for p in l2(lab, n)["peers"]) == 2 for n in others)


def test_one_source_of_the_key_is_enough(lab: Lab) -> None:
    process = lab.start("speaker-both", [*lab.speaker("node1").argv, "--heartbeat-key-file", "/dev/null"])
    process.wait()
    assert process.status() == 2
    assert "give one of them" in process.tail()
    del lab.processes["speaker-both"]
