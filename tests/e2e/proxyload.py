# SPDX-License-Identifier: Apache-2.0
"""Pods that come and go in the room of the service proxy, and clients that download from them for long.

A Pod answers on a port of its own for short requests and on another one for downloads.  What is downloaded are numbered
lines without an end, so that nothing can be missing unnoticed.
"""

import asyncio
import os
import socket
import subprocess
import threading
from typing import Any

from proxyroom import BUILD, POD, ns

from lab import netns
from lab.waiting import PATIENCE

LINE_S = 0.02 * PATIENCE
SILENCE_S = 20.0 * PATIENCE  # after which a download is given up


class Loop:
    """asyncio in a thread; what it opens belongs to a namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with netns.entered(self._namespace):
            self.loop.run_forever()

    def run(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(60 * PATIENCE)

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def stop(self) -> None:
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Source:
    """Sends numbered lines without an end to whoever connects."""

    def __init__(self, name: str, inside: Loop, address: str, port: int) -> None:
        self.name, self.n_downloads = name, 0
        self._inside = inside
        self._server = inside.run(asyncio.start_server(self._send, address, port))

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_downloads += 1
        try:
            for number in range(1 << 30):
                writer.write(f"{self.name} {number}\n".encode())
                await writer.drain()
                await asyncio.sleep(LINE_S)
        except OSError:
            pass  # the client has enough
        finally:
            self.n_downloads -= 1
            writer.close()

    def refuse(self) -> None:
        """As who is told to end: what is under way goes on."""
        self._inside.loop.call_soon_threadsafe(self._server.close)


class Pod:
    def __init__(self, name: str, node: str, number: int) -> None:
        self.name, self.node, self.port, self.download_port = name, node, 8100 + number, 9100 + number
        environment = {"WHOAMI_PORT_NUMBER": str(self.port), "HOSTNAME": name, "PATH": os.environ["PATH"]}
        self._inside = Loop(ns(f"pod{node[-1]}"))
        with netns.entered(ns(f"pod{node[-1]}")):
            self._echo = subprocess.Popen([BUILD / "tests/lab/fairlead-echo"], env=environment)
        self._source = Source(name, self._inside, POD[node], self.download_port)
        self._wait_for_echo()

    @property
    def n_downloads(self) -> int:
        return self._source.n_downloads

    def _wait_for_echo(self) -> None:
        while True:
            with netns.entered(ns(f"pod{self.node[-1]}")), socket.socket() as s:
                if s.connect_ex((POD[self.node], self.port)) == 0:
                    return

    def endpoint(self, port: int) -> str:
        return f"{POD[self.node]};{port}"

    def refuse_downloads(self) -> None:
        self._source.refuse()

    def end(self) -> None:
        self._echo.kill()
        self._echo.wait()
        self.refuse_downloads()
        self._inside.stop()


class Downloads:
    """So many at a time, each of so many lines; `failures` says how some ended too early."""

    def __init__(self, namespace: str, host: str, port: int, at_a_time: int, lines: int) -> None:
        self.failures: list[str] = []
        self.n_done = self.n_lines = 0
        self.pods: set[str] = set()
        self._host, self._port, self._lines = host, port, lines
        self._n, self._stop = at_a_time, False
        self._loop = Loop(namespace)

    def __enter__(self) -> "Downloads":
        self._tasks = [asyncio.run_coroutine_threadsafe(self._go_on(), self._loop.loop) for _ in range(self._n)]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for what is under way, unless something is wrong already."""
        self._stop = True
        if kind:
            self.stop()
        for task in self._tasks:
            task.result(120 * PATIENCE)
        self._loop.stop()

    def stop(self) -> None:
        """Each ends as done now, after the line that comes next."""
        self._stop, self._lines = True, 0

    async def _go_on(self) -> None:
        while not self._stop:
            number = 0
            try:
                number = await self._one()
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.failures.append(f"after {number} lines: {type(error).__name__} {error}")
                await asyncio.sleep(0.1)
            else:
                self.n_done += 1

    async def _one(self) -> int:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(self._host, self._port), SILENCE_S)
        number, first = 0, ""
        try:
            while number < self._lines:
                line = (await asyncio.wait_for(reader.readuntil(b"\n"), SILENCE_S)).decode()
                pod, said = line.split()
                first = first or pod
                if (pod, int(said)) != (first, number):
                    raise ValueError(f"{line!r} in place of line {number}")
                number += 1
                self.n_lines += 1
        finally:
            writer.close()
        self.pods.add(first)
        return number


class Knocker:
    """Opens one connection after the other; one that nobody answers is lost."""

    def __init__(self, namespace: str, host: str, port: int, patience_s: float = SILENCE_S) -> None:
        self.n_answered = self.n_refused = self.n_lost = 0
        self._namespace, self._to, self._patience_s = ns(namespace), (host, port), patience_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Knocker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with netns.entered(self._namespace):
            while not self._stop.is_set():
                self._knock()

    def _knock(self) -> None:
        try:
            socket.create_connection(self._to, self._patience_s).close()
            self.n_answered += 1
        except ConnectionRefusedError:
            self.n_refused += 1
        except TimeoutError:
            self.n_lost += 1
