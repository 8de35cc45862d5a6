# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/cli/options.c
noinst_HEADERS += \
	include/fairlead/options.h

check_PROGRAMS += tests/unit/test_options
TESTS += tests/unit/test_options
tests_unit_test_options_SOURCES = tests/unit/test_options.c tests/unit/unit.h
tests_unit_test_options_LDADD = $(UNIT_LDADD)
