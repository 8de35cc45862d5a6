# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/l2/arp.c \
	src/l2/attach.c \
	src/l2/board.c \
	src/l2/claims.c \
	src/l2/contest.c \
	src/l2/entries.c \
	src/l2/gate.c \
	src/l2/ifaces.c \
	src/l2/l2.c \
	src/l2/link.c \
	src/l2/nodes.c \
	src/l2/rivals.c \
	src/l2/segment.c \
	src/l2/snapshot.c \
	src/l2/tables.c \
	src/l2/troubles.c
noinst_HEADERS += \
	include/fairlead/l2.h \
	src/l2/arp.h \
	src/l2/attach.h \
	src/l2/board.h \
	src/l2/claims.h \
	src/l2/claims_private.h \
	src/l2/ifaces.h \
	src/l2/link.h \
	src/l2/segment.h \
	src/l2/snapshot.h \
	src/l2/troubles.h

check_PROGRAMS += tests/unit/test_ownership
TESTS += tests/unit/test_ownership
tests_unit_test_ownership_SOURCES = tests/unit/test_ownership.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_ownership_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_ownership_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_rivals
TESTS += tests/unit/test_rivals
tests_unit_test_rivals_SOURCES = tests/unit/test_rivals.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_rivals_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_rivals_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_silences
TESTS += tests/unit/test_silences
tests_unit_test_silences_SOURCES = tests/unit/test_silences.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_silences_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_silences_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_sightings
TESTS += tests/unit/test_sightings
tests_unit_test_sightings_SOURCES = tests/unit/test_sightings.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_sightings_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_sightings_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_troubles
TESTS += tests/unit/test_troubles
tests_unit_test_troubles_SOURCES = tests/unit/test_troubles.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_troubles_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_troubles_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_l2
TESTS += tests/unit/test_l2
tests_unit_test_l2_SOURCES = tests/unit/test_l2.c tests/unit/unit.h
tests_unit_test_l2_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_ifaces
TESTS += tests/unit/test_ifaces
tests_unit_test_ifaces_SOURCES = tests/unit/test_ifaces.c tests/unit/unit.h
tests_unit_test_ifaces_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_arp tests/fuzz/fuzz_heartbeat
tests_fuzz_fuzz_arp_SOURCES = tests/fuzz/fuzz_arp.c $(FUZZ_MAIN)
tests_fuzz_fuzz_arp_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_heartbeat_SOURCES = tests/fuzz/fuzz_heartbeat.c $(FUZZ_MAIN)
tests_fuzz_fuzz_heartbeat_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_arp tests/fuzz/fuzz_heartbeat

check_PROGRAMS += tests/l2/l2node
tests_l2_l2node_SOURCES = tests/l2/l2node.c
