# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += \
	tests/bench/run \
	tests/bench/__init__.py \
	tests/bench/__main__.py \
	tests/bench/announce.py \
	tests/bench/failover.py \
	tests/bench/figures.py \
	tests/bench/memory.py \
	tests/bench/objects.py \
	tests/bench/plan.py
