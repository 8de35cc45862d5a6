# SPDX-License-Identifier: Apache-2.0
"""What tests/cluster runs once everything is built."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import rundir
from lab.cluster import end_on_signals
from lab.waiting import LabError

from . import cluster
from .cluster import SOURCE, Cluster

_LOOK_AROUND = """
cluster {id} is up; the images fairlead and fairlead-frr of this tree are on its nodes.

  export KUBECONFIG={dir}/kubeconfig PATH={dir}/bin:$PATH
  kubectl get nodes -o wide                     # then on as the README says: helm install …
  tests/cluster import IMAGE…                   # of this machine's docker, or an archive, to every node
  ip netns exec {client} curl ADDRESS   # from outside the cluster, on its LAN
  ip netns exec {client} {fairlead} test --kubeconfig {dir}/client.kubeconfig
  ip netns exec {node} ip address      # a node; its Pods' logs: kubectl logs
  ls {dir}/logs
  tests/cluster down
"""


def _up(cluster_id: str, kube_proxy: bool, dual_stack: bool) -> None:
    end_on_signals()
    build = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
    with Cluster(cluster_id, build, "tests/cluster", dual_stack) as made:
        made.start(kube_proxy)
        made.import_product()
        # The machine's own leads to the API server by way of its loopback, which the client does not share.
        made.plane.kubeconfig("admin", made.dir / "client.kubeconfig").chmod(0o600)
        made.keep()
        print(
            _LOOK_AROUND.format(
                id=cluster_id,
                dir=made.dir,
                fairlead=build / "src/cli/fairlead",
                client=made.network.client.namespace,
                node=made.network.nodes[0].namespace,
            )
        )


def _import(cluster_id: str, what: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archives = []
        for number, image in enumerate(what):
            archive = Path(image)
            if not archive.is_file():
                archive = Path(directory, f"{number}.tar")
                subprocess.run(["docker", "save", "-o", str(archive), image], check=True)
            archives.append(archive)
        cluster.import_images(cluster_id, archives)


def main(argv: list[str]) -> int:
    cluster_id = os.environ.get("FAIRLEAD_LAB_ID", "cluster")
    match argv:
        case ["up", *flags]:
            _up(cluster_id, "--no-kube-proxy" not in flags, "--dual-stack" in flags)
        case ["vacant"]:
            rundir.check_vacant(cluster_id, "tests/cluster", cluster.CLEANER)
        case ["import", *what]:
            _import(cluster_id, what)
        case ["down"]:
            print("removed" if cluster.remove(cluster_id) else "there is none")
        case _:
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as problem:
        sys.exit(str(problem))
    except subprocess.CalledProcessError as problem:
        sys.exit(f"{problem.cmd[0]} failed")
    except KeyboardInterrupt:
        sys.exit(130)
