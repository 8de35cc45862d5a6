# SPDX-License-Identifier: Apache-2.0
"""Edits of the pools, with Services that have addresses of them: nobody loses one, and nobody is off the air."""

from collections.abc import Iterator

import pytest
from conftest import MakeService, wait_condition
from test_service import wait_http

from lab.api import Object
from lab.cluster import Lab
from lab.waiting import wait_for

SYSTEM = "fairlead-system"
FIRST, SECOND = "192.168.1.240", "192.168.1.241"
EXTERNAL = "192.168.1.232"


def pool(name: str, addresses: str, more: str = "") -> str:
    return f"- {{name: {name}, protocol: layer2, addresses: [{addresses}]{more}}}\n"


LAN = "192.168.1.240-192.168.1.250"
EDGE = pool("edge", "192.168.1.232-192.168.1.235", ", use: external-ip")
POOLS = "address-pools:\n" + pool("lan", LAN) + EDGE


@pytest.fixture(autouse=True)
def configured(lab: Lab) -> Iterator[None]:
    configure(lab, POOLS)
    yield
    configure(lab, POOLS)


def active(lab: Lab) -> Object:
    data: Object = lab.api.get("ConfigMap", "fairlead-active", SYSTEM)["data"]
    return data


def configure(lab: Lab, config: str) -> None:
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": config}}, SYSTEM)
    wait_for("the edit to be published", lambda: active(lab)["config"] == config)


def says(lab: Lab, name: str, reason: str, kind: str = "AddressAssigned") -> Object:
    return wait_condition(lab, name, reason, kind=kind)


EDITS = {
    "shrunk": pool("lan", "192.168.1.245-192.168.1.250"),
    "renamed": pool("new", LAN),
    "split": pool("lan", "192.168.1.243-192.168.1.250") + pool("lan2", "192.168.1.240-192.168.1.242"),
    "removed": pool("other", "192.168.1.236-192.168.1.239"),
    "swapped": pool("lan", "192.168.1.236-192.168.1.239") + pool("lan2", LAN),
    "use taken away": pool("lan", LAN, ", use: external-ip"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_takes_no_address_away(lab: Lab, make_service: MakeService, edit: str) -> None:
    make_service("plain")
    make_service("asks", {"fairlead.io/address-pool": "lan"})
    addresses = {name: lab.wait_address(name) for name in ("plain", "asks")}
    owners = {name: lab.wait_owner(address) for name, address in addresses.items()}
    configure(lab, "address-pools:\n" + EDITS[edit] + EDGE)
    make_service("after")  # the edit is in force, for speakers too, when this one has its address
    retained = edit in ("shrunk", "removed", "use taken away")
    if retained:
        for name in addresses:
            assert says(lab, name, "Retained")["status"] == "True"
    if edit != "use taken away":
        other = lab.wait_address("after")
        assert other not in addresses.values()
        lab.wait_owner(other)
    for name, address in addresses.items():
        assert lab.addresses(name) == [address]
        assert lab.owners(address) == [owners[name]]
        wait_http(lab, address)
    assert ("retained" in active(lab)) == (edit in ("shrunk", "removed"))
    configure(lab, POOLS)
    for name in addresses:
        says(lab, name, "Kept" if retained else "Assigned")
    lab.api.delete("Service", "after")
    wait_for("nothing to be retained", lambda: "retained" not in active(lab))


def test_retained_until_free_whoever_leads(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    configure(lab, "address-pools:\n" + EDITS["removed"] + EDGE)
    says(lab, "web", "Retained")
    for replica in ("a", "b"):
        lab.processes[f"controller-{replica}"].kill()
        lab.restart(f"controller-{replica}")
    # Another edit, by whoever leads now.
    configure(lab, "address-pools:\n" + EDITS["shrunk"] + EDGE)
    assert address in active(lab)["retained"]
    make_service("thief", {"fairlead.io/addresses": address})
    assert "belongs to default/web" in says(lab, "thief", "AddressTaken")["message"]
    wait_http(lab, address)
    lab.api.delete("Service", "web")
    wait_for("nothing to be retained", lambda: "retained" not in active(lab))
    says(lab, "thief", "AddressOutsidePools")
    wait_for("nobody to answer", lambda: lab.owners(address) == [])


def test_taken_in(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    lab.wait_owner(address)
    configure(lab, "address-pools:\n" + pool("new", "192.168.1.236-192.168.1.239", ", renumber: true") + EDGE)
    # First both, and the old one goes when the new one has been on the air.
    wait_for("the new address", lambda: lab.addresses("web") == ["192.168.1.236", address])
    wait_http(lab, "192.168.1.236")
    wait_http(lab, address)
    wait_for("the old address to go", lambda: lab.addresses("web") == ["192.168.1.236"], 20)
    wait_for("nothing to be retained", lambda: "retained" not in active(lab))
    wait_for("nobody to answer", lambda: lab.owners(address) == [])


@pytest.mark.parametrize(
    "edit",
    [pool("other", "192.168.1.236-192.168.1.239"), pool("edge", "192.168.1.232-192.168.1.235")],
    ids=["removed", "use taken away"],
)
def test_external_ips_likewise(lab: Lab, make_service: MakeService, edit: str) -> None:
    make_service("web", {"fairlead.io/external-ips": "edge"}, type="ClusterIP")
    owner = lab.wait_owner(EXTERNAL)
    configure(lab, "address-pools:\n" + edit + pool("lan", LAN))
    assert says(lab, "web", "Retained", "ExternalIPsAssigned")["status"] == "True"
    make_service("after")
    lab.wait_owner(lab.wait_address("after"))
    assert lab.owners(EXTERNAL) == [owner]
    wait_http(lab, EXTERNAL)
    assert lab.api.get("Service", "web")["spec"]["externalIPs"] == [EXTERNAL]
