# SPDX-License-Identifier: Apache-2.0
"""The service proxy under load, in each mode: nobody's connection fails while Pods, or modes, are replaced."""

import contextlib
import errno
import itertools
import re
import socket
import time
from collections.abc import Iterator

import pytest
from proxyload import Downloads, Knocker, Pod
from proxyroom import BOTH, BUILD, MODES, A, Driver, nft, ns, outcome

from lab import netns
from lab.load import Load
from lab.waiting import PATIENCE, wait_for

pytest_plugins = ["proxyroom"]

PER_SECOND = 250 // PATIENCE
VIP = "203.0.113.70"
# Longer than a client's first SYN takes to be sent again.
GRACE_S = 1.2


class Deployment:
    """Some Pods, on the nodes in turn, and the Service in front of them."""

    def __init__(self, driver: Driver, policy: str) -> None:
        self.driver, self.policy = driver, policy
        self._numbers = itertools.count()
        self.pods: list[Pod] = []
        self.names: dict[str, str] = {}  # of all there ever were, with their nodes
        self.gone: dict[str, float] = {}  # since when no new connection may reach it

    def grow(self) -> None:
        number = next(self._numbers)
        pod = Pod(f"pod-{number}", f"node{number % 2 + 1}", number)
        self.pods.append(pod)
        self.names[pod.name] = pod.node
        self.publish()

    def publish(self, *ending: Pod) -> None:
        self.driver.tell(self.line([pod for pod in self.pods if pod not in ending]))

    def line(self, pods: list[Pod]) -> str:
        words = []
        for port, attribute in ((80, "port"), (81, "download_port")):
            words.append(f"port=tcp/{port}")
            for pod in pods:
                endpoint = pod.endpoint(getattr(pod, attribute))
                words.append(f"cluster={endpoint}")
                words += [f"local={endpoint}"] if pod.node == "node1" else []
        return f"service t/rolled 4 cluster-ip=10.96.0.70 vip={VIP} external={self.policy} {' '.join(words)}"

    def replace(self, pod: Pod) -> None:
        """As a rolling update does: a new one, then this one is told to end, and ends when it has nothing to do."""
        self.grow()
        self.publish(pod)
        self.gone[pod.name] = time.monotonic()
        time.sleep(GRACE_S)
        pod.refuse_downloads()
        wait_for(f"{pod.name} to have nothing to do", lambda: pod.n_downloads == 0, 60)
        self.pods.remove(pod)
        pod.end()

    def end(self) -> None:
        for pod in self.pods:
            pod.end()


@contextlib.contextmanager
def deployment(driver: Driver, policy: str, n: int) -> Iterator[Deployment]:
    made = Deployment(driver, policy)
    try:
        for _ in range(n):
            made.grow()
        yield made
    finally:
        made.end()


def clean() -> None:
    netns.output(ns("node1"), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize("mode", MODES)
def test_a_rolling_update_fails_nobody(network: None, mode: str, policy: str) -> None:
    driver = Driver("node1", mode)
    with deployment(driver, policy, 4) as pods:
        with (
            Load(ns("client"), VIP, per_second=PER_SECOND) as load,
            Downloads(ns("client"), VIP, 81, 12, 60) as downloads,
        ):
            for pod in list(pods.pods):
                n = len(load.outcomes)
                wait_for("some connections", lambda n=n: len(load.outcomes) > n + 100, 30)
                pods.replace(pod)
            names = {name for name, node in pods.names.items() if node == "node1" or policy == "Cluster"}
            # Of those that went, some may have been there for too short a time.
            left = names & {pod.name for pod in pods.pods}
            wait_for("downloads from each Pod", lambda: downloads.n_done > 24 and left <= downloads.pods, 120)
    driver.tell("remove t/rolled 4")
    driver.stop()
    clean()
    assert not load.failures, load.summary()
    assert not downloads.failures
    late = [o for o in load.outcomes if o.started > pods.gone.get(o.pod, o.started)]
    assert not late, "new connections went to Pods that were out of the set"
    assert {o.pod for o in load.outcomes} == names
    assert left <= downloads.pods <= names


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_change_of_mode_fails_nobody(network: None, policy: str) -> None:
    """From each mode to each other one, by a restart, under connections old and new; mode ipvs has its own."""
    modes = [mode for mode in MODES if mode != "ipvs"]
    order = [*modes, *reversed(modes[:-1])]
    driver = Driver("node1", order[0])
    with deployment(driver, policy, 4) as pods:
        line = pods.line(pods.pods)
        with (
            Downloads(ns("client"), VIP, 81, 8, 1 << 30) as whole,  # from the first mode to the last one
            Load(ns("client"), VIP, per_second=PER_SECOND) as load,
            Downloads(ns("client"), VIP, 81, 6, 40) as downloads,
        ):
            time.sleep(1)
            for mode in order[1:]:
                driver.stop()
                driver = Driver("node1", mode, begin=False)
                status = driver.start(line)
                assert status["in_sync"]
                time.sleep(1)
            whole.stop()
    driver.tell("remove t/rolled 4")
    driver.stop()
    clean()
    assert not load.failures, load.summary()
    assert not downloads.failures + whole.failures
    assert downloads.n_done > 6 and whole.n_done == 8


def test_a_way_that_leads_nowhere_is_no_refusal(network: None) -> None:
    """So it is for a packet that meets old rules and new elements: it is dropped, and the client sends it again."""
    driver = Driver("node1", "nftables")
    driver.tell(f"service t/half 4 cluster-ip=10.96.0.71 vip={VIP} port=tcp/80 {A}")
    driver.pause()
    try:
        netns.output(ns("node1"), ["nft", "flush", "map", "ip", "fairlead", "sets"])
        assert outcome("client", VIP) == "timeout"
        assert outcome("client", VIP, 81) == "refused"
    finally:
        driver.resume()
    wait_for("it to be mended", lambda: outcome("client", VIP) == "answered")
    driver.tell("remove t/half 4")
    driver.stop()
    clean()


def long_way(chain: str, before: str) -> None:
    """Keeps a packet for the address busy for so long before a rule that a transaction comes meanwhile."""
    listing = netns.output(ns("node1"), ["nft", "-a", "list", "chain", "ip", "fairlead", chain])
    rule = re.search(rf"{before}.* # handle (\d+)", listing)
    assert rule, listing
    chains = ["ip daddr 192.0.2.1 drop"] * 1000, ["jump long-0"] * 50, ["jump long-1"] * 50
    for number, rules in enumerate(chains):
        lines = "\n".join(rules)
        nft(ns("node1"), f"table ip fairlead {{\nchain long-{number} {{\n{lines}\n}}\n}}\n")
    nft(ns("node1"), f"insert rule ip fairlead {chain} position {rule[1]} ip daddr {VIP} jump long-2")


def test_a_packet_in_a_table_that_goes_is_not_refused(network: None) -> None:
    """It has begun with the rules, and no longer finds its way in the maps: another mode's rules have to have it."""
    line = f"service t/left 4 cluster-ip=10.96.0.72 vip={VIP} port=tcp/80 {A}"
    driver = Driver("node1", "nftables")
    driver.tell(line)
    driver.stop()
    long_way("prerouting", "goto outside")
    with Knocker("client", VIP, 80) as knocker:
        wait_for("some connections", lambda: knocker.n_answered > 2)
        driver = Driver("node1", "legacy", begin=False)
        assert driver.start(line)["in_sync"]
        n = knocker.n_answered
        wait_for("some connections by the other mode", lambda: knocker.n_answered > n + 2)
    driver.tell("remove t/left 4")
    driver.stop()
    clean()
    assert knocker.n_refused == 0


def test_a_packet_that_a_service_overtakes_is_not_refused(network: None) -> None:
    """It has looked for its way in vain, and meets the guard that was made together with the way."""
    driver = Driver("node1", "nftables")
    driver.tell(f"service t/late 4 cluster-ip=10.96.0.73 vip={VIP} port=tcp/80 {A}")
    driver.stop()
    long_way("outside", "@guarded")
    table = netns.output(ns("node1"), ["nft", "list", "table", "ip", "fairlead"])
    elements = []
    for name in ("ways", "guarded"):
        found = re.search(rf" {name} {{[^}}]*elements = ({{[^}}]*}})", table)
        assert found, table
        elements.append(f"element ip fairlead {name} {found[1]}")
    with Knocker("client", VIP, 80, patience_s=0.02) as knocker:
        for _ in range(20):
            nft(ns("node1"), "\n".join(f"delete {one}" for one in elements))
            n = knocker.n_lost
            wait_for("some attempts", lambda n=n: knocker.n_lost > n + 1)
            nft(ns("node1"), "\n".join(f"add {one}" for one in elements))
            n = knocker.n_answered
            wait_for("some connections", lambda n=n: knocker.n_answered > n)
    clean()
    assert knocker.n_refused == 0


def test_a_packet_whose_endpoint_has_just_gone_leaves_untranslated_nowhere(network: None) -> None:
    """It would be remembered as it left, and the client would send it again and again in vain."""
    driver = Driver("node1", "nftables")
    driver.tell(f"service t/drawn 4 cluster-ip=10.96.0.74 vip={VIP} port=tcp/80 {BOTH}")
    driver.pause()
    try:
        nft(ns("node1"), "flush map ip fairlead endpoints")
        with netns.entered(ns("client")):
            client = socket.socket()
        client.setblocking(False)
        client.connect_ex((VIP, 80))
        time.sleep(0.3)
    finally:
        driver.resume()
    with client:
        client.settimeout(0)
        wait_for("the packet that is sent again", lambda: client.connect_ex((VIP, 80)) in (0, errno.EISCONN))
    driver.tell("remove t/drawn 4")
    driver.stop()
    clean()
