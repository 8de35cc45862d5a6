# SPDX-License-Identifier: Apache-2.0
"""What is wrong with layer 2 on a node, as a person sees it: reasons, `fairlead status`, metrics, Events."""

import json
from pathlib import Path
from typing import Any

from conftest import NODES, MakeService
from controllers import events
from test_status import fairlead, status

from lab import netns
from lab.cluster import Lab
from lab.waiting import wait_for


def troubles(lab: Lab, node: str) -> dict[str, dict[str, Any]]:
    return {t["reason"]: t for t in lab.daemon(node)["l2"]["troubles"]}


def test_a_kernel_that_answers_is_told_everywhere(lab: Lab, make_service: MakeService) -> None:
    make_service("bound")
    address = lab.wait_address("bound")
    owner = lab.wait_owner(address)
    lab.wait_reason(owner, "bound", address, "Announced")
    node = next(n for n in NODES if n != owner)
    assert troubles(lab, node) == {}
    namespace = lab.host(node).namespace
    # As kube-proxy in IPVS mode without strict ARP, though with a bridge: not every kernel has dummies.
    bind = f"addr add {address}/32 dev kube-ipvs0"
    netns.configure(namespace, ["link add kube-ipvs0 type bridge", "link set kube-ipvs0 arp off", bind])
    try:
        wait_for("both to answer", lambda: len(lab.owners(address)) == 2)
        lab.wait_reason(node, "bound", address, "KernelAnswers")
        lab.wait_reason(owner, "bound", address, "Announced")
        told = wait_for("the speaker to complain", lambda: troubles(lab, node).get("KernelAnswers"))
        assert told["interface"] == "eth0"
        assert f"{address} is an address of this node's own on kube-ipvs0" in told["message"]
        assert f"\n  KernelAnswers\n    node {node}, interface eth0: {address} is" in status(lab, code=1)
        seen = {n["name"]: n["speaker"]["troubles"] for n in json.loads(status(lab, "-o", "json", code=1))["nodes"]}
        assert [t["reason"] for t in seen[node]] == ["KernelAnswers"]
        assert seen[owner] == []
        assert "ipvs.strictARP: true" in fairlead(lab, "explain", "bound")
        wait_for("an Event on the Node", lambda: "KernelAnswers" in events(lab, node))
        metrics = lab.daemon(node, "/metrics")
        assert 'fairlead_l2_trouble{reason="KernelAnswers",interface="eth0"} 1' in metrics
    finally:
        netns.configure(namespace, ["link del kube-ipvs0"])
    lab.wait_reason(node, "bound", address, "NotOwner")
    wait_for("the complaint to end", lambda: troubles(lab, node) == {})
    assert lab.owners(address) == [owner]


def test_what_no_node_carries_is_told_by_one(lab: Lab) -> None:
    """A Service that has no address to speak of, of 250 ports and 41 endpoints: more than 40 000 rules."""
    meta: dict[str, Any] = {"name": "vast", "namespace": "default"}
    ports = [{"name": f"p{n}", "port": n, "targetPort": 8080} for n in range(1, 251)]
    lab.api.create({"kind": "Service", "apiVersion": "v1", "metadata": meta, "spec": {"ports": ports}})
    described = {**meta, "labels": {"kubernetes.io/service-name": "vast"}}
    endpoints = [{"addresses": [f"10.250.0.{n}"], "conditions": {"ready": True}} for n in range(1, 42)]
    part = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": described, "addressType": "IPv4"}
    served = [{"name": p["name"], "port": 8080, "protocol": "TCP"} for p in ports]
    lab.api.create({**part, "endpoints": endpoints, "ports": served})
    try:
        wait_for("an Event", lambda: "TooLarge" in events(lab, "vast"), 30)
        assert events(lab, "vast").count("TooLarge") == 1
        assert "\n  TooLarge\n    Service default/vast: " in status(lab, code=1)
        for node in NODES:
            assert 'fairlead_proxy_uncarried_services{reason="TooLarge"} 1' in lab.daemon(node, "/metrics")
        fewer = {"endpoints": endpoints[:3]}
        lab.api.patch("EndpointSlice", "vast", fewer)
        wait_for("its end", lambda: "CarriedAgain" in events(lab, "vast"), 30)
    finally:
        lab.api.delete("EndpointSlice", "vast")
        lab.api.delete("Service", "vast")


def notes(lab: Lab, node: str, reason: str) -> list[str]:
    about = [e for e in lab.api.objects("Event") if e["regarding"]["name"] == node]
    return [e["note"] for e in about if e["reason"] == reason]


def test_a_full_table_of_connections_is_told_everywhere(lab: Lab, tmp_path: Path) -> None:
    """The kernel has one bound for all namespaces, so the speaker sees another one than there is."""
    node = NODES[-1]
    usual = lab.speaker(node)
    bound = tmp_path / "max"
    bound.write_text("1\n", encoding="ascii")
    script = f'mount --bind {bound} /proc/sys/net/netfilter/nf_conntrack_max && exec "$0" "$@"'
    usual.stop()
    changed = lab.start(usual.name, ["unshare", "-m", "sh", "-c", script, *usual.argv], usual.namespace)
    try:
        # Its own connections to the API server are in the table.
        note = wait_for("an Event", lambda: notes(lab, node, "ConntrackFull"), 90)[0]
        assert " of 1. " in note, note
        seen = lab.daemon(node)["proxy"]["conntrack"]
        assert seen["full"] and seen["max"] == 1
        metrics = lab.daemon(node, "/metrics")
        assert "\nfairlead_conntrack_entries_limit 1\n" in metrics
        assert "\nfairlead_conntrack_entries 0\n" not in metrics
        bound.write_text("100000\n", encoding="ascii")
        over = "the kernel's table of connections has room again: "
        wait_for("the end of it", lambda: any(n.startswith(over) for n in notes(lab, node, "TroubleOver")), 90)
        assert not lab.daemon(node)["proxy"]["conntrack"]["full"]
    finally:
        changed.stop()
        lab.start(usual.name, usual.argv, usual.namespace)
    wait_for("the speaker to be ready", lambda: lab.daemon(node, "/readyz"))
