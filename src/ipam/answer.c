/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer in words: why a Service gets nothing, and what is to happen to the object when it gets
 * what was chosen.  Messages are parsed again to judge what a condition confirms or honours, so
 * their beginnings are part of the interface.
 */
#include "config.h"

#include "ipam/choice.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void choice_answer_held(const struct ipam_request *r, struct ipam_decision *out)
{
	memcpy(out->addrs, r->held, sizeof(r->held));
	out->n = r->n_held;
	addrs_sort(out->addrs, out->n);
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
	struct addr kept[IPAM_FAMILIES];
	char text[IPAM_FAMILIES * (ADDR_STR_SIZE + 2)];
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
	snprintf(out->message, sizeof(out->message), KUBE_CONFIRMS_FAILED "%s%s; ", text,
	         out->shares ? KUBE_CONFIRMS_SHARED : "");
}

/* Others may join it, or have, whatever else it asks for in vain: then the ports must be listed. */
static bool shares_held(const struct choice *c)
{
	const struct tenancy *t = c->r->tenancy;

	for (size_t i = 0; i < c->r->n_held; i++)
		if (!choice_is_mine(c, &c->r->held[i]))
			return false;
	return c->r->n_held > 0 && t && ((t->key && !t->closed) || t->n_granted > 0);
}

bool choice_refuse(struct choice *c, enum reason reason, const char *fmt, ...)
{
	struct ipam_decision *out = c->out;
	va_list ap;

	out->action = IPAM_FAIL;
	out->reason = reason;
	choice_answer_held(c->r, out);
	out->shares = shares_held(c);
	ipam_open_message(c->r, out);
	size_t used = strlen(out->message);
	va_start(ap, fmt);
	int more = vsnprintf(out->message + used, sizeof(out->message) - used, fmt, ap);
	va_end(ap);
	used += more > 0 ? (size_t)more : 0;
	if (out->n == 0)
		return false;
	/*
	 * Something else fails: that must not make us forget that what is held was given for this
	 * pool.
	 */
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

/* ---- of what was chosen ---- */

/*
 * For a Service that makes do with one address: why, and whether the other, which comes from the
 * same pool, may still follow.
 */
static void note_missing(struct choice *c)
{
	const struct ipam_pool *pool = choice_pool(c);
	struct ipam_decision *out = c->out;
	size_t used = strlen(out->message);

	for (size_t i = 0; i < c->r->n_families; i++) {
		uint8_t family = c->r->families[i];
		if (!pool || choice_has_family(c, family) || !choice_is_giving(c, pool))
			continue;
		const struct config_quota *q = choice_quota_reached(c, pool);
		struct addr any;
		out->partial = ipam_total(pool, ipam_family_index(family)) > 0;
		if (q && ipam_first_free(pool, ipam_family_index(family), true, &any))
			choice_explain_quota(c, q, ", which", out->message + used,
			                     sizeof(out->message) - used);
		else
			choice_explain_family(c, pool, family, ", which", out->message + used,
			                      sizeof(out->message) - used);
	}
}

/* No better address was free. */
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

/*
 * The request that was honoured, for later judgement by this message (ipam_message_honours()).
 */
static void note_request(struct choice *c)
{
	size_t used = strlen(c->out->message);

	if (c->stays)
		snprintf(c->out->message + used, sizeof(c->out->message) - used,
		         "," IPAM_GIVEN_FOR IPAM_NAME_TEXT, c->r->pool);
}

/*
 * The pool shared across namespaces once, and does no longer: no edit parts those that did, so they
 * are told.
 */
static void note_across(struct choice *c)
{
	struct ipam_decision *out = c->out;
	size_t used = strlen(out->message);

	for (size_t i = 0; i < out->n; i++) {
		const struct ipam_pool *pool = ipam_pool_of(c->ipam, &out->addrs[i]);
		if (!pool || pool->conf->shares_across_namespaces ||
		    !ipam_is_across(c->ipam, c->key, &out->addrs[i]))
			continue;
		snprintf(out->message + used, sizeof(out->message) - used,
		         "; a Service of another namespace has %s, too, which the pool no longer "
		         "allows",
		         addr_str(&out->addrs[i]));
		return;
	}
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
	note_across(c);
}

/* It has the address together with others, among whom it does not fit any more. */
static void say_overstays(struct choice *c, const char *text)
{
	struct ipam_decision *out = c->out;
	cleanup(buf_fini) struct buf why = BUF_INIT;

	for (size_t i = 0; i < out->n && why.size == 0; i++) {
		struct ipam_obstacle o = ipam_misfit(c->ipam, c->key, &out->addrs[i]);
		if (o.verdict.obstacle == TENANCY_NONE)
			continue;
		out->holder = o.other->key;
		buf_printf(&why, "%s cannot be shared any more: ", addr_str(&out->addrs[i]));
		choice_put_obstacle(c, &o, &why);
	}
	out->action = IPAM_KEEP;
	out->reason = REASON_SharingEnded;
	snprintf(out->message, sizeof(out->message), "%s%s of pool " IPAM_NAME_TEXT "; %s",
	         choice_is_external(c) ? KUBE_CONFIRMS_KEPT : "keeps ", text,
	         out->pool ? out->pool->name : "", buf_str(&why));
	note_request(c);
}

/* With whom it has the address; of other namespaces only that there are any. */
static void note_company(struct choice *c)
{
	struct ipam_decision *out = c->out;
	const char *first = NULL;
	size_t n = 0, used = strlen(out->message);

	for (size_t i = 0; i < out->n; i++)
		for (const struct ipam_tenant *t = ipam_tenants_of(c->ipam, &out->addrs[i]); t;
		     t = t->next) {
			if (!strcmp(t->service->key, c->key))
				continue;
			first = first ? first : ipam_name(c->ipam, c->key, t->service->key);
			n++;
		}
	if (n > 0)
		snprintf(out->message + used, sizeof(out->message) - used, "; %s has it, too%s",
		         first, n > 1 ? ", and others" : "");
}

/* What it does not ask for goes, but for one address of each family. */
static void say_released(struct choice *c, const char *text)
{
	struct addr gone[IPAM_STATUS_MAX];
	char list[IPAM_STATUS_MAX * (ADDR_STR_SIZE + 2)];
	const struct ipam_pool *pool = choice_pool(c);
	size_t n = 0;

	for (size_t i = 0; i < c->r->n_held; i++)
		if (!addrs_contain(c->out->addrs, c->out->n, &c->r->held[i]))
			gone[n++] = c->r->held[i];
	list_addrs(gone, n, list, sizeof(list));
	c->out->action = IPAM_RELEASE;
	c->out->reason = REASON_Kept;
	snprintf(
		c->out->message, sizeof(c->out->message),
		"keeps %s%s" IPAM_NAME_TEXT
		" and gives up %s: a Service has one address of each family, unless it asks for more",
		text, pool ? " of pool " : "", pool ? pool->conf->name : "", list);
}

/* Is there an address of each family of which the status had one?  Then only surplus goes. */
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

/*
 * Speakers announce the new address before the old one goes.  External IPs have one of each family,
 * so these cannot.
 */
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

/* The pool has taken it in, which uses up its turn. */
static void keep_all(struct choice *c, const char *text)
{
	struct ipam_decision *out = c->out;

	out->renumbers = false;
	out->action = IPAM_KEEP;
	out->reason = REASON_Kept;
	memcpy(out->addrs, c->r->held, c->r->n_held * sizeof(out->addrs[0]));
	out->n = c->r->n_held;
	snprintf(out->message, sizeof(out->message), "keeps %s of pool " IPAM_NAME_TEXT, text,
	         out->pool ? out->pool->name : "");
}

static void note_sharing(struct choice *c)
{
	struct ipam_decision *out = c->out;

	for (size_t i = 0; i < out->n; i++) {
		const struct ipam_tenant *t = ipam_tenants_of(c->ipam, &out->addrs[i]);
		out->has_company |= t && (t->next || strcmp(t->service->key, c->key) != 0);
	}
	out->shares = c->r->tenancy && (c->r->tenancy->key || out->has_company);
}

void choice_conclude(struct choice *c)
{
	const struct ipam_request *r = c->r;
	struct ipam_decision *out = c->out;
	char text[IPAM_STATUS_MAX * (ADDR_STR_SIZE + 2)];
	size_t stays = 0;

	memcpy(out->addrs, c->picks.addrs, sizeof(c->picks.addrs));
	out->n = c->picks.n;
	for (size_t i = 0; i < out->n; i++)
		stays += choice_is_held(r, &out->addrs[i]);
	out->pool = choice_pool(c) ? choice_pool(c)->conf
	                           : configuration_pool_of(c->ipam->config, &out->addrs[0]);
	note_sharing(c);
	list_addrs(out->addrs, out->n, text, sizeof(text));
	if (choice_is_external(c) && out->shares)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), KUBE_CONFIRMS_SHARED);
	if (stays == out->n && stays == r->n_held) {
		if (c->overstays)
			say_overstays(c, text);
		else if (!choice_retain(c, text))
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
		note_company(c);
		if (out->renumbers)
			leave_for_a_while(c);
	}
	note_missing(c);
}
