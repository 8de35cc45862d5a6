/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "controller/turn.h"

#include <stdlib.h>
#include <string.h>

static int record_cmp(const void *a, const void *b)
{
	const struct ipam_turn ta = record_turn(*(struct record *const *)a);
	const struct ipam_turn tb = record_turn(*(struct record *const *)b);
	return ipam_order_cmp(&ta, &tb);
}

void turn_sort(struct record **records, size_t n)
{
	qsort(records, n, sizeof(struct record *), record_cmp);
}

void turn_adopt(struct ipam *ipam, const struct record *r)
{
	ipam_hold(ipam, r->key, r->request.held, r->request.n_held);
}

static bool may_change(enum reason reason)
{
	return reason == REASON_PoolExhausted || reason == REASON_AddressTaken ||
	       reason == REASON_AddressShared;
}

struct turn_outcome turn_decide(struct ipam *ipam, struct record *r,
                                const struct record_server *server)
{
	struct turn_outcome t;
	struct ipam_decision d;
	struct addr keep[IPAM_STATUS_MAX * 2];
	size_t n = r->request.n_held;

	turn_adopt(ipam, r);
	ipam_decide(ipam, r->key, &r->request, &d);
	t.news = !r->decided || r->reason != d.reason || strcmp(r->message, d.message) != 0;
	record_decided(r, &d);
	t.waits = may_change(d.reason);
	t.write = record_needs(r, server);
	if (t.write.ingress)
		ipam_hold(ipam, r->key, d.addrs, d.n);
	memcpy(keep, r->request.held, n * sizeof(keep[0]));
	memcpy(keep + n, d.addrs, d.n * sizeof(keep[0]));
	t.freed = ipam_retain(ipam, r->key, keep, n + d.n);
	return t;
}

bool turn_settle(struct ipam *ipam, const struct record *r)
{
	return ipam_retain(ipam, r->key, r->request.held, r->request.n_held);
}
