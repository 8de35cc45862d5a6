# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/proxy/backend.h \
	src/proxy/child.c \
	src/proxy/child.h \
	src/proxy/conntrack.c \
	src/proxy/conntrack.h \
	src/proxy/conntrack_run.c \
	src/proxy/datagrams.c \
	src/proxy/datagrams.h \
	src/proxy/diffs.c \
	src/proxy/diffs.h \
	src/proxy/dump.c \
	src/proxy/dump.h \
	src/proxy/flows.c \
	src/proxy/flows.h \
	src/proxy/foreign.c \
	src/proxy/foreign.h \
	src/proxy/fronts.c \
	src/proxy/fronts.h \
	src/proxy/liberal.c \
	src/proxy/liberal.h \
	src/proxy/localnet.c \
	src/proxy/localnet.h \
	src/proxy/nftlist.c \
	src/proxy/nftlist.h \
	src/proxy/options.c \
	src/proxy/owned.c \
	src/proxy/owned.h \
	src/proxy/packet.c \
	src/proxy/pace.c \
	src/proxy/pace.h \
	src/proxy/passage.c \
	src/proxy/passage.h \
	src/proxy/proxy.c \
	src/proxy/proxy_private.h \
	src/proxy/removal.c \
	src/proxy/removal.h \
	src/proxy/report.c \
	src/proxy/report.h \
	src/proxy/ruleset.c \
	src/proxy/ruleset.h \
	src/proxy/sole.c \
	src/proxy/sole.h \
	src/proxy/spec.c \
	src/proxy/spec.h \
	src/proxy/status.c \
	src/proxy/takeover.c \
	src/proxy/takeover.h \
	src/proxy/tally.c \
	src/proxy/tally.h \
	src/proxy/traffic.c \
	src/proxy/traffic.h \
	src/proxy/udp.c \
	src/proxy/udp.h \
	src/proxy/iptables/adoption.c \
	src/proxy/iptables/batch.c \
	src/proxy/iptables/chain.c \
	src/proxy/iptables/chain.h \
	src/proxy/iptables/cleanup.c \
	src/proxy/iptables/compare.c \
	src/proxy/iptables/compare.h \
	src/proxy/iptables/diff.c \
	src/proxy/iptables/diff.h \
	src/proxy/iptables/flight.c \
	src/proxy/iptables/frame.c \
	src/proxy/iptables/hits.c \
	src/proxy/iptables/hits.h \
	src/proxy/iptables/iptables.c \
	src/proxy/iptables/looks.c \
	src/proxy/iptables/model.c \
	src/proxy/iptables/model.h \
	src/proxy/iptables/model_private.h \
	src/proxy/iptables/native.c \
	src/proxy/iptables/native.h \
	src/proxy/iptables/path.c \
	src/proxy/iptables/path.h \
	src/proxy/iptables/plan.c \
	src/proxy/iptables/plane.c \
	src/proxy/iptables/plane.h \
	src/proxy/iptables/plane_private.h \
	src/proxy/iptables/render.c \
	src/proxy/iptables/render.h \
	src/proxy/iptables/render_private.h \
	src/proxy/iptables/save.c \
	src/proxy/iptables/save.h \
	src/proxy/iptables/show.c \
	src/proxy/iptables/show.h \
	src/proxy/iptables/variant.c \
	src/proxy/iptables/variant.h \
	src/proxy/iptables/watch.c \
	src/proxy/iptables/watch.h \
	src/proxy/iptables/whole.c \
	src/proxy/iptables/whole.h \
	src/proxy/ipvs/channel.c \
	src/proxy/ipvs/channel.h \
	src/proxy/ipvs/cleanup.c \
	src/proxy/ipvs/comparison.c \
	src/proxy/ipvs/comparison.h \
	src/proxy/ipvs/director.c \
	src/proxy/ipvs/director.h \
	src/proxy/ipvs/entries.c \
	src/proxy/ipvs/entries.h \
	src/proxy/ipvs/ledger.c \
	src/proxy/ipvs/ledger.h \
	src/proxy/ipvs/messages.c \
	src/proxy/ipvs/messages.h \
	src/proxy/ipvs/routing.c \
	src/proxy/ipvs/routing.h \
	src/proxy/ipvs/schedulers.c \
	src/proxy/ipvs/schedulers.h \
	src/proxy/ipvs/server.c \
	src/proxy/ipvs/server.h \
	src/proxy/ipvs/settings.c \
	src/proxy/ipvs/settings.h \
	src/proxy/ipvs/virtual.c \
	src/proxy/ipvs/virtual.h \
	src/proxy/ipvs/virtual_types.h \
	src/proxy/nftables/conditions.c \
	src/proxy/nftables/counting.c \
	src/proxy/nftables/counts.c \
	src/proxy/nftables/counts.h \
	src/proxy/nftables/diff.c \
	src/proxy/nftables/diff.h \
	src/proxy/nftables/elements.c \
	src/proxy/nftables/elements.h \
	src/proxy/nftables/found.c \
	src/proxy/nftables/frame.c \
	src/proxy/nftables/frame.h \
	src/proxy/nftables/frame_private.h \
	src/proxy/nftables/held.c \
	src/proxy/nftables/keeper.c \
	src/proxy/nftables/keeper.h \
	src/proxy/nftables/keeper_private.h \
	src/proxy/nftables/look.c \
	src/proxy/nftables/nftables.c \
	src/proxy/nftables/notices.c \
	src/proxy/nftables/notices.h \
	src/proxy/nftables/order.c \
	src/proxy/nftables/order.h \
	src/proxy/nftables/owners.c \
	src/proxy/nftables/owners.h \
	src/proxy/nftables/plan.c \
	src/proxy/nftables/plan.h \
	src/proxy/nftables/planning.c \
	src/proxy/nftables/queue.c \
	src/proxy/nftables/queue.h \
	src/proxy/nftables/reading.c \
	src/proxy/nftables/relay.c \
	src/proxy/nftables/rule.c \
	src/proxy/nftables/rule.h \
	src/proxy/nftables/rule_private.h \
	src/proxy/nftables/rules.c \
	src/proxy/nftables/services.c \
	src/proxy/nftables/sets.c \
	src/proxy/nftables/show.c \
	src/proxy/nftables/show.h \
	src/proxy/nftables/store.c \
	src/proxy/nftables/store.h \
	src/proxy/nftables/store_private.h \
	src/proxy/nftables/tables.c \
	src/proxy/nftables/tables.h \
	src/proxy/nftables/virtual.c \
	src/proxy/nftables/virtuals.c \
	src/proxy/nftables/wire.c \
	src/proxy/nftables/wire.h \
	src/proxy/nftables/writing.c
noinst_HEADERS += \
	include/fairlead/packet.h \
	include/fairlead/proxy.h \
	include/fairlead/relay.h

check_PROGRAMS += tests/unit/test_proxy_traffic
TESTS += tests/unit/test_proxy_traffic
tests_unit_test_proxy_traffic_SOURCES = tests/unit/test_proxy_traffic.c tests/unit/unit.h
tests_unit_test_proxy_traffic_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_packet
TESTS += tests/unit/test_proxy_packet
tests_unit_test_proxy_packet_SOURCES = tests/unit/test_proxy_packet.c tests/unit/unit.h
tests_unit_test_proxy_packet_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_tally
TESTS += tests/unit/test_proxy_tally
tests_unit_test_proxy_tally_SOURCES = tests/unit/test_proxy_tally.c tests/unit/unit.h
tests_unit_test_proxy_tally_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_sole
TESTS += tests/unit/test_proxy_sole
tests_unit_test_proxy_sole_SOURCES = tests/unit/test_proxy_sole.c tests/unit/unit.h
tests_unit_test_proxy_sole_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_takeover
TESTS += tests/unit/test_proxy_takeover
tests_unit_test_proxy_takeover_SOURCES = tests/unit/test_proxy_takeover.c tests/unit/unit.h
tests_unit_test_proxy_takeover_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_render
TESTS += tests/unit/test_proxy_render
tests_unit_test_proxy_render_SOURCES = tests/unit/test_proxy_render.c tests/unit/unit.h
tests_unit_test_proxy_render_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_model
TESTS += tests/unit/test_proxy_model
tests_unit_test_proxy_model_SOURCES = tests/unit/test_proxy_model.c tests/unit/unit.h
tests_unit_test_proxy_model_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_plane
TESTS += tests/unit/test_proxy_plane
tests_unit_test_proxy_plane_SOURCES = tests/unit/test_proxy_plane.c tests/unit/unit.h
tests_unit_test_proxy_plane_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=sole_new
tests_unit_test_proxy_plane_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_conntrack
TESTS += tests/unit/test_proxy_conntrack
tests_unit_test_proxy_conntrack_SOURCES = tests/unit/test_proxy_conntrack.c tests/unit/unit.h
tests_unit_test_proxy_conntrack_LDADD = $(UNIT_LDADD)

# With a kernel that is made up, in virtual time.
check_PROGRAMS += tests/unit/test_proxy_udp
TESTS += tests/unit/test_proxy_udp
tests_unit_test_proxy_udp_SOURCES = tests/unit/test_proxy_udp.c tests/unit/unit.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_proxy_udp_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) -Wl,--wrap=conntrack_run_start,--wrap=conntrack_run_step,--wrap=conntrack_run_free \
	-Wl,--wrap=conntrack_job_allow_port
tests_unit_test_proxy_udp_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_order
TESTS += tests/unit/test_proxy_nft_order
tests_unit_test_proxy_nft_order_SOURCES = tests/unit/test_proxy_nft_order.c tests/unit/unit.h
tests_unit_test_proxy_nft_order_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_plan
TESTS += tests/unit/test_proxy_nft_plan
tests_unit_test_proxy_nft_plan_SOURCES = tests/unit/test_proxy_nft_plan.c tests/unit/unit.h
tests_unit_test_proxy_nft_plan_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_counts
TESTS += tests/unit/test_proxy_nft_counts
tests_unit_test_proxy_nft_counts_SOURCES = tests/unit/test_proxy_nft_counts.c tests/unit/unit.h \
	tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_proxy_nft_counts_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) \
	-Wl,--wrap=wire_new,--wrap=wire_free,--wrap=frame_counts_begin,--wrap=frame_counts_step
tests_unit_test_proxy_nft_counts_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_scale
TESTS += tests/unit/test_proxy_nft_scale
tests_unit_test_proxy_nft_scale_SOURCES = tests/unit/test_proxy_nft_scale.c tests/unit/unit.h \
	tests/unit/nft_kernel.c tests/unit/nft_kernel.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_proxy_nft_scale_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) $(NFT_KERNEL) \
	-Wl,--wrap=store_want,--wrap=store_share,--wrap=store_release_old,--wrap=store_unshare \
	-Wl,--wrap=store_forget,--wrap=store_compare,--wrap=elements_at \
	-Wl,--wrap=store_look_begin,--wrap=store_look_end
tests_unit_test_proxy_nft_scale_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_keeper
TESTS += tests/unit/test_proxy_nft_keeper
tests_unit_test_proxy_nft_keeper_SOURCES = tests/unit/test_proxy_nft_keeper.c tests/unit/unit.h $(NFT_LIFE_SOURCES)
tests_unit_test_proxy_nft_keeper_LDFLAGS = $(AM_LDFLAGS) $(NFT_LIFE) -Wl,--wrap=plan_set_number,--wrap=plan_group_number
tests_unit_test_proxy_nft_keeper_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_damage
TESTS += tests/unit/test_proxy_nft_damage
tests_unit_test_proxy_nft_damage_SOURCES = tests/unit/test_proxy_nft_damage.c tests/unit/unit.h $(NFT_LIFE_SOURCES)
tests_unit_test_proxy_nft_damage_LDFLAGS = $(AM_LDFLAGS) $(NFT_LIFE)
tests_unit_test_proxy_nft_damage_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_refusal
TESTS += tests/unit/test_proxy_nft_refusal
tests_unit_test_proxy_nft_refusal_SOURCES = tests/unit/test_proxy_nft_refusal.c tests/unit/unit.h $(NFT_LIFE_SOURCES)
tests_unit_test_proxy_nft_refusal_LDFLAGS = $(AM_LDFLAGS) $(NFT_LIFE)
tests_unit_test_proxy_nft_refusal_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_churn
TESTS += tests/unit/test_proxy_nft_churn
tests_unit_test_proxy_nft_churn_SOURCES = tests/unit/test_proxy_nft_churn.c tests/unit/unit.h $(NFT_LIFE_SOURCES)
tests_unit_test_proxy_nft_churn_LDFLAGS = $(AM_LDFLAGS) $(NFT_LIFE)
tests_unit_test_proxy_nft_churn_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_owned
TESTS += tests/unit/test_proxy_owned
tests_unit_test_proxy_owned_SOURCES = tests/unit/test_proxy_owned.c tests/unit/unit.h
tests_unit_test_proxy_owned_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_ipvs_ledger
TESTS += tests/unit/test_proxy_ipvs_ledger
tests_unit_test_proxy_ipvs_ledger_SOURCES = tests/unit/test_proxy_ipvs_ledger.c tests/unit/unit.h
tests_unit_test_proxy_ipvs_ledger_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_ipvs_messages
TESTS += tests/unit/test_proxy_ipvs_messages
tests_unit_test_proxy_ipvs_messages_SOURCES = tests/unit/test_proxy_ipvs_messages.c tests/unit/unit.h
tests_unit_test_proxy_ipvs_messages_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_ipvs_routing
TESTS += tests/unit/test_proxy_ipvs_routing
tests_unit_test_proxy_ipvs_routing_SOURCES = tests/unit/test_proxy_ipvs_routing.c tests/unit/unit.h
tests_unit_test_proxy_ipvs_routing_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_ipvs_schedulers
TESTS += tests/unit/test_proxy_ipvs_schedulers
tests_unit_test_proxy_ipvs_schedulers_SOURCES = tests/unit/test_proxy_ipvs_schedulers.c tests/unit/unit.h
tests_unit_test_proxy_ipvs_schedulers_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_ipvs_server
TESTS += tests/unit/test_proxy_ipvs_server
tests_unit_test_proxy_ipvs_server_SOURCES = tests/unit/test_proxy_ipvs_server.c tests/unit/unit.h
tests_unit_test_proxy_ipvs_server_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_ipvs_virtual
TESTS += tests/unit/test_proxy_ipvs_virtual
tests_unit_test_proxy_ipvs_virtual_SOURCES = tests/unit/test_proxy_ipvs_virtual.c tests/unit/unit.h \
	tests/unit/ipvs_kernel.c tests/unit/ipvs_kernel.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_proxy_ipvs_virtual_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) $(IPVS_KERNEL)
tests_unit_test_proxy_ipvs_virtual_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_ipvs_comparison
TESTS += tests/unit/test_proxy_ipvs_comparison
tests_unit_test_proxy_ipvs_comparison_SOURCES = tests/unit/test_proxy_ipvs_comparison.c tests/unit/unit.h \
	tests/unit/ipvs_kernel.c tests/unit/ipvs_kernel.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_proxy_ipvs_comparison_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) $(IPVS_KERNEL)
tests_unit_test_proxy_ipvs_comparison_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_tables
TESTS += tests/unit/test_proxy_nft_tables
tests_unit_test_proxy_nft_tables_SOURCES = tests/unit/test_proxy_nft_tables.c tests/unit/unit.h
tests_unit_test_proxy_nft_tables_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_spec
TESTS += tests/unit/test_proxy_spec
tests_unit_test_proxy_spec_SOURCES = tests/unit/test_proxy_spec.c tests/unit/unit.h
tests_unit_test_proxy_spec_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_relay
TESTS += tests/unit/test_relay
tests_unit_test_relay_SOURCES = tests/unit/test_relay.c tests/unit/unit.h \
	tests/unit/nft_kernel.c tests/unit/nft_kernel.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_relay_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) $(NFT_KERNEL)
tests_unit_test_relay_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_nft_virtual
TESTS += tests/unit/test_proxy_nft_virtual
tests_unit_test_proxy_nft_virtual_SOURCES = tests/unit/test_proxy_nft_virtual.c tests/unit/unit.h \
	tests/unit/nft_kernel.c tests/unit/nft_kernel.h tests/unit/virtual_loop.c tests/unit/virtual_loop.h
tests_unit_test_proxy_nft_virtual_LDFLAGS = $(AM_LDFLAGS) $(VIRTUAL_LOOP) $(NFT_KERNEL) \
	-Wl,--wrap=conntrack_run_start,--wrap=virtuals_set,--wrap=virtuals_remove \
	-Wl,--wrap=virtuals_is_settled,--wrap=virtuals_is_applied
tests_unit_test_proxy_nft_virtual_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_path
TESTS += tests/unit/test_proxy_path
tests_unit_test_proxy_path_SOURCES = tests/unit/test_proxy_path.c tests/unit/unit.h
tests_unit_test_proxy_path_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_proxy_save
TESTS += tests/unit/test_proxy_save
tests_unit_test_proxy_save_SOURCES = tests/unit/test_proxy_save.c tests/unit/unit.h
tests_unit_test_proxy_save_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_proxy_save
tests_fuzz_fuzz_proxy_save_SOURCES = tests/fuzz/fuzz_proxy_save.c $(FUZZ_MAIN)
tests_fuzz_fuzz_proxy_save_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_proxy_save

check_PROGRAMS += tests/fuzz/fuzz_nft_messages
tests_fuzz_fuzz_nft_messages_SOURCES = tests/fuzz/fuzz_nft_messages.c $(FUZZ_MAIN)
tests_fuzz_fuzz_nft_messages_LDFLAGS = $(FUZZ_LINK) -Wl,--wrap=wire_read
FUZZ_TARGETS += tests/fuzz/fuzz_nft_messages

check_PROGRAMS += tests/fuzz/fuzz_ipvs_messages
tests_fuzz_fuzz_ipvs_messages_SOURCES = tests/fuzz/fuzz_ipvs_messages.c $(FUZZ_MAIN)
tests_fuzz_fuzz_ipvs_messages_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_ipvs_messages

# Drives the proxy for the packet tests in tests/e2e/test_proxy.py.
noinst_PROGRAMS += tests/proxy/proxyctl
tests_proxy_proxyctl_SOURCES = tests/proxy/proxyctl.c

# The same for virtual servers of IPVS alone.
noinst_PROGRAMS += tests/proxy/virtualctl
tests_proxy_virtualctl_SOURCES = tests/proxy/virtualctl.c

# Preloaded by tests/e2e/test_proxy_faults.py; a library, but of no use to libtool's machinery.
noinst_PROGRAMS += tests/proxy/faults.so
tests_proxy_faults_so_SOURCES = tests/proxy/faults.c
tests_proxy_faults_so_CFLAGS = -fPIC
tests_proxy_faults_so_LDFLAGS = -shared
tests_proxy_faults_so_LDADD =
