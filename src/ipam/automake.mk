# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/ipam/answer.c \
	src/ipam/audience.c \
	src/ipam/choose.c \
	src/ipam/cooling.c \
	src/ipam/decide.c \
	src/ipam/explain.c \
	src/ipam/external.c \
	src/ipam/freed.c \
	src/ipam/places.c \
	src/ipam/quota.c \
	src/ipam/ipam.c \
	src/ipam/order.c \
	src/ipam/request.c \
	src/ipam/reserved.c \
	src/ipam/round_robin.c \
	src/ipam/runs.c \
	src/ipam/stays.c \
	src/ipam/survey.c \
	src/ipam/tenancy.c \
	src/ipam/tenants.c
noinst_HEADERS += \
	include/fairlead/ipam.h \
	include/fairlead/tenancy.h \
	src/ipam/choice.h \
	src/ipam/ipam.h \
	src/ipam/runs.h

check_PROGRAMS += tests/fuzz/fuzz_cooling
tests_fuzz_fuzz_cooling_SOURCES = tests/fuzz/fuzz_cooling.c $(FUZZ_MAIN)
tests_fuzz_fuzz_cooling_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_cooling

check_PROGRAMS += tests/unit/test_giving
TESTS += tests/unit/test_giving
tests_unit_test_giving_SOURCES = tests/unit/test_giving.c tests/unit/unit.h
tests_unit_test_giving_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_ipam
TESTS += tests/unit/test_ipam
tests_unit_test_ipam_SOURCES = tests/unit/test_ipam.c tests/unit/unit.h
tests_unit_test_ipam_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_ipam_oracle
TESTS += tests/unit/test_ipam_oracle
tests_unit_test_ipam_oracle_SOURCES = tests/unit/test_ipam_oracle.c tests/unit/unit.h
tests_unit_test_ipam_oracle_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_sharing_oracle
TESTS += tests/unit/test_sharing_oracle
tests_unit_test_sharing_oracle_SOURCES = tests/unit/test_sharing_oracle.c tests/unit/unit.h
tests_unit_test_sharing_oracle_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_tenancy
TESTS += tests/unit/test_tenancy
tests_unit_test_tenancy_SOURCES = tests/unit/test_tenancy.c tests/unit/unit.h
tests_unit_test_tenancy_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_survey
TESTS += tests/unit/test_survey
tests_unit_test_survey_SOURCES = tests/unit/test_survey.c tests/unit/unit.h
tests_unit_test_survey_LDADD = $(UNIT_LDADD)
