/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_FILTER_H
#define FAIRLEAD_L2_FILTER_H

/*
 * What the kernel lets through to layer 2, as programs for it (bpf(4)): one for the speakers'
 * messages; and one for what of ARP and neighbour discovery is about addresses that may be ours, or
 * is sent to this machine alone.  Whatever else a segment is flooded with wakes nobody.
 */

#include <stdatomic.h>
#include <stddef.h>

#include "fairlead/buf.h"
#include "fairlead/ownership.h"

/* So many prefixes stand for the addresses of a family; they may hold some more addresses. */
#define FILTER_PREFIXES_MAX 32
/* of a frame, with a tag */
#define FILTER_SNAPSHOT_SIZE 1518

struct bpf_program;

/*
 * Of ARP and neighbour discovery, for addresses in these ranges, in any order; NULL: for all.
 * NULL: libpcap refuses it.
 */
struct bpf_program *filter_new(const struct l2_range *ranges, size_t n);
/* Of the speakers' messages. */
struct bpf_program *filter_new_messages(void);
/* Accepts NULL. */
void filter_free(struct bpf_program *filter);

/* Has the kernel use the program for a socket in place of the one before.  0 or negative errno. */
typedef int filter_attach_fn(const struct bpf_program *filter, void *arg);
/*
 * Replaces a socket's program by @attach.  The kernel counts both for a moment, against
 * net.core.optmem_max: where that is too much, a small one that lets everything through comes in
 * between.  It stays if there is no room for @filter even so, which is told by negative errno.
 */
int filter_replace(const struct bpf_program *filter, filter_attach_fn *attach, void *arg);
/* From the thread that publishes to the urgent one. */
struct filter_store {
	struct l2_range *ranges; /* the publishing thread's: what the last one is for */
	size_t n;
	_Atomic(struct bpf_program *) pending;
};
/*
 * Makes one for the snapshot's ranges, if they are others than before; this takes longer than the
 * urgent thread has.
 */
void filter_store_set(struct filter_store *s, const struct l2_snapshot *snapshot);
/* The one that was made last, for filter_free(); NULL: there is none since. */
struct bpf_program *filter_store_take(struct filter_store *s);
void filter_store_fini(struct filter_store *s);

/* The programs in pcap-filter(7)'s words, but for frames of VLANs, which it has no words for. */
void filter_put(const struct l2_range *ranges, size_t n, struct buf *out);
void filter_put_messages(struct buf *out);

#endif
