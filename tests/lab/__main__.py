# SPDX-License-Identifier: Apache-2.0
"""The lab by hand, without our daemons: `cd tests && python3 -m lab COMMAND`.

  list                     every lab that is there
  up ID                    makes a network, an API server and a Pod runner, and waits for Ctrl-C
  vacant ID COMMAND        fails, and says what COMMAND's user can do, if there is such a lab
  clean ID                 removes a lab that no process owns any more
  cut ID HOST [silent]     cuts a host's link; silent: its carrier stays
  heal ID HOST             mends it
"""

import os
import signal
import sys
from pathlib import Path

from . import net, rundir
from .cluster import SOURCE, Lab, end_on_signals
from .waiting import LabError


def _up(lab_id: str) -> None:
    end_on_signals()
    build = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
    with Lab(lab_id, build, "python3 -m lab") as lab:
        lab.start_cluster()
        print(f"lab {lab_id} is up; kubeconfig {lab.kubeconfig}; Ctrl-C ends it", flush=True)
        signal.pause()


def main(argv: list[str]) -> int:
    match argv:
        case ["list"]:
            print("\n".join(rundir.ids()))
        case ["up", lab_id]:
            _up(lab_id)
        case ["vacant", lab_id, command]:
            rundir.check_vacant(lab_id, command)
        case ["clean", lab_id]:
            print("removed" if rundir.clean(lab_id) else "there is none")
        case ["cut", lab_id, host, *how]:
            net.Network(lab_id).cut(host, carrier=how != ["silent"])
        case ["heal", lab_id, host]:
            net.Network(lab_id).heal(host)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
