# SPDX-License-Identifier: Apache-2.0
"""Speakers' layer 2 alone (tests/l2/l2node) on a bridge of the kernel, which snoops multicast if told, and a client.

What the switch of l2wire.py does not do: carry tens of thousands of frames a second, and follow IGMP and MLD.
"""

import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from l2wire import NAMES, PREFIX, SWITCH, Family, Node, Segment, mac_of

from lab import arp, netns
from lab.cluster import SOURCE
from lab.waiting import LabError

CLIENT = PREFIX + "client"
OUTSIDER = PREFIX + "outsider"
BRIDGE = "br0"
ANSWER_SECONDS = 1.0
# The switch asks for members itself, from the start, and believes at once that all have answered.
QUERIED = " mcast_querier 1 mcast_startup_query_interval 100 mcast_query_response_interval 100"


def program(name: str) -> str:
    return str(Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build")) / "tests/l2" / name)


class Room(Segment):
    """Nodes, a client and an outsider, each on a port `port-NAME` of the bridge; their own interface is eth0."""

    def __init__(self, family: Family, key: str, probe_ms: int = 25, bridge: str = "") -> None:
        super().__init__(family, {n: Node(family, n, key, probe_ms) for n in NAMES})
        netns.configure(SWITCH, [f"link add {BRIDGE} type bridge forward_delay 0 {bridge}", f"link set {BRIDGE} up"])
        for number, node in enumerate(self.nodes.values()):
            self._plug(node.namespace, node.name, 11 + number)
            node.mac = mac_of(node.namespace)
        self._plug(CLIENT, "client", 200)
        self._plug(OUTSIDER, "outsider", 201)
        for node in self.nodes.values():
            node.start()

    def _plug(self, namespace: str, name: str, host: int) -> None:
        netns.create(namespace)
        netns.set_sysctls(namespace, {"ipv6/conf/default/accept_dad": "0"})
        port = f"port-{name}"
        peer = f"peer name eth0 netns {namespace}"
        netns.configure(SWITCH, [f"link add {port} type veth {peer}", f"link set {port} master {BRIDGE} up"])
        commands = ["link set lo up", f"addr add {self.family.host(host)} dev eth0", "link set eth0 up"]
        netns.configure(namespace, commands)

    def ask(self, address: str, seconds: float = ANSWER_SECONDS) -> list[str]:
        """Asks once as the client, until the first answer; the Ethernet address that answered."""
        codec = self.family.codec
        with netns.entered(CLIENT):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(codec.ETHERTYPE))
        with s:
            s.bind(("eth0", codec.ETHERTYPE))
            mac = arp.mac_text(s.getsockname()[4])
            s.send(codec.request(mac, self.family.client, address))
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0 and select.select([s], [], [], left)[0]:
                packet = codec.decode(s.recv(2048))
                if packet and packet.op == arp.REPLY and (packet.dst, packet.sender_ip) == (mac, address):
                    return [packet.sender_mac]
        return []

    @contextmanager
    def flood(self, address: str, per_second: int, machines: int, seconds: int = 60) -> Iterator[None]:
        """Questions for the address by the outsider, in the name of so many machines."""
        frame = self.family.codec.request("02:f1:00:00:00:00", self.family.client, address)
        argv = [program("flood"), "eth0", str(per_second), str(seconds), str(machines), frame.hex()]
        with netns.entered(OUTSIDER):
            popen = subprocess.Popen(argv, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            yield
            if popen.poll() is not None:
                raise LabError(f"the flood ended by itself: {popen.returncode}")
        finally:
            popen.kill()
            popen.wait()


class Sampler:
    """Looks at something every few milliseconds, in a thread."""

    def __init__(self, look: Callable[[], list[int]]) -> None:
        self.seen: list[list[int]] = []
        self._look = look
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            self.seen.append(self._look())

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
