# SPDX-License-Identifier: Apache-2.0
"""Every kind of packet to every kind of Service, in each mode of ours and of kube-proxy: tests/packets has the table.

A mode is tried as a whole, once; its combinations are then judged by what they are sent to.
"""

import os
from collections.abc import Iterator

import pytest

from packets import table
from packets.probes import Tried
from packets.specification import To

COMBINATIONS_MIN = 1500  # of a mode
# One of so many is tried: in the suite vm, where all take too long.
SHARE = int(os.environ.get("FAIRLEAD_PACKETS_SHARE", "1"))


def _runs() -> list[object]:
    """Ours where the API server has no part in it; kube-proxy itself where there is a real one.

    Mode ipvs only where it can run: that is in the suite vm, on most machines.
    """
    ours, theirs = pytest.mark.embedded, pytest.mark.kubernetes
    runs = [run for run in table.RUNS if "ipvs" not in run or not table.missing(run)]
    return [pytest.param(run, marks=theirs if table.is_kube_proxy(run) else ours) for run in runs]


@pytest.fixture(scope="module", params=_runs())
def executed(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[Tried]]]:
    """In this mode, what became of each combination."""
    yield request.param, table.execute(request.param, SHARE)


@pytest.mark.parametrize("to", To, ids=lambda to: to.name.lower())
def test_packets_go_where_they_shall(executed: tuple[str, list[Tried]], to: To) -> None:
    run, all_tries = executed
    tries = [t for t in all_tries if t.case.to is to]
    assert tries
    failures = table.failures(tries)
    assert not failures, "\n".join([table.summary(run, tries), *failures])


def test_the_table_is_whole(executed: tuple[str, list[Tried]], capsys: pytest.CaptureFixture[str]) -> None:
    run, tries = executed
    with capsys.disabled():
        print(f"\n{table.summary(run, tries)}")
    assert len({t.case for t in tries}) == len(tries) >= COMBINATIONS_MIN
    fates = {str(t.fate) for t in tries}
    assert {"refused", "silence"} < fates and len(fates) >= 8
