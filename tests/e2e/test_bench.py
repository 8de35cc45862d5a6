# SPDX-License-Identifier: Apache-2.0
"""That the benchmark of service proxies runs and gives figures, with few of all; what they are is for people."""

import os
import re
import subprocess
import sys

import pytest

from lab.cluster import SOURCE

FIGURES = (
    "process started -> all Services carried",
    "private memory",
    "a new connection to the last cluster IP",
    "an endpoint changed, PATCH returned -> first connection",
    "CPU of one change",
    "10 more, last POST returned -> all carried",
    "longest time without a connection to another",
    "at rest: voluntary context switches a minute",
    "restart, nothing changed -> in sync",
)


def measured(proxy: str, *more: str) -> dict[str, float]:
    """Each figure's median."""
    lab_id = os.environ.get("FAIRLEAD_LAB_ID", "e2e")
    environment = os.environ | {
        "FAIRLEAD_BENCH_PROXY": " ".join(["--quick", *more, proxy]),
        "FAIRLEAD_BUILD": os.environ.get("FAIRLEAD_BUILD", str(SOURCE / "build")),
        "FAIRLEAD_LAB_ID": f"{lab_id}px",
        "PYTHONPATH": str(SOURCE / "tests"),
    }
    argv = [sys.executable, "-m", "bench", "proxy"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert f"\n{proxy}\n" in done.stdout
    found = re.findall(r"^  (.*?) +n=\d+ +median +([\d.]+) ", done.stdout, re.M)
    return {name.strip(): float(median) for name, median in found}


@pytest.mark.embedded
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_our_own_proxy(variant: str) -> None:
    figures = measured(f"fairlead-iptables-{variant}")
    assert set(FIGURES) <= set(figures)
    written = "rules, elements and chains written again" if variant == "nft" else "fairlead_proxy_lines_total"
    assert figures[written] == 0


# More than is built in one go, so that it comes in slices; and more than mode iptables takes.
LARGE_PORTS, LARGE_ENDPOINTS = 256, 60


@pytest.mark.embedded
def test_a_large_service_in_mode_nftables() -> None:
    figures = measured("fairlead-nftables", f"--large={LARGE_ENDPOINTS}")
    size = f"{LARGE_PORTS} ports x {LARGE_ENDPOINTS} endpoints"
    assert f"{size}, last POST returned -> carried" in figures
    # Of each port one endpoint goes, and another one comes; so does the note that it may reach itself.
    assert 2 * LARGE_PORTS <= figures["elements or rules written for that"] <= 2 * (LARGE_PORTS + 1)


@pytest.mark.kubernetes
@pytest.mark.parametrize("mode", ["iptables-nft", "nftables"])
def test_kube_proxy(mode: str) -> None:
    figures = measured(f"kubeproxy-{mode}")
    assert set(FIGURES) <= set(figures)
    assert figures["rules, elements and chains written again"] > 0  # it writes all anew: the count counts
