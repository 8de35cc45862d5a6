# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/cli/amend.c \
	src/cli/amend.h \
	src/cli/archive.c \
	src/cli/archive.h \
	src/cli/convert.c \
	src/cli/convert.h \
	src/cli/convert_fields.c \
	src/cli/convert_private.h \
	src/cli/convert_reader.c \
	src/cli/convert_select.c \
	src/cli/dump.c \
	src/cli/dump.h \
	src/cli/dump_pods.c \
	src/cli/dump_pods.h \
	src/cli/explain.c \
	src/cli/explain.h \
	src/cli/explain_layer2.c \
	src/cli/explain_pools.c \
	src/cli/explain_print.c \
	src/cli/explain_private.h \
	src/cli/file.c \
	src/cli/file.h \
	src/cli/follow.c \
	src/cli/follow.h \
	src/cli/follow_print.c \
	src/cli/follow_private.h \
	src/cli/gather.c \
	src/cli/gather.h \
	src/cli/interrupt.c \
	src/cli/interrupt.h \
	src/cli/gather_daemons.c \
	src/cli/gather_private.h \
	src/cli/history.c \
	src/cli/history.h \
	src/cli/history_pools.c \
	src/cli/http.c \
	src/cli/http.h \
	src/cli/model.c \
	src/cli/model.h \
	src/cli/model_bgp.c \
	src/cli/model_daemons.c \
	src/cli/model_derive.c \
	src/cli/model_l2.c \
	src/cli/model_rebalance.c \
	src/cli/model_pools.c \
	src/cli/model_pools.h \
	src/cli/model_print.c \
	src/cli/model_private.h \
	src/cli/model_version.c \
	src/cli/plan.c \
	src/cli/plan_air.c \
	src/cli/plan_markdown.c \
	src/cli/plan_outcome.c \
	src/cli/plan_print.c \
	src/cli/plan.h \
	src/cli/plan_private.h \
	src/cli/pods.c \
	src/cli/pods.h \
	src/cli/pools_print.c \
	src/cli/redact.c \
	src/cli/redact.h \
	src/cli/screen.c \
	src/cli/screen.h \
	src/cli/selector.c \
	src/cli/selector.h \
	src/cli/since.c \
	src/cli/since.h \
	src/cli/state.c \
	src/cli/state.h \
	src/cli/state_live.c \
	src/cli/test_cluster.c \
	src/cli/test_cluster.h \
	src/cli/test_judge.c \
	src/cli/test_judge.h \
	src/cli/test_neighbour.c \
	src/cli/test_neighbour.h \
	src/cli/test_objects.c \
	src/cli/test_objects.h \
	src/cli/test_probe.c \
	src/cli/test_probe.h \
	src/cli/test_world.c \
	src/cli/test_world.h \
	src/cli/texts.c \
	src/cli/texts.h \
	src/cli/trial.c \
	src/cli/trial.h \
	src/cli/verdict.c \
	src/cli/verdict.h \
	src/cli/verdict_daemons.c \
	src/cli/verdict_print.c \
	src/cli/verdict_private.h \
	src/cli/verdict_services.c \
	src/cli/watched.c \
	src/cli/watched.h

bin_PROGRAMS += src/cli/fairlead
src_cli_fairlead_SOURCES = \
	src/cli/answer.c \
	src/cli/ask.c \
	src/cli/ask.h \
	src/cli/check.c \
	src/cli/command_completion.c \
	src/cli/command_convert.c \
	src/cli/command_explain.c \
	src/cli/command_journal.c \
	src/cli/command_move.c \
	src/cli/command_plan.c \
	src/cli/command_proxy.c \
	src/cli/command_proxy_diff.c \
	src/cli/command_rebalance.c \
	src/cli/command_reserve.c \
	src/cli/command_schema.c \
	src/cli/command_sysdump.c \
	src/cli/command_test.c \
	src/cli/command_uninstall.c \
	src/cli/command_version.c \
	src/cli/commands.c \
	src/cli/commands.h \
	src/cli/complete.c \
	src/cli/complete.h \
	src/cli/flags.c \
	src/cli/flags.h \
	src/cli/help.c \
	src/cli/help.h \
	src/cli/main.c \
	src/cli/picture.c \
	src/cli/picture.h \
	src/cli/picture_files.c \
	src/cli/scene.c \
	src/cli/scene.h \
	src/cli/status.c \
	src/cli/status.h \
	src/cli/test_pods.c \
	src/cli/test_pods.h \
	src/cli/test_report.c \
	src/cli/test_report.h

dist_man_MANS += man/fairlead.1

# What shells and editors are told is printed by the program itself.
bashcompdir = $(datadir)/bash-completion/completions
nodist_bashcomp_DATA = src/cli/completion/fairlead
zshcompdir = $(datadir)/zsh/site-functions
nodist_zshcomp_DATA = src/cli/completion/_fairlead
fishcompdir = $(datadir)/fish/vendor_completions.d
nodist_fishcomp_DATA = src/cli/completion/fairlead.fish
nodist_bin_SCRIPTS = src/cli/completion/kubectl_complete-fairlead
CLEANFILES += $(nodist_bashcomp_DATA) $(nodist_zshcomp_DATA) $(nodist_fishcomp_DATA) $(nodist_bin_SCRIPTS)
nodist_pkgdata_DATA = src/cli/schema.json
CLEANFILES += $(nodist_pkgdata_DATA)
src/cli/schema.json: src/cli/fairlead$(EXEEXT)
	$(AM_V_GEN)src/cli/fairlead$(EXEEXT) config schema > $@
COMPLETION = $(MKDIR_P) src/cli/completion && src/cli/fairlead$(EXEEXT) completion
src/cli/completion/fairlead: src/cli/fairlead$(EXEEXT)
	$(AM_V_GEN)$(COMPLETION) bash > $@
src/cli/completion/_fairlead: src/cli/fairlead$(EXEEXT)
	$(AM_V_GEN)$(COMPLETION) zsh > $@
src/cli/completion/fairlead.fish: src/cli/fairlead$(EXEEXT)
	$(AM_V_GEN)$(COMPLETION) fish > $@
src/cli/completion/kubectl_complete-fairlead: src/cli/fairlead$(EXEEXT)
	$(AM_V_GEN)$(COMPLETION) kubectl > $@ && chmod +x $@

# kubectl finds its plugins by name.
install-exec-hook:
	cd $(DESTDIR)$(bindir) && ln -sf fairlead kubectl-fairlead
uninstall-hook:
	rm -f $(DESTDIR)$(bindir)/kubectl-fairlead

check_PROGRAMS += tests/unit/test_cli
TESTS += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c tests/unit/cli_world.c tests/unit/cli_world.h tests/unit/unit.h
tests_unit_test_cli_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_cli_test
TESTS += tests/unit/test_cli_test
tests_unit_test_cli_test_SOURCES = tests/unit/test_cli_test.c tests/unit/cli_world.c tests/unit/cli_world.h tests/unit/unit.h
tests_unit_test_cli_test_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_sysdump
TESTS += tests/unit/test_sysdump
tests_unit_test_sysdump_SOURCES = tests/unit/test_sysdump.c tests/unit/cli_world.c tests/unit/cli_world.h tests/unit/unit.h
tests_unit_test_sysdump_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_verdict
TESTS += tests/unit/test_verdict
tests_unit_test_verdict_SOURCES = tests/unit/test_verdict.c tests/unit/cli_world.c tests/unit/cli_world.h tests/unit/unit.h
tests_unit_test_verdict_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_amend
TESTS += tests/unit/test_amend
tests_unit_test_amend_SOURCES = tests/unit/test_amend.c tests/unit/cli_world.c tests/unit/cli_world.h tests/unit/unit.h
tests_unit_test_amend_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/unit/test_follow
TESTS += tests/unit/test_follow
tests_unit_test_follow_SOURCES = tests/unit/test_follow.c tests/unit/world.c tests/unit/world.h tests/unit/unit.h
tests_unit_test_follow_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_status
tests_fuzz_fuzz_status_SOURCES = tests/fuzz/fuzz_status.c $(FUZZ_MAIN)
tests_fuzz_fuzz_status_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_status

TESTS += tests/cli/golden tests/cli/manuals tests/cli/mishaps tests/cli/states tests/cli/sysdump
# Named one by one: with the whole directory, what `make check` left in the build's would go into the tarball.
EXTRA_DIST += \
	tests/cli/bad.yaml \
	tests/cli/broken.yaml \
	tests/cli/cluster.yaml \
	tests/cli/cooling.yaml \
	tests/cli/denied-state.yaml \
	tests/cli/desk-state.yaml \
	tests/cli/dual-state.yaml \
	tests/cli/dual.yaml \
	tests/cli/edge-state.yaml \
	tests/cli/edit-state.yaml \
	tests/cli/edge.yaml \
	tests/cli/external.yaml \
	tests/cli/golden \
	tests/cli/in-turn.yaml \
	tests/cli/journal-state.yaml \
	tests/cli/kube-proxy.yaml \
	tests/cli/kube-proxy-all.yaml \
	tests/cli/kube-proxy-bad.yaml \
	tests/cli/legacy.yaml \
	tests/cli/manuals \
	tests/cli/metallb.yaml \
	tests/cli/move-state.yaml \
	tests/cli/metallb-hostile.yaml \
	tests/cli/metallb-lossy.yaml \
	tests/cli/metallb-nameless.yaml \
	tests/cli/mishaps \
	tests/cli/mishaps.py \
	tests/cli/out \
	tests/cli/packet.yaml \
	tests/cli/places.yaml \
	tests/cli/pools.yaml \
	tests/cli/quoted.json \
	tests/cli/racks.yaml \
	tests/cli/service.yaml \
	tests/cli/several.yaml \
	tests/cli/shared.yaml \
	tests/cli/sharing-external.yaml \
	tests/cli/sharing.yaml \
	tests/cli/states \
	tests/cli/states.py \
	tests/cli/sysdump \
	tests/cli/sysdump.py \
	tests/cli/state.yaml \
	tests/cli/tenants.yaml \
	tests/cli/tenants-state.yaml

check_PROGRAMS += tests/unit/test_convert
TESTS += tests/unit/test_convert
tests_unit_test_convert_SOURCES = tests/unit/test_convert.c tests/unit/unit.h
tests_unit_test_convert_LDADD = $(UNIT_LDADD)

check_PROGRAMS += tests/fuzz/fuzz_convert
tests_fuzz_fuzz_convert_SOURCES = tests/fuzz/fuzz_convert.c $(FUZZ_MAIN)
tests_fuzz_fuzz_convert_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_convert
