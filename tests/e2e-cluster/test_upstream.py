# SPDX-License-Identifier: Apache-2.0
"""A part of Kubernetes' own suite, in mode nftables: all that belongs to Conformance, and what once failed.
tests/upstream runs the whole, in every mode."""

from collections.abc import Mapping

import pytest

from conformance import exceptions, outcomes, pictures, place, suite
from conformance.outcomes import Outcome
from lab import kubernetes
from podlab.cluster import Cluster

MODE = "nftables"
_ONCE_FAILED = (
    "LoadBalancers ExternalTrafficPolicy: Local [Feature:LoadBalancer] [Slow] should only target nodes with endpoints",
    "Services should be possible to connect to a service via ExternalIP when the external IP is not assigned to a node",
    "Services should be rejected for evicted pods (no endpoints exist)",
    "Services should fail health check node port if there are only terminating endpoints",
    "Services should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes",
    "Services should implement service.kubernetes.io/headless",
    "Services should implement service.kubernetes.io/service-proxy-name",
    "DNS should support configurable pod resolv.conf",
    "KubeProxy should set TCP CLOSE_WAIT timeout [Privileged]",
)


def _chosen() -> list[str]:
    """Without the suite there is no cluster either, which is what the tests then say."""
    if kubernetes.missing():
        return ["Conformance"]
    once_failed = {suite.ABOUT + name for name in _ONCE_FAILED}
    tests = suite.tests()
    assert once_failed <= {t.name for t in tests}
    return [t.name for t in tests if t.conformance or t.name in once_failed]


CHOSEN = _chosen()


@pytest.fixture(scope="module")
def verdicts(cluster: Cluster) -> Mapping[str, Outcome]:
    """What became of all of them, some run side by side."""
    cluster.stop_kube_proxy()
    archives = pictures.build(cluster.build / "images/upstream")
    with place.prepared(cluster, MODE, archives):
        return place.run(cluster, MODE, CHOSEN, processes=6)


@pytest.mark.parametrize("name", CHOSEN)
def test_upstream(verdicts: Mapping[str, Outcome], name: str) -> None:
    assert outcomes.judge(MODE, name, verdicts[name], exceptions.load(place.MODES)) == ""
