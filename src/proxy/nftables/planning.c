/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Service as wishes to the store, port by port, since one may have 256 ports of thousands of
 * endpoints each.  What is new is wished for before what is old is released: so what stays is not
 * touched.
 */
#include "config.h"

#include "proxy/nftables/keeper_private.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/mem.h"
#include "proxy/nftables/order.h"
#include "proxy/nftables/queue.h"

/* A port has two numbers: of its cluster set, and of its local set. */
#define ID_STEP 2u

/* A Service as it is wanted, or as it was planned. */
struct form {
	struct keeper_service *s;
	struct keeper_form *form; /* NULL: it is gone */
};

/* ---- numbers of sets ---- */

/* With IPVS a set's number is part of a mark. */
static uint32_t port_mask(const struct keeper *k)
{
	return FRAME_PORT_MASK & ~(k->frame.ipvs ? k->frame.mark : 0);
}

static bool is_free(const struct keeper_service *s, const uint32_t *ids, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return false;
	for (uint32_t set = id; set < id + ID_STEP; set++) {
		const struct store_owner *owner = store_owner(s->k->store, FRAME_SETS, &set);
		/* What nobody owns is to be deleted, after the ways of whoever had it. */
		if (owner ? owner != &s->owner
		          : s->k->adopted && store_knows(s->k->store, FRAME_SETS, &set))
			return false;
	}
	return true;
}

/* Attempts by which a port may have its number; nobody can make more of them fail. */
#define OWN_ATTEMPTS 4

static bool follows_from_name(const struct form *f, size_t port, uint32_t id)
{
	bool found = false;

	for (uint32_t attempt = 0; attempt < OWN_ATTEMPTS && !found; attempt++)
		found = (plan_set_number(&f->form->spec->s, port, attempt) & port_mask(f->s->k)) ==
		        id;
	return found;
}

struct search {
	const struct form *f;
	size_t port;
	enum traffic_class class; /* of the address that is looked at */
	uint32_t id;              /* 0: none was found */
};

/*
 * Before what the kernel has was compared, what a cluster IP or a node port leads to is the port's
 * own, as nobody else can have them; any other address somebody else may have had, whose number it
 * is, and whom more leads there.
 */
static bool may_be_its_own(const struct search *at, uint32_t id)
{
	const struct keeper_service *s = at->f->s;
	const uint32_t local = id + 1;

	if (!s->k->adopted)
		return at->class == TRAFFIC_CLUSTER_IP || at->class == TRAFFIC_NODE_PORT ||
		       follows_from_name(at->f, at->port, id);
	return store_owner(s->k->store, FRAME_SETS, &id) == &s->owner ||
	       store_owner(s->k->store, FRAME_SETS, &local) == &s->owner;
}

_Static_assert(((FRAME_WAY_DROP | FRAME_WAY_REJECT) & FRAME_PORT_MASK) == 0,
               "what leads to no set is no number");

static void read_id(struct search *at, enum frame_map map, const unsigned char *key)
{
	const void *value = store_value(at->f->s->k->store, map, key);
	uint32_t way = 0;

	if (value)
		memcpy(&way, value, sizeof(way));
	way &= port_mask(at->f->s->k);
	if (!at->id && may_be_its_own(at, way) &&
	    is_free(at->f->s, at->f->form->ids, at->port, way))
		at->id = way;
}

static void find_id(const struct traffic_destination *d, void *arg)
{
	unsigned char key[FRAME_KEY_MAX];
	struct search *at = arg;

	at->class = d->class;
	plan_key(d, at->f->form->spec->s.family, key);
	read_id(at, d->addr ? FRAME_WAYS : FRAME_NODE_WAYS, key);
	read_id(at, d->addr ? FRAME_SHORTCUTS : FRAME_NODE_SHORTCUTS, key);
}

/*
 * The number that the port has in the kernel or had so far, by its addresses; else one that follows
 * from its name, so that it is the same after a restart.  As a name can be found for any number, it
 * is none that anything in the kernel leads to: until that is written, whose it was would be sent
 * to the port's endpoints.
 */
static uint32_t choose_id(const struct form *f, size_t port)
{
	const struct proxy_half *half = &f->form->spec->s;
	struct search at = { .f = f, .port = port };
	struct traffic_port t;

	if (!traffic_plan(&f->s->k->node, half, port, &t) ||
	    (!t.uses[TRAFFIC_CLUSTER_SET] && !t.uses[TRAFFIC_LOCAL_SET]))
		return 0;
	traffic_each_destination(&t, find_id, &at);
	for (uint32_t attempt = 0; !at.id; attempt++) {
		uint32_t id = plan_set_number(half, port, attempt) & port_mask(f->s->k);
		/* Where nothing leads to it, only this tells that it was the port's before. */
		if (is_free(f->s, f->form->ids, port, id) && !keeper_is_led_to(f->s->k, id))
			at.id = id;
	}
	return at.id;
}

/* ---- numbers of groups of source ranges ---- */

/*
 * A group that the kernel had already, before that is compared, is the Service's own if it has all
 * of the Service's ranges, for they say which number it has.  Nothing is added to anybody else's:
 * what is restricted to that would be open to more until it is written anew.
 */
static bool may_be_its_group(const struct keeper_service *s, const struct spec *spec,
                             uint32_t number)
{
	struct plan p = { .n_elements = 0 };
	bool all = true;

	if (!keeper_has_group(s->k, number))
		return true;
	plan_ranges(&spec->s, number, &p);
	for (size_t i = 0; i < p.n_elements && all; i++) {
		const struct plan_element *e = &p.elements[i];
		enum frame_map map = (enum frame_map)e->map;
		const void *value = store_value(s->k->store, map, e->key);
		all = value && !memcmp(value, e->value, frame_shape(s->k->frame.family, map).value);
	}
	plan_fini(&p);
	return all;
}

static struct keeper_group *choose_group(struct keeper_service *s, const struct spec *spec)
{
	struct keeper_group *g;
	uint32_t number;

	if (!plan_has_group(&s->k->node, &spec->s))
		return NULL;
	/* The last number is left out, so that the end of the last range has a place. */
	for (uint32_t attempt = 0;; attempt++) {
		number = plan_group_number(&spec->s, attempt);
		HASH_FIND(hh, s->k->groups, &number, sizeof(number), g);
		if (number != UINT32_MAX && (g ? g->owner == s : may_be_its_group(s, spec, number)))
			break;
	}
	if (!g) {
		g = xcalloc(1, sizeof(*g));
		g->number = number;
		g->owner = s;
		HASH_ADD(hh, s->k->groups, number, sizeof(number), g);
	}
	g->refs++;
	return g;
}

static void drop_group(struct keeper *k, struct keeper_group *g)
{
	if (!g || --g->refs > 0)
		return;
	HASH_DEL(k->groups, g);
	free(g);
}

/* ---- forms ---- */

/* NULL of nothing. */
static struct keeper_form *form_new(struct keeper_service *s, struct spec *spec)
{
	struct keeper_form *f;

	if (!spec)
		return NULL;
	f = xcalloc(1, sizeof(*f) + spec->s.n_ports * sizeof(f->ids[0]));
	f->spec = spec_ref(spec);
	f->group = choose_group(s, spec);
	return f;
}

void keeper_form_free(struct keeper *k, struct keeper_form *f)
{
	if (!f)
		return;
	drop_group(k, f->group);
	spec_unref(f->spec);
	free(f);
}

/* ---- parts ---- */

/* Source ranges, each port, guarded addresses: in this order what comes leads to what is there. */
static size_t n_parts(const struct keeper_form *f)
{
	return f ? f->spec->s.n_ports + 2 : 0;
}

static void plan_part(const struct form *f, size_t part, struct plan *ret)
{
	const struct proxy_half *half = &f->form->spec->s;
	const uint32_t group = f->form->group ? f->form->group->number : 0;

	*ret = (struct plan){ .n_elements = 0 };
	if (part > half->n_ports)
		plan_guards(half, ret);
	else if (part > 0)
		plan_port(&f->s->k->node, half, part - 1, f->form->ids[part - 1], group, ret);
	else if (f->form->group)
		plan_ranges(half, group, ret);
}

bool keeper_shares(const struct keeper_service *s, enum frame_map map, const void *key)
{
	const struct form f = { (struct keeper_service *)(uintptr_t)s, s->planned };
	size_t size = frame_shape(s->k->frame.family, map).key;
	bool found = false;

	for (size_t part = 0; part < n_parts(s->planned) && !found; part++) {
		struct plan p;
		plan_part(&f, part, &p);
		for (size_t i = 0; i < p.n_elements && !found; i++)
			found = p.elements[i].map == map && !memcmp(p.elements[i].key, key, size);
		plan_fini(&p);
	}
	return found;
}

/* ---- endpoints ---- */

static struct proxy_endpoint endpoint_of(uint8_t family, const unsigned char *value)
{
	struct proxy_endpoint e = { .addr = { .family = family } };
	size_t size = addr_size(family);

	memcpy(e.addr.b, value, size);
	e.port = (uint16_t)(value[size] << 8 | value[size + 1]);
	return e;
}

/* Which of two maps has the set's endpoints by index. */
static enum frame_map by_index(const struct plan_set *set)
{
	return set->affinity ? FRAME_TICKETS : FRAME_ENDPOINTS;
}

static bool read_endpoint(const struct keeper *k, const struct plan_set *set, uint32_t index,
                          struct proxy_endpoint *ret)
{
	unsigned char key[FRAME_KEY_MAX];
	uint32_t ticket;

	plan_pair(set->set, index, key);
	const unsigned char *value = store_value(k->store, by_index(set), key);
	if (value && set->affinity) {
		memcpy(&ticket, value, sizeof(ticket));
		plan_pair(set->set, ticket, key);
		value = store_value(k->store, FRAME_MEMBERS, key);
	}
	if (value)
		*ret = endpoint_of(k->frame.family, value);
	return value != NULL;
}

static size_t read_set(const struct keeper *k, const struct plan_set *set,
                       struct proxy_endpoint **ret)
{
	struct proxy_endpoint e;
	size_t n = 0, cap = 0;

	*ret = NULL;
	while (read_endpoint(k, set, (uint32_t)n, &e)) {
		ARRAY_RESERVE(*ret, cap, n + 1);
		(*ret)[n++] = e;
	}
	return n;
}

static void want_endpoints(struct keeper_service *s, const struct plan_set *set)
{
	cleanup_free struct proxy_endpoint *have = NULL;
	cleanup_free size_t *places = xcalloc(set->n + 1, sizeof(*places));
	unsigned char key[FRAME_KEY_MAX], value[FRAME_VALUE_MAX] = { 0 };
	size_t n = read_set(s->k, set, &have);

	order_endpoints(have, n, set->list, set->n, places);
	for (size_t i = 0; i < set->n; i++) {
		const struct proxy_endpoint *e = &set->list[places[i]];
		const uint32_t ticket = plan_ticket(e);
		plan_pair(set->set, (uint32_t)i, key);
		if (set->affinity)
			memcpy(value, &ticket, sizeof(ticket));
		else
			plan_endpoint(e, value);
		store_want(s->k->store, by_index(set), key, value, &s->owner);
	}
}

static void want_set(const struct form *f, const struct plan_set *set)
{
	if (keeper_is_virtual(f->s->k, set))
		keeper_want_virtual(f->s, set, f->form->spec->s.traffic.scheduler);
	else
		want_endpoints(f->s, set);
}

static void release_set(struct keeper_service *s, const struct plan_set *set)
{
	unsigned char key[FRAME_KEY_MAX];

	if (keeper_is_virtual(s->k, set))
		return;
	for (size_t i = set->n; i-- > 0;) {
		plan_pair(set->set, (uint32_t)i, key);
		store_release_old(s->k->store, by_index(set), key, &s->owner);
	}
}

/* ---- elements ---- */

static void set_rounded(struct keeper_service *s, bool rounded)
{
	s->k->n_rounded += rounded;
	s->k->n_rounded -= s->rounded;
	s->rounded = rounded;
}

static void want_kind(struct keeper_service *s, const struct plan_element *e)
{
	frame_kind wanted, kind;

	memcpy(&wanted, e->value, sizeof(wanted));
	kind = keeper_kind_for(s->k, wanted);
	if (kind != wanted && kind != FRAME_KIND_VIRTUAL)
		set_rounded(s, true);
	store_want(s->k->store, FRAME_SETS, e->key, &kind, &s->owner);
}

/*
 * Whose way it is has all that the address's port has.  The map of ways that one of the others goes
 * with, or the map itself.
 */
static enum frame_map goes_with(enum frame_map map)
{
	if (map == FRAME_RESTRICTED || map == FRAME_SHORTCUTS)
		return FRAME_WAYS;
	return map == FRAME_NODE_SHORTCUTS ? FRAME_NODE_WAYS : map;
}

static bool may_have(const struct keeper_service *s, enum frame_map map, const void *key)
{
	const struct store_owner *owner = store_owner(s->k->store, goes_with(map), key);

	return goes_with(map) == map || !owner || owner == &s->owner ||
	       keeper_store_ops.goes_first(&s->owner, owner);
}

/* What the one who had the way before has left. */
static void take_rest(struct keeper_service *s, enum frame_map ways, const void *key)
{
	static const enum frame_map rest[] = { FRAME_RESTRICTED, FRAME_SHORTCUTS,
		                               FRAME_NODE_SHORTCUTS };
	struct store *store = s->k->store;

	if (store_owner(store, ways, key) != &s->owner)
		return;
	for (size_t i = 0; i < ARRAY_LEN(rest); i++)
		if (goes_with(rest[i]) == ways)
			store_evict(store, rest[i], key, &s->owner);
}

static void want_element(struct keeper_service *s, const struct plan_element *e)
{
	enum frame_map map = (enum frame_map)e->map;

	if (map == FRAME_SETS) {
		want_kind(s, e);
	} else if (plan_is_shared(map)) {
		store_share(s->k->store, map, e->key, &s->owner);
	} else if (may_have(s, map, e->key)) {
		store_want(s->k->store, map, e->key, e->value, &s->owner);
		if (map == FRAME_WAYS || map == FRAME_NODE_WAYS)
			take_rest(s, map, e->key);
	}
}

static size_t size_of_plan(const struct plan *p)
{
	size_t n = 1 + p->n_elements;

	for (size_t i = 0; i < p->n_sets; i++)
		n += p->sets[i].n;
	return n;
}

static size_t want_part(const struct form *f, size_t part)
{
	struct plan p;

	if (part > 0 && part <= f->form->spec->s.n_ports)
		f->form->ids[part - 1] = choose_id(f, part - 1);
	plan_part(f, part, &p);
	size_t n = size_of_plan(&p);
	for (size_t i = 0; i < p.n_sets; i++)
		want_set(f, &p.sets[i]);
	for (size_t i = 0; i < p.n_elements; i++)
		want_element(f->s, &p.elements[i]);
	plan_fini(&p);
	return n;
}

/* Unless it has just been wanted again; of what is shared, its share was counted twice. */
static size_t release_part(const struct form *f, size_t part)
{
	struct store *store = f->s->k->store;
	struct plan p;

	plan_part(f, part, &p);
	size_t n = size_of_plan(&p);
	for (size_t i = p.n_elements; i-- > 0;) {
		const struct plan_element *e = &p.elements[i];
		enum frame_map map = (enum frame_map)e->map;
		if (plan_is_shared(map))
			store_unshare(store, map, e->key);
		else
			store_release_old(store, map, e->key, &f->s->owner);
	}
	for (size_t i = 0; i < p.n_sets; i++)
		release_set(f->s, &p.sets[i]);
	plan_fini(&p);
	return n;
}

/* ---- a Service ---- */

static size_t size_of_spec(const struct spec *spec)
{
	size_t n = 0;

	for (size_t i = 0; spec && i < spec->s.n_ports; i++)
		n += 1 + spec->s.ports[i].n_cluster + spec->s.ports[i].n_local;
	return n;
}

/* As it is planned, and as it is to be. */
static size_t size_of(const struct keeper_service *s)
{
	return size_of_spec(s->want) + size_of_spec(keeper_planned_spec(s));
}

bool keeper_is_small(const struct keeper_service *s)
{
	return size_of(s) <= KEEPER_SLICE_ELEMENTS / 2;
}

static void begin(struct keeper_planning *p, struct keeper_service *s)
{
	*p = (struct keeper_planning){ .s = s };
	p->to = form_new(s, s->want);
	s->owner.turn = !s->owner.turn;
	/* What waits of it in one lane may lead to what would go with the other. */
	s->owner.large = s->large && (s->owner.large || !s->waiting);
	keeper_unlose(s);
	keeper_unwant_virtuals(s);
	set_rounded(s, false);
}

static bool is_done(const struct keeper_planning *p)
{
	return p->part == n_parts(p->to) + n_parts(p->s->planned);
}

/* A bounded piece; how many elements it was about. */
static size_t go_on(struct keeper_planning *p)
{
	struct keeper_service *s = p->s;
	const struct form new = { s, p->to }, old = { s, s->planned };
	size_t part = p->part++, n_new = n_parts(p->to), n;

	if (part < n_new)
		n = want_part(&new, part);
	else
		n = release_part(&old, n_parts(s->planned) - 1 - (part - n_new));
	p->n += n;
	/* One that fills rounds of its own is written port by port. */
	if (p->n >= QUEUE_ROUND || is_done(p))
		store_cut(s->k->store, &s->owner);
	return n;
}

static void end(struct keeper_planning *p)
{
	struct keeper_service *s = p->s;

	keeper_form_free(s->k, s->planned);
	s->planned = p->to;
	p->s = NULL;
	keeper_planned(s, p->again);
}

void keeper_give_up_planning(struct keeper_planning *p)
{
	if (!p->s)
		return;
	keeper_form_free(p->s->k, p->to);
	p->s = NULL;
}

void keeper_plan(struct keeper_service *s)
{
	struct keeper_planning p;

	begin(&p, s);
	while (!is_done(&p))
		go_on(&p);
	end(&p);
}

/* But for the one that is being planned. */
static struct keeper_service *first_unplanned(const struct keeper *k, bool large)
{
	struct keeper_service *s;

	DL_FOREACH2(k->unplanned, s, next_unplanned)
	if (s->large == large && s != k->planning.s)
		return s;
	return NULL;
}

/*
 * NULL: none is to be begun now.  A large one is only planned when whatever had changed by the time
 * the last one was planned is in the kernel: so one that changes again and again never queues more
 * than itself, and what is old has its turn in between.
 */
static struct keeper_service *next_unplanned(const struct keeper *k)
{
	/* Nothing can be written, and the order matters. */
	if (k->state == KEEPER_PLANNING)
		return k->unplanned;
	return store_fresh_stamp(k->store) < k->large_stamp ? NULL : first_unplanned(k, true);
}

static bool plan_small(struct keeper *k, size_t *n)
{
	struct keeper_service *s = k->state == KEEPER_PLANNING ? NULL : first_unplanned(k, false);

	if (!s)
		return false;
	*n += 1 + size_of(s);
	keeper_plan(s);
	return true;
}

bool keeper_plan_some(struct keeper *k, size_t *n)
{
	struct keeper_planning *p = &k->planning;
	struct keeper_service *next;

	/* Whoever is small does not wait for whoever is large. */
	if (plan_small(k, n))
		return true;
	if (!p->s) {
		next = next_unplanned(k);
		if (!next)
			return false;
		begin(p, next);
	}
	*n += is_done(p) ? 0 : go_on(p);
	if (is_done(p))
		end(p);
	return true;
}
