# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/claims/cause.c \
	src/claims/claims.c \
	src/claims/contest.c \
	src/claims/datagram.c \
	src/claims/entries.c \
	src/claims/gate.c \
	src/claims/handover.c \
	src/claims/identity.c \
	src/claims/member.c \
	src/claims/member_timing.c \
	src/claims/nodes.c \
	src/claims/order.c \
	src/claims/rebalance.c \
	src/claims/rivals.c \
	src/claims/spread.c \
	src/claims/stand_in.c \
	src/claims/start.c \
	src/claims/strangers.c \
	src/claims/tables.c \
	src/claims/untaken.c \
	src/claims/wire.c
noinst_HEADERS += \
	include/fairlead/claims.h \
	include/fairlead/identity.h \
	include/fairlead/member.h \
	include/fairlead/ownership.h \
	include/fairlead/spread.h \
	include/fairlead/strangers.h \
	include/fairlead/wire.h \
	src/claims/datagram.h \
	src/claims/member_private.h \
	src/claims/private.h

check_PROGRAMS += tests/unit/test_spread
TESTS += tests/unit/test_spread
tests_unit_test_spread_SOURCES = tests/unit/test_spread.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_spread_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_spread_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_order
TESTS += tests/unit/test_order
tests_unit_test_order_SOURCES = tests/unit/test_order.c tests/unit/unit.h
tests_unit_test_order_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_handover
TESTS += tests/unit/test_handover
tests_unit_test_handover_SOURCES = tests/unit/test_handover.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_handover_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_handover_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_rebalance
TESTS += tests/unit/test_rebalance
tests_unit_test_rebalance_SOURCES = tests/unit/test_rebalance.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_rebalance_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_rebalance_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_member
TESTS += tests/unit/test_member
tests_unit_test_member_SOURCES = tests/unit/test_member.c tests/unit/unit.h
tests_unit_test_member_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_timing
TESTS += tests/unit/test_timing
tests_unit_test_timing_SOURCES = tests/unit/test_timing.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_timing_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_timing_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_versions
TESTS += tests/unit/test_versions
tests_unit_test_versions_SOURCES = tests/unit/test_versions.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_versions_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_versions_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_wire
TESTS += tests/unit/test_wire
tests_unit_test_wire_SOURCES = tests/unit/test_wire.c tests/unit/unit.h
tests_unit_test_wire_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_ownership
TESTS += tests/unit/test_ownership
tests_unit_test_ownership_SOURCES = tests/unit/test_ownership.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_ownership_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_ownership_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_moves
TESTS += tests/unit/test_moves
tests_unit_test_moves_SOURCES = tests/unit/test_moves.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_moves_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2
tests_unit_test_moves_LDADD = $(UNIT_LDADD)

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

check_PROGRAMS += tests/unit/test_many
TESTS += tests/unit/test_many
tests_unit_test_many_SOURCES = tests/unit/test_many.c tests/unit/unit.h tests/l2/sim.c tests/l2/sim.h
tests_unit_test_many_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests/l2 -DSIM_NODES_MAX=512 -DSIM_ADDRESSES_MAX=10240
tests_unit_test_many_LDADD = $(UNIT_LDADD)
