# SPDX-License-Identifier: Apache-2.0
"""The run directory of a lab, /run/fairlead-lab/ID: logs, state files, and who it belongs to.

One lab of an id at a time: lab.json names the process that made it.  A lab whose process is gone and which was not left
running on purpose is a leftover; clean() removes it, and refuses while its process lives.
"""

import fcntl
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from . import netns
from .processes import Identity, end, identity
from .waiting import LabError

ROOT = Path("/run/fairlead-lab")
ID_PATTERN = re.compile(r"[a-z0-9]{1,12}\Z")


class LabExists(LabError):
    """There is a lab of this id already, alive or left behind."""


@dataclass
class _Owner:
    pid: int
    started: int
    kept: bool  # left running on purpose
    command: str

    def alive(self) -> bool:
        return Identity(self.pid, self.started).alive()


class RunDir:
    def __init__(self, lab_id: str, path: Path, command: str) -> None:
        self.lab_id, self.path = lab_id, path
        self._owner = _Owner(os.getpid(), identity(os.getpid()).started, False, command)
        self._processes: list[Identity] = []
        self._save()

    def add_process(self, process: Identity) -> None:
        self._processes.append(process)
        self._save()

    def keep(self) -> None:
        """From now on the lab is meant to outlive this process."""
        self._owner.kept = True
        self._save()

    def remove(self) -> None:
        _remove(self.lab_id, self._processes)

    def _save(self) -> None:
        state = {"owner": asdict(self._owner), "processes": [asdict(p) for p in self._processes]}
        temporary = self.path / "lab.json.new"
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.rename(self.path / "lab.json")


def claim(lab_id: str, command: str, cleaner: str = "") -> RunDir:
    """Makes the run directory; LabExists if there is a lab of this id already."""
    with _locked():
        check_vacant(lab_id, command, cleaner)
        path = ROOT / lab_id
        path.mkdir(mode=0o755, parents=True)
        return RunDir(lab_id, path, command)


def clean_command(lab_id: str, command: str) -> str:
    """What somebody types to end such a lab: tests/demo's own id is `demo`, another one has to be named."""
    return f"{command} --clean" if lab_id == "demo" else f"FAIRLEAD_LAB_ID={lab_id} {command} --clean"


def check_vacant(lab_id: str, command: str, cleaner: str = "") -> None:
    """LabExists if there is a lab of this id, and what removes it: `cleaner`, or COMMAND --clean."""
    cleaner = cleaner or clean_command(lab_id, command)
    if not ID_PATTERN.match(lab_id):
        raise LabError(f"lab id {lab_id!r}: 1 to 12 lower case letters and digits")
    owner, _ = _load(lab_id)
    leftovers = netns.names(f"fl-{lab_id}-")
    if owner and owner.alive():
        raise LabExists(f"lab '{lab_id}' is in use by process {owner.pid} ({owner.command}): wait for it or end it")
    if owner and owner.kept:
        raise LabExists(f"lab '{lab_id}' was left running on purpose; `{cleaner}` ends it")
    if owner or leftovers or (ROOT / lab_id).exists():
        raise LabExists(
            f"a killed run left lab '{lab_id}' behind ({len(leftovers)} network namespaces fl-{lab_id}-*); "
            f"`{cleaner}` removes it"
        )


def clean(lab_id: str) -> bool:
    """Removes a lab that nobody owns any more; False if there was none; LabExists while its process lives."""
    with _locked():
        check_unowned(lab_id)
        owner, processes = _load(lab_id)
        if not owner and not netns.names(f"fl-{lab_id}-") and not (ROOT / lab_id).exists():
            return False
        _remove(lab_id, processes)
        return True


def check_unowned(lab_id: str) -> None:
    """LabExists while the process that made the lab lives."""
    owner, _ = _load(lab_id)
    if owner and owner.alive():
        raise LabExists(f"lab '{lab_id}' is in use by process {owner.pid} ({owner.command}): not touched")


def ids() -> list[str]:
    """Every lab that is there, by its directory or its namespaces."""
    found = {n.split("-")[1] for n in netns.names("fl-") if n.count("-") >= 2}
    if ROOT.is_dir():
        found |= {p.name for p in ROOT.iterdir() if p.is_dir()}
    return sorted(found)


def _remove(lab_id: str, processes: list[Identity]) -> None:
    end(processes)
    namespaces = netns.names(f"fl-{lab_id}-")
    # Pods of a killed Pod runner, and whatever else lives only in namespaces of ours.
    end([identity(pid) for name in namespaces for pid in netns.pids(name) if pid != os.getpid()])
    for name in namespaces:
        netns.delete(name)
    shutil.rmtree(ROOT / lab_id, ignore_errors=True)


def _load(lab_id: str) -> tuple[_Owner | None, list[Identity]]:
    try:
        state = json.loads((ROOT / lab_id / "lab.json").read_text(encoding="utf-8"))
        return _Owner(**state["owner"]), [Identity(**p) for p in state["processes"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None, []


class _locked:
    """Two labs that start at once take turns."""

    def __enter__(self) -> None:
        ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._fd = os.open(ROOT / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
