# SPDX-License-Identifier: Apache-2.0
"""tests/demo in mode ipvs, as a person starts it: by itself in the virtual machine, where this kernel has no IPVS."""

import subprocess

import pytest

from lab.cluster import SOURCE
from vmlab import machine

pytestmark = pytest.mark.skipif(bool(machine.missing()), reason=f"tests/vm {machine.missing()}")


def test_the_demo_passes_in_mode_ipvs() -> None:
    argv = [SOURCE / "tests/demo", "--proxy", "ipvs"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("All 12 steps passed"), done.stdout
