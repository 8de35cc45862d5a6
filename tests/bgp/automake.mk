# SPDX-License-Identifier: Apache-2.0
# A driver of the room bgp for tests/e2e/test_bgp_room.py and for hands.
check_PROGRAMS += tests/bgp/bgpctl
tests_bgp_bgpctl_SOURCES = tests/bgp/bgpctl.c
