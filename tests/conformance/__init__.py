# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own end-to-end suite, as far as it is about the network, as the judge of Fairlead on a whole cluster
(podlab): what `tests/upstream` runs.

  suite       the suite: its tests, and running some of them
  pictures    the images of its Pods, by the names that it asks for
  place       a cluster with Fairlead in some mode, and where the suite stands
  exceptions  what is not expected to pass, and why
  outcomes    what became of each test, and whether that is as it should be
  page        docs/conformance.md
"""
