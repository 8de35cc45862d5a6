/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set's virtual server is there before anything leads to it, and goes when nothing does any more.
 */
#include "config.h"

#include "proxy/nftables/keeper_private.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/virtual.h"

/* Of what no other node's clients come to, so that nodes need not agree; it takes less memory. */
#define SCHEDULER_INSIDE "rr"

bool keeper_is_virtual(const struct keeper *k, const struct plan_set *set)
{
	return k->frame.ipvs && !set->affinity;
}

static struct virtual_id id_of(const struct keeper *k, uint32_t set)
{
	return (struct virtual_id){ .mark = frame_virtual_mark(&k->frame, set),
		                    .family = k->frame.family };
}

static void add_endpoints(struct virtual_endpoint *list, size_t *n, const struct proxy_endpoint *of,
                          size_t n_of)
{
	for (size_t i = 0; i < n_of; i++)
		list[(*n)++] = (struct virtual_endpoint){ of[i].addr, of[i].port };
}

static size_t n_virtuals(const struct keeper_service *s)
{
	return s->virtuals ? s->virtuals->n : 0;
}

static void note(struct keeper_service *s, uint32_t set)
{
	for (size_t i = 0; i < n_virtuals(s); i++)
		if (s->virtuals->list[i].set == set) {
			s->virtuals->list[i].wanted = true;
			return;
		}
	struct keeper_virtuals *v = s->virtuals =
		s->virtuals ? s->virtuals : xcalloc(1, sizeof(*v));
	ARRAY_RESERVE(v->list, v->cap, v->n + 1);
	v->list[v->n++] = (struct keeper_virtual){ .set = set, .wanted = true };
}

void keeper_virtuals_free(struct keeper_service *s)
{
	if (!s->virtuals)
		return;
	free(s->virtuals->list);
	free(s->virtuals);
}

void keeper_want_virtual(struct keeper_service *s, const struct plan_set *set,
                         const char *scheduler)
{
	struct keeper *k = s->k;
	const struct proxy_port *p = set->port;
	size_t n_all = set->n + p->n_kept + p->n_local;
	cleanup_free struct virtual_endpoint *list = xcalloc(n_all + 1, sizeof(*list));
	struct virtual_server server = { .id = id_of(k, set->set),
		                         .proto = set->proto,
		                         .endpoints = list,
		                         .kept = list + set->n };

	add_endpoints(list, &server.n_endpoints, set->list, set->n);
	add_endpoints(list + set->n, &server.n_kept, p->kept, p->n_kept);
	/* Hints may leave to others what the node has itself. */
	if (set->list != p->local)
		add_endpoints(list + set->n, &server.n_kept, p->local, p->n_local);
	if (!scheduler)
		scheduler = set->outside ? "" : SCHEDULER_INSIDE;
	memccpy(server.scheduler, scheduler, '\0', sizeof(server.scheduler) - 1);
	if (k->show_virtual) {
		k->show_virtual(&server, k->show_arg);
		return;
	}
	note(s, set->set);
	virtuals_set(k->virtuals, &server);
}

void keeper_unwant_virtuals(struct keeper_service *s)
{
	for (size_t i = 0; i < n_virtuals(s); i++)
		s->virtuals->list[i].wanted = false;
}

void keeper_settle_virtuals(struct keeper_service *s)
{
	size_t n = 0;

	if (s->k->planning.s == s) /* which are wanted is not known yet */
		return;
	for (size_t i = 0; i < n_virtuals(s); i++) {
		const struct keeper_virtual *v = &s->virtuals->list[i];
		const struct store_owner *owner = store_owner(s->k->store, FRAME_SETS, &v->set);
		if (v->wanted)
			s->virtuals->list[n++] = *v;
		else if (!owner || owner == &s->owner) /* else the number is another's by now */
			virtuals_remove(s->k->virtuals, id_of(s->k, v->set));
	}
	if (s->virtuals)
		s->virtuals->n = n;
}

bool keeper_virtuals_are_applied(const struct keeper_service *s)
{
	for (size_t i = 0; i < n_virtuals(s); i++)
		if (s->virtuals->list[i].wanted &&
		    !virtuals_is_applied(s->k->virtuals, id_of(s->k, s->virtuals->list[i].set)))
			return false;
	return true;
}

const char *keeper_virtuals_refusal(const struct keeper_service *s)
{
	const char *why = NULL;

	for (size_t i = 0; i < n_virtuals(s) && !why; i++)
		if (s->virtuals->list[i].wanted)
			why = virtuals_refusal(s->k->virtuals,
			                       id_of(s->k, s->virtuals->list[i].set));
	return why;
}

const char *keeper_virtuals_substitute(const struct keeper_service *s)
{
	const char *found = NULL;

	for (size_t i = 0; i < n_virtuals(s) && !found; i++)
		if (s->virtuals->list[i].wanted)
			found = virtuals_substitute(s->k->virtuals,
			                            id_of(s->k, s->virtuals->list[i].set));
	return found;
}

bool keeper_waits_for_virtuals(const struct keeper *k)
{
	return k->virtuals && !virtuals_is_settled(k->virtuals);
}
