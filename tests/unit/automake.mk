# SPDX-License-Identifier: Apache-2.0
# One cmocka program a module, tests/unit/test_NAME.c; each room's automake.mk names its own.

UNIT_LDADD = $(LDADD) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_base
TESTS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c tests/unit/unit.h
tests_unit_test_base_LDADD = $(UNIT_LDADD)

# The documentation's tables are those of the program: compared here, and by `make tables` printed anew.
check_PROGRAMS += tests/unit/test_tables
TESTS += tests/unit/test_tables
tests_unit_test_tables_SOURCES = tests/unit/test_tables.c tests/unit/unit.h
tests_unit_test_tables_LDADD = $(UNIT_LDADD)

tables: tests/unit/test_tables
	SRCDIR='$(srcdir)' tests/unit/test_tables --write
.PHONY: tables
