# SPDX-License-Identifier: Apache-2.0
"""Pools for some Services, by namespaces and labels: who gets addresses of them, and who must see Namespaces."""

from collections.abc import Iterator

import pytest
from controllers import SYSTEM, configure, events, lab_fixtures, leader_status, wait_active

from lab.api import Object
from lab.cluster import Lab
from lab.waiting import LabError, wait_for

POOLS = """\
address-pools:
- {name: all, protocol: layer2, addresses: [10.0.0.0/28]}
- name: by-name
  protocol: layer2
  namespaces: [shop]
  service-selectors: [{match-labels: {reach: wan}}]
  addresses: [10.0.1.0/28]
"""
BY_LABELS = POOLS + """\
- {name: red, protocol: layer2, namespace-selectors: [{match-labels: {team: red}}], addresses: [10.0.2.0/28]}
"""
# Lists and watches of Namespaces, not those of ConfigMaps, whose path begins likewise.
FORBIDDEN = [
    {"path": "/configmaps"},
    *({"verb": verb, "path": "/api/v1/namespaces", "agent": "controller", "code": 403} for verb in ("list", "watch")),
]
whole_lab, lab = lab_fixtures(POOLS)


def make(lab: Lab, namespace: str, name: str, labels: dict[str, str] | None = None, **annotations: str) -> None:
    metadata = {"namespace": namespace, "name": name, "labels": labels or {}, "annotations": annotations}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def said(lab: Lab, namespace: str, name: str, reason: str, prefix: str) -> Object:
    """Waits until the Service has that reason, and an address that begins so ("": none)."""

    def look() -> Object:
        status = lab.api.get("Service", name, namespace).get("status", {})
        (condition,) = [c for c in status.get("conditions", []) if c["type"] == "fairlead.io/AddressAssigned"]
        addresses = [i["ip"] for i in status.get("loadBalancer", {}).get("ingress", [])]
        if condition["reason"] != reason or len(addresses) != bool(prefix) or not "".join(addresses).startswith(prefix):
            raise LabError(f"{condition}, {addresses}")
        return condition

    def try_to_look() -> Object:
        try:
            return look()
        except ValueError as e:
            raise LabError(f"{e}") from e

    found: Object = wait_for(f"{namespace}/{name} to be {reason}", try_to_look)
    return found


@pytest.fixture
def tenants(lab: Lab) -> Iterator[None]:
    for name, team in (("shop", "blue"), ("edge", "red")):
        metadata = {"name": name, "labels": {"team": team}}
        lab.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield
    lab.set_faults()
    for service in lab.api.objects("Service"):
        meta = service["metadata"]
        if meta["namespace"] in ("shop", "edge"):
            lab.api.delete("Service", meta["name"], meta["namespace"])


def test_by_name_and_labels(lab: Lab, tenants: None) -> None:
    make(lab, "shop", "plain")
    make(lab, "shop", "wide", {"reach": "wan"})
    make(lab, "edge", "wide", {"reach": "wan"})
    make(lab, "edge", "asks", **{"fairlead.io/address-pool": "by-name"})
    said(lab, "shop", "plain", "Assigned", "10.0.0.")
    said(lab, "shop", "wide", "Assigned", "10.0.1.")
    said(lab, "edge", "wide", "Assigned", "10.0.0.")
    assert "by-name" in said(lab, "edge", "asks", "PoolNotForService", "")["message"]
    # Nobody needed to see Namespaces for that.
    assert leader_status(lab)["namespaces"] == {"watched": False, "known": 0, "error": None}
    # A label moves nobody, and tells for whom the pool is.
    lab.api.patch("Service", "wide", {"metadata": {"labels": {"reach": None}}}, "shop")
    said(lab, "shop", "wide", "Retained", "10.0.1.")
    lab.api.patch("Service", "plain", {"metadata": {"labels": {"reach": "wan"}}}, "shop")
    make(lab, "shop", "later", {"reach": "wan"})
    said(lab, "shop", "later", "Assigned", "10.0.1.")
    said(lab, "shop", "plain", "Assigned", "10.0.0.")


def test_namespaces_out_of_reach(lab: Lab, tenants: None) -> None:
    """Without the right, what the labels would decide waits, and everything else goes on."""
    lab.set_faults(rules=FORBIDDEN)
    configure(lab, BY_LABELS)
    wait_active(lab, BY_LABELS)
    make(lab, "edge", "waits")
    make(lab, "shop", "wide", {"reach": "wan"})
    make(lab, "edge", "asks", **{"fairlead.io/address-pool": "all"})
    assert "namespace edge" in said(lab, "edge", "waits", "NamespaceUnknown", "")["message"]
    said(lab, "shop", "wide", "Assigned", "10.0.1.")
    said(lab, "edge", "asks", "Assigned", "10.0.0.")
    wait_for("the controller to say why", lambda: leader_status(lab)["namespaces"]["error"])

    wait_for("an Event that says so", lambda: "NamespaceUnknown" in events(lab, "fairlead", SYSTEM))
    # The right is granted: no restart, no edit.
    lab.set_faults()
    said(lab, "edge", "waits", "Assigned", "10.0.2.")
    assert leader_status(lab)["namespaces"]["error"] is None
