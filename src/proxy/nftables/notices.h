/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_NOTICES_H
#define FAIRLEAD_PROXY_NFTABLES_NOTICES_H

/*
 * What others change in nftables, as the kernel tells it at once.  Our own changes are left out in
 * the kernel, before they take memory here.
 */

#include <stdint.h>

struct event_base;
struct notices;

/* The sockets by which we change things: one a family. */
#define NOTICES_OWN 2

struct notices_ops {
	/* Our table of this family: 4, 6. */
	void (*changed)(uint8_t family, void *arg);
	/* Another table. */
	void (*foreign)(void *arg);
	/* There were too many to keep, so anything may have changed. */
	void (*lost)(void *arg);
};

/* NULL, and logged: there are none. @own: as nlmsg_pid has them. */
struct notices *notices_new(struct event_base *base, const uint32_t own[static NOTICES_OWN],
                            const struct notices_ops *ops, void *arg);
void notices_free(struct notices *n);

#endif
