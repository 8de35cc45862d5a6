# SPDX-License-Identifier: Apache-2.0
"""What disturbs layer 2 from outside: kernels that answer by themselves, small MTUs, cables; with real frames."""

import signal
from collections.abc import Callable, Iterator

import pytest
from l2wire import IPV4, PATIENT_MS, SWITCH, Node, Wire

from lab import netns
from lab.waiting import wait_for


@pytest.fixture
def make_wire() -> Iterator[Callable[..., Wire]]:
    wires: list[Wire] = []

    def make(*args: object, **kwargs: object) -> Wire:
        wires.append(Wire(IPV4, *args, **kwargs))  # type: ignore[arg-type]
        return wires[-1]

    yield make
    for wire in wires:
        wire.close()


def sysctl(node: Node, name: str, value: int) -> None:
    names = [f"ipv4/conf/{interface}/{name}" for interface in ("all", "eth0")]
    netns.set_sysctls(node.namespace, dict.fromkeys(names, str(value)))


def bind(node: Node, *addresses: str) -> None:
    """As kube-proxy in IPVS mode does, though with a bridge without ports: not every kernel has dummies."""
    commands = ["link add kube-ipvs0 type bridge", "link set kube-ipvs0 arp off"]
    netns.configure(node.namespace, [*commands, *(f"addr add {a}/32 dev kube-ipvs0" for a in addresses)])


def troubles(node: Node) -> dict[str, str]:
    """What it complains of: the reason, and the rest of the line."""
    return dict(line.split(" ", 1) for line in node.command("troubles"))


def ownership(node: Node, address: str) -> str:
    state = node.states().get(address)
    return state.ownership if state else ""


def test_the_kernel_of_a_node_that_does_not_own_the_address(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire()
    for node in wire.nodes.values():
        sysctl(node, "arp_ignore", 0)
    owners = wire.wait_owners()
    address = wire.owned_by("a")[0]
    b = wire.nodes["b"]
    bind(b, address)
    wait_for("b to say so", lambda: ownership(b, address) == "kernel-answers")
    words = f"eth0 {address} is an address of this node's own on kube-ipvs0, and arp_ignore is 0"
    wait_for("b to complain", lambda: troubles(b).get("KernelAnswers", "").startswith(words))
    assert wire.owners() == owners, "nobody gives up for that"
    # As kube-proxy does with strictARP.
    sysctl(b, "arp_ignore", 1)
    wait_for("b to be content", lambda: "KernelAnswers" not in troubles(b), 20)
    wait_for("b to see a's", lambda: ownership(b, address) == "other")


def test_all_kernels_answer(make_wire: Callable[..., Wire]) -> None:
    """Where kube-proxy in IPVS mode had bound the addresses before the speakers came, each says what is wrong."""
    wire = make_wire()
    for node in wire.nodes.values():
        node.signal(signal.SIGKILL)
        sysctl(node, "arp_ignore", 0)
        bind(node, *wire.addresses)
        node.start()
    for node in wire.nodes.values():
        wait_for(f"{node.name} to say so", lambda n=node: ownership(n, wire.addresses[0]) == "kernel-answers")
        wait_for(f"{node.name} to complain", lambda n=node: "KernelAnswers" in troubles(n))
    for node in wire.nodes.values():
        sysctl(node, "arp_ignore", 1)
    wire.wait_owners(30)


@pytest.mark.parametrize("mtus", [(1280, 1280, 1280), (1000, 1500, 576), (576, 576, 576)])
def test_messages_fit_the_mtu(make_wire: Callable[..., Wire], mtus: tuple[int, ...]) -> None:
    wire = make_wire()
    for node, mtu in zip(wire.nodes.values(), mtus, strict=True):
        netns.configure(node.namespace, [f"link set eth0 mtu {mtu}"])
        netns.configure(SWITCH, [f"link set port-{node.name} mtu {mtu}"])
    wire.wait_agreed()
    for node in wire.nodes.values():
        wait_for("some talk", lambda n=node: n.stats()["received"] > 30)
        assert node.stats()["send_failures"] == 0
        assert troubles(node) == {}


def test_an_mtu_without_room_is_told(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(probe_ms=PATIENT_MS)
    wire.wait_owners()
    a = wire.nodes["a"]
    netns.configure(a.namespace, ["link set eth0 mtu 68"])
    words = "eth0 the MTU of 68 bytes has no room for what speakers tell each other"
    wait_for("a to complain", lambda: troubles(a).get("SendFailed", "").startswith(words))
    wait_for("frames to fail", lambda: a.stats()["send_failures"] > 5)
    netns.configure(a.namespace, ["link set eth0 mtu 1500"])
    wire.wait_owners()
    wait_for("the complaint to end", lambda: troubles(a) == {}, 60)


def test_a_router_that_answers_everything(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(("a",))
    wire.wait_owners()
    a = wire.nodes["a"]
    sysctl(a, "proxy_arp", 1)
    wait_for("a to complain of itself", lambda: "proxy_arp is on" in troubles(a).get("ProxyArp", ""), 20)
    sysctl(a, "proxy_arp", 0)
    wait_for("a to be content", lambda: troubles(a) == {}, 20)


def test_two_nodes_of_one_name_are_told_as_long_as_they_are_two(make_wire: Callable[..., Wire]) -> None:
    wire = make_wire(("a", "b"), probe_ms=PATIENT_MS)
    wire.wait_owners()
    a, b = wire.nodes.values()
    b.signal(signal.SIGTERM)
    b.name = a.name
    b.start()
    for one, other in ((a, b), (b, a)):
        words = f"eth0 the speaker at {other.mac} has this node's name, too"
        wait_for("each to complain of the other", lambda n=one, w=words: troubles(n).get("DuplicateNodeName") == w)
    wire.observe(1.0).assert_one_owner()
    b.signal(signal.SIGTERM)
    wait_for("the complaint to end", lambda: troubles(a) == {}, 60)
