# SPDX-License-Identifier: Apache-2.0
"""Which EndpointSlices a Service shall have: a pure function of the Service and its Pods, as Kubernetes computes them.

serving: the Pod is Ready.  terminating: it is being deleted.  ready: serving and not terminating, or the Service
publishes addresses that are not ready.  Pods whose named target ports differ go into slices of their own.
"""

import hashlib
import json
from typing import Any

Object = dict[str, Any]

MANAGER = "endpointslice-controller.lab.fairlead.io"
LABEL_SERVICE = "kubernetes.io/service-name"
LABEL_MANAGER = "endpointslice.kubernetes.io/managed-by"
LABEL_HEADLESS = "service.kubernetes.io/headless"


def wanted(service: Object, pods: list[Object]) -> dict[str, Object]:
    """The slices by name; empty for a Service that selects nothing, so that hand-made slices are left alone."""
    spec = service["spec"]
    selector = spec.get("selector")
    if not selector or spec.get("type") == "ExternalName" or service["metadata"].get("deletionTimestamp"):
        return {}
    groups: dict[str, tuple[list[Object], list[Object]]] = {}
    for pod in sorted(pods, key=lambda p: p["metadata"]["name"]):
        if not _selected(service, selector, pod):
            continue
        ports = _ports(spec, pod)
        group = groups.setdefault(json.dumps(ports, sort_keys=True), (ports, []))
        group[1].append(_endpoint(spec, pod))
    if not groups:
        groups[""] = ([], [])
    slices = {}
    for key, (ports, endpoints) in groups.items():
        obj = _slice(service, key, ports, endpoints)
        slices[obj["metadata"]["name"]] = obj
    return slices


def same(have: Object, want: Object) -> bool:
    """Whether a slice needs no write."""
    fields = ("addressType", "endpoints", "ports")
    return have["metadata"].get("labels") == want["metadata"]["labels"] and all(
        (have.get(f) or []) == want[f] for f in fields
    )


def _selected(service: Object, selector: Object, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    status = pod.get("status") or {}
    return (
        pod["metadata"].get("namespace") == service["metadata"].get("namespace")
        and all(labels.get(k) == v for k, v in selector.items())
        and bool(status.get("podIP"))
        and status.get("phase") not in ("Succeeded", "Failed")
    )


def _endpoint(spec: Object, pod: Object) -> Object:
    conditions = pod["status"].get("conditions") or []
    serving = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    terminating = bool(pod["metadata"].get("deletionTimestamp"))
    ready = bool(spec.get("publishNotReadyAddresses")) or (serving and not terminating)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "nodeName": pod["spec"].get("nodeName"),
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"].get("namespace"),
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"].get("uid"),
        },
    }


def _ports(spec: Object, pod: Object) -> list[Object]:
    ports = []
    for port in spec.get("ports") or []:
        number = _target_port(port, pod)
        if number:
            ports.append({"name": port.get("name", ""), "protocol": port.get("protocol", "TCP"), "port": number})
    return ports


def _target_port(port: Object, pod: Object) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in pod["spec"].get("containers") or []:
        for offered in container.get("ports") or []:
            if offered.get("name") == target and offered.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return offered["containerPort"]
    return None


def _slice(service: Object, key: str, ports: list[Object], endpoints: list[Object]) -> Object:
    meta = service["metadata"]
    labels = dict(meta.get("labels") or {})
    labels |= {LABEL_SERVICE: meta["name"], LABEL_MANAGER: MANAGER}
    if service["spec"].get("clusterIP") == "None":
        labels[LABEL_HEADLESS] = ""
    suffix = hashlib.sha256(f"{meta.get('uid')}/{key}".encode()).hexdigest()[:5]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": meta["namespace"],
            "name": f"{meta['name']}-{suffix}",
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "name": meta["name"],
                    "uid": meta.get("uid"),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    }
