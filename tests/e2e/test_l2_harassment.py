# SPDX-License-Identifier: Apache-2.0
"""Two hundred forged frames a second, probes and what speakers say, without the key and with it: owners stay."""

import hashlib
import hmac
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from l2wire import FAMILIES, KEY, NAMES, Family, Node, Wire, is_copy, is_message, payload_at

from lab.waiting import wait_for

EVERY = 0.005
SECONDS = 8.0
TICKS = os.sysconf("SC_CLK_TCK")
# Of a core that a node may need meanwhile; without it is one part in a hundred.
PROCESSOR = 0.25
SIGNATURE = 32
AFTER_NAME, BEFORE_DIGEST = 6, 12  # the MAC; incarnation and number

# Makes the n-th forged frame, for that node.
Forge = Callable[[Wire, str, int], bytes]


def probed(wire: Wire, _to: str, n: int) -> bytes:
    return wire.family.codec.request(f"06:00:00:00:01:{n % 256:02x}", wire.family.codec.NOBODY, wire.addresses[0])


def recorded(wire: Wire, sender: str) -> bytes:
    frames = [f for _, name, f in list(wire.switch.frames) if name == sender and is_message(f) and not is_copy(f)]
    return frames[-1]


def altered(frame: bytes, key: str, name: str, incarnation: int, number: int) -> bytes:
    """The message in another name, with another incarnation and number, signed anew."""
    at = payload_at(frame)
    payload = frame[at:-SIGNATURE]
    behind = 8 + payload[7]
    mac, rest = payload[behind : behind + AFTER_NAME], payload[behind + AFTER_NAME + BEFORE_DIGEST :]
    payload = payload[:7] + bytes([len(name)]) + name.encode() + mac + struct.pack("!QI", incarnation, number) + rest
    payload += hmac.digest(key.encode(), payload, hashlib.sha256)
    datagram = struct.pack("!HHHH", 7474, 7474, 8 + len(payload), 0) + payload
    if frame[12:14] == b"\x08\x00":
        header = frame[14:16] + struct.pack("!H", 20 + len(datagram)) + frame[18:24] + bytes(2) + frame[26:34]
        total = sum(struct.unpack("!10H", header))
        total = (total & 0xFFFF) + (total >> 16)
        header = header[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + header[12:]
        return frame[:14] + header + datagram
    addresses = frame[22:54]
    body = addresses + struct.pack("!II", len(datagram), 17) + datagram
    total = sum(struct.unpack(f"!{(len(body) + 1) // 2}H", body + bytes(len(body) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    datagram = datagram[:6] + struct.pack("!H", ~total & 0xFFFF or 0xFFFF) + datagram[8:]
    return frame[:18] + struct.pack("!H", len(datagram)) + frame[20:54] + datagram


def unsigned(wire: Wire, _to: str, n: int) -> bytes:
    return altered(recorded(wire, "a"), "another key", "a", n + 1, n + 1)


def of_many_strangers(wire: Wire, _to: str, n: int) -> bytes:
    return altered(recorded(wire, "a"), KEY, f"stranger-{n}", n + 1, 1)


def in_the_nodes_names(wire: Wire, _to: str, n: int) -> bytes:
    return altered(recorded(wire, "a"), KEY, NAMES[n % len(NAMES)], 1 + n % len(NAMES), n + 1)


@contextmanager
def harassed(wire: Wire, forge: Forge) -> Iterator[None]:
    stop = threading.Event()

    def run() -> None:
        n = 0
        while not stop.wait(EVERY):
            for name in wire.nodes:
                wire.switch.send(name, forge(wire, name, n))
            n += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    family: Family = request.param
    made = Wire(family)
    made.wait_agreed()
    yield made
    made.close()


FORGERIES = [probed, unsigned, of_many_strangers]


@contextmanager
def cheap(wire: Wire) -> Iterator[None]:
    """No node needs more of a processor meanwhile than it may."""
    pids = {n.name: n.pid for n in wire.nodes.values()}
    before, began = {name: processor_seconds(pid) for name, pid in pids.items()}, time.monotonic()
    yield
    spent = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
    assert max(spent.values()) < PROCESSOR * (time.monotonic() - began), spent


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_owners_stay(wire: Wire, forge: Forge) -> None:
    owners = wire.owners()
    with harassed(wire, forge):
        with cheap(wire):
            seen = wire.observe(SECONDS)
        assert wire.owners() == owners
    seen.assert_one_owner()
    assert seen.unanswered(wire.addresses) < 0.5
    for address, owner in owners.items():
        assert seen.macs([address]) == {wire.nodes[owner].mac}
    wire.wait_agreed()


def tells_of_a_namesake(node: Node) -> bool:
    return any(line.startswith("DuplicateNodeName ") for line in node.command("troubles"))


def test_who_has_the_key_and_speaks_for_others_is_told(wire: Wire) -> None:
    """There is nothing that he could not say: but nobody falls, and each node tells that there is another one of it."""
    with harassed(wire, in_the_nodes_names), cheap(wire):
        for node in wire.nodes.values():
            wait_for(f"{node.name} to say so", lambda n=node: tells_of_a_namesake(n))
        time.sleep(SECONDS)
    wire.wait_agreed()
