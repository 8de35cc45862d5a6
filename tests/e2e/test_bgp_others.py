# SPDX-License-Identifier: Apache-2.0
"""The room bgp beside people and programs that configure the same bgpd at the same time."""

import pytest
from bgproom import TOR4, Start, cleanup, gone, learned, want

from lab import frr
from lab.waiting import wait_for

pytest_plugins = ["bgproom"]
pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")

# bgpd does not let the default instance go while one of a VRF exchanges routes with it.
DEPENDENT = (
    *("router bgp 65001 vrf red", "address-family ipv4 unicast", "rd vpn export 65001:1", "rt vpn both 65001:1"),
    *("export vpn", "import vpn"),
)


def vrf_lines(text: str) -> str:
    return text[text.index("router bgp 65001 vrf red") :].split("\nexit\n")[0]


@pytest.mark.parametrize("by_hand", [False, True], ids=["the last peer goes", "--cleanup"])
def test_an_instance_that_a_vrf_depends_on_stays_and_nothing_else_of_ours(
    bgpd: frr.Daemon, router: frr.Daemon, start: Start, by_hand: bool
) -> None:
    speaker = start()
    speaker.publish(want("198.51.100.1", "2001:db8::1"))
    speaker.established(2)
    learned(router, "198.51.100.1/32", "2001:db8::1/128")
    bgpd.configure(*DEPENDENT)
    theirs = vrf_lines(bgpd.running_config())
    if by_hand:
        speaker.kill()
        cleanup(bgpd)
    else:
        speaker.publish(want("198.51.100.1", peers=()))
    gone(router, "198.51.100.1/32", "2001:db8::1/128")
    config = bgpd.running_config()
    assert "FAIRLEAD" not in config and "neighbor" not in config and "network 198" not in config
    assert vrf_lines(config) == theirs


def test_a_session_of_others_is_not_taken_for_ours(bgpd: frr.Daemon, router: frr.Daemon, start: Start) -> None:
    bgpd.configure(
        *("router bgp 65001", "bgp router-id 9.9.9.9", "no bgp network import-check"),
        *("neighbor 10.99.0.2 remote-as 65002", "neighbor 10.99.0.2 timers connect 1", "address-family ipv4 unicast"),
        "neighbor 10.99.0.2 prefix-list NONE out",
    )
    show = "show bgp neighbors 10.99.0.2 json"
    wait_for("their session", lambda: bgpd.json(show)["10.99.0.2"]["bgpState"] == "Established", 30)
    speaker = start()
    speaker.publish(want("198.51.100.1"))
    wait_for("our session", lambda: speaker.status()["peers"][1]["established"], 30)
    theirs = speaker.status()["peers"][0]
    assert theirs["reason"] == "BgpPeerTaken" and not theirs["established"] and theirs["state"] == "Unknown"


def test_what_others_have_just_made_theirs_is_left_alone(bgpd: frr.Daemon, start: Start) -> None:
    """Since the last reading, the next of which is far away."""
    speaker = start()
    speaker.publish(want("198.51.100.1", peers=(TOR4,)))
    family = ("router bgp 65001", "address-family ipv4 unicast")
    bgpd.configure(*family, "network 198.51.100.2/32", "router bgp 65001", "neighbor fd99::2 remote-as 65002")
    status = speaker.publish(want("198.51.100.1", "198.51.100.2"))
    assert [p["reason"] for p in status["peers"]][1] == "BgpPeerTaken"
    assert status["prefixes"] == {"wanted": 2, "set": 1}
    config = bgpd.running_config()
    assert "network 198.51.100.2/32\n" in config and "neighbor fd99::2 description" not in config
    bgpd.configure(*family, "network 198.51.100.1/32")
    status = speaker.publish(want())
    assert status["prefixes"]["set"] == 0 and "network 198.51.100.1/32\n" in bgpd.running_config()


def test_saved_lines_that_bgpd_gets_after_a_restart_do_not_stay(bgpd: frr.Daemon, start: Start) -> None:
    """`write` has saved ours too, and FRR gives a bgpd its configuration a moment after it started."""
    speaker = start()
    speaker.publish(want("198.51.100.1", "198.51.100.2"))
    saved = bgpd.running_config()
    speaker.publish(want("198.51.100.1"))
    bgpd.kill()
    bgpd.start()
    wait_for("told again", lambda: "network 198.51.100.1/32" in bgpd.running_config())
    bgpd.configure(*(line.strip() for line in saved.split("hostname vm")[1].splitlines() if line.strip(" !")))
    assert "network 198.51.100.2/32" in bgpd.running_config()
    wait_for("the old one to go", lambda: "network 198.51.100.2/32" not in bgpd.running_config())
    assert speaker.status()["prefixes"]["set"] == 1
