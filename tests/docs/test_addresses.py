# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/addresses.md: each configuration as its first line names it, and what is printed by it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.commands import blocks
from docs.test_docs import BUILD, PROGRAMS, SOURCE

PAGE = "docs/addresses.md"


def examples(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """Writes the configurations; the commands, and what the page shows of each."""
    for _, language, lines in blocks(PAGE):
        if language == "yaml":
            (directory / lines[0].removeprefix("# ")).write_text("\n".join(lines) + "\n", encoding="utf-8")
        elif language == "console":
            assert lines[0].startswith("$ ") and not any(line.startswith("$ ") for line in lines[1:])
            yield lines[0].removeprefix("$ "), lines[1:]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    for file in (SOURCE / "examples/addresses").glob("*.yaml"):
        shutil.copy(file, tmp_path)
    (tmp_path / "fairlead").symlink_to(BUILD / PROGRAMS["fairlead"])
    return tmp_path


def test_each_prints_what_the_page_shows(desk: Path) -> None:
    n = 0
    for command, shown in examples(desk):
        done = subprocess.run(
            f"PATH=.:$PATH; {command}", cwd=desk, shell=True, capture_output=True, text=True, check=False
        )
        assert (done.stdout.splitlines(), done.stderr) == (shown, ""), command
        n += 1
    assert n >= 10
