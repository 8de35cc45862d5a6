# SPDX-License-Identifier: Apache-2.0
"""The cluster's DNS: CoreDNS, installed by kubeadm, which Pods ask first.

Whatever is not the cluster's it asks the nodes' own name server for, at the control plane's address, where a test may
start one.
"""

from pathlib import Path
from typing import Protocol

import yaml

from lab import net
from lab.kubernetes import program

from . import images

ADDRESS = "10.96.0.10"  # where kubeadm puts it: the tenth of the Services' network
DOMAIN = "cluster.local"
RESOLV_CONF = f"nameserver {net.CONTROL_PLANE}\n"  # of the nodes


class Installed(Protocol):
    """The cluster."""

    disk: Path
    kubeconfig: Path

    def run(self, program: str, *arguments: str) -> str: ...


def configure(cluster: Installed, service_network: str) -> Path:
    """Writes what kubeadm is told of the cluster, so that it neither looks at this machine nor asks the internet."""
    version = cluster.run("kubeadm", "version", "--output", "short").strip()
    documents = [
        {
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": net.CONTROL_PLANE},
            "nodeRegistration": {"criSocket": "unix:///run/containerd/containerd.sock"},
        },
        {
            "kind": "ClusterConfiguration",
            "kubernetesVersion": version,
            "networking": {"serviceSubnet": service_network, "dnsDomain": DOMAIN},
        },
    ]
    file = cluster.disk / "kubeadm.yaml"
    text = yaml.safe_dump_all({"apiVersion": "kubeadm.k8s.io/v1beta4"} | d for d in documents)
    file.write_text(text, encoding="utf-8")
    return file


def image(cluster: Installed, configuration: Path) -> Path:
    """Writes the archive of CoreDNS' image, by the name that kubeadm gives it."""
    names = cluster.run("kubeadm", "config", "images", "list", "--config", str(configuration)).splitlines()
    reference = next(n for n in names if "/coredns:" in n)
    return images.of_program(cluster.disk / "coredns.tar", (reference,), Path(program("coredns")))


def install(cluster: Installed, configuration: Path) -> None:
    """Does not wait for its Pods, which need somebody to carry the Service `kubernetes`."""
    flags = ("--config", str(configuration), "--kubeconfig", str(cluster.kubeconfig))
    cluster.run("kubeadm", "init", "phase", "addon", "coredns", *flags)
