# SPDX-License-Identifier: Apache-2.0
"""The service proxy alone in a namespace, as tests/proxy/proxyctl runs it: told line by line what is wanted."""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from . import netns
from .waiting import PATIENCE, LabError

SOURCE = Path(__file__).resolve().parents[2]


def program() -> str:
    return str(Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build")) / "tests/proxy/proxyctl")


class Gone(LabError):
    """It has ended."""


class Proxyctl:
    """`env` is added to its environment, `log` gets what it logs, `before` runs it with its argument vector."""

    def __init__(
        self,
        namespace: str,
        *options: str,
        env: dict[str, str] | None = None,
        log: Path | None = None,
        before: tuple[str, ...] = (),
    ) -> None:
        self.namespace, self.options, self.env, self.log = namespace, options, env or {}, log
        self.before = before

    def launch(self) -> None:
        """Starts it without a word."""
        with netns.entered(self.namespace), self.log.open("a") if self.log else contextlib.nullcontext() as log:
            self._process = subprocess.Popen(
                [*self.before, program(), *self.options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.env},
                text=True,
            )

    def start(self, *lines: str) -> dict[str, Any]:
        """The status when these lines are done and there is nothing else."""
        self.launch()
        return self.tell(*lines, "complete")

    def say(self, *lines: str) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write("".join(f"{line}\n" for line in lines))
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Gone("proxyctl gave up") from None

    def ask(self, question: str) -> str:
        """The answer, one line."""
        self.say(question)
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise Gone("proxyctl gave up")
        return answer

    def tell(self, *lines: str) -> dict[str, Any]:
        """Has these lines done, and returns the status then."""
        self.say(*lines)
        answer = ""
        for _ in range(PATIENCE):
            answer = self.ask("wait")
            status: dict[str, Any] = json.loads(answer)
            if status["in_sync"]:
                return status
        raise LabError(f"proxyctl is not in sync: {answer}")

    def status(self) -> dict[str, Any]:
        """What it says now, whatever is still to be done."""
        answer: dict[str, Any] = json.loads(self.ask("status"))
        return answer

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self, failures: bool = False) -> None:
        """Leaves all rules; `failures`: something may have failed."""
        self._process.communicate(timeout=20 * PATIENCE)
        if self._process.returncode not in ((0, 1) if failures else (0,)):
            raise LabError(f"proxyctl ended with status {self._process.returncode}")

    def end(self) -> None:
        """By force, or whatever is left of it."""
        self._process.kill()
        self._process.communicate()
