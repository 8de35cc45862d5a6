# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel, as `tests/install vm` unpacks it, and the initramfs that leads to the files of this machine."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.waiting import LabError

UNPACKED = Path("/var/cache/fairlead/kernel")
BUSYBOX = Path("/bin/busybox")
INIT = Path(__file__).with_name("init")
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console")


def version() -> str:
    """Of the newest one that is there."""
    images = sorted((UNPACKED / "boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime)
    if not images:
        raise LabError(f"no kernel in {UNPACKED}: tests/install vm unpacks one")
    return images[-1].name.partition("-")[2]


def image() -> Path:
    return UNPACKED / f"boot/vmlinuz-{version()}"


def modules() -> Path:
    return UNPACKED / f"lib/modules/{version()}"


def initramfs(directory: Path) -> Path:
    """The one of this kernel and this tree; it is made once and stays in the directory."""
    content = hashlib.sha256(b"".join([INIT.read_bytes(), BUSYBOX.read_bytes(), *(m.encode() for m in MODULES)]))
    path = directory / f"initramfs-{version()}-{content.hexdigest()[:12]}"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as made:
            (_make(Path(made)) / "cpio").rename(path)  # whoever makes it beside us makes the same
    return path


def _make(directory: Path) -> Path:
    root = directory / "root"
    for name in ("bin", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    shutil.copy(INIT, root / "init")
    os.chmod(root / "init", 0o755)
    for number, module in enumerate(_in_order()):
        shutil.copy(module, root / f"modules/{number:02}-{module.name}")
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    with (directory / "cpio").open("wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=out, check=True)
    return directory


def _in_order() -> list[Path]:
    """The modules and all that they need, as they are to be loaded."""
    found: dict[Path, None] = {}
    for name in MODULES:
        argv = ["modprobe", "-d", UNPACKED, "-S", version(), "--show-depends", name]
        told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        found |= {Path(line.split()[1]): None for line in told.splitlines() if line.startswith("insmod ")}
    return list(found)
