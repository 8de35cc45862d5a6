# SPDX-License-Identifier: Apache-2.0
"""What tests/lint doors refuses, on a tree of four rooms."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lab import doors

FILES = {
    "docs/design.md": "# D\n\n## Rooms\n\n| room | what | uses |\n|---|---|---|\n| `base` | b | |\n| `low` | l | |\n"
    "| `mid` | m | `low` |\n| `top` | t | `low`, `mid` |\n\n## More\n",
    "src/base/automake.mk": "noinst_HEADERS += include/fairlead/base.h\n",
    "src/low/automake.mk": "noinst_HEADERS += include/fairlead/low.h src/low/inner.h\n",
    "src/mid/automake.mk": "noinst_HEADERS += include/fairlead/mid.h\n",
    "src/top/automake.mk": "",
    "include/fairlead/base.h": "",
    "include/fairlead/low.h": '#include "fairlead/base.h"\n',
    "include/fairlead/mid.h": '#include "fairlead/low.h"\n',
    "src/low/inner.h": "",
    "src/low/low.c": '#include "config.h"\n#include "fairlead/low.h"\n#include "low/inner.h"\n#include "inner.h"\n',
    "src/top/lower.h": "",
    "src/top/lower_private.h": '#include "lower.h"\n',
    "src/top/lower.c": '#include "top/lower_private.h"\n',
    "src/top/upper.h": '#include "top/lower.h"\n',
    "src/top/attic/box.h": '#include "top/lower.h"\n',
    "src/top/attic/box.c": '#include "top/attic/box.h"\n',
    "src/top/top.c": '#include "fairlead/low.h"\n#include "fairlead/mid.h"\n#include "fairlead/base.h"\n',
}


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., list[str]]:
    """What is wrong with the tree once these files are in it, too."""

    def judge(**changed: str) -> list[str]:
        _write(tmp_path, FILES | {name.replace("__", "/").replace("_dot_", "."): t for name, t in changed.items()})
        return doors.problems(tmp_path)

    return judge


def test_rooms_that_keep_to_their_doors(tree: Callable[..., list[str]]) -> None:
    assert tree() == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("src__mid__mid_dot_c", '#include "low/inner.h"\n', "src/mid/mid.c: low/inner.h is a private header of low"),
        ("src__low__low_dot_c", '#include "fairlead/mid.h"\n', "src/low/low.c: low uses mid (fairlead/mid.h), which"),
        ("include__fairlead__low_dot_h", '#include "low/inner.h"\n', "include/fairlead/low.h: low/inner.h is private"),
        ("include__fairlead__new_dot_h", "", "include/fairlead/new.h: no src/ROOM/automake.mk lists it"),
        ("src__top__top_dot_c", '#include "fairlead/mid.h"\n', "docs/design.md: top does not use low"),
        ("src__fifth__automake_dot_mk", "", "docs/design.md: fifth is missing among the rooms"),
        ("docs__design_dot_md", FILES["docs/design.md"].replace("l | |", "l | `top` |"), "low → top → low"),
        ("src__top__lower_dot_c", '#include "top/upper.h"\n', "src/top: the files include each other in a circle"),
        ("src__top__attic__box_dot_c", '#include "low/inner.h"\n', "box.c: low/inner.h is a private header of low"),
        ("src__low__low_dot_c", '#include "top/attic/box.h"\n', "low.c: top/attic/box.h is a private header of top"),
        ("src__top__lower_dot_h", '#include "top/attic/box.h"\n', "in a circle: attic/box → lower → attic/box"),
    ],
)
def test_what_is_refused(tree: Callable[..., list[str]], name: str, text: str, problem: str) -> None:
    assert any(problem in line for line in tree(**{name: text})), tree(**{name: text})
