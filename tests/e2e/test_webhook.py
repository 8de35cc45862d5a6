# SPDX-License-Identifier: Apache-2.0
"""The admission webhook, as a real API server asks it."""

import base64
import ssl
from collections.abc import Iterator

import pytest
from conftest import open_lab

from lab import net
from lab.api import STRATEGIC, ApiError, Object
from lab.cluster import Lab
from lab.waiting import wait_for

pytestmark = pytest.mark.kubernetes

SYSTEM = "fairlead-system"
NAME = "fairlead-webhook"
PORTS = {"a": 17443, "b": 17444}
GOOD = "address-pools: [{name: lan, protocol: layer2, addresses: [10.50.0.0/16]}]\n"
BAD = "address-pools:\n- {name: lan, protocol: layer3, addresses: [10.50.0.0/16]}\n"
LEASE = ("--lease-duration", "3", "--renew-deadline", "2", "--retry-period", "1")


def config_map(text: str, name: str = "fairlead") -> Object:
    meta = {"name": name, "namespace": SYSTEM}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config": text}}


def configuration() -> Object:
    """As in charts/fairlead/templates/webhook.yaml."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": "configuration.fairlead.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "timeoutSeconds": 5,
                "clientConfig": {"service": {"namespace": SYSTEM, "name": NAME}},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["configmaps"],
                        "scope": "Namespaced",
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SYSTEM}},
                "matchConditions": [{"name": "configuration", "expression": 'object.metadata.name == "fairlead"'}],
            }
        ],
    }


def start(lab: Lab, replica: str) -> None:
    lab.start_controller(replica, "--webhook", f"{net.CONTROL_PLANE}:{PORTS[replica]}", *LEASE)


def bundle(lab: Lab) -> bytes:
    (hook,) = lab.api.get("ValidatingWebhookConfiguration", NAME)["webhooks"]
    return base64.b64decode(hook["clientConfig"].get("caBundle", ""))


def told(lab: Lab, but: bytes = b"") -> bytes:
    """Waits until the API server has a certificate, another one than this."""
    return wait_for("the certificate at the API server", lambda: (b := bundle(lab)) != but and b)


def point_to(lab: Lab, replica: str) -> None:
    """The API server reaches the Service at the address that it stands for: here no Pods are behind it."""
    spec = {"type": "ExternalName", "externalName": net.CONTROL_PLANE}
    ports = [{"name": "webhook", "port": 443, "targetPort": PORTS[replica]}]
    meta = {"name": NAME, "namespace": SYSTEM}
    lab.api.apply({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {**spec, "ports": ports}})
    (hook,) = configuration()["webhooks"]
    patch = {"name": hook["name"], "clientConfig": {"service": {"port": PORTS[replica]}}}
    lab.api.patch("ValidatingWebhookConfiguration", NAME, {"webhooks": [patch]}, "", content_type=STRATEGIC)


def refusal(lab: Lab, text: str) -> str:
    """What the API server says to such an edit; "": it takes it."""
    try:
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": text}}, SYSTEM)
    except ApiError as e:
        return str(e)
    return ""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with open_lab() as opened:
        opened.start_api()
        opened.start_kubelet()
        opened.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        opened.api.create(config_map(GOOD))
        opened.api.create(configuration())
        start(opened, "a")
        told(opened)
        point_to(opened, "a")
        yield opened
        opened.stop_daemons()


def lease(lab: Lab) -> Object:
    return lab.api.get("Lease", "fairlead-controller", SYSTEM)["spec"]


def wait_asked(lab: Lab) -> None:
    wait_for("the API server to ask", lambda: refusal(lab, BAD) or lab.api.apply(config_map(GOOD)) and None)


def test_a_bad_edit_is_refused_in_the_checkers_words(lab: Lab) -> None:
    wait_asked(lab)
    said = refusal(lab, BAD)
    assert "admission webhook \"configuration.fairlead.io\" denied the request" in said
    assert "line 2: address-pools[0].protocol: " in said
    assert lab.api.get("ConfigMap", "fairlead", SYSTEM)["data"]["config"] == GOOD
    assert refusal(lab, GOOD + "# a comment\n") == ""
    lab.api.create(config_map(BAD, "another"))  # is none of its business


def test_the_secret_is_made_anew_and_the_api_server_told(lab: Lab) -> None:
    wait_asked(lab)
    before = bundle(lab)
    lab.api.delete("Secret", NAME, SYSTEM)
    after = told(lab, but=before)
    assert ssl.PEM_cert_to_DER_cert(after.decode()) != ssl.PEM_cert_to_DER_cert(before.decode())
    wait_asked(lab)


def test_another_replica_serves_by_the_same_certificate(lab: Lab) -> None:
    before = bundle(lab)
    start(lab, "b")
    point_to(lab, "b")
    wait_asked(lab)
    lab.processes["controller-a"].kill()
    wait_asked(lab)
    wait_for("the other one to lead", lambda: lease(lab)["holderIdentity"] == "controller-b")
    assert bundle(lab) == before
    # The chart, installed anew, takes the certificate out.
    lab.api.delete("ValidatingWebhookConfiguration", NAME)
    lab.api.create(configuration())
    assert refusal(lab, BAD) == "", "nobody is asked, and the edit comes to nothing"
    lab.api.apply(config_map(GOOD))
