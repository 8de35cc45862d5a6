# SPDX-License-Identifier: Apache-2.0
"""Network namespaces by name (/run/netns/NAME, as `ip netns` keeps them).

entered() moves the calling thread alone; sockets opened and processes started meanwhile belong to that namespace for
good.  So one Python process can hold sockets in every namespace of the lab.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .waiting import LabError

DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def exists(name: str) -> bool:
    return (DIRECTORY / name).exists()


def names(prefix: str) -> list[str]:
    """Every namespace whose name starts so."""
    if not DIRECTORY.is_dir():
        return []
    return sorted(p.name for p in DIRECTORY.iterdir() if p.name.startswith(prefix))


def create(name: str) -> None:
    _run(["ip", "netns", "add", name])


def delete(name: str) -> None:
    """Removes the name; the namespace itself goes with its last process and socket."""
    subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)


@contextmanager
def entered(name: str) -> Iterator[None]:
    try:
        there = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LabError(f"no network namespace {name}") from None
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(there)
        try:
            yield
        finally:
            _setns(here)
    finally:
        os.close(there)
        os.close(here)


def configure(name: str, commands: list[str]) -> None:
    """Runs `ip` commands ("link set lo up") in a namespace, as one batch."""
    _run(["ip", "-n", name, "-batch", "-"], "\n".join(commands) + "\n")


def output(name: str, argv: list[str]) -> str:
    """What a command prints when run in a namespace; LabError if it fails."""
    with entered(name):
        return _run(argv)


def dig(name: str, server: str, of: str, kind: str = "A") -> list[str]:
    """The data of the records with which a name server answers somebody in a namespace; LabError without an answer."""
    return output(name, ["dig", "+short", "+tries=1", "+time=3", f"@{server}", of, kind]).splitlines()


def feed(name: str, argv: list[str], text: str) -> str:
    """The same for a command that reads its input."""
    with entered(name):
        return _run(argv, text)


def set_sysctls(name: str, values: dict[str, str]) -> None:
    """Sets sysctls under net.*, which are the namespace's own."""
    with entered(name):
        for key, value in values.items():
            path = Path("/proc/sys/net", *key.split("/"))
            try:
                path.write_text(value, encoding="ascii")
            except OSError as error:
                raise LabError(f"sysctl net/{key}={value} in {name}: {error.strerror}") from error


def pids(name: str) -> list[int]:
    """The processes that live in a namespace."""
    try:
        wanted = os.stat(DIRECTORY / name)
    except FileNotFoundError:
        return []
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            mine = os.stat(f"/proc/{entry}/ns/net")
        except OSError:
            continue  # ended meanwhile, or a zombie
        if (mine.st_dev, mine.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(int(entry))
    return found


def _run(argv: list[str], text: str | None = None) -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
