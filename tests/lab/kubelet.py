# SPDX-License-Identifier: Apache-2.0
"""The lab's stand-in for scheduler, kubelets and EndpointSlice controller: one process for all nodes of a lab.

It registers the Nodes, binds Pods to them in turn, runs each Pod as one process in a namespace of its own, probes its
readiness over HTTP, keeps its status, and gives every Service with a selector its EndpointSlices, unless
kube-controller-manager does.  Of a Pod it honours:
the first container's image (which names a program, see IMAGES), command, env (values, and the Pod's and node's names),
ports, readinessProbe.httpGet, lifecycle.preStop.sleep and terminationMessagePath; nodeName, nodeSelector, the affinity
to a node by its name, hostNetwork, restartPolicy Never and terminationGracePeriodSeconds.

One thread watches each kind, one runs each Pod; all of them only put events into a queue, and the main thread alone
decides and writes.  With the API server away it retries.
"""

import argparse
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from . import api, net, netns, slices, web
from .api import ApiError, Object
from .waiting import LabError

# Which program stands in for an image; the tag does not matter.
IMAGES = {"traefik/whoami": "fairlead-echo", "fairlead": "fairlead"}

TICK_SECONDS = 0.2  # between readiness probes, and between retries
RESTART_SECONDS = 1.0
ADDRESSES_PER_NODE = 250

Event = tuple[str, str, Object | None]


def key_of(obj: Object) -> str:
    meta = obj["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


class Watch(threading.Thread):
    """Keeps the queue informed of one kind: (kind, key, object), the object None when it is gone."""

    def __init__(self, client: api.Client, kind: str, events: "queue.Queue[Event]") -> None:
        super().__init__(daemon=True)
        self._client, self._kind, self._events = client, kind, events
        self._known: dict[str, Object] = {}

    def run(self) -> None:
        while True:
            try:
                self._follow()
            except ApiError as error:
                print(f"watch {self._kind}: {error}", flush=True)
                time.sleep(TICK_SECONDS)

    def _follow(self) -> None:
        items, version = self._client.objects_with_version(self._kind)
        listed = {key_of(i): {"kind": self._kind, **i} for i in items}
        for key in self._known.keys() - listed.keys():
            self._put(key, None)
        for key, obj in listed.items():
            if self._known.get(key) != obj:
                self._put(key, obj)
        while True:
            for kind, obj in self._client.watch(self._kind, version):
                version = obj["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._put(key_of(obj), None if kind == "DELETED" else obj)

    def _put(self, key: str, obj: Object | None) -> None:
        if obj is None:
            self._known.pop(key, None)
        else:
            self._known[key] = obj
        self._events.put((self._kind, key, obj))


class PodRunner(threading.Thread):
    """One Pod: its namespace, its process, its readiness."""

    def __init__(
        self, pod: Object, node: net.Host, namespace: str, address: str, program: Path, log: Path, changed: Any
    ) -> None:
        super().__init__(daemon=True)
        self.pod, self.node = pod, node
        self._on_host = bool(pod["spec"].get("hostNetwork"))
        self.address = node.address if self._on_host else address
        self.started_running = False
        self.ready = False
        self.gone = False
        self.ended: int | None = None  # the exit status of one that is not restarted
        self._namespace = node.namespace if self._on_host else namespace
        self._program, self._log = program, log
        self._changed = changed
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0

    @property
    def _container(self) -> Object:
        return self.pod["spec"]["containers"][0]

    def stop(self) -> None:
        self._stop.set()

    def kill(self) -> None:
        """At once and without ceremony: the lab ends.  Nothing starts any more, or it would outlive the namespace."""
        self._stop.set()
        with self._starting:
            if self._process:
                self._process.kill()
                self._process.wait()
        self._delete_namespace()

    def _delete_namespace(self) -> None:
        if not self._on_host:
            netns.delete(self._namespace)

    @property
    def message(self) -> str:
        """What the container left behind at its terminationMessagePath."""
        path = self._message_path
        return path.read_text(encoding="utf-8")[:4096] if path.exists() else ""

    @property
    def _message_path(self) -> Path:
        return self._log.with_suffix(".message")

    def run(self) -> None:
        if not self._on_host:
            net.create_pod(self._namespace, self.node.namespace, self.node.pod_prefix, self.address)
        while not self._stop.wait(self._turn()):
            pass
        sleep = ((self._container.get("lifecycle") or {}).get("preStop") or {}).get("sleep") or {}
        self._drain(float(sleep.get("seconds", 0)))
        self._end()
        self._delete_namespace()
        self.gone = True
        self._changed()

    def _turn(self) -> float:
        """Starts what does not run, probes what does; returns the seconds until the next turn."""
        if not self._process or self._process.poll() is not None:
            again = self._process is not None
            if self._process and self.pod["spec"].get("restartPolicy") == "Never":
                self._set_ended(self._process.returncode)
                return TICK_SECONDS
            self._set_ready(False)
            if again and self._stop.wait(RESTART_SECONDS):
                return 0
            self._start()
        self._probe()
        return TICK_SECONDS if self.ready else TICK_SECONDS / 10

    def _start(self) -> None:
        with self._starting, self._log.open("ab") as log, netns.entered(self._namespace):
            if self._stop.is_set():
                return
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", ""), **self._environment()},
            )
        self.started_running = True
        self._changed()

    def _command(self) -> list[str]:
        """The image's program with what follows it in the command; a Pod here has the files of the machine."""
        path = self._container.get("terminationMessagePath", "/dev/termination-log")
        words = (self._container.get("command") or [""])[1:]
        return [str(self._program), *(str(self._message_path) if w == path else w for w in words)]

    def _environment(self) -> dict[str, str]:
        fields = {"metadata.name": self.pod["metadata"]["name"], "spec.nodeName": self.node.name}
        values = {"HOSTNAME": self.pod["metadata"]["name"]}
        for entry in self._container.get("env") or []:
            field = ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
            values[entry["name"]] = fields.get(field, str(entry.get("value", "")))
        return values

    def _set_ended(self, status: int) -> None:
        if self.ended is None:
            self.ended = status
            self._changed()

    def _probe(self) -> None:
        probe = self._container.get("readinessProbe")
        if not probe:
            self._set_ready(True)
            return
        check = probe["httpGet"]
        try:
            reply = web.get(self.node.namespace, self.address, self._port(check["port"]), check.get("path", "/"))
            passed = reply.status < 400
        except LabError:
            passed = False
        self._failures = 0 if passed else self._failures + 1
        if passed:
            self._set_ready(True)
        elif self._failures >= int(probe.get("failureThreshold", 3)):
            self._set_ready(False)

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        offered = self._container.get("ports") or []
        return next((p["containerPort"] for p in offered if p.get("name") == port), 0)

    def _set_ready(self, ready: bool) -> None:
        if ready != self.ready:
            self.ready = ready
            self._changed()

    def _drain(self, seconds: float) -> None:
        """preStop: the Pod goes on serving, and its readiness is probed on."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._probe()
            time.sleep(min(left, TICK_SECONDS))

    def _end(self) -> None:
        if not self._process:
            return
        self._process.terminate()
        try:
            self._process.wait(float(self.pod["spec"].get("terminationGracePeriodSeconds", 30)))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Kubelet:
    def __init__(
        self, client: api.Client, network: net.Network, programs: list[Path], logs: Path, keeps_slices: bool
    ) -> None:
        self._keeps_slices = keeps_slices
        self._client, self._network, self._programs, self._logs = client, network, programs, logs
        self._events: queue.Queue[Event] = queue.Queue()
        self._objects: dict[str, dict[str, Object]] = {k: {} for k in ("Pod", "Service", "EndpointSlice", "Node")}
        self._slices: dict[str, dict[str, Object]] = {}  # ours, by Service and name
        self._runners: dict[str, PodRunner] = {}  # by UID
        self._dirty_pods: set[str] = set()
        self._dirty_services: set[str] = set()
        self._next_node = 0
        self._next_address = {n.name: 2 for n in network.nodes}

    # ---- life ----

    def register(self, cordoned: set[str]) -> None:
        for host in self._network.nodes:
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": host.name,
                    "labels": {"kubernetes.io/hostname": host.name, "kubernetes.io/os": "linux"},
                },
                "spec": {"podCIDR": host.pod_cidr, "podCIDRs": [host.pod_cidr]},
            }
            if host.name in cordoned:
                node["spec"]["unschedulable"] = True
            self._client.apply(node)
            now = _now()
            ready = {
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "the lab runs this node",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            addresses = [
                {"type": "InternalIP", "address": host.address},
                {"type": "Hostname", "address": host.name},
            ]
            status = {"status": {"addresses": addresses, "conditions": [ready]}}
            self._client.patch("Node", host.name, status, "", "status")

    def run(self) -> None:
        for kind in self._objects:
            Watch(self._client, kind, self._events).start()
        # Whoever knows one Node alone binds every Pod to it.
        while not all("/" + n.name in self._objects["Node"] for n in self._network.nodes):
            self._take_events()
        while True:
            self._take_events()
            self._reconcile()

    def kill_pods(self) -> None:
        for runner in self._runners.values():
            runner.kill()

    # ---- events ----

    def _take_events(self) -> None:
        retrying = self._dirty_pods or self._dirty_services
        try:
            event = self._events.get(timeout=TICK_SECONDS if retrying else None)
            while True:
                self._take(*event)
                event = self._events.get_nowait()
        except queue.Empty:
            pass

    def _take(self, kind: str, key: str, obj: Object | None) -> None:
        store = self._objects.get(kind, {})
        before = store.get(key)
        if obj is not None:
            store[key] = obj
        else:
            store.pop(key, None)
        if kind in ("Pod", "runner"):
            self._dirty_pods.add(key)
            if before and (obj is None or before["metadata"].get("uid") != obj["metadata"].get("uid")):
                self._lost(before)
            self._touch_services(key.split("/")[0])
        elif kind == "Service":
            self._dirty_services.add(key)
        elif kind == "EndpointSlice":
            self._index_slice(key, before, obj)
        elif kind == "Node":
            self._dirty_pods |= set(self._objects["Pod"])

    def _index_slice(self, key: str, before: Object | None, now: Object | None) -> None:
        namespace, name = key.split("/")
        for obj in (before, now):
            labels = (obj["metadata"].get("labels") or {}) if obj else {}
            if labels.get(slices.LABEL_MANAGER) != slices.MANAGER:
                continue
            service = f"{namespace}/{labels.get(slices.LABEL_SERVICE)}"
            self._dirty_services.add(service)
            of_service = self._slices.setdefault(service, {})
            of_service.pop(name, None)
            if obj is now:
                of_service[name] = obj

    def _lost(self, pod: Object) -> None:
        """A Pod object went away while its process may still run: it drains as if it had been marked for deletion."""
        runner = self._runners.get(pod["metadata"].get("uid", ""))
        if runner:
            runner.pod = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": _now()}}
            runner.stop()

    def _touch_services(self, namespace: str) -> None:
        self._dirty_services |= {k for k in self._objects["Service"] if k.startswith(namespace + "/")}

    # ---- decisions ----

    def _reconcile(self) -> None:
        for uid, runner in list(self._runners.items()):
            if runner.gone:
                self._runners.pop(uid)
                self._touch_services(key_of(runner.pod).split("/")[0])
        for dirty, act in ((self._dirty_pods, self._reconcile_pod), (self._dirty_services, self._reconcile_slices)):
            for key in sorted(dirty):
                try:
                    act(key)
                except ApiError as error:
                    if error.code not in (404, 409):
                        print(f"{key}: {error}", flush=True)
                    if error.code == 404:
                        dirty.discard(key)
                else:
                    dirty.discard(key)

    def _reconcile_pod(self, key: str) -> None:
        pod = self._objects["Pod"].get(key)
        if not pod:
            return
        uid = pod["metadata"]["uid"]
        node = next((n for n in self._network.nodes if n.name == pod["spec"].get("nodeName")), None)
        runner = self._runners.get(uid)
        if pod["metadata"].get("deletionTimestamp"):
            if runner:
                runner.pod = pod
                runner.stop()
                self._write_status(pod, runner)
            else:
                self._client.delete("Pod", pod["metadata"]["name"], pod["metadata"]["namespace"], 0)
        elif not pod["spec"].get("nodeName"):
            self._bind(pod)
        elif node and not runner:
            self._run(pod, node)
        elif runner:
            self._write_status(pod, runner)

    def _bind(self, pod: Object) -> None:
        wanted = pod["spec"].get("nodeSelector") or {}
        named = _nodes_of_affinity(pod)
        fitting = [
            name
            for name in (n.name for n in self._network.nodes)
            if (node := self._objects["Node"].get("/" + name))
            and not node["spec"].get("unschedulable")
            and (named is None or name in named)
            and wanted.items() <= (node["metadata"].get("labels") or {}).items()
        ]
        if not fitting:
            return  # a change of a Node asks again
        name = fitting[self._next_node % len(fitting)]
        self._next_node += 1
        meta = pod["metadata"]
        self._client.bind(meta["name"], meta["namespace"], name)

    def _run(self, pod: Object, node: net.Host) -> None:
        meta = pod["metadata"]
        image = pod["spec"]["containers"][0].get("image", "")
        program = IMAGES.get(image.removeprefix("docker.io/").split("@")[0].split(":")[0])
        if not program:
            waiting = {"reason": "ErrImageNeverPull", "message": f"the lab has no program for image {image}"}
            state = {"name": pod["spec"]["containers"][0]["name"], "ready": False, "state": {"waiting": waiting}}
            status = {"phase": "Pending", "containerStatuses": [state]}
            self._client.patch("Pod", meta["name"], {"status": status}, meta["namespace"], "status")
            return
        key = key_of(pod)

        def changed() -> None:
            self._events.put(("runner", key, None))

        runner = PodRunner(
            pod,
            node,
            self._free_namespace(meta["name"]),
            self._free_address(node),
            next(d / program for d in self._programs if (d / program).exists()),
            self._logs / f"pod-{meta['namespace']}-{meta['name']}.log",
            changed,
        )
        self._runners[meta["uid"]] = runner
        runner.start()

    def _free_namespace(self, pod_name: str) -> str:
        base = f"{self._network.prefix}pod-{pod_name}"
        taken = {r._namespace for r in self._runners.values()}
        n = 1
        name = base
        while name in taken or netns.exists(name):
            n += 1
            name = f"{base}-{n}"
        return name

    def _free_address(self, node: net.Host) -> str:
        taken = {r.address for r in self._runners.values()}
        for _ in range(ADDRESSES_PER_NODE):
            n = self._next_address[node.name]
            self._next_address[node.name] = n + 1 if n < ADDRESSES_PER_NODE else 2
            address = f"{node.pod_prefix}.{n}"
            if address not in taken:
                return address
        raise LabError(f"{node.name} has no free Pod address")

    def _write_status(self, pod: Object, runner: PodRunner) -> None:
        if not runner.started_running:
            return
        if runner.ended is not None:
            self._write_ended(pod, runner, runner.ended)
            return
        node = self._objects["Node"].get("/" + runner.node.name, {})
        node_ready = any(
            c["type"] == "Ready" and c["status"] == "True" for c in (node.get("status") or {}).get("conditions") or []
        )
        ready = "True" if runner.ready and node_ready else "False"
        status = pod.get("status") or {}
        have = next((c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"), None)
        if (status.get("phase"), status.get("podIP"), have) == ("Running", runner.address, ready):
            return
        conditions = [
            {"type": kind, "status": ready, "lastTransitionTime": _now()} for kind in ("ContainersReady", "Ready")
        ]
        want = {
            "phase": "Running",
            "podIP": runner.address,
            "podIPs": [{"ip": runner.address}],
            "hostIP": runner.node.address,
            "conditions": conditions,
        }
        meta = pod["metadata"]
        self._client.patch("Pod", meta["name"], {"status": want}, meta["namespace"], "status")

    def _write_ended(self, pod: Object, runner: PodRunner, ended: int) -> None:
        phase = "Failed" if ended else "Succeeded"
        if (pod.get("status") or {}).get("phase") == phase:
            return
        container = pod["spec"]["containers"][0]
        state = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {
                "terminated": {
                    "exitCode": ended,
                    "reason": "Error" if ended else "Completed",
                    "message": runner.message,
                }
            },
        }
        meta = pod["metadata"]
        status = {"phase": phase, "containerStatuses": [state]}
        self._client.patch("Pod", meta["name"], {"status": status}, meta["namespace"], "status")

    def _reconcile_slices(self, key: str) -> None:
        if not self._keeps_slices:
            return
        namespace = key.split("/")[0]
        service = self._objects["Service"].get(key)
        draining = [
            r.pod
            for r in self._runners.values()
            if not r.gone and r.pod["metadata"].get("deletionTimestamp") and key_of(r.pod) not in self._objects["Pod"]
        ]
        want = slices.wanted(service, [*self._objects["Pod"].values(), *draining]) if service else {}
        have = dict(self._slices.get(key, {}))
        for slice_name, obj in want.items():
            if slice_name not in have:
                self._client.create(obj)
            elif not slices.same(have[slice_name], obj):
                self._client.patch("EndpointSlice", slice_name, obj, namespace)
        for slice_name in have.keys() - want.keys():
            self._client.delete("EndpointSlice", slice_name, namespace)


def _nodes_of_affinity(pod: Object) -> list[str] | None:
    """The nodes that its affinity names, as DaemonSets do; None: any."""
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    fields = [f for term in affinity.get("nodeSelectorTerms") or [] for f in term.get("matchFields") or []]
    named: list[str] = [v for f in fields if f["key"] == "metadata.name" for v in f["values"]]
    return named or None


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.kubelet", description=__doc__.splitlines()[0])
    parser.add_argument("--lab", required=True, help="the lab's id")
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes it has")
    parser.add_argument("--cordoned", default="", help="nodes that take no Pods, separated by commas")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where the API server is")
    parser.add_argument("--no-slices", action="store_true", help="somebody else keeps the EndpointSlices")
    parser.add_argument("--programs", type=Path, nargs="+", required=True, help="directories of the Pods' programs")
    parser.add_argument("--logs", type=Path, required=True, help="directory for the Pods' logs")
    options = parser.parse_args()

    network = net.Network(options.lab, options.nodes)
    client = api.Client.of_kubeconfig(options.kubeconfig, network.control_plane.namespace)
    kubelet = Kubelet(client, network, options.programs, options.logs, not options.no_slices)

    def terminate(*_: object) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, terminate)
    kubelet.register({n for n in options.cordoned.split(",") if n})
    try:
        kubelet.run()
    finally:
        kubelet.kill_pods()
    return 0


if __name__ == "__main__":
    sys.exit(main())
