/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What shall happen to one Service.
 *
 * First the cases where nothing is ours to do.  Then the address of each family that the Service shall have is chosen:
 * the one asked for, else the one it has (in its status, or on its way there), else the lowest free one of the pool in
 * question.  Choosing may fail, and then what the Service has stays; comparing the choice with the status names the action.
 * Both families come from one pool, and a Service that has an address never leaves its pool unasked.  Two addresses whose
 * pool was divided by an edit stay together: what is held goes before the rule.  Nor does an edit move anybody: a request that
 * was honoured once is one no more, whatever became of its pool (stays.c).
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "ipam/choice.h"

#define POOLS_NAMED_MAX 8 /* in a message */

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

static void list_addrs(const struct addr *addrs, size_t n, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "",
		                         addr_str(&addrs[i]));
}

void ipam_open_message(const struct ipam_request *r, struct ipam_decision *out)
{
	struct addr kept[IPAM_ADDRS_MAX];
	char text[IPAM_ADDRS_MAX * (ADDR_STR_SIZE + 2)];
	size_t n = 0;

	out->message[0] = '\0';
	for (size_t i = 0; r->use == CONFIG_USE_EXTERNAL_IP && i < r->n_held; i++)
		if ((ipam_is_confirmed(r, &r->held[i]) ||
		     addrs_contain(r->given, r->n_given, &r->held[i])) &&
		    n < ARRAY_LEN(kept))
			kept[n++] = r->held[i];
	if (n == 0)
		return;
	list_addrs(kept, n, text, sizeof(text));
	snprintf(out->message, sizeof(out->message), KUBE_CONFIRMS_FAILED "%s; ", text);
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
	/* What fails is something else: that what is held was given for this pool must not be forgotten over it. */
	if (c->stays && used < sizeof(out->message))
		used += (size_t)snprintf(out->message + used, sizeof(out->message) - used,
		                         "; what is held was" IPAM_GIVEN_FOR IPAM_NAME_TEXT,
		                         c->r->pool);
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, &out->addrs[0]);
	out->pool = pool ? pool->conf : NULL;
	if (!choice_is_external(c) && used < sizeof(out->message)) {
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
 * A recorded address that nobody confirms and that is in no pool stays.  One that another Service has came along with a copied
 * manifest: it is not held here, and another one takes its place.
 */
static bool is_foreign_record(struct choice *c)
{
	for (size_t i = 0; i < c->r->n_held; i++)
		if (!ipam_pool_of(c->ipam, &c->r->held[i]) && !choice_is_mine(c, &c->r->held[i])) {
			refuse(c, REASON_ForeignAddress,
			       "%s was assigned, but is in no pool any more; add it to one, or "
			       "remove the annotation " KUBE_ANNOTATION_EXTERNAL_IPS
			       " to give it up",
			       addr_str(&c->r->held[i]));
			return true;
		}
	return false;
}

/*
 * Does the status hold what we would not have written?  Then it is left alone, and @out says why, unless the Service asks
 * for an address or a pool: that is its own word against the status, and what is not ours goes when it gets what it asks for.
 */
static bool is_foreign(struct choice *c)
{
	const struct ipam_request *r = c->r;
	bool asks = r->n_asked > 0 || (r->pool && !r->honoured);

	if (r->foreign) {
		refuse(c, REASON_ForeignAddress,
		       "the status holds a host name or too many addresses, written by another "
		       "program");
		return true;
	}
	for (size_t i = 0; i < r->n_held && !asks; i++) {
		const struct addr *a = &r->held[i];
		const struct ipam_service *holder = ipam_holder_of(c->ipam, a);

		if (holder && strcmp(holder->key, c->key) != 0) {
			c->out->holder = holder->key;
			refuse(c, REASON_AddressShared,
			       "%s is also in the status of %s, which came first", addr_str(a),
			       ipam_name(c->ipam, c->key, holder->key));
			return true;
		}
		if (!ipam_pool_of(c->ipam, a) && !holder) {
			refuse(c, REASON_ForeignAddress,
			       "%s is in no pool; add it to one, or remove it from the status",
			       addr_str(a));
			return true;
		}
	}
	return false;
}

/* ---- choosing ---- */

static bool refuse_use(struct choice *c, const struct ipam_pool *pool)
{
	return refuse(c, REASON_PoolNotForUse, "pool %s is not for %s; see its use",
	              pool->conf->name, choice_is_external(c) ? "external IPs" : "load balancers");
}

static bool refuse_taken(struct choice *c, const struct addr *a, const struct ipam_service *holder)
{
	c->out->holder = holder->key;
	return refuse(c, REASON_AddressTaken, "%s was asked for, but belongs to %s", addr_str(a),
	              ipam_name(c->ipam, c->key, holder->key));
}

static bool take_asked(struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a), *other = choice_pool(c);
	const struct ipam_service *holder = ipam_holder_of(c->ipam, a);
	struct ipam_machine_view machine;

	if (!choice_wants(c->r, a->family))
		return refuse(c, REASON_FamilyMismatch,
		              "%s was asked for, but the Service has no IPv%u cluster IP",
		              addr_str(a), a->family);
	/* What became of its pool since is no reason to give it up. */
	bool stays = c->stays || !c->asked_pool || pool == c->asked_pool;
	if (stays && choice_is_held(c->r, a) && choice_is_mine(c, a) &&
	    ipam_is_confirmed(c->r, a)) {
		*choice_pick(c, a->family) = *a;
		return true;
	}
	if (addr_is_special(a))
		return refuse(c, REASON_AddressUnusable,
		              "%s is unspecified, loopback, link-local, multicast or reserved",
		              addr_str(a));
	if (ipam_machine_of(c->ipam, a, &machine))
		return refuse(c, machine.reason,
		              "%s was asked for, but is the address of %s; ask for another one",
		              addr_str(a), machine.what);
	/* Also where it is retained. */
	if (!pool && holder && strcmp(holder->key, c->key) != 0)
		return refuse_taken(c, a, holder);
	if (!pool)
		return refuse(c, REASON_AddressOutsidePools, "%s was asked for, but is in no pool",
		              addr_str(a));
	if (!choice_is_for_use(c, pool))
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
		return refuse_taken(c, a, holder);
	if (!holder && !ipam_is_assignable(c->ipam, pool, a))
		return refuse(c, REASON_AddressUnusable,
		              "%s was asked for, but pool %s has avoid-buggy-ips", addr_str(a),
		              pool->conf->name);
	*choice_pick(c, a->family) = *a;
	return true;
}

/*
 * Anybody may have written it into the record: it is as good as asked for.  And what is only on its way is not yet there to stay,
 * if a machine has come to have it.
 */
static bool may_confirm(const struct choice *c, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(c->ipam, a);
	struct ipam_machine_view machine;

	if (!choice_is_held(c->r, a) && ipam_machine_of(c->ipam, a, &machine))
		return false;
	return !choice_is_held(c->r, a) || ipam_is_confirmed(c->r, a) ||
	       (pool && choice_is_for_use(c, pool) && pool == c->asked_pool);
}

/* Chooses what the Service has already, first from its status, then from what is on its way there. */
static void take_held(struct choice *c, const struct addr *addrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ipam_pool *pool = ipam_pool_of(c->ipam, &addrs[i]);
		const struct ipam_pool *other = choice_pool(c);
		bool elsewhere = c->asked_pool && c->asked_pool != pool && !c->stays;

		if (!choice_wants(c->r, addrs[i].family) || (other && other != pool) || elsewhere ||
		    !addr_is_none(choice_pick(c, addrs[i].family)) ||
		    !choice_is_mine(c, &addrs[i]) || !may_confirm(c, &addrs[i]))
			continue;
		*choice_pick(c, addrs[i].family) = addrs[i];
	}
}

/* Where the one family stays with its address, so does the other, though another pool has it by now. */
static void take_divided(struct choice *c)
{
	bool stays = choice_has_any(c);

	for (size_t f = 0; f < IPAM_ADDRS_MAX; f++)
		stays &= addr_is_none(&c->pick[f]) || choice_is_held(c->r, &c->pick[f]);
	for (size_t i = 0; stays && i < c->r->n_held; i++) {
		const struct addr *a = &c->r->held[i];
		if (choice_wants(c->r, a->family) && addr_is_none(choice_pick(c, a->family)) &&
		    choice_is_mine(c, a) && may_confirm(c, a))
			*choice_pick(c, a->family) = *a;
	}
}

static bool refuse_exhausted(struct choice *c, const struct ipam_pool *only)
{
	char list[IPAM_MESSAGE_SIZE / 2] = "";
	size_t used = 0, named = 0;
	bool any_auto = only;

	for (size_t i = 0; i < c->ipam->n_pools; i++) {
		const struct ipam_pool *pool = &c->ipam->pools[i];
		if (only ? pool != only : !choice_is_for_use(c, pool))
			continue;
		for (size_t f = 0; f < c->r->n_families; f++)
			any_auto |= pool->conf->auto_assign &&
			            ipam_total(pool, ipam_family_index(c->r->families[f])) > 0;
		if (named++ < POOLS_NAMED_MAX && used < sizeof(list)) {
			char why[256];
			choice_explain_pool(c, pool, why, sizeof(why));
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
	c->last_resort = true;
	/* PreferDualStack makes do with one. */
	if (pool && choice_is_for_use(c, pool) && choice_take_free(c, pool))
		return true;
	if (!c->r->needs_both && choice_has_any(c))
		return true;
	if (!pool)
		return refuse(c, REASON_PoolExhausted,
		              "its address is of no pool any more, so there is none of the other "
		              "family");
	return refuse_exhausted(c, pool);
}

static bool choose_any_pool(struct choice *c)
{
	const struct ipam *ipam = c->ipam;

	for (size_t i = 0; i < ipam->n_pools; i++)
		if (choice_is_automatic(c, &ipam->pools[i]) &&
		    choice_take_all_free(c, &ipam->pools[i]))
			return true;
	return false;
}

static bool choose_anywhere(struct choice *c)
{
	const struct ipam *ipam = c->ipam;

	if (choose_any_pool(c))
		return true;
	c->last_resort = true;
	if (choose_any_pool(c))
		return true;
	if (c->r->n_families < 2 || c->r->needs_both)
		return refuse_exhausted(c, NULL);
	/* PreferDualStack: no pool has both; the primary family, else the other. */
	for (size_t f = 0; f < c->r->n_families; f++) {
		size_t index = ipam_family_index(c->r->families[f]);
		for (size_t i = 0; i < ipam->n_pools; i++)
			if (choice_is_automatic(c, &ipam->pools[i]) &&
			    ipam_first_free(&ipam->pools[i], index, true, &c->pick[index]))
				return true;
	}
	return refuse_exhausted(c, NULL);
}

/* The pool asked for: is there one, and is it for this use? */
static bool check_asked_pool(struct choice *c)
{
	if (c->r->pool && !c->asked_pool)
		return refuse(c, REASON_NoSuchPool, "pool %.100s was asked for, but does not exist",
		              c->r->pool);
	if (c->asked_pool && !choice_is_for_use(c, c->asked_pool))
		return refuse_use(c, c->asked_pool);
	return true;
}

static bool choose(struct choice *c)
{
	const struct ipam_request *r = c->r;
	const struct ipam_service *mine = ipam_service_find(c->ipam, c->key);

	if (!c->stays && !check_asked_pool(c))
		return false;
	for (size_t i = 0; i < r->n_asked; i++)
		if (!take_asked(c, &r->asked[i]))
			return false;
	if (choice_renumber(c))
		return true;
	take_held(c, r->held, r->n_held);
	take_divided(c);
	if (mine)
		take_held(c, mine->held, mine->n);
	if (choice_is_complete(c))
		return true;
	if (c->stays && choice_has_any(c))
		return choose_in(c, choice_pool(c));
	if (!check_asked_pool(c))
		return false;
	if (c->asked_pool)
		return choose_in(c, c->asked_pool);
	if (choice_has_any(c))
		return choose_in(c, choice_pool(c));
	return choose_anywhere(c);
}

/* ---- the answer ---- */

/* Where one address has to do: why that is, and whether the other may still come, which it does from the same pool. */
static void note_missing(struct choice *c)
{
	const struct ipam_pool *pool = choice_pool(c);
	struct ipam_decision *out = c->out;
	size_t used = strlen(out->message);

	for (size_t i = 0; i < c->r->n_families; i++) {
		uint8_t family = c->r->families[i];
		if (!pool || !addr_is_none(choice_pick(c, family)) || !choice_is_for_use(c, pool))
			continue;
		out->partial = ipam_total(pool, ipam_family_index(family)) > 0;
		choice_explain_family(pool, family, ", which", out->message + used,
		                      sizeof(out->message) - used);
	}
}

/* Nothing better was free. */
static void note_squatted(struct choice *c)
{
	struct ipam_decision *out = c->out;
	size_t used = strlen(out->message);

	for (size_t i = 0; i < out->n; i++)
		if (!choice_is_held(c->r, &out->addrs[i]) &&
		    ipam_squat_of(c->ipam, &out->addrs[i])) {
			snprintf(out->message + used, sizeof(out->message) - used,
			         "; %s also stands in spec.externalIPs of a Service that may not "
			         "have it: where kube-proxy carries the traffic, that one may get "
			         "it",
			         addr_str(&out->addrs[i]));
			return;
		}
}

/* The request that was honoured, for whoever judges by this message later (ipam_message_honours()). */
static void note_request(struct choice *c)
{
	size_t used = strlen(c->out->message);

	if (c->stays)
		snprintf(c->out->message + used, sizeof(c->out->message) - used,
		         "," IPAM_GIVEN_FOR IPAM_NAME_TEXT, c->r->pool);
}

static void say_kept(struct choice *c, const char *text)
{
	struct ipam_decision *out = c->out;
	const struct ipam_pool *first = choice_pool(c);
	const struct ipam_pool *last = ipam_pool_of(c->ipam, &out->addrs[out->n - 1]);
	bool divided = last != first;

	out->action = IPAM_KEEP;
	out->reason = REASON_Kept;
	snprintf(out->message, sizeof(out->message),
	         "%s%s of pool " IPAM_NAME_TEXT "%s" IPAM_NAME_TEXT,
	         choice_is_external(c) ? KUBE_CONFIRMS_KEPT : "keeps ", text, first->conf->name,
	         divided ? " and pool " : "", divided ? last->conf->name : "");
	if (first != c->asked_pool && last != c->asked_pool)
		note_request(c);
}

/* Of two addresses of a family the later ones go. */
static void say_released(struct choice *c, const char *text)
{
	struct addr gone[IPAM_STATUS_MAX];
	char list[IPAM_STATUS_MAX * (ADDR_STR_SIZE + 2)];
	size_t n = 0;

	for (size_t i = 0; i < c->r->n_held; i++)
		if (!addrs_contain(c->out->addrs, c->out->n, &c->r->held[i]))
			gone[n++] = c->r->held[i];
	list_addrs(gone, n, list, sizeof(list));
	c->out->action = IPAM_RELEASE;
	c->out->reason = REASON_Kept;
	snprintf(c->out->message, sizeof(c->out->message),
	         "keeps %s of pool " IPAM_NAME_TEXT
	         " and gives up %s: a Service has one address of each family",
	         text, choice_pool(c) ? choice_pool(c)->conf->name : "", list);
}

/* Is there an address of each family that the status had one of?  Then only surplus goes. */
static bool is_surplus(const struct choice *c)
{
	for (size_t i = 0; i < c->r->n_held; i++) {
		bool found = false;
		for (size_t k = 0; k < c->out->n; k++)
			found |= c->out->addrs[k].family == c->r->held[i].family;
		if (!found)
			return false;
	}
	return !choice_is_external(c);
}

/* Speakers announce the new address before the old one goes.  External IPs have one of each family, so these cannot. */
static void leave_for_a_while(struct choice *c)
{
	struct ipam_decision *out = c->out;
	size_t used = strlen(out->message), n = out->n;

	out->action = IPAM_MOVE;
	if (c->r->renumber != IPAM_RENUMBER_OVERLAPPING || choice_is_external(c))
		return;
	for (size_t i = 0; i < c->r->n_held && out->n < ARRAY_LEN(out->addrs); i++)
		if (choice_is_mine(c, &c->r->held[i]) &&
		    !addrs_contain(out->addrs, out->n, &c->r->held[i]))
			out->addrs[out->n++] = c->r->held[i];
	if (out->n > n)
		snprintf(out->message + used, sizeof(out->message) - used,
		         "; %s goes when that has been announced", addr_str(&out->addrs[n]));
}

static void keep_all(struct choice *c, const char *text)
{
	struct ipam_decision *out = c->out;

	out->action = IPAM_KEEP;
	out->reason = REASON_Kept;
	memcpy(out->addrs, c->r->held, c->r->n_held * sizeof(out->addrs[0]));
	out->n = c->r->n_held;
	snprintf(out->message, sizeof(out->message), "keeps %s of pool " IPAM_NAME_TEXT, text,
	         out->pool ? out->pool->name : "");
}

static void conclude(struct choice *c)
{
	const struct ipam_request *r = c->r;
	struct ipam_decision *out = c->out;
	char text[IPAM_STATUS_MAX * (ADDR_STR_SIZE + 2)];
	size_t stays = 0;

	for (size_t f = 0; f < IPAM_ADDRS_MAX; f++)
		if (!addr_is_none(&c->pick[f]))
			out->addrs[out->n++] = c->pick[f];
	for (size_t i = 0; i < out->n; i++)
		stays += choice_is_held(r, &out->addrs[i]);
	out->pool = choice_pool(c) ? choice_pool(c)->conf
	                           : configuration_pool_of(c->ipam->config, &out->addrs[0]);
	list_addrs(out->addrs, out->n, text, sizeof(text));
	if (stays == out->n && stays == r->n_held) {
		if (!choice_retain(c, text))
			say_kept(c, text);
	} else if (stays == out->n && is_surplus(c)) {
		if (r->hands_over)
			keep_all(c, text);
		else
			say_released(c, text);
	} else {
		out->action = stays == r->n_held ? IPAM_ASSIGN : IPAM_MOVE;
		out->reason = REASON_Assigned;
		snprintf(out->message, sizeof(out->message), "%s%s from pool " IPAM_NAME_TEXT,
		         choice_is_external(c) ? KUBE_CONFIRMS_ASSIGNED : "assigned ", text,
		         out->pool ? out->pool->name : "");
		if (choice_pool(c) != c->asked_pool)
			note_request(c);
		note_squatted(c);
		if (out->renumbers)
			leave_for_a_while(c);
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
		if (choice_is_external(c)) {
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
		if (choice_is_external(c))
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

	c.stays = r->pool && r->honoured && r->n_held > 0;
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
	if (choose(&c))
		conclude(&c);
}
