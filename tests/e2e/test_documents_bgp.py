# SPDX-License-Identifier: Apache-2.0
"""What docs/bgp.md shows of bgpd, of the kernel and of `fairlead bgp`; test_routers.py has the routers' side."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bgproom import NODE, TOR4, TOR6, Start, want
from conftest import NODES, open_lab
from desk import Desk

from docs.commands import Command, difference, given_to
from lab import frr
from lab.router import ASN, Router
from lab.waiting import wait_for

pytest_plugins = ["bgproom"]
pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")
HERE = "tests/e2e/test_documents_bgp.py"
SYSTEM = "fairlead-system"
PEERS = ({**TOR4, "name": "peer-1"}, {**TOR6, "name": "peer-2"})  # as the speaker names them

def as_shown(command: Command, printed: str) -> None:
    assert not (wrong := difference(command.shown, printed)), f"{command}\n{wrong}"


def test_what_bgpd_and_bfdd_hold(bgpd: frr.Daemon, start: Start) -> None:
    without, with_bfd, bfdds = given_to(f"{HERE}::test_what_bgpd_and_bfdd_hold")

    def vtysh(command: Command) -> str:
        """On a node the sockets are where vtysh looks for them."""
        argv = shlex.split(command.text)
        assert argv[0] == "vtysh"
        argv[1:1] = ["--vty_socket", str(bgpd.directory)]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    bfdd = frr.Daemon("bfdd", NODE, bgpd.directory, "--bfdctl", str(bgpd.directory / "bfdd.sock"))
    bfdd.start()
    try:
        speaker = start("--bfdd", str(bfdd.socket))
        speaker.publish(want("198.51.100.1", "2001:db8::1", peers=PEERS))
        as_shown(without, vtysh(without))
        profile = {"name": "fast", "transmit": 50, "receive": 50, "multiplier": 3}
        peers = ({**PEERS[0], "bfd_profile": "fast"},)
        speaker.publish(want("198.51.100.1", peers=peers, bfd_profiles=[profile]))
        wait_for("the profile", lambda: speaker.status()["bfd"]["in_sync"])
        for command in (with_bfd, bfdds):
            as_shown(command, vtysh(command))
    finally:
        bfdd.stop()


@pytest.fixture(scope="module")
def bgp_router() -> Iterator[Router]:
    """A router with a password for each node: for node2 another one than the configuration's."""
    with open_lab() as lab:
        made = Router(lab)
        made.start()
        lab.start_cluster()
        lab.apply("bgp/fairlead.yaml")
        lab.apply("webapp.yaml")
        for node in NODES:
            password = "other" if node == "node2" else "right"
            made.bgpd.configure(f"router bgp {ASN}", f"neighbor {lab.host(node).address} password {password}")
        config = lab.api.get("ConfigMap", "fairlead", SYSTEM)["data"]["config"]
        changed = {
            "- peer-address:": "- password: right\n  peer-address:",
            "  auto-assign: false\n": "  bgp-advertisements: [{aggregation-length: 24}]\n",
            "198.51.100.10-198.51.100.99": "198.51.100.0/24",
            "198.51.100.100-198.51.100.109": "203.0.113.200-203.0.113.209",
        }
        for old, new in changed.items():
            assert old in config
            config = config.replace(old, new)
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": config}}, SYSTEM)
        lab.start_controller("a")
        for node in NODES:
            lab.start_speaker(node, "--bgp-socket-dir", str(made.socket_directory(node)))
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        spec = {"type": "LoadBalancer", "selector": {"app": "webapp"}, "ports": ports}
        meta = {"name": "web", "annotations": {"fairlead.io/address-pool": "public"}}
        lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
        yield made
        lab.stop_daemons()


@pytest.fixture
def desk(bgp_router: Router, tmp_path: Path) -> Desk:
    return Desk(bgp_router.lab, tmp_path / "desk")


def test_on_nodes_with_a_router(desk: Desk) -> None:
    for command in given_to(f"{HERE}::test_on_nodes_with_a_router"):
        desk.follow(command, 60)
