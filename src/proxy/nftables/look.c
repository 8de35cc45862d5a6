/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel has of the frame.  Rules are compared by the digests in their comments: a rule
 * cannot be changed without being replaced, comment and all, so each of ours either stands as it
 * was made or is gone.
 */
#include "config.h"

#include "proxy/nftables/frame_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fairlead/hash.h"
#include "fairlead/mem.h"
#include "proxy/nftables/rule.h"
#include "proxy/nftables/wire.h"

#define ATTRIBUTES_MAX 32
/* Chains of ours and of strangers in our table that are looked at. */
#define LOOK_CHAINS_MAX 65536

struct seen_chain {
	char name[FRAME_NAME_SIZE];
	uint64_t have, want; /* of all its rules; 0: none */
	bool there, base_right;
};

struct seen_kind {
	frame_kind kind;
	unsigned int picks; /* ways to it that are right */
};

struct look {
	const struct frame *f;
	bool table, layout;
	unsigned int sets, sets_right;
	struct seen_chain *chains; /* sorted by name once all are there */
	size_t n_chains, cap_chains;
	struct seen_kind *kinds;
	size_t n_kinds, cap_kinds;
	enum frame_side side; /* of the picks that are read */
	size_t fixed;         /* ways to static chains, or nowhere, that are right */
};

/* ---- attributes ---- */

struct attributes {
	const struct nlattr *at[ATTRIBUTES_MAX];
};

static int note(const struct nlattr *a, void *arg)
{
	struct attributes *t = arg;

	if (mnl_attr_get_type(a) < ATTRIBUTES_MAX)
		t->at[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static struct attributes attributes_of(const struct nlmsghdr *h)
{
	struct attributes t = { .at = { NULL } };

	mnl_attr_parse(h, sizeof(struct nfgenmsg), note, &t);
	return t;
}

static struct attributes nested(const struct nlattr *a)
{
	struct attributes t = { .at = { NULL } };

	if (a)
		mnl_attr_parse_nested(a, note, &t);
	return t;
}

static const char *text_of(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : "";
}

static uint32_t number_of(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) == sizeof(uint32_t) ? ntohl(mnl_attr_get_u32(a))
	                                                            : UINT32_MAX;
}

static bool is_ours(const struct attributes *t)
{
	return !strcmp(text_of(t->at[NFTA_TABLE_NAME]), FRAME_TABLE);
}

/* ---- table and sets ---- */

static void one_table(const struct nlmsghdr *h, void *arg)
{
	struct look *l = arg;
	const struct attributes t = attributes_of(h);
	const struct nlattr *data = t.at[NFTA_TABLE_USERDATA];
	const char *layout = frame_layout(l->f);
	const size_t size = strlen(layout) + 1;

	if (!is_ours(&t))
		return;
	l->table = true;
	l->layout = data && mnl_attr_get_payload_len(data) == 2 + size &&
	            !memcmp((const char *)mnl_attr_get_payload(data) + 2, layout, size) &&
	            number_of(t.at[NFTA_TABLE_FLAGS]) == 0;
}

struct set_question {
	const char *name;
	const struct attributes *t;
	bool known, right;
};

static void compare_set(const char *name, const struct frame_set *set, void *arg)
{
	struct set_question *q = arg;

	const struct nlattr *const *at = q->t->at;
	bool map = set->flags & NFT_SET_MAP;

	if (strcmp(name, q->name) != 0)
		return;
	q->known = true;
	uint32_t flags = at[NFTA_SET_FLAGS] ? number_of(at[NFTA_SET_FLAGS]) : 0;
	q->right = flags == set->flags && number_of(at[NFTA_SET_KEY_TYPE]) == set->key_type &&
	           number_of(at[NFTA_SET_KEY_LEN]) == set->key_size &&
	           (!map || number_of(at[NFTA_SET_DATA_TYPE]) == set->value_type) &&
	           (!map || set->value_size == 0 ||
	            number_of(at[NFTA_SET_DATA_LEN]) == set->value_size);
}

static void one_set(const struct nlmsghdr *h, void *arg)
{
	struct look *l = arg;
	const struct attributes t = attributes_of(h);
	struct set_question q = { .name = text_of(t.at[NFTA_SET_NAME]), .t = &t };

	if (!is_ours(&t))
		return;
	frame_each_set(l->f, compare_set, &q);
	l->sets_right += q.known && q.right;
}

static void count_set(const char *name, const struct frame_set *set, void *arg)
{
	struct look *l = arg;

	(void)name;
	(void)set;
	l->sets++;
}

/* ---- chains and rules ---- */

static int by_name(const void *a, const void *b)
{
	const struct seen_chain *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static struct seen_chain *find_chain(const struct look *l, const char *name)
{
	struct seen_chain key;

	if (strlen(name) >= sizeof(key.name))
		return NULL;
	memcpy(key.name, name, strlen(name) + 1);
	return bsearch(&key, l->chains, l->n_chains, sizeof(*l->chains), by_name);
}

static void note_kind(struct look *l, const char *name)
{
	enum frame_side side;
	frame_kind kind;

	if (!frame_kind_parse(name, &side, &kind))
		return;
	for (size_t i = 0; i < l->n_kinds; i++)
		if (l->kinds[i].kind == kind)
			return;
	ARRAY_RESERVE(l->kinds, l->cap_kinds, l->n_kinds + 1);
	l->kinds[l->n_kinds++] = (struct seen_kind){ .kind = kind };
}

static const struct frame_base *find_base(const struct look *l, const char *name)
{
	const struct frame_base *b;

	for (size_t i = 0; (b = frame_base(l->f, i)); i++)
		if (!strcmp(b->name, name))
			return b;
	return NULL;
}

static bool base_is_right(const struct look *l, const char *name, const struct attributes *t)
{
	const struct attributes hook = nested(t->at[NFTA_CHAIN_HOOK]);
	const struct frame_base *b = find_base(l, name);

	if (!b)
		return !t->at[NFTA_CHAIN_HOOK];
	return !strcmp(text_of(t->at[NFTA_CHAIN_TYPE]), b->type) &&
	       number_of(hook.at[NFTA_HOOK_HOOKNUM]) == b->hook &&
	       number_of(hook.at[NFTA_HOOK_PRIORITY]) == (uint32_t)b->priority &&
	       number_of(t->at[NFTA_CHAIN_POLICY]) == NF_ACCEPT;
}

static void one_chain(const struct nlmsghdr *h, void *arg)
{
	struct look *l = arg;
	const struct attributes t = attributes_of(h);
	const char *name = text_of(t.at[NFTA_CHAIN_NAME]);
	struct seen_chain c = { .there = true };

	if (!is_ours(&t) || strlen(name) >= sizeof(c.name) || l->n_chains >= LOOK_CHAINS_MAX)
		return;
	memcpy(c.name, name, strlen(name) + 1);
	c.base_right = base_is_right(l, name, &t);
	ARRAY_RESERVE(l->chains, l->cap_chains, l->n_chains + 1);
	l->chains[l->n_chains++] = c;
	note_kind(l, name);
}

static uint64_t fold(uint64_t digest, uint64_t rule)
{
	return (digest ^ rule) * HASH_FNV_PRIME + 1;
}

static void one_rule(const struct nlmsghdr *h, void *arg)
{
	struct look *l = arg;
	const struct attributes t = attributes_of(h);
	struct seen_chain *c = is_ours(&t) ? find_chain(l, text_of(t.at[NFTA_RULE_CHAIN])) : NULL;

	if (c)
		c->have = fold(c->have, rule_digest(h));
}

static void wanted_rule(const char *chain, uint64_t digest, void *arg)
{
	struct look *l = arg;
	struct seen_chain *c = find_chain(l, chain);

	if (c)
		c->want = fold(c->want, digest);
}

/* ---- the ways to chains ---- */

static struct seen_kind *find_kind(const struct look *l, frame_kind kind)
{
	for (size_t i = 0; i < l->n_kinds; i++)
		if (l->kinds[i].kind == kind)
			return &l->kinds[i];
	return NULL;
}

struct pick {
	frame_kind kind;
	uint32_t code;
	const char *chain;
};

static bool read_pick(const struct nlattr *element, struct pick *ret)
{
	const struct attributes e = nested(element);
	const struct attributes key = nested(e.at[NFTA_SET_ELEM_KEY]);
	const struct attributes data = nested(e.at[NFTA_SET_ELEM_DATA]);
	const struct attributes verdict = nested(data.at[NFTA_DATA_VERDICT]);
	const struct nlattr *kind = key.at[NFTA_DATA_VALUE];

	if (!kind || mnl_attr_get_payload_len(kind) != sizeof(ret->kind))
		return false;
	memcpy(&ret->kind, mnl_attr_get_payload(kind), sizeof(ret->kind));
	ret->code = number_of(verdict.at[NFTA_VERDICT_CODE]);
	ret->chain = text_of(verdict.at[NFTA_VERDICT_CHAIN]);
	return true;
}

/* @chain: NULL, nowhere. */
static bool leads_to(const struct pick *p, const char *chain)
{
	if (!chain)
		return p->code == NF_DROP;
	return p->code == (uint32_t)NFT_GOTO && !strcmp(p->chain, chain);
}

static bool is_fixed(const struct look *l, const struct pick *p, const char **ret_chain)
{
	frame_kind kind;

	for (size_t i = 0; frame_fixed_kind(l->f, i, &kind, ret_chain); i++)
		if (kind == p->kind)
			return true;
	return false;
}

/* One that leads elsewhere keeps the right one out: a pick cannot be changed. */
static void one_pick(const struct nlattr *element, struct look *l)
{
	char name[FRAME_NAME_SIZE];
	struct seen_kind *k = NULL;
	const char *chain;
	struct pick p;
	bool right = read_pick(element, &p);

	if (right && is_fixed(l, &p, &chain)) {
		right = leads_to(&p, chain);
		l->fixed += right;
	} else if (right) {
		frame_kind_name(l->side, p.kind, name);
		k = find_kind(l, p.kind);
		right = k && leads_to(&p, name);
	}
	if (k)
		k->picks += right;
	l->layout = l->layout && right;
}

static void some_picks(const struct nlmsghdr *h, void *arg)
{
	const struct attributes t = attributes_of(h);
	const struct nlattr *list = t.at[NFTA_SET_ELEM_LIST_ELEMENTS], *a;

	if (!list)
		return;
	mnl_attr_for_each_nested(a, list)
		one_pick(a, arg);
}

/* ---- the look ---- */

static int read_picks(struct look *l, struct wire *w)
{
	int r = 0;

	for (int i = 0; i < FRAME_SIDES && r == 0; i++) {
		l->side = (enum frame_side)i;
		r = wire_read(w, NFT_MSG_GETSETELEM, frame_nf_family(l->f), FRAME_TABLE,
		              frame_picks[i], some_picks, l);
	}
	return r;
}

static int read_all(struct look *l, struct wire *w)
{
	uint8_t family = frame_nf_family(l->f);
	int r = wire_read(w, NFT_MSG_GETTABLE, family, NULL, NULL, one_table, l);

	if (r < 0 || !l->table || !l->layout)
		return r;
	frame_each_set(l->f, count_set, l);
	r = wire_read(w, NFT_MSG_GETSET, family, FRAME_TABLE, NULL, one_set, l);
	if (r == 0)
		r = wire_read(w, NFT_MSG_GETCHAIN, family, NULL, NULL, one_chain, l);
	if (r < 0)
		return r;
	qsort(l->chains, l->n_chains, sizeof(*l->chains), by_name);
	r = wire_read(w, NFT_MSG_GETRULE, family, FRAME_TABLE, NULL, one_rule, l);
	if (r < 0 || l->sets_right < l->sets)
		return r;
	return read_picks(l, w);
}

static void count_missing(const char *name, void *arg)
{
	struct look *l = arg;
	const struct seen_chain *c = find_chain(l, name);

	l->layout = l->layout && c && c->base_right;
}

static size_t count_fixed(const struct frame *f)
{
	const char *chain;
	frame_kind kind;
	size_t n = 0;

	while (frame_fixed_kind(f, n, &kind, &chain))
		n++;
	return n * FRAME_SIDES;
}

/* Static chains: all there, with all their rules. */
static enum frame_state judge(struct look *l, struct wire *w)
{
	const struct frame_base *base;

	if (!l->table)
		return FRAME_ABSENT;
	if (!l->layout || l->sets_right < l->sets)
		return FRAME_FOREIGN;
	frame_each_chain(l->f, count_missing, l);
	for (size_t i = 0; (base = frame_base(l->f, i)); i++)
		count_missing(base->name, l);
	if (!l->layout)
		return FRAME_FOREIGN;
	frame_each_rule(l->f, w, wanted_rule, l);
	bool right = l->fixed == count_fixed(l->f);
	enum frame_side side;
	frame_kind kind;
	for (size_t i = 0; i < l->n_chains; i++) {
		const struct seen_chain *c = &l->chains[i];
		bool stranger = c->want == 0 && !find_base(l, c->name);
		if (!stranger && !frame_kind_parse(c->name, &side, &kind))
			right = right && c->have == c->want;
	}
	return right ? FRAME_RIGHT : FRAME_DAMAGED;
}

static bool kind_is_right(struct look *l, struct wire *w, const struct seen_kind *k)
{
	char name[FRAME_NAME_SIZE];
	bool right = k->picks == FRAME_SIDES;

	frame_each_kind_rule(l->f, w, k->kind, wanted_rule, l);
	for (int i = 0; i < FRAME_SIDES; i++) {
		frame_kind_name((enum frame_side)i, k->kind, name);
		const struct seen_chain *c = find_chain(l, name);
		right = right && c && c->base_right && c->have == c->want;
	}
	return right;
}

int frame_look(const struct frame *f, struct wire *w, frame_kind_fn *fn, void *arg,
               enum frame_state *ret_state, struct err *e)
{
	struct look l = { .f = f };
	int r = read_all(&l, w);

	if (r == 0) {
		*ret_state = judge(&l, w);
		for (size_t i = 0; i < l.n_kinds && *ret_state >= FRAME_DAMAGED; i++)
			fn(l.kinds[i].kind, kind_is_right(&l, w, &l.kinds[i]), arg);
	} else {
		err_set(e, r, ERR_SYSTEM, "nftables cannot be read: %s", strerror(-r));
	}
	free(l.chains);
	free(l.kinds);
	return r;
}

/* ---- elements ---- */

static bool copy_value(const struct nlattr *a, unsigned char *to, size_t size)
{
	const struct attributes t = nested(a);
	const struct nlattr *value = t.at[NFTA_DATA_VALUE];

	if (!value || mnl_attr_get_payload_len(value) != size)
		return false;
	memcpy(to, mnl_attr_get_payload(value), size);
	return true;
}

bool frame_read_pair(const struct nlattr *a, const struct frame_shape *shape, void *ret_key,
                     void *ret_value)
{
	const struct attributes e = nested(a);

	return copy_value(e.at[NFTA_SET_ELEM_KEY], ret_key, shape->key) &&
	       (shape->value == 0 || shape->intervals ||
	        copy_value(e.at[NFTA_SET_ELEM_DATA], ret_value, shape->value));
}

bool frame_read_element(const struct frame *f, enum frame_map map, const struct nlattr *a,
                        unsigned char ret_key[static FRAME_KEY_MAX],
                        unsigned char ret_value[static FRAME_VALUE_MAX], bool *ret_ends)
{
	const struct frame_shape shape = frame_shape(f->family, map);
	const struct attributes e = nested(a);
	uint32_t flags = e.at[NFTA_SET_ELEM_FLAGS] ? number_of(e.at[NFTA_SET_ELEM_FLAGS]) : 0;

	*ret_ends = flags & NFT_SET_ELEM_INTERVAL_END;
	return frame_read_pair(a, &shape, ret_key, ret_value);
}

struct walk {
	const struct frame *f;
	struct frame_list *l;
	frame_element_fn *fn;
	void *arg;
};

/*
 * The kernel lists intervals from the last to the first, and each from its end.  One without an end
 * or a beginning cannot be deleted by them.
 */
static void one_of_interval(const struct walk *at, const unsigned char *key, bool ends)
{
	struct frame_list *l = at->l;

	l->odd = l->odd || ends == l->in_interval;
	l->in_interval = ends;
	if (ends)
		memcpy(l->interval_end, key, sizeof(l->interval_end));
	else
		at->fn(FRAME_RANGES, key, l->interval_end, at->arg);
}

static void some_elements(const struct nlmsghdr *h, void *arg)
{
	const struct walk *at = arg;
	unsigned char key[FRAME_KEY_MAX], value[FRAME_VALUE_MAX];
	const struct attributes t = attributes_of(h);
	const struct nlattr *list = t.at[NFTA_SET_ELEM_LIST_ELEMENTS], *a;
	enum frame_map map = at->l->map;
	bool ends;

	if (!list)
		return;
	mnl_attr_for_each_nested(a, list) {
		if (!frame_read_element(at->f, map, a, key, value, &ends))
			at->l->odd = true;
		else if (map == FRAME_RANGES)
			one_of_interval(at, key, ends);
		else
			at->fn(map, key, value, at->arg);
	}
}

static int list_map(const struct frame *f, struct wire *w, enum frame_map map)
{
	return wire_list(w, NFT_MSG_GETSETELEM, frame_nf_family(f), FRAME_TABLE,
	                 frame_map_name(map));
}

int frame_list_begin(const struct frame *f, struct wire *w, struct frame_list *ret_list)
{
	*ret_list = (struct frame_list){ .map = (enum frame_map)0 };
	return list_map(f, w, ret_list->map);
}

int frame_list_step(const struct frame *f, struct wire *w, struct frame_list *l,
                    frame_element_fn *fn, void *arg)
{
	struct walk at = { f, l, fn, arg };
	int r = wire_step(w, some_elements, &at);

	if (r == -EAGAIN)
		return 1;
	if (r != 0 || ++l->map == FRAME_MAPS)
		return r;
	r = list_map(f, w, l->map);
	return r < 0 ? r : 1;
}
