# SPDX-License-Identifier: Apache-2.0
"""Faults between proxyctl and the kernel, by the library tests/proxy/faults.so; that explains them."""

import mmap
import struct
from pathlib import Path

from proxyroom import BUILD

WRITES, READS, STARTS = 1, 2, 4
END_SELF, END_DRIVER, END_BOTH, FAIL, REFUSE, INTERRUPT = range(1, 7)

_PLAN = struct.Struct("=5IiIi32sI28s")  # struct plan
_CALLS, _FIRST, _DONE = 0, 4, 24


class Faults:
    """One plan, for a proxyctl with the environment `env` and all that it runs."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_PLAN.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _PLAN.size)
        self.env = {"FAIRLEAD_FAULTS": str(path), "LD_PRELOAD": str(BUILD / "tests/proxy/faults.so")}

    def plan(
        self,
        action: int,
        first: int = 1,
        times: int = 1,
        which: int = WRITES | STARTS,
        error: int = 0,
        program: str = "",
        needle: bytes = b"",
    ) -> None:
        """From now on; what has been counted is forgotten."""
        values = (0, 0, times, which, action, error, 0, self._number(28), program.encode(), len(needle), needle)
        self._map[:] = _PLAN.pack(*values)
        self._map[_FIRST : _FIRST + 4] = struct.pack("=I", first)  # the last, since it is what begins

    def rest(self, which: int = WRITES | STARTS) -> None:
        """Nothing happens, calls are counted."""
        self.plan(END_SELF, 0, which=which)

    def _number(self, offset: int) -> int:
        return int(struct.unpack_from("=I", self._map, offset)[0])

    @property
    def calls(self) -> int:
        return self._number(_CALLS)

    @property
    def done(self) -> int:
        return self._number(_DONE)
