# SPDX-License-Identifier: Apache-2.0
"""The chart on a real API server without nodes: it takes every object, and the admission policy means what it says."""

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BUILD, CHART, NAMESPACE, Object
from test_chart import SETS

from lab import api, kubernetes, netns, rundir
from lab.kubernetes import USERS, ControlPlane
from lab.processes import Process
from lab.waiting import wait_for

ADDRESS = "127.0.0.1"
POOLS = str(CHART.parent.parent / "examples/fairlead.yaml")


class Server:
    """The control plane alone in a network namespace, on its loopback interface."""

    def __init__(self, run: rundir.RunDir, namespace: str) -> None:
        self._run, self._namespace = run, namespace
        (run.path / "logs").mkdir()
        users = {**USERS, "viewer": "viewers"}
        self.plane = ControlPlane(run.path / "plane", ADDRESS, self.start, namespace, users=users)
        self.plane.start(audited=False)
        self.kubeconfig = self.plane.kubeconfig("admin", run.path / "kubeconfig")

    def start(self, name: str, argv: list[str]) -> Process:
        process = Process(name, argv, self._namespace, self._run.path / "logs" / f"{name}.log")
        process.start()
        self._run.add_process(process.identity)
        return process

    def helm(self, values: Object, *words: str) -> str:
        argv = [kubernetes.program("helm"), *words, "--namespace", NAMESPACE, "--kubeconfig", str(self.kubeconfig)]
        with netns.entered(self._namespace):
            done = subprocess.run(argv, input=yaml.safe_dump(values), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fairlead(self, user: str, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line as this user."""
        kubeconfig = self.plane.kubeconfig(user, self._run.path / f"{user}.kubeconfig")
        argv = [str(BUILD / "src/cli/fairlead"), *words, "--kubeconfig", str(kubeconfig)]
        with netns.entered(self._namespace):
            return subprocess.run(argv, capture_output=True, text=True, check=False)

    def install(self, values: Object) -> str:
        return self.helm(values, "install", "fairlead", str(CHART), "--create-namespace", "--values", "-")

    def uninstall(self) -> None:
        # Nobody is there to run the hook.
        self.helm({}, "uninstall", "fairlead", "--no-hooks")


@pytest.fixture(scope="module")
def server(needs_helm: None) -> Iterator[Server]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a network namespace")
    lab_id = os.environ.get("FAIRLEAD_LAB_ID", "chart")
    rundir.clean(lab_id)  # of a killed run; refuses if it is in use
    run = rundir.claim(lab_id, "tests/run")
    try:
        namespace = f"fl-{lab_id}-plane"
        netns.create(namespace)
        netns.configure(namespace, ["link set lo up"])
        yield Server(run, namespace)
    finally:
        run.remove()


@pytest.fixture
def installed(server: Server) -> Iterator[Any]:
    """Installs with these values, for one test."""
    yield server.install
    server.uninstall()


@pytest.mark.parametrize("name", SETS)
def test_the_server_takes_every_object(name: str, server: Server, installed: Any) -> None:
    # A server without Prometheus does not know its kinds.
    values = {k: v for k, v in SETS[name][0].items() if k != "metrics"}
    said = installed(values)
    notes = said.split("NOTES:")[1]
    assert [line.split()[0] for line in notes.splitlines() if line.startswith("  ")] == ["kubectl"] * 3
    speaker = values.get("speaker", {})
    by_cidr = speaker.get("detectLocalMode", "cluster-cidr") == "cluster-cidr"
    blind = speaker.get("proxyMode", "none") != "none" and by_cidr and not speaker.get("clusterCIDRs")
    assert ("WARNING: the speakers carry the traffic" in notes) == blind
    # What it did not know it would have dropped without a word.
    manifest = server.helm({}, "get", "manifest", "fairlead")
    argv = [kubernetes.program("kubectl"), "--kubeconfig", str(server.kubeconfig), "apply", "-f", "-"]
    argv += ["--dry-run=server", "--validate=strict"]
    with netns.entered(server.plane.namespace):
        done = subprocess.run(argv, input=manifest, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def service(name: str, namespace: str, *addresses: str) -> Object:
    spec = {"ports": [{"port": 80}], "externalIPs": list(addresses)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def test_the_admission_policy_lets_in_what_is_allowed(server: Server, installed: Any) -> None:
    client = server.plane.client()
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge"}})
    client.create(service("before", "default", "198.51.100.9"))
    allow = ["203.0.113.0/24", "2001:db8:e::/64"]
    installed({"externalIPs": {"admissionPolicy": {"enabled": True, "allow": allow, "namespaces": ["edge"]}}})

    def refused(obj: Object) -> str:
        try:
            client.create(obj)
        except api.ApiError as error:
            assert error.code in (403, 422)
            return str(error)
        client.delete("Service", obj["metadata"]["name"], obj["metadata"]["namespace"])
        return ""

    # A policy is in force some moments after it was made.
    wait_for("the policy", lambda: refused(service("x", "edge", "198.51.100.1")), 30, 0.2)
    assert refused(service("inside", "edge", "203.0.113.7", "2001:db8:e::7")) == ""
    assert refused(service("none", "default")) == ""
    assert "outside of what is allowed: 203.0.113.7, 198.51.100.1" in refused(
        service("half", "edge", "203.0.113.7", "198.51.100.1")
    )
    assert "not allowed in namespace default" in refused(service("elsewhere", "default", "203.0.113.7"))
    # What stood there before the policy came does not stop other edits, but more of it is refused.
    client.patch("Service", "before", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(api.ApiError, match="not allowed"):
        client.patch("Service", "before", {"spec": {"externalIPs": ["198.51.100.9", "198.51.100.10"]}})
    client.patch("Service", "before", {"spec": {"externalIPs": None}})


def test_the_controller_itself_is_let_through(server: Server, installed: Any) -> None:
    installed({"externalIPs": {"admissionPolicy": {"enabled": True}}})
    policy = server.plane.client().call(
        "GET",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/fairlead-external-ips.fairlead-system",
    )
    # A policy whose expressions do not fit the kind says so here.
    assert not policy.get("status", {}).get("typeChecking", {}).get("expressionWarnings")
    exempt = next(c for c in policy["spec"]["matchConditions"] if c["name"] == "not-fairlead")
    assert f"system:serviceaccount:{NAMESPACE}:fairlead-controller" in exempt["expression"]


def test_the_webhook_refuses_a_bad_edit(server: Server, installed: Any, tmp_path: Path) -> None:
    """With the chart's rights and flags.  The controller is where the Service is, as nobody carries its traffic."""
    client = server.plane.client()
    pool = {"name": "lan", "protocol": "layer2", "addresses": ["192.0.2.0/24"]}
    installed({"config": {"address-pools": [pool]}, "webhook": {"enabled": True, "port": 443}})
    address = client.get("Service", "fairlead-webhook", NAMESPACE)["spec"]["clusterIP"]
    netns.configure(server.plane.namespace, [f"addr add {address}/32 dev lo"])
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/fairlead-controller"
    (container,) = client.call("GET", path)["spec"]["template"]["spec"]["containers"]
    args = [arg.replace("$(POD_IP)", address) for arg in container["args"]]
    kubeconfig = server.plane.service_account(NAMESPACE, "fairlead-controller", tmp_path / "kubeconfig")
    where = ("--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE)
    controller = server.start("controller", [str(BUILD / "src/controller/fairlead-controller"), *where, *args])

    def said_to(change: Object) -> str:
        try:
            client.patch("ConfigMap", "fairlead", change, NAMESPACE)
        except api.ApiError as error:
            return str(error)
        return ""

    good = {"data": client.get("ConfigMap", "fairlead", NAMESPACE)["data"]}
    bad = {"data": {"config": "address-pools: [{name: lan, protocol: layer3}]"}}
    said = wait_for("the webhook to refuse", lambda: said_to(bad) or said_to(good), 30, 0.2)
    assert 'webhook "configuration.fairlead.io" denied the request' in said
    assert "line 1: address-pools[0].protocol: " in said
    assert controller.stop() == 0
    assert "forbidden" not in controller.log.read_text(encoding="utf-8")


VIEWERS = [{"kind": "Group", "name": "viewers", "apiGroup": "rbac.authorization.k8s.io"}]
READING = (["status"], ["pools"], ["bgp"], ["explain", "default/kubernetes"], ["plan", "--config", POOLS])


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_a_viewer_may_run_what_reads(server: Server, installed: Any, words: list[str]) -> None:
    installed({"view": {"subjects": VIEWERS}})
    done = server.fairlead("viewer", *words)
    assert "forbidden" not in done.stderr, done.stderr


def test_a_viewer_may_reach_speakers_by_their_pods_and_nothing_more(server: Server, installed: Any) -> None:
    installed({"view": {"subjects": VIEWERS}})
    may = [("get", "pods/proxy", NAMESPACE), ("list", "pods", NAMESPACE), ("list", "nodes", "")]
    may += [("get", "pods/log", NAMESPACE), ("list", "events", "default")]
    may_not = [
        *(("get", "pods/proxy", "default"), ("get", "pods/log", "default"), ("get", "nodes/proxy", "")),
        ("update", "pods/proxy", NAMESPACE),
        *(("get", "secrets", NAMESPACE), ("patch", "configmaps", NAMESPACE), ("patch", "services", "default")),
    ]
    assert [allowed(server, *what) for what in (*may, *may_not)] == [True] * len(may) + [False] * len(may_not)


def test_a_viewer_may_make_a_sysdump(server: Server, installed: Any, tmp_path: Path) -> None:
    """And is told which right is missing, when one is taken away."""
    installed({"view": {"subjects": VIEWERS}})
    done = server.fairlead("viewer", "sysdump", "--file", str(tmp_path / "whole.tar.gz"))
    assert "forbidden" not in done.stderr, done.stderr
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/fairlead-view"
    given = server.plane.client().call("GET", role)
    given["rules"] = [r for r in given["rules"] if r["resources"] != ["pods"]]
    server.plane.client().call("PUT", role, given)
    wait_for("the right to be gone", lambda: not allowed(server, "list", "pods", NAMESPACE), 30, 0.2)
    done = server.fairlead("viewer", "sysdump", "--file", str(tmp_path / "part.tar.gz"))
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if "forbidden" in line]
    assert told.startswith("fairlead: missing: objects/pods.json: GET /api/v1/namespaces/"), told
    with tarfile.open(tmp_path / "part.tar.gz") as tar:
        (missing,) = [tar.extractfile(m) for m in tar.getmembers() if m.name.endswith("/missing.txt")]
        assert missing and told.removeprefix("fairlead: missing: ") in missing.read().decode()


def allowed(server: Server, verb: str, resource: str, namespace: str) -> bool:
    name, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "resource": name, "subresource": subresource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    client = server.plane.client("viewer")
    answer = client.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_what_a_person_may_not_read_is_named_and_the_rest_is_shown(server: Server, installed: Any) -> None:
    installed({"view": {"subjects": VIEWERS}})
    # Without the part of the namespace: neither who leads nor the configuration.
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings/fairlead-view"
    server.plane.client().call("DELETE", path)
    done = server.fairlead("viewer", "status", "-o", "json")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if "forbidden" in line]
    assert any('cannot get resource "leases"' in line for line in told), told
    assert any('cannot get resource "configmaps"' in line for line in told), told
    shown = json.loads(done.stdout)
    assert shown["nodes"] == []
    assert shown["verdict"]["findings"] == [], "what may not be read is not missing"
