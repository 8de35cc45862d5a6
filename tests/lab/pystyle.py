# SPDX-License-Identifier: Apache-2.0
"""Checks the Python files given as arguments: they parse, lines are short and end cleanly, every import is used."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LINE_MAX = 120


def _unused_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    imported: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                imported[(alias.asname or alias.name).split(".")[0]] = node.lineno
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    for name, number in imported.items():
        if name not in used:
            yield number, f"{name} is imported and not used"


def problems(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_MAX:
            yield number, f"{len(line)} characters"
        if line != line.rstrip():
            yield number, "white space at the end"
    try:
        tree = ast.parse(text, str(path))
    except SyntaxError as error:
        yield error.lineno or 0, str(error.msg)
        return
    if path.name != "__init__.py":
        yield from _unused_imports(tree)


def main() -> int:
    found = [(path, *problem) for path in sys.argv[1:] for problem in problems(Path(path))]
    for path, number, what in found:
        print(f"{path}:{number}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
