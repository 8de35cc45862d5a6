# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, with a deadline and a message that says what was seen last."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# In the virtual machine (tests/vm), whose processors are emulated, everything takes many times as long.
PATIENCE = 10 if os.environ.get("FAIRLEAD_VM") else 1

# What a busy machine is given: a wait ends when its condition holds, and only one in vain costs as much.
WAIT_SECONDS = 30.0


class LabError(Exception):
    """What went wrong in the lab, for a person to read."""


class NotInTime(LabError):
    """A condition that did not come true before its deadline."""


def wait_for(what: str, probe: Callable[[], T], seconds: float = WAIT_SECONDS, every: float = 0.02) -> T:
    """Calls probe until it returns something true, and returns that.

    A LabError that probe raises counts as "not yet" and is part of the message if time runs out.
    """
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            result = probe()
            if result:
                return result
            last = result
        except LabError as error:
            last = error
        if time.monotonic() >= deadline:
            raise NotInTime(f"{what}: not within {seconds:g} s (last seen: {last!s:.300})")
        time.sleep(every)
