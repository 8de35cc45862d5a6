# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, with a deadline and a message that says what was seen last."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class LabError(Exception):
    """What went wrong in the lab, for a person to read."""


class NotInTime(LabError):
    """A condition that did not come true before its deadline."""


def wait_for(what: str, probe: Callable[[], T], seconds: float = 10.0, every: float = 0.02) -> T:
    """Calls probe until it returns something true, and returns that.

    A LabError that probe raises counts as "not yet" and is part of the message if time runs out.
    """
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
