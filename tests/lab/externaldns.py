# SPDX-License-Identifier: Apache-2.0
"""ExternalDNS beside a lab's real API server: what examples/external-dns deploys, as a process instead of a Pod.

tests/kube/build --external-dns makes it, which needs Go.
"""

import base64
from typing import Any

import yaml

from .cluster import EXAMPLES, Lab
from .kubernetes import programs
from .waiting import LabError

MANIFEST = "external-dns/external-dns.yaml"


def missing() -> str:
    """Why there is none; "" if there is one."""
    there = (programs() / "external-dns").exists()
    return "" if there else f"no ExternalDNS in {programs()}: tests/kube/build --external-dns makes it"


def pod() -> tuple[str, dict[str, Any]]:
    """The namespace and the template of the Pods that the example deploys."""
    documents = yaml.safe_load_all((EXAMPLES / MANIFEST).read_text(encoding="utf-8"))
    (deployment,) = [d for d in documents if d["kind"] == "Deployment"]
    return deployment["metadata"]["namespace"], deployment["spec"]["template"]["spec"]


def start(lab: Lab, *flags: str) -> None:
    """With the flags, the environment and the rights that the example gives its Pod, once that is applied."""
    if not lab.plane:
        raise LabError("ExternalDNS is somebody with a token of its own, which takes a real API server")
    namespace, spec = pod()
    (container,) = spec["containers"]
    environment = {}
    for variable in container["env"]:
        of = variable["valueFrom"]["secretKeyRef"]
        secret = lab.api.get("Secret", of["name"], namespace)
        environment[variable["name"]] = base64.b64decode(secret["data"][of["key"]]).decode()
    kubeconfig = lab.plane.service_account(namespace, spec["serviceAccountName"], lab.dir / "external-dns.kubeconfig")
    # It ends when the name server fails to answer in time, and is started again, as a Pod would be.
    restarting = ["sh", "-c", 'until "$@"; do sleep 0.3; done', "sh", str(programs() / "external-dns")]
    argv = [*restarting, *container["args"], "--kubeconfig", str(kubeconfig), *flags]
    process = lab.start("external-dns", argv, lab.network.control_plane.namespace, environment)
    lab.wait_up(process, "ExternalDNS", lambda: any("already up to date" in line for line in process.log_lines()), 60)
