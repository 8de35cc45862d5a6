# SPDX-License-Identifier: Apache-2.0
"""The service proxy among faults: ends in the middle of writing, errors of the kernel, other programs, in each mode.

What is right is what a cold start with the same Services writes into an empty kernel.
"""

import contextlib
import errno
import itertools
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kernelfaults
import pytest
from kernelfaults import Faults
from kernelstate import TAG, ours, state, theirs
from proxychurn import NODE_PORTS, SERVICES, VIPS, Churn
from proxyroom import (
    BOTH,
    BUILD,
    BY_NFTABLES,
    CLIENT,
    FOREIGN,
    FOREIGN6,
    MODES,
    NODE,
    A,
    Driver,
    nft,
    ns,
    outcome,
    seen,
)

from lab import ipvs, netns, virtualservers
from lab.proxyctl import Gone
from lab.waiting import LabError, wait_for

pytest_plugins = ["proxyroom"]

# Of the points at which something ends, so many are tried in each mode.
POINTS = int(os.environ.get("FAIRLEAD_FAULT_POINTS", "50"))
# What is not used any more may wait for a look.
AUDIT_MS = "300"
# How long Services come, change and go, in each mode.
CHURN_S = float(os.environ.get("FAIRLEAD_CHURN_SECONDS", "10"))
CHURN_SEED = int(os.environ.get("FAIRLEAD_CHURN_SEED", "1"))


FOREIGN_TABLE = """table inet others
delete table inet others
table inet others {
	set some {
		type ipv4_addr
		elements = { 198.51.100.1, 198.51.100.2 }
	}
	chain forward {
		type filter hook forward priority -7; policy accept;
		ip saddr @some counter drop
	}
}
"""


def foreign(name: str, mode: str) -> None:
    variant = "nft" if mode in BY_NFTABLES else mode
    for family, rules in (("iptables", FOREIGN), ("ip6tables", FOREIGN6)):
        netns.feed(ns(name), [f"{family}-{variant}-restore", "--noflush"], rules)
    if mode in BY_NFTABLES:
        netns.feed(ns(name), ["nft", "-f", "-"], FOREIGN_TABLE)
    if mode == "ipvs":
        with contextlib.suppress(FileExistsError):
            ipvs.add_foreign(ns(name), "198.51.100.2:80", "198.51.100.1", 80)


@pytest.fixture
def bench() -> Iterator[Callable[..., str]]:
    """Makes namespaces with rules of others in them."""
    made: list[str] = []

    def make(mode: str) -> str:
        name = f"bench{len(made)}"
        made.append(name)
        netns.create(ns(name))
        netns.configure(ns(name), ["link set lo up"])
        foreign(name, mode)
        return name

    yield make
    for name in made:
        netns.delete(ns(name))


def cold(bench: Callable[..., str], mode: str, *lines: str) -> list[str]:
    """What is right."""
    node = bench(mode)
    driver = Driver(node, mode)
    driver.tell(*lines)
    driver.stop()
    return state(node, mode)


# Two days in the life of a cluster.
YESTERDAY = (
    "service t/web 4 cluster-ip=10.96.1.1 vip=203.0.113.1 port=tcp/80/30001"
    " cluster=10.244.1.2;8080 cluster=10.244.2.2;8080",
    "service t/web 6 cluster-ip=fd00:96::1 vip=fd00:203::1 port=tcp/80/30001 cluster=fd00:244:1::2;8080",
    "service t/local 4 cluster-ip=10.96.1.2 vip=203.0.113.2 external=Local port=tcp/80/30002"
    " cluster=10.244.1.2;8080 local=10.244.1.2;8080",
    "service t/dns 4 cluster-ip=10.96.1.3 port=udp/53 port=tcp/53 cluster=10.244.1.3;53",
    "service t/gone 4 cluster-ip=10.96.1.4 external-ip=203.0.113.4 port=tcp/443 cluster=10.244.1.4;8443",
    "service t/gone 6 cluster-ip=fd00:96::4 port=tcp/443 cluster=fd00:244:1::4;8443",
    "service t/none 4 cluster-ip=10.96.1.5 vip=203.0.113.5 port=tcp/80/30005",
)
TODAY = (
    "service t/web 4 cluster-ip=10.96.1.1 vip=203.0.113.1 affinity=60 port=tcp/80/30001 cluster=10.244.1.9;8080",
    "service t/web 6 cluster-ip=fd00:96::1 vip=fd00:203::1 port=tcp/80/30001 cluster=fd00:244:1::9;8080",
    "service t/local 4 cluster-ip=10.96.1.2 vip=203.0.113.2 external=Local port=tcp/80/30002 cluster=10.244.2.2;8080",
    "service t/dns 4 cluster-ip=10.96.1.3 port=udp/53 cluster=10.244.1.3;53 cluster=10.244.2.3;53",
    "service t/none 4 cluster-ip=10.96.1.5 vip=203.0.113.5 range=198.51.100.0/24 port=tcp/80/30005"
    " cluster=10.244.1.5;80",
    "service t/new 4 cluster-ip=10.96.1.6 vip=203.0.113.6 port=tcp/80/30006 cluster=10.244.1.6;80",
    "service t/new 6 cluster-ip=fd00:96::6 vip=fd00:203::6 internal=Local port=tcp/80 cluster=fd00:244:1::6;80",
)


ENDS = (kernelfaults.END_SELF, kernelfaults.END_DRIVER, kernelfaults.END_BOTH)


def settled(node: str, mode: str, right: list[str], seconds: float = 30) -> None:
    def differences() -> list[str]:
        now = state(node, mode)
        return [f"- {line}" for line in right if line not in now] + [f"+ {line}" for line in now if line not in right]

    try:
        wait_for("the rules to be right", lambda: state(node, mode) == right, seconds)
    except LabError as error:
        raise AssertionError("\n".join([str(error), *differences()])) from error


@pytest.mark.parametrize("mode", MODES)
def test_an_end_in_the_middle(bench: Callable[..., str], mode: str, tmp_path: Path) -> None:
    """Wherever between two calls into the kernel the program that writes ends, or proxyctl, the next start mends it."""
    right = {day: cold(bench, mode, *day) for day in (YESTERDAY, TODAY)}
    node, faults = bench(mode), Faults(tmp_path / "plan")
    chance = random.Random(mode)
    days = itertools.cycle((TODAY, YESTERDAY))

    driver = Driver(node, mode)
    driver.tell(*YESTERDAY)
    driver.stop()
    faults.rest()
    driver = Driver(node, mode, "--audit-ms", AUDIT_MS, env=faults.env, begin=False)
    driver.start(*TODAY)
    n_points = faults.calls
    driver.tell(*(f"remove {' '.join(line.split()[1:3])}" for line in TODAY))
    driver.stop()
    n_happened = n_ended = 0
    for point in range(POINTS):
        day, who = next(days), ENDS[point % len(ENDS)]
        faults.plan(who, chance.randint(1, n_points))
        driver.launch()
        try:
            driver.say(*day, "complete")
            driver.ask("wait")
            if who == kernelfaults.END_SELF:
                settled(node, mode, right[day])  # it needs no start for that
        except Gone:
            n_ended += 1
        driver.end()
        n_happened += faults.done > 0  # starts differ by a call or two
        faults.rest()
        driver.start(*day)
        settled(node, mode, right[day])
        driver.stop()
    assert n_happened > POINTS * 3 / 4 and n_ended > POINTS / 3


# What the kernel may answer: which calls, what becomes of them, the error, and how often in a row.
ERRORS: dict[str, tuple[int, int, int, int]] = {
    "no-buffers-to-send": (kernelfaults.WRITES, kernelfaults.FAIL, errno.ENOBUFS, 2),
    "interrupted-sending": (kernelfaults.WRITES, kernelfaults.FAIL, errno.EINTR, 1),
    "cannot-send-now": (kernelfaults.WRITES, kernelfaults.FAIL, errno.EAGAIN, 2),
    "no-memory-to-send": (kernelfaults.WRITES, kernelfaults.FAIL, errno.ENOMEM, 3),
    "busy": (kernelfaults.WRITES, kernelfaults.REFUSE, errno.EBUSY, 2),
    "no-memory": (kernelfaults.WRITES, kernelfaults.REFUSE, errno.ENOMEM, 3),
    "again": (kernelfaults.WRITES, kernelfaults.REFUSE, errno.EAGAIN, 1),
    "full": (kernelfaults.WRITES, kernelfaults.REFUSE, errno.ENOSPC, 2),
    "full-table": (kernelfaults.WRITES, kernelfaults.REFUSE, errno.ENFILE, 5),
    "lost-answers": (kernelfaults.READS, kernelfaults.FAIL, errno.ENOBUFS, 2),
    "interrupted-reading": (kernelfaults.READS, kernelfaults.FAIL, errno.EINTR, 2),
    "no-answer": (kernelfaults.READS, kernelfaults.FAIL, errno.EAGAIN, 2),
    "no-memory-to-read": (kernelfaults.READS, kernelfaults.FAIL, errno.ENOMEM, 2),
    "changed-while-read": (kernelfaults.READS, kernelfaults.INTERRUPT, 0, 40),
    "no-process": (kernelfaults.STARTS, kernelfaults.FAIL, errno.EAGAIN, 3),
}
# Whose reading may fail.  iptables-nft-restore asks the kernel which forms of a match it knows, and takes any error for
# the oldest one; what it writes then is its own affair.
READERS = {"nft": ("iptables-nft-save", "proxyctl"), "legacy": ("",), "nftables": ("proxyctl",), "ipvs": ("proxyctl",)}


@pytest.mark.parametrize("mode", MODES)
def test_errors_of_the_kernel(bench: Callable[..., str], mode: str, tmp_path: Path) -> None:
    """At the first such call of a change, and at another one of a start."""
    right = {day: cold(bench, mode, *day) for day in (YESTERDAY, TODAY)}
    node, faults = bench(mode), Faults(tmp_path / "plan")
    chance, days, happened = random.Random(mode), itertools.cycle((TODAY, YESTERDAY)), set()
    readers = itertools.cycle(READERS[mode])
    driver = Driver(node, mode, "--audit-ms", "1000", env=faults.env)
    driver.tell(*YESTERDAY)
    for case, (which, action, error, times) in ERRORS.items():
        day = next(days)
        other = [line for line in (*YESTERDAY, *TODAY) if line not in day]
        gone = {" ".join(line.split()[1:3]) for line in other} - {" ".join(line.split()[1:3]) for line in day}
        who = next(readers) if which == kernelfaults.READS else ""
        faults.plan(action, 1, times, which, error, who)
        driver.tell(*day, *(f"remove {key}" for key in gone))
        settled(node, mode, right[day])
        happened |= {case} if faults.done else set()
        driver.stop(failures=True)
        day = next(days)
        faults.plan(action, chance.randint(1, 12), times, which, error, who)
        try:
            driver.start(*day)
        except Gone:  # it cannot know whether it may start
            faults.rest()
            driver.start(*day)
        settled(node, mode, right[day])
        happened |= {case} if faults.done else set()
        faults.rest()
    driver.stop(failures=True)
    # There a start needs no program.
    assert happened | ({"no-process"} if mode in BY_NFTABLES else set()) == set(ERRORS)


# A Service's addresses and endpoint; in mode ipvs addresses are the tables', the endpoint IPVS'.
CLUSTER_IP, VIP, ENDPOINT = "10.96.1.66", "203.0.113.66", "10.244.1.66"
REFUSALS = [(m, e, VIP) for m in MODES for e in (errno.ENOSPC, errno.ENFILE, errno.ENOMEM)]
REFUSALS += [(mode, errno.ENOMEM, ENDPOINT) for mode in BY_NFTABLES if mode in MODES]


@pytest.mark.parametrize(("mode", "error", "address"), REFUSALS, ids=lambda one: errno.errorcode.get(one, one))
def test_one_refusal_stops_nobody_else(
    bench: Callable[..., str], mode: str, error: int, address: str, tmp_path: Path
) -> None:
    """The kernel takes nothing with one Service's address in it, as if a set were full."""
    victim = f"service t/dear 4 cluster-ip={CLUSTER_IP} vip={VIP} port=tcp/80 cluster={ENDPOINT};80"
    right, others = cold(bench, mode, *TODAY, victim), cold(bench, mode, *TODAY)
    node, faults = bench(mode), Faults(tmp_path / "plan")
    faults.rest()
    driver = Driver(node, mode, env=faults.env)
    needle = bytes(map(int, address.split(".")))
    faults.plan(kernelfaults.REFUSE, 1, 1 << 30, kernelfaults.WRITES, error, needle=needle)
    driver.say(*YESTERDAY, victim)
    wait_for("the refusal to be said", lambda: driver.ask("ready t/dear 4").startswith("refused: "), 30)
    # What comes later is not held up either.
    driver.say("remove t/gone 4", "remove t/gone 6", *TODAY)
    for key in {" ".join(line.split()[1:3]) for line in TODAY}:
        wait_for(f"{key} to be there", lambda key=key: driver.ask(f"ready {key}") == "ready\n", 30)
    # Nor is anything there that would lead to it.
    assert address not in str(state(node, mode))
    assert mode != "nftables" or address != ENDPOINT or CLUSTER_IP not in str(state(node, mode))
    status = driver.status()
    assert not status["in_sync"] and "t/dear" in json.dumps(status)
    # Old forms go last, and not while one that may lead there is refused.
    assert set(others) <= set(state(node, mode))
    faults.rest()
    wait_for("it to be taken", lambda: driver.ask("ready t/dear 4") == "ready\n", 30)
    settled(node, mode, right)
    status = driver.tell()
    assert "t/dear" not in json.dumps(status)
    driver.stop(failures=True)


@pytest.mark.parametrize("mode", MODES)
def test_a_kernel_that_takes_nothing(bench: Callable[..., str], mode: str, tmp_path: Path) -> None:
    """For a while; what was there stays, and /status says why."""
    before, after = cold(bench, mode, *YESTERDAY), cold(bench, mode, *TODAY)
    node, faults = bench(mode), Faults(tmp_path / "plan")
    faults.rest()
    driver = Driver(node, mode, "--audit-ms", "1000", env=faults.env)
    driver.tell(*YESTERDAY)
    faults.plan(kernelfaults.FAIL, 1, 1 << 30, kernelfaults.WRITES, errno.ENOMEM)
    driver.say("remove t/gone 4", "remove t/gone 6", *TODAY)
    status = wait_for("some failures", lambda: (s := driver.status())["failures"] > 5 and s, 30)
    assert not status["in_sync"] and "last_error" in json.dumps(status)
    assert any(family["last_error"] for family in status["families"])
    assert state(node, mode) == before
    assert {driver.ask(f"ready {key} 4") for key in ("t/web", "t/new")} != {"ready\n"}
    n_before = faults.calls
    time.sleep(3)
    assert faults.calls - n_before < 100  # it does not run riot meanwhile
    faults.rest()
    settled(node, mode, after)
    assert not any(family["last_error"] for family in driver.tell()["families"])
    driver.stop(failures=True)


A_RULE = "-m mark --mark 0x77 -j RETURN"


Damage = tuple[bool, list[str | Callable[[str], None]]]


def damages(mode: str, chance: random.Random, node: str) -> Iterator[Damage]:
    """What other programs do: commands, and whether they take rules of others along.  All is repaired in between."""
    if mode == "ipvs":
        yield from damages_to_ipvs()
    if mode in BY_NFTABLES:
        yield from damages_by_nft(chance, node)
        return
    found = [line.split() for line in ours(state(node, mode)) if " -A FL-" in line]
    for what in ("-D {} 1", "-F {}", f"-I {{}} 1 {A_RULE}", f"-A {{}} {A_RULE}") * 2:
        family, table, _, chain, *_ = chance.choice(found)
        yield False, [f"ip{'6' * (family == '6')}tables-{mode} -w 5 -t {table[1:]} {what.format(chain)}"]
    for table in ("nat", "filter"):
        yield True, [f"{program}-{mode} -w 5 -t {table} -F" for program in ("iptables", "ip6tables")]
    if mode == "nft":
        yield True, ["nft flush ruleset"]
        yield True, ["nft delete table ip nat", "nft delete table ip6 filter"]


def damages_to_ipvs() -> Iterator[Damage]:
    """What is told of, or noticed at once; the rest is found by an audit."""
    for family in ("-4", "-6"):
        rules = [f"ip {family} rule del pref {preference}" for preference in (5, 6, 7)]
        for rule in rules:
            yield False, [rule]
        yield False, [f"ip {family} route flush table {0x464C}"]
        yield False, [*rules, f"ip {family} route flush table {0x464C}"]
    yield False, [edit_virtual_servers]
    yield True, [ipvs.flush]


def edit_virtual_servers(namespace: str) -> None:
    """Their scheduler; the kernel forgets what marks them as ours."""
    for server in virtualservers.servers(namespace):
        if server.mark & TAG:
            virtualservers.edit(namespace, server, "rr")


def damages_by_nft(chance: random.Random, node: str) -> Iterator[Damage]:
    def chain() -> tuple[str, list[str]]:
        """Any that has rules: its name, and their handles."""
        listed = netns.output(ns(node), ["nft", "-a", "list", "table", "ip", "fairlead"])
        found = [(block.split()[0], re.findall(r"comment .*# handle (\d+)", block)) for block in listed.split("chain ")]
        return chance.choice([one for one in found if one[1]])

    for _ in range(3):
        name, handles = chain()
        yield False, [f"nft delete rule ip fairlead {name} handle {chance.choice(handles)}"]
        yield False, [f"nft flush chain ip fairlead {chain()[0]}"]
        yield False, [f"nft {chance.choice(('add', 'insert'))} rule ip fairlead {chain()[0]} return"]
    for name in ("ways", "endpoints", "node-port-ways"):
        listed = netns.output(ns(node), ["nft", "list", "map", "ip", "fairlead", name])
        if "elements = {" in listed:  # in mode ipvs most endpoints are elsewhere
            elements = listed.split("elements = {")[1].split("}")[0].split(",")
            yield False, [f"nft delete element ip fairlead {name} {{ {chance.choice(elements).strip()} }}"]
    yield False, ["nft add element ip fairlead guarded { 198.51.100.7 : 0 }"]
    yield False, ["nft flush map ip fairlead ways"]
    yield False, ["nft delete table ip fairlead"]
    yield False, ["nft delete table ip6 fairlead"]
    yield True, ["nft flush ruleset"]


@pytest.mark.parametrize("mode", MODES)
def test_what_others_do_to_our_rules(bench: Callable[..., str], mode: str, tmp_path: Path) -> None:
    """It is noticed though no look is due, mended and said; theirs are left alone."""
    node, log = bench(mode), tmp_path / "log"
    driver = Driver(node, mode, "--audit-ms", "3600000", log=log)
    driver.tell(*YESTERDAY)
    right = state(node, mode)
    for n_before, (foreign_as_well, commands) in enumerate(damages(mode, random.Random(mode), node)):
        if mode == "legacy":
            time.sleep(1.5)  # until they were looked at once
        for command in commands:
            if callable(command):
                command(ns(node))
            else:
                netns.output(ns(node), command.split())
        wait_for(f"the rules to be back after {commands}", lambda: ours(state(node, mode)) == ours(right), 30)
        wait_for(f"{commands} to be said", lambda: log.read_text().count("somebody ") > n_before)
        if foreign_as_well:
            foreign(node, mode)  # some of it twice, then
            driver.tell()
        assert set(theirs(state(node, mode))) == set(theirs(right)), commands
    assert driver.tell()["repairs"] > n_before
    driver.stop()


def test_times_of_affinity_take_few_chains(bench: Callable[..., str]) -> None:
    """Each time has chains that all others wait for: whose is one of many more is served with the next of a few."""
    node, n = bench("nftables"), 300

    def service(second: int, endpoint: int = 1) -> str:
        where = f"10.96.{second // 250}.{second % 250 + 1}"
        return f"service t/s{second:03} 4 cluster-ip={where} affinity={second} port=tcp/80 cluster=10.1.0.{endpoint};80"

    def times() -> list[int]:
        listed = netns.output(ns(node), ["nft", "list", "chains", "ip"])
        return sorted(int(time_s) for time_s in re.findall(r"chain outside-1-for-(\d+)s", listed))

    driver = Driver(node, "nftables", "--audit-ms", "300")
    driver.tell(service(10800), *(service(second) for second in range(1, n + 1)))
    few = {60, 600, 10800}
    assert set(times()) == few | set(range(1, 66))
    assert driver.tell()["families"][0]["rounded"] == n - 65
    # They stay as they are, also when endpoints change and in the next life.
    before = times()
    driver.tell(*(service(second, 2) for second in range(1, n + 1)))
    assert times() == before
    driver.stop()
    driver = Driver(node, "nftables", "--audit-ms", "300", begin=False)
    driver.start(service(10800), *(service(second, 2) for second in range(n, 0, -1)))
    assert times() == before
    # Whoever goes makes room for others.
    driver.tell(*(f"remove t/s{second:03} 4" for second in range(1, n + 1)))
    wait_for("their chains to go", lambda: times() == [10800], 30)
    driver.tell(service(301))
    assert times() == [301, 10800] and driver.tell()["families"][0]["rounded"] == 0
    driver.stop()


def test_clients_stay_where_others_have_filled_the_map(network: None) -> None:
    """One map remembers the clients of all Services: whom it has no room for is led to his endpoint by his address."""
    driver = Driver("node1", "nftables")
    driver.tell(f"service t/sticky 4 vip=203.0.113.9 affinity=60 port=tcp/80 {BOTH}")
    listed = netns.output(ns("node1"), ["nft", "list", "map", "ip", "fairlead", "affinity"])
    room = int(re.findall(r"size (\d+)", listed)[0])
    strangers = [f"0x0fffff00 . 10.{n >> 16}.{n >> 8 & 255}.{n & 255} timeout 1h : 0x1" for n in range(room)]
    for at in range(0, room, 8192):
        nft(ns("node1"), f"add element ip fairlead affinity {{ {', '.join(strangers[at : at + 8192])} }}\n")
    found = set()
    for number in range(40, 56):
        netns.configure(ns("client"), [f"addr add 192.168.77.{number}/24 dev eth0"])
        netns.configure(ns("client"), [f"route replace 203.0.113.9 via {NODE['node1']} src 192.168.77.{number}"])
        pods = seen("client", "203.0.113.9", tries=8)
        assert len(pods) == 1, pods
        found |= set(pods)
        netns.configure(ns("client"), [f"addr del 192.168.77.{number}/24 dev eth0"])
    assert len(found) == 2
    driver.stop()


@pytest.mark.parametrize("mode", MODES)
def test_churn_leaves_what_a_cold_start_would_write(bench: Callable[..., str], mode: str) -> None:
    """Whatever the order, and whoever claims what somebody else has: also for a start with all of them."""
    node, churn = bench(mode), Churn(CHURN_SEED)
    driver = Driver(node, mode, "--audit-ms", AUDIT_MS)
    end = time.monotonic() + CHURN_S
    while time.monotonic() < end:
        for _ in range(100):
            driver.say(*churn.step())
            if churn.chance.random() < 0.1:  # what was said meanwhile comes as one
                driver.tell()
            if churn.chance.random() < 0.02:
                driver.stop()
                driver.start(*churn.lines())
        driver.tell()
        if mode == "ipvs":  # a cold start makes no virtual server's endpoint that is only kept
            driver.tell(*churn.lines(kept=False))
        settled(node, mode, cold(bench, mode, *churn.lines(kept=mode != "ipvs")))
        driver.tell()
    driver.stop()


@pytest.mark.parametrize("mode", MODES)
def test_packets_after_churn_go_as_after_a_cold_start(network: None, mode: str) -> None:
    churn, driver = Churn(CHURN_SEED), Driver("node1", mode)
    endpoints = ("local 10.244.1.64/26 dev lo", "local 10.244.1.128/25 dev lo")  # whichever it is, the Pod answers
    netns.configure(ns("pod1"), [f"route replace {one}" for one in endpoints])
    netns.configure(ns("client"), [f"route replace 10.96.2.0/24 via {NODE['node1']}"])
    hosts = [f"203.0.113.{number}" for number in range(1, VIPS + 1)]
    asked = [(host, port) for host in hosts for port in (80, 443)]
    asked += [(NODE["node1"], 30000 + number) for number in range(NODE_PORTS)]
    asked += [(f"10.96.2.{number}", 80) for number in range(1, SERVICES + 1)]

    def one_outcome(one: tuple[str, tuple[str, int]]) -> str:
        # An address that nobody serves goes to and fro between router and node.
        return f"{one} {outcome(one[0], *one[1]).replace('unreachable', 'timeout')}"

    def found() -> list[str]:
        with ThreadPoolExecutor(32) as pool:
            return list(pool.map(one_outcome, itertools.product(("client", "pod1", "node1"), asked)))

    try:
        for _ in range(400):
            driver.say(*churn.step())
        driver.tell()
        after_churn = found()
        driver.stop()
        netns.output(ns("node1"), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])
        assert not ours(state("node1", mode))
        driver.start(*churn.lines())
        assert found() == after_churn
        assert {one.split()[-1] for one in after_churn} == {"answered", "refused", "timeout"}
    finally:
        driver.end()
        netns.output(ns("node1"), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])
        netns.configure(ns("pod1"), [f"route del {one}" for one in endpoints])
        netns.configure(ns("client"), ["route del 10.96.2.0/24"])


@pytest.mark.parametrize("mode", MODES)
def test_two_at_a_time(bench: Callable[..., str], mode: str, tmp_path: Path) -> None:
    """By mistake, and with other Services, or another mode: the second one waits, and says for whom."""
    right = {day: cold(bench, mode, *day) for day in (YESTERDAY, TODAY)}
    node, log = bench(mode), tmp_path / "log"
    first = Driver(node, mode, "--audit-ms", "200")
    first.tell(*YESTERDAY[:3])
    others = [Driver(node, one, "--audit-ms", "200", log=log, begin=False) for one in (mode, *MODES)]
    for other in others:
        other.launch()
        other.say(*TODAY, "complete")
    for other in others:
        status = wait_for("it to wait", lambda other=other: (s := other.status())["waits_for_another"] and s)
        assert not status["in_sync"] and other.ask("ready t/new 4") == "pending\n"
    n_before = first.tell(*YESTERDAY)["batches"]
    time.sleep(1)
    assert state(node, mode) == right[YESTERDAY]
    assert [other.status()["batches"] for other in others] == [0] * len(others)
    assert first.tell()["batches"] == n_before
    assert log.read_text().count("another service proxy") == len(others)
    # Whoever comes after it, even if it gives nothing back.
    first.end()
    for other in others[1:]:
        other.end()
    wait_for("the next one to be at work", lambda: not others[0].status()["waits_for_another"])
    others[0].tell()
    settled(node, mode, right[TODAY])
    others[0].stop(failures=True)


@pytest.mark.parametrize("mode", MODES)
def test_addresses_and_interfaces_of_the_node_change(network: None, mode: str) -> None:
    """A node port is at whatever address the node has, and nothing is written for that."""
    driver, port = Driver("node1", mode), 30071
    driver.tell(f"service t/moved 4 cluster-ip=10.96.0.71 vip=203.0.113.71 port=tcp/80/{port} {A}")
    n_before = driver.tell()["batches"]
    second, renumbered, inner = "192.168.77.61", "192.168.77.62", "192.0.2.71"

    def reached(host: str, at: int = port) -> Callable[[], bool]:
        return lambda: outcome("client", host, at) == "answered"

    def configured(node: str, *commands: str) -> None:
        netns.configure(ns(node), list(commands))

    for host, at in ((NODE["node1"], port), ("203.0.113.71", 80)):
        assert reached(host, at)()
    configured("client", f"route replace {inner}/32 via {NODE['node1']}")
    try:
        configured("node1", f"addr add {second}/24 dev eth0")
        wait_for("the new address", reached(second))
        configured("node1", f"addr del {second}/24 dev eth0", f"addr add {renumbered}/24 dev eth0")
        wait_for("the address that takes its place", reached(renumbered))
        assert not reached(second)()
        configured("node1", "link add inner type veth peer name inner2", f"addr add {inner}/32 dev inner")
        configured("node1", "link set inner up", "link set inner2 up")
        wait_for("the new interface's address", reached(inner))
        configured("node1", "link del inner")
        wait_for("its address to go", lambda: not reached(inner)())
        configured("node1", "link set eth0 down", "link set pod0 down")
        assert not reached("203.0.113.71", 80)()
        configured("node1", "link set eth0 up", "link set pod0 up", f"route replace default via {CLIENT}")
        configured("node1", f"route replace 10.244.2.0/24 via {NODE['node2']}")
        wait_for("traffic after all links were down", reached("203.0.113.71", 80))
        assert reached(NODE["node1"])()
        assert driver.tell()["batches"] == n_before
    finally:
        configured("client", f"route del {inner}/32")
        configured("node1", f"addr del {renumbered}/24 dev eth0")
        driver.end()
        netns.output(ns("node1"), [str(BUILD / "tests/proxy/proxyctl"), "--cleanup"])
