# SPDX-License-Identifier: Apache-2.0
"""What a person does with kubectl, where it is installed."""

import json

import pytest
from conftest import MakeService

from lab import kubernetes, netns
from lab.cluster import EXAMPLES, Lab
from lab.waiting import wait_for

pytestmark = pytest.mark.skipif(not kubernetes.kubectl(), reason="kubectl is not installed")


def kubectl(lab: Lab, *arguments: str) -> str:
    flags = ["--kubeconfig", str(lab.kubeconfig), "--cache-dir", str(lab.dir / "kubectl")]
    return netns.output(lab.network.control_plane.namespace, [kubernetes.kubectl(), *flags, *arguments])


def test_create_get_describe_delete(lab: Lab) -> None:
    kubectl(lab, "create", "-f", str(EXAMPLES / "frontend.yaml"))
    address = lab.wait_address("frontend")
    lab.wait_owner(address)
    line = kubectl(lab, "get", "service", "frontend").splitlines()[1].split()
    assert line[:2] == ["frontend", "LoadBalancer"]
    assert address in line
    described = kubectl(lab, "describe", "service", "frontend")
    assert address in described
    assert "Assigned" in described, "the Event"
    kubectl(lab, "delete", "service", "frontend")
    wait_for("ARP to be silent", lambda: lab.arp_answers(address, 0.2) == [])


def test_apply_changes_the_policy(lab: Lab, make_service: MakeService) -> None:
    kubectl(lab, "apply", "-f", str(EXAMPLES / "frontend.yaml"))
    address = lab.wait_address("frontend")
    kubectl(lab, "apply", "-f", str(EXAMPLES / "local" / "frontend.yaml"))
    lab.wait_reason("node3", "frontend", address, "NoLocalEndpoint")
    service = json.loads(kubectl(lab, "get", "service", "frontend", "-o", "json"))
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    kubectl(lab, "delete", "-f", str(EXAMPLES / "frontend.yaml"))
    make_service("next")
    assert lab.wait_address("next") == address
