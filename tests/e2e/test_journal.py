# SPDX-License-Identifier: Apache-2.0
"""The journal of who had which address when, across leaders, and what fairlead(1) reads of it."""

import json
import subprocess
from typing import Any

from controllers import SYSTEM, any_leader, lab_fixtures, restart, wait_leader

from lab import netns
from lab.cluster import Lab
from lab.waiting import wait_for

POOLS = "address-pools:\n- {name: lan, protocol: layer2, addresses: [192.168.1.240-192.168.1.250]}\njournal: {}\n"

whole_lab, lab = lab_fixtures(POOLS)


def create(lab: Lab, name: str) -> str:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    lab.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})

    def address() -> str:
        ingress = lab.api.get("Service", name)["status"].get("loadBalancer", {}).get("ingress")
        return str(ingress[0]["ip"]) if ingress else ""

    return str(wait_for(f"an address for {name}", address))


def journal(lab: Lab, *words: str) -> Any:
    argv = [lab.program("fairlead"), "journal", *words, "-o", "json", "--kubeconfig", str(lab.kubeconfig)]
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def events(lab: Lab, *words: str) -> list[tuple[str, str]]:
    return [(e["event"], e["service"]) for e in journal(lab, *words)]


def test_who_had_an_address_when(lab: Lab) -> None:
    """Across a deletion, a leader that is killed before it has written, and a ConfigMap that somebody removes."""
    first = create(lab, "web")
    wait_for("the first entry", lambda: ("assigned", "default/web") in events(lab, first), 30)
    killed = wait_leader(lab)
    identity = journal(lab, first)[-1]["by"]
    late = create(lab, "late")
    lab.processes[f"controller-{killed}"].kill()
    lab.api.delete("Service", "web")
    wait_for("the other one to lead", lambda: any_leader(lab) not in ("", killed), 30)
    wait_for("what the first did not write", lambda: ("found", "default/late") in events(lab, late), 30)
    wait_for("what went meanwhile", lambda: events(lab, "web")[-1][0] in ("deleted", "missed"), 30)
    assert journal(lab, late)[-1]["by"] != identity
    assert journal(lab, "web")[-1]["before"] == [first]
    assert create(lab, "next") == first
    wait_for("who has it next", lambda: events(lab, first)[-1] == ("assigned", "default/next"), 30)
    assert events(lab, first, "--since", "1h") == events(lab, first)
    restart(lab, killed)

    names = [m["metadata"]["name"] for m in lab.api.objects("ConfigMap") if "journal" in m["metadata"]["name"]]
    assert names == ["fairlead-journal-0"]
    lab.api.delete("ConfigMap", names[0], SYSTEM)
    create(lab, "more")
    wait_for("what there is", lambda: {("found", "default/next"), ("assigned", "default/more")} <= set(events(lab)), 40)
