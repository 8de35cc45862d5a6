/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_OUTLINE_H
#define FAIRLEAD_KUBE_OUTLINE_H

/*
 * What can be found out about an object without a JSON parser, whatever its size and depth and
 * whatever pieces it comes in: its name, its age, and which addresses its status and its list of
 * external IPs name.  For objects that are too large, or cannot be read: an address that is in use
 * must not be forgotten.
 *
 * It takes JSON as the API server writes it, with no escapes in the keys and values that count.
 * Memory grows with the addresses alone; OUTLINE_ADDRS_MAX of each kind are more than an object can
 * hold that fits into etcd.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/kube_types.h"

#define OUTLINE_ADDRS_MAX (1u << 18)
/* Nothing that counts lies deeper: event, status, loadBalancer, ingress, its item. */
#define OUTLINE_DEPTH 8
#define OUTLINE_TEXT_SIZE 256

struct outline_list {
	struct addr *addrs;
	size_t n, cap;
};

struct outline {
	/* Where we are: the open collections, as far as they count. */
	size_t depth;
	uint8_t nodes[OUTLINE_DEPTH]; /* what each is */
	bool maps[OUTLINE_DEPTH];     /* rather than lists */
	uint8_t next;                 /* what the value to come is */
	bool in_string, escaped, is_key, expect_key;
	char text[OUTLINE_TEXT_SIZE]; /* of the string under way, and its true length */
	size_t len;
	/* What was found. */
	char type[16]; /* of a watch's event */
	char namespace[OUTLINE_TEXT_SIZE], name[OUTLINE_TEXT_SIZE], uid[OUTLINE_TEXT_SIZE];
	char version[OUTLINE_TEXT_SIZE], creation[64];
	struct outline_list ingress, external_ips;
	struct addr confirmed[2]; /* external IPs that the controller's condition names */
	size_t n_confirmed;
	bool confirms;                   /* the condition under way is that one */
	char message[OUTLINE_TEXT_SIZE]; /* of the condition under way, as much as fits */
	bool overflow;                   /* there were more addresses than OUTLINE_ADDRS_MAX */
	bool closed;                     /* the outermost bracket */
	bool bad;                        /* this is not a JSON object */
};

/* @event: the object is the member "object" of what comes. */
void outline_init(struct outline *o, bool event);
void outline_fini(struct outline *o);
void outline_feed(struct outline *o, const char *data, size_t size);
/* Of a whole text. */
void outline_of(struct outline *o, bool event, const char *data, size_t size);
/* Whether the object has a name, came to its end, and all of its addresses are known. */
bool outline_is_good(const struct outline *o);
/* What was found, for kube_remains_free(); the outline is left without its addresses. */
struct kube_remains *outline_take(struct outline *o);

#endif
