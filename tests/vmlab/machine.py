# SPDX-License-Identifier: Apache-2.0
"""One virtual machine, booted for one command: what tests/vm says of it.

It sees the files of this machine, read-only; the build directory; and the job, a directory of this run alone, with the
command, and its status in the end.  What the command prints comes by two serial ports, as it is.  Nothing has a name or
a number that two machines could both want.
"""

import os
import selectors
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import emulated, usermode

TIMED_OUT, NOT_RUN = 124, 125
_START = Path(__file__).with_name("start")


def missing(uml: bool = False) -> str:
    """Why no machine can run here, for a person to read; empty if one can.  @uml: User-Mode Linux, not qemu."""
    if os.geteuid() != 0:
        return "needs root"
    absent = usermode.missing() if uml else emulated.missing()
    if not shutil.which("setpriv"):
        absent.append("setpriv")
    return f"needs {', '.join(absent)} (tests/install {'uml' if uml else 'vm'})" if absent else ""


def run(command: list[str], build: Path, seconds: float, memory: int, uml: bool = False) -> int:
    """Runs it in a machine, its output into ours; its exit status, or one of the constants above."""
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fairlead-vm-") as job:
        _write_command(Path(job), command)
        ports = [socket.socketpair() for _ in range(2)]
        own = {"start": _START, "job": Path(job), "build": build}
        argv = (usermode if uml else emulated).argv(own, memory, [guest.fileno() for _, guest in ports])
        with (Path(job) / "console").open("wb") as console:
            machine = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, pass_fds=[g.fileno() for _, g in ports]
            )
        try:
            for _, guest in ports:
                guest.close()
            if _stream([own for own, _ in ports], time.monotonic() + seconds):
                return _verdict(Path(job))
            print(f"tests/vm: not ended within {seconds:g} s", file=sys.stderr)
            return TIMED_OUT
        finally:
            machine.kill()
            machine.wait()


def _write_command(job: Path, command: list[str]) -> None:
    environment = [f"export {name}={shlex.quote(value)}" for name, value in os.environ.items() if name.isidentifier()]
    lines = [*environment, "export FAIRLEAD_VM=1", f"cd {shlex.quote(os.getcwd())}", f"exec {shlex.join(command)}"]
    (job / "command").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _stream(ports: list[socket.socket], deadline: float) -> bool:
    """Passes on what the command prints until the machine has ended; False if its time is over before."""
    with selectors.DefaultSelector() as selector:
        for port, fd in zip(ports, (1, 2), strict=True):
            selector.register(port, selectors.EVENT_READ, fd)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                data = os.read(key.fd, 65536)
                if data:
                    sys.stdout.flush()
                    _write(key.data, data)
                else:
                    selector.unregister(key.fileobj)
        return not selector.get_map()


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _verdict(job: Path) -> int:
    status = job / "status"
    if status.exists():
        return int(status.read_text())
    tail = (job / "console").read_bytes()[-3000:].decode(errors="replace")
    print(f"{tail}\ntests/vm: the machine ended by itself; above is the end of its console", file=sys.stderr)
    return NOT_RUN
