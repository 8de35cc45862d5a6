# SPDX-License-Identifier: Apache-2.0
"""The owner of an address goes: how long until another node answers ARP for it?  Each speaker has the same trials.

The owner's link is cut at the LAN's side, and found out by silence alone, as where a switch's port dies quietly; its
speaker is killed; its node loses power, which is both at once; it is told to end, which ours takes for a restart; its
node is drained (ours alone has a word for that).  Of what should cost nothing the longest time without an answer is
told: a killed speaker that returns, one that is replaced by another as in an upgrade, and the API server's going away.
Time is judged by ARP alone, a question every millisecond from a client.  The yardstick is the time that one question
to a living owner takes.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Protocol

from lab.cluster import Lab
from lab.waiting import LabError, wait_for

from . import figures, objects

ADDRESS = "192.168.1.240"
PREFIX_LENGTH = 24
REST_SECONDS = 1.0  # before each fault, for whoever counts intervals


class Speaker(Protocol):
    """Whoever announces the address on each node."""

    lab: Lab

    def start(self) -> None: ...

    def process(self, node: str) -> str:
        """The name of its process there."""

    def revive(self, node: str) -> None:
        """After its end, as whoever looks after daemons does."""

    def settle(self) -> None:
        """Waits until all of them know each other again."""


class Fairlead:
    def __init__(self, lab: Lab, failover: str = "normal") -> None:
        self.lab, self.failover = lab, failover

    def start(self) -> None:
        self.lab.start_cluster()
        for obj in objects.configuration(f"{ADDRESS}/32", self.failover):
            self.lab.api.apply(obj)
        self.lab.start_controller("a")
        for host in self.lab.network.nodes:
            self.lab.start_speaker(host.name)
        hosts = {h.pod_prefix + ".200": h.name for h in self.lab.network.nodes}
        self.lab.api.create(objects.endpoints("bench", hosts))
        self.lab.api.create(objects.service("bench"))

    def process(self, node: str) -> str:
        return f"speaker-{node}"

    def revive(self, node: str) -> None:
        self.lab.start_speaker(node)

    def drain(self, node: str, is_drained: bool) -> None:
        value = "true" if is_drained else None
        self.lab.api.patch("Node", node, {"metadata": {"annotations": {"fairlead.io/drain": value}}}, "")

    def settle(self) -> None:
        wait_for("all speakers to hear each other", self._all_alive, 15, 0.1)

    def _all_alive(self) -> bool:
        for host in self.lab.network.nodes:
            alive = [p["node"] for p in self.lab.daemon(host.name)["l2"]["peers"] if p["alive"]]
            if len(alive) != len(self.lab.network.nodes) - 1:
                raise LabError(f"{host.name} hears {alive}")
        return True


class Keepalived:
    """VRRP version 3 as people tune it for speed: an advertisement every 100 ms; who returns takes nothing back."""

    def __init__(self, lab: Lab, _failover: str = "") -> None:
        self.lab = lab
        self.program = shutil.which("keepalived") or "/usr/sbin/keepalived"
        if not os.access(self.program, os.X_OK):
            raise LabError("keepalived is not installed (apt-get install keepalived)")

    def start(self) -> None:
        for i, host in enumerate(self.lab.network.nodes):
            config = (
                "global_defs { vrrp_version 3 }\n"
                "vrrp_instance bench {\n"
                f"  state BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id 51\n  priority {100 + i}\n"
                "  advert_int 0.1\n"
                f"  virtual_ipaddress {{ {ADDRESS}/{PREFIX_LENGTH} dev eth0 }}\n"
                "}\n"
            )
            (self.lab.dir / f"keepalived-{host.name}.conf").write_text(config, encoding="utf-8")
            self.revive(host.name)

    def process(self, node: str) -> str:
        return f"keepalived-{node}"

    def revive(self, node: str) -> None:
        base = self.lab.dir / f"keepalived-{node}"
        pids = [base.with_suffix(".pid"), base.with_suffix(".vrrp")]
        for file in pids:
            file.unlink(missing_ok=True)  # of one that was killed
        argv = [self.program, "--dont-fork", "--log-console", "--vrrp", f"--use-file={base}.conf"]
        argv += [f"--pid={pids[0]}", f"--vrrp_pid={pids[1]}"]
        self.lab.start(self.process(node), argv, self.lab.host(node).namespace)

    def settle(self) -> None:
        """A returned one listens for three intervals before it counts."""
        time.sleep(1)


SPEAKERS: dict[str, Callable[[Lab, str], Speaker]] = {"fairlead": Fairlead, "keepalived": Keepalived}


# ---- trials ----


def cut(speaker: Speaker, owner: str) -> Callable[[], None]:
    speaker.lab.cut(owner, carrier=False)
    return lambda: speaker.lab.heal(owner)


def kill(speaker: Speaker, owner: str) -> Callable[[], None]:
    """With all that it has started: keepalived's child would say farewell."""
    process = speaker.lab.processes[speaker.process(owner)]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return lambda: speaker.revive(owner)


def power_off(speaker: Speaker, owner: str) -> Callable[[], None]:
    """Nothing of the node is left, and no link goes down at anybody's end."""
    heal = cut(speaker, owner)
    revive = kill(speaker, owner)

    def again() -> None:
        heal()
        revive()

    return again


def stop(speaker: Speaker, owner: str) -> Callable[[], None]:
    """SIGTERM, as for good: whoever is told to end may say farewell."""
    speaker.lab.processes[speaker.process(owner)].signal(signal.SIGTERM)

    def again() -> None:
        speaker.lab.processes[speaker.process(owner)].wait()
        speaker.revive(owner)

    return again


def drain(speaker: Speaker, owner: str) -> Callable[[], None]:
    assert isinstance(speaker, Fairlead)
    speaker.drain(owner, True)
    return lambda: speaker.drain(owner, False)


TRIALS = {"cut": cut, "kill": kill, "off": power_off, "stop": stop, "drain": drain}
WORDS = {
    "cut": "owner's link cut, without loss of carrier at its end",
    "kill": "owner's speaker killed",
    "off": "owner's node without power",
    "stop": "owner's speaker told to end",
    "drain": "owner's node drained",
}
# Ours takes that for a restart: meanwhile a peer answers by the owner's MAC, and those answers are left out.
HOLD = "owner's speaker told to end, and not back: how long its address is held for it"


def one_round(speaker: Speaker, trial: str) -> float:
    """Milliseconds from the fault to the first answer of another node."""
    lab = speaker.lab
    owner = lab.wait_owner(ADDRESS)
    mac = lab.host(owner).mac
    time.sleep(REST_SECONDS)
    with lab.arp_watcher(ADDRESS, 0.001) as watcher:
        wait_for("answers before the fault", lambda: watcher.answers)
        began = time.monotonic()
        heal = TRIALS[trial](speaker, owner)
        answer = wait_for("an ARP answer by another node", lambda: watcher.first_after(began, mac), 30, 0.005)
    heal()
    speaker.settle()
    return (answer.at - began) * 1000


# ---- what should cost nothing ----


def come_back(speaker: Speaker, owner: str) -> Callable[[], None]:
    """Of a speaker that was killed: others have its address by then."""
    revive = kill(speaker, owner)
    speaker.lab.wait_owner(ADDRESS, among=[h.name for h in speaker.lab.network.nodes if h.name != owner])
    return revive


def upgrade(speaker: Speaker, owner: str) -> Callable[[], None]:
    def replace() -> None:
        speaker.lab.processes[speaker.process(owner)].signal(signal.SIGTERM)
        speaker.lab.processes[speaker.process(owner)].wait()
        speaker.revive(owner)

    return replace


def lose_api(speaker: Speaker, _owner: str) -> Callable[[], None]:
    return speaker.lab.stop_api


QUIET = {"return": come_back, "upgrade": upgrade, "api": lose_api}
QUIET_WORDS = {
    "return": "a killed speaker returns: longest time without an answer",
    "upgrade": "owner's speaker replaced: longest time without an answer",
    "api": "the API server goes away: longest time without an answer",
}
QUIET_SECONDS = 1.0  # after everybody knows everybody again


def one_quiet_round(speaker: Speaker, trial: str) -> float:
    """Milliseconds of the longest time without any answer."""
    lab = speaker.lab
    happens = QUIET[trial](speaker, lab.wait_owner(ADDRESS))
    time.sleep(REST_SECONDS)
    with lab.arp_watcher(ADDRESS, 0.001) as watcher:
        wait_for("answers before it", lambda: watcher.answers)
        happens()
        speaker.settle()
        time.sleep(QUIET_SECONDS)
        times = [a.at for a in watcher.answers] + [time.monotonic()]
    if trial == "api":
        lab.start_api()
    return max(later - at for at, later in zip(times, times[1:])) * 1000


# ---- nobody fails ----

SPIN = "while True: pass"


def takeovers(lab: Lab) -> int:
    """Of all speakers since their starts."""
    metrics = [lab.daemon(host.name, "/metrics") for host in lab.network.nodes]
    return sum(int(n) for text in metrics for n in re.findall(r"^fairlead_l2_takeovers_total (\d+)$", text, re.M))


def stay_busy(lab: Lab, minutes: float) -> int:
    """How many takeovers there are while programs want each processor twice."""
    before = takeovers(lab)
    argv = [sys.executable, "-c", SPIN]
    spinners = [subprocess.Popen(argv, start_new_session=True) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        time.sleep(minutes * 60)
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
    return takeovers(lab) - before


# ---- what is asked for ----


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/failover", description=__doc__)
    parser.add_argument("--speaker", choices=SPEAKERS, default="fairlead", help="whose failover (fairlead)")
    parser.add_argument("--rounds", type=int, default=20, help="of each trial (20)")
    parser.add_argument("--failover", choices=("fast", "normal", "calm"), default="normal", help="of fairlead (normal)")
    parser.add_argument("--busy", type=float, default=0, metavar="MINUTES", help="count takeovers with processors busy")
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=" ".join((*TRIALS, *QUIET)) + " (cut)")
    asked = parser.parse_args(shlex.split(os.environ.get("FAIRLEAD_BENCH_FAILOVER", "")))
    asked.trials = asked.trials or ([] if asked.busy else ["cut"])
    if unknown := [t for t in asked.trials if t not in (*TRIALS, *QUIET)]:
        parser.error(f"{unknown[0]}: there are {', '.join((*TRIALS, *QUIET))}")
    if asked.speaker != "fairlead" and {"drain", "api"} & set(asked.trials):
        parser.error("only fairlead drains nodes, and knows an API server")
    if asked.speaker != "fairlead" and asked.busy:
        parser.error("only fairlead counts its takeovers")
    return asked


def run(lab: Lab) -> None:
    asked = options()
    speaker = SPEAKERS[asked.speaker](lab, asked.failover)
    speaker.start()
    lab.wait_owner(ADDRESS)
    speaker.settle()
    asks = [a.ms for _ in range(asked.rounds) for a in lab.arp_answers(ADDRESS, 0.05)]
    how = f", failover {asked.failover}" if asked.speaker == "fairlead" else ""
    print(f"failover, {asked.speaker}{how}: the fault -> the first ARP answer by another node")
    figures.report("  one ARP question to a living owner (yardstick)", asks)
    for trial in asked.trials:
        if trial in QUIET:
            words, a_round = QUIET_WORDS[trial], one_quiet_round
        else:
            words = HOLD if trial == "stop" and asked.speaker == "fairlead" else WORDS[trial]
            a_round = one_round
        figures.report(f"  {words}", [a_round(speaker, trial) for _ in range(asked.rounds)])
    if asked.busy:
        found = stay_busy(lab, asked.busy)
        words = f"takeovers without a fault in {asked.busy:g} minutes, each processor wanted twice"
        print(f"  {words}: {found}", flush=True)
