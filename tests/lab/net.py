# SPDX-License-Identifier: Apache-2.0
"""The topology: who is where, and the commands that make it.

            fl-ID-lan  (a bridge; 192.168.1.1 is the LAN's router, which leads nowhere)
   +----------+-----------+-----------+-----------+
   cp       node1       node2       node3       client
   .10       .11         .12         .13         .100
              |           |           |
         10.244.1.0/24 10.244.2.0/24 10.244.3.0/24   Pods, each in a namespace of its own

Each Pod hangs on its node by a link of its own and a /32 route, so Pods reach each other through netfilter of their
node.
"""

from dataclasses import dataclass

from . import netns
from .waiting import wait_for

LAN_PREFIX = "192.168.1"
ROUTER = f"{LAN_PREFIX}.1"
CONTROL_PLANE = f"{LAN_PREFIX}.10"
CLIENT = f"{LAN_PREFIX}.100"
POD_NETWORK = "10.244.0.0/16"
API_PORT = 6443

# Where a kernel starts namespaces with other values, these make every lab the same.
_HOST_SYSCTLS = {
    "ipv4/conf/all/rp_filter": "2",
    "ipv4/conf/default/rp_filter": "2",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
}
_NODE_SYSCTLS = _HOST_SYSCTLS | {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}


@dataclass(frozen=True)
class Host:
    """A machine on the LAN."""

    name: str  # "cp", "node1", "client"
    namespace: str
    address: str
    mac: str
    pod_prefix: str = ""  # "10.244.1" of a node

    @property
    def pod_cidr(self) -> str:
        return f"{self.pod_prefix}.0/24"


class Network:
    """The LAN of one lab and everything on it."""

    def __init__(self, lab_id: str, n_nodes: int = 3) -> None:
        self.prefix = f"fl-{lab_id}-"
        self.lan = self.prefix + "lan"
        self.control_plane = self._host("cp", CONTROL_PLANE)
        self.client = self._host("client", CLIENT)
        self.nodes = [
            self._host(f"node{i}", f"{LAN_PREFIX}.{10 + i}", f"10.244.{i}") for i in range(1, n_nodes + 1)
        ]

    def _host(self, name: str, address: str, pod_prefix: str = "") -> Host:
        # The last octet's decimal digits, so that a person reads the address in the MAC.
        digits = f"{int(address.rsplit('.', 1)[1]):04d}"
        return Host(name, self.prefix + name, address, f"02:f1:00:00:{digits[:2]}:{digits[2:]}", pod_prefix)

    @property
    def hosts(self) -> list[Host]:
        return [self.control_plane, *self.nodes, self.client]

    def host_of_mac(self, mac: str) -> str:
        return next((h.name for h in self.hosts if h.mac == mac), mac)

    def create(self) -> None:
        netns.create(self.lan)
        netns.configure(
            self.lan,
            [
                "link set lo up",
                "link add br0 type bridge stp_state 0 forward_delay 0",
                "link set br0 address 02:f1:00:00:00:01",
                f"addr add {ROUTER}/24 dev br0",
                "link set br0 up",
            ],
        )
        netns.set_sysctls(self.lan, {"ipv4/ip_forward": "1"})
        for host in self.hosts:
            netns.create(host.namespace)
            netns.set_sysctls(host.namespace, _NODE_SYSCTLS if host.pod_prefix else _HOST_SYSCTLS)
        links = []
        for host in self.hosts:
            links += [
                f"link add {host.name} type veth peer name eth0 address {host.mac} netns {host.namespace}",
                f"link set {host.name} master br0",
                f"link set {host.name} up",
            ]
        netns.configure(self.lan, links)
        for host in self.hosts:
            routes = [
                f"route add {n.pod_cidr} via {n.address}"
                for n in self.nodes
                if host.pod_prefix and n.name != host.name
            ]
            netns.configure(
                host.namespace,
                [
                    "link set lo up",
                    f"addr add {host.address}/24 dev eth0",
                    "link set eth0 up",
                    f"route add default via {ROUTER}",
                    *routes,
                ],
            )

    def cut(self, host: str, carrier: bool = True) -> None:
        """Cuts a host's link; without `carrier` the bridge drops silently and nobody sees the link go."""
        if carrier:
            netns.configure(self.lan, [f"link set {host} down"])
        else:
            netns.output(self.lan, ["bridge", "link", "set", "dev", host, "state", "0"])

    def block_multicast(self, sender: str, receiver: str) -> None:
        """From now on the LAN loses what a host sends to multicast groups, on its way to one other host alone."""
        rule = ["-i", sender, "-o", receiver, "-d", "01:00:5e:00:00:00/ff:ff:ff:80:00:00", "-j", "DROP"]
        netns.output(self.lan, ["ebtables-nft", "-A", "FORWARD", *rule])

    def unblock(self) -> None:
        netns.output(self.lan, ["ebtables-nft", "-F", "FORWARD"])

    def heal(self, host: str) -> None:
        netns.configure(self.lan, [f"link set {host} up"])

        def forwarding() -> bool:  # which the bridge refuses until it has noticed the carrier
            netns.output(self.lan, ["bridge", "link", "set", "dev", host, "state", "3"])
            return True

        wait_for(f"{host}'s link", forwarding)


def create_pod(namespace: str, node_namespace: str, node_pod_prefix: str, address: str) -> None:
    """Makes a Pod's namespace, hung on its node."""
    link = "pod" + address.replace(".", "-")[len("10-244-") :]
    gateway = f"{node_pod_prefix}.1"
    netns.create(namespace)
    netns.configure(
        node_namespace,
        [
            f"link add {link} type veth peer name eth0 netns {namespace}",
            f"addr add {gateway}/32 dev {link}",
            f"link set {link} up",
            f"route add {address}/32 dev {link}",
        ],
    )
    netns.configure(
        namespace,
        [
            "link set lo up",
            f"addr add {address}/32 dev eth0",
            "link set eth0 up",
            f"route add {gateway} dev eth0 scope link",
            f"route add default via {gateway}",
        ],
    )
