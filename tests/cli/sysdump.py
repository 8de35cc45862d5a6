# SPDX-License-Identifier: Apache-2.0
"""The archive of `fairlead sysdump`, of a cluster that one process plays on loopback.

Secrets are planted wherever people put them; those of the API server must not even be asked for.
"""

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from states import ACTIVE, API, NODES, POOLS, WANTED, Cluster, config_map, healthy

FAIRLEAD = os.environ["fairlead"]
PLANTED = "hunter2planted"
CONTROLLER = "127.0.0.21"
NAMESPACE = "/api/v1/namespaces/fairlead-system"
LONG = "fairlead-speaker-" + "x" * 150
PEERS = f"peers:\n- my-asn: 64500\n  password: {PLANTED}\n  peer-asn: 64501\n  peer-address: 192.0.2.1\n"


def pod(name: str, component: str, node: str, ip: str, port: int, *, restarted: bool = False) -> dict[str, Any]:
    last = {"lastState": {"terminated": {"exitCode": 1}}} if restarted else {}
    return {
        "metadata": {
            "namespace": "fairlead-system",
            "name": name,
            "uid": name[:40],
            "resourceVersion": "1",
            "labels": {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": component},
            "managedFields": [{"manager": "nobody needs this"}],
        },
        "spec": {
            "nodeName": node,
            "containers": [
                {
                    "name": component,
                    "ports": [{"name": "http", "containerPort": port}],
                    "env": [{"name": "HTTPS_PROXY", "value": f"http://u:{PLANTED}@proxy"}],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": ip,
            "containerStatuses": [{"name": component, "ready": True, "state": {"running": {}}, **last}],
        },
    }


def event(component: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": f"web.{component}", "uid": component, "resourceVersion": "1"},
        "reportingComponent": f"fairlead.io/{component}",
        "reason": "Announced",
    }


class Fake:
    """Answers GETs by whoever was called and the path; what begins with "/api" is the API server's."""

    def __init__(self) -> None:
        self.cluster: Cluster = {}
        self.denied: tuple[str, ...] = ()
        self.asked: list[tuple[str, str]] = []
        self.silent: dict[str, threading.Barrier] = {}
        self.met: list[str] = []  # silent ones that were waited for together
        self.direct_dumps = True
        self.over = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.serve(self, str(self.server.server_address[0]))

            def log_message(self, *_: object) -> None:
                pass

        self.api_port = self.listen(API, 0, Handler)
        self.speaker_port = self.listen_all(Handler)
        self.controller_port = self.listen(CONTROLLER, 0, Handler)

    @staticmethod
    def listen(address: str, port: int, handler: type[BaseHTTPRequestHandler]) -> int:
        server = ThreadingHTTPServer((address, port), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return int(server.server_address[1])

    def listen_all(self, handler: type[BaseHTTPRequestHandler]) -> int:
        """All at one port, which somebody may have on one of the addresses only."""
        first, *others = NODES.values()
        while True:
            port = self.listen(first, 0, handler)
            try:
                for address in others:
                    self.listen(address, port, handler)
                return port
            except OSError:
                continue

    def reset(self) -> None:
        c = healthy()
        for path in (WANTED, ACTIVE):
            applied = json.dumps({"data": {"config": POOLS + PEERS}})
            c["objects"][path]["data"]["config"] = POOLS + PEERS
            c["objects"][path]["metadata"].setdefault("annotations", {})["last-applied"] = applied
        pods = [pod(LONG, "speaker", "n1", NODES["n1"], self.speaker_port)]
        pods += [pod(f"speaker-{n}", "speaker", n, NODES[n], self.speaker_port) for n in ("n2", "n3")]
        pods += [pod("controller-a", "controller", "n1", CONTROLLER, self.controller_port, restarted=True)]
        c["pods"] = pods
        self.cluster, self.denied, self.asked, self.silent, self.met = c, (), [], {}, []
        self.direct_dumps = True
        self.over = threading.Event()

    def serve(self, request: BaseHTTPRequestHandler, address: str) -> None:
        path, _, query = request.path.partition("?")
        self.asked.append((address, request.path))
        if address in self.silent:
            self.keep_silent(address)
            return
        if "/proxy/" in path and self.address_of(path) in self.silent:
            self.keep_silent("proxy")
            return
        code, answer = self.answer(address, path, query)
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        request.send_response(code)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def keep_silent(self, who: str) -> None:
        """Until all is over.  Whoever asks the next one only when it has given up on this one never meets it here."""
        try:
            self.silent[who].wait(timeout=60)
            self.met.append(who)
        except threading.BrokenBarrierError:
            pass
        self.over.wait(timeout=120)

    def answer(self, address: str, path: str, query: str) -> tuple[int, Any]:
        if address == CONTROLLER or address in NODES.values():
            return self.page(address, path, direct=True)
        if any(word in path for word in self.denied):
            message = f"{path} is forbidden: User cannot get resource"
            return 403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
        if "/proxy/" in path:
            return self.page(self.address_of(path), path.split("/proxy")[1], direct=False)
        if path.endswith("/log"):
            return 200, f"log of {path} {query}\nneighbor 192.0.2.1 password {PLANTED}\nline 3\n"
        c = self.cluster
        lists = {
            "/api/v1/services": c["services"],
            "/api/v1/nodes": c["nodes"],
            f"{NAMESPACE}/pods": [p for p in c["pods"] if "component" not in query or "controller" not in str(p)],
            "/apis/discovery.k8s.io/v1/endpointslices": [],
            "/api/v1/namespaces": [
                {"metadata": {"name": "shop", "uid": "u", "resourceVersion": "1", "labels": {"team": "a"}}}
            ],
            "/api/v1/events": [event(w) for w in ("controller", "speaker") if query.split("&")[0].endswith(w)],
        }
        if path in lists:
            return 200, {"metadata": {"resourceVersion": "1"}, "items": lists[path]}
        if path in c["objects"]:
            return 200, c["objects"][path]
        return 404, {"kind": "Status", "message": "not here"}

    def address_of(self, path: str) -> str:
        """Of the Pod whose proxy is asked."""
        name = path.split("/proxy")[0].split("/")[-1].split(":")[0]
        return "".join(p["status"]["podIP"] for p in self.cluster["pods"] if p["metadata"]["name"] == name)

    def page(self, address: str, path: str, *, direct: bool) -> tuple[int, Any]:
        if not address:
            return 503, "no such Pod\n"
        if path == "/status":
            said = self.cluster["speakers"].get(address, {"leader": True})
            return 200, said
        if path == "/metrics":
            return 200, f"fairlead_metric{{at=\"{address}\"}} 1\n"
        if path.startswith("/dump/") and direct and not self.direct_dumps:
            return 403, "this is for clients on this host\n"
        if path == "/dump/rules":
            return 200, "*nat\n-A FL-X -j ACCEPT\n"
        if path == "/dump/diff":
            return 200, {"mode": "iptables", "families": []}
        if path == "/dump/bgp":
            return 200, f"router bgp 64500\n neighbor 192.0.2.1 password {PLANTED}\n neighbor 192.0.2.1 bfd\n"
        return 404, "no such path\n"


class Ran:
    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr.decode()


class Runner:
    def __init__(self, fake: Fake, directory: Path) -> None:
        self.fake, self.directory = fake, directory
        self.kubeconfig = directory / "kubeconfig"
        self.point_at(fake.api_port)

    def point_at(self, port: int) -> None:
        text = {
            "clusters": [{"name": "c", "cluster": {"server": f"http://{API}:{port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self.kubeconfig.write_text(json.dumps(text), encoding="utf-8")

    def run(self, *words: str) -> Ran:
        port = str(self.fake.speaker_port)
        argv = [FAIRLEAD, "sysdump", "--kubeconfig", str(self.kubeconfig), "--speaker-port", port, *words]
        ran = Ran(subprocess.run(argv, capture_output=True, check=False, timeout=200, cwd=self.directory))
        self.fake.over.set()
        return ran


def contents(data: bytes) -> dict[str, str]:
    """The files by their names without the directory that all of them are in."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        files = {}
        for member in tar.getmembers():
            read = tar.extractfile(member)
            assert read is not None and member.isfile()
            files[member.name.split("/", 1)[1]] = read.read().decode()
        assert len({m.name.split("/")[0] for m in tar.getmembers()}) == 1
        return files


def expected() -> set[str]:
    of_each = ("status.json", "metrics.txt", "rules.txt", "differences.json", "bgp.txt")
    pages = {f"speakers/{n}/{page}" for n in NODES for page in of_each}
    logs = {f"logs/{p}/speaker.log" for p in (LONG, "speaker-n2", "speaker-n3")}
    logs |= {"logs/controller-a/controller.log", "logs/controller-a/controller.previous.log"}
    objects = ("pods", "configmap-fairlead", "configmap-fairlead-active", "lease", "nodes", "services")
    objects += ("endpointslices", "events-controller", "events-speakers")
    return (
        {"README.txt", "missing.txt", "status.txt", "status.json", "config/wanted.yaml", "config/in-force.yaml"}
        | {f"objects/{o}.json" for o in objects}
        | {"controllers/controller-a/status.json", "controllers/controller-a/metrics.txt"}
        | pages
        | logs
    )


def missing_of(files: dict[str, str]) -> list[str]:
    return sorted(line.split(": ")[0] for line in files["missing.txt"].splitlines())


def everything_is_there_and_no_secret(run: Runner) -> None:
    ran = run.run()
    assert ran.code == 0, (ran.code, ran.stderr)
    (path,) = ran.stdout.decode().splitlines()
    file = run.directory / path
    assert path.startswith("fairlead-sysdump-") and path.endswith(".tar.gz")
    assert file.stat().st_mode & 0o777 == 0o600
    files = contents(file.read_bytes())
    assert set(files) == expected(), set(files) ^ expected()
    assert files["missing.txt"] == "Nothing is missing.\n"
    assert not ran.stderr
    holders = [name for name, text in files.items() if PLANTED in text]
    assert not holders, holders
    assert not [p for _, p in run.fake.asked if "secrets" in p]
    config = files["config/wanted.yaml"]
    assert "  password: ***\n  peer-asn: 64501\n" in config, config
    (wanted,) = json.loads(files["objects/configmap-fairlead.json"])["items"]
    applied = json.loads(wanted["metadata"]["annotations"]["last-applied"])
    assert applied["data"]["config"] == config, "what stands in an annotation stays, without the password"
    assert " neighbor 192.0.2.1 password ***\n neighbor 192.0.2.1 bfd\n" in files["speakers/n2/bgp.txt"]
    assert files["logs/controller-a/controller.previous.log"].endswith("password ***\nline 3\n")
    assert "managedFields" not in files["objects/pods.json"]
    (told,) = json.loads(files["objects/events-speakers.json"])["items"]
    assert told["reportingComponent"] == "fairlead.io/speaker"
    assert "verdict" in json.loads(files["status.json"])
    assert files["status.txt"].startswith("OK\n"), files["status.txt"]
    services = json.loads(files["objects/services.json"])
    assert (services["kind"], len(services["items"])) == ("ServiceList", 2)


def what_pools_decide_by_is_there(run: Runner) -> None:
    more = POOLS.replace("}", ", cool-down: 5m, namespace-selectors: [{match-labels: {team: a}}]}")
    objects = run.fake.cluster["objects"]
    objects[ACTIVE]["data"]["config"] = more
    cooling = f"{NAMESPACE}/configmaps/fairlead-cooling"
    objects[cooling] = config_map("fairlead-cooling", "")
    objects[cooling]["data"] = {"cooling": "192.0.2.241 shop/gone 1764547200\n"}
    ran = run.run("--file", "-")
    assert ran.code == 0, ran.stderr
    files = contents(ran.stdout)
    named = {"objects/namespaces.json", "objects/configmap-fairlead-cooling.json"}
    assert set(files) == expected() | named, set(files) ^ expected()
    (shop,) = json.loads(files["objects/namespaces.json"])["items"]
    assert shop["metadata"]["labels"] == {"team": "a"}
    (gone,) = json.loads(files["objects/configmap-fairlead-cooling.json"])["items"]
    assert "shop/gone" in gone["data"]["cooling"]


def logs_are_bounded_as_asked(run: Runner) -> None:
    ran = run.run("--since", "2h", "--tail-lines", "7", "--file", "-")
    assert ran.code == 0, ran.stderr
    text = contents(ran.stdout)["logs/controller-a/controller.log"]
    assert "tailLines=7&" in text and "sinceSeconds=7200" in text and "limitBytes=" in text, text
    for wrong in ("x", "", "0", "-1", "2y", "2hh", "2026-13-01", "9999-01-01", "99999999999d"):
        assert run.run(f"--since={wrong}").code == 64, wrong


def what_is_there_is_left_alone(run: Runner) -> None:
    there = run.directory / "there.tar.gz"
    there.write_text("precious", encoding="utf-8")
    ran = run.run("--file", str(there))
    assert (ran.code, there.read_text(encoding="utf-8")) == (2, "precious")
    assert "exists" in ran.stderr and not run.fake.asked


def without_an_api_server_there_is_nothing(run: Runner) -> None:
    with socket.socket() as unused:
        unused.bind((API, 0))
        run.point_at(unused.getsockname()[1])
        ran = run.run("--file", "nothing.tar.gz")
    run.point_at(run.fake.api_port)
    assert ran.code == 2, ran.stderr
    assert not (run.directory / "nothing.tar.gz").exists()


def a_right_that_is_missing_is_told(run: Runner) -> None:
    run.fake.denied = ("/log", "/events")
    ran = run.run("--file", "-")
    assert ran.code == 1, ran.stderr
    files = contents(ran.stdout)
    logs = sorted(f for f in expected() if f.startswith("logs/"))
    assert missing_of(files) == sorted([*logs, "objects/events-controller.json", "objects/events-speakers.json"])
    assert set(files) == expected() - set(missing_of(files))
    assert "Forbidden: /api/v1/events is forbidden" in files["missing.txt"]
    assert all(f"fairlead: missing: {line}" in ran.stderr for line in files["missing.txt"].splitlines())


def dumps_come_by_way_of_the_api_server(run: Runner) -> None:
    run.fake.direct_dumps = False
    ran = run.run("--file", "-")
    assert ran.code == 0, ran.stderr
    assert set(contents(ran.stdout)) == expected()
    run.fake.reset()
    run.fake.direct_dumps = False
    run.fake.denied = ("/proxy/",)
    ran = run.run("--file", "-")
    assert ran.code == 1, ran.stderr
    said = contents(ran.stdout)["missing.txt"]
    assert "speakers/n1/rules.txt: HTTP status 403: this is for clients on this host; GET /api" in said, said


def silent_speakers_are_waited_for_together(run: Runner) -> None:
    together = threading.Barrier(2)
    run.fake.silent = {NODES["n2"]: together, NODES["n3"]: together, "proxy": threading.Barrier(2)}
    ran = run.run("--file", "-")
    assert ran.code == 1, ran.stderr
    files = contents(ran.stdout)
    assert missing_of(files) == ["speakers/n2", "speakers/n3"], files["missing.txt"]
    assert "speakers/n2: unreachable: timed out" in files["missing.txt"]
    assert sorted(run.fake.met) == sorted([NODES["n2"], NODES["n3"], "proxy", "proxy"])
    n2 = [(a, p) for a, p in run.fake.asked if a == NODES["n2"] or "/speaker-n2:" in p]
    assert len(n2) == 2, f"once directly, once by the proxy, and never again: {n2}"
    assert set(files) == {f for f in expected() if not f.startswith(("speakers/n2/", "speakers/n3/"))}


def nodes_without_a_speaker_lack_nothing(run: Runner) -> None:
    """One refuses connections, as where nobody listens, and has no Pod of ours."""
    node = json.loads(json.dumps(run.fake.cluster["nodes"][0]))
    node["metadata"].update(name="plain", uid="plain")
    node["status"]["addresses"][0]["address"] = "127.0.0.31"
    run.fake.cluster["nodes"].append(node)
    ran = run.run("--file", "-")
    assert ran.code == 0, ran.stderr


def names_from_outside_stay_inside(run: Runner) -> None:
    for p in run.fake.cluster["pods"]:
        p["spec"]["containers"][0]["name"] = "../../evil"
    names = set(contents(run.run("--file", "-").stdout))
    assert not [n for n in names if ".." in n.split("/")], names


CHECKS: tuple[Callable[[Runner], None], ...] = (
    everything_is_there_and_no_secret,
    what_pools_decide_by_is_there,
    logs_are_bounded_as_asked,
    what_is_there_is_left_alone,
    without_an_api_server_there_is_nothing,
    a_right_that_is_missing_is_told,
    dumps_come_by_way_of_the_api_server,
    silent_speakers_are_waited_for_together,
    nodes_without_a_speaker_lack_nothing,
    names_from_outside_stay_inside,
)


def main() -> int:
    fake = Fake()
    good = True
    with tempfile.TemporaryDirectory() as directory:
        run = Runner(fake, Path(directory))
        for check in CHECKS:
            fake.reset()
            try:
                check(run)
            except AssertionError as e:
                print(f"{check.__name__}: {e}")
                good = False
            fake.over.set()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
