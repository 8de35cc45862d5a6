# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/config/advertisements.c \
	src/config/audience.c \
	src/config/check_peers.c \
	src/config/configuration.c \
	src/config/file.c \
	src/config/giving.c \
	src/config/kube_proxy.c \
	src/config/kube_proxy_fields.c \
	src/config/kube_proxy_file.c \
	src/config/kube_proxy_flags.c \
	src/config/layer2.c \
	src/config/parse_advertisements.c \
	src/config/parse_bgp.c \
	src/config/parse_external.c \
	src/config/parse_layer2.c \
	src/config/parse_peers.c \
	src/config/parse_pools.c \
	src/config/parse_rebalance.c \
	src/config/parse_selectors.c \
	src/config/parse_journal.c \
	src/config/parse_timing.c \
	src/config/quota.c \
	src/config/range.c \
	src/config/retained.c \
	src/config/schema.c \
	src/config/schema_json.c \
	src/config/schema_types.c
noinst_HEADERS += \
	include/fairlead/configuration.h \
	include/fairlead/kube_proxy.h \
	src/config/kube_proxy_fields.h \
	src/config/parse.h \
	src/config/schema.h

check_PROGRAMS += tests/unit/test_advertisements
TESTS += tests/unit/test_advertisements
tests_unit_test_advertisements_SOURCES = tests/unit/test_advertisements.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_advertisements_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_config
TESTS += tests/unit/test_config
tests_unit_test_config_SOURCES = tests/unit/test_config.c tests/unit/unit.h
tests_unit_test_config_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_yaml
tests_fuzz_fuzz_yaml_SOURCES = tests/fuzz/fuzz_yaml.c $(FUZZ_MAIN)
tests_fuzz_fuzz_yaml_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_yaml

check_PROGRAMS += tests/unit/test_config_file
TESTS += tests/unit/test_config_file
tests_unit_test_config_file_SOURCES = tests/unit/test_config_file.c tests/unit/unit.h
tests_unit_test_config_file_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_kube_proxy
TESTS += tests/unit/test_kube_proxy
tests_unit_test_kube_proxy_SOURCES = tests/unit/test_kube_proxy.c tests/unit/unit.h
tests_unit_test_kube_proxy_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_kube_proxy
tests_fuzz_fuzz_kube_proxy_SOURCES = tests/fuzz/fuzz_kube_proxy.c $(FUZZ_MAIN)
tests_fuzz_fuzz_kube_proxy_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_kube_proxy
