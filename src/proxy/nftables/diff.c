/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper that is writing is waited for; and if it wrote while elements were listed, they are
 * listed again.  One that never comes to rest is told as it is, with what is pending.  In mode ipvs
 * the virtual servers of the family follow, whatever became of its table.
 */
#include "config.h"

#include "proxy/nftables/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/limits.h"
#include "fairlead/mem.h"
#include "proxy/ipvs/comparison.h"
#include "proxy/ipvs/director.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/keeper_private.h"
#include "proxy/nftables/wire.h"
#include "proxy/report.h"

/* Datagrams of a list that are taken at once. */
#define DIFF_DATAGRAMS 16
/* Where "ipvs" stands in place of the table. */
#define DIFF_IPVS "ipvs"

/* Kept until its family is told, as listing may have to begin again. */
struct finding {
	enum report_what what;
	const char *table;
	char *in;      /* the map's name, or of what the rules are */
	char *element; /* NULL: all of it */
	char *service; /* NULL: not of one */
};

/* Of a table: the store forgets the last look, the kernel lists, the store tells what it lacks. */
enum diff_phase { DIFF_RESTS, DIFF_BEGINS, DIFF_LISTS, DIFF_ENDS };

struct nft_diff {
	struct event_base *base;
	struct keeper *keepers[PROXY_HALVES];
	const struct director *director; /* NULL: without IPVS */
	size_t at;
	unsigned int rests; /* of this family */
	struct wire *wire;
	struct event *next;
	enum diff_phase phase;
	struct frame_list list;
	uint64_t stamp;                /* of the store, when listing began */
	struct comparison *comparison; /* of the virtual servers; NULL: not begun */
	struct finding *findings;
	size_t n, cap, n_left_out;
	struct report report;
};

static void wait_for(struct nft_diff *d, int ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(d->next, &tv);
}

static struct keeper *keeper(const struct nft_diff *d)
{
	return d->keepers[d->at];
}

static bool is_at_rest(const struct keeper *k)
{
	return k->state == KEEPER_KEEPING && !keeper_has_work(k);
}

static bool is_settled(const struct keeper *k)
{
	return is_at_rest(k) && (!k->virtuals || virtuals_is_settled(k->virtuals));
}

/* ---- what is found ---- */

static void forget(struct nft_diff *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->findings[i].in);
		free(d->findings[i].element);
		free(d->findings[i].service);
	}
	d->n = d->n_left_out = 0;
}

static void find_in(struct nft_diff *d, enum report_what what, const char *table, const char *in,
                    const char *element, const char *service)
{
	if (d->n >= LIMIT_PROXY_DIFFERENCES) {
		d->n_left_out++;
		return;
	}
	ARRAY_RESERVE(d->findings, d->cap, d->n + 1);
	d->findings[d->n++] = (struct finding){ what, table, xstrdup(in), xstrdup_null(element),
		                                xstrdup_null(service) };
}

static void find(struct nft_diff *d, enum report_what what, const char *in, const char *element,
                 const char *service)
{
	find_in(d, what, FRAME_TABLE, in, element, service);
}

static void find_element(struct nft_diff *d, enum report_what what, enum frame_map map,
                         const void *key, const void *value, const struct store_owner *owner)
{
	const struct keeper *k = keeper(d);
	const struct keeper_service *s = owner == &k->owner ? NULL : keeper_service_of(owner);
	cleanup(buf_fini) struct buf text = BUF_INIT;

	if (d->n >= LIMIT_PROXY_DIFFERENCES) {
		d->n_left_out++;
		return;
	}
	frame_format_element(k->frame.family, map, key, value, &text);
	find(d, what, frame_map_name(map), buf_str(&text), s ? s->key : NULL);
}

/* ---- one family ---- */

static void tell(struct nft_diff *d, const char *state, const char *error)
{
	const struct keeper *k = keeper(d);

	report_family_begin(&d->report, k->frame.family, state, error, is_settled(k), k->n_pending);
	for (size_t i = 0; i < d->n; i++) {
		const struct finding *f = &d->findings[i];
		report_find(&d->report, &(struct report_finding){ f->what, f->table, f->in,
		                                                  f->element, f->service });
	}
	d->report.n_left_out += d->n_left_out;
	report_family_end(&d->report);
	forget(d);
	comparison_free(TAKE(d->comparison));
	d->phase = DIFF_RESTS;
	d->rests = 0;
	d->at++;
	wait_for(d, 0);
}

static void fail(struct nft_diff *d, int r)
{
	tell(d, "failed", strerror(-r));
}

/* ---- its virtual servers ---- */

static void one_virtual(enum report_what what, struct virtual_id id, const char *words, void *arg)
{
	struct nft_diff *d = arg;
	const struct keeper *k = keeper(d);
	const uint32_t set = frame_virtual_set(&k->frame, id.mark);
	const struct store_owner *owner = store_owner(k->store, FRAME_SETS, &set);
	/* As ipvsadm calls it. */
	cleanup_free char *name = xasprintf("FWM %u", id.mark);

	find_in(d, what, DIFF_IPVS, name, words,
	        owner && owner != &k->owner ? keeper_service_of(owner)->key : NULL);
}

/* What comes after the table. */
static void go_to_virtuals(struct nft_diff *d)
{
	const struct keeper *k = keeper(d);

	d->phase = DIFF_RESTS;
	if (!d->director || !virtuals_has_family(k->virtuals, k->frame.family)) {
		tell(d, "compared", NULL);
		return;
	}
	if (director_is_lost(d->director, k->frame.family))
		find_in(d, REPORT_MISSING, DIFF_IPVS, "ip rule, ip route",
		        "the way of marked packets to IPVS", NULL);
	int r = comparison_new(k->virtuals, k->frame.family, one_virtual, d, &d->comparison, NULL);
	if (r < 0)
		fail(d, r);
	else
		wait_for(d, 0);
}

static void compare_more(struct nft_diff *d)
{
	int64_t until = clock_ms() + KEEPER_SLICE_MS;
	int r;

	do
		r = comparison_step(d->comparison, d->rests < REPORT_RESTS_MAX);
	while (r == 1 && clock_ms() < until);
	if (r == 1) {
		wait_for(d, 0);
	} else if (r == -EAGAIN) {
		d->rests++;
		wait_for(d, REPORT_REST_MS);
	} else if (r < 0) {
		fail(d, r);
	} else {
		tell(d, "compared", NULL);
	}
}

/* ---- its table ---- */

static void note_kind(frame_kind kind, bool right, void *arg)
{
	struct nft_diff *d = arg;
	char name[FRAME_NAME_SIZE];

	frame_kind_name(FRAME_OUTSIDE, kind, name);
	if (!right)
		find(d, REPORT_CHANGED, "chains of a kind of set", name, NULL);
}

static void begin(struct nft_diff *d)
{
	struct keeper *k = keeper(d);

	forget(d);
	d->stamp = store_stamp(k->store);
	store_look_at_nothing(k->store);
	d->phase = DIFF_BEGINS;
	wait_for(d, 0);
}

static void look_at_frame(struct nft_diff *d)
{
	const struct keeper *k = keeper(d);
	enum frame_state state = FRAME_ABSENT;
	int r = frame_look(&k->frame, d->wire, note_kind, d, &state, NULL);

	if (r == 0 && state == FRAME_ABSENT)
		find(d, REPORT_MISSING, "the table", NULL, NULL);
	else if (r == 0 && state == FRAME_FOREIGN)
		find(d, REPORT_CHANGED, "sets or chains of the table", NULL, NULL);
	else if (r == 0 && state == FRAME_DAMAGED)
		find(d, REPORT_CHANGED, "rules of the table", NULL, NULL);
	if (r < 0) {
		fail(d, r);
	} else if (state < FRAME_DAMAGED) {
		go_to_virtuals(d);
	} else {
		d->phase = DIFF_LISTS;
		r = frame_list_begin(&k->frame, d->wire, &d->list);
		if (r < 0)
			fail(d, r);
		else
			wait_for(d, 0);
	}
}

static void one_element(enum frame_map map, const void *key, const void *value, void *arg)
{
	struct nft_diff *d = arg;
	const struct store_owner *owner;

	switch (store_look(keeper(d)->store, map, key, value, &owner)) {
	case STORE_SAME:
		break;
	case STORE_CHANGED:
		find_element(d, REPORT_CHANGED, map, key, value, owner);
		break;
	case STORE_UNKNOWN:
		find_element(d, REPORT_FOREIGN, map, key, value, NULL);
		break;
	}
}

static void one_missing(enum frame_map map, const void *key, const void *value,
                        const struct store_owner *owner, void *arg)
{
	find_element(arg, REPORT_MISSING, map, key, value, owner);
}

static void look_again(struct nft_diff *d)
{
	d->phase = DIFF_RESTS;
	d->rests++;
	wait_for(d, REPORT_REST_MS);
}

static void begin_more(struct nft_diff *d)
{
	if (store_look_begin(keeper(d)->store, KEEPER_PASS_ELEMENTS))
		look_at_frame(d);
	else
		wait_for(d, 0);
}

static void end_more(struct nft_diff *d)
{
	struct keeper *k = keeper(d);

	if ((!is_at_rest(k) || store_stamp(k->store) != d->stamp) && d->rests < REPORT_RESTS_MAX)
		look_again(d);
	else if (store_look_end(k->store, KEEPER_PASS_ELEMENTS, one_missing, d))
		go_to_virtuals(d);
	else
		wait_for(d, 0);
}

static void list_more(struct nft_diff *d)
{
	int r = 1;

	for (int i = 0; r == 1 && i < DIFF_DATAGRAMS; i++)
		r = frame_list_step(&keeper(d)->frame, d->wire, &d->list, one_element, d);
	if (r == 0) {
		d->phase = DIFF_ENDS;
		wait_for(d, 0);
	} else if (r == -EINTR && d->rests < REPORT_RESTS_MAX) {
		look_again(d);
	} else if (r < 0) {
		fail(d, r);
	} else {
		wait_for(d, 0);
	}
}

static void go_on(struct nft_diff *d)
{
	const struct keeper *k = keeper(d);

	if (d->comparison)
		compare_more(d);
	else if (d->phase == DIFF_BEGINS)
		begin_more(d);
	else if (d->phase == DIFF_LISTS)
		list_more(d);
	else if (d->phase == DIFF_ENDS)
		end_more(d);
	else if (k->state == KEEPER_ABSENT)
		tell(d, "absent", *k->last_error ? k->last_error : NULL);
	else if (k->state == KEEPER_KEEPING && (is_at_rest(k) || d->rests >= REPORT_RESTS_MAX))
		begin(d);
	else if (d->rests++ < REPORT_RESTS_MAX)
		wait_for(d, REPORT_REST_MS);
	else
		tell(d, "busy", NULL);
}

/* ---- both ---- */

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct nft_diff *d = arg;

	(void)fd;
	(void)what;
	if (d->at < PROXY_HALVES && d->wire) {
		go_on(d);
		return;
	}
	report_end(&d->report, d->wire ? NULL : "no netlink socket for nftables");
	nft_diff_cancel(d);
}

struct nft_diff *nft_diff_start(struct event_base *base, const char *mode,
                                struct keeper *const *keepers, const struct director *director,
                                void (*done)(struct buf *text, void *arg), void *arg)
{
	struct nft_diff *d = xcalloc(1, sizeof(*d));

	d->base = base;
	report_init(&d->report, mode, done, arg);
	memcpy(d->keepers, keepers, sizeof(d->keepers));
	d->director = director;
	if (wire_new(&d->wire, NULL) < 0)
		d->wire = NULL;
	d->next = evtimer_new(base, on_next, d);
	wait_for(d, 0);
	return d;
}

void nft_diff_cancel(struct nft_diff *d)
{
	if (!d)
		return;
	event_free(d->next);
	comparison_free(d->comparison);
	forget(d);
	free(d->findings);
	wire_free(d->wire);
	report_fini(&d->report);
	free(d);
}
