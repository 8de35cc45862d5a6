# SPDX-License-Identifier: Apache-2.0
"""Where Fairlead, or one mode of kube-proxy, is known to depart from what is specified.

Each has a row of its name in the table of docs/dataplane.md, which says why; tests/lint docs compares them.  What is
not here is a failure.
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import fairlead, kubeproxy
from .cases import ENDPOINTS, Case
from .specification import REFUSED, SILENCE, Fate, From, To, selected

FAIRLEAD, IPTABLES, NFTABLES = "Fairlead", "kube-proxy, iptables", "kube-proxy, nftables"
# Who is under test, by mode; as the columns of the table are called.
SIDES = {
    **{mode: FAIRLEAD for mode in fairlead.OPTIONS},
    "kube-proxy-iptables": IPTABLES,
    "kube-proxy-nftables": NFTABLES,
}
MODES = tuple(SIDES)
assert set(MODES) == set(fairlead.OPTIONS) | set(kubeproxy.MODES)


@dataclass(frozen=True)
class Difference:
    name: str
    concerns: Callable[[Case], bool]
    fates: dict[str, Callable[[Case], Fate]]  # by the side that departs


def _of_nobody(case: Case) -> Fate:
    """No rule takes it, and nothing on the node listens."""
    return SILENCE if case.protocol == "SCTP" else REFUSED


def _refusals_alone(case: Case) -> Fate:
    """Of the rules for node ports only those that refuse take it."""
    everywhere, here = selected(ENDPOINTS[case.service.endpoints])
    if not everywhere and not here:
        return REFUSED
    return SILENCE if case.service.traffic.external_local and not here else _of_nobody(case)


def _refused(_: Case) -> Fate:
    return REFUSED


def _dropped(_: Case) -> Fate:
    return SILENCE


DIFFERENCES = (
    Difference(
        "closed-ports",
        lambda c: c.to in (To.VIP_CLOSED, To.EXTERNAL_IP_CLOSED) and not c.bound,
        {FAIRLEAD: _refused},
    ),
    Difference(
        "closed-cluster-ip-ports",
        lambda c: c.to is To.CLUSTER_IP_CLOSED,
        {NFTABLES: _refused},
    ),
    Difference(
        "node-port-addresses",
        lambda c: c.to is To.NODE_PORT_TOO,
        {NFTABLES: _of_nobody},
    ),
    Difference(
        "loopback-node-ports",
        lambda c: c.sender is From.LOOPBACK,
        {
            FAIRLEAD: lambda c: c.fate if c.family == 4 and c.node.localhost else _of_nobody(c),
            IPTABLES: lambda c: c.fate if c.family == 4 else _refusals_alone(c),
            NFTABLES: _of_nobody,
        },
    ),
    Difference(
        "refusals-to-the-node",
        lambda c: c.to in (To.VIP, To.EXTERNAL_IP) and not c.bound and c.sender is From.NODE and c.fate == REFUSED,
        {IPTABLES: _dropped},
    ),
    Difference(
        "ranges-before-endpoints",
        lambda c: c.to is To.VIP and not c.admitted,
        {NFTABLES: _dropped},
    ),
)


def expected(mode: str, case: Case) -> Fate:
    """What becomes of it in a mode."""
    for difference in DIFFERENCES:
        depart = difference.fates.get(SIDES[mode])
        if depart and difference.concerns(case):
            return depart(case)
    return case.fate
