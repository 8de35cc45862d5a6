/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_REPORT_H
#define FAIRLEAD_CLI_TEST_REPORT_H

/*
 * What `fairlead test` prints: as text a line for each check as soon as it is known, as JSON or
 * YAML all of it at the end.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/commands.h"
#include "cli/test_judge.h"

enum test_check {
	TEST_CHECK_SPEAKERS,
	TEST_CHECK_POD,
	TEST_CHECK_ADDRESS,
	TEST_CHECK_ANNOUNCED,
	TEST_CHECK_ARP,
	TEST_CHECK_VIP_HERE,
	TEST_CHECK_NODE_PORTS_HERE,
	TEST_CHECK_CLIENT_HERE,
	TEST_CHECK_ASKING_POD,
	TEST_CHECK_VIP_NODES,
	TEST_CHECK_NODE_PORTS_NODES,
	TEST_CHECK_CLUSTER_IP_NODES,
	TEST_CHECK_CLIENT_NODES,
};

struct test_report {
	struct command_answer a;
	size_t counts[TEST_SKIPPED + 1];
};

void test_report_init(struct test_report *r, const struct command_options *o, const char *namespace,
                      const char *image);
void test_report_fini(struct test_report *r);
/* @policy: "Cluster", "Local", or NULL where it is the same. */
void test_report_add(struct test_report *r, enum test_check check, const char *policy,
                     enum test_result result, const char *why);
/*
 * Prints the end.  @left: what could not be cleaned up, or is kept, and why; NULL: nothing is left.
 * @ended: why there are no more checks, NULL: there are all.
 */
void test_report_end(struct test_report *r, const char *address, const char *left,
                     const char *ended);

#endif
