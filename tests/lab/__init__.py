# SPDX-License-Identifier: Apache-2.0
"""The lab: a small cluster of network namespaces on one machine, with real packets.

One LAN (192.168.1.0/24) with a control plane, nodes and a client on it; behind each node Pods in namespaces of
their own.
What is real: interfaces, ARP, routing, netfilter, the product's programs.  What is ours: the API server (tests/apisim),
the Pod runner and the EndpointSlice controller (kubelet.py), and the program in the Pods (echo.c).

  netns       entering namespaces, making and deleting them
  net         the topology: names, addresses, MACs, links
  arp         ARP frames: asking and watching
  capture     packet captures for assertions
  web         HTTP and UDP from a namespace
  load        so many connections a second, and what became of each
  api         the API server's client of the lab
  processes   programs in namespaces: start, stop, pause, logs
  rundir      the run directory: one lab of an id at a time, leftovers
  slices      which EndpointSlices a Service shall have: pure
  kubelet     runs Pods, keeps their status and the EndpointSlices; a process of its own
  cluster     all of it together: what the demo and the tests use
"""
