# SPDX-License-Identifier: Apache-2.0
"""From kube-proxy to the speakers and back, as docs/dataplane.md has it: while a client goes on asking."""

import threading
from collections.abc import Iterator

import pytest
from conftest import NODES, PODS, open_lab, our_rules

from lab import kubernetes, netns, web
from lab.cluster import Lab
from lab.net import POD_NETWORK
from lab.waiting import wait_for

pytestmark = pytest.mark.kubernetes

MODES = ("iptables", "nftables")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """kube-proxy on each node, and speakers in mode none."""
    with open_lab() as opened:
        opened.start_cluster()
        opened.apply("fairlead.yaml")
        opened.apply("webapp.yaml")
        opened.start_controller("a")
        for node in NODES:
            start_kube_proxy(opened, node)
            opened.start_speaker(node, "--proxy-mode", "none")
        wait_for("the Pods to be ready", lambda: all(opened.pod_ready(p) for p in PODS))
        opened.apply("frontend.yaml")
        yield opened
        opened.stop_daemons()


def kube_proxy(lab: Lab, node: str, *flags: str) -> list[str]:
    return [
        kubernetes.program("kube-proxy"),
        f"--kubeconfig={lab.kubeconfig}",
        f"--hostname-override={node}",
        f"--cluster-cidr={POD_NETWORK}",
        # These are the machine's, not the namespace's.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        *flags,
    ]


def start_kube_proxy(lab: Lab, node: str) -> None:
    lab.start(f"kube-proxy-{node}", kube_proxy(lab, node), lab.host(node).namespace)


def clean_up_kube_proxy(lab: Lab, node: str) -> None:
    netns.output(lab.host(node).namespace, kube_proxy(lab, node, "--cleanup"))


def restart_speaker(lab: Lab, node: str, mode: str) -> None:
    lab.speaker(node).stop()
    lab.start_speaker(node, "--proxy-mode", mode)
    wait_for(f"{node}'s speaker to be ready", lambda: lab.daemon(node, "/readyz"))


def has_kube_proxys(lab: Lab, node: str, cluster_ip: str) -> bool:
    return any(cluster_ip in line and "KUBE-SVC" in line for line in lab.iptables(node, "nat"))


class Asker:
    """Asks for one page after another, and remembers what went wrong."""

    def __init__(self, lab: Lab, address: str) -> None:
        self._lab, self._address = lab, address
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.n = 0
        self.failures: list[str] = []

    def _run(self) -> None:
        while not self._over.wait(0.02):
            try:
                web.get(self._lab.client, self._address, 80, "/", 5.0)
                self.n += 1
            except OSError as error:
                self.failures.append(str(error))

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("mode", MODES)
def test_there_and_back_without_a_gap(mode: str, lab: Lab) -> None:
    address = lab.wait_address("frontend")
    cluster_ip = lab.api.get("Service", "frontend")["spec"]["clusterIP"]
    for node in NODES:
        wait_for(f"kube-proxy's rules on {node}", lambda n=node: has_kube_proxys(lab, n, cluster_ip), 30)
    lab.wait_owner(address)
    with Asker(lab, address) as asker:
        wait_for("the first answers", lambda: asker.n > 10)
        for node in NODES:
            restart_speaker(lab, node, mode)
        for node in NODES:
            lab.processes[f"kube-proxy-{node}"].stop()
            clean_up_kube_proxy(lab, node)
            assert not has_kube_proxys(lab, node, cluster_ip)
            metrics = lab.daemon(node, "/metrics")
            assert "fairlead_proxy_batch_duration_seconds_count " in metrics
            assert "fairlead_proxy_batch_duration_seconds_count 0\n" not in metrics
        before = asker.n
        wait_for("answers without kube-proxy", lambda: asker.n > before + 50)
        for node in NODES:
            start_kube_proxy(lab, node)
            wait_for(f"kube-proxy's rules on {node}", lambda n=node: has_kube_proxys(lab, n, cluster_ip), 30)
        for node in NODES:
            restart_speaker(lab, node, "none")
            assert our_rules(lab, node) == []
        before = asker.n
        wait_for("answers without our rules", lambda: asker.n > before + 50)
    assert asker.failures == []
