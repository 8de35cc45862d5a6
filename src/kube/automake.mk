# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/kube/config_map.c \
	src/kube/json.c \
	src/kube/meta.c \
	src/kube/node.c \
	src/kube/parse.c \
	src/kube/selector.c \
	src/kube/service.c \
	src/kube/slice.c
noinst_HEADERS += \
	include/fairlead/kube.h \
	include/fairlead/kube_types.h \
	include/fairlead/lease.h \
	src/kube/parse.h

check_PROGRAMS += tests/unit/test_kube_types
TESTS += tests/unit/test_kube_types
tests_unit_test_kube_types_SOURCES = tests/unit/test_kube_types.c tests/unit/unit.h
tests_unit_test_kube_types_LDADD = $(UNIT_LDADD)
