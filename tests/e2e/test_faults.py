# SPDX-License-Identifier: Apache-2.0
"""What breaks, and what must go on: speakers, links, controllers, the API server."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import NODES, MakeService, our_rules

from lab import arp, net, netns, web
from lab.capture import Capture
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

# How long a takeover may take here: an outage's bound, not the figure that tests/bench measures.
TAKEOVER_SECONDS = 5.0
# What a speaker says that heard nobody claim an address, asked, and got an answer.
REFUSALS = ("AddressInUse", "OwnerStillAnswers")
DRAIN = "fairlead.io/drain"
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


@pytest.fixture
def web_address(lab: Lab, make_service: MakeService) -> str:
    """A Service "web" that answers HTTP at this address, with every speaker in agreement about its owner."""
    make_service("web")
    address = lab.wait_address("web")
    settled_owner(lab, address)
    wait_for("HTTP", lambda: lab.get(address, timeout=1))
    return address


def agreed_owner(lab: Lab, address: str) -> str:
    """The owner that every speaker names; LabError if they differ."""
    named = {lab.announcement(n, "web", address).get("owner") for n in NODES}
    if len(named) != 1 or not all(named):
        raise LabError(f"the speakers name {named}")
    return str(named.pop())


def settled_owner(lab: Lab, address: str) -> str:
    """The owner once every speaker names it; it alone answers."""
    owner = wait_for("agreement on the owner", lambda: agreed_owner(lab, address))
    assert lab.owners(address) == [owner]
    return owner


def move_to(lab: Lab, address: str, node: str) -> None:
    """Makes a node the owner, by excluding the others for a while."""
    others = [n for n in NODES if n != node]
    for n in others:
        lab.api.patch("Node", n, {"metadata": {"labels": {EXCLUDE: "true"}}}, "")
    lab.wait_owner(address, among=[node])
    for n in others:
        lab.api.patch("Node", n, {"metadata": {"labels": {EXCLUDE: None}}}, "")
    for n in others:
        lab.wait_reason(n, "web", address, "NotOwner")


@contextmanager
def answers_of(lab: Lab, address: str) -> Iterator[list[tuple[float, arp.Frame]]]:
    """Every ARP frame seen by the client that claims the address; complete when the block ends."""
    frames: list[tuple[float, arp.Frame]] = []
    with Capture(lab.client) as capture:
        yield frames
    frames += [(at, f) for at, f in capture.arp_frames() if f.sender_ip == address]
    assert capture.dropped == 0


def restart_speaker(lab: Lab, node: str) -> None:
    lab.restart(f"speaker-{node}")
    wait_for(f"{node}'s speaker to be ready", lambda: lab.daemon(node, "/readyz"))


def annotate(lab: Lab, node: str, drain: str | None) -> None:
    lab.api.patch("Node", node, {"metadata": {"annotations": {DRAIN: drain}}}, "")


def claim(lab: Lab, node: str, address: str) -> str:
    return lab.announcement(node, "web", address)["claim"]


def test_a_drained_node_gives_way(lab: Lab, web_address: str) -> None:
    """The annotation alone moves the address, and somebody always answers; its end moves nothing back."""
    owner = settled_owner(lab, web_address)
    mac = lab.host(owner).mac
    try:
        with lab.arp_watcher(web_address) as watcher:
            began = time.monotonic()
            annotate(lab, owner, "true")
            wait_for("another node's answer", lambda: watcher.first_after(began, mac))
            lab.wait_reason(owner, "web", web_address, "NodeDrained")
            wait_for("the former owner to have let go", lambda: claim(lab, owner, web_address) == "other")
            let_go = time.monotonic()
            wait_for("another answer", lambda: watcher.first_after(let_go))
        assert lab.get(web_address).status == 200
    finally:
        annotate(lab, owner, None)
    assert not [a for a in watcher.answers if a.at > let_go and a.mac == mac], "it answers though it has let go"
    lab.wait_reason(owner, "web", web_address, "NotOwner")
    heir = settled_owner(lab, web_address)
    assert heir != owner
    words = f"node {heir} answers for {web_address} in place of node {owner}: the owner before released the address"
    wait_for("the Event", lambda: words in [e["note"] for e in about_service(lab, "web", "Announced")], 30)


def about_service(lab: Lab, name: str, reason: str) -> list[dict[str, Any]]:
    events = [e for e in lab.api.objects("Event") if e["reason"] == reason]
    return [e for e in events if (e["regarding"]["kind"], e["regarding"]["name"]) == ("Service", name)]


def test_an_owner_that_alone_loses_the_api_server_gives_way(lab: Lab, web_address: str) -> None:
    """Its watches are open, and nothing comes any more: endpoints may have gone that it does not hear of."""
    owner = settled_owner(lab, web_address)
    chain = ["OUTPUT", "-p", "tcp", "-d", net.CONTROL_PLANE, "--dport", str(net.API_PORT), "-j", "DROP"]
    netns.output(lab.host(owner).namespace, ["iptables", "-I", *chain])
    try:
        others = [n for n in NODES if n != owner]
        lab.wait_owner(web_address, seconds=25, among=others)
        with pytest.raises(LabError, match="not fresh"):
            lab.daemon(owner, "/readyz")
        assert all(lab.daemon(n, "/readyz") for n in others)
    finally:
        netns.output(lab.host(owner).namespace, ["iptables", "-D", *chain])
    wait_for("its view to be fresh again", lambda: lab.daemon(owner, "/readyz"), 60)
    assert settled_owner(lab, web_address) != owner


def test_no_node_may_announce(lab: Lab, web_address: str) -> None:
    """The Service itself says so: one Warning, by one speaker."""

    def told() -> list[dict[str, Any]]:
        return [e for e in lab.api.objects("Event") if e["reason"] == "NodeDrained"]

    try:
        for node in NODES:
            annotate(lab, node, "true")
        (event,) = wait_for("the Event", told, 30.0)
        assert event["type"] == "Warning"
        assert web_address in (event.get("note") or event["message"])
        assert lab.owners(web_address) == []
    finally:
        for node in NODES:
            annotate(lab, node, None)
    lab.wait_owner(web_address)
    wait_for("it to be over", lambda: about_service(lab, "web", "AnnouncedAgain"), 30)


def test_returning_node_takes_nothing(lab: Lab, web_address: str) -> None:
    move_to(lab, web_address, "node3")
    assert settled_owner(lab, web_address) == "node3"


def test_speaker_restart_keeps_rules_and_owner(lab: Lab, web_address: str) -> None:
    owner = settled_owner(lab, web_address)
    rules = our_rules(lab, owner)
    assert rules
    with answers_of(lab, web_address) as frames, web.Prober(lab.client, web_address, 80, 1.0) as prober:
        assert lab.speaker(owner).stop() == 0
        assert our_rules(lab, owner) == rules
        restart_speaker(lab, owner)
        lab.wait_reason(owner, "web", web_address, "Announced")
        settled_owner(lab, web_address)
    assert {f.sender_mac for _, f in frames} == {lab.host(owner).mac}
    assert prober.failures == 0
    assert sorted(our_rules(lab, owner)) == sorted(rules)


def test_killed_speaker_leaves_its_rules(lab: Lab, web_address: str) -> None:
    owner = settled_owner(lab, web_address)
    rules = our_rules(lab, owner)
    lab.speaker(owner).kill()
    assert our_rules(lab, owner) == rules
    lab.wait_owner(web_address, TAKEOVER_SECONDS, [n for n in NODES if n != owner])
    assert lab.get(web_address).status == 200
    restart_speaker(lab, owner)
    settled_owner(lab, web_address)
    assert sorted(our_rules(lab, owner)) == sorted(rules)


def test_stopped_speaker_that_does_not_return_is_replaced(lab: Lab, web_address: str) -> None:
    owner = settled_owner(lab, web_address)
    lab.speaker(owner).stop()
    lab.wait_owner(web_address, 5 + TAKEOVER_SECONDS, [n for n in NODES if n != owner])
    restart_speaker(lab, owner)
    settled_owner(lab, web_address)


@pytest.mark.parametrize("carrier", [True, False], ids=["carrier-lost", "silent"])
def test_cut_link_moves_the_address(lab: Lab, web_address: str, carrier: bool) -> None:
    move_to(lab, web_address, "node3")
    with lab.arp_watcher(web_address) as watcher:
        cut_at = time.monotonic()
        lab.cut("node3", carrier)
        try:
            takeover = wait_for(
                "another node's answer",
                lambda: watcher.first_after(cut_at, lab.host("node3").mac),
                TAKEOVER_SECONDS,
            )
            wait_for("HTTP after the cut", lambda: lab.get(web_address, timeout=0.5), TAKEOVER_SECONDS)
        finally:
            lab.heal("node3")
        wait_for("the API server to be heard again", lambda: lab.daemon("node3"), 30)
        settled = wait_for("the node to know the owner", lambda: agreed_owner(lab, web_address))
        assert lab.host(settled).mac == takeover.mac
        wait_for("answers from then on", lambda: watcher.first_after(time.monotonic() - 0.1))
    assert lab.owners(web_address) == [settled]


def test_paused_speaker_is_replaced_and_comes_back_quietly(lab: Lab, web_address: str) -> None:
    owner = settled_owner(lab, web_address)
    lab.speaker(owner).pause()
    try:
        taken_by = lab.wait_owner(web_address, TAKEOVER_SECONDS, [n for n in NODES if n != owner])
    finally:
        lab.speaker(owner).resume()
    lab.wait_reason(owner, "web", web_address, "NotOwner")
    assert settled_owner(lab, web_address) == taken_by


def test_failed_node_loses_its_endpoints(lab: Lab, web_address: str) -> None:
    node = lab.node_of_pod("webapp-c")
    move_to(lab, web_address, "node3")
    lab.fail_node(node)
    try:
        wait_for(
            "its Pods to leave the Service",
            lambda: node not in {e["nodeName"] for e in lab.ready_endpoints("web")},
        )
        wait_for("answers", lambda: [lab.get(web_address, timeout=0.3) for _ in range(10)])
    finally:
        lab.heal(node)
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        lab.api.patch("Node", node, {"status": {"conditions": [ready]}}, "", "status")
        restart_speaker(lab, node)
    wait_for("its Pods to be back", lambda: len(lab.ready_endpoints("web")) == 3)


def test_speaker_with_a_wrong_key_never_makes_a_second_owner(lab: Lab, web_address: str) -> None:
    move_to(lab, web_address, "node3")
    stranger = "node1"
    wrong = lab.dir / "wrong.key"
    wrong.write_bytes(b"\x5a" * 32)
    right = lab.speaker(stranger).argv
    lab.speaker(stranger).stop()
    lab.start_speaker(stranger, "--heartbeat-key-file", str(wrong))
    try:
        with answers_of(lab, web_address) as frames:
            wait_for(
                "the stranger to find the address in use",
                lambda: lab.announcement(stranger, "web", web_address).get("reason") in REFUSALS,
            )
            for _ in range(10):
                assert lab.owners(web_address, 0.2) == ["node3"]
        assert {f.sender_mac for _, f in frames} == {lab.host("node3").mac}
    finally:
        lab.speaker(stranger).stop()
        lab.start(f"speaker-{stranger}", right, lab.host(stranger).namespace)
        lab.wait_reason(stranger, "web", web_address, "NotOwner")


def peer(lab: Lab, node: str, name: str) -> dict:
    """What a node's speaker knows of another node."""
    return next(p for p in lab.daemon(node)["l2"]["peers"] if p["node"] == name)


@pytest.mark.parametrize("deaf", [["node1"], ["node1", "node2"]], ids=["for-one", "for-all"])
def test_heartbeats_lost_in_one_direction_make_no_second_owner(lab: Lab, web_address: str, deaf: list[str]) -> None:
    move_to(lab, web_address, "node3")
    with answers_of(lab, web_address) as frames:
        for node in deaf:
            lab.network.block_multicast("node3", node)
        try:
            wait_for("node1 to miss node3", lambda: peer(lab, "node1", "node3")["last_heard_ms"] > 1000)
            # Whom somebody else hears is alive.
            assert peer(lab, "node1", "node3")["alive"] == (len(deaf) == 1)
            for _ in range(10):
                assert lab.owners(web_address, 0.2) == ["node3"]
        finally:
            lab.network.unblock()
        settled_owner(lab, web_address)
    assert {f.sender_mac for _, f in frames} == {lab.host("node3").mac}


def heartbeats(capture: Capture, mac: str) -> list[bytes]:
    """The frames that a host sent to multicast groups."""
    source = arp.mac_bytes(mac)
    return [p.raw for p in list(capture.packets) if p.raw[6:12] == source and p.raw[:3] == b"\x01\x00\x5e"]


def refused_heartbeats(lab: Lab) -> int:
    return min(lab.daemon(n)["l2"]["stats"]["heartbeats_refused"] for n in ("node1", "node2"))


@pytest.mark.parametrize("forged", [False, True], ids=["replayed", "forged"])
def test_false_heartbeats_keep_nobody_alive(lab: Lab, web_address: str, forged: bool) -> None:
    move_to(lab, web_address, "node3")
    with Capture(lab.client) as capture:
        recorded = wait_for("heartbeats", lambda: (h := heartbeats(capture, lab.host("node3").mac))[10:] and h)
    if forged:
        recorded = [r[:-1] + bytes([r[-1] ^ 1]) for r in recorded]
    refused = refused_heartbeats(lab)
    lab.speaker("node3").kill()
    stop = threading.Event()

    def repeat() -> None:
        with arp.open_socket(lab.client) as s:
            while not stop.is_set():
                for frame in recorded:
                    s.send(frame)
                    stop.wait(0.02)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        lab.wait_owner(web_address, TAKEOVER_SECONDS, ["node1", "node2"])
        wait_for("the false ones to be counted", lambda: refused_heartbeats(lab) > refused)
    finally:
        stop.set()
        thread.join()
        restart_speaker(lab, "node3")
    settled_owner(lab, web_address)


def test_everything_goes_on_without_the_api_server(lab: Lab, web_address: str, make_service: MakeService) -> None:
    owner = settled_owner(lab, web_address)
    lab.stop_api()
    for _ in range(10):
        assert lab.get(web_address).status == 200
    assert lab.owners(web_address) == [owner]
    # Ownership moves without it, too.
    lab.cut(owner)
    try:
        others = [n for n in NODES if n != owner]
        lab.wait_owner(web_address, TAKEOVER_SECONDS, others)
    finally:
        lab.heal(owner)
    lab.start_api()
    make_service("after")
    address = lab.wait_address("after", seconds=60)
    lab.wait_owner(address, 30)
    wait_for("HTTP to the new Service", lambda: lab.get(address, timeout=1), 30)
    settled_owner(lab, web_address)


def test_cut_watches_lose_nothing(lab: Lab, web_address: str, make_service: MakeService) -> None:
    lab.set_faults(cut_every_ms=300)
    try:
        for i in range(3):
            make_service(f"cut-{i}")
        addresses = [lab.wait_address(f"cut-{i}", seconds=30) for i in range(3)]
        for address in addresses:
            lab.wait_owner(address, 30)
            wait_for("HTTP", lambda a=address: lab.get(a, timeout=1), 30)
    finally:
        lab.set_faults()


def test_standby_takes_over_from_a_killed_leader(lab: Lab, web_address: str, make_service: MakeService) -> None:
    leader = wait_for("a leader", lambda: [r for r in "ab" if lab.daemon(f"controller-{r}")["leader"]])[0]
    standby = "b" if leader == "a" else "a"
    lab.processes[f"controller-{leader}"].kill()
    make_service("later")
    address = lab.wait_address("later", seconds=60)
    assert address != web_address
    assert lab.addresses("web") == [web_address]
    assert lab.daemon(f"controller-{standby}")["leader"]
    lab.restart(f"controller-{leader}")
    wait_for("the new standby", lambda: lab.daemon(f"controller-{leader}")["holder"] == f"controller-{standby}")


def test_stopped_leader_hands_over_at_once(lab: Lab, make_service: MakeService) -> None:
    leader = wait_for("a leader", lambda: [r for r in "ab" if lab.daemon(f"controller-{r}")["leader"]])[0]
    assert lab.processes[f"controller-{leader}"].stop() == 0
    make_service("web")
    lab.wait_address("web")
    lab.restart(f"controller-{leader}")


def test_bad_configuration_keeps_the_last_good_one(lab: Lab, web_address: str, make_service: MakeService) -> None:
    good = lab.api.get("ConfigMap", "fairlead", "fairlead-system")["data"]["config"]
    active = lab.api.get("ConfigMap", "fairlead-active", "fairlead-system")
    bad = "address-pools:\n- name: lan\n  protocol: layer2\n  adresses: [192.168.1.240/30]\n"
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": bad}}, "fairlead-system")
    try:
        leader = wait_for("a leader", lambda: [r for r in "ab" if lab.daemon(f"controller-{r}")["leader"]])[0]
        errors = wait_for("the errors", lambda: lab.daemon(f"controller-{leader}")["config"]["errors"])
        assert [e["line"] for e in errors if "adresses" in e["path"] + e["message"]] == [4]
        make_service("more")
        lab.wait_owner(lab.wait_address("more"))
        assert lab.addresses("web") == [web_address]
        assert lab.api.get("ConfigMap", "fairlead-active", "fairlead-system")["data"] == active["data"]
    finally:
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": good}}, "fairlead-system")
    wait_for("the errors to go", lambda: not lab.daemon(f"controller-{leader}")["config"]["errors"])


def test_address_that_somebody_uses_is_not_announced(lab: Lab, make_service: MakeService) -> None:
    """The first-use probe finds who has it already."""
    address = "192.168.1.250"
    netns.configure(lab.client, [f"addr add {address}/32 dev eth0"])
    try:
        with Capture(lab.network.lan, "br0") as capture:
            make_service("web", {"fairlead.io/addresses": address})
            assert lab.wait_address("web") == address
            wait_for(
                "a speaker to notice",
                lambda: "AddressInUse" in {lab.announcement(n, "web", address).get("reason") for n in NODES},
            )
        macs = {h.mac for h in lab.network.nodes}
        assert not [f for _, f in capture.arp_frames() if f.sender_ip == address and f.sender_mac in macs]
    finally:
        netns.configure(lab.client, [f"addr del {address}/32 dev eth0"])
    lab.wait_owner(address, 30)


def test_a_reinstallation_is_spread(lab: Lab, make_service: MakeService) -> None:
    """All speakers start together, and nobody remembers who owned what: none of three gets more than 5 of 12, which is
    1.25 times its share, and which then stays so when one of them dies and returns."""
    good = lab.api.get("ConfigMap", "fairlead", "fairlead-system")["data"]["config"]
    wide = good.replace("192.168.1.250", "192.168.1.253")  # the example's pool holds eleven
    assert wide != good
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": wide}}, "fairlead-system")
    try:
        spread_after_a_reinstallation(lab, make_service)
    finally:
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": good}}, "fairlead-system")


def spread_after_a_reinstallation(lab: Lab, make_service: MakeService) -> None:
    names = [f"web-{i}" for i in range(12)]
    for name in names:
        make_service(name)
    addresses = [lab.wait_address(name) for name in names]
    for node in NODES:
        lab.speaker(node).kill()
    for node in NODES:
        lab.restart(f"speaker-{node}")
    owners = {a: lab.wait_owner(a) for a in addresses}
    assert max(Counter(owners.values()).values()) <= 5

    # What the first one had is shared by the others: each gets no more than 8 in all.
    lab.speaker("node1").kill()
    heirs = {a: lab.wait_owner(a, among=["node2", "node3"]) for a in addresses}
    assert max(Counter(heirs.values()).values()) <= 8
    assert all(heirs[a] == owner for a, owner in owners.items() if owner != "node1")
    restart_speaker(lab, "node1")
    assert {a: lab.wait_owner(a) for a in addresses} == heirs


FLOOD = 20000
SOLICITATION = "3333ff000099 {mac} 86dd 60000000 0018 3a ff {source} {target} 8700 0000 00000000 {target}"


def frames(lab: Lab, node: str) -> int:
    """How many layer 2 had from the kernel."""
    found = re.search(r"^fairlead_l2_frames_total (\d+)$", lab.daemon(node, "/metrics"), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_flood_about_other_addresses_wakes_nobody(lab: Lab, web_address: str) -> None:
    """Such as a scan of the subnet, by ARP and by neighbour discovery: the kernel keeps it from the speakers."""
    client = lab.network.client
    mac = client.mac.replace(":", "")
    words = SOLICITATION.format(mac=mac, source="fe80" + "0" * 27 + "1", target="20010db8" + "0" * 22 + "99")
    asked = [arp.request(client.mac, client.address, "192.168.1.99"), bytes.fromhex(words.replace(" ", ""))]
    before = {n: frames(lab, n) for n in NODES}
    with arp.open_socket(client.namespace) as s:
        for i in range(FLOOD):
            s.send(asked[i % 2])
    assert len(lab.arp_answers(web_address)) == 1
    heard = {n: frames(lab, n) - before[n] for n in NODES}
    assert all(n < FLOOD / 10 for n in heard.values()), heard
