# SPDX-License-Identifier: Apache-2.0
"""`fairlead uninstall`: nothing of ours is left on any node, and addresses stay in the statuses unless asked for."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator

import pytest
from conftest import NODES, open_lab, our_rules, start_with_router, wait_condition
from controllers import holder

from lab import frr, netns
from lab.cluster import Lab
from lab.router import Router
from lab.waiting import LabError, wait_for

pytestmark = pytest.mark.skipif(not frr.installed(), reason="bgpd is not installed")

NAMESPACE = "fairlead-system"
POOL = {"fairlead.io/address-pool": "public"}
SLOW = 60.0


@pytest.fixture
def router() -> Iterator[Router]:
    """A lab for each test, since each ends it."""
    with open_lab() as lab:
        opened = start_with_router(lab)
        yield opened
        lab.stop_daemons()


@pytest.fixture
def lab(router: Router) -> Lab:
    return router.lab


def tell_pods(lab: Lab) -> None:
    """The speakers' Pods, which the lab runs without; nobody is left to touch their status."""
    lab.processes["kubelet"].stop()
    for node in NODES:
        labels = {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "speaker"}
        name = f"fairlead-speaker-{node}"
        meta = {"name": name, "namespace": NAMESPACE, "labels": labels}
        spec = {"nodeName": node, "containers": [{"name": "speaker", "image": "fairlead"}]}
        lab.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        tell_ready(lab, node, "True")


def tell_ready(lab: Lab, node: str, ready: str) -> None:
    status = {"podIP": lab.host(node).address, "conditions": [{"type": "Ready", "status": ready}]}
    lab.api.patch("Pod", f"fairlead-speaker-{node}", {"status": status}, NAMESPACE, "status")


def command(lab: Lab, *flags: str) -> list[str]:
    return [str(lab.program("fairlead")), "uninstall", "--kubeconfig", str(lab.kubeconfig), *flags]


def uninstall(lab: Lab, *flags: str) -> tuple[int, list[str]]:
    argv = command(lab, *flags)
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def mark(lab: Lab) -> str | None:
    found = lab.api.get("ConfigMap", "fairlead-active", NAMESPACE)["metadata"].get("annotations") or {}
    value: str | None = found.get("fairlead.io/uninstall")
    return value


def make_service(lab: Lab, name: str, annotations: dict[str, str] | None = None) -> None:
    ports = [{"port": 80, "targetPort": "http"}]
    spec = {"type": "LoadBalancer", "selector": {"app": "webapp"}, "ports": ports}
    meta = {"name": name, "annotations": annotations or {}}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})


def expose(lab: Lab, router: Router) -> tuple[str, str]:
    """A Service by ARP and one by BGP, both reached."""
    make_service(lab, "near")
    make_service(lab, "far", POOL)
    near, far = lab.wait_address("near"), lab.wait_address("far")
    lab.wait_owner(near)
    router.wait_next_hops(f"{far}/32", list(NODES), SLOW)
    wait_for("HTTP", lambda: lab.get(near), SLOW)
    return near, far


def assert_nothing_left(lab: Lab, router: Router, near: str) -> None:
    for node in NODES:
        assert our_rules(lab, node) == []
        assert "FAIRLEAD" not in router.bgpds[node].running_config()
    assert router.learned() == []
    assert lab.owners(near) == []


def test_nothing_is_left_and_addresses_stay_for_who_installs_again(lab: Lab, router: Router) -> None:
    near, far = expose(lab, router)
    tell_pods(lab)
    assert uninstall(lab) == (0, [f"node {n}: cleaned up" for n in NODES])
    assert_nothing_left(lab, router, near)
    assert mark(lab) is None, "whoever installs again finds no mark"
    assert (lab.addresses("near"), lab.addresses("far")) == ([near], [far])
    # All of them stay as they are until they end, though the mark is gone and there is news.
    make_service(lab, "new")
    lab.api.patch("ConfigMap", "fairlead-active", {"metadata": {"labels": {"a": "b"}}}, NAMESPACE)
    lab.daemon("controller-a", "/healthz")
    wait_for("the speakers to have seen it", lambda: lab.daemon("node1")["stats"]["services"] >= 3)
    assert_nothing_left(lab, router, near)
    assert lab.addresses("new") == []
    wait_for("the lease to be handed over", lambda: holder(lab) == "")
    for node in NODES:
        lab.daemon(node, "/healthz")
        with pytest.raises(LabError, match="uninstalled: done"):
            lab.daemon(node, "/readyz")
        assert lab.daemon(node)["services"] == [], "nobody is told that it still announces"
    # Installed again; nobody waits for a lease to run out.
    for name in ("controller-a", *(f"speaker-{n}" for n in NODES)):
        lab.processes[name].stop()
        lab.restart(name)
    assert lab.wait_owner(near, SLOW)
    assert lab.wait_address("new")
    assert (lab.addresses("near"), lab.addresses("far")) == ([near], [far])


def test_addresses_go_where_that_is_asked_for(lab: Lab, router: Router) -> None:
    make_service(lab, "outer", {"fairlead.io/external-ips": "external"})
    wait_for("an external IP", lambda: lab.api.get("Service", "outer")["spec"].get("externalIPs"))
    near, _ = expose(lab, router)
    # It keeps what it has while it asks in vain for something else.
    lab.api.patch("Service", "far", {"metadata": {"annotations": {"fairlead.io/addresses": "8.8.8.8"}}})
    wait_condition(lab, "far", "AddressOutsidePools")
    lab.api.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "foreign"},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": "example.com/other", "ports": [{"port": 80}]},
        }
    )
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.77"}]}}
    lab.api.patch("Service", "foreign", {"status": status}, subresource="status")
    tell_pods(lab)
    said = [f"node {n}: cleaned up" for n in NODES]
    assert uninstall(lab, "--release-addresses") == (0, [*said, "addresses: taken back"])
    assert_nothing_left(lab, router, near)
    assert (lab.addresses("near"), lab.addresses("far"), lab.addresses("foreign")) == ([], [], ["203.0.113.77"])
    outer = lab.api.get("Service", "outer")
    assert "externalIPs" not in outer["spec"]
    assert "fairlead.io/external-ips-assigned" not in outer["metadata"]["annotations"]
    wait_condition(lab, "near", "Uninstalled")
    make_service(lab, "new")
    wait_for("the controller to know it", lambda: lab.daemon("controller-a")["stats"]["services_known"] >= 5)
    assert lab.addresses("new") == []


def test_addresses_may_go_later(lab: Lab, router: Router) -> None:
    """Once more, while the daemons still run."""
    near, _ = expose(lab, router)
    tell_pods(lab)
    assert uninstall(lab)[0] == 0
    wait_for("the lease to be handed over", lambda: holder(lab) == "")
    assert lab.addresses("near") == [near]
    assert uninstall(lab, "--release-addresses")[1][-1] == "addresses: taken back"
    assert (lab.addresses("near"), lab.addresses("far")) == ([], [])


def test_addresses_go_each_time_that_is_asked_for(lab: Lab, router: Router) -> None:
    near, _ = expose(lab, router)
    tell_pods(lab)
    for _ in range(2):
        assert uninstall(lab, "--release-addresses", "--timeout", "20")[1][-1] == "addresses: taken back"
        assert mark(lab) is None
    # What somebody writes back in between goes, too.
    status = {"loadBalancer": {"ingress": [{"ip": near}]}}
    lab.api.patch("Service", "near", {"status": status}, subresource="status")
    assert uninstall(lab)[0] == 0
    assert uninstall(lab, "--release-addresses", "--timeout", "20")[1][-1] == "addresses: taken back"
    assert (lab.addresses("near"), mark(lab)) == ([], None)


def test_an_answer_that_comes_too_late_leaves_no_mark(lab: Lab, router: Router) -> None:
    expose(lab, router)
    tell_pods(lab)
    controller = lab.processes["controller-a"]
    controller.pause()
    code, said = uninstall(lab, "--release-addresses", "--timeout", "3")
    assert (code, said[-1]) == (1, "addresses: not taken back yet")
    controller.resume()
    wait_for("the addresses to be taken back", lambda: lab.addresses("near") + lab.addresses("far") == [])
    make_service(lab, "new")
    wait_for("the controller to know it", lambda: lab.daemon("controller-a")["stats"]["services_known"] >= 3)
    assert mark(lab) is None


@pytest.mark.parametrize("gone", [False, True], ids=["not-ready", "gone"])
def test_a_silent_speaker_holds_it_up_while_its_node_is_ready(lab: Lab, router: Router, gone: bool) -> None:
    tell_pods(lab)
    lab.speaker("node2").kill()
    # That its Pod is not Ready tells nothing: so is one whose port nobody can reach.
    tell_ready(lab, "node2", "False")
    code, said = uninstall(lab, "--timeout", "4")
    assert (code, said[1]) == (1, "node node2: not verified: unreachable: refused")
    assert said[0] == "node node1: cleaned up"
    assert mark(lab) is None
    if gone:
        lab.api.delete("Node", "node2")
    else:
        conditions = [{"type": "Ready", "status": "Unknown"}]
        lab.api.patch("Node", "node2", {"status": {"conditions": conditions}}, subresource="status")
    passed = "unreachable: refused; its Node is gone or not Ready, passed over"
    code, said = uninstall(lab)
    assert (code, said[1]) == (0, f"node node2: {passed}")
    code, said = uninstall(lab, "-o", "json")
    told = json.loads("".join(said))
    messages = {n: passed if n == "node2" else "cleaned up" for n in NODES}
    assert told["nodes"] == [{"node": n, "done": True, "message": messages[n]} for n in NODES]
    assert (code, told["addresses_taken_back"]) == (0, None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["int", "term", "hup"])
def test_who_interrupts_it_leaves_no_mark(lab: Lab, router: Router, number: signal.Signals) -> None:
    tell_pods(lab)
    lab.speaker("node2").kill()
    with netns.entered(lab.network.control_plane.namespace):
        running = subprocess.Popen(command(lab), stdout=subprocess.PIPE, text=True)
    wait_for("the mark", lambda: mark(lab))
    running.send_signal(number)
    said, _ = running.communicate(timeout=SLOW)
    assert (running.returncode, mark(lab)) == (1, None)
    assert "node node2: " in said


def test_without_any_configuration_there_is_a_mark_too(lab: Lab, router: Router) -> None:
    tell_pods(lab)
    lab.processes["controller-a"].stop()
    lab.api.delete("ConfigMap", "fairlead-active", NAMESPACE)
    assert uninstall(lab)[0] == 0
    for node in NODES:
        assert our_rules(lab, node) == []


def test_mode_none_removes_what_mode_iptables_left(lab: Lab, router: Router) -> None:
    near, _ = expose(lab, router)
    assert our_rules(lab, "node1")
    others = len(lab.iptables("node1", "nat"))
    lab.speaker("node1").stop()
    assert our_rules(lab, "node1"), "a restart alone leaves them"
    flags = ("--bgp-socket-dir", str(router.socket_directory("node1")))
    lab.start_speaker("node1", *flags, "--proxy-mode", "none")
    lab.wait_up(lab.speaker("node1"), "the speaker", lambda: lab.daemon("node1", "/readyz"))
    assert our_rules(lab, "node1") == []
    assert len(lab.iptables("node1", "nat")) < others
    lab.wait_owner(near)


def test_it_says_that_no_speaker_was_found(lab: Lab) -> None:
    """Speakers that run by hand are no Pods, so nothing tells whether they have cleaned up."""
    code, (said,) = uninstall(lab)
    assert code == 1 and said.startswith("not verified: ")
    assert f"namespace {NAMESPACE}, so none was waited for" in said and "--cleanup" in said


@pytest.mark.parametrize("answer, told", [("n", False), ("y", True)])
def test_at_a_terminal_it_asks_first(lab: Lab, router: Router, answer: str, told: bool) -> None:
    tell_pods(lab)
    ours, theirs = pty.openpty()
    with netns.entered(lab.network.control_plane.namespace):
        running = subprocess.Popen(command(lab), stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
    try:
        asked = b""
        while not asked.endswith(b"[y/N] "):
            asked += os.read(ours, 4096)
        assert mark(lab) is None, "nothing is done before the answer"
        os.write(ours, answer.encode() + b"\n")
        said, _ = running.communicate(timeout=SLOW)
    finally:
        os.close(ours)
        os.close(theirs)
    assert running.returncode == (0 if told else 1)
    assert ("node node1: cleaned up" in said) == told


def test_a_node_that_cannot_take_its_sysctl_back_says_so(lab: Lab) -> None:
    """As after node ports at 127.0.0.1 were given up, and with them the privileged container."""
    speaker = lab.speaker("node1")
    speaker.stop()
    sysctl = "ipv4/conf/all/route_localnet"
    netns.set_sysctls(lab.host("node1").namespace, {sysctl: "2"})
    read_only = 'mount -o bind,ro /proc/sys /proc/sys && exec "$0" "$@"'
    speaker.argv = ["unshare", "-m", "sh", "-c", read_only, *speaker.argv]
    speaker.start()
    tell_pods(lab)
    why = "node node1: withdrawn: cannot take back the sysctl net.ipv4.conf.all.route_localnet: Read-only"
    wait_for("the reason", lambda: uninstall(lab, "--timeout=1")[1][0].startswith(why), SLOW)
    netns.set_sysctls(lab.host("node1").namespace, {sysctl: "0"})
    assert uninstall(lab) == (0, [f"node {n}: cleaned up" for n in NODES])
