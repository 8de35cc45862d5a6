# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/view/addresses.c \
	src/view/intern.c \
	src/view/intern.h \
	src/view/private.h \
	src/view/ration.c \
	src/view/ration.h \
	src/view/services.c \
	src/view/size.c \
	src/view/slices.c \
	src/view/view.c
noinst_HEADERS += \
	include/fairlead/size.h \
	include/fairlead/view.h

check_PROGRAMS += tests/unit/test_view
TESTS += tests/unit/test_view
tests_unit_test_view_SOURCES = tests/unit/test_view.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_view_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_ration
TESTS += tests/unit/test_ration
tests_unit_test_ration_SOURCES = tests/unit/test_ration.c tests/unit/unit.h
tests_unit_test_ration_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_room
TESTS += tests/unit/test_room
tests_unit_test_room_SOURCES = tests/unit/test_room.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_room_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_view
tests_fuzz_fuzz_view_SOURCES = tests/fuzz/fuzz_view.c $(FUZZ_MAIN)
tests_fuzz_fuzz_view_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_view
