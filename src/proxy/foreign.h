/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_FOREIGN_H
#define FAIRLEAD_PROXY_FOREIGN_H

/*
 * What others' nftables chains do with the packets that we forward.  Each base chain decides for
 * itself, so what iptables accepts may still be refused by another table, and no rule of ours can
 * help.  They are those at the forward hook; where IPVS picks, those at input and output, which new
 * connections pass, and at forward, for their answers, and for Services with affinity.
 *
 * Only what is certain counts as refused: a chain that ends every new connection, by its policy or
 * by a rule without a condition, and in which nothing comes before that might let some through.  If
 * something might, only running the rules could tell, and that counts as uncertain. `ct status dnat
 * accept` lets ours through in any case; with IPVS, `ct mark and 0x1000 != 0 accept` as well.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/proxy.h"

struct event_base;
struct foreign;

/* How many base chains one look covers; more make it uncertain. */
#define FOREIGN_MAX_BASE_CHAINS 256
/* A look has failed if the kernel does not answer for this long. */
#define FOREIGN_TIMEOUT_MS 1000
/*
 * A look caused by somebody's change waits this long, and so many times what the last one took.
 */
#define FOREIGN_GAP_MS 500
#define FOREIGN_GAPS 20
/* Looks without a cause take at most one part in so many of the time. */
#define FOREIGN_SHARE 100

struct foreign_finding {
	enum proxy_passage passage;
	char where[PROXY_WHERE_SIZE]; /* "table inet filter, chain forward"; "": nowhere */
};

/*
 * Looks at all chains of one family; @nft: those of iptables-nft's filter table are ours to look
 * after; @ipvs: the bit by which connections of IPVS are marked, 0 without IPVS.  A negative errno
 * if nftables cannot be read, or kept changing.
 */
int foreign_look(bool nft, uint32_t ipvs, uint8_t family, struct foreign_finding *ret_finding);

/*
 * Looks now, every @interval_ms or so, and soon after each foreign_hint(); @changed: a finding has,
 * after this returned.
 */
struct foreign *foreign_new(struct event_base *base, bool nft, uint32_t ipvs, int interval_ms,
                            void (*changed)(void *arg), void *arg);
void foreign_free(struct foreign *f);
void foreign_hint(struct foreign *f);
const struct foreign_finding *foreign_finding(const struct foreign *f, uint8_t family);

#endif
