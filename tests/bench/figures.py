# SPDX-License-Identifier: Apache-2.0
"""How a figure is printed."""

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], p: float) -> float:
    """The smallest value that at least p percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)]


def report(what: str, values: Sequence[float], unit: str = "ms") -> None:
    print(
        f"{what:<62} n={len(values):<4} median {statistics.median(values):8.1f} {unit}"
        f"   p99 {percentile(values, 99):8.1f} {unit}   min {min(values):8.1f}   max {max(values):8.1f}",
        flush=True,
    )


def machine() -> str:
    """One line about where the figures come from."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        models = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    with open("/proc/version", encoding="utf-8") as f:
        kernel = f.read().split()[2]
    return f"{len(models)} x {models[0] if models else 'processor'}, Linux {kernel}"
