/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What shall happen to one Service.
 *
 * First the cases where nothing is ours to do.  Then the address of each family that the Service shall have is chosen:
 * the one asked for, else the one it has (in its status, or on its way there), else the lowest free one of the pool in
 * question.  Choosing may fail, and then what the Service has stays; comparing the choice with the status names the action.
 * Both families come from one pool, and a Service that has an address never leaves its pool unasked.  Two addresses whose
 * pool was divided by an edit stay together: what is held goes before the rule.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "ipam/ipam.h"

#define POOLS_NAMED_MAX 8 /* in a message */

/* One decision in the making. */
struct choice {
	const struct ipam *ipam;
	const char *key;
	const struct ipam_request *r;
	const struct ipam_pool *asked_pool;
	struct addr pick[IPAM_ADDRS_MAX]; /* [0] IPv4, [1] IPv6; none: not chosen */
	struct ipam_decision *out;
};

const char *ipam_action_name(enum ipam_action a)
{
	static const char *const names[] = {
		[IPAM_NONE] = "none",       [IPAM_KEEP] = "keep", [IPAM_ASSIGN] = "assign",
		[IPAM_RELEASE] = "release", [IPAM_FAIL] = "fail", [IPAM_MOVE] = "move",
	};
	return names[a];
}

static int addr_cmp_void(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static void answer_held(const struct ipam_request *r, struct ipam_decision *out)
{
	memcpy(out->addrs, r->held, sizeof(r->held));
	out->n = r->n_held;
	qsort(out->addrs, out->n, sizeof(out->addrs[0]), addr_cmp_void);
}

static bool is_held(const struct ipam_request *r, const struct addr *a)
{
	for (size_t i = 0; i < r->n_held; i++)
		if (addr_eq(&r->held[i], a))
			return true;
	return false;
}

static void list_addrs(const struct addr *addrs, size_t n, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "",
		                         addr_str(&addrs[i]));
}

static bool is_external(const struct choice *c)
{
	return c->r->use == CONFIG_USE_EXTERNAL_IP;
}

void ipam_open_message(const struct ipam_request *r, struct ipam_decision *out)
{
	struct addr kept[IPAM_ADDRS_MAX];
	char text[IPAM_ADDRS_MAX * (ADDR_STR_SIZE + 2)];
	size_t n = 0;

	out->message[0] = '\0';
	for (size_t i = 0; r->use == CONFIG_USE_EXTERNAL_IP && i < r->n_held; i++)
		if (ipam_is_confirmed(r, &r->held[i]) && n < ARRAY_LEN(kept))
			kept[n++] = r->held[i];
	if (n == 0)
		return;
	list_addrs(kept, n, text, sizeof(text));
	snprintf(out->message, sizeof(out->message), KUBE_CONFIRMS_KEPT "%s; ", text);
}

/* Says no.  What the status holds stays; the message says so where there is something.  Returns false. */
static bool __attribute__((format(printf, 3, 4)))
refuse(struct choice *c, enum reason reason, const char *fmt, ...)
{
	struct ipam_decision *out = c->out;
	va_list ap;

	out->action = IPAM_FAIL;
	out->reason = reason;
	answer_held(c->r, out);
	ipam_open_message(c->r, out);
	size_t used = strlen(out->message);
	va_start(ap, fmt);
	int more = vsnprintf(out->message + used, sizeof(out->message) - used, fmt, ap);
	va_end(ap);
	used += more > 0 ? (size_t)more : 0;
	if (out->n == 0)
		return false;
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, &out->addrs[0]);
	out->pool = pool ? pool->conf : NULL;
	if (!is_external(c) && used < sizeof(out->message)) {
		char text[IPAM_STATUS_MAX * (ADDR_STR_SIZE + 2)];
		list_addrs(out->addrs, out->n, text, sizeof(text));
		snprintf(out->message + used, sizeof(out->message) - used, "; the status keeps %s",
		         text);
	}
	return false;
}

static void say(struct ipam_decision *out, enum ipam_action action, enum reason reason)
{
	out->action = action;
	out->reason = reason;
	snprintf(out->message, sizeof(out->message), "%s", reason_sentence(reason));
}

/* ---- what is not ours ---- */

/*
 * A recorded address whose pool was taken away stays.  One that another Service has came along with a copied manifest: it is
 * not held here, and another one takes its place.
 */
static bool is_foreign_record(struct choice *c)
{
	for (size_t i = 0; i < c->r->n_held; i++)
		if (!ipam_pool_of(c->ipam, &c->r->held[i])) {
			refuse(c, REASON_ForeignAddress,
			       "%s was assigned, but is in no pool any more; add it to one, or "
			       "remove the annotation " KUBE_ANNOTATION_EXTERNAL_IPS
			       " to give it up",
			       addr_str(&c->r->held[i]));
			return true;
		}
	return false;
}

/* Does the status hold what we would not have written?  Then it is left alone, and @out says why. */
static bool is_foreign(struct choice *c)
{
	const struct ipam_request *r = c->r;
	bool seen[2] = { false, false };

	if (r->foreign) {
		refuse(c, REASON_ForeignAddress,
		       "the status holds a host name or too many addresses, written by another "
		       "program");
		return true;
	}
	for (size_t i = 0; i < r->n_held; i++) {
		const struct addr *a = &r->held[i];
		const struct ipam_service *holder = ipam_holder_of(c->ipam, a);

		if (!ipam_pool_of(c->ipam, a)) {
			refuse(c, REASON_ForeignAddress,
			       "%s is in no pool; add it to one, or remove it from the status",
			       addr_str(a));
			return true;
		}
		if (holder && strcmp(holder->key, c->key) != 0) {
			refuse(c, REASON_AddressShared,
			       "%s is also in the status of %s, which came first", addr_str(a),
			       holder->key);
			return true;
		}
		if (seen[ipam_family_index(a->family)]) {
			refuse(c, REASON_ForeignAddress,
			       "the status holds two IPv%u addresses, which we never write",
			       a->family);
			return true;
		}
		seen[ipam_family_index(a->family)] = true;
	}
	return false;
}

/* ---- choosing ---- */

static bool is_for_use(const struct choice *c, const struct ipam_pool *pool)
{
	return pool->conf->uses & c->r->use;
}

static bool refuse_use(struct choice *c, const struct ipam_pool *pool)
{
	return refuse(c, REASON_PoolNotForUse, "pool %s is not for %s; see its use",
	              pool->conf->name, is_external(c) ? "external IPs" : "load balancers");
}

static bool wants_family(const struct ipam_request *r, uint8_t family)
{
	for (size_t i = 0; i < r->n_families; i++)
		if (r->families[i] == family)
			return true;
	return false;
}

static struct addr *pick_of(struct choice *c, uint8_t family)
{
	return &c->pick[ipam_family_index(family)];
}

/* The pool of what was chosen so far. */
static const struct ipam_pool *picked_pool(const struct choice *c)
{
	for (size_t f = 0; f < IPAM_ADDRS_MAX; f++)
		if (!addr_is_none(&c->pick[f]))
			return ipam_pool_of(c->ipam, &c->pick[f]);
	return NULL;
}

static bool take_asked(struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a), *other = picked_pool(c);
	const struct ipam_service *holder = ipam_holder_of(c->ipam, a);

	if (!wants_family(c->r, a->family))
		return refuse(c, REASON_FamilyMismatch,
		              "%s was asked for, but the Service has no IPv%u cluster IP",
		              addr_str(a), a->family);
	if (addr_is_special(a))
		return refuse(c, REASON_AddressUnusable,
		              "%s is unspecified, loopback, link-local or multicast", addr_str(a));
	if (!pool)
		return refuse(c, REASON_AddressOutsidePools, "%s was asked for, but is in no pool",
		              addr_str(a));
	if (!is_for_use(c, pool))
		return refuse_use(c, pool);
	if (c->asked_pool && pool != c->asked_pool)
		return refuse(c, REASON_AddressNotInNamedPool,
		              "%s was asked for from pool %s, but is in pool %s", addr_str(a),
		              c->asked_pool->conf->name, pool->conf->name);
	if (other && other != pool)
		return refuse(
			c, REASON_InvalidRequest,
			"both addresses must come from one pool; %s is in pool %s, the other in "
			"pool %s",
			addr_str(a), pool->conf->name, other->conf->name);
	if (holder && strcmp(holder->key, c->key) != 0)
		return refuse(c, REASON_AddressTaken, "%s was asked for, but belongs to %s",
		              addr_str(a), holder->key);
	if (!holder && !runs_has(&pool->runs[ipam_family_index(a->family)], a))
		return refuse(c, REASON_AddressUnusable,
		              "%s was asked for, but pool %s has avoid-buggy-ips", addr_str(a),
		              pool->conf->name);
	*pick_of(c, a->family) = *a;
	return true;
}

/* Anybody may have written it into the record: it is as good as asked for. */
static bool may_confirm(const struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a);

	return !is_held(c->r, a) || ipam_is_confirmed(c->r, a) ||
	       (pool && is_for_use(c, pool) && pool == c->asked_pool);
}

/* Chooses what the Service has already, first from its status, then from what is on its way there. */
static void take_held(struct choice *c, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ipam_pool *pool = ipam_pool_of(c->ipam, &addrs[i]);
		const struct ipam_pool *other = picked_pool(c);
		const struct ipam_service *holder = ipam_holder_of(c->ipam, &addrs[i]);

		if (!wants_family(c->r, addrs[i].family) || (other && other != pool) ||
		    (c->asked_pool && c->asked_pool != pool) ||
		    !addr_is_none(pick_of(c, addrs[i].family)) || !holder ||
		    strcmp(holder->key, c->key) != 0 || !may_confirm(c, &addrs[i]))
			continue;
		*pick_of(c, addrs[i].family) = addrs[i];
	}
}

/* Where the one family stays with its address, so does the other, though another pool has it by now. */
static void take_divided(struct choice *c)
{
	bool stays = picked_pool(c);

	for (size_t f = 0; f < IPAM_ADDRS_MAX; f++)
		stays &= addr_is_none(&c->pick[f]) || is_held(c->r, &c->pick[f]);
	for (size_t i = 0; stays && i < c->r->n_held; i++) {
		const struct addr *a = &c->r->held[i];
		const char *holder = ipam_holder(c->ipam, a);
		if (wants_family(c->r, a->family) && addr_is_none(pick_of(c, a->family)) &&
		    holder && !strcmp(holder, c->key) && may_confirm(c, a))
			*pick_of(c, a->family) = *a;
	}
}

static bool is_complete(struct choice *c)
{
	for (size_t i = 0; i < c->r->n_families; i++)
		if (addr_is_none(pick_of(c, c->r->families[i])))
			return false;
	return true;
}

/* Takes the lowest free address of the pool for each family that lacks one.  True if none lacks one now. */
static bool take_free(struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_families; i++) {
		struct addr *pick = pick_of(c, c->r->families[i]);
		if (addr_is_none(pick))
			runs_first(&pool->runs[ipam_family_index(c->r->families[i])], pick);
	}
	return is_complete(c);
}

/* Like take_free(), but all or nothing. */
static bool take_all_free(struct choice *c, const struct ipam_pool *pool)
{
	struct addr before[IPAM_ADDRS_MAX];
	memcpy(before, c->pick, sizeof(before));
	if (take_free(c, pool))
		return true;
	memcpy(c->pick, before, sizeof(before));
	return false;
}

/* Why the pool, as @who, gives no address of this family. */
static void explain_family(const struct ipam_pool *pool, uint8_t family, const char *who, char *out,
                           size_t size)
{
	uint64_t total = pool->runs[ipam_family_index(family)].total;

	if (total == 0)
		snprintf(out, size, "%s has no IPv%u addresses", who, family);
	else
		snprintf(out, size, "%s has all its %" PRIu64 " IPv%u addresses in use", who, total,
		         family);
}

/* Why this pool did not help, in a few words that stay the same while nothing about the pool changes. */
static void explain_pool(const struct choice *c, const struct ipam_pool *pool, char *out,
                         size_t size)
{
	const char *name = pool->conf->name;

	if (!is_for_use(c, pool)) {
		snprintf(out, size, "%s is not for this use", name);
		return;
	}
	if (!pool->conf->auto_assign && pool != c->asked_pool && pool != picked_pool(c)) {
		snprintf(out, size, "%s has auto-assign: false", name);
		return;
	}
	for (size_t i = 0; i < c->r->n_families; i++)
		if (pool->runs[ipam_family_index(c->r->families[i])].n == 0) {
			explain_family(pool, c->r->families[i], name, out, size);
			return;
		}
	snprintf(out, size, "%s has not both families free", name);
}

static bool refuse_exhausted(struct choice *c, const struct ipam_pool *only)
{
	char list[IPAM_MESSAGE_SIZE / 2] = "";
	size_t used = 0, named = 0;
	bool any_auto = only;

	for (size_t i = 0; i < c->ipam->n_pools; i++) {
		const struct ipam_pool *pool = &c->ipam->pools[i];
		if (only ? pool != only : !is_for_use(c, pool))
			continue;
		for (size_t f = 0; f < c->r->n_families; f++)
			any_auto |= pool->conf->auto_assign &&
			            pool->runs[ipam_family_index(c->r->families[f])].total > 0;
		if (named++ < POOLS_NAMED_MAX && used < sizeof(list)) {
			char why[128];
			explain_pool(c, pool, why, sizeof(why));
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
			                         used ? "; " : "", why);
		}
	}
	if (named == 0)
		return refuse(c, REASON_NoPools, "the configuration has no address pools%s",
		              c->ipam->n_pools ? " for load balancers" : "");
	if (!any_auto)
		return refuse(c, REASON_NoAutoAssignPool,
		              "no pool of the Service's family assigns automatically: %s", list);
	return refuse(c, REASON_PoolExhausted, "no free address: %s%s", list,
	              named > POOLS_NAMED_MAX ? "; and more pools" : "");
}

/* Fills up from the pool where the Service already has something chosen. */
static bool choose_in(struct choice *c, const struct ipam_pool *pool)
{
	/* PreferDualStack makes do with one. */
	if ((is_for_use(c, pool) && take_free(c, pool)) || (!c->r->needs_both && picked_pool(c)))
		return true;
	return refuse_exhausted(c, pool);
}

static bool is_automatic(const struct choice *c, const struct ipam_pool *pool)
{
	return pool->conf->auto_assign && is_for_use(c, pool);
}

static bool choose_anywhere(struct choice *c)
{
	const struct ipam *ipam = c->ipam;

	for (size_t i = 0; i < ipam->n_pools; i++)
		if (is_automatic(c, &ipam->pools[i]) && take_all_free(c, &ipam->pools[i]))
			return true;
	if (c->r->n_families < 2 || c->r->needs_both)
		return refuse_exhausted(c, NULL);
	/* PreferDualStack: no pool has both; the primary family, else the other. */
	for (size_t f = 0; f < c->r->n_families; f++) {
		size_t index = ipam_family_index(c->r->families[f]);
		for (size_t i = 0; i < ipam->n_pools; i++)
			if (is_automatic(c, &ipam->pools[i]) &&
			    runs_first(&ipam->pools[i].runs[index], &c->pick[index]))
				return true;
	}
	return refuse_exhausted(c, NULL);
}

static bool choose(struct choice *c)
{
	const struct ipam_request *r = c->r;
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);

	for (size_t i = 0; i < r->n_asked; i++)
		if (!take_asked(c, &r->asked[i]))
			return false;
	take_held(c, r->held, r->n_held);
	take_divided(c);
	if (mine)
		take_held(c, mine->held, mine->n);
	if (is_complete(c))
		return true;
	if (c->asked_pool)
		return choose_in(c, c->asked_pool);
	if (picked_pool(c))
		return choose_in(c, picked_pool(c));
	return choose_anywhere(c);
}

/* ---- the answer ---- */

/* Where one address has to do: why that is, and whether the other may still come, which it does from the same pool. */
static void note_missing(struct choice *c)
{
	const struct ipam_pool *pool = picked_pool(c);
	struct ipam_decision *out = c->out;
	size_t used = strlen(out->message);

	for (size_t i = 0; i < c->r->n_families; i++) {
		uint8_t family = c->r->families[i];
		if (!addr_is_none(pick_of(c, family)) || !is_for_use(c, pool))
			continue;
		out->partial = pool->runs[ipam_family_index(family)].total > 0;
		explain_family(pool, family, ", which", out->message + used,
		               sizeof(out->message) - used);
	}
}

static void conclude(struct choice *c)
{
	const struct ipam_request *r = c->r;
	struct ipam_decision *out = c->out;
	const char *given = is_external(c) ? KUBE_CONFIRMS_ASSIGNED : "assigned ";
	const char *kept = is_external(c) ? KUBE_CONFIRMS_KEPT : "keeps ";
	char text[IPAM_STATUS_MAX * (ADDR_STR_SIZE + 2)];
	size_t stays = 0;

	out->pool = picked_pool(c)->conf;
	for (size_t f = 0; f < IPAM_ADDRS_MAX; f++)
		if (!addr_is_none(&c->pick[f]))
			out->addrs[out->n++] = c->pick[f];
	for (size_t i = 0; i < out->n; i++)
		stays += is_held(r, &out->addrs[i]);
	list_addrs(out->addrs, out->n, text, sizeof(text));
	if (addrs_same_set(out->addrs, out->n, r->held, r->n_held)) {
		out->action = IPAM_KEEP;
		out->reason = REASON_Kept;
		const struct config_pool *last =
			ipam_pool_of(c->ipam, &out->addrs[out->n - 1])->conf;
		snprintf(out->message, sizeof(out->message), "%s%s of pool %s%s%s", kept, text,
		         out->pool->name, last == out->pool ? "" : " and pool ",
		         last == out->pool ? "" : last->name);
	} else {
		out->action = stays == r->n_held ? IPAM_ASSIGN : IPAM_MOVE;
		out->reason = REASON_Assigned;
		snprintf(out->message, sizeof(out->message), "%s%s from pool %s", given, text,
		         out->pool->name);
	}
	note_missing(c);
}

/* All of our pools: what a server that keeps the status when the type changes has left there. */
static bool holds_only_ours(const struct choice *c)
{
	const struct ipam_request *r = c->r;
	size_t n = 0;

	while (n < r->n_held && ipam_pool_of(c->ipam, &r->held[n]))
		n++;
	return n > 0 && n == r->n_held && !r->foreign;
}

/* True if there is nothing to choose, and @out says why. */
static bool is_settled(struct choice *c)
{
	const struct ipam_request *r = c->r;
	struct ipam_decision *out = c->out;

	switch (r->wish) {
	case IPAM_WISH_OTHER:
		say(out, IPAM_NONE, REASON_OtherClass);
		out->hands_off = true;
		answer_held(r, out);
		return true;
	case IPAM_WISH_DELETING:
	case IPAM_WISH_UNREADABLE:
		say(out, IPAM_NONE,
		    r->wish == IPAM_WISH_DELETING ? REASON_Deleting : REASON_Unreadable);
		out->hands_off = true;
		answer_held(r, out);
		return true;
	case IPAM_WISH_NONE:
		if (is_external(c)) {
			ipam_judge_written(c->ipam->config, r, out);
			return true;
		}
		out->hands_off = !r->assigned_by_us && !holds_only_ours(c);
		say(out, !out->hands_off && r->n_held ? IPAM_RELEASE : IPAM_NONE,
		    REASON_NoAddressWanted);
		if (out->hands_off)
			answer_held(r, out);
		return true;
	case IPAM_WISH_ADDRESS:
		if (is_external(c))
			return is_foreign_record(c);
		out->hands_off = is_foreign(c);
		return out->hands_off;
	}
	return false;
}

void ipam_decide(const struct ipam *ipam, const char *key, const struct ipam_request *r,
                 struct ipam_decision *ret_decision)
{
	struct choice c = { .ipam = ipam, .key = key, .r = r, .out = ret_decision };

	*ret_decision = (struct ipam_decision){ .action = IPAM_NONE };
	if (is_settled(&c))
		return;
	if (r->problem) {
		refuse(&c, r->problem_reason, "%s", r->problem);
		return;
	}
	if (r->n_families == 0 || (r->needs_both && r->n_families < 2)) {
		refuse(&c, REASON_NoClusterIP, "the Service has %s",
		       r->n_families ? "one cluster IP, but RequireDualStack"
		                     : "no cluster IP yet");
		return;
	}
	for (size_t i = 0; r->pool && i < ipam->n_pools; i++)
		if (!strcmp(ipam->pools[i].conf->name, r->pool))
			c.asked_pool = &ipam->pools[i];
	if (r->pool && !c.asked_pool) {
		refuse(&c, REASON_NoSuchPool, "pool %.100s was asked for, but does not exist",
		       r->pool);
		return;
	}
	if (c.asked_pool && !is_for_use(&c, c.asked_pool)) {
		refuse_use(&c, c.asked_pool);
		return;
	}
	if (choose(&c))
		conclude(&c);
}
