# SPDX-License-Identifier: Apache-2.0
"""What a tenant can do that writes Services and EndpointSlices in one namespace, entry by entry of docs/security.md.

After each entry another tenant's Service has its address and answers, one that is new gets served too, the nodes reach
the API server and each other, and the daemons' memory is below the chart's limits.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from conftest import NODES, MakeService
from test_service import wait_http

from lab import net, web
from lab.api import ApiError, Object
from lab.cluster import SOURCE, SPEAKER_PORT, Lab
from lab.waiting import wait_for

TENANT = "mallory"
API_SERVER, NODE2 = net.CONTROL_PLANE, "192.168.1.12"
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}
# The second one is for Services that come later: the tenant may have taken all of the first.
CONFIG = """\
address-pools:
- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250]}
- {name: reserved, protocol: layer2, auto-assign: false, addresses: [192.168.1.230-192.168.1.239]}
"""
# All of both pools, and some more; and all but the second one.
EVERY = [f"192.168.1.{i}" for i in range(200, 255)]
FIRST_POOL = [a for i, a in enumerate(EVERY, 200) if not 230 <= i < 240]


def service(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": TENANT, "annotations": annotations or {}},
        "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}], **spec},
    }


def endpoint_slice(name: str, of: str, addresses: list[str], ports: int = 1) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": TENANT, "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
        "ports": [{"name": "http" if i == 0 else f"p{i}", "port": 8080 + i} for i in range(ports)],
    }


def attempt(call: Callable[..., Any], *arguments: Any, **more: Any) -> None:
    """What the API server refuses does no harm."""
    try:
        call(*arguments, **more)
    except ApiError as error:
        assert error.code in (400, 403, 409, 413, 422), error


def put_status(lab: Lab, name: str, *addresses: str) -> None:
    ingress = [{"ip": a} for a in addresses]
    attempt(
        lab.api.patch, "Service", name, {"status": {"loadBalancer": {"ingress": ingress}}}, TENANT, subresource="status"
    )


# ---- the entries: @taken is the other tenant's address ----


def takes_all(lab: Lab, taken: str) -> None:
    for i in range(40):
        lab.api.create(service(f"s{i}"))
    wait_for("the pool to be taken", lambda: len([i for i in range(40) if lab.addresses(f"s{i}", TENANT)]) == 10)


def asks_for_others(lab: Lab, taken: str) -> None:
    for i, address in enumerate((taken, API_SERVER, NODE2, net.CLIENT, "0.0.0.0", "224.0.0.1", "127.0.0.1")):
        lab.api.create(service(f"s{i}", {"fairlead.io/addresses": address}))
        attempt(lab.api.create, service(f"t{i}", loadBalancerIP=address))


def writes_status(lab: Lab, taken: str) -> None:
    for i, address in enumerate((taken, API_SERVER, NODE2, net.CLIENT)):
        for name, more in ((f"ours{i}", {}), (f"others{i}", {"loadBalancerClass": "example.com/other"})):
            lab.api.create(service(name, **more))
            put_status(lab, name, address)
    for name, more in (("many", {}), ("others-many", {"loadBalancerClass": "example.com/other"})):
        lab.api.create(service(name, **more))
        put_status(lab, name, *FIRST_POOL)  # what stands in a status is in use: see docs/security.md


def writes_records(lab: Lab, taken: str) -> None:
    """As a leader would write them, alone and as one of those that share an address."""
    for i, address in enumerate((taken, API_SERVER, NODE2, net.CLIENT)):
        for sharing in (False, True):
            name, more = f"s{i}{sharing}".lower(), {"fairlead.io/allow-shared-ip": "web"} if sharing else {}
            record = {"fairlead.io/external-ips-assigned": address, "fairlead.io/external-ips": "lan", **more}
            lab.api.create(service(name, record, type="ClusterIP", externalIPs=[address]))
            says = {"type": "fairlead.io/ExternalIPsAssigned", "status": "True", "reason": "Assigned"}
            named = f"assigned external IP {address}{' (may be shared)' if sharing else ''} from pool lan"
            says |= {"message": named, "lastTransitionTime": "2026-01-01T00:00:00Z"}
            attempt(lab.api.patch, "Service", name, {"status": {"conditions": [says]}}, TENANT, subresource="status")
            lab.api.create(service(f"lb-{name}", more))
            put_status(lab, f"lb-{name}", address)


def writes_external_ips(lab: Lab, taken: str) -> None:
    for i, address in enumerate((taken, API_SERVER, NODE2, net.CLIENT)):
        lab.api.create(service(f"s{i}", type="ClusterIP", externalIPs=[address]))
    lab.api.create(service("most", type="ClusterIP", externalIPs=[f"192.168.1.{i}" for i in range(1, 255)]))
    for i in range(3):  # one by one, and of other types
        lab.api.create(service(f"every{i}", type=("ClusterIP", "NodePort", "LoadBalancer")[i], externalIPs=EVERY))


def names_and_annotations(lab: Lab, taken: str) -> None:
    hostile = 'x\n{"level":"error"}\n# TYPE a counter\n\x1b[31m"\\' + "é" * 2000
    keys = ("address-pool", "addresses", "external-ips", "external-ips-assigned", "terminating", "drain")
    for i, key in enumerate(keys):
        attempt(lab.api.create, service(f"s{i}", {f"fairlead.io/{key}": hostile}))
    for i in range(60):
        labels = {f"l{k}": f"v{i}" for k in range(50)}
        obj = service(f"label-{i}-{'x' * 40}")
        attempt(lab.api.create, {**obj, "metadata": {**obj["metadata"], "labels": labels}})


def large_objects(lab: Lab, taken: str) -> None:
    for i in range(8):
        attempt(lab.api.create, service(f"s{i}", {f"example.com/{k}": "y" * 60000 for k in range(4)}))
    attempt(lab.api.create, service("ports", ports=[{"name": f"p{i}", "port": i} for i in range(1, 5001)]))
    wide = [{"name": "http" if i == 0 else f"p{i}", "port": 80 + i} for i in range(50)]
    attempt(lab.api.create, service("product", ports=wide))
    for i in range(4):
        addresses = [f"10.99.{i}.{k % 250 + 1}" for k in range(250)]
        attempt(lab.api.create, endpoint_slice(f"product-{i}", "product", addresses, 50))
    many = [f"10.98.{i // 250}.{i % 250 + 1}" for i in range(1500)]
    attempt(lab.api.create, endpoint_slice("too-many", "ports", many))


def changes_often(lab: Lab, taken: str) -> None:
    for i in range(4):
        lab.api.create(service(f"s{i}"))
    for n in range(150):
        change = {"spec": {"ports": [{"name": "http", "port": 1000 + n}], "externalTrafficPolicy": "Local"}}
        lab.api.patch("Service", f"s{n % 4}", change, TENANT)


def slices_of_others(lab: Lab, taken: str) -> None:
    lab.api.create(service("web"))  # as the other tenant's, in another namespace
    for i, address in enumerate((taken, API_SERVER, NODE2, "127.0.0.1", "169.254.169.254")):
        attempt(lab.api.create, endpoint_slice(f"slice{i}", "web", [address]))
    attempt(lab.api.create, endpoint_slice("named", "default/web", ["10.97.0.1"]))
    attempt(lab.api.create, endpoint_slice("kubernetes", "kubernetes", [taken]))


ENTRIES = [
    takes_all,
    asks_for_others,
    writes_status,
    writes_records,
    writes_external_ips,
    names_and_annotations,
    large_objects,
    changes_often,
    slices_of_others,
]


# ---- the judge ----


def limits() -> dict[str, int]:
    """Bytes, by daemon."""
    values = yaml.safe_load((SOURCE / "charts/fairlead/values.yaml").read_text(encoding="utf-8"))
    texts = {d: str(values[d]["resources"]["limits"]["memory"]) for d in ("controller", "speaker")}
    return {d: int(text[:-2]) * UNITS[text[-2:]] for d, text in texts.items()}


def peak(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def judge(lab: Lab, taken: str) -> None:
    assert lab.addresses("web") == [taken]
    assert len(lab.owners(taken)) == 1
    wait_http(lab, taken)
    for node in NODES:
        web.get(lab.host(node).namespace, API_SERVER, net.API_PORT, "/healthz")
        for other in NODES:
            web.get(lab.host(node).namespace, lab.host(other).address, SPEAKER_PORT, "/healthz")
    for name, process in lab.processes.items():
        daemon = name.split("-")[0]
        if daemon in limits():
            assert process.running(), name
            assert peak(process.pid) < limits()[daemon], name


@pytest.fixture(scope="module")
def tenant(lab: Lab) -> None:
    lab.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TENANT}})
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": CONFIG}}, "fairlead-system")
    published = lambda: lab.api.get("ConfigMap", "fairlead-active", "fairlead-system")["data"]["config"]  # noqa: E731
    wait_for("the configuration to be published", lambda: published() == CONFIG)


@pytest.fixture
def victim(lab: Lab, tenant: None, make_service: MakeService) -> Iterator[str]:
    make_service("web")
    address = lab.wait_address("web")
    lab.wait_owner(address)
    wait_http(lab, address)
    yield address
    for kind in ("Service", "EndpointSlice"):
        for obj in lab.api.objects(kind, TENANT):
            attempt(lab.api.delete, kind, obj["metadata"]["name"], TENANT)


@pytest.mark.embedded
@pytest.mark.parametrize("entry", ENTRIES, ids=[e.__name__.replace("_", "-") for e in ENTRIES])
def test_other_tenants_are_served(lab: Lab, victim: str, make_service: MakeService, entry: Callable[..., None]) -> None:
    entry(lab, victim)
    judge(lab, victim)
    make_service("later", {"fairlead.io/address-pool": "reserved"})
    later = lab.wait_address("later")
    lab.wait_owner(later)
    wait_http(lab, later)
    judge(lab, victim)
