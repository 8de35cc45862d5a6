# SPDX-License-Identifier: Apache-2.0
"""kube-proxy itself on the node under test, told by a real API server: what Fairlead is compared with.

The API server has the Services with all addresses of the table, and hand-made slices with their endpoints.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import kubernetes, netns
from lab.api import Client, Object
from lab.processes import Process
from lab.waiting import LabError, wait_for

from .cases import AFFINITY_SECONDS, CLUSTER_CIDRS, FAMILIES, NODE, PORT, PROTOCOLS, RANGES, SERVICE_CIDRS, Service
from .network import HOSTS, SERVER, Network
from .specification import Node, State, To

# What kube-proxy calls each mode, and how the rules of one family are listed.
MODES = {
    "kube-proxy-iptables": ("iptables", {4: "iptables-save", 6: "ip6tables-save"}),
    "kube-proxy-nftables": ("nftables", {4: "nft list table ip kube-proxy", 6: "nft list table ip6 kube-proxy"}),
}
_CONDITIONS = {
    State.READY: {"ready": True, "serving": True, "terminating": False},
    State.DRAINING: {"ready": False, "serving": True, "terminating": True},
    State.UNREADY: {"ready": False, "serving": False, "terminating": False},
}
_SYNC_SECONDS = 120.0


def _policy(local: bool) -> str:
    return "Local" if local else "Cluster"


def _outer_addresses(service: Service, to: To) -> list[str]:
    return [service.address(to, family, bound) for family in FAMILIES for bound in (False, True)]


def service_object(service: Service) -> Object:
    traffic = service.traffic
    ports = [{"name": p.lower(), "protocol": p, "port": PORT, "targetPort": service.target_port(p)} for p in PROTOCOLS]
    addresses = [service.address(To.CLUSTER_IP, family) for family in FAMILIES]
    spec: Object = {
        "type": "ClusterIP",
        "clusterIP": addresses[0],
        "clusterIPs": addresses,
        "ipFamilyPolicy": "RequireDualStack",
        "ipFamilies": ["IPv4", "IPv6"],
        "internalTrafficPolicy": _policy(traffic.internal_local),
        "ports": ports,
    }
    if traffic.affinity:
        spec["sessionAffinity"] = "ClientIP"
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}
    if traffic.external:
        for port, protocol in zip(ports, PROTOCOLS, strict=True):
            port["nodePort"] = service.node_port(protocol)
        spec |= {
            "type": "LoadBalancer",
            "externalTrafficPolicy": _policy(traffic.external_local),
            "externalIPs": _outer_addresses(service, To.EXTERNAL_IP),
            "loadBalancerSourceRanges": list(RANGES[service.ranges]),
        }
        if traffic.external_local:
            spec["healthCheckNodePort"] = service.health_port
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service.name}, "spec": spec}


def slice_object(service: Service, family: int) -> Object:
    endpoints = [
        {"addresses": [service.endpoint(where, family)], "conditions": _CONDITIONS[state], "nodeName": HOSTS[where]}
        for where, state in service.states().items()
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default",
            "name": f"{service.name}-{family}",
            "labels": {"kubernetes.io/service-name": service.name},
        },
        "addressType": f"IPv{family}",
        "endpoints": endpoints,
        "ports": [{"name": p.lower(), "protocol": p, "port": service.target_port(p)} for p in PROTOCOLS],
    }


def write_objects(api: Client, services: Sequence[Service]) -> None:
    node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}
    api.create(node)
    addresses = [{"type": "InternalIP", "address": address} for address in NODE.values()]
    api.patch("Node", "node1", {"status": {"addresses": addresses}}, "", "status")
    api.create_all([service_object(s) for s in services])
    api.create_all([slice_object(s, family) for s in services for family in FAMILIES])

    def give_addresses(service: Service) -> None:
        ingress = [{"ip": address} for address in _outer_addresses(service, To.VIP)]
        api.patch("Service", service.name, {"status": {"loadBalancer": {"ingress": ingress}}}, subresource="status")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(give_addresses, [s for s in services if s.traffic.external]))


class KubeProxy:
    """Use as a context: within it the rules are in the kernel."""

    def __init__(
        self, mode: str, node: Node, network: Network, services: Sequence[Service], directory: Path
    ) -> None:
        self._mode, self._saves = MODES[mode]
        self._options = [f"--cluster-cidr={','.join(CLUSTER_CIDRS.values())}"] * node.knows_pods
        self._options += ["--masquerade-all"] * node.masquerade_all
        self._network, self._services, self._directory = network, services, directory
        self._processes: list[Process] = []

    def __enter__(self) -> "KubeProxy":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _run(self, name: str, argv: list[str], where: str) -> Process:
        process = Process(name, argv, self._network.ns(where), self._directory / f"{name}.log")
        self._processes.append(process)
        process.start()
        return process

    def _stop(self) -> None:
        for process in reversed(self._processes):
            if process.running():
                process.kill()

    def _start(self) -> None:
        plane = kubernetes.ControlPlane(
            self._directory / "plane",
            SERVER,
            lambda name, argv: self._run(name, argv, "lan"),
            self._network.ns("lan"),
            service_cidrs=",".join(SERVICE_CIDRS.values()),
        )
        plane.start(audited=False)
        write_objects(plane.client(), self._services)
        argv = [
            kubernetes.program("kube-proxy"),
            f"--kubeconfig={plane.kubeconfig('admin', self._directory / 'kubeconfig')}",
            f"--proxy-mode={self._mode}",
            *self._options,
            "--hostname-override=node1",
            # These are the machine's, not the namespace's.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]
        proxy = self._run("kube-proxy", argv, "node1")
        wait_for("kube-proxy to have all Services in the kernel", lambda: self._is_complete(proxy), _SYNC_SECONDS, 0.5)

    def _is_complete(self, proxy: Process) -> bool:
        """It starts with all that the API server has, and writes that at once."""
        if not proxy.running():
            raise SystemError(f"kube-proxy ended with status {proxy.status()}:\n{proxy.tail()}")
        for family in FAMILIES:
            try:
                rules = netns.output(self._network.ns("node1"), self._saves[family].split())
            except LabError:
                return False  # no table yet
            if not all(s.address(To.CLUSTER_IP, family) in rules for s in self._services):
                return False
        return True
