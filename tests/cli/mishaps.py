# SPDX-License-Identifier: Apache-2.0
"""What `fairlead test` and `fairlead uninstall` leave behind where something comes in between.

An API server of two nodes that keeps what is written to it, on loopback; each mishap is a hook that sees a request
before or after it was carried out.
"""

import json
import os
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FAIRLEAD = os.environ["fairlead"]
API = "127.0.0.1"
NAMESPACES = "/api/v1/namespaces"
LABEL = {"app.kubernetes.io/managed-by": "fairlead-test"}
LONG_AGO = {"fairlead.io/test-until": "2026-01-01T00:00:00Z"}
IMAGE = ("--image", "example/image", "--timeout", "1")
ACTIVE = f"{NAMESPACES}/fairlead-system/configmaps/fairlead-active"
MARK = "fairlead.io/uninstall"

Object = dict[str, Any]


class Lost(Exception):
    """The connection ends without an answer."""


def node(name: str) -> Object:
    """Of IPv6 alone, and without a speaker."""
    ready = {"type": "Ready", "status": "True"}
    address = {"type": "InternalIP", "address": "::1"}
    return {"metadata": {"name": name, "uid": name}, "status": {"conditions": [ready], "addresses": [address]}}


class Server:
    """Objects by their path; a deleted namespace takes what lies in it along at once."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {f"/api/v1/nodes/{n}": node(n) for n in ("n1", "n2")}
        self.n_made = 0
        self.before: Callable[[str, str], None] = lambda *_: None
        self.after: Callable[[str, str], None] = lambda *_: None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path, _, query = self.path.partition("?")
                try:
                    fake.before(self.command, path)
                    code, said = fake.answer(self.command, path, query, json.loads(body) if body else {})
                    fake.after(self.command, path)
                except Lost:
                    self.close_connection = True
                    return
                text = json.dumps(said).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = do

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((API, 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.port = server.server_address[1]

    def put(self, path: str, obj: Object) -> None:
        self.n_made += 1
        obj["metadata"] = {**obj.get("metadata", {}), "name": path.rsplit("/", 1)[1], "uid": f"uid-{self.n_made}"}
        self.objects[path] = obj

    def remove(self, path: str) -> None:
        for key in [k for k in self.objects if k == path or k.startswith(path + "/")]:
            del self.objects[key]

    def answer(self, method: str, path: str, query: str, body: Object) -> tuple[int, Object]:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return 409, {"kind": "Status", "message": "already exists"}
            self.put(path, body)
            return 201, self.objects[path]
        if path not in self.objects:
            if method == "GET" and path.endswith("s") and "/proxy/" not in path:
                return 200, {"metadata": {"resourceVersion": "1"}, "items": self.listed(path, query)}
            return 404, {"kind": "Status", "message": "not found"}
        if method == "PATCH":
            self.objects[path]["metadata"].update(body.get("metadata", {}))
        if method == "DELETE":
            wanted = body.get("preconditions", {}).get("uid")
            if wanted not in (None, self.objects[path]["metadata"]["uid"]):
                return 409, {"kind": "Status", "message": "the UID in the precondition does not match"}
            self.remove(path)
            return 200, {"kind": "Status", "metadata": {}}
        return 200, self.objects[path]

    def listed(self, path: str, query: str) -> list[Object]:
        """Of the selectors only that of namespaces counts."""
        items = [o for k, o in self.objects.items() if k.rpartition("/")[0] == path]
        if path != NAMESPACES or "managed-by" not in query:
            return items
        return [o for o in items if LABEL.items() <= o["metadata"].get("labels", {}).items()]

    def names(self) -> list[str]:
        return [k.removeprefix(NAMESPACES + "/") for k in self.objects if k.startswith(NAMESPACES)]


def start(server: Server, *words: str, nohup: bool = False, speaker_port: int = 1) -> subprocess.Popen[str]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://{API}:{server.port}"}}],
        "users": [{"name": "c", "user": {}}],
    }
    path = Path(tempfile.mkdtemp(dir=DIR)) / "kubeconfig"
    path.write_text(json.dumps(config), encoding="utf-8")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)
    process = subprocess.Popen(
        [FAIRLEAD, *words, "--kubeconfig", str(path), "--speaker-port", str(speaker_port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    signal.signal(signal.SIGHUP, before)
    return process


def run(server: Server, *words: str) -> tuple[int, str]:
    process = start(server, *words)
    out = process.communicate(timeout=120)[0]
    return process.returncode, out


def is_making(kind: str) -> Callable[[str, str], bool]:
    return lambda method, path: method == "POST" and path.rsplit("/", 1)[1] == kind


# ---- mishaps of fairlead test ----


def test_the_answer_is_lost() -> None:
    """The namespace was made, though nothing says so."""
    for name in ([], ["--test-namespace", "mine"]):
        server = Server()

        def lose(method: str, path: str) -> None:
            if is_making("namespaces")(method, path):
                raise Lost

        server.after = lose
        code, out = run(server, "test", *IMAGE, *name)
        assert (code, server.names()) == (2, []), out


def test_it_is_not_known_whether_it_was_made() -> None:
    server = Server()

    def lose(method: str, path: str) -> None:
        if path == NAMESPACES + "/mine" or is_making("namespaces")(method, path):
            raise Lost

    server.after = lose
    code, out = run(server, "test", *IMAGE, "--test-namespace", "mine")
    assert code == 2 and "whether namespace mine was made is not known" in out, out


def test_somebody_else_was_first() -> None:
    """Between the two nothing tells them apart but what the namespace says."""
    server = Server()

    def forestall(method: str, path: str) -> None:
        if is_making("namespaces")(method, path):
            server.put(f"{NAMESPACES}/mine", {"metadata": {"labels": LABEL, "annotations": LONG_AGO}})
            raise Lost

    server.before = forestall
    code, out = run(server, "test", *IMAGE, "--test-namespace", "mine")
    assert (code, server.names()) == (2, ["mine"]), out


def test_another_namespace_of_that_name() -> None:
    """Ours was removed by --clean-up, and somebody made one of the same name, with a Service of the same name."""
    server = Server()

    def replace(method: str, path: str) -> None:
        if is_making("services")(method, path):
            server.remove(f"{NAMESPACES}/mine")
            server.put(f"{NAMESPACES}/mine", {})
            server.put(f"{NAMESPACES}/mine/services/echo", {})

    server.after = replace
    code, out = run(server, "test", *IMAGE, "--test-namespace", "mine")
    assert code == 2 and server.names() == ["mine", "mine/services/echo"], (out, server.names())


def test_the_address_is_lost() -> None:
    server = Server()
    looks = []

    def lose(method: str, path: str) -> None:
        if is_making("deployments")(method, path):
            meta = {"labels": {"app.kubernetes.io/component": "echo"}}
            ready = {"conditions": [{"type": "Ready", "status": "True"}]}
            pod = {"metadata": meta, "spec": {"nodeName": "n1"}, "status": ready}
            server.put(f"{NAMESPACES}/mine/pods/echo", pod)
        if method == "GET" and path.endswith("/services/echo"):
            looks.append(path)
            ingress = [{"ip": "192.0.2.9"}] if len(looks) == 1 else []
            server.objects[path]["status"] = {"loadBalancer": {"ingress": ingress}}

    server.before = lose
    code, out = run(server, "test", *IMAGE, "--test-namespace", "mine")
    assert code == 2 and "ended early: the Service has lost its address" in out, (code, out)
    assert server.names() == []


def hung_up(nohup: bool) -> tuple[Server, int, str]:
    server = Server()
    made = threading.Event()
    server.after = lambda method, path: made.set() if is_making("services")(method, path) else None
    process = start(server, "test", "--image", "example/image", "--timeout", "3", nohup=nohup)
    assert made.wait(60)
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
    out = process.communicate(timeout=120)[0]
    return server, process.returncode, out


def test_its_terminal_is_closed() -> None:
    """The shell says so, and the kernel once more."""
    server, code, out = hung_up(nohup=False)
    assert code == 2 and "ended early: interrupted" in out, (code, out)
    assert server.names() == []


def test_its_terminal_is_closed_under_nohup() -> None:
    server, code, out = hung_up(nohup=True)
    assert code == 2 and "ended early: the test's Pod does not run" in out, (code, out)
    assert server.names() == []


# ---- what --clean-up takes for remains ----


def test_a_label_alone_is_no_remains() -> None:
    server = Server()
    server.put(f"{NAMESPACES}/shop", {"metadata": {"labels": LABEL}})
    server.put(f"{NAMESPACES}/old", {"metadata": {"labels": LABEL, "annotations": LONG_AGO}})
    assert run(server, "test", "--clean-up", "--yes") == (0, "namespace old: removed\n")
    assert run(server, "test", "--clean-up", "--yes") == (0, "nothing is left of earlier tests\n")
    assert server.names() == ["shop"]


def test_one_namespace_alone_is_cleaned_up() -> None:
    server = Server()
    for name in ("one", "two"):
        server.put(f"{NAMESPACES}/{name}", {"metadata": {"labels": LABEL, "annotations": LONG_AGO}})
    server.put(f"{NAMESPACES}/shop", {})
    said = "namespace shop is none that is left of an earlier test\n"
    assert run(server, "test", "--clean-up", "--test-namespace", "shop") == (0, said)
    assert run(server, "test", "--clean-up", "--test-namespace", "two") == (0, "namespace two: removed\n")
    assert server.names() == ["one", "shop"]


# ---- mishaps of fairlead uninstall ----


def mark_of(server: Server) -> Any:
    return server.objects[ACTIVE]["metadata"].get("annotations", {}).get(MARK)


def test_the_mark_is_set_though_no_answer_comes() -> None:
    server = Server()
    server.put(ACTIVE, {})

    def lose(method: str, path: str) -> None:
        if method == "PATCH" and mark_of(server):
            raise Lost

    server.after = lose
    code, out = run(server, "uninstall", "--yes", "--timeout", "1")
    assert (code, mark_of(server)) == (1, None), out


# ---- a speaker's port that somebody else has ----


class Dripping(socketserver.BaseRequestHandler):
    """Its answer never ends, and is never silent for long."""

    def handle(self) -> None:
        self.request.recv(4096)
        try:
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{")
            while True:
                time.sleep(0.5)
                self.request.sendall(b" ")
        except OSError:
            pass


def start_dripping() -> subprocess.Popen[str]:
    drips = socketserver.ThreadingTCPServer((API, 0), Dripping)
    drips.daemon_threads = True
    threading.Thread(target=drips.serve_forever, daemon=True).start()
    server = Server()
    for n in ("n1", "n2"):
        server.objects[f"/api/v1/nodes/{n}"]["status"]["addresses"][0]["address"] = API
    return start(server, "bgp", speaker_port=drips.server_address[1])


def test_an_answer_that_does_not_end() -> None:
    out = DRIPPED.communicate(timeout=120)[0]
    for _ in range(3):
        if "timed out" in out:  # on a busy machine the drips themselves come late
            out = start_dripping().communicate(timeout=120)[0]
    assert "its answer does not end; does another program have its port?" in out, out


def main() -> int:
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
        except AssertionError as error:
            print(f"{name}: {error}")
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as DIR:
        DRIPPED = start_dripping()  # it takes its time, meanwhile for the others
        sys.exit(main())
