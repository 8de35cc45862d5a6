# SPDX-License-Identifier: Apache-2.0
"""What changes while a test runs, and when."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """The nodes to which packets are sent became others: between two looks, at moments of time.monotonic()."""

    after: float
    before: float
    was: list[str]
    now: list[str]

    def within(self, started: float, ended: float) -> bool:
        """Whether it may have been within that time."""
        return started < self.before and ended > self.after


class Watched:
    """Looks again and again, in a thread, to which nodes packets are sent, and keeps every change."""

    def __init__(self, look: Callable[[], list[str]], every: float = 0.1) -> None:
        self.changes: list[Change] = []
        self._ask, self._every = look, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watched":
        self._looked = time.monotonic()
        self._nodes = self._ask()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._look()

    def _look(self) -> None:
        looked = time.monotonic()
        nodes = self._ask()
        if nodes != self._nodes:
            self.changes.append(Change(self._looked, time.monotonic(), self._nodes, nodes))
        self._looked, self._nodes = looked, nodes
