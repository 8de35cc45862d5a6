# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/yaml/emit.c \
	src/yaml/manifest.c \
	src/yaml/manifest_json.c \
	src/yaml/manifest_scalar.c \
	src/yaml/scalar.c \
	src/yaml/yproblem.c \
	src/yaml/ytree.c
noinst_HEADERS += \
	include/fairlead/manifest.h \
	include/fairlead/yaml_emit.h \
	include/fairlead/ytree.h \
	src/yaml/manifest_json.h \
	src/yaml/manifest_scalar.h \
	src/yaml/yproblem.h

check_PROGRAMS += tests/unit/test_manifest
TESTS += tests/unit/test_manifest
tests_unit_test_manifest_SOURCES = tests/unit/test_manifest.c tests/unit/unit.h
tests_unit_test_manifest_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_manifest
tests_fuzz_fuzz_manifest_SOURCES = tests/fuzz/fuzz_manifest.c $(FUZZ_MAIN)
tests_fuzz_fuzz_manifest_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_manifest
