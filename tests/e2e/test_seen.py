# SPDX-License-Identifier: Apache-2.0
"""What a person is shown of the data plane: differences with the kernel, and where a packet goes, against packets."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import NODES, MakeService
from proxyroom import BUILD, POD, A, B, Driver, ns
from test_service import refused, wait_http
from test_status import fairlead
from test_sysdump import tell_api_server

from lab import ipvs, net, netns, web
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

# Stands before iptables-restore in $PATH: while the sign is there, somebody holds the lock, and nothing is repaired.
HELD = """#!/bin/sh
if [ -e '{sign}' ]; then
	cat >/dev/null
	echo 'Another app is currently holding the xtables lock' >&2
	exit 4
fi
exec {program} "$@"
"""


def hold_repairs(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sign that does; not there yet."""
    sign = directory / "held"
    for variant in ("nft", "legacy"):
        program = directory / f"iptables-{variant}-restore"
        program.write_text(HELD.format(sign=sign, program=shutil.which(program.name)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return sign


def differences(said: dict[str, Any]) -> list[tuple[str, str, str, str | None]]:
    (four, six) = said["families"]
    assert (four["state"], six["state"]) == ("compared", "compared")
    assert not six["differences"] and four["left_out"] == 0
    return [(d["what"], d["table"], d["chain"], d["service"]) for d in four["differences"]]


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_a_rule_that_is_gone_is_named(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = hold_repairs(tmp_path, monkeypatch)
    name = f"diff-{variant}"
    netns.create(ns(name))
    try:
        driver = Driver(name, variant)
        driver.tell(
            f"service t/first 4 cluster-ip=10.96.0.35 affinity=60 port=tcp/80 {A}",
            f"service t/second 4 cluster-ip=10.96.1.35 port=udp/53 {A}",
        )
        assert differences(json.loads(driver.ask("diff"))) == []
        sign.touch()
        nat = [f"iptables-{variant}", "-w", "5", "-t", "nat"]
        netns.output(ns(name), [*nat, "-D", "FL-B-23", "2"])
        netns.output(ns(name), [*nat, "-I", "FL-B-23", "-s", "10.9.9.9", "-j", "ACCEPT"])
        netns.output(ns(name), [*nat, "-N", "FL-OURS"])
        found = [
            ("missing", "nat", "FL-B-23", "t/second"),
            ("foreign", "nat", "FL-B-23", None),
            ("foreign", "nat", "FL-OURS", None),
        ]
        said = json.loads(driver.ask("diff"))
        assert differences(said) == found
        assert "-d 10.96.1.35/32 -p udp" in said["families"][0]["differences"][0]["rule"]
        # Asking has repaired nothing.
        assert differences(json.loads(driver.ask("diff"))) == found
        sign.unlink()

        def repaired() -> None:
            if differences(json.loads(driver.ask("diff"))):
                raise LabError("there are differences")

        wait_for("the rules to be repaired", lambda: repaired() is None, 30)
        driver.end()
    finally:
        netns.delete(ns(name))


def virtual_servers(name: str) -> list[str]:
    """The marks of those that the kernel has."""
    lines = netns.output(ns(name), ["cat", str(ipvs.TABLE)]).splitlines()
    return [line.split()[1] for line in lines if line.startswith("FWM")]


@pytest.mark.ipvs
def test_what_others_change_of_virtual_servers_is_named() -> None:
    """Nobody tells of such changes: until an audit finds them only asking does."""
    name, virtualctl = "diff-ipvs", str(BUILD / "tests/proxy/virtualctl")
    netns.create(ns(name))
    netns.set_sysctls(ns(name), {"ipv6/conf/all/disable_ipv6": "1"})  # as on many nodes: no reason to fail
    netns.configure(ns(name), ["link set lo up"])
    try:
        driver = Driver(name, "ipvs", "--audit-ms", "600000")
        driver.tell(f"service t/web 4 vip=203.0.113.35 port=tcp/80 {A} {B}")
        wait_for("the virtual server", lambda: virtual_servers(name), 30)
        assert differences(json.loads(driver.ask("diff"))) == []
        (mark,) = virtual_servers(name)
        # Another program with our own means: another scheduler, an endpoint more, and one less.
        commands = f"set 0x{mark} 4 TCP rr 1 {POD['node1']};8080 10.9.9.9;8080\ncomplete\nwait\nsleep 5000\n"
        netns.feed(ns(name), [virtualctl, "0x1000"], commands)
        where, other = f"FWM {int(mark, 16)}", f"{POD['node2']}:8080"
        said = json.loads(driver.ask("diff"))
        assert differences(said) == [
            ("changed", "ipvs", where, "t/web"),
            ("foreign", "ipvs", where, "t/web"),
            ("missing", "ipvs", where, "t/web"),
        ]
        rules = [d["rule"] for d in said["families"][0]["differences"]]
        assert rules == ["scheduler rr instead of mh", "10.9.9.9:8080", other]
        netns.output(ns(name), [virtualctl, "--cleanup"])
        found = {(d["what"], d["chain"]) for d in json.loads(driver.ask("diff"))["families"][0]["differences"]}
        assert ("missing", where) in found or virtual_servers(name) == [mark]  # which takes a second or two
        driver.end()
    finally:
        netns.delete(ns(name))


def test_differences_of_the_nodes(
    lab: Lab, make_service: MakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_api_server(lab)
    make_service("web")
    wait_http(lab, lab.wait_address("web"))
    lab.wait_carried("web")
    sign = hold_repairs(tmp_path, monkeypatch)
    lab.speaker("node2").stop()
    lab.restart("speaker-node2")

    def said(code: int, *flags: str) -> str:
        """A page is kept for a moment, and who has just started does not know the API server yet, and refuses."""
        try:
            return fairlead(lab, "proxy", "diff", *flags, code=code)
        except AssertionError as error:
            raise LabError("not yet") from error

    text = wait_for("all nodes to be in sync", lambda: said(0), 30, 0.5)
    assert text.count("no difference") == 2 * len(NODES)
    sign.touch()
    rules = lab.iptables("node2", "nat")
    (chain,) = {rule.split()[1] for rule in rules if " default/web:" in rule and rule.startswith("-A FL-E-")}
    netns.output(lab.host("node2").namespace, ["iptables", "-w", "5", "-t", "nat", "-F", chain])
    text = wait_for("the difference", lambda: said(2, "--node", "node2"), 30, 0.5)
    assert "missing" in text and chain in text and "default/web" in text
    assert fairlead(lab, "proxy", "diff", "--node", "node1").count("no difference") == 2
    fairlead(lab, "proxy", "diff", code=2)
    sign.unlink()
    wait_for("the rules to be repaired", lambda: said(0), 60, 0.5)
    assert "no answer" in fairlead(lab, "proxy", "diff", "--speaker-port", "1", code=3)
    assert fairlead(lab, "proxy", "diff", "--node", "nobody", code=1) == ""


def said_of(lab: Lab, service: str, source: str, target: str, *flags: str) -> dict[str, Any]:
    said = json.loads(fairlead(lab, "explain", service, "--from", source, "--to", target, *flags, "-o", "json"))
    (answer,) = said["answers"]
    return {str(k): v for k, v in answer.items()}


def test_packets_go_where_it_is_said(lab: Lab, make_service: MakeService) -> None:
    cases = (
        ("web", {}),
        ("local", {"externalTrafficPolicy": "Local"}),
        ("ranges", {"loadBalancerSourceRanges": ["203.0.113.0/24"]}),
        ("mine", {"loadBalancerSourceRanges": [f"{net.CLIENT}/32"]}),
        ("empty", {"selector": {"app": "nothing"}}),
    )
    for name, spec in cases:
        make_service(name, **spec)
    wait_http(lab, lab.wait_address("web"))
    lab.wait_carried("mine")
    met = {"forwarded": "answered", "refused": "refused", "dropped": "timeout"}
    seen: dict[str, str] = {}

    def ask(what: str, where: str, service: str, host: str, port: int, *flags: str) -> None:
        namespace = lab.client if where == "client" else lab.host(where).namespace
        source = net.CLIENT if where == "client" else lab.host(where).address
        answer = said_of(lab, service, source, f"{host}:{port}", *flags)
        got = refused(lambda: web.get(namespace, host, port, timeout=1.5))
        assert got == met[str(answer["verdict"])], f"{what}: {got}, {answer}"
        if got == "answered" and not answer["masquerade"]:
            assert web.get(namespace, host, port).peer == source, what
        elif got == "answered" and where == "client":
            assert web.get(namespace, host, port).peer != source, what
        seen[what] = str(answer["verdict"])

    node_port = {n: lab.api.get("Service", n)["spec"]["ports"][0].get("nodePort") for n, _ in cases}
    for name, _ in cases:
        address = lab.wait_address(name)
        if name != "empty":
            lab.wait_owner(address)
            ask(f"{name} by its address", "client", name, address, 80)
        ask(f"{name} by node port", "client", name, lab.host("node1").address, node_port[name])
        ask(f"{name} from a node", "node1", name, lab.api.get("Service", name)["spec"]["clusterIP"], 80)
    ask("the guard", "client", "web", lab.wait_address("web"), 81)
    assert {"forwarded", "refused", "dropped"} == set(seen.values()), seen
    assert seen["ranges by its address"] == "dropped" and seen["empty by node port"] == "refused"
