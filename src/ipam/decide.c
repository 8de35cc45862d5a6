/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What should happen to one Service.
 *
 * First come the cases in which there is nothing for us to do.  Then the addresses that the Service
 * should have are chosen: of each family those asked for, else the one it has (in its status, or on
 * its way there), else the lowest free one of the pool in question.  Choosing may fail, and then
 * what the Service has stays; comparing the choice with the status names the action.  All addresses
 * come from one pool, and a Service that has an address never leaves its pool unasked.  Some whose
 * pool was divided by an edit stay together: what is held takes precedence over the rule.  Nor does
 * an edit move any Service: a request that was honoured once no longer counts, whatever became of
 * its pool (stays.c).
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ipam/choice.h"

const char *ipam_action_name(enum ipam_action a)
{
	static const char *const names[] = {
		[IPAM_NONE] = "none",       [IPAM_KEEP] = "keep", [IPAM_ASSIGN] = "assign",
		[IPAM_RELEASE] = "release", [IPAM_FAIL] = "fail", [IPAM_MOVE] = "move",
	};
	return names[a];
}

/* ---- what is not ours ---- */

/*
 * A recorded address that nobody confirms and that is in no pool stays.  One that another Service
 * has came with a copied manifest: it is not held here, and gets replaced.
 */
static bool is_foreign_record(struct choice *c)
{
	for (size_t i = 0; i < c->r->n_held; i++)
		if (!ipam_pool_of(c->ipam, &c->r->held[i]) && !choice_is_mine(c, &c->r->held[i])) {
			choice_refuse(
				c, REASON_ForeignAddress,
				"%s was assigned, but is in no pool any more; add it to one, or "
				"remove the annotation " KUBE_ANNOTATION_EXTERNAL_IPS
				" to give it up",
				addr_str(&c->r->held[i]));
			return true;
		}
	return false;
}

/*
 * Does the status hold what we would not have written?  Then it is left alone, and @out says why,
 * unless the Service asks for an address or a pool: that overrides the status, and what is not ours
 * goes when the Service gets what it asks for.
 */
static bool is_foreign(struct choice *c)
{
	const struct ipam_request *r = c->r;
	bool asks = r->n_asked > 0 || (r->pool && !r->honoured);

	if (r->foreign) {
		choice_refuse(
			c, REASON_ForeignAddress,
			"the status holds a host name or too many addresses, written by another "
			"program");
		return true;
	}
	for (size_t i = 0; i < r->n_held && !asks; i++) {
		const struct addr *a = &r->held[i];
		const struct ipam_service *holder = ipam_holder_of(c->ipam, a);

		if (choice_is_taken(c, a)) {
			c->out->holder = holder->key;
			choice_refuse(c, REASON_AddressShared,
			              "%s is also in the status of %s, which came first",
			              addr_str(a), ipam_name(c->ipam, c->key, holder->key));
			return true;
		}
		if (!ipam_pool_of(c->ipam, a) && !holder) {
			choice_refuse(
				c, REASON_ForeignAddress,
				"%s is in no pool; add it to one, or remove it from the status",
				addr_str(a));
			return true;
		}
	}
	return false;
}

/* ---- the answer ---- */

static void say(struct ipam_decision *out, enum ipam_action action, enum reason reason)
{
	out->action = action;
	out->reason = reason;
	snprintf(out->message, sizeof(out->message), "%s", reason_sentence(reason));
}

/*
 * All addresses of our pools: left there by a server that keeps the status when the type changes.
 */
static bool holds_only_ours(const struct choice *c)
{
	const struct ipam_request *r = c->r;
	size_t n = 0;

	while (n < r->n_held && ipam_pool_of(c->ipam, &r->held[n]))
		n++;
	return n > 0 && n == r->n_held && !r->foreign;
}

/* The object is not ours to touch, and holds what it holds. */
static void leave(const struct choice *c, enum reason reason)
{
	say(c->out, IPAM_NONE, reason);
	c->out->hands_off = true;
	choice_answer_held(c->r, c->out);
	if (choice_is_external(c))
		ipam_note_named(c->ipam->config, c->r, c->out);
}

/* True if there is nothing to choose, and @out says why. */
static bool is_settled(struct choice *c)
{
	const struct ipam_request *r = c->r;
	struct ipam_decision *out = c->out;

	switch (r->wish) {
	case IPAM_WISH_OTHER:
		leave(c, REASON_OtherClass);
		return true;
	case IPAM_WISH_DELETING:
		leave(c, REASON_Deleting);
		return true;
	case IPAM_WISH_UNREADABLE:
		leave(c, REASON_Unreadable);
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
			choice_answer_held(r, out);
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
	struct choice c = choice_of(ipam, key, r);

	c.out = ret_decision;
	c.stays = r->pool && r->honoured && r->n_held > 0;
	*ret_decision = (struct ipam_decision){ .action = IPAM_NONE };
	if (is_settled(&c))
		return;
	if (r->problem) {
		choice_refuse(&c, r->problem_reason, "%s", r->problem);
		return;
	}
	if (r->n_families == 0 || (r->needs_both && r->n_families < 2)) {
		choice_refuse(&c, REASON_NoClusterIP, "the Service has %s",
		              r->n_families ? "one cluster IP, but RequireDualStack"
		                            : "no cluster IP yet");
		return;
	}
	for (size_t i = 0; r->pool && i < ipam->n_pools; i++)
		if (!strcmp(ipam->pools[i].conf->name, r->pool))
			c.asked_pool = &ipam->pools[i];
	if (choice_make(&c))
		choice_conclude(&c);
}
