/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_DIFF_H
#define FAIRLEAD_PROXY_NFTABLES_DIFF_H

/*
 * What the kernel has, beside what the keepers have written: as struct backend's diff() says.  By a
 * socket of its own; changes nothing.
 */

#include "fairlead/buf.h"
#include "fairlead/proxy.h"

struct director;
struct event_base;
struct keeper;
struct nft_diff;

/* @mode: as it is called in the answer.  @director: NULL: without IPVS. */
struct nft_diff *nft_diff_start(struct event_base *base, const char *mode,
                                struct keeper *const *keepers, const struct director *director,
                                void (*done)(struct buf *text, void *arg), void *arg);
/* Accepts NULL. */
void nft_diff_cancel(struct nft_diff *d);

#endif
