# SPDX-License-Identifier: Apache-2.0
"""`fairlead sysdump` of nodes with rules and a bgpd: what is in it, what is not, and who else may have a node's dumps.

What it makes of an API server's answers is tried in tests/cli/sysdump.
"""

import base64
import io
import json
import secrets
import signal
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from conftest import PODS, open_lab

from lab import frr, net, netns
from lab.cluster import Lab
from lab.router import ADDRESS, Router
from lab.waiting import wait_for

pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")

NAMESPACE = "fairlead-system"
NODES = ("node1", "node2")
PASSWORD, KEY, INLINE = (f"planted-{secrets.token_hex(12)}" for _ in range(3))
SLOW = 60.0


def make_secret(lab: Lab, name: str, **data: str) -> None:
    encoded = {k.replace("_", "-"): base64.b64encode(v.encode()).decode() for k, v in data.items()}
    meta = {"name": name, "namespace": NAMESPACE}
    lab.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded})


def tell_pod(lab: Lab, node: str) -> None:
    """The speaker's Pod, which the lab runs without; nobody is left to touch its status."""
    labels = {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "speaker"}
    meta = {"name": f"fairlead-speaker-{node}", "namespace": NAMESPACE, "labels": labels}
    spec = {"nodeName": node, "containers": [{"name": "speaker", "image": "fairlead"}]}
    lab.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    status = {"status": {"podIP": lab.host(node).address}}
    lab.api.patch("Pod", f"fairlead-speaker-{node}", status, NAMESPACE, "status")


def tell_api_server(lab: Lab) -> None:
    """The slice that API servers keep of themselves; the embedded one does not."""
    meta = {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}}
    ports = [{"name": "https", "port": net.API_PORT, "protocol": "TCP"}]
    endpoints = [{"addresses": [net.CONTROL_PLANE]}]
    kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    lab.api.create({**kind, "metadata": meta, "ports": ports, "endpoints": endpoints})


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    """One peer has its password from the Secret, one, which nobody is, in the configuration itself."""
    with open_lab() as lab:
        opened = Router(lab)
        opened.start()
        for node in NODES:
            opened.bgpd.configure("router bgp 64513", f"neighbor {lab.host(node).address} password {PASSWORD}")
        lab.start_cluster()
        lab.apply("bgp/fairlead.yaml")
        lab.apply("webapp.yaml")
        if not lab.real:
            tell_api_server(lab)
        make_secret(lab, "fairlead-heartbeat", key=KEY)
        make_secret(lab, "fairlead-bgp-passwords", tor_a=PASSWORD)
        config = lab.api.get("ConfigMap", "fairlead", NAMESPACE)["data"]["config"]
        config = config.replace("  hold-time: 9s\n", "  hold-time: 9s\n  password-secret: tor-a\n")
        other = f"- {{my-asn: 64512, peer-asn: 64999, peer-address: {net.LAN_PREFIX}.99, password: {INLINE}}}\n"
        assert config.startswith("peers:\n")
        config = config.replace("peers:\n", "peers:\n" + other)
        applied = json.dumps({"data": {"config": f"password: {INLINE}"}})
        annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
        patch = {"metadata": {"annotations": annotations}, "data": {"config": config}}
        lab.api.patch("ConfigMap", "fairlead", patch, NAMESPACE)
        lab.start_controller("a")
        given = ("--heartbeat-key-secret", "fairlead-heartbeat", "--bgp-password-secret", "fairlead-bgp-passwords")
        for node in NODES:
            lab.start_speaker(node, "--bgp-socket-dir", str(opened.socket_directory(node)), *given)
        wait_for("the Pods to be ready", lambda: all(lab.pod_ready(p) for p in PODS), SLOW)
        for node in NODES:
            wait_for("the peer", lambda n=node: INLINE in opened.bgpds[n].running_config(), SLOW)
            wait_for("a session", lambda n=node: any(p["established"] for p in lab.daemon(n)["bgp"]["peers"]), SLOW)
        make_service(lab)
        lab.processes["kubelet"].stop()
        for node in NODES:
            tell_pod(lab, node)
        yield opened
        lab.stop_daemons()


@pytest.fixture(scope="module")
def lab(router: Router) -> Lab:
    return router.lab


def make_service(lab: Lab) -> None:
    spec = {"type": "LoadBalancer", "selector": {"app": "webapp"}, "ports": [{"port": 80, "targetPort": "http"}]}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "near"}, "spec": spec})
    lab.wait_owner(lab.wait_address("near"))
    wait_for("its rules", lambda: all(lab.daemon(n)["proxy"]["in_sync"] for n in NODES), SLOW)


def sysdump(lab: Lab, namespace: str, code: int) -> dict[str, str]:
    argv = [lab.program("fairlead"), "sysdump", "--file", "-", "--kubeconfig", str(lab.kubeconfig)]
    with netns.entered(namespace):
        done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r:gz") as tar:
        files = {m.name.split("/", 1)[1]: tar.extractfile(m) for m in tar.getmembers()}
        return {name: f.read().decode() for name, f in files.items() if f}


def assert_dumps(files: dict[str, str], node: str) -> None:
    rules, bgp = files[f"speakers/{node}/rules.txt"], files[f"speakers/{node}/bgp.txt"]
    assert ":FL-" in rules and "# ip6tables-" in rules and "\n# Completed" in rules, rules
    assert f"neighbor {ADDRESS} password ***\n" in bgp and "BGP router identifier" in bgp, bgp
    compared = json.loads(files[f"speakers/{node}/differences.json"])["families"]
    assert compared[0]["state"] == "compared" and not compared[0]["differences"], compared
    assert "fairlead_announced" in files[f"speakers/{node}/metrics.txt"]
    assert f'"node":"{node}"' in files[f"speakers/{node}/status.json"]


def test_no_secret_leaves_and_all_else_is_there(lab: Lab, router: Router) -> None:
    """The lab has no Pods of controllers, and nobody whom the API server could ask for logs."""
    assert PASSWORD in router.bgpds["node1"].running_config(), "bgpd shows what it was told"
    files = sysdump(lab, lab.network.control_plane.namespace, code=1)
    for planted in (PASSWORD, KEY, INLINE, base64.b64encode(KEY.encode()).decode()):
        assert not [name for name, text in files.items() if planted in text]
    for node in NODES:
        assert_dumps(files, node)
    missing = {line.split(": ")[0] for line in files["missing.txt"].splitlines()}
    assert missing == {f"logs/fairlead-speaker-{n}/speaker.log" for n in NODES}, files["missing.txt"]
    assert "password: ***" in files["config/wanted.yaml"] and "password-secret: tor-a" in files["config/in-force.yaml"]
    assert '"near"' in files["objects/services.json"] and "near-" in files["objects/endpointslices.json"]
    assert "fairlead.io/controller" in files["objects/events-controller.json"]


def curl(namespace: str, url: str) -> str:
    return netns.output(namespace, ["curl", "-s", "-w", " %{http_code}", url]).strip()


def test_dumps_are_for_the_node_and_the_api_server_alone(lab: Lab) -> None:
    node = lab.host("node1")
    for path in ("/dump/rules", "/dump/bgp"):
        url = f"http://{node.address}:17482{path}"
        assert curl(node.namespace, url).endswith(" 200")
        assert curl(lab.network.control_plane.namespace, url).endswith(" 200")
        for neighbour in (lab.client, lab.host("node2").namespace):
            assert curl(neighbour, url) == (
                "this is for clients on this host, with a token, and by way of the API server\n 403"
            )


@pytest.mark.kubernetes
def test_who_reaches_the_api_server_alone_gets_them_by_way_of_it(lab: Lab) -> None:
    """From where the speakers cannot be reached, and from where they refuse."""
    files = sysdump(lab, lab.client, code=1)
    for node in NODES:
        assert_dumps(files, node)
    routes = [f"unreachable {lab.host(n).address}/32" for n in NODES]
    netns.configure(lab.client, [f"route add {r}" for r in routes])
    try:
        files = sysdump(lab, lab.client, code=1)
    finally:
        netns.configure(lab.client, [f"route del {r}" for r in routes])
    for node in NODES:
        assert_dumps(files, node)


def test_a_silent_speaker_is_named(lab: Lab) -> None:
    lab.speaker("node2").pause()
    try:
        files = sysdump(lab, lab.network.control_plane.namespace, code=1)
    finally:
        lab.speaker("node2").resume()
    assert "speakers/node2: unreachable: timed out\n" in files["missing.txt"]
    assert not [name for name in files if name.startswith("speakers/node2/")]
    assert_dumps(files, "node1")


def test_a_hung_bgpd_keeps_nothing_else_from_being_told(lab: Lab, router: Router) -> None:
    """The last one here: what came of it is shown to all who ask within the next seconds."""
    router.bgpds["node1"].signal(signal.SIGSTOP)
    try:
        node = lab.host("node1")
        url = f"http://{node.address}:17482/dump/bgp"
        wait_for("what was there before to be forgotten", lambda: "no reply" in curl(node.namespace, url), SLOW)
        files = sysdump(lab, lab.network.control_plane.namespace, code=1)
    finally:
        router.bgpds["node1"].signal(signal.SIGCONT)
    assert "no reply within 5000 ms" in files["speakers/node1/bgp.txt"], files["speakers/node1/bgp.txt"]
    assert ":FL-" in files["speakers/node1/rules.txt"]
    assert_dumps(files, "node2")
