# SPDX-License-Identifier: Apache-2.0
"""Checks the Python files given as arguments: lines are short and end cleanly.  What else is wrong, pyflakes tells."""

import sys
from collections.abc import Iterator
from pathlib import Path

LINE_MAX = 120


def problems(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if len(line) > LINE_MAX:
            yield number, f"{len(line)} characters"
        if line != line.rstrip():
            yield number, "white space at the end"


def main() -> int:
    found = [(path, *problem) for path in sys.argv[1:] for problem in problems(Path(path))]
    for path, number, what in found:
        print(f"{path}:{number}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
