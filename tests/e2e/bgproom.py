# SPDX-License-Identifier: Apache-2.0
"""The room bgp against real bgpd's: a node and a router in namespaces, and tests/bgp/bgpctl as the speaker.

A plugin of pytest: a module with `pytest_plugins = ["bgproom"]` has its fixtures.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import frr, netns
from lab.cluster import SOURCE
from lab.waiting import wait_for

BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
_ID = os.environ.get("FAIRLEAD_LAB_ID", "e2e")
NODE, ROUTER = f"flbgp-{_ID}-node", f"flbgp-{_ID}-router"
NODE_ADDRESS, ROUTER_ADDRESS = "10.99.0.1", "10.99.0.2"
ADS = [{"communities": ["65000:100", "large:1:2:3"], "localpref": 200}]
TOR4 = {"name": "tor", "address": "10.99.0.2", "my_asn": 65001, "asn": 65002, "router_id": "1.1.1.1", "hold": 9}
TOR6 = {**TOR4, "name": "tor-v6", "address": "fd99::2"}


def address(text: str, **more: Any) -> dict[str, Any]:
    return {"address": text, "advertisements": ADS, **more}


def want(*addresses: str, peers: tuple[dict[str, Any], ...] = (TOR4, TOR6), **more: Any) -> dict[str, Any]:
    return {"peers": list(peers), "pools": [ADS], "addresses": [address(a) for a in addresses], **more}


class Speaker:
    """bgpctl in the node's namespace."""

    def __init__(self, bgpd: Path, *flags: str, prefix: tuple[str, ...] = ()) -> None:
        argv = [*prefix, str(BUILD / "tests/bgp/bgpctl"), "--bgpd", str(bgpd), "--settle", "1", *flags]
        with netns.entered(NODE):
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def _read_errors(self) -> None:
        assert self._process.stderr
        self.errors += self._process.stderr

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def status(self) -> dict[str, Any]:
        return self.ask({"status": True})

    def stats(self) -> dict[str, int]:
        stats: dict[str, int] = self.status()["stats"]
        return stats

    def publish(self, question: dict[str, Any], applied: bool = True) -> dict[str, Any]:
        generation = self.ask(question)["generation"]
        if applied:
            wait_for("bgpd has it", lambda: self.status()["applied"] == generation)
        return self.status()

    def reason_is(self, reason: str) -> dict[str, Any]:
        wait_for(f"reason {reason}", lambda: self.status()["reason"] == reason)
        return self.status()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def established(self, n: int) -> None:
        up = lambda: sum(p["established"] for p in self.status()["peers"]) == n  # noqa: E731
        wait_for(f"{n} sessions", up, 30)


Start = Callable[..., Speaker]


@pytest.fixture(scope="module")
def namespaces() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    for name in (NODE, ROUTER):
        netns.delete(name)
        netns.create(name)
    netns.configure(NODE, [f"link add eth0 type veth peer name eth0 netns {ROUTER}"])
    for i, name in enumerate((NODE, ROUTER), 1):
        up = ["link set lo up", "link set eth0 up"]
        netns.configure(name, [*up, f"addr add 10.99.0.{i}/24 dev eth0", f"addr add fd99::{i}/64 dev eth0 nodad"])
    yield
    for name in (NODE, ROUTER):
        netns.delete(name)


@pytest.fixture
def bgpd(namespaces: None) -> Iterator[frr.Daemon]:
    yield from daemon("bgpd", NODE)


@pytest.fixture
def router(namespaces: None) -> Iterator[frr.Daemon]:
    for router in daemon("bgpd", ROUTER):
        router.configure(
            "router bgp 65002",
            "bgp router-id 2.2.2.2",
            "no bgp ebgp-requires-policy",
            *(f"neighbor {a} remote-as 65001" for a in ("10.99.0.1", "fd99::1")),
            *(f"neighbor {a} timers connect 1" for a in ("10.99.0.1", "fd99::1")),
            "address-family ipv4 unicast",
            "network 203.0.113.0/24",
            "address-family ipv6 unicast",
            "neighbor fd99::1 activate",
        )
        yield router


def daemon(name: str, namespace: str) -> Iterator[frr.Daemon]:
    directory = frr.run_directory()
    made = frr.Daemon(name, namespace, directory)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory)


@pytest.fixture
def start(bgpd: frr.Daemon) -> Iterator[Start]:
    speakers: list[Speaker] = []

    def starting(*flags: str, path: Path | None = None, prefix: tuple[str, ...] = ()) -> Speaker:
        speakers.append(Speaker(path or bgpd.socket, *flags, prefix=prefix))
        return speakers[-1]

    yield starting
    for speaker in speakers:
        speaker.kill()


def chosen(router: frr.Daemon, prefix: str) -> bool:
    """Whether the router has the prefix and is done choosing among its paths."""
    return any("bestpath" in path for path in router.route(prefix).get("paths", []))


def learned(router: frr.Daemon, *prefixes: str) -> None:
    for prefix in prefixes:
        wait_for(f"{prefix} at the router", lambda p=prefix: chosen(router, p))


def gone(router: frr.Daemon, *prefixes: str) -> None:
    for prefix in prefixes:
        wait_for(f"{prefix} gone from the router", lambda p=prefix: not router.route(p).get("paths"))


def cleanup(bgpd: frr.Daemon, *flags: str) -> None:
    argv = [str(BUILD / "tests/bgp/bgpctl"), "--bgpd", str(bgpd.socket), "--cleanup", *flags]
    subprocess.run(argv, check=True, timeout=30)
