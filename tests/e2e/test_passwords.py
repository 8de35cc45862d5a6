# SPDX-License-Identifier: Apache-2.0
"""BGP passwords out of one Secret: a peer has the one that it names, or no session at all."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import MakeService, open_lab

from lab import frr
from lab.cluster import Lab
from lab.router import ADDRESS, Router
from lab.waiting import LabError, wait_for

pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")

NAMESPACE = "fairlead-system"
SECRET = "fairlead-bgp-passwords"
NODE = "node1"
POOL = {"fairlead.io/address-pool": "public"}
SLOW = 60.0


def secret(**passwords: str) -> dict[str, Any]:
    data = {k.replace("_", "-"): base64.b64encode(v.encode()).decode() for k, v in passwords.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": NAMESPACE}, "data": data}


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with open_lab() as lab:
        opened = Router(lab)
        opened.start()
        address = lab.host(NODE).address
        opened.bgpd.configure("router bgp 64513", f"neighbor {address} password right")
        lab.start_cluster()
        lab.apply("bgp/fairlead.yaml")
        lab.apply("webapp.yaml")
        config = lab.api.get("ConfigMap", "fairlead", NAMESPACE)["data"]["config"]
        named = config.replace("  hold-time: 9s\n", "  hold-time: 9s\n  password-secret: tor-a\n")
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": named}}, NAMESPACE)
        lab.start_controller("a")
        flags = ("--bgp-socket-dir", str(opened.socket_directory(NODE)), "--bgp-password-secret", SECRET)
        lab.start_speaker(NODE, "--proxy-mode", "none", *flags)
        yield opened
        lab.stop_daemons()


@pytest.fixture(scope="module")
def lab(router: Router) -> Lab:
    return router.lab


def bgp(lab: Lab) -> dict[str, Any]:
    said: dict[str, Any] = lab.daemon(NODE)["bgp"]
    return said


def wait_peer(lab: Lab, what: str, **wanted: Any) -> dict[str, Any]:
    def as_wanted() -> dict[str, Any]:
        said = bgp(lab)
        if not said["peers"] or any(said["peers"][0][k] != v for k, v in wanted.items()):
            raise LabError(f"{said}")
        peer: dict[str, Any] = said["peers"][0]
        return peer

    return wait_for(what, as_wanted, SLOW)


def running(router: Router) -> str:
    return router.bgpds[NODE].running_config()


def test_no_secret_no_session(lab: Lab, router: Router, make_service: MakeService) -> None:
    make_service("web", POOL)
    address = lab.wait_address("web")
    peer = wait_peer(lab, "the peer to be left out", reason="BgpNoPassword", established=False)
    assert (peer["address"], peer["last_error"]) == (
        ADDRESS,
        f"password-secret: there is no Secret {SECRET} with the key tor-a",
    )
    assert bgp(lab)["reason"] == "BgpNoPassword"
    lab.wait_reason(NODE, "web", address, "BgpNoPassword")
    assert f"neighbor {ADDRESS}" not in running(router)


def test_a_secret_without_the_key_is_none(lab: Lab, router: Router) -> None:
    lab.api.create(secret(tor_b="right"))
    wait_peer(lab, "the missing key", last_error=f"password-secret: Secret {SECRET} has no key tor-a")
    assert f"neighbor {ADDRESS}" not in running(router)


def test_the_password_opens_the_session_and_is_shown_nowhere(
    lab: Lab, router: Router, make_service: MakeService
) -> None:
    make_service("web", POOL)
    address = lab.wait_address("web")
    lab.api.patch("Secret", SECRET, {"data": secret(tor_a="right\n")["data"]}, NAMESPACE)
    wait_peer(lab, "the session", established=True)
    router.wait_next_hops(f"{address}/32", [NODE])
    assert f"neighbor {ADDRESS} password right" in running(router)
    assert "right" not in str(lab.daemon(NODE)) + "\n".join(lab.speaker(NODE).log_lines())


def test_a_restart_changes_nothing(lab: Lab, router: Router) -> None:
    before = running(router)
    lab.speaker(NODE).stop()
    lab.restart(f"speaker-{NODE}")
    wait_peer(lab, "the session", established=True)
    assert bgp(lab)["stats"]["commands"] == 0
    assert running(router) == before


def test_a_changed_password_is_applied(lab: Lab, router: Router) -> None:
    lab.api.patch("Secret", SECRET, {"data": secret(tor_a="another")["data"]}, NAMESPACE)
    wait_for("bgpd to have it", lambda: f"neighbor {ADDRESS} password another" in running(router), SLOW)
    wait_peer(lab, "the session to end", established=False)
    lab.api.patch("Secret", SECRET, {"data": secret(tor_a="right")["data"]}, NAMESPACE)
    wait_peer(lab, "the session", established=True)


def test_a_secret_that_is_gone_ends_no_session_and_keeps_no_route(
    lab: Lab, router: Router, make_service: MakeService
) -> None:
    make_service("web", POOL)
    address = lab.wait_address("web")
    router.wait_next_hops(f"{address}/32", [NODE])
    lab.api.delete("Secret", SECRET, NAMESPACE)
    deleted = "the Secret of BGP passwords was deleted"
    wait_for("the speaker to notice", lambda: any(deleted in line for line in lab.speaker(NODE).log_lines()))
    assert bgp(lab)["peers"][0]["established"]
    before = running(router)
    lab.speaker(NODE).stop()
    lab.restart(f"speaker-{NODE}")
    why = f"there is no Secret {SECRET} with the key tor-a; the neighbour stays as bgpd has it"
    wait_peer(lab, "the session", established=True, last_error=f"password-secret: {why}")
    router.wait_next_hops(f"{address}/32", [NODE])
    assert running(router) == before
    lab.api.delete("Service", "web")
    router.wait_next_hops(f"{address}/32", [])
    assert f"neighbor {ADDRESS} password right" in running(router)


@pytest.mark.embedded
def test_a_secret_that_may_not_be_read_holds_nothing_up(lab: Lab, router: Router, make_service: MakeService) -> None:
    make_service("web", POOL)
    address = lab.wait_address("web")
    router.wait_next_hops(f"{address}/32", [NODE])
    lab.speaker(NODE).stop()
    lab.api.delete("Service", "web")
    lab.set_faults(rules=[{"verb": "list", "path": "/secrets", "code": 403}])
    try:
        lab.restart(f"speaker-{NODE}")
        router.wait_next_hops(f"{address}/32", [])
        why = f"Secret {SECRET} with the key tor-a could not be read yet; the neighbour stays as bgpd has it"
        wait_peer(lab, "the session", established=True, last_error=f"password-secret: {why}")
    finally:
        lab.set_faults()
