# SPDX-License-Identifier: Apache-2.0
"""Names: the cluster's DNS by way of its Service, whoever carries that, and Services that are nothing but names."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_install import Desk

from docs.commands import blocks, given_to
from lab import arp, netns
from lab.nameserver import NameServer
from lab.waiting import wait_for
from lab.web import Reply
from podlab import dns
from podlab.cluster import Cluster
from podlab.images import CLIENT
from podlab.installation import Installation, service

HERE = "tests/e2e-cluster/test_names.py"
OUTSIDE_NAME, OUTSIDE_PORT = "www.example.org", 8080


class Asker:
    """A Pod with curl and dig in it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.kubectl("run", "asker", "--image", CLIENT, "--image-pull-policy", "Never")
        cluster.kubectl("wait", "--for=condition=Ready", "pod/asker", "--timeout", "120s")
        self.address: str = cluster.get("pod", "asker")["status"]["podIP"]

    def _run(self, *words: str) -> str:
        return self._cluster.kubectl("exec", "asker", "--", *words)

    def dig(self, *words: str) -> list[str]:
        """The data of the records with which the cluster's DNS answers, sorted."""
        return sorted(self._run("/dig", "+short", *words).splitlines())

    def get(self, host: str, port: int = 80, family: str = "") -> Reply:
        """@family: "4" or "6", that of the address to which the name shall lead."""
        flags = ("--silent", "--show-error", "--max-time", "5", *([f"-{family}"] if family else []))
        return Reply(200, self._run("/curl", *flags, f"http://{host}:{port}/"))


@pytest.fixture(scope="module")
def asker(cluster: Cluster) -> Iterator[Asker]:
    yield Asker(cluster)
    cluster.kubectl("delete", "pod", "asker", "--now")


@pytest.fixture(scope="session")
def outside(cluster: Cluster) -> str:
    """What is no part of the cluster: a name, and who answers by it; its address."""
    server = NameServer(cluster.network, cluster.dir / "named", cluster.start_process)
    server.start({"example.org": f"www A {server.address}\n"})
    argv = ["env", "WHOAMI_NAME=outside", f"WHOAMI_PORT_NUMBER={OUTSIDE_PORT}"]
    echo = [*argv, str(cluster.build / "tests/lab/fairlead-echo")]
    cluster.start_process("outside", echo, cluster.network.control_plane.namespace)
    return server.address


def full(name: str) -> str:
    return f"{name}.default.svc.{dns.DOMAIN}"


def external_name(name: str, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "labels": {"test": "cluster"}, "annotations": annotations},
        "spec": {"type": "ExternalName", "externalName": OUTSIDE_NAME},
    }


def internal(name: str, **more: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": OUTSIDE_PORT, "targetPort": "http"}]
    spec = {"type": "ClusterIP", "selector": {"app": "web"}, "ports": ports, **more}
    return external_name(name) | {"spec": spec}


@pytest.fixture
def partner(cluster: Cluster, installation: Installation) -> Iterator[str]:
    """A Service of type ExternalName."""
    installation.apply(external_name("partner"))
    yield "partner"
    cluster.kubectl("delete", "service", "partner")


def _carry(cluster: Cluster, address: str) -> bool:
    """Whether any node has a rule about an address, or an address and a port."""
    show = (["iptables-save", "-t", "nat"], ["nft", "list", "ruleset"])
    rules = "".join(netns.output(n.namespace, argv) for n in cluster.network.nodes for argv in show)
    words = re.escape(address).replace(":", r"(:| \. )")
    return bool(re.search(rf"(?<![\d.]){words}(?!\d|\.\d)", rules))


@pytest.mark.data_plane
def test_a_pod_finds_a_service_by_its_name(cluster: Cluster, installation: Installation, asker: Asker) -> None:
    address = cluster.get("service", "lan-cluster")["spec"]["clusterIP"]
    wait_for("its cluster IP", lambda: asker.dig(full("lan-cluster")) == [address], 60)
    assert asker.dig("+tcp", "-x", address) == [f"{full('lan-cluster')}."]
    assert asker.get("lan-cluster").pod.startswith("web-")


@pytest.mark.data_plane
def test_an_external_name(
    cluster: Cluster, installation: Installation, asker: Asker, outside: str, partner: str
) -> None:
    """A name for a name: whoever asks by it goes there himself, and nothing of the cluster stands in between."""
    wait_for("the CNAME", lambda: asker.dig(full(partner)) == sorted([f"{OUTSIDE_NAME}.", outside]), 60)
    reply = asker.get(partner, OUTSIDE_PORT)
    assert (reply.name, reply.peer) == ("outside", asker.address)
    made = cluster.get("service", partner)
    assert "clusterIP" not in made["spec"]
    assert made["status"] == {"loadBalancer": {}}
    slices = cluster.get("endpointslices", "--selector", f"kubernetes.io/service-name={partner}")
    assert slices["items"] == []
    assert not _carry(cluster, f"{outside}:{OUTSIDE_PORT}")


@pytest.mark.data_plane
def test_clients_follow_what_takes_the_place_of_an_external_name(
    cluster: Cluster, installation: Installation, asker: Asker, outside: str, partner: str
) -> None:
    """The same name leads outside, then to Pods, then outside again, and clients are told nothing of it."""

    def leads_outside() -> bool:
        return asker.get(partner, OUTSIDE_PORT).name == "outside"

    wait_for("the outside's answer", leads_outside, 60)
    installation.apply(internal(partner))
    wait_for("a Pod's answer", lambda: asker.get(partner, OUTSIDE_PORT).pod.startswith("web-"), 60)
    cluster_ip = cluster.get("service", partner)["spec"]["clusterIP"]
    assert asker.dig(full(partner)) == [cluster_ip]
    installation.apply(external_name(partner))
    wait_for("the outside's answer again", leads_outside, 60)
    wait_for("the rules to go", lambda: not _carry(cluster, cluster_ip), 60)


@pytest.mark.data_plane
def test_a_headless_service(cluster: Cluster, installation: Installation, asker: Asker) -> None:
    """Its name is that of each ready Pod; nothing carries it."""
    installation.apply(internal("peers", clusterIP="None"))
    try:
        pods = cluster.get("pods", "--selector", "app=web")["items"]
        addresses = sorted(p["status"]["podIP"] for p in pods)
        wait_for("the Pods' addresses", lambda: asker.dig(full("peers")) == addresses, 60)
        names = [f"{a.replace('.', '-')}.{full('peers')}" for a in addresses]
        served = asker.dig(f"_http._tcp.{full('peers')}", "SRV")
        assert [s.split()[2:] for s in served] == [["8080", f"{name}."] for name in sorted(names)]
        for pod in pods:
            name = f"{pod['status']['podIP'].replace('.', '-')}.peers"
            assert asker.get(name, 8080).pod == pod["metadata"]["name"]
        assert cluster.get("service", "peers")["status"] == {"loadBalancer": {}}
    finally:
        cluster.kubectl("delete", "service", "peers")


def test_a_load_balancer_becomes_a_name(
    cluster: Cluster, installation: Installation, asker: Asker, outside: str
) -> None:
    """It gives its address back, and has it again, or another one, once it is a load balancer again."""
    client = cluster.network.client
    made = service("moving", "web", "lan", "Cluster")

    def answered(address: str) -> bool:
        return bool(arp.ask(client.namespace, client.mac, client.address, address))

    installation.apply(made)
    try:
        address = installation.address("moving")
        wait_for("an answer for its address", lambda: answered(address), 30)
        installation.apply(external_name("moving"))
        wait_for("silence", lambda: not answered(address), 30)
        assert cluster.get("service", "moving")["status"].get("loadBalancer") == {}
        wait_for("the CNAME", lambda: outside in asker.dig(full("moving")), 60)
        installation.apply(made)
        again = installation.address("moving")
        wait_for("an answer for it again", lambda: answered(again), 30)
    finally:
        cluster.kubectl("delete", "service", "moving")


def test_an_external_name_gets_no_address(cluster: Cluster, installation: Installation) -> None:
    """Even where it asks for one; `fairlead explain` says why."""
    installation.apply(external_name("asking", **{"fairlead.io/address-pool": "lan"}))
    try:
        argv = [str(cluster.build / "src/cli/fairlead"), "explain", "asking", "--kubeconfig", str(cluster.kubeconfig)]

        def said() -> str:
            return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

        why = "the Service is not of type LoadBalancer: it is ExternalName"
        wait_for("why there is none", lambda: why in said(), 30, 0.5)
        installation.apply(service("later", "web", "lan", "Cluster"))
        installation.address("later")  # so the other one was looked at before
        assert cluster.get("service", "asking")["status"] == {"loadBalancer": {}}
    finally:
        cluster.kubectl("delete", "service", "asking", "later", "--ignore-not-found")


@pytest.fixture
def corefile(cluster: Cluster) -> Iterator[str]:
    """That of kubeadm, which is there again afterwards; CoreDNS sees it by itself."""
    found: str = cluster.get("configmap", "coredns", "--namespace", "kube-system")["data"]["Corefile"]
    yield found
    _write_corefile(cluster, found)
    cluster.kubectl("delete", "service", "dns", "--namespace", "kube-system", "--ignore-not-found")


def _write_corefile(cluster: Cluster, text: str) -> None:
    patch = json.dumps({"data": {"Corefile": text}})
    cluster.kubectl("patch", "configmap", "coredns", "--namespace", "kube-system", "--type=merge", "--patch", patch)


def test_load_balancers_have_names(
    cluster: Cluster, installation: Installation, corefile: str, tmp_path: Path
) -> None:
    """By CoreDNS itself, for whoever asks it from outside; done as docs/dns.md says."""
    (shown,) = [lines for _, language, lines in blocks("docs/dns.md") if language == "text" and "ttl 30" in str(lines)]
    assert " ".join(" ".join(shown[:-1]).split()) in " ".join(corefile.split()), "kubeadm's Corefile is another one"
    changed = re.sub(r"( kubernetes [^}]*\}\n)", lambda m: f"{m[1]}{shown[-1]}\n", corefile)
    _write_corefile(cluster, changed)
    desk = Desk(cluster, tmp_path)
    restart, serve, _ = given_to(f"{HERE}::test_load_balancers_have_names")
    desk.run(restart)
    cluster.kubectl("rollout", "status", "deployment", "coredns", "--namespace", "kube-system", "--timeout", "300s")
    desk.run(serve)
    zone = shown[-1].split()[1]

    def ask(name: str) -> list[str]:
        return netns.dig(cluster.network.client.namespace, "192.168.1.250", f"{name}.default.{zone}")

    for name in ("lan-cluster", "routed-local"):
        address = installation.address(name)
        wait_for(f"the address of {name}", lambda n=name, a=address: ask(n) == [a], 60, 0.5)
    assert ask("kubernetes") == []
