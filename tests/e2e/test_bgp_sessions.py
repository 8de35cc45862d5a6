# SPDX-License-Identifier: Apache-2.0
"""The room bgp: sessions that come up, do not, and are lost, each with the reason in words."""

import json
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from bgproom import NODE, ROUTER, ROUTER_ADDRESS, TOR4, Start, cleanup, gone, learned, want

from lab import frr, netns
from lab.waiting import wait_for

pytest_plugins = ["bgproom"]
pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")


def last_error(speaker: Any) -> str:
    error: str = speaker.status()["peers"][0]["last_error"]
    return error


def test_a_neighbour_shut_down_by_hand_stays_so(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start("--resync", "200")
    speaker.publish(want("198.51.100.1", peers=(TOR4,)))
    speaker.established(1)
    bgpd.configure("router bgp 65001", "neighbor 10.99.0.2 shutdown")
    wait_for("the state says so", lambda: speaker.status()["peers"][0]["state"] == "Shutdown")
    assert "by hand" in speaker.status()["peers"][0]["last_error"]
    speaker.publish(want("198.51.100.2", peers=(TOR4,)))
    assert "neighbor 10.99.0.2 shutdown" in bgpd.running_config()


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        ({"asn": 65003}, "bgpd said to the router: OPEN Message Error/Bad Peer AS"),
        ({"my_asn": 65009}, "the router said: OPEN Message Error/Bad Peer AS"),
    ],
    ids=["peer-asn", "my-asn"],
)
def test_wrong_as_number(bgpd: frr.Daemon, router: frr.Daemon, start: Start, peer: dict[str, int], words: str) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1", peers=({**TOR4, **peer},)))
    wait_for("the error in words", lambda: words in last_error(speaker), 30)
    assert speaker.status()["peers"][0]["reason"] == "BgpNoSession"
    assert not router.route("198.51.100.1/32")
    speaker.publish(want("198.51.100.1", peers=(TOR4,)))
    speaker.established(1)
    learned(router, "198.51.100.1/32")
    assert last_error(speaker) == ""


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ("wr0ngsecret", "right", "the router has another password"),
        ("wr0ngsecret", None, "the router has no password"),
        (None, "right", "the router has a password, the configuration none"),
    ],
    ids=["another", "ours alone", "the router's alone"],
)
def test_wrong_password(
    bgpd: frr.Daemon, router: frr.Daemon, start: Start, ours: str | None, theirs: str | None, words: str
) -> None:
    if theirs:
        router.configure("router bgp 65002", f"neighbor 10.99.0.1 password {theirs}")
    speaker = start()
    speaker.publish(want("198.51.100.1", peers=({**TOR4, "password": ours} if ours else TOR4,)))
    wait_for("it in words", lambda: words in last_error(speaker), 40)
    assert "wr0ngsecret" not in json.dumps(speaker.status())
    speaker.publish(want("198.51.100.1", peers=({**TOR4, "password": theirs} if theirs else TOR4,)))
    speaker.established(1)
    learned(router, "198.51.100.1/32")
    speaker.kill()
    assert "wr0ngsecret" not in "".join(speaker.errors) and "right" not in "".join(speaker.errors)


def test_a_peer_that_is_gone_says_so_plainly(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    """Refused, silent, away, without a route: bgpd alone says only that it tries, and what ended the last session."""
    speaker = start()
    speaker.publish(want("198.51.100.1", peers=(TOR4,)))
    speaker.established(1)
    assert last_error(speaker) == ""
    says = lambda words: wait_for(f"'{words}'", lambda: words in last_error(speaker), 40)  # noqa: E731
    router.stop()
    says("the router refuses connections to TCP port 179")
    netns.output(ROUTER, ["nft", "add table inet silent"])
    try:
        netns.output(ROUTER, ["nft", "add chain inet silent in { type filter hook input priority 0; policy drop; }"])
        netns.output(ROUTER, ["nft", "add rule inet silent in meta l4proto != tcp accept"])
        says("the router does not answer on TCP port 179")
    finally:
        netns.output(ROUTER, ["nft", "delete table inet silent"])
    netns.configure(ROUTER, ["addr del 10.99.0.2/24 dev eth0"])
    try:
        says("the router is unreachable: nothing answers for its address")
    finally:
        netns.configure(ROUTER, ["addr add 10.99.0.2/24 dev eth0"])
    netns.configure(NODE, ["addr del 10.99.0.1/24 dev eth0"])
    try:
        says("there is no route to the router")
    finally:
        netns.configure(NODE, ["addr add 10.99.0.1/24 dev eth0"])


def test_bfd_profiles(bgpd: frr.Daemon, start: Start) -> None:
    fast = {"name": "fast", "transmit": 50, "receive": 60, "multiplier": 5}
    with_bfd = want("198.51.100.1", peers=({**TOR4, "bfd_profile": "fast"},), bfd_profiles=[fast])
    directory = bgpd.directory
    bfdd = frr.Daemon("bfdd", NODE, directory, "--bfdctl", str(directory / "bfdd.sock"))
    speaker = start("--bfdd", str(bfdd.socket))
    speaker.publish(with_bfd)
    assert not speaker.status()["bfd"]["in_sync"]
    bfdd.start()
    try:
        bfdd.configure("bfd", "profile theirs", "transmit-interval 90")
        wait_for("profiles", lambda: speaker.status()["bfd"]["in_sync"])
        assert "transmit-interval 50" in bfdd.running_config()
        assert "bfd profile FAIRLEAD-fast" in bgpd.running_config()
        speaker.publish(want("198.51.100.1", bfd_profiles=[{"name": "fast"}]))
        wait_for("defaults again", lambda: "transmit-interval 50" not in bfdd.running_config())
        assert "neighbor 10.99.0.2 bfd" not in bgpd.running_config()
        speaker.kill()
        cleanup(bgpd, "--bfdd", str(bfdd.socket))
        assert "FAIRLEAD" not in bfdd.running_config() and "profile theirs" in bfdd.running_config()
    finally:
        bfdd.stop()


@pytest.fixture
def with_bfd(namespaces: None) -> Iterator[dict[str, frr.Daemon]]:
    """zebra, bgpd and bfdd in both namespaces; bgpd speaks to bfdd through zebra."""
    daemons: dict[str, frr.Daemon] = {}
    try:
        for namespace in (NODE, ROUTER):
            directory = frr.run_directory()
            for name in ("zebra", "bgpd", "bfdd"):
                flags = ("--bfdctl", str(directory / "bfdd.sock")) if name == "bfdd" else ()
                made = frr.Daemon(name, namespace, directory, *flags)
                daemons[f"{name} {namespace}"] = made
                made.start()
        yield daemons
    finally:
        for made in reversed(daemons.values()):
            made.stop()
        for made in daemons.values():
            shutil.rmtree(made.directory, ignore_errors=True)


def cut_silently(namespace: str) -> None:
    """Nothing comes in or goes out any more, and no carrier is lost."""
    for chain in ("INPUT", "OUTPUT"):
        netns.output(namespace, ["iptables", "-A", chain, "-j", "DROP"])


def test_bfd_finds_a_cut_link(with_bfd: dict[str, frr.Daemon], start: Start) -> None:
    router, bfdd = with_bfd[f"bgpd {ROUTER}"], with_bfd[f"bfdd {NODE}"]
    with_bfd[f"bfdd {ROUTER}"].configure("bfd", "profile fast", "transmit-interval 50", "receive-interval 50")
    router.configure(
        "router bgp 65002",
        "bgp router-id 2.2.2.2",
        "no bgp ebgp-requires-policy",
        "neighbor 10.99.0.1 remote-as 65001",
        "neighbor 10.99.0.1 timers connect 1",
        "neighbor 10.99.0.1 bfd profile fast",
    )
    fast = {"name": "fast", "transmit": 50, "receive": 50, "multiplier": 3}
    # A hold time that would not be over before the test is.
    peer = {**TOR4, "hold": 3600, "bfd_profile": "fast"}
    speaker = start("--bfdd", str(bfdd.socket), path=with_bfd[f"bgpd {NODE}"].socket)
    speaker.publish(want("198.51.100.1", peers=(peer,), bfd_profiles=[fast]))
    speaker.established(1)
    learned(router, "198.51.100.1/32")

    def bfd() -> str:
        state: str = speaker.status()["peers"][0]["bfd"]
        return state

    wait_for("BFD to be up", lambda: bfd() == "Up", 30)
    (session,) = bfdd.json("show bfd peers json")
    assert (session["peer"], session["status"]) == (ROUTER_ADDRESS, "up")
    assert session["transmit-interval"] == session["receive-interval"] == 50
    cut_silently(ROUTER)
    try:
        gone(router, "198.51.100.1/32")
        wait_for("the session to be down", lambda: not speaker.status()["peers"][0]["established"], 30)
        wait_for("why", lambda: "BFD" in last_error(speaker), 30)
        assert bfd() == "Down"
    finally:
        netns.output(ROUTER, ["iptables", "-F"])
    speaker.established(1)
    learned(router, "198.51.100.1/32")
    bfdd.stop()
    # bgpd goes on saying what it heard last.
    wait_for("BFD to be unknown", lambda: bfd() == "Unknown", 30)


def test_ipv6_over_an_ipv4_session_needs_an_ipv6_address(with_bfd: dict[str, frr.Daemon], start: Start) -> None:
    bgpd, router = with_bfd[f"bgpd {NODE}"], with_bfd[f"bgpd {ROUTER}"]
    router.configure(
        *("router bgp 65002", "bgp router-id 2.2.2.2", "no bgp ebgp-requires-policy"),
        *("neighbor 10.99.0.1 remote-as 65001", "neighbor 10.99.0.1 timers connect 1"),
        *("address-family ipv6 unicast", "neighbor 10.99.0.1 activate"),
    )
    netns.configure(NODE, ["addr del fd99::1/64 dev eth0"])
    try:
        speaker = start(path=bgpd.socket)
        speaker.publish(want("198.51.100.1", "2001:db8::1", peers=(TOR4,)))
        speaker.established(1)
        learned(router, "198.51.100.1/32")

        def reason(address: str) -> str:
            said: str = speaker.ask({"reason": address})["reason"]
            return said

        wait_for("the reason", lambda: reason("2001:db8::1") == "BgpNoNextHop", 30)
        assert reason("198.51.100.1") == "Announced"
    finally:
        netns.configure(NODE, ["addr add fd99::1/64 dev eth0 nodad"])
    # bgpd looks at the link when a session begins.
    bgpd.show("clear bgp 10.99.0.2")
    wait_for("another session to have a next hop", lambda: reason("2001:db8::1") == "Announced", 60)


def uptime_ms(bgpd: frr.Daemon) -> int:
    """Of the session with the router, as bgpd has it; 0 while there is none."""
    peer = bgpd.json("show bgp summary json")["ipv4Unicast"]["peers"][ROUTER_ADDRESS]
    ms: int = peer["peerUptimeMsec"] if peer["state"] == "Established" else 0
    return ms


def test_a_hold_time_that_waits_is_told(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1", peers=(TOR4,)))
    speaker.established(1)
    assert last_error(speaker) == ""
    wait_for("the session's times to be known", lambda: speaker.status()["peers"][0]["uptime_ms"] > 2000, 30)
    speaker.publish(want("198.51.100.1", peers=({**TOR4, "hold": 30},)))
    words = "the hold time of 30 s is in force from the next session on; this one has 9 s"
    wait_for("it in words", lambda: last_error(speaker) == words, 30)
    # The next session is older, when it is looked at, than this one was the last time.
    speaker.signal(signal.SIGSTOP)
    try:
        seen = uptime_ms(bgpd)
        bgpd.show("clear bgp 10.99.0.2")
        wait_for("another session", lambda: uptime_ms(bgpd) < seen, 30)
        wait_for("it to be older", lambda: uptime_ms(bgpd) > seen + 1000, 60, 0.2)
    finally:
        speaker.signal(signal.SIGCONT)
    wait_for("nothing to wait for", lambda: last_error(speaker) == "", 30)
