# SPDX-License-Identifier: Apache-2.0
"""The speaker's urgent thread has real-time priority and locked memory where the speaker may have them."""

import os
import re
from pathlib import Path

from lab.cluster import Lab
from lab.waiting import wait_for

MESSAGES = ("the urgent thread has no real-time priority", "the urgent thread's memory is not locked")


def policies(pid: int) -> list[int]:
    """Of all threads, without the flag that their children would be ordinary."""
    threads = [int(t.name) for t in Path(f"/proc/{pid}/task").iterdir()]
    return sorted(os.sched_getscheduler(t) & ~os.SCHED_RESET_ON_FORK for t in threads)


def locked_kilobytes(pid: int) -> int:
    found = re.search(r"^VmLck:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.M)
    return int(found[1]) if found else 0


def test_one_thread_is_before_all_others(lab: Lab) -> None:
    """And a second one, which gives it its priority back when it has laid that down."""
    speaker = lab.speaker("node1")
    found = policies(speaker.pid)
    assert found.count(os.SCHED_FIFO) == 2
    assert set(found) == {os.SCHED_FIFO, os.SCHED_OTHER}
    assert locked_kilobytes(speaker.pid) > 0
    said = lab.daemon("node1")["l2"]
    assert said["realtime"]
    assert said["memory_locked"]
    assert not any(m in speaker.log.read_text(encoding="utf-8") for m in MESSAGES)


def test_without_the_capabilities_it_goes_on(lab: Lab) -> None:
    speaker = lab.speaker("node2")
    argv = speaker.argv
    speaker.stop()
    narrowed = ["setpriv", "--bounding-set=-sys_nice,-ipc_lock", *argv]
    speaker = lab.start("speaker-node2", narrowed, lab.host("node2").namespace)
    wait_for("node2's speaker to be ready", lambda: lab.daemon("node2", "/readyz"))
    said = lab.daemon("node2")["l2"]
    assert not said["realtime"]
    assert not said["memory_locked"]
    assert set(policies(speaker.pid)) == {os.SCHED_OTHER}
    assert locked_kilobytes(speaker.pid) == 0
    log = speaker.log.read_text(encoding="utf-8")
    assert all(m in log for m in MESSAGES)
    wait_for("it to hear its peers", lambda: all(p["alive"] for p in lab.daemon("node2")["l2"]["peers"]))
