# SPDX-License-Identifier: Apache-2.0
"""Fairlead on a cluster with real Pods, installed by helm: first beside kube-proxy, then in its place."""

import grp
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lab import arp, netns, web
from lab.load import Outcome
from lab.router import ADDRESS as ROUTER
from lab.router import ASN, OUTSIDE, Router
from lab.waiting import LabError, wait_for
from podlab import cgroups
from podlab.cluster import Cluster
from podlab.installation import NAMESPACE, Installation, service
from podlab.load import ServiceLoad, none_failed

SERVICES = ("lan-cluster", "lan-local", "routed-cluster", "routed-local")
NET_ADMIN_AND_RAW = 1 << 12 | 1 << 13


def _processes(cluster: Cluster, name: str) -> list[int]:
    """Every process of that name in a Pod, without what it is about to execute."""
    parents = {}
    for pid in {p for n in cluster.nodes.values() for p in cgroups.pids(n.cgroup)}:
        with suppress(OSError):  # ended meanwhile
            status = _status(pid)
            if status["Name"] == name[:15]:
                parents[pid] = int(status["PPid"])
    return [pid for pid, parent in parents.items() if parent not in parents]


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {k: v.strip() for k, v in (line.split(":", 1) for line in lines)}


def _root_is_read_only(pid: int) -> bool:
    mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines()]
    return any(m[4] == "/" and "ro" in m[5].split(",") for m in mounts)


def _reach(installation: Installation, name: str, seconds: float = 30) -> web.Reply:
    where, address = installation.client_of(name), installation.address(name)
    return wait_for(f"an answer of {name}", lambda: web.get(where, address), seconds)


def _pods_of(cluster: Cluster, app: str) -> set[str]:
    return {p["metadata"]["name"] for p in cluster.get("pods", "--selector", f"app={app}")["items"]}


@pytest.mark.parametrize("program, uid, capabilities", [
    ("fairlead-speaker", "0", NET_ADMIN_AND_RAW),
    ("fairlead-controller", "65532", 0),
])
@pytest.mark.data_plane
def test_daemons_have_these_privileges_and_no_more(
    cluster: Cluster, installation: Installation, program: str, uid: str, capabilities: int
) -> None:
    pids = _processes(cluster, program)
    assert len(pids) == {"fairlead-speaker": 3, "fairlead-controller": 2}[program]
    for pid in pids:
        status = _status(pid)
        assert status["Uid"].split()[0] == uid
        for kind in ("CapBnd", "CapInh", "CapAmb"):
            assert int(status[kind], 16) & ~capabilities == 0, kind
        assert int(status["CapEff"], 16) == capabilities
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert _root_is_read_only(pid)


@pytest.mark.data_plane
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_reached_from_outside(cluster: Cluster, installation: Installation, name: str) -> None:
    _reach(installation, name)
    if name.startswith("routed"):
        wait_for("every node's announcement", lambda: _announce(cluster, installation, name), 30, 0.2)
    where, address = installation.client_of(name), installation.address(name)
    if name != "lan-local":  # there one node answers, for its own endpoint
        # A node's kube-proxy may know of its endpoint later than the speaker, which then announces it.

        def every_pod_answers() -> bool:
            return {web.get(where, address).pod for _ in range(20)} == _pods_of(cluster, "web")

        wait_for("every Pod to answer", every_pod_answers, 60)
    replies = [web.get(where, address) for _ in range(30)]
    own = {"lan": "192.168.1.100", "routed": "203.0.113.10"}[name.split("-")[0]]
    if name.endswith("-local"):
        assert {r.peer for r in replies} == {own}
    else:
        assert own not in {r.peer for r in replies}


def test_one_node_answers_arp(cluster: Cluster, installation: Installation) -> None:
    client = cluster.network.client
    answers = arp.ask(client.namespace, client.mac, client.address, installation.address("lan-cluster"), seconds=2)
    assert len(answers) == 1


def _fairlead_test(cluster: Cluster, client: str, *flags: str) -> list[str]:
    """What `fairlead test` prints of its checks, by its exit status all well."""
    # The cluster's own leads to the API server by way of this machine's loopback.
    kubeconfig = cluster.plane.kubeconfig("admin", cluster.dir / "tester.kubeconfig")
    argv = [str(cluster.build / "src/cli/fairlead"), "test", "--kubeconfig", str(kubeconfig), *flags]
    with netns.entered(client):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fairlead-test" not in cluster.kubectl("get", "namespaces")
    return done.stdout.splitlines()


@pytest.mark.data_plane
def test_fairlead_test_by_layer_2(cluster: Cluster, installation: Installation) -> None:
    """With Pods under the level `restricted`, of the image that the chart has installed."""
    lines = _fairlead_test(cluster, cluster.network.client.namespace)
    skipped = [line.split(": ")[0] for line in lines if line.startswith("skipped")]
    assert skipped == ["skipped  policy Local, node ports from the nodes"], "\n".join(lines)


def test_fairlead_test_by_bgp(cluster: Cluster, installation: Installation, router: Router) -> None:
    """From behind the router, from where the API server is reached, too; with Pods on the network of the hosts."""
    netns.configure(cluster.network.control_plane.namespace, [f"route replace {OUTSIDE}/32 via {ROUTER}"])
    lines = _fairlead_test(cluster, router.outside, "--host-network", "--address-pool", "routed")
    skipped = [line.split(": ")[0] for line in lines if line.startswith("skipped")]
    assert skipped == [f"skipped  policy {p}, ARP/ND from this machine" for p in ("Cluster", "Local")], "\n".join(lines)
    assert any(line.startswith("ok       policy Local, announced: by BGP: ") for line in lines)


def test_describe_says_why_there_is_no_address(cluster: Cluster, installation: Installation) -> None:
    installation.apply(service("poolless", "web", "no-such-pool", "Cluster"))
    try:
        wait_for(
            "the reason in what kubectl describes",
            lambda: "no-such-pool" in cluster.kubectl("describe", "service", "poolless").split("Events:", 1)[-1],
            60,
            0.5,
        )
    finally:
        cluster.kubectl("delete", "service", "poolless")


def test_a_lost_session_is_told(cluster: Cluster, installation: Installation) -> None:
    neighbour = f"neighbor {cluster.nodes['node1'].host.address} shutdown"
    bgpd = installation.router.bgpd

    def told() -> set[str]:
        events = [e for e in cluster.get("events")["items"] if e["reason"] == "BgpSessionLost"]
        return {e["metadata"]["resourceVersion"] for e in events}

    before = told()  # in the mode before this one, perhaps
    bgpd.configure(f"router bgp {ASN}", neighbour)
    try:
        wait_for("an Event", lambda: told() - before, 60, 0.5)
    finally:
        bgpd.configure(f"router bgp {ASN}", f"no {neighbour}")
    wait_for("every node's announcement", lambda: _announce(cluster, installation), 60, 0.2)


# ---- whatever happens, while a client opens a hundred connections a second to each of them ----


@pytest.mark.data_plane
def test_a_deployment_is_rolled(cluster: Cluster, installation: Installation) -> None:
    with installation.load(*SERVICES) as loads:
        old = _pods_of(cluster, "web")
        cluster.kubectl("rollout", "restart", "deployment/web")
        installation.wait_rolled_out("deployment/web", "default")
        wait_for("the old Pods to go", lambda: not old & _pods_of(cluster, "web"), 30, 0.5)
    none_failed(loads, ServiceLoad.moved_or_bereft)


def test_the_leader_is_deleted(cluster: Cluster, installation: Installation) -> None:
    old = installation.leader()
    with installation.load("lan-cluster", "routed-cluster") as loads:
        cluster.kubectl("delete", "pod", old, "--namespace", NAMESPACE)
        wait_for("another leader", lambda: installation.leader() not in ("", old), 60, 0.2)
        installation.apply(service("new", "web", "lan", "Cluster"))
        assert installation.address("new")
    none_failed(loads)
    cluster.kubectl("delete", "service", "new")


def test_the_api_server_is_restarted(cluster: Cluster, installation: Installation) -> None:
    with installation.load("lan-cluster", "routed-cluster") as loads:
        cluster.restart_api_server()
        installation.apply(service("new", "web", "lan", "Cluster"))
        assert installation.address("new")
        _reach(installation, "new")
    none_failed(loads)
    cluster.kubectl("delete", "service", "new")


def test_the_chart_is_upgraded(cluster: Cluster, installation: Installation) -> None:
    before = {p["metadata"]["name"] for c in ("speaker", "controller") for p in installation.pods(c)}
    with installation.load("lan-cluster", "routed-cluster") as loads:
        installation.upgrade(logLevel="debug")
    none_failed(loads)

    def now() -> set[str]:
        return {p["metadata"]["name"] for c in ("speaker", "controller") for p in installation.pods(c)}

    # helm waits for the new ones to be ready, not for the last of the old ones to be gone.
    wait_for("each Pod to be a new one", lambda: not before & now(), 30, 0.5)


@pytest.mark.data_plane
def test_a_node_is_killed(cluster: Cluster, installation: Installation) -> None:
    """What had an endpoint on it, or went by way of it, fails until that is noticed; afterwards nothing does."""
    owner = wait_for("the owner's answer", lambda: _owner(cluster, installation.address("lan-cluster")), 10)
    others = sorted(set(cluster.nodes) - {owner})
    try:
        with installation.load("lan-cluster", "routed-cluster") as loads:
            killed = time.monotonic()
            cluster.kill_node(owner)
            wait_for("the node to be missed", lambda: owner not in cluster.ready_nodes(), 60, 0.2)
            wait_for("its endpoints to go", lambda: not _forwarded_to(cluster, owner), 60, 0.2)
            wait_for("its paths to go", lambda: _announce(cluster, installation, nodes=others), 60, 0.2)
            noticed = time.monotonic()
            wait_for("a while without it", lambda: time.monotonic() > noticed + 5.0, 30)

        def was_before(_one: ServiceLoad, o: Outcome) -> bool:
            """Under way when the node was killed, or begun before that was noticed."""
            return o.ended > killed and o.started < noticed

        note = f"{owner} was killed at 0 s; its endpoints and paths were gone at {noticed - killed:.2f} s"
        none_failed(loads, was_before, killed, note)
        for one in loads:
            # Two of three endpoints live all the time, and by one of them or another node every connection may go.
            assert any(not o.error and killed + 4.0 < o.started < noticed for o in one.outcomes), one.summary(killed)
    except BaseException:  # whatever comes next needs it
        cluster.start_node(owner)
        raise
    with installation.load("lan-cluster", "routed-cluster") as loads:
        back = time.monotonic()
        cluster.start_node(owner)
        wait_for("the node to be back", lambda: owner in cluster.ready_nodes(), 60, 0.5)
        installation.wait_rolled_out("daemonset/fairlead-speaker")
        wait_for("all of it to be as before", lambda: _announce(cluster, installation), 60, 0.5)
    none_failed(loads, ServiceLoad.moved, back, f"{owner} was started again at 0 s")


def _owner(cluster: Cluster, address: str) -> str:
    """The node that answers for an address; empty if none does in time."""
    client = cluster.network.client
    answers = arp.ask(client.namespace, client.mac, client.address, address)
    return cluster.network.host_of_mac(answers[0].mac) if answers else ""


def _forwarded_to(cluster: Cluster, dead: str) -> bool:
    """Whether the rules of a living node still name Pods of the dead one."""
    pods = cluster.nodes[dead].host.pod_prefix
    living = [n.host.namespace for n in cluster.nodes.values() if n.name != dead]
    rules = "".join(netns.output(n, ["iptables-save", "-t", "nat"]) for n in living)
    tables = "".join(netns.output(n, ["nft", "list", "ruleset"]) for n in living)
    return f"--to-destination {pods}." in rules or f": {pods}." in tables


def _announce(
    cluster: Cluster, installation: Installation, name: str = "routed-cluster", nodes: list[str] | None = None
) -> bool:
    """Whether the router sends a Service's packets to these nodes, or to every node, as all have an endpoint."""
    hops = installation.router.next_hops(f"{installation.address(name)}/32")
    if hops != (sorted(cluster.nodes) if nodes is None else nodes):
        raise LabError(f"the router sends to {hops}")
    return True


def test_frr_as_a_sidecar(cluster: Cluster, installation: Installation) -> None:
    installation.upgrade(frr={"mode": "sidecar"})
    wait_for("every node's announcement", lambda: _announce(cluster, installation), 60, 0.5)
    for name in ("routed-cluster", "routed-local"):
        _reach(installation, name)
    assert installation.pods("frr") == []


@pytest.mark.data_plane
def test_uninstalling_leaves_nothing(cluster: Cluster, installation: Installation) -> None:
    """With FRR on the nodes, where it stays."""
    addresses = {name: installation.address(name) for name in SERVICES}
    with installation.host_frr() as bgpds:
        installation.upgrade(frr={"mode": "host", "vtyGroup": grp.getgrnam("frrvty").gr_gid})
        wait_for("every node's announcement", lambda: _announce(cluster, installation), 60, 0.5)
        wait_for("our lines in each bgpd", lambda: all("FAIRLEAD" in b.running_config() for b in bgpds), 60)
        installation.uninstall()
        assert not any(word in b.running_config() for b in bgpds for word in ("FAIRLEAD", "router bgp"))
    client = cluster.network.client
    for name, address in addresses.items():
        assert not arp.ask(client.namespace, client.mac, client.address, address), name
    wait_for("the routes to go", lambda: not installation.router.next_hops(f"{addresses['routed-cluster']}/32"), 60)
    for node in cluster.nodes.values():
        _holds_nothing_of_ours(node.host.namespace, list(addresses.values()))
    assert not _ours(cluster, "clusterroles,clusterrolebindings")
    assert not _ours(cluster, "roles,rolebindings,serviceaccounts,jobs,daemonsets,deployments")
    # helm waits for what it has made to be deleted, not for the Pods of it to be gone.
    wait_for("the Pods to go", lambda: not _ours(cluster, "pods"), 60, 0.5)


def _ours(cluster: Cluster, kinds: str) -> list[str]:
    names = [o["metadata"]["name"] for o in cluster.get(kinds, "--namespace", NAMESPACE)["items"]]
    return [n for n in names if n.startswith("fairlead")]


def _holds_nothing_of_ours(node: str, addresses: list[str]) -> None:
    for save in ("iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"):
        assert "FL-" not in netns.output(node, [save]), f"{save} on {node}"
    assert "table ip fairlead" not in netns.output(node, ["nft", "list", "tables"])
    for what in (["ip", "address"], ["ip", "route", "show", "table", "all"]):
        said = netns.output(node, what)
        assert not any(a in said for a in addresses), f"{what} on {node}"
