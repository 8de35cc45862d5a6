# SPDX-License-Identifier: Apache-2.0
"""The daemons, started by hand as docs/running.md says."""

from pathlib import Path

from conftest import open_lab, our_rules
from desk import VALUES, Desk

from docs.commands import given_to, typed
from lab.waiting import wait_for


def test_daemons_by_hand(tmp_path: Path) -> None:
    """Started, and what they leave removed, as docs/running.md says."""
    controller, speaker, make_key, cleanup = given_to("tests/e2e/test_documents_daemons.py::test_daemons_by_hand")
    with open_lab() as lab:
        desk = Desk(lab, tmp_path / "desk")
        lab.start_cluster()
        lab.apply("fairlead.yaml")
        desk.run(make_key)
        # FILE is the kubeconfig there.
        for name, command, host in (("controller-a", controller, "cp"), ("speaker-node1", speaker, "node1")):
            line = f"cd {desk.directory}; exec {typed(command, **VALUES | {'FILE': str(lab.kubeconfig)})}"
            lab.start(name, ["bash", "-euc", line], lab.host(host).namespace, desk.environment)
        for name in ("controller-a", "node1"):
            wait_for(f"{name} to be ready", lambda n=name: lab.daemon(n, "/readyz"))
        assert our_rules(lab, "node1")
        lab.stop_daemons()
        assert our_rules(lab, "node1")
        desk.run(cleanup)
        assert not our_rules(lab, "node1")
