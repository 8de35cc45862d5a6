/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/attach.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "l2/filter.h"
#include "l2/neighbor.h"
#include "l2/sniffer.h"

/* When an interface that could not be opened, or failed, is tried again. */
#define REOPEN_MS 500
/* How often the same complaint is repeated. */
#define COMPLAIN_MS 60000
/* And when a sniffer is: each try that fails waits as long as closing one does. */
#define RESNIFF_MS 60000
/* How often it is looked who sends here for what is elsewhere by now. */
#define LOOK_MS 250

/* ---- links ---- */

static int on_send(const void *frame, size_t size, void *arg)
{
	struct attached *at = arg;

	return at->link ? link_send(at->link, frame, size) : 0;
}

static void on_changed(const struct addr *addr, void *arg)
{
	const struct attached *at = arg;

	board_change(at->of->board, addr);
}

void attached_try_open(struct attached *at, int64_t now)
{
	struct err e = ERR_INIT;

	if (at->link || !at->iface.up || now < at->reopen_ms)
		return;
	if (link_open(at->iface.name, at->of->filters, &at->link, &e) < 0) {
		at->reopen_ms = now + REOPEN_MS;
		if (!at->complained)
			board_complain(at->of->board, &e);
		at->complained = true;
		return;
	}
	at->complained = false;
	segment_link(at->segment, now, true);
}

void attached_close_link(struct attached *at, int64_t now)
{
	segment_link(at->segment, now, false);
	link_close(at->link);
	at->link = NULL;
	at->reopen_ms = now + REOPEN_MS;
}

static void attached_free(struct attached *at)
{
	sniffer_close(at->sniffer);
	link_close(at->link);
	segment_free(at->segment);
	free(at);
}

/* ---- who has not heard that an address has moved ---- */

static void on_packet(const uint8_t *mac, const struct addr *source, const struct addr *target,
                      void *arg)
{
	struct attached *at = arg;

	segment_seen_straggler(at->segment, at->look_ms, mac, source, target);
}

static void open_sniffer(struct attached *at, int64_t now)
{
	if (at->sniffer || !at->link || now < at->resniff_ms)
		return;
	at->sniffer = sniffer_open(at->iface.index);
	at->resniff_ms = now + RESNIFF_MS;
}

/*
 * Where the kernel refuses the socket, announcements are all there is, as ever.  It is kept as long
 * as the segment, and lets nothing through where there is nothing to look for: closing it waits
 * until all processors have let go of it, more than ten milliseconds in which nobody gets an
 * answer.
 */
void attached_look_for_stragglers(struct attached *at, int64_t now)
{
	struct addr addrs[STRAGGLERS_AT_ONCE];
	size_t n;

	if (now - at->look_ms < LOOK_MS)
		return;
	at->look_ms = now;
	if (at->sniffer)
		sniffer_read(at->sniffer, on_packet, at);
	if (segment_stragglers(at->segment, now, addrs, &n))
		open_sniffer(at, now);
	if (at->sniffer)
		(void)sniffer_set(at->sniffer, addrs, n);
}

/* ---- what they let through ---- */

/*
 * A link without the filter hears more than it needs; one that is closed, for the same reason as
 * those of all other nodes at that moment, hears nothing.
 */
void attach_set_filter(struct attach *a, struct bpf_program *filter)
{
	struct err e = ERR_INIT;
	int r = 0;

	filter_free(a->filters[LINK_NEIGHBORS]);
	a->filters[LINK_NEIGHBORS] = filter;
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i]->link) {
			int refused = link_set_filter(a->list[i]->link, filter);
			r = refused < 0 ? refused : r;
		}
	if (r == 0)
		return;
	err_set(&e, r, ERR_SYSTEM,
	        "the filter for these pools is not in force: %s; see net.core.optmem_max",
	        strerror(-r));
	board_complain(a->board, &e);
}

/*
 * Another node has our name, or two of our interfaces are on the segment; either way peers believe
 * only one of the two.
 */
void attached_review_namesake(struct attached *at, int64_t now)
{
	const struct attach *a = at->of;
	uint8_t m[6];
	struct err e = ERR_INIT;

	if (!segment_take_namesake(at->segment, m) ||
	    (at->namesake_ms && now - at->namesake_ms < COMPLAIN_MS))
		return;
	at->namesake_ms = now;
	for (size_t i = 0; i < a->n; i++)
		if (!memcmp(a->list[i]->iface.mac, m, sizeof(m)))
			err_set(&e, 0, ERR_CONFIG,
			        "interfaces %s and %s lie on one segment: leave one out by --interface, or have "
			        "layer2 of all pools name the same one",
			        at->iface.name, a->list[i]->iface.name);
	if (e.blame == ERR_NONE)
		err_set(&e, 0, ERR_CONFIG,
		        "%s: the speaker at %02x:%02x:%02x:%02x:%02x:%02x calls itself %s, too: each node"
		        " needs a name of its own, and each cluster a heartbeat key",
		        at->iface.name, m[0], m[1], m[2], m[3], m[4], m[5], a->opts->node);
	board_complain(a->board, &e);
}

/* ---- which segments, and what for ---- */

static struct attached *find(const struct attach *a, int index)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i]->iface.index == index)
			return a->list[i];
	return NULL;
}

const struct attached *attach_of(const struct attach *a, const struct iface *iface)
{
	return iface ? find(a, iface->index) : NULL;
}

static struct segment_sources sources_of(const struct iface *iface)
{
	return (struct segment_sources){ .v4 = iface_source(iface, 4),
		                         .v6 = iface_source(iface, 6) };
}

static struct attached *attach(struct attach *a, const struct iface *iface, int64_t now)
{
	struct attached *at = find(a, iface->index);

	if (at)
		return at;
	if (a->n == ATTACH_SEGMENTS_MAX) {
		a->full = true;
		return NULL;
	}
	at = xcalloc(1, sizeof(*at));
	struct segment_options so = {
		.l2 = a->opts, .sources = sources_of(iface), .mtu = iface->mtu, .start = &a->start
	};
	struct segment_ops ops = { .send = on_send, .changed = on_changed, .arg = at };
	memcpy(so.mac, iface->mac, sizeof(so.mac));
	while (so.incarnation == 0)
		clock_random(&so.incarnation, sizeof(so.incarnation));
	clock_random(&so.seed, sizeof(so.seed));
	at->of = a;
	at->iface = *iface;
	at->segment = segment_new(&so, a->key, &ops, now);
	a->list[a->n++] = at;
	attached_try_open(at, now);
	return at;
}

static void detach(struct attach *a, size_t i, int64_t now)
{
	struct attached *at = a->list[i];

	segment_farewell(at->segment, now, L2_STOP_YIELD);
	attached_free(at);
	a->list[i] = a->list[--a->n];
	a->board->republish = true;
}

const struct iface *attach_iface_for(const struct attach *a, const struct l2_want *w)
{
	return places_find(a->places, w->place, &a->ifaces, &w->addr);
}

/* A want, and the interface that it goes to (NULL: none). */
struct placed {
	const struct l2_want *want;
	const struct iface *iface;
};

/* All of them. */
struct placing {
	const struct attach *a;
	struct placed *list;
	size_t n;
};

static void place_one(const struct l2_want *w, void *arg)
{
	struct placing *p = arg;

	p->list[p->n++] = (struct placed){ w, attach_iface_for(p->a, w) };
}

static struct placing place_all(const struct attach *a)
{
	struct placing p = { .a = a, .list = xcalloc(a->wants->n + 1, sizeof(*p.list)) };

	want_map_each(a->wants, place_one, &p);
	return p;
}

static struct iface_tally *tally_of(const struct attach *a, const struct iface *iface)
{
	return &a->tally[iface - a->ifaces.list];
}

static void count_all(struct attach *a, const struct placing *p)
{
	free(a->tally);
	a->tally = xcalloc(a->ifaces.n + 1, sizeof(*a->tally));
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].iface) {
			struct iface_tally *tally = tally_of(a, p->list[i].iface);
			tally->n++;
			tally->n4 += p->list[i].want->addr.family == 4;
		}
}

/* By position, which interfaces are to be joined. */
static bool *choose(const struct attach *a)
{
	bool *chosen = xcalloc(a->ifaces.n + 1, sizeof(*chosen));

	for (size_t i = 0; i < a->ifaces.n; i++)
		chosen[i] = a->tally[i].n > 0;
	for (size_t r = 0; r < a->view->n_ranges; r++)
		places_join(a->places, a->view->ranges[r].place, &a->ifaces,
		            &a->view->ranges[r].range, chosen);
	return chosen;
}

/* The two are of one place that has any address announced. */
static bool share_routes(const struct attach *a, size_t i, size_t k)
{
	for (uint16_t place = 1; place <= a->places->n; place++) {
		const bool *routed = places_routed(a->places, place);
		if (routed && routed[i] && routed[k])
			return true;
	}
	return false;
}

/*
 * Where places choose, another one of the subnet, or of those that take any address, was chosen,
 * and this one was not.
 */
static bool is_silent(const struct attach *a, const bool *chosen, const struct iface *iface)
{
	const struct ifaces *all = &a->ifaces;
	size_t at = 0;

	if (!a->places || a->places->n == 0)
		return ifaces_is_spare(all, iface->index);
	while (at < all->n && all->list[at].index != iface->index)
		at++;
	if (at == all->n || chosen[at])
		return false;
	for (size_t i = 0; i < all->n; i++)
		if (chosen[i] && (ifaces_meet(&all->list[i], iface) || share_routes(a, i, at)))
			return true;
	return false;
}

static void leave_silent(struct attach *a, const bool *chosen, int64_t now)
{
	for (size_t i = a->n; i-- > 0;)
		if (is_silent(a, chosen, &a->list[i]->iface))
			detach(a, i, now);
}

/*
 * The groups to which questions for the wanted addresses go, whether this node owns them or not:
 * others' probes are heard, and after a takeover no switch has to learn where to deliver.
 */
static void join_groups(struct attach *a, const struct placing *p)
{
	cleanup_free struct group *groups = xcalloc(p->n + 1, sizeof(*groups));
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct addr *addr = &p->list[i].want->addr;
		const struct attached *at = attach_of(a, p->list[i].iface);
		if (!at || !neighbor_of(addr->family)->join(addr, &groups[n].addr))
			continue;
		groups[n++].interface = at->iface.index;
	}
	groups_set(a->groups, groups, n);
}

static void give_wants(struct attach *a, const struct attached *at, const struct placing *p,
                       int64_t now)
{
	const struct l2_want **part = xcalloc(p->n + 1, sizeof(const struct l2_want *));
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (attach_of(a, p->list[i].iface) == at)
			part[n++] = p->list[i].want;
	segment_set_wants(at->segment, now, a->view, part, n);
	free(part);
}

static void distribute(struct attach *a, int64_t now)
{
	a->full = false;
	places_look(a->places, &a->ifaces, a->ifaces_generation);
	struct placing p = place_all(a);
	count_all(a, &p);
	bool *chosen = choose(a);
	leave_silent(a, chosen, now);
	for (size_t i = 0; i < a->ifaces.n; i++)
		if (chosen[i])
			attach(a, &a->ifaces.list[i], now);
	for (size_t k = 0; k < a->n; k++)
		give_wants(a, a->list[k], &p, now);
	join_groups(a, &p);
	free(p.list);
	free(chosen);
	a->board->republish = true;
}

/* ---- what differs from the last snapshot ---- */

struct change {
	struct addr addr;
	const struct l2_want *want;    /* NULL: not any more */
	const struct iface *from, *to; /* NULL: none */
};

struct changes {
	const struct attach *a;
	struct change *list;
	size_t n, cap;
};

static void note_change(const struct l2_want *before, const struct l2_want *after, void *arg)
{
	struct changes *c = arg;

	ARRAY_RESERVE(c->list, c->cap, c->n + 1);
	c->list[c->n++] = (struct change){ .addr = before ? before->addr : after->addr,
		                           .want = after,
		                           .from = before ? attach_iface_for(c->a, before) : NULL,
		                           .to = after ? attach_iface_for(c->a, after) : NULL };
}

/* False if an interface has its first want now, or none any more. */
static bool count_changes(struct attach *a, const struct changes *c)
{
	bool same = true;

	for (size_t i = 0; i < c->n; i++) {
		const struct change *x = &c->list[i];
		bool is_v4 = x->addr.family == 4;
		if (x->from == x->to)
			continue;
		if (x->from) {
			tally_of(a, x->from)->n4 -= is_v4;
			same &= --tally_of(a, x->from)->n > 0;
		}
		if (x->to) {
			tally_of(a, x->to)->n4 += is_v4;
			same &= tally_of(a, x->to)->n++ > 0;
		}
	}
	return same;
}

static void give_changes(struct attach *a, const struct attached *at, const struct changes *c,
                         int64_t now)
{
	struct claims_change *part = xcalloc(c->n + 1, sizeof(*part));
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct change *x = &c->list[i];
		bool stays = attach_of(a, x->to) == at;
		if (stays || attach_of(a, x->from) == at)
			part[n++] = (struct claims_change){ x->addr, stays ? x->want : NULL };
	}
	if (n > 0)
		segment_change_wants(at->segment, now, part, n);
	free(part);
}

static bool is_crowded(const struct attach *a)
{
	for (size_t k = 0; k < a->n; k++)
		if (segment_is_crowded(a->list[k]->segment))
			return true;
	return false;
}

static void carry_out(struct attach *a, const struct changes *c, int64_t now)
{
	bool groups = false;

	for (size_t k = 0; k < a->n; k++)
		give_changes(a, a->list[k], c, now);
	for (size_t i = 0; i < c->n; i++) {
		groups |= c->list[i].addr.family == 6 && c->list[i].from != c->list[i].to;
		board_change(a->board, &c->list[i].addr);
	}
	if (!groups)
		return;
	struct placing p = place_all(a);
	join_groups(a, &p);
	free(p.list);
}

void attach_follow(struct attach *a, const struct l2_snapshot *view, const struct places *places,
                   const struct want_map *wants, int64_t now)
{
	struct changes c = { .a = a };
	const struct want_map *before = a->wants;
	bool same_view = a->view == view;

	a->view = view;
	a->places = places;
	a->wants = wants;
	if (same_view)
		want_map_diff(before, wants, note_change, &c);
	if (same_view && !is_crowded(a) && count_changes(a, &c))
		carry_out(a, &c, now);
	else
		distribute(a, now);
	free(c.list);
}

/* ---- interfaces ---- */

static const struct iface *iface_by_index(const struct ifaces *i, int index)
{
	for (size_t n = 0; n < i->n; n++)
		if (i->list[n].index == index)
			return &i->list[n];
	return NULL;
}

void attach_set_ifaces(struct attach *a, const struct ifaces *fresh, int64_t now)
{
	ifaces_fini(&a->ifaces);
	a->ifaces = *fresh;
	a->ifaces_generation++;
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < a->ifaces.n; k++)
			a->ifaces.list[k].in_use |=
				a->ifaces.list[k].index == a->list[i]->iface.index;
	for (size_t i = a->n; i-- > 0;) {
		struct attached *at = a->list[i];
		const struct iface *iface = iface_by_index(&a->ifaces, at->iface.index);
		if (!iface || memcmp(iface->mac, at->iface.mac, sizeof(iface->mac)) != 0 ||
		    strcmp(iface->name, at->iface.name) != 0) {
			detach(a, i, now);
			continue;
		}
		at->iface = *iface;
		const struct segment_sources sources = sources_of(iface);
		segment_set_sources(at->segment, &sources);
		segment_set_mtu(at->segment, now, iface->mtu);
		if (!iface->up && at->link)
			attached_close_link(at, now);
		at->reopen_ms = now;
	}
	if (a->view)
		distribute(a, now);
}

void attach_fini(struct attach *a)
{
	for (size_t i = 0; i < a->n; i++)
		attached_free(a->list[i]);
	for (size_t i = 0; i < LINK_QUEUES; i++)
		filter_free(a->filters[i]);
	ifaces_fini(&a->ifaces);
	free(a->tally);
}
