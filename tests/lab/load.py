# SPDX-License-Identifier: Apache-2.0
"""A client that opens so many connections a second, whatever becomes of them, and keeps what did."""

import asyncio
import contextlib
import errno
import itertools
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from . import netns
from .waiting import PATIENCE


@dataclass(frozen=True)
class Outcome:
    started: float  # time.monotonic()
    ended: float
    port: int  # the client's
    pod: str  # who answered; empty if nobody did
    error: str  # why not

    @property
    def was_reset(self) -> bool:
        return self.error == os.strerror(errno.ECONNRESET)


class Load:
    """GETs from a namespace, each on a connection of its own; without a whole answer after `timeout` it has failed.

    Each is from a port of its own for minutes, in whatever order Loads come: a port that is soon used again can meet
    what connection tracking remembers of an attempt to reach an endpoint that was dead.
    """

    _ports: Iterator[int] = itertools.cycle(range(10000, 60000))

    def __init__(
        self,
        namespace: str,
        address: str,
        port: int = 80,
        per_second: int = 100,
        timeout: float = 10.0,
        url: str = "",
    ) -> None:
        """@url: of what is asked for there, such as "www.example.org/path"; "": the address itself."""
        self.outcomes: list[Outcome] = []
        self.address = address
        self._namespace, self._port = namespace, port
        self._every, self._timeout = 1 / per_second, timeout * PATIENCE
        self._host, _, self._path = (url or address).partition("/")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for what is under way."""
        self._stop.set()
        self._thread.join()

    @property
    def failures(self) -> list[Outcome]:
        return [o for o in list(self.outcomes) if o.error]

    def summary(self, since: float | None = None) -> str:
        """One line for a person: how many, and which failed, with seconds since the start or another moment."""
        done = sorted(self.outcomes, key=lambda o: o.started)
        if since is None:
            since = done[0].started if done else 0.0
        failed = [f"{o.started - since:.2f} s: {o.error}" for o in done if o.error]
        which = failed if len(failed) <= 8 else [*failed[:4], "…", *failed[-4:]]
        slowest = max((o.ended - o.started for o in done), default=0.0)
        what = f"{len(done)} connections, {len(failed)} failed ({', '.join(which)}), slowest {slowest:.2f} s"
        return f"{self.address}: {what}"

    def _run(self) -> None:
        with netns.entered(self._namespace):
            asyncio.run(self._open_all())

    async def _open_all(self) -> None:
        under_way = set()
        due = time.monotonic()
        while not self._stop.is_set():
            task = asyncio.ensure_future(self._one())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += self._every
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)

    async def _one(self) -> None:
        started = time.monotonic()
        while True:
            port = next(Load._ports)
            pod = error = ""
            try:
                pod = await asyncio.wait_for(self._get(port), self._timeout)
            except TimeoutError:
                error = "timeout"
            except OSError as problem:
                if problem.errno == errno.EADDRINUSE:  # somebody else on this host has the port
                    continue
                error = os.strerror(problem.errno) if problem.errno else str(problem)
            break
        self.outcomes.append(Outcome(started, time.monotonic(), port, pod, error))

    async def _get(self, port: int) -> str:
        local = "::" if ":" in self.address else "0.0.0.0"
        reader, writer = await asyncio.open_connection(self.address, self._port, local_addr=(local, port))
        try:
            head = f"GET /{self._path} HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            answer = (await reader.read()).decode()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if not answer.startswith("HTTP/1.1 200 "):
            raise OSError(0, f"answered {answer[:40]!r}")
        return next((l.split(": ", 1)[1] for l in answer.splitlines() if l.startswith("Hostname: ")), "")
