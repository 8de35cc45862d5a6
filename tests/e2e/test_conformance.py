# SPDX-License-Identifier: Apache-2.0
"""How the verdicts of Kubernetes' own suite are judged; the suite itself is run by tests/upstream."""

from pathlib import Path

import pytest

from conformance import exceptions, outcomes, page, place, suite
from conformance.exceptions import NEVER, Exception_, Exceptions
from conformance.outcomes import FAIL, PASS, SKIP, Outcome
from lab.waiting import LabError

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


def test_the_page() -> None:
    tests = [suite.Test("[sig-network] a [Conformance]", True), suite.Test("[sig-network] b", False)]
    passed, failed = Outcome(PASS, 1), Outcome(FAIL, 1, "x")
    runs = {"one": {"[sig-network] a [Conformance]": passed}, "two": {"[sig-network] b": failed}}
    lines = page.text("v1", tests, runs, _LISTED).splitlines()
    assert "| `one` | 1 passed, 0 failed, 0 skipped, 1 not yet run (–) |" in lines
    assert "| a | ✓ | pass | – |" in lines
    assert "| b |  | – | **fail** |" in lines
    assert "| never | all | not run | it would take a day |" in lines
