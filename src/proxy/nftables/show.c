/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper that has no kernel: it plans as any other, and what it would write is printed.
 */
#include "config.h"

#include "proxy/nftables/show.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/server.h"
#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/keeper_private.h"

static void put_element(const struct frame *f, enum frame_map map, const void *key,
                        const void *value, struct buf *out)
{
	buf_printf(out, "add element %s " FRAME_TABLE " %s { ", f->family == 4 ? "ip" : "ip6",
	           frame_map_name(map));
	frame_format_element(f->family, map, key, value, out);
	buf_puts(out, " }\n");
}

/* ---- virtual servers ---- */

_Static_assert(VIRTUAL_SCHEDULER_SIZE == TRAFFIC_SCHEDULER_SIZE, "names have room");

struct listing {
	const struct frame *f;
	struct buf *out;
	bool all;
	uint32_t mark;                          /* else of this one alone */
	char scheduler[VIRTUAL_SCHEDULER_SIZE]; /* of the last one */
};

/* "mh -b mh-fallback,mh-port" */
static void put_scheduler(const char *name, struct buf *out)
{
	uint32_t flags = server_scheduler_flags(name);

	buf_puts(out, name);
	if (flags & IPVS_FLAG_FALLBACK)
		buf_printf(out, " -b %s-fallback", name);
	if (flags & IPVS_FLAG_PORT)
		buf_printf(out, ",%s-port", name);
}

/* As ipvsadm-restore reads it, in comments of nft. */
static void put_virtual(const struct virtual_server *v, void *arg)
{
	struct listing *l = arg;
	const char *scheduler = *v->scheduler ? v->scheduler : VIRTUAL_SCHEDULER_DEFAULT;
	const char *six = v->id.family == 6 ? " -6" : "";

	if (!l->all && l->mark != v->id.mark)
		return;
	memcpy(l->scheduler, scheduler, strlen(scheduler) + 1);
	buf_printf(l->out, "# virtual server of set 0x%08x, scheduler %s:\n",
	           frame_virtual_set(l->f, v->id.mark), scheduler);
	buf_printf(l->out, "# ipvsadm: -A -f %u%s -s ", v->id.mark, six);
	put_scheduler(scheduler, l->out);
	buf_putc(l->out, '\n');
	for (size_t i = 0; i < v->n_endpoints; i++)
		buf_printf(l->out,
		           v->id.family == 6 ? "# ipvsadm: -a -f %u%s -r [%s]:%u -m -w 1\n"
		                             : "# ipvsadm: -a -f %u%s -r %s:%u -m -w 1\n",
		           v->id.mark, six, addr_str(&v->endpoints[i].addr), v->endpoints[i].port);
}

/* ---- a keeper without a kernel ---- */

static void begin(struct keeper *k, const struct frame *f, bool masquerade_all, struct listing *l)
{
	*k = (struct keeper){ .services.kind = &keeper_services_kind,
		              .frame = *f,
		              .show_virtual = put_virtual,
		              .show_arg = l };
	k->node.masquerade_all = masquerade_all;
	k->node.knows_pods = traffic_knows_pods(f->pods_by, &f->node, f->family);
	k->store = store_new(f->family, &keeper_store_ops, k);
	k->fronts = fronts_new();
}

static void end(struct keeper *k)
{
	struct keeper_service *s;
	struct keeper_kind *d, *next_kind;

	for (uint32_t at = 0; (s = table_next(&k->services, &at));)
		keeper_service_free(s);
	HASH_ITER(hh, k->kinds, d, next_kind) {
		HASH_DEL(k->kinds, d);
		free(d);
	}
	store_free(k->store);
	fronts_free(k->fronts);
}

static void plan(struct keeper *k, const struct proxy_half *half)
{
	struct keeper_service *s = keeper_service_new(k, half->key);

	keeper_want(s, spec_new_keyed(half, s->key));
	keeper_plan(s);
}

/* ---- all of them ---- */

struct printer {
	const struct frame *f;
	struct buf *out;
};

static bool no_kind(frame_kind kind, void *arg)
{
	(void)kind;
	(void)arg;
	return true;
}

static void put_some(enum frame_map map, bool add, const struct frame_element *elements, size_t n,
                     void *arg)
{
	const struct printer *p = arg;

	for (size_t i = 0; add && i < n; i++)
		put_element(p->f, map, elements[i].key, elements[i].value, p->out);
}

static int by_precedence(const void *a, const void *b)
{
	const struct proxy_half *const *x = a, *const *y = b;

	return traffic_precedence(*x, *y);
}

void show_elements(const struct frame *f, bool masquerade_all,
                   const struct proxy_half *const *halves, size_t n, struct buf *ret_text)
{
	const struct proxy_half **sorted = xmemdup(halves, n * sizeof(*sorted));
	struct printer p = { f, ret_text };
	struct listing l = { .f = f, .out = ret_text, .all = true };
	struct keeper k;

	begin(&k, f, masquerade_all, &l);
	if (n > 0)
		qsort(sorted, n, sizeof(*sorted), by_precedence);
	for (size_t i = 0; i < n; i++) {
		/* The key comes from a manifest, and must not end the comment. */
		cleanup_free char *plain = xstrdup(sorted[i]->key);
		buf_plain(plain);
		buf_printf(ret_text, "# %s\n", plain);
		plan(&k, sorted[i]);
		store_take(k.store, SIZE_MAX, no_kind, put_some, &p);
		store_wrote(k.store);
	}
	end(&k);
	free(sorted);
}

/* ---- what one packet meets ---- */

/* False: the map has nothing there. */
static bool put_if_there(const struct keeper *k, enum frame_map map, const unsigned char *key,
                         uint32_t *ret_value, struct buf *out)
{
	const void *value = store_value(k->store, map, key);

	if (!value)
		return false;
	memcpy(ret_value, value, sizeof(*ret_value));
	put_element(&k->frame, map, key, value, out);
	return true;
}

static void put_set(const struct keeper *k, uint32_t way, struct buf *out)
{
	const uint32_t set = way & FRAME_WAY_SET;
	unsigned char key[FRAME_KEY_MAX] = { 0 };
	uint32_t kind;

	memcpy(key, &set, sizeof(set));
	put_if_there(k, FRAME_SETS, key, &kind, out);
}

/* The virtual server of the way's set, where it has one. */
static void show_virtual(struct listing *l, bool masquerade_all, const struct proxy_half *s,
                         uint32_t way)
{
	struct keeper k;

	l->mark = frame_virtual_mark(l->f, way & FRAME_WAY_SET);
	begin(&k, l->f, masquerade_all, l);
	plan(&k, s);
	end(&k);
}

void show_caught(const struct frame *f, bool masquerade_all, const struct proxy_half *s,
                 const struct traffic_destination *d, struct packet_answer *answer)
{
	static const enum frame_map by_addr[] = { FRAME_SHORTCUTS, FRAME_WAYS };
	static const enum frame_map by_port[] = { FRAME_NODE_SHORTCUTS, FRAME_NODE_WAYS };
	struct buf *out = &answer->caught_by;
	unsigned char key[FRAME_KEY_MAX];
	struct listing none = { .out = NULL }; /* no mark is 0 */
	struct listing l = { .f = f, .out = out };
	struct keeper k;
	uint32_t value;

	begin(&k, f, masquerade_all, &none);
	plan(&k, s);
	plan_key(d, f->family, key);
	if (d->addr)
		put_if_there(&k, FRAME_RESTRICTED, key, &value, out);
	/* What comes from outside takes no short cut, and what takes one goes no other way. */
	for (int i = answer->origin == TRAFFIC_OUTSIDE; i < 2; i++)
		if (put_if_there(&k, d->addr ? by_addr[i] : by_port[i], key, &value, out)) {
			put_set(&k, value, out);
			show_virtual(&l, masquerade_all, s, value);
			break;
		}
	memcpy(answer->scheduler, l.scheduler, sizeof(answer->scheduler));
	end(&k);
}

void show_guarded(const struct frame *f, const struct addr *a, struct buf *ret_lines)
{
	unsigned char key[FRAME_KEY_MAX] = { 0 }, value[FRAME_VALUE_MAX] = { 0 };

	memcpy(key, a->b, addr_size(f->family));
	put_element(f, FRAME_GUARDED, key, value, ret_lines);
}
