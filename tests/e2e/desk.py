# SPDX-License-Identifier: Apache-2.0
"""Where the tests of documents type commands, each as it stands in its page (tests/docs/commands.py)."""

import os
import re
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path

from docs.commands import Command, difference, row, typed
from lab import kubernetes, netns
from lab.cluster import SOURCE, Lab
from lab.waiting import NotInTime, wait_for

# What is typed for the words in capitals.
VALUES: dict[str, str] = {
    "ADDRESS": "192.168.1.240",
    "FILE": "config.yaml",
    "KEY": "heartbeat.key",
    "NAME": "node1",
    "NODE": "node1",
    "SERVICE": "web",
}
ENDS_WITHIN = 300  # seconds; a command that goes on for ever would keep all tests from ending
CHANGES = re.compile(r"\bkubectl\b.* (annotate|apply|create|delete|scale)\b")  # not to be typed twice


class Desk:
    """Where commands are typed: a directory with the files that the pages speak of, and our programs on the PATH."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab, self.directory = lab, directory
        programs = directory / "bin"
        programs.mkdir(parents=True)
        for name in ("fairlead", "fairlead-controller", "fairlead-speaker"):
            (programs / name).symlink_to(lab.program(name))
        (programs / "kubectl-fairlead").symlink_to(lab.program("fairlead"))
        if kubernetes.kubectl():
            (programs / "kubectl").symlink_to(kubernetes.kubectl())
        for name in ("charts", "examples", "tests"):
            (directory / name).symlink_to(SOURCE / name)
        self.environment = {
            **os.environ,
            "HOME": str(directory),
            "KUBECONFIG": str(lab.kubeconfig),
            "PATH": f"{programs}:{os.environ['PATH']}",
        }

    def run(self, command: Command, **words: str) -> str:
        """What it prints; standard error with it, as at a terminal.  @words are typed for words in capitals."""
        found = row(command)
        done = self._bash(typed(command, **(VALUES | words)), found.on if found else "cp")
        assert done.returncode == (found.status if found else 0), f"{command}\n{done.stdout}"
        return done.stdout

    def kubectl(self, *arguments: str) -> str:
        done = self._bash(shlex.join(["kubectl", *arguments]), "cp")
        assert done.returncode == 0, f"{arguments}: {done.stdout}"
        return done.stdout

    def _bash(self, line: str, host: str) -> subprocess.CompletedProcess[str]:
        with netns.entered(self.lab.host(host).namespace):
            return subprocess.run(
                ["timeout", str(ENDS_WITHIN), "bash", "-o", "pipefail", "-euc", line],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )

    def follow(self, command: Command, seconds: float = 20.0, **words: str) -> None:
        """Runs it until it prints what the page shows, which daemons may need a moment for."""
        wrong = self._otherwise(command, words)
        if wrong and not CHANGES.search(command.text):
            with suppress(NotInTime):
                wait_for("what the page shows", lambda: not self._otherwise(command, words), seconds, 0.5)
            wrong = self._otherwise(command, words)
        assert not wrong, f"{command}\n{wrong}"

    def _otherwise(self, command: Command, words: dict[str, str]) -> str:
        printed = self.run(command, **words)
        return difference(command.shown, printed) if command.shown else ""
