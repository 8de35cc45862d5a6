# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/controller/annotations.c \
	src/controller/annotations.h

# All of the controller but its main().
CONTROLLER = \
	src/controller/admission.c \
	src/controller/admission.h \
	src/controller/assign.c \
	src/controller/assign.h \
	src/controller/books.c \
	src/controller/books.h \
	src/controller/contest.c \
	src/controller/contest.h \
	src/controller/controller.c \
	src/controller/controller.h \
	src/controller/cooling.c \
	src/controller/cooling.h \
	src/controller/heartbeat_key.c \
	src/controller/heartbeat_key.h \
	src/controller/machines.c \
	src/controller/machines.h \
	src/controller/namespaces.c \
	src/controller/namespaces.h \
	src/controller/publish.c \
	src/controller/publish.h \
	src/controller/report.c \
	src/controller/report.h \
	src/controller/retain.c \
	src/controller/retain.h \
	src/controller/scribe.c \
	src/controller/scribe.h \
	src/controller/scribe_copy.c \
	src/controller/scribe_notes.c \
	src/controller/scribe_private.h \
	src/controller/scribe_read.c \
	src/controller/scribe_shares.c \
	src/controller/services.c \
	src/controller/services.h \
	src/controller/state.h \
	src/controller/tell.c \
	src/controller/tell.h \
	src/controller/term.c \
	src/controller/term.h \
	src/controller/uninstall.c \
	src/controller/uninstall.h \
	src/controller/writer.c \
	src/controller/writer.h

sbin_PROGRAMS += src/controller/fairlead-controller
src_controller_fairlead_controller_SOURCES = $(CONTROLLER) src/controller/main.c
src_controller_fairlead_controller_LDADD = $(LDADD) $(EVENT_TLS_LIBS)

dist_man_MANS += \
	man/fairlead-controller.8 \
	man/fairlead.yaml.5

# The controller as it is, without network and in virtual time: the linker leads the calls of these functions to
# tests/unit/virtual_loop.c and virtual_kube.c.
VIRTUAL_WORLD = $(VIRTUAL_LOOP) \
	-Wl,--wrap=kube_request_start,--wrap=kube_request_cancel,--wrap=kube_informer_start,--wrap=kube_informer_stop \
	-Wl,--wrap=kube_informer_refresh,--wrap=kube_informer_stats,--wrap=kube_client_new,--wrap=kube_client_free \
	-Wl,--wrap=kube_client_stats,--wrap=kube_event_emit,--wrap=kube_access_load,--wrap=kube_access_free \
	-Wl,--wrap=kube_access_server,--wrap=kube_access_namespace,--wrap=metrics_server_start,--wrap=metrics_server_stop \
	-Wl,--wrap=metrics_server_guard,--wrap=kube_client_bound_writes,--wrap=kube_client_server_addresses

VIRTUAL_CONTROLLER = tests/unit/unit.h tests/unit/virtual_kube.c tests/unit/virtual_kube.h tests/unit/virtual_loop.c \
	tests/unit/virtual_loop.h $(CONTROLLER)

check_PROGRAMS += tests/unit/test_controller
TESTS += tests/unit/test_controller
tests_unit_test_controller_SOURCES = tests/unit/test_controller.c $(VIRTUAL_CONTROLLER)
tests_unit_test_controller_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_WORLD)
tests_unit_test_controller_LDADD = $(APISIM_LIBS) $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_leaders
TESTS += tests/unit/test_leaders
tests_unit_test_leaders_SOURCES = tests/unit/test_leaders.c $(VIRTUAL_CONTROLLER)
tests_unit_test_leaders_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_WORLD)
tests_unit_test_leaders_LDADD = $(APISIM_LIBS) $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_machines
TESTS += tests/unit/test_machines
tests_unit_test_machines_SOURCES = tests/unit/test_machines.c $(VIRTUAL_CONTROLLER)
tests_unit_test_machines_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_WORLD)
tests_unit_test_machines_LDADD = $(APISIM_LIBS) $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_scribe
TESTS += tests/unit/test_scribe
tests_unit_test_scribe_SOURCES = tests/unit/test_scribe.c $(VIRTUAL_CONTROLLER)
tests_unit_test_scribe_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_WORLD)
tests_unit_test_scribe_LDADD = $(APISIM_LIBS) $(UNIT_LDADD)
