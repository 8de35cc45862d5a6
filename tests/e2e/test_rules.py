# SPDX-License-Identifier: Apache-2.0
"""The data plane beside other people's rules, in both variants of iptables; and --cleanup."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NODES, PODS, open_lab, our_rules

from lab import netns
from lab.cluster import Lab
from lab.waiting import wait_for

FOREIGN = [
    ["-t", "nat", "-N", "KUBE-SERVICES"],
    ["-t", "nat", "-A", "PREROUTING", "-j", "KUBE-SERVICES"],
    ["-t", "nat", "-A", "KUBE-SERVICES", "-d", "10.96.250.250/32", "-j", "RETURN"],
    ["-t", "filter", "-N", "FLUSHABLE"],
    ["-t", "filter", "-A", "FORWARD", "-s", "203.0.113.0/24", "-j", "FLUSHABLE"],
    ["-t", "filter", "-A", "FLUSHABLE", "-j", "DROP"],
]
SAVES = [f"{family}-{variant}-save" for family in ("iptables", "ip6tables") for variant in ("nft", "legacy")]


@pytest.fixture(scope="module", params=["nft", "legacy"])
def variant_lab(request: pytest.FixtureRequest) -> Iterator[tuple[Lab, str]]:
    """A lab whose nodes had rules of others before our speakers came."""
    variant = request.param
    with open_lab() as lab:
        for node in NODES:
            for rule in FOREIGN:
                netns.output(lab.host(node).namespace, [f"iptables-{variant}", *rule])
        lab.start_cluster()
        for example in ("fairlead.yaml", "webapp.yaml", "frontend.yaml"):
            lab.apply(example)
        lab.start_controller("a")
        for node in NODES:
            lab.start_speaker(node, "--iptables-variant", variant)
        wait_for("the Pods to be ready", lambda: all(lab.pod_ready(p) for p in PODS))
        yield lab, variant
        lab.stop_daemons()


def everything(lab: Lab, node: str) -> dict[str, list[str]]:
    """All rules of all variants and families."""
    tables = ("filter", "nat", "mangle", "raw")
    return {f"{save} {table}": lab.iptables(node, table, save) for save in SAVES for table in tables}


def test_traffic_flows(variant_lab: tuple[Lab, str]) -> None:
    lab, variant = variant_lab
    address = lab.wait_address("frontend")
    lab.wait_owner(address)
    lab.wait_carried("frontend", save=f"iptables-{variant}-save")
    assert {lab.get(address).name for _ in range(60)} == {"webapp 1.0.0", "webapp 2.0.0"}
    service = lab.api.get("Service", "frontend")
    port, cluster_ip = service["spec"]["ports"][0]["nodePort"], service["spec"]["clusterIP"]
    for node in NODES:
        assert lab.get(lab.host(node).address, port).status == 200
        assert lab.get_from(node, cluster_ip).status == 200
        assert our_rules(lab, node, f"iptables-{variant}-save")
        other = "legacy" if variant == "nft" else "nft"
        assert not our_rules(lab, node, f"iptables-{other}-save")


def test_flushed_rules_come_back(variant_lab: tuple[Lab, str]) -> None:
    lab, variant = variant_lab
    address = lab.wait_address("frontend")
    lab.wait_owner(address)
    node, save = "node1", f"iptables-{variant}-save"
    rules = sorted(our_rules(lab, node, save))
    netns.output(lab.host(node).namespace, [f"iptables-{variant}", "-t", "nat", "-F"])
    wait_for("the rules to be back", lambda: sorted(our_rules(lab, node, save)) == rules, 60)
    port = lab.api.get("Service", "frontend")["spec"]["ports"][0]["nodePort"]
    assert lab.get(lab.host(node).address, port).status == 200


def refusal(lab: Lab, node: str) -> set[tuple[bool, bool]]:
    """What the node refuses, IPv4 and IPv6, as each of the others hears it."""
    others = [n.name for n in lab.network.nodes if n.name != node]
    peers = [p for n in others for p in lab.daemon(n)["l2"]["peers"] if p["node"] == node]
    return {(p["refuses_ipv4"], p["refuses_ipv6"]) for p in peers}


def test_forwarding_that_is_refused_is_not_announced(variant_lab: tuple[Lab, str]) -> None:
    """A firewall that refuses everything before network policies are asked: whoever accepts earlier overrules them."""
    lab, variant = variant_lab
    address = lab.wait_address("frontend")
    owner = lab.wait_owner(address)
    command = [f"iptables-{variant}", "-w", "5"]
    namespace = lab.host(owner).namespace
    netns.output(namespace, [*command, "-N", "CILIUM_FORWARD"])
    netns.output(namespace, [*command, "-A", "FORWARD", "-j", "CILIUM_FORWARD"])
    netns.output(namespace, [*command, "-I", "FORWARD", "1", "-j", "REJECT"])
    lab.wait_reason(owner, "frontend", address, "ForwardRefused", 60)
    wait_for("another owner", lambda: lab.wait_owner(address) != owner)
    wait_for("the others to know", lambda: refusal(lab, owner) == {(True, False)})
    # That firewall keeps its own node's Pod from answering; the others do.
    wait_for("an answer", lambda: lab.get(address).status == 200, 30)
    for rule in ("-D FORWARD -j REJECT", "-D FORWARD -j CILIUM_FORWARD", "-X CILIUM_FORWARD"):
        netns.output(namespace, [*command, *rule.split()])
    lab.wait_reason(owner, "frontend", address, "NotOwner", 60)
    wait_for("the others to know that it is over", lambda: refusal(lab, owner) == {(False, False)})


def test_a_table_of_nftables_that_refuses_is_not_announced_through(variant_lab: tuple[Lab, str]) -> None:
    """One that may refuse is warned of, and changes nothing else."""
    lab, _ = variant_lab
    address = lab.wait_address("frontend")
    owner = lab.wait_owner(address)
    namespace = lab.host(owner).namespace

    def notes(reason: str) -> list[str]:
        about = [e for e in lab.api.objects("Event") if e["regarding"]["name"] == owner]
        return [e["note"] for e in about if e["reason"] == reason and "table inet fw, chain forward" in e["note"]]

    netns.output(namespace, ["nft", "add table inet fw"])
    try:
        chain = "add chain inet fw forward { type filter hook forward priority 0; policy accept; }"
        netns.output(namespace, ["nft", chain])
        netns.output(namespace, ["nft", "add rule inet fw forward iifname eth7 accept"])
        netns.output(namespace, ["nft", chain.replace("accept", "drop")])
        wait_for("a warning", lambda: notes("ForwardUncertain"), 60)
        assert lab.announcement(owner, "frontend", address)["reason"] == "Announced"
        netns.output(namespace, ["nft", "flush chain inet fw forward"])
        lab.wait_reason(owner, "frontend", address, "ForwardRefused", 60)
        assert "table inet fw, chain forward" in lab.announcement(owner, "frontend", address)["message"]
        wait_for("another owner", lambda: lab.wait_owner(address) != owner)
        # That firewall keeps its own node's Pod from answering; the others do.
        wait_for("an answer", lambda: lab.get(address).status == 200, 30)
        wait_for("an Event", lambda: notes("ForwardRefused"), 20)
    finally:
        netns.output(namespace, ["nft", "delete table inet fw"])
    lab.wait_reason(owner, "frontend", address, "NotOwner", 60)


# Stands before the real program in $PATH, and refuses what has rules of a Service named "refused".
PARTICULAR = """#!/bin/sh
input=$(mktemp) && cat >"$input" && exec <"$input" && rm "$input" || exit 1
if [ -e '{sign}' ] && grep -q default/refused: /proc/self/fd/0; then
	echo 'iptables-restore: no such match' >&2
	exit 2
fi
exec {program} "$@"
"""


def test_a_service_that_iptables_refuses_is_not_announced(
    variant_lab: tuple[Lab, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, variant = variant_lab
    node, sign, name = "node2", tmp_path / "refuse", f"iptables-{variant}-restore"
    sign.touch()
    particular = tmp_path / "bin" / name
    particular.parent.mkdir()
    particular.write_text(PARTICULAR.format(sign=sign, program=shutil.which(name)))
    particular.chmod(0o755)
    lab.speaker(node).stop()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{particular.parent}:{os.environ['PATH']}")
        lab.restart(f"speaker-{node}")
    frontend = lab.api.get("Service", "frontend")
    ports = [{key: value for key, value in port.items() if key != "nodePort"} for port in frontend["spec"]["ports"]]
    spec = {"type": "LoadBalancer", "selector": frontend["spec"]["selector"], "ports": ports}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "refused"}, "spec": spec})
    address = lab.wait_address("refused")
    lab.wait_reason(node, "refused", address, "RulesRefused", 20)
    assert "no such match" in lab.announcement(node, "refused", address)["message"]
    assert lab.wait_owner(address) != node
    assert lab.get(address).status == 200
    # Nothing of it concerns the others.
    frontends = lab.wait_address("frontend")
    lab.wait_reason(node, "frontend", frontends, "Announced" if lab.wait_owner(frontends) == node else "NotOwner")

    def told() -> list[str]:
        return [
            event["note"]
            for event in lab.api.objects("Event")
            if event["reason"] == "RulesRefused" and event["regarding"]["name"] == "refused"
        ]

    wait_for("an Event on the Service", told, 20)
    assert node in told()[0] and "no such match" in told()[0]
    # It is tried again by itself.
    sign.unlink()
    lab.wait_reason(node, "refused", address, "NotOwner", 60)
    lab.api.delete("Service", "refused")


def test_cleanup_removes_ours_and_nothing_else(variant_lab: tuple[Lab, str]) -> None:
    lab, variant = variant_lab
    node = "node3"
    namespace = lab.host(node).namespace
    lab.speaker(node).stop()
    before = everything(lab, node)
    netns.output(namespace, [lab.program("fairlead-speaker"), "--cleanup", "--iptables-variant", variant])
    after = everything(lab, node)
    assert "FL-" not in str(after)
    for name, lines in before.items():
        kept = [line for line in lines if "FL-" not in line]
        assert [line for line in after[name] if line not in kept] == [], name
        for line in kept:
            assert line in after[name], name
    for rule in FOREIGN:
        if rule[2] != "-N":
            netns.output(namespace, [f"iptables-{variant}", *rule[:2], "-C", *rule[3:]])
