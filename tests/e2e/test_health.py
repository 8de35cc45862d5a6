# SPDX-License-Identifier: Apache-2.0
"""Health checks: node ports of Services with policy Local, and what kube-proxy answers on its port 10256."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from conftest import NODES, WITH_PODS, MakeService, make_pod

from lab import net, netns, web
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

HEALTHZ = 10256
SPEAKER_FLAGS = ("--healthz-bind-address", f"0.0.0.0:{HEALTHZ}")
TAINT = {"key": "ToBeDeletedByClusterAutoscaler", "value": "1767323045", "effect": "NoSchedule"}
JSON = {"content-type": "application/json", "x-content-type-options": "nosniff"}


@dataclass(frozen=True)
class Health:
    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def probe(
    lab: Lab, node: str, port: int, path: str = "/healthz", method: str = "GET", namespace: str = "", host: str = ""
) -> Health:
    """What the node's port says to the client; LabError if it says nothing."""
    connection = web.Connection(namespace or lab.client, host or lab.host(node).address, port, 2.0)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        headers = {k.lower(): v for k, v in response.getheaders()}
        return Health(response.status, response.read().decode(), headers)
    except (OSError, http.client.HTTPException) as error:
        raise LabError(f"{node}:{port}: {type(error).__name__} ({error})") from error
    finally:
        connection.close()


def wait_says(lab: Lab, node: str, port: int, status: int, path: str = "/healthz") -> Health:
    def says() -> Health:
        found = probe(lab, node, port, path)
        if found.status != status:
            raise LabError(f"{found}")
        return found

    return wait_for(f"{node}:{port}{path} to say {status}", says)


def wait_closed(lab: Lab, node: str, port: int) -> None:
    def refused() -> bool:
        try:
            raise LabError(f"{probe(lab, node, port)}")
        except LabError as error:
            if "ConnectionRefusedError" in str(error):
                return True
            raise

    wait_for(f"{node}:{port} to be closed", refused)


def body(name: str, endpoints: int, healthy: str = "true") -> str:
    return (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "%s"\n\t},\n'
        '\t"localEndpoints": %d,\n\t"serviceProxyHealthy": %s\n}' % (name, endpoints, healthy)
    )


def local(lab: Lab, make_service: MakeService, name: str, **spec: Any) -> int:
    """Makes a Service with policy Local; its health-check node port."""
    service = make_service(name, externalTrafficPolicy="Local", **spec)
    return int(service["spec"]["healthCheckNodePort"])


def told(lab: Lab, service: str, reason: str, node: str) -> list[str]:
    events = [e for e in lab.api.objects("Event") if e["reason"] == reason and e["regarding"]["name"] == service]
    return [e["note"] for e in events if f"node {node}:" in e["note"]]


def test_each_node_says_whether_it_has_endpoints(lab: Lab, make_service: MakeService) -> None:
    port = local(lab, make_service, "asked")
    wait_for("endpoints", lambda: len(lab.ready_endpoints("asked")) == 3)
    for node in NODES:
        n = sum(e["nodeName"] == node for e in lab.ready_endpoints("asked"))
        assert (n > 0) == (node in WITH_PODS)

        def says(node: str = node, n: int = n) -> bool:
            found = probe(lab, node, port)
            if (found.status, found.body) != (200 if n else 503, body("asked", n)):
                raise LabError(f"{found}")
            return True

        wait_for(f"{node} to say {n} endpoints", says)
        found = probe(lab, node, port)
        assert JSON.items() | {("x-load-balancing-endpoint-weight", str(n))} <= found.headers.items()
        for method, path in (("HEAD", "/"), ("POST", "/x"), ("OPTIONS", "/healthz?y")):
            again = probe(lab, node, port, path, method)
            assert (again.status, again.headers["content-length"]) == (found.status, str(len(found.body)))
        # From the node itself as well.
        namespace = lab.host(node).namespace
        assert probe(lab, node, port, namespace=namespace, host="127.0.0.1").status == found.status
        health = lab.daemon(node)["health"]
        assert (health["open"], health["failing"]) == (1, [])
        metrics = lab.daemon(node, "/metrics")
        assert 'fairlead_health_ports{state="open"} 1\n' in metrics
        assert f'fairlead_health_answers_total{{port="service",code="{found.status}"}}' in metrics


def test_an_endpoint_that_ends_does_not_count(lab: Lab, make_service: MakeService) -> None:
    """It serves on, and the node carries what still comes."""
    make_pod(lab, "ending", {"app": "ending"}, "node1", pre_stop_seconds=20)
    port = local(lab, make_service, "ending", selector={"app": "ending"})
    assert wait_says(lab, "node1", port, 200).body == body("ending", 1)
    lab.api.delete("Pod", "ending")
    assert wait_says(lab, "node1", port, 503).body == body("ending", 0)
    assert [e["conditions"]["serving"] for e in lab.endpoints("ending")] == [True]


@pytest.fixture
def annotated(lab: Lab) -> Iterator[None]:
    yield
    for node in NODES:
        lab.api.patch("Node", node, {"metadata": {"annotations": {"fairlead.io/drain": None}}}, "")


def test_a_drained_node_is_unhealthy(lab: Lab, make_service: MakeService, annotated: None) -> None:
    port = local(lab, make_service, "drained")
    n = json.loads(wait_says(lab, "node1", port, 200).body)["localEndpoints"]
    for number in (port, HEALTHZ):
        wait_says(lab, "node1", number, 200)
        wait_says(lab, "node2", number, 200)
    lab.api.patch("Node", "node1", {"metadata": {"annotations": {"fairlead.io/drain": "true"}}}, "")
    assert wait_says(lab, "node1", port, 503).body == body("drained", n, "false")
    assert json.loads(wait_says(lab, "node1", HEALTHZ, 503).body)["nodeEligible"] is False
    assert probe(lab, "node1", HEALTHZ, "/livez").status == 200
    assert probe(lab, "node2", port).status == probe(lab, "node2", HEALTHZ).status == 200
    lab.api.patch("Node", "node1", {"metadata": {"annotations": {"fairlead.io/drain": None}}}, "")
    wait_says(lab, "node1", port, 200)
    wait_says(lab, "node1", HEALTHZ, 200)


def test_a_node_that_the_autoscaler_deletes_is_not_eligible(lab: Lab, make_service: MakeService) -> None:
    """As with kube-proxy its Services go on being served."""
    port = local(lab, make_service, "scaled")
    wait_says(lab, "node2", port, 200)
    found = wait_says(lab, "node2", HEALTHZ, 200)
    assert JSON.items() <= found.headers.items()
    said = json.loads(found.body)
    assert list(said) == ["lastUpdated", "currentTime", "nodeEligible", "healthy", "status"]
    assert said["lastUpdated"] == said["currentTime"] and said["nodeEligible"] and said["healthy"]
    assert said["status"]["IPv4"]["healthy"] is True
    lab.api.patch("Node", "node2", {"spec": {"taints": [TAINT]}}, "")
    try:
        said = json.loads(wait_says(lab, "node2", HEALTHZ, 503).body)
        assert (said["nodeEligible"], said["healthy"]) == (False, True)
        assert list(json.loads(probe(lab, "node2", HEALTHZ, "/livez").body))[2] == "healthy"
        assert probe(lab, "node2", HEALTHZ, "/livez").status == 200
        assert probe(lab, "node2", port).status == 200
    finally:
        lab.api.patch("Node", "node2", {"spec": {"taints": None}}, "")
    wait_says(lab, "node2", HEALTHZ, 200)
    assert probe(lab, "node2", HEALTHZ, "/other").body == "404 page not found\n"


def test_a_port_that_another_program_has(lab: Lab, make_service: MakeService) -> None:
    """The node says so, the others serve theirs; and when it is free again it is served."""
    port = 31999
    with netns.entered(lab.host("node1").namespace):
        other = socket.create_server(("0.0.0.0", port))
    with contextlib.closing(other):
        assert local(lab, make_service, "taken", healthCheckNodePort=port) == port
        wait_says(lab, "node2", port, 200)
        note = wait_for("the Event", lambda: told(lab, "taken", "HealthPortFailed", "node1"), 20)[0]
        assert f"node node1: health-check node port {port}: the port is in use. " in note
        failing = {"service": "default/taken", "port": port, "error": "the port is in use"}
        assert lab.daemon("node1")["health"]["failing"] == [failing]
        assert 'fairlead_health_ports{state="failing"} 1\n' in lab.daemon("node1", "/metrics")
        assert not told(lab, "taken", "HealthPortFailed", "node2")
    wait_says(lab, "node1", port, 200)
    wait_for("the Event", lambda: told(lab, "taken", "HealthPortOpen", "node1"), 20)
    assert lab.daemon("node1")["health"]["failing"] == []


def test_a_port_goes_with_its_service_and_its_policy(lab: Lab, make_service: MakeService) -> None:
    port = local(lab, make_service, "gone")
    wait_says(lab, "node1", port, 200)
    lab.api.patch("Service", "gone", {"spec": {"externalTrafficPolicy": "Cluster"}})
    wait_closed(lab, "node1", port)
    service = lab.api.patch("Service", "gone", {"spec": {"externalTrafficPolicy": "Local"}})
    port = service["spec"]["healthCheckNodePort"]
    wait_says(lab, "node1", port, 200)
    lab.api.delete("Service", "gone")
    wait_closed(lab, "node1", port)

    def lets_in() -> bool:
        return any(f"--dport {port} " in rule for rule in lab.iptables("node1", "filter"))

    wait_for("the rule to be gone", lambda: not lets_in())


def test_a_firewall_of_the_host_lets_health_checks_in(lab: Lab, make_service: MakeService) -> None:
    """Also one that refuses packets of connections that are there."""
    port = local(lab, make_service, "walled")
    wait_says(lab, "node1", port, 200)
    rule = ["INPUT", "-s", net.CLIENT, "-p", "tcp", "-j", "DROP"]
    netns.output(lab.host("node1").namespace, ["iptables", "-w", "5", "-A", *rule])
    try:
        with pytest.raises(LabError, match="Timeout"):
            probe(lab, "node1", HEALTHZ)
        assert probe(lab, "node1", port).status == 200
    finally:
        netns.output(lab.host("node1").namespace, ["iptables", "-w", "5", "-D", *rule])


def test_in_mode_none_the_ports_are_kube_proxys(lab: Lab, make_service: MakeService) -> None:
    port = local(lab, make_service, "other")
    wait_says(lab, "node3", port, 503)
    speaker = lab.processes.pop("speaker-node3")
    argv = speaker.argv
    assert speaker.stop() == 0
    none = lab.start_speaker("node3", "--proxy-mode", "none")
    wait_for("node3's speaker to be ready", lambda: lab.daemon("node3", "/readyz"))
    wait_closed(lab, "node3", port)
    with netns.entered(lab.host("node3").namespace):
        socket.create_server(("0.0.0.0", port)).close()
    assert "health" not in lab.daemon("node3")
    assert none.stop() == 0
    lab.processes.pop("speaker-node3")
    lab.start("speaker-node3", argv, lab.host("node3").namespace)
    wait_says(lab, "node3", port, 503)
