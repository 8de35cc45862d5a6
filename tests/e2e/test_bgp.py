# SPDX-License-Identifier: Apache-2.0
"""A Service announced by BGP: a router with FRR on the LAN, a client behind it, a bgpd and a speaker on each node."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import NODES, WITH_PODS, MakeService, make_pod, open_lab, our_rules, start_with_router

from lab import frr, netns
from lab.capture import Capture
from lab.cluster import Lab
from lab.router import ADDRESS, ASN, NODES_ASN, OUTSIDE, Router
from lab.waiting import LabError, wait_for

pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")

POOL = {"fairlead.io/address-pool": "public"}
SLOW = 60.0  # a session comes up by timers of whole seconds


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    with open_lab() as lab:
        opened = start_with_router(lab)
        for node in NODES:
            wait_for(f"{node}'s session", lambda n=node: established(lab, n), SLOW)
        yield opened
        lab.stop_daemons()


@pytest.fixture(scope="module")
def lab(router: Router) -> Lab:
    return router.lab


@pytest.fixture(autouse=True)
def no_routes_are_left(router: Router) -> Iterator[None]:
    """What one test announced is gone before the next one, which may get the same address."""
    yield
    wait_for("the router to have no routes", lambda: not router.learned())


def bgp(lab: Lab, node: str) -> dict[str, Any]:
    said: dict[str, Any] = lab.daemon(node)["bgp"]
    return said


def established(lab: Lab, node: str) -> bool:
    return any(p["established"] for p in bgp(lab, node)["peers"])


def make_public(lab: Lab, make_service: MakeService, name: str, **spec: Any) -> str:
    make_service(name, POOL, **spec)
    address = lab.wait_address(name)
    assert address.startswith("198.51.100.")
    return address


def test_services_that_share_an_address(lab: Lab, router: Router, make_service: MakeService) -> None:
    """One route, from the nodes with endpoints, for as long as one of them is there."""
    shared = {**POOL, "metallb.io/allow-shared-ip": "web"}
    made = []
    for name, port in (("web", 80), ("web-alt", 8081)):
        ports = [{"name": "http", "port": port, "targetPort": "http"}]
        make_service(name, shared, ports=ports, externalTrafficPolicy="Local")
        made.append(lab.wait_address(name))
    assert made[0] == made[1]
    router.wait_next_hops(f"{made[0]}/32", list(WITH_PODS))
    for name in ("web", "web-alt"):
        for node in WITH_PODS:
            lab.wait_reason(node, name, made[0], "Announced")
    lab.api.delete("Service", "web")
    wait_for("one to be gone", lambda: not lab.announcement("node1", "web", made[0]))
    router.wait_next_hops(f"{made[0]}/32", list(WITH_PODS))
    lab.wait_reason("node1", "web-alt", made[0], "Announced")


def test_every_node_with_an_endpoint_is_a_next_hop(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web", externalTrafficPolicy="Local")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))
    for node in WITH_PODS:
        lab.wait_reason(node, "web", address, "Announced")
    assert lab.announcement("node1", "web", address)["protocol"] == "bgp"
    lab.wait_reason("node3", "web", address, "NoLocalEndpoint")
    seen: set[str] = set()

    def reached() -> bool:
        reply = router.get(address, timeout=1)
        assert reply.peer == OUTSIDE
        seen.add(lab.node_of_pod(reply.pod))
        return seen == set(WITH_PODS)

    wait_for("an answer through each next hop", reached, SLOW)
    # Nobody answers ARP for it.
    assert lab.owners(address) == []


def test_policy_cluster_is_announced_by_every_node(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web")
    router.wait_next_hops(f"{address}/32", list(NODES))
    wait_for("HTTP", lambda: router.get(address, timeout=1))
    lab.api.patch("Service", "web", {"spec": {"externalTrafficPolicy": "Local"}})
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))


def test_the_route_leaves_with_the_last_endpoint_of_a_node(
    lab: Lab, router: Router, make_service: MakeService
) -> None:
    labels = {"app": "leaving"}
    for node in WITH_PODS:
        make_pod(lab, f"leaving-{node}", labels, node)
    address = make_public(lab, make_service, "leaving", selector=labels, externalTrafficPolicy="Local")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))
    before = at_rest(lab, "node1")["commands"]
    lab.api.delete("Pod", "leaving-node1")
    router.wait_next_hops(f"{address}/32", ["node2"])
    assert 1 <= at_rest(lab, "node1")["commands"] - before <= 3
    lab.wait_reason("node1", "leaving", address, "NoLocalEndpoint")
    wait_for("HTTP by the node that is left", lambda: router.get(address, timeout=1))
    lab.api.delete("Pod", "leaving-node2")
    router.wait_next_hops(f"{address}/32", [])


def fairlead(lab: Lab, *words: str, code: int = 0) -> str:
    argv = [lab.program("fairlead"), *words, "--kubeconfig", str(lab.kubeconfig)]
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_the_sessions_of_every_node_are_told(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web", externalTrafficPolicy="Local")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))

    def sent() -> dict[str, Any]:
        nodes = {n["node"]: n for n in json.loads(fairlead(lab, "bgp", "-o", "json"))["nodes"]}
        if [n["peers"][0]["prefixes_sent"] for n in nodes.values()] != [1, 1, 0]:
            raise LabError(f"{nodes}")
        return nodes

    nodes = wait_for("the prefixes sent", sent)
    assert list(nodes) == list(NODES)
    for name, node in nodes.items():
        (peer,) = node["peers"]
        assert node["reason"] == "Announced" and node["instance"] == {"asn": NODES_ASN, "own": True}
        assert (peer["address"], peer["asn"], peer["state"]) == (ADDRESS, ASN, "Established")
        assert peer["prefixes_wanted"] == node["prefixes"]["set"] == (name in WITH_PODS)
        assert peer["uptime_ms"] > 0 and peer["last_error"] == ""
    lab.speaker("node3").pause()
    try:
        text = fairlead(lab, "bgp", code=1)
    finally:
        lab.speaker("node3").resume()
    assert any(line.split()[:5] == ["node1", "peer-1", ADDRESS, str(ASN), "Established"] for line in text.splitlines())
    assert "unreachable: timed out" in text


def at_rest(lab: Lab, node: str) -> dict[str, Any]:
    """The stats of a speaker's engine once all is applied."""

    def rest() -> dict[str, Any]:
        said = bgp(lab, node)
        if said["reason"] != "Announced" or said["applied"] != said["generation"] or not said["generation"]:
            raise LabError(f"{said}")
        stats: dict[str, Any] = said["stats"]
        return stats

    return wait_for(f"the engine of {node} to be at rest", rest, SLOW)


def test_a_killed_speaker_changes_no_route(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web", externalTrafficPolicy="Local")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))
    at_rest(lab, "node1")
    config = router.bgpds["node1"].running_config()
    table = router.table()
    lab.speaker("node1").kill()
    assert router.next_hops(f"{address}/32") == list(WITH_PODS)
    lab.restart("speaker-node1")
    lab.wait_reason("node1", "web", address, "Announced", SLOW)
    # It takes over what it finds, and says nothing again.
    assert at_rest(lab, "node1")["commands"] == 0
    assert router.bgpds["node1"].running_config() == config
    assert router.table() == table
    assert router.next_hops(f"{address}/32") == list(WITH_PODS)
    wait_for("HTTP", lambda: router.get(address, timeout=1))


def test_a_deleted_service_leaves_no_route(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web")
    router.wait_next_hops(f"{address}/32", list(NODES))
    lab.api.delete("Service", "web")
    router.wait_next_hops(f"{address}/32", [])
    for node in NODES:
        assert "network 198.51.100" not in router.bgpds[node].running_config()


def configuration(lab: Lab) -> str:
    return lab.api.get("ConfigMap", "fairlead", "fairlead-system")["data"]["config"]


def test_a_relabelled_node_loses_its_peer(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web", externalTrafficPolicy="Local")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))
    before = configuration(lab)
    selected = before.replace(
        "  hold-time: 9s\n", "  hold-time: 9s\n  node-selectors:\n  - match-labels: {rack: a}\n"
    )
    assert selected != before
    try:
        for node in WITH_PODS:
            lab.api.patch("Node", node, {"metadata": {"labels": {"rack": "a"}}}, "")
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": selected}}, "fairlead-system")
        wait_for("node3 to have no peer", lambda: bgp(lab, "node3")["reason"] == "BgpNoPeer", SLOW)
        assert router.next_hops(f"{address}/32") == list(WITH_PODS)
        lab.api.patch("Node", "node1", {"metadata": {"labels": {"rack": "b"}}}, "")
        router.wait_next_hops(f"{address}/32", ["node2"])
        lab.wait_reason("node1", "web", address, "BgpNoPeer")
        assert "neighbor" not in router.bgpds["node1"].running_config()
    finally:
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": before}}, "fairlead-system")
        for node in WITH_PODS:
            lab.api.patch("Node", node, {"metadata": {"labels": {"rack": None}}}, "")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS), SLOW)


def accepted_generation(lab: Lab) -> int:
    active = lab.api.get("ConfigMap", "fairlead-active", "fairlead-system")
    return int(active["metadata"]["annotations"]["fairlead.io/generation"])


def configure(lab: Lab, config: str) -> None:
    """Edits the configuration, and waits until it is in force for whoever asks."""
    before = accepted_generation(lab)
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": config}}, "fairlead-system")
    wait_for("the configuration to be published", lambda: accepted_generation(lab) > before)


def test_a_relabelled_node_that_selects_too_much_is_refused_one(
    lab: Lab, router: Router, make_service: MakeService
) -> None:
    address = make_public(lab, make_service, "web", externalTrafficPolicy="Local")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))
    before = configuration(lab)
    second = (
        f"- {{peer-address: {ADDRESS}, my-asn: {NODES_ASN}, peer-asn: 64999,"
        " node-selectors: [{match-labels: {rack: a}}]}\n"
    )
    try:
        configure(lab, before.replace("address-pools:", f"{second}address-pools:"))
        lab.api.patch("Node", "node1", {"metadata": {"labels": {"rack": "a"}}}, "")
        why = f"peer-address {ADDRESS} is also that of peer-1"
        wait_for("node1 to be refused a peer", lambda: len(bgp(lab, "node1")["peers"]) == 2, SLOW)
        had, refused = bgp(lab, "node1")["peers"]
        assert had["established"] and had["reason"] == "Announced"
        assert (refused["name"], refused["reason"], refused["last_error"]) == ("peer-2", "BgpPeerRefused", why)
        assert f"BgpPeerRefused: {why}" in fairlead(lab, "bgp", "-o", "wide", code=1)
        (said,) = json.loads(fairlead(lab, "explain", "web", "-o", "json"))
        messages = {row["node"]: row["message"] for row in said["nodes"]}
        assert f"not to peer-2 ({ADDRESS}), BgpPeerRefused: {why}" in messages["node1"]
        assert "peer-2" not in messages["node2"]
        assert why in wait_note(lab, "Node", "node1", "BgpPeerRefused")
        assert router.next_hops(f"{address}/32") == list(WITH_PODS)
        lab.api.patch("Node", "node1", {"metadata": {"labels": {"rack": None}}}, "")
        wait_for("node1 to have one peer", lambda: len(bgp(lab, "node1")["peers"]) == 1, SLOW)
    finally:
        lab.api.patch("Node", "node1", {"metadata": {"labels": {"rack": None}}}, "")
        configure(lab, before)


def test_peers_that_went_while_no_speaker_ran_leave_nothing(
    lab: Lab, router: Router, make_service: MakeService
) -> None:
    address = make_public(lab, make_service, "web", externalTrafficPolicy="Local")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))
    before = configuration(lab)
    without = before[before.index("address-pools:") :]
    for node in WITH_PODS:
        lab.speaker(node).kill()
    try:
        configure(lab, without)
        assert router.next_hops(f"{address}/32") == list(WITH_PODS)
        for node in WITH_PODS:
            lab.restart(f"speaker-{node}")
        router.wait_next_hops(f"{address}/32", [])
        for node in WITH_PODS:
            wait_for(f"{node}'s bgpd to be empty", lambda n=node: "FAIRLEAD" not in router.bgpds[n].running_config())
            assert bgp(lab, node)["reason"] == "BgpNoPeer"
    finally:
        configure(lab, before)
    router.wait_next_hops(f"{address}/32", list(WITH_PODS), SLOW)


def test_a_hung_bgpd_holds_the_rules_for_a_moment_only(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web")
    router.wait_next_hops(f"{address}/32", list(NODES))
    wait_for("rules", lambda: any(address in rule for rule in our_rules(lab, "node1")))
    at_rest(lab, "node1")
    router.bgpds["node1"].signal(signal.SIGSTOP)
    try:
        lab.api.delete("Service", "web")
        wait_for("no rules", lambda: not any(address in rule for rule in our_rules(lab, "node1")))
        # bgpd still has not been able to withdraw it.
        assert router.next_hops(f"{address}/32") == ["node1"]
    finally:
        router.bgpds["node1"].signal(signal.SIGCONT)
    router.wait_next_hops(f"{address}/32", [])


def test_what_went_while_no_speaker_ran_loses_its_route_before_its_rules(
    lab: Lab, router: Router, make_service: MakeService
) -> None:
    kept = make_public(lab, make_service, "web")
    address = make_public(lab, make_service, "leaving")
    for a in (kept, address):
        router.wait_next_hops(f"{a}/32", list(NODES))
    wait_for("rules", lambda: any(address in rule for rule in our_rules(lab, "node1")))
    at_rest(lab, "node1")
    lab.speaker("node1").kill()
    lab.api.delete("Service", "leaving")
    rules = our_rules(lab, "node1")
    with frr.Relay(router.bgpds["node1"], f"no network {address}/32", lambda: our_rules(lab, "node1")) as relay:
        lab.restart("speaker-node1")
        wait_for("no rules", lambda: not any(address in rule for rule in our_rules(lab, "node1")))
        assert relay.seen == rules
        router.wait_next_hops(f"{address}/32", [])
        assert router.next_hops(f"{kept}/32") == list(NODES)
        at_rest(lab, "node1")
    at_rest(lab, "node1")


ALLOWED = "external-ips: {allow: [198.51.101.0/24], namespaces: [default]}\n"


@pytest.fixture
def external(lab: Lab) -> Iterator[None]:
    """Beside the example's pool for external IPs a range outside all pools that may be written by hand."""
    before = configuration(lab)
    configure(lab, before + ALLOWED)
    yield
    configure(lab, before)


def test_several_addresses_have_a_route_each(lab: Lab, router: Router, make_service: MakeService) -> None:
    before, own, both = configuration(lab), "  auto-assign: false\n", ["198.51.100.50", "198.51.100.60"]
    configure(lab, before.replace(own, own + "  addresses-per-service: 2\n", 1))
    try:
        make_service("web", {**POOL, "fairlead.io/addresses": ",".join(both)})
        wait_for("both", lambda: lab.addresses("web") == both)
        for address in both:
            router.wait_next_hops(f"{address}/32", list(NODES))
            wait_for(f"HTTP from {address}", lambda a=address: router.get(a, timeout=1))
        lab.api.patch("Service", "web", {"metadata": {"annotations": {"fairlead.io/addresses": both[1]}}})
        router.wait_next_hops(f"{both[0]}/32", [])
        router.wait_next_hops(f"{both[1]}/32", list(NODES))
    finally:
        configure(lab, before)


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_external_ips_have_routes(
    lab: Lab, router: Router, make_service: MakeService, external: None, kind: str
) -> None:
    allowed, denied = "198.51.101.7", "198.51.102.7"
    # The policy may stand on a ClusterIP Service only once it has an external IP.
    make_service("given", {"fairlead.io/external-ips": "external"}, type=kind)
    (given,) = wait_for("an external IP", lambda: lab.api.get("Service", "given")["spec"].get("externalIPs"))
    lab.api.patch("Service", "given", {"spec": {"externalTrafficPolicy": "Local"}})
    make_service("hand", type=kind, externalIPs=[allowed, denied])
    router.wait_next_hops(f"{given}/32", list(WITH_PODS))
    router.wait_next_hops(f"{allowed}/32", list(NODES))
    for node in NODES:
        lab.wait_reason(node, "hand", denied, "ExternalIpNotAllowed")
    assert router.next_hops(f"{denied}/32") == []
    reply = wait_for("HTTP by the pool's address", lambda: router.get(given, timeout=1))
    assert reply.peer == OUTSIDE
    wait_for("HTTP by the other one", lambda: router.get(allowed, timeout=1))
    # What is taken out of the list loses its route.
    lab.api.patch("Service", "hand", {"spec": {"externalIPs": [denied]}})
    router.wait_next_hops(f"{allowed}/32", [])
    lab.api.delete("Service", "given")
    router.wait_next_hops(f"{given}/32", [])


def test_an_external_ip_no_longer_allowed_loses_its_route(
    lab: Lab, router: Router, make_service: MakeService, external: None
) -> None:
    make_service("hand", type="ClusterIP", externalIPs=["198.51.101.8"])
    router.wait_next_hops("198.51.101.8/32", list(NODES))
    before = configuration(lab)
    narrowed = before.replace("namespaces: [default]", "namespaces: [edge]")
    configure(lab, narrowed)
    router.wait_next_hops("198.51.101.8/32", [])
    for node in NODES:
        assert "network 198.51.101" not in router.bgpds[node].running_config()
        lab.wait_reason(node, "hand", "198.51.101.8", "ExternalIpNotAllowed")


def notes(lab: Lab, kind: str, name: str, reason: str) -> list[str]:
    """What Events of this reason say about an object."""
    return [
        event["note"]
        for event in lab.api.objects("Event")
        if (event["regarding"]["kind"], event["regarding"]["name"], event["reason"]) == (kind, name, reason)
    ]


def wait_note(lab: Lab, kind: str, name: str, reason: str) -> str:
    """The one Event of this reason."""
    wait_for(f"an Event {reason} on {kind} {name}", lambda: notes(lab, kind, name, reason), SLOW)
    (note,) = notes(lab, kind, name, reason)
    return note


def test_a_session_that_is_lost_is_told_on_the_node(lab: Lab, router: Router) -> None:
    node = lab.host("node1")
    router.bgpd.configure(f"router bgp {ASN}", f"neighbor {node.address} shutdown")
    try:
        note = wait_note(lab, "Node", "node1", "BgpSessionLost")
        assert ADDRESS in note and "the router said: Cease/Administrative Shutdown" in note
        (event,) = [e for e in lab.api.objects("Event") if e["reason"] == "BgpSessionLost"]
        assert event["type"] == "Warning" and event["metadata"]["namespace"] == "default"
        assert event["regarding"]["uid"] == lab.api.get("Node", "node1")["metadata"]["uid"]
        # What kubectl sorts by, which events.k8s.io/v1 calls deprecated and lets nobody set.
        assert event["deprecatedLastTimestamp"]
    finally:
        router.bgpd.configure(f"router bgp {ASN}", f"no neighbor {node.address} shutdown")
    wait_note(lab, "Node", "node1", "BgpSessionUp")
    # However often it was tried in between.
    assert len(notes(lab, "Node", "node1", "BgpSessionLost")) == 1
    assert not notes(lab, "Node", "node2", "BgpSessionLost")


def test_a_dead_bgpd_is_told_on_the_node(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web")
    router.wait_next_hops(f"{address}/32", list(NODES))
    router.bgpds["node2"].kill()
    try:
        assert "bgpd.vty" in wait_note(lab, "Node", "node2", "BgpUnreachable")
        lab.wait_reason("node2", "web", address, "BgpUnreachable")
        router.wait_next_hops(f"{address}/32", ["node1", "node3"], SLOW)
    finally:
        router.bgpds["node2"].start()
    wait_note(lab, "Node", "node2", "BgpReady")
    router.wait_next_hops(f"{address}/32", list(NODES), SLOW)


def test_a_prefix_of_others_is_told_on_the_service(lab: Lab, router: Router, make_service: MakeService) -> None:
    prefix = "198.51.100.77/32"
    into_family = (f"router bgp {NODES_ASN}", "address-family ipv4 unicast")
    at_rest(lab, "node1")
    lab.speaker("node1").kill()
    router.bgpds["node1"].configure(*into_family, f"network {prefix}")
    lab.restart("speaker-node1")
    at_rest(lab, "node1")
    make_service("taken", {"fairlead.io/addresses": "198.51.100.77"})
    note = wait_note(lab, "Service", "taken", "BgpPrefixTaken")
    assert "node node1 does not announce 198.51.100.77" in note
    assert note.endswith("Remove that line from FRR's configuration."), "what to do stands behind it"
    lab.wait_reason("node1", "taken", "198.51.100.77", "BgpPrefixTaken")
    router.wait_next_hops(prefix, ["node2", "node3"])
    (event,) = [e for e in lab.api.objects("Event") if e["reason"] == "BgpPrefixTaken"]
    assert event["regarding"]["uid"] == lab.api.get("Service", "taken")["metadata"]["uid"]
    router.bgpds["node1"].configure(*into_family, f"no network {prefix}")


def test_an_external_ip_is_at_most_three_commands(
    lab: Lab, router: Router, make_service: MakeService, external: None
) -> None:
    make_service("other", type="ClusterIP", externalIPs=["198.51.101.8"])
    router.wait_next_hops("198.51.101.8/32", list(NODES))
    before = at_rest(lab, "node1")["commands"]
    make_service("hand", type="ClusterIP", externalIPs=["198.51.101.9"])
    router.wait_next_hops("198.51.101.9/32", list(NODES))
    assert 1 <= at_rest(lab, "node1")["commands"] - before <= 3


OTHERS = (
    "bgp community-list standard THEIRS seq 5 permit 64512:7",
    "route-map THEIRS-OUT permit 10",
    "match community THEIRS",
    f"router bgp {NODES_ASN}",
    "bgp log-neighbor-changes",
    "no bgp network import-check",
    "neighbor 192.168.1.77 remote-as 65077",
    "neighbor 192.168.1.77 description their uplink",
    "neighbor 192.168.1.77 password theirs",
    "address-family ipv4 unicast",
    "network 192.0.2.0/24",
    "neighbor 192.168.1.77 route-map THEIRS-OUT out",
)


def test_a_whole_life_beside_others(lab: Lab, router: Router, make_service: MakeService) -> None:
    bgpd = router.bgpds["node3"]
    lab.speaker("node3").stop()
    bgpd.kill()
    bgpd.start()
    bgpd.configure(*OTHERS)
    theirs = bgpd.running_config()
    lab.restart("speaker-node3")
    try:
        address = make_public(lab, make_service, "web")
        router.wait_next_hops(f"{address}/32", list(NODES), SLOW)
        assert bgp(lab, "node3")["instance"] == {"asn": NODES_ASN, "own": False}
        assert not router.bgpd.route("192.0.2.0/24")  # theirs does not leak to our peer
        ours = bgpd.running_config()
        lab.api.delete("Service", "web")
        router.wait_next_hops(f"{address}/32", [])
        make_public(lab, make_service, "web")
        router.wait_next_hops(f"{address}/32", list(NODES))
        lab.speaker("node3").kill()
        lab.restart("speaker-node3")
        at_rest(lab, "node3")
        assert bgpd.running_config() == ours
        lab.speaker("node3").stop()
        program, directory = lab.program("fairlead-speaker"), str(router.socket_directory("node3"))
        netns.output(lab.host("node3").namespace, [program, "--cleanup", "--bgp-socket-dir", directory])
        assert bgpd.running_config() == theirs
    finally:
        bgpd.kill()
        bgpd.start()
        if not lab.speaker("node3").running():
            lab.restart("speaker-node3")
    router.wait_next_hops(f"{address}/32", list(NODES), SLOW)


def test_everything_changes_at_once(lab: Lab, router: Router, make_service: MakeService) -> None:
    address = make_public(lab, make_service, "web", externalTrafficPolicy="Local")
    make_public(lab, make_service, "wide")
    router.wait_next_hops(f"{address}/32", list(WITH_PODS))
    before = configuration(lab)
    changed = {
        "my-asn: 64512": "my-asn: 64999",
        "hold-time: 9s": "hold-time: 12s\n  password: secret\n  bfd-profile: slow",
        "- name: lan\n  protocol: layer2": "- name: edge\n  protocol: [layer2, bgp]",
        "  auto-assign: false\n": "  bgp-advertisements:\n"
        "  - {aggregation-length: 28, localpref: 7, communities: ['65535:65281', '64999:7']}\n",
        "address-pools:": "bfd-profiles:\n- {name: slow, receive-interval: 900}\naddress-pools:",
    }
    after = before
    for old, new in changed.items():
        assert old in after
        after = after.replace(old, new)
    nodes = [lab.host(n).address for n in NODES]

    def peer_with(asn: int, *more: str) -> None:
        lines = [f"neighbor {a} {line}" for a in nodes for line in (f"remote-as {asn}", *more)]
        router.bgpd.configure(f"router bgp {ASN}", *lines)

    peer_with(64999, "password secret")
    configure(lab, after)
    try:
        # Policy Cluster is aggregated, policy Local never is.
        router.wait_next_hops("198.51.100.0/28", list(NODES), SLOW)
        router.wait_next_hops(f"{address}/32", list(WITH_PODS))
        for path in router.bgpd.route(f"{address}/32")["paths"]:
            assert path["community"]["string"] == "64999:7 no-export" and path["aspath"]["string"] == "64999"
        for node in NODES:
            config = router.bgpds[node].running_config()
            assert "64512" not in config and config.count("router bgp") == 1
            assert [p["state"] for p in bgp(lab, node)["peers"]] == ["Established"]
    finally:
        router.bgpd.configure(f"router bgp {ASN}", *(f"no neighbor {a} password" for a in nodes))
        peer_with(NODES_ASN)
        configure(lab, before)
    router.wait_next_hops(f"{address}/32", list(WITH_PODS), SLOW)


def test_a_packet_to_an_unused_address_of_an_aggregate_does_not_loop(
    lab: Lab, router: Router, make_service: MakeService
) -> None:
    address = make_public(lab, make_service, "wide")
    unused = "198.51.100.14"
    assert address != unused
    before = configuration(lab)
    after = before.replace("  auto-assign: false\n", "  bgp-advertisements:\n  - {aggregation-length: 28}\n")
    assert after != before

    def rules(node: str) -> list[str]:
        text = netns.output(lab.host(node).namespace, ["ip", "rule", "show"])
        return [line for line in text.splitlines() if "198.51.100.0/28" in line]

    nodes = [lab.host(n).namespace for n in NODES]
    replaced = {n: netns.output(n, ["ip", "route", "show", "default"]).strip() for n in nodes}
    for namespace in nodes:
        netns.output(namespace, ["ip", "route", "replace", "default", "via", ADDRESS])
    configure(lab, after)
    try:
        router.wait_next_hops("198.51.100.0/28", list(NODES), SLOW)
        with Capture(lab.network.lan, "router") as capture:
            for port in range(20):
                with netns.entered(router.outside), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                    client.sendto(b"x", (unused, 9000 + port))
            wait_for("the last one to be seen", lambda: seen(capture, unused) >= 20)
            time.sleep(0.5)
            # From the router to a node, and not back.
            assert seen(capture, unused) <= 20
        # What is used is reached from outside, and from a node by whichever way it reached it before.
        assert router.get(address).status == 200
        assert lab.get_from("node3", address).status == 200
        # Removed by others, they are there again.
        netns.output(lab.host("node1").namespace, ["ip", "rule", "del", "pref", "32765"])
        wait_for("the rules to be there again", lambda: len(rules("node1")) == 3, SLOW)
    finally:
        configure(lab, before)
        for namespace in nodes:
            netns.output(namespace, ["ip", "route", "del", "default"])
            if replaced[namespace]:
                netns.output(namespace, ["ip", "route", "add", *replaced[namespace].split()])
    router.wait_next_hops(f"{address}/32", list(NODES), SLOW)
    wait_for("the rules to go", lambda: [r for n in NODES for r in rules(n)] == [])


def seen(capture: Capture, address: str) -> int:
    """How many packets to an address went over the LAN."""
    packets = [p.ipv4 for p in list(capture.packets)]
    return sum(1 for p in packets if p and p.dst == address)
