# SPDX-License-Identifier: Apache-2.0
"""Programs that run in namespaces: each with its log file, its own session, and a pid that is known to be ours."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from . import netns
from .waiting import WAIT_SECONDS, LabError


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with the pid its identity; None if it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Identity:
    pid: int
    started: int

    def alive(self) -> bool:
        return start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass


def identity(pid: int) -> Identity:
    return Identity(pid, start_time(pid) or 0)


def end(processes: Iterable[Identity], seconds: float = 2.0) -> None:
    """SIGTERM to all, and SIGKILL to who is still there after a while."""
    left = [p for p in processes if p.alive()]
    for p in left:
        p.signal(signal.SIGCONT)
        p.signal(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while (left := [p for p in left if p.alive()]) and time.monotonic() < deadline:
        time.sleep(0.01)
    for p in left:
        p.signal(signal.SIGKILL)
    while any(p.alive() for p in left) and time.monotonic() < deadline + 2:
        time.sleep(0.01)


class Process:
    """One program that we started."""

    def __init__(self, name: str, argv: list[str], namespace: str, log: Path) -> None:
        self.name, self.argv, self.namespace, self.log = name, argv, namespace, log
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        if self.running():
            raise LabError(f"{self.name} runs already")
        with self.log.open("ab") as log, netns.entered(self.namespace) if self.namespace else nullcontext():
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        self.identity = identity(self._popen.pid)

    @property
    def pid(self) -> int:
        if not self._popen:
            raise LabError(f"{self.name} was never started")
        return self._popen.pid

    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def status(self) -> int | None:
        """The exit status; None while it runs or before it started; negative: the signal that ended it."""
        return self._popen.poll() if self._popen else None

    def signal(self, number: int) -> None:
        if self.running():
            os.kill(self.pid, number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self, seconds: float = WAIT_SECONDS) -> int:
        """SIGTERM, and waits; LabError if it does not end in time."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = WAIT_SECONDS) -> int:
        if not self._popen:
            raise LabError(f"{self.name} was never started")
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {seconds:g} s") from None

    def log_lines(self) -> list[str]:
        try:
            return self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def tail(self, n_lines: int = 12) -> str:
        return "\n".join(self.log_lines()[-n_lines:])

    def findings(self) -> list[str]:
        """What sanitizers said."""
        return [line for line in self.log_lines() if "Sanitizer" in line or ": runtime error: " in line]
