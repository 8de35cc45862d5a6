# SPDX-License-Identifier: Apache-2.0
"""How the verdicts of Kubernetes' own suite are judged; the suite itself is run by tests/upstream."""

import json
import os
import subprocess
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from conformance import __main__ as command
from conformance import exceptions, outcomes, page, place, suite
from conformance.exceptions import NEVER, Exception_, Exceptions
from conformance.outcomes import FAIL, PASS, SKIP, Outcome
from lab import netns
from lab.waiting import LabError, wait_for

_LISTED = Exceptions(
    [
        Exception_(("a fails",), FAIL, "it does", ("ipvs",)),
        Exception_(("skips *",), SKIP, "it does"),
        Exception_(("never",), NEVER, "it would take a day"),
    ]
)
_KNOWN = ["a fails", "skips one", "skips two", "never", "passes"]


@pytest.mark.parametrize(
    ("name", "mode", "what", "wrong"),
    [
        ("passes", "ipvs", PASS, ""),
        ("passes", "ipvs", FAIL, "passes: fail: why"),
        ("passes", "ipvs", SKIP, "passes: skip: why"),
        ("a fails", "ipvs", FAIL, ""),
        ("a fails", "ipvs", PASS, "exceptions: 'a fails' passes in mode ipvs"),
        ("a fails", "ipvs", SKIP, "a fails: skip rather than fail: why"),
        ("a fails", "none", FAIL, "a fails: fail: why"),
        ("a fails", "none", PASS, ""),
        ("skips two", "none", SKIP, ""),
        ("skips two", "none", PASS, "exceptions: 'skips two' passes in mode none"),
        ("never", "none", FAIL, ""),
        ("never", "none", SKIP, ""),
        ("never", "none", PASS, "exceptions: 'never' passes in mode none"),
    ],
)
def test_a_verdict(name: str, mode: str, what: str, wrong: str) -> None:
    found = outcomes.problems(mode, {name: Outcome(what, 1, "why")}, _KNOWN, _LISTED)
    assert found == ([wrong] if wrong else [])


def test_an_exception_without_its_test() -> None:
    known = ["a fails", "never", "passes"]
    assert outcomes.problems("none", {}, known, _LISTED) == ["exceptions: no test is called 'skips *'"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("- tests: [a]\n  outcome: fail\n", "entry 1: why: wants a sentence"),
        ("- tests: a\n  outcome: fail\n  why: b\n", "entry 1: tests: wants a list of names"),
        ("- tests: [a]\n  outcome: pass\n  why: b\n", "entry 1: outcome: wants one of fail, skip, never"),
        ("- tests: [a]\n  outcome: fail\n  why: b\n  modes: [x]\n", "entry 1: modes: there is no x"),
        ("- tests: [a]\n  outcome: fail\n  why: b\n  lacking: x\n", "entry 1: lacking: wants one of sctp"),
        ("- tests: [a]\n  outcome: fail\n  why: b\n  mode: x\n", "entry 1: wants tests, outcome, why"),
    ],
)
def test_an_entry_that_is_not_one(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(LabError, match=wrong):
        exceptions.load(place.MODES, file)


def test_the_list_is_read() -> None:
    assert exceptions.load(place.MODES).entries


def test_what_a_kernel_has_is_no_exception_there(tmp_path: Path) -> None:
    file = tmp_path / "exceptions.yaml"
    file.write_text("- tests: [over SCTP]\n  outcome: never\n  why: b\n  lacking: sctp\n", encoding="utf-8")
    assert exceptions.load(place.MODES, file).is_never("over SCTP", "iptables")
    assert not exceptions.load(place.MODES, file, has={"sctp"}).is_never("over SCTP", "iptables")


def _line(name: str, state: str, said: str = "") -> str:
    """As the suite writes it when a test has ended."""
    spec: dict[str, Any] = {
        "ContainerHierarchyTexts": ["[sig-network]"],
        "LeafNodeText": name,
        "LeafNodeType": "It",
        "State": state,
        "RunTime": 2_400_000_000,
    }
    return json.dumps(spec | ({"Failure": {"Message": said}} if said else {})) + "\n"


def test_what_a_run_has_told(tmp_path: Path) -> None:
    lines = [
        _line("a", "passed"),
        _line("b", "failed", "of  course"),
        _line("c", "timedout", "A spec timeout occurred"),
        _line("d", "skipped", "not here"),
    ]
    report = tmp_path / "report"
    report.write_text("".join(lines), encoding="utf-8")
    assert suite.told(report) == {
        "[sig-network] a": Outcome(PASS, 2),
        "[sig-network] b": Outcome(FAIL, 2, "of course"),
        "[sig-network] c": Outcome(FAIL, 2, "A spec timeout occurred"),
        "[sig-network] d": Outcome(SKIP, 2, "not here"),
    }


def test_what_a_run_was_ended_in_the_midst_of_is_no_outcome(tmp_path: Path) -> None:
    lines = [
        _line("a", "passed"),
        _line("b", "interrupted", "Interrupted by User"),
        _line("c", "aborted", "by another process"),
        _line("d", "timedout", "A suite timeout occurred"),
        _line("e", "skipped"),
        _line("f", "pending"),
        _line("g", "passed")[:-1],  # killed while it wrote
    ]
    report = tmp_path / "report"
    report.write_text("".join(lines), encoding="utf-8")
    assert list(suite.told(report)) == ["[sig-network] a"]


def test_no_run_has_told_nothing(tmp_path: Path) -> None:
    assert suite.told(tmp_path / "report") == {}


def test_a_run_that_is_ended_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = tmp_path / "alive"  # which ginkgo's processes have open
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    ginkgo = tmp_path / "ginkgo"
    ginkgo.write_text(f"#!/bin/sh\nexec >{alive} 2>&1\nsleep 1000 &\necho\nwait\n", encoding="utf-8")
    ginkgo.chmod(0o755)
    monkeypatch.setattr(suite, "program", lambda name: str(tmp_path / name))
    monkeypatch.setattr(netns, "entered", nullcontext)
    wait = subprocess.Popen.wait

    def is_ended(_process: subprocess.Popen[bytes]) -> int:
        monkeypatch.setattr(subprocess.Popen, "wait", wait)
        wait_for("ginkgo's processes", lambda: has_read(b"\n"))
        raise SystemExit

    def has_read(wanted: bytes) -> bool:
        with suppress(BlockingIOError):
            return os.read(reader, 1) == wanted
        return False

    monkeypatch.setattr(subprocess.Popen, "wait", is_ended)
    with pytest.raises(SystemExit):
        suite.run(["a"], "", tmp_path / "kubeconfig", 1, tmp_path / "report", tmp_path / "log")
    wait_for("their end", lambda: has_read(b""))
    os.close(reader)


def test_the_page() -> None:
    tests = [suite.Test("[sig-network] a [Conformance]", True), suite.Test("[sig-network] b", False)]
    passed, failed = Outcome(PASS, 1), Outcome(FAIL, 1, "x")
    runs = {"one": {"[sig-network] a [Conformance]": passed}, "two": {"[sig-network] b": failed}}
    lines = page.text("v1", tests, runs, _LISTED).splitlines()
    assert "| `one` | 1 passed, 0 failed, 0 skipped, 1 not yet run (–) |" in lines
    assert "| a | ✓ | pass | – |" in lines
    assert "| b |  | – | **fail** |" in lines
    assert "| never | all | not run (0) | it would take a day |" in lines


def test_the_page_says_what_was_not_run() -> None:
    tests = [suite.Test("[sig-network] a", False), suite.Test("never", False)]
    runs = {"one": {"[sig-network] a": Outcome(PASS, 1)}, "ipvs": {}}
    lines = page.text("v1", tests, runs, _LISTED).splitlines()
    assert "| `ipvs` | was not run yet |" in lines
    assert "| never | all | not run (1) | it would take a day |" in lines
    assert "| test | | `one` |" in lines
    assert "Of the 2 tests 1 were run and 1 were not" in " ".join(lines)


def test_the_page_is_read_again() -> None:
    names = ["[sig-network] a [Conformance]", "[sig-network] b|c", "[sig-network] d <x> *", "[sig-network] e"]
    tests = [suite.Test(name, name.endswith("[Conformance]")) for name in names]
    passed, failed, skipped = (Outcome(what, 0) for what in (PASS, FAIL, SKIP))
    runs = {"one": {names[0]: passed, names[1]: failed}, "two": {names[1]: skipped, names[2]: passed}}
    assert page.outcomes(page.text("v1", tests, runs, _LISTED), tests) == runs


def test_no_page_has_nothing() -> None:
    assert page.outcomes("", [suite.Test("[sig-network] a", False)]) == {}


def test_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test is known from the page, one from an earlier run, and one from a run that was killed."""
    names = [f"[sig-network] {letter}" for letter in "abcd"]
    tests = [suite.Test(name, False) for name in names]
    written = tmp_path / "page"
    written.write_text(page.text("v1", tests, {"iptables": {names[0]: Outcome(PASS, 1)}}, _LISTED), encoding="utf-8")
    monkeypatch.setattr(command, "_PAGE", written)
    monkeypatch.setattr(command, "_BUILD", tmp_path)
    place.results(tmp_path).mkdir()
    outcomes.save(place.results(tmp_path) / "iptables.json", {names[1]: Outcome(FAIL, 1, "why")})
    place.report(tmp_path, "iptables").write_text(_line("c", "passed"), encoding="utf-8")

    command.keep(tests)

    def wanted(*flags: str) -> list[str]:
        return command.choose(command.parse(["run", "--mode", "iptables", *flags]), names, Exceptions([]))

    assert wanted() == names
    assert wanted("--missing") == names[3:]
    assert wanted("--focus", "a|d", "--shard", "2/2") == names[3:]
