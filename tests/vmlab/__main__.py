# SPDX-License-Identifier: Apache-2.0
"""What tests/vm runs once everything is installed; tests/vm --help says how."""

import argparse
import os
import sys
from pathlib import Path

from lab.cluster import end_on_signals
from lab.waiting import LabError

from . import machine


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/vm run")
    parser.add_argument("--uml", action="store_true")
    parser.add_argument("--timeout", type=float, default=1800.0)
    parser.add_argument("--memory", type=int, default=2048)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(sys.argv[2:])
    command = chosen.command[1:] if chosen.command[:1] == ["--"] else chosen.command
    if not command:
        parser.error("no command")
    if why := machine.missing(chosen.uml):
        raise LabError(why)
    end_on_signals()
    build = Path(os.environ["FAIRLEAD_BUILD"]).resolve()
    return machine.run(command, build, chosen.timeout, chosen.memory, chosen.uml)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as problem:
        print(f"tests/vm: {problem}", file=sys.stderr)
        sys.exit(machine.NOT_RUN)
    except KeyboardInterrupt:
        sys.exit(130)
