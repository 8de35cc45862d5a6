# SPDX-License-Identifier: Apache-2.0
"""The room in which service proxies are measured: one node in namespaces of its own, and all that Services lead to.

	caller ── node ── pods        node ── the API server's namespace

The caller is a Pod of the node.  One server in `pods` answers at every address of PODS with the address that was asked,
so each endpoint of each Service is real and a connection says where it went.  What has no rules is refused at once.
"""

import errno
import json
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import ipvs, net, netns
from lab.api import Object
from lab.cluster import Lab
from lab.kubernetes import program
from lab.processes import Process
from lab.waiting import PATIENCE, LabError, wait_for

NODE = "node1"
PODS = "10.128.0.0/9"
CALLER = "10.127.0.2"
PORT, TARGET = 80, 8080
ANSWER_SECONDS = 0.2 * PATIENCE  # in the room an answer takes less than a millisecond
_ECHO = f"""
import socket
s = socket.create_server(("0.0.0.0", {TARGET}), backlog=1024)
while True:
    c = s.accept()[0]
    try:
        c.sendall(socket.inet_aton(c.getsockname()[0]))
    except OSError:
        pass
    c.close()
"""
_RESET = struct.pack("ii", 1, 0)  # an end without a trace: neither ports nor conntrack's entries run out


class Room:
    """Made anew for each proxy, so that nothing of the one before is there."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        prefix = lab.network.prefix
        self.node, self.pods, self.caller = (prefix + name for name in ("pxnode", "pxpods", "pxcaller"))

    def __enter__(self) -> "Room":
        for name in (self.node, self.pods, self.caller):
            netns.create(name)
            netns.configure(name, ["link set lo up"])
        self._link(self.node, "api", "192.168.2.2", self._lab.network.control_plane.namespace, "px", "192.168.2.1")
        self._link(self.node, "pods", "10.127.1.1", self.pods, "eth0", "10.127.1.2")
        self._link(self.node, "caller", "10.127.0.1", self.caller, "eth0", CALLER)
        netns.configure(
            self.node,
            [
                f"route add {net.CONTROL_PLANE}/32 via 192.168.2.1",
                f"route add {PODS} via 10.127.1.2",
                "route add unreachable 10.96.0.0/12",
            ],
        )
        netns.configure(self.pods, ["route add default via 10.127.1.1", f"route add local {PODS} dev lo"])
        netns.configure(self.caller, ["route add default via 10.127.0.1"])
        netns.set_sysctls(self.node, {"ipv4/ip_forward": "1", "ipv4/icmp_ratelimit": "0"})
        argv = [sys.executable, "-c", _ECHO]
        self._echo = self._lab.start("pxecho", argv, self.pods)
        return self

    def __exit__(self, *_: object) -> None:
        self._echo.kill()
        for name in (self.caller, self.pods, self.node):
            netns.delete(name)
        wait_for("the room's link to go", lambda: self._link_gone(), 10)

    def _link_gone(self) -> bool:
        names = netns.output(self._lab.network.control_plane.namespace, ["ip", "-br", "link"])
        return not any(line.startswith("px@") for line in names.splitlines())

    @staticmethod
    def _link(space: str, name: str, address: str, other: str, other_name: str, other_address: str) -> None:
        netns.configure(space, [f"link add {name} type veth peer name {other_name} netns {other}"])
        for where, device, own in ((space, name, address), (other, other_name, other_address)):
            netns.configure(where, [f"addr add {own}/30 dev {device}", f"link set {device} up"])

    # ---- connections ----

    @contextmanager
    def calling(self) -> Iterator[None]:
        with netns.entered(self.caller):
            yield


def ask(address: str, port: int = PORT) -> str:
    """Which address a new connection got to; "" if to none.  Only in Room.calling()."""
    with socket.socket() as s:
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if s.connect_ex((address, port)) not in (0, errno.EINPROGRESS):
            return ""
        try:
            if not select.select([s], [], [], ANSWER_SECONDS)[0]:
                return ""
            return socket.inet_ntoa(s.recv(4))
        except OSError:
            return ""


def connect_ms(address: str, port: int = PORT) -> float:
    """How long a new connection takes; LabError if there is none."""
    with socket.socket() as s:
        s.settimeout(ANSWER_SECONDS)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        started = time.perf_counter()
        try:
            s.connect((address, port))
        except OSError as error:
            raise LabError(f"{address}:{port}: {error}") from error
        return (time.perf_counter() - started) * 1000


class Stalls:
    """Does something again and again while the block runs, which says whether it succeeded: the longest time between
    two successes, or since the block began; with @from_first only from the first success on."""

    def __init__(self, room: Room, attempt: Callable[[], object], from_first: bool = False) -> None:
        self.longest_ms, self.successes = 0.0, 0
        self.first_at = 0.0
        self._room, self._attempt, self._from_first = room, attempt, from_first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Stalls":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with self._room.calling():
            last = time.perf_counter()
            while not self._ended.is_set():
                succeeded = self._attempt()
                now = time.perf_counter()
                if succeeded:
                    if self.successes or not self._from_first:
                        self.longest_ms = max(self.longest_ms, (now - last) * 1000)
                    self.first_at = self.first_at or now
                    self.successes += 1
                    last = now
                time.sleep(0.001)


class Notices:
    """What the node's kernel tells of changes of nftables, iptables-nft's among them."""

    _GROUP, _SOL_NETLINK, _ADD_MEMBERSHIP = 7, 270, 1

    def __init__(self, room: Room) -> None:
        with netns.entered(room.node):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind((0, 0))
        self._socket.setsockopt(self._SOL_NETLINK, self._ADD_MEMBERSHIP, self._GROUP)
        self._socket.setblocking(False)

    def __enter__(self) -> "Notices":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait_for(self, address: str, seconds: float) -> bool:
        """Until one of them has the address in it."""
        wanted, deadline = socket.inet_aton(address), time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            try:
                if wanted in self._socket.recv(1 << 20):
                    return True
            except OSError:
                continue  # some were lost
        return False


# ---- Services ----


class Catalogue:
    """@n Services with @m endpoints each, numbered from 0; objects, and the file that the embedded API server loads."""

    def __init__(self, n: int, m: int) -> None:
        self.n, self.m = n, m
        self._spare = n * m  # endpoints that no Service has had

    @staticmethod
    def name(i: int) -> str:
        return f"px-{i:06}"

    @staticmethod
    def cluster_ip(i: int) -> str:
        return f"10.{96 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"

    @staticmethod
    def _endpoint(number: int) -> str:
        number += 256
        return f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

    def endpoints(self, i: int) -> list[str]:
        return [self._endpoint(i * self.m + k) for k in range(self.m)]

    def fresh_endpoint(self) -> str:
        self._spare += 1
        return self._endpoint(self._spare)

    def add(self) -> int:
        """One more Service, whose number this is."""
        self.n += 1
        return self.n - 1

    def service(self, i: int) -> Object:
        ip = self.cluster_ip(i)
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"namespace": "default", "name": self.name(i)},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": ip,
                "clusterIPs": [ip],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ports": [{"name": "http", "protocol": "TCP", "port": PORT, "targetPort": TARGET}],
            },
        }

    # With 38 endpoints it is the most that mode iptables takes (SIZE_RULES_MAX); more is TooLarge there.
    LARGE_PORTS = 256
    _SLICE_PORTS, _SLICE_ENDPOINTS = 100, 1000  # the most that the API takes

    def large(self, n_endpoints: int) -> list[Object]:
        """The objects of one more Service, with very many ports."""
        i = self.add()
        service = self.service(i)
        numbers = range(PORT, PORT + self.LARGE_PORTS)
        service["spec"]["ports"] = [
            {"name": f"p{n}", "protocol": "TCP", "port": n, "targetPort": TARGET} for n in numbers
        ]
        addresses = [self._endpoint((1 << 22) + k) for k in range(n_endpoints)]
        slices = []
        for port in range(0, self.LARGE_PORTS, self._SLICE_PORTS):
            for first in range(0, n_endpoints, self._SLICE_ENDPOINTS):
                one = self.slice(i, addresses[first : first + self._SLICE_ENDPOINTS])
                one["metadata"]["name"] += f"-{port}-{first}"
                names = numbers[port : port + self._SLICE_PORTS]
                one["ports"] = [{"name": f"p{n}", "port": TARGET, "protocol": "TCP"} for n in names]
                slices.append(one)
        return [*slices, service]

    def slice(self, i: int, addresses: list[str]) -> Object:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": "default",
                "name": f"{self.name(i)}-bench",
                "labels": {"kubernetes.io/service-name": self.name(i)},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": TARGET, "protocol": "TCP"}],
            "endpoints": [endpoint(a) for a in addresses],
        }

    def write(self, path: Path) -> None:
        """The API server's journal: everything that there is when it starts."""
        node = {
            "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
            "spec": {"podCIDR": "10.127.0.0/24", "podCIDRs": ["10.127.0.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.168.2.2"}]},
        }
        version = 0
        with path.open("w", encoding="utf-8") as f:

            def put(resource: str, obj: Object) -> None:
                nonlocal version
                version += 1
                own = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}
                own["metadata"] = {
                    **own["metadata"],
                    "uid": f"00000000-0000-4000-8000-{version:012}",
                    "resourceVersion": str(version),
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                }
                f.write(json.dumps({"put": resource, "rv": version, "object": own}) + "\n")

            put("nodes", node)
            for i in range(self.n):
                put("services", {**self.service(i), "status": {"loadBalancer": {}}})
            for i in range(self.n):
                put("endpointslices", self.slice(i, self.endpoints(i)))


def endpoint(address: str) -> Object:
    return {
        "addresses": [address],
        "nodeName": "node2",  # as most are, seen from any node
        "conditions": {"ready": True, "serving": True, "terminating": False},
    }


# ---- proxies ----


class Proxy:
    """A service proxy on the room's node; the names that subjects() gives."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name, self._lab = name, lab
        self.process: Process | None = None
        whose, _, self._mode = name.partition("-")
        self.ours = whose == "fairlead"
        if not self._mode or whose not in ("fairlead", "kubeproxy"):
            raise LabError(f"{name}: a proxy is fairlead-MODE or kubeproxy-MODE")
        self._mode, _, self._variant = self._mode.partition("-")

    def missing(self) -> str:
        """Why it cannot be measured here; "" if it can."""
        if self._mode == "ipvs" and (why := ipvs.kernel_lacks()):
            return f"{why}: see --in-vm"
        if not self.ours:
            try:
                program("kube-proxy")
            except LabError as error:
                return str(error)
            return ""
        argv = [self._lab.program("fairlead-speaker"), "--help"]
        told = subprocess.run(argv, capture_output=True, text=True, check=True)
        return "" if f"|{self._mode}" in told.stdout else f"this build's speaker has no mode {self._mode}"

    def start(self, room: Room) -> None:
        argv = self._speaker() if self.ours else self._kube_proxy()
        self.process = self._lab.start(f"px-{self.name}", argv, room.node, self._environment())

    def stop(self) -> None:
        if self.process:
            self.process.stop(30)

    @property
    def pid(self) -> int:
        if not self.process or not self.process.running():
            raise LabError(f"{self.name} does not run:\n{self.process.tail() if self.process else ''}")
        return self.process.pid

    def _speaker(self) -> list[str]:
        variant = ["--iptables-variant", self._variant] if self._variant else []
        return [
            self._lab.program("fairlead-speaker"),
            *("--kubeconfig", str(self._lab.kubeconfig), "--node", NODE),
            *("--cluster-cidr", f"{PODS},10.127.0.0/16"),
            *("--heartbeat-key-file", str(self._lab.dir / "heartbeat.key")),
            *("--proxy-mode", self._mode, *variant),
        ]

    def _kube_proxy(self) -> list[str]:
        return [
            program("kube-proxy"),
            f"--kubeconfig={self._lab.kubeconfig}",
            "--kube-api-content-type=application/json",  # the embedded server speaks nothing else
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
            f"--hostname-override={NODE}",
            "--cluster-cidr=10.0.0.0/8",
            f"--proxy-mode={self._mode}",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]

    def _environment(self) -> dict[str, str]:
        """kube-proxy runs whatever is called iptables: the variant is a matter of its path."""
        if self.ours or not self._variant:
            return {}
        directory = self._lab.dir / f"variant-{self._variant}"
        directory.mkdir(exist_ok=True)
        for family in ("iptables", "ip6tables"):
            for suffix in ("", "-save", "-restore"):
                link = directory / f"{family}{suffix}"
                real = shutil.which(f"{family}-{self._variant}{suffix}")
                if not real:
                    raise LabError(f"{family}-{self._variant}{suffix} is not installed")
                if not link.exists():
                    link.symlink_to(real)
        return {"PATH": f"{directory}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    # ---- what it says of itself ----

    def metric(self, room: Room, name: str) -> float:
        """One value of its own; 0 while it says nothing."""
        where = "http://127.0.0.1:17482/metrics" if self.ours else "http://127.0.0.1:10249/metrics"
        try:
            text = netns.output(room.node, ["curl", "-sf", "--max-time", "5", where])
        except LabError:
            return 0.0
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    @staticmethod
    def answers(room: Room) -> bool:
        """Whether a speaker answers at once, as it does between two turns of its event loop."""
        with netns.entered(room.node), socket.socket() as s:
            s.settimeout(30)
            s.connect(("127.0.0.1", 17482))
            s.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            return bool(s.recv(64))

    def in_sync(self, room: Room) -> bool:
        if self.ours:
            return self.metric(room, "fairlead_proxy_in_sync") > 0
        # Of the family that the Services have: the other one, empty, is in sync long before.
        return self.metric(room, 'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}') > 0
