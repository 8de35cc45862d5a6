# SPDX-License-Identifier: Apache-2.0
"""Several Services on one address, in layer 2."""

from typing import Any

from conftest import NODES, MakeService, condition, wait_condition

from lab import web
from lab.cluster import Lab
from lab.waiting import wait_for

KEY = {"fairlead.io/allow-shared-ip": "dns"}
FOREIGN_KEY = {"metallb.universe.tf/allow-shared-ip": "dns"}


def ports(*wanted: tuple[str, int]) -> list[dict[str, Any]]:
    return [
        {"name": f"{protocol.lower()}-{port}", "protocol": protocol, "port": port, "targetPort": 8080}
        for protocol, port in wanted
    ]


def wait_tcp(lab: Lab, address: str, port: int) -> web.Reply:
    return wait_for(f"TCP from {address}:{port}", lambda: lab.get(address, port, timeout=1))


def wait_udp(lab: Lab, address: str, port: int) -> web.Reply:
    return wait_for(f"UDP from {address}:{port}", lambda: web.udp(lab.client, address, port, 1))


def wait_refused(lab: Lab, address: str, port: int) -> None:
    def is_refused() -> bool:
        try:
            lab.get(address, port, timeout=1)
        except web.Unreachable as error:
            return error.kind == "refused"
        return False

    wait_for(f"{address}:{port} to refuse", is_refused)


def listed(lab: Lab, service: str) -> list[dict[str, Any]]:
    ingress = lab.api.get("Service", service)["status"]["loadBalancer"]["ingress"]
    return [p for entry in ingress for p in entry.get("ports", [])]


def test_dns_over_udp_and_tcp(lab: Lab, make_service: MakeService) -> None:
    make_service("dns-udp", KEY, ports=ports(("UDP", 53)))
    address = lab.wait_address("dns-udp")
    owner = lab.wait_owner(address)
    make_service("dns-tcp", FOREIGN_KEY, ports=ports(("TCP", 53)))
    assert lab.wait_address("dns-tcp") == address
    assert "default/dns-udp has it, too" in condition(lab, "dns-tcp")["message"]
    assert listed(lab, "dns-tcp") == [{"port": 53, "protocol": "TCP"}]
    assert lab.wait_owner(address) == owner
    for node in NODES:
        for service in ("dns-udp", "dns-tcp"):
            lab.wait_reason(node, service, address, "Announced" if node == owner else "NotOwner")
    wait_udp(lab, address, 53)
    wait_tcp(lab, address, 53)
    wait_refused(lab, address, 54)

    # The older one goes, and no other node has the address even for a moment.
    with lab.arp_watcher(address) as watcher:
        lab.api.delete("Service", "dns-udp")
        wait_for("nobody else to be the Service", lambda: not lab.announcement(owner, "dns-udp", address))
        for _ in range(10):
            wait_tcp(lab, address, 53)
    assert {lab.network.host_of_mac(a.mac) for a in watcher.answers} == {owner}
    assert lab.wait_owner(address) == owner
    lab.wait_reason(owner, "dns-tcp", address, "Announced")


def test_ports_that_clash(lab: Lab, make_service: MakeService) -> None:
    make_service("one", KEY, ports=ports(("TCP", 80)))
    address = lab.wait_address("one")
    make_service("two", KEY, ports=ports(("TCP", 80)))
    other = lab.wait_address("two")
    assert other != address
    make_service("three", {**KEY, "fairlead.io/addresses": address}, ports=ports(("TCP", 80), ("TCP", 81)))
    message = wait_condition(lab, "three", "AddressNotShared")["message"]
    assert "default/one has port 80/TCP, too" in message
    lab.api.patch("Service", "three", {"spec": {"ports": ports(("TCP", 81))}})
    assert lab.wait_address("three") == address
    wait_tcp(lab, address, 80)
    wait_tcp(lab, address, 81)

    # A younger one that takes a port of an older one goes, and the other stays.
    lab.api.patch("Service", "three", {"metadata": {"annotations": {"fairlead.io/addresses": None}}})
    lab.api.patch("Service", "three", {"spec": {"ports": ports(("TCP", 80))}})
    wait_for("another address", lambda: lab.wait_address("three") != address)
    moved = lab.wait_address("three")
    assert lab.wait_address("one") == address
    wait_tcp(lab, address, 80)
    wait_tcp(lab, moved, 80)
    wait_refused(lab, address, 81)


def test_a_tenant_of_another_namespace_stays_out(lab: Lab, make_service: MakeService) -> None:
    make_service("web", KEY, ports=ports(("TCP", 80)))
    address = lab.wait_address("web")
    owner = lab.wait_owner(address)
    lab.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "evil"}})
    intruder = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "evil", "annotations": {**KEY, "fairlead.io/addresses": address}},
        "spec": {"type": "LoadBalancer", "selector": {"app": "webapp"}, "ports": ports(("TCP", 443))},
    }
    lab.api.create(intruder)
    try:

        def refusal() -> str:
            status = lab.api.get("Service", "web", "evil").get("status") or {}
            found = [c for c in status.get("conditions") or [] if c["type"] == "fairlead.io/AddressAssigned"]
            return str(found[0]["message"]) if found and found[0]["reason"] == "AddressNotShared" else ""

        message = wait_for("the refusal", refusal)
        assert "across namespaces" in message
        assert "default" not in message
        assert not (lab.api.get("Service", "web", "evil").get("status") or {}).get("loadBalancer")
        wait_tcp(lab, address, 80)
        wait_refused(lab, address, 443)
        assert lab.wait_owner(address) == owner
    finally:
        lab.api.delete("Service", "web", "evil")
