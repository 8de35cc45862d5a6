# SPDX-License-Identifier: Apache-2.0
# One cmocka program a module, tests/unit/test_NAME.c; each room's automake.mk names its own.

UNIT_LDADD = $(LDADD) $(CMOCKA_LIBS)

# The linker leads the calls of these functions to tests/unit/virtual_loop.c.
VIRTUAL_LOOP = -Wl,--wrap=event_base_new,--wrap=event_base_free,--wrap=event_base_loopbreak,--wrap=event_base_loopexit \
	-Wl,--wrap=event_new,--wrap=event_free,--wrap=event_add,--wrap=event_del,--wrap=event_active,--wrap=event_pending \
	-Wl,--wrap=event_get_base,--wrap=clock_ms,--wrap=clock_wall_us,--wrap=clock_random,--wrap=clock_random_below

# And these to tests/unit/nft_kernel.c.
NFT_KERNEL = -Wl,--wrap=wire_begin,--wrap=wire_added,--wrap=wire_commit,--wrap=wire_list,--wrap=wire_step,--wrap=wire_read
# The keeper of a table, with that (tests/unit/nft_life.h).
NFT_LIFE = $(VIRTUAL_LOOP) $(NFT_KERNEL) -Wl,--wrap=conntrack_run_start,--wrap=conntrack_run_step,--wrap=conntrack_run_free \
	-Wl,--wrap=store_forget,--wrap=store_compare,--wrap=keeper_is_small,--wrap=keeper_plan_some
NFT_LIFE_SOURCES = tests/unit/nft_kernel.c tests/unit/nft_kernel.h tests/unit/nft_life.c tests/unit/nft_life.h tests/unit/nft_state.c \
	tests/unit/nft_state.h tests/unit/nft_wishes.c tests/unit/nft_wishes.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h

# And these to tests/unit/ipvs_kernel.c.
IPVS_KERNEL = -Wl,--wrap=channel_open,--wrap=channel_close,--wrap=channel_apply,--wrap=channel_list_servers \
	-Wl,--wrap=channel_ask_server,--wrap=channel_list_endpoints,--wrap=channel_step \
	-Wl,--wrap=settings_suspend_expiry,--wrap=settings_resume_expiry

check_PROGRAMS += tests/unit/test_base
TESTS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c tests/unit/unit.h
tests_unit_test_base_LDADD = $(UNIT_LDADD)

# The documentation's tables are those of the program: compared here, and by `make tables` printed anew.
check_PROGRAMS += tests/unit/test_tables
TESTS += tests/unit/test_tables
tests_unit_test_tables_SOURCES = tests/unit/test_tables.c tests/unit/unit.h
tests_unit_test_tables_LDADD = $(UNIT_LDADD)

tables: tests/unit/test_tables
	SRCDIR='$(srcdir)' tests/unit/test_tables --write
	cd '$(srcdir)/tests' && python3 -m lab.limits >../docs/limits.new && mv ../docs/limits.new ../docs/limits.md
.PHONY: tables
