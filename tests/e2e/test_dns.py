# SPDX-License-Identifier: Apache-2.0
"""Names for the addresses of load balancers, as docs/dns.md has them: CoreDNS reads them from the Services' status."""

import pytest
from conftest import MakeService
from controllers import configure, wait_active

from lab import coredns
from lab.cluster import Lab
from lab.waiting import wait_for

NAME = f"web.default.{coredns.BALANCERS}"
POOLS = """\
address-pools:
- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250, "fd00:60::10-fd00:60::1f"]}
"""


@pytest.fixture(scope="module", autouse=True)
def started(lab: Lab) -> None:
    if why := coredns.missing():
        pytest.skip(why)
    coredns.start(lab)


def wait_answer(lab: Lab, what: str, wanted: list[str], kind: str = "A") -> None:
    wait_for(what, lambda: coredns.ask(lab, "client", NAME, kind) == wanted, 30)


def test_coredns_follows_addresses(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    wait_answer(lab, "its address", [address])
    other = "192.168.1.249"
    assert address != other
    lab.api.patch("Service", "web", {"metadata": {"annotations": {"fairlead.io/addresses": other}}})
    wait_answer(lab, "the other address", [other])
    lab.api.delete("Service", "web")
    wait_answer(lab, "nothing", [])


def test_coredns_answers_in_both_families(lab: Lab, make_service: MakeService) -> None:
    configure(lab, POOLS)
    wait_active(lab, POOLS)
    make_service("web", ipFamilyPolicy="RequireDualStack")
    four, six = wait_for("both addresses", lambda: len(lab.addresses("web")) == 2 and lab.addresses("web"), 30)
    wait_answer(lab, "that of IPv4", [four])
    wait_answer(lab, "that of IPv6", [six], "AAAA")
