/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_L2_SNIFFER_H
#define FAIRLEAD_L2_SNIFFER_H

/*
 * Who sends packets for some addresses to this machine by one interface.  A sample is enough, so
 * the socket keeps a few frames, nobody is woken by them, and what comes while it is full is not
 * seen: however many packets come, looking costs the same, and waits for nothing.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "l2/stragglers.h"

struct sniffer;

/* The machine at @mac sent a packet from @source, which may be behind it, to @target. */
typedef void sniffer_fn(const uint8_t *mac, const struct addr *source, const struct addr *target,
                        void *arg);

/*
 * NULL if the kernel refuses.  Sees nothing at first.  Closing, and so what is refused, waits for a
 * grace period of the kernel.
 */
struct sniffer *sniffer_open(int interface_index);
void sniffer_close(struct sniffer *s);
/* What it sees from now on; cheap if these are the addresses that it has.  -errno if refused. */
int sniffer_set(struct sniffer *s, const struct addr *addrs, size_t n);
/* Hands over what was kept since. */
void sniffer_read(struct sniffer *s, sniffer_fn *fn, void *arg);

/* What a frame says, of which the beginning suffices. */
struct sniffed {
	uint8_t mac[6]; /* who sent it */
	struct addr source, target;
};
/* False unless it is a packet of IP whose addresses are there. */
bool sniffer_decode(const void *frame, size_t size, struct sniffed *ret_packet);

/* At most so many instructions. */
#define SNIFFER_FILTER_MAX (13 + 9 * STRAGGLERS_AT_ONCE)
/* The program that lets through packets to this machine for these; returns its length. */
size_t sniffer_filter(const struct addr *addrs, size_t n,
                      struct sock_filter ret_program[static SNIFFER_FILTER_MAX]);

#endif
