# SPDX-License-Identifier: Apache-2.0
"""The guard: an address of ours has no other ports, and a machine's keeps its own, whoever writes it into a Service."""

import pytest
from conftest import NODES, MakeService
from test_service import refused, wait_http

from lab import net, netns, web
from lab.cluster import SPEAKER_PORT, Lab
from lab.waiting import wait_for

# The control plane has .10, the nodes .11 to .13, the client .100: all in the pool.
CONFIG = """\
address-pools:
- name: lan
  protocol: layer2
  addresses: [192.168.1.10-192.168.1.120]
external-ips:
  allow: [192.168.1.0/24]
  namespaces: [default]
"""
OUTSIDE = CONFIG.replace("192.168.1.10-192.168.1.120", "192.168.1.240-192.168.1.250")
API_SERVER, NODE2, CLIENT, OURS = net.CONTROL_PLANE, "192.168.1.12", net.CLIENT, "192.168.1.80"


def configure(lab: Lab, config: str) -> None:
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": config}}, "fairlead-system")


def others_status(lab: Lab, make_service: MakeService, name: str, address: str) -> None:
    """A Service of another controller's, which writes this address into its status."""
    make_service(name, loadBalancerClass="example.com/other")
    lab.api.patch("Service", name, {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}, subresource="status")


def carried(lab: Lab, address: str) -> None:
    """Every node forwards the address's port 80."""
    for node in NODES:
        wait_for(
            f"{node} to forward {address}",
            lambda n=node: any(f"-d {address}/32 " in line for line in lab.iptables(n, "nat")),
        )


def guards(lab: Lab, address: str) -> list[str]:
    """The nodes that close its other ports."""
    wanted = f"-d {address}/32 "
    return [
        node
        for node in NODES
        if any(wanted in line and "--dport" not in line and "REJECT" in line for line in lab.iptables(node, "filter"))
    ]


@pytest.mark.parametrize("config", [CONFIG, OUTSIDE], ids=["in-a-pool", "outside"])
@pytest.mark.parametrize("how", ["status", "by-hand"])
def test_machines_keep_their_ports(lab: Lab, make_service: MakeService, config: str, how: str) -> None:
    configure(lab, config)
    for name, address in (("cp", API_SERVER), ("node", NODE2)):
        if how == "status":
            others_status(lab, make_service, name, address)
        else:
            make_service(name, type="ClusterIP", externalIPs=[address])
        carried(lab, address)
        assert guards(lab, address) == []
    for node in NODES:
        web.get(lab.host(node).namespace, API_SERVER, net.API_PORT, "/healthz")
        web.get(lab.host(node).namespace, NODE2, SPEAKER_PORT, "/healthz")
    # The Service's own port goes to the Service, as kube-proxy has it.
    assert lab.get_from("node1", NODE2).status == 200
    lab.wait_reason("node1", "node", NODE2, "NodeAddress" if how == "by-hand" else "OtherClass")


def test_a_machine_that_nobody_names_keeps_its_ports_outside_the_pools(lab: Lab, make_service: MakeService) -> None:
    configure(lab, OUTSIDE)
    make_service("squat", type="ClusterIP", externalIPs=[CLIENT])
    carried(lab, CLIENT)
    wait_for(
        "a node to find the client there",
        lambda: any(lab.announcement(n, "squat", CLIENT)["reason"] == "AddressInUse" for n in NODES),
    )
    assert guards(lab, CLIENT) == []
    # One that no machine answers for gets its guard with its owner.
    make_service("mine", type="ClusterIP", externalIPs=[OURS])
    lab.wait_owner(OURS)
    wait_http(lab, OURS)
    wait_for("the guard on every node", lambda: guards(lab, OURS) == list(NODES))
    assert refused(lambda: lab.get(OURS, 81)) == "refused"


def test_more_gateways_than_are_read_are_told(lab: Lab) -> None:
    host = lab.host("node1")
    device = netns.output(host.namespace, ["ip", "-4", "-o", "route", "get", net.CLIENT]).split(" dev ")[1].split()[0]
    routes = [f"10.91.{i}.0/24 via 192.168.1.{130 + i} dev {device}" for i in range(70)]
    assert not [line for line in lab.speaker("node1").log_lines() if "more routes or gateways" in line]
    netns.configure(host.namespace, [f"route add {r}" for r in routes])
    try:
        wait_for(
            "node1 to say so",
            lambda: any("more routes or gateways" in line for line in lab.speaker("node1").log_lines()),
            60,
        )
    finally:
        netns.configure(host.namespace, [f"route del {r}" for r in routes])


def test_an_address_of_a_pool_has_no_other_ports(lab: Lab, make_service: MakeService) -> None:
    configure(lab, OUTSIDE)
    make_service("web")
    address = lab.wait_address("web")
    lab.wait_owner(address)
    wait_http(lab, address)
    assert guards(lab, address) == list(NODES)
    assert refused(lambda: lab.get(address, 81)) == "refused"
