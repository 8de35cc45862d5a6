# SPDX-License-Identifier: Apache-2.0
"""What this machine must have for a cluster, and whether it has."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from lab import kubernetes

CNI = Path("/usr/lib/cni")
DISK = Path("/var/lib/fairlead-lab")  # of all clusters
_PROGRAMS = ("unshare", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "nsenter", "openssl", "conntrack")
_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer")


def missing() -> str:
    """What is missing, for a person to read; empty if a cluster can run here."""
    if os.geteuid() != 0:
        return "needs root"
    if reason := kubernetes.missing():
        return reason
    absent = [p for p in _PROGRAMS if not shutil.which(p)]
    if not (CNI / "ptp").exists():
        absent.append(str(CNI / "ptp"))
    if absent:
        return f"needs {', '.join(absent)} (tests/install cluster)"
    lacking = [c for c in _CONTROLLERS if not Path("/sys/fs/cgroup", c).is_dir()]
    if lacking and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return f"needs the cgroup controllers {', '.join(lacking)}"
    if not os.access("/sys/fs/cgroup", os.W_OK):
        return "needs a writable /sys/fs/cgroup"
    if not _has_overlay():
        return f"needs a kernel with overlayfs, and a file system at {DISK} that it takes"
    return ""


@cache
def _has_overlay() -> bool:
    DISK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DISK) as directory:
        parts = {n: Path(directory, n) for n in ("lower", "upper", "work", "merged")}
        for path in parts.values():
            path.mkdir()
        options = ",".join(f"{n}dir={parts[n]}" for n in ("lower", "upper", "work"))
        command = ["mount", "-t", "overlay", "overlay", "-o", options, str(parts["merged"])]
        if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            return False
        subprocess.run(["umount", str(parts["merged"])], check=True)
        return True
