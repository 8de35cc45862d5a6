# SPDX-License-Identifier: Apache-2.0
"""Names on a cluster with both families: the cluster's DNS answers in those that a Service has, and each answer leads
there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from test_names import OUTSIDE_NAME, OUTSIDE_PORT, Asker, external_name, full, internal

from lab.nameserver import NameServer
from lab.waiting import wait_for
from podlab import dual
from podlab.cluster import Cluster
from podlab.installation import Installation

pytestmark = [pytest.mark.dual_stack, pytest.mark.data_plane]
KINDS = {"IPv4": ("A", "4"), "IPv6": ("AAAA", "6")}


@pytest.fixture(scope="module")
def asker(cluster: Cluster) -> Iterator[Asker]:
    yield Asker(cluster)
    cluster.kubectl("delete", "pod", "asker", "--now")


@pytest.fixture(scope="session")
def outside(cluster: Cluster) -> dict[str, str]:
    """What is no part of the cluster: a name, and who answers by it; its address of each family."""
    host = cluster.network.control_plane
    addresses = {"IPv4": host.address, "IPv6": dual.address(host)}
    server = NameServer(cluster.network, cluster.dir / "named", cluster.start_process)
    server.start({"example.org": "".join(f"www {KINDS[f][0]} {a}\n" for f, a in addresses.items())})
    argv = ["env", "WHOAMI_NAME=outside", f"WHOAMI_PORT_NUMBER={OUTSIDE_PORT}"]
    echo = [*argv, str(cluster.build / "tests/lab/fairlead-echo")]
    cluster.start_process("outside", echo, host.namespace)
    return addresses


def pod_addresses(pod: dict[str, Any]) -> list[str]:
    """That of IPv4, and that of IPv6."""
    return [a["ip"] for a in pod["status"]["podIPs"]]


def pod_name(address: str) -> str:
    """What CoreDNS calls a Pod that has no host name."""
    return re.sub(r"[.:]", "-", address)


@pytest.mark.parametrize(
    "families", [["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]], ids=lambda families: "-".join(families)
)
def test_a_name_has_the_families_of_its_service(
    cluster: Cluster, installation: Installation, asker: Asker, families: list[str]
) -> None:
    policy = "SingleStack" if len(families) == 1 else "RequireDualStack"
    installation.apply(internal("both", ipFamilies=families, ipFamilyPolicy=policy))
    try:
        addresses = dict(zip(families, cluster.get("service", "both")["spec"]["clusterIPs"], strict=True))
        for family, (kind, number) in KINDS.items():
            wanted = [addresses[family]] if family in addresses else []
            wait_for(f"its {kind}", lambda k=kind, w=wanted: asker.dig(full("both"), k) == w, 60)
            if not wanted:
                continue
            assert asker.dig("+tcp", "-x", wanted[0]) == [f"{full('both')}."]
            reply = wait_for(f"an answer by {family}", lambda n=number: asker.get("both", OUTSIDE_PORT, n), 60)
            assert reply.pod.startswith("web-")
    finally:
        cluster.kubectl("delete", "service", "both")


def test_a_headless_service(cluster: Cluster, installation: Installation, asker: Asker) -> None:
    installation.apply(internal("peers", clusterIP="None", ipFamilyPolicy="RequireDualStack"))
    try:
        pods = cluster.get("pods", "--selector", "app=web")["items"]
        fours, sixes = (sorted(a) for a in zip(*map(pod_addresses, pods), strict=True))
        wait_for("the Pods' addresses", lambda: asker.dig(full("peers")) == fours, 60)
        wait_for("those of IPv6", lambda: asker.dig(full("peers"), "AAAA") == sixes, 60)
        served = asker.dig(f"_http._tcp.{full('peers')}", "SRV")
        wanted = [["8080", f"{pod_name(a)}.{full('peers')}."] for a in fours + sixes]
        assert sorted(s.split()[2:] for s in served) == sorted(wanted)
        for pod in pods:
            for address in pod_addresses(pod):
                assert asker.get(f"{pod_name(address)}.peers", 8080).pod == pod["metadata"]["name"]
    finally:
        cluster.kubectl("delete", "service", "peers")


def test_an_external_name(
    cluster: Cluster, installation: Installation, asker: Asker, outside: dict[str, str]
) -> None:
    installation.apply(external_name("partner"))
    try:
        sources = dict(zip(KINDS, pod_addresses(cluster.get("pod", "asker")), strict=True))
        for family, (kind, number) in KINDS.items():
            wanted = sorted([f"{OUTSIDE_NAME}.", outside[family]])
            wait_for(f"its {kind}", lambda k=kind, w=wanted: asker.dig(full("partner"), k) == w, 60)
            reply = asker.get("partner", OUTSIDE_PORT, number)
            assert (reply.name, reply.peer.strip("[]")) == ("outside", sources[family])
    finally:
        cluster.kubectl("delete", "service", "partner")
