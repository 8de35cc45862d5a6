# SPDX-License-Identifier: Apache-2.0
"""python3 -m bench [NAME…], called by tests/bench/run."""

import os
import sys
from pathlib import Path

from lab.cluster import Lab, end_on_signals
from lab.waiting import LabError

from . import allocate, announce, bgp, failover, figures, memory, plan, proxy, scale

BENCHES = {
    "allocate": allocate.run,
    "announce": announce.run,
    "bgp": bgp.run,
    "failover": failover.run,
    "memory": memory.run,
    "plan": plan.run,
    "proxy": proxy.run,
    "scale": scale.run,
}


def main(names: list[str]) -> int:
    end_on_signals()
    print(figures.machine())
    for name in names or BENCHES:
        real = name == "allocate"
        lab_id = os.environ.get("FAIRLEAD_LAB_ID", "bench")
        with Lab(lab_id, Path(os.environ["FAIRLEAD_BUILD"]), "tests/bench/run", real=real) as lab:
            BENCHES[name](lab)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as problem:
        print(f"tests/bench/run: {problem}", file=sys.stderr)
        sys.exit(1)
