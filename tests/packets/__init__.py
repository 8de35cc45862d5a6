# SPDX-License-Identifier: Apache-2.0
"""What becomes of a packet to a Service, as a table, and what it takes to try all of it.

	specification.py  what shall become of it, written by hand from how Kubernetes describes Services
	cases.py          the Services and all combinations
	differences.py    where Fairlead or a mode of kube-proxy departs from that, each with its row in docs/dataplane.md
	network.py        namespaces: a client, two nodes, their Pods
	wire.py           packets as bytes
	probes.py         sends them all, and says what became of each
	fairlead.py       Fairlead's data plane under test, driven by proxyctl
	kubeproxy.py      kube-proxy under test, driven by a real API server

Nothing here looks at how the data plane under test decides.
"""
