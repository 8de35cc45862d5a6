# SPDX-License-Identifier: Apache-2.0
"""A cluster on which somebody installs, keeps and removes Fairlead by typing what README.md and other pages say.

The tests are one story: each goes on where the one before has ended.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.commands import Command, blocks, difference, given_to, typed
from lab import web
from lab.waiting import wait_for
from podlab.cluster import SOURCE, Cluster

HERE = "tests/e2e-cluster/test_install.py"
NAMESPACE = ("--namespace", "fairlead-system")


class Desk:
    """A directory as the pages have it, with kubectl, helm and fairlead on the PATH."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._directory = directory
        (directory / "values.yaml").write_text(values(), encoding="utf-8")
        for name in ("charts", "examples"):
            (directory / name).symlink_to(SOURCE / name)
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig),
            "PATH": f"{cluster.dir / 'bin'}:{cluster.build / 'src/cli'}:{os.environ['PATH']}",
            "HOME": str(directory),
        }

    def run(self, command: Command, **words: str) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-euc", typed(command, **words)],
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def follow(self, test: str, **words: str) -> None:
        """Runs what the rows give to a test, and compares what the pages show."""
        todo = given_to(f"{HERE}::{test}")
        assert todo
        for command in todo:
            self.run(command, **words)
            if command.shown:
                wait_for(str(command), lambda c=command: not difference(c.shown, self.run(c, **words)), 30, 0.5)


def values() -> str:
    """The values.yaml of the README."""
    (found,) = ["\n".join(lines) for _, language, lines in blocks("README.md") if language == "yaml"]
    return found


@pytest.fixture(scope="module")
def desk(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    yield Desk(cluster, tmp_path_factory.mktemp("desk"))
    examples = [str(SOURCE / "examples" / f"{name}.yaml") for name in ("frontend", "webapp")]
    cluster.kubectl("delete", "--ignore-not-found", *(word for e in examples for word in ("-f", e)))
    cluster.helm("uninstall", "fairlead", *NAMESPACE, "--ignore-not-found", "--wait", "--timeout", "120s")


def test_the_section_on_clusters(cluster: Cluster, desk: Desk) -> None:
    """The images are on the nodes already, made by the same Dockerfiles."""
    desk.follow("test_the_section_on_clusters")
    assert "ConfigurationAccepted" in wait_for("the verdict", lambda: _verdict(cluster), 30, 0.5)
    client = cluster.network.client.namespace
    reply = wait_for("an answer from outside", lambda: web.get(client, "192.168.1.240"), 30, 0.2)
    assert reply.name.startswith("webapp")


def test_the_pages_on_a_cluster(cluster: Cluster, desk: Desk) -> None:
    selector = ("--selector", "app.kubernetes.io/component=controller")
    pod = cluster.kubectl("get", "pods", *NAMESPACE, *selector, "-o", "name")
    desk.follow("test_the_pages_on_a_cluster", POD=pod.split()[0].removeprefix("pod/"), PASSWORD="secret")
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
