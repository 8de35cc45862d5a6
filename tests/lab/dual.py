# SPDX-License-Identifier: Apache-2.0
"""IPv6 for a lab that has begun with IPv4: addresses on the LAN and for Pods, and the slices of their endpoints.

A host has fd00:1:: and the last number of its IPv4 address, a Pod fd00:244:: and the last two, all read as they stand.
"""

import itertools

from . import ndp, net, netns, slices
from .arp import Answer
from .cluster import Lab
from .waiting import WAIT_SECONDS, LabError, wait_for

LAN = "fd00:1::"
POD_NETWORK = "fd00:244::/32"
ROUTER = f"{LAN}1"

questions = itertools.count(1)


def of_host(host: net.Host) -> str:
    return LAN + host.address.rsplit(".", 1)[1]


def of_pod(address: str) -> str:
    node, number = address.split(".")[2:]
    return f"fd00:244:{node}::{number}"


def add_lan(lab: Lab) -> None:
    """Every host gets an address and the routes to the other nodes' Pods."""
    netns.configure(lab.network.lan, [f"addr add {ROUTER}/64 dev br0 nodad"])
    for host in lab.network.hosts:
        others = [n for n in lab.network.nodes if host.pod_prefix and n.name != host.name]
        routes = [f"route add fd00:244:{n.pod_prefix.split('.')[2]}::/48 via {of_host(n)}" for n in others]
        netns.configure(host.namespace, [f"addr add {of_host(host)}/64 dev eth0 nodad", *routes])


def add_pod(lab: Lab, name: str) -> str:
    """A Pod that runs gets an address beside its own."""
    pod = lab.api.get("Pod", name)
    node, address = lab.host(pod["spec"]["nodeName"]), pod["status"]["podIP"]
    link = "pod" + address.replace(".", "-")[len("10-244-") :]
    own, gateway = of_pod(address), of_pod(f"{node.pod_prefix}.1")
    netns.configure(
        node.namespace,
        [f"addr add {gateway}/128 dev {link} nodad", f"route add {own}/128 dev {link}"],
    )
    netns.configure(
        f"{lab.network.prefix}pod-{name}",
        [
            f"addr add {own}/128 dev eth0 nodad",
            f"route add {gateway}/128 dev eth0",
            f"route add default via {gateway}",
        ],
    )
    return own


def endpoints(lab: Lab, service: str, pods: list[str], port: int) -> None:
    """Makes the Service's EndpointSlice for IPv6, by hand: the lab keeps those for IPv4."""
    found = []
    for pod in (lab.api.get("Pod", name) for name in pods):
        found.append(
            {
                "addresses": [of_pod(pod["status"]["podIP"])],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": pod["spec"]["nodeName"],
            }
        )
    lab.api.apply(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": "default",
                "name": f"{service}-ipv6",
                "labels": {slices.LABEL_SERVICE: service, slices.LABEL_MANAGER: "by-hand"},
            },
            "addressType": "IPv6",
            "endpoints": found,
            "ports": [{"name": "http", "protocol": "TCP", "port": port}],
        }
    )


def answers(lab: Lab, address: str, seconds: float = 0.3) -> list[Answer]:
    """The client asks once who has an IPv6 address, as a host that only asks this; every answer within that time."""
    client = lab.network.client
    source = f"{LAN}1:{next(questions):x}"
    return ndp.ask(client.namespace, client.mac, source, address, seconds)


def owners(lab: Lab, address: str) -> list[str]:
    """The nodes that answer for it."""
    return [lab.network.host_of_mac(a.mac) for a in answers(lab, address)]


def only_owner(lab: Lab, address: str) -> str:
    """Waits for an answer, and returns whose it is; that there are two to one question is not waited out."""
    found = wait_for(f"an answer for {address}", lambda: answers(lab, address))
    assert len(found) == 1, f"{len(found)} answers for {address}: {found}"
    return lab.network.host_of_mac(found[0].mac)


def wait_owner(lab: Lab, address: str, seconds: float = WAIT_SECONDS, among: list[str] | None = None) -> str:
    """Waits until exactly one node answers for the address (one of `among`), and returns its name."""

    def one_owner() -> str:
        found = owners(lab, address)
        if len(found) != 1 or (among and found[0] not in among):
            raise LabError(f"answers from {found}")
        return found[0]

    return wait_for(f"one answer for {address}", one_owner, seconds)
