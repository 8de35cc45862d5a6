# SPDX-License-Identifier: Apache-2.0
"""What configure says and the compiler makes."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.cluster import SOURCE

BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
PROGRAMS = ("src/controller/fairlead-controller", "src/speaker/fairlead-speaker", "src/cli/fairlead")
PACKAGES = (
    "libcurl4-openssl-dev",
    "libjson-c-dev",
    "libevent-dev",
    "libnl-route-3-dev",
    "libnl-genl-3-dev",
    "libnftnl-dev",
    "libmnl-dev",
    "libpcap-dev",
    "libyaml-dev",
    "libssl-dev",
    "zlib1g-dev",
    "libcmocka-dev",
)


def configure(where: Path, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [str(SOURCE / "configure"), "-q", *flags]
    return subprocess.run(
        argv, cwd=where, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_missing_libraries_are_named_at_once(tmp_path: Path) -> None:
    done = configure(tmp_path, PKG_CONFIG_LIBDIR="/nonexistent")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "libraries are missing" in line]
    words = line.split("apt-get install ")[1].split(" (")[0].split()
    assert words == list(PACKAGES), "each once"


def test_one_missing_library_is_named_alone(tmp_path: Path) -> None:
    # pkg-config takes this library's flags from here, and finds that it is too old.
    (tmp_path / "libpcap.pc").write_text("Name: libpcap\nDescription: an old one\nVersion: 1.0\n", encoding="ascii")
    done = configure(tmp_path, PKG_CONFIG_PATH=str(tmp_path))
    assert done.returncode != 0
    assert "apt-get install libpcap-dev (tests/install does it)" in done.stderr


def test_summary(tmp_path: Path) -> None:
    done = configure(tmp_path, "--enable-coverage", "--prefix=/opt/fairlead")
    assert done.returncode == 0, done.stderr
    said = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert said["prefix"] == ["/opt/fairlead"]
    assert [said[s] for s in ("werror", "sanitizers", "fuzzers", "coverage")] == [["no"], ["no"], ["no"], ["yes"]]


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_are_hardened(program: str) -> None:
    def readelf(*flags: str) -> str:
        return subprocess.run(
            ["readelf", "-W", *flags, str(BUILD / program)], capture_output=True, text=True, check=True
        ).stdout

    assert "Type:                              DYN" in readelf("-h")
    segments = readelf("-l")
    assert "GNU_RELRO" in segments
    (stack,) = [line for line in segments.splitlines() if "GNU_STACK" in line]
    assert " RW " in stack, "a stack that cannot be executed"
    dynamic = readelf("-d")
    assert "BIND_NOW" in dynamic
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    symbols = readelf("--dyn-syms")
    assert "__stack_chk_fail" in symbols
    if "__asan" not in symbols:
        assert "__snprintf_chk" in symbols, "_FORTIFY_SOURCE"
