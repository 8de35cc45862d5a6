# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/bgp/attr.c \
	src/bgp/batch.c \
	src/bgp/bfd.c \
	src/bgp/cleanup.c \
	src/bgp/client.c \
	src/bgp/diff.c \
	src/bgp/dump.c \
	src/bgp/effective.c \
	src/bgp/engine.c \
	src/bgp/md5.c \
	src/bgp/model.c \
	src/bgp/policy.c \
	src/bgp/probe.c \
	src/bgp/running.c \
	src/bgp/session.c \
	src/bgp/sessions.c \
	src/bgp/status.c \
	src/bgp/vty.c \
	src/bgp/want.c
noinst_HEADERS += \
	include/fairlead/bgp.h \
	src/bgp/bfd.h \
	src/bgp/client.h \
	src/bgp/diff.h \
	src/bgp/engine.h \
	src/bgp/md5.h \
	src/bgp/model.h \
	src/bgp/probe.h \
	src/bgp/running.h \
	src/bgp/session.h \
	src/bgp/sessions.h \
	src/bgp/vty.h \
	src/bgp/want.h

check_PROGRAMS += tests/unit/test_bgp_diff
TESTS += tests/unit/test_bgp_diff
tests_unit_test_bgp_diff_SOURCES = tests/unit/test_bgp_diff.c tests/unit/bgpd_fake.c tests/unit/bgpd_fake.h tests/unit/unit.h
tests_unit_test_bgp_diff_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_bgp_engine
TESTS += tests/unit/test_bgp_engine
tests_unit_test_bgp_engine_SOURCES = tests/unit/test_bgp_engine.c tests/unit/bgpd_fake.c tests/unit/bgpd_fake.h \
	tests/unit/vty_server.c tests/unit/vty_server.h tests/unit/unit.h
tests_unit_test_bgp_engine_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_bgp
TESTS += tests/unit/test_bgp
tests_unit_test_bgp_SOURCES = tests/unit/test_bgp.c tests/unit/unit.h
tests_unit_test_bgp_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_bgp_vty
tests_fuzz_fuzz_bgp_vty_SOURCES = tests/fuzz/fuzz_bgp_vty.c $(FUZZ_MAIN)
tests_fuzz_fuzz_bgp_vty_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_bgp_vty

check_PROGRAMS += tests/fuzz/fuzz_bgp_running
tests_fuzz_fuzz_bgp_running_SOURCES = tests/fuzz/fuzz_bgp_running.c $(FUZZ_MAIN)
tests_fuzz_fuzz_bgp_running_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_bgp_running

check_PROGRAMS += tests/fuzz/fuzz_bgp_session
tests_fuzz_fuzz_bgp_session_SOURCES = tests/fuzz/fuzz_bgp_session.c $(FUZZ_MAIN)
tests_fuzz_fuzz_bgp_session_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_bgp_session
