/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "controller/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"

struct record *record_new(struct controller *ctl, const struct kube_meta *meta)
{
	struct record *r = xcalloc(1, sizeof(*r));
	size_t n = strlen(meta->namespace);

	r->ctl = ctl;
	r->namespace = xasprintf("%s%c%s/%s", meta->namespace, 0, meta->namespace, meta->name);
	r->key = r->namespace + n + 1;
	r->name = r->key + n + 1;
	r->uid = xstrdup(meta->uid);
	r->version = xstrdup("");
	return r;
}

void record_free(struct record *r)
{
	if (!r)
		return;
	ipam_request_fini(&r->request);
	free(r->namespace);
	free(r->uid);
	free(r->version);
	free(r->message);
	free(r);
}

static int reason_by_name(const char *name)
{
	for (int i = 0; i < REASON_COUNT; i++)
		if (!strcmp(reason_name((enum reason)i), name))
			return i;
	return -1;
}

static struct record_condition read_condition(const struct kube_service *s)
{
	for (size_t i = 0; i < s->n_conditions; i++) {
		const struct kube_condition *c = &s->conditions[i];
		if (!strcmp(c->type, IPAM_CONDITION))
			return (struct record_condition){
				.present = true,
				.is_true = !strcmp(c->status, "True"),
				.reason = reason_by_name(c->reason),
				.message_hash = hash64_str(c->message, 0),
				.transition_us = c->transition_us,
			};
	}
	return (struct record_condition){ .reason = -1 };
}

static bool lacks_ip_mode(const struct kube_service *s)
{
	for (size_t i = 0; i < s->n_ingress; i++)
		if (!addr_is_none(&s->ingress[i].ip) && !s->ingress[i].has_ip_mode)
			return true;
	return false;
}

struct record_server record_dropped(const struct kube_service *s, struct record_write w)
{
	return (struct record_server){ .drops_ip_mode = w.ingress && lacks_ip_mode(s),
		                       .drops_conditions =
		                               w.condition && !read_condition(s).present };
}

void record_read(struct record *r, const struct kube_service *s, const char *class,
                 int64_t generation)
{
	free(r->version);
	r->version = xstrdup(s->meta.resource_version);
	r->creation_us = s->meta.creation_us;
	r->generation = generation;
	ipam_request_fini(&r->request);
	ipam_request_of(s, class, &r->request);
	r->condition = read_condition(s);
	r->lacks_ip_mode = lacks_ip_mode(s);
}

struct ipam_turn record_turn(const struct record *r)
{
	return (struct ipam_turn){ .creation_us = r->creation_us,
		                   .namespace = r->namespace,
		                   .name = r->name };
}

void record_decided(struct record *r, const struct ipam_decision *d)
{
	r->decided = true;
	r->hands_off = d->hands_off;
	r->action = d->action;
	r->reason = d->reason;
	r->n_want = (uint8_t)d->n;
	memcpy(r->want, d->addrs, sizeof(r->want));
	free(r->message);
	r->message = xstrdup(d->message);
}

bool record_is_assigned(const struct record *r)
{
	return r->reason == REASON_Assigned || r->reason == REASON_Kept;
}

static bool holds_just(const struct record *r, const struct addr *addrs, size_t n)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < r->request.n_held; k++)
			found += addr_eq(&addrs[i], &r->request.held[k]);
	return n == r->request.n_held && found == n;
}

bool record_overwritten(const struct record *r, const struct addr *before, size_t n_before)
{
	return r->decided && r->request.wish == IPAM_WISH_ADDRESS &&
	       !holds_just(r, before, n_before) && !holds_just(r, r->want, r->n_want);
}

static bool condition_is_right(const struct record *r)
{
	const struct record_condition *c = &r->condition;

	if (c->is_true != record_is_assigned(r))
		return false;
	/* How a holder came to its address is history worth keeping. */
	if (r->action == IPAM_KEEP && (c->reason == REASON_Assigned || c->reason == REASON_Kept))
		return true;
	return c->reason == (int)r->reason && c->message_hash == hash64_str(r->message, 0);
}

struct record_write record_needs(const struct record *r, const struct record_server *server)
{
	struct record_write w = { false, false };

	switch (r->request.wish) {
	case IPAM_WISH_OTHER:
	case IPAM_WISH_DELETING:
	case IPAM_WISH_UNREADABLE:
		return w;
	case IPAM_WISH_NONE:
		/* What we once said must not go on standing there; who never heard of us stays so. */
		w.condition = r->condition.present && !condition_is_right(r);
		w.ingress = r->action == IPAM_RELEASE;
		return w;
	case IPAM_WISH_ADDRESS:
		break;
	}
	if (r->hands_off) {
		w.condition = r->condition.present && !condition_is_right(r);
		return w;
	}
	w.condition = !(r->condition.present && condition_is_right(r)) &&
	              !(server->drops_conditions && !r->condition.present);
	w.ingress = !holds_just(r, r->want, r->n_want) ||
	            (r->n_want > 0 && r->lacks_ip_mode && !server->drops_ip_mode);
	/* Where the ingress is written, the condition goes along. */
	w.condition |= w.ingress;
	return w;
}

static void put_ingress(const struct record *r, struct buf *out)
{
	buf_puts(out, "\"loadBalancer\":{\"ingress\":");
	if (r->n_want == 0)
		buf_puts(out, "null");
	for (size_t i = 0; i < r->n_want; i++)
		buf_printf(out, "%s{\"ip\":\"%s\",\"ipMode\":\"VIP\"}", i ? "," : "[",
		           addr_str(&r->want[i]));
	buf_puts(out, r->n_want ? "]}" : "}");
}

static void put_condition(const struct record *r, int64_t wall_us, struct buf *out)
{
	char time[CLOCK_RFC3339_SIZE];
	bool is_true = record_is_assigned(r);
	bool turns = !r->condition.present || r->condition.is_true != is_true ||
	             r->condition.transition_us == 0;

	buf_printf(out, "\"conditions\":[{\"type\":\"%s\",\"status\":\"%s\"", IPAM_CONDITION,
	           is_true ? "True" : "False");
	if (r->generation > 0)
		buf_printf(out, ",\"observedGeneration\":%" PRId64, r->generation);
	buf_printf(out, ",\"lastTransitionTime\":\"%s\",\"reason\":\"%s\",\"message\":",
	           clock_rfc3339(turns ? wall_us : r->condition.transition_us, time),
	           reason_name(r->reason));
	buf_json_str(out, r->message);
	buf_puts(out, "}]");
}

void record_patch(const struct record *r, struct record_write w, int64_t wall_us, struct buf *out)
{
	buf_puts(out, "{\"metadata\":{\"resourceVersion\":");
	buf_json_str(out, r->version);
	buf_puts(out, "},\"status\":{");
	if (w.ingress)
		put_ingress(r, out);
	if (w.ingress && w.condition)
		buf_putc(out, ',');
	if (w.condition)
		put_condition(r, wall_us, out);
	buf_puts(out, "}}");
}

void record_written(struct record *r, struct record_write w)
{
	if (w.ingress) {
		memcpy(r->request.held, r->want, sizeof(r->request.held));
		r->request.n_held = r->n_want;
		r->lacks_ip_mode = false;
	}
	if (w.condition) {
		r->condition =
			(struct record_condition){ .present = true,
			                           .is_true = record_is_assigned(r),
			                           .reason = (int)r->reason,
			                           .message_hash = hash64_str(r->message, 0) };
		r->request.assigned_by_us = r->condition.is_true;
	}
}
