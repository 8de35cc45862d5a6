/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_LINK_H
#define FAIRLEAD_L2_LINK_H

/*
 * Raw frames on one interface, through libpcap.  Filters in the kernel let through only what
 * concerns us, to a queue for each kind of frames: whoever asks too much overflows that of the
 * questions, and pushes no heartbeat out.  The groups to which questions for IPv6 addresses go are
 * groups.h's matter.  Never waits.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"

struct bpf_program;
struct link;

enum link_queue {
	LINK_MESSAGES,  /* of speakers */
	LINK_NEIGHBORS, /* ARP and neighbour discovery */
	LINK_QUEUES
};

/*
 * @waited_ms: between its arrival and now; wrong for frames that wait while the machine's clock is
 * set, and never negative.
 */
typedef void link_frame_fn(int64_t waited_ms, const void *frame, size_t size, void *arg);

/* @filters: of filter.h, by queue; copied. */
int link_open(const char *interface, struct bpf_program *const *filters, struct link **ret_link,
              struct err *e);
/*
 * Another one for the neighbours' queue from now on; frames that have come are still handed over.
 * -errno as that of filter_replace().
 */
int link_set_filter(struct link *l, const struct bpf_program *filter);
void link_close(struct link *l);
/* Readable when there is a frame. */
int link_fd(const struct link *l, enum link_queue queue);
/* Whether frames of neighbours were lost for want of room since it was last asked. */
bool link_has_lost(struct link *l);
/*
 * Hands over the available frames, at most @max; returns how many, or -EIO when the interface went
 * away.
 */
int link_receive(struct link *l, enum link_queue queue, int max, link_frame_fn *fn, void *arg);
/* Sends a frame, or loses it, as the wire might; -errno says why the kernel did not accept it. */
int link_send(struct link *l, const void *frame, size_t size);

#endif
