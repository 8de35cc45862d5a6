# SPDX-License-Identifier: Apache-2.0
# Each fuzz target is one file with LLVMFuzzerTestOneInput().  With --enable-fuzzers it links libFuzzer; otherwise
# tests/fuzz/replay.c gives it a main() that runs every file of its corpus, and `make check` does so.
#
# A target NAME adds:
#	check_PROGRAMS += tests/fuzz/fuzz_NAME
#	tests_fuzz_fuzz_NAME_SOURCES = tests/fuzz/fuzz_NAME.c $(FUZZ_MAIN)
#	tests_fuzz_fuzz_NAME_LDFLAGS = $(FUZZ_LINK)
#	FUZZ_TARGETS += tests/fuzz/fuzz_NAME
# and a corpus in tests/fuzz/corpus/NAME/.

FUZZ_TARGETS =
if FUZZERS
FUZZ_MAIN =
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/replay.c
FUZZ_LINK = $(AM_LDFLAGS)
endif

TESTS += tests/fuzz/replay-all
EXTRA_DIST += tests/fuzz/replay-all tests/fuzz/replay.c tests/fuzz/run tests/fuzz/corpus
AM_TESTS_ENVIRONMENT = FUZZ_TARGETS='$(FUZZ_TARGETS)' SRCDIR='$(srcdir)'; export FUZZ_TARGETS SRCDIR;
