/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_FOREIGN_H
#define FAIRLEAD_PROXY_FOREIGN_H

/*
 * What others' chains of nftables at the forward hook make of the packets that we forward.  Each
 * base chain there is asked by itself, so what iptables accepts may be refused by another table all
 * the same, and no rule of ours can help.
 *
 * Only what is certain counts as refused: a chain that ends every new connection, by its policy or
 * by a rule without a condition, and in which nothing comes before that might let some through.
 * Where something might, nobody can tell without running the rules, and that is uncertain.  `ct
 * status dnat accept` lets ours through in any case.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/proxy.h"

struct event_base;
struct foreign;

/* Base chains of one look; what is beyond makes it uncertain. */
#define FOREIGN_MAX_BASE_CHAINS 256
/* Without an answer of the kernel for so long, a look has failed. */
#define FOREIGN_TIMEOUT_MS 1000
/*
 * A look that somebody's change asks for waits for so long, and for so many times what the last one
 * took.
 */
#define FOREIGN_GAP_MS 500
#define FOREIGN_GAPS 20
/* Looks without a sign take at most one part in so many of the time. */
#define FOREIGN_SHARE 100

struct foreign_finding {
	enum proxy_passage passage;
	char where[PROXY_WHERE_SIZE]; /* "table inet filter, chain forward"; "": nowhere */
};

/*
 * Looks at all chains of one family; @nft: those of iptables-nft's filter table are ours to look
 * after.  A negative errno where nftables cannot be asked, or changed all the time.
 */
int foreign_look(bool nft, uint8_t family, struct foreign_finding *ret_finding);

/*
 * Looks now, every @interval_ms or so, and soon after each foreign_hint(); @changed: a finding has,
 * after this returned.
 */
struct foreign *foreign_new(struct event_base *base, bool nft, int interval_ms,
                            void (*changed)(void *arg), void *arg);
void foreign_free(struct foreign *f);
void foreign_hint(struct foreign *f);
const struct foreign_finding *foreign_finding(const struct foreign *f, uint8_t family);

#endif
