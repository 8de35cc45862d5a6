/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_WATCH_H
#define FAIRLEAD_PROXY_IPTABLES_WATCH_H

/*
 * Whether somebody else has changed rules that matter to us, in one family: with the nft variant as
 * soon as it happens, by the kernel's notifications; with legacy within a second, by the number and
 * size of each table's entries.  It says that something may have changed, not what: only a
 * comparison tells.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/iptables/variant.h"

struct event_base;
struct watch;

/* Datagrams of notifications read a turn of the event loop. */
#define WATCH_SLICE 64
/* How many of our programs are known at a time. */
#define WATCH_OWN_PROGRAMS 32
#define WATCH_BUFFER_BYTES (4 << 20)
/* The time between two looks at the sizes of legacy tables. */
#define WATCH_LOOK_S 1

struct watch_ops {
	/* Whether a change of this chain matters; NULL: the whole table was made or has gone. */
	bool (*cares)(const char *table, const char *chain, void *arg);
	/* Something that matters may have changed.  Once, until watch_settle(). */
	void (*changed)(void *arg);
	/*
	 * nft alone, and each time: a table that is none of iptables' in which we write, in this
	 * family or in inet.
	 */
	void (*foreign)(void *arg);
};

/* Never fails: what cannot be watched is only found by the regular looks. */
struct watch *watch_new(struct event_base *base, const struct variant *v, uint8_t family,
                        const struct watch_ops *ops, void *arg);
void watch_free(struct watch *w);
/* Changes by this program are ours, until it has ended.  One at a time. */
void watch_own(struct watch *w, pid_t pid);
void watch_ended(struct watch *w);
/* From here on: what there is now is about to be read. */
void watch_settle(struct watch *w);
/* The same, for what has no notifications, after we have written. */
void watch_wrote(struct watch *w);
bool watch_is_changed(struct watch *w);

#endif
