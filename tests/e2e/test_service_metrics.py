# SPDX-License-Identifier: Apache-2.0
"""What --service-metrics counts, judged by what was sent."""

import re
from collections.abc import Iterator

import pytest
from proxyroom import BY_NFTABLES, MODES, NODE, POD6, A, Driver, ns, outcome, talk, udp_client

from lab import netns, web
from lab.proxyctl import program
from lab.waiting import wait_for

pytest_plugins = ["proxyroom"]

MISSES = 3  # TALLY_MISSES of src/proxy/tally.h
DNS = f"service t/dns 4 cluster-ip=10.96.0.61 vip=203.0.113.61 port=udp/53 {A}"
SERVICES = (
    f"service t/web 4 cluster-ip=10.96.0.60 vip=203.0.113.60 port=tcp/80/30060 {A}",
    DNS,
    "service t/nobody 4 vip=203.0.113.62 port=tcp/80",
    f"service t/idle 4 vip=203.0.113.63 port=tcp/80 {A}",
    f"service t/six 6 vip=fd00:203::64 port=tcp/80 cluster={POD6['node1']};8080",
)
CONNECTIONS = {"t/web": 4 + 3 + 1 + 1, "t/dns": 1, "t/six": 2}
DATAGRAMS = 5


@pytest.fixture(params=MODES)
def driver(network: None, request: pytest.FixtureRequest) -> Iterator[Driver]:
    driver = Driver("node1", request.param, "--service-metrics", begin=False)
    driver.start(*SERVICES)
    yield driver
    driver.stop()
    netns.output(ns("node1"), [program(), "--cleanup"])


def samples(driver: Driver, family: str) -> dict[tuple[str, ...], int]:
    """The values of a family by its labels."""
    found = re.findall(rf"fairlead_service_{family}{{([^}}]*)}} (\d+)", driver.ask("metrics"))
    return {tuple(re.findall(r'"([^"]*)"', labels)): int(value) for labels, value in found}


def use() -> None:
    for host, port, times in (("203.0.113.60", 80, 4), (NODE["node1"], 30060, 3)):
        for _ in range(times):
            web.get(ns("client"), host, port)
    for namespace in ("node1", "pod1"):
        web.get(ns(namespace), "10.96.0.60")
    for _ in range(2):
        web.get(ns("client"), "fd00:203::64")
    with udp_client("203.0.113.61", 53) as client:
        assert [talk(client) for _ in range(DATAGRAMS)] == ["pod1"] * DATAGRAMS
    assert outcome("client", "203.0.113.62") == "refused"


def connections(driver: Driver) -> dict[str, int]:
    return {labels[0]: value for labels, value in samples(driver, "connections_total").items() if value}


def has_all_packets(driver: Driver) -> bool:
    """Sets are read one after another, and a scrape may come between."""
    packets, bytes_sent = samples(driver, "packets_total"), samples(driver, "bytes_total")
    return (
        packets["t/dns", "to"] == packets["t/dns", "from"] == DATAGRAMS
        and bytes_sent["t/dns", "to"] == DATAGRAMS * (20 + 8 + len(b"hello"))
        and packets["t/web", "to"] > 3 * CONNECTIONS["t/web"]
        and packets["t/six", "from"] > 3 * CONNECTIONS["t/six"]
    )


def test_what_is_sent_is_counted(driver: Driver) -> None:
    use()
    wait_for("all connections are counted", lambda: connections(driver) == CONNECTIONS)
    if set(BY_NFTABLES) & set(driver.options):
        wait_for("all packets are counted, too", lambda: has_all_packets(driver))
    else:
        assert samples(driver, "packets_total") == samples(driver, "bytes_total") == {}
    # A restart goes on from there.
    driver.stop()
    driver.start(*SERVICES)
    wait_for("they are still counted", lambda: connections(driver) == CONNECTIONS)
    if set(BY_NFTABLES) & set(driver.options):
        driver.tell("remove t/dns 4")
        wait_for("a Service that is gone is forgotten", lambda: "t/dns" not in connections(driver))
        assert connections(driver) == {key: n for key, n in CONNECTIONS.items() if key != "t/dns"}
        # The kernel has its counters still.
        for _ in range(MISSES + 2):
            samples(driver, "connections_total")
        driver.tell(DNS.replace("t/dns", "t/next"))
        with udp_client("203.0.113.61", 53) as client:
            assert talk(client) == "pod1"
        wait_for("the next Service has its own traffic alone", lambda: connections(driver).get("t/next") == 1)


@pytest.mark.parametrize("driver", ["nftables"], indirect=True)
def test_the_switch_replaces_the_tables(driver: Driver) -> None:
    def sets() -> bool:
        return "set traffic" in netns.output(ns("node1"), ["nft", "list", "table", "ip", "fairlead"])

    assert sets()
    counting = driver.options
    try:
        driver.stop()
        driver.options = tuple(option for option in counting if option != "--service-metrics")
        driver.start(*SERVICES)
        assert not sets()
        assert "fairlead_service" not in driver.ask("metrics")
    finally:
        driver.stop()
        driver.options = counting
        driver.start(*SERVICES)
    assert sets()
