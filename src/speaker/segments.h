/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_SEGMENTS_H
#define FAIRLEAD_SPEAKER_SEGMENTS_H

/*
 * Layer 2 as the speaker uses it: the urgent thread's start and end, the snapshots for it, and its
 * news.
 */

#include <stddef.h>
#include <stdint.h>

#include "fairlead/err.h"

struct speaker;

/* Starts the urgent thread, with the heartbeat key once it is known. */
int segments_start(struct speaker *sp, const uint8_t *key, size_t key_size, struct err *e);
/* Gives it what is to be served, if that has changed. */
void segments_publish(struct speaker *sp);

struct announcement;
struct out;

/*
 * What layer 2 knows of an address, as members of its object in /status: how it stands with this
 * node, since when its owner has it and, of this node, why.
 */
void segments_put_claim(const struct announcement *a, struct out *o);

#define SEGMENTS_MAC_SIZE 18
/* "02:00:00:00:00:01", "" for all zero. */
const char *segments_mac(const uint8_t mac[static 6], char out[static SEGMENTS_MAC_SIZE]);

#endif
