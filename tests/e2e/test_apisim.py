# SPDX-License-Identifier: Apache-2.0
"""The embedded API server by itself, on loopback: its protocol through urllib, and kubectl where there is one.

What concerns the API holds for a real server as well (--server=kubernetes).
"""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import kubernetes
from lab.processes import Process

SOURCE = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build")) / "tests/apisim/fairlead-apisim"
SERVICES = "/api/v1/namespaces/default/services"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"

Object = dict[str, Any]


class Refused(Exception):
    """The server answered with an error: its code and its Status."""

    def __init__(self, code: int, status: Object, headers: Any) -> None:
        super().__init__(f"{code} {status.get('message')}")
        self.code, self.status, self.headers = code, status, headers


def status_of(body: bytes) -> Object:
    """The Status in an answer; a real server says some errors in plain words."""
    try:
        return json.loads(body or "{}")
    except ValueError:
        return {"kind": "Status", "reason": "NotFound", "message": body.decode()}


class Watch:
    """An open watch: next() is the next event, None at the end of the stream."""

    def __init__(self, request: urllib.request.Request, timeout: float, tls: ssl.SSLContext | None) -> None:
        self._response = urllib.request.urlopen(request, timeout=timeout, context=tls)

    def next(self) -> Object | None:
        try:
            line = self._response.readline()
        except http.client.IncompleteRead:
            return None
        return json.loads(line) if line else None

    def close(self) -> None:
        self._response.close()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """Asks a server."""

    url = ""
    kubeconfig = Path("/dev/null")
    tls: ssl.SSLContext | None = None
    headers: dict[str, str] = {}

    def call(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", **headers: str
    ) -> Any:
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        given = {k.replace("_", "-"): v for k, v in headers.items()}
        all_headers = self.headers | {"Content-Type": content_type} | given
        request = urllib.request.Request(self.url + path, data, all_headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.tls) as response:
                text = response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, status_of(error.read()), error.headers) from None
        return json.loads(text) if text.startswith(("{", "[")) else text

    def refused(self, code: int, *args: Any, **kwargs: Any) -> Object:
        """The Status of a call that must be refused with this code."""
        with pytest.raises(Refused) as caught:
            self.call(*args, **kwargs)
        assert caught.value.code == code, caught.value
        assert caught.value.status["kind"] == "Status"
        return caught.value.status

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def create(self, kind_path: str, name: str, **fields: Any) -> Object:
        return self.call("POST", kind_path, {"metadata": {"name": name}, **fields})

    def service(self, name: str, **spec: Any) -> Object:
        spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]} | spec
        return self.call("POST", SERVICES, {"metadata": {"name": name}, "spec": spec})

    def patch(self, path: str, body: object, content_type: str = MERGE) -> Object:
        return self.call("PATCH", path, body, content_type)

    def watch(self, path: str, query: str = "", timeout: float = 5) -> Watch:
        request = urllib.request.Request(f"{self.url}{path}?watch=1&{query}", headers=self.headers)
        return Watch(request, timeout, self.tls)


class Server(Client):
    """An embedded server that runs, and its client."""

    def __init__(self, *flags: str) -> None:
        self.flags = flags
        self.start()

    def start(self) -> None:
        listen = self.url.rpartition("/")[2] or "127.0.0.1:0"
        argv = [str(PROGRAM), "--listen", listen, *self.flags]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        self.url = line.split()[2]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*flags: str) -> Server:
        servers.append(Server(*flags))
        return servers[-1]

    yield start
    for s in servers:
        if s.process.poll() is None:
            assert s.stop() == 0


@pytest.fixture(scope="module")
def real_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client | None]:
    """Kubernetes' own, on loopback; None where it is not asked for."""
    if request.config.getoption("--server") == "embedded":
        yield None
        return
    directory = tmp_path_factory.mktemp("kubernetes")
    processes: list[Process] = []

    def start(name: str, argv: list[str]) -> Process:
        process = Process(name, argv, "", directory / f"{name}.log")
        process.start()
        processes.append(process)
        return process

    plane = kubernetes.ControlPlane(directory / "plane", "127.0.0.1", start, "", free_ports(3), "10.96.0.0/16")
    client = Client()
    client.url, client.tls = plane.server, ssl.create_default_context(cafile=plane.authority)
    client.kubeconfig = plane.kubeconfig("admin", directory / "kubeconfig")
    client.headers = {"Authorization": f"Bearer {plane.token('admin')}"}
    try:
        plane.start("--disable-admission-plugins=ServiceAccount")
        yield client
    finally:
        for process in processes:
            process.kill()


def free_ports(n: int) -> int:
    """The first of some ports in a row that nobody listens on."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as s:
            first = s.getsockname()[1]
        try:
            for port in range(first, first + n):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first


@pytest.fixture
def server(request: pytest.FixtureRequest, real_server: Client | None) -> Iterator[Client]:
    """One that knows of nothing."""
    if not real_server:
        yield request.getfixturevalue("serve")()
        return
    yield real_server
    for path in (SERVICES, CONFIGMAPS, LEASES, "/api/v1/namespaces/default/pods", SLICES):
        for obj in real_server.get(path)["items"]:
            if obj["metadata"]["name"] not in ("kubernetes", "kube-root-ca.crt"):
                real_server.call("DELETE", f"{path}/{obj['metadata']['name']}", {"gracePeriodSeconds": 0})


def causes(status: Object) -> dict[str, str]:
    return {c["field"]: c["message"] for c in status["details"]["causes"]}


# ---- objects ----


def test_create_get_update_delete(server: Client) -> None:
    made = server.create(CONFIGMAPS, "c", data={"a": "1"})
    meta = made["metadata"]
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")
    assert meta["uid"] and meta["creationTimestamp"].endswith("Z") and meta["namespace"] == "default"
    assert server.get(f"{CONFIGMAPS}/c") == made
    made["data"]["a"] = "2"
    changed = server.call("PUT", f"{CONFIGMAPS}/c", made)
    assert int(changed["metadata"]["resourceVersion"]) > int(meta["resourceVersion"])
    status = server.refused(409, "PUT", f"{CONFIGMAPS}/c", made)
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert status["reason"] == "Conflict" and status["details"] == {"name": "c", "kind": "configmaps"}
    assert server.call("DELETE", f"{CONFIGMAPS}/c")["status"] == "Success"
    status = server.refused(404, "GET", f"{CONFIGMAPS}/c")
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "NotFound",
        "code": 404,
        "message": 'configmaps "c" not found',
        "details": {"name": "c", "kind": "configmaps"},
    }


def test_update_without_a_change_makes_no_version(server: Client) -> None:
    made = server.create(CONFIGMAPS, "c", data={"a": "1"})
    assert server.call("PUT", f"{CONFIGMAPS}/c", made) == made
    assert server.patch(f"{CONFIGMAPS}/c", {"data": {"a": "1"}}) == made


def test_names(server: Client) -> None:
    generated = server.call("POST", CONFIGMAPS, {"metadata": {"generateName": "x-"}})["metadata"]["name"]
    assert generated.startswith("x-") and len(generated) == 7
    assert server.create(CONFIGMAPS, "c") and server.refused(409, "POST", CONFIGMAPS, {"metadata": {"name": "c"}})
    assert "metadata.name" in causes(server.refused(422, "POST", CONFIGMAPS, {"metadata": {"name": "A_b"}}))
    assert "metadata.name" in causes(server.refused(422, "POST", CONFIGMAPS, {"metadata": {}}))
    status = server.refused(404, "POST", "/api/v1/namespaces/none/configmaps", {"metadata": {"name": "c"}})
    assert status["message"] == 'namespaces "none" not found'
    assert server.refused(400, "POST", CONFIGMAPS, {"metadata": {"name": "d", "namespace": "other"}})
    assert server.refused(400, "POST", CONFIGMAPS, {"kind": "Secret", "metadata": {"name": "d"}})


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "nonsense", '{"metadata":7}', '{"metadata":{"name":7}}', '{"data":{"a":1}}']
)
def test_malformed_bodies(server: Client, body: str) -> None:
    assert server.refused(400, "POST", CONFIGMAPS, body)["reason"] == "BadRequest"


@pytest.mark.embedded
def test_limits(server: Client) -> None:
    deep = "[" * 100 + "]" * 100
    assert server.refused(400, "POST", CONFIGMAPS, f'{{"metadata":{{"name":"c"}},"x":{deep}}}')
    with pytest.raises((Refused, urllib.error.URLError, ConnectionError)):
        server.call("POST", CONFIGMAPS, {"metadata": {"name": "c"}, "data": {"a": "x" * (4 << 20)}})
    assert server.refused(422, "POST", CONFIGMAPS, {"metadata": {"name": "c"}, "data": {"a": "x" * (1 << 20) + "y"}})
    assert server.get("/healthz") == "ok"


def test_unknown_paths(server: Client) -> None:
    unknown = ("/nothing", "/api/v2/services", "/apis/x/v1/y", "/api/v1/services/x")
    for path in (*unknown, f"{SERVICES}/a/b/c", f"{SERVICES}/x/scale"):
        assert server.refused(404, "GET", path)["reason"] == "NotFound", path
    assert server.refused(405, "PUT", SERVICES, {})["reason"] == "MethodNotAllowed"


@pytest.mark.embedded
def test_formats_that_are_not_spoken(server: Client) -> None:
    assert server.refused(415, "POST", SERVICES, "k8s", "application/vnd.kubernetes.protobuf")
    assert server.refused(415, "PATCH", f"{SERVICES}/x", "{}", "application/apply-patch+yaml")


def test_deletion_waits_for_finalizers(server: Client) -> None:
    made = server.call("POST", CONFIGMAPS, {"metadata": {"name": "c", "finalizers": ["example.com/x"]}})
    rv = made["metadata"]["resourceVersion"]
    with server.watch(CONFIGMAPS, f"resourceVersion={rv}") as watch:
        marked = server.call("DELETE", f"{CONFIGMAPS}/c")
        assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["deletionGracePeriodSeconds"] == 0
        assert server.call("DELETE", f"{CONFIGMAPS}/c") == marked
        more = {"metadata": {"finalizers": ["example.com/x", "example.com/y"]}}
        assert server.refused(422, "PATCH", f"{CONFIGMAPS}/c", more, MERGE)
        server.patch(f"{CONFIGMAPS}/c", {"metadata": {"finalizers": None}})
        assert [watch.next()["type"], watch.next()["type"]] == ["MODIFIED", "DELETED"]
    assert server.refused(404, "GET", f"{CONFIGMAPS}/c")


def test_deletion_preconditions(server: Client) -> None:
    made = server.create(CONFIGMAPS, "c")["metadata"]
    assert server.refused(409, "DELETE", f"{CONFIGMAPS}/c", {"preconditions": {"uid": "other"}})["reason"] == "Conflict"
    assert server.refused(409, "DELETE", f"{CONFIGMAPS}/c", {"preconditions": {"resourceVersion": "1"}})
    exact = {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}
    assert server.call("DELETE", f"{CONFIGMAPS}/c", {"preconditions": exact})["details"]["uid"] == made["uid"]


def test_running_pods_are_deleted_gracefully(server: Client) -> None:
    pods = "/api/v1/namespaces/default/pods"
    for name, spec in (("idle", {}), ("bound", {"nodeName": "node1"})):
        spec |= {"containers": [{"name": "c", "image": "i"}]}
        pod = server.create(pods, name, spec=spec, status={"phase": "Running"})
        assert pod["status"]["phase"] == "Pending"
    server.call("DELETE", f"{pods}/idle")
    assert server.refused(404, "GET", f"{pods}/idle")
    assert server.call("DELETE", f"{pods}/bound")["metadata"]["deletionGracePeriodSeconds"] == 30
    server.patch(f"{pods}/bound/status", {"status": {"phase": "Succeeded"}})
    server.call("DELETE", f"{pods}/bound", {"gracePeriodSeconds": 0})
    assert server.refused(404, "GET", f"{pods}/bound")


def test_a_pod_gets_its_node_once(server: Client) -> None:
    pod = "/api/v1/namespaces/default/pods"
    server.create(pod, "p", spec={"containers": [{"name": "c", "image": "i"}]})
    to_node = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "node1"}}
    server.refused(500, "POST", f"{pod}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": ""}})
    assert server.call("POST", f"{pod}/p/binding", to_node)["status"] == "Success"
    assert server.get(f"{pod}/p")["spec"]["nodeName"] == "node1"
    assert server.refused(409, "POST", f"{pod}/p/binding", to_node)["reason"] == "Conflict"


@pytest.mark.embedded
def test_namespaces_take_their_objects_along(server: Client) -> None:
    server.create("/api/v1/namespaces", "shop")
    server.create("/api/v1/namespaces/shop/configmaps", "c")
    server.create(CONFIGMAPS, "c")
    server.call("DELETE", "/api/v1/namespaces/shop")
    assert server.refused(404, "GET", "/api/v1/namespaces/shop/configmaps/c")
    assert [i["metadata"]["namespace"] for i in server.get("/api/v1/configmaps")["items"]] == ["default"]


def test_leases(server: Client) -> None:
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    made = server.create(LEASES, "l", spec=spec)
    del made["metadata"]["resourceVersion"]
    assert "metadata.resourceVersion" in causes(server.refused(422, "PUT", f"{LEASES}/l", made))
    bad = {"metadata": {"name": "m"}, "spec": {"leaseDurationSeconds": 0}}
    status = server.refused(422, "POST", LEASES, bad)
    assert status["message"] == (
        'Lease.coordination.k8s.io "m" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'
    )


def test_events_in_both_spellings(server: Client) -> None:
    group = "/apis/events.k8s.io/v1/namespaces/default/events"
    event = {
        "metadata": {"name": "e", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "fairlead.io/controller",
        "reportingInstance": "i",
        "action": "Assign",
        "reason": "Assigned",
        "note": "hello",
        "type": "Normal",
        "regarding": {"kind": "Service", "namespace": "default", "name": "web"},
    }
    with server.watch(group) as watch:
        made = server.call("POST", group, event)
        assert made["note"] == "hello" and made["apiVersion"] == "events.k8s.io/v1"
        assert watch.next()["object"] == made
    core = server.get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=web,type=Normal")["items"]
    assert [(e["message"], e["involvedObject"]["name"], e["reportingComponent"]) for e in core] == [
        ("hello", "web", "fairlead.io/controller")
    ]
    series = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    assert server.patch(f"{group}/e", series)["series"]["count"] == 2
    assert server.get(f"{group}?fieldSelector=regarding.name=web")["items"][0]["note"] == "hello"
    assert "action" in causes(server.refused(422, "POST", group, event | {"action": "", "metadata": {"name": "f"}}))


# ---- lists and watches ----


def test_selectors(server: Client) -> None:
    for i in range(4):
        labels = {"n": str(i), "even": str(i % 2 == 0)}
        server.call("POST", CONFIGMAPS, {"metadata": {"name": f"c{i}", "labels": labels}})

    def names(query: str) -> list[str]:
        return [i["metadata"]["name"] for i in server.get(f"{CONFIGMAPS}?{query}")["items"]]

    assert names("labelSelector=even%3DTrue,n!%3D0") == ["c2"]
    assert names("labelSelector=n+in+(1,2),!other") == ["c1", "c2"]
    assert names("labelSelector=n+notin+(1,2),even") == ["c0", "c3"]
    assert names("fieldSelector=metadata.name%3Dc3") == ["c3"]
    assert names("fieldSelector=metadata.name!%3Dc3,metadata.namespace%3Ddefault") == ["c0", "c1", "c2"]
    assert "spec.x" in server.refused(400, "GET", f"{CONFIGMAPS}?fieldSelector=spec.x%3D1")["message"]
    assert server.refused(400, "GET", f"{CONFIGMAPS}?labelSelector=a+in+b")


def test_pages_show_one_moment(server: Client) -> None:
    for i in range(10):
        server.create(CONFIGMAPS, f"c{i}")
    first = server.get(CONFIGMAPS + "?limit=4")
    assert len(first["items"]) == 4 and first["metadata"]["remainingItemCount"] == 6
    assert "kind" not in first["items"][0]
    server.call("DELETE", f"{CONFIGMAPS}/c5")
    server.create(CONFIGMAPS, "c55")
    names, token = [i["metadata"]["name"] for i in first["items"]], first["metadata"]["continue"]
    while token:
        page = server.get(f"{CONFIGMAPS}?limit=4&continue={token}")
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [i["metadata"]["name"] for i in page["items"]]
        token = page["metadata"].get("continue")
    assert names == [f"c{i}" for i in range(10)]
    assert len(server.get(CONFIGMAPS + "?limit=4&resourceVersion=0")["items"]) == 10


@pytest.mark.embedded
def test_expired_page_gives_a_token_for_the_rest(server: Client) -> None:
    for i in range(6):
        server.create(CONFIGMAPS, f"c{i}")
    token = server.get("/api/v1/configmaps?limit=2")["metadata"]["continue"]
    server.call("POST", "/sim/reset-history")
    server.call("DELETE", f"{CONFIGMAPS}/c3")
    status = server.refused(410, "GET", f"/api/v1/configmaps?limit=2&continue={token}")
    assert status["reason"] == "Expired"
    names = []
    token = status["metadata"]["continue"]
    while token:
        page = server.get(f"/api/v1/configmaps?limit=2&continue={token}")
        names += [i["metadata"]["name"] for i in page["items"]]
        token = page["metadata"].get("continue")
    assert names == ["c2", "c4", "c5"]
    assert server.refused(400, "GET", "/api/v1/configmaps?continue=zz")


def test_versions_of_the_future(server: Client) -> None:
    status = server.refused(504, "GET", "/api/v1/configmaps?resourceVersion=999999")
    assert "Too large resource version: 999999" in status["message"]


def test_watch_from_a_version(server: Client) -> None:
    rv = server.get(CONFIGMAPS)["metadata"]["resourceVersion"]
    server.create(CONFIGMAPS, "a")
    with server.watch("/api/v1/configmaps", f"resourceVersion={rv}") as watch:
        added = watch.next()
        assert (added["type"], added["object"]["kind"]) == ("ADDED", "ConfigMap")
        server.patch(f"{CONFIGMAPS}/a", {"data": {"k": "v"}})
        assert (event := watch.next())["type"] == "MODIFIED" and event["object"]["data"] == {"k": "v"}
        server.call("DELETE", f"{CONFIGMAPS}/a")
        gone = watch.next()
        assert gone["type"] == "DELETED" and gone["object"]["data"] == {"k": "v"}
        assert int(gone["object"]["metadata"]["resourceVersion"]) > int(event["object"]["metadata"]["resourceVersion"])


def test_watch_from_the_present_state(server: Client) -> None:
    server.create(CONFIGMAPS, "a")
    with server.watch(CONFIGMAPS) as watch:
        assert watch.next()["object"]["metadata"]["name"] == "a"
        server.create(CONFIGMAPS, "b")
        assert watch.next()["object"]["metadata"]["name"] == "b"


def test_watch_with_selector_sees_objects_come_and_go(server: Client) -> None:
    server.service("a", type="ClusterIP")
    with server.watch("/api/v1/services", "fieldSelector=spec.type%3DLoadBalancer") as watch:
        server.patch(f"{SERVICES}/a", {"spec": {"type": "LoadBalancer"}})
        server.patch(f"{SERVICES}/a", {"metadata": {"labels": {"x": "y"}}})
        server.patch(f"{SERVICES}/a", {"spec": {"type": "ClusterIP"}})
        events = [watch.next() for _ in range(3)]
        assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED"]
        assert events[2]["object"]["spec"]["type"] == "LoadBalancer"
        latest = server.get(f"{SERVICES}/a")["metadata"]["resourceVersion"]
        assert events[2]["object"]["metadata"]["resourceVersion"] == latest


@pytest.mark.embedded
def test_watch_bookmarks_and_timeout(serve: Callable[..., Server]) -> None:
    server = serve("--bookmark-ms", "100")
    rv = server.create(CONFIGMAPS, "a")["metadata"]["resourceVersion"]
    with server.watch(LEASES, f"allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion={rv}") as watch:
        bookmark = watch.next()
        assert bookmark["type"] == "BOOKMARK" and bookmark["object"]["kind"] == "Lease"
        assert bookmark["object"]["metadata"]["resourceVersion"] == rv
        while watch.next():
            pass
    with server.watch(LEASES, f"timeoutSeconds=1&resourceVersion={rv}") as watch:
        assert watch.next() is None


@pytest.mark.embedded
def test_watch_beyond_the_history(serve: Callable[..., Server]) -> None:
    server = serve("--history", "3")
    old = server.create(CONFIGMAPS, "a")["metadata"]["resourceVersion"]
    for i in range(4):
        recent = server.patch(f"{CONFIGMAPS}/a", {"data": {"i": str(i)}})["metadata"]["resourceVersion"]
        server.create(LEASES, f"l{i}")
    with server.watch(CONFIGMAPS, f"resourceVersion={old}") as watch:
        error = watch.next()
        assert error["type"] == "ERROR" and (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")
        assert watch.next() is None
    with server.watch(CONFIGMAPS, f"resourceVersion={recent}&timeoutSeconds=1") as watch:
        assert watch.next() is None


@pytest.mark.embedded
def test_watch_refuses_streaming_lists(server: Client) -> None:
    path = f"{CONFIGMAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    assert server.refused(422, "GET", path)["reason"] == "Invalid"


# ---- Services ----


def test_service_defaults_and_allocation(server: Client) -> None:
    made = server.service("a", externalTrafficPolicy="Local")
    spec = made["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]] and spec["clusterIP"].startswith("10.96.")
    port = spec["ports"][0]
    assert (port["protocol"], port["targetPort"]) == ("TCP", 80) and 30000 <= port["nodePort"] <= 32767
    assert 30000 <= spec["healthCheckNodePort"] <= 32767 and spec["healthCheckNodePort"] != port["nodePort"]
    assert spec["allocateLoadBalancerNodePorts"] is True and spec["sessionAffinity"] == "None"
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert spec["internalTrafficPolicy"] == "Cluster"
    assert made["status"] == {"loadBalancer": {}}
    other = server.service("b", allocateLoadBalancerNodePorts=False)
    assert "nodePort" not in other["spec"]["ports"][0] and other["spec"]["clusterIP"] != spec["clusterIP"]
    ports = [{"name": p, "port": 53, "protocol": p.upper()} for p in ("udp", "tcp")]
    both = server.service("dns", type="NodePort", ports=ports)
    assert len({p["nodePort"] for p in both["spec"]["ports"]}) == 1
    assert server.service("none", clusterIP="None", type="ClusterIP")["spec"]["clusterIPs"] == ["None"]
    outside = server.service("name", type="ExternalName", externalName="example.com", ports=None)["spec"]
    assert "clusterIP" not in outside and "internalTrafficPolicy" not in outside


def test_service_values_return_when_it_is_deleted(server: Client) -> None:
    spec = server.service("a")["spec"]
    body = {"metadata": {"name": "b"}, "spec": {"clusterIP": spec["clusterIP"], "ports": [{"port": 1}]}}
    taken = server.refused(422, "POST", SERVICES, body)
    assert "provided IP is already allocated" in causes(taken)["spec.clusterIPs"]
    same = [{"port": 80, "nodePort": spec["ports"][0]["nodePort"]}]
    body["spec"] = {"type": "NodePort", "ports": same}
    taken = server.refused(422, "POST", SERVICES, body)
    assert causes(taken)["spec.ports[0].nodePort"].endswith("provided port is already allocated")
    server.call("DELETE", f"{SERVICES}/a")
    assert server.service("b", clusterIP=spec["clusterIP"], ports=same)


def test_service_type_change_drops_what_belongs_to_the_old_type(server: Client) -> None:
    before = server.service("a", externalTrafficPolicy="Local", loadBalancerClass="example.com/x")
    server.patch(f"{SERVICES}/a/status", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}})
    after = server.patch(f"{SERVICES}/a", {"spec": {"type": "ClusterIP"}})
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert "nodePort" not in after["spec"]["ports"][0]
    gone = {"healthCheckNodePort", "loadBalancerClass", "allocateLoadBalancerNodePorts", "externalTrafficPolicy"}
    assert not gone & set(after["spec"])
    assert after["status"]["loadBalancer"] == {}


def test_service_update_keeps_allocated_values(server: Client) -> None:
    made = server.service("a", externalTrafficPolicy="Local")
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 81}]}
    after = server.call("PUT", f"{SERVICES}/a", {"metadata": {"name": "a"}, "spec": spec})["spec"]
    for key in ("clusterIP", "clusterIPs", "healthCheckNodePort", "ipFamilies"):
        assert after[key] == made["spec"][key]
    node_port = made["spec"]["ports"][0]["nodePort"]
    assert after["ports"] == [{"port": 81, "targetPort": 81, "protocol": "TCP", "nodePort": node_port}]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"ports": None}, "spec.ports", "Required value"),
        (
            {"ports": [{"port": 0, "targetPort": 1}]},
            "spec.ports[0].port",
            "Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        ({"ports": [{"port": 1}, {"name": "b", "port": 2}]}, "spec.ports[0].name", "Required value"),
        (
            {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 1}]},
            "spec.ports[1]",
            'Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}',
        ),
        (
            {"ports": [{"port": 1, "protocol": "X"}]},
            "spec.ports[0].protocol",
            'Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
        ),
        (
            {"type": "X"},
            "spec.type",
            'Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
        ),
        (
            {"type": "ClusterIP", "ports": [{"port": 1, "nodePort": 30000}]},
            "spec.ports[0].nodePort",
            "Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            {"externalIPs": ["127.0.0.1"]},
            "spec.externalIPs[0]",
            'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        ),
        (
            {"clusterIP": "None"},
            "spec.clusterIPs[0]",
            "Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
        ),
        (
            {"type": "ClusterIP", "loadBalancerClass": "a/b"},
            "spec.loadBalancerClass",
            "Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            {"type": "ClusterIP", "externalTrafficPolicy": "Local"},
            "spec.externalTrafficPolicy",
            'Invalid value: "Local": may only be set for externally-accessible services',
        ),
        ({"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]", 'Invalid value: "IPv6": not configured on this cluster'),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            "spec.ipFamilyPolicy",
            'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
        ),
        (
            {"clusterIP": "192.0.2.1"},
            "spec.clusterIPs",
            'Invalid value: ["192.0.2.1"]: failed to allocate IP 192.0.2.1: the provided network does not '
            "match the current range",
        ),
        (
            {"ports": [{"port": 1, "nodePort": 80}]},
            "spec.ports[0].nodePort",
            "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
    ],
)
def test_service_validation(server: Client, spec: Object, field: str, message: str) -> None:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]} | spec
    status = server.refused(422, "POST", SERVICES, {"metadata": {"name": "a"}, "spec": spec})
    assert causes(status)[field] == message
    assert status["message"].startswith('Service "a" is invalid: ') and f"{field}: {message}" in status["message"]


def test_service_immutable_fields(server: Client) -> None:
    server.service("a", loadBalancerClass="example.com/a")
    status = server.refused(422, "PATCH", f"{SERVICES}/a", {"spec": {"loadBalancerClass": "example.com/b"}}, MERGE)
    assert causes(status) == {"spec.loadBalancerClass": 'Invalid value: "example.com/b": may not change once set'}
    other = {"spec": {"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7"]}}
    status = server.refused(422, "PATCH", f"{SERVICES}/a", other, MERGE)
    assert causes(status) == {"spec.clusterIPs[0]": 'Invalid value: ["10.96.7.7"]: may not change once set'}


@pytest.mark.embedded
def test_dual_stack(serve: Callable[..., Server]) -> None:
    server = serve("--service-cidr", "10.96.0.0/16,fd00:96::/112")
    assert server.service("one")["spec"]["ipFamilies"] == ["IPv4"]
    two = server.service("two", ipFamilyPolicy="PreferDualStack")["spec"]
    assert two["ipFamilies"] == ["IPv4", "IPv6"] and two["clusterIPs"][1].startswith("fd00:96::")
    six = server.service("six", ipFamilies=["IPv6"])["spec"]
    assert six["clusterIP"].startswith("fd00:96::") and len(six["clusterIPs"]) == 1
    up = server.patch(f"{SERVICES}/one", {"spec": {"ipFamilyPolicy": "RequireDualStack"}})["spec"]
    assert up["ipFamilies"] == ["IPv4", "IPv6"] and len(up["clusterIPs"]) == 2
    down = server.patch(f"{SERVICES}/one", {"spec": {"ipFamilyPolicy": "SingleStack"}})["spec"]
    assert down["ipFamilies"] == ["IPv4"] and down["clusterIPs"] == [down["clusterIP"]]


def test_service_status_is_apart(server: Client) -> None:
    made = server.service("a")
    ingress = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    everything = {"metadata": {"labels": {"l": "v"}}, "spec": {"selector": {"other": "one"}}, "status": ingress}
    after = server.patch(f"{SERVICES}/a/status", everything)
    assert after["status"] == {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}}
    assert after["spec"] == made["spec"] and after["metadata"]["labels"] == {"l": "v"}
    other_type = {"spec": {"type": "NodePort"}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}]}}}
    assert causes(server.refused(422, "PATCH", f"{SERVICES}/a/status", other_type, MERGE)) == {
        "status.loadBalancer.ingress[0].ipMode": "Required value: must be specified when `ip` is set"
    }
    ignored = server.patch(f"{SERVICES}/a", {"status": {"loadBalancer": {"ingress": None}}})
    assert ignored == after
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    stale["status"] = {"loadBalancer": {"ingress": None}}
    assert server.refused(409, "PATCH", f"{SERVICES}/a/status", stale, MERGE)["reason"] == "Conflict"
    stale["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"]
    assert server.patch(f"{SERVICES}/a/status", stale)["status"] == {"loadBalancer": {}}
    bad = {"status": {"loadBalancer": {"ingress": [{"ip": "x", "ipMode": "Y"}, {"hostname": "h", "ipMode": "VIP"}]}}}
    assert causes(server.refused(422, "PATCH", f"{SERVICES}/a/status", bad, MERGE)) == {
        "status.loadBalancer.ingress[0].ip": 'Invalid value: "x": must be a valid IP address, '
        "(e.g. 10.9.8.7 or 2001:db8::ffff)",
        "status.loadBalancer.ingress[0].ipMode": 'Unsupported value: "Y": supported values: "Proxy", "VIP"',
        "status.loadBalancer.ingress[1].ipMode": "Forbidden: may not be specified when `ip` is not set",
    }
    server.service("b", type="NodePort")
    assert server.refused(422, "PATCH", f"{SERVICES}/b/status", {"status": ingress}, MERGE)


def test_conditions_merge_by_type(server: Client) -> None:
    server.service("a")
    at = "2026-01-01T00:00:00Z"

    def condition(kind: str, status: str) -> Object:
        return {"type": kind, "status": status, "reason": "Because", "message": "", "lastTransitionTime": at}

    for kind, status in (("example.com/A", "False"), ("example.com/B", "True"), ("example.com/A", "True")):
        server.patch(f"{SERVICES}/a/status", {"status": {"conditions": [condition(kind, status)]}}, STRATEGIC)
    got = server.get(f"{SERVICES}/a")["status"]["conditions"]
    assert {(c["type"], c["status"]) for c in got} == {("example.com/A", "True"), ("example.com/B", "True")}
    gone = {"status": {"conditions": [{"type": "example.com/A", "$patch": "delete"}]}}
    assert len(server.patch(f"{SERVICES}/a/status", gone, STRATEGIC)["status"]["conditions"]) == 1


@pytest.mark.embedded
def test_conditions_are_looked_at(server: Client) -> None:
    """A real server takes any; ours shall be good ones."""
    server.service("a")
    bad = {"status": {"conditions": [{"type": "C", "status": "Maybe"}]}}
    assert set(causes(server.refused(422, "PATCH", f"{SERVICES}/a/status", bad, STRATEGIC))) == {
        "status.conditions[0].status",
        "status.conditions[0].reason",
        "status.conditions[0].lastTransitionTime",
    }


def test_json_patch(server: Client) -> None:
    server.create(CONFIGMAPS, "c", data={"a": "1"})
    ops = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "add", "path": "/metadata/labels", "value": {"x/y": "z"}},
        {"op": "replace", "path": "/metadata/labels/x~1y", "value": "w"},
        {"op": "move", "from": "/data/a", "path": "/data/b"},
    ]
    after = server.patch(f"{CONFIGMAPS}/c", ops, JSON_PATCH)
    assert after["data"] == {"b": "1"} and after["metadata"]["labels"] == {"x/y": "w"}
    assert server.refused(422, "PATCH", f"{CONFIGMAPS}/c", ops, JSON_PATCH)["reason"] == "Invalid"


def test_external_ips(server: Client) -> None:
    spec = {"ports": [{"port": 80}], "externalIPs": ["192.0.2.1", "192.0.2.2"]}
    server.call("POST", SERVICES, {"metadata": {"name": "a"}, "spec": spec})
    path = f"{SERVICES}/a"
    # One atomic list, whichever the kind of patch.
    for content_type in (MERGE, STRATEGIC):
        for patched in (["192.0.2.3"], ["192.0.2.1", "192.0.2.2"]):
            changed = server.call("PATCH", path, {"spec": {"externalIPs": patched}}, content_type)
            assert changed["spec"]["externalIPs"] == patched
    bad = server.refused(422, "PATCH", path, {"spec": {"externalIPs": ["169.254.1.1"]}}, STRATEGIC)
    assert "link-local range" in causes(bad)["spec.externalIPs[0]"]


@pytest.mark.embedded
def test_external_ips_denied(server: Client) -> None:
    """As with the admission plugin DenyServiceExternalIPs."""
    spec = {"ports": [{"port": 80}], "externalIPs": ["192.0.2.1", "192.0.2.2"]}
    server.call("POST", SERVICES, {"metadata": {"name": "a"}, "spec": spec})
    path = f"{SERVICES}/a"
    server.call("PUT", "/sim/faults", {"deny_external_ips": True})
    status = server.refused(403, "PATCH", path, {"spec": {"externalIPs": ["192.0.2.1", "192.0.2.9"]}}, STRATEGIC)
    words = "Use of external IPs is denied by admission control"
    assert status["message"] == f'services "a" is forbidden: {words}'
    assert server.refused(403, "POST", SERVICES, {"metadata": {"name": "b"}, "spec": spec})
    server.call("PATCH", path, {"spec": {"externalIPs": ["192.0.2.2"]}}, STRATEGIC)
    server.call("PATCH", f"{path}/status", {"status": {"loadBalancer": None}}, STRATEGIC)
    server.call("DELETE", "/sim/faults")
    server.call("POST", SERVICES, {"metadata": {"name": "b"}, "spec": spec})


# ---- state, faults, logs ----


@pytest.mark.embedded
def test_state_survives_kill(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("--data", str(tmp_path / "state"))
    made = server.service("a")
    server.create(CONFIGMAPS, "gone")
    server.call("DELETE", f"{CONFIGMAPS}/gone")
    last = server.get("/sim/stats")["resource_version"]
    server.kill()
    with open(tmp_path / "state", "a", encoding="utf-8") as state:
        state.write('{"put":"services","rv":99999,"object":{"meta')
    server.start()
    assert server.get(f"{SERVICES}/a") == made
    assert server.get("/sim/stats")["resource_version"] == last
    assert server.refused(404, "GET", f"{CONFIGMAPS}/gone")
    other = server.service("b")
    assert other["spec"]["clusterIP"] != made["spec"]["clusterIP"]
    assert int(other["metadata"]["resourceVersion"]) == last + 1
    with server.watch(SERVICES, f"resourceVersion={made['metadata']['resourceVersion']}") as watch:
        assert watch.next()["object"]["metadata"]["name"] == "b"
    with server.watch(CONFIGMAPS, "resourceVersion=1") as watch:
        assert watch.next()["object"]["code"] == 410


@pytest.mark.embedded
def test_state_file_is_rewritten(serve: Callable[..., Server], tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = serve("--data", str(state))
    server.create(CONFIGMAPS, "c", data={"i": ""})
    connection = http.client.HTTPConnection(server.url.rpartition("/")[2])
    for i in range(4200):
        connection.request("PATCH", f"{CONFIGMAPS}/c", json.dumps({"data": {"i": str(i)}}), {"Content-Type": MERGE})
        connection.getresponse().read()
    connection.close()
    assert len(state.read_text().splitlines()) < 1000
    before = server.get(f"{CONFIGMAPS}/c")
    server.kill()
    server.start()
    assert server.get(f"{CONFIGMAPS}/c") == before
    assert server.get("/sim/stats")["resource_version"] == int(before["metadata"]["resourceVersion"])


@pytest.mark.embedded
def test_history_that_starts_anew(server: Client) -> None:
    for i in range(20):
        old = server.create(CONFIGMAPS, f"c{i}")["metadata"]
    uid, high = old["uid"], int(old["resourceVersion"])
    for i in range(19):
        server.call("DELETE", f"{CONFIGMAPS}/c{i}")
    with server.watch(CONFIGMAPS, f"resourceVersion={old['resourceVersion']}") as watch:
        for _ in range(19):
            watch.next()
        server.call("POST", "/sim/reset-history")
        assert watch.next() is None
    listed = server.get(CONFIGMAPS)
    assert listed["items"][0]["metadata"]["uid"] == uid
    assert int(listed["metadata"]["resourceVersion"]) < high
    for rv in ("1", str(high), "999999"):
        with server.watch(CONFIGMAPS, f"resourceVersion={rv}") as watch:
            assert watch.next()["object"]["code"] == 410, rv
    with server.watch(CONFIGMAPS, f"resourceVersion={listed['metadata']['resourceVersion']}") as watch:
        server.create(CONFIGMAPS, "new")
        assert watch.next()["type"] == "ADDED"


@pytest.mark.embedded
def test_fault_rules(server: Client) -> None:
    rules = [
        {"verb": "create", "path": "/configmaps", "next": 2, "code": 429, "retry_after": 3},
        {"verb": "list", "agent": "unlucky", "every": 2, "code": 503},
        {"verb": "get", "delay_ms": 150},
        {"verb": "delete", "drop": True},
    ]
    server.call("PUT", "/sim/faults", {"rules": rules})
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            server.create(CONFIGMAPS, "c")
        assert caught.value.code == 429 and caught.value.headers["Retry-After"] == "3"
        assert caught.value.status["details"]["retryAfterSeconds"] == 3
    assert server.create(CONFIGMAPS, "c")
    assert server.get(CONFIGMAPS)
    assert server.get(CONFIGMAPS, User_Agent="unlucky/1")
    assert server.refused(503, "GET", CONFIGMAPS, User_Agent="unlucky/1")["reason"] == "ServiceUnavailable"
    start = time.monotonic()
    assert server.get(f"{CONFIGMAPS}/c")
    assert time.monotonic() - start >= 0.15
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        server.call("DELETE", f"{CONFIGMAPS}/c")
    assert [r["struck"] for r in server.get("/sim/faults")["rules"]] == [2, 1, 1, 1]
    server.call("DELETE", "/sim/faults")
    assert server.call("DELETE", f"{CONFIGMAPS}/c")
    assert server.refused(400, "PUT", "/sim/faults", {"rules": [{"cod": 500}]})
    assert server.refused(400, "PUT", "/sim/faults", {"unknown": 1})


@pytest.mark.embedded
def test_watches_cut_and_silent(server: Client) -> None:
    with server.watch(CONFIGMAPS) as cut, server.watch(LEASES) as other:
        server.call("PUT", "/sim/faults", {"cut": "configmaps"})
        assert cut.next() is None
        server.create(LEASES, "l")
        assert other.next()["type"] == "ADDED"
    server.call("PUT", "/sim/faults", {"silent": "configmaps"})
    with server.watch(CONFIGMAPS, timeout=0.3) as silent:
        server.create(CONFIGMAPS, "c")
        with pytest.raises(TimeoutError):
            silent.next()
    server.call("PUT", "/sim/faults", {"cut_every_ms": 100, "cut_clean": True})
    for _ in range(2):
        with server.watch(LEASES, "resourceVersion=5") as watch:
            while watch.next():
                pass
    server.call("DELETE", "/sim/faults")


@pytest.mark.embedded
def test_client_leaves_while_it_waits(server: Client) -> None:
    server.call("PUT", "/sim/faults", {"rules": [{"delay_ms": 100}]})
    for path in (CONFIGMAPS, f"{CONFIGMAPS}?watch=1"):
        with pytest.raises((TimeoutError, urllib.error.URLError)):
            urllib.request.urlopen(server.url + path, timeout=0.02)
    server.get(LEASES)  # after as long a delay, so the others have been answered too
    server.call("DELETE", "/sim/faults")
    deadline = time.monotonic() + 10
    while server.get("/sim/stats")["watches"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.embedded
def test_end_while_a_request_waits(serve: Callable[..., Server]) -> None:
    server = serve()
    server.call("PUT", "/sim/faults", {"rules": [{"delay_ms": 60000}]})
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        urllib.request.urlopen(server.url + CONFIGMAPS, timeout=0.05)
    assert server.stop() == 0


@pytest.mark.embedded
def test_connections_dropped(server: Client) -> None:
    connection = http.client.HTTPConnection(server.url.rpartition("/")[2])
    connection.request("GET", CONFIGMAPS)
    connection.getresponse().read()
    server.call("PUT", "/sim/faults", {"drop_connections": True})
    assert connection.sock.recv(1) == b""
    connection.close()
    assert server.get(CONFIGMAPS)["kind"] == "ConfigMapList"


@pytest.mark.embedded
def test_server_goes_away_and_returns(server: Client) -> None:
    with server.watch(LEASES) as watch:
        server.call("PUT", "/sim/faults", {"refuse_ms": 400})
        assert watch.next() is None
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            server.get("/healthz")
        deadline = time.monotonic() + 10
        while True:
            try:
                assert server.get("/healthz") == "ok"
                break
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < deadline
                time.sleep(0.05)


@pytest.mark.embedded
def test_write_log(serve: Callable[..., Server], tmp_path: Path) -> None:
    log = tmp_path / "writes"
    server = serve("--write-log", str(log))
    made = server.service("a")
    at = {"lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Because"}
    conditions = [{"type": f"{d}/A", "status": "True"} | at for d in ("example.com", "fairlead.io")]
    body = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}, "conditions": conditions}}
    server.call("PATCH", f"{SERVICES}/a/status", body, MERGE, User_Agent="fairlead-controller/1")
    server.refused(404, "DELETE", f"{SERVICES}/b")
    server.get(f"{SERVICES}/a")
    lines = [json.loads(line) for line in log.read_text().splitlines()][-3:]
    assert [(w["verb"], w["code"]) for w in lines] == [("create", 201), ("patch", 200), ("delete", 404)]
    patch = lines[1]
    assert patch["agent"] == "fairlead-controller/1" and patch["ingress"] == ["192.0.2.1"]
    assert (patch["uid"], patch["name"], patch["type"]) == (made["metadata"]["uid"], "a", "LoadBalancer")
    assert json.loads(patch["body"]) == body and patch["path"] == f"{SERVICES}/a/status"
    assert patch["changed"] is True
    assert patch["condition"] == {"type": "fairlead.io/A", "status": "True", "reason": "Because"}


@pytest.mark.embedded
def test_token(serve: Callable[..., Server]) -> None:
    server = serve("--token", "secret")
    assert server.refused(401, "GET", CONFIGMAPS)["reason"] == "Unauthorized"
    assert server.refused(401, "GET", CONFIGMAPS, Authorization="Bearer secre")
    assert server.get(CONFIGMAPS, Authorization="Bearer secret")["kind"] == "ConfigMapList"
    assert server.get("/readyz") == "ok"


@pytest.mark.embedded
def test_tls(serve: Callable[..., Server], tmp_path: Path) -> None:
    cert, key = tmp_path / "cert", tmp_path / "key"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=apisim"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(make, check=True, capture_output=True)
    server = serve("--tls-cert", str(cert), "--tls-key", str(key))
    get = ["curl", "-sS", "--cacert", str(cert), server.url + "/version"]
    assert json.loads(subprocess.run(get, check=True, capture_output=True).stdout)["major"] == "1"


@pytest.mark.embedded
def test_counters(server: Client) -> None:
    server.create(CONFIGMAPS, "c")
    with server.watch(CONFIGMAPS) as watch:
        watch.next()
        stats = server.get("/sim/stats")
    assert stats["watches"] == 1 and stats["requests"]["create"] == {"configmaps": 1}
    assert stats["requests"]["watch"] == {"configmaps": 1} and stats["objects"]["configmaps"] == 1


# ---- kubectl ----

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: frontend, labels: {app: webapp}}
spec:
  type: LoadBalancer
  selector: {app: webapp, role: frontend}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: https, port: 443}
"""


@pytest.fixture
def kubectl(server: Client, tmp_path: Path) -> Callable[..., str]:
    program = kubernetes.kubectl()
    if not program:
        pytest.skip("kubectl is not installed")

    def run(*args: str, stdin: str = "") -> str:
        where = ["--server", server.url, "--kubeconfig", str(server.kubeconfig)]
        argv = [program, *where, "--cache-dir", str(tmp_path), *args]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_kubectl_life_of_a_service(server: Client, kubectl: Callable[..., str]) -> None:
    assert kubectl("create", "-f", "-", stdin=MANIFEST) == "service/frontend created\n"
    kubectl("label", "service", "frontend", "a=b")
    kubectl("annotate", "svc", "frontend", "c=d")
    kubectl("patch", "svc", "frontend", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    server.patch(f"{SERVICES}/frontend/status", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}})
    table = [line.split() for line in kubectl("get", "svc", "-o", "wide").splitlines()]
    assert table[0] == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"]
    assert table[1][:2] == ["frontend", "LoadBalancer"] and table[1][3] == "192.0.2.1"
    assert table[1][6] == "app=webapp,role=frontend"
    described = kubectl("describe", "svc", "frontend")
    assert "LoadBalancer Ingress:     192.0.2.1" in described and "HealthCheck NodePort:" in described
    assert kubectl("delete", "svc", "frontend").startswith('service "frontend" deleted')


def test_kubectl_apply(server: Client, kubectl: Callable[..., str]) -> None:
    assert kubectl("apply", "-f", "-", stdin=MANIFEST) == "service/frontend created\n"
    assert kubectl("apply", "-f", "-", stdin=MANIFEST) == "service/frontend unchanged\n"
    before = server.get(f"{SERVICES}/frontend")["spec"]
    less = MANIFEST.replace("  - {name: https, port: 443}\n", "").replace("targetPort: 8080", "targetPort: 8081")
    assert kubectl("apply", "-f", "-", stdin=less) == "service/frontend configured\n"
    after = server.get(f"{SERVICES}/frontend")["spec"]
    node_port = before["ports"][0]["nodePort"]
    assert [(p["port"], p["targetPort"], p["nodePort"]) for p in after["ports"]] == [(80, 8081, node_port)]


def test_kubectl_tables(server: Client, kubectl: Callable[..., str]) -> None:
    address = {"type": "InternalIP", "address": "192.0.2.9"}
    ready = {"type": "Ready", "status": "True"}
    status = {"addresses": [address], "conditions": [ready], "nodeInfo": {"kubeletVersion": "v1"}}
    server.call("POST", "/api/v1/nodes", {"metadata": {"name": "node1"}, "status": status})
    pods = "/api/v1/namespaces/default/pods"
    server.create(pods, "p", spec={"nodeName": "node1", "containers": [{"name": "c", "image": "i"}]})
    server.create(SLICES, "s", addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"port": 80}])
    server.create(CONFIGMAPS, "c", data={"a": "b"})
    assert kubectl("get", "nodes").split()[5:8] == ["node1", "Ready", "<none>"]
    assert kubectl("get", "pods").split()[5:9] == ["p", "0/1", "Pending", "0"]
    assert kubectl("get", "endpointslices").split()[5:9] == ["s", "IPv4", "80", "10.0.0.1"]
    assert kubectl("get", "cm").split()[3:5] == ["c", "1"]
    assert "default" in kubectl("get", "ns")
    assert kubectl("get", "svc", "-l", "app=none", "-o", "name") == ""
    assert kubectl("describe", "node", "node1") and kubectl("describe", "pod", "p") and kubectl("describe", "cm", "c")
    assert "services" in kubectl("api-resources") and "Server Version" in kubectl("version")
