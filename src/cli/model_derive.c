/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from what the API server and the speakers said, for the verdict and for what prints.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_private.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

/* So many candidates are named, unless more is asked for. */
#define CANDIDATES_SHOWN 3

static int by_key(const struct model_service *a, const struct model_service *b)
{
	int c = strcmp(a->namespace, b->namespace);

	return c ? c : strcmp(a->name, b->name);
}

const char *model_pool_name(const struct model *m, const struct addr *a)
{
	const struct config_pool *p = m->config ? configuration_pool_of(m->config, a) : NULL;

	return p ? p->name : "";
}

bool model_is_retained(const struct model *m, const struct addr *a)
{
	return m->config && configuration_retained_of(m->config, a);
}

const struct addr *model_next_retained(const struct model *m, const struct model_service *s,
                                       size_t *i, const struct config_pool **ret_pool)
{
	while (m->config && *i < s->n_addresses) {
		const struct addr *a = &s->addresses[(*i)++].address.addr;
		*ret_pool = configuration_retained_of(m->config, a);
		if (*ret_pool)
			return a;
	}
	return NULL;
}

const char *model_kind_name(const struct model *m, const struct model_address *a)
{
	return decide_kind_name(decide_kind_of(m->config, &a->address));
}

static int verdict_cmp(const void *a, const void *b)
{
	const struct verdict *va = a, *vb = b;
	int c = strcmp(va->node, vb->node);

	return c ? c : (int)va->protocol - (int)vb->protocol;
}

/* Each node's together, those without a node last. */
static int pod_cmp(const void *a, const void *b)
{
	const struct kube_pod *pa = *(struct kube_pod *const *)a,
			      *pb = *(struct kube_pod *const *)b;
	int c = pa->node && pb->node ? strcmp(pa->node, pb->node) : !pa->node - !pb->node;

	return c ? c : strcmp(pa->meta.name, pb->meta.name);
}

void model_sort(struct model *m)
{
	if (m->pods.n)
		qsort(m->pods.items, m->pods.n, sizeof(struct kube_pod *), pod_cmp);
	HASH_SORT(m->services, by_key);
	model_books_reset(m->books);
	for (struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; i < s->n_addresses; i++)
			if (s->addresses[i].n_verdicts)
				qsort(s->addresses[i].verdicts, s->addresses[i].n_verdicts,
				      sizeof(struct verdict), verdict_cmp);
}

static void put_announcers(const struct model_address *a, enum protocol protocol, size_t max,
                           struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_verdicts; i++)
		if (a->verdicts[i].announce && a->verdicts[i].protocol == protocol && n++ < max)
			buf_printf(out, "%s%s", out->size ? "," : "", a->verdicts[i].node);
	if (n > max)
		buf_printf(out, "+%zu", n - max);
}

void model_put_owners(const struct model_address *a, size_t max, struct buf *out)
{
	cleanup(buf_fini) struct buf layer2 = BUF_INIT, bgp = BUF_INIT;

	put_announcers(a, PROTOCOL_LAYER2, max, &layer2);
	put_announcers(a, PROTOCOL_BGP, max, &bgp);
	if (layer2.size && bgp.size)
		buf_printf(out, "%s (layer2) %s (bgp)", buf_str(&layer2), buf_str(&bgp));
	else
		buf_puts(out, layer2.size ? buf_str(&layer2) : buf_str(&bgp));
}

void model_put_duration(int64_t ms, struct buf *out)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int64_t left = ms / 1000;
	size_t first = 0;

	if (ms < 1000) {
		buf_printf(out, "%" PRId64 "ms", ms);
		return;
	}
	while (first < ARRAY_LEN(units) - 1 && left < units[first].seconds)
		first++;
	for (size_t i = first; i < ARRAY_LEN(units) && i < first + 2; i++) {
		buf_printf(out, "%" PRId64 "%c", left / units[i].seconds, units[i].letter);
		left %= units[i].seconds;
	}
}

const char *model_sentence(const char *reason)
{
	enum reason r = reason_named(reason);

	return r == REASON_COUNT ? reason : reason_sentence(r);
}

const struct verdict *model_l2_owner(const struct model_address *a)
{
	const struct verdict *d = model_announcer(a);

	return d && d->protocol == PROTOCOL_LAYER2 ? d : NULL;
}

/* Of all that name this owner the one that has known it longest: it may have restarted. */
static int64_t held_ms(const struct model_address *a, const char *owner)
{
	int64_t longest = -1;

	for (size_t i = 0; i < a->n_verdicts; i++)
		if (!strcmp(a->verdicts[i].owner, owner) && a->verdicts[i].held_ms > longest)
			longest = a->verdicts[i].held_ms;
	return longest;
}

bool model_may_own(const struct verdict *d)
{
	enum reason r = reason_named(d->reason);

	return d->protocol == PROTOCOL_LAYER2 &&
	       (r == REASON_Announced || r == REASON_NotOwner || r == REASON_TwoOwners ||
	        r == REASON_Candidate || r == REASON_OwnerStillAnswers);
}

static void put_candidates(const struct model_address *a, struct out *o)
{
	cleanup(buf_fini) struct buf words = BUF_INIT;
	size_t n = 0;

	out_list(o, "candidates");
	for (size_t i = 0; i < a->n_verdicts; i++) {
		if (!model_may_own(&a->verdicts[i]))
			continue;
		out_str(o, NULL, a->verdicts[i].node);
		if (n++ < CANDIDATES_SHOWN || o->format != OUT_TEXT)
			buf_printf(&words, "%s%s", n > 1 ? "," : "", a->verdicts[i].node);
	}
	out_close(o);
	if (n > CANDIDATES_SHOWN && o->format == OUT_TEXT)
		buf_printf(&words, "+%zu", n - CANDIDATES_SHOWN);
	if (n)
		out_cell(o, "may", "%s", buf_str(&words));
}

void model_put_held(const struct model_address *a, struct out *o)
{
	cleanup(buf_fini) struct buf held = BUF_INIT;
	const struct verdict *owner = model_l2_owner(a);
	int64_t ms = owner ? held_ms(a, owner->node) : -1;

	if (ms >= 0) {
		out_int(o, "held_ms", ms);
		model_put_duration(ms, &held);
		out_cell(o, "held", "%s", buf_str(&held));
	}
	if (owner && *owner->cause)
		out_str(o, "cause", owner->cause);
	put_candidates(a, o);
}

const struct verdict *model_announcer(const struct model_address *a)
{
	const struct verdict *first = NULL;

	for (size_t i = 0; i < a->n_verdicts; i++) {
		const struct verdict *d = &a->verdicts[i];
		if (d->announce && (!first || d->protocol < first->protocol))
			first = d;
	}
	return first;
}

enum reason model_silence(const struct model *m, const struct model_node *n, struct buf *why)
{
	size_t n_pods = pods_count(&m->pods, PODS_SPEAKER);
	/* Where there is no Pod at all and others answer, speakers run by hand. */
	bool in_pods = m->pods.known && (n_pods > 0 || !model_any_in_service(m));
	const struct kube_pod *pod = in_pods ? pods_speaker_of(&m->pods, n->name) : NULL;
	const char *error = n->error ? n->error : "not asked";
	enum reason reason = REASON_SpeakerSilent;

	if (pod && !pod_runs(pod)) {
		cleanup_free char *trouble = pod_trouble(pod);
		reason = REASON_SpeakerNotRunning;
		buf_puts(why, trouble);
	} else if (pod) {
		buf_printf(why, "Pod %s runs; %s", pod->meta.name, error);
	} else if (in_pods) {
		reason = REASON_SpeakerMissing;
		buf_puts(why, n_pods ? reason_sentence(reason)
		                     : "no node has a Pod of a speaker of this namespace");
	} else {
		buf_printf(why, "%s%s", error,
		           m->pods_hidden ? "; whether its Pod runs may not be asked" : "");
	}
	if (!n->ready)
		buf_puts(why, "; the Node is not Ready");
	return reason;
}

const char *model_silence_word(enum reason r)
{
	return r == REASON_SpeakerMissing      ? "no Pod"
	       : r == REASON_SpeakerNotRunning ? "not running"
	                                       : "silent";
}

bool model_any_in_service(const struct model *m)
{
	for (size_t i = 0; i < m->n_nodes; i++)
		if (m->nodes[i].answered && !m->nodes[i].uninstalled)
			return true;
	return false;
}

void model_put_reasons(const struct model *m, const struct model_address *a, struct buf *out)
{
	bool same = true;

	if (!a->n_verdicts) {
		buf_puts(out, model_any_in_service(m) ? "no speaker knows of it"
		                                      : "no speaker is there to announce it");
		return;
	}
	for (size_t i = 1; i < a->n_verdicts; i++)
		same &= !strcmp(a->verdicts[i].reason, a->verdicts[0].reason);
	if (same) {
		buf_printf(out, "%s: %s", a->verdicts[0].reason, a->verdicts[0].message);
		return;
	}
	for (size_t i = 0; i < a->n_verdicts; i++) {
		const char *reason = a->verdicts[i].reason;
		bool told = false;
		for (size_t k = 0; k < i; k++)
			told |= !strcmp(a->verdicts[k].reason, reason);
		if (told)
			continue;
		const char *last = a->verdicts[i].node;
		buf_printf(out, "%s%s on %s", i ? "; " : "", reason, last);
		for (size_t k = i + 1; k < a->n_verdicts; k++)
			if (!strcmp(a->verdicts[k].reason, reason) &&
			    strcmp(a->verdicts[k].node, last) != 0) {
				last = a->verdicts[k].node;
				buf_printf(out, ", %s", last);
			}
	}
}
