# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/base/addr.c \
	src/base/addr_local.c \
	src/base/base64.c \
	src/base/buckets.c \
	src/base/buf.c \
	src/base/checksum.c \
	src/base/clock.c \
	src/base/cursor.c \
	src/base/daemon.c \
	src/base/err.c \
	src/base/hash.c \
	src/base/histogram.c \
	src/base/labels.c \
	src/base/log.c \
	src/base/mem.c \
	src/base/options.c \
	src/base/out.c \
	src/base/reason.c \
	src/base/seniority.c \
	src/base/streams.c \
	src/base/table.c \
	src/base/thread.c
noinst_HEADERS += \
	include/fairlead/addr.h \
	include/fairlead/base64.h \
	include/fairlead/buckets.h \
	include/fairlead/buf.h \
	include/fairlead/checksum.h \
	include/fairlead/clock.h \
	include/fairlead/cursor.h \
	include/fairlead/daemon.h \
	include/fairlead/err.h \
	include/fairlead/fields.h \
	include/fairlead/hash.h \
	include/fairlead/histogram.h \
	include/fairlead/labels.h \
	include/fairlead/limits.h \
	include/fairlead/log.h \
	include/fairlead/mem.h \
	include/fairlead/metrics.def \
	include/fairlead/options.h \
	include/fairlead/out.h \
	include/fairlead/reason.h \
	include/fairlead/reasons.def \
	include/fairlead/seniority.h \
	include/fairlead/streams.h \
	include/fairlead/table.h \
	include/fairlead/thread.h \
	include/fairlead/traffic.h

check_PROGRAMS += tests/unit/test_out
TESTS += tests/unit/test_out
tests_unit_test_out_SOURCES = tests/unit/test_out.c tests/unit/unit.h
tests_unit_test_out_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_options
TESTS += tests/unit/test_options
tests_unit_test_options_SOURCES = tests/unit/test_options.c tests/unit/unit.h
tests_unit_test_options_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_table
TESTS += tests/unit/test_table
tests_unit_test_table_SOURCES = tests/unit/test_table.c tests/unit/unit.h
tests_unit_test_table_LDADD = $(UNIT_LDADD)
