/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_PODS_H
#define FAIRLEAD_CLI_TEST_PODS_H

/*
 * What runs in the Pods of `fairlead test`, by words of the command line that nobody is told:
 *
 *	fairlead __echo PORT               answers every HTTP request with a JSON object: node, pod
 *	                                   (of $NODE_NAME, $POD_NAME), client
 *	fairlead __probe SECONDS FILE [WORD…]   asks the targets of these words, as test_probe.h has
 *	                                   them, and writes what it found into FILE
 *
 * The echo tells nobody more than what he sent, and goes nowhere; the probe listens nowhere, and
 * asks nobody but those that it was started with.
 */

#define TEST_ECHO_WORD "__echo"
#define TEST_PROBE_WORD "__probe"

/* @argv: behind the word, NULL at the end.  They return the exit status. */
int test_echo_main(char **argv);
int test_probe_main(char **argv);

#endif
