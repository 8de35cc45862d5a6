# SPDX-License-Identifier: Apache-2.0
"""The demo: each step does one thing, checks it, and prints what was observed."""

import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from . import coredns, dual, net, netns, rundir, web
from .capture import Capture
from .cluster import Lab, end_on_signals
from .router import OUTSIDE, Router
from .waiting import LabError, wait_for

SERVICE = "frontend"
PUBLIC = "public"
INNER = "inner"
BOTH = "both"
PARTNER = "partner"
NODES = ("node1", "node2", "node3")
BARE_NODE = "node3"  # takes no Pods, so never has an endpoint
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
PARTS = ("arp", "rules", "controller", "bgp")
STEP_SECONDS = 30.0
GAP_SECONDS = 30.0
SESSION_SECONDS = 60.0  # a session comes up by timers of whole seconds


# What prints them, by who made them.
_RULES = {"iptables": "iptables-save", "nftables": "nft list ruleset", "ipvs": "nft list ruleset"}


class StepFailed(Exception):
    def __init__(self, step: str, why: str) -> None:
        super().__init__(why)
        self.step = step


class Demo:
    def __init__(self, lab: Lab, broken: str, keep: bool, proxy: str) -> None:
        self.lab, self.broken, self.keep, self.proxy = lab, broken, keep, proxy
        self.router = Router(lab)
        self.address = ""
        self.node_port = 0
        self._step = ""
        self._label = ""

    # ---- printing ----

    def say(self, text: str) -> None:
        print(f"{self._label:<12}{text}", flush=True)
        self._label = ""

    def run(self) -> None:
        steps: list[tuple[str, Callable[[], None]]] = [
            ("cluster", self.cluster),
            ("address", self.address_assigned),
            ("arp", self.one_arp_answer),
            ("http", self.http_from_both_versions),
            ("nodeport", self.node_port_without_endpoint),
            ("local", self.policy_local),
            ("failover", self.failover),
            ("ipv6", self.both_families),
            ("bgp", self.bgp),
            ("external", self.external_ips),
            ("name", self.external_name),
        ]
        if not self.keep:
            steps.append(("stop", self.stop))
        started = time.monotonic()
        for number, (name, step) in enumerate(steps, 1):
            self._step, self._label = name, f"{number} {name}"
            try:
                step()
            except LabError as error:
                self.say("FAILED")
                ended = self.lab.unexpected_ends()
                raise StepFailed(name, "\n".join([str(error), *ended])) from None
        print(f"\nAll {len(steps)} steps passed in {time.monotonic() - started:.0f} s.", flush=True)

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            raise LabError(what)

    # ---- steps ----

    def cluster(self) -> None:
        lab = self.lab
        lab.start_cluster()
        for example in ("fairlead.yaml", "webapp.yaml"):
            lab.apply(example)
        if self.broken != "controller":
            for replica in ("a", "b"):
                lab.start_controller(replica)
        broken = {"arp": ("--interface", "^$"), "rules": ("--proxy-mode", "none")}
        flags = broken.get(self.broken, ("--proxy-mode", self.proxy))
        for node in NODES:
            sockets = "none" if self.broken == "bgp" else str(self.router.socket_directory(node))
            lab.start_speaker(node, "--bgp-socket-dir", sockets, *flags)
        pods = [f"webapp-{x}" for x in "abc"]
        wait_for("three Pods ready", lambda: all(lab.pod_ready(p) for p in pods), STEP_SECONDS)
        for node in NODES:
            wait_for(f"the speaker of {node} to be up", lambda n=node: lab.daemon(n, "/healthz"), STEP_SECONDS)
        nodes = ", ".join(f"{h.name} {h.address}" for h in lab.network.nodes)
        self.say(f"one LAN: {nodes}; their MACs end like their addresses;")
        self.say(f"control plane {net.CONTROL_PLANE}, two controllers, a speaker on each node; client {net.CLIENT};")
        seen = [lab.api.get("Pod", p) for p in pods]
        self.say(
            "Pods "
            + ", ".join(
                f"{p['metadata']['name']} {p['metadata']['labels']['version']} on {p['spec']['nodeName']} "
                f"({p['status']['podIP']})"
                for p in seen
            )
        )
        places = {p["spec"]["nodeName"] for p in seen}
        wanted = set(NODES) - {BARE_NODE}
        self.check(places == wanted, f"Pods run on {sorted(places)}, wanted {sorted(wanted)}")

    def address_assigned(self) -> None:
        lab = self.lab
        started = time.monotonic()
        lab.apply("frontend.yaml")
        self.address = lab.wait_address(SERVICE, seconds=STEP_SECONDS)
        took = (time.monotonic() - started) * 1000
        service = lab.api.get("Service", SERVICE)
        self.node_port = service["spec"]["ports"][0]["nodePort"]
        ingress = service["status"]["loadBalancer"]["ingress"][0]
        conditions = service["status"].get("conditions") or []
        assigned = next((c for c in conditions if c["type"] == "fairlead.io/AddressAssigned"), {})
        prefix, last = self.address.rsplit(".", 1)
        in_pool = prefix == net.LAN_PREFIX and 240 <= int(last) <= 250
        self.check(in_pool, f"{self.address} is not of pool lan (.240-.250)")
        self.say(f"Service {SERVICE} was given {self.address} of pool lan, seen {took:.0f} ms after it was asked for;")
        self.say(
            f"its status says ipMode {ingress.get('ipMode')}, condition AddressAssigned {assigned.get('status')}: "
            f"{assigned.get('reason')}"
        )
        self.check(assigned.get("status") == "True", f"no condition fairlead.io/AddressAssigned in {conditions}")

    def one_arp_answer(self) -> None:
        lab = self.lab
        owner = lab.wait_owner(self.address, STEP_SECONDS)
        answers = lab.arp_answers(self.address)
        self.check(len(answers) == 1, f"{len(answers)} ARP answers instead of one: {answers}")
        self.say(f"the client asks who has {self.address}: one answer, {answers[0].mac}, after {answers[0].ms:.1f} ms")
        self.say(f"that is {owner}, the owner; the speakers say: {self._reasons()}")

    def http_from_both_versions(self) -> None:
        lab, answers = self.lab, Counter[str]()
        wait_for(f"HTTP from {self.address}", lambda: lab.get(self.address, timeout=1), STEP_SECONDS)
        while len(answers) < 2 and answers.total() < 200 or answers.total() < 20:
            answers[lab.get(self.address).name] += 1
        counts = ", ".join(f'"{name}" {n} times' for name, n in sorted(answers.items()))
        self.check(set(answers) == {"webapp 1.0.0", "webapp 2.0.0"}, f"not both versions answered: {counts}")
        self.say(f"http://{self.address}/ from the client: {counts}")

    def node_port_without_endpoint(self) -> None:
        node = self.lab.host(BARE_NODE)
        reply = self.lab.get(node.address, self.node_port)
        self.check(reply.peer == node.address, f"the Pod saw {reply.peer}, wanted {node.address}")
        where = f"http://{node.address}:{self.node_port}/"
        self.say(f"{where} through {node.name}, which has no endpoint: {_quote(reply)},")
        self.say(f"which saw the source address {reply.peer}: {node.name}'s, so that the answer comes back that way")

    def policy_local(self) -> None:
        lab, bare = self.lab, self.lab.host(BARE_NODE)
        lab.apply("local/frontend.yaml")
        with_endpoint = [n for n in NODES if n != BARE_NODE]
        lab.wait_reason(BARE_NODE, SERVICE, self.address, "NoLocalEndpoint", STEP_SECONDS)
        owner = lab.wait_owner(self.address, STEP_SECONDS, with_endpoint)
        with Capture(lab.client) as capture:
            wait_for(
                "the Pods to see the client's address", lambda: lab.get(self.address).peer == net.CLIENT, STEP_SECONDS
            )
            replies = [lab.get(self.address) for _ in range(10)]
            answers = lab.arp_answers(self.address)
            try:
                lab.get(bare.address, self.node_port, timeout=0.5)
                dropped = "an answer"
            except web.Unreachable as error:
                dropped = error.kind
        places = {lab.node_of_pod(r.pod) for r in replies}
        self.check(places == {owner}, f"Pods on {sorted(places)} answered, wanted only {owner}, the owner")
        wrong = [r.peer for r in replies if r.peer != net.CLIENT]
        self.check(not wrong, f"Pods saw {wrong} instead of the client's {net.CLIENT}")
        self.check(len(answers) == 1, f"{len(answers)} ARP answers instead of one: {answers}")
        self.check(dropped == "timeout", f"{bare.name}:{self.node_port} gave {dropped}; wanted silence")
        announced = [f for _, f in capture.arp_frames() if f.sender_ip == self.address and f.sender_mac == bare.mac]
        self.check(not announced, f"{bare.name} announced the address: {announced}")
        self.say(f"externalTrafficPolicy Local: {owner} answers ARP; {_quote(replies[0])}, on {owner}, saw")
        where = f"http://{bare.address}:{self.node_port}/"
        self.say(f"{replies[0].peer}, the client's own; {bare.name} drops ({where}: {dropped})")
        self.say(f"and sent no ARP for the address; the speakers say: {self._reasons()}")

    def failover(self) -> None:
        lab = self.lab
        lab.apply("frontend.yaml")
        # Ownership is sticky, so the label may go again once the owner is where the demo wants it.
        others = [n for n in NODES if n != BARE_NODE]
        for node in others:
            self._exclude(node, True)
        lab.wait_owner(self.address, STEP_SECONDS, [BARE_NODE])
        for node in others:
            self._exclude(node, False)
        for node in others:
            lab.wait_reason(node, SERVICE, self.address, "NotOwner", STEP_SECONDS)
        wait_for(f"HTTP through {BARE_NODE}", lambda: lab.get(self.address, timeout=0.5), STEP_SECONDS)
        bare = lab.host(BARE_NODE)
        with lab.arp_watcher(self.address) as watcher, web.Prober(lab.client, self.address, 80) as prober:
            wait_for("the client's probes to run", lambda: len(prober.successes) > 20, STEP_SECONDS)
            lab.cut(BARE_NODE)
            cut = time.monotonic()  # what is asked from now on does not reach the old owner
            arp = wait_for("an ARP answer by another node", lambda: watcher.first_after(cut, bare.mac), GAP_SECONDS)
            http = wait_for("an HTTP answer after the cut", lambda: prober.first_after(cut), GAP_SECONDS)
            last_arp, last_http = watcher.last_before(arp.at - 1e-6), prober.last_before(http.started)
        owner = lab.wait_owner(self.address, STEP_SECONDS, others)
        arp_ms = (arp.at - (last_arp.at if last_arp else cut)) * 1000
        http_ms = (http.ended - (last_http.ended if last_http else cut)) * 1000
        self.say(f"policy Cluster again; {BARE_NODE}, without an endpoint, is made owner; then its link is cut:")
        self.say(f"no ARP answer for {arp_ms:.0f} ms, then {arp.mac}, {lab.network.host_of_mac(arp.mac)};")
        self.say(f"no HTTP answer for {http_ms:.0f} ms, then {_quote(http.reply)}")
        self.check(lab.network.host_of_mac(arp.mac) == owner, f"{owner} owns the address now, not the first to answer")
        lab.heal(BARE_NODE)

    def both_families(self) -> None:
        lab = self.lab
        dual.add_lan(lab)
        pods = [f"webapp-{x}" for x in "abc"]
        for pod in pods:
            dual.add_pod(lab, pod)
        lab.apply("dual/fairlead.yaml")
        lab.apply("dual/frontend.yaml")
        dual.endpoints(lab, BOTH, pods, 8080)
        four, six = wait_for("two addresses", lambda: (found := lab.addresses(BOTH))[1:] and found, STEP_SECONDS)
        self.say(f"LAN and Pods get IPv6 as well; Service {BOTH}, RequireDualStack, was given {four} and {six};")
        owner = dual.wait_owner(lab, six, STEP_SECONDS)
        answers = wait_for(f"an answer for {six}", lambda: dual.answers(lab, six), STEP_SECONDS)
        self.check(len(answers) == 1, f"{len(answers)} neighbour advertisements instead of one: {answers}")
        self.check(lab.wait_owner(four, STEP_SECONDS) == owner, f"{owner} owns {six} and not {four}")
        self.say(f"the client solicits {six}: one advertisement, {answers[0].mac}, of {owner}, which owns both;")
        for address in (four, six):
            reply = wait_for(f"HTTP from {address}", lambda a=address: lab.get(a, timeout=1), STEP_SECONDS)
            self.say(f"http://{f'[{address}]' if address == six else address}/ from the client: {_quote(reply)}")
        others = [n for n in NODES if n != owner]
        lab.cut(owner)
        heir = dual.wait_owner(lab, six, STEP_SECONDS, others)
        self.check(lab.wait_owner(four, STEP_SECONDS, others) == heir, f"{heir} took over {six} and not {four}")
        reply = wait_for(f"HTTP from {six}", lambda: lab.get(six, timeout=1), STEP_SECONDS)
        self.say(f"the link of {owner} is cut: {heir} takes over both, and {_quote(reply)} answers")
        lab.heal(owner)
        for kind, name in (("Service", BOTH), ("EndpointSlice", f"{BOTH}-ipv6")):
            lab.api.delete(kind, name)

    def bgp(self) -> None:
        lab, router = self.lab, self.router
        others = [n for n in NODES if n != BARE_NODE]
        router.start()
        lab.apply("bgp/fairlead.yaml")
        lab.apply("bgp/frontend.yaml")
        address = lab.wait_address(PUBLIC, seconds=STEP_SECONDS)
        prefix = f"{address}/32"
        router.wait_next_hops(prefix, others, SESSION_SECONDS)
        hops = ", ".join(f"{n} {lab.host(n).address}" for n in router.next_hops(prefix))
        self.say(f"a router with FRR on the LAN, bgpd on each node; Service {PUBLIC}, policy Local, has {address};")
        self.say(f"the router's kernel sends {prefix} to {hops}: those that have endpoints")
        seen: dict[str, web.Reply] = {}

        def reached() -> bool:
            reply = router.get(address, timeout=1)
            seen[lab.node_of_pod(reply.pod)] = reply
            return len(seen) == len(others)

        wait_for("an answer through each next hop", reached, SESSION_SECONDS)
        for node, reply in sorted(seen.items()):
            self.check(reply.peer == OUTSIDE, f"the Pod saw {reply.peer}, wanted {OUTSIDE}")
            self.say(f"http://{address}/ from {OUTSIDE} behind the router: {_quote(reply)} on {node}")
        lab.speaker(others[0]).kill()
        self.check(router.next_hops(prefix) == others, f"next hops {router.next_hops(prefix)} after kill -9")
        lab.restart(f"speaker-{others[0]}")
        lab.wait_reason(others[0], PUBLIC, address, "Announced", SESSION_SECONDS)
        commands = lab.daemon(others[0])["bgp"]["stats"]["commands"]
        self.check(commands == 0 and router.next_hops(prefix) == others, f"{commands} commands after a restart")
        self.say(f"kill -9 of the speaker of {others[0]}: no route changes, and its successor sends bgpd no command;")
        last = others[-1]
        pods = [r["metadata"]["name"] for r in lab.api.objects("Pod") if r["spec"].get("nodeName") == last]
        self._take_part(pods, False)
        router.wait_next_hops(prefix, others[:-1], SESSION_SECONDS)
        self._take_part(pods, True)
        router.wait_next_hops(prefix, others, SESSION_SECONDS)
        self.say(f"the route by {last} leaves with the last endpoint there, and returns with it")

    def external_ips(self) -> None:
        lab, router = self.lab, self.router
        lab.apply("bgp/external.yaml")
        address = wait_for("an external IP", lambda: lab.api.get("Service", INNER)["spec"].get("externalIPs"))[0]
        record = lab.api.get("Service", INNER)["metadata"]["annotations"].get("fairlead.io/external-ips-assigned")
        self.check(record == address, f"the record of what was assigned says {record}, not {address}")
        self.say(f"Service {INNER}, of type ClusterIP, was given {address} of pool external, in spec.externalIPs;")
        router.wait_next_hops(f"{address}/32", list(NODES), SESSION_SECONDS)
        reply = wait_for(f"HTTP from {address}", lambda: router.get(address, timeout=1), STEP_SECONDS)
        self.say(f"every node announces it; http://{address}/ from {OUTSIDE} behind the router: {_quote(reply)};")
        by_hand = f"{address.rsplit('.', 1)[0]}.200"
        lab.api.patch("Service", SERVICE, {"spec": {"externalIPs": [by_hand]}})
        for node in NODES:
            lab.wait_reason(node, SERVICE, by_hand, "ExternalIpNotAllowed", STEP_SECONDS)
            rules = netns.output(lab.host(node).namespace, _RULES[self.proxy].split())
            self.check(address in rules, f"{node} has no rules for {address}")
            self.check(by_hand not in rules, f"{node} has rules for {by_hand}")
        self.check(router.next_hops(f"{by_hand}/32") == [], f"the router has a route to {by_hand}")
        self.say(f"{by_hand}, written by hand into {SERVICE}, gets neither route nor rule: ExternalIpNotAllowed")

    def external_name(self) -> None:
        if why := coredns.missing():
            self.say(f"not shown, since a cluster's DNS does it: {os.environ.get('FAIRLEAD_NO_COREDNS') or why}")
            return
        lab, outside, asker = self.lab, net.CONTROL_PLANE, NODES[0]
        coredns.start(lab)
        environment = {"WHOAMI_NAME": "outside", "WHOAMI_PORT_NUMBER": "80"}
        lab.start("outside", [lab.program("fairlead-echo")], lab.network.control_plane.namespace, environment)
        name = f"{PARTNER}.default.svc.{coredns.DOMAIN}"
        lab.apply("name/outside.yaml")
        wanted = [f"{coredns.OUTSIDE}.", outside]
        wait_for("the CNAME", lambda: coredns.ask(lab, asker, name) == wanted, STEP_SECONDS)
        reply = self._by_name(asker, name, "outside")
        peer = lab.host(asker).address
        self.check(reply.peer == peer, f"{reply.name} saw {reply.peer}, wanted {peer}")
        made = lab.api.get("Service", PARTNER)
        addresses = [*lab.addresses(PARTNER), *made["spec"].get("clusterIPs", [])]
        self.check(not addresses, f"{PARTNER} has {addresses}")
        self.say(f"Service {PARTNER}, of type ExternalName, is only a name: CoreDNS answers {' '.join(wanted)};")
        self.say(f'{asker} goes there itself: "{reply.name}", which saw {reply.peer}; no address, no rule;')
        lab.apply("name/inside.yaml")
        reply = self._by_name(asker, name, "webapp")
        address = coredns.ask(lab, asker, name)[0]
        self.say(f"a ClusterIP takes its place under the same name, {address}: {_quote(reply)}")

    def stop(self) -> None:
        self.lab.stop_daemons()
        self.say("SIGTERM: every daemon ended in good order; now everything is cleaned up")

    # ---- help ----

    def _by_name(self, host: str, name: str, wanted: str) -> web.Reply:
        """What a host gets that asks CoreDNS for a name and goes where that leads, once it is who it should be."""
        namespace = self.lab.host(host).namespace

        def reached() -> web.Reply | None:
            found = coredns.ask(self.lab, host, name)
            reply = web.get(namespace, found[-1], timeout=1) if found else web.Reply(404, "")
            return reply if reply.name.startswith(wanted) else None

        return wait_for(f"an answer of {wanted} by {name}", reached, STEP_SECONDS)

    def _take_part(self, pods: list[str], on: bool) -> None:
        """Makes the Services select these Pods, or not."""
        for pod in pods:
            self.lab.api.patch("Pod", pod, {"metadata": {"labels": {"role": "frontend" if on else None}}})

    def _exclude(self, node: str, on: bool) -> None:
        self.lab.api.patch("Node", node, {"metadata": {"labels": {EXCLUDE_LABEL: "true" if on else None}}}, "")

    def _reasons(self) -> str:
        """What each node's speaker says of the address."""
        said = {n: self.lab.announcement(n, SERVICE, self.address).get("reason") for n in NODES}
        return ", ".join(f"{node} {reason}" for node, reason in said.items())


def _quote(reply: web.Reply) -> str:
    return f'"{reply.name}" ({reply.pod})'


def _how_to_look(lab: Lab, demo: Demo) -> str:
    cp = f"ip netns exec {lab.network.control_plane.namespace}"
    lines = [
        ("ask the Service", f"ip netns exec {lab.client} curl http://{demo.address}/"),
        ("what Fairlead says", f"{cp} {lab.program('fairlead')} status --kubeconfig {lab.kubeconfig}"),
        ("what one node says", f"{cp} curl -s http://{lab.network.nodes[0].address}:17482/status"),
    ]
    if shutil.which("kubectl"):
        lines.append(("kubectl", f"{cp} kubectl --kubeconfig {lab.kubeconfig} get services"))
    lines += [
        ("a node's rules", f"ip netns exec {lab.network.nodes[0].namespace} {_RULES[demo.proxy]}"),
        ("logs", str(lab.dir / "logs")),
        ("end it", rundir.clean_command(lab.id, lab.command)),
    ]
    return "\n".join(f"  {what:<20}{how}" for what, how in lines)


def main(argv: list[str]) -> int:
    lab_id = os.environ.get("FAIRLEAD_LAB_ID", "demo")
    if "--clean" in argv:
        print("removed" if rundir.clean(lab_id) else f"there is no lab '{lab_id}'")
        return 0
    chosen = {"--break": "", "--proxy": "iptables"} | dict(a.split("=", 1) for a in argv if "=" in a)
    end_on_signals()
    keep = "--keep" in argv
    lab = Lab(lab_id, Path(os.environ["FAIRLEAD_BUILD"]), "tests/demo", cordoned=(BARE_NODE,))
    with lab:
        demo = Demo(lab, chosen["--break"], keep, chosen["--proxy"])
        try:
            demo.run()
        except StepFailed as failure:
            print(f"\n{lab.ends_of_logs()}\n\n{failure}\nlogs: {lab.save_logs()}", flush=True)
            print(f"tests/demo: step '{failure.step}' failed", flush=True)
            return 1
        if keep:
            lab.keep()
            print("\nThe lab goes on running.  To look around:\n" + _how_to_look(lab, demo))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as problem:
        print(f"tests/demo: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\ntests/demo: interrupted, everything is cleaned up", file=sys.stderr)
        sys.exit(130)
