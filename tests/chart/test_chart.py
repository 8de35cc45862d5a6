# SPDX-License-Identifier: Apache-2.0
"""What the chart makes of every kind of values, and what it refuses."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BUILD, CHART, KUBE_VERSION, NAMESPACE, Object, Render, helm, one

from lab.cluster import SOURCE

CONFIG = {
    "peers": [{"my-asn": 4200000000, "peer-asn": 64501, "peer-address": "10.0.0.1", "password-secret": "tor-a"}],
    "address-pools": [{"name": "lan", "protocol": "layer2", "addresses": ["192.168.1.240-192.168.1.250"]}],
}
RULES = {"proxyMode": "iptables", "clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/56"]}
XTABLES = ("/run/xtables.lock", "FileOrCreate")
OWN_FRR = ("/run/fairlead/frr", "DirectoryOrCreate")
HOST_FRR = ("/run/frr", "DirectoryOrCreate")

# What an operator may ask for, and the host's files that its speakers and FRR get for it.
SETS: dict[str, tuple[Object, set[tuple[str, str]]]] = {
    "defaults": ({}, set()),
    "config-map": ({"config": CONFIG}, set()),
    "config-text": ({"config": yaml.safe_dump(CONFIG)}, set()),
    "rules": ({"speaker": RULES}, {XTABLES}),
    "rules-without-pods": ({"speaker": {"proxyMode": "iptables"}}, {XTABLES}),
    "rules-legacy": ({"speaker": {**RULES, "iptablesVariant": "legacy", "interfaces": "eth[0-9]+"}}, {XTABLES}),
    "rules-by-node": (
        {"speaker": {"proxyMode": "iptables", "detectLocalMode": "node-cidr", "nodePortAddresses": ["primary"]}},
        {XTABLES},
    ),
    "rules-by-bridge": (
        {
            "speaker": {
                "proxyMode": "iptables",
                "detectLocalMode": "bridge-interface",
                "podBridgeInterface": "cni0",
                "localhostNodePorts": True,
            }
        },
        {XTABLES},
    ),
    "rules-by-prefix": (
        {
            "speaker": {
                "proxyMode": "iptables",
                "detectLocalMode": "interface-name-prefix",
                "podInterfaceNamePrefix": "cali",
            }
        },
        {XTABLES},
    ),
    "localhost-of-kube-proxy": ({"speaker": {"localhostNodePorts": True}}, set()),
    "segments": ({"speaker": {**RULES, "clampMss": 1400}}, {XTABLES}),
    "healthz": ({"speaker": {**RULES, "healthzBindAddress": "[::]:10256"}}, {XTABLES}),
    "healthz-of-kube-proxy": ({"speaker": {"healthzBindAddress": "0.0.0.0:10256"}}, set()),
    "segments-as-they-are": ({"speaker": {**RULES, "clampMss": False}}, {XTABLES}),
    "frr-daemonset": ({"frr": {"mode": "daemonset"}}, {OWN_FRR}),
    "frr-sidecar": ({"frr": {"mode": "sidecar", "config": "log syslog\n"}}, set()),
    "frr-host": ({"frr": {"mode": "host", "vtyGroup": 107}}, {HOST_FRR}),
    "frr-elsewhere": ({"frr": {"mode": "host", "socketDir": "/srv/frr"}}, {("/srv/frr", "DirectoryOrCreate")}),
    "frr-shared": ({"frr": {"mode": "host"}, "bgp": {"sharedInstance": True}}, {HOST_FRR}),
    "all": (
        {
            "config": CONFIG,
            "loadBalancerClass": "example.com/bare-metal",
            "logLevel": "debug",
            "apiServer": {"host": "192.0.2.1", "port": 6443},
            "imagePullSecrets": [{"name": "registry"}],
            "view": {"aggregate": True, "subjects": [{"kind": "User", "name": "who"}]},
            "speaker": {
                **RULES,
                "clampMss": "pmtu",
                "nodePortAddresses": ["192.0.2.0/24", "2001:db8::/64"],
                "masqueradeAll": True,
                "serviceMetrics": True,
                "firstUseProbe": False,
                "realtime": True,
                "http": {"address": "192.0.2.7"},
                "podLabels": {"a": "b"},
            },
            "controller": {"replicas": 3, "http": {"address": "::", "port": 8080}, "podAnnotations": {"a": "b"}},
            "frr": {"mode": "daemonset", "extraArgs": ["--log-level=debugging"], "config": "log syslog"},
            "externalIPs": {
                "enabled": True,
                "admissionPolicy": {"enabled": True, "allow": ["203.0.113.0/24"], "namespaces": ["edge"]}
            },
            "metrics": {
                "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
                "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            },
            "webhook": {"enabled": True, "port": 9443},
            "networkPolicy": {"enabled": True},
            "uninstall": {"releaseAddresses": True, "timeoutSeconds": 30},
            "fullnameOverride": "lb",
        },
        {XTABLES, OWN_FRR},
    ),
    "one-replica": ({"controller": {"replicas": 1}}, set()),
    "no-hook": ({"uninstall": {"cleanup": False}}, set()),
}
every_set = pytest.mark.parametrize("name", SETS)


@pytest.mark.parametrize("name", ("kube-proxy", "kube-proxy-all"))
def test_values_of_kube_proxys_configuration(name: str, render: Render) -> None:
    """What `fairlead config convert` prints is what the chart takes, and makes the options that it names."""
    argv = [str(BUILD / "src/cli/fairlead"), "config", "convert", "-o", "json", str(SOURCE / f"tests/cli/{name}.yaml")]
    answer = json.loads(subprocess.run(argv, capture_output=True, check=False).stdout)
    args = flags(render(yaml.safe_load(answer["values"])), "DaemonSet", "speaker", {})
    wanted = re.sub(r" (?!--)", "=", answer["flags"]).split()
    assert len(wanted) > 2 and set(wanted) <= set(args)


def name_of(values: Object) -> str:
    given: str = values.get("fullnameOverride", "fairlead")
    return given


def pod_templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for o in objects:
        if o["kind"] in ("Deployment", "DaemonSet", "Job"):
            yield o["metadata"]["name"], o["spec"]["template"]


def container(template: Object, name: str) -> Object:
    (found,) = [c for c in template["spec"]["containers"] if c["name"] == name]
    return found


def flags(objects: list[Object], kind: str, component: str, values: Object) -> list[str]:
    template = one(objects, kind, f"{name_of(values)}-{component}")["spec"]["template"]
    args: list[str] = container(template, component)["args"]
    return args


# ---- what holds for all of them ----


@every_set
def test_lint(name: str) -> None:
    done = helm(SETS[name][0], "lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@every_set
def test_everything_is_in_its_place_and_labelled(name: str, render: Render) -> None:
    admission = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"}
    cluster_wide = {"ClusterRole", "ClusterRoleBinding"} | admission
    seen = set()
    for o in render(SETS[name][0]):
        meta = o["metadata"]
        assert meta.get("namespace") == (None if o["kind"] in cluster_wide else NAMESPACE), meta
        assert meta["labels"]["app.kubernetes.io/name"] == "fairlead"
        assert (o["kind"], meta["name"]) not in seen, "once"
        seen.add((o["kind"], meta["name"]))
        if o["kind"] in cluster_wide:
            assert NAMESPACE in meta["name"], "so that two namespaces may hold one each"


@every_set
def test_pods_have_no_right_that_they_do_not_use(name: str, render: Render) -> None:
    values, host_paths = SETS[name]
    found = set()
    for what, template in pod_templates(render(values)):
        spec = template["spec"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec.get("hostPID") and not spec.get("hostIPC")
        assert spec.get("hostNetwork", False) == what.endswith(("-speaker", "-frr"))
        found |= {
            (v["hostPath"]["path"], v["hostPath"]["type"]) for v in spec.get("volumes", []) if "hostPath" in v
        }
        for c in spec["containers"]:
            context = c["securityContext"]
            assert context["readOnlyRootFilesystem"]
            # A writable /proc/sys takes it.
            speaker = values.get("speaker", {})
            needs_sysctl = speaker.get("localhostNodePorts") and speaker.get("proxyMode", "none") != "none"
            if c["name"] == "speaker" and needs_sysctl:
                assert context["privileged"] is True
                continue
            assert "privileged" not in context
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"]["drop"] == ["ALL"]
            added = context["capabilities"].get("add", [])
            if c["name"] == "speaker":
                more = ["SYS_NICE", "IPC_LOCK"] if speaker.get("realtime") else []
                assert added == ["NET_ADMIN", "NET_RAW", *more]
                assert (context["runAsUser"], context["runAsGroup"]) == (0, 0)
            elif c["name"] == "frr":
                assert context["runAsUser"] == 0
            else:
                assert added == []
                assert spec["securityContext"]["runAsNonRoot"] is True
            assert c["resources"]["requests"] and c["resources"]["limits"]
            assert not c["image"].endswith((":", ":latest"))
    assert found == host_paths


@every_set
def test_roles_are_small(name: str, render: Render) -> None:
    values = SETS[name][0]
    roles = [o for o in render(values) if o["kind"] in ("Role", "ClusterRole")]
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            if "secrets" in rule["resources"]:
                assert role["kind"] == "Role", "none of the cluster's Secrets"
                # The API cannot check the name of what does not exist yet.
                assert rule["verbs"] == ["create"] or rule["resourceNames"]
    speaker = next(r for r in roles if r["kind"] == "Role" and r["metadata"]["name"].endswith("-speaker"))
    (secrets,) = [r for r in speaker["rules"] if r["resources"] == ["secrets"]]
    with_bgp = values.get("frr", {}).get("mode", "none") != "none"
    assert secrets["resourceNames"] == ["fairlead-heartbeat"] + ["fairlead-bgp-passwords"] * with_bgp
    assert secrets["verbs"] == ["list", "watch"]
    assert all(set(r["verbs"]) <= {"list", "watch"} or r["resources"] == ["events"] for r in speaker["rules"])


@every_set
def test_bindings_name_accounts_and_roles_that_are_there(name: str, render: Render) -> None:
    objects = render(SETS[name][0])
    names = {(o["kind"], o["metadata"]["name"]) for o in objects}
    for o in objects:
        if o["kind"].endswith("RoleBinding"):
            assert (o["roleRef"]["kind"], o["roleRef"]["name"]) in names
            if "-view" in o["metadata"]["name"]:
                continue  # whoever the administrator names
            assert [("ServiceAccount", s["name"]) in names and s["namespace"] == NAMESPACE for s in o["subjects"]] == [
                True
            ]
    for what, template in pod_templates(objects):
        spec = template["spec"]
        account = spec.get("serviceAccountName")
        assert ("ServiceAccount", account) in names or not spec.get("automountServiceAccountToken", True), what


@every_set
def test_selectors_select(name: str, render: Render) -> None:
    objects = render(SETS[name][0])
    labels = {what: template["metadata"]["labels"] for what, template in pod_templates(objects)}

    def selected(selector: Object) -> list[str]:
        return [what for what, own in labels.items() if selector.items() <= own.items()]

    for o in objects:
        if o["kind"] in ("Deployment", "DaemonSet", "PodDisruptionBudget"):
            assert selected(o["spec"]["selector"]["matchLabels"]) == [o["metadata"]["name"]]
        if o["kind"] == "Service":
            served = o["metadata"]["name"].removesuffix("-metrics").replace("-webhook", "-controller")
            assert selected(o["spec"]["selector"]) == [served]
    # By these `fairlead uninstall` finds the speakers.
    uninstall = {"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "speaker"}
    assert selected(uninstall) == [f"{name_of(SETS[name][0])}-speaker"]


@every_set
def test_the_programs_take_their_flags(name: str, render: Render) -> None:
    programs = {"fairlead": "src/cli", "fairlead-controller": "src/controller", "fairlead-speaker": "src/speaker"}
    for _, template in pod_templates(render(SETS[name][0])):
        for c in template["spec"]["containers"]:
            if c["name"] == "frr":
                continue
            (program,) = c["command"]
            args = [a.replace("$(HOST_IP)", "192.0.2.1").replace("$(POD_IP)", "2001:db8::1") for a in c["args"]]
            argv = [str(BUILD / programs[program] / program), *args, "--version"]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), args


@every_set
def test_probes_and_metrics_meet_the_port(name: str, render: Render) -> None:
    for what, template in pod_templates(render(SETS[name][0])):
        for c in template["spec"]["containers"]:
            if c["name"] not in ("speaker", "controller"):
                continue
            (http,) = [a for a in c["args"] if a.startswith("--http=")]
            assert c["ports"][0] == {"name": "http", "containerPort": int(http.rsplit(":", 1)[1]), "protocol": "TCP"}
            assert c["livenessProbe"]["httpGet"]["path"] == "/healthz", what
            assert c["readinessProbe"]["httpGet"]["path"] == "/readyz"


# ---- what single values do ----


def test_defaults(render: Render) -> None:
    objects = render({})
    assert not any(o["kind"] == "ConfigMap" for o in objects), "that is the administrator's own"
    controller = one(objects, "Deployment", "fairlead-controller")["spec"]
    assert controller["replicas"] == 2
    affinity = controller["template"]["spec"]["affinity"]["podAntiAffinity"]
    (term,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= controller["template"]["metadata"][
        "labels"
    ].items()
    assert one(objects, "PodDisruptionBudget", "fairlead-controller")["spec"]["maxUnavailable"] == 1
    speaker = one(objects, "DaemonSet", "fairlead-speaker")["spec"]["template"]["spec"]
    assert speaker["tolerations"] == [{"operator": "Exists"}]
    assert "supplementalGroups" not in speaker["securityContext"] and "volumes" not in speaker
    args = flags(objects, "DaemonSet", "speaker", {})
    assert "--proxy-mode=none" in args and "--bgp-socket-dir=none" in args
    assert "--http=[$(HOST_IP)]:17482" in args, "a stated address: the node's own"
    assert "--http=[$(POD_IP)]:17481" in flags(objects, "Deployment", "controller", {})


def test_one_replica_has_no_budget(render: Render) -> None:
    assert not any(o["kind"] == "PodDisruptionBudget" for o in render(SETS["one-replica"][0]))


@pytest.mark.parametrize("name", ["config-map", "config-text"])
def test_the_configuration_comes_through(name: str, render: Render, tmp_path: Path) -> None:
    manifest = one(render(SETS[name][0]), "ConfigMap", "fairlead")
    assert yaml.safe_load(manifest["data"]["config"]) == CONFIG, "also AS numbers of 32 bits"
    path = tmp_path / "fairlead.yaml"
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    argv = [str(BUILD / "src/cli/fairlead"), "config", "check", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_secrets_are_named_alike_everywhere(render: Render) -> None:
    values = {"heartbeat": {"secret": "beat"}, "bgp": {"passwordSecret": "md5"}, "frr": {"mode": "host"}}
    objects = render(values)
    speaker = flags(objects, "DaemonSet", "speaker", values)
    assert "--heartbeat-key-secret=beat" in speaker and "--bgp-password-secret=md5" in speaker
    assert "--heartbeat-key-secret=beat" in flags(objects, "Deployment", "controller", values)
    rules = one(objects, "Role", "fairlead-speaker")["rules"]
    assert ["beat", "md5"] in [r.get("resourceNames") for r in rules]
    assert not any(o["kind"] == "Secret" for o in objects), "the key is not a template's to make"


@pytest.mark.parametrize("enabled", [False, True])
def test_services_are_written_only_for_external_ips(enabled: bool, render: Render) -> None:
    objects = render({"externalIPs": {"enabled": enabled}})
    rules = one(objects, "ClusterRole", f"fairlead-controller.{NAMESPACE}")["rules"]
    assert any("services" in r["resources"] and "patch" in r["verbs"] for r in rules) == enabled
    assert f"--external-ips={'on' if enabled else 'off'}" in flags(objects, "Deployment", "controller", {})


SELECTED = [
    {
        "name": "shop",
        "protocol": "layer2",
        "addresses": ["192.0.2.0/24"],
        "namespace-selectors": [{"match-labels": {"a": "b"}}],
    }
]


@pytest.mark.parametrize(
    ("config", "watch", "granted"),
    [
        ({}, "auto", False),
        (CONFIG, "auto", False),
        ({"address-pools": SELECTED}, "auto", True),
        (yaml.safe_dump({"address-pools": SELECTED}), "auto", True),
        ("address-pools: []\n# namespace-selectors: none\n", "auto", False),
        ({"address-pools": SELECTED}, False, False),
        ({}, True, True),
    ],
)
def test_namespaces_are_seen_only_where_pools_select_by_them(
    config: Any, watch: Any, granted: bool, render: Render
) -> None:
    objects = render({"config": config, "controller": {"watchNamespaces": watch}})
    for role, verbs in (("fairlead-controller", ["list", "watch"]), ("fairlead-view", ["list"])):
        rules = one(objects, "ClusterRole", f"{role}.{NAMESPACE}")["rules"]
        assert [r["verbs"] for r in rules if "namespaces" in r["resources"]] == ([verbs] if granted else [])


@pytest.mark.parametrize(
    ("config", "journal", "granted"),
    [
        ({}, "auto", False),
        (CONFIG, "auto", False),
        ({"journal": {}}, "auto", True),
        ("address-pools: []\njournal: {days: 7}\n", "auto", True),
        ("address-pools: []\n# journal: {}\n", "auto", False),
        ({"journal": {}}, False, False),
        ({}, True, True),
    ],
)
def test_the_journal_is_written_only_where_there_is_one(
    config: Any, journal: Any, granted: bool, render: Render
) -> None:
    objects = render({"config": config, "controller": {"journal": journal}})
    names = [f"fairlead-journal-{i}" for i in range(16)]
    for role, verbs in (("fairlead-controller", ["get", "patch"]), ("fairlead-view", ["get"])):
        rules = one(objects, "Role", role)["rules"]
        found = [r["verbs"] for r in rules if names == r.get("resourceNames")]
        assert found == ([verbs] if granted else [])


@pytest.mark.parametrize(
    ("config", "granted"),
    [
        ({}, True),
        (CONFIG, False),
        ({"address-pools": [{**CONFIG["address-pools"][0], "cool-down": "5m"}]}, True),
        ({"address-pools": [{**CONFIG["address-pools"][0], "allocation": "round-robin"}]}, True),
        ({"address-pools": [{**CONFIG["address-pools"][0], "allocation": "random"}]}, False),
        ("address-pools: []  # cool-down, round-robin\n", False),
    ],
)
def test_what_no_object_tells_is_written_only_where_there_is_any(config: Any, granted: bool, render: Render) -> None:
    objects = render({"config": config})
    for role, verbs in (("fairlead-controller", ["patch"]), ("fairlead-view", ["get"])):
        rules = one(objects, "Role", role)["rules"]
        found = [r["verbs"] for r in rules if r.get("resourceNames") == ["fairlead-cooling"]]
        assert found == ([verbs] if granted else [])


def test_frr_in_a_pod_of_its_own(render: Render) -> None:
    objects = render(SETS["frr-daemonset"][0])
    frr = one(objects, "DaemonSet", "fairlead-frr")["spec"]["template"]["spec"]
    speaker = one(objects, "DaemonSet", "fairlead-speaker")["spec"]["template"]["spec"]
    assert frr["automountServiceAccountToken"] is False
    assert frr["tolerations"] == speaker["tolerations"]
    sockets = [next(v for v in p["volumes"] if v["name"] == "frr-sockets") for p in (frr, speaker)]
    assert sockets[0] == sockets[1]
    assert [p["securityContext"]["supplementalGroups"] for p in (frr, speaker)] == [[85], [85]]
    wanted = {"NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_ADMIN", "SETUID", "SETGID", "CHOWN", "KILL"}
    assert set(frr["containers"][0]["securityContext"]["capabilities"]["add"]) == wanted


def test_an_upgrade_of_the_chart_alone_does_not_end_frr(render: Render, tmp_path: Path) -> None:
    values = {"frr": {"mode": "daemonset", "image": {"tag": "8.4.4"}, "config": "log syslog"}}
    shutil.copytree(CHART, tmp_path / "next")
    chart = tmp_path / "next/Chart.yaml"
    chart.write_text(re.sub(r"ersion: 0\..*", "ersion: 9.9.9", chart.read_text(encoding="utf-8")), encoding="utf-8")
    done = helm(values, "template", "fairlead", str(tmp_path / "next"), "--kube-version", KUBE_VERSION)
    upgraded = [d for d in yaml.safe_load_all(done.stdout) if d]
    template = [one(o, "DaemonSet", "fairlead-frr")["spec"]["template"] for o in (render(values), upgraded)]
    assert template[0] == template[1]
    speaker = one(upgraded, "DaemonSet", "fairlead-speaker")["spec"]["template"]["spec"]
    assert speaker["containers"][0]["image"] == "fairlead:9.9.9"
    # Other lines for FRR are a reason.
    other = one(render({"frr": {**values["frr"], "config": "debug bgp"}}), "DaemonSet", "fairlead-frr")
    assert other["spec"]["template"] != template[0]


def test_frr_beside_another_bgp_daemon(render: Render) -> None:
    for mode in ("daemonset", "sidecar"):
        for listen in (True, False):
            objects = render({"frr": {"mode": mode, "listen": listen}})
            templates = [t["spec"] for _, t in pod_templates(objects)]
            (frr,) = [c for spec in templates for c in spec["containers"] if c["name"] == "frr"]
            assert ({"name": "FRR_LISTEN", "value": "false"} in frr.get("env", [])) is not listen


def test_frr_as_a_sidecar(render: Render) -> None:
    objects = render(SETS["frr-sidecar"][0])
    assert not any(o["metadata"]["name"] == "fairlead-frr" and o["kind"] == "DaemonSet" for o in objects)
    spec = one(objects, "DaemonSet", "fairlead-speaker")["spec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for c in spec["containers"] for m in c["volumeMounts"]}
    assert mounts == {"frr-sockets": "/run/frr", "frr-tmp": "/var/tmp/frr", "frr-config": "/etc/frr/frr.conf"}
    assert {"name": "frr-sockets", "emptyDir": {}} in spec["volumes"]
    assert one(objects, "ConfigMap", "fairlead-frr")["data"] == {"frr.conf": "log syslog\n"}


def test_frr_of_the_host(render: Render) -> None:
    objects = render(SETS["frr-host"][0])
    speaker = one(objects, "DaemonSet", "fairlead-speaker")["spec"]["template"]["spec"]
    assert [c["name"] for c in speaker["containers"]] == ["speaker"]
    assert speaker["securityContext"]["supplementalGroups"] == [107]
    assert "--bgp-shared-instance" not in flags(objects, "DaemonSet", "speaker", {})
    assert "--bgp-shared-instance" in flags(render(SETS["frr-shared"][0]), "DaemonSet", "speaker", {})


def test_everything_at_once(render: Render) -> None:
    values = SETS["all"][0]
    objects = render(values)
    speaker = flags(objects, "DaemonSet", "speaker", values)
    for flag in (
        "--http=[192.0.2.7]:17482",
        "--log-level=debug",
        "--proxy-mode=iptables",
        "--cluster-cidr=10.244.0.0/16,fd00:10:244::/56",
        "--nodeport-addresses=192.0.2.0/24,2001:db8::/64",
        "--masquerade-all",
        "--service-metrics",
        "--first-use-probe=off",
        "--load-balancer-class=example.com/bare-metal",
    ):
        assert flag in speaker
    controller = flags(objects, "Deployment", "controller", values)
    assert "--http=[::]:8080" in controller and "--load-balancer-class=example.com/bare-metal" in controller
    webhook = one(objects, "ValidatingWebhookConfiguration", f"lb-webhook.{NAMESPACE}")
    assert "--webhook=[$(POD_IP)]:9443" in controller
    assert f"--webhook-configuration={webhook['metadata']['name']}" in controller
    assert one(objects, "Service", webhook["webhooks"][0]["clientConfig"]["service"]["name"])
    uninstall = container(one(objects, "Job", "lb-uninstall")["spec"]["template"], "uninstall")
    assert uninstall["args"] == ["uninstall", "--timeout=30", "--speaker-port=17482", "--release-addresses"]
    for what, template in pod_templates(objects):
        if what != "lb-frr":
            (c,) = template["spec"]["containers"]
            env = {e["name"]: e.get("value") for e in c["env"]}
            assert (env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]) == ("192.0.2.1", "6443")
        assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    probe = container(one(objects, "DaemonSet", "lb-speaker")["spec"]["template"], "speaker")["livenessProbe"]
    assert probe["httpGet"]["host"] == "192.0.2.7"


def test_the_hook_comes_before_everything_goes(render: Render) -> None:
    hooks = [o for o in render({}) if "helm.sh/hook" in o["metadata"].get("annotations", {})]
    kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Job"]
    assert [o["kind"] for o in hooks] == kinds
    weights = []
    for o in hooks:
        annotations = o["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-delete"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        weights.append(int(annotations["helm.sh/hook-weight"]))
    assert max(weights[:-1]) < weights[-1], "the Job last"
    assert "--release-addresses" not in hooks[-1]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert not any(o["kind"] == "Job" for o in render(SETS["no-hook"][0]))


def test_http_is_kept_to_those_who_may(render: Render) -> None:
    allowed = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    values = {"http": {"status": "host", "tokenSecret": "tokens"}, "networkPolicy": {"enabled": True, "from": allowed}}
    objects = render(values)
    for what, template in pod_templates(objects):
        (container,) = template["spec"]["containers"]
        token = "--speaker-token-file" if what.endswith("uninstall") else "--http-token-file"
        assert f"{token}=/etc/fairlead/http/token" in container["args"], what
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "http-token"]
        assert mount["mountPath"] == "/etc/fairlead/http"
        (volume,) = [v for v in template["spec"]["volumes"] if v["name"] == "http-token"]
        assert volume["secret"]["secretName"] == "tokens"
        assert ("--http-status=host" in container["args"]) == (not what.endswith("uninstall"))
    policy = one(objects, "NetworkPolicy", "fairlead-controller")["spec"]
    assert policy["ingress"] == [{"from": allowed, "ports": [{"port": 17481, "protocol": "TCP"}]}]
    closed = one(render({"networkPolicy": {"enabled": True}}), "NetworkPolicy", "fairlead-controller")["spec"]
    assert closed["ingress"] == [] and closed["policyTypes"] == ["Ingress"]
    assert not any(o["kind"] == "NetworkPolicy" for o in render({}))


def test_monitoring(render: Render) -> None:
    objects = render(SETS["all"][0])
    for component, port in (("controller", 8080), ("speaker", 17482)):
        monitor = one(objects, "ServiceMonitor", f"lb-{component}")
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        service = one(objects, "Service", f"lb-{component}-metrics")
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert service["spec"]["ports"] == [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}]
        assert monitor["spec"]["endpoints"][0]["port"] == "http"
    rule = one(objects, "PrometheusRule", "lb")
    documented = set(re.findall(r"^\| `(\w+)`", (SOURCE / "docs/metrics.md").read_text(encoding="utf-8"), re.M))
    for alert in rule["spec"]["groups"][0]["rules"]:
        used = set(re.findall(r"\bfairlead_\w+", alert["expr"]))
        assert used and used <= documented, alert["alert"]
        assert alert["annotations"]["summary"] and alert["labels"]["severity"]


def samples(series: str, alert: str, summary: str) -> Object:
    """A case for promtool: the alert's only instance after half an hour of this series."""
    firing = {"exp_labels": {"severity": "warning", "pool": "lan"}, "exp_annotations": {"summary": summary}}
    return {
        "interval": "1m",
        "input_series": [{"series": series, "values": "0x5 3x30"}],
        "alert_rule_test": [
            {"eval_time": "12m", "alertname": alert, "exp_alerts": []},  # not before it has lasted
            {"eval_time": "30m", "alertname": alert, "exp_alerts": [firing]},
        ],
    }


def test_alerts_as_prometheus_reads_them(render: Render, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    rule = one(render(SETS["all"][0]), "PrometheusRule", "lb")
    rules, cases = tmp_path / "rules.yaml", tmp_path / "cases.yaml"
    rules.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    squatted = samples(
        f'fairlead_pool_squatted{{namespace="{NAMESPACE}", pool="lan", pod="a"}}',
        "FairleadPoolSquatted",
        "Services name 3 addresses of pool lan in spec.externalIPs that they may not have, and kube-proxy serves them"
        " all the same; Events on these Services say which.",
    )
    test = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [squatted]}
    cases.write_text(yaml.safe_dump(test), encoding="utf-8")
    for argv in (["check", "rules", str(rules)], ["test", "rules", str(cases)]):
        done = subprocess.run([promtool, *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# ---- what is refused ----

REFUSED: dict[str, tuple[Object, str]] = {
    "unknown": ({"speakers": {}}, "'speakers' not allowed"),
    "misspelt": ({"speaker": {"proxymode": "iptables"}}, "'proxymode' not allowed"),
    "mode": ({"speaker": {"proxyMode": "userspace"}}, "/speaker/proxyMode"),
    "localhost": (
        {"speaker": {"proxyMode": "ipvs", "localhostNodePorts": True}},
        "/speaker/localhostNodePorts",
    ),
    "frr": ({"frr": {"mode": "pod"}}, "/frr/mode"),
    "group": ({"frr": {"vtyGroup": "frrvty"}}, "/frr/vtyGroup"),
    "directory": ({"frr": {"socketDir": "run/frr"}}, "/frr/socketDir"),
    "replicas": ({"controller": {"replicas": 0}}, "/controller/replicas"),
    "port": ({"controller": {"http": {"port": 70000}}}, "/controller/http/port"),
    "address": ({"speaker": {"http": {"address": "eth0"}}}, "/speaker/http/address"),
    "cidr": ({"speaker": {"clusterCIDRs": ["10.244.0.0"]}}, "/speaker/clusterCIDRs/0"),
    "node-ports": ({"speaker": {"nodePortAddresses": ["eth0"]}}, "/speaker/nodePortAddresses/0"),
    "primary": ({"speaker": {"nodePortAddresses": ["primary", "192.0.2.0/24"]}}, "/speaker/nodePortAddresses"),
    "detection": ({"speaker": {"detectLocalMode": "ClusterCIDR"}}, "/speaker/detectLocalMode"),
    "bridge": ({"speaker": {"detectLocalMode": "bridge-interface"}}, "/speaker/podBridgeInterface"),
    "bridge-of-none": ({"speaker": {"podBridgeInterface": "cni0"}}, "/speaker/podBridgeInterface"),
    "prefix": ({"speaker": {"detectLocalMode": "interface-name-prefix"}}, "/speaker/podInterfaceNamePrefix"),
    "prefix-long": (
        {"speaker": {"detectLocalMode": "interface-name-prefix", "podInterfaceNamePrefix": "calicalicalicali"}},
        "/speaker/podInterfaceNamePrefix",
    ),
    "two-ways": (
        {"speaker": {"detectLocalMode": "node-cidr", "clusterCIDRs": ["10.244.0.0/16"]}},
        "/speaker/clusterCIDRs",
    ),
    "segments": ({"speaker": {"clampMss": 100}}, "/speaker/clampMss"),
    "healthz": ({"speaker": {"healthzBindAddress": "10256"}}, "/speaker/healthzBindAddress"),
    "level": ({"logLevel": "trace"}, "/logLevel"),
    "config": ({"config": ["address-pools"]}, "/config"),
    "pool": ({"config": {"address-pools": [{"name": "a", "protocol": "l3"}]}}, "/config/address-pools/0/protocol"),
    "key": ({"config": {"address-pool": []}}, "'address-pool'"),
    "active": ({"configMap": "fairlead-active"}, "/configMap"),
    "allow": ({"externalIPs": {"admissionPolicy": {"allow": ["any"]}}}, "/externalIPs/admissionPolicy/allow/0"),
    "flag": ({"speaker": {"extraArgs": ["log-level=debug"]}}, "/speaker/extraArgs/0"),
    "secret": ({"heartbeat": {"secret": ""}}, "/heartbeat/secret"),
    "timeout": ({"uninstall": {"timeoutSeconds": 0}}, "/uninstall/timeoutSeconds"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    values, words = REFUSED[name]
    done = helm(values, "template", "fairlead", str(CHART))
    assert done.returncode != 0
    assert words in done.stderr


# ---- documents ----


def paths(values: Any, schema: Object, at: str = "") -> Iterator[tuple[str, bool]]:
    """Every value by its path, and whether the schema knows it; where the schema lets in anything, the whole."""
    for key, value in values.items():
        known = key in schema["properties"]
        below = schema["properties"].get(key, {})
        if "$ref" in below:
            below = SCHEMA["definitions"][below["$ref"].rsplit("/", 1)[1]]
        if isinstance(value, dict) and "properties" in below and key != "resources":
            yield from paths(value, below, f"{at}{key}.")
        else:
            yield at + key, known


SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_every_value_is_in_the_schema_and_explained() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    found = dict(paths(values, SCHEMA))
    assert [path for path, known in found.items() if not known] == []
    assert [path for path in found if f"`{path}`" not in readme] == []


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    configure = (SOURCE / "configure.ac").read_text(encoding="utf-8")
    (version,) = re.findall(r"^AC_INIT\(\[fairlead\], \[(.*)\]\)", configure, re.M)
    assert chart["version"] == chart["appVersion"] == version
