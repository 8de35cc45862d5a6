# SPDX-License-Identifier: Apache-2.0
"""CoreDNS beside the lab's API server: it answers for the cluster's names, and for one that is outside.

tests/kube/build --coredns makes it, which needs Go.
"""

from pathlib import Path

from . import netns
from .cluster import Lab
from .kubernetes import programs

DOMAIN = "cluster.local"
BALANCERS = "lb.example.org"  # where a load balancer's name leads to its addresses
OUTSIDE = "www.example.org"

_COREFILE = """
{domain} {balancers} {{
	errors
	kubernetes {domain} {{
		kubeconfig {kubeconfig}
	}}
	k8s_external {balancers}
}}
. {{
	hosts {{
		{address} {outside}
	}}
}}
"""


def missing() -> str:
    """Why there is none; "" if there is one."""
    there = (programs() / "coredns").exists()
    return "" if there else f"no CoreDNS in {programs()}: tests/kube/build --coredns makes it"


def start(lab: Lab) -> None:
    """At the control plane's address, which is also that of the name outside."""
    address = lab.network.control_plane.address
    corefile = Path(lab.dir, "Corefile")
    zones = {"domain": DOMAIN, "balancers": BALANCERS, "outside": OUTSIDE}
    corefile.write_text(_COREFILE.format(address=address, kubeconfig=lab.kubeconfig, **zones), encoding="ascii")
    argv = [str(programs() / "coredns"), "-conf", str(corefile)]
    process = lab.start("coredns", argv, lab.network.control_plane.namespace)
    lab.wait_up(process, "CoreDNS", lambda: ask(lab, "node1", OUTSIDE), 30)


def ask(lab: Lab, host: str, name: str, kind: str = "A") -> list[str]:
    """The data of the records with which it answers a host of the lab: names that the name leads to, then addresses."""
    return netns.dig(lab.host(host).namespace, lab.network.control_plane.address, name, kind)
