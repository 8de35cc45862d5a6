# SPDX-License-Identifier: Apache-2.0
"""What Fairlead says of itself: `fairlead status`, the daemons' HTTP side, and work that is counted."""

import json
import re
import subprocess
from typing import Any

import pytest
from conftest import NODES, MakeService

from lab import net, netns
from lab.cluster import SOURCE, Lab
from lab.waiting import LabError, wait_for


def fairlead(lab: Lab, *words: str, code: int = 0) -> str:
    """What a command prints on the control plane; it must end with that code."""
    argv = [lab.program("fairlead"), *words, "--kubeconfig", str(lab.kubeconfig)]
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def status(lab: Lab, *flags: str, code: int = 0) -> str:
    return fairlead(lab, "status", *flags, code=code)


def quiet_stats(lab: Lab, node: str) -> dict[str, Any]:
    """A speaker's counters once they stand still."""
    before: dict[str, Any] = {}

    def still() -> dict[str, Any]:
        nonlocal before
        said = lab.daemon(node)
        if not said["proxy"]["in_sync"]:
            raise LabError("the data plane is not in sync")
        now = {**said["stats"], "rendered": said["proxy"]["rendered"], "lines": said["proxy"]["lines_written"]}
        last, before = before, {k: v for k, v in now.items() if k != "turns"}
        if last != before:
            raise LabError(f"{now}")
        return before

    return wait_for("the speaker to be at rest", still)


def test_status_shows_the_whole(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    make_service("empty", selector={"app": "nothing"})
    address, empty = lab.wait_address("web"), lab.wait_address("empty")
    owner = lab.wait_owner(address)
    lab.wait_reason(owner, "web", address, "Announced")
    seen = json.loads(status(lab, "-o", "json", code=1))
    (finding,) = seen["verdict"]["findings"]
    assert (finding["reason"], finding["object"]) == ("NoEndpoints", f"Service default/empty, {empty}")
    assert seen["controller"]["leader"].startswith("controller-")
    (pool,) = seen["pools"]
    assert (pool["name"], pool["total"], pool["used"], pool["free"]) == ("lan", 11, 2, 9)
    services = {s["name"]: s["addresses"][0] for s in seen["services"]}
    assert services["web"]["address"] == address
    assert services["web"]["owner"] == owner
    assert services["web"]["mac"] == lab.host(owner).mac
    assert {n["node"] for n in services["web"]["nodes"] if not n["announce"]} == set(NODES) - {owner}
    assert (services["web"]["cause"], services["web"]["candidates"]) == ("OwnerFirst", list(NODES))
    assert services["web"]["held_ms"] >= 0
    assert services["empty"]["address"] == empty
    assert {n["reason"] for n in services["empty"]["nodes"]} == {"NoEndpoints"}
    assert [n["name"] for n in seen["nodes"]] == list(NODES)
    for node in seen["nodes"]:
        assert node["speaker"]["reachable"] and node["speaker"]["fresh"]
        assert node["speaker"]["peers_alive"] == len(NODES) - 1
    text = status(lab, code=1)
    (row,) = (line.split() for line in text.splitlines() if line.startswith("  default/web "))
    assert text.startswith("degraded\n  NoEndpoints\n")
    assert (row[1:4], row[-1]) == ([address, "lan", owner], "Announced")
    lab.api.delete("Service", "empty")
    assert status(lab, "--summary", "--wait") == "OK\n"


def test_l2_shows_segments_peers_and_moves(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    owner = lab.wait_owner(address)
    lab.wait_reason(owner, "web", address, "Announced")
    seen = json.loads(fairlead(lab, "l2", "-o", "json", "--wait"))
    assert [(s["node"], s["state"]) for s in seen["segments"]] == [(n, "up") for n in NODES]
    heard = {(p["by"], p["node"]) for p in seen["peers"] if p["alive"] and p["lately"]["messages"] == 64}
    assert heard == {(a, b) for a in NODES for b in NODES if a != b}
    (claim,) = seen["addresses"]
    assert (claim["address"], claim["owner"], claim["cause"]) == (address, owner, "OwnerFirst")
    lab.api.patch("Node", owner, {"metadata": {"annotations": {"fairlead.io/drain": "true"}}}, "")

    def moved() -> Any:
        moves = json.loads(fairlead(lab, "l2", "-o", "json"))["moves"]
        return next((m for m in moves if m["address"] == address), None)

    try:
        move = wait_for("the move to be told", moved)
    finally:
        lab.api.patch("Node", owner, {"metadata": {"annotations": {"fairlead.io/drain": None}}}, "")
    assert (move["address"], move["service"], move["from"]) == (address, "default/web", owner)
    assert move["cause"] == "OwnerReleased" and move["took_ms"] >= 0
    assert f"{move['to']} has had it for" in fairlead(lab, "explain", "web")


def test_explain_asks_every_speaker(lab: Lab, make_service: MakeService) -> None:
    make_service("web", externalTrafficPolicy="Local")
    address = lab.wait_address("web")
    owner = lab.wait_owner(address)
    lab.wait_reason(owner, "web", address, "Announced")
    (said,) = json.loads(fairlead(lab, "explain", "web", "-o", "json"))
    assert (said["address"], said["pool"]) == (address, "lan")
    assert {n["node"]: n["announce"] for n in said["nodes"]} == {n: n == owner for n in NODES}
    reasons = {n["node"]: n["reason"] for n in said["nodes"]}
    assert reasons[owner] == "Announced"
    assert reasons["node3"] == "NoLocalEndpoint"
    text = fairlead(lab, "explain", "default/web", "--node", "node3")
    assert "externalTrafficPolicy: Cluster" in text
    assert "node1" not in text
    text = fairlead(lab, "explain", "web", "--speaker-port", "1", code=3)
    silent = [n for n in NODES if f"{n}  layer2    no         SpeakerSilent" in text]
    assert silent
    assert f"By layer2 no node is known to announce it; no answer from {', '.join(silent)}." in text
    assert fairlead(lab, "explain", "nobody", code=1) == ""


def test_status_names_a_speaker_that_does_not_answer(lab: Lab) -> None:
    lab.speaker("node2").pause()
    try:
        seen = json.loads(status(lab, "-o", "json", code=1))
    finally:
        lab.speaker("node2").resume()
    reachable = {n["name"]: n["speaker"]["reachable"] for n in seen["nodes"]}
    assert reachable == {"node1": True, "node2": False, "node3": True}


@pytest.mark.embedded
def test_status_tells_a_missing_speaker_from_a_silent_one(lab: Lab) -> None:
    """Speakers get Pods, which the lab runs without; its kubelet is not to touch them."""
    namespace = "fairlead-system"
    labels = {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "speaker"}
    runs = {"phase": "Running", "containerStatuses": [{"name": "speaker", "state": {"running": {}}}]}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
    crashes = {"phase": "Running", "containerStatuses": [{"name": "speaker", "state": {"waiting": waiting}}]}

    def found() -> list[tuple[str, str, str]]:
        findings = json.loads(status(lab, "-o", "json", code=1))["verdict"]["findings"]
        return [(f["object"], f["reason"], f["message"]) for f in findings if f["reason"].startswith("Speaker")]

    lab.processes["kubelet"].pause()
    lab.speaker("node2").pause()
    try:
        for node in NODES:
            meta = {"name": f"speaker-{node}", "namespace": namespace, "labels": labels}
            spec = {"nodeName": node, "containers": [{"name": "speaker", "image": "fairlead"}]}
            lab.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
            lab.api.patch("Pod", meta["name"], {"status": runs}, namespace, "status")
        ((where, reason, message),) = found()
        assert (where, reason) == ("node node2", "SpeakerSilent")
        assert message.startswith("Pod speaker-node2 runs; unreachable")
        lab.api.patch("Pod", "speaker-node2", {"status": crashes}, namespace, "status")
        crashing = "Pod speaker-node2, container speaker: CrashLoopBackOff: back-off 10s"
        assert found() == [("node node2", "SpeakerNotRunning", crashing)]
        lab.api.delete("Pod", "speaker-node2", namespace, 0)
        assert found() == [("node node2", "SpeakerMissing", "the node has no Pod of a speaker")]
    finally:
        for pod in lab.api.objects("Pod", namespace):
            lab.api.delete("Pod", pod["metadata"]["name"], namespace, 0)
        lab.speaker("node2").resume()
        lab.processes["kubelet"].resume()


def test_version_asks_every_daemon(lab: Lab) -> None:
    """Controllers that run by hand have no Pods to be found by."""
    seen = json.loads(fairlead(lab, "version", "-o", "json"))
    assert seen["verdict"]["level"] == "OK" and seen["controllers"] == []
    assert {s["node"]: s["version"] for s in seen["speakers"]} == dict.fromkeys(NODES, seen["version"])
    assert fairlead(lab, "version", "--client") == f"fairlead {seen['version']}\n"
    text = fairlead(lab, "version", "--speaker-port", "1", code=2)
    assert text.startswith(f"fairlead {seen['version']}\ndown\n  SpeakerMissing\n")


def test_what_is_published_names_its_config_map(lab: Lab) -> None:
    annotations = lab.api.get("ConfigMap", "fairlead-active", "fairlead-system")["metadata"]["annotations"]
    assert annotations["fairlead.io/config-map"] == "fairlead"
    assert lab.daemon("controller-a")["config"]["config_map"] == "fairlead"


@pytest.mark.kubernetes
def test_who_reaches_the_api_server_alone_asks_by_way_of_it(lab: Lab) -> None:
    """Of the node that has no speaker nothing is known; why is what was found on the way to it."""
    routes = [f"unreachable {lab.host(n).address}/32" for n in NODES]
    netns.configure(lab.client, [f"route add {r}" for r in routes])
    lab.speaker("node2").pause()
    try:
        argv = [lab.program("fairlead"), "status", "-o", "json", "--kubeconfig", str(lab.kubeconfig)]
        with netns.entered(lab.client):
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
    finally:
        lab.speaker("node2").resume()
        netns.configure(lab.client, [f"route del {r}" for r in routes])
    assert done.returncode == 1, done.stderr
    speakers = {n["name"]: n["speaker"] for n in json.loads(done.stdout)["nodes"]}
    assert {n: s["reachable"] for n, s in speakers.items()} == {"node1": True, "node2": False, "node3": True}
    assert "unreachable" in speakers["node2"]["error"]


@pytest.mark.embedded
def test_status_without_an_api_server(lab: Lab) -> None:
    lab.set_faults(rules=[{"agent": "fairlead/", "code": 503}])
    try:
        assert status(lab, code=1) == ""
    finally:
        lab.set_faults()


@pytest.mark.embedded
@pytest.mark.parametrize("command", ["status", "pools", "bgp", "explain web", "plan"])
def test_what_is_no_list_is_no_empty_cluster(lab: Lab, command: str) -> None:
    """A 200 from something that is no API server."""
    lab.set_faults(rules=[{"agent": "fairlead/", "code": 200}])
    try:
        config = ["--config", str(SOURCE / "examples" / "fairlead.yaml")] if command == "plan" else []
        assert fairlead(lab, *command.split(), *config, code=1) == ""
    finally:
        lab.set_faults()


@pytest.mark.embedded
def test_an_object_that_cannot_be_read_is_told(lab: Lab) -> None:
    lab.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "odd"}})
    try:
        status_of_node = {"addresses": [{"type": "InternalIP", "address": "x"}]}
        lab.api.patch("Node", "odd", {"status": status_of_node}, subresource="status")
        assert "node1" in fairlead(lab, "status", code=1)
        assert "node1" in fairlead(lab, "bgp", code=1)
    finally:
        lab.api.delete("Node", "odd")


def passes_by_service(lab: Lab) -> dict[str, int]:
    return {s["name"]: s["passes"] for s in lab.daemon("node1")["services"]}


def test_one_change_is_one_pass(lab: Lab, make_service: MakeService) -> None:
    for i in range(5):
        make_service(f"many{i}")
        lab.wait_address(f"many{i}")
    before = quiet_stats(lab, "node1")
    lab.api.patch("Service", "many3", {"metadata": {"annotations": {"example.com/note": "no difference"}}})
    unchanged = quiet_stats(lab, "node1")
    assert unchanged["passes"] == before["passes"]
    assert unchanged["rendered"] == before["rendered"]
    assert unchanged["publishes"] == before["publishes"]
    passes = passes_by_service(lab)
    lab.api.patch("Service", "many3", {"spec": {"sessionAffinity": "ClientIP"}})
    wait_for("the speaker to see it", lambda: lab.daemon("node1")["stats"]["passes"] > before["passes"])
    after = quiet_stats(lab, "node1")
    assert after["passes"] == before["passes"] + 1
    assert after["rendered"] == before["rendered"] + 1
    # Ownership does not hang on the affinity: layer 2 is not told anything.
    assert after["publishes"] == before["publishes"]
    passes_after = passes_by_service(lab)
    assert passes_after == {**passes, "many3": passes["many3"] + 1}


def curl(namespace: str, *argv: str) -> str:
    return netns.output(namespace, ["curl", "-s", "-w", " %{http_code}", *argv]).strip()


def test_metrics_and_probes(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    owner = lab.wait_owner(address)
    lab.wait_reason(owner, "web", address, "Announced")
    url = f"http://{lab.host(owner).address}:17482"
    here = lab.network.control_plane.namespace
    text = curl(here, f"{url}/metrics")
    assert f'fairlead_announced{{service="default/web",address="{address}",interface="eth0"}} 1' in text
    assert 'fairlead_decision{reason="Announced"}' in text
    assert 'fairlead_kube_synced{kind="services"} 1' in text
    assert curl(here, f"{url}/healthz") == "ok\n 200"
    assert curl(here, f"{url}/readyz") == "ok\n 200"
    assert curl(here, f"{url}/nothing").endswith(" 404")
    assert curl(here, "-X", "POST", "-d", "", f"{url}/status").endswith(" 405")


@pytest.mark.parametrize("level", ["debug", "info"])
def test_log_level_is_set_from_the_node_only(lab: Lab, level: str) -> None:
    node = lab.host("node1")
    url = f"http://{node.address}:17482/loglevel"
    assert curl(lab.network.control_plane.namespace, "-X", "PUT", "-d", level, url).endswith(" 403")
    assert curl(node.namespace, "-X", "PUT", "-d", level, "http://127.0.0.1:17482/loglevel") == f"{level}\n 200"
    assert curl(node.namespace, url) == f"{level}\n 200"


def test_every_metric_has_the_labels_that_are_documented(lab: Lab) -> None:
    page = (SOURCE / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", page, re.MULTILINE)
    documented = {name: re.findall(r"\w+", labels) for name, _, labels in rows}
    for name in [name for name, kind, _ in rows if kind == "histogram"]:
        labels = documented.pop(name)
        documented |= {f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": [*labels, "le"]}
    here = lab.network.control_plane.namespace
    for url in (f"http://{lab.host('node1').address}:17482", f"http://{net.CONTROL_PLANE}:17481"):
        samples = re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", curl(here, f"{url}/metrics"), re.MULTILINE)
        assert samples
        for name, labels in samples:
            assert re.findall(r'(\w+)="', labels) == documented[name], name
