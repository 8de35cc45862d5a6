/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TEST_JUDGE_H
#define FAIRLEAD_CLI_TEST_JUDGE_H

/*
 * What the checks of `fairlead test` make of what is known and of what was asked: whether it is as
 * it should be, and why not, in words.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/test_neighbour.h"
#include "cli/test_probe.h"
#include "cli/test_world.h"
#include "fairlead/buf.h"

enum test_result { TEST_OK, TEST_FAILED, TEST_SKIPPED };

/* Each appends why to @why. */
enum test_result test_judge_speakers(const struct test_world *w, struct buf *why);
enum test_result test_judge_echo(const struct test_world *w, struct buf *why);
enum test_result test_judge_address(const struct test_world *w, struct buf *why);
/* By the policy that the Service has. */
enum test_result test_judge_announced(const struct test_world *w, struct buf *why);

/* By ARP or neighbour discovery; @n: whom this machine's kernel has for the address. */
enum test_result test_judge_arp(const struct test_world *w, const struct test_neighbour *n,
                                struct buf *why);

/*
 * What was asked from this machine: the address first, then node ports ("node-port/NODE").  Where
 * nothing answers, and no neighbour says that it should, this machine is of another network.
 */
enum test_result test_judge_vip_here(const struct test_probe *probes, size_t n,
                                     const struct test_neighbour *neighbour, struct buf *why);
/* @before: those that were asked with policy Cluster; NULL: this is policy Cluster. */
enum test_result test_judge_node_ports_here(const struct test_world *w,
                                            const struct test_probe *probes, size_t n,
                                            const struct test_probe *before, struct buf *why);
enum test_result test_judge_client(const struct test_world *w, const struct test_probe *vip,
                                   struct buf *why);

/*
 * Those of the targets whose name begins with @what, over all Pods that ask; skipped if none was
 * asked.
 */
enum test_result test_judge_asked(const struct test_asked *asked, size_t n, const char *what,
                                  struct buf *why);
/* With policy Local: a node's port tells who asked, if the node has an endpoint. */
enum test_result test_judge_asked_client(const struct test_asked *asked, size_t n, struct buf *why);

#endif
