# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/member/member.c \
	src/member/strangers.c \
	src/member/wire.c
noinst_HEADERS += \
	include/fairlead/member.h \
	include/fairlead/strangers.h \
	include/fairlead/wire.h

check_PROGRAMS += tests/unit/test_member
TESTS += tests/unit/test_member
tests_unit_test_member_SOURCES = tests/unit/test_member.c tests/unit/unit.h
tests_unit_test_member_LDADD = $(UNIT_LDADD)
