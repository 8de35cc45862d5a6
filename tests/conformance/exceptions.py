# SPDX-License-Identifier: Apache-2.0
"""What is not expected to pass, in which modes, and why: exceptions.yaml.  Pure, but for load().

Each entry has `tests`, full names of tests or beginnings of them that end with `*`; `why`; and `outcome`:

  fail   the tests run, and fail
  skip   the tests run, and skip themselves
  never  the tests are not run at all, but for `tests/upstream run --all`, and do not pass then

`modes` says in which modes that is so; without it in all.  `lacking` names what the kernel has none of then, one of
kernel.FEATURES; where it has it, the tests are like any other.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.waiting import LabError

from . import kernel

NEVER = "never"
_OUTCOMES = ("fail", "skip", NEVER)
_FILE = Path(__file__).with_name("exceptions.yaml")


@dataclass(frozen=True)
class Exception_:
    tests: tuple[str, ...]
    outcome: str
    why: str
    modes: tuple[str, ...] = ()
    lacking: str = ""

    def is_of(self, name: str, mode: str) -> bool:
        return (not self.modes or mode in self.modes) and any(matches(p, name) for p in self.tests)


class Exceptions:
    def __init__(self, entries: Iterable[Exception_]) -> None:
        self.entries = list(entries)

    def of(self, name: str, mode: str) -> Exception_ | None:
        """The first one that applies."""
        return next((e for e in self.entries if e.is_of(name, mode)), None)

    def is_never(self, name: str, mode: str) -> bool:
        exception = self.of(name, mode)
        return exception is not None and exception.outcome == NEVER

    def unmatched(self, known: list[str]) -> list[str]:
        """Names and beginnings of names that no test has."""
        patterns = [p for e in self.entries for p in e.tests]
        return [p for p in patterns if not any(matches(p, name) for name in known)]


def matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def load(modes: Iterable[str], path: Path = _FILE, has: Collection[str] = ()) -> Exceptions:
    """Reads the file; LabError with the entry's number if one is not as it should be.  @has: features of the kernel."""
    entries = []
    for number, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")) or [], 1):
        if not isinstance(entry, dict) or set(entry) - {"tests", "outcome", "why", "modes", "lacking"}:
            wants = "wants tests, outcome, why and perhaps modes and lacking, and nothing else"
            raise LabError(f"{path}: entry {number}: {wants}")
        named, outcome, why, lacking = (entry.get(key) for key in ("tests", "outcome", "why", "lacking"))
        if not named or not isinstance(named, list) or not all(isinstance(t, str) for t in named):
            raise LabError(f"{path}: entry {number}: tests: wants a list of names")
        if outcome not in _OUTCOMES:
            raise LabError(f"{path}: entry {number}: outcome: wants one of {', '.join(_OUTCOMES)}")
        if not isinstance(why, str) or not why:
            raise LabError(f"{path}: entry {number}: why: wants a sentence")
        if unknown := set(entry.get("modes", [])) - set(modes):
            raise LabError(f"{path}: entry {number}: modes: there is no {', '.join(sorted(unknown))}")
        if lacking is not None and lacking not in kernel.FEATURES:
            raise LabError(f"{path}: entry {number}: lacking: wants one of {', '.join(kernel.FEATURES)}")
        entries.append(Exception_(tuple(named), outcome, why, tuple(entry.get("modes", [])), lacking or ""))
    return Exceptions(e for e in entries if e.lacking not in has)
