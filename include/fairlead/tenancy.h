/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TENANCY_H
#define FAIRLEAD_TENANCY_H

/*
 * May two Services have one address?  One rule, which is symmetric and asks for nothing but what
 * the two say of themselves and whether the address's pool shares across namespaces.
 *
 * A Service agrees to share by a key (annotation fairlead.io/allow-shared-ip, or MetalLB's
 * spellings of it).  Two share where the keys are equal, no port of one is a port of the other, and
 * the nodes that may carry the traffic of one may carry that of the other: both have traffic policy
 * Cluster, or both Local and the same selector.
 *
 * That an address is shared stands in the statuses: an entry of status.loadBalancer.ingress that
 * lists ports is one that its Service may have together with others, and for external IPs the
 * condition says so (KUBE_CONFIRMS_SHARED).  Only controllers write statuses, so speakers look
 * there and judge nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "fairlead/kube_types.h"

#define TENANCY_ANNOTATION "fairlead.io/allow-shared-ip"
/* Of one address. */
#define TENANCY_MAX 64
#define TENANCY_KEY_MAX 253

struct tenancy_port {
	enum kube_proto proto;
	uint16_t port;
};

/* What one Service says. */
struct tenancy {
	char *namespace;
	char *key; /* NULL: it shares with nobody */
	bool local;
	struct labels selector;     /* with policy Local alone */
	struct tenancy_port *ports; /* sorted */
	size_t n_ports;
	int64_t creation_us;
	bool external; /* as external IPs, which are not shared with what statuses hold */
	/*
	 * What it has is not ours to share, so nobody joins it, nor does it join anybody.  Those it
	 * has an address together with already stay.
	 */
	bool closed;
	/*
	 * What a controller has let it share: all of its status, if every address there lists
	 * ports; of external IPs those that the condition names as shared.
	 */
	struct addr *granted;
	size_t n_granted;
};

/* NULL where it says nothing of sharing, and was let share nothing. */
struct tenancy *tenancy_of(const struct kube_service *s);
/* The same of its external IPs. */
struct tenancy *tenancy_of_external(const struct kube_service *s);
struct tenancy *tenancy_copy(const struct tenancy *t);
void tenancy_free(struct tenancy *t);
/* From now on it was let share these, and no others. */
void tenancy_grant(struct tenancy *t, const struct addr *addrs, size_t n);
bool tenancy_is_granted(const struct tenancy *t, const struct addr *a); /* @t may be NULL */
bool tenancy_eq(const struct tenancy *a, const struct tenancy *b);      /* either may be NULL */
/* All but what was granted, which is no news to others. */
bool tenancy_says_same(const struct tenancy *a, const struct tenancy *b); /* the same */

enum tenancy_obstacle {
	TENANCY_NONE,
	TENANCY_NAMESPACE, /* it is of another one, and the pool does not share across them */
	TENANCY_KEY,       /* one of them has no key, or they differ */
	TENANCY_USE,       /* one has it as an external IP */
	TENANCY_POLICY,
	TENANCY_SELECTOR,
	TENANCY_PORT,
	/* Of who joins, not of the pair, so never said by tenancy_judge(): */
	TENANCY_AGE,    /* it would come before one that has the address */
	TENANCY_FULL,   /* TENANCY_MAX have it */
	TENANCY_CLOSED, /* one of them lets nobody in */
};
struct tenancy_verdict {
	enum tenancy_obstacle obstacle;
	struct tenancy_port port; /* of TENANCY_PORT: the lowest that both have */
};

/* @across: the pool shares across namespaces.  Either may be NULL.  Linear in the ports. */
struct tenancy_verdict tenancy_judge(const struct tenancy *a, const struct tenancy *b, bool across);
/*
 * What is in the way, said to the Service that wants the address: "shop/dns has port 53/UDP, too".
 * @who names the other one, and is told nothing of what is its own affair if that is of another
 * namespace.
 */
void tenancy_put(const struct tenancy_verdict *v, const char *who, struct buf *out);

#endif
