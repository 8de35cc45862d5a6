# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/proxy/backend.h \
	src/proxy/child.c \
	src/proxy/child.h \
	src/proxy/conntrack.c \
	src/proxy/conntrack.h \
	src/proxy/conntrack_run.c \
	src/proxy/dump.c \
	src/proxy/dump.h \
	src/proxy/foreign.c \
	src/proxy/foreign.h \
	src/proxy/nftables.c \
	src/proxy/nftables.h \
	src/proxy/pace.c \
	src/proxy/pace.h \
	src/proxy/passage.c \
	src/proxy/passage.h \
	src/proxy/proxy.c \
	src/proxy/removal.c \
	src/proxy/removal.h \
	src/proxy/ruleset.c \
	src/proxy/ruleset.h \
	src/proxy/spec.c \
	src/proxy/spec.h \
	src/proxy/takeover.c \
	src/proxy/takeover.h \
	src/proxy/traffic.c \
	src/proxy/traffic.h \
	src/proxy/udp.c \
	src/proxy/udp.h \
	src/proxy/iptables/adoption.c \
	src/proxy/iptables/batch.c \
	src/proxy/iptables/chain.c \
	src/proxy/iptables/chain.h \
	src/proxy/iptables/cleanup.c \
	src/proxy/iptables/iptables.c \
	src/proxy/iptables/looks.c \
	src/proxy/iptables/model.c \
	src/proxy/iptables/model.h \
	src/proxy/iptables/model_private.h \
	src/proxy/iptables/native.c \
	src/proxy/iptables/native.h \
	src/proxy/iptables/path.c \
	src/proxy/iptables/path.h \
	src/proxy/iptables/plan.c \
	src/proxy/iptables/plane.c \
	src/proxy/iptables/plane.h \
	src/proxy/iptables/plane_private.h \
	src/proxy/iptables/render.c \
	src/proxy/iptables/render.h \
	src/proxy/iptables/save.c \
	src/proxy/iptables/save.h \
	src/proxy/iptables/variant.c \
	src/proxy/iptables/variant.h \
	src/proxy/iptables/watch.c \
	src/proxy/iptables/watch.h
noinst_HEADERS += \
	include/fairlead/proxy.h

check_PROGRAMS += tests/unit/test_proxy_traffic
TESTS += tests/unit/test_proxy_traffic
tests_unit_test_proxy_traffic_SOURCES = tests/unit/test_proxy_traffic.c tests/unit/unit.h
tests_unit_test_proxy_traffic_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_takeover
TESTS += tests/unit/test_proxy_takeover
tests_unit_test_proxy_takeover_SOURCES = tests/unit/test_proxy_takeover.c tests/unit/unit.h
tests_unit_test_proxy_takeover_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_render
TESTS += tests/unit/test_proxy_render
tests_unit_test_proxy_render_SOURCES = tests/unit/test_proxy_render.c tests/unit/unit.h
tests_unit_test_proxy_render_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_model
TESTS += tests/unit/test_proxy_model
tests_unit_test_proxy_model_SOURCES = tests/unit/test_proxy_model.c tests/unit/unit.h
tests_unit_test_proxy_model_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_plane
TESTS += tests/unit/test_proxy_plane
tests_unit_test_proxy_plane_SOURCES = tests/unit/test_proxy_plane.c tests/unit/unit.h
tests_unit_test_proxy_plane_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_conntrack
TESTS += tests/unit/test_proxy_conntrack
tests_unit_test_proxy_conntrack_SOURCES = tests/unit/test_proxy_conntrack.c tests/unit/unit.h
tests_unit_test_proxy_conntrack_LDADD = $(UNIT_LDADD)

# With a kernel that is made up, in virtual time.
check_PROGRAMS += tests/unit/test_proxy_udp
TESTS += tests/unit/test_proxy_udp
tests_unit_test_proxy_udp_SOURCES = tests/unit/test_proxy_udp.c tests/unit/unit.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_proxy_udp_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) -Wl,--wrap=conntrack_run_start,--wrap=conntrack_run_step,--wrap=conntrack_run_free
tests_unit_test_proxy_udp_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_path
TESTS += tests/unit/test_proxy_path
tests_unit_test_proxy_path_SOURCES = tests/unit/test_proxy_path.c tests/unit/unit.h
tests_unit_test_proxy_path_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_save
TESTS += tests/unit/test_proxy_save
tests_unit_test_proxy_save_SOURCES = tests/unit/test_proxy_save.c tests/unit/unit.h
tests_unit_test_proxy_save_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_proxy_save
tests_fuzz_fuzz_proxy_save_SOURCES = tests/fuzz/fuzz_proxy_save.c $(FUZZ_MAIN)
tests_fuzz_fuzz_proxy_save_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_proxy_save

# Drives the proxy for the packet tests in tests/e2e/test_proxy.py.
noinst_PROGRAMS += tests/proxy/proxyctl
tests_proxy_proxyctl_SOURCES = tests/proxy/proxyctl.c
