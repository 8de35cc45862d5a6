# SPDX-License-Identifier: Apache-2.0
"""User-Mode Linux: a kernel that is a program of this machine, for what takes long where processors are emulated.

Its processes run on this machine's processors, and only their system calls go to that kernel, which has one processor.
"""

from pathlib import Path

KERNEL = Path("/var/cache/fairlead/uml/linux")
_INIT = Path(__file__).with_name("init-uml")


def missing() -> list[str]:
    return [] if KERNEL.exists() else [f"a kernel in {KERNEL.parent}"]


def argv(own: dict[str, Path], memory: int, ports: list[int]) -> list[str]:
    """@own: what `start` gets to know; @ports: where the command's output goes, as file descriptors."""
    # Its processes go with the first of them, which is the shell: a kernel that panics ends itself by a signal, which
    # the first would not get.
    alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child=KILL"]
    alone += ["env", "TMPDIR=/dev/shm"]  # for its memory, which is a file
    alone += ["sh", "-c", '"$@"; exit $?', "sh"]
    words = [f"mem={memory}M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={_INIT}", "quiet"]
    words += ["con=null", "con0=null,fd:2", *(f"ssl{n}=null,fd:{fd}" for n, fd in enumerate(ports))]
    return [*alone, str(KERNEL), *words, *(f"{name}={path}" for name, path in own.items())]
