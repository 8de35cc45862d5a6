# SPDX-License-Identifier: Apache-2.0
"""The second family of a cluster's network: IPv6 beside what lab/net.py makes.

  LAN       fd00:77::/64, with the same last number as in IPv4
  Pods      fd00:244:N::/64 of node N
  Services  fd00:96::/112
"""

from lab import net, netns

POD_NETWORK = "fd00:244::/32"
SERVICE_NETWORK = "fd00:96::/112"


def address(host: net.Host) -> str:
    return f"fd00:77::{host.address.rsplit('.', 1)[1]}"


def pod_cidr(host: net.Host) -> str:
    return f"fd00:244:{host.pod_prefix.rsplit('.', 1)[1]}::/64"


def enable(network: net.Network) -> None:
    """Gives every machine on the LAN its address of the second family, and the routes to Pods."""
    router = "fd00:77::1"
    netns.set_sysctls(network.lan, {"ipv6/conf/all/forwarding": "1"})
    netns.configure(network.lan, [f"addr add {router}/64 dev br0 nodad"])
    for host in network.hosts:
        others = [n for n in network.nodes if n.name != host.name]
        routes = [f"route add {pod_cidr(n)} via {address(n)}" for n in others if host.pod_prefix or host.name == "cp"]
        netns.configure(
            host.namespace,
            [f"addr add {address(host)}/64 dev eth0 nodad", f"route add default via {router} dev eth0", *routes],
        )
