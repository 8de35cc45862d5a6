/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_SESSIONS_H
#define FAIRLEAD_BGP_SESSIONS_H

/*
 * The sessions with our peers as bgpd shows them: two cheap shows, often while something is down,
 * otherwise rarely.  It knows the engine's connection and what is wanted; anything else it asks
 * for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bgp/client.h"
#include "bgp/session.h"
#include "bgp/want.h"

struct event_base;
struct sessions;

#define BGP_POLL_FAST_MS 1000
#define BGP_POLL_SLOW_MS 5000
#define BGP_NEIGHBORS_POLLED_MAX LIMIT_BGP_NEIGHBORS_POLLED

/* The tags of its commands; other commands on the same connection have other tags. */
enum {
	SESSIONS_TAG_SUMMARY = 0x0fff,
	SESSIONS_TAG_NEIGHBOR = 0x1000, /* + the index of the session */
	SESSIONS_TAG_END = 0x10000,
};

struct sessions_ops {
	/* Whether bgpd has an instance that sessions of ours may be in. */
	bool (*has_instance)(void *arg);
	/*
	 * Whether the neighbour at that address belongs to others; its session then carries none of
	 * our routes.
	 */
	bool (*is_foreign)(const struct addr *a, void *arg);
	/* What is known about a session has changed. */
	void (*changed)(void *arg);
	/* Somebody has removed a neighbour, or the instance. */
	void (*lost)(void *arg);
};

/* Both must outlive it. */
struct sessions *sessions_new(struct event_base *base, struct vty_client *client,
                              const struct sessions_ops *ops, void *arg);
void sessions_free(struct sessions *s);
/* One for each wanted peer, in its order.  @want is read until the next call. */
void sessions_set(struct sessions *s, const struct bgp_want *want);
/* Polls now, and from then on. */
void sessions_poll(struct sessions *s);
/* The connection is lost, and with it what was known. */
void sessions_stop(struct sessions *s);
/* No command that was sent will be answered: the client has forgotten it. */
void sessions_forget_questions(struct sessions *s);
/* True if the reply was to one of these commands. */
bool sessions_reply(struct sessions *s, uint32_t tag, uint8_t status, const char *text,
                    size_t size);

size_t sessions_n(const struct sessions *s);
const struct bgp_session *sessions_at(const struct sessions *s, size_t i);
size_t sessions_n_established(const struct sessions *s);

#endif
