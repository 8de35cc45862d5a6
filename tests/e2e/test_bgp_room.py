# SPDX-License-Identifier: Apache-2.0
"""The room bgp: what is announced, taken over, taken back and left alone, whatever becomes of bgpd.

Judged by what the router's bgpd has learned, by the node's running configuration, and by the commands counted.
"""

import contextlib
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from bgproom import TOR4, TOR6, Start, cleanup, gone, learned, want

from lab import frr
from lab.waiting import wait_for

pytest_plugins = ["bgproom"]
pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")


def lines_of_others(text: str) -> list[str]:
    """The running configuration without what is ours; for instances that others made."""
    kept, skipping = [], False
    for line in text.splitlines():
        if not line.startswith(" "):
            skipping = line.startswith("route-map FAIRLEAD-")
        if not skipping and "FAIRLEAD" not in line and "10.99.0.2" not in line and "fd99::2" not in line:
            kept.append(line)
    frame = ("", "exit", "exit-address-family", "address-family ipv6 unicast")
    return [line for line in kept if line.strip(" !") not in frame]


def test_announce_and_withdraw(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1", "2001:db8::1"))
    speaker.established(2)
    learned(router, "198.51.100.1/32", "2001:db8::1/128")
    path = router.route("198.51.100.1/32")["paths"][0]
    assert path["community"]["string"] == "65000:100"
    assert path["largeCommunity"]["string"] == "1:2:3"
    before = speaker.stats()["commands"]
    steps: list[tuple[str, ...]] = [
        ("198.51.100.1", "2001:db8::1", "198.51.100.2"),
        ("198.51.100.1", "2001:db8::1", "198.51.100.2", "198.51.100.3", "2001:db8::3"),
        ("198.51.100.1", "2001:db8::1", "198.51.100.2", "198.51.100.3", "2001:db8::3"),
        ("198.51.100.1", "2001:db8::1", "198.51.100.2"),
        ("198.51.100.1", "2001:db8::1"),
    ]
    costs = []
    for step in steps:
        costs.append(speaker.publish(want(*step))["stats"]["commands"] - before)
        before += costs[-1]
        prefixes = [a + ("/128" if ":" in a else "/32") for a in step]
        learned(router, *prefixes)
    assert max(costs) <= 3 and costs[2] == 0, costs
    gone(router, "198.51.100.2/32", "198.51.100.3/32", "2001:db8::3/128")
    # Nothing is ever accepted from a router.
    assert not bgpd.route("203.0.113.0/24")
    wait_for("the prefixes sent", lambda: [p["prefixes_sent"] for p in speaker.status()["peers"]] == [1, 1])


def test_communities_that_bgpd_itself_would_obey_reach_the_router(
    bgpd: frr.Daemon, router: frr.Daemon, start: Start
) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1"))
    speaker.established(2)
    rows = {
        "198.51.100.2": (["65535:65281", "65000:100"], "65000:100 no-export"),
        "198.51.100.3": (["65535:65282"], "no-advertise"),
        "198.51.100.4": (["65535:65283", "65535:65281"], "no-export local-AS"),
        "198.51.100.5": (["65535:666"], "blackhole no-export"),  # the router adds that itself (RFC 7999)
    }
    addresses = [{"address": a, "advertisements": [{"communities": c}]} for a, (c, _) in rows.items()]
    speaker.publish({"peers": [TOR4, TOR6], "addresses": addresses})
    for address, (_, seen) in rows.items():
        learned(router, f"{address}/32")
        (path, *_) = router.route(f"{address}/32")["paths"]
        assert path["community"]["string"] == seen
    # What bgpd prints of it is what was meant: the next life has nothing to say.
    speaker.kill()
    assert start().publish({"peers": [TOR4, TOR6], "addresses": addresses})["stats"]["commands"] == 0


def test_a_prefix_without_our_policy_is_never_sent(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1"))
    speaker.established(2)
    bgpd.configure("router bgp 65001", "address-family ipv4 unicast", "network 192.0.2.0/24")
    speaker.publish(want("198.51.100.1", "198.51.100.2"))
    learned(router, "198.51.100.2/32")
    assert not router.route("192.0.2.0/24")


def versions(route: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Of each path, as the router counts them; its times of day are rounded anew each time."""
    return [(path["peer"]["peerId"], path["version"]) for path in route["paths"]]


def test_restart_changes_nothing(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    first = start()
    first.publish(want("198.51.100.1", "2001:db8::1"))
    first.established(2)
    learned(router, "198.51.100.1/32", "2001:db8::1/128")
    config, route = bgpd.running_config(), router.route("198.51.100.1/32")
    resets = [p["resets"] for p in first.status()["peers"]]
    first.kill()
    second = start()
    status = second.publish(want("198.51.100.1", "2001:db8::1"))
    assert status["stats"]["commands"] == 0 and status["stats"]["batches"] == 0
    assert bgpd.running_config() == config
    assert versions(router.route("198.51.100.1/32")) == versions(route)
    second.established(2)
    assert [p["resets"] for p in second.status()["peers"]] == resets


def test_killed_in_the_middle_of_a_batch(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    many = [f"198.51.{i // 250}.{i % 250}" for i in range(3000)]
    for _ in range(3):
        speaker = start()
        speaker.publish(want(*many), applied=False)
        time.sleep(0.01)
        speaker.kill()
        speaker = start()
        speaker.publish(want("198.51.100.1"))
        assert bgpd.running_config().count("network 198.51.") == 1
        speaker.kill()


@pytest.mark.parametrize(
    "instance",
    [(), ("router bgp 65001", "bgp router-id 9.9.9.9", "no bgp network import-check")],
    ids=["ours", "others"],
)
def test_killed_while_a_neighbour_is_made(
    bgpd: frr.Daemon, router: frr.Daemon, start: Start, instance: tuple[str, ...]
) -> None:
    """A bgpd that cannot deliver an answer drops the rest of what it was sent: the neighbour has no description."""
    if instance:
        bgpd.configure(*instance)
    before = bgpd.running_config()
    with frr.Relay(bgpd, "remote-as", lambda: bgpd.signal(signal.SIGSTOP) or True) as relay:
        speaker = start()
        speaker.publish(want("198.51.100.1", peers=(TOR4,)), applied=False)
        wait_for("bgpd to be stopped", lambda: relay.seen)
        speaker.kill()
        wait_for("the connection's end", relay.is_idle)
        bgpd.signal(signal.SIGCONT)
    config = bgpd.running_config()
    assert "neighbor 10.99.0.2 remote-as 65002" in config and "description" not in config
    speaker = start()
    status = speaker.publish(want("198.51.100.1", peers=(TOR4,)))
    assert status["peers"][0]["reason"] != "BgpPeerTaken"
    speaker.established(1)
    learned(router, "198.51.100.1/32")
    assert "FAIRLEAD-PEER" not in bgpd.running_config()
    speaker.kill()
    cleanup(bgpd)
    assert bgpd.running_config() == before


def test_bgpd_killed_is_told_again(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1", "2001:db8::1"))
    speaker.established(2)
    learned(router, "198.51.100.1/32")
    config = bgpd.running_config()
    bgpd.kill()
    gone(router, "198.51.100.1/32")
    speaker.reason_is("BgpUnreachable")
    # What is wanted meanwhile is not lost.
    speaker.publish(want("198.51.100.1", "2001:db8::1", "198.51.100.2"), applied=False)
    bgpd.start()
    learned(router, "198.51.100.1/32", "198.51.100.2/32", "2001:db8::1/128")
    stats = speaker.publish(want("198.51.100.1", "2001:db8::1"))["stats"]
    assert stats["replays"] == 1 and stats["reconnects"] == 1
    assert bgpd.running_config() == config


def test_bgpd_killed_in_the_middle_of_a_batch(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1"))
    many = [f"198.51.{i // 250}.{i % 250}" for i in range(5000)]
    speaker.publish(want(*many), applied=False)
    time.sleep(0.01)
    bgpd.kill()
    bgpd.start()
    wait_for("all of it", lambda: speaker.status()["prefixes"] == {"wanted": 5000, "set": 5000})
    wait_for("acknowledged", lambda: speaker.status()["applied"] == 2)
    assert bgpd.running_config().count("network 198.51.") == 5000


OTHERS = (
    "bgp community-list standard THEIRS seq 5 permit 65001:7",
    "route-map THEIRS-OUT permit 10",
    "match community THEIRS",
    "router bgp 65001",
    "bgp router-id 9.9.9.9",
    "bgp log-neighbor-changes",
    "no bgp network import-check",
    "neighbor ISP peer-group",
    "neighbor ISP remote-as 65077",
    "neighbor 10.99.0.77 peer-group ISP",
    "neighbor 10.99.0.77 description not FAIRLEAD at all",
    "neighbor 10.99.0.78 remote-as internal",
    "address-family ipv4 unicast",
    "network 192.0.2.0/24",
    "network 192.0.2.128/25 route-map THEIRS-OUT",
    "neighbor ISP route-map THEIRS-OUT out",
    "neighbor 10.99.0.78 prefix-list NONE out",
)


def test_others_configuration_stays_byte_for_byte(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    bgpd.configure(*OTHERS)
    before = bgpd.running_config()
    speaker = start("--resync", "300")
    speaker.publish(want("198.51.100.1", "2001:db8::1", "192.0.2.0"))
    speaker.established(2)
    learned(router, "198.51.100.1/32", "2001:db8::1/128")
    assert not router.route("192.0.2.0/24")
    assert speaker.status()["instance"] == {"asn": 65001, "own": False}
    assert lines_of_others(bgpd.running_config()) == lines_of_others(before)
    speaker.publish(want("198.51.100.2", peers=(TOR4,)))
    bgpd.kill()
    bgpd.start()
    time.sleep(0.5)  # bgpd gets its own configuration a moment after it started: it must find no instance of ours
    bgpd.configure(*OTHERS)
    learned(router, "198.51.100.2/32")
    assert speaker.status()["instance"] == {"asn": 65001, "own": False}
    speaker.kill()
    cleanup(bgpd)
    assert bgpd.running_config() == before


def test_cleanup_leaves_nothing(bgpd: frr.Daemon, start: Start) -> None:
    before = bgpd.running_config()
    speaker = start()
    speaker.publish(want("198.51.100.1", "2001:db8::1"))
    speaker.kill()
    assert "FAIRLEAD" in bgpd.running_config()
    cleanup(bgpd)
    assert bgpd.running_config() == before
    bgpd.kill()
    cleanup(bgpd)  # nothing runs: nothing of ours


def test_cleanup_ends_where_bgpd_hangs(bgpd: frr.Daemon, start: Start) -> None:
    """And so many have tried to connect that no more may wait."""
    bgpd.signal(signal.SIGSTOP)
    waiting: list[socket.socket] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            waiting[-1].connect(str(bgpd.socket))
    speaker = start()
    speaker.publish(want("198.51.100.1"), applied=False)
    assert "the daemon hangs" in speaker.reason_is("BgpUnreachable")["message"]
    with pytest.raises(subprocess.CalledProcessError):
        cleanup(bgpd)
    for client in waiting:
        client.close()
    bgpd.signal(signal.SIGCONT)
    wait_for("bgpd has it", lambda: speaker.status()["reason"] != "BgpUnreachable")


def test_what_is_removed_by_hand_comes_back(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start("--resync", "200")
    speaker.publish(want("198.51.100.1"))
    config = bgpd.running_config()
    for _ in range(2):
        bgpd.configure("router bgp 65001", "address-family ipv4 unicast", "no network 198.51.100.1/32")
        wait_for("it is there again", lambda: bgpd.running_config() == config)
    speaker.established(2)


def test_the_instance_removed_by_hand_comes_back(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1"))
    bgpd.configure("no router bgp 65001")
    time.sleep(0.5)  # bgpd 8.4 itself crashes on a network line for an instance whose removal is still under way
    status = speaker.publish(want("198.51.100.2"))
    assert status["stats"]["failures"] == 0 and status["reason"] == "Announced"
    learned(router, "198.51.100.2/32")


def test_hung_bgpd(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start("--timeout", "500")
    speaker.publish(want("198.51.100.1"))
    speaker.established(2)
    bgpd.signal(signal.SIGSTOP)
    speaker.publish(want("198.51.100.2"), applied=False)
    assert "no reply within 500 ms" in speaker.reason_is("BgpUnreachable")["message"]
    bgpd.signal(signal.SIGCONT)
    learned(router, "198.51.100.2/32")
    gone(router, "198.51.100.1/32")
    speaker.reason_is("Announced")


@pytest.mark.parametrize(
    "rubbish",
    [b"SSH-2.0-OpenSSH_9.2\r\n\0\n", b"\0\0\0\0" * 50, b"\0\0\0\x02", b"x" * 100_000 + b"\0x", b""],
    ids=["banner", "too many replies", "refusal", "flood", "silence and end"],
)
def test_rubbish_answers(bgpd: frr.Daemon, start: Start, tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "fake.vty"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                connection.recv(4096)
                connection.sendall(rubbish)
            except OSError:
                pass
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    speaker = start(path=path)
    speaker.publish(want("198.51.100.1"), applied=False)
    wait_for("several attempts", lambda: "not connected yet" not in speaker.status()["message"])
    status = speaker.status()
    assert status["reason"] == "BgpUnreachable" and status["applied"] == 0 and str(path) in status["message"]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_socket_not_permitted(bgpd: frr.Daemon, start: Start) -> None:
    prefix = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    speaker = start(prefix=prefix)
    speaker.publish(want("198.51.100.1"), applied=False)
    status = speaker.reason_is("BgpUnreachable")
    wait_for("why", lambda: "permission denied" in speaker.status()["message"])
    assert "frrvty" in speaker.status()["message"] and not status["connected"]


def test_bgpd_absent_and_then_there(bgpd: frr.Daemon, start: Start) -> None:
    bgpd.kill()
    bgpd.socket.unlink()
    speaker = start()
    speaker.publish(want("198.51.100.1"), applied=False)
    wait_for("why", lambda: "No such file" in speaker.status()["message"])
    bgpd.start()
    wait_for("announced", lambda: speaker.status()["applied"] == 1)


@pytest.mark.parametrize(
    ("config", "reason", "cure"),
    [
        (("router bgp 65009",), "BgpAsMismatch", ("no router bgp 65009",)),
        (("router bgp 65001",), "BgpImportCheck", ("router bgp 65001", "no bgp network import-check")),
        (
            ("router bgp 65001", "no bgp network import-check", "neighbor 10.99.0.78 remote-as internal"),
            "BgpForeignInstance",
            ("router bgp 65001", "address-family ipv4 unicast", "neighbor 10.99.0.78 prefix-list NONE out"),
        ),
    ],
    ids=["AS mismatch", "import-check", "unfiltered neighbour"],
)
def test_others_instance_in_the_way(
    bgpd: frr.Daemon, start: Start, config: tuple[str, ...], reason: str, cure: tuple[str, ...]
) -> None:
    bgpd.configure(*config)
    before = bgpd.running_config()
    speaker = start("--resync", "200")
    speaker.publish(want("198.51.100.1"), applied=False)
    status = speaker.reason_is(reason)
    assert "6500" in status["message"] and status["stats"]["commands"] == 0
    assert bgpd.running_config() == before
    bgpd.configure(*cure)
    wait_for("applied", lambda: speaker.status()["prefixes"]["set"] == 1)
    assert "network 198.51.100.1/32 route-map FAIRLEAD-A-" in bgpd.running_config()
    assert speaker.status()["reason"] == "Announced"


def test_a_bgpd_that_starts_is_given_time_to_read_its_configuration(bgpd: frr.Daemon, start: Start) -> None:
    speaker = start("--settle", "5000")
    speaker.publish(want("198.51.100.1"), applied=False)
    speaker.reason_is("BgpPending")
    bgpd.configure("router bgp 65009", "neighbor 10.99.0.78 remote-as 7")
    speaker.reason_is("BgpAsMismatch")
    assert speaker.stats()["commands"] == 0


def test_a_shared_instance_is_said_to_be_so(bgpd: frr.Daemon, start: Start) -> None:
    bgpd.configure("router bgp 65001", "no bgp network import-check", "neighbor 10.99.0.78 remote-as internal")
    speaker = start("--shared")
    speaker.publish(want("198.51.100.1"))
    assert speaker.status()["reason"] == "Announced"


def test_taken_peer_and_prefix(bgpd: frr.Daemon, start: Start) -> None:
    bgpd.configure(
        *("router bgp 65001", "no bgp network import-check", "neighbor 10.99.0.2 remote-as 65002"),
        *("address-family ipv4 unicast", "network 198.51.100.1/32"),
    )
    before = bgpd.running_config()
    speaker = start()
    status = speaker.publish(want("198.51.100.1", "198.51.100.2"))
    assert [p["reason"] for p in status["peers"]][0] == "BgpPeerTaken"
    assert status["prefixes"] == {"wanted": 2, "set": 1}
    speaker.kill()
    cleanup(bgpd)
    assert bgpd.running_config() == before


def test_peers_come_and_go_live(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1", peers=(TOR4,)))
    speaker.established(1)
    speaker.publish(want("198.51.100.1", peers=(TOR4, TOR6)))
    speaker.established(2)
    resets = [p["resets"] for p in speaker.status()["peers"]]
    speaker.publish(want("198.51.100.1", peers=(TOR6, {**TOR4, "name": "renamed"})))
    speaker.established(2)
    assert [p["resets"] for p in reversed(speaker.status()["peers"])] == resets
    learned(router, "198.51.100.1/32")
    speaker.publish(want("198.51.100.1", "2001:db8::1", peers=(TOR6,)))
    assert "10.99.0.2" not in bgpd.running_config()
    learned(router, "2001:db8::1/128")
    # No peers for this node any more: the instance was ours, so it goes.
    speaker.publish(want("198.51.100.1", peers=()))
    assert "FAIRLEAD" not in bgpd.running_config() and "router bgp" not in bgpd.running_config()
    gone(router, "198.51.100.1/32", "2001:db8::1/128")


def test_everything_changes_at_once(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1", "2001:db8::1"))
    speaker.established(2)
    router.configure(
        *("no router bgp 65002", "router bgp 65012", "no bgp ebgp-requires-policy", "bgp router-id 2.2.2.2"),
        *("neighbor 10.99.0.1 remote-as 65011", "neighbor 10.99.0.1 timers connect 1"),
        "neighbor 10.99.0.1 password other",
    )
    peer = {**TOR4, "my_asn": 65011, "asn": 65012, "password": "other", "hold": 30, "router_id": "1.1.1.9"}
    other = [{"length": 24, "communities": ["65000:7"]}]
    speaker.publish({"peers": [peer], "addresses": [{"address": "192.0.2.9", "advertisements": other}]})
    learned(router, "192.0.2.0/24")
    assert router.route("192.0.2.0/24")["paths"][0]["community"]["string"] == "65000:7"
    config = bgpd.running_config()
    assert "65001" not in config and "198.51.100" not in config and config.count("route-map FAIRLEAD-A-") == 2


def test_strings_of_users(bgpd: frr.Daemon, start: Start) -> None:
    speaker = start()
    for bad in ("a\nno router bgp 65001", "x" * 4000, "a b", "tab\there", "p\u00e4ss"):
        for key in ("password", "bfd_profile"):
            assert "peer 10.99.0.2" in speaker.ask(want(peers=({**TOR4, key: bad},)))["error"]
        assert "communit" in speaker.ask(
            {"peers": [TOR4], "addresses": [{"address": "192.0.2.1", "advertisements": [{"communities": [bad]}]}]}
        )["error"]
        speaker.publish(want("198.51.100.1", peers=({**TOR4, "name": bad},)))
        assert "description FAIRLEAD" in bgpd.running_config()
