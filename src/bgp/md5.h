/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_MD5_H
#define FAIRLEAD_BGP_MD5_H

/*
 * What the kernel reports about TCP segments that it dropped for their MD5 signature (RFC 2385).
 *
 * bgpd does not see them: a session with a wrong password looks to it like a router that does not
 * answer.  The counters cover the whole host, so recent growth is a hint, not a proof.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MD5_COUNTERS_PATH "/proc/self/net/netstat"
/* A router tries again after two minutes at most, by most defaults. */
#define MD5_LATELY_MS 150000

enum md5_drop { MD5_MISSING, MD5_UNEXPECTED, MD5_WRONG, MD5_N_DROPS };

struct md5_watch {
	bool began; /* there is a count to compare with */
	uint64_t count[MD5_N_DROPS];
	int64_t grew_ms[MD5_N_DROPS]; /* when it last grew, 0: never */
};

/* The three counters out of the text of netstat; a missing one is 0. */
void md5_parse(const char *text, uint64_t ret_count[static MD5_N_DROPS]);
void md5_take(struct md5_watch *w, const uint64_t count[static MD5_N_DROPS], int64_t now_ms);
/* Reads the counters now; without them nothing grows. */
void md5_look(struct md5_watch *w, int64_t now_ms);
/*
 * A hint for a session that does not come up, with or without a password of ours; "" if there is
 * none.
 */
const char *md5_words(const struct md5_watch *w, bool password, int64_t now_ms);

#endif
