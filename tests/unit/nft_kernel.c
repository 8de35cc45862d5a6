/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction is applied to a copy of all, which takes its place if everything went well. */
#include "config.h"

#include "nft_kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fairlead/mem.h"
#include "proxy/nftables/wire.h"
#include "virtual_loop.h"

#define ATTRIBUTES 32
#define IN_ONE_MESSAGE 16
#define MESSAGE_SIZE 8192

struct nft_kernel kernel;

/* What was said since wire_begin(). */
static struct nlmsghdr **said;
static size_t n_said, cap_said;

/* ---- attributes ---- */

struct parts {
	const struct nlattr *at[ATTRIBUTES];
};

static int note(const struct nlattr *a, void *arg)
{
	struct parts *p = arg;

	if (mnl_attr_get_type(a) < ATTRIBUTES)
		p->at[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static struct parts parts_of(const struct nlmsghdr *h)
{
	struct parts p = { .at = { NULL } };

	mnl_attr_parse(h, sizeof(struct nfgenmsg), note, &p);
	return p;
}

static struct parts inside(const struct nlattr *a)
{
	struct parts p = { .at = { NULL } };

	if (a)
		mnl_attr_parse_nested(a, note, &p);
	return p;
}

static const char *text(const struct nlattr *a)
{
	return a ? mnl_attr_get_str(a) : "";
}

static uint32_t number(const struct nlattr *a)
{
	return a ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static void set_name(char to[static FRAME_NAME_SIZE], const char *name)
{
	snprintf(to, FRAME_NAME_SIZE, "%s", name);
}

/* ---- what there is ---- */

static void free_chain(struct kernel_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->rules[i]);
	free(c->rules);
	free(c->made);
}

static void free_table(struct kernel_table *t)
{
	for (size_t i = 0; i < t->n_sets; i++) {
		free(t->sets[i].made);
		free(t->sets[i].elements);
	}
	for (size_t i = 0; i < t->n_chains; i++)
		free_chain(&t->chains[i]);
	free(t->sets);
	free(t->chains);
	free(t->made);
}

static void free_all(struct kernel_tables *all)
{
	for (size_t i = 0; i < all->n; i++)
		free_table(&all->list[i]);
	free(all->list);
	*all = (struct kernel_tables){ .n = 0 };
}

static struct nlmsghdr *copy_message(const struct nlmsghdr *h)
{
	return xmemdup(h, h->nlmsg_len);
}

static void copy_chain(struct kernel_chain *to, const struct kernel_chain *from)
{
	*to = *from;
	to->made = copy_message(from->made);
	to->cap = from->n;
	to->rules = xcalloc(from->n + 1, sizeof(struct nlmsghdr *));
	for (size_t i = 0; i < from->n; i++)
		to->rules[i] = copy_message(from->rules[i]);
}

static void copy_table(struct kernel_table *to, const struct kernel_table *from)
{
	*to = *from;
	to->made = copy_message(from->made);
	to->cap_sets = from->n_sets;
	to->cap_chains = from->n_chains;
	to->sets = xcalloc(from->n_sets + 1, sizeof(*to->sets));
	to->chains = xcalloc(from->n_chains + 1, sizeof(*to->chains));
	for (size_t i = 0; i < from->n_sets; i++) {
		to->sets[i] = from->sets[i];
		to->sets[i].made = copy_message(from->sets[i].made);
		to->sets[i].cap = from->sets[i].n;
		to->sets[i].elements = xcalloc(from->sets[i].n + 1, sizeof(struct kernel_element));
		if (from->sets[i].n > 0)
			memcpy(to->sets[i].elements, from->sets[i].elements,
			       from->sets[i].n * sizeof(struct kernel_element));
	}
	for (size_t i = 0; i < from->n_chains; i++)
		copy_chain(&to->chains[i], &from->chains[i]);
}

static struct kernel_tables copy_all(const struct kernel_tables *from)
{
	struct kernel_tables to = { .n = from->n, .cap = from->n };

	to.list = xcalloc(from->n + 1, sizeof(*to.list));
	for (size_t i = 0; i < from->n; i++)
		copy_table(&to.list[i], &from->list[i]);
	return to;
}

static struct kernel_table *table_in(const struct kernel_tables *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->list[i].name, name))
			return &all->list[i];
	return NULL;
}

static struct kernel_set *set_in(const struct kernel_table *t, const char *name)
{
	for (size_t i = 0; t && i < t->n_sets; i++)
		if (!strcmp(t->sets[i].name, name))
			return &t->sets[i];
	return NULL;
}

static struct kernel_chain *chain_in(const struct kernel_table *t, const char *name)
{
	for (size_t i = 0; t && i < t->n_chains; i++)
		if (!strcmp(t->chains[i].name, name))
			return &t->chains[i];
	return NULL;
}

/* ---- tables, sets and chains of a transaction ---- */

static int new_table(struct kernel_tables *all, const struct nlmsghdr *h, const struct parts *p)
{
	const char *name = text(p->at[NFTA_TABLE_NAME]);

	if (table_in(all, name))
		return h->nlmsg_flags & NLM_F_EXCL ? -EEXIST : 0;
	ARRAY_RESERVE(all->list, all->cap, all->n + 1);
	struct kernel_table *t = &all->list[all->n++];
	*t = (struct kernel_table){ .made = copy_message(h) };
	set_name(t->name, name);
	return 0;
}

static int delete_table(struct kernel_tables *all, const char *name)
{
	struct kernel_table *t = table_in(all, name);

	if (!t)
		return -ENOENT;
	free_table(t);
	*t = all->list[--all->n];
	return 0;
}

static int new_set(struct kernel_table *t, const struct nlmsghdr *h, const struct parts *p)
{
	const char *name = text(p->at[NFTA_SET_NAME]);
	struct kernel_set s = { .flags = number(p->at[NFTA_SET_FLAGS]),
		                .key_size = number(p->at[NFTA_SET_KEY_LEN]),
		                .value_size = number(p->at[NFTA_SET_DATA_LEN]) };

	if (set_in(t, name))
		return h->nlmsg_flags & NLM_F_EXCL ? -EEXIST : 0;
	ARRAY_RESERVE(t->sets, t->cap_sets, t->n_sets + 1);
	s.made = copy_message(h);
	set_name(s.name, name);
	t->sets[t->n_sets++] = s;
	return 0;
}

static int new_chain(struct kernel_table *t, const struct nlmsghdr *h, const char *name)
{
	struct kernel_chain c = { .n = 0 };

	if (chain_in(t, name))
		return h->nlmsg_flags & NLM_F_EXCL ? -EEXIST : 0;
	ARRAY_RESERVE(t->chains, t->cap_chains, t->n_chains + 1);
	c.made = copy_message(h);
	set_name(c.name, name);
	t->chains[t->n_chains++] = c;
	return 0;
}

static int delete_chain(struct kernel_table *t, const char *name)
{
	struct kernel_chain *c = chain_in(t, name);

	if (!c)
		return -ENOENT;
	for (size_t i = 0; i < t->n_sets; i++)
		for (size_t j = 0; j < t->sets[i].n; j++)
			if (!strcmp(t->sets[i].elements[j].chain, name))
				return -EBUSY;
	free_chain(c);
	*c = t->chains[--t->n_chains];
	return 0;
}

static int new_rule(struct kernel_chain *c, const struct nlmsghdr *h)
{
	if (!c)
		return -ENOENT;
	ARRAY_RESERVE(c->rules, c->cap, c->n + 1);
	c->rules[c->n++] = copy_message(h);
	return 0;
}

static int flush(struct kernel_chain *c)
{
	if (!c)
		return -ENOENT;
	while (c->n > 0)
		free(c->rules[--c->n]);
	return 0;
}

/* ---- elements of a transaction ---- */

/*
 * Elements are sorted; of two at one place, where an interval ends and where the next begins, in
 * this order.
 */
static int cmp(const struct kernel_element *a, const struct kernel_element *b)
{
	int r = memcmp(a->key, b->key, sizeof(a->key));

	if (r == 0)
		r = (int)b->ends - (int)a->ends;
	return r ? r : (int)a->catch_all - (int)b->catch_all;
}

/* Where it is, or should be. */
static size_t place(const struct kernel_set *s, const struct kernel_element *e)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (cmp(&s->elements[mid], e) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t find(const struct kernel_set *s, const void *key, bool ends)
{
	struct kernel_element e = { .ends = ends };

	memcpy(e.key, key, s->key_size);
	size_t i = place(s, &e);
	return i < s->n && cmp(&s->elements[i], &e) == 0 ? i : s->n;
}

static void insert(struct kernel_set *s, const struct kernel_element *e)
{
	size_t i = place(s, e);

	ARRAY_RESERVE(s->elements, s->cap, s->n + 1);
	memmove(&s->elements[i + 1], &s->elements[i], (s->n++ - i) * sizeof(*e));
	s->elements[i] = *e;
}

static void take_out(struct kernel_set *s, size_t i)
{
	memmove(&s->elements[i], &s->elements[i + 1], (--s->n - i) * sizeof(s->elements[0]));
}

static struct kernel_element read_element(const struct nlattr *a)
{
	const struct parts p = inside(a), key = inside(p.at[NFTA_SET_ELEM_KEY]);
	const struct parts data = inside(p.at[NFTA_SET_ELEM_DATA]);
	const struct parts verdict = inside(data.at[NFTA_DATA_VERDICT]);
	struct kernel_element e = {
		.ends = number(p.at[NFTA_SET_ELEM_FLAGS]) & NFT_SET_ELEM_INTERVAL_END,
		.code = (int32_t)number(verdict.at[NFTA_VERDICT_CODE]),
	};

	memcpy(e.key, mnl_attr_get_payload(key.at[NFTA_DATA_VALUE]),
	       mnl_attr_get_payload_len(key.at[NFTA_DATA_VALUE]));
	if (data.at[NFTA_DATA_VALUE])
		memcpy(e.value, mnl_attr_get_payload(data.at[NFTA_DATA_VALUE]),
		       mnl_attr_get_payload_len(data.at[NFTA_DATA_VALUE]));
	set_name(e.chain, text(verdict.at[NFTA_VERDICT_CHAIN]));
	return e;
}

static bool is_same(const struct kernel_element *a, const struct kernel_element *b)
{
	return !memcmp(a->value, b->value, sizeof(a->value)) && a->code == b->code &&
	       !strcmp(a->chain, b->chain);
}

static bool is_poisoned(const struct kernel_set *s, const struct kernel_element *e)
{
	return kernel.poisoned && !strcmp(kernel.poisoned, s->name) &&
	       (!kernel.poison_key || !memcmp(kernel.poison_key, e->key, s->key_size));
}

static int add_one(struct kernel_table *t, struct kernel_set *s, const struct kernel_element *e)
{
	size_t i = find(s, e->key, false);

	if (is_poisoned(s, e))
		return kernel.poison;
	if (*e->chain && !chain_in(t, e->chain))
		return -ENOENT;
	if (i < s->n)
		return is_same(&s->elements[i], e) ? 0 : -EBUSY;
	insert(s, e);
	kernel.n_added++;
	return 0;
}

static int delete_one(struct kernel_set *s, const struct kernel_element *e)
{
	size_t i = find(s, e->key, e->ends);

	if (i == s->n)
		return -ENOENT;
	take_out(s, i);
	kernel.n_deleted += !e->ends;
	return 0;
}

/* Where the interval that begins there ends: at the first end after it. */
static const struct kernel_element *end_of(const struct kernel_set *s,
                                           const struct kernel_element *begins)
{
	const struct kernel_element *end = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const struct kernel_element *e = &s->elements[i];
		if (e->ends && memcmp(e->key, begins->key, s->key_size) > 0 &&
		    (!end || memcmp(e->key, end->key, s->key_size) < 0))
			end = e;
	}
	return end;
}

static int add_interval(struct kernel_set *s, const struct kernel_element *begins,
                        const struct kernel_element *ends)
{
	if (is_poisoned(s, begins))
		return kernel.poison;
	if (memcmp(begins->key, ends->key, s->key_size) >= 0)
		return -EINVAL;
	for (size_t i = 0; i < s->n; i++) {
		const struct kernel_element *e = &s->elements[i];
		const struct kernel_element *end = e->ends ? NULL : end_of(s, e);
		if (e->ends || memcmp(e->key, ends->key, s->key_size) >= 0 ||
		    (end && memcmp(end->key, begins->key, s->key_size) <= 0))
			continue;
		bool same = end && !memcmp(e->key, begins->key, s->key_size) &&
		            !memcmp(end->key, ends->key, s->key_size);
		return same ? 0 : -ENOTEMPTY;
	}
	insert(s, begins);
	insert(s, ends);
	kernel.n_added++;
	return 0;
}

static int change_interval(struct kernel_set *s, bool add, const struct kernel_element *begins,
                           const struct kernel_element *ends)
{
	if (begins->ends || !ends->ends)
		return -EINVAL;
	if (add)
		return add_interval(s, begins, ends);
	int r = delete_one(s, begins);
	return r < 0 ? r : delete_one(s, ends);
}

static int change_elements(struct kernel_table *t, struct kernel_set *s, bool add,
                           const struct parts *p)
{
	struct kernel_element e, before = { .ends = true };
	bool half = false;
	const struct nlattr *a;
	int r = s ? 0 : -ENOENT;

	mnl_attr_for_each_nested(a, p->at[NFTA_SET_ELEM_LIST_ELEMENTS]) {
		if (r < 0)
			break;
		e = read_element(a);
		if (!(s->flags & NFT_SET_INTERVAL))
			r = add ? add_one(t, s, &e) : delete_one(s, &e);
		else if (half)
			r = change_interval(s, add, &before, &e);
		half = !half;
		before = e;
	}
	return r;
}

static int apply_one(struct kernel_tables *all, const struct nlmsghdr *h)
{
	const struct parts p = parts_of(h);
	const char *second = text(p.at[2]); /* of a set or a chain, but for new chains */
	int type = h->nlmsg_type & 0xff;
	struct kernel_table *t = table_in(all, text(p.at[NFTA_TABLE_NAME]));

	if (type == NFT_MSG_NEWTABLE)
		return new_table(all, h, &p);
	if (!t)
		return -ENOENT;
	switch (type) {
	case NFT_MSG_DELTABLE:
		return delete_table(all, t->name);
	case NFT_MSG_NEWSET:
		return new_set(t, h, &p);
	case NFT_MSG_NEWCHAIN:
		return new_chain(t, h, text(p.at[NFTA_CHAIN_NAME]));
	case NFT_MSG_DELCHAIN:
		return delete_chain(t, text(p.at[NFTA_CHAIN_NAME]));
	case NFT_MSG_NEWRULE:
		return new_rule(chain_in(t, second), h);
	case NFT_MSG_DELRULE:
		return flush(chain_in(t, second));
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		return change_elements(t, set_in(t, second), type == NFT_MSG_NEWSETELEM, &p);
	default:
		return -EOPNOTSUPP;
	}
}

static int apply(void)
{
	struct kernel_tables new = copy_all(&kernel.now);
	size_t n_added = kernel.n_added, n_deleted = kernel.n_deleted;
	int r = 0;

	for (size_t i = 0; i < n_said && r == 0; i++)
		r = apply_one(&new, said[i]);
	if (r < 0) {
		kernel.n_added = n_added;
		kernel.n_deleted = n_deleted;
		free_all(&new);
		return r;
	}
	free_all(&kernel.now);
	kernel.now = new;
	kernel.generation++;
	kernel.n_commits++;
	return 0;
}

/* ---- the wire: transactions ---- */

void __real_wire_begin(struct wire *w);
void __real_wire_added(struct wire *w, struct nlmsghdr *h);
void __wrap_wire_begin(struct wire *w);
void __wrap_wire_added(struct wire *w, struct nlmsghdr *h);
int __wrap_wire_commit(struct wire *w, struct err *e);
int __wrap_wire_list(struct wire *w, int type, uint8_t family, const char *table, const char *set);
int __wrap_wire_step(struct wire *w, datagram_fn *fn, void *arg);
int __wrap_wire_read(struct wire *w, int type, uint8_t family, const char *table, const char *set,
                     datagram_fn *fn, void *arg);

static void forget(struct nlmsghdr ***list, size_t *n)
{
	while (*n > 0)
		free((*list)[--*n]);
}

void __wrap_wire_begin(struct wire *w)
{
	forget(&said, &n_said);
	__real_wire_begin(w);
}

void __wrap_wire_added(struct wire *w, struct nlmsghdr *h)
{
	ARRAY_RESERVE(said, cap_said, n_said + 1);
	said[n_said++] = copy_message(h);
	__real_wire_added(w, h);
}

static bool is_probe(void)
{
	return n_said > 0 && !strcmp(text(parts_of(said[0]).at[NFTA_TABLE_NAME]), "fairlead-probe");
}

static int commit(void)
{
	if (kernel.dead)
		return -EIO;
	if (is_probe())
		return 0;
	int error = kernel.n_errors > 0 ? kernel.error : 0;
	kernel.n_errors -= kernel.n_errors > 0;
	if (error < 0 && !kernel.errors_take_effect)
		return error;
	int r = apply();
	if (r < 0)
		return r;
	if (kernel.committed)
		kernel.committed();
	if (kernel.life > 0 && --kernel.life == 0)
		kernel.dead = true;
	return error;
}

int __wrap_wire_commit(struct wire *w, struct err *e)
{
	(void)w;
	int r = commit();

	if (r == 0)
		return 0;
	kernel.n_refused++;
	return err_set(e, r, ERR_SYSTEM, "the kernel refuses: %s", strerror(-r));
}

/* ---- the wire: lists ---- */

static struct {
	struct nlmsghdr **list;
	size_t n, cap, next;
	uint64_t generation;
	bool interrupted;
} answer;

static void answers(struct nlmsghdr *h)
{
	ARRAY_RESERVE(answer.list, answer.cap, answer.n + 1);
	answer.list[answer.n++] = h;
}

static struct nlmsghdr *begin_message(int type)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(xcalloc(1, MESSAGE_SIZE));

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	mnl_nlmsg_put_extra_header(h, sizeof(struct nfgenmsg));
	return h;
}

/* The kernel leaves flags out if there are none. */
static void tell_set(const struct kernel_set *s)
{
	struct nlmsghdr *h = begin_message(NFT_MSG_NEWSET);
	const struct nlattr *a;

	mnl_attr_for_each(a, s->made, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(a) != NFTA_SET_FLAGS || s->flags)
			mnl_attr_put(h, mnl_attr_get_type(a), mnl_attr_get_payload_len(a),
			             mnl_attr_get_payload(a));
	answers(h);
}

static void put_data(struct nlmsghdr *h, const struct kernel_set *s, const struct kernel_element *e)
{
	struct nlattr *data = mnl_attr_nest_start(h, NFTA_SET_ELEM_DATA);

	if (s->value_size > 0) {
		mnl_attr_put(h, NFTA_DATA_VALUE, s->value_size, e->value);
	} else {
		struct nlattr *verdict = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);
		mnl_attr_put_u32(h, NFTA_VERDICT_CODE, htonl((uint32_t)e->code));
		if (*e->chain)
			mnl_attr_put_strz(h, NFTA_VERDICT_CHAIN, e->chain);
		mnl_attr_nest_end(h, verdict);
	}
	mnl_attr_nest_end(h, data);
}

static void put_element(struct nlmsghdr *h, const struct kernel_set *s,
                        const struct kernel_element *e)
{
	struct nlattr *element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
	uint32_t flags = (e->ends ? NFT_SET_ELEM_INTERVAL_END : 0) |
	                 (e->catch_all ? NFT_SET_ELEM_CATCHALL : 0);

	if (!e->catch_all) {
		struct nlattr *key = mnl_attr_nest_start(h, NFTA_SET_ELEM_KEY);
		mnl_attr_put(h, NFTA_DATA_VALUE, s->key_size, e->key);
		mnl_attr_nest_end(h, key);
	}
	if (s->flags & NFT_SET_MAP)
		put_data(h, s, e);
	if (flags)
		mnl_attr_put_u32(h, NFTA_SET_ELEM_FLAGS, htonl(flags));
	mnl_attr_nest_end(h, element);
}

/* Intervals from the last to the first, all else in any order. */
static const struct kernel_element *nth_told(const struct kernel_set *s, size_t i, size_t first)
{
	return &s->elements[s->flags & NFT_SET_INTERVAL ? s->n - 1 - i : (i + first) % s->n];
}

static void tell_elements(const struct kernel_table *t, const struct kernel_set *s)
{
	size_t first = virtual_random(s->n);

	for (size_t i = 0; i < s->n;) {
		struct nlmsghdr *h = begin_message(NFT_MSG_NEWSETELEM);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, t->name);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, s->name);
		struct nlattr *list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (size_t j = 0; j < IN_ONE_MESSAGE && i < s->n; i++, j++)
			put_element(h, s, nth_told(s, i, first));
		mnl_attr_nest_end(h, list);
		answers(h);
	}
}

static void tell_chains(const struct kernel_table *t, bool rules)
{
	for (size_t i = 0; i < t->n_chains; i++) {
		if (!rules)
			answers(copy_message(t->chains[i].made));
		for (size_t j = 0; rules && j < t->chains[i].n; j++)
			answers(copy_message(t->chains[i].rules[j]));
	}
}

static int tell(int type, const struct kernel_table *t, const char *set)
{
	const struct kernel_set *s = set ? set_in(t, set) : NULL;

	switch (type) {
	case NFT_MSG_GETTABLE:
		answers(copy_message(t->made));
		return 0;
	case NFT_MSG_GETSET:
		for (size_t i = 0; i < t->n_sets; i++)
			tell_set(&t->sets[i]);
		return 0;
	case NFT_MSG_GETCHAIN:
	case NFT_MSG_GETRULE:
		tell_chains(t, type == NFT_MSG_GETRULE);
		return 0;
	case NFT_MSG_GETSETELEM:
		if (s)
			tell_elements(t, s);
		return s ? 0 : -ENOENT;
	default:
		return -EOPNOTSUPP;
	}
}

int __wrap_wire_list(struct wire *w, int type, uint8_t family, const char *table, const char *set)
{
	(void)w;
	(void)family;
	int r = 0;

	forget(&answer.list, &answer.n);
	answer.next = 0;
	answer.generation = kernel.generation;
	answer.interrupted = kernel.n_interrupted > 0;
	kernel.n_interrupted -= answer.interrupted;
	if (kernel.dead)
		return -EIO;
	if (set)
		virtual_loop_spend(kernel.list_ms);
	if (table)
		return table_in(&kernel.now, table) ? tell(type, table_in(&kernel.now, table), set)
		                                    : -ENOENT;
	for (size_t i = 0; i < kernel.now.n && r == 0; i++)
		r = tell(type, &kernel.now.list[i], set);
	return r;
}

int __wrap_wire_step(struct wire *w, datagram_fn *fn, void *arg)
{
	(void)w;
	if (kernel.slow && virtual_random(4) == 0)
		virtual_loop_spend(3);
	if (kernel.dead)
		return -EIO;
	if (kernel.slow && virtual_random(8) == 0)
		return -EAGAIN;
	if (answer.generation != kernel.generation ||
	    (answer.interrupted && answer.next >= answer.n / 2))
		return -EINTR;
	if (answer.next == answer.n)
		return 0;
	fn(answer.list[answer.next++], arg);
	return 1;
}

int __wrap_wire_read(struct wire *w, int type, uint8_t family, const char *table, const char *set,
                     datagram_fn *fn, void *arg)
{
	int r = __wrap_wire_list(w, type, family, table, set);

	if (r < 0)
		return r;
	do
		r = __wrap_wire_step(w, fn, arg);
	while (r == 1 || r == -EAGAIN);
	return r;
}

/* ---- somebody else ---- */

void nft_kernel_init(void)
{
	static const char *const like_ours[] = { "prerouting", "pods", "near-3" };
	struct nlmsghdr *h = begin_message(NFT_MSG_NEWTABLE);

	nft_kernel_fini();
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, "stranger");
	apply_one(&kernel.now, h);
	free(h);
	for (size_t i = 0; i < ARRAY_LEN(like_ours); i++) {
		h = begin_message(NFT_MSG_NEWCHAIN);
		mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, "stranger");
		mnl_attr_put_strz(h, NFTA_CHAIN_NAME, like_ours[i]);
		apply_one(&kernel.now, h);
		free(h);
	}
}

void nft_kernel_fini(void)
{
	free_all(&kernel.now);
	forget(&said, &n_said);
	forget(&answer.list, &answer.n);
	free(TAKE(said));
	free(TAKE(answer.list));
	cap_said = answer.cap = answer.next = 0;
	kernel = (struct nft_kernel){ .generation = 1 };
}

struct kernel_table *nft_kernel_table(const char *name)
{
	return table_in(&kernel.now, name);
}

struct kernel_set *nft_kernel_set(const char *name)
{
	return set_in(nft_kernel_table(FRAME_TABLE), name);
}

struct kernel_chain *nft_kernel_chain(const char *name)
{
	return chain_in(nft_kernel_table(FRAME_TABLE), name);
}

struct kernel_element *nft_kernel_find(const struct kernel_set *s, const void *key, bool ends)
{
	size_t i = s ? find(s, key, ends) : 0;

	return s && i < s->n ? &s->elements[i] : NULL;
}

void nft_kernel_add(struct kernel_set *s, const struct kernel_element *e)
{
	kernel.generation++;
	insert(s, e);
}

void nft_kernel_delete(struct kernel_set *s, size_t i)
{
	kernel.generation++;
	take_out(s, i);
}

void nft_kernel_delete_rule(struct kernel_chain *c, size_t i)
{
	kernel.generation++;
	free(c->rules[i]);
	memmove(&c->rules[i], &c->rules[i + 1], (--c->n - i) * sizeof(struct nlmsghdr *));
}

void nft_kernel_delete_chain(const char *name)
{
	kernel.generation++;
	delete_chain(nft_kernel_table(FRAME_TABLE), name);
}

void nft_kernel_delete_table(const char *name)
{
	kernel.generation++;
	delete_table(&kernel.now, name);
}

static uint64_t mix(uint64_t h, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

uint64_t nft_kernel_others(void)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < kernel.now.n; i++) {
		const struct kernel_table *t = &kernel.now.list[i];
		if (!strcmp(t->name, FRAME_TABLE))
			continue;
		h = mix(h, t->made, t->made->nlmsg_len);
		for (size_t j = 0; j < t->n_chains; j++) {
			const struct kernel_chain *c = &t->chains[j];
			h = mix(h, c->made, c->made->nlmsg_len);
			for (size_t k = 0; k < c->n; k++)
				h = mix(h, c->rules[k], c->rules[k]->nlmsg_len);
		}
	}
	return h;
}
