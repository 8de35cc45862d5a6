# SPDX-License-Identifier: Apache-2.0
"""How much of the sources the tests of a build with --enable-coverage have run: lines by room.

usage: cd tests && python3 -m lab.coverage BUILD [--functions N] [ROOM…]

--functions: names the N largest functions of each of these rooms that never ran.  Of a file that is in several programs
a line counts as run if it was in any of them.
"""

import collections
import json
import os
import subprocess
import sys

Function = tuple[str, str, int, int]  # file, name, first and last line


def gcov(build: str) -> list[dict]:
    """What gcov says of each file of counters beneath build/src."""
    data = [os.path.join(where, name) for where, _, names in os.walk(f"{build}/src") for name in names
            if name.endswith(".gcda")]
    if not data:
        sys.exit(f"{build}: no counters; configure it with --enable-coverage, build test-programs and run make check")
    names = sorted(os.path.relpath(d, build) for d in data)
    done = subprocess.run(["gcov", "--json-format", "--stdout", *names], cwd=build, check=True, capture_output=True,
                          text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    build, n_functions = arguments.pop(0), 0
    if arguments[:1] == ["--functions"]:
        n_functions, arguments = int(arguments[1]), arguments[2:]
    lines: dict[str, dict[int, int]] = collections.defaultdict(lambda: collections.defaultdict(int))
    ran: dict[Function, int] = collections.defaultdict(int)
    for file in (f for unit in gcov(build) for f in unit["files"]):
        parts = file["file"].split("/")
        if "src" not in parts[:-2] or not file["file"].endswith(".c"):
            continue
        path = "/".join(parts[parts.index("src"):])
        for line in file["lines"]:
            lines[path][line["line_number"]] += line["count"]
        for f in file["functions"]:
            ran[path, f["name"], f["start_line"], f["end_line"]] += f["execution_count"]
    rooms = arguments or sorted({path.split("/")[1] for path in lines})
    for room in rooms:
        counts = [n for path, of_file in lines.items() if path.split("/")[1] == room for n in of_file.values()]
        run = sum(n > 0 for n in counts)
        print(f"{room:<12}{run:>6} of {len(counts):>6} lines{100 * run / max(1, len(counts)):>6.0f} %")
        never = [(last - first + 1, path, name) for (path, name, first, last), n in ran.items()
                 if n == 0 and path.split("/")[1] == room]
        for size, path, name in sorted(never, reverse=True)[:n_functions]:
            print(f"    {path}: {name}, {size} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
