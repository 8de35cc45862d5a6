# SPDX-License-Identifier: Apache-2.0
"""A cluster on which somebody installs, keeps and removes Fairlead by typing what README.md and other pages say.

The tests are one story: each goes on where the one before has ended.
"""

from collections.abc import Iterator

import pytest

from docs.commands import given_to
from lab import web
from lab.waiting import wait_for
from podlab.cluster import SOURCE, Cluster
from podlab.desk import Desk

HERE = "tests/e2e-cluster/test_install.py"
NAMESPACE = ("--namespace", "fairlead-system")


@pytest.fixture(scope="module")
def desk(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    yield Desk(cluster, tmp_path_factory.mktemp("desk"))
    examples = [str(SOURCE / "examples" / f"{name}.yaml") for name in ("frontend", "webapp")]
    cluster.kubectl("delete", "--ignore-not-found", *(word for e in examples for word in ("-f", e)))
    cluster.helm("uninstall", "fairlead", *NAMESPACE, "--ignore-not-found", "--wait", "--timeout", "120s")


def test_the_section_on_clusters(cluster: Cluster, desk: Desk) -> None:
    """The images are on the nodes already, made by the same Dockerfiles."""
    desk.follow(f"{HERE}::test_the_section_on_clusters")
    assert "ConfigurationAccepted" in wait_for("the verdict", lambda: _verdict(cluster), 30, 0.5)
    client = cluster.network.client.namespace
    reply = wait_for("an answer from outside", lambda: web.get(client, "192.168.1.240"), 30, 0.2)
    assert reply.name.startswith("webapp")


def test_the_pages_on_a_cluster(cluster: Cluster, desk: Desk) -> None:
    selector = ("--selector", "app.kubernetes.io/component=controller")
    pod = cluster.kubectl("get", "pods", *NAMESPACE, *selector, "-o", "name")
    desk.follow(f"{HERE}::test_the_pages_on_a_cluster", POD=pod.split()[0].removeprefix("pod/"), PASSWORD="secret")
    assert cluster.get("service", "frontend")["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.168.1.240"


def test_uninstalling(cluster: Cluster, desk: Desk) -> None:
    uninstall, before = given_to(f"{HERE}::test_uninstalling")
    for command in (before, uninstall):
        desk.run(command)
    assert not cluster.get("service", "frontend")["status"]["loadBalancer"]
    kinds = "deployments,daemonsets"
    wait_for("nothing of ours to run", lambda: not cluster.kubectl("get", kinds, *NAMESPACE, "-o", "name"), 30)


def _verdict(cluster: Cluster) -> str:
    events = cluster.kubectl("describe", "configmap", "fairlead", *NAMESPACE)
    return events.split("Events:", 1)[1].replace("<none>", "").strip()
