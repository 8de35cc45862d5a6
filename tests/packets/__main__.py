# SPDX-License-Identifier: Apache-2.0
"""usage: python3 -m packets [MODE[+SETTING]…]

Tries the table of packets in each mode, all unless told, in network namespaces of its own; needs root.
Prints what became of something else than expected, and a summary of each mode.  Exit status: 0 if nothing failed.

FAIRLEAD_BUILD          the build directory (default: ./build); modes of kube-proxy need what tests/kube/build makes
FAIRLEAD_PACKETS_SHARE  has one of so many combinations tried (default: 1)
"""

import os
import sys

from lab.cluster import end_on_signals

from . import table


def main(runs: list[str]) -> int:
    if "--help" in runs:
        print(__doc__.strip())
        return 0
    if unknown := [r for r in runs if r not in table.RUNS]:
        print(f"no mode {unknown[0]}; there are {', '.join(table.RUNS)}", file=sys.stderr)
        return 2
    end_on_signals()
    status = 0
    for run in runs or table.RUNS:
        if why := table.missing(run):
            print(f"{run}: skipped: {why}")
            continue
        tries = table.execute(run, int(os.environ.get("FAIRLEAD_PACKETS_SHARE", "1")))
        failures = table.failures(tries)
        print("\n".join([*failures, table.summary(run, tries)]), flush=True)
        status = status or int(bool(failures))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
