# SPDX-License-Identifier: Apache-2.0
"""Measurements for people: see tests/bench/run --help."""
