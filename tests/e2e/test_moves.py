# SPDX-License-Identifier: Apache-2.0
"""fairlead move and fairlead release: what they say beforehand is what the controller then does."""

import json
import os
import pty
import subprocess
from typing import Any

from conftest import MakeService
from test_edits import POOLS, SYSTEM, configure, pool
from test_service import wait_http

from lab import netns
from lab.cluster import Lab
from lab.waiting import wait_for

SECOND = POOLS + pool("next", "192.168.1.200-192.168.1.203")


def fairlead(lab: Lab, *words: str, answer: str | None = None) -> subprocess.CompletedProcess[str]:
    """@answer: typed at a terminal, which is where the question is put, too."""
    argv = [lab.program("fairlead"), *words, "--kubeconfig", str(lab.kubeconfig)]
    ours, theirs = pty.openpty()
    if answer is not None:
        os.write(ours, answer.encode())
    ends = {"stdin": theirs, "stderr": theirs} if answer is not None else {"stdin": subprocess.DEVNULL}
    with netns.entered(lab.network.control_plane.namespace):
        done = subprocess.run(
            argv, **{"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, **ends}, text=True, check=False
        )
    os.close(theirs)
    os.close(ours)
    return done


def annotations(lab: Lab, name: str) -> dict[str, str]:
    found: dict[str, str] = lab.api.get("Service", name)["metadata"].get("annotations", {})
    return {k: v for k, v in found.items() if k in ("fairlead.io/addresses", "fairlead.io/address-pool")}


def told(lab: Lab, *words: str) -> list[str]:
    """What it says beforehand that the Service has in the end."""
    done = fairlead(lab, *words, "--dry-run", "-o", "json")
    assert done.returncode == 0, done.stderr
    rows: list[Any] = json.loads(done.stdout)["plan"]
    return list(rows[0]["after"])


def test_a_service_moves_where_it_is_sent(lab: Lab, make_service: MakeService) -> None:
    configure(lab, SECOND)
    try:
        make_service("web")
        first = lab.wait_address("web")
        assert told(lab, "move", "web", "--to", "192.168.1.245") == ["192.168.1.245"]
        assert lab.addresses("web") == [first]
        assert annotations(lab, "web") == {}

        done = fairlead(lab, "move", "web", "--to", "192.168.1.245", "--yes")
        assert done.returncode == 0, done.stderr
        wait_for("the address", lambda: lab.addresses("web") == ["192.168.1.245"])
        wait_http(lab, "192.168.1.245")
        wait_for("the former one to be silent", lambda: lab.owners(first) == [])

        expected = told(lab, "move", "web", "--pool", "next")
        assert fairlead(lab, "move", "web", "--pool", "next", "-y").returncode == 0
        wait_for("the pool's address", lambda: lab.addresses("web") == expected)
        assert annotations(lab, "web") == {"fairlead.io/address-pool": "next"}
        # Back again: what would contradict is taken away.
        assert fairlead(lab, "move", "default/web", "--to", first, "-y").returncode == 0
        wait_for("the first one", lambda: lab.addresses("web") == [first])
        assert annotations(lab, "web") == {"fairlead.io/addresses": first}
    finally:
        configure(lab, POOLS)


def test_nothing_is_written_that_nobody_wants(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    make_service("other")
    addresses = lab.wait_address("web"), lab.wait_address("other")
    before = lab.api.get("Service", "web")["metadata"]["resourceVersion"]
    refused = fairlead(lab, "move", "web", "--to", addresses[1], "-y")
    assert (refused.returncode, "belongs to default/other" in refused.stderr) == (2, True), refused.stderr
    unasked = fairlead(lab, "move", "web", "--to", "192.168.1.245")
    assert (unasked.returncode, "it takes --yes" in unasked.stderr) == (1, True), unasked.stderr
    assert fairlead(lab, "move", "web", "--to", "192.168.1.245", answer="n\n").returncode == 1
    assert lab.api.get("Service", "web")["metadata"]["resourceVersion"] == before
    assert fairlead(lab, "move", "web", "--to", "192.168.1.245", answer="yes\n").returncode == 0
    wait_for("the address", lambda: lab.addresses("web") == ["192.168.1.245"])


def test_a_released_address_is_free_for_who_waits_for_it(lab: Lab, make_service: MakeService) -> None:
    make_service("web")
    address = lab.wait_address("web")
    lab.api.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "waits", "annotations": {"fairlead.io/addresses": address}},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 81}]},
        }
    )
    try:
        expected = told(lab, "release", "web")
        assert expected not in ([], [address])
        assert fairlead(lab, "release", "web", "-y").returncode == 0
        wait_for("another address", lambda: lab.addresses("web") == expected)
        wait_for("its former one for who waits", lambda: lab.addresses("waits") == [address])
    finally:
        lab.api.delete("Service", "waits")
    assert lab.api.get("ConfigMap", "fairlead-active", SYSTEM)["data"]["config"] == POOLS
