# SPDX-License-Identifier: Apache-2.0
"""The whole cluster.

	with Cluster("mine", build=Path("build"), command="tests/cluster") as cluster:
	    cluster.start(kube_proxy=True)
	    cluster.kubectl("apply", "-f", "examples/webapp.yaml")

Leaving the block ends every process and removes everything, whatever happened inside, unless keep() was called.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from lab import net, netns, rundir
from lab.cluster import uninterrupted
from lab.kubernetes import PORT, ControlPlane, programs
from lab.processes import Process
from lab.waiting import PATIENCE, LabError, wait_for

from . import dns, dockerfile, dual, images, machine, node
from .node import Node

SOURCE = Path(__file__).resolve().parents[2]
# user: group
_USERS = {"admin": "system:masters", "system:kube-proxy": ""}
_API_SERVER_FLAGS = (
    "--endpoint-reconciler-type=lease",
    "--enable-admission-plugins=NodeRestriction",
    # A node that is gone loses its Pods in seconds rather than minutes.
    "--default-not-ready-toleration-seconds=5",
    "--default-unreachable-toleration-seconds=5",
)
# Of a node's silence, which in the virtual machine may be the busy processor's.
_MANAGER_FLAGS = ("--node-monitor-period=1s", f"--node-monitor-grace-period={10 * PATIENCE}s")

SERVICE_NETWORK = "10.96.0.0/16"
CLEANER = "tests/cluster down"
_ENVIRONMENT = {"PYTHONPATH": str(SOURCE / "tests"), "PYTHONDONTWRITEBYTECODE": "1"}


class Cluster:
    def __init__(self, cluster_id: str, build: Path, command: str, dual_stack: bool = False) -> None:
        """@dual_stack: with IPv6 as the second family (dual.py)."""
        self.id, self.build, self.command, self.dual_stack = cluster_id, build.resolve(), command, dual_stack
        self.network = net.Network(cluster_id)
        self.disk = machine.DISK / cluster_id
        self.dir = rundir.ROOT / cluster_id
        self.processes: dict[str, Process] = {}
        self.nodes = {
            h.name: Node(h, self.dir, self.disk, self.start_process, dual_stack) for h in self.network.nodes
        }
        self.kubeconfig = self.dir / "kubeconfig"
        self.kube_proxy = False
        self._run: rundir.RunDir | None = None
        self._kept = False

    # ---- life ----

    def __enter__(self) -> "Cluster":
        if reason := machine.missing():
            raise LabError(reason)
        self._run = rundir.claim(self.id, self.command, CLEANER)
        try:
            (self.dir / "logs").mkdir()
            self.disk.mkdir(parents=True)
            self.network.create()
            if self.dual_stack:
                dual.enable(self.network)
            # The API server answers Pods, whose addresses are not masqueraded.
            routes = [f"route add {n.pod_cidr} via {n.address}" for n in self.network.nodes]
            netns.configure(self.network.control_plane.namespace, routes)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._kept:
            return
        with uninterrupted():
            if kind is not None and not issubclass(kind, (KeyboardInterrupt, SystemExit)):
                self.save_logs()
            self._remove()

    def _remove(self) -> None:
        assert self._run
        for name, process in self.processes.items():
            if name.startswith("kubelet-") and process.running():
                process.kill()  # first of all, or it starts what ends again
        _remove_nodes(self.id)
        self._run.remove()

    def keep(self) -> None:
        """Leaves everything running when the block ends."""
        assert self._run
        self._run.keep()
        self._kept = True

    def save_logs(self) -> Path:
        """Copies the logs of all programs and Pods, and what there is, to where they outlive the cluster."""
        where = self.build / "lab-logs" / self.id
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(self.dir / "logs", where)
        for what in ("pods", "events", "services,endpointslices,configmaps,leases"):
            with suppress(LabError):
                objects = self.kubectl("get", what, "--all-namespaces", "-o", "yaml")
                (where / f"{what.split(',', maxsplit=1)[0]}.yaml").write_text(objects, encoding="utf-8")
        for name, n in self.nodes.items():
            if n.logs.is_dir():
                shutil.copytree(n.logs, where / f"pods-{name}", symlinks=True)
        return where

    # ---- programs ----

    def start_process(self, name: str, argv: list[str], namespace: str) -> Process:
        """Starts a program, or the same one again if its process of that name has ended."""
        assert self._run
        process = self.processes.get(name)
        if not process or process.argv != argv:
            process = Process(name, argv, namespace, self.dir / "logs" / f"{name}.log")
            self.processes[name] = process
        process.start(_ENVIRONMENT)
        self._run.add_process(process.identity)
        return process

    def start(self, kube_proxy: bool) -> None:
        """Starts everything, and waits until every node is ready."""
        self.kube_proxy = kube_proxy
        namespace = self.network.control_plane.namespace
        self.plane = ControlPlane(
            self.disk / "control-plane",
            net.CONTROL_PLANE,
            lambda name, argv: self.start_process(name, argv, namespace),
            namespace,
            service_cidrs=",".join([SERVICE_NETWORK, *([dual.SERVICE_NETWORK] if self.dual_stack else [])]),
            users=_USERS | {f"system:node:{n}": "system:nodes" for n in self.nodes},
            names=("IP:127.0.0.1",),
        )
        for n in self.nodes.values():
            n.prepare(self.plane)
            n.boot()
            n.start_containerd()
        self.plane.start(*_API_SERVER_FLAGS)
        self._open_door()
        self.plane.start_controller_manager(flags=_MANAGER_FLAGS)
        admin = self.plane.kubeconfig("admin", self.disk / "scheduler.kubeconfig")
        scheduler = [str(programs() / "kube-scheduler"), f"--kubeconfig={admin}", "--leader-elect=false"]
        self.start_process("kube-scheduler", scheduler, namespace)
        kubeadm = dns.configure(self, SERVICE_NETWORK)
        archives = [
            images.pause(self.disk),
            images.echo(self.disk, self.build / "tests/lab/fairlead-echo"),
            images.client(self.disk),
            dns.image(self, kubeadm),
        ]
        for n in self.nodes.values():
            wait_for(f"containerd of {n.name}", lambda n=n: bool(n.ctr("version")), 30)
            for archive in archives:
                n.import_image(archive)
            n.start_kubelet()
            if kube_proxy:
                n.start_proxy()
        dns.install(self, kubeadm)
        wait_for("three nodes to be ready", lambda: self.ready_nodes() == sorted(self.nodes), 120, 0.5)

    def _open_door(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        where = (self.network.control_plane.namespace, net.CONTROL_PLANE, str(PORT))
        self.start_process("door", [sys.executable, "-m", "podlab.door", str(port), *where], "")
        self.plane.kubeconfig("admin", self.kubeconfig, f"https://127.0.0.1:{port}").chmod(0o600)
        (self.dir / "bin").mkdir()
        for name in ("kubectl", "helm", "kubeadm"):
            (self.dir / "bin" / name).symlink_to(programs() / name)

    def import_product(self) -> None:
        """Gives our images to every node."""
        for archive in build_product(self.build):
            for n in self.nodes.values():
                n.import_image(archive)

    def stop_kube_proxy(self) -> None:
        """Ends it on every node, and removes its rules."""
        if not self.kube_proxy:
            return
        self.kube_proxy = False
        for n in self.nodes.values():
            n.stop_proxy()

    def restart_api_server(self) -> None:
        """kill -9, and waits until it is back."""
        self.processes["api"].kill()
        process = self.processes["api"]
        self.start_process(process.name, process.argv, process.namespace)
        self.plane.wait_ready(process)

    # ---- faults ----

    def kill_node(self, name: str) -> None:
        """The machine is gone: its link, and every process on it."""
        self.network.cut(name)
        self.nodes[name].kill()

    def start_node(self, name: str) -> None:
        """A killed node comes back."""
        came_back = self.nodes[name]
        came_back.boot()
        self.network.heal(name)
        came_back.start_containerd()
        if self.kube_proxy:
            # Who announces an address beside kube-proxy cannot tell whether its rules are there; so they are first.
            came_back.start_proxy()
            wait_for(f"rules of kube-proxy on {name}", came_back.is_proxied, 60, 0.2)
        came_back.start_kubelet()

    # ---- questions ----

    def run(self, program: str, *arguments: str, text: str | None = None) -> str:
        """kubectl, helm or kubeadm with the cluster's kubeconfig; LabError with what it said if it fails."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.disk)}
        argv = [str(self.dir / "bin" / program), *arguments]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            raise LabError(f"{program} {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.run("kubectl", *arguments, text=text)

    def helm(self, *arguments: str) -> str:
        return self.run("helm", *arguments)

    def get(self, *arguments: str) -> Any:
        """What `kubectl get … -o json` says."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def ready_nodes(self) -> list[str]:
        def ready(n: dict[str, Any]) -> bool:
            conditions = n.get("status", {}).get("conditions", [])
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        return sorted(n["metadata"]["name"] for n in self.get("nodes")["items"] if ready(n))


def build_product(build: Path) -> list[Path]:
    """Builds our images, seconds if nothing has changed; their archives."""
    directory = build / "images"
    directory.mkdir(exist_ok=True)
    version = yaml.safe_load((SOURCE / "charts/fairlead/Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    files = {"fairlead": "Dockerfile", "fairlead-frr": "images/frr/Dockerfile"}
    return [
        dockerfile.build(SOURCE, SOURCE / file, f"docker.io/library/{name}:{version}", directory / f"{name}.tar")
        for name, file in files.items()
    ]


def import_images(cluster_id: str, archives: list[Path]) -> None:
    """Gives image archives to every node of a running cluster."""
    network = net.Network(cluster_id)
    for host in network.nodes:
        n = Node(host, rundir.ROOT / cluster_id, machine.DISK / cluster_id, _no_start)
        for archive in archives:
            n.import_image(archive)


def _no_start(name: str, argv: list[str], namespace: str) -> Process:
    raise LabError(f"{name} is not this process's to start")


def remove(cluster_id: str) -> bool:
    """Removes a cluster that no process owns any more; False if there was none."""
    rundir.check_unowned(cluster_id)
    _remove_nodes(cluster_id)
    return rundir.clean(cluster_id)


def _remove_nodes(cluster_id: str) -> None:
    network, disk, run = net.Network(cluster_id), machine.DISK / cluster_id, rundir.ROOT / cluster_id
    for host in network.nodes:
        node.remove(run / host.name, disk / host.name, host.namespace)
    shutil.rmtree(disk, ignore_errors=True)
