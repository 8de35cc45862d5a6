# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/kube/access.c \
	src/kube/backoff.c \
	src/kube/client.c \
	src/kube/config_map.c \
	src/kube/confirm.c \
	src/kube/delivery.c \
	src/kube/events.c \
	src/kube/informer.c \
	src/kube/json.c \
	src/kube/kubeconfig.c \
	src/kube/lease.c \
	src/kube/lease_fsm.c \
	src/kube/meta.c \
	src/kube/metrics.c \
	src/kube/multi.c \
	src/kube/node.c \
	src/kube/outline.c \
	src/kube/parse.c \
	src/kube/pod.c \
	src/kube/refresh.c \
	src/kube/request.c \
	src/kube/scanner.c \
	src/kube/secret.c \
	src/kube/service.c \
	src/kube/slice.c \
	src/kube/store.c
noinst_HEADERS += \
	include/fairlead/kube.h \
	include/fairlead/kube_types.h \
	include/fairlead/lease.h \
	src/kube/access.h \
	src/kube/backoff.h \
	src/kube/client.h \
	src/kube/delivery.h \
	src/kube/lease_fsm.h \
	src/kube/multi.h \
	src/kube/outline.h \
	src/kube/parse.h \
	src/kube/refresh.h \
	src/kube/scanner.h \
	src/kube/store.h

check_PROGRAMS += tests/unit/test_kube_types
TESTS += tests/unit/test_kube_types
tests_unit_test_kube_types_SOURCES = tests/unit/test_kube_types.c tests/unit/unit.h
tests_unit_test_kube_types_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_kube_store
TESTS += tests/unit/test_kube_store
tests_unit_test_kube_store_SOURCES = tests/unit/test_kube_store.c tests/unit/unit.h
tests_unit_test_kube_store_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_kube_scanner
TESTS += tests/unit/test_kube_scanner
tests_unit_test_kube_scanner_SOURCES = tests/unit/test_kube_scanner.c tests/unit/unit.h
tests_unit_test_kube_scanner_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_kube_outline
TESTS += tests/unit/test_kube_outline
tests_unit_test_kube_outline_SOURCES = tests/unit/test_kube_outline.c tests/unit/unit.h
tests_unit_test_kube_outline_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_kube_client
TESTS += tests/unit/test_kube_client
KUBE_WORLD = tests/unit/kube_world.c tests/unit/kube_world.h tests/unit/loopback.c tests/unit/loopback.h tests/unit/unit.h
tests_unit_test_kube_client_SOURCES = tests/unit/test_kube_client.c $(KUBE_WORLD)
tests_unit_test_kube_client_LDADD = $(UNIT_LDADD) $(EVENT_TLS_LIBS)

check_PROGRAMS += tests/unit/test_lease
TESTS += tests/unit/test_lease
tests_unit_test_lease_SOURCES = tests/unit/test_lease.c tests/unit/unit.h
tests_unit_test_lease_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_kube_informer
TESTS += tests/unit/test_kube_informer
tests_unit_test_kube_informer_SOURCES = tests/unit/test_kube_informer.c $(KUBE_WORLD)
tests_unit_test_kube_informer_LDADD = $(UNIT_LDADD) $(EVENT_TLS_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_kube_scanner tests/fuzz/fuzz_kube_types tests/fuzz/fuzz_kubeconfig
FUZZ_TARGETS += tests/fuzz/fuzz_kube_scanner tests/fuzz/fuzz_kube_types tests/fuzz/fuzz_kubeconfig
tests_fuzz_fuzz_kube_scanner_SOURCES = tests/fuzz/fuzz_kube_scanner.c $(FUZZ_MAIN)
tests_fuzz_fuzz_kube_scanner_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_kube_types_SOURCES = tests/fuzz/fuzz_kube_types.c $(FUZZ_MAIN)
tests_fuzz_fuzz_kube_types_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_kubeconfig_SOURCES = tests/fuzz/fuzz_kubeconfig.c $(FUZZ_MAIN)
tests_fuzz_fuzz_kubeconfig_LDFLAGS = $(FUZZ_LINK)

check_PROGRAMS += tests/unit/test_kube_access
TESTS += tests/unit/test_kube_access
tests_unit_test_kube_access_SOURCES = tests/unit/test_kube_access.c tests/unit/unit.h
tests_unit_test_kube_access_LDADD = $(UNIT_LDADD)

# The client's suite against a server that runs; tests/e2e/test_client.py runs it on the embedded one.
noinst_PROGRAMS += tests/kube/kube_suite
tests_kube_kube_suite_SOURCES = tests/kube/main.c tests/kube/suite.c tests/kube/suite.h tests/kube/objects.c \
	tests/kube/watching.c tests/kube/election.c
