/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record is three answers to one question, which addresses?  What the Service asks for (request),
 * what its object says now (held, condition), and what was decided last (want, reason, message).
 * Reading changes the first two, a decision the third, and what has to be written is the
 * difference, so that nothing is remembered about writes except what an answer has shown.
 *
 * The object is the memory.  What was given stands in the status, and for external IPs in an
 * annotation that anybody may edit, which therefore counts only as far as the condition, which only
 * controllers write, names the addresses.  A new leader knows from there all that the last one did,
 * except for what is on its way: that is what `given` and `honours` are for, and they count only as
 * long as the object agrees.
 *
 * A condition is compared by reason and by the hash of its message, not by text, and one that says
 * how its holder came to the address is left as it is.  Patches carry the resourceVersion of the
 * object that was read (writer.c).
 */
#include "config.h"

#include "fairlead/record.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/kube_types.h"
#include "fairlead/mem.h"
#include "fairlead/tenancy.h"

/* "shop", "web" → "shop\0shop/web\0shop/web (external IPs)" */
struct record *record_new(struct controller *ctl, const struct kube_meta *meta)
{
	struct record *r = xcalloc(1, sizeof(*r));
	size_t n = strlen(meta->namespace);

	r->ctl = ctl;
	r->namespace = xasprintf("%s%c%s/%s%c%s/%s (external IPs)", meta->namespace, 0,
	                         meta->namespace, meta->name, 0, meta->namespace, meta->name);
	r->key = r->namespace + n + 1;
	r->name = r->key + n + 1;
	r->external_key = r->name + strlen(meta->name) + 1;
	r->uid = xstrdup(meta->uid);
	r->version = xstrdup("");
	r->lb.condition.reason = REASON_COUNT;
	return r;
}

static void part_fini(struct record_part *p)
{
	ipam_request_fini(&p->request);
	free(p->message);
	free(p->holder);
	free(p->honoured_pool);
	free(p->want);
	free(p->given);
}

static void drop_external(struct record *r)
{
	if (r->external)
		part_fini(r->external);
	free(TAKE(r->external));
}

void record_free(struct record *r)
{
	if (!r)
		return;
	part_fini(&r->lb);
	drop_external(r);
	free(r->namespace);
	free(r->uid);
	free(r->version);
	free(r->refusal);
	free(r->failure);
	free(r->contested_by);
	free(r);
}

/* ---- reading ---- */

static struct record_condition read_condition(const struct kube_service *s, const char *type)
{
	for (size_t i = 0; i < s->n_conditions; i++) {
		const struct kube_condition *c = &s->conditions[i];
		if (!strcmp(c->type, type))
			return (struct record_condition){
				.present = true,
				.is_true = !strcmp(c->status, "True"),
				.reason = reason_named(c->reason),
				.message_hash = hash64_str(c->message, 0),
				.transition_us = c->transition_us,
			};
	}
	return (struct record_condition){ .reason = REASON_COUNT };
}

static bool lacks_ip_mode(const struct kube_service *s)
{
	for (size_t i = 0; i < s->n_ingress; i++)
		if (!addr_is_none(&s->ingress[i].ip) && !s->ingress[i].has_ip_mode)
			return true;
	return false;
}

/* Is there an address in the record that is not in the spec? */
static bool lacks_recorded(const struct kube_service *s)
{
	for (size_t i = 0; i < s->n_external_assigned; i++) {
		size_t k = 0;
		while (k < s->n_external_ips &&
		       !addr_eq(&s->external_assigned[i], &s->external_ips[k]))
			k++;
		if (k == s->n_external_ips)
			return true;
	}
	return false;
}

struct record_server record_dropped(const struct kube_service *s, struct record_write w)
{
	bool lost = (w.condition && !read_condition(s, IPAM_CONDITION).present) ||
	            (w.external_condition && !read_condition(s, IPAM_CONDITION_EXTERNAL).present);

	return (struct record_server){ .drops_ip_mode = w.ingress && lacks_ip_mode(s),
		                       .drops_conditions = lost };
}

static uint64_t hash_labels(const struct labels *l, uint64_t seed)
{
	for (size_t i = 0; i < l->n; i++)
		seed = hash64_str(l->kvs[i].value, hash64_str(l->kvs[i].key, seed));
	return seed;
}

/*
 * The decision about a part that has just become empty is still to be reported, so the part goes
 * with the next reading.
 */
static bool is_empty(const struct record_part *p)
{
	return !p || (!p->request.pool && !p->request.n_held && !p->request.n_written);
}

static void read_external(struct record *r, const struct kube_service *s,
                          const struct record_rules *rules)
{
	struct record_condition condition = read_condition(s, IPAM_CONDITION_EXTERNAL);

	if (!s->external_pool && !s->n_external_assigned && !s->n_external_ips &&
	    !condition.present && is_empty(r->external)) {
		drop_external(r);
		return;
	}
	if (!r->external)
		r->external = xcalloc(1, sizeof(*r->external));
	ipam_request_fini(&r->external->request);
	ipam_external_request_of(s, rules->class, rules->external_ips, &r->external->request);
	r->external->condition = condition;
	r->external->lacks = lacks_recorded(s);
}

static bool same_addrs(const struct record_part *p);

/*
 * What is asked for is honoured if it is what the last decision gave, and the object has that.  If
 * there is no such decision, as after a change of leader, the condition decides.
 */
static void judge_past(struct record_part *p)
{
	if (p && p->decided && p->honours && same_addrs(p))
		p->request.honoured = p->request.pool && p->honoured_pool &&
		                      !strcmp(p->request.pool, p->honoured_pool);
}

void record_read(struct record *r, const struct kube_service *s, const struct record_rules *rules,
                 int64_t generation)
{
	free(r->version);
	r->version = xstrdup(s->meta.resource_version);
	r->creation_us = s->meta.creation_us;
	r->generation = generation;
	r->likeness = hash_labels(&s->meta.annotations,
	                          hash_labels(&s->meta.labels, (uint64_t)generation));
	ipam_request_fini(&r->lb.request);
	ipam_request_of(s, rules->class, &r->lb.request);
	r->lb.condition = read_condition(s, IPAM_CONDITION);
	r->lb.lacks = lacks_ip_mode(s);
	read_external(r, s, rules);
	judge_past(&r->lb);
	judge_past(r->external);
}

/* What it asked for is no longer known; what a decision has put on its way stays. */
static void forget_wishes(struct record_part *p, unsigned int use)
{
	struct tenancy *known = TAKE(p->request.tenancy);

	ipam_request_fini(&p->request);
	p->request =
		(struct ipam_request){ .wish = IPAM_WISH_UNREADABLE, .use = use, .tenancy = known };
	p->condition = (struct record_condition){ .reason = REASON_COUNT };
	p->lacks = false;
}

/* What the last write may still give the part, or has, and the watch has not shown it. */
static size_t add_open(const struct record *r, const struct record_part *p, bool written,
                       struct addr *addrs, size_t n, size_t max)
{
	bool open = r->flight == RECORD_PATCHING || r->flight == RECORD_DOUBT || r->awaits;

	for (size_t i = 0; open && written && i < p->n_want && n < max; i++)
		if (!addrs_contain(addrs, n, &p->want[i]))
			addrs[n++] = p->want[i];
	return n;
}

static void salvage_status(struct record *r, const struct kube_remains *s)
{
	size_t max = s->n_ingress + r->lb.n_want + 1;
	cleanup_free struct addr *all = xcalloc(max, sizeof(*all));

	if (s->n_ingress > 0)
		memcpy(all, s->ingress, s->n_ingress * sizeof(*all));
	ipam_read_held(&r->lb.request, all,
	               add_open(r, &r->lb, r->under_way.ingress, all, s->n_ingress, max));
}

void record_salvage(struct record *r, const struct kube_remains *s)
{
	free(r->version);
	r->version = xstrdup("");
	if (s->meta.creation_us)
		r->creation_us = s->meta.creation_us;
	forget_wishes(&r->lb, CONFIG_USE_LOAD_BALANCER);
	salvage_status(r, s);
	if (s->n_external_ips + s->n_confirmed == 0 && !r->external)
		return;
	if (!r->external)
		r->external = xcalloc(1, sizeof(*r->external));
	forget_wishes(r->external, CONFIG_USE_EXTERNAL_IP);
	struct ipam_request *q = &r->external->request;
	memcpy(q->confirmed, s->confirmed, sizeof(q->confirmed));
	q->n_confirmed = (uint8_t)s->n_confirmed;
	q->namespace = xstrdup(r->namespace);
	/* The record is not read; what is confirmed was in it. */
	q->written = xcalloc(s->n_external_ips + 1, sizeof(struct addr));
	for (size_t i = 0; i < s->n_external_ips; i++) {
		const struct addr *a = &s->external_ips[i];
		if (!addrs_contain(q->confirmed, q->n_confirmed, a))
			q->written[q->n_written++] = *a;
		else if (!addrs_contain(q->held, q->n_held, a))
			q->held[q->n_held++] = *a;
	}
	q->n_held = (uint8_t)add_open(r, r->external, r->under_way.external_ips, q->held, q->n_held,
	                              ARRAY_LEN(q->held));
}

struct seniority record_turn(const struct record *r)
{
	return (struct seniority){ .creation_us = r->creation_us,
		                   .namespace = r->namespace,
		                   .name = r->name };
}

/* ---- decided ---- */

static struct addr *copy_addrs(const struct addr *addrs, size_t n)
{
	return n ? xmemdup(addrs, n * sizeof(*addrs)) : NULL;
}

/* What was given before counts for as long as the object has it. */
static void note_given(struct record_part *p, const struct ipam_decision *d)
{
	struct addr given[IPAM_STATUS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < p->n_given && p->decided; i++)
		if (addrs_contain(p->request.held, p->request.n_held, &p->given[i]))
			given[n++] = p->given[i];
	for (size_t i = 0; i < d->n && n < ARRAY_LEN(given); i++)
		if ((d->action == IPAM_ASSIGN || d->action == IPAM_KEEP ||
		     d->action == IPAM_MOVE) &&
		    !addrs_contain(given, n, &d->addrs[i]))
			given[n++] = d->addrs[i];
	free(p->given);
	p->given = copy_addrs(given, n);
	p->n_given = (uint8_t)n;
}

/* Something else may have failed, and what was honoured before still is. */
static void note_honoured(struct record_part *p, const struct ipam_decision *d)
{
	p->honours = !d->hands_off &&
	             (d->action == IPAM_ASSIGN || d->action == IPAM_KEEP ||
	              d->action == IPAM_MOVE || (d->action == IPAM_FAIL && p->request.honoured));
	free(p->honoured_pool);
	p->honoured_pool = xstrdup_null(p->request.pool);
}

void record_decided(struct record_part *p, const struct ipam_decision *d)
{
	note_given(p, d);
	note_honoured(p, d);
	p->decided = true;
	p->hands_off = d->hands_off;
	p->shares = d->shares;
	p->renumbers = d->renumbers;
	p->action = d->action;
	p->reason = d->reason;
	p->n_want = (uint8_t)d->n;
	free(p->want);
	p->want = copy_addrs(d->addrs, d->n);
	free(p->message);
	p->message = xstrdup(d->message);
	free(p->holder);
	p->holder = xstrdup_null(d->holder);
}

void record_refuse(struct record *r, const char *why)
{
	free(r->refusal);
	r->refusal = xstrdup(why);
	r->refused_likeness = r->likeness;
}

void record_forget_refusal(struct record *r)
{
	free(TAKE(r->refusal));
}

bool record_is_refused(const struct record *r)
{
	return r->refusal && r->refused_likeness == r->likeness;
}

const char *record_contender(const struct record *r)
{
	return r->contested_by ? r->contested_by : "another program";
}

bool record_is_assigned(const struct record_part *p)
{
	return p->reason == REASON_Assigned || p->reason == REASON_Kept ||
	       p->reason == REASON_Retained || p->reason == REASON_SharingEnded ||
	       p->reason == REASON_StatusContested || p->reason == REASON_ExternalIpsAllowed;
}

/* ---- what has to be written ---- */

static bool holds_just(const struct record_part *p, const struct addr *addrs, size_t n)
{
	return addrs_same_set(addrs, n, p->request.held, p->request.n_held);
}

static bool same_addrs(const struct record_part *p)
{
	return holds_just(p, p->want, p->n_want);
}

/* For external IPs the condition names each one, otherwise they would not be trusted. */
static bool names_all(const struct record_part *p)
{
	for (size_t i = 0; i < p->n_want; i++)
		if (!ipam_is_confirmed(&p->request, &p->want[i]))
			return false;
	return true;
}

/* And that others may have them, too. */
static bool tells_sharing(const struct record_part *p)
{
	const struct tenancy *t = p->request.tenancy;

	return p->request.use != CONFIG_USE_EXTERNAL_IP || (t && t->n_granted > 0) == p->shares;
}

static bool condition_is_right(const struct record_part *p)
{
	const struct record_condition *c = &p->condition;

	if (c->is_true != record_is_assigned(p))
		return false;
	if (c->is_true && !(names_all(p) && tells_sharing(p)))
		return false;
	/* How a holder came to its address is history worth keeping. */
	if (p->reason == REASON_Kept && (c->reason == REASON_Assigned || c->reason == REASON_Kept))
		return true;
	return c->reason == p->reason && c->message_hash == hash64_str(p->message, 0);
}

static bool says_it(const struct record_part *p)
{
	return p->condition.present && condition_is_right(p);
}

struct record_shown record_shown(const struct record *r)
{
	struct record_shown shown = { .n_held = r->lb.request.n_held,
		                      .says_it = r->lb.decided && says_it(&r->lb) };

	memcpy(shown.held, r->lb.request.held, sizeof(shown.held));
	return shown;
}

const char *record_overwritten(const struct record *r, const struct record_shown *before)
{
	if (!r->lb.decided || r->lb.request.wish != IPAM_WISH_ADDRESS)
		return NULL;
	if (!holds_just(&r->lb, before->held, before->n_held) && !same_addrs(&r->lb))
		return "the addresses in the status were written";
	return before->says_it && !says_it(&r->lb) ? "our condition in the status was written"
	                                           : NULL;
}

static bool needs_condition(const struct record_part *p, const struct record_server *server)
{
	return !says_it(p) && !(server->drops_conditions && !p->condition.present);
}

/* What we once wrote must not stay there; a Service without a condition of ours gets none. */
static bool needs_correction(const struct record_part *p)
{
	return p->condition.present && !condition_is_right(p);
}

bool record_shares(const struct record_part *p)
{
	return p->shares && p->request.tenancy;
}

/* The ports of an address that the Service may share are listed, and they alone. */
static bool lacks_ports(const struct record_part *p)
{
	return record_shares(p) && p->request.lists_other_ports;
}

static struct record_write needs_of_status(const struct record_part *p,
                                           const struct record_server *server)
{
	struct record_write w = { .ingress = false };

	switch (p->request.wish) {
	case IPAM_WISH_OTHER:
	case IPAM_WISH_DELETING:
	case IPAM_WISH_UNREADABLE:
		return w;
	case IPAM_WISH_NONE:
		w.condition = needs_correction(p);
		w.ingress = p->action == IPAM_RELEASE && p->request.n_held > 0;
		return w;
	case IPAM_WISH_ADDRESS:
		break;
	}
	if (p->hands_off) {
		w.condition = needs_correction(p);
		return w;
	}
	w.condition = needs_condition(p, server);
	w.ingress = !same_addrs(p) ||
	            (p->n_want > 0 && ((p->lacks && !server->drops_ip_mode) || lacks_ports(p)));
	/* Whenever the ingress is written, the condition is written, too. */
	w.condition |= w.ingress;
	return w;
}

static struct record_write needs_of_spec(const struct record_part *p,
                                         const struct record_server *server)
{
	struct record_write w = { .ingress = false };

	switch (p->request.wish) {
	case IPAM_WISH_OTHER:
	case IPAM_WISH_DELETING:
	case IPAM_WISH_UNREADABLE:
		return w;
	case IPAM_WISH_NONE:
		w.external_condition =
			reason_holds(p->reason) ? needs_correction(p) : needs_condition(p, server);
		w.external_ips = p->action == IPAM_RELEASE && p->request.n_held > 0;
		return w;
	case IPAM_WISH_ADDRESS:
		break;
	}
	w.external_condition = needs_condition(p, server);
	w.external_ips = p->action != IPAM_FAIL && (!same_addrs(p) || p->lacks);
	return w;
}

struct record_write record_needs(const struct record *r, const struct record_server *server)
{
	struct record_write w = needs_of_status(&r->lb, server);

	if (r->external && r->external->decided) {
		struct record_write spec = needs_of_spec(r->external, server);
		w.external_ips = spec.external_ips;
		w.external_condition = spec.external_condition;
	}
	return w;
}

bool record_writes(struct record_write w)
{
	return w.ingress || w.condition || w.external_ips || w.external_condition;
}

struct record_write record_next(struct record_write needs)
{
	if (needs.external_ips && (needs.ingress || needs.condition))
		needs.external_ips = needs.external_condition = false;
	else if (needs.external_ips)
		needs.external_condition = false;
	return needs;
}

struct record_write record_both(struct record_write a, struct record_write b)
{
	return (struct record_write){
		.ingress = a.ingress && b.ingress,
		.condition = a.condition && b.condition,
		.external_ips = a.external_ips && b.external_ips,
		.external_condition = a.external_condition && b.external_condition,
	};
}

/* ---- written ---- */

static struct record_condition condition_written(const struct record_part *p)
{
	return (struct record_condition){ .present = true,
		                          .is_true = record_is_assigned(p),
		                          .reason = (int)p->reason,
		                          .message_hash = hash64_str(p->message, 0) };
}

static void addrs_written(struct record_part *p)
{
	if (p->n_want)
		memcpy(p->request.held, p->want, p->n_want * sizeof(*p->want));
	p->request.n_held = p->n_want;
	p->lacks = false;
}

/* Entries with ports are what says that an address is shared. */
static void ports_written(struct record_part *p)
{
	struct ipam_request *q = &p->request;

	q->lists_other_ports = !record_shares(p);
	if (q->tenancy)
		tenancy_grant(q->tenancy, q->held, p->shares ? q->n_held : 0);
}

static void confirmed_written(struct record_part *p)
{
	struct ipam_request *q = &p->request;

	p->condition = condition_written(p);
	q->n_confirmed = (uint8_t)kube_external_confirmed_by(p->message, q->confirmed);
	if (q->tenancy)
		tenancy_grant(q->tenancy, q->confirmed,
		              kube_external_shares_by(p->message) ? q->n_confirmed : 0);
}

void record_written(struct record *r, struct record_write w)
{
	if (w.ingress) {
		addrs_written(&r->lb);
		ports_written(&r->lb);
		free(TAKE(r->lb.request.written));
		r->lb.request.n_written = 0;
	}
	if (w.condition) {
		r->lb.condition = condition_written(&r->lb);
		r->lb.request.assigned_by_us = r->lb.condition.is_true;
	}
	if (w.external_ips) {
		addrs_written(r->external);
		r->external->request.assigned_by_us = r->external->request.n_held > 0;
	}
	if (w.external_condition)
		confirmed_written(r->external);
}
