# SPDX-License-Identifier: Apache-2.0
"""An owner that is to go, or whose speaker restarts: no connection fails for want of somebody who answers.

The client forgets all the time who has the address, and asks only once: a question that nobody answers fails all
connections that wait for it.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml
from conftest import NODES, PODS, MakeService

from lab import dual, netns, web
from lab.cluster import Lab
from lab.load import Load
from lab.waiting import wait_for

POOL = {
    "name": "both",
    "protocol": "layer2",
    "addresses": ["192.168.1.230-192.168.1.239", f"{dual.LAN}f0-{dual.LAN}ff"],
}
DRAIN = "fairlead.io/drain"


@pytest.fixture(scope="module", autouse=True)
def both_families(lab: Lab) -> None:
    dual.add_lan(lab)
    for pod in PODS:
        dual.add_pod(lab, pod)
    config = {"data": {"config": yaml.safe_dump({"address-pools": [POOL]})}}
    lab.api.patch("ConfigMap", "fairlead", config, "fairlead-system")


@pytest.fixture(params=[4, 6], ids=["IPv4", "IPv6"])
def address(lab: Lab, make_service: MakeService, request: pytest.FixtureRequest) -> Iterator[str]:
    make_service("web", ipFamilyPolicy="RequireDualStack")
    dual.endpoints(lab, "web", list(PODS), 8080)

    def assigned() -> str:
        return next((a for a in lab.addresses("web") if (":" in a) == (request.param == 6)), "")

    try:
        address = wait_for("an address", assigned)
        wait_for(f"HTTP from {address}", lambda: lab.get(address, timeout=1))
        yield address
    finally:
        lab.api.delete("EndpointSlice", "web-ipv6")


def owner_of(lab: Lab, address: str) -> str:
    return dual.wait_owner(lab, address) if ":" in address else lab.wait_owner(address)


@contextmanager
def forgetful(lab: Lab, address: str) -> Iterator[None]:
    """The client asks for the address over and over, each time once."""
    stop = threading.Event()
    family = "ipv6" if ":" in address else "ipv4"
    patience = f"/proc/sys/net/{family}/neigh/eth0/mcast_solicit"

    def forget() -> None:
        while not stop.wait(0.02):
            netns.configure(lab.client, [f"neigh flush to {address} dev eth0"])

    thread = threading.Thread(target=forget, daemon=True)
    netns.output(lab.client, ["sh", "-c", f"echo 1 > {patience}"])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        netns.output(lab.client, ["sh", "-c", f"echo 3 > {patience}"])


class Conversation:
    """A connection over which the client asks again and again; True as long as it is always answered."""

    def __init__(self, lab: Lab, address: str) -> None:
        self._connection = web.Connection(lab.client, address, 80, 10)
        self._connection.auto_open = True
        self._ask()
        self._connection.auto_open = False

    def _ask(self) -> None:
        self._connection.request("GET", "/")
        self._connection.getresponse().read()

    def goes_on(self) -> bool:
        try:
            self._ask()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def close(self) -> None:
        self._connection.close()


def test_a_restart_fails_no_connection(lab: Lab, address: str) -> None:
    """Neither new ones nor those that there are, while a Pod takes its time to be replaced."""
    owner = owner_of(lab, address)
    conversations = [Conversation(lab, address) for _ in range(10)]
    try:
        with forgetful(lab, address), Load(lab.client, address) as load:
            wait_for("connections", lambda: len(load.outcomes) > 50)
            lab.speaker(owner).stop()
            gone = len(load.outcomes)
            # Longer than the client would wait, shorter than the peers hold what it owns.
            wait_for("connections without it", lambda: len(load.outcomes) > gone + 200)
            assert all(c.goes_on() for c in conversations)
            lab.restart(f"speaker-{owner}")
            wait_for("the speaker to be ready", lambda: lab.daemon(owner, "/readyz"))
            lab.wait_reason(owner, "web", address, "Announced")
            back = len(load.outcomes)
            wait_for("connections with it", lambda: len(load.outcomes) > back + 50)
        assert not load.failures, load.summary()
        assert all(c.goes_on() for c in conversations)
    finally:
        for c in conversations:
            c.close()
    others = [lab.daemon(n)["l2"]["stats"]["stood_in"] for n in NODES if n != owner]
    assert sum(others) > 0
    assert owner_of(lab, address) == owner


def announces(lab: Lab, node: str, address: str) -> bool:
    return lab.announcement(node, "web", address).get("reason") == "Announced"


def test_a_drain_leaves_no_question_unanswered(lab: Lab, address: str) -> None:
    """Nor does a connection fail that meets the new owner in its middle."""
    owner = owner_of(lab, address)
    others = [n for n in NODES if n != owner]
    try:
        with forgetful(lab, address), Load(lab.client, address) as load:
            wait_for("connections", lambda: len(load.outcomes) > 50)
            lab.api.patch("Node", owner, {"metadata": {"annotations": {DRAIN: "true"}}}, "")
            heir = wait_for("another owner", lambda: next((n for n in others if announces(lab, n, address)), ""))
            moved = len(load.outcomes)
            wait_for("connections to it", lambda: len(load.outcomes) > moved + 200)
        assert not load.failures, load.summary()
        told = lab.announcement(heir, "web", address)
        assert (told["cause"], told["took_ms"]) == ("OwnerReleased", 0)
    finally:
        lab.api.patch("Node", owner, {"metadata": {"annotations": {DRAIN: None}}}, "")
