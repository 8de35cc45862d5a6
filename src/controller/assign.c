/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turn: every record that changed since the last one is decided, in the order of creation, and those whose status is
 * not what it shall be go to the writer.  Statuses are adopted as they come in, so that whoever holds an address has
 * it before anybody who waits is looked at.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <utlist.h>

#include "controller/controller.h"
#include "fairlead/log.h"

/* Can another Service's leaving change the answer? */
static bool may_change(enum reason reason)
{
	return reason == REASON_PoolExhausted || reason == REASON_AddressTaken ||
	       reason == REASON_AddressShared;
}

/* Where no patch tells of a refusal (a status that is left alone), log and Event do, once and not for what was found. */
static void tell(struct record *r, bool news)
{
	struct controller *ctl = r->ctl;

	if (!news || r->action != IPAM_FAIL)
		return;
	log_warn("no address", KV_S("service", r->key), KV_S("reason", reason_name(r->reason)),
	         KV_S("detail", r->message));
	if (!ctl->taking_over)
		controller_event(ctl, "Service", r->namespace, r->name, r->uid, true,
		                 "AllocationFailed", "Allocate", r->message);
}

static bool decide(struct record *r)
{
	struct controller *ctl = r->ctl;
	struct ipam_decision d;
	struct addr keep[IPAM_STATUS_MAX * 2];
	size_t n = r->request.n_held;

	ctl->stats.decisions++;
	registry_adopt(ctl, r);
	ipam_decide(ctl->ipam, r->key, &r->request, &d);
	bool news = !r->decided || r->reason != d.reason || strcmp(r->message, d.message) != 0;
	record_decided(r, &d);
	registry_set_waiting(r, may_change(d.reason));

	struct record_write w = record_needs(r, &ctl->server);
	if (w.ingress)
		ipam_hold(ctl->ipam, r->key, d.addrs, d.n);
	memcpy(keep, r->request.held, n * sizeof(keep[0]));
	memcpy(keep + n, d.addrs, d.n * sizeof(keep[0]));
	bool freed = ipam_retain(ctl->ipam, r->key, keep, n + d.n);
	if (w.ingress || w.condition)
		writer_queue(r);
	else
		tell(r, news);
	return freed;
}

static int record_cmp(const void *a, const void *b)
{
	const struct ipam_turn ta = record_turn(*(struct record *const *)a);
	const struct ipam_turn tb = record_turn(*(struct record *const *)b);
	return ipam_order_cmp(&ta, &tb);
}

void assign_turn(struct controller *ctl)
{
	struct record *r, *next, **order;
	size_t n = 0;
	bool freed = false;

	/* A configuration on its way to be published comes first. */
	if (!ctl->leading || ctl->stopping || !ctl->ipam || !ctl->dirty || ctl->config.write)
		return;
	ctl->stats.turns++;
	DL_COUNT(ctl->dirty, r, n);
	order = xcalloc(n, sizeof(*order));
	n = 0;
	DL_FOREACH_SAFE(ctl->dirty, r, next) {
		order[n++] = r;
		r->dirty = false;
		registry_set_flight(r, RECORD_IDLE, 0);
	}
	qsort(order, n, sizeof(*order), record_cmp);
	for (size_t i = 0; i < n; i++)
		freed |= decide(order[i]);
	free(order);
	ctl->taking_over = false;
	if (freed)
		registry_wake_waiting(ctl);
	writer_run(ctl);
}
