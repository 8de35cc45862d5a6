# SPDX-License-Identifier: Apache-2.0
"""Cgroups of a name at the top of every hierarchy: one such group holds all Pods of a node."""

import contextlib
import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _hierarchies() -> list[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [p for p in sorted(_ROOT.iterdir()) if (p / "cgroup.procs").exists() and not p.is_symlink()]


def _pass_controllers_down() -> None:
    """Of cgroup v2, whose groups have only the controllers that the one above passes on, as an init has it do."""
    controllers = _ROOT / "cgroup.controllers"
    if controllers.exists():
        wanted = " ".join(f"+{name}" for name in controllers.read_text(encoding="ascii").split())
        (_ROOT / "cgroup.subtree_control").write_text(wanted, encoding="ascii")


def create(name: str) -> None:
    _pass_controllers_down()
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        # A cpuset without CPUs takes no process, and a new one has none.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / file).exists() and hierarchy != _ROOT:
                (group / file).write_text((hierarchy / file).read_text(encoding="ascii"), encoding="ascii")


def _groups(name: str) -> list[Path]:
    """The groups of a name in every hierarchy and all below them, the deepest first."""
    # os.walk() does not mind what goes meanwhile.
    found = [Path(directory) for hierarchy in _hierarchies() for directory, _, _ in os.walk(hierarchy / name)]
    return sorted(found, key=lambda p: len(p.parts), reverse=True)


def pids(name: str) -> set[int]:
    found: set[int] = set()
    for group in _groups(name):
        with contextlib.suppress(OSError):
            found |= {int(line) for line in (group / "cgroup.procs").read_text(encoding="ascii").split()}
    return found


def remove(name: str) -> None:
    """Removes groups that no process is in any more; the others stay."""
    for group in _groups(name):
        with contextlib.suppress(OSError):
            group.rmdir()
