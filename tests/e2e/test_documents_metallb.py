# SPDX-License-Identifier: Apache-2.0
"""docs/migration.md from top to bottom, on a real API server with MetalLB's custom resources."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import open_lab
from desk import Desk

from docs.commands import given_to
from lab.cluster import SOURCE, Lab
from lab.waiting import wait_for

pytestmark = pytest.mark.kubernetes
EXAMPLE = SOURCE / "examples" / "metallb"
NAMESPACE = "metallb-system"
GROUP = "metallb.io"
KINDS = {
    "IPAddressPool": "ipaddresspools",
    "L2Advertisement": "l2advertisements",
    "BGPAdvertisement": "bgpadvertisements",
    "BGPPeer": "bgppeers",
    "BFDProfile": "bfdprofiles",
    "Community": "communities",
}


def manifests(name: str) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all((EXAMPLE / name).read_text(encoding="utf-8")) if d]


def definition(kind: str, versions: set[str]) -> dict[str, Any]:
    """A CustomResourceDefinition that takes whatever an example has."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = sorted(versions or {"v1beta1"})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{KINDS[kind]}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": KINDS[kind], "singular": kind.lower()},
            "versions": [{"name": n, "served": True, "storage": n == names[-1], "schema": schema} for n in names],
        },
    }


def workload(kind: str, name: str, **more: Any) -> dict[str, Any]:
    labels = {"app": "metallb", "component": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": "metallb"}]}}
    meta = {"name": name, "namespace": NAMESPACE}
    spec = {"selector": {"matchLabels": labels}, "template": template, **more}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": spec}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        opened.start_api()
        yield opened
        opened.stop_daemons()


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Desk:
    """The API server as MetalLB left it."""
    made = Desk(lab, tmp_path / "desk")
    resources = manifests("custom-resources.yaml")

    def apply(*objects: dict[str, Any]) -> None:
        file = made.directory / "apply.yaml"
        file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
        made.kubectl("apply", "--server-side", "-f", str(file))

    for kind in KINDS:
        apply(definition(kind, {r["apiVersion"].split("/")[1] for r in resources if r["kind"] == kind}))
    made.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    apply(*resources, *manifests("config.yaml"), workload("Deployment", "controller"), workload("DaemonSet", "speaker"))
    for service in manifests("services.yaml"):
        apply({k: v for k, v in service.items() if k != "status"})
        if "status" in service:
            lab.api.patch("Service", service["metadata"]["name"], {"status": service["status"]}, subresource="status")
    return made


def test_moving_over(desk: Desk) -> None:
    for command in given_to("tests/e2e/test_documents_metallb.py::test_moving_over"):
        desk.follow(command)
    assert desk.kubectl("get", "deployment", "controller", "-n", NAMESPACE, "-o", "jsonpath={.spec.replicas}") == "0"
    wait_for("no speaker", lambda: not desk.kubectl("get", "daemonsets", "-n", NAMESPACE, "-o", "name"))
