# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/assign/edit.c \
	src/assign/patch.c \
	src/assign/record.c \
	src/assign/turn.c \
	src/assign/waiting.c
noinst_HEADERS += \
	include/fairlead/edit.h \
	include/fairlead/record.h \
	include/fairlead/turn.h \
	include/fairlead/waiting.h

check_PROGRAMS += tests/unit/test_record
TESTS += tests/unit/test_record
tests_unit_test_record_SOURCES = tests/unit/test_record.c tests/unit/unit.h
tests_unit_test_record_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_turn
TESTS += tests/unit/test_turn
tests_unit_test_turn_SOURCES = tests/unit/test_turn.c tests/unit/unit.h
tests_unit_test_turn_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_waiting
TESTS += tests/unit/test_waiting
tests_unit_test_waiting_SOURCES = tests/unit/test_waiting.c tests/unit/unit.h
tests_unit_test_waiting_LDADD = $(UNIT_LDADD)
