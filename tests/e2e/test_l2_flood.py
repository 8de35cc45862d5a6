# SPDX-License-Identifier: Apache-2.0
"""Floods of questions about addresses of the pools, which the kernel's filter lets through.

Answers and heartbeats go on, and the urgent thread, which comes before everything ordinary, leaves the processor to
others.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from l2bridge import Room, Sampler
from l2wire import FAMILIES, KEY, Family

FLOOD_PER_SECOND = 50_000
QUESTIONS, APART = 30, 0.12
TRIES = 3  # of whoever asks in earnest, as a kernel does
SPIN = "while True: pass"


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    family: Family = request.param
    made = Room(family, KEY)
    yield made
    made.close()


def threads(pid: int) -> list[int]:
    return [int(t.name) for t in Path(f"/proc/{pid}/task").iterdir()]


def policies(tids: list[int]) -> list[int]:
    return [os.sched_getscheduler(t) & ~os.SCHED_RESET_ON_FORK for t in tids]


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def spinning(cpu: int) -> Iterator[int]:
    """A program that wants all of that processor; its process."""
    popen = subprocess.Popen([sys.executable, "-c", SPIN], start_new_session=True)
    os.sched_setaffinity(popen.pid, {cpu})
    try:
        yield popen.pid
    finally:
        popen.kill()
        popen.wait()


def answered(room: Room, address: str) -> set[str]:
    """Who answers questions for the address, each of which is asked as often as a kernel would."""
    seen = set()
    for _ in range(QUESTIONS):
        time.sleep(APART)
        answers = next((a for _ in range(TRIES) if (a := room.ask(address))), [])
        assert answers, "a question was not answered"
        seen.update(answers)
    return seen


@pytest.mark.parametrize("machines", [1, 65536], ids=["of one machine", "of many machines"])
def test_a_flood_takes_neither_answers_nor_heartbeats_nor_the_processor(room: Room, machines: int) -> None:
    owners = room.wait_agreed()
    address = room.addresses[0]
    owner = room.nodes[owners[address]]
    tids = threads(owner.pid)
    cpu = min(os.sched_getaffinity(0))
    for tid in tids:
        os.sched_setaffinity(tid, {cpu})
    before = {n.name: n.stats() for n in room.nodes.values()}
    with spinning(cpu) as other, Sampler(lambda: policies(tids)) as sampler:
        began = cpu_ticks(owner.pid), cpu_ticks(other)
        with room.flood(address, FLOOD_PER_SECOND, machines):
            assert answered(room, address) == {owner.mac}
        ours, theirs = cpu_ticks(owner.pid) - began[0], cpu_ticks(other) - began[1]
        assert theirs > ours / 4, f"{ours} ticks were ours, {theirs} those of a program that wanted all"
    after = {n.name: n.stats() for n in room.nodes.values()}
    flooded = after[owner.name]
    assert flooded["arp_requests"] + flooded["ndp_solicitations"] > 10_000, "there was no flood"
    assert room.wait_agreed() == owners
    for name, stats in after.items():
        assert stats["takeovers"] == before[name]["takeovers"]
        assert stats["received"] > before[name]["received"] + QUESTIONS
    if machines > 1:
        assert any(s.count(os.SCHED_FIFO) == 1 for s in sampler.seen), "the thread never laid its priority down"
    assert policies(tids).count(os.SCHED_FIFO) == 2
