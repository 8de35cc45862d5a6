# SPDX-License-Identifier: Apache-2.0
"""Whether the rooms of src/ keep to their doors: `python3 -m lab.doors [DIRECTORY OF A BUILD]`.

A header in include/fairlead is public, and belongs to the room whose automake.mk lists it; one in src/ROOM, or a
folder of it, is for that room and for tests.  Which rooms a room uses is said by the table of rooms in docs/design.md,
`base` apart, which all may use.  It is a problem to include another room's private header, to use a room (its header,
or with a build one of its functions) that the table does not name, to name one that is not used, and to name them in a
circle.  Nor do the files of a room include each other in a circle, X.c, X.h, X_private.h and X_internal.h being one.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PAGE = "docs/design.md"
COMMON = "base"
_ROW = re.compile(r"^\| `(\w+)` \|.*\|([^|]*)\|$", re.MULTILINE)
_FAMILY = re.compile(r"_(private|internal)$")
_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)

# (file, room that it belongs to, room that it uses, by what)
Use = tuple[str, str, str, str]


def arrows(root: Path) -> dict[str, set[str]]:
    """What docs/design.md says: per room those that it uses."""
    text = (root / PAGE).read_text(encoding="utf-8")
    rooms = text[text.index("\n## Rooms\n") :]
    rooms = rooms[: rooms.index("\n## ", 1)]
    return {room: set(re.findall(r"`(\w+)`", used)) for room, used in _ROW.findall(rooms)}


def _room(path: Path) -> str:
    """Of a path below src/."""
    return path.parts[0]


def _owners(root: Path) -> dict[str, str]:
    """Whose each public header is."""
    return {
        header: makefile.parent.name
        for makefile in root.glob("src/*/automake.mk")
        for header in re.findall(r"\binclude/(fairlead/\S+)", makefile.read_text(encoding="utf-8"))
    }


def _includes(root: Path) -> Iterator[Use | str]:
    """Each include that leads out of its room, or what is wrong with it."""
    owners = _owners(root)
    files = [(path, _room(path.relative_to(root / "src"))) for path in root.glob("src/*/**/*.[ch]")]
    for path in root.glob("include/fairlead/*"):
        room = owners.get(f"fairlead/{path.name}")
        if room:
            files.append((path, room))
        else:
            yield f"include/fairlead/{path.name}: no src/ROOM/automake.mk lists it"
    for path, room in sorted(files):
        name = str(path.relative_to(root))
        for header in _INCLUDE.findall(path.read_text(encoding="utf-8")):
            if header in owners:
                yield name, room, owners[header], header
            elif (path.parent / header).exists() or header == "config.h":
                continue
            elif not (root / "src" / header).exists():
                yield f"{name}: there is no {header}"
            elif name.startswith("include/"):
                yield f"{name}: {header} is private, and this header is public"
            elif header.split("/")[0] != room:
                yield f"{name}: {header} is a private header of {header.split('/')[0]}"


def _symbols(root: Path, build: Path) -> Iterator[Use]:
    """Each symbol that one room's objects take from another's."""
    objects = [o for o in build.glob("src/*/**/*.o") if (root / o.relative_to(build)).with_suffix(".c").exists()]
    printed = subprocess.run(["nm", "-A", "-g", *objects], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^(\S+):\s*\w* ([A-Za-z]) (\w+)$", printed, re.MULTILINE)
    home = {symbol: _room(Path(path).relative_to(build / "src")) for path, kind, symbol in found if kind != "U"}
    for path, kind, symbol in found:
        if kind == "U" and symbol in home:
            yield str(Path(path).relative_to(build)), _room(Path(path).relative_to(build / "src")), home[symbol], symbol


def _circle(said: dict[str, set[str]], path: list[str]) -> list[str]:
    """A way along the arrows from the end of @path to one of its rooms; empty if there is none."""
    for room in sorted(said.get(path[-1], ())):
        if room in path:
            return [*path[path.index(room) :], room]
        if found := _circle(said, [*path, room]):
            return found
    return []


def _family(path: Path) -> str:
    return str(path.with_name(_FAMILY.sub("", path.stem)))


def _files(root: Path, room: str) -> dict[str, set[str]]:
    """Per file of a room, with its folder, those that it includes."""
    found: dict[str, set[str]] = {}
    home = root / "src" / room
    for path in home.glob("**/*.[ch]"):
        name = _family(path.relative_to(home))
        for header in _INCLUDE.findall(path.read_text(encoding="utf-8")):
            for place in (path.parent / header, home.parent / header):
                if place.is_relative_to(home) and place.exists():
                    found.setdefault(name, set()).add(_family(place.relative_to(home)))
        found.setdefault(name, set()).discard(name)
    return found


def _first_circle(said: dict[str, set[str]]) -> list[str]:
    return next((circle for start in sorted(said) if (circle := _circle(said, [start]))), [])


def problems(root: Path, build: Path | None = None) -> list[str]:
    said = arrows(root)
    uses: list[Use] = []
    found: list[str] = []
    for item in _includes(root):
        (found if isinstance(item, str) else uses).append(item)  # type: ignore[arg-type]
    if build:
        uses += _symbols(root, build)
    uses = [use for use in uses if use[1] != use[2] and use[2] != COMMON]
    for file, room, used, what in uses:
        if used not in said.get(room, ()):
            found.append(f"{file}: {room} uses {used} ({what}), which {PAGE} does not say")
    for room in sorted({path.parent.name for path in root.glob("src/*/automake.mk")} ^ said.keys()):
        found.append(f"{PAGE}: {room} is {'no room' if room in said else 'missing among the rooms'}")
    for room, named in said.items():
        for used in sorted(named - {use[2] for use in uses if use[1] == room}):
            found.append(f"{PAGE}: {room} does not use {used}")
    if circle := _first_circle(said):
        found.append(f"{PAGE}: the rooms stand in a circle: {' → '.join(circle)}")
    for room in sorted(said):
        if circle := _first_circle(_files(root, room)):
            found.append(f"src/{room}: the files include each other in a circle: {' → '.join(circle)}")
    return found


def main() -> int:
    found = problems(SOURCE, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    print("".join(f"{line}\n" for line in found), end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
