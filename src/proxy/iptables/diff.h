/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_DIFF_H
#define FAIRLEAD_PROXY_IPTABLES_DIFF_H

/*
 * What differs in the kernel from what is wanted, of one family after the other, as JSON.  It reads
 * beside the planes, which know nothing of it, and repairs nothing.
 */

#include "fairlead/buf.h"
#include "proxy/iptables/plane.h"

struct diff;

/* As proxy_diff_start(); the planes have to live until it is done or cancelled. */
struct diff *diff_start(struct event_base *base, struct plane *const *planes,
                        void (*done)(struct buf *text, void *arg), void *arg);
void diff_cancel(struct diff *d);

#endif
