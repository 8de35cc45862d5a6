/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_CLIENT_H
#define FAIRLEAD_BGP_CLIENT_H

/*
 * A connection to one FRR daemon's vty socket that never blocks and always comes back.
 *
 * A socket file may outlive its daemon and a connect() may reach a dying one, so only the reply to
 * `enable` counts as a sign of life.  Commands go out in order, at most VTY_WINDOW unanswered: a
 * daemon executes what it has received even when we are gone.  If a reply does not come in time,
 * the daemon hangs, and the client connects anew.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"

struct event_base;
struct vty_client;

#define VTY_WINDOW 64
#define VTY_BACKOFF_MIN_MS 50
#define VTY_BACKOFF_MAX_MS 5000
#define VTY_QUEUE_MAX 4000000

enum {
	VTY_WAIT = 1 << 0, /* nothing is sent after it before its reply */
};

struct vty_client_ops {
	void (*up)(void *arg); /* `enable` was answered */
	/* The reply to the command sent with @tag, in the order of the commands. */
	void (*reply)(uint32_t tag, uint8_t status, const char *text, size_t size, void *arg);
	/*
	 * The connection, or an attempt at one, failed; every command not yet answered is
	 * forgotten.
	 */
	void (*down)(const struct err *e, void *arg);
};

/*
 * Starts to connect from the event loop.  @path is copied.  The callbacks must not free the client,
 * but may send, cancel and reset.
 */
int vty_client_new(struct event_base *base, const char *path, unsigned int timeout_ms,
                   const struct vty_client_ops *ops, void *arg, struct vty_client **ret_client,
                   struct err *e);
void vty_client_free(struct vty_client *c);
bool vty_client_is_up(const struct vty_client *c);
/* Connections that came up so far. */
uint64_t vty_client_n_up(const struct vty_client *c);
/* Queues a command; -EINVAL for a text that must not be sent, -ENOTCONN, -ENOBUFS. */
int vty_client_send(struct vty_client *c, const char *text, unsigned int flags, uint32_t tag,
                    struct err *e);
/* Forgets the commands that were not sent yet. */
void vty_client_cancel(struct vty_client *c);
/* Drops the connection and makes a new one after the backoff; calls down(). */
void vty_client_reset(struct vty_client *c, const struct err *e);

#endif
