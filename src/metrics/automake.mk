# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/metrics/kube.c \
	src/metrics/process.c \
	src/metrics/server.c \
	src/metrics/writer.c
noinst_HEADERS += \
	include/fairlead/metrics.h

check_PROGRAMS += tests/unit/test_metrics
TESTS += tests/unit/test_metrics
tests_unit_test_metrics_SOURCES = tests/unit/test_metrics.c tests/unit/unit.h
tests_unit_test_metrics_LDADD = $(UNIT_LDADD)
