# SPDX-License-Identifier: Apache-2.0
"""Each command of the pages is run by a test, or has a reason why not: see commands.py.  tests/lint runs this."""

import ast
import re
from collections import Counter

import pytest

from docs.commands import LANGUAGES, PAGES, ROWS, SOURCE, Command, Row, blocks, commands, difference, row, spans, typed

RUNNER = "tests/e2e/desk.py"


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page: str) -> None:
    bare = [line for line, language, _ in blocks(page) if language not in LANGUAGES]
    assert not bare, f"{page}: the blocks at lines {bare} name none of {', '.join(LANGUAGES)}"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_typed_says_so(page: str) -> None:
    """A prompt in a block that is not looked at hides a command."""
    for line, language, lines in blocks(page):
        prompts = [text for text in lines if text.startswith("$ ")]
        assert language in ("console", "sh", "python", "yaml") or not prompts, f"{page}:{line}: {prompts[0]}"
        assert language != "console" or any(text.startswith("$ ") for text in lines), f"{page}:{line}"


@pytest.mark.parametrize("page", PAGES)
def test_each_command_has_a_test_or_a_reason(page: str) -> None:
    for command in commands(page):
        found = row(command)
        assert not command.shown or not (found and found.never), f"{command}: what it prints is compared by no test"
        if not found or not (found.by or found.never):
            open_words = re.findall(r"\b[A-Z]{4,}\b(?!=)", typed(command, **values()))
            assert not open_words, f"{command}: {open_words} stand for nothing in {RUNNER}"


def values() -> dict[str, str]:
    """What the runner has for words in capitals."""
    tree = ast.parse((SOURCE / RUNNER).read_text(encoding="utf-8"))
    (found,) = [n.value for n in tree.body if isinstance(n, ast.AnnAssign) and getattr(n.target, "id", "") == "VALUES"]
    said: dict[str, str] = ast.literal_eval(found)
    return said


def functions(path: str) -> set[str]:
    tree = ast.parse((SOURCE / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("given", ROWS, ids=lambda r: f"{r.page}: {r.command}")
def test_rows_are_about_something(given: Row) -> None:
    about = [c for c in commands(given.page) if row(c) == given]
    assert about, f"{given.page} has no command {given.command!r} any more"
    assert bool(given.by) + bool(given.never) <= 1
    if "::" in given.by:
        path, test = given.by.split("::")
        assert test in functions(path), f"{given.by} is no test"
    elif given.by:
        path, what = given.by.split(": ", 1)
        assert what and what in (SOURCE / path).read_text(encoding="utf-8"), f"{path} has no {what!r}"


def test_no_row_stands_twice() -> None:
    assert Counter((r.page, r.command) for r in ROWS).most_common(1)[0][1] == 1


def targets() -> set[str]:
    made = "".join(p.read_text(encoding="utf-8") for p in SOURCE.glob("**/*.am") if "build" not in p.parts)
    made += "".join(p.read_text(encoding="utf-8") for p in SOURCE.glob("**/automake.mk"))
    return set(re.findall(r"^([a-z-]+):", made, re.MULTILINE)) | {"all", "check", "install", "distcheck"}


@pytest.mark.parametrize("page", PAGES)
def test_targets_and_suites_that_are_named_exist(page: str) -> None:
    """A name in backticks such as `make check` and `tests/run kube`, which is no command to run."""
    script = {p: (SOURCE / p).read_text(encoding="utf-8") for p in ("tests/run", "tests/lint")}
    named = [text for _, text in spans(page)] + [c.text for c in commands(page)]
    for text in named:
        for target in re.findall(r"\bmake (?:-C \S+ )?([a-z]+)\b(?!=)", text):
            assert target in targets(), f"{page}: `{text}`: there is no target {target}"
        for suite in re.findall(r"^tests/run ([a-z]+)$", text):
            assert f"suite_{suite}()" in script["tests/run"], f"{page}: `{text}`"
        for check in re.findall(r"^tests/lint ([a-z]+)$", text):
            assert f"check_{check}()" in script["tests/lint"], f"{page}: `{text}`"


SHOWN = ("NODE   UP    REASON", "node1  3d4h  Announced 10.1.2.3", "…", "  end of 12")


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("NODE   UP  REASON\nnode7  5m  Announced 192.168.1.240\n  end of 3\n", True),
        ("NODE   UP  REASON\nnode7  5m  Announced 192.168.1.240\none\ntwo\n  end of 3\n", True),
        ("NODE   UP  REASON\nnode7  5m  NoEndpoints 192.168.1.240\n  end of 3\n", False),
        ("NODE   REASON\nnode7  Announced 192.168.1.240\n  end of 3\n", False),
        ("NODE   UP  REASON\nnode7  5m  Announced 192.168.1.240\n  end of 3\nmore\n", False),
        ("NODE   UP  REASON\nnode7  5m  Announced 192.168.1.240\nend of 3\n", False),
        ("", False),
    ],
)
def test_shapes_are_compared(printed: str, same: bool) -> None:
    assert (difference(SHOWN, printed) == "") == same


def test_words_in_capitals_are_filled_in() -> None:
    words = {"NODE": "n", "FILE": "f", "KEY": "k"}
    assert typed(Command("", 1, "fairlead x NODE [--to FILE…] > KEY"), **words) == "fairlead x n --to f > k"
    assert typed(Command("", 1, "a -o jsonpath='{.x[*]}{.y[?(@.z)]}'")) == "a -o jsonpath='{.x[*]}{.y[?(@.z)]}'"
