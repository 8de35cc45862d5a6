/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model_private.h"
#include "cli/table.h"
#include "fairlead/mem.h"
#include "fairlead/reason.h"

/* ---- what is derived ---- */

static int by_key(const struct model_service *a, const struct model_service *b)
{
	int c = strcmp(a->namespace, b->namespace);

	return c ? c : strcmp(a->name, b->name);
}

static uint64_t pool_total(const struct config_pool *p)
{
	uint64_t total = 0;

	for (size_t i = 0; i < p->n_ranges; i++) {
		uint64_t n = addr_range_count(&p->ranges[i]);
		if (__builtin_add_overflow(total, n, &total))
			return UINT64_MAX;
	}
	return total;
}

/* Addresses of the pool that Services have, written by hand or not; one that two Services hold counts once. */
static uint64_t pool_used(const struct model *m, const struct config_pool *p)
{
	struct seen {
		struct addr addr;
		UT_hash_handle hh;
	} *seen = NULL, *one, *next;
	uint64_t used = 0;

	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; i < s->n_addresses; i++) {
			const struct addr *a = &s->addresses[i].address.addr;
			if (configuration_pool_of(m->config, a) != p)
				continue;
			HASH_FIND(hh, seen, a, sizeof(*a), one);
			if (one)
				continue;
			one = xcalloc(1, sizeof(*one));
			one->addr = *a;
			HASH_ADD(hh, seen, addr, sizeof(one->addr), one);
			used++;
		}
	HASH_ITER(hh, seen, one, next) {
		HASH_DEL(seen, one);
		free(one);
	}
	return used;
}

static const char *pool_name(const struct model *m, const struct addr *a)
{
	const struct config_pool *p = m->config ? configuration_pool_of(m->config, a) : NULL;

	return p ? p->name : "";
}

/* What an edit of the configuration left without a pool: the next such address behind s->addresses[*i], or NULL. */
static const struct addr *next_retained(const struct model *m, const struct model_service *s,
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

static const char *kind_name(const struct model *m, const struct model_address *a)
{
	return decide_kind_name(decide_kind_of(m->config, &a->address));
}

static int verdict_cmp(const void *a, const void *b)
{
	const struct verdict *va = a, *vb = b;
	int c = strcmp(va->node, vb->node);

	return c ? c : (int)va->protocol - (int)vb->protocol;
}

static void sort(struct model *m)
{
	HASH_SORT(m->services, by_key);
	for (struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; i < s->n_addresses; i++)
			if (s->addresses[i].n_verdicts)
				qsort(s->addresses[i].verdicts, s->addresses[i].n_verdicts,
				      sizeof(struct verdict), verdict_cmp);
}

static void put_announcers(const struct model_address *a, enum protocol protocol, struct buf *out)
{
	for (size_t i = 0; i < a->n_verdicts; i++)
		if (a->verdicts[i].announce && a->verdicts[i].protocol == protocol)
			buf_printf(out, "%s%s", out->size ? "," : "", a->verdicts[i].node);
}

/* The nodes that announce: by layer 2 it should be one.  Where both protocols do, "n3 (layer2) n1,n2,n3 (bgp)". */
static void put_owners(const struct model_address *a, struct buf *out)
{
	cleanup(buf_fini) struct buf layer2 = BUF_INIT, bgp = BUF_INIT;

	put_announcers(a, PROTOCOL_LAYER2, &layer2);
	put_announcers(a, PROTOCOL_BGP, &bgp);
	if (layer2.size && bgp.size)
		buf_printf(out, "%s (layer2) %s (bgp)", buf_str(&layer2), buf_str(&bgp));
	else
		buf_puts(out, layer2.size ? buf_str(&layer2) : buf_str(&bgp));
}

/* Who owns it by layer 2, before those who announce it by BGP. */
static const struct verdict *announcer(const struct model_address *a)
{
	const struct verdict *first = NULL;

	for (size_t i = 0; i < a->n_verdicts; i++) {
		const struct verdict *d = &a->verdicts[i];
		if (d->announce && (!first || d->protocol < first->protocol))
			first = d;
	}
	return first;
}

/*
 * Why nobody announces: "NoEndpoints: sentence" where all speakers say the same, else each reason with its nodes:
 * "NodeExcluded on n1; NoLocalEndpoint on n2, n3".
 */
static void put_reasons(const struct model_address *a, struct buf *out)
{
	bool same = true;

	if (!a->n_verdicts) {
		buf_puts(out, "no speaker told");
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

/* ---- text ---- */

static void protocols_text(const struct config_pool *p, struct buf *out)
{
	if (p->protocols & PROTOCOL_LAYER2)
		buf_puts(out, "layer2");
	if (p->protocols & PROTOCOL_BGP)
		buf_puts(out, out->size ? ",bgp" : "bgp");
}

static void uses_text(const struct config_pool *p, struct buf *out)
{
	if (p->uses & CONFIG_USE_LOAD_BALANCER)
		buf_puts(out, "load-balancer");
	if (p->uses & CONFIG_USE_EXTERNAL_IP)
		buf_puts(out, out->size ? ",external-ip" : "external-ip");
}

static void ranges_text(const struct config_pool *p, struct buf *out)
{
	char text[ADDR_RANGE_STR_SIZE];

	for (size_t i = 0; i < p->n_ranges; i++)
		buf_printf(out, "%s%s", i ? "," : "", addr_range_format(&p->ranges[i], text));
}

static void pools_text(const struct model *m, const char *indent, struct buf *out)
{
	static const char *const head[] = { "NAME",  "PROTOCOLS", "USE", "RANGES",
		                            "TOTAL", "USED",      "FREE" };
	cleanup(table_fini) struct table t;

	table_init(&t, ARRAY_LEN(head), head);
	for (size_t i = 0; i < m->config->n_pools; i++) {
		const struct config_pool *p = &m->config->pools[i];
		cleanup(buf_fini) struct buf protocols = BUF_INIT, uses = BUF_INIT;
		cleanup(buf_fini) struct buf ranges = BUF_INIT;
		uint64_t total = pool_total(p), used = pool_used(m, p);
		protocols_text(p, &protocols);
		uses_text(p, &uses);
		ranges_text(p, &ranges);
		table_cell(&t, "%s", p->name);
		table_cell(&t, "%s", buf_str(&protocols));
		table_cell(&t, "%s", buf_str(&uses));
		table_cell(&t, "%s", buf_str(&ranges));
		table_cell(&t, "%" PRIu64, total);
		table_cell(&t, "%" PRIu64, used);
		table_cell(&t, "%" PRIu64, total > used ? total - used : 0);
	}
	table_print(&t, indent, out);
}

static void retained_text(const struct model *m, const char *title, const char *indent,
                          struct buf *out)
{
	static const char *const head[] = { "ADDRESS", "FORMER POOL", "SERVICE" };
	cleanup(table_fini) struct table t;
	const struct config_pool *pool;
	const struct addr *a;
	bool any = false;

	table_init(&t, ARRAY_LEN(head), head);
	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; (a = next_retained(m, s, &i, &pool));) {
			any = true;
			table_cell(&t, "%s", addr_str(a));
			table_cell(&t, "%s", pool->name);
			table_cell(&t, "%s", s->key);
		}
	if (!any)
		return;
	buf_puts(out, title);
	table_print(&t, indent, out);
}

static void waiting_text(struct table *t, const struct model_service *s, const char *kind,
                         const char *reason, const char *message)
{
	table_cell(t, "%s", s->key);
	table_cell(t, "%s", "");
	table_cell(t, "%s", kind);
	table_cell(t, "%s", "");
	table_cell(t, "%s", "");
	table_cell(t, "%s%s%s", *reason ? reason : "no address yet", *message ? ": " : "", message);
}

static void services_text(const struct model *m, struct buf *out)
{
	static const char *const head[] = {
		"SERVICE", "ADDRESS", "KIND", "POOL", "OWNER", "REASON"
	};
	cleanup(table_fini) struct table t;

	table_init(&t, ARRAY_LEN(head), head);
	for (const struct model_service *s = m->services; s; s = s->hh.next) {
		/* Which class the controller handles is not known here, but whose turn it is may be told by it. */
		cleanup_free char *class =
			s->class ? xasprintf("of load balancer class %s", s->class) : NULL;
		if (s->waits)
			waiting_text(&t, s, "", s->reason,
			             class && !*s->reason ? class : s->message);
		if (s->external_waits)
			waiting_text(&t, s, "external-ip", s->external_reason, s->external_message);
		for (size_t i = 0; i < s->n_addresses; i++) {
			const struct model_address *a = &s->addresses[i];
			cleanup(buf_fini) struct buf owners = BUF_INIT, reasons = BUF_INIT;
			put_owners(a, &owners);
			if (owners.size)
				buf_puts(&reasons, reason_name(REASON_Announced));
			else
				put_reasons(a, &reasons);
			table_cell(&t, "%s", s->key);
			table_cell(&t, "%s", addr_str(&a->address.addr));
			table_cell(&t, "%s", kind_name(m, a));
			table_cell(&t, "%s", pool_name(m, &a->address.addr));
			table_cell(&t, "%s", buf_str(&owners));
			table_cell(&t, "%s", buf_str(&reasons));
		}
	}
	table_print(&t, "  ", out);
}

static void nodes_text(const struct model *m, struct buf *out)
{
	static const char *const head[] = { "NODE", "ADDRESS", "READY", "SPEAKER",  "GENERATION",
		                            "API",  "PROXY",   "PEERS", "ANNOUNCES" };
	cleanup(table_fini) struct table t;

	table_init(&t, ARRAY_LEN(head), head);
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_node *n = &m->nodes[i];
		table_cell(&t, "%s", n->name);
		table_cell(&t, "%s", addr_is_none(&n->addr) ? "" : addr_str(&n->addr));
		table_cell(&t, "%s", n->ready ? "yes" : "no");
		if (!n->answered) {
			table_cell(&t, "%s", n->error ? n->error : "not asked");
			for (int k = 0; k < 5; k++)
				table_cell(&t, "%s", "");
			continue;
		}
		table_cell(&t, "%s", n->version);
		table_cell(&t, "%" PRId64, n->generation);
		table_cell(&t, "%s", n->fresh ? "fresh" : "stale");
		table_cell(&t, "%s", n->proxy);
		table_cell(&t, "%zu of %zu", n->n_peers_alive, n->n_peers);
		table_cell(&t, "%zu", n->n_announced);
	}
	table_print(&t, "  ", out);
}

/* What speakers complain of; nothing where none does. */
static void troubles_text(const struct model *m, struct buf *out)
{
	static const char *const head[] = { "NODE", "INTERFACE", "REASON", "MESSAGE" };
	cleanup(table_fini) struct table t;
	size_t n = 0;

	table_init(&t, ARRAY_LEN(head), head);
	for (size_t i = 0; i < m->n_nodes; i++)
		for (size_t k = 0; k < m->nodes[i].n_troubles; k++, n++) {
			const struct model_trouble *l = &m->nodes[i].troubles[k];
			table_cell(&t, "%s", m->nodes[i].name);
			table_cell(&t, "%s", l->interface);
			table_cell(&t, "%s", l->reason);
			table_cell(&t, "%s", l->message);
		}
	if (n == 0)
		return;
	buf_puts(out, "\nProblems\n");
	table_print(&t, "  ", out);
}

void cluster_text(struct model *m, struct buf *out)
{
	sort(m);
	buf_printf(out, "Controller: %s%s\n", *m->leader ? "leader " : "nobody leads", m->leader);
	if (m->config)
		buf_printf(out, "Configuration: generation %" PRId64 "\n", m->generation);
	else if (!m->config_error)
		buf_puts(out, "Configuration: none was published yet\n");
	if (m->config_error)
		buf_printf(out, "Configuration: %s\n", m->config_error);
	if (m->config) {
		buf_puts(out, "\nPools\n");
		pools_text(m, "  ", out);
		retained_text(m, "\nRetained\n", "  ", out);
	}
	buf_puts(out, "\nServices\n");
	services_text(m, out);
	buf_puts(out, "\nNodes\n");
	nodes_text(m, out);
	troubles_text(m, out);
}

/* ---- JSON ---- */

static void put_str(struct buf *out, const char *key, const char *value)
{
	buf_json_str(out, key);
	buf_putc(out, ':');
	buf_json_str(out, value);
}

static void pools_json(const struct model *m, struct buf *out)
{
	for (size_t i = 0; m->config && i < m->config->n_pools; i++) {
		const struct config_pool *p = &m->config->pools[i];
		char text[ADDR_RANGE_STR_SIZE];
		uint64_t total = pool_total(p), used = pool_used(m, p);
		const char *comma = "";
		buf_puts(out, i ? ",{" : "{");
		put_str(out, "name", p->name);
		buf_puts(out, ",\"protocols\":[");
		if (p->protocols & PROTOCOL_LAYER2) {
			buf_puts(out, "\"layer2\"");
			comma = ",";
		}
		if (p->protocols & PROTOCOL_BGP)
			buf_printf(out, "%s\"bgp\"", comma);
		buf_puts(out, "],\"use\":[");
		comma = "";
		if (p->uses & CONFIG_USE_LOAD_BALANCER) {
			buf_puts(out, "\"load-balancer\"");
			comma = ",";
		}
		if (p->uses & CONFIG_USE_EXTERNAL_IP)
			buf_printf(out, "%s\"external-ip\"", comma);
		buf_puts(out, "],\"ranges\":[");
		for (size_t k = 0; k < p->n_ranges; k++) {
			if (k)
				buf_putc(out, ',');
			buf_json_str(out, addr_range_format(&p->ranges[k], text));
		}
		buf_printf(out,
		           "],\"auto_assign\":%s,\"total\":%" PRIu64 ",\"used\":%" PRIu64
		           ",\"free\":%" PRIu64 "}",
		           p->auto_assign ? "true" : "false", total, used,
		           total > used ? total - used : 0);
	}
}

static void address_json(const struct model *m, const struct model_address *a, struct buf *out)
{
	cleanup(buf_fini) struct buf reasons = BUF_INIT;
	const struct verdict *owner = announcer(a);

	put_reasons(a, &reasons);
	buf_putc(out, '{');
	put_str(out, "address", addr_str(&a->address.addr));
	buf_putc(out, ',');
	put_str(out, "kind", kind_name(m, a));
	buf_putc(out, ',');
	put_str(out, "pool", pool_name(m, &a->address.addr));
	buf_putc(out, ',');
	put_str(out, "owner", owner ? owner->node : "");
	buf_putc(out, ',');
	put_str(out, "interface", owner ? owner->interface : "");
	buf_putc(out, ',');
	put_str(out, "mac", owner ? owner->mac : "");
	buf_putc(out, ',');
	put_str(out, "reason", owner ? owner->reason : buf_str(&reasons));
	buf_puts(out, ",\"nodes\":[");
	for (size_t i = 0; i < a->n_verdicts; i++) {
		const struct verdict *d = &a->verdicts[i];
		buf_puts(out, i ? ",{" : "{");
		put_str(out, "node", d->node);
		buf_printf(out, ",\"protocol\":\"%s\",\"announce\":%s,", protocol_name(d->protocol),
		           d->announce ? "true" : "false");
		put_str(out, "reason", d->reason);
		buf_putc(out, ',');
		put_str(out, "message", d->message);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}");
}

static void retained_json(const struct model *m, struct buf *out)
{
	const struct config_pool *pool;
	const struct addr *a;
	bool any = false;

	for (const struct model_service *s = m->services; s; s = s->hh.next)
		for (size_t i = 0; (a = next_retained(m, s, &i, &pool)); any = true) {
			buf_puts(out, any ? ",{" : "{");
			put_str(out, "address", addr_str(a));
			buf_putc(out, ',');
			put_str(out, "pool", pool->name);
			buf_putc(out, ',');
			put_str(out, "service", s->key);
			buf_putc(out, '}');
		}
}

static void services_json(const struct model *m, struct buf *out)
{
	for (const struct model_service *s = m->services; s; s = s->hh.next) {
		buf_puts(out, s != m->services ? ",{" : "{");
		put_str(out, "namespace", s->namespace);
		buf_putc(out, ',');
		put_str(out, "name", s->name);
		buf_putc(out, ',');
		put_str(out, "reason", s->reason);
		buf_putc(out, ',');
		put_str(out, "message", s->message);
		if (s->external_waits || *s->external_reason) {
			buf_puts(out, ",\"external_ips\":{");
			put_str(out, "reason", s->external_reason);
			buf_putc(out, ',');
			put_str(out, "message", s->external_message);
			buf_putc(out, '}');
		}
		buf_puts(out, ",\"addresses\":[");
		for (size_t i = 0; i < s->n_addresses; i++) {
			if (i)
				buf_putc(out, ',');
			address_json(m, &s->addresses[i], out);
		}
		buf_puts(out, "]}");
	}
}

static void troubles_json(const struct model_node *n, struct buf *out)
{
	buf_puts(out, ",\"troubles\":[");
	for (size_t i = 0; i < n->n_troubles; i++) {
		buf_puts(out, i ? ",{" : "{");
		put_str(out, "interface", n->troubles[i].interface);
		buf_putc(out, ',');
		put_str(out, "reason", n->troubles[i].reason);
		buf_putc(out, ',');
		put_str(out, "message", n->troubles[i].message);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void nodes_json(const struct model *m, struct buf *out)
{
	for (size_t i = 0; i < m->n_nodes; i++) {
		const struct model_node *n = &m->nodes[i];
		buf_puts(out, i ? ",{" : "{");
		put_str(out, "name", n->name);
		buf_putc(out, ',');
		put_str(out, "address", addr_is_none(&n->addr) ? "" : addr_str(&n->addr));
		buf_printf(out, ",\"ready\":%s,\"speaker\":{\"reachable\":%s",
		           n->ready ? "true" : "false", n->answered ? "true" : "false");
		if (n->answered) {
			buf_putc(out, ',');
			put_str(out, "version", n->version);
			buf_printf(out, ",\"generation\":%" PRId64 ",\"fresh\":%s,", n->generation,
			           n->fresh ? "true" : "false");
			put_str(out, "proxy", n->proxy);
			buf_printf(out, ",\"announces\":%zu,\"peers\":%zu,\"peers_alive\":%zu",
			           n->n_announced, n->n_peers, n->n_peers_alive);
			troubles_json(n, out);
		} else {
			buf_putc(out, ',');
			put_str(out, "error", n->error ? n->error : "not asked");
		}
		buf_puts(out, "}}");
	}
}

void cluster_json(struct model *m, struct buf *out)
{
	sort(m);
	buf_puts(out, "{\"controller\":{");
	put_str(out, "leader", m->leader);
	buf_printf(out, "},\"config\":{\"generation\":%" PRId64 ",\"published\":%s", m->generation,
	           m->config ? "true" : "false");
	if (m->config_error) {
		buf_putc(out, ',');
		put_str(out, "error", m->config_error);
	}
	buf_puts(out, "},\"pools\":[");
	pools_json(m, out);
	buf_puts(out, "],\"retained\":[");
	retained_json(m, out);
	buf_puts(out, "],\"services\":[");
	services_json(m, out);
	buf_puts(out, "],\"nodes\":[");
	nodes_json(m, out);
	buf_puts(out, "]}\n");
}

void cluster_pools_text(const struct model *m, struct buf *out)
{
	if (!m->config) {
		buf_puts(out, "No configuration was published yet.\n");
		return;
	}
	pools_text(m, "", out);
	retained_text(m, "\nRetained: in use, and in no pool any more\n", "", out);
}

void cluster_pools_json(const struct model *m, struct buf *out)
{
	buf_putc(out, '[');
	pools_json(m, out);
	buf_puts(out, "]\n");
}
