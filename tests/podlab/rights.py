# SPDX-License-Identifier: Apache-2.0
"""Least rights, from the API server's audit log: what service accounts may do, beside what they did.  Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource, as one rule of RBAC grants it."""

    account: str  # name of the service account
    namespace: str  # of the RoleBinding; empty: everywhere
    group: str
    resource: str  # with its subresource: services/status
    verb: str
    name: str = ""  # one object alone

    def __str__(self) -> str:
        where = self.namespace or "any namespace"
        name = f" {self.name}" if self.name else ""
        return f"{self.account}: {self.verb} {self.resource}{'.' if self.group else ''}{self.group}{name} in {where}"


@dataclass(frozen=True, order=True)
class Use:
    """One kind of request that an account made."""

    account: str
    namespace: str  # of the object; empty: of none, or of all
    group: str
    resource: str
    verb: str
    name: str
    refused: bool

    def __str__(self) -> str:
        return f"{self.account}: {self.verb} {self.resource} {self.namespace}/{self.name}"

    def by(self, right: Right) -> bool:
        """Whether it is this right that allowed it."""
        return (
            (self.account, self.group, self.resource, self.verb)
            == (right.account, right.group, right.resource, right.verb)
            and right.namespace in ("", self.namespace)
            and right.name in ("", self.name)
        )


def uses(audit_log: Path, namespace: str) -> set[Use]:
    """What the service accounts of a namespace asked for."""
    found = set()
    prefix = f"system:serviceaccount:{namespace}:"
    with audit_log.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            user, what = event["user"].get("username", ""), event.get("objectRef")
            if not user.startswith(prefix) or not what:
                continue
            resource = what["resource"] + (f"/{what['subresource']}" if what.get("subresource") else "")
            code = event.get("responseStatus", {}).get("code", 200)
            found.add(
                Use(
                    user.removeprefix(prefix),
                    what.get("namespace", ""),
                    what.get("apiGroup", ""),
                    resource,
                    event["verb"],
                    what.get("name", ""),
                    code == 403,
                )
            )
    return found


def rights(objects: Iterable[dict[str, Any]], namespace: str) -> set[Right]:
    """What the (Cluster)Roles and bindings among some manifests grant to the service accounts of a namespace."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for o in objects:
        by_kind.setdefault(o["kind"], []).append(o)
    found: set[Right] = set()
    for binding in by_kind.get("RoleBinding", []) + by_kind.get("ClusterRoleBinding", []):
        where = binding["metadata"].get("namespace", namespace) if binding["kind"] == "RoleBinding" else ""
        wanted = (binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for role in by_kind.get(wanted[0], []):
            if role["metadata"]["name"] != wanted[1]:
                continue
            if wanted[0] == "Role" and role["metadata"].get("namespace", namespace) != where:
                continue
            for subject in binding.get("subjects") or []:
                found |= set(_granted(subject["name"], where, role))
    return found


def _granted(account: str, where: str, role: dict[str, Any]) -> Iterator[Right]:
    for rule in role.get("rules") or []:
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                for verb in rule.get("verbs") or []:
                    for name in rule.get("resourceNames") or [""]:
                        yield Right(account, where, group, resource, verb, name)


def unused(granted: Iterable[Right], used: Iterable[Use]) -> list[Right]:
    used = list(used)
    return sorted(r for r in granted if not any(u.by(r) and not u.refused for u in used))


def missing(granted: Iterable[Right], used: Iterable[Use]) -> list[Use]:
    """What was refused, but for what is granted: that was before, or after, or to a server that had just started."""
    granted = list(granted)
    return sorted(u for u in used if u.refused and not any(u.by(r) for r in granted))
