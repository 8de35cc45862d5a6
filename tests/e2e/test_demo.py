# SPDX-License-Identifier: Apache-2.0
"""tests/demo as a person uses it: one at a time, cleaned up after Ctrl-C, leftovers named and removed."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from lab import netns
from lab.cluster import SOURCE
from lab.waiting import wait_for

DEMO = str(SOURCE / "tests" / "demo")
LAB_ID = os.environ.get("FAIRLEAD_LAB_ID", "e2e")
ENVIRONMENT = {**os.environ, "FAIRLEAD_LAB_ID": LAB_ID, "FAIRLEAD_BUILD": os.environ.get("FAIRLEAD_BUILD", "build")}


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [DEMO, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )


@pytest.fixture
def running() -> Iterator[subprocess.Popen[bytes]]:
    """A demo that has made its lab and goes on."""
    # Ctrl-C counts also where these tests run in the background, which would have it ignored.
    process = subprocess.Popen(
        [DEMO],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        # First it looks whether everything is installed and built.
        wait_for("the demo's Pods", lambda: netns.exists(f"fl-{LAB_ID}-pod-webapp-a"), 300)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        demo("--clean")


def leftovers() -> list[str]:
    return netns.names(f"fl-{LAB_ID}-")


def test_interrupt_cleans_up(running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert leftovers() == []


def test_second_demo_is_refused(running: subprocess.Popen[bytes]) -> None:
    os.killpg(running.pid, signal.SIGSTOP)  # or it might come to its end before the second one looks
    try:
        second = demo()
        assert second.returncode == 2
        assert "is in use by process" in second.stdout
        assert demo("--clean").returncode == 2
        assert leftovers() != []
    finally:
        os.killpg(running.pid, signal.SIGCONT)
    assert running.poll() is None


def test_leftovers_of_a_killed_demo(running: subprocess.Popen[bytes]) -> None:
    running.kill()
    running.wait()
    after = demo()
    assert after.returncode == 2
    assert f"`FAIRLEAD_LAB_ID={LAB_ID} tests/demo --clean`" in after.stdout
    assert demo("--clean").returncode == 0
    assert leftovers() == []
    assert demo("--clean").returncode == 0
