# SPDX-License-Identifier: Apache-2.0
"""The whole table in one mode, as "nft", or in one that is told something of the node, as "nft+masquerade-all"."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path

from lab import ipvs, kubernetes

from .cases import SETTINGS, Case, cases, services
from .differences import MODES, expected
from .fairlead import Fairlead
from .kubeproxy import MODES as KUBE_PROXY_MODES
from .kubeproxy import KubeProxy
from .network import Network
from .probes import Prober, Tried


def is_kube_proxy(run: str) -> bool:
    return run.partition("+")[0] in KUBE_PROXY_MODES


def _runs() -> Iterator[str]:
    """Whether localhost has node ports kube-proxy is not told, as its own default is in the table; IPVS cannot."""
    for setting, mode in product(SETTINGS, MODES):
        if not (SETTINGS[setting].localhost and (is_kube_proxy(mode) or mode == "ipvs")):
            yield f"{mode}+{setting}".rstrip("+")


RUNS = tuple(_runs())


def missing(run: str) -> str:
    """Why it cannot be tried here, for a person to read; empty if it can."""
    mode = run.partition("+")[0]
    if mode == "ipvs":
        return ipvs.missing()
    return kubernetes.missing() if is_kube_proxy(run) else ""


def _data_plane(run: str, network: Network, directory: Path) -> AbstractContextManager[object]:
    mode, _, setting = run.partition("+")
    if is_kube_proxy(run):
        return KubeProxy(mode, SETTINGS[setting], network, services(setting), directory)
    return Fairlead(mode, SETTINGS[setting], network, services(setting))


def _share(all_cases: Sequence[Case], share: int) -> Iterator[Case]:
    """One of so many: each kind of packet to some of the Services, and to each Service other kinds."""
    of_service: Counter[int] = Counter()
    for case in all_cases:
        number = case.service.number
        if (number + of_service[number]) % share == 0:
            yield case
        of_service[number] += 1


def execute(run: str, share: int = 1) -> list[Tried]:
    """What became of each case, or of one of @share."""
    mode, _, setting = run.partition("+")
    tries = [Tried(case, expected(mode, case)) for case in _share(cases(setting), share)]
    with tempfile.TemporaryDirectory(prefix="packets-") as directory, Network(services(setting)) as network:
        with _data_plane(run, network, Path(directory)), Prober(network) as prober:
            prober.run(tries)
    return tries


def failures(tries: Sequence[Tried]) -> list[str]:
    """What became something else: a line for each kind of packet that did, with one of the Services, and how many."""
    kinds: dict[tuple[str, ...], list[Tried]] = {}
    for tried in tries:
        if not tried.fulfilled():
            seen = " and ".join(sorted({str(p) for p in tried.probes}))
            kinds.setdefault((tried.case.packet, str(tried.fate), seen), []).append(tried)
    return [
        f"{packet}: expected {fate}; seen: {seen} (Services like {failed[0].case.service.name}: {len(failed)})"
        for (packet, fate, seen), failed in kinds.items()
    ]


def summary(run: str, tries: Sequence[Tried]) -> str:
    fates = Counter("forwarded" if t.fate.ways else str(t.fate) for t in tries)
    passed = sum(t.fulfilled() for t in tries)
    packets = sum(len(t.probes) for t in tries)
    kinds = ", ".join(f"{n} {fate}" for fate, n in sorted(fates.items()))
    return f"{run}: {len(tries)} combinations ({kinds}), {passed} passed, {packets} packets"
