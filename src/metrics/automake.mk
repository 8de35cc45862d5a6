# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/metrics/clients.c \
	src/metrics/guard.c \
	src/metrics/listen.c \
	src/metrics/page.c \
	src/metrics/ports.c \
	src/metrics/process.c \
	src/metrics/request.c \
	src/metrics/server.c \
	src/metrics/writer.c
noinst_HEADERS += \
	include/fairlead/http_ports.h \
	include/fairlead/listen.h \
	include/fairlead/metrics.h \
	src/metrics/clients.h \
	src/metrics/guard.h \
	src/metrics/page.h \
	src/metrics/request.h

check_PROGRAMS += tests/unit/test_metrics
TESTS += tests/unit/test_metrics
tests_unit_test_metrics_SOURCES = tests/unit/test_metrics.c tests/unit/unit.h
tests_unit_test_metrics_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_ms
tests_unit_test_metrics_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_http
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz_http.c $(FUZZ_MAIN)
tests_fuzz_fuzz_http_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_http
