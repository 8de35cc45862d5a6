/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with Services and pools. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_pools.h"
#include "cli/model_private.h"
#include "cli/verdict_private.h"
#include "fairlead/mem.h"

/* ---- Services ---- */

/*
 * Whose address it is, or whether it may be one at all: no node should announce it, and nothing is
 * wrong.
 */
static bool is_not_ours(enum reason r)
{
	return r == REASON_OtherClass || r == REASON_IpModeProxy || r == REASON_Deleting ||
	       r == REASON_AddressNotInPool || r == REASON_ExternalIpNotAllowed ||
	       r == REASON_NotLoadBalancer;
}

static bool is_expected(const struct model_address *a)
{
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (is_not_ours(reason_named(a->verdicts[i].reason)))
			return false;
	return true;
}

/* The reason that says most of why no node announces it. */
static const char *principal(const struct model_address *a)
{
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (reason_named(a->verdicts[i].reason) != REASON_NotOwner)
			return a->verdicts[i].reason;
	return a->n_verdicts ? a->verdicts[0].reason : reason_name(REASON_SpeakerStale);
}

/* Of that reason alone if all say the same, else who says what. */
static char *why_nobody(const struct model *m, const struct model_address *a)
{
	struct buf all = BUF_INIT;
	const char *reason = principal(a);
	size_t len = strlen(reason);

	model_put_reasons(m, a, &all);
	/* "NoEndpoints: because": the word stands before it already. */
	if (!strncmp(buf_str(&all), reason, len) && !strncmp(buf_str(&all) + len, ": ", 2))
		buf_consume(&all, len + 2);
	return buf_take(&all);
}

static size_t n_owners(const struct model_address *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_verdicts; i++)
		n += a->verdicts[i].announce && a->verdicts[i].protocol == PROTOCOL_LAYER2;
	return n;
}

static char *address_object(const struct model_service *s, const struct model_address *a)
{
	return xasprintf("Service %s, %s", s->key, addr_str(&a->address.addr));
}

static void find_owners(const struct model_service *s, const struct model_address *a,
                        struct findings *f)
{
	cleanup(buf_fini) struct buf owners = BUF_INIT;

	if (n_owners(a) > 1) {
		model_put_owners(a, SIZE_MAX, &owners);
		verdict_add(f, VERDICT_DEGRADED, REASON_TwoOwners, address_object(s, a),
		            xasprintf("announced by %s", buf_str(&owners)));
		return;
	}
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (reason_named(a->verdicts[i].reason) == REASON_TwoOwners)
			verdict_add(f, VERDICT_DEGRADED, REASON_TwoOwners, address_object(s, a),
			            xasprintf("node %s: %s", a->verdicts[i].node,
			                      a->verdicts[i].message));
}

/* A part of it that has no address; without a reason only if nobody else can be meant. */
static void find_waiting(const struct model_service *s, const char *reason, const char *message,
                         struct findings *f)
{
	enum reason r = reason_named(reason);

	if (*reason ? r != REASON_COUNT && reason_holds(r) : s->class != NULL)
		return;
	verdict_add_word(f, VERDICT_DEGRADED, *reason ? reason : reason_name(REASON_NoAddress),
	                 xasprintf("Service %s", s->key), xstrdup(message));
}

/* Whether what the Service is or wants is the reason, and not the nodes. */
static bool is_its_own(const char *reason)
{
	enum reason r = reason_named(reason);

	return r != REASON_COUNT && reason_about(r) == REASON_ABOUT_SERVICE;
}

/* Where nobody announces anything, it is not one Service's trouble. */
static enum verdict_level level_of_silence(const struct model *m)
{
	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; i < s->n_addresses; i++)
			if (model_announcer(&s->addresses[i]))
				return VERDICT_DEGRADED;
	return VERDICT_DOWN;
}

void verdict_find_services(const struct model *m, struct findings *f)
{
	enum verdict_level silence = level_of_silence(m);
	bool asked = model_any_in_service(m);

	for (const struct model_service *s = m->services; s; s = s->hh.next) {
		for (size_t i = 0; i < s->n_addresses; i++) {
			const struct model_address *a = &s->addresses[i];
			find_owners(s, a, f);
			if (asked && !model_announcer(a) && is_expected(a))
				verdict_add_word(
					f, is_its_own(principal(a)) ? VERDICT_DEGRADED : silence,
					principal(a), address_object(s, a), why_nobody(m, a));
		}
		if (s->waits)
			find_waiting(s, s->reason, s->message, f);
		if (s->external_waits)
			find_waiting(s, s->external_reason, s->external_message, f);
		if (reason_named(s->reason) == REASON_StatusContested)
			verdict_add(f, VERDICT_DEGRADED, REASON_StatusContested,
			            xasprintf("Service %s", s->key), xstrdup(s->message));
	}
}

/* ---- pools ---- */

/* Whether a Service that asks for no pool in particular may be served by either. */
static bool stands_in(const struct config_pool *p, const struct config_pool *other)
{
	return other != p && other->auto_assign && !other->disabled && (other->uses & p->uses) &&
	       other->n_ranges && p->n_ranges &&
	       other->ranges[0].first.family == p->ranges[0].first.family;
}

/* A full pool is fine as long as nobody has to ask for it, or another one takes over. */
static enum verdict_level level_of_full(const struct model *m, const struct config_pool *p)
{
	if (!p->auto_assign)
		return VERDICT_OK;
	for (size_t i = 0; i < m->config->n_pools; i++)
		if (stands_in(p, &m->config->pools[i]) && model_pool_free(m, &m->config->pools[i]))
			return VERDICT_OK;
	return VERDICT_DEGRADED;
}

void verdict_find_pools(const struct model *m, struct findings *f)
{
	for (size_t i = 0; m->config && i < m->config->n_pools; i++) {
		const struct config_pool *p = &m->config->pools[i];
		if (p->disabled)
			continue; /* as somebody wants it */
		uint64_t total = model_pool_total(m, p), free_ones = model_pool_free(m, p);
		char *object = xasprintf("pool %s", p->name);
		if (!free_ones)
			verdict_add(f, level_of_full(m, p), REASON_PoolFull, object,
			            xasprintf("none of its %" PRIu64 " addresses is free", total));
		else if (free_ones <= total / 10)
			verdict_add(f, VERDICT_OK, REASON_PoolNearlyFull, object,
			            xasprintf("%" PRIu64 " of its %" PRIu64 " addresses are free",
			                      free_ones, total));
		else
			free(object);
	}
}
