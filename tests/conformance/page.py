# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md, from what the last run in each mode has left, and that again from the page.  Pure."""

import re
from collections.abc import Mapping, Sequence

from .exceptions import NEVER, Exceptions, matches
from .outcomes import FAIL, PASS, SKIP, Outcome, summary
from .suite import Test

_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- printed by tests/upstream page -->
# Kubernetes' own network tests

What Kubernetes' end-to-end suite ({version}), as far as it is about the network, says of a cluster whose Services
Fairlead carries, in each mode, and of the same cluster with kube-proxy, which then carries what Fairlead announces.
The cluster is that of `tests/cluster`, and `tests/upstream run` makes the run
([testing.md](testing.md#kubernetes-own-tests)).  The machine has Linux 6.18, and iptables 1.8.9 of the variant
nft, which mode `iptables` uses; kube-proxy runs in its own mode `iptables`.  Of the {all} tests {run} were run and
{left} were not: the [exceptions](#exceptions) say which, and why.  A test that fails in one of Fairlead's modes
and passes with kube-proxy is a defect, unless it stands among the exceptions.  {conformance} of the tests belong
to Kubernetes' Conformance; they are marked ✓.
"""
_TEST_BY_TEST = "## Test by test"


def text(
    version: str,
    tests: Sequence[Test],
    runs: Mapping[str, Mapping[str, Outcome]],
    exceptions: Exceptions,
) -> str:
    """@runs: by mode, in the order of the columns; of an empty one the page says that there was none."""
    entered = {name for run in runs.values() for name in run}
    counts = {"all": len(tests), "run": len(entered), "left": len(tests) - len(entered)}
    lines = [_HEAD.format(version=version, conformance=sum(t.conformance for t in tests), **counts)]
    lines += ["| mode | |", "|---|---|"]
    for mode, run in runs.items():
        said = summary(run) + _not_run(len(entered) - len(run)) if run else "was not run yet"
        lines.append(f"| `{mode}` | {said} |")
    columns = {mode: run for mode, run in runs.items() if run}
    lines += ["", "## Exceptions", "", "| tests | mode | outcome | why |", "|---|---|---|---|"]
    for entry in exceptions.entries:
        names = "<br>".join(_short(p) for p in entry.tests)
        modes = ", ".join(f"`{m}`" for m in entry.modes) or "all"
        count = sum(any(matches(p, t.name) for p in entry.tests) for t in tests)
        outcome = f"not run ({count})" if entry.outcome == NEVER else entry.outcome
        lines.append(f"| {names} | {modes} | {outcome} | {entry.why} |")
    modes = " | ".join(f"`{m}`" for m in columns)
    lines += ["", _TEST_BY_TEST, "", f"| test | | {modes} |", f"|---|---|{'---|' * len(columns)}"]
    for test in tests:
        if test.name in entered:
            cells = " | ".join(_cell(run.get(test.name)) for run in columns.values())
            lines.append(f"| {_short(test.name)} | {'✓' if test.conformance else ''} | {cells} |")
    return "\n".join(lines) + "\n"


def outcomes(page: str, tests: Sequence[Test]) -> dict[str, dict[str, Outcome]]:
    """What text() has put into a page, mode by mode, but for how long it took and why."""
    names = {_short(t.name): t.name for t in tests}
    runs: dict[str, dict[str, Outcome]] = {}
    for line in page.partition(_TEST_BY_TEST)[2].splitlines():
        name, _, *cells = re.split(r" *(?<!\\)\| *", line.strip("| ")) if line.startswith("| ") else ("", "")
        if name == "test":
            runs = {mode.strip("`"): {} for mode in cells}
        elif name in names:
            for run, cell in zip(runs.values(), cells, strict=True):
                if (what := cell.strip("*")) in (PASS, FAIL, SKIP):
                    run[names[name]] = Outcome(what, 0)
    return runs


def _short(name: str) -> str:
    """Without what all names begin with, and as Markdown takes it."""
    for before, after in (("[sig-network] ", ""), (" [Conformance]", ""), ("|", "\\|"), ("<", "&lt;"), ("*", "…")):
        name = name.replace(before, after)
    return name.strip()


def _not_run(count: int) -> str:
    """Of those that have run in some mode."""
    return f", {count} not yet run (–)" if count else ""


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "–"
    return outcome.what if outcome.what == PASS else f"**{outcome.what}**"
