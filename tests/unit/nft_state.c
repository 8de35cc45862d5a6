/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include "nft_state.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

struct maps {
	struct kernel_set *at[FRAME_MAPS];
};

struct lines {
	char **list;
	size_t n, cap;
};

static uint32_t number(const unsigned char *from)
{
	uint32_t n;

	memcpy(&n, from, sizeof(n));
	return n;
}

static const struct kernel_element *find_pair(const struct kernel_set *s, uint32_t set, uint32_t n)
{
	unsigned char key[FRAME_KEY_MAX];

	plan_pair(set, n, key);
	return nft_kernel_find(s, key, false);
}

static const struct kernel_element *find_number(const struct kernel_set *s, uint32_t n)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 };

	memcpy(key, &n, sizeof(n));
	return nft_kernel_find(s, key, false);
}

/* ---- one set ---- */

/* NULL: not there. */
static const unsigned char *endpoint(const struct maps *m, uint32_t set, frame_kind kind,
                                     uint32_t i)
{
	const struct kernel_element *e;

	if (!frame_kind_affinity_s(kind)) {
		e = find_pair(m->at[FRAME_ENDPOINTS], set, i);
		return e ? e->value : NULL;
	}
	e = find_pair(m->at[FRAME_TICKETS], set, i);
	if (e)
		e = find_pair(m->at[FRAME_MEMBERS], set, number(e->value));
	return e ? e->value : NULL;
}

static int cmp_values(const void *a, const void *b)
{
	return memcmp(a, b, FRAME_VALUE_MAX);
}

static void add_hex(struct buf *b, const unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buf_printf(b, "%02x", p[i]);
}

static void describe_set(const struct maps *m, uint32_t set, struct buf *b)
{
	const struct kernel_element *e = find_number(m->at[FRAME_SETS], set);

	if (!e) {
		buf_printf(b, "no set");
		return;
	}
	frame_kind kind = number(e->value);
	uint32_t n = frame_kind_count(kind);
	unsigned char(*list)[FRAME_VALUE_MAX] = xcalloc(n + 1, sizeof(*list));
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *value = endpoint(m, set, kind, i);
		if (value)
			memcpy(list[i], value, FRAME_VALUE_MAX);
	}
	qsort(list, n, sizeof(*list), cmp_values);
	buf_printf(b, "kind %x:", kind);
	for (uint32_t i = 0; i < n; i++) {
		buf_printf(b, " ");
		add_hex(b, list[i], m->at[FRAME_ENDPOINTS]->value_size);
	}
	free(list);
}

/* ---- lines ---- */

static void take_line(struct lines *l, struct buf *b)
{
	ARRAY_RESERVE(l->list, l->cap, l->n + 1);
	l->list[l->n++] = xstrndup(b->data, b->size);
	buf_fini(b);
}

static void describe_way(const struct maps *m, const struct kernel_element *e, struct buf *b)
{
	uint32_t way = number(e->value);

	buf_printf(b, "%s%s", way & FRAME_WAY_MASQUERADE_PODS ? "pods masqueraded, " : "",
	           way & FRAME_WAY_MASQUERADE_OTHERS ? "others masqueraded, " : "");
	describe_set(m, way & FRAME_WAY_SET, b);
}

static void describe_ranges(const struct maps *m, uint32_t group, struct buf *b)
{
	const struct kernel_set *ranges = m->at[FRAME_RANGES];

	for (size_t i = 0; i < ranges->n; i++) {
		const struct kernel_element *e = &ranges->elements[i];
		if (e->ends || number(e->key) != group)
			continue;
		buf_printf(b, " ");
		add_hex(b, e->key + 4, ranges->key_size - 4);
		buf_printf(b, "-");
		if (i + 1 < ranges->n)
			add_hex(b, e[1].key + 4, ranges->key_size - 4);
	}
}

static bool is_front(int map)
{
	return map == FRAME_WAYS || map == FRAME_SHORTCUTS || map == FRAME_NODE_WAYS ||
	       map == FRAME_NODE_SHORTCUTS;
}

static void add_element(struct lines *l, const struct maps *m, int map,
                        const struct kernel_element *e)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s ", m->at[map]->name);
	if (map != FRAME_SETS)
		add_hex(&b, e->key, m->at[map]->key_size);
	buf_printf(&b, ": ");
	if (is_front(map))
		describe_way(m, e, &b);
	else if (map == FRAME_SETS)
		describe_set(m, number(e->key), &b);
	else if (map == FRAME_RESTRICTED)
		describe_ranges(m, number(e->value), &b);
	take_line(l, &b);
}

static int cmp_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What sets and groups have is told by them; here only how much of it there is. */
static char *describe(const struct maps *m)
{
	struct lines l = { .n = 0 };
	struct buf b = BUF_INIT;

	for (int map = 0; map < FRAME_MAPS; map++) {
		bool told = is_front(map) || map == FRAME_SETS || map == FRAME_RESTRICTED ||
		            map == FRAME_HAIRPIN || map == FRAME_GUARDED;
		for (size_t i = 0; told && i < m->at[map]->n; i++)
			add_element(&l, m, map, &m->at[map]->elements[i]);
	}
	qsort(l.list, l.n, sizeof(*l.list), cmp_lines);
	for (int map = 0; map < FRAME_MAPS; map++)
		buf_printf(&b, "%s: %zu\n", m->at[map]->name, m->at[map]->n);
	for (size_t i = 0; i < l.n; i++) {
		buf_printf(&b, "%s\n", l.list[i]);
		free(l.list[i]);
	}
	free(l.list);
	char *text = xstrndup(b.data, b.size);
	buf_fini(&b);
	return text;
}

/* ---- the kernel's ---- */

static struct maps of_kernel(void)
{
	struct maps m;

	for (int map = 0; map < FRAME_MAPS; map++) {
		m.at[map] = nft_kernel_set(frame_map_name((enum frame_map)map));
		assert_non_null(m.at[map]);
	}
	return m;
}

char *nft_state_of_kernel(void)
{
	const struct maps m = of_kernel();

	return describe(&m);
}

char *nft_state_of_address(const struct addr *a, uint8_t proto, uint16_t port)
{
	const struct maps m = of_kernel();
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	size_t size = addr_size(a->family);
	struct buf b = BUF_INIT;

	memcpy(key, a->b, size);
	key[size] = proto;
	key[size + 4] = (unsigned char)(port >> 8);
	key[size + 5] = (unsigned char)port;
	const struct kernel_element *e = nft_kernel_find(m.at[FRAME_WAYS], key, false);
	if (e)
		describe_way(&m, e, &b);
	char *text = xstrndup(b.size ? b.data : "", b.size);
	buf_fini(&b);
	return text;
}

static void check_kind(frame_kind kind)
{
	char name[FRAME_NAME_SIZE];

	for (int side = 0; side < FRAME_SIDES; side++) {
		const struct kernel_element *pick =
			find_number(nft_kernel_set(frame_picks[side]), kind);
		assert_non_null(pick);
		if (kind == FRAME_KIND_DROP) {
			assert_int_equal(pick->code, NF_DROP);
			continue;
		}
		frame_kind_name((enum frame_side)side, kind, name);
		if (kind == FRAME_KIND_REJECT)
			snprintf(name, sizeof(name), FRAME_REJECT);
		assert_int_equal(pick->code, NFT_GOTO);
		assert_string_equal(pick->chain, name);
		assert_non_null(nft_kernel_chain(name));
		assert_true(nft_kernel_chain(name)->n > 0);
	}
}

static void check_set(const struct maps *m, const struct kernel_element *e)
{
	frame_kind kind = number(e->value);

	check_kind(kind);
	for (uint32_t i = 0; i < frame_kind_count(kind); i++)
		assert_non_null(endpoint(m, number(e->key), kind, i));
}

static bool has_range(const struct maps *m, uint32_t group)
{
	for (size_t i = 0; i < m->at[FRAME_RANGES]->n; i++)
		if (!m->at[FRAME_RANGES]->elements[i].ends &&
		    number(m->at[FRAME_RANGES]->elements[i].key) == group)
			return true;
	return false;
}

void nft_state_check(void)
{
	const struct maps m = of_kernel();

	for (int map = 0; map < FRAME_MAPS; map++)
		for (size_t i = 0; i < m.at[map]->n; i++) {
			const struct kernel_element *e = &m.at[map]->elements[i];
			if (is_front(map))
				assert_non_null(find_number(m.at[FRAME_SETS],
				                            number(e->value) & FRAME_WAY_SET));
			else if (map == FRAME_SETS)
				check_set(&m, e);
			else if (map == FRAME_RESTRICTED)
				assert_true(has_range(&m, number(e->value)));
		}
}

/* ---- what is wanted ---- */

struct wanted {
	struct kernel_set sets[FRAME_MAPS];
	struct maps maps;
	uint8_t family;
};

static void put(struct wanted *w, int map, const void *key, const void *value, bool ends)
{
	struct kernel_element e = { .ends = ends };

	memcpy(e.key, key, w->sets[map].key_size);
	if (value)
		memcpy(e.value, value, w->sets[map].value_size);
	nft_kernel_add(&w->sets[map], &e);
}

static void begin_wanted(struct wanted *w, uint8_t family)
{
	static const uint32_t refusals[] = { FRAME_WAY_DROP, FRAME_WAY_REJECT };
	static const frame_kind kinds[] = { FRAME_KIND_DROP, FRAME_KIND_REJECT };

	*w = (struct wanted){ .family = family };
	for (int map = 0; map < FRAME_MAPS; map++) {
		const struct frame_shape shape = frame_shape(family, (enum frame_map)map);
		snprintf(w->sets[map].name, FRAME_NAME_SIZE, "%s", shape.name);
		w->sets[map].key_size = shape.key;
		w->sets[map].value_size = shape.intervals ? 0 : shape.value;
		w->maps.at[map] = &w->sets[map];
	}
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		put(w, FRAME_SETS, &refusals[i], &kinds[i], false);
}

static int ways_of(int map)
{
	if (map == FRAME_RESTRICTED || map == FRAME_SHORTCUTS)
		return FRAME_WAYS;
	return map == FRAME_NODE_SHORTCUTS ? FRAME_NODE_WAYS : map;
}

/* Whoever has an address's port has all of it: its ways, and who may use them. */
static bool is_taken(const struct kernel_set before[FRAME_MAPS], const struct plan_element *e)
{
	return (is_front(e->map) || e->map == FRAME_RESTRICTED) &&
	       nft_kernel_find(&before[ways_of(e->map)], e->key, false);
}

static void want_set(struct wanted *w, const struct plan_set *set)
{
	unsigned char key[FRAME_KEY_MAX], value[FRAME_VALUE_MAX];

	for (size_t i = 0; i < set->n; i++) {
		uint32_t ticket = plan_ticket(&set->list[i]);
		plan_pair(set->set, (uint32_t)i, key);
		plan_endpoint(&set->list[i], value);
		if (set->affinity)
			put(w, FRAME_TICKETS, key, &ticket, false);
		else
			put(w, FRAME_ENDPOINTS, key, value, false);
	}
}

static void copy_fronts(struct kernel_set to[FRAME_MAPS], const struct kernel_set from[FRAME_MAPS])
{
	for (int map = 0; map < FRAME_MAPS; map++) {
		to[map] = from[map];
		to[map].elements = xcalloc(from[map].n + 1, sizeof(struct kernel_element));
		if (from[map].n > 0)
			memcpy(to[map].elements, from[map].elements,
			       from[map].n * sizeof(struct kernel_element));
	}
}

static void want_plan(struct wanted *w, const struct plan *p)
{
	struct kernel_set before[FRAME_MAPS];

	copy_fronts(before, w->sets);
	for (size_t i = 0; i < p->n_elements; i++) {
		const struct plan_element *e = &p->elements[i];
		if (is_taken(before, e) || (plan_is_shared((enum frame_map)e->map) &&
		                            nft_kernel_find(&w->sets[e->map], e->key, false)))
			continue;
		put(w, e->map, e->key, e->map == FRAME_RANGES ? NULL : e->value, false);
		if (e->map == FRAME_RANGES)
			put(w, FRAME_RANGES, e->value, NULL, true);
	}
	for (size_t i = 0; i < p->n_sets; i++)
		want_set(w, &p->sets[i]);
	for (int map = 0; map < FRAME_MAPS; map++)
		free(before[map].elements);
}

static void want_service(struct wanted *w, const struct traffic_node *node,
                         const struct proxy_half *s, uint32_t number)
{
	cleanup_free uint32_t *ids = xcalloc(s->n_ports + 1, sizeof(*ids));
	struct plan p;

	for (size_t i = 0; i < s->n_ports; i++)
		ids[i] = number * 2 * SPEC_MAX_PORTS + 2 * (uint32_t)i;
	plan_half(node, s, ids, number, &p);
	want_plan(w, &p);
	plan_fini(&p);
}

static int by_age(const void *a, const void *b)
{
	const struct spec *const *x = a, *const *y = b;
	/* 0: not known, and so behind all that are; with the largest of numbers as well. */
	uint64_t one = (uint64_t)(*x)->s.created_us - 1, another = (uint64_t)(*y)->s.created_us - 1;

	if (one != another)
		return one < another ? -1 : 1;
	return strcmp((*x)->s.key, (*y)->s.key);
}

char *nft_state_wanted(uint8_t family, const struct traffic_node *node, struct spec *const *list,
                       size_t n)
{
	cleanup_free const struct spec **sorted = xcalloc(n + 1, sizeof(*sorted));
	size_t n_sorted = 0;
	struct wanted w;

	for (size_t i = 0; i < n; i++)
		if (list[i])
			sorted[n_sorted++] = list[i];
	qsort(sorted, n_sorted, sizeof(*sorted), by_age);
	begin_wanted(&w, family);
	for (size_t i = 0; i < n_sorted; i++)
		want_service(&w, node, &sorted[i]->s, (uint32_t)i + 1);
	char *text = describe(&w.maps);
	for (int map = 0; map < FRAME_MAPS; map++)
		free(w.sets[map].elements);
	return text;
}
