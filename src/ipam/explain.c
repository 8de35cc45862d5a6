/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a pool did not help, in a few words that stay the same while nothing about the pool changes.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/clock.h"
#include "ipam/choice.h"

void choice_explain_family(const struct choice *c, const struct ipam_pool *pool, uint8_t family,
                           const char *who, char *out, size_t size)
{
	size_t f = ipam_family_index(family);
	uint64_t total = ipam_total(pool, f);
	int64_t cooled_s = ipam_pool_cooled_at(c->ipam, pool, f);
	char until[CLOCK_RFC3339_SIZE];

	if (pool->runs[f].total == 0)
		snprintf(out, size, "%s has no IPv%u addresses", who, family);
	else if (total == 0)
		snprintf(out, size, "%s has no IPv%u addresses but those of machines", who, family);
	else
		snprintf(out, size, "%s has all its %" PRIu64 " IPv%u addresses in use%s%s%s", who,
		         total, family, pool->conf->n_reservations ? " or reserved" : "",
		         cooled_s ? " or cooling down, the next until " : "",
		         cooled_s ? clock_rfc3339(cooled_s * 1000000, until) : "");
}

/* Of other namespaces no more is said than that there are any. */
void choice_explain_quota(const struct choice *c, const struct config_quota *q, const char *who,
                          char *out, size_t size)
{
	snprintf(out, size, "%s has its quota of %" PRIu32 " address%s for namespace %s%s in use",
	         who, q->addresses, q->addresses == 1 ? "" : "es", c->namespace,
	         q->namespaces.n > 1 ? " and others" : "");
}

/* Some of those in use are named by a Service that may not have them. */
static void add_squatter(const struct choice *c, const struct ipam_pool *pool, char *out,
                         size_t size)
{
	const char *squatter = ipam_squatter_in(c->ipam, pool);
	size_t used = strlen(out);

	if (!squatter || used >= size)
		return;
	const char *name = ipam_name(c->ipam, c->key, squatter);
	/* Without " (external IPs)". */
	size_t len = name == squatter ? strcspn(name, " ") : strlen(name);
	snprintf(out + used, size - used,
	         ", and %.*s names %s in spec.externalIPs, which it may not have", (int)len, name,
	         pool->n_squatted[0] + pool->n_squatted[1] == 1 ? "one of its addresses"
	                                                        : "addresses of it");
}

void choice_put_obstacle(const struct choice *c, const struct ipam_obstacle *o, struct buf *out)
{
	tenancy_put(&o->verdict, o->other ? ipam_name(c->ipam, c->key, o->other->key) : "", out);
}

/* A Service of another namespace does not have to know that its key is used elsewhere. */
void choice_explain_sharing(const struct choice *c, struct buf *out)
{
	struct ipam_obstacle o;
	struct addr a;

	if (!ipam_first_unshared(c->ipam, c->key, c->r->tenancy, &a, &o))
		return;
	buf_printf(out, "; %s cannot be shared: ", addr_str(&a));
	choice_put_obstacle(c, &o, out);
}

void choice_explain_pool(const struct choice *c, const struct ipam_pool *pool, char *out,
                         size_t size)
{
	const char *name = pool->conf->name;
	struct addr any;

	if (!choice_is_for_use(c, pool)) {
		snprintf(out, size, "%s is not for this use", name);
		return;
	}
	if (pool->conf->disabled) {
		snprintf(out, size, "%s is disabled", name);
		return;
	}
	switch (choice_match(c, pool)) {
	case CONFIG_MATCHES:
		break;
	case CONFIG_MATCHES_NOT:
		snprintf(out, size, "%s is for other Services", name);
		return;
	case CONFIG_MATCHES_PERHAPS:
		snprintf(out, size, "%s is for namespaces by their labels, which are not known",
		         name);
		return;
	}
	if (!pool->conf->auto_assign && pool != c->asked_pool && pool != choice_pool(c)) {
		snprintf(out, size, "%s has auto-assign: false", name);
		return;
	}
	for (size_t i = 0; i < c->r->n_families; i++)
		if (!ipam_first_free(pool, ipam_family_index(c->r->families[i]), true, &any)) {
			choice_explain_family(c, pool, c->r->families[i], name, out, size);
			add_squatter(c, pool, out, size);
			return;
		}
	const struct config_quota *q = choice_quota_reached(c, pool);
	if (q)
		choice_explain_quota(c, q, name, out, size);
	else
		snprintf(out, size, "%s has not both families free", name);
}
