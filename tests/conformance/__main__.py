# SPDX-License-Identifier: Apache-2.0
"""What tests/upstream runs once everything is built."""

import argparse
import os
import re
import sys
from pathlib import Path

from lab import ipvs
from lab.cluster import end_on_signals
from lab.waiting import PATIENCE, LabError
from podlab import cluster as podlab
from podlab.cluster import SOURCE, Cluster

from . import exceptions, kernel, outcomes, page, pictures, place, suite

MACHINE = 3  # what `check` exits with where a run belongs in the virtual machine
_PAGE = SOURCE / "docs/conformance.md"
_BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))


def _results(mode: str) -> Path:
    return place.results(_BUILD) / f"{mode}.json"


def _earlier(mode: str, tests: list[suite.Test]) -> dict[str, outcomes.Outcome]:
    """What earlier runs have left, also killed ones, in the page or here, of tests that would still be run."""
    listed = exceptions.load(place.MODES, has=kernel.FEATURES)  # what other kernels have left, too
    found = page.outcomes(_PAGE.read_text(encoding="utf-8"), tests).get(mode, {})
    found |= outcomes.load(_results(mode)) | suite.told(place.report(_BUILD, mode))
    return {t.name: found[t.name] for t in tests if t.name in found and not listed.is_never(t.name, mode)}


def keep(tests: list[suite.Test]) -> None:
    """Has what earlier runs have left, in all modes, where the page and later runs find it."""
    place.results(_BUILD).mkdir(exist_ok=True)
    for mode in place.MODES:
        if found := _earlier(mode, tests):
            outcomes.save(_results(mode), found)


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not found or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r}: wants I/N, with I from 1 to N")
    return int(found[1]), int(found[2])


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as problem:
        raise argparse.ArgumentTypeError(f"{text!r}: {problem}") from problem


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests/upstream")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build")
    verbs.add_parser("page")
    run = verbs.add_parser("run")
    run.add_argument("--mode", choices=place.MODES, default=place.MODES[0])
    run.add_argument("--focus", type=_regex, default=re.compile(""))
    run.add_argument("--shard", type=_shard, default=(1, 1))
    run.add_argument("--processes", type=int, default=6 if PATIENCE == 1 else 2)
    run.add_argument("--all", action="store_true")
    run.add_argument("--missing", action="store_true")
    run.add_argument("--vm", action="store_true")
    return parser.parse_args(argv)


def _build() -> list[Path]:
    """All images, the product's among them."""
    return pictures.build(_BUILD / "images/upstream") + podlab.build_product(_BUILD)


def _needs_machine(arguments: argparse.Namespace) -> bool:
    """Whether the run is one for the virtual machine."""
    if arguments.verb != "run":
        return False
    return arguments.vm or (arguments.mode == place.IPVS and bool(ipvs.kernel_lacks()))


def choose(arguments: argparse.Namespace, known: list[str], listed: exceptions.Exceptions) -> list[str]:
    """The names of the tests that a run is about."""
    mode, (shard, shards) = arguments.mode, arguments.shard
    earlier = outcomes.load(_results(mode)) if arguments.missing else {}
    wanted = [n for n in known if n not in earlier and arguments.focus.search(n)]
    return [n for n in wanted if arguments.all or not listed.is_never(n, mode)][shard - 1 :: shards]


def _run(arguments: argparse.Namespace) -> bool:
    mode = arguments.mode
    listed = exceptions.load(place.MODES, has=kernel.has())
    archives = _build()
    tests = suite.tests()
    known = [t.name for t in tests]
    keep(tests)
    if not (wanted := choose(arguments, known, listed)):
        raise LabError("no test is left to be run")
    cluster_id = os.environ["FAIRLEAD_LAB_ID"]
    podlab.remove(cluster_id)  # of a killed run; refuses if it is in use
    end_on_signals()
    with Cluster(cluster_id, _BUILD, "tests/upstream", dual_stack=True) as cluster:
        cluster.start(kube_proxy=mode == place.YARDSTICK)
        with place.prepared(cluster, mode, archives):
            print(f"{len(wanted)} of {len(known)} tests in mode {mode}", flush=True)
            try:
                found = place.run(cluster, mode, wanted, arguments.processes)
            finally:
                keep(tests)
        if wrong := outcomes.problems(mode, found, known, listed):
            print(f"logs of the cluster: {cluster.save_logs()}")
    print(outcomes.table(mode, found))
    for line in wrong:
        print(f"WRONG {line}")
    return not wrong


def main(argv: list[str]) -> int:
    if argv[:1] == ["check"]:
        exceptions.load(place.MODES)
        return MACHINE if _needs_machine(parse(argv[1:])) else 0
    arguments = parse(argv)
    match arguments.verb:
        case "build":
            _build()
        case "page":
            tests, listed = suite.tests(), exceptions.load(place.MODES)
            runs = {m: outcomes.load(_results(m)) for m in place.MODES}
            if not any(runs.values()):
                raise LabError(f"no run has left anything in {place.results(_BUILD)}")
            print(page.text(suite.version(), tests, runs, listed), end="")
        case _:
            return 0 if _run(arguments) else 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
