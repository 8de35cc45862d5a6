# SPDX-License-Identifier: Apache-2.0
"""`fairlead test` with real packets: what it finds where all is well, and where one part is broken."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import NODES, open_lab

from docs.commands import difference, given_to
from lab import netns
from lab.cluster import Lab
from lab.waiting import wait_for

# The embedded API server has no Deployments.
pytestmark = pytest.mark.kubernetes

NAMESPACE = "fairlead-system"
CONTROLLERS = ("deployment-controller", "replicaset-controller", "namespace-controller")
LABELS = {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "speaker"}


def daemon_set() -> dict[str, Any]:
    """The chart's, of which the image is read; the lab runs its speakers without Pods."""
    container = {"name": "speaker", "image": "fairlead:0.1.0", "args": []}
    pod = {"nodeSelector": {"no": "where"}, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "fairlead-speaker", "namespace": NAMESPACE, "labels": LABELS},
        "spec": {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": pod}},
    }


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        opened.start_cluster(*CONTROLLERS)
        opened.apply("fairlead.yaml")
        opened.api.call("POST", f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets", daemon_set())
        opened.start_controller("a")
        for node in NODES:
            opened.start_speaker(node)
        for node in NODES:
            wait_for(f"{node}'s speaker to be ready", lambda n=node: opened.daemon(n, "/readyz"))
        yield opened
        opened.stop_daemons()


def command(lab: Lab, *flags: str) -> list[str]:
    access = () if "--kubeconfig" in flags else ("--kubeconfig", str(lab.kubeconfig))
    return [str(lab.program("fairlead")), "test", *access, *flags]


def run(lab: Lab, *flags: str, host: str = "client") -> subprocess.CompletedProcess[str]:
    with netns.entered(lab.host(host).namespace):
        return subprocess.run(command(lab, *flags), capture_output=True, text=True, check=False)


def told(lab: Lab, *flags: str, host: str = "client") -> tuple[int, dict[tuple[str, str | None], tuple[str, str]], Any]:
    """The exit status, result and message of each check by its name and policy, and all that was said."""
    done = run(lab, "-o", "json", *flags, host=host)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    checks = {(c["check"], c["policy"]): (c["result"], c["message"]) for c in said["checks"]}
    return done.returncode, checks, said


def namespaces(lab: Lab) -> list[str]:
    return [n["metadata"]["name"] for n in lab.api.objects("Namespace") if "fairlead-test" in n["metadata"]["name"]]


def test_all_is_well(lab: Lab) -> None:
    """Under the level `restricted`, which the API server enforces."""
    done = run(lab)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].endswith("image fairlead:0.1.0")
    assert lines[-1] == "17 ok, 0 failed, 1 skipped", done.stdout
    assert [line for line in lines if line.startswith("skipped")] == [
        "skipped  policy Local, node ports from the nodes: policy Local may take Pods for clients of the cluster; "
        "--host-network asks as the nodes"
    ]
    assert "ok       policy Local, client's address: the Pod sees 192.168.1.100, which is this machine" in lines
    assert namespaces(lab) == []
    for page in given_to("tests/e2e/test_command_test.py::test_all_is_well"):
        assert not page.shown or not (wrong := difference(page.shown, done.stdout)), f"{page}\n{wrong}"


def test_on_the_network_of_the_hosts(lab: Lab) -> None:
    status, checks, said = told(lab, "--host-network")
    assert status == 0, said
    assert said["passed"] and said["left"] is None and said["ended"] is None
    assert {c[0] for c in checks.values()} == {"ok"}
    assert checks["client-address-of-nodes", "Local"][1] == "the Pod sees the nodes that ask"
    assert checks["node-ports-from-nodes", "Local"][1] == "from 3 nodes"


def test_another_image(lab: Lab) -> None:
    status, checks, said = told(lab, "--image", "docker.io/traefik/whoami:v1.10.3", "--port", "80")
    assert status == 0, said
    assert checks["address-from-here", "Local"] == ("ok", f"{said['address']}:80 answers")
    assert checks["client-address", "Local"] == ("skipped", "the image's answer does not say who asked")


def test_the_echo_goes_where_the_address_may_be_announced(lab: Lab) -> None:
    """It begins on node1, which is drained; afterwards node2 takes Pods, too."""
    drain = {"metadata": {"annotations": {"fairlead.io/drain": "true"}}}
    lab.api.patch("Node", "node1", drain, "")
    lab.api.patch("Node", "node2", {"spec": {"unschedulable": True}}, "")
    with netns.entered(lab.client):
        process = subprocess.Popen(command(lab, "-o", "json"), stdout=subprocess.PIPE, text=True)
    try:
        wait_for("the echo's Pod", lambda: [p for p in lab.api.objects("Pod") if "echo" in p["metadata"]["name"]], 20)
        wait_for("it to run", lambda: lab.api.objects("Pod")[0].get("status", {}).get("podIP"), 20)
    finally:
        lab.api.patch("Node", "node2", {"spec": {"unschedulable": None}}, "")
        said = json.loads(process.communicate()[0])
        lab.api.patch("Node", "node1", {"metadata": {"annotations": {"fairlead.io/drain": None}}}, "")
    assert process.returncode == 0, said
    assert [c["message"] for c in said["checks"] if c["check"] == "pod"] == ["on node1", "on node2"]
    announced = [c["message"] for c in said["checks"] if c["check"] == "announced" and c["policy"] == "Local"]
    assert announced == ["by layer 2: node2"]


# ---- what it finds ----


def test_no_such_pool(lab: Lab) -> None:
    status, checks, said = told(lab, "--address-pool", "nowhere", "--timeout", "5")
    result, why = checks["address", None]
    assert (status, result) == (1, "failed")
    assert why.startswith("none: NoSuchPool: ") and "nowhere" in why and why.endswith("or add the pool.")
    assert list(checks)[-1] == ("address", None)
    assert said["left"] is None and namespaces(lab) == []


@contextmanager
def without_speakers(lab: Lab, *nodes: str) -> Iterator[None]:
    """They are killed, and so what is new gets no rules there."""
    for node in nodes:
        lab.speaker(node).kill()
    try:
        yield
    finally:
        for node in nodes:
            lab.restart(f"speaker-{node}")
        for node in nodes:
            wait_for(f"{node}'s speaker to be ready", lambda n=node: lab.daemon(n, "/readyz"), 30)


def test_a_node_without_speaker_and_rules(lab: Lab) -> None:
    with without_speakers(lab, "node3"):
        status, checks, said = told(lab, "--timeout", "10")
    assert status == 1, said
    failed = {check: c[1] for check, c in checks.items() if c[0] == "failed"}
    assert failed[("speakers", None)] == "node3: unreachable: refused"
    assert failed["node-ports-from-here", "Cluster"].startswith("node3: 192.168.1.13:")
    assert failed["node-ports-from-nodes", "Cluster"].startswith("from node1: node3 (192.168.1.13:")
    assert failed["cluster-ip-from-nodes", "Cluster"].startswith("from node3: ")
    for check in ("announced", "arp", "address-from-here"):
        assert checks[check, "Cluster"][0] == checks[check, "Local"][0] == "ok"


def test_a_firewall_before_node_ports(lab: Lab) -> None:
    rule = ["PREROUTING", "-p", "tcp", "-d", "192.168.1.13", "--dport", "30000:32767", "-j", "DROP"]
    node3 = lab.host("node3").namespace
    netns.output(node3, ["iptables", "-t", "raw", "-I", *rule])
    try:
        status, checks, said = told(lab, "--timeout", "10")
    finally:
        netns.output(node3, ["iptables", "-t", "raw", "-D", *rule])
    assert status == 1, said
    failed = {check: c[1] for check, c in checks.items() if c[0] == "failed"}
    assert failed.keys() == {("node-ports-from-here", "Cluster"), ("node-ports-from-nodes", "Cluster")}
    assert failed["node-ports-from-here", "Cluster"].endswith(" timed out")


def test_nobody_announces(lab: Lab) -> None:
    with without_speakers(lab, *NODES):
        status, checks, _ = told(lab, "--timeout", "8")
    assert status == 1
    assert checks["announced", "Cluster"] == ("failed", "by nobody; no speaker answers")
    assert not [policy for _, policy in checks if policy == "Local"]


# ---- what it leaves ----


def start(lab: Lab, *flags: str) -> subprocess.Popen[str]:
    """A test that has its Service and is under way."""
    with netns.entered(lab.client):
        process = subprocess.Popen(command(lab, *flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("its Service", lambda: [s for s in lab.api.objects("Service") if s["metadata"]["name"] == "echo"], 20)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_it_cleans_up(lab: Lab, number: int) -> None:
    process = start(lab)
    process.send_signal(number)
    out, error = process.communicate()
    assert process.returncode == 2, out
    assert error == "fairlead: removing what was made; a second signal leaves it\n"
    assert "ended early: interrupted" in out and "FAILED" not in out
    assert namespaces(lab) == []


def test_what_a_killed_one_leaves(lab: Lab) -> None:
    process = start(lab, "--test-namespace", "fairlead-test-killed")
    process.kill()
    process.communicate()
    assert namespaces(lab) == ["fairlead-test-killed"]
    done = run(lab, "--clean-up")
    assert done.returncode == 1
    assert done.stdout == (
        "namespace fairlead-test-killed: a test may be using it; --yes removes it nevertheless\n"
    )
    mark = {"metadata": {"annotations": {"fairlead.io/test-until": "2026-01-01T00:00:00Z"}}}
    lab.api.patch("Namespace", "fairlead-test-killed", mark, "")
    again = run(lab, "--address-pool", "nowhere", "--timeout", "1")
    assert "namespace fairlead-test-killed, of " in again.stderr and "fairlead test --clean-up" in again.stderr
    done = run(lab, "--clean-up")
    assert (done.returncode, done.stdout) == (0, "namespace fairlead-test-killed: removed\n")
    wait_for("it to go", lambda: namespaces(lab) == [], 30)


def test_keep(lab: Lab) -> None:
    done = run(lab, "--keep", "--address-pool", "nowhere", "--timeout", "1", "--test-namespace", "fairlead-test-kept")
    assert "left behind: namespace fairlead-test-kept, as --keep asks" in done.stdout
    assert namespaces(lab) == ["fairlead-test-kept"]
    assert run(lab, "--clean-up").returncode == 0
    wait_for("it to go", lambda: namespaces(lab) == [], 30)
    assert run(lab, "--clean-up").stdout == "nothing is left of earlier tests\n"


def test_a_namespace_of_others_is_left_alone(lab: Lab) -> None:
    done = run(lab, "--test-namespace", "default")
    assert done.returncode == 2
    assert "ended early: namespace default is there already; the test only uses one that it made" in done.stdout
    assert lab.api.find("Namespace", "default", "")
    assert not [s for s in lab.api.objects("Service", "default") if s["metadata"]["name"] == "echo"]


def test_without_an_image(lab: Lab) -> None:
    done = run(lab, "--namespace", "default")
    assert done.returncode == 2
    assert "give --image IMAGE (and --port), or --namespace" in done.stderr


# ---- what it takes ----

# As fairlead(1) lists them, for the whole cluster, since the namespace is not there yet.
RIGHTS = (
    ("", ["nodes"], ["list"]),
    ("", ["namespaces"], ["create", "get", "list", "delete"]),
    ("", ["services"], ["create", "get", "patch", "delete"]),
    ("apps", ["deployments"], ["create", "get", "patch"]),
    ("", ["pods"], ["create", "list"]),
    ("apps", ["daemonsets"], ["list"]),
)


def test_the_rights_that_the_manual_lists_are_enough(lab: Lab) -> None:
    assert lab.plane
    user, rbac = "fairlead-speaker", "/apis/rbac.authorization.k8s.io/v1"
    kubeconfig = lab.plane.kubeconfig(user, lab.dir / "tester.kubeconfig")
    meta = {"name": "tester"}
    rules = [{"apiGroups": [group], "resources": what, "verbs": verbs} for group, what, verbs in RIGHTS]
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": "tester", "apiGroup": "rbac.authorization.k8s.io"}
    lab.api.call("POST", f"{rbac}/clusterroles", {"metadata": meta, "rules": rules})
    binding = {"metadata": meta, "roleRef": reference, "subjects": [subject]}
    lab.api.call("POST", f"{rbac}/clusterrolebindings", binding)
    done = run(lab, "--kubeconfig", str(kubeconfig))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
