# SPDX-License-Identifier: Apache-2.0
"""What was written to the API server, in the order in which it took effect, for tests to judge by.

Each write is a dictionary as the embedded server logs it (tests/apisim/wlog.h); a real server's audit log is read as
the same.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Write = dict[str, Any]
Request = dict[str, Any]

_VERBS = ("create", "update", "patch", "delete")
_KINDS = {"services": "Service", "leases": "Lease", "events": "Event", "configmaps": "ConfigMap"}


def _lines(path: Path, offset: int) -> Iterator[dict[str, Any]]:
    with path.open("rb") as log:
        # The offset is a size that the log had, perhaps in the midst of a line.
        log.seek(max(offset - 1, 0))
        if offset > 0:
            log.readline()
        for line in log:
            if line.endswith(b"\n"):
                yield json.loads(line)


def of_write_log(path: Path, offset: int = 0) -> list[Write]:
    """From the embedded server's own log."""
    return list(_lines(path, offset))


def of_audit_log(path: Path, offset: int = 0) -> list[Write]:
    """From a real server's audit log.  Its lines come in the order of the answers, so the resourceVersions tell."""
    found = [_write(a) for a in requests(path, offset) if a["verb"] in _VERBS and "dryRun=" not in a["requestURI"]]
    order = 0
    for write in found:
        order = max(order, int(write.get("rv") or 0))
        write["order"] = int(write.get("rv") or order)
    found.sort(key=lambda w: w["order"])
    return found


def requests(path: Path, offset: int = 0) -> Iterator[Request]:
    """Every request in a real server's audit log, with "agent" and "code" as in a write; watches when they open."""
    for audit in _lines(path, offset):
        if audit["verb"] == "watch" and audit["stage"] != "ResponseStarted":
            continue
        audit["agent"] = audit.get("userAgent", "")
        audit["code"] = (audit.get("responseStatus") or {}).get("code", 0)
        yield audit


def _write(audit: Request) -> Write:
    ref = audit.get("objectRef") or {}
    write = {
        "time": audit["requestReceivedTimestamp"],
        "verb": audit["verb"],
        "path": audit["requestURI"].split("?")[0],
        "agent": audit["agent"],
        "code": audit["code"],
        "kind": _KINDS.get(ref.get("resource", ""), ref.get("resource", "")),
        "namespace": ref.get("namespace", ""),
        "name": ref.get("name", ""),
    }
    stored = audit.get("responseObject") or {}
    if audit["code"] < 300 and stored.get("kind") == write["kind"]:
        meta = stored["metadata"]
        write |= {"name": meta["name"], "rv": meta["resourceVersion"], "uid": meta["uid"]}
        if deleting := meta.get("deletionTimestamp"):
            write["deleting"] = deleting
        status = stored.get("status") or {}
        if ingress := (status.get("loadBalancer") or {}).get("ingress"):
            write["ingress"] = [i["ip"] for i in ingress if "ip" in i]
        if external := (stored.get("spec") or {}).get("externalIPs"):
            write["external"] = external
        if holder := (stored.get("spec") or {}).get("holderIdentity"):
            write["holder"] = holder
    return write
