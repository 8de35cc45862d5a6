/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/health.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define JSON "application/json"
#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"

/* ---- endpoints ---- */

static size_t unique(struct addr *addrs, size_t n)
{
	size_t kept = 0;

	addrs_sort(addrs, n);
	for (size_t i = 0; i < n; i++)
		if (!kept || !addr_eq(&addrs[kept - 1], &addrs[i]))
			addrs[kept++] = addrs[i];
	return kept;
}

size_t health_local_endpoints(const struct view_service *s, const char *node)
{
	cleanup_free struct addr *addrs = NULL;
	size_t n = 0, cap = 0;

	for (const struct view_slice *slice = s->n_cluster_ips ? s->slices : NULL; slice;
	     slice = slice->next) {
		if (slice->family != s->cluster_ips[0].family || !slice->n_ports)
			continue;
		for (size_t i = 0; i < slice->n_endpoints; i++) {
			const struct view_endpoint *ep = &slice->endpoints[i];
			if (!ep->ready || !ep->place->node || strcmp(ep->place->node, node) != 0)
				continue;
			ARRAY_RESERVE(addrs, cap, n + 1);
			addrs[n++] = ep->addr;
		}
	}
	return unique(addrs, n);
}

size_t health_told(size_t known, size_t wanted, bool applied)
{
	return applied || wanted < known ? wanted : known;
}

/* ---- addresses ---- */

/* One that nobody else can ask at is not listened on; nor can one be without its interface. */
static bool is_of_use(const struct addr *a)
{
	static const struct prefix no_use[] = {
		{ { .family = 4, .b = { 127 } }, 8 },
		{ { .family = 6, .b = { [15] = 1 } }, 128 },
		{ { .family = 6, .b = { 0xfe, 0x80 } }, 10 },
	};

	for (size_t i = 0; i < ARRAY_LEN(no_use); i++)
		if (prefix_contains(&no_use[i], a))
			return false;
	return true;
}

static bool is_chosen(const struct proxy_node *n, const struct addr *a)
{
	for (size_t i = 0; i < n->n_node_port_cidrs; i++)
		if (prefix_contains(&n->node_port_cidrs[i], a))
			return is_of_use(a);
	return false;
}

static bool has_all(const struct proxy_node *n, uint8_t family)
{
	for (size_t i = 0; i < n->n_node_port_cidrs; i++)
		if (n->node_port_cidrs[i].addr.family == family && !n->node_port_cidrs[i].len)
			return true;
	return false;
}

size_t health_addresses(const struct proxy_node *n, const struct addr *local, size_t n_local,
                        struct addr ret_addrs[static LIMIT_HEALTH_ADDRESSES], bool *ret_all)
{
	cleanup_free struct addr *found = xcalloc(n_local + 1, sizeof(*found));
	size_t n_found = 0;

	*ret_all = has_all(n, 4) && has_all(n, 6);
	for (size_t i = 0; i < n_local && !*ret_all; i++)
		if (has_all(n, local[i].family))
			found[n_found++] = (struct addr){ .family = local[i].family };
		else if (is_chosen(n, &local[i]))
			found[n_found++] = local[i];
	n_found = unique(found, n_found);
	for (size_t i = 0; i < n_found && i < LIMIT_HEALTH_ADDRESSES; i++)
		ret_addrs[i] = found[i];
	return n_found;
}

/* ---- the data plane ---- */

bool health_sync_look(struct health_sync *h, bool settled, int64_t last_success_ms, int64_t now_ms)
{
	if (settled)
		h->pending_since_ms = 0;
	else if (!h->pending_since_ms)
		h->pending_since_ms = now_ms;
	else if (last_success_ms > h->pending_since_ms)
		h->pending_since_ms = last_success_ms;
	return !h->pending_since_ms || now_ms - h->pending_since_ms < HEALTH_PENDING_MAX_MS;
}

/* ---- answers ---- */

static const char *word(bool yes)
{
	return yes ? "true" : "false";
}

/* Names of the API need no escapes. */
void health_answer_service(const struct health_service *h, struct http_answer *ret)
{
	ret->code = h->local_endpoints && h->healthy ? 200 : 503;
	ret->type = JSON;
	buf_printf(&ret->header, NOSNIFF "X-Load-Balancing-Endpoint-Weight: %zu\r\n",
	           h->local_endpoints);
	buf_printf(&ret->body,
	           "{\n"
	           "\t\"service\": {\n"
	           "\t\t\"namespace\": \"%s\",\n"
	           "\t\t\"name\": \"%s\"\n"
	           "\t},\n"
	           "\t\"localEndpoints\": %zu,\n"
	           "\t\"serviceProxyHealthy\": %s\n"
	           "}",
	           h->namespace, h->name, h->local_endpoints, word(h->healthy));
}

/* As Go writes it, RFC3339Nano: a fraction without zeros at its end. */
static void put_time(struct buf *out, const char *key, int64_t us)
{
	char text[CLOCK_RFC3339_SIZE], fraction[8];
	int len = snprintf(fraction, sizeof(fraction), ".%06" PRId64, us % 1000000);

	while (len && (fraction[len - 1] == '0' || fraction[len - 1] == '.'))
		fraction[--len] = '\0';
	clock_rfc3339(us, text);
	text[strcspn(text, "Z")] = '\0';
	buf_printf(out, "\"%s\":\"%s%sZ\"", key, text, fraction);
}

static void put_families(struct buf *out, const struct health_proxy *h)
{
	const struct {
		const char *name;
		bool is_there;
	} rows[] = { { "IPv4", h->v4 }, { "IPv6", h->v6 } };
	bool any = false;

	if (!h->v4 && !h->v6)
		return;
	buf_puts(out, ",\"status\":{");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].is_there)
			continue;
		buf_printf(out, "%s\"%s\":{", any ? "," : "", rows[i].name);
		put_time(out, "lastUpdated", h->updated_us);
		buf_printf(out, ",\"healthy\":%s}", word(h->healthy));
		any = true;
	}
	buf_puts(out, "}");
}

void health_answer_proxy(const char *path, const struct health_proxy *h, struct http_answer *ret)
{
	bool of_node = !strcmp(path, "/healthz");
	bool good = h->healthy && (!of_node || h->eligible);

	buf_puts(&ret->header, NOSNIFF);
	if (!of_node && strcmp(path, "/livez") != 0) {
		ret->code = 404;
		ret->type = "text/plain; charset=utf-8";
		buf_puts(&ret->body, "404 page not found\n");
		return;
	}
	ret->code = good ? 200 : 503;
	ret->type = JSON;
	buf_puts(&ret->body, "{");
	put_time(&ret->body, "lastUpdated", good ? h->now_us : h->updated_us);
	buf_puts(&ret->body, ",");
	put_time(&ret->body, "currentTime", h->now_us);
	if (of_node)
		buf_printf(&ret->body, ",\"nodeEligible\":%s", word(h->eligible));
	buf_printf(&ret->body, ",\"healthy\":%s", word(h->healthy));
	put_families(&ret->body, h);
	buf_puts(&ret->body, "}");
}
