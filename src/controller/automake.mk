# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/controller/record.c \
	src/controller/record.h \
	src/controller/turn.c \
	src/controller/turn.h

sbin_PROGRAMS += src/controller/fairlead-controller
src_controller_fairlead_controller_SOURCES = \
	src/controller/assign.c \
	src/controller/contest.c \
	src/controller/controller.c \
	src/controller/controller.h \
	src/controller/heartbeat_key.c \
	src/controller/main.c \
	src/controller/publish.c \
	src/controller/registry.c \
	src/controller/report.c \
	src/controller/uninstall.c \
	src/controller/writer.c

check_PROGRAMS += tests/unit/test_record
TESTS += tests/unit/test_record
tests_unit_test_record_SOURCES = tests/unit/test_record.c tests/unit/unit.h
tests_unit_test_record_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_turn
TESTS += tests/unit/test_turn
tests_unit_test_turn_SOURCES = tests/unit/test_turn.c tests/unit/unit.h
tests_unit_test_turn_LDADD = $(UNIT_LDADD)

dist_man_MANS += \
	man/fairlead-controller.8 \
	man/fairlead.yaml.5
