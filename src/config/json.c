/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as it is understood: what `fairlead config check -o json` prints. */
#include "config.h"

#include <inttypes.h>

#include "fairlead/configuration.h"

/* What FRR's bfdd takes where a profile says nothing. */
#define BFD_INTERVAL_MS 300
#define BFD_ECHO_INTERVAL_MS 50
#define BFD_DETECT_MULTIPLIER 3
#define BFD_MINIMUM_TTL 254

static void put_key(struct buf *out, const char *key)
{
	char last = out->size ? out->data[out->size - 1] : '{';

	if (last != '{')
		buf_putc(out, ',');
	buf_json_str(out, key);
	buf_putc(out, ':');
}

/* Before each item of a list or map. */
static void put_comma(struct buf *out, size_t i)
{
	if (i)
		buf_putc(out, ',');
}

static void put_str(struct buf *out, const char *key, const char *value)
{
	put_key(out, key);
	buf_json_str(out, value);
}

static void put_int(struct buf *out, const char *key, int64_t value)
{
	put_key(out, key);
	buf_printf(out, "%" PRId64, value);
}

static void put_bool(struct buf *out, const char *key, bool value)
{
	put_key(out, key);
	buf_puts(out, value ? "true" : "false");
}

static void put_addr(struct buf *out, const char *key, const struct addr *a)
{
	put_str(out, key, addr_is_none(a) ? NULL : addr_str(a));
}

static void put_seconds(struct buf *out, const char *key, uint32_t s)
{
	put_key(out, key);
	buf_printf(out, "\"%" PRIu32 "s\"", s);
}

static void put_strings(struct buf *out, const char *key, char *const *values, size_t n)
{
	put_key(out, key);
	buf_putc(out, '[');
	for (size_t i = 0; i < n; i++) {
		put_comma(out, i);
		buf_json_str(out, values[i]);
	}
	buf_putc(out, ']');
}

/* match-labels are expressions too, and come out as such. */
static void put_selector(struct buf *out, const struct label_selector *sel)
{
	static const char *const ops[] = { [LABEL_IN] = "In",
		                           [LABEL_NOT_IN] = "NotIn",
		                           [LABEL_EXISTS] = "Exists",
		                           [LABEL_DOES_NOT_EXIST] = "DoesNotExist" };

	buf_puts(out, "{\"match-expressions\":[");
	for (size_t i = 0; i < sel->n; i++) {
		const struct label_requirement *r = &sel->requirements[i];
		put_comma(out, i);
		buf_putc(out, '{');
		put_str(out, "key", r->key);
		put_str(out, "operator", ops[r->op]);
		put_strings(out, "values", r->values, r->n_values);
		buf_putc(out, '}');
	}
	buf_puts(out, "]}");
}

static void put_peer(struct buf *out, const struct config_peer *p)
{
	buf_putc(out, '{');
	put_int(out, "my-asn", p->my_asn);
	put_int(out, "peer-asn", p->peer_asn);
	put_addr(out, "peer-address", &p->address);
	put_addr(out, "source-address", &p->source_address);
	put_int(out, "peer-port", p->port);
	put_seconds(out, "hold-time", p->hold_time_s);
	put_seconds(out, "keepalive-time", p->keepalive_time_s);
	put_addr(out, "router-id", &p->router_id);
	put_key(out, "node-selectors");
	buf_putc(out, '[');
	for (size_t i = 0; i < p->n_node_selectors; i++) {
		put_comma(out, i);
		put_selector(out, &p->node_selectors[i]);
	}
	buf_putc(out, ']');
	put_str(out, "password", p->password && *p->password ? "***" : NULL);
	put_str(out, "password-secret", p->password_secret);
	put_str(out, "bfd-profile", p->bfd_profile);
	put_bool(out, "ebgp-multihop", p->ebgp_multihop);
	buf_putc(out, '}');
}

static void put_bfd_profile(struct buf *out, const struct config_bfd_profile *p)
{
	uint32_t receive = p->receive_interval_ms, transmit = p->transmit_interval_ms;

	buf_putc(out, '{');
	put_str(out, "name", p->name);
	put_int(out, "receive-interval", receive ? receive : BFD_INTERVAL_MS);
	put_int(out, "transmit-interval", transmit ? transmit : BFD_INTERVAL_MS);
	put_int(out, "detect-multiplier",
	        p->detect_multiplier ? p->detect_multiplier : BFD_DETECT_MULTIPLIER);
	put_int(out, "echo-interval",
	        p->echo_interval_ms ? p->echo_interval_ms : BFD_ECHO_INTERVAL_MS);
	put_bool(out, "echo-mode", p->echo_mode);
	put_bool(out, "passive-mode", p->passive_mode);
	put_int(out, "minimum-ttl", p->minimum_ttl ? p->minimum_ttl : BFD_MINIMUM_TTL);
	buf_putc(out, '}');
}

static void put_advertisement(struct buf *out, const struct config_advertisement *a)
{
	buf_putc(out, '{');
	put_int(out, "aggregation-length", a->aggregation_len);
	put_int(out, "aggregation-length-v6", a->aggregation_len_v6);
	put_int(out, "localpref", a->localpref);
	put_strings(out, "communities", a->communities, a->n_communities);
	buf_putc(out, '}');
}

static void put_protocols(struct buf *out, unsigned int protocols)
{
	bool both = protocols == (PROTOCOL_LAYER2 | PROTOCOL_BGP);

	put_key(out, "protocol");
	buf_printf(out, "[%s%s%s]", protocols & PROTOCOL_LAYER2 ? "\"layer2\"" : "",
	           both ? "," : "", protocols & PROTOCOL_BGP ? "\"bgp\"" : "");
}

static void put_ranges(struct buf *out, const char *key, const struct addr_range *ranges, size_t n)
{
	char text[ADDR_RANGE_STR_SIZE];

	put_key(out, key);
	buf_putc(out, '[');
	for (size_t i = 0; i < n; i++) {
		put_comma(out, i);
		buf_json_str(out, addr_range_format(&ranges[i], text));
	}
	buf_putc(out, ']');
}

static void put_pool(struct buf *out, const struct config_pool *p)
{
	static const struct config_advertisement plain = { .aggregation_len = 32,
		                                           .aggregation_len_v6 = 128 };

	buf_putc(out, '{');
	put_str(out, "name", p->name);
	put_protocols(out, p->protocols);
	put_ranges(out, "addresses", p->ranges, p->n_ranges);
	put_key(out, "use");
	buf_printf(out, "[%s%s%s]", p->uses & CONFIG_USE_LOAD_BALANCER ? "\"load-balancer\"" : "",
	           p->uses == (CONFIG_USE_LOAD_BALANCER | CONFIG_USE_EXTERNAL_IP) ? "," : "",
	           p->uses & CONFIG_USE_EXTERNAL_IP ? "\"external-ip\"" : "");
	put_bool(out, "avoid-buggy-ips", p->avoid_buggy_ips);
	put_bool(out, "auto-assign", p->auto_assign);
	put_key(out, "priority");
	if (p->has_priority)
		buf_printf(out, "%" PRId32, p->priority);
	else
		buf_puts(out, "null");
	if (p->n_renumber_services > 0)
		put_strings(out, "renumber", p->renumber_services, p->n_renumber_services);
	else if (p->renumber)
		put_bool(out, "renumber", true);
	put_key(out, "bgp-advertisements");
	buf_putc(out, '[');
	for (size_t i = 0; i < p->n_advertisements; i++) {
		put_comma(out, i);
		put_advertisement(out, &p->advertisements[i]);
	}
	if (p->n_advertisements == 0 && p->protocols & PROTOCOL_BGP)
		put_advertisement(out, &plain);
	buf_puts(out, "]}");
}

void configuration_json(const struct configuration *c, struct buf *out)
{
	buf_puts(out, "{\"peers\":[");
	for (size_t i = 0; i < c->n_peers; i++) {
		put_comma(out, i);
		put_peer(out, &c->peers[i]);
	}
	buf_puts(out, "],\"bgp-communities\":{");
	for (size_t i = 0; i < c->n_communities; i++)
		put_str(out, c->communities[i].name, c->communities[i].value);
	buf_puts(out, "},\"bfd-profiles\":[");
	for (size_t i = 0; i < c->n_bfd_profiles; i++) {
		put_comma(out, i);
		put_bfd_profile(out, &c->bfd_profiles[i]);
	}
	buf_puts(out, "],\"address-pools\":[");
	for (size_t i = 0; i < c->n_pools; i++) {
		put_comma(out, i);
		put_pool(out, &c->pools[i]);
	}
	buf_puts(out, "],\"external-ips\":{");
	put_ranges(out, "allow", c->external_ips_allow, c->n_external_ips_allow);
	put_strings(out, "namespaces", c->external_ips_namespaces, c->n_external_ips_namespaces);
	buf_puts(out, "}}");
}
