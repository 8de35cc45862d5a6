# SPDX-License-Identifier: Apache-2.0
"""A client's load on a Service of the cluster, and what is known of the connections that failed."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from lab import netns
from lab.changes import Change, Watched
from lab.load import Load, Outcome

from .cluster import Cluster

# A line of `conntrack -L`: the state, what the client sent from, and who answers it.
_FLOW = re.compile(r"tcp +6 \d+ (\w+) src=\S+ dst=\S+ sport=(\d+) dport=\d+ .*?src=(\S+) dst=\S+ sport=(\d+)")
_AT_MOST = 12  # connections that are told of one by one


class ServiceLoad(Load):
    """With the nodes to which packets to the address are sent, where that may change."""

    def __init__(
        self, cluster: Cluster, namespace: str, address: str, paths: Watched | None = None, **more: Any
    ) -> None:
        super().__init__(namespace, address, **more)
        self._cluster, self._paths = cluster, paths

    def __enter__(self) -> "ServiceLoad":
        if self._paths:
            self._paths.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._paths:
            self._paths.__exit__()

    @property
    def changes(self) -> list[Change]:
        return list(self._paths.changes) if self._paths else []

    def moved(self, outcome: Outcome) -> bool:
        """Whether it is one that ended because the router got a path more.

        The router then sends some of the connections that are under way by that node, which knows nothing of them, and
        whose Pod resets them.  How many are under way depends on how busy the machine is; so they are not counted.
        """
        return self._was_reset_at([c for c in self.changes if set(c.was) < set(c.now)], outcome)

    def moved_or_bereft(self, outcome: Outcome) -> bool:
        """The same, or because the path of a connection went while its last packets were still under way."""
        return self._was_reset_at(self.changes, outcome)

    @staticmethod
    def _was_reset_at(changes: list[Change], outcome: Outcome) -> bool:
        return outcome.was_reset and any(c.within(outcome.started, outcome.ended) for c in changes)

    def tell(self, outcomes: list[Outcome], since: float) -> str:
        """All that is known of some connections, in seconds since a moment."""
        flows = self._flows()
        lines = [f"{len(outcomes)} of {len(self.outcomes)} connections to {self.address}:"]
        for o in outcomes[:_AT_MOST]:
            known = "; ".join(flows.get(o.port, ["no node remembers it"]))
            when = f"{o.started - since:.2f} s to {o.ended - since:.2f} s"
            lines.append(f"  {when}, from port {o.port}: {o.error} ({known})")
        if len(outcomes) > _AT_MOST:
            lines.append(f"  …, the last one at {max(o.started for o in outcomes) - since:.2f} s")
        for c in self.changes:
            when = f"{c.after - since:.2f} s to {c.before - since:.2f} s"
            was, now = (", ".join(hops) or "nobody" for hops in (c.was, c.now))
            lines.append(f"  {when}: packets go to {now}, and before that to {was}")
        return "\n".join(lines)

    def _flows(self) -> dict[int, list[str]]:
        """What each node's connection tracking knows, by the client's port."""
        found: dict[int, list[str]] = {}
        for node in self._cluster.network.nodes:
            table = netns.output(node.namespace, ["conntrack", "-L", "-p", "tcp", "--orig-dst", self.address])
            for state, port, endpoint, endpoint_port in _FLOW.findall(table):
                found.setdefault(int(port), []).append(f"{node.name}: {state} to {endpoint}:{endpoint_port}")
        return found


def _never(_load: ServiceLoad, _outcome: Outcome) -> bool:
    return False


def none_failed(
    loads: Iterable[ServiceLoad],
    excused: Callable[[ServiceLoad, Outcome], bool] = _never,
    since: float | None = None,
    note: str = "",
) -> None:
    """To be asked once the block of the load has ended; seconds are told since its first connection, or @since."""
    told = []
    if note:
        print(note)
    for one in loads:
        print(one.summary(since))
        failed = sorted((o for o in one.failures if not excused(one, o)), key=lambda o: o.started)
        if failed:
            told.append(one.tell(failed, min(o.started for o in one.outcomes) if since is None else since))
    if told:
        raise AssertionError("\n".join(["failed, and nothing excuses it", *([note] if note else []), *told]))
