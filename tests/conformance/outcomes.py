# SPDX-License-Identifier: Apache-2.0
"""What became of each test in each mode, and whether that is as it should be.  Pure, but for load() and save()."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .exceptions import NEVER, Exceptions

PASS, FAIL, SKIP = "pass", "fail", "skip"


@dataclass(frozen=True)
class Outcome:
    what: str  # PASS, FAIL, or SKIP: the test itself said that it cannot run
    seconds: int
    said: str = ""  # by what failed or skipped


def problems(mode: str, outcomes: Mapping[str, Outcome], known: Iterable[str], exceptions: Exceptions) -> list[str]:
    """What is not as it should be in a run; empty if all is."""
    found = [f"exceptions: no test is called {pattern!r}" for pattern in exceptions.unmatched(list(known))]
    return found + [wrong for name, o in outcomes.items() if (wrong := judge(mode, name, o, exceptions))]


def judge(mode: str, name: str, outcome: Outcome, exceptions: Exceptions) -> str:
    """What is not as it should be with one test; empty if all is."""
    exception = exceptions.of(name, mode)
    wanted = exception.outcome if exception else PASS
    if outcome.what == wanted or (wanted == NEVER and outcome.what != PASS):
        return ""
    if outcome.what == PASS:
        return f"exceptions: {name!r} passes in mode {mode}"
    if exception:
        return f"{name}: {outcome.what} rather than {wanted}: {outcome.said}"
    return f"{name}: {outcome.what}: {outcome.said}"


def table(mode: str, outcomes: Mapping[str, Outcome]) -> str:
    """For a person at a terminal: what has not passed comes last."""
    lines = []
    for name, o in sorted(outcomes.items(), key=lambda item: (item[1].what != PASS, item[0])):
        said = f": {o.said[:160]}" if o.said else ""
        lines.append(f"{o.what} {o.seconds:5} s  {name}{said}")
    return "\n".join([*lines, f"mode {mode}: {summary(outcomes)}"])


def summary(outcomes: Mapping[str, Outcome]) -> str:
    count = {what: sum(o.what == what for o in outcomes.values()) for what in (PASS, FAIL, SKIP)}
    return f"{count[PASS]} passed, {count[FAIL]} failed, {count[SKIP]} skipped"


def load(path: Path) -> dict[str, Outcome]:
    """What an earlier run has left; nothing if there was none."""
    if not path.exists():
        return {}
    return {name: Outcome(**fields) for name, fields in json.loads(path.read_text(encoding="utf-8")).items()}


def save(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    text = json.dumps({name: asdict(o) for name, o in sorted(outcomes.items())}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
