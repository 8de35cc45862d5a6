# SPDX-License-Identifier: Apache-2.0
"""Names for the addresses of load balancers by ExternalDNS, as docs/dns.md has it.

ExternalDNS itself reads the Services' status from a real API server and keeps a zone of a real name server by RFC 2136;
a client asks that server and goes where the answer says.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import MakeService, wait_condition
from controllers import configure, wait_active
from desk import Desk

from docs.commands import given_to
from lab import externaldns
from lab.cluster import Lab
from lab.nameserver import NameServer
from lab.waiting import LabError, wait_for

pytestmark = pytest.mark.kubernetes
HERE = "tests/e2e/test_external_dns.py"
ZONE = "lb.example.org"
HOSTNAME = "external-dns.alpha.kubernetes.io/hostname"
SECONDS = 60.0
POOLS = """\
address-pools:
- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.247, "fd00:60::10-fd00:60::1f"]}
- {name: second, protocol: layer2, addresses: [192.168.1.248-192.168.1.250], auto-assign: false}
"""


@pytest.fixture(scope="module")
def desk(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(lab, tmp_path_factory.mktemp("names") / "desk")


@pytest.fixture(scope="module")
def server(lab: Lab, desk: Desk) -> NameServer:
    """The name server and ExternalDNS, up to where the page makes a Service."""
    if why := externaldns.missing():
        pytest.skip(why)
    server = NameServer(lab.network, lab.dir / "named", lab.start)
    server.start({ZONE: ""})
    configure(lab, POOLS)
    wait_active(lab, POOLS)
    for command in given_to(f"{HERE}::server"):
        desk.follow(command, SECRET=server.secret)
    externaldns.start(lab, "--interval=1s", "--min-event-sync-interval=1s")
    return server


@pytest.fixture(autouse=True)
def nothing_is_left(server: NameServer) -> Iterator[None]:
    """What ExternalDNS wrote for a test's Services goes with them."""
    yield
    wait_records(server, [f"ns.{ZONE}. 1 IN A {server.address}", f"{ZONE}. 1 IN NS ns.{ZONE}."])


@pytest.fixture
def make_named(server: NameServer, make_service: MakeService) -> MakeService:
    """Services whose names in the zone are their own names; they go before nothing_is_left looks."""

    def make(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        return make_service(name, {HOSTNAME: f"{name}.{ZONE}", **(annotations or {})}, **spec)

    return make


def wait_records(server: NameServer, wanted: list[str]) -> None:
    def as_wanted() -> bool:
        if (found := server.records(ZONE)) != sorted(wanted):
            raise LabError(f"it holds {found}")
        return True

    wait_for("the records of the zone", as_wanted, SECONDS)


def wait_name(lab: Lab, server: NameServer, name: str, a: list[str], aaaa: list[str]) -> None:
    def as_wanted() -> bool:
        found = [sorted(server.ask(lab.client, f"{name}.{ZONE}", kind)) for kind in ("A", "AAAA")]
        if found != [a, aaaa]:
            raise LabError(f"it leads to {found}")
        return True

    wait_for(f"the name of {name} to lead to {' '.join(a + aaaa) or 'nothing'}", as_wanted, SECONDS)


def go_there(lab: Lab, server: NameServer, name: str) -> str:
    """A client asks for the name and opens a connection to the address, once the nodes carry it; the address."""

    def answered() -> str:
        (address,) = server.ask(lab.client, f"{name}.{ZONE}")
        assert lab.get(address).status == 200
        return address

    return wait_for(f"an answer of {name}", answered, SECONDS)


def patch(lab: Lab, name: str, annotations: dict[str, str | None] | None = None, **spec: Any) -> None:
    lab.api.patch("Service", name, {"metadata": {"annotations": annotations or {}}, "spec": spec})


def test_the_page(lab: Lab, server: NameServer, desk: Desk) -> None:
    for command in given_to(f"{HERE}::test_the_page"):
        desk.follow(command, SECONDS)
    address = go_there(lab, server, "frontend")
    assert address == lab.wait_address("frontend")
    assert f"frontend.{ZONE}. 5 IN A {address}" in server.records(ZONE)
    lab.api.delete("Service", "frontend")
    wait_name(lab, server, "frontend", [], [])


def test_a_name_follows_the_address(lab: Lab, server: NameServer, make_named: MakeService) -> None:
    make_named("web")
    first = lab.wait_address("web")
    wait_name(lab, server, "web", [first], [])
    assert go_there(lab, server, "web") == first
    patch(lab, "web", {"fairlead.io/addresses": "192.168.1.247"})
    wait_name(lab, server, "web", ["192.168.1.247"], [])
    assert go_there(lab, server, "web") == "192.168.1.247"
    patch(lab, "web", {"fairlead.io/addresses": None, "fairlead.io/address-pool": "second"})
    wait_name(lab, server, "web", ["192.168.1.248"], [])
    assert go_there(lab, server, "web") == "192.168.1.248"


def test_a_name_goes_with_the_address(lab: Lab, server: NameServer, make_named: MakeService) -> None:
    """A Service that is no load balancer any more gives its address back, and another one gets both."""
    make_named("web")
    address = lab.wait_address("web")
    wait_name(lab, server, "web", [address], [])
    patch(lab, "web", type="ClusterIP")
    wait_name(lab, server, "web", [], [])
    make_named("heir", {HOSTNAME: f"web.{ZONE}", "fairlead.io/addresses": address})
    wait_name(lab, server, "web", [address], [])
    assert go_there(lab, server, "web") == address


def test_both_families(lab: Lab, server: NameServer, make_named: MakeService) -> None:
    make_named("web", ipFamilyPolicy="RequireDualStack")
    four, six = wait_for("both addresses", lambda: len(lab.addresses("web")) == 2 and lab.addresses("web"), SECONDS)
    assert six.startswith("fd00:60::")
    wait_name(lab, server, "web", [four], [six])
    assert go_there(lab, server, "web") == four
    families = lab.api.get("Service", "web")["spec"]["ipFamilies"]
    patch(lab, "web", ipFamilyPolicy="SingleStack", ipFamilies=families[:1])
    wait_name(lab, server, "web", [four], [])


def test_without_an_address_there_is_no_name(lab: Lab, server: NameServer, make_named: MakeService) -> None:
    make_named("asking", {"fairlead.io/addresses": "8.8.8.8"})
    wait_condition(lab, "asking", "AddressOutsidePools")
    make_named("later")
    wait_name(lab, server, "later", [lab.wait_address("later")], [])  # so the other one was looked at before
    wait_name(lab, server, "asking", [], [])
    patch(lab, "asking", {"fairlead.io/addresses": None})
    wait_name(lab, server, "asking", [lab.wait_address("asking")], [])


def test_external_ips_come_first(lab: Lab, server: NameServer, make_named: MakeService) -> None:
    """Nothing of ours: it is what ExternalDNS does, and the page says."""
    make_named("web", externalIPs=["203.0.113.7"])
    lab.wait_address("web")
    wait_name(lab, server, "web", ["203.0.113.7"], [])
