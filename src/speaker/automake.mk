# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/speaker/announce.c \
	src/speaker/announce.h \
	src/speaker/announcement.h \
	src/speaker/bgp.c \
	src/speaker/budget.c \
	src/speaker/budget.h \
	src/speaker/dump.c \
	src/speaker/dump.h \
	src/speaker/effector.h \
	src/speaker/events.c \
	src/speaker/events.h \
	src/speaker/feeds.c \
	src/speaker/feeds.h \
	src/speaker/former.c \
	src/speaker/former.h \
	src/speaker/health.c \
	src/speaker/health.h \
	src/speaker/health_ports.c \
	src/speaker/holds.c \
	src/speaker/holds.h \
	src/speaker/lasting.c \
	src/speaker/lasting.h \
	src/speaker/latency.c \
	src/speaker/latency.h \
	src/speaker/moves.c \
	src/speaker/moves.h \
	src/speaker/needed.c \
	src/speaker/needed.h \
	src/speaker/news.c \
	src/speaker/news.h \
	src/speaker/nowhere.c \
	src/speaker/nowhere.h \
	src/speaker/options.c \
	src/speaker/options.h \
	src/speaker/ownership.c \
	src/speaker/ownership.h \
	src/speaker/passwords.c \
	src/speaker/passwords.h \
	src/speaker/pulse.c \
	src/speaker/pulse.h \
	src/speaker/relaying.c \
	src/speaker/relaying.h \
	src/speaker/report.c \
	src/speaker/report.h \
	src/speaker/routes.c \
	src/speaker/routes.h \
	src/speaker/rules.c \
	src/speaker/large.c \
	src/speaker/large.h \
	src/speaker/secrets.c \
	src/speaker/secrets.h \
	src/speaker/segments.c \
	src/speaker/segments.h \
	src/speaker/served.c \
	src/speaker/served.h \
	src/speaker/sinks.c \
	src/speaker/sinks.h \
	src/speaker/speaker.c \
	src/speaker/speaker.h \
	src/speaker/state.c \
	src/speaker/state.h \
	src/speaker/trouble_news.c \
	src/speaker/trouble_news.h \
	src/speaker/turn.c \
	src/speaker/turn.h \
	src/speaker/uncarried.c \
	src/speaker/uncarried.h \
	src/speaker/uninstall.c \
	src/speaker/uninstall.h \
	src/speaker/wants.c \
	src/speaker/wants.h

sbin_PROGRAMS += src/speaker/fairlead-speaker
src_speaker_fairlead_speaker_SOURCES = src/speaker/main.c
dist_man_MANS += man/fairlead-speaker.8

check_PROGRAMS += tests/unit/test_facts
TESTS += tests/unit/test_facts
tests_unit_test_facts_SOURCES = tests/unit/test_facts.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_facts_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_speaker
TESTS += tests/unit/test_speaker
tests_unit_test_speaker_SOURCES = tests/unit/test_speaker.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_speaker_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_former
TESTS += tests/unit/test_former
tests_unit_test_former_SOURCES = tests/unit/test_former.c tests/unit/unit.h
tests_unit_test_former_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_relaying
TESTS += tests/unit/test_relaying
tests_unit_test_relaying_SOURCES = tests/unit/test_relaying.c tests/unit/unit.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_relaying_LDADD = $(UNIT_LDADD)
tests_unit_test_relaying_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP)

check_PROGRAMS += tests/unit/test_large
TESTS += tests/unit/test_large
tests_unit_test_large_SOURCES = tests/unit/test_large.c tests/unit/unit.h
tests_unit_test_large_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_effects
TESTS += tests/unit/test_effects
tests_unit_test_effects_SOURCES = tests/unit/test_effects.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_effects_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_health
TESTS += tests/unit/test_health
tests_unit_test_health_SOURCES = tests/unit/test_health.c tests/unit/unit.h tests/unit/world.c tests/unit/world.h
tests_unit_test_health_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_latency
TESTS += tests/unit/test_latency
tests_unit_test_latency_SOURCES = tests/unit/test_latency.c tests/unit/unit.h
tests_unit_test_latency_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_routes
TESTS += tests/unit/test_routes
tests_unit_test_routes_SOURCES = tests/unit/test_routes.c tests/unit/bgpd_fake.c tests/unit/bgpd_fake.h \
	tests/unit/unit.h tests/unit/vty_server.c tests/unit/vty_server.h tests/unit/world.c tests/unit/world.h
tests_unit_test_routes_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_news
TESTS += tests/unit/test_news
tests_unit_test_news_SOURCES = tests/unit/test_news.c tests/unit/unit.h
tests_unit_test_news_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_pulse
TESTS += tests/unit/test_pulse
tests_unit_test_pulse_SOURCES = tests/unit/test_pulse.c tests/unit/unit.h
tests_unit_test_pulse_LDADD = $(UNIT_LDADD)
tests_unit_test_pulse_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_ms,--wrap=kube_informer_stats,--wrap=kube_request_start \
	-Wl,--wrap=speaker_schedule
