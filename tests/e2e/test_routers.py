# SPDX-License-Identifier: Apache-2.0
"""The router's side, as docs/bgp.md gives it: FRR's and BIRD's configuration are taken from there and run.

The node is bgpctl and a real bgpd, as in the other modules of the room bgp; the addresses are those of the page.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bgproom import NODE, ROUTER, Start, daemon, learned, want

from lab import frr, netns
from lab.cluster import SOURCE
from lab.waiting import wait_for

pytest_plugins = ["bgproom"]
pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")

AS = {"my_asn": 64512, "asn": 64513}
PEER = {"name": "router", "address": "192.168.1.2", **AS, "router_id": "192.168.1.11", "hold": 9}
INSIDE, OUTSIDE = "198.51.100.7", "203.0.113.7"


def configuration(first: str) -> list[str]:
    """The block of the page that begins with this line, without it."""
    page = (SOURCE / "docs/bgp.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```text\n{re.escape(first)}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(block).splitlines()


@pytest.fixture
def addresses(namespaces: None) -> Iterator[None]:
    """Those of the page, beside the room's own."""
    both = ((NODE, "192.168.1.11/24"), (ROUTER, "192.168.1.2/24"))
    for name, address in both:
        netns.configure(name, [f"addr add {address} dev eth0"])
    yield
    for name, address in both:
        netns.configure(name, [f"addr del {address} dev eth0"])


@pytest.fixture
def frr_router(addresses: None) -> Iterator[frr.Daemon]:
    for router in daemon("bgpd", ROUTER):
        router.configure(*configuration("! frr.conf of the router"))
        yield router


def test_frr(frr_router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want(INSIDE, OUTSIDE, peers=(PEER,)))
    speaker.established(1)
    learned(frr_router, f"{INSIDE}/32")
    assert frr_router.route(f"{INSIDE}/32")["paths"][0]["nexthops"][0]["ip"] == "192.168.1.11"
    assert not frr_router.route(f"{OUTSIDE}/32"), "the router's filter lets more in than the pool"


class Bird:
    """bird in the router's namespace, and its command socket."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "bird.ctl"
        config = directory / "bird.conf"
        config.write_text("\n".join(configuration("# bird.conf of the router")) + "\n", encoding="utf-8")
        argv = ["bird", "-f", "-c", str(config), "-s", str(self._socket), "-P", str(directory / "bird.pid")]
        with netns.entered(ROUTER):
            self._process = subprocess.Popen(argv)
        wait_for("bird's socket", self._socket.exists)

    def ask(self, *words: str) -> str:
        argv = ["birdc", "-s", str(self._socket), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture
def bird(addresses: None, tmp_path: Path) -> Iterator[Bird]:
    if not shutil.which("bird"):
        pytest.skip("bird is not installed")
    running = Bird(tmp_path)
    yield running
    running.stop()


def test_bird(bird: Bird, start: Start) -> None:
    speaker = start()
    speaker.publish(want(INSIDE, OUTSIDE, peers=(PEER,)))
    speaker.established(1)
    wait_for("the route in BIRD", lambda: "via 192.168.1.11" in bird.ask("show", "route", "for", f"{INSIDE}/32"))
    assert f"{OUTSIDE}/32" not in bird.ask("show", "route")
    wait_for("the route in the kernel", lambda: f"{INSIDE} via" in netns.output(ROUTER, ["ip", "-4", "route"]))
