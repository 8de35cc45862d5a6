# SPDX-License-Identifier: Apache-2.0
"""Fairlead as an operator installs it, in two modes, and an application behind Services of every kind."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import yaml

from lab import frr, net
from lab.router import ADDRESS as ROUTER
from lab.router import ASN, NODES_ASN, Paths, Router
from lab.waiting import wait_for

from . import dual
from .cluster import SOURCE, Cluster
from .images import ECHO
from .load import ServiceLoad

NAMESPACE = "fairlead-system"
CHART = SOURCE / "charts" / "fairlead"

# Beside kube-proxy, and instead of it.
MODES = ("none", "iptables", "nftables")

_CONFIG = {
    "peers": [{"peer-address": ROUTER, "my-asn": NODES_ASN, "peer-asn": ASN, "hold-time": "3s"}],
    "address-pools": [
        {"name": "lan", "protocol": "layer2", "addresses": ["192.168.1.240-192.168.1.250"]},
        {"name": "routed", "protocol": "bgp", "auto-assign": False, "addresses": ["198.51.100.10-198.51.100.99"]},
    ],
}


def values(mode: str, cluster: Cluster) -> dict[str, Any]:
    chosen: dict[str, Any] = {"config": _CONFIG, "frr": {"mode": "daemonset"}}
    if mode != "none":
        cidrs = [net.POD_NETWORK, *([dual.POD_NETWORK] if cluster.dual_stack else [])]
        chosen["speaker"] = {"proxyMode": mode, "clusterCIDRs": cidrs}
        # Until a speaker has made its rules nobody carries the Service `kubernetes`.
        chosen["apiServer"] = {"host": cluster.plane.address, "port": "6443"}
    return chosen


def render(cluster: Cluster, with_values: dict[str, Any]) -> list[dict[str, Any]]:
    """The chart's manifests, hooks among them."""
    file = cluster.disk / "render.yaml"
    file.write_text(yaml.safe_dump(with_values), encoding="utf-8")
    where = ("--namespace", NAMESPACE, "--values", str(file), "--kube-version", "1.34")
    text = cluster.helm("template", "fairlead", str(CHART), *where)
    return [d for d in yaml.safe_load_all(text) if d]


def deployment(name: str, replicas: int) -> dict[str, Any]:
    """Answers with its name, on port 8080; stays reachable while others learn that it goes."""
    container = {
        "name": "web",
        "image": ECHO,
        "env": [{"name": "WHOAMI_PORT_NUMBER", "value": "8080"}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": name}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "labels": {"test": "cluster"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container], "topologySpreadConstraints": [spread]},
            },
        },
    }


def service(name: str, app: str, pool: str, policy: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"test": "cluster"},
            "annotations": {"fairlead.io/address-pool": pool},
        },
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": policy,
            "selector": {"app": app},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }


class Installation:
    def __init__(self, cluster: Cluster, router: Router, mode: str) -> None:
        self.cluster, self.router, self.mode = cluster, router, mode
        self.values = values(mode, cluster)
        self._values_file = cluster.disk / f"values-{mode}.yaml"
        self._installed = False

    # ---- the chart ----

    def install(self) -> None:
        if self.mode != "none":
            self.cluster.stop_kube_proxy()
        self._helm("install", "--create-namespace")
        self._installed = True
        self.apply(deployment("web", 3))
        for pool in ("lan", "routed"):
            for policy in ("Cluster", "Local"):
                self.apply(service(f"{pool}-{policy.lower()}", "web", pool, policy))
        self.wait_rolled_out("deployment/web", "default")

    def upgrade(self, **changed: Any) -> None:
        """With values that make every Pod of ours a new one."""
        self.values |= changed
        self._helm("upgrade")

    def _helm(self, verb: str, *flags: str) -> None:
        self._values_file.write_text(yaml.safe_dump(self.values), encoding="utf-8")
        where = ("--namespace", NAMESPACE, "--values", str(self._values_file))
        self.cluster.helm(verb, "fairlead", str(CHART), *where, "--wait", "--timeout", "120s", *flags)

    def uninstall(self) -> None:
        if not self._installed:
            return
        self.cluster.kubectl("delete", "service,deployment", "--selector", "test=cluster", "--wait=true")
        self.cluster.helm("uninstall", "fairlead", "--namespace", NAMESPACE, "--wait", "--timeout", "120s")
        self._installed = False

    @contextmanager
    def host_frr(self) -> Iterator[list[frr.Daemon]]:
        """FRR as it runs on a machine, with its sockets in /run/frr; the bgpd of every node."""
        with ExitStack() as stack:
            bgpds = []
            for node in self.cluster.nodes.values():
                shutil.chown(node.frr, "frr", "frr")
                zebra, bgpd = (frr.Daemon(name, node.host.namespace, node.frr) for name in ("zebra", "bgpd"))
                for daemon in (zebra, bgpd):
                    stack.callback(daemon.stop)
                    daemon.start()
                bgpds.append(bgpd)
            yield bgpds

    # ---- objects ----

    def apply(self, obj: dict[str, Any]) -> None:
        self.cluster.kubectl("apply", "-f", "-", text=yaml.safe_dump(obj))

    def wait_rolled_out(self, what: str, namespace: str = NAMESPACE) -> None:
        self.cluster.kubectl("rollout", "status", what, "--namespace", namespace, "--timeout", "120s")

    def address(self, service_name: str, namespace: str = "default") -> str:
        def assigned() -> str:
            status = self.cluster.get("service", service_name, "--namespace", namespace).get("status", {})
            ingress = status.get("loadBalancer", {}).get("ingress") or [{}]
            return ingress[0].get("ip", "")

        return wait_for(f"an address of {service_name}", assigned, 30, 0.2)

    def client_of(self, service_name: str) -> str:
        """The namespace from which a Service's address is reached: on the LAN, or behind the router."""
        return self.router.outside if service_name.startswith("routed") else self.cluster.network.client.namespace

    def pods(self, component: str) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/component={component}"
        return self.cluster.get("pods", "--namespace", NAMESPACE, "--selector", selector)["items"]

    def leader(self) -> str:
        """The Pod of the controller that leads."""
        lease = self.cluster.get("lease", "fairlead-controller", "--namespace", NAMESPACE)
        return (lease["spec"].get("holderIdentity") or "").split("_")[0]

    # ---- load ----

    @contextmanager
    def load(self, *service_names: str) -> Iterator[list[ServiceLoad]]:
        """A hundred connections a second to each Service while the block runs, and before it until all are answered."""
        with ExitStack() as stack:
            loads = [self._load(s) for s in service_names]
            for one in loads:
                stack.enter_context(one)
                wait_for("answers", lambda one=one: len(one.outcomes) > 50, 30)
            yield loads

    def _load(self, service_name: str) -> ServiceLoad:
        address = self.address(service_name)
        paths = Paths(self.router, f"{address}/32") if service_name.startswith("routed") else None
        return ServiceLoad(self.cluster, self.client_of(service_name), address, paths)
