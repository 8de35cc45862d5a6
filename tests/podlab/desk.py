# SPDX-License-Identifier: Apache-2.0
"""Somebody who types what the pages say, on the cluster."""

import os
import subprocess
from contextlib import nullcontext
from pathlib import Path

from docs.commands import Command, blocks, difference, given_to, row, typed
from lab import netns
from lab.waiting import wait_for

from .cluster import SOURCE, Cluster


class Desk:
    """A directory as the pages have it, with kubectl, helm and fairlead on the PATH."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._directory, self._client = directory, cluster.network.client.namespace
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
        found = row(command)
        with netns.entered(self._client) if found and found.on == "client" else nullcontext():
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
        todo = given_to(test)
        assert todo
        for command in todo:
            self.run(command, **words)
            if command.shown:
                wait_for(str(command), lambda c=command: not difference(c.shown, self.run(c, **words)), 30, 0.5)


def values() -> str:
    """The values.yaml of the README."""
    (found,) = ["\n".join(lines) for _, language, lines in blocks("README.md") if language == "yaml"]
    return found
