# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/l2/arp.c \
	src/l2/askers.c \
	src/l2/attach.c \
	src/l2/board.c \
	src/l2/brake.c \
	src/l2/filter.c \
	src/l2/groups.c \
	src/l2/ifaces.c \
	src/l2/ifaces_watch.c \
	src/l2/l2.c \
	src/l2/link.c \
	src/l2/ndp.c \
	src/l2/neighbor.c \
	src/l2/segment.c \
	src/l2/segment_tell.c \
	src/l2/places.c \
	src/l2/snapshot.c \
	src/l2/sniffer.c \
	src/l2/stragglers.c \
	src/l2/telling.c \
	src/l2/troubles.c \
	src/l2/urgent.c \
	src/l2/want_map.c
noinst_HEADERS += \
	include/fairlead/l2.h \
	include/fairlead/want_map.h \
	src/l2/arp.h \
	src/l2/askers.h \
	src/l2/attach.h \
	src/l2/board.h \
	src/l2/brake.h \
	src/l2/filter.h \
	src/l2/groups.h \
	src/l2/ifaces.h \
	src/l2/link.h \
	src/l2/ndp.h \
	src/l2/neighbor.h \
	src/l2/segment.h \
	src/l2/segment_private.h \
	src/l2/places.h \
	src/l2/snapshot.h \
	src/l2/sniffer.h \
	src/l2/stragglers.h \
	src/l2/telling.h \
	src/l2/troubles.h \
	src/l2/urgent.h

check_PROGRAMS += tests/unit/test_troubles
TESTS += tests/unit/test_troubles
tests_unit_test_troubles_SOURCES = tests/unit/test_troubles.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_troubles_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_troubles_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_segment
TESTS += tests/unit/test_segment
tests_unit_test_segment_SOURCES = tests/unit/test_segment.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_segment_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_segment_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_stragglers
TESTS += tests/unit/test_stragglers
tests_unit_test_stragglers_SOURCES = tests/unit/test_stragglers.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_stragglers_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_stragglers_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_sniffer
TESTS += tests/unit/test_sniffer
tests_unit_test_sniffer_SOURCES = tests/unit/test_sniffer.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_sniffer_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_sniffer_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=socket,--wrap=bind,--wrap=setsockopt,--wrap=close
tests_unit_test_sniffer_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_steady
TESTS += tests/unit/test_steady
tests_unit_test_steady_SOURCES = tests/unit/test_steady.c tests/unit/unit.h
tests_unit_test_steady_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
tests_unit_test_steady_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_l2
TESTS += tests/unit/test_l2
tests_unit_test_l2_SOURCES = tests/unit/test_l2.c tests/unit/unit.h
tests_unit_test_l2_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_want_map
TESTS += tests/unit/test_want_map
tests_unit_test_want_map_SOURCES = tests/unit/test_want_map.c tests/unit/unit.h
tests_unit_test_want_map_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_attach
TESTS += tests/unit/test_attach
tests_unit_test_attach_SOURCES = tests/unit/test_attach.c tests/unit/unit.h
tests_unit_test_attach_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_ifaces
TESTS += tests/unit/test_ifaces
tests_unit_test_ifaces_SOURCES = tests/unit/test_ifaces.c tests/unit/unit.h
tests_unit_test_ifaces_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_filter
TESTS += tests/unit/test_filter
tests_unit_test_filter_SOURCES = tests/unit/test_filter.c tests/unit/unit.h
tests_unit_test_filter_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_brake
TESTS += tests/unit/test_brake
tests_unit_test_brake_SOURCES = tests/unit/test_brake.c tests/unit/unit.h
tests_unit_test_brake_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_groups
TESTS += tests/unit/test_groups
tests_unit_test_groups_SOURCES = tests/unit/test_groups.c tests/unit/unit.h
tests_unit_test_groups_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_ndp
TESTS += tests/unit/test_ndp
tests_unit_test_ndp_SOURCES = tests/unit/test_ndp.c tests/unit/unit.h
tests_unit_test_ndp_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_arp tests/fuzz/fuzz_heartbeat tests/fuzz/fuzz_ndp tests/fuzz/fuzz_sniffer
tests_fuzz_fuzz_arp_SOURCES = tests/fuzz/fuzz_arp.c $(FUZZ_MAIN)
tests_fuzz_fuzz_arp_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_heartbeat_SOURCES = tests/fuzz/fuzz_heartbeat.c $(FUZZ_MAIN)
tests_fuzz_fuzz_heartbeat_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_ndp_SOURCES = tests/fuzz/fuzz_ndp.c $(FUZZ_MAIN)
tests_fuzz_fuzz_ndp_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_sniffer_SOURCES = tests/fuzz/fuzz_sniffer.c $(FUZZ_MAIN)
tests_fuzz_fuzz_sniffer_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_arp tests/fuzz/fuzz_heartbeat tests/fuzz/fuzz_ndp tests/fuzz/fuzz_sniffer

check_PROGRAMS += tests/l2/l2node
tests_l2_l2node_SOURCES = tests/l2/l2node.c

check_PROGRAMS += tests/l2/flood
tests_l2_flood_SOURCES = tests/l2/flood.c
