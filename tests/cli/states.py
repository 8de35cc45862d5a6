# SPDX-License-Identifier: Apache-2.0
"""What fairlead(1) prints of live clusters: each state's output and exit status, as in tests/cli/out/status-STATE.

One process stands for the API server and for the nodes' speakers, on loopback; each state is the healthy cluster with
something broken.
With --write the files are written anew, to be looked at in the diff.
"""

import datetime
import difflib
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FAIRLEAD = os.environ["fairlead"]
OUT = Path(__file__).parent / "out"
API = "127.0.0.1"
NODES = {"n1": "127.0.0.11", "n2": "127.0.0.12", "n3": "127.0.0.13"}
POOLS = "address-pools:\n- {name: lan, protocol: layer2, addresses: [192.0.2.240-192.0.2.250]}\n"
ACTIVE = "/api/v1/namespaces/fairlead-system/configmaps/fairlead-active"
WANTED = "/api/v1/namespaces/fairlead-system/configmaps/fairlead"
PODS = "/api/v1/namespaces/fairlead-system/pods"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/fairlead-system/leases/fairlead-controller"

DENIED = {"kind": "Status", "code": 403, "message": "configmaps \"fairlead\" is forbidden"}

Cluster = dict[str, Any]
Break = Callable[[Cluster], None]


def config_map(name: str, text: str, **annotations: str) -> dict[str, Any]:
    meta = {"namespace": "fairlead-system", "name": name, "uid": name, "resourceVersion": "1"}
    return {"metadata": {**meta, "annotations": annotations}, "data": {"config": text}}


def service(name: str, ip: str | None, reason: str = "Assigned", message: str = "") -> dict[str, Any]:
    status = {"type": "fairlead.io/AddressAssigned", "status": "True", "reason": reason, "message": message}
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "1", "labels": {"app": name}},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
        "status": {"conditions": [status], "loadBalancer": {"ingress": [{"ip": ip}] if ip else []}},
    }


def slice_of(service: str) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": service}
    endpoint = {"addresses": ["10.244.1.2"], "nodeName": "n1", "conditions": {"ready": True}}
    return {
        "metadata": {"namespace": "shop", "name": service, "uid": service, "resourceVersion": "1", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [endpoint],
        "ports": [{"port": 80}],
    }


def node(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": NODES[name]}],
        },
    }


def pod(component: str, node: str) -> dict[str, Any]:
    """One that runs."""
    name = f"fairlead-{component}-{node}"
    labels = {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": component}
    return {
        "metadata": {"namespace": "fairlead-system", "name": name, "uid": name, "labels": labels},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "containerStatuses": [{"name": component, "state": {"running": {}}}]},
    }


def says(name: str, ip: str, reason: str, message: str = "") -> dict[str, Any]:
    said = {"address": ip, "announce": reason == "Announced", "reason": reason, "message": message}
    where = {"protocol": "layer2", "owner": "n1", "interface": "eth0", "mac": ""}
    return {"namespace": "shop", "name": name, "addresses": [said | where]}


def layer2(name: str) -> dict[str, Any]:
    segment = {"interface": "eth0", "mac": "02:00:00:00:00:01", "ipv4": NODES[name], "ipv6": "", "mtu": 1500}
    peer = {"interface": "eth0", "alive": True, "restarting": False, "last_heard_ms": 40, "lost": 3}
    lately = {"lately": {"messages": 64, "lost": 0}}
    return {
        "heartbeat_key": "in force",
        "segments": [segment | {"state": "up", "owned": 0 if name == "n3" else 1, "dead_after_ms": 350}],
        "peers": [peer | lately | {"node": other} for other in NODES if other != name],
        "troubles": [],
        "moves": [],
    }


def speaker(name: str) -> dict[str, Any]:
    owner = "n1"
    mine, other = "Announced", "NotOwner"
    return {
        "node": name,
        "version": "0.1.0",
        "config": {"generation": 3},
        "api": {"fresh": True},
        "uninstalled": "no",
        "proxy": {"mode": "iptables", "in_sync": True, "families": [{"family": 4, "refused": [], "last_error": None}]},
        "l2": layer2(name),
        "bgp": {"connected": False, "reason": "BgpNoPeer", "message": "the configuration has no BGP peer", "peers": []},
        "services": [
            says("api", "192.0.2.241", mine if name == owner else other),
            says("web", "192.0.2.240", mine if name == "n2" else other),
        ],
    }


def controller(name: str) -> dict[str, Any]:
    config = {"config_map": "fairlead", "generation": 3}
    return {"identity": f"{name}_1", "version": "0.1.0", "leader": name == "n1", "config": config}


def healthy() -> Cluster:
    now = datetime.datetime.now(datetime.UTC)
    return {
        "objects": {
            ACTIVE: config_map("fairlead-active", POOLS, **{"fairlead.io/generation": "3"}),
            WANTED: config_map("fairlead", POOLS),
            LEASE: {
                "metadata": {"name": "fairlead-controller"},
                "spec": {
                    "holderIdentity": "controller-1",
                    "leaseDurationSeconds": 15,
                    "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                },
            },
        },
        "services": [service("api", "192.0.2.241"), service("web", "192.0.2.240")],
        "nodes": [node(n) for n in NODES],
        "slices": [slice_of("web")],
        "pods": [*(pod("controller", n) for n in ("n1", "n2")), *(pod("speaker", n) for n in NODES)],
        "speakers": {NODES[n]: speaker(n) for n in NODES},
        "controllers": {f"fairlead-controller-{n}": controller(n) for n in ("n1", "n2")},
    }


# ---- what breaks ----


def no_leader(c: Cluster) -> None:
    c["objects"][LEASE]["spec"]["holderIdentity"] = ""


def refused(c: Cluster) -> None:
    c["objects"][WANTED]["data"]["config"] = POOLS + "peers: 1\n"


def refused_elsewhere(c: Cluster) -> None:
    """The controller follows a ConfigMap of another name, as it says where it publishes."""
    del c["objects"][WANTED]
    c["objects"][f"{Path(WANTED).parent}/pools"] = config_map("pools", POOLS + "peers: 1\n")
    c["objects"][ACTIVE]["metadata"]["annotations"]["fairlead.io/config-map"] = "pools"


def never_accepted(c: Cluster) -> None:
    """The first edit is wrong: only the controllers say where it is."""
    refused_elsewhere(c)
    nothing_published(c)
    for said in c["controllers"].values():
        said["config"] = {"config_map": "pools"}


def denied(c: Cluster) -> None:
    c["objects"][WANTED] = DENIED


def nothing_published(c: Cluster) -> None:
    del c["objects"][ACTIVE]


def uninstalled(c: Cluster) -> None:
    for s in c["speakers"].values():
        s.update(uninstalled="done", services=[])


def drained(c: Cluster) -> None:
    """One by its annotation; that cordons and labels count is for the speakers to say."""
    c["nodes"][0]["spec"] = c["nodes"][2]["spec"] = {"unschedulable": True}
    c["nodes"][1]["metadata"]["annotations"] = {"fairlead.io/drain": "true"}
    for name, ip in (("api", "192.0.2.241"), ("web", "192.0.2.240")):
        say_all(c, name, ip, ("Announced", "NodeDrained", "NodeCordoned"))


def no_bgp(c: Cluster) -> None:
    message = "BGP is switched off on this node (--bgp-socket-dir none)"
    for s in c["speakers"].values():
        s["bgp"].update(reason="ProtocolUnsupported", message=message)


def bgp_on_one(c: Cluster) -> None:
    """What has to be cut is cut behind a word."""
    no_bgp(c)
    c["speakers"][NODES["n1"]]["bgp"].update(reason="BgpUnreachable", message="bgpd does not answer")
    c["nodes"][1]["metadata"]["name"] = "a-worker-with-a-long-name"


def not_here(c: Cluster) -> None:
    c["objects"].clear()
    c["pods"].clear()
    all_silent(c)


def being_uninstalled(c: Cluster) -> None:
    c["objects"][ACTIVE]["metadata"]["annotations"]["fairlead.io/uninstall"] = "keep-addresses"


def silent(c: Cluster) -> None:
    c["speakers"][NODES["n3"]] = None


def pod_of(c: Cluster, component: str, node: str) -> Any:
    return next(p for p in c["pods"] if p["metadata"]["name"] == f"fairlead-{component}-{node}")


def waits(c: Cluster, component: str, node: str, reason: str, message: str, **last: Any) -> None:
    state = {"state": {"waiting": {"reason": reason, "message": message}}, "lastState": last}
    pod_of(c, component, node)["status"]["containerStatuses"][0].update(state)


def no_pod(c: Cluster) -> None:
    """A Node that the DaemonSet passes over, and one where that is meant so."""
    say_all(c, "web", "192.0.2.240", ("Announced", "NotOwner", "NotOwner"))
    for name in ("n2", "n3"):
        c["speakers"][NODES[name]] = None
        c["pods"].remove(pod_of(c, "speaker", name))
    c["nodes"][1]["metadata"]["labels"] = {"node.kubernetes.io/exclude-from-external-load-balancers": "true"}


def not_running(c: Cluster) -> None:
    """One that crashes, one whose image is not there, one that waits for its node."""
    all_silent(c)
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    waits(c, "speaker", "n1", "CrashLoopBackOff", "back-off 5m0s restarting failed container", **killed)
    waits(c, "speaker", "n2", "ImagePullBackOff", "Back-off pulling image \"registry.example/fairlead:0.2.0\"")
    pending = pod_of(c, "speaker", "n3")
    field = {"key": "metadata.name", "operator": "In", "values": ["n3"]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    pending["spec"] = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}
    message = "0/3 nodes are available: 1 Insufficient memory"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pending["status"] = {"phase": "Pending", "conditions": [condition]}


def no_controller(c: Cluster) -> None:
    no_leader(c)
    c["pods"] = [p for p in c["pods"] if "controller" not in p["metadata"]["name"]]


def controllers_crash(c: Cluster) -> None:
    no_leader(c)
    one_controller_crashes(c)
    waits(c, "controller", "n1", "CreateContainerConfigError", "secret \"token\" not found")


def one_controller_crashes(c: Cluster) -> None:
    failed = {"terminated": {"exitCode": 1, "reason": "Error"}}
    waits(c, "controller", "n2", "CrashLoopBackOff", "back-off 40s restarting failed container", **failed)


def pods_denied(c: Cluster) -> None:
    silent(c)
    c["pods"] = DENIED


def by_hand(c: Cluster) -> None:
    silent(c)
    c["pods"] = []


def all_silent(c: Cluster) -> None:
    for address in NODES.values():
        c["speakers"][address] = None


def say_all(c: Cluster, name: str, ip: str, reasons: tuple[str, str, str], message: str = "") -> None:
    for address, reason in zip(NODES.values(), reasons, strict=True):
        kept = [s for s in c["speakers"][address]["services"] if s["name"] != name]
        c["speakers"][address]["services"] = [*kept, says(name, ip, reason, message)]


def unannounced(c: Cluster) -> None:
    message = "the Service has no usable endpoint anywhere"
    say_all(c, "api", "192.0.2.241", ("NoEndpoints",) * 3, message)
    say_all(c, "web", "192.0.2.240", ("NoLocalEndpoint", "NoLocalEndpoint", "NodeExcluded"))


def two_owners(c: Cluster) -> None:
    say_all(c, "web", "192.0.2.240", ("Announced", "Announced", "NotOwner"))


def contested(c: Cluster) -> None:
    message = "192.0.2.240 stays; other-controller writes it too"
    c["services"][1] = service("web", "192.0.2.240", "StatusContested", message)


def pending(c: Cluster) -> None:
    c["services"].append(service("wants\x1b[2J", None, "AddressTaken", "192.0.2.240 belongs to another Service"))


def full(c: Cluster) -> None:
    few = POOLS.replace("192.0.2.250", "192.0.2.241")
    c["objects"][ACTIVE]["data"]["config"] = c["objects"][WANTED]["data"]["config"] = few


def no_session(c: Cluster) -> None:
    up = {"name": "tor-a", "address": "192.0.2.1", "my_asn": 64512, "asn": 64513, "state": "Established"}
    down = {**up, "name": "tor-b", "address": "192.0.2.2", "state": "Active", "last_error": "the router refuses"}
    for address in NODES.values():
        c["speakers"][address]["bgp"] = {
            "connected": True,
            "reason": "Announced",
            "message": "",
            "instance": {"asn": 64512, "own": True},
            "prefixes": {"wanted": 2, "set": 2},
            "peers": [{**up, "established": True, "uptime_ms": 3600000, "prefixes_wanted": 2, "prefixes_sent": 2}],
        }
    c["speakers"][NODES["n2"]]["bgp"]["peers"].append({**down, "reason": "BgpNoSession"})


def rules(c: Cluster) -> None:
    c["speakers"][NODES["n1"]]["proxy"].update(in_sync=False)
    c["speakers"][NODES["n1"]]["proxy"]["families"][0]["last_error"] = "another holds the xtables lock"
    c["speakers"][NODES["n2"]]["proxy"].update(in_sync=False)
    refuses = {"service": "shop/web", "error": "no such match: recent"}
    c["speakers"][NODES["n2"]]["proxy"]["families"][0]["refused"] = [refuses]
    lacks = {"service": "shop/api", "scheduler": "mh"}
    c["speakers"][NODES["n2"]]["proxy"]["families"][0]["substituted"] = [lacks]
    for name in ("n1", "n2"):
        c["speakers"][NODES[name]]["uncarried"] = [{"service": "shop/inside", "reason": "CrowdedOut"}]
    c["speakers"][NODES["n2"]]["uncarried"].append({"service": "shop/huge", "reason": "TooLarge"})
    port = {"service": "shop/web", "port": 30100, "error": "Address already in use"}
    c["speakers"][NODES["n2"]]["health"] = {"failing": [port]}


def stale(c: Cluster) -> None:
    c["speakers"][NODES["n1"]]["api"] = {"fresh": False}
    c["speakers"][NODES["n2"]]["config"] = {"generation": 2}
    trouble = {"reason": "ProxyArp", "interface": "eth0", "message": "02:00:00:00:00:09 answers for 192.0.2.242"}
    c["speakers"][NODES["n3"]]["l2"]["troubles"] = [trouble]


def skewed(c: Cluster) -> None:
    c["controllers"]["fairlead-controller-n1"]["version"] = "0.2.0"
    c["controllers"]["fairlead-controller-n2"] = None
    c["speakers"][NODES["n1"]]["version"] = "0.2.0"
    c["pods"].append(pod("controller", "n3"))
    waits(c, "controller", "n3", "ImagePullBackOff", "Back-off pulling image")
    silent(c)


def newer(c: Cluster) -> None:
    for said in [*c["controllers"].values(), *c["speakers"].values()]:
        said["version"] = "0.2.0"


def lost(c: Cluster) -> None:
    c["nodes"] = DENIED


def owned(c: Cluster, name: str, by: str, held_ms: int, cause: str, took_ms: int) -> None:
    """An address with its history; its owner's speaker has restarted since, so the others know it longer."""
    for node, address in NODES.items():
        (said,) = (a for s in c["speakers"][address]["services"] if s["name"] == name for a in s["addresses"])
        said.update(owner=by, claim="other", held_ms=held_ms + 65000)
        if node == by:
            said.update(claim="owner", held_ms=held_ms, cause=cause, took_ms=took_ms)


def moved(c: Cluster) -> None:
    """An owner has died, one was drained, and one is about to follow another."""
    owned(c, "api", "n1", 3 * 3600 * 1000, "OwnerFirst", -1)
    owned(c, "web", "n2", 2000, "OwnerDied", 345)
    n1, n2, n3 = (c["speakers"][address] for address in NODES.values())
    n1["l2"]["peers"][1].update(alive=False, last_heard_ms=67300)
    n2["l2"]["peers"][1].update(alive=False, last_heard_ms=67340, lately={"messages": 64, "lost": 9})
    move = {"address": "192.0.2.240", "service": "shop/web", "from": "n3"}
    n2["l2"]["moves"] = [move | {"cause": "OwnerDied", "took_ms": 345, "ago_ms": 67000}]
    given = [move | {"from": "n1", "cause": "OwnerReleased", "took_ms": 1, "ago_ms": 90000 + i} for i in range(21)]
    n3["l2"]["moves"] = [*given, move | {"from": "n1", "cause": "FromTheFuture", "took_ms": -1, "ago_ms": 172800000}]
    n3["l2"]["segments"][0].update(state="listening")
    (said,) = (a for s in n3["services"] if s["name"] == "api" for a in s["addresses"])
    said.update(claim="probing", reason="Candidate")


def uneven(c: Cluster) -> None:
    """One node owns all."""
    for node, address in NODES.items():
        said = c["speakers"][address]["services"]
        said[1] = says("web", "192.0.2.240", "Announced" if node == "n1" else "NotOwner")


def preferred(c: Cluster) -> None:
    """By a node that owns nothing, and another one waits for an owner; the configuration has a rate."""
    (said,) = (s for s in c["speakers"][NODES["n3"]]["services"] if s["name"] == "web")
    said["addresses"][0]["preference"] = 10
    for address in NODES.values():
        c["speakers"][address]["services"][0]["addresses"][0].update(announce=False, reason="Candidate")
    pools = POOLS + "rebalance: {per-minute: 10}\n"
    c["objects"][ACTIVE] = config_map("fairlead-active", pools, **{"fairlead.io/generation": "3"})


def fine(c: Cluster) -> None:
    del c


# Name of the file, what is broken, and the commands whose output goes into it.
STATES: list[tuple[str, Break, list[str]]] = [
    ("healthy", fine, ["status", "pools", "bgp", "l2", "status --summary", "version"]),
    ("moved", moved, ["status", "status -o wide", "l2", "l2 -o wide", "l2 -o json", "l2 -o name", "explain shop/web"]),
    ("even", fine, ["rebalance --dry-run", "rebalance -o json"]),
    ("uneven", uneven, ["rebalance --dry-run", "rebalance", "rebalance --dry-run -o json"]),
    ("preferred", preferred, ["rebalance --dry-run", "rebalance --dry-run -o json"]),
    ("version-skew", skewed, ["version", "version -o json"]),
    ("version-newer", newer, ["version"]),
    ("version-lost", lost, ["version", "version -o json", "version --client"]),
    ("formats", silent, ["status -o wide", "status -o json", "status -o yaml", "status -o name", "pools -o name"]),
    (
        "chosen",
        silent,
        ["status -n shop -l app=web", "status -l !app", "status -l app,", "status --exit-code=answer --summary"],
    ),
    ("no-leader", no_leader, ["status", "pools"]),
    ("refused", refused, ["status --summary", "pools -o json"]),
    ("refused-elsewhere", refused_elsewhere, ["status --summary", "status --summary --config-map fairlead"]),
    ("never-accepted", never_accepted, ["status --summary", "status --summary --config-map other"]),
    ("denied", denied, ["status --summary"]),
    ("nothing-published", nothing_published, ["status --summary", "pools"]),
    ("uninstalled", uninstalled, ["status"]),
    ("drained", drained, ["status"]),
    ("no-bgp", no_bgp, ["bgp"]),
    ("bgp-on-one", bgp_on_one, ["bgp"]),
    ("not-here", not_here, ["status"]),
    ("being-uninstalled", being_uninstalled, ["status --summary"]),
    ("silent", silent, ["status", "bgp"]),
    ("all-silent", all_silent, ["status --summary"]),
    ("no-pod", no_pod, ["status", "status -o json", "explain shop/web"]),
    ("not-running", not_running, ["status", "explain shop/web"]),
    ("no-controller", no_controller, ["status --summary"]),
    ("controllers-crash", controllers_crash, ["status --summary"]),
    ("one-controller-crashes", one_controller_crashes, ["status --summary"]),
    ("pods-denied", pods_denied, ["status --summary"]),
    ("by-hand", by_hand, ["status --summary"]),
    ("unannounced", unannounced, ["status"]),
    ("two-owners", two_owners, ["status"]),
    ("contested", contested, ["status --summary"]),
    ("pending", pending, ["status"]),
    ("pool-full", full, ["status --summary", "pools", "pools -o json"]),
    ("no-session", no_session, ["status --summary", "bgp", "bgp -o name", "bgp -o yaml"]),
    ("rules", rules, ["status --summary"]),
    ("stale", stale, ["status --summary"]),
    # Names from the cluster, but none that a shell would take for something else.
    (
        "completion",
        pending,
        ["__complete explain shop/a", "__complete explain", "__complete status -n", "__complete explain --node"],
    ),
]


# ---- the servers ----


class Fake:
    """An API server and three speakers, with one cluster at a time."""

    def __init__(self) -> None:
        self.cluster: Cluster = {}
        self.n_requests = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.n_requests += 1
                answer = fake.answer(self.server.server_address[0], self.path.split("?")[0])
                body = json.dumps(answer if answer is not None else {"kind": "Status", "message": "not here"}).encode()
                self.send_response(404 if answer is None else 403 if answer is DENIED else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.api_port = self._serve(API, 0, Handler)
        self.speaker_port = self._serve_speakers(Handler)

    def _serve_speakers(self, handler: type[BaseHTTPRequestHandler]) -> int:
        """All at one port, which somebody may have on one of the addresses only."""
        first, *others = NODES.values()
        while True:
            port = self._serve(first, 0, handler)
            try:
                for address in others:
                    self._serve(address, port, handler)
                return port
            except OSError:
                continue

    @staticmethod
    def _serve(address: str, port: int, handler: type[BaseHTTPRequestHandler]) -> int:
        server = ThreadingHTTPServer((address, port), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return int(server.server_address[1])

    def answer(self, address: str, path: str) -> Any:
        c = self.cluster
        if address != API:
            return c["speakers"][address] if path == "/status" else None
        lists = {"/api/v1/services": "services", "/api/v1/nodes": "nodes", PODS: "pods", SLICES: "slices"}
        if path in lists and c[lists[path]] is not DENIED:
            return {"metadata": {"resourceVersion": "1"}, "items": c[lists[path]]}
        if path in lists:
            return DENIED
        if path.startswith(PODS) and path.endswith(":17481/proxy/status"):
            return c["controllers"].get(path[len(PODS) + 1 :].split(":")[0])
        return c["objects"].get(path)


def shown(text: str, port: int) -> str:
    return text.replace(str(port), "PORT")


class Runner:
    def __init__(self, fake: Fake, kubeconfig: str) -> None:
        self.fake = fake
        self.flags = ["--kubeconfig", kubeconfig, "--speaker-port", str(fake.speaker_port)]
        self.env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}

    def run(self, command: str) -> str:
        words = [*command.split(), *self.flags]
        if words[0] == "__complete":
            # The flags stand before the word to complete, as somebody would have written them.
            last = [] if "/" in command else [""]
            words = [words[0], *self.flags, *command.split()[1:], *last]
        done = subprocess.run(
            [FAIRLEAD, *words], capture_output=True, text=True, check=False, env=self.env, timeout=60
        )
        printed = shown(done.stdout + done.stderr, self.fake.speaker_port)
        return f"$ fairlead {command}\n{printed}exit status {done.returncode}\n"

    def on_terminal(self, command: str, enough: str, **env: str) -> str:
        """What a terminal gets, until that has come so often or the command has ended."""
        control, terminal = pty.openpty()
        process = subprocess.Popen(
            [FAIRLEAD, *command.split(), *self.flags],
            stdout=terminal, stderr=terminal, stdin=subprocess.DEVNULL, env={**self.env, "TERM": "xterm", **env},
        )  # fmt: skip
        os.close(terminal)
        text = ""
        try:
            while text.count(enough) < 2 and select.select([control], [], [], 60)[0]:
                text += os.read(control, 65536).decode()
        except OSError:
            pass  # the command has ended
        process.kill()
        process.wait()
        os.close(control)
        return text


def compare(name: str, said: str, write: bool) -> bool:
    path = OUT / f"status-{name}"
    if write:
        path.write_text(said, encoding="utf-8")
        return True
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    diff = difflib.unified_diff(expected.splitlines(True), said.splitlines(True), f"{name} expected", f"{name} printed")
    sys.stdout.writelines(diff)
    return expected == said


def check(what: str, holds: bool, seen: str) -> bool:
    if not holds:
        print(f"{what}: {seen!r}")
    return holds


def check_terminal(run: Runner) -> bool:
    """Colour is for terminals whose user wants it; what is watched stays where it is."""
    run.fake.cluster = healthy()
    good = check("colour", "\x1b[32mOK\x1b[0m" in (t := run.on_terminal("status", "never")), t)
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        good &= check(f"no colour with {env}", "\x1b" not in (t := run.on_terminal("status", "never", **env)), t)
    good &= check("NO_COLOR that is empty", "\x1b[32m" in (t := run.on_terminal("status", "never", NO_COLOR="")), t)
    seen = run.on_terminal("status --watch", "\x1b[H")
    good &= check("a watched screen", seen.count("\x1b[H") == 2 and "\x1b[K\r\n" in seen, seen)
    return good


def check_pipe(run: Runner) -> bool:
    """Whoever watches and looks away ends it."""
    argv = [FAIRLEAD, "status", "--watch", "-o", "name", *run.flags]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.stdout.close()
        return check("what is watched by nobody", process.wait(60) == 0 and line == b"shop/api\n", str(line))


def save(path: Path, text: str) -> None:
    """As many editors do: another file takes its place."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(path)


def check_plan_again() -> bool:
    """A plan for each change of a file, until it is asked to end; one that cannot be read ends nothing."""
    spec = "{type: LoadBalancer, clusterIP: 10.96.0.1}"
    with tempfile.TemporaryDirectory() as directory:
        config, state = Path(directory) / "config.yaml", Path(directory) / "state.yaml"
        save(config, POOLS)
        save(state, "{kind: Service, apiVersion: v1, metadata: {name: web}, spec: %s}\n" % spec)
        argv = [FAIRLEAD, "plan", "--watch", "--summary", "--config", str(config), "--state", str(state)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline()]
            save(config, "address-pools: 1\n")
            said += [process.stdout.readline(), process.stdout.readline()]
            save(config, POOLS)
            said.append(process.stdout.readline())
            save(state, "")
            said.append(process.stdout.readline())
            process.terminate()
        seen = "".join(said).replace(directory, "")
    expected = (
        "1 Service: 1 assign\n"
        "/config.yaml:1: address-pools: is a single value; write a list\n"
        "fairlead: /config.yaml is not a valid configuration\n"
        "1 Service: 1 assign\n"
        "0 Services\n"
    )
    return check("a plan for each change", seen == expected, seen)


def check_wait(run: Runner) -> bool:
    """It waits until all is well, and no longer than it should."""
    c = healthy()
    silent(c)
    run.fake.cluster = c
    good = check("in vain", (t := run.run("status --summary --wait=1")).endswith("exit status 1\n"), t)
    before = run.fake.n_requests

    def mend() -> None:
        while run.fake.n_requests < before + 12:
            pass_a_moment.wait(0.05)
        run.fake.cluster = healthy()

    pass_a_moment = threading.Event()
    mender = threading.Thread(target=mend)
    mender.start()
    good &= check("with success", (t := run.run("status --summary --wait")).endswith("\nOK\nexit status 0\n"), t)
    mender.join()
    return good


def main() -> int:
    write = "--write" in sys.argv[1:]
    fake = Fake()
    good = True
    with tempfile.NamedTemporaryFile("w", suffix=".json") as kubeconfig:
        context = {"cluster": "c", "user": "u"}
        json.dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://{API}:{fake.api_port}"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": context}],
                "current-context": "x",
            },
            kubeconfig,
        )
        kubeconfig.flush()
        run = Runner(fake, kubeconfig.name)
        for name, breaks, commands in STATES:
            fake.cluster = healthy()
            breaks(fake.cluster)
            good &= compare(name, "\n".join(run.run(c) for c in commands), write)
        good &= check_terminal(run) and check_pipe(run) and check_wait(run) and check_plan_again()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
