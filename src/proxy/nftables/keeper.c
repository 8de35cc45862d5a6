/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/ipvs/virtual.h"
#include "proxy/nftables/keeper_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <utlist.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "proxy/conntrack.h"
#include "fairlead/out.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/wire.h"
#include "proxy/pace.h"

/* Under this name the kernel is asked whether it can do all that the frame needs. */
#define PROBE_TABLE "fairlead-probe"
#define PROBE_ENDPOINTS 2
#define PROBE_AFFINITY_S 10

const char *keeper_family(const struct keeper *k)
{
	return k->frame.family == 4 ? "IPv4" : "IPv6";
}

void keeper_say_failed(struct keeper *k, const struct err *e, bool aloud)
{
	memcpy(k->last_error, e->msg, sizeof(k->last_error));
	if (aloud)
		k->ops->failed(e, k->arg);
}

void keeper_back_off(struct keeper *k)
{
	int64_t wait = pace_pause_ms(k->failures++, KEEPER_BACKOFF_MIN_MS, KEEPER_BACKOFF_MAX_MS);

	k->next_ms = clock_ms() + wait + (int64_t)clock_random_below((uint64_t)wait / 2);
}

struct keeper_kind *keeper_kind_of(struct keeper *k, frame_kind kind)
{
	struct keeper_kind *d;

	HASH_FIND(hh, k->kinds, &kind, sizeof(kind), d);
	if (d)
		return d;
	d = xcalloc(1, sizeof(*d));
	d->kind = kind;
	HASH_ADD(hh, k->kinds, kind, sizeof(kind), d);
	return d;
}

static bool is_odd(frame_kind kind)
{
	return frame_kind_rounded(kind) != kind;
}

frame_kind keeper_kind_for(const struct keeper *k, frame_kind kind)
{
	const struct keeper_kind *d;
	size_t n_odd = 0;

	if (k->frame.ipvs && frame_kind_count(kind) > 0 && frame_kind_affinity_s(kind) == 0)
		return FRAME_KIND_VIRTUAL;
	HASH_FIND(hh, k->kinds, &kind, sizeof(kind), d);
	if (d || !is_odd(kind))
		return kind;
	for (d = k->kinds; d; d = d->hh.next)
		n_odd += is_odd(d->kind);
	return n_odd < KEEPER_ODD_KINDS_MAX ? kind : frame_kind_rounded(kind);
}

/* ---- the machine ---- */

static bool probe(struct keeper *k, struct err *e)
{
	wire_begin(k->wire);
	frame_put_table(&k->frame, k->wire, PROBE_TABLE, true);
	frame_put_kind(&k->frame, k->wire, PROBE_TABLE,
	               frame_kind_of(PROBE_ENDPOINTS, PROBE_AFFINITY_S), false);
	frame_drop_table(&k->frame, k->wire, PROBE_TABLE);
	return wire_commit(k->wire, e) == 0;
}

static void look_for_family(struct keeper *k)
{
	if (!probe(k, NULL))
		return;
	log_info("nftables can be used now", KV_S("family", keeper_family(k)));
	k->state = KEEPER_READING;
	k->last_error[0] = '\0';
	keeper_kick(k);
}

static void want_refusals(struct keeper *k)
{
	static const uint32_t ways[] = { FRAME_WAY_DROP, FRAME_WAY_REJECT };
	static const frame_kind kinds[] = { FRAME_KIND_DROP, FRAME_KIND_REJECT };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		store_want(k->store, FRAME_SETS, &ways[i], &kinds[i], &k->owner);
}

/*
 * Of Services that want one address, the first has it, and finds its number there; if others came
 * before it, they would take that for theirs.
 */
static void begin_planning(struct keeper *k)
{
	DL_SORT2(k->unplanned, keeper_precedence, prev_unplanned, next_unplanned);
	keeper_await_unplanned(k);
	keeper_sort_numbers(k);
	/* If they are lacking, they are the first to be written. */
	want_refusals(k);
	k->state = KEEPER_PLANNING;
}

static void plan_some(struct keeper *k)
{
	int64_t until = clock_ms() + KEEPER_SLICE_MS;

	for (size_t n = 0; k->unplanned && n < KEEPER_SLICE_ELEMENTS && clock_ms() < until;)
		if (!keeper_plan_some(k, &n))
			break;
}

static void keep(struct keeper *k)
{
	if (k->retry_losers)
		keeper_retry_losers(k);
	if (k->unplanned)
		plan_some(k);
	if (k->doubt) {
		if (clock_ms() < k->next_read_ms)
			keeper_wait_to_read(k);
		else if (!k->planning.s) /* else what it wanted so far would be written last */
			k->state = KEEPER_READING;
		keeper_kick(k);
	} else {
		keeper_write(k);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;

	(void)fd;
	(void)what;
	switch (k->state) {
	case KEEPER_ABSENT:
		break;
	case KEEPER_READING:
		keeper_read(k);
		break;
	case KEEPER_LISTING:
		keeper_list(k);
		break;
	case KEEPER_LEAVING:
		keeper_leave(k);
		break;
	case KEEPER_HELD:
		if (!k->complete)
			break;
		if (k->look_again)
			k->state = KEEPER_READING;
		else
			begin_planning(k);
		keeper_kick(k);
		break;
	case KEEPER_PLANNING:
		plan_some(k);
		/* Whoever changes again and again is not waited for until it rests. */
		if (k->n_awaited > 0)
			keeper_kick(k);
		else
			keeper_compare(k);
		break;
	case KEEPER_COMPARING:
		keeper_compare(k);
		break;
	case KEEPER_KEEPING:
		keep(k);
		break;
	}
}

void keeper_kick(struct keeper *k)
{
	int64_t wait = k->next_ms - clock_ms();
	struct timeval tv = { 0, 0 };

	if (wait > 0)
		tv = (struct timeval){ wait / 1000, wait % 1000 * 1000 };
	evtimer_add(k->timer, &tv);
}

/* ---- its life ---- */

static void on_udp_failed(const struct err *e, void *arg)
{
	keeper_say_failed(arg, e, true);
}

static void on_udp_idle(void *arg)
{
	struct keeper *k = arg;

	k->ops->applied(k->arg);
}

static const struct udp_ops udp_ops = { .failed = on_udp_failed, .idle = on_udp_idle };

static bool knows_pods(const struct keeper *k)
{
	return traffic_knows_pods(k->frame.pods_by, &k->frame.node, k->frame.family);
}

int keeper_new(struct event_base *base, const struct frame *frame, bool masquerade_all,
               struct virtuals *virtuals, const struct keeper_ops *ops, void *arg,
               struct keeper **ret_keeper, struct err *e)
{
	struct keeper *k = xcalloc(1, sizeof(*k));
	struct err why = ERR_INIT;

	k->services.kind = &keeper_services_kind;
	k->ops = ops;
	k->arg = arg;
	k->frame = *frame;
	k->virtuals = virtuals;
	k->node.masquerade_all = masquerade_all;
	k->node.knows_pods = knows_pods(k);
	k->batch = KEEPER_BATCH;
	k->timer = evtimer_new(base, on_timer, k);
	k->store = store_new(frame->family, &keeper_store_ops, k);
	k->fronts = fronts_new();
	k->udp = udp_new(base, frame->family, k->fronts, &udp_ops, k);
	if (frame->ipvs)
		udp_refuse(k->udp, conntrack_refusal(frame->mark));
	int r = wire_new(&k->wire, e);
	if (r < 0) {
		keeper_free(k);
		return r;
	}
	want_refusals(k);
	k->state = KEEPER_READING;
	if (!probe(k, &why)) {
		k->state = KEEPER_ABSENT;
		keeper_say_failed(k, &why, false);
	}
	keeper_kick(k);
	*ret_keeper = k;
	return 0;
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	struct keeper_service *s;
	for (uint32_t at = 0; (s = table_next(&k->services, &at));)
		keeper_service_free(s);
	struct keeper_kind *d, *next_kind;
	HASH_ITER(hh, k->kinds, d, next_kind) {
		HASH_DEL(k->kinds, d);
		free(d);
	}
	event_free(k->timer);
	udp_free(k->udp);
	fronts_free(k->fronts);
	store_free(k->store);
	keeper_forget_numbers(k);
	wire_free(k->wire);
	free(k);
}

uint32_t keeper_port(const struct keeper *k)
{
	return wire_port(k->wire);
}

/* ---- what is wanted ---- */

static struct keeper_service *find(const struct keeper *k, const char *key)
{
	return table_find(&k->services, key, strlen(key));
}

void keeper_set(struct keeper *k, const struct proxy_half *from)
{
	struct keeper_service *s = find(k, from->key);

	if (!s)
		s = keeper_service_new(k, from->key);
	struct spec *spec = spec_new_keyed(from, s->key);

	if (s->want && s->want->digest == spec->digest) {
		spec_unref(spec);
		return;
	}
	if (spec->truncated)
		log_warn(
			"the Service has more ports, addresses or source ranges than are carried; what "
			"is beyond is left out",
			KV_S("service", spec->s.key), KV_S("family", keeper_family(k)));
	keeper_want(s, spec);
	keeper_wish(s);
}

void keeper_remove(struct keeper *k, const char *key)
{
	struct keeper_service *s = find(k, key);

	if (!s || !s->want)
		return;
	keeper_want(s, NULL);
	if (s->planned || s->waiting || k->planning.s == s)
		keeper_wish(s);
	else
		keeper_service_free(s);
}

/* Without Pods that are known, ways are others. */
static void plan_all_again(struct keeper *k)
{
	struct keeper_service *s;

	k->planning.again = true;
	for (uint32_t at = 0; (s = table_next(&k->services, &at));)
		keeper_postpone(s);
}

void keeper_set_node(struct keeper *k, const struct proxy_node *n)
{
	bool knew = k->node.knows_pods, looked = k->state > KEEPER_READING;

	k->frame.node = *n;
	if (k->adopted || k->state >= KEEPER_PLANNING)
		k->wrong_rules = k->due = true;
	else
		k->look_again = looked;
	k->node.knows_pods = knows_pods(k);
	if (k->node.knows_pods != knew)
		plan_all_again(k);
	keeper_kick(k);
}

void keeper_complete(struct keeper *k)
{
	k->complete = true;
	keeper_kick(k);
}

void keeper_go_on(struct keeper *k)
{
	if (k->state == KEEPER_KEEPING)
		keeper_kick(k);
}

bool keeper_is_planned(const struct keeper *k)
{
	return k->adopted || k->state == KEEPER_ABSENT;
}

void keeper_doubt(struct keeper *k)
{
	k->doubt = true;
	keeper_kick(k);
}

void keeper_audit(struct keeper *k)
{
	if (k->state == KEEPER_ABSENT) {
		look_for_family(k);
		return;
	}
	k->sweep = true;
	k->doubt = k->doubt || ++k->audits >= KEEPER_AUDITS_TO_READING;
	keeper_kick(k);
}

/* ---- what became of it ---- */

bool keeper_is_there(const struct keeper *k)
{
	return k->state != KEEPER_ABSENT;
}

/*
 * What is old of a small one may have to wait for a large one's pass, if that takes a key over from
 * anybody: restrictions and short-cuts that nobody wants, and UDP flows to endpoints that are gone,
 * stay until then.
 */
static bool is_written(const struct keeper_service *s)
{
	return !s->waiting ||
	       (s->want && s->waits == KEEPER_WAITS && s->stamp <= s->k->small_stamp);
}

bool keeper_is_applied(const struct keeper *k, const char *key)
{
	const struct keeper_service *s = find(k, key);

	return k->adopted && !k->no_table && !k->wrong_table &&
	       (!s || (is_written(s) && !s->unplanned && keeper_virtuals_are_applied(s)));
}

bool keeper_is_damaged(const struct keeper *k)
{
	return k->damaged;
}

const char *keeper_refusal(const struct keeper *k, const char *key)
{
	const struct keeper_service *s = k->n_refused > 0 || k->virtuals ? find(k, key) : NULL;

	if (!s)
		return NULL;
	return keeper_error(s) ? keeper_error(s) : keeper_virtuals_refusal(s);
}

const char *keeper_substitute(const struct keeper *k, const char *key)
{
	const struct keeper_service *s = k->virtuals ? find(k, key) : NULL;

	return s ? keeper_virtuals_substitute(s) : NULL;
}

size_t keeper_n_refused(const struct keeper *k)
{
	return k->n_refused;
}

const char *keeper_last_error(const struct keeper *k)
{
	return k->last_error;
}

const char *keeper_service_at(const struct keeper *k, enum frame_map ways, const void *key)
{
	const struct store_owner *owner = store_owner(k->store, ways, key);

	return owner ? keeper_service_of(owner)->key : NULL;
}

bool keeper_knows_ways(const struct keeper *k)
{
	return k->adopted;
}

bool keeper_has(const struct keeper *k, const char *key)
{
	const struct keeper_service *s = find(k, key);

	return s && s->want;
}

/* ---- what it reports about itself ---- */

static bool is_in_sync(const struct keeper *k)
{
	return k->state == KEEPER_KEEPING && !k->doubt && !keeper_has_work(k) &&
	       !keeper_any_waiting(k) && !k->retry_losers && !k->unplanned;
}

/* The same, but for what is refused, and for large ones that change again and again. */
static bool is_settled(const struct keeper *k)
{
	if (is_in_sync(k))
		return true;
	return k->state == KEEPER_KEEPING && !k->doubt && !keeper_needs_frame(k) && !k->damaged &&
	       !k->retry_losers && !keeper_any_behind(k);
}

void keeper_add_stats(const struct keeper *k, struct proxy_stats *st)
{
	/* As the rows name them. */
	const struct {
		uint64_t n_services, n_refused, rendered, repairs;
	} model = { k->n_services, k->n_refused, k->rendered, k->repairs };
	const struct udp_stats udp = udp_stats(k->udp);
	const struct proxy_stats own = k->stats;

#define PROXY_STAT(member, from, name, type, help) st->member += from;
#include "fairlead/metrics.def"
	histogram_add(&st->batch_seconds, &own.batch_seconds);
	if (own.last_success_ms > st->last_success_ms)
		st->last_success_ms = own.last_success_ms;
	bool absent = k->state == KEEPER_ABSENT;
	st->in_sync = st->in_sync && (absent || (is_in_sync(k) && !udp_is_running(k->udp)));
	st->settled = st->settled && (absent || is_settled(k));
}

static void substituted_status(const struct keeper *k, struct out *o)
{
	bool any = k->virtuals && virtuals_lack_schedulers(k->virtuals);
	const struct keeper_service *s;

	out_list(o, "substituted");
	for (uint32_t at = 0; any && (s = table_next(&k->services, &at));) {
		const char *by = keeper_virtuals_substitute(s);
		if (!by)
			continue;
		out_object(o, NULL);
		out_str(o, "service", s->key);
		out_str(o, "scheduler", by);
		out_close(o);
	}
	out_close(o);
}

void keeper_status(const struct keeper *k, struct out *o)
{
	static const char *const states[] = {
		"without nftables",         "reading",   "reading",   "reading",
		"waiting for all Services", "comparing", "comparing", "keeping",
	};
	const struct keeper_service *s;

	out_object(o, NULL);
	out_int(o, "family", k->frame.family);
	out_str(o, "state", states[k->state]);
	out_bool(o, "in_sync", is_in_sync(k));
	out_uint(o, "services", k->n_services);
	out_uint(o, "pending", k->n_pending);
	out_uint(o, "truncated", k->n_truncated);
	out_uint(o, "rounded", k->n_rounded);
	out_uint(o, "elements", store_size(k->store));
	out_uint(o, "queued", store_queued(k->store));
	out_uint(o, "repairs", k->repairs);
	out_list(o, "refused");
	for (uint32_t at = 0; (s = table_next(&k->services, &at));) {
		if (!keeper_error(s))
			continue;
		out_object(o, NULL);
		out_str(o, "service", s->key);
		out_str(o, "error", keeper_error(s));
		out_close(o);
	}
	out_close(o);
	substituted_status(k, o);
	out_str(o, "last_error", *k->last_error ? k->last_error : NULL);
	out_close(o);
}
