# SPDX-License-Identifier: Apache-2.0
"""The commands of README.md and docs/, typed as they stand there, page by page and in their order.

tests/docs/commands.py finds them and has the rows of those that are run elsewhere.  Each must end as its row says (with
0 unless told), and print what the page shows, but for addresses, numbers and ages.  kubectl is the one of
tests/kube/build; without it pages that use it are for `tests/run kube`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import NODES, open_lab
from desk import VALUES, Desk

from docs.commands import PAGES, without_test
from lab import kubernetes
from lab.cluster import EXAMPLES, Lab
from lab.waiting import wait_for

ADDRESS = VALUES["ADDRESS"]


def make_files(lab: Lab, desk: Path) -> None:
    """Those of the pages: the configuration, an edit of it that retains an address, the cluster's state."""
    documents = yaml.safe_load_all((EXAMPLES / "fairlead.yaml").read_text(encoding="utf-8"))
    (manifest,) = [d for d in documents if d["kind"] == "ConfigMap"]
    config = manifest["data"]["config"].replace("192.168.1.240-", "192.168.1.241-")
    assert config != manifest["data"]["config"]
    kinds = {"Service": "v1", "EndpointSlice": "discovery.k8s.io/v1", "ConfigMap": "v1", "Node": "v1"}
    items = [{"apiVersion": v, **o, "kind": k} for k, v in kinds.items() for o in lab.api.objects(k)]
    files = {
        "config.yaml": manifest,
        "new.yaml": {**manifest, "data": {"config": config}},
        "state.yaml": {"apiVersion": "v1", "kind": "List", "items": items},
    }
    for name, document in files.items():
        (desk / name).write_text(yaml.safe_dump(document), encoding="utf-8")
    shutil.copyfile(EXAMPLES / "metallb" / "custom-resources.yaml", desk / "metallb.yaml")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """As the README leaves a cluster, and with a Service `web` beside `frontend`."""
    with open_lab() as opened:
        opened.start_cluster()
        opened.apply("fairlead.yaml")
        opened.apply("webapp.yaml")
        opened.start_controller("a")
        for node in NODES:
            opened.start_speaker(node)
            wait_for(f"{node}'s speaker to be ready", lambda n=node: opened.daemon(n, "/readyz"))
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        spec = {"type": "LoadBalancer", "selector": {"app": "webapp"}, "ports": ports}
        opened.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
        assert opened.wait_address("web") == ADDRESS
        opened.wait_owner(ADDRESS)  # as if nothing else were there
        opened.apply("frontend.yaml")
        opened.wait_address("frontend")
        yield opened
        opened.stop_daemons()


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Desk:
    """Each page finds the lab as it was at first."""
    lab.apply("fairlead.yaml")
    for node in NODES:
        lab.api.patch("Node", node, {"metadata": {"annotations": {"fairlead.io/drain": None}}}, "")
    made = Desk(lab, tmp_path / "desk")
    make_files(lab, made.directory)
    if kubernetes.kubectl():
        made.kubectl("apply", "-f", "config.yaml")  # as somebody did who has kept to kubectl
    lab.wait_owner(ADDRESS)
    lab.wait_carried("web")
    return made


def _pages() -> list[object]:
    """What the page about tests has people type takes minutes, and no API server."""
    apart = {"docs/testing.md": pytest.mark.embedded}
    return [pytest.param(p, marks=[apart[p]] if p in apart else []) for p in PAGES if without_test(p)]


@pytest.mark.parametrize("page", _pages())
def test_page(desk: Desk, page: str) -> None:
    todo = without_test(page)
    if not kubernetes.kubectl() and any("kubectl" in c.text for c in todo):
        pytest.skip("kubectl is not installed; with tests/kube/build `tests/run kube` runs this")
    for command in todo:
        desk.follow(command)
