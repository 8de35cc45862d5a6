# SPDX-License-Identifier: Apache-2.0
"""FRR's daemons in namespaces of the lab, and a plain client of their vty sockets.

Each daemon has a directory of its own for its sockets, so that several run on one machine; none reads or writes
/etc/frr.  Without zebra bgpd takes every next hop for reachable and installs nothing, which is enough where only BGP is
looked at.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import netns
from .waiting import LabError, wait_for

DAEMONS = Path("/usr/lib/frr")


def installed() -> bool:
    return (DAEMONS / "bgpd").exists()


class Vty:
    """One connection; every command is sent and answered before the next."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._bytes = b""
        self.say("enable")

    def close(self) -> None:
        self._socket.close()

    def ask(self, command: str) -> tuple[int, str]:
        """The status and the text of one command."""
        self._socket.sendall(command.encode() + b"\0")
        return self._reply()

    def pipeline(self, commands: list[str]) -> None:
        """Commands that must succeed, all sent before the first reply is read: few enough for the socket's buffers."""
        self._socket.sendall(b"".join(c.encode() + b"\0" for c in commands))
        for command in commands:
            status, text = self._reply()
            if status:
                raise LabError(f"{command}: status {status}: {text}")

    def _reply(self) -> tuple[int, str]:
        while True:
            end = self._bytes.find(b"\0\0\0")
            if end >= 0 and len(self._bytes) > end + 3:
                status, text = self._bytes[end + 3], self._bytes[:end].decode()
                self._bytes = self._bytes[end + 4 :]
                return status, text
            piece = self._socket.recv(65536)
            if not piece:
                raise LabError("the daemon closed the socket")
            self._bytes += piece

    def say(self, *commands: str) -> str:
        """Commands that must succeed; returns the last one's text."""
        text = ""
        for command in commands:
            status, text = self.ask(command)
            if status:
                raise LabError(f"{command}: status {status}: {text}")
        return text


class Daemon:
    """bgpd, bfdd or zebra in a namespace, with its sockets in a directory."""

    def __init__(self, name: str, namespace: str, directory: Path, *flags: str) -> None:
        self.name, self.namespace, self.directory, self.flags = name, namespace, directory, flags
        self.socket = directory / f"{name}.vty"
        self.log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [str(DAEMONS / self.name), "-f", "/dev/null", "--vty_socket", str(self.directory)]
        argv += ["-i", str(self.directory / f"{self.name}.pid"), "-z", str(self.directory / "zserv.api")]
        argv += ["-u", "frr", "-g", "frr", "-P", "0", "--log", "stdout", *self.flags]
        with netns.entered(self.namespace), self.log.open("ab") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"{self.name} in {self.namespace}", self._answers, 20)

    def _answers(self) -> bool:
        try:
            Vty(self.socket).close()
        except OSError as error:
            raise LabError(str(error)) from None
        return True

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9; the socket's file stays, as it does in life."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self.kill()

    def vty(self) -> Vty:
        return Vty(self.socket)

    def configure(self, *commands: str) -> None:
        vty = self.vty()
        try:
            vty.say("configure terminal", *commands)
        finally:
            vty.close()

    def show(self, command: str) -> str:
        vty = self.vty()
        try:
            return vty.say(command)
        finally:
            vty.close()

    def running_config(self) -> str:
        return self.show("show running-config")

    def json(self, command: str) -> Any:
        return json.loads(self.show(command))

    def route(self, prefix: str) -> dict[str, Any]:
        """What bgpd knows of a prefix; empty if nothing."""
        family = "ipv6" if ":" in prefix else "ipv4"
        return self.json(f"show bgp {family} unicast {prefix} json")


class Relay:
    """Stands between a daemon and whoever connects to it while the block lasts, and looks at what is said to it.

    Before the first command with `word` is passed on, `look` is called, and what it returns is `seen`.
    """

    def __init__(self, daemon: Daemon, word: str, look: Callable[[], Any]) -> None:
        self._socket, self._behind = daemon.socket, daemon.socket.with_suffix(".behind")
        self._word, self._look = word.encode(), look
        self._threads: list[threading.Thread] = []
        self.seen: Any = None

    def __enter__(self) -> "Relay":
        self._socket.rename(self._behind)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._socket))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._behind.rename(self._socket)

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(str(self._behind))
            for args in ((client, daemon, True), (daemon, client, False)):
                self._threads.append(threading.Thread(target=self._pass_on, args=args, daemon=True))
                self._threads[-1].start()

    def is_idle(self) -> bool:
        """Nobody is connected any more."""
        return not any(thread.is_alive() for thread in self._threads)

    def _pass_on(self, source: socket.socket, to: socket.socket, commands: bool) -> None:
        try:
            while piece := source.recv(65536):
                if commands and self.seen is None and self._word in piece:
                    self.seen = self._look()
                to.sendall(piece)
        except OSError:
            pass
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def run_directory() -> Path:
    """A directory where daemons that have become user frr may make their sockets; short enough for a socket's path."""
    directory = Path(tempfile.mkdtemp(prefix="flfrr"))
    shutil.chown(directory, "frr", "frr")
    os.chmod(directory, 0o755)
    return directory
