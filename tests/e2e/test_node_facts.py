# SPDX-License-Identifier: Apache-2.0
"""What the rules have to know of a node: its Pods by the Node's CIDRs, node ports at its primary address and at
127.0.0.1; and that they follow when the Node changes, without a gap."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import MakeService
from test_health import probe

from lab import netns, web
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

SPEAKER_FLAGS = (
    "--detect-local-mode",
    "node-cidr",
    "--nodeport-addresses",
    "primary",
    "--localhost-nodeports",
)
OTHER = "192.168.1.211"  # a second address of node1


def pods_in_rules(lab: Lab) -> list[str]:
    return re.findall(r"^-A FL-NODE -s (\S+) .*-j RETURN$", "\n".join(lab.iptables("node1", "nat")), re.MULTILINE)


@contextlib.contextmanager
def asked(lab: Lab, *places: tuple[str, int]) -> Iterator[list[str]]:
    """Asks there on and on from the client, each time with a new connection; yields what did not answer."""
    failures: list[str] = []
    done = threading.Event()

    def ask(host: str, port: int) -> None:
        while not done.is_set():
            try:
                web.get(lab.client, host, port)
            except LabError as error:
                failures.append(f"{host}:{port}: {error}")

    threads = [threading.Thread(target=ask, args=place) for place in places]
    for t in threads:
        t.start()
    try:
        yield failures
    finally:
        done.set()
        for t in threads:
            t.join()


def answers(lab: Lab, namespace: str, host: str, port: int) -> bool:
    try:
        return web.get(namespace, host, port).status == 200
    except web.Unreachable as error:
        raise LabError(f"{error}") from error


def refuses(lab: Lab, namespace: str, host: str, port: int) -> bool:
    try:
        web.get(namespace, host, port)
    except web.Unreachable as error:
        return error.kind == "refused"
    raise LabError(f"{host}:{port} answers")


def vip(lab: Lab, name: str) -> str:
    def ingress() -> Any:
        status = lab.api.get("Service", name).get("status") or {}
        given = status.get("loadBalancer", {}).get("ingress")
        return given and given[0]["ip"]

    return str(wait_for(f"the address of {name}", ingress))


@pytest.mark.embedded  # Kubernetes lets nobody change a Node's Pod CIDRs
def test_pod_cidrs_of_the_node_are_followed(lab: Lab, make_service: MakeService) -> None:
    service = make_service("followed")
    port, pods = service["spec"]["ports"][0]["nodePort"], lab.host("node1").pod_cidr
    address = vip(lab, "followed")
    wait_for("the Service", lambda: answers(lab, lab.client, address, 80))
    wait_for("its node port", lambda: answers(lab, lab.client, lab.host("node1").address, port))
    assert lab.daemon("node1")["proxy"]["node"]["pod_cidrs"] == [pods]
    assert pods_in_rules(lab) == [pods]
    with asked(lab, (address, 80), (lab.host("node1").address, port)) as failures:
        for cidrs in (["10.99.0.0/24"], ["10.99.0.0/24", "fd00:99::/64"], [pods]):
            lab.api.patch("Node", "node1", {"spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}}, "")

            def followed(cidrs: list[str] = cidrs) -> bool:
                proxy = lab.daemon("node1")["proxy"]
                told = proxy["node"]["pod_cidrs"] == cidrs and proxy["in_sync"]
                return bool(told and pods_in_rules(lab) == cidrs[:1])

            wait_for(f"the rules to name {cidrs}", followed)
    assert failures == []


@pytest.fixture
def second_address(lab: Lab) -> Iterator[None]:
    node = lab.host("node1")
    netns.configure(node.namespace, [f"addr add {OTHER}/24 dev eth0"])
    yield
    set_address(lab, node.address)
    netns.configure(node.namespace, [f"addr del {OTHER}/24 dev eth0"])


def set_address(lab: Lab, address: str) -> None:
    addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": "node1"}]
    lab.api.patch("Node", "node1", {"status": {"addresses": addresses}}, "", "status")


@pytest.mark.embedded  # with Kubernetes a list of addresses is merged
def test_primary_addresses_are_followed(lab: Lab, make_service: MakeService, second_address: None) -> None:
    """By node ports and by health-check node ports."""
    spec = make_service("primary", externalTrafficPolicy="Local")["spec"]
    port, health = spec["ports"][0]["nodePort"], spec["healthCheckNodePort"]
    first = lab.host("node1").address
    address = vip(lab, "primary")
    wait_for("endpoints", lambda: len(lab.ready_endpoints("primary")) == 3)
    wait_for("the Service", lambda: answers(lab, lab.client, address, 80))
    for here, elsewhere in ((first, OTHER), (OTHER, first)):
        with asked(lab, (address, 80)) as failures:
            set_address(lab, here)
            wait_for(f"node ports at {here}", lambda h=here: answers(lab, lab.client, h, port))
            wait_for(f"none at {elsewhere}", lambda e=elsewhere: refuses(lab, lab.client, e, port))
            wait_for(f"health checks at {here}", lambda h=here: probe(lab, "node1", health, host=h).status == 200)
            assert lab.daemon("node1")["health"]["addresses"] == [here]
            with pytest.raises(LabError, match="Refused"):
                probe(lab, "node1", health, host=elsewhere)
        assert failures == []
        with netns.entered(lab.host("node1").namespace):
            socket.create_server((elsewhere, health)).close()


def test_node_ports_at_localhost(lab: Lab, make_service: MakeService) -> None:
    port = make_service("local-host")["spec"]["ports"][0]["nodePort"]
    namespace = lab.host("node3").namespace
    wait_for("the node port", lambda: answers(lab, namespace, "127.0.0.1", port))
    node = lab.daemon("node3")["proxy"]["node"]
    assert (node["localhost_node_ports"], node["localhost_error"]) == (True, None)
    # Without the flag the sysctl is taken back.
    speaker = lab.processes.pop("speaker-node3")
    argv = speaker.argv
    assert speaker.stop() == 0
    lab.start("speaker-node3", [a for a in argv if a != "--localhost-nodeports"], namespace)
    wait_for("the speaker to be ready", lambda: lab.daemon("node3", "/readyz"))
    assert netns.output(namespace, ["cat", "/proc/sys/net/ipv4/conf/all/route_localnet"]) == "0\n"
    assert refuses(lab, namespace, "127.0.0.1", port)
    assert lab.speaker("node3").stop() == 0
    lab.processes.pop("speaker-node3")
    lab.start("speaker-node3", argv, namespace)
    wait_for("the node port again", lambda: answers(lab, namespace, "127.0.0.1", port))
