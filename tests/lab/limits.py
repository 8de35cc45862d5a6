# SPDX-License-Identifier: Apache-2.0
"""docs/limits.md, out of the table in include/fairlead/limits.h: `python3 -m lab.limits` prints, `--check` compares."""

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
HEADER = SOURCE / "include/fairlead/limits.h"
PAGE = SOURCE / "docs/limits.md"
_STRING = r'"(?:[^"\\]|\\.)*"'
_ROW = re.compile(rf"\bX\((\w+), ([\w<>() ]+), ((?:{_STRING}[\s,]*)+)\)")

HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Printed by `cd tests && python3 -m lab.limits` from include/fairlead/limits.h; tests/lint compares it. -->
# Limits

Whatever comes from outside is bounded, so that nobody's objects, packets or requests take more than their share. When a
bound is met, the place that its row names says so.
"""


def number(text: str) -> int:
    """The value of a constant such as 64, 4u << 20 or (1 << 10)."""
    factors = re.fullmatch(r"\(?(\d+)[uUlL]*(?: << (\d+))?\)?", text.strip())
    if not factors:
        raise ValueError(f"{text} is no number that this script can read")
    return int(factors.group(1)) << int(factors.group(2) or 0)


def human(value: int, unit: str) -> str:
    if unit == "bytes":
        for size, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if value % size == 0:
                return f"{value // size} {name}"
    if unit == "ms" and value % 1000 == 0:
        return f"{value // 1000} s"
    return f"{value} {unit}"


def sections() -> list[tuple[str, list[tuple[str, int, list[str]]]]]:
    """Per section its title and rows: name, value and the four strings."""
    found = []
    text = HEADER.read_text(encoding="utf-8").replace("\\\n", "\n")
    for part in re.split(r"^/\* ---- ", text, flags=re.M)[1:]:
        title = part[: part.index(" ----")]
        rows = [(m[1], number(m[2]), _strings(m[3])) for m in _ROW.finditer(part)]
        if rows:
            found.append((title, rows))
    return found


def _strings(text: str) -> list[str]:
    """Adjacent literals are one."""
    joined = re.sub(r'"\s*"', "", text)
    return [s[1:-1].replace('\\"', '"') for s in re.findall(_STRING, joined)]


def page() -> str:
    out = [HEAD]
    for title, rows in sections():
        out.append(f"## {title}\n")
        out.append("| bound | of what | when it is met | shown by |\n|---|---|---|---|")
        for _, value, (unit, what, when, where) in rows:
            out.append(f"| {human(value, unit)} | {what} | {when} | {where} |")
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def wrong_elsewhere() -> list[str]:
    """Constants of other rooms whose values are not those of the table."""
    text = HEADER.read_text(encoding="utf-8")
    tables = re.findall(r"^#define LIMITS_\w+_ELSEWHERE\(X\)((?:.*\\\n)*.*)", text, flags=re.M)
    names = set(re.findall(r"\bX\((\w+),", "".join(tables)))
    sources = [*SOURCE.glob("src/*/**/*.[ch]"), *SOURCE.glob("include/fairlead/*.h")]
    defined: dict[str, int] = {}
    for path in sources:
        for name, value in re.findall(r"^#define (\w+) ([^/\n]+)", path.read_text(encoding="utf-8"), flags=re.M):
            if name in names and path != HEADER:
                defined[name] = number(value)
    rows = {name: value for _, rows in sections() for name, value, _ in rows if name in names}
    return [f"{n} is {defined.get(n)} in the sources, {v} in limits.h" for n, v in rows.items() if defined.get(n) != v]


def main() -> int:
    if sys.argv[1:] != ["--check"]:
        print(page(), end="")
        return 0
    wrong = wrong_elsewhere()
    if PAGE.read_text(encoding="utf-8") != page():
        wrong.append("docs/limits.md is not what `cd tests && python3 -m lab.limits` prints")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
