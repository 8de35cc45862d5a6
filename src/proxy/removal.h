/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_REMOVAL_H
#define FAIRLEAD_PROXY_REMOVAL_H

/*
 * A cleanup beside the event loop, in a thread: it runs programs and waits for them, and for locks
 * that others hold.
 */

#include "fairlead/err.h"

struct event_base;
struct removal;

/* In the thread; @what must live for ever. */
typedef int removal_fn(const void *what, struct err *e);
/* From the event loop: the last call. */
typedef void removal_done_fn(int r, const struct err *e, void *arg);

int removal_start(struct event_base *base, removal_fn *fn, const void *what, removal_done_fn *done,
                  void *arg, struct removal **ret_removal, struct err *e);
/* Lets go of it without a call to done(): it ends by itself. */
void removal_free(struct removal *r);

#endif
