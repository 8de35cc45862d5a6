# SPDX-License-Identifier: Apache-2.0
# The embedded API server; all but main.c is in an archive that its unit tests link too.
noinst_LIBRARIES += tests/apisim/libapisim.a
tests_apisim_libapisim_a_SOURCES = \
	tests/apisim/alloc.c tests/apisim/alloc.h \
	tests/apisim/bind.c \
	tests/apisim/cells.c tests/apisim/cells.h \
	tests/apisim/delete.c \
	tests/apisim/fault.c tests/apisim/fault.h \
	tests/apisim/http.c tests/apisim/http.h \
	tests/apisim/journal.c tests/apisim/journal.h \
	tests/apisim/js.c tests/apisim/js.h \
	tests/apisim/kind.c tests/apisim/kind.h \
	tests/apisim/list.c \
	tests/apisim/openapi.c tests/apisim/openapi.h \
	tests/apisim/patch.c tests/apisim/patch.h \
	tests/apisim/reply.c tests/apisim/reply.h \
	tests/apisim/rest.c tests/apisim/rest.h \
	tests/apisim/route.c tests/apisim/route.h \
	tests/apisim/selector.c tests/apisim/selector.h \
	tests/apisim/server.h \
	tests/apisim/service.c tests/apisim/service.h \
	tests/apisim/sim.c \
	tests/apisim/store.c tests/apisim/store.h \
	tests/apisim/strategic.c \
	tests/apisim/table.c tests/apisim/table.h \
	tests/apisim/validate.c tests/apisim/validate.h \
	tests/apisim/validate_service.c \
	tests/apisim/watch.c \
	tests/apisim/wlog.c tests/apisim/wlog.h
APISIM_LIBS = tests/apisim/libapisim.a libfairlead.a $(JSON_LIBS) $(EVENT_TLS_LIBS) $(EVENT_LIBS) $(CRYPTO_LIBS)

noinst_PROGRAMS += tests/apisim/fairlead-apisim
tests_apisim_fairlead_apisim_SOURCES = tests/apisim/main.c
tests_apisim_fairlead_apisim_LDADD = $(APISIM_LIBS)

APISIM_TESTS = tests/unit/test_apisim_patch tests/unit/test_apisim_service tests/unit/test_apisim_store
check_PROGRAMS += $(APISIM_TESTS)
TESTS += $(APISIM_TESTS)
tests_unit_test_apisim_patch_LDADD = $(APISIM_LIBS) $(CMOCKA_LIBS)
tests_unit_test_apisim_service_LDADD = $(APISIM_LIBS) $(CMOCKA_LIBS)
tests_unit_test_apisim_store_LDADD = $(APISIM_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_apisim
tests_fuzz_fuzz_apisim_SOURCES = tests/fuzz/fuzz_apisim.c $(FUZZ_MAIN)
tests_fuzz_fuzz_apisim_LDADD = $(APISIM_LIBS)
tests_fuzz_fuzz_apisim_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_apisim
