# SPDX-License-Identifier: Apache-2.0
"""The rights that the chart gives, beside what the audit log says was done with them in the tests before."""

from podlab import rights
from podlab.cluster import Cluster
from podlab.installation import MODES, NAMESPACE, render, values
from podlab.rights import Right, Use


# Rights that no test here comes to use, and the test that does.
ELSEWHERE = {
    # The patch of a Service whose answer was lost is looked up: tests/e2e/test_faults.py.
    Right("fairlead-controller", "", "", "services", "get"),
    # A configuration that could not be published is tried again by way of what is there: tests/e2e/test_faults.py.
    Right("fairlead-controller", NAMESPACE, "", "configmaps", "get", "fairlead-active"),
    # Where a configuration was never accepted: tests/chart.
    Right("fairlead-uninstall", NAMESPACE, "", "configmaps", "create"),
    # A speaker that cannot be reached from the hook's Pod: tests/e2e/test_kubernetes.py.
    Right("fairlead-uninstall", NAMESPACE, "", "pods/proxy", "get"),
}


def test_right_and_use() -> None:
    right = Right("a", "here", "", "secrets", "list", "key")
    use = Use("a", "here", "", "secrets", "list", "key", False)
    assert use.by(right)
    assert not Use("b", "here", "", "secrets", "list", "key", False).by(right)
    assert not Use("a", "there", "", "secrets", "list", "key", False).by(right)
    assert not Use("a", "here", "", "secrets", "list", "", False).by(right)
    assert not Use("a", "here", "", "secrets", "watch", "key", False).by(right)
    assert Use("a", "there", "", "secrets", "list", "x", False).by(Right("a", "", "", "secrets", "list"))
    refused = Use("a", "here", "", "secrets", "list", "key", True)
    assert rights.missing([right], [refused]) == []
    assert rights.missing([], [use, refused]) == [refused]
    assert rights.unused([right], [refused]) == [right]
    assert rights.unused([right], [use]) == []


def test_no_right_is_missing_and_none_is_given_in_vain(cluster: Cluster) -> None:
    used = rights.uses(cluster.plane.audit_log, NAMESPACE)
    assert used, "this test comes after the others"
    granted = set()
    for mode in MODES:
        granted |= rights.rights(render(cluster, values(mode, cluster)), NAMESPACE)
    missing = rights.missing(granted, used)
    assert not missing, "\n".join(map(str, missing))
    in_vain = [r for r in rights.unused(granted, used) if r not in ELSEWHERE]
    assert not in_vain, "\n".join(map(str, in_vain))
