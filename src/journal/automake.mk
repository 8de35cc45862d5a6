# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/journal/holders.c \
	src/journal/journal.c
noinst_HEADERS += \
	include/fairlead/journal.h

check_PROGRAMS += tests/unit/test_journal
TESTS += tests/unit/test_journal
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c tests/unit/unit.h
tests_unit_test_journal_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_journal
tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c $(FUZZ_MAIN)
tests_fuzz_fuzz_journal_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_journal
