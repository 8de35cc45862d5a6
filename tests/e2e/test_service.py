# SPDX-License-Identifier: Apache-2.0
"""One Service's life: an address, ARP, and traffic of every kind, with both policies."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator

import pytest
import yaml
from conftest import NODES, PODS, WITH_PODS, MakeService, condition, make_pod, our_rules, wait_condition

from lab import net, netns, web
from lab.capture import Capture
from lab.cluster import Lab
from lab.waiting import LabError, wait_for


def refused(call: object) -> str:
    """How a connection fails: "refused", "timeout", "unreachable", or "answered"."""
    try:
        call()  # type: ignore[operator]
    except web.Unreachable as error:
        return error.kind
    return "answered"


def wait_http(lab: Lab, address: str, port: int = 80) -> web.Reply:
    return wait_for(f"HTTP from {address}:{port}", lambda: lab.get(address, port, timeout=1))


def test_address_is_assigned_and_one_node_answers(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    assert address == "192.168.1.240"
    ingress = lab.api.get("Service", "web")["status"]["loadBalancer"]["ingress"]
    assert ingress == [{"ip": address, "ipMode": "VIP"}]
    assert condition(lab, "web")["status"] == "True"
    owner = lab.wait_owner(address)
    with Capture(lab.client) as capture:
        for _ in range(3):
            answers = lab.arp_answers(address)
            assert [lab.network.host_of_mac(a.mac) for a in answers] == [owner]
    requests = [f for _, f in capture.arp_frames() if f.op == 1 and f.target_ip == address and not f.gratuitous]
    replies = [f for _, f in capture.arp_frames() if f.op == 2 and f.sender_ip == address and not f.gratuitous]
    assert len(replies) == len([f for f in requests if f.sender_ip == net.CLIENT])


def test_speakers_agree_on_the_owner(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    owner = lab.wait_owner(address)
    for node in NODES:
        lab.wait_reason(node, "web", address, "Announced" if node == owner else "NotOwner")
        assert lab.announcement(node, "web", address)["owner"] == owner


def test_client_reaches_both_versions(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    wait_http(lab, address)
    names = Counter(lab.get(address).name for _ in range(60))
    assert set(names) == {"webapp 1.0.0", "webapp 2.0.0"}


def test_selector_by_version(lab: Lab, make_service: MakeService) -> None:
    make_service("web", selector={"app": "webapp", "version": "2.0.0"})
    address = lab.wait_address("web")
    wait_http(lab, address)
    assert {lab.get(address).name for _ in range(10)} == {"webapp 2.0.0"}


def test_node_port_through_a_node_without_endpoint(lab: Lab, make_service: MakeService) -> None:
    port = make_service("web", type="NodePort")["spec"]["ports"][0]["nodePort"]
    node = lab.host("node3")
    reply = wait_http(lab, node.address, port)
    assert reply.peer == node.address
    assert condition(lab, "web") == {}


def test_policy_local(lab: Lab, make_service: MakeService) -> None:
    port = make_service("web", externalTrafficPolicy="Local")["spec"]["ports"][0]["nodePort"]
    address = lab.wait_address("web")
    with Capture(lab.client) as capture:
        owner = lab.wait_owner(address, among=list(WITH_PODS))
        lab.wait_carried("web")
        replies = [lab.get(address) for _ in range(10)]
    assert {r.peer for r in replies} == {net.CLIENT}
    assert {lab.node_of_pod(r.pod) for r in replies} == {owner}
    for node in WITH_PODS:
        assert lab.get(lab.host(node).address, port).peer == net.CLIENT
    bare = lab.host("node3")
    lab.wait_reason("node3", "web", address, "NoLocalEndpoint")
    assert refused(lambda: lab.get(bare.address, port, timeout=0.5)) == "timeout"
    assert not [f for _, f in capture.arp_frames() if f.sender_ip == address and f.sender_mac == bare.mac]


def test_policy_changes_both_ways(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    wait_http(lab, address)
    for policy in ("Local", "Cluster"):
        lab.api.patch("Service", "web", {"spec": {"externalTrafficPolicy": policy}})
        lab.wait_owner(address)

        def seen_as_wanted(local: bool = policy == "Local") -> bool:
            return (lab.get(address, timeout=1).peer == net.CLIENT) == local

        wait_for(f"policy {policy} to act", seen_as_wanted)
        assert lab.addresses("web") == [address]


def test_cluster_ip_from_pod_and_node(lab: Lab, make_service: MakeService) -> None:
    ip = make_service("web", type="ClusterIP")["spec"]["clusterIP"]
    lab.wait_carried("web")
    pod_ip = lab.api.get("Pod", "webapp-a")["status"]["podIP"]
    others = [r for r in (lab.get_from_pod("webapp-a", ip) for _ in range(30)) if r.pod != "webapp-a"]
    assert {r.peer for r in others} == {pod_ip}
    assert {r.name for r in others} == {"webapp 1.0.0", "webapp 2.0.0"}
    for node in NODES:
        assert lab.get_from(node, ip).status == 200


def test_pod_reaches_itself_through_its_service(lab: Lab, make_service: MakeService) -> None:
    make_pod(lab, "alone", {"app": "alone"}, "node1")
    ip = make_service("alone", type="ClusterIP", selector={"app": "alone"})["spec"]["clusterIP"]
    try:
        reply = wait_for("the Pod to reach itself", lambda: lab.get_from_pod("alone", ip, timeout=1))
        assert reply.pod == "alone"
    finally:
        lab.api.delete("Pod", "alone", grace_seconds=0)


def test_load_balancer_address_from_inside(lab: Lab, make_service: MakeService) -> None:
    make_service("web", externalTrafficPolicy="Local")
    address = lab.wait_address("web")
    wait_http(lab, address)
    pod_ip = lab.api.get("Pod", "webapp-a")["status"]["podIP"]
    lab.wait_carried("web")
    replies = [lab.get_from_pod("webapp-a", address) for _ in range(30)]
    assert {r.name for r in replies} == {"webapp 1.0.0", "webapp 2.0.0"}
    assert pod_ip in {r.peer for r in replies}
    assert lab.get_from("node3", address).status == 200  # which has no endpoint


def test_without_endpoints_connections_are_refused(lab: Lab, make_service: MakeService) -> None:
    spec = make_service("web", selector={"app": "nothing"})["spec"]
    address, port, ip = lab.wait_address("web"), spec["ports"][0]["nodePort"], spec["clusterIP"]
    lab.wait_reason("node1", "web", address, "NoEndpoints")
    assert lab.arp_answers(address) == []
    for what, call in {
        "the cluster IP on a node": lambda: lab.get_from("node1", ip, timeout=1),
        "the cluster IP in a Pod": lambda: lab.get_from_pod("webapp-a", ip, timeout=1),
        "the node port": lambda: lab.get(lab.host("node2").address, port, timeout=1),
    }.items():
        wait_for(f"{what} to refuse", lambda c=call: refused(c) == "refused")


def test_terminating_endpoints_are_the_fallback(lab: Lab, make_service: MakeService) -> None:
    make_pod(lab, "drains", {"app": "drains"}, "node2", pre_stop_seconds=4)
    make_service("drains", selector={"app": "drains"})
    address = lab.wait_address("drains")
    wait_http(lab, address)
    lab.api.delete("Pod", "drains")
    wait_for(
        "the endpoint to terminate",
        lambda: [e["conditions"]["terminating"] for e in lab.endpoints("drains")] == [True],
    )
    for _ in range(5):
        assert lab.get(address).pod == "drains"
    make_pod(lab, "fresh", {"app": "drains"}, "node1")
    try:
        wait_for("the ready endpoint alone", lambda: {lab.get(address, timeout=1).pod for _ in range(5)} == {"fresh"})
    finally:
        lab.api.delete("Pod", "fresh", grace_seconds=0)


@contextlib.contextmanager
def pools_that_hold(lab: Lab) -> Iterator[None]:
    text: str = lab.api.get("ConfigMap", "fairlead", "fairlead-system")["data"]["config"]
    config = yaml.safe_load(text)
    for pool in config["address-pools"]:
        pool["terminating"] = "hold"

    def configure(wanted: str) -> None:
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": wanted}}, "fairlead-system")
        published = lambda: lab.api.get("ConfigMap", "fairlead-active", "fairlead-system")["data"]["config"]
        wait_for("the configuration to be published", lambda: published() == wanted)

    configure(yaml.safe_dump(config))
    try:
        yield
    finally:
        configure(text)


@pytest.mark.parametrize(
    ("said", "pool_holds", "hold"),
    [("", False, False), ("hold", False, True), ("", True, True), ("give-way", True, False)],
    ids=["give-way", "hold", "pool-holds", "give-way-of-a-pool-that-holds"],
)
def test_ready_before_terminating(
    lab: Lab, make_service: MakeService, said: str, pool_holds: bool, hold: bool
) -> None:
    with pools_that_hold(lab) if pool_holds else contextlib.nullcontext():
        rolls(lab, make_service, {"fairlead.io/terminating": said} if said else {}, hold)


def rolls(lab: Lab, make_service: MakeService, annotations: dict[str, str], hold: bool) -> None:
    ends = f"ends-{annotations.get('fairlead.io/terminating', 'unsaid')}-{hold}".lower()
    make_pod(lab, ends, {"app": ends}, "node2", pre_stop_seconds=8)
    make_service("rolling", annotations, selector={"app": ends}, externalTrafficPolicy="Local")
    address = lab.wait_address("rolling")
    assert lab.wait_owner(address) == "node2"
    wait_http(lab, address)
    make_pod(lab, "fresh", {"app": ends}, "node1")
    try:
        lab.wait_reason("node1", "rolling", address, "NotOwner")
        lab.api.delete("Pod", ends)
        wait_for(
            "the endpoint to terminate",
            lambda: any(e["conditions"]["terminating"] for e in lab.endpoints("rolling")),
        )
        if hold:
            assert lab.wait_owner(address) == "node2"
            assert lab.get(address).pod == ends
        else:
            lab.wait_reason("node2", "rolling", address, "LocalEndpointEnding")
            lab.wait_owner(address, among=["node1"])
            wait_for("the ready endpoint", lambda: lab.get(address, timeout=1).pod == "fresh")
    finally:
        lab.api.delete("Pod", "fresh", grace_seconds=0)


def test_unready_pods_get_nothing(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    wait_http(lab, address)
    pod = lab.api.get("Pod", "webapp-c")
    where = (lab.host(pod["spec"]["nodeName"]).namespace, pod["status"]["podIP"])
    web.request(where[0], "POST", where[1], 8080, "/health", "503")
    try:
        wait_for("two endpoints", lambda: len(lab.ready_endpoints("web")) == 2)
        wait_for("version 2.0.0 to be out", lambda: {lab.get(address).name for _ in range(20)} == {"webapp 1.0.0"})
    finally:
        web.request(where[0], "POST", where[1], 8080, "/health", "200")
    wait_for("version 2.0.0 to be back", lambda: "webapp 2.0.0" in {lab.get(address).name for _ in range(20)})


def test_udp(lab: Lab, make_service: MakeService) -> None:
    make_service("dns", ports=[{"name": "dns", "port": 5353, "targetPort": 8080, "protocol": "UDP"}])
    address = lab.wait_address("dns")
    lab.wait_owner(address)
    reply = wait_for("a datagram back", lambda: web.udp(lab.client, address, 5353, 1))
    assert reply.name.startswith("webapp")


def test_source_ranges(lab: Lab, make_service: MakeService) -> None:
    make_service("web", loadBalancerSourceRanges=[f"{net.CLIENT}/32"])
    address = lab.wait_address("web")
    wait_http(lab, address)
    lab.api.patch("Service", "web", {"spec": {"loadBalancerSourceRanges": ["10.99.0.0/16"]}})
    wait_for("the client to be shut out", lambda: refused(lambda: lab.get(address, timeout=0.3)) == "timeout")


def test_several_ports(lab: Lab, make_service: MakeService) -> None:
    ports = [
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "alt", "port": 8081, "targetPort": 8080},
    ]
    make_service("web", ports=ports)
    address = lab.wait_address("web")
    wait_http(lab, address)
    assert lab.get(address, 8081).status == 200


def test_external_name_is_left_alone(lab: Lab, make_service: MakeService) -> None:
    make_service("elsewhere", type="ExternalName", externalName="example.com", selector=None, ports=None)
    make_service("web")  # a later one is done, so the former was looked at
    lab.wait_address("web")
    service = lab.api.get("Service", "elsewhere")
    assert (service.get("status") or {}).get("conditions") in (None, [])
    assert (service.get("status") or {}).get("loadBalancer") in (None, {})


def test_other_class_is_left_alone(lab: Lab, make_service: MakeService) -> None:
    make_service("theirs", loadBalancerClass="example.com/other")
    make_service("web")
    lab.wait_address("web")
    assert lab.addresses("theirs") == []
    assert condition(lab, "theirs") == {}


@pytest.mark.parametrize(
    "annotations,spec",
    [
        ({"fairlead.io/addresses": "192.168.1.245"}, {}),
        ({"metallb.universe.tf/loadBalancerIPs": "192.168.1.245"}, {}),
        ({}, {"loadBalancerIP": "192.168.1.245"}),
    ],
    ids=["ours", "metallb", "spec"],
)
def test_address_asked_for(lab: Lab, make_service: MakeService, annotations: dict, spec: dict) -> None:
    make_service("web", annotations, **spec)
    assert lab.wait_address("web") == "192.168.1.245"
    lab.wait_owner("192.168.1.245")


def test_address_outside_the_pools_is_refused(lab: Lab, make_service: MakeService) -> None:
    make_service("web", {"fairlead.io/addresses": "192.168.1.99"})
    assert wait_condition(lab, "web", "AddressOutsidePools")["status"] == "False"
    assert lab.addresses("web") == []


def test_exhausted_pool_serves_again_after_a_deletion(lab: Lab, make_service: MakeService) -> None:
    names = [f"many-{i:02d}" for i in range(12)]
    for name in names:
        make_service(name)
    wait_condition(lab, names[-1], "PoolExhausted")
    given = [lab.wait_address(n) for n in names[:-1]]
    assert sorted(given) == [f"192.168.1.{i}" for i in range(240, 251)]
    lab.api.delete("Service", names[3])
    assert lab.wait_address(names[-1]) == given[3]


def test_deletion_releases(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    wait_http(lab, address)
    lab.api.delete("Service", "web")
    wait_for("ARP to be silent", lambda: lab.arp_answers(address, 0.2) == [])
    for node in NODES:
        wait_for(f"the rules on {node} to go", lambda n=node: not any(address in r for r in our_rules(lab, n)))
    make_service("next")
    assert lab.wait_address("next") == address


def test_type_change_releases(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    lab.wait_owner(address)
    lab.api.patch("Service", "web", {"spec": {"type": "ClusterIP", "externalTrafficPolicy": None}})
    wait_for("ARP to be silent", lambda: lab.arp_answers(address, 0.2) == [])
    assert lab.addresses("web") == []
    make_service("next")
    assert lab.wait_address("next") == address


def test_garbage_in_a_slice_concerns_that_slice_alone(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    wait_http(lab, address)
    garbage = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "garbage", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.244.1.300"], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    }
    try:
        lab.api.create(garbage)
    except LabError:
        odd = {"addresses": ["10.244.255.254"], "nodeName": "x" * 250, "conditions": {"ready": False}}
        garbage["endpoints"] = [odd]
        lab.api.create(garbage)
    try:
        make_service("next")
        wait_http(lab, lab.wait_address("next"))
        for _ in range(20):
            assert lab.get(address).status == 200
    finally:
        lab.api.delete("EndpointSlice", "garbage")


def test_hints_keep_traffic_in_the_zone(lab: Lab, make_service: MakeService) -> None:
    pods = {p["metadata"]["name"]: p for p in (lab.api.get("Pod", name) for name in PODS)}
    one, other = (next(n for n, p in pods.items() if p["spec"]["nodeName"] == node) for node in WITH_PODS)
    zones = dict(zip(NODES, ("a", "b", None), strict=True))
    service = make_service("near", type="ClusterIP", selector=None)
    lab.api.create(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "near-hints", "labels": {"kubernetes.io/service-name": "near"}},
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [pods[pod]["status"]["podIP"]],
                    "conditions": {"ready": True},
                    "hints": {"forZones": [{"name": zone}]},
                }
                for pod, zone in ((one, "a"), (other, "b"))
            ],
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        }
    )

    def label(node: str, zone: str | None) -> None:
        lab.api.patch("Node", node, {"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}}, "")

    def reached(node: str) -> set[str]:
        return {lab.get_from(node, service["spec"]["clusterIP"], timeout=1).pod for _ in range(20)}

    expected = {"a": {one}, "b": {other}, None: {one, other}}
    try:
        for node, zone in zones.items():
            label(node, zone)
        for node, zone in zones.items():
            wait_for(f"{node} to heed the hints", lambda n=node, z=zone: reached(n) == expected[z])
        label("node1", "b")
        wait_for("node1 to go with its zone", lambda: reached("node1") == {other})
    finally:
        for node in NODES:
            label(node, None)
        lab.api.delete("EndpointSlice", "near-hints")


def test_status_command(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    owner = lab.wait_owner(address)
    for node in NODES:
        lab.wait_reason(node, "web", address, "Announced" if node == owner else "NotOwner")
    argv = [lab.program("fairlead"), "status", "--exit-code=answer", "--kubeconfig", str(lab.kubeconfig)]
    text = netns.output(lab.network.control_plane.namespace, argv)
    for word in (address, owner, "lan", "default/web", "Announced"):
        assert word in text
    as_json = json.loads(netns.output(lab.network.control_plane.namespace, [*argv, "-o", "json"]))
    assert {"pools", "services", "nodes"} <= as_json.keys()
