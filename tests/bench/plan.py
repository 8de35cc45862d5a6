# SPDX-License-Identifier: Apache-2.0
"""`fairlead plan` of 10 000 Services, half of which hold an address: from start to exit, from JSON and from YAML.  And
of 10 000 that each ask for the next one's address.

The yardstick is json.loads() of the same JSON in this Python.
"""

import ipaddress
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.cluster import Lab

from . import figures

SERVICES = 10_000
RUNS = 10
FIRST_CLUSTER_IP = ipaddress.ip_address("10.128.0.1")


def address(i: int) -> str:
    return f"10.50.{i // 250}.{i % 250 + 1}"


def service(i: int) -> dict[str, Any]:
    cluster_ip = str(FIRST_CLUSTER_IP + i)
    held = [{"ip": address(i), "ipMode": "VIP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"s{i}",
            "namespace": f"ns{i % 50}",
            "uid": f"u{i}",
            "resourceVersion": str(i),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": f"s{i}"},
        },
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30000 + i % 2000}],
            "selector": {"app": f"s{i}"},
            "sessionAffinity": "None",
        },
        "status": {"loadBalancer": {"ingress": held} if i % 2 else {}},
    }


def chained(i: int) -> dict[str, Any]:
    """It has an address, and asks for that of the next one."""
    asker = service(i)
    asker["status"] = {"loadBalancer": {"ingress": [{"ip": address(i), "ipMode": "VIP"}]}}
    asker["metadata"]["annotations"] = {"fairlead.io/addresses": address(i + 1)}
    return asker


def timed(work: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(RUNS):
        start = time.monotonic()
        work()
        took.append((time.monotonic() - start) * 1000)
    return took


def plan(lab: Lab, config: Path, state: Path) -> None:
    argv = [lab.program("fairlead"), "plan", "--config", str(config), "--state", str(state), "-o", "json"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def run(lab: Lab) -> None:
    config, as_json, as_yaml = (lab.dir / name for name in ("wide.yaml", "state.json", "state.yaml"))
    config.write_text("address-pools:\n- {name: wide, protocol: layer2, addresses: [10.50.0.0/16]}\n", encoding="utf-8")
    services = [service(i) for i in range(SERVICES)]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": services})
    as_json.write_text(text, encoding="utf-8")
    as_yaml.write_text("".join(f"---\n{json.dumps(s, indent=1)}\n" for s in services), encoding="utf-8")
    figures.report(f"plan of {SERVICES} Services, from JSON", timed(lambda: plan(lab, config, as_json)))
    figures.report(f"plan of {SERVICES} Services, from YAML", timed(lambda: plan(lab, config, as_yaml)))
    chain = {"apiVersion": "v1", "kind": "List", "items": [chained(i) for i in range(SERVICES)]}
    as_json.write_text(json.dumps(chain), encoding="utf-8")
    took = timed(lambda: plan(lab, config, as_json))
    figures.report(f"plan of {SERVICES} that each ask for the next one's address", took)
    figures.report("yardstick: json.loads() of the same", timed(lambda: json.loads(text)))
