# SPDX-License-Identifier: Apache-2.0
"""A whole Kubernetes cluster with real Pods on one machine: the lab's network (lab/net.py) with, in its namespaces,

  cp      etcd, kube-apiserver, kube-controller-manager, kube-scheduler
  nodeN   containerd, kubelet and, unless Fairlead shall be the proxy, kube-proxy
  client  whoever uses the Services

What is real: everything but the machines.  Pods are containers with the security context that they ask for; those on
the host network see their node's namespace.  What is missing: storage, and a registry: images are imported.

  machine   what this machine must have, and whether it has
  images    images made here: pause, and the program of the examples
  cgroups   the cgroups of a node: making, counting, ending
  node      one node
  dns       the cluster's DNS
  dual      the second family of the cluster's network
  cluster   all of it together: what `tests/cluster` and the tests use
  load      a client's load on a Service, and what became of its connections
  door      the API server on the loopback address of this machine, for people
"""
