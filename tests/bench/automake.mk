# SPDX-License-Identifier: Apache-2.0
noinst_PROGRAMS += tests/bench/patcher
tests_bench_patcher_SOURCES = tests/bench/patcher.c
EXTRA_DIST += \
	tests/bench/allocate \
	tests/bench/failover \
	tests/bench/proxy \
	tests/bench/run \
	tests/bench/__init__.py \
	tests/bench/__main__.py \
	tests/bench/allocate.py \
	tests/bench/announce.py \
	tests/bench/bgp.py \
	tests/bench/failover.py \
	tests/bench/figures.py \
	tests/bench/memory.py \
	tests/bench/objects.py \
	tests/bench/plan.py \
	tests/bench/proxy.py \
	tests/bench/proxyroom.py \
	tests/bench/scale.py
