# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/proxy/chain.c \
	src/proxy/chain.h \
	src/proxy/render.c \
	src/proxy/render.h \
	src/proxy/spec.c \
	src/proxy/spec.h
noinst_HEADERS += \
	include/fairlead/proxy.h

check_PROGRAMS += tests/unit/test_proxy_render
TESTS += tests/unit/test_proxy_render
tests_unit_test_proxy_render_SOURCES = tests/unit/test_proxy_render.c tests/unit/unit.h
tests_unit_test_proxy_render_LDADD = $(UNIT_LDADD)
