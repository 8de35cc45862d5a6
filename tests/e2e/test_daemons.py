# SPDX-License-Identifier: Apache-2.0
"""The daemons as programs: what they cost over a long life, what they print, and how they take their surroundings."""

import datetime
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import NODES, MakeService, our_rules

from lab import net, netns
from lab.capture import Capture
from lab.cluster import Lab
from lab.processes import Process
from lab.waiting import LabError, wait_for

WRITES_AT_A_TIME = 32
WIDE = "address-pools:\n- {name: wide, protocol: layer2, addresses: [192.168.1.240/28, 10.50.0.0/16]}\n"
ROUND, ROUNDS = 250, 8


# ---- a long life ----


def private_kb(process: Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def n_fds(process: Process) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def zombies(process: Process) -> list[str]:
    """Children that ended and were not waited for."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = stat.read_text(encoding="ascii", errors="replace").rsplit(")", 1)
        except OSError:
            continue
        if fields.split()[0] == "Z" and int(fields.split()[1]) == process.pid:
            found.append(name)
    return found


def churn(lab: Lab, number: int) -> None:
    """Creates many Services with an endpoint each, and deletes them again."""
    names = [f"churn-{number}-{i}" for i in range(ROUND)]
    for i, name in enumerate(names):
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        spec = {"type": "LoadBalancer", "ports": ports}
        lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
        lab.api.create(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [f"10.244.1.{i % 200 + 20}"], "nodeName": "node1"}],
            }
        )
    wait_for("the last to have an address", lambda: lab.addresses(names[-1]), 30)
    wait_for(
        "its rules", lambda: any(s["name"] == names[-1] and s["forwarded"] for s in lab.daemon("node1")["services"]), 30
    )
    for name in names:
        lab.api.delete("EndpointSlice", name)
        lab.api.delete("Service", name)
    gone(lab)


def gone(lab: Lab) -> None:
    def nothing_left() -> bool:
        for what in ("controller-a", *NODES):
            if left := [s["name"] for s in lab.daemon(what)["services"] if s["name"].startswith("churn")]:
                raise LabError(f"{what} has {len(left)}")
        return bool(all(lab.daemon(n)["proxy"]["in_sync"] for n in NODES))

    wait_for("everybody to forget the Services", nothing_left, 60, 0.2)


def test_thousands_of_services_leave_nothing_behind(lab: Lab) -> None:
    good = lab.api.get("ConfigMap", "fairlead", "fairlead-system")["data"]["config"]
    lab.api.patch("ConfigMap", "fairlead", {"data": {"config": WIDE}}, "fairlead-system")
    daemons = [lab.processes["controller-a"], lab.processes["controller-b"], lab.speaker("node1")]
    try:
        churn(lab, 0)
        churn(lab, 1)
        rules = len(our_rules(lab, "node1"))
        before = [(private_kb(d), n_fds(d)) for d in daemons]
        for number in range(2, ROUNDS):
            churn(lab, number)
        after = [(private_kb(d), n_fds(d)) for d in daemons]
    finally:
        lab.api.patch("ConfigMap", "fairlead", {"data": {"config": good}}, "fairlead-system")
    print([(d.name, b, a) for d, b, a in zip(daemons, before, after)])
    for daemon, (kb, fds), (kb_after, fds_after) in zip(daemons, before, after):
        assert zombies(daemon) == [], daemon.name
        # A program under way may come and go, and by HTTP/1 connections to the API server, one for each write.
        assert fds_after <= fds + WRITES_AT_A_TIME + 4, daemon.name
        # A byte leaked for each of these Services would be 1.5 kB; a block of 400 bytes already shows.
        assert kb_after <= kb + 600, f"{daemon.name}: {kb} kB, then {kb_after} kB"
    assert len(our_rules(lab, "node1")) == rules


# ---- what they print ----

METRIC = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({METRIC})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)\Z")
LOGFMT = re.compile(r'(?:[a-z0-9_.]+=(?:[^\s"=]*|"(?:[^"\\\x00-\x1f]|\\.)*")(?: |\Z))+\Z')


def read_exposition(text: str) -> dict[str, float]:
    """Reads Prometheus text as strictly as its format is written; samples by name and labels."""
    samples: dict[str, float] = {}
    types: dict[str, str] = {}
    family = ""
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert re.fullmatch(METRIC, family) and family not in types, line
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and kind in ("counter", "gauge", "histogram"), line
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups(default="")
            parts = [family + end for end in ("_bucket", "_sum", "_count")]
            kind = types.get(family)
            assert name in (parts if kind == "histogram" else [family]), f"{line} is outside its family {family}"
            assert kind == "counter" or not name.endswith("_total"), line
            assert f"{name}{labels}" not in samples, f"{line} is there twice"
            samples[f"{name}{labels}"] = float(value)
            assert kind == "gauge" or float(value) >= 0, line
    for family in (name for name, kind in types.items() if kind == "histogram"):
        start = f'{family}_bucketle="'
        buckets = [(float(name[len(start) : -1]), n) for name, n in samples.items() if name.startswith(start)]
        assert buckets == sorted(buckets) and [n for _, n in buckets] == sorted(n for _, n in buckets), family
        assert buckets[-1] == (float("inf"), samples[f"{family}_count"]), family
    return samples


def test_metrics_are_prometheus_text(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    make_service("refused", {"fairlead.io/addresses": "8.8.8.8"})
    lab.wait_owner(lab.wait_address("web"))
    for what in ("controller-a", "controller-b", *NODES):
        assert len(read_exposition(lab.daemon(what, "/metrics"))) > 30


def test_changes_of_endpoints_are_timed(lab: Lab) -> None:
    """From the time that the slice's writer gives until the rules are there, for changes alone."""
    name = "fairlead_network_programming_duration_seconds"
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "timed"}, "spec": {"ports": ports}})

    def measured() -> tuple[float, float]:
        samples = read_exposition(lab.daemon("node1", "/metrics"))
        return samples[f"{name}_count"], samples[f"{name}_sum"]

    def change(n: int, ago_s: float) -> None:
        at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ago_s)
        notes = {"endpoints.kubernetes.io/last-change-trigger-time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        meta = {"name": "timed", "labels": {"kubernetes.io/service-name": "timed"}, "annotations": notes}
        address = f"10.244.1.{200 + n}"
        lab.api.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": meta,
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [address], "nodeName": "node1"}],
            }
        )
        wait_for("its rules", lambda: any(address in line for line in our_rules(lab, "node1")), 30)

    try:
        count, total = measured()
        change(1, 5)
        wait_for("it to be measured", lambda: measured()[0] > count)
        assert measured()[0] == count + 1 and 5 <= measured()[1] - total < 60
        change(2, -3600)  # of a clock that is an hour ahead
        change(3, 7)
        wait_for("the third to be measured", lambda: measured()[0] > count + 1)
        assert measured()[0] == count + 2 and 12 <= measured()[1] - total < 60
    finally:
        lab.api.delete("EndpointSlice", "timed")
        lab.api.delete("Service", "timed")


def test_logs_are_logfmt_whatever_is_in_them(lab: Lab, make_service: MakeService) -> None:
    places = {
        # It listens on this address alone, so there is no loopback to call it by.
        lab.network.control_plane.namespace: f"{net.CONTROL_PLANE}:17481",
        lab.host("node1").namespace: "127.0.0.1:17482",
    }
    for namespace, place in places.items():
        netns.output(namespace, ["curl", "-sf", "-X", "PUT", "-d", "debug", f"http://{place}/loglevel"])
    nasty = ['x" level=error msg="forged', "back\\slash\nline=two", "\x1b[31mred\u2028 ä\t=", "=", '"', "\\", " "]
    nasty.append("long " * 2000)
    for i, text in enumerate(nasty):
        make_service(f"nasty{i}", {"fairlead.io/addresses": text, "fairlead.io/address-pool": text})
    make_service("web")
    lab.wait_owner(lab.wait_address("web"))
    for name, process in lab.processes.items():
        if name.startswith(("controller-", "speaker-")):
            lines = process.log.read_text(encoding="utf-8").split("\n")
            assert len(lines) > 5
            assert [line for line in lines if line and not LOGFMT.match(line)] == [], name


# ---- clients of their HTTP that mean no good ----

CROWD = r"""
import socket, sys
request, host, port, n = sys.argv[1].replace("|", "\r\n").encode(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
kept = []
for _ in range(n):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(2)
    try:
        s.connect((host, port))
        s.sendall(request)
    except OSError:
        pass
    kept.append(s)
print("here", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("request_text", ["GET /status HT", "GET /status HTTP/1.1||"], ids=["half", "unread"])
@pytest.mark.parametrize("what", ["controller-a", "node1"])
def test_a_crowd_of_clients_costs_little(lab: Lab, make_service: MakeService, what: str, request_text: str) -> None:
    make_service("web")
    lab.wait_owner(lab.wait_address("web"))
    process = lab.processes[what if what.startswith("controller") else f"speaker-{what}"]
    host, port = (net.CONTROL_PLANE, 17481) if what.startswith("controller") else (lab.host(what).address, 17482)
    fds, kb, size = n_fds(process), private_kb(process), process.log.stat().st_size
    argv = ["python3", "-c", CROWD, request_text, host, str(port), "400"]
    with netns.entered(lab.client):
        crowd = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == "here\n"
        assert n_fds(process) <= fds + 80 + 4
        assert private_kb(process) <= kb + 8192
        # Its own node's probe comes through, and so does a scraper from elsewhere.
        for path in ("/healthz", "/readyz", "/metrics", "/status"):
            assert lab.daemon(what, path)
        assert process.log.stat().st_size - size < 65536
    finally:
        crowd.kill()
        crowd.wait()
    wait_for("them to be gone", lambda: n_fds(process) <= fds + 8, 20)


def test_out_of_descriptors_a_daemon_rests(lab: Lab) -> None:
    """Forty descriptors, and two hundred clients: no endless log, and the probe is answered."""
    process = lab.processes["controller-b"]
    assert process.stop() == 0
    with netns.entered(process.namespace):
        shell = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *process.argv]
        with process.log.open("ab") as log:
            bare = subprocess.Popen(shell, start_new_session=True, stderr=log)
    crowd = None
    try:
        wait_for("it to be ready", lambda: lab.daemon("controller-b", "/readyz"))
        size = process.log.stat().st_size
        argv = ["python3", "-c", CROWD, "GET /status HT", net.CONTROL_PLANE, "17483", "200"]
        with netns.entered(lab.client):
            crowd = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == "here\n"
        assert lab.daemon("controller-b", "/healthz") == "ok\n"
        assert process.log.stat().st_size - size < 65536
        assert bare.poll() is None
    finally:
        if crowd:
            crowd.kill()
            crowd.wait()
        bare.terminate()
        assert bare.wait(30) == 0
        lab.restart("controller-b")
        wait_for("it to be ready", lambda: lab.daemon("controller-b", "/readyz"))


def test_status_can_be_kept_to_a_token(lab: Lab, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="ascii")
    speaker = lab.processes.pop("speaker-node3")
    assert speaker.stop() == 0
    guarded = lab.start_speaker("node3", "--http-token-file", str(token), "--http-status", "host")
    url = f"http://{lab.host('node3').address}:17482"

    def code(namespace: str, path: str, *flags: str) -> str:
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *flags, f"{url}{path}"]
        return netns.output(namespace, argv).strip()

    here, there, known = lab.host("node3").namespace, lab.client, ("-H", "Authorization: Bearer s3cret")
    try:
        wait_for("it to be ready", lambda: lab.daemon("node3", "/readyz"))
        for path in ("/status", "/loglevel"):
            assert code(here, path) == "200"
            assert code(there, path) == "401"
            assert code(there, path, *known) == "200"
        assert code(there, "/loglevel", "-X", "PUT", "-d", "info") == "401"
        assert code(there, "/loglevel", "-X", "PUT", "-d", "info", *known) == "200"
        assert code(there, "/metrics") == "200"
    finally:
        assert guarded.stop() == 0
        lab.processes.pop("speaker-node3")
        lab.start(speaker.name, speaker.argv, speaker.namespace)
        wait_for("it to be ready", lambda: lab.daemon("node3", "/readyz"))


# ---- an unchanged world ----


def test_an_unchanged_world_costs_nothing(lab: Lab, make_service: MakeService) -> None:
    for i in range(4):
        make_service(f"web{i}")
        lab.wait_owner(lab.wait_address(f"web{i}"))
    time.sleep(6)  # gratuitous ARP is repeated for a while
    offset = lab.write_log.stat().st_size
    before = {n: lab.daemon(n)["proxy"]["lines_written"] for n in NODES}
    with Capture(lab.network.lan, "br0") as capture:
        time.sleep(3)
    writes = lab.writes(offset)
    assert [w for w in writes if w["agent"].startswith("fairlead-") and "/leases/" not in w["path"]] == []
    assert {n: lab.daemon(n)["proxy"]["lines_written"] for n in NODES} == before
    ours = {lab.addresses(f"web{i}")[0] for i in range(4)}
    assert [f for _, f in capture.arp_frames() if f.sender_ip in ours or f.target_ip in ours] == []


def test_mode_none_touches_no_rule_of_others(lab: Lab, make_service: MakeService) -> None:
    node = "node3"
    speaker = lab.speaker(node)
    assert speaker.stop() == 0
    saves = [f"{family}-{variant}-save" for family in ("iptables", "ip6tables") for variant in ("nft", "legacy")]
    for table in ("nat", "filter"):
        netns.output(lab.host(node).namespace, ["iptables", "-t", table, "-N", "THEIRS"])

    def rules() -> dict[str, list[str]]:
        tables = ("filter", "nat", "mangle", "raw")
        found = {f"{save} {table}": lab.iptables(node, table, save) for save in saves for table in tables}
        return {where: [line for line in lines if "FL-" not in line] for where, lines in found.items()}

    before = rules()
    assert our_rules(lab, node), "of mode iptables"
    lab.processes.pop(f"speaker-{node}")
    none = lab.start_speaker(node, "--proxy-mode", "none")
    wait_for("it to be ready", lambda: lab.daemon(node, "/readyz"))
    make_service("web")
    address = lab.wait_address("web")
    wait_for("it to know", lambda: lab.announcement(node, "web", address).get("reason") in ("NotOwner", "Announced"))
    assert none.stop() == 0
    assert rules() == before
    assert our_rules(lab, node) == []
    lab.processes.pop(f"speaker-{node}")
    lab.start(speaker.name, speaker.argv, speaker.namespace)
    wait_for("it to be ready", lambda: lab.daemon(node, "/readyz"))


# ---- what is around them ----


def test_api_server_away_for_a_minute(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    owner = lab.wait_owner(address)
    wait_for("HTTP", lambda: lab.get(address, timeout=1))
    lab.stop_api()
    for _ in range(60):
        assert lab.get(address).status == 200
        time.sleep(1)
    assert lab.owners(address) == [owner]
    assert lab.daemon(owner, "/healthz") == "ok\n"
    lab.start_api()
    make_service("after")
    # Nobody looks again later than ten seconds after it last looked.
    later = lab.wait_address("after", seconds=12)
    lab.wait_owner(later, 12)
    assert lab.owners(address) == [owner]


def test_a_daemon_without_standard_streams(lab: Lab) -> None:
    """Files that are opened take the numbers 0, 1 and 2 then; nothing may be printed into them."""
    process = lab.processes["controller-b"]
    assert process.stop() == 0
    with netns.entered(process.namespace):
        shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *process.argv]
        bare = subprocess.Popen(shell, start_new_session=True)
    try:
        wait_for("it to be ready", lambda: lab.daemon("controller-b", "/readyz"))
        assert json.dumps(lab.daemon("controller-b"))
        for fd in (0, 1, 2):
            assert os.readlink(f"/proc/{bare.pid}/fd/{fd}") == "/dev/null"
    finally:
        bare.terminate()
        assert bare.wait(30) == 0
        lab.restart("controller-b")
        wait_for("it to be ready", lambda: lab.daemon("controller-b", "/readyz"))


def test_a_terminal_that_closes_is_a_clean_end(lab: Lab) -> None:
    for name in ("controller-b", "speaker-node3"):
        process = lab.processes[name]
        process.signal(signal.SIGHUP)
        assert process.wait() == 0, name
        lab.restart(name)
    wait_for("it to be ready", lambda: lab.daemon("controller-b", "/readyz"))
    wait_for("it to be ready", lambda: lab.daemon("node3", "/readyz"))


# ---- objects that nobody can read ----


def rewrite_state(lab: Lab, *replacements: tuple[str, str]) -> None:
    """Changes objects where the API server keeps them, past everything that it would refuse."""
    lab.stop_api()
    state = lab.dir / "api.json"
    text = state.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    state.write_text(text, encoding="utf-8")
    lab.start_api()


def malformed(lab: Lab, what: str) -> float:
    return read_exposition(lab.daemon(what, "/metrics"))['fairlead_kube_malformed_totalkind="services"']


def test_objects_that_nobody_can_read_are_skipped_alone(lab: Lab, make_service: MakeService) -> None:
    daemons = {"controller-a": "controller-a", "controller-b": "controller-b", "node1": "speaker-node1"}
    make_service("giant", {"example.com/note": "GIANT"})
    make_service("broken", {"example.com/note": "here"}, sessionAffinity="ClientIP", externalTrafficPolicy="Local")
    make_service("web")
    address, reserved = lab.wait_address("web"), lab.wait_address("broken")
    lab.wait_owner(address)
    rewrite_state(lab, ("GIANT", "x" * (5 << 20)), ('"sessionAffinity":"ClientIP"', '"sessionAffinity":[17]'))
    for name in daemons.values():
        lab.processes[name].stop()
        lab.restart(name)
    for what in daemons:
        wait_for(f"{what} to be ready", lambda w=what: lab.daemon(w, "/readyz"), 20)
        assert malformed(lab, what) >= 2
        assert "default/web" in {f"{s['namespace']}/{s['name']}" for s in lab.daemon(what)["services"]}
    for name in daemons.values():
        log = "\n".join(lab.processes[name].log_lines())
        assert "giant" in log and "broken" in log, f"{name} does not say which"
    # In a watch, too: what comes behind it arrives.
    lab.api.delete("Service", "giant")
    make_service("next")
    lab.wait_owner(lab.wait_address("next", seconds=20), 20)
    assert lab.get(address).status == 200
    # What the status of an unreadable one holds is given to nobody, though the controllers started after it broke.
    make_service("another")
    assert reserved not in (lab.wait_address("next"), lab.wait_address("another"))
    assert lab.addresses("broken") == [reserved]


@pytest.mark.parametrize(
    "variant, environment, words",
    [
        ("legacy", "mount -t tmpfs -o ro none /run && exec", "/run/xtables.lock"),
        ("nft", "exec setpriv --bounding-set -net_admin", "Permission denied"),
    ],
    ids=["lock", "capability"],
)
def test_a_speaker_that_cannot_write_rules_says_why(
    lab: Lab, tmp_path: Path, variant: str, environment: str, words: str
) -> None:
    kubeconfig = tmp_path / "kubeconfig"  # the lab's own is below /run
    kubeconfig.write_bytes(lab.kubeconfig.read_bytes())
    flags = ["--kubeconfig", str(kubeconfig), "--node", "node3", "--http", "127.0.0.1:0"]
    argv = [lab.program("fairlead-speaker"), *flags, "--proxy-mode", "iptables", "--iptables-variant", variant]
    shell = ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{environment} "$@"', "sh", *argv]
    with netns.entered(lab.host("node3").namespace):
        # Where legacy tables exist, nft remarks on them first.
        subprocess.run(["iptables-legacy", "-t", "nat", "-S"], capture_output=True, check=True)
        done = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1, done.stderr
    assert words in done.stderr.splitlines()[-1], done.stderr
