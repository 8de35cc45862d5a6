# SPDX-License-Identifier: Apache-2.0
"""The objects that benchmarks create: Services without a selector, with EndpointSlices of their own."""

from typing import Any

Object = dict[str, Any]


def config_map(text: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": "fairlead-system", "name": "fairlead"},
        "data": {"config": text},
    }


def configuration(addresses: str, failover: str = "normal") -> list[Object]:
    pools = f"address-pools:\n- {{name: bench, protocol: layer2, addresses: [{addresses}]}}\n"
    return [config_map(f"{pools}failover: {failover}\n")]


def service(name: str, address: str = "") -> Object:
    spec: Object = {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    if address:
        spec["loadBalancerIP"] = address
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "default", "name": name},
        "spec": spec,
    }


def endpoints(service_name: str, places: dict[str, str]) -> Object:
    """@places: address of each endpoint, and the node it is on."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default",
            "name": f"{service_name}-bench",
            "labels": {"kubernetes.io/service-name": service_name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [address],
                "nodeName": node,
                "conditions": {"ready": True, "serving": True, "terminating": False},
            }
            for address, node in places.items()
        ],
    }
