# SPDX-License-Identifier: Apache-2.0
"""One node: containerd, kubelet and perhaps kube-proxy, and the containers that they start.

A node is a network namespace, a host name of its own, and a mount namespace, in which /run, /var/log and
/var/lib/kubelet are its own, so that a hostPath there is as private as on a machine.  Its init is a process that only
sleeps: everything of the node enters its namespaces, and the mounts go when the last of them ends.  All Pods are in one
cgroup, which is how everything that a killed node leaves running is found.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from lab import net, netns
from lab.kubernetes import ControlPlane, program
from lab.processes import Process, end, identity
from lab.waiting import PATIENCE, LabError, wait_for

from . import cgroups, dns, dual, images, machine

# What kube-proxy sets, where nobody told it otherwise; without it that is for the machine's sysctl.d.
_SYSCTLS = {"netfilter/nf_conntrack_tcp_timeout_close_wait": "3600"}

Start = Callable[[str, list[str], str], Process]

# $0: this script, $1: the node's directory on disk, $2: that for its sockets, which are reached from outside,
# $3: its name.
# In a chroot, the root that the tests see becomes that of the mount namespace, for whoever enters it gets that one:
# kubelet and containerd do, and so does each `kubectl exec` and probe.
_INIT = """
enter="nsenter --mount=/proc/self/ns/mnt"
if [ "$(stat -c %d:%i /)" != "$($enter stat -c %d:%i /)" ]; then
	$enter mount --rbind "/proc/$$/root" /
	exec $enter sh -ec "$0" "$0" "$@"
fi
hostname "$3"
mount -t tmpfs node-run "$1/run"
mkdir -p "$1/run/frr" "$1/run${2#/run}"
mount --bind "$2" "$1/run${2#/run}"
mount --bind "$2/frr" "$1/run/frr"
mount --rbind "$1/run" /run
mount --bind "$1/log" /var/log
mount --bind "$1/kubelet" /var/lib/kubelet
touch "$2/up"
exec sleep infinity
"""


def _containerd_config(node: "Node") -> str:
    return f"""
version = 2
root = "{node.disk}/containerd"
state = "{node.run}/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
                    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{node.socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{images.PAUSE}"
disable_apparmor = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{machine.CNI}"
conf_dir = "{node.disk}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def _cni_config(node: "Node") -> dict[str, object]:
    """Each Pod on a link of its own with a /32 route: Pods of one node, too, reach each other through its netfilter."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": cidr}] for cidr in node.pod_cidrs],
        "routes": [{"dst": "::/0" if ":" in cidr else "0.0.0.0/0"} for cidr in node.pod_cidrs],
        "dataDir": f"{node.disk}/ipam",
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "0.4.0", "name": "lab", "plugins": [{"type": "ptp", "ipam": ipam}, portmap]}


def _kubelet_config(node: "Node") -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.host.address,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "resolvConf": str(node.disk / "resolv.conf"),
        "clusterDNS": [dns.ADDRESS],
        "clusterDomain": dns.DOMAIN,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageMinimumGCAge": "24h",
        # A node that dies is noticed within ten seconds, so it says often that it lives.
        "nodeLeaseDurationSeconds": 8 * PATIENCE,
        "nodeStatusUpdateFrequency": "3s",
        "syncFrequency": "5s",
        "shutdownGracePeriod": "0s",
    }


class Node:
    def __init__(self, host: net.Host, run: Path, disk: Path, start: Start, dual_stack: bool = False) -> None:
        self.host, self.name = host, host.name
        self.addresses, self.pod_cidrs, self._pod_networks = [host.address], [host.pod_cidr], [net.POD_NETWORK]
        if dual_stack:
            self.addresses.append(dual.address(host))
            self.pod_cidrs.append(dual.pod_cidr(host))
            self._pod_networks.append(dual.POD_NETWORK)
        self.run, self.disk = run / host.name, disk / host.name
        self.socket = self.run / "containerd.sock"
        self.frr = self.run / "frr"  # the node's /run/frr
        self.cgroup = host.namespace
        self.logs = self.disk / "log" / "pods"
        self._start = start
        self._processes: dict[str, Process] = {}

    # ---- life ----

    def prepare(self, plane: ControlPlane) -> None:
        """Makes the files of the node."""
        for directory in ("cni", "run", "log", "kubelet"):
            (self.disk / directory).mkdir(parents=True)
        Path("/var/lib/kubelet").mkdir(exist_ok=True)
        (self.disk / "cni" / "10-lab.conflist").write_text(json.dumps(_cni_config(self)), encoding="ascii")
        (self.disk / "containerd.toml").write_text(_containerd_config(self), encoding="ascii")
        (self.disk / "resolv.conf").write_text(dns.RESOLV_CONF, encoding="ascii")
        (self.disk / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet_config(self)), encoding="ascii")
        plane.kubeconfig(f"system:node:{self.name}", self.disk / "kubelet.kubeconfig")
        plane.kubeconfig("system:kube-proxy", self.disk / "proxy.kubeconfig")

    def _run_program(self, name: str, argv: list[str]) -> Process:
        if name != "init":
            # With init's root directory too: entering a mount namespace would leave a chroot.
            init = str(self._processes["init"].pid)
            argv = ["nsenter", "--target", init, "--mount", "--uts", "--root", "--", *argv]
        process = self._start(f"{name}-{self.name}", argv, self.host.namespace)
        self._processes[name] = process
        return process

    def boot(self) -> None:
        """What a machine has before anything of Kubernetes starts on it: no rules, and no connections it would know."""
        for forget in (["nft", "flush", "ruleset"], ["conntrack", "-F"]):
            netns.output(self.host.namespace, forget)
        netns.set_sysctls(self.host.namespace, _SYSCTLS)
        shutil.rmtree(self.run, ignore_errors=True)
        self.frr.mkdir(parents=True)
        cgroups.create(self.cgroup)
        unshare = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-ec", _INIT, _INIT]
        self._run_program("init", [*unshare, str(self.disk), str(self.run), self.name])
        wait_for(f"{self.name} to be up", (self.run / "up").exists, 30)

    def start_containerd(self) -> Process:
        return self._run_program("containerd", ["containerd", "--config", str(self.disk / "containerd.toml")])

    def start_kubelet(self) -> Process:
        """Again and again until it finds containerd ready, as an init would."""
        argv = [
            *("sh", "-c", 'until "$@"; do sleep 0.3; done', "sh"),
            program("kubelet"),
            f"--config={self.disk / 'kubelet.yaml'}",
            f"--kubeconfig={self.disk / 'kubelet.kubeconfig'}",
            f"--hostname-override={self.name}",
            f"--node-ip={','.join(self.addresses)}",
        ]
        return self._run_program("kubelet", argv)

    def start_proxy(self) -> Process:
        """kube-proxy, with the system's iptables and without the sysctls that belong to the machine."""
        argv = [
            program("kube-proxy"),
            f"--kubeconfig={self.disk / 'proxy.kubeconfig'}",
            f"--hostname-override={self.name}",
            f"--cluster-cidr={','.join(self._pod_networks)}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]
        return self._run_program("kube-proxy", argv)

    def is_proxied(self) -> bool:
        """Whether kube-proxy's rules are there."""
        return "KUBE-SERVICES" in netns.output(self.host.namespace, ["iptables-save", "-t", "nat"])

    def stop_proxy(self) -> None:
        self._processes["kube-proxy"].stop()
        netns.output(self.host.namespace, [program("kube-proxy"), "--cleanup"])

    def kill(self) -> None:
        """Every process of the node at once, as when its power fails; the link is the caller's."""
        for process in self._processes.values():
            if process.running():
                process.kill()
        remove_processes(self.host.namespace, self.cgroup)

    # ---- images ----

    def ctr(self, *arguments: str) -> str:
        done = subprocess.run(
            ["ctr", "-a", str(self.socket), "-n", "k8s.io", *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LabError(f"ctr {' '.join(arguments)} on {self.name}: {done.stderr.strip()}")
        return done.stdout

    def import_image(self, archive: Path) -> None:
        self.ctr("images", "import", "--snapshotter", "overlayfs", str(archive))


def remove_processes(namespace: str, cgroup: str) -> None:
    """Ends what lives in a node's namespace (containerd, its shims, host-network Pods) or in its Pods' cgroup."""
    for _ in range(3):  # a shim that sees its container die may start another process
        pids = (set(netns.pids(namespace)) | cgroups.pids(cgroup)) - {os.getpid()}
        if not pids:
            return
        for process in map(identity, pids):
            process.signal(9)
        end([identity(p) for p in pids], 0.1)


def remove(run: Path, disk: Path, namespace: str) -> None:
    """Removes everything of a node, started by this process or not: processes (and so mounts), cgroups, files."""
    remove_processes(namespace, namespace)
    cgroups.remove(namespace)
    shutil.rmtree(disk, ignore_errors=True)
    shutil.rmtree(run, ignore_errors=True)
