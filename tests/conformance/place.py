# SPDX-License-Identifier: Apache-2.0
"""Where the suite runs: a cluster with Fairlead in some mode, and a client of it beyond the LAN's router.

	192.168.1.1            198.51.100.1     198.51.100.200
	LAN ─────── its bridge ──────────────── beyond

The suite tells clients from nodes by the first half of their addresses, so its own is not of the LAN.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from lab import net, netns
from podlab import dual
from podlab.cluster import Cluster
from podlab.installation import CHART, NAMESPACE

from . import suite
from .outcomes import Outcome

YARDSTICK = "kube-proxy"
IPVS = "ipvs"
MODES = ("nftables", "iptables", IPVS, YARDSTICK)

_ADDRESS, _GATEWAY = "198.51.100.200", "198.51.100.1"
# All that the suite may ask for: addresses for its load balancers, and the external IP that it writes by hand.
_CONFIG = {
    "external-ips": {"allow": ["203.0.113.250/32"], "namespaces": ["*"]},
    "address-pools": [{"name": "lan", "protocol": "layer2", "addresses": ["192.168.1.128-192.168.1.250"]}],
}


@contextmanager
def prepared(cluster: Cluster, mode: str, archives: list[Path]) -> Iterator[None]:
    """Has a running cluster carry its Services in a mode while the block runs; its nodes have the suite's images."""
    for node in cluster.nodes.values():
        for archive in archives:
            node.import_image(archive)
    for number, name in enumerate(cluster.nodes, 1):
        cluster.kubectl("label", "node", name, "--overwrite", f"topology.kubernetes.io/zone=zone{number}")
    values = cluster.disk / "values-conformance.yaml"
    values.write_text(yaml.safe_dump(_values(cluster, mode)), encoding="utf-8")
    where = ("--namespace", NAMESPACE, "--create-namespace", "--values", str(values))
    cluster.helm("install", "fairlead", str(CHART), *where, "--wait", "--timeout", "180s")
    cluster.kubectl("rollout", "status", "deployment/coredns", "--namespace", "kube-system", "--timeout", "180s")
    yield
    cluster.helm("uninstall", "fairlead", "--namespace", NAMESPACE, "--wait", "--timeout", "180s")


def run(cluster: Cluster, mode: str, names: list[str], processes: int) -> dict[str, Outcome]:
    """Runs tests of the suite where all is prepared."""
    results(cluster.build).mkdir(exist_ok=True)
    kubeconfig = cluster.plane.kubeconfig("admin", cluster.dir / "client.kubeconfig")
    namespace = _client(cluster.network)
    log = results(cluster.build) / f"{mode}.log"
    return suite.run(names, namespace, kubeconfig, processes, report(cluster.build, mode), log)


def results(build: Path) -> Path:
    """The directory for what became of tests, in a build directory."""
    return build / "upstream"


def report(build: Path, mode: str) -> Path:
    """What suite.told() reads of the last run in a mode."""
    return results(build) / f"{mode}-report.jsonl"


def _values(cluster: Cluster, mode: str) -> dict[str, object]:
    if mode == YARDSTICK:
        return {"config": _CONFIG}
    return {
        "config": _CONFIG,
        "speaker": {
            "proxyMode": mode,
            "clusterCIDRs": [net.POD_NETWORK, *([dual.POD_NETWORK] if cluster.dual_stack else [])],
            "healthzBindAddress": "0.0.0.0:10256",
        },
        "apiServer": {"host": cluster.plane.address, "port": str(net.API_PORT)},
    }


def _client(network: net.Network) -> str:
    """Makes the client; its namespace, which ends with the cluster."""
    namespace = network.prefix + "beyond"
    netns.create(namespace)
    netns.configure(
        network.lan,
        [
            f"link add beyond type veth peer name eth0 netns {namespace}",
            f"addr add {_GATEWAY}/24 dev beyond",
            "link set beyond up",
        ],
    )
    up = ["link set lo up", f"addr add {_ADDRESS}/24 dev eth0", "link set eth0 up"]
    netns.configure(namespace, [*up, f"route add default via {_GATEWAY}"])
    return namespace
