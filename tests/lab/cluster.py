# SPDX-License-Identifier: Apache-2.0
"""A whole lab: network, API server, Pod runner, our daemons, and the questions that demo and tests ask of them.

	with Lab("demo", build=Path("build"), command="tests/demo") as lab:
	    lab.start_cluster()
	    lab.apply("fairlead.yaml")
	    lab.start_daemons()

Leaving the block ends every process and removes every namespace, whatever happened inside, unless keep() was called.
"""

import json
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from . import api, arp, kubernetes, net, netns, rundir, web, writes
from .processes import Process
from .waiting import PATIENCE, WAIT_SECONDS, LabError, wait_for

SOURCE = Path(__file__).resolve().parents[2]
EXAMPLES = SOURCE / "examples"
SPEAKER_PORT = 17482
CONTROLLER_PORTS = {"a": 17481, "b": 17483}
_PROGRAMS = {
    "fairlead-controller": "src/controller",
    "fairlead-speaker": "src/speaker",
    "fairlead": "src/cli",
    "fairlead-apisim": "tests/apisim",
    "fairlead-echo": "tests/lab",
}


class Lab:
    def __init__(
        self,
        lab_id: str,
        build: Path,
        command: str,
        n_nodes: int = 3,
        cordoned: tuple[str, ...] = (),
        real: bool = False,
        service_cidrs: str = kubernetes.SERVICE_CIDRS,
    ) -> None:
        """@real: the API server is Kubernetes' own (kubernetes.py) instead of the embedded one, whose cluster IPs are
        of @service_cidrs."""
        self.id, self.build, self.command = lab_id, build.resolve(), command
        self.network = net.Network(lab_id, n_nodes)
        self.cordoned = cordoned
        self.processes: dict[str, Process] = {}
        self.client = self.network.client.namespace
        self.api = api.Client(self.network.control_plane.namespace, net.CONTROL_PLANE, net.API_PORT)
        self.real = real
        self.service_cidrs = service_cidrs
        self.plane: kubernetes.ControlPlane | None = None
        self._run: rundir.RunDir | None = None
        self._kept = False

    # ---- life ----

    def __enter__(self) -> "Lab":
        self._run = rundir.claim(self.id, self.command)
        try:
            (self.dir / "logs").mkdir()
            (self.dir / "heartbeat.key").write_bytes(secrets.token_bytes(32))
            (self.dir / "heartbeat.key").chmod(0o600)
            self.network.create()
            if self.real:
                self._make_plane()
            else:
                self.kubeconfig.write_text(yaml.safe_dump(self._kubeconfig()), encoding="utf-8")
        except BaseException:
            self._run.remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._kept:
            return
        with uninterrupted():
            if kind is not None and not issubclass(kind, (KeyboardInterrupt, SystemExit)):
                print(f"{self.save_logs()}\n{self.ends_of_logs()}")
            self._run_dir.remove()

    def keep(self) -> None:
        """Leaves everything running when the block ends."""
        self._run_dir.keep()
        self._kept = True

    def save_logs(self) -> Path:
        """Copies the logs to where they outlive the lab."""
        where = self.build / "lab-logs" / self.id
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(self.dir / "logs", where)
        return where

    def ends_of_logs(self) -> str:
        """What servers and daemons said last, so that a test's report tells why it failed."""
        told = []
        for process in self.processes.values():
            status = process.status()
            state = "runs" if status is None else f"ended with status {status}"
            told += [f"-- {process.name}, which {state}", *(line[:300] for line in process.log_lines()[-15:])]
        return "\n".join(told)

    def save_state(self, where: Path) -> None:
        """Beside the logs: what the API server, the daemons and the nodes' kernels hold now, as far as they tell."""
        for kind in ("Service", "EndpointSlice", "Pod", "Node"):
            self._save(where / f"{kind}.json", lambda k=kind: self.api.objects(k))
        for name in self.processes:
            if name.startswith(("controller-", "speaker-")):
                self._save(where / f"{name}.json", lambda n=name: self.daemon(n.removeprefix("speaker-")))
        for host in self.network.nodes:
            self._save(where / f"rules-{host.name}.json", lambda h=host: self.iptables(h.name, "nat"))

    @staticmethod
    def _save(path: Path, tell: Callable[[], Any]) -> None:
        try:
            said = tell()
        except (OSError, LabError) as error:
            said = str(error)
        path.write_text(json.dumps(said, indent=1), encoding="utf-8")

    @property
    def _run_dir(self) -> rundir.RunDir:
        if not self._run:
            raise LabError("the lab is not open")
        return self._run

    @property
    def dir(self) -> Path:
        return self._run_dir.path

    @property
    def kubeconfig(self) -> Path:
        return self.dir / "kubeconfig"

    def _make_plane(self) -> None:
        namespace = self.network.control_plane.namespace
        self.plane = kubernetes.ControlPlane(
            self.dir / "kubernetes",
            net.CONTROL_PLANE,
            lambda name, argv: self.start(name, argv, namespace),
            namespace,
            net.API_PORT,
        )
        self.plane.kubeconfig("admin", self.kubeconfig)
        self.api = self.plane.client()

    def _kubeconfig(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [
                {"name": "lab", "cluster": {"server": f"http://{net.CONTROL_PLANE}:{net.API_PORT}"}},
            ],
            "users": [{"name": "lab", "user": {}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        }

    # ---- programs ----

    def program(self, name: str) -> str:
        path = self.build / _PROGRAMS[name] / name
        if not path.exists():
            raise LabError(f"{path} is not there: build first (make -C {self.build})")
        return str(path)

    def start(
        self, name: str, argv: list[str], namespace: str = "", environment: dict[str, str] | None = None
    ) -> Process:
        """Starts a program, or the same one again if its process of that name has ended."""
        process = self.processes.get(name)
        if not process or process.argv != argv:
            if process and process.running():
                raise LabError(f"{name} runs already")
            process = Process(name, argv, namespace, self.dir / "logs" / f"{name}.log")
            self.processes[name] = process
        process.start(environment)
        self._run_dir.add_process(process.identity)
        return process

    def restart(self, name: str) -> Process:
        """Starts a program that has ended once more, with the same command line."""
        process = self.processes[name]
        return self.start(name, process.argv, process.namespace)

    def start_api(self) -> None:
        """An API server that knows both families of addresses; after stop_api() the same, with all that it knew."""
        if self.plane and "api" in self.processes:
            self.plane.wait_ready(self.restart("api"))
            return
        if self.plane:
            # Without Kubernetes' own controllers no namespace has a service account.
            self.plane.start("--disable-admission-plugins=ServiceAccount")
            wait_for("the namespace default", lambda: self.api.find("Namespace", "default", ""))
            return
        files = ["--data", str(self.dir / "api.json"), "--write-log", str(self.write_log)]
        process = self.start(
            "api",
            [
                self.program("fairlead-apisim"),
                "--listen",
                f"{net.CONTROL_PLANE}:{net.API_PORT}",
                "--service-cidr",
                self.service_cidrs,
                *files,
            ],
            self.network.control_plane.namespace,
        )
        # It may have much to read before it listens.
        self.wait_up(process, "the API server", lambda: self.api.objects("Namespace") is not None, 60)

    def stop_api(self) -> None:
        """The API server is away, until start_api(); a real one by a crash, as its clean end waits for every client."""
        if self.plane:
            self.processes["api"].kill()
        elif status := self.processes["api"].stop():
            raise LabError(f"the API server ended with status {status}")

    @property
    def write_log(self) -> Path:
        return self.plane.audit_log if self.plane else self.dir / "writes.log"

    def writes(self, offset: int = 0) -> list[writes.Write]:
        """What was written since the log had that size."""
        read = writes.of_audit_log if self.plane else writes.of_write_log
        return read(self.write_log, offset)

    def start_kubelet(self) -> Process:
        process = self.start(
            "kubelet",
            [
                sys.executable,
                "-m",
                "lab.kubelet",
                "--lab",
                self.id,
                "--nodes",
                str(len(self.network.nodes)),
                "--cordoned",
                ",".join(self.cordoned),
                "--kubeconfig",
                str(self.kubeconfig),
                *(["--no-slices"] if self.plane else []),
                "--programs",
                *(str(Path(self.program(p)).parent) for p in ("fairlead-echo", "fairlead")),
                "--logs",
                str(self.dir / "logs"),
            ],
            self.network.control_plane.namespace,
            {"PYTHONPATH": str(SOURCE / "tests"), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        n = len(self.network.nodes)
        self.wait_up(process, f"{n} Nodes registered", lambda: len(self.api.objects("Node")) == n)
        return process

    def start_cluster(self, *controllers: str) -> None:
        """What is not ours to test: API server, Nodes, Pod runner; with a real one Kubernetes' EndpointSlices, and what
        else of its controllers is named."""
        self.start_api()
        if self.plane:
            own = ("endpointslice-controller", "garbage-collector-controller")
            self.plane.start_controller_manager(*own, *controllers)
        self.start_kubelet()

    def start_controller(self, name: str, *flags: str) -> Process:
        """Starts replica "a" or "b"."""
        argv = [
            self.program("fairlead-controller"),
            "--kubeconfig",
            str(self.kubeconfig),
            "--identity",
            f"controller-{name}",
            "--http",
            f"{net.CONTROL_PLANE}:{CONTROLLER_PORTS[name]}",
            *flags,
        ]
        return self.start(f"controller-{name}", argv, self.network.control_plane.namespace)

    def start_speaker(self, node: str, *flags: str) -> Process:
        argv = [
            self.program("fairlead-speaker"),
            "--kubeconfig",
            str(self.kubeconfig),
            "--node",
            node,
            *(() if "--detect-local-mode" in flags else ("--cluster-cidr", net.POD_NETWORK)),
            *(() if "--heartbeat-key-secret" in flags else ("--heartbeat-key-file", str(self.dir / "heartbeat.key"))),
            *(() if "--proxy-mode" in flags else ("--proxy-mode", "iptables")),
            *flags,
        ]
        return self.start(f"speaker-{node}", argv, self.host(node).namespace)

    def speaker(self, node: str) -> Process:
        return self.processes[f"speaker-{node}"]

    def wait_up(self, process: Process, what: str, probe: Any, seconds: float = WAIT_SECONDS) -> None:
        """Waits for what a process shall do, and gives up at once if the process ends."""

        def ready_or_dead() -> bool:
            if not process.running():
                raise _Ended
            return bool(probe())

        try:
            wait_for(what, ready_or_dead, seconds)
        except _Ended:
            raise LabError(f"{process.name} ended with status {process.status()}:\n{process.tail()}") from None
        except LabError as error:
            raise LabError(f"{error}\n{process.log}:\n{process.tail()}") from None

    def unexpected_ends(self) -> list[str]:
        """Programs that ended though nobody told them to, with the end of their logs."""
        return [
            f"{p.name} ended with status {p.status()}:\n{p.tail()}"
            for p in self.processes.values()
            if p.status() not in (None, 0, -signal.SIGKILL)
        ]

    def stop_daemons(self) -> None:
        """SIGTERM to every daemon of ours; LabError if one does not end well or a sanitizer has found something."""
        daemons = [p for name, p in self.processes.items() if name.startswith(("controller-", "speaker-"))]
        for p in daemons:
            p.resume()
            p.signal(signal.SIGTERM)
        for p in daemons:
            p.wait()
        findings = [f"{p.name}: {line}" for p in self.processes.values() for line in p.findings()]
        if problems := self.unexpected_ends() + findings:
            raise LabError("\n".join(problems))

    # ---- faults ----

    def cut(self, host: str, carrier: bool = True) -> None:
        self.network.cut(host, carrier)

    def heal(self, host: str) -> None:
        self.network.heal(host)

    def fail_node(self, node: str) -> None:
        """The machine is gone: link down, speaker dead, and the API server has noticed."""
        self.cut(node)
        process = self.processes.get(f"speaker-{node}")
        if process and process.running():
            process.kill()
        condition = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        self.api.patch("Node", node, {"status": {"conditions": [condition]}}, "", "status", api.STRATEGIC)

    def set_faults(self, **faults: Any) -> None:
        """Faults of the embedded API server (tests/apisim/fault.h); without arguments none."""
        if not self.plane:
            self.api.call("PUT" if faults else "DELETE", "/sim/faults", faults or None)
        elif faults:
            raise LabError("a real API server takes no faults")

    # ---- questions ----

    def host(self, name: str) -> net.Host:
        return next(h for h in self.network.hosts if h.name == name)

    def apply(self, example: str) -> None:
        """Applies a manifest, or a directory of them, from examples/."""
        self.api.apply_file(EXAMPLES / example)

    def node_of_pod(self, pod: str, namespace: str = "default") -> str:
        return self.api.get("Pod", pod, namespace)["spec"].get("nodeName", "")

    def pod_ready(self, pod: str, namespace: str = "default") -> bool:
        conditions = self.api.get("Pod", pod, namespace).get("status", {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def endpoints(self, service: str, namespace: str = "default") -> list[dict[str, Any]]:
        selector = f"kubernetes.io/service-name={service}"
        found = self.api.objects("EndpointSlice", namespace, labelSelector=selector)
        return [e for s in found for e in s.get("endpoints") or []]

    def ready_endpoints(self, service: str, namespace: str = "default") -> list[dict[str, Any]]:
        return [e for e in self.endpoints(service, namespace) if e["conditions"].get("ready")]

    def addresses(self, service: str, namespace: str = "default") -> list[str]:
        """The addresses in a Service's status."""
        status = self.api.get("Service", service, namespace).get("status") or {}
        return [i["ip"] for i in (status.get("loadBalancer") or {}).get("ingress") or [] if "ip" in i]

    def wait_address(self, service: str, namespace: str = "default", seconds: float = WAIT_SECONDS) -> str:
        return wait_for(
            f"an address in the status of Service {service}", lambda: self.addresses(service, namespace), seconds
        )[0]

    def arp_answers(self, address: str, seconds: float = 0.3) -> list[arp.Answer]:
        """The client asks once; every answer within that time."""
        c = self.network.client
        return arp.ask(c.namespace, c.mac, c.address, address, seconds)

    def arp_watcher(self, address: str, every: float = 0.005) -> arp.Watcher:
        c = self.network.client
        return arp.Watcher(c.namespace, c.mac, c.address, address, every)

    def owners(self, address: str, seconds: float = 0.3) -> list[str]:
        """The nodes that answer ARP for an address."""
        return [self.network.host_of_mac(a.mac) for a in self.arp_answers(address, seconds)]

    def announcement(self, node: str, service: str, address: str) -> dict[str, Any]:
        """What a node's speaker says of an address of a Service; empty if it says nothing."""
        for s in self.daemon(node)["services"]:
            if s["name"] == service:
                return next((a for a in s["addresses"] if a["address"] == address), {})
        return {}

    def wait_reason(
        self, node: str, service: str, address: str, reason: str, seconds: float = WAIT_SECONDS
    ) -> None:
        """Waits until a node's speaker gives that reason for an address."""

        def says() -> bool:
            said = self.announcement(node, service, address).get("reason")
            if said != reason:
                raise LabError(f"it says {said}")
            return True

        wait_for(f"the speaker of {node} to say {reason} of {address}", says, seconds)

    def wait_owner(self, address: str, seconds: float = WAIT_SECONDS, among: list[str] | None = None) -> str:
        """Waits until exactly one node answers for the address (one of `among`), and returns its name."""

        def one_owner() -> str:
            found = self.owners(address, 0.1)
            if len(found) != 1 or (among and found[0] not in among):
                raise LabError(f"answers from {found}")
            return found[0]

        return wait_for(f"one ARP answer for {address}", one_owner, seconds)

    def get(self, host: str, port: int = 80, path: str = "/", timeout: float = 2.0 * PATIENCE) -> web.Reply:
        """HTTP from the client."""
        return web.get(self.client, host, port, path, timeout)

    def get_from(self, namespace_of: str, host: str, port: int = 80, timeout: float = 2.0 * PATIENCE) -> web.Reply:
        """HTTP from a host of the LAN."""
        return web.get(self.host(namespace_of).namespace, host, port, "/", timeout)

    def get_from_pod(self, pod: str, host: str, port: int = 80, timeout: float = 2.0 * PATIENCE) -> web.Reply:
        return web.get(f"{self.network.prefix}pod-{pod}", host, port, "/", timeout)

    def daemon(self, what: str, path: str = "/status") -> Any:
        """What a daemon's HTTP endpoint says: "node2" is that node's speaker, "controller-a" a controller."""
        if what.startswith("controller-"):
            host, port = net.CONTROL_PLANE, CONTROLLER_PORTS[what.removeprefix("controller-")]
        else:
            host, port = self.host(what).address, SPEAKER_PORT
        return api.Client(self.network.control_plane.namespace, host, port).call("GET", path, timeout=3)

    def iptables(self, node: str, table: str, save: str = "iptables-save") -> list[str]:
        """The rules and chains of one table, without counters and comments."""
        text = netns.output(self.host(node).namespace, [save, "-t", table])
        return [line.split(" [")[0] for line in text.splitlines() if line and line[0] != "#"]


    def wait_carried(self, service: str, namespace: str = "default", save: str = "iptables-save") -> None:
        """Waits until the rules of every node lead to every ready endpoint of the Service, and there is one.

        A node may hear of the Service before its endpoints, and refuses connections in between; one that has heard of
        neither passes them on to the owner.
        """

        def carried() -> bool:
            wanted = {e["addresses"][0] for e in self.ready_endpoints(service, namespace)}
            for host in self.network.nodes:
                # A chain names its Service with its first rule alone.
                rules = self.iptables(host.name, "nat", save)
                chains = {r.split()[1] for r in rules if f" {namespace}/{service}:" in r}
                lines = [r for r in rules if r.startswith("-A ") and r.split()[1] in chains]
                missing = [ip for ip in wanted if not any(f" --to-destination {ip}:" in r for r in lines)]
                if missing or not wanted:
                    raise LabError(f"{host.name} knows no way to {missing}")
            return True

        wait_for(f"every node to carry Service {service}", carried)


class _Ended(Exception):
    """A process ended that should run; not a LabError, so that waiting ends at once."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """For clearing away: a second Ctrl-C must not leave half of it behind."""
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_signals() -> None:
    """SIGTERM and SIGHUP end the program as Ctrl-C does, through every `with` block."""

    def interrupt(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
