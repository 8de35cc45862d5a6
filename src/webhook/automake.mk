# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/webhook/identity.c \
	src/webhook/review.c \
	src/webhook/server.c
noinst_HEADERS += \
	include/fairlead/webhook.h \
	src/webhook/identity.h

check_PROGRAMS += tests/unit/test_webhook
TESTS += tests/unit/test_webhook
tests_unit_test_webhook_SOURCES = tests/unit/test_webhook.c tests/unit/unit.h
tests_unit_test_webhook_LDADD = $(UNIT_LDADD) $(EVENT_TLS_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_review
tests_fuzz_fuzz_review_SOURCES = tests/fuzz/fuzz_review.c $(FUZZ_MAIN)
tests_fuzz_fuzz_review_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_review
