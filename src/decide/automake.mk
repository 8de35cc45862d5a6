# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/decide/address.c \
	src/decide/advertisements.c \
	src/decide/endpoints.c \
	src/decide/facts.c \
	src/decide/forward.c \
	src/decide/message.c \
	src/decide/node.c \
	src/decide/private.h
noinst_HEADERS += \
	include/fairlead/decide.h \
	include/fairlead/facts.h \
	include/fairlead/forward.h

check_PROGRAMS += tests/unit/test_decide
TESTS += tests/unit/test_decide
tests_unit_test_decide_SOURCES = tests/unit/test_decide.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_decide_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_forward
TESTS += tests/unit/test_forward
tests_unit_test_forward_SOURCES = tests/unit/test_forward.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_forward_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_where
TESTS += tests/unit/test_where
tests_unit_test_where_SOURCES = tests/unit/test_where.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_where_LDADD = $(UNIT_LDADD)
