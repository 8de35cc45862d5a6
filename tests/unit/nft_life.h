/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_NFT_LIFE_H
#define FAIRLEAD_TESTS_NFT_LIFE_H

/*
 * The keeper of one family's table with a kernel that is made up (nft_kernel.h), in virtual time,
 * for programs that are linked with NFT_LIFE (tests/unit/automake.mk).  After every transaction,
 * whatever came before it, all that is in the kernel leads to what is there; and in the end the
 * kernel has what is wanted, and nothing more is written.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nft_kernel.h"
#include "nft_wishes.h"
#include "proxy/nftables/keeper_private.h"

/* More than all pauses together that follow one failure after another. */
#define LIFE_LONG_MS 300000

/* By chance some are taken for large ones, which are planned in pieces; or all are. */
extern bool life_sizes_vary;
extern bool life_all_large;

struct life {
	struct event_base *base;
	struct keeper *k;
	uint8_t family;
	bool masquerade_all;
	struct proxy_node node;
	struct spec *wanted[WISHES];
	bool doubt;  /* the keeper has yet to be told */
	bool broken; /* others, or the kernel, saw to it that not all holds */
	bool was_damaged;
	bool meddlers, meddled; /* others may have given a set another number */
	size_t n_failed;
	uint64_t others;
	struct wish *restless; /* a large Service, which is changed whenever it might rest */
	const char *alone;     /* the only Service, of which one element is refused once, alone */
};

extern struct life life;

/* The kernel has nothing yet, and nothing is wanted; chance begins with @seed. */
void life_setup(uint64_t seed, uint8_t family);
void life_teardown(void);
/* A keeper starts; what is wanted comes at once, or piece by piece while the kernel is read. */
void life_begin(bool at_once);
/* Killed, and started anew. */
void life_restart(bool at_once);
void life_pass(int64_t ms);

/* The Service of this number. */
void life_set(size_t i, const struct wish *wish);
void life_remove(size_t i);
void life_set_node(bool with_pods);
/* Others did something to the table; the keeper is told by life_tell_doubt(). */
void life_others_changed(void);
void life_tell_doubt(void);

/* Nothing goes wrong any more. */
void life_heal(void);
void life_check_is_as_wanted(void);
/* After that, and a long time, all is as wanted, and nothing more is written. */
void life_settle(void);
/*
 * Cluster IPs are nobody else's: where a Service is said to be applied, its own lead to where they
 * should.
 */
void life_check_what_is_applied(void);

#endif
