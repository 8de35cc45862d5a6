# SPDX-License-Identifier: Apache-2.0
"""Ownership of addresses by ARP and neighbour discovery, with real frames: what a client is answered while nodes and
links fail.  Of IPv6 on a segment that has nothing else, so that heartbeats go by it, too."""

import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from l2wire import CALM_MULTIPLIER, FAMILIES, HOST, NAMES, PATIENT_MS, Family, Wire, is_copy, is_message, payload_at

from lab import netns
from lab.waiting import wait_for

# From the fault to the next owner's answer: 350 ms unheard, and a probe of 25 ms; the rest is for a busy machine.
TAKEOVER = 1.0
# Two owners learn of each other by the next heartbeat.
SETTLED = 0.5
# For so long nothing may have been wrong before anything is handed over to give others their share.
CALM = 60


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture
def make_wire(family: Family) -> Iterator[Callable[..., Wire]]:
    wires: list[Wire] = []

    def make(*args: object, **kwargs: object) -> Wire:
        wires.append(Wire(family, *args, **kwargs))  # type: ignore[arg-type]
        return wires[-1]

    yield make
    for wire in wires:
        wire.close()


@pytest.fixture
def wire(make_wire: Callable[..., Wire]) -> Wire:
    """Three nodes that have settled who owns what."""
    made = make_wire()
    made.wait_agreed()
    return made


def test_each_address_is_answered_by_one_node(wire: Wire) -> None:
    owners = wire.owners()
    assert set(owners.values()) == set(NAMES)
    seen = wire.observe(1.0)
    seen.assert_one_owner()
    for address, owner in owners.items():
        assert seen.macs([address]) == {wire.nodes[owner].mac}
        for node in wire.nodes.values():
            state = node.states()[address]
            assert (state.owner, state.mac) == (owner, wire.nodes[owner].mac)
    assert all(node.stats()["refused"] == 0 for node in wire.nodes.values())


def test_requests_with_a_tag(wire: Wire) -> None:
    """VLAN 0 is only a priority; any other is another segment."""
    owners = wire.owners()
    wire.switch.tag = b"\x81\x00\xe0\x00"
    seen = wire.observe(1.0)
    assert seen.unanswered(wire.addresses) < 0.2
    for address, owner in owners.items():
        assert seen.macs([address]) == {wire.nodes[owner].mac}
    wire.switch.tag = b"\x81\x00\x00\x05"
    assert not wire.observe(0.5).macs(wire.addresses)


def gone(wire: Wire, fail: Callable[[], None]) -> list[str]:
    """Node a fails: others take over what it owned, after a probe, and nothing else moves. Returns what it owned."""
    before, lost, began = wire.owners(), wire.owned_by("a"), time.monotonic()
    kept = [address for address in wire.addresses if address not in lost]
    seen = wire.observe(1.5, fail)
    assert seen.unanswered(lost) < TAKEOVER
    seen.assert_one_owner()
    assert seen.unanswered(kept) < 0.2
    for address in kept:
        assert seen.macs([address]) == {wire.nodes[before[address]].mac}
    for address in lost:
        heirs = seen.macs([address]) - {wire.nodes["a"].mac}
        assert len(heirs) == 1
        heir = next(n.name for n in wire.nodes.values() if n.mac in heirs)
        assert 1 <= wire.probes(heir, address, began) <= 3  # more than one if the heir was slow to read
    return lost


def back(wire: Wire, lost: list[str], restore: Callable[[], None]) -> None:
    """Node a returns, and takes nothing."""
    seen = wire.observe(2.0, restore)
    seen.assert_one_owner()
    assert wire.nodes["a"].mac not in seen.macs(wire.addresses)
    assert seen.unanswered(wire.addresses) < 0.2
    owners = wire.owners()
    assert all(owners[address] != "a" for address in lost)


def test_link_cut(wire: Wire) -> None:
    lost = gone(wire, lambda: wire.cut("a"))
    assert all(state.ownership != "owner" for state in wire.nodes["a"].states().values())
    back(wire, lost, lambda: wire.cut("a", False))


def test_killed(wire: Wire) -> None:
    lost = gone(wire, lambda: wire.nodes["a"].signal(signal.SIGKILL))
    back(wire, lost, wire.nodes["a"].start)


def test_stopped_and_continued(wire: Wire) -> None:
    lost = gone(wire, lambda: wire.nodes["a"].signal(signal.SIGSTOP))
    back(wire, lost, lambda: wire.nodes["a"].signal(signal.SIGCONT))


def test_cut_off_behind_the_switch(wire: Wire) -> None:
    """No carrier is lost, and nobody hears node a; when it is back, the part that went on prevails."""

    def cut_off() -> None:
        wire.switch.block = lambda origin, to, _frame: "a" in (origin, to)

    def restore() -> None:
        wire.switch.block = lambda _origin, _to, _frame: False

    lost = gone(wire, cut_off)
    time.sleep(1)
    seen = wire.observe(2.0, restore)
    seen.assert_one_owner(but_for=SETTLED)
    owners = wire.owners()
    assert all(owners[address] != "a" for address in wire.addresses), lost


def test_who_missed_the_announcement_is_told(make_wire: Callable[..., Wire]) -> None:
    """A host that hears no more of what is said to all, nor is heard itself when it asks, sends to the former owner."""
    wire = make_wire(host=True)
    wire.wait_agreed()
    address, mac = wire.owned_by("a")[0], wire.nodes["a"].mac
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.entered(HOST):
        sender = socket.socket(kind, socket.SOCK_DGRAM)
    with sender:
        sender.setblocking(False)

        def cached() -> str:
            sender.sendto(b"", (address, 9))
            return netns.output(HOST, ["ip", "neigh", "show", address])

        wait_for("the host to know the owner", lambda: mac in cached())
        wire.switch.block = lambda origin, to, frame: (
            (to == "host" and frame[0] & 1 == 1)
            or (origin == "host" and wire.family.codec.decode(frame) is not None)
        )
        wire.nodes["a"].signal(signal.SIGSTOP)
        owner = wait_for("another owner", lambda: next((n for n in "bc" if address in wire.owned_by_itself(n)), None))
        assert mac in cached()
        assert wire.nodes["b"].stats()["stale_neighbours"] == wire.nodes["c"].stats()["stale_neighbours"] == 0
        wire.nodes["a"].signal(signal.SIGCONT)
        wait_for("the host to know the new owner", lambda: wire.nodes[owner].mac in cached(), 4)
    wait_for("what it told to be counted", lambda: wire.nodes["a"].stats()["stale_neighbours"])


def test_a_restart_keeps_ownership(wire: Wire) -> None:
    before, owned = wire.owners(), wire.owned_by("a")

    def restart() -> None:
        wire.nodes["a"].signal(signal.SIGTERM)
        time.sleep(1)
        wire.nodes["a"].start()

    seen = wire.observe(2.0, restart)
    # The others answer for it meanwhile, in its name, from their own places.
    assert seen.macs(owned) == {wire.nodes["a"].mac}
    seen.assert_one_owner()
    assert seen.unanswered(owned) < 0.3
    assert wire.owners() == before
    assert sum(wire.nodes[name].stats()["stood_in"] for name in ("b", "c")) > 50


def test_who_restarts_answers_until_others_have_heard_of_it(wire: Wire) -> None:
    """Here they never do."""
    node = wire.nodes["a"]
    owned = wire.owned_by("a")

    def stop() -> None:
        wire.switch.block = lambda origin, _to, frame: origin == "a" and is_message(frame)
        node.signal(signal.SIGTERM)

    seen = wire.observe(0.1, stop)
    said = max(at for at, origin, frame in seen.frames if origin == "a" and is_message(frame))
    assert sum(node.mac in r.answers for r in seen.requests if r.target in owned and r.at > said) > 1


def test_a_restart_that_takes_too_long_is_a_death(wire: Wire) -> None:
    owned, mac = wire.owned_by("a"), wire.nodes["a"].mac
    seen = wire.observe(6.0, lambda: wire.nodes["a"].signal(signal.SIGTERM))
    assert 4.5 < seen.unanswered(owned, but_by=mac) < 5 + TAKEOVER
    assert seen.unanswered(owned) < TAKEOVER
    back(wire, owned, wire.nodes["a"].start)


def test_a_reboot_is_no_worse_than_a_crash(wire: Wire) -> None:
    """The speaker ends as for a restart; half a second later its node is gone."""
    owned, mac = wire.owned_by("a"), wire.nodes["a"].mac

    def reboot() -> None:
        wire.nodes["a"].signal(signal.SIGTERM)
        time.sleep(0.5)
        wire.cut("a")

    seen = wire.observe(3.0, reboot)
    assert seen.unanswered(owned, but_by=mac) < 0.5 + TAKEOVER
    seen.assert_one_owner()


def test_yielding_is_at_once_and_without_a_probe(wire: Wire) -> None:
    owned, began = wire.owned_by("a"), time.monotonic()
    seen = wire.observe(1.0, wire.nodes["a"].leave)
    assert seen.unanswered(owned) < 0.3
    seen.assert_one_owner()
    assert sum(wire.probes(name, address, began) for name in ("b", "c") for address in owned) == 0


def test_who_is_no_longer_eligible_hands_over(wire: Wire) -> None:
    """It answers until the next one does."""
    address, began = wire.owned_by("a")[0], time.monotonic()
    seen = wire.observe(1.0, lambda: wire.nodes["a"].command(f"eligible {address} 0") and None)
    assert seen.unanswered([address]) == 0
    seen.assert_one_owner(but_for=0.1)
    assert wire.owners()[address] != "a"
    assert sum(wire.probes(name, address, began) for name in ("b", "c")) == 0


def test_who_returns_gets_its_share_when_it_is_asked_for(make_wire: Callable[..., Wire]) -> None:
    """Only then; and the owners before answer until it does."""
    wire = make_wire(multiplier=CALM_MULTIPLIER)
    wire.wait_agreed()
    wire.nodes["a"].signal(signal.SIGKILL)
    wire.wait_owners()
    wire.nodes["a"].start()
    before = wire.wait_agreed()
    assert "a" not in before.values()
    time.sleep(CALM + 2)
    assert wire.agreed() == before

    def ask() -> None:
        for node in wire.nodes.values():
            node.command("rebalance 600 0")

    seen = wire.observe(6.0, ask)
    assert seen.unanswered(wire.addresses) == 0
    seen.assert_one_owner(but_for=0.1)
    owners = list(wire.wait_agreed().values())
    assert all(4 <= owners.count(name) <= 5 for name in NAMES)
    assert sum(wire.probes("a", address, seen.began) for address in wire.addresses) == 0


def test_a_wrong_key_makes_no_second_owner(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(keys={"c": "another key"}, probe_ms=PATIENT_MS)
    seen = wire.observe(3.0)
    seen.assert_one_owner()
    wire.wait_owners()
    for node in wire.nodes.values():
        assert node.stats()["refused"] > 5
    assert wire.nodes["c"].stats()["received"] == 0
    assert wire.nodes["c"].command("peers") == []
    seen = wire.observe(1.0)
    seen.assert_one_owner()
    assert seen.unanswered(wire.addresses) < 0.3


def test_forged_messages_are_refused(wire: Wire) -> None:
    before = wire.owners()
    messages = [(name, frame) for _, name, frame in list(wire.switch.frames) if is_message(frame)][-60:]
    refused = wire.nodes["b"].stats()["refused"]

    def forge() -> None:
        for i, (name, frame) in enumerate(messages):
            forged, at = bytearray(frame), payload_at(frame)
            forged[at + i % (len(frame) - at)] ^= 0x55  # anywhere in what is signed, or in the signature
            wire.switch.flood(name, bytes(forged))
            wire.switch.flood(name, frame[: at + i])  # cut short

    seen = wire.observe(1.0, forge)
    seen.assert_one_owner()
    assert wire.owners() == before
    assert wire.nodes["b"].stats()["refused"] > refused + 10


def test_replayed_messages_are_refused(wire: Wire) -> None:
    """Node a is dead; what it said is said again, to those who knew it and to one that is new."""
    recorded = [f for _, name, f in list(wire.switch.frames) if name == "a" and is_message(f) and not is_copy(f)]
    lost = gone(wire, lambda: wire.nodes["a"].signal(signal.SIGKILL))
    wire.nodes["c"].signal(signal.SIGTERM)
    wire.nodes["c"].start()
    wait_for("node c to be back", lambda: "b eth0 alive" in wire.nodes["c"].command("peers"))
    before = wire.wait_owners()
    refused = wire.nodes["b"].stats()["refused"]

    def replay() -> None:
        for frame in recorded:
            wire.switch.flood("a", frame)
            time.sleep(0.01)

    seen = wire.observe(1.0, replay)
    assert wire.owners() == before
    seen.assert_one_owner()
    assert seen.unanswered(wire.addresses) < 0.2
    assert wire.nodes["b"].stats()["refused"] >= refused + len(recorded) - 1  # c never knew who that was
    back(wire, lost, wire.nodes["a"].start)  # the real one is welcome


@pytest.mark.parametrize("what", ["everything", "messages"])
@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "b")], ids=["of three", "of two"])
def test_one_direction_blocked(make_wire: Callable[..., Wire], names: tuple[str, ...], what: str) -> None:
    wire = make_wire(names)
    before = wire.wait_agreed()

    def block() -> None:
        wire.switch.block = lambda origin, to, frame: (
            (origin, to) == ("a", "b") and (what == "everything" or is_message(frame))
        )

    seen = wire.observe(3.0, block)
    seen.assert_one_owner(but_for=SETTLED)
    assert seen.unanswered(wire.addresses) < TAKEOVER
    if len(names) == 3:  # node c hears both
        assert wire.owners() == before
        seen.assert_one_owner()

    def unblock() -> None:
        wire.switch.block = lambda _origin, _to, _frame: False

    seen = wire.observe(2.0, unblock)
    seen.assert_one_owner(but_for=SETTLED)
    assert seen.unanswered(wire.addresses) < TAKEOVER
    wire.wait_owners()


def test_started_while_one_direction_is_blocked(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire()
    wire.wait_owners()
    wire.nodes["b"].signal(signal.SIGKILL)
    wire.switch.block = lambda origin, to, _frame: (origin, to) == ("a", "b")
    time.sleep(1)
    seen = wire.observe(3.0, wire.nodes["b"].start)
    seen.assert_one_owner(but_for=SETTLED)
    wire.switch.block = lambda _origin, _to, _frame: False
    wire.wait_owners()


def test_an_owner_that_was_stopped_asks_before_it_resumes(make_wire: Callable[..., Wire]) -> None:
    """Without a key nobody tells it that another has taken its addresses meanwhile."""
    wire = make_wire(keys=dict.fromkeys(NAMES, ""), probe_ms=PATIENT_MS)
    owners = wire.wait_owners(20)
    stopped = wire.nodes[owners[wire.addresses[0]]]
    lost = [address for address, owner in owners.items() if owner == stopped.name]
    others = [name for name in NAMES if name != stopped.name]

    def stop_until_others_own_everything() -> None:
        stopped.signal(signal.SIGSTOP)
        owned = lambda: {address for name in others for address in wire.owned_by_itself(name)}  # noqa: E731
        wait_for("others to take over", lambda: owned() == set(wire.addresses), 20)
        stopped.signal(signal.SIGCONT)

    seen = wire.observe(5.0, stop_until_others_own_everything)
    seen.assert_one_owner()
    assert seen.macs(lost) - {stopped.mac}, "nobody has taken over"
    wire.wait_owners(20)
    wire.observe(2.0).assert_one_owner()


def test_an_owner_that_somebody_asked_while_it_stalled_asks_itself(wire: Wire) -> None:
    """The stall is one that peers wait for, unless the machine is slow: then the address may move."""
    address = wire.addresses[0]
    owner = wire.nodes[wire.wait_owners()[address]]
    codec, since = wire.family.codec, time.monotonic()

    def asks_after_a_stall() -> bool:
        owner.signal(signal.SIGSTOP)
        wire.switch.send(owner.name, codec.request("02:dd:00:00:00:01", codec.NOBODY, address))
        time.sleep(0.1)
        owner.signal(signal.SIGCONT)
        time.sleep(0.1)
        return wire.probes(owner.name, address, since) > 0 or owner.states()[address].ownership != "owner"

    wait_for("the owner to ask", asks_after_a_stall)
    wire.wait_owners()


BURST = 1000  # frames: more than the owner's buffer has room for


def test_an_owner_that_lost_frames_while_it_stalled_asks_for_all_it_has(make_wire: Callable[..., Wire]) -> None:
    """Of three nodes one is missing, so somebody may be unheard; among what was lost may be anybody's question."""
    wire = make_wire(("a", "b"))
    wire.wait_owners()
    name = wire.owners()[wire.addresses[0]]
    owner, codec = wire.nodes[name], wire.family.codec
    burst = codec.request("02:dd:00:00:00:01", wire.family.client, wire.addresses[0])

    def asks_for_all_at_once() -> bool:
        owned, since = wire.owned_by_itself(name), time.monotonic()
        owner.signal(signal.SIGSTOP)
        for _ in range(BURST):
            wire.switch.send(name, burst)
        time.sleep(0.1)
        owner.signal(signal.SIGCONT)
        time.sleep(0.15)
        asked = [address for address in owned if wire.probes(name, address, since) > 0]
        return len(owned) > 2 and asked == owned

    wait_for("the owner to ask for everything", asks_for_all_at_once)
    wire.wait_owners()


@pytest.mark.parametrize("keys", ["none", "one each"])
def test_two_owners_that_share_arp_alone_part(make_wire: Callable[..., Wire], keys: str) -> None:
    wire = make_wire(keys={name: "" if keys == "none" else f"the key of {name}" for name in NAMES}, probe_ms=PATIENT_MS)
    wire.wait_owners(20)
    wire.switch.block = lambda origin, to, _frame: "a" in (origin, to)
    for part in (("a",), ("b", "c")):
        owned = lambda: {address for name in part for address in wire.owned_by_itself(name)}  # noqa: B023, E731
        wait_for("both parts to own everything", lambda: owned() == set(wire.addresses), 20)  # noqa: B023
    wire.switch.block = lambda _origin, _to, _frame: False
    wire.wait_owners(20)
    seen = wire.observe(3.0)
    seen.assert_one_owner()
    assert seen.unanswered(wire.addresses) < 0.3
    assert wire.nodes["a"].stats()["two_owners"] > 0
    assert sum(wire.nodes[name].stats()["two_owners"] for name in ("b", "c")) > 0


def test_filtered_messages_make_no_second_owner(make_wire: Callable[..., Wire]) -> None:
    """A switch that drops the group: nobody hears anybody, and everybody is asked before anything is taken."""
    wire = make_wire(probe_ms=PATIENT_MS)
    before = wire.wait_agreed()

    def filter_group() -> None:
        wire.switch.block = lambda _origin, _to, frame: is_message(frame)

    seen = wire.observe(3.0, filter_group)
    seen.assert_one_owner()
    assert seen.unanswered(wire.addresses) < 0.2
    for node in wire.nodes.values():
        for address, state in node.states().items():
            expected = {"owner"} if before[address] == node.name else {"still-answered", "probing"}
            assert state.ownership in expected
    wire.switch.block = lambda _origin, _to, _frame: False
    wait_for("everybody to know again", lambda: wire.owners() == before)
    seen = wire.observe(1.0)
    seen.assert_one_owner()
    assert wire.owners() == before


def test_two_legs_of_a_node_in_one_network(make_wire: Callable[..., Wire]) -> None:
    """The node speaks on the one that has its addresses: others hear its claims, and replace it when it dies."""
    wire = make_wire(second_legs=("a", "b"))
    wire.wait_agreed()
    for name, node in wire.nodes.items():
        others = [f"{other} eth0 alive" for other in NAMES if other != name]
        wait_for(f"{name} to hear the others", lambda n=node, o=others: sorted(n.command("peers")) == o)
    wire.agreed()
    lost = gone(wire, lambda: wire.nodes["a"].signal(signal.SIGKILL))
    back(wire, lost, wire.nodes["a"].start)


def test_two_nodes_of_one_name_are_told(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(("a", "b"))
    wire.wait_owners()
    a, b = wire.nodes.values()
    assert a.command("complaints") == []
    b.signal(signal.SIGTERM)
    b.name = a.name
    b.start()
    told = wait_for("node a to hear of the other", lambda: a.command("complaints"))
    assert told == [
        f"eth0: the speaker at {b.mac} calls itself a, too:"
        " each node needs a name of its own, and each cluster a heartbeat key"
    ]


def test_two_subnets_of_a_node_in_one_network_are_told(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(("a", "b"), second_legs=("a",))
    wire.wait_owners()
    # Of the longer prefix, so that both interfaces have addresses to serve.
    netns.configure(wire.nodes["a"].namespace, [f"addr add {wire.family.host(126, longer=1)} dev eth1"])
    told = wait_for("node a to hear itself", lambda: wire.nodes["a"].command("complaints"))
    assert told[0] in [
        f"interfaces {one} and {other} lie on one segment: leave one out by --interface, or have layer2 of all pools "
        "name the same one"
        for one, other in (("eth0", "eth1"), ("eth1", "eth0"))
    ]


def test_a_stranger_keeps_its_address(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(probe_ms=PATIENT_MS)
    mac = "06:00:00:00:00:99"
    wire.switch.stranger = (wire.addresses[3], mac)
    wait_for(
        "the conflict to be seen",
        lambda: any(s.ownership == "conflict" for n in wire.nodes.values() for s in n.states().values()),
    )
    time.sleep(2)
    states = [n.states()[wire.addresses[3]] for n in wire.nodes.values()]
    assert all(s.ownership != "owner" for s in states)
    assert mac in {s.mac for s in states if s.ownership == "conflict"} or any(s.ownership == "probing" for s in states)
    wire.switch.stranger = None
    wire.wait_owners()


def test_the_second_leg_takes_over_when_the_first_has_no_carrier(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(second_legs=("a",))
    wire.wait_owners()
    a = wire.nodes["a"]

    def heard_on(interface: str) -> bool:
        peers = [line.split() for line in a.command("peers")]
        return sum(p[1:] == [interface, "alive"] for p in peers) == 2

    wait_for("a to hear both on eth0", lambda: heard_on("eth0"))
    wire.cut("a")
    wait_for("a to hear both on eth1", lambda: heard_on("eth1"))
    wire.wait_owners()
    seen = wire.observe(1.0)
    seen.assert_one_owner()
    # And it stays there, so that nothing moves twice.
    owners = wire.owners()
    wire.cut("a", False)
    time.sleep(2)
    assert heard_on("eth1")
    assert wire.owners() == owners
    wire.observe(1.0).assert_one_owner()
