# SPDX-License-Identifier: Apache-2.0
"""qemu with a kernel of Debian's, whose files come by 9p."""

import os
import shutil
from pathlib import Path

from . import kernel

QEMU = "qemu-system-x86_64"
_CPU = "Nehalem,+rdrand"
_CPUS = min(os.cpu_count() or 1, 4)
# No guards against strangers' programs, which cost most where each switch is emulated; short grace periods of RCU, for
# which namespaces wait.
_KERNEL = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on audit=0 apparmor=0 rcupdate.rcu_expedited=1"


def missing() -> list[str]:
    absent = [p for p in (QEMU, "modprobe", "cpio") if not shutil.which(p)]
    if not (kernel.UNPACKED / "boot").is_dir():
        absent.append(f"a kernel in {kernel.UNPACKED}")
    return absent


def argv(own: dict[str, Path], memory: int, ports: list[int]) -> list[str]:
    """@own: what `start` gets to know; @ports: where the command's output goes, as file descriptors."""
    words = " ".join([_KERNEL, *(f"{name}={path}" for name, path in (own | {"modules": kernel.modules()}).items())])
    made = ["setpriv", "--pdeathsig", "KILL", QEMU, "-nodefaults", "-no-user-config", "-nographic", "-no-reboot"]
    accelerator = os.environ.get("FAIRLEAD_VM_ACCEL", "tcg")  # not whatever is there: nested ones come without working
    made += ["-machine", f"q35,accel={accelerator}", "-cpu", _CPU, "-smp", str(_CPUS), "-m", str(memory)]
    initramfs = kernel.initramfs(own["build"] / "vm")
    made += ["-kernel", str(kernel.image()), "-initrd", str(initramfs), "-append", words]
    made += ["-serial", "stdio", "-device", "virtio-serial-pci"]
    for number, fd in enumerate(ports, 1):
        made += ["-chardev", f"socket,id=port{number},fd={fd}"]
        made += ["-device", f"virtserialport,nr={number},chardev=port{number},name=port{number}"]
    shared = (("root", Path("/"), "on"), ("build", own["build"], "off"), ("job", own["job"], "off"))
    for tag, path, access in shared:
        made += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,readonly={access},multidevs=remap"]
    return made
