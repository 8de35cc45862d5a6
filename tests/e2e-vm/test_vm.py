# SPDX-License-Identifier: Apache-2.0
"""tests/vm as a person uses it; what runs in the machine otherwise is the suite vm."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.cluster import SOURCE
from vmlab import machine

_QEMU, _UML = machine.missing(), machine.missing(uml=True)
pytestmark = pytest.mark.skipif(bool(_QEMU), reason=f"tests/vm {_QEMU}")
uml = pytest.mark.skipif(bool(_UML), reason=f"tests/vm --uml {_UML}")

VM = str(SOURCE / "tests/vm")
MODULES = "ip_vs ip_vs_mh sctp ip_set 8021q bridge bonding macvlan ipvlan vrf vxlan wireguard"
_HAS = {
    "qemu": f"for module in {MODULES}; do modprobe $module || exit; done",
    "uml": "ls /proc/net/ip_vs /proc/net/sctp >/dev/null && nft add table inet t && ip link add type dummy",
}


def start(tmp_path: Path, *arguments: str) -> "subprocess.Popen[str]":
    build = {"FAIRLEAD_BUILD": str(tmp_path), "SOME_WORDS": "it's here"}
    return subprocess.Popen(
        [VM, "run", *arguments],
        cwd=tmp_path,
        env=os.environ | build,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kind", ["qemu", pytest.param("uml", marks=uml)])
def test_commands_in_two_machines_at_a_time(tmp_path: Path, kind: str) -> None:
    """What each prints and how it ends; what it writes is there afterwards in the build directory alone."""
    script = f"""
        {_HAS[kind]} || exit
        echo "$SOME_WORDS $PWD $(id -u) $1" && echo "to stderr" >&2
        echo "of $1" >of-$1 && echo "of $1" >/etc/fairlead-vm-$1 && exit $1
    """
    flags = ["--uml"] if kind == "uml" else []
    machines = {status: start(tmp_path, *flags, "--", "bash", "-c", script, "-", status) for status in ("3", "44")}
    for status, vm in machines.items():
        out, err = vm.communicate()
        assert (out, err) == (f"it's here {tmp_path} 0 {status}\n", "to stderr\n")
        assert vm.returncode == int(status)
        assert (tmp_path / f"of-{status}").read_text(encoding="utf-8") == f"of {status}\n"
        assert not Path(f"/etc/fairlead-vm-{status}").exists()


@pytest.mark.parametrize("flags", [[], pytest.param(["--uml"], marks=uml)])
def test_a_machine_that_is_late_is_ended(tmp_path: Path, flags: list[str]) -> None:
    vm = start(tmp_path, *flags, "--timeout", "2", "sleep", "1000")
    out, err = vm.communicate()
    assert (vm.returncode, out, err) == (machine.TIMED_OUT, "", "tests/vm: not ended within 2 s\n")


def test_a_machine_that_cannot_boot_says_so(tmp_path: Path) -> None:
    vm = start(tmp_path, "--memory", "32", "true")
    out, err = vm.communicate()
    assert (vm.returncode, out) == (machine.NOT_RUN, "")
    assert "tests/vm: the machine ended by itself" in err
