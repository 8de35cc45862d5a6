# SPDX-License-Identifier: Apache-2.0
"""The README's section on clusters, followed word by word."""

import os
import re
import subprocess
from pathlib import Path

from lab import web
from lab.waiting import wait_for
from podlab.cluster import SOURCE, Cluster


def _blocks(title: str) -> list[str]:
    """The code blocks of a section of the README."""
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {title}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section, title
    return re.findall(r"^```\w*\n(.*?)^```", section.group(1), re.MULTILINE | re.DOTALL)


def test_the_section_on_clusters(cluster: Cluster, tmp_path: Path) -> None:
    install, values, look, service = _blocks("Run on a cluster")
    # The images are on the nodes already, made by the same Dockerfiles.
    images, install = re.split("^(?=helm install)", install, maxsplit=1, flags=re.MULTILINE)
    assert "make image" in images
    (tmp_path / "values.yaml").write_text(values, encoding="utf-8")
    for directory in ("charts", "examples"):
        (tmp_path / directory).symlink_to(SOURCE / directory)
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{cluster.dir / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    for commands in (install, look, service):
        done = subprocess.run(
            ["bash", "-euc", commands], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "ConfigurationAccepted" in wait_for("the verdict", lambda: _verdict(cluster), 30, 0.5)
    client = cluster.network.client.namespace
    reply = wait_for("an answer from outside", lambda: web.get(client, "192.168.1.240"), 30, 0.2)
    assert reply.name.startswith("webapp")
    cluster.kubectl("delete", "-f", str(SOURCE / "examples/frontend.yaml"), "-f", str(SOURCE / "examples/webapp.yaml"))
    cluster.helm("uninstall", "fairlead", "--namespace", "fairlead-system", "--wait", "--timeout", "120s")


def _verdict(cluster: Cluster) -> str:
    events = cluster.kubectl("describe", "configmap", "fairlead", "--namespace", "fairlead-system")
    return events.split("Events:", 1)[1].replace("<none>", "").strip()
