# SPDX-License-Identifier: Apache-2.0
"""The lab itself: what it computes, and that it keeps to one lab of an id."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import open_lab

from lab import arp, netns, rundir, slices
from lab.capture import decode_ipv4
from lab.cluster import SOURCE
from lab.waiting import wait_for


def service(**spec: object) -> slices.Object:
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "u1", "labels": {"team": "a"}},
        "spec": {
            "selector": {"app": "web"},
            "clusterIP": "10.96.0.1",
            "ports": [{"port": 80, "targetPort": "http"}],
            **spec,
        },
    }


def pod(name: str, ready: bool = True, port: int = 8080, deleting: bool = False, **labels: str) -> slices.Object:
    meta = {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web", **labels}}
    if deleting:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": meta,
        "spec": {"nodeName": "node1", "containers": [{"ports": [{"name": "http", "containerPort": port}]}]},
        "status": {
            "phase": "Running",
            "podIP": f"10.244.1.{sum(name.encode()) % 250}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def conditions(**kwargs: object) -> dict[str, bool]:
    publish = kwargs.pop("publish", False)
    found = slices.wanted(service(publishNotReadyAddresses=publish), [pod("a", **kwargs)])  # type: ignore[arg-type]
    return next(iter(found.values()))["endpoints"][0]["conditions"]


@pytest.mark.parametrize(
    "kwargs,ready,serving,terminating",
    [
        ({}, True, True, False),
        ({"ready": False}, False, False, False),
        ({"deleting": True}, False, True, True),
        ({"deleting": True, "ready": False}, False, False, True),
        ({"ready": False, "publish": True}, True, False, False),
    ],
)
def test_endpoint_conditions(kwargs: dict, ready: bool, serving: bool, terminating: bool) -> None:
    assert conditions(**kwargs) == {"ready": ready, "serving": serving, "terminating": terminating}


def test_slices_follow_selector_and_ports() -> None:
    other = pod("z")
    other["metadata"]["labels"] = {"app": "other"}
    pending = pod("p")
    del pending["status"]["podIP"]
    found = slices.wanted(service(), [pod("a"), pod("b", port=9090), other, pending])
    assert sorted(s["ports"][0]["port"] for s in found.values()) == [8080, 9090]
    assert [len(s["endpoints"]) for s in found.values()] == [1, 1]
    assert all(s["metadata"]["labels"][slices.LABEL_SERVICE] == "web" for s in found.values())
    assert slices.same(*2 * [next(iter(found.values()))])


def test_services_that_get_no_slices() -> None:
    assert slices.wanted(service(selector=None), [pod("a")]) == {}
    assert slices.wanted(service(type="ExternalName"), [pod("a")]) == {}
    empty = slices.wanted(service(), [])
    assert [s["endpoints"] for s in empty.values()] == [[]]


def test_arp_codec() -> None:
    here, there = "02:00:00:00:00:01", "02:00:00:00:00:02"
    frame = arp.Frame(arp.REPLY, here, "192.0.2.1", there, "192.0.2.2", here, there)
    assert arp.decode(arp.encode(frame)) == frame
    assert arp.decode(arp.encode(frame)[:41]) is None
    assert decode_ipv4(arp.encode(frame)) is None


def test_one_lab_of_an_id() -> None:
    """A second one is refused while the first lives, and a killed one's leftovers are named and removed."""
    lab_id = os.environ.get("FAIRLEAD_LAB_ID", "e2e")
    with open_lab():
        with pytest.raises(rundir.LabExists, match="in use by process"):
            open_lab()
    assert netns.names(f"fl-{lab_id}-") == []
    script = (
        "from conftest import open_lab; import time; lab = open_lab(); lab.__enter__(); "
        "print('up', flush=True); time.sleep(60)"
    )
    here = os.path.dirname(__file__)
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{here}:{os.path.dirname(here)}"},
    )
    try:
        assert child.stdout and child.stdout.readline() == b"up\n"
        with pytest.raises(rundir.LabExists, match="in use by process"):
            rundir.clean(lab_id)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with pytest.raises(rundir.LabExists, match="a killed run left"):
        rundir.claim(lab_id, "tests/demo")
    assert rundir.clean(lab_id)
    wait_for("everything to be gone", lambda: netns.names(f"fl-{lab_id}-") == [])
    assert not rundir.clean(lab_id)


def test_a_lab_by_hand() -> None:
    """`python3 -m lab up`, until Ctrl-C."""
    lab_id = f"{os.environ.get('FAIRLEAD_LAB_ID', 'e2e')}h"
    argv = [sys.executable, "-m", "lab", "up", lab_id]
    # Ctrl-C counts also where these tests run in the background, which would have it ignored.
    running = subprocess.Popen(
        argv,
        cwd=SOURCE / "tests",
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stdout
    try:
        assert running.stdout.readline().startswith(f"lab {lab_id} is up; kubeconfig ")
        listed = subprocess.run([*argv[:3], "list"], cwd=SOURCE / "tests", capture_output=True, text=True, check=True)
        assert lab_id in listed.stdout.split()
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    assert netns.names(f"fl-{lab_id}-") == []
