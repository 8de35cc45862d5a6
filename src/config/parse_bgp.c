/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What peers and advertisements refer to by name, communities and BFD profiles; and router ids by
 * node.
 */
#include "config.h"

#include "config/parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* ---- bgp-communities ---- */

/* @n decimal numbers of at most @max, with colons between them; nothing else. */
static bool read_numbers(const char *s, size_t n, uint32_t max, uint32_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = 0;
		const char *start = s;
		for (; *s >= '0' && *s <= '9' && s - start < 11; s++)
			v = v * 10 + (uint64_t)(*s - '0');
		if (s == start || v > max || *s != (i + 1 < n ? ':' : '\0'))
			return false;
		ret[i] = (uint32_t)v;
		s++;
	}
	return true;
}

char *community_parse(const char *s)
{
	static const char large[] = "large:";
	uint32_t v[3];

	if (!strncmp(s, large, strlen(large)))
		return read_numbers(s + strlen(large), 3, UINT32_MAX, v)
		               ? xasprintf("large:%" PRIu32 ":%" PRIu32 ":%" PRIu32, v[0], v[1],
		                           v[2])
		               : NULL;
	return read_numbers(s, 2, UINT16_MAX, v) ? xasprintf("%" PRIu32 ":%" PRIu32, v[0], v[1])
	                                         : NULL;
}

static int alias_cmp(const void *key, const void *item)
{
	return strcmp(key, ((const struct config_community *)item)->name);
}

char *community_resolve(const struct draft *d, const char *s)
{
	const struct config_community *a =
		d->n_aliases ? bsearch(s, d->aliases, d->n_aliases, sizeof(*a), alias_cmp) : NULL;

	return a ? xstrdup(a->value) : community_parse(s);
}

/* Pairs come in the order of their names, so the array is sorted by itself. */
static void alias_pair(struct schema_ctx *x, const char *key, unsigned int line,
                       const struct ynode *node, void *target)
{
	struct draft *d = target;
	const char *s = schema_text(x, node);
	char *value = s ? community_parse(s) : NULL;

	(void)line;
	if (s && !value)
		schema_error(x, node->line,
		             "parsing community \"%.64s\": write two numbers up to 65535, such as "
		             "\"65535:65281\", or \"large:\" and three up to 4294967295, in quotes",
		             s);
	if (!value)
		return;
	ARRAY_RESERVE(d->aliases, d->cap_aliases, d->n_aliases + 1);
	d->aliases[d->n_aliases++] =
		(struct config_community){ .name = xstrdup(key), .value = value };
}

void parse_communities(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_pairs(x, node, CONFIG_COMMUNITIES_MAX, alias_pair, d);
}

/* ---- bgp-router-ids ---- */

bool is_router_id(const struct addr *a)
{
	return a->family == 4 && a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224;
}

/* Of two routers with one id each refuses the other's routes, or the session. */
static const struct config_router_id *same_id(const struct configuration *c, const struct addr *id)
{
	for (size_t i = 0; i < c->n_router_ids; i++)
		if (addr_eq(&c->router_ids[i].id, id))
			return &c->router_ids[i];
	return NULL;
}

static void router_id_pair(struct schema_ctx *x, const char *key, unsigned int line,
                           const struct ynode *node, void *target)
{
	struct draft *d = target;
	struct configuration *c = d->config;
	const char *s = schema_text(x, node);
	struct addr id;

	if (!s)
		return;
	if (!is_subdomain(key, strlen(key))) {
		schema_error(
			x, line,
			"is no Node's name: write it as \"kubectl get nodes\" does, in lower-case "
			"letters, digits, \"-\" and \".\"");
		return;
	}
	if (addr_parse(s, &id) < 0 || !is_router_id(&id)) {
		schema_error(x, node->line,
		             "invalid router ID \"%.64s\": write an IPv4 address from 1.0.0.0 to "
		             "223.255.255.255, and none of 127.0.0.0/8",
		             s);
		return;
	}
	const struct config_router_id *other = same_id(c, &id);
	if (other) {
		schema_error(x, node->line,
		             "router ID %s is also that of node %.64s, on line %u; give each node "
		             "its own",
		             addr_str(&id), other->node, other->line);
		return;
	}
	ARRAY_RESERVE(c->router_ids, d->cap_router_ids, c->n_router_ids + 1);
	c->router_ids[c->n_router_ids++] =
		(struct config_router_id){ .node = xstrdup(key), .id = id, .line = node->line };
}

/* Pairs come in the order of their names, so the array is sorted by itself. */
void parse_router_ids(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_pairs(x, node, CONFIG_ROUTER_IDS_MAX, router_id_pair, d);
}

static int router_id_cmp(const void *key, const void *item)
{
	return strcmp(key, ((const struct config_router_id *)item)->node);
}

const struct addr *configuration_router_id_of(const struct configuration *c, const char *node)
{
	const struct config_router_id *found =
		c->n_router_ids ? bsearch(node, c->router_ids, c->n_router_ids, sizeof(*found),
	                                  router_id_cmp)
				: NULL;

	return found ? &found->id : NULL;
}

/* ---- bfd-profiles ---- */

#define BFD_INTERVAL(field, ms)                                                \
	.type = &schema_others_int, .min = 10, .max = 60000, .by_default = ms, \
	.invalid = "invalid interval (milliseconds)",                          \
	SCHEMA_FIELD(struct config_bfd_profile, field)

/* The defaults are those of FRR's bfdd, which gives them. */
static const struct schema_key bfd_keys[] = {
	{ .name = "name",
	  .type = &schema_word,
	  .max = CONFIG_BFD_PROFILE_NAME_MAX,
	  .required = "missing bfd profile name; write name: NAME",
	  SCHEMA_FIELD(struct config_bfd_profile, name),
	  .doc = "No two profiles may have the same." },
	{ .name = "receive-interval",
	  BFD_INTERVAL(receive_interval_ms, 300),
	  .doc = "Milliseconds; the router is asked to send no more often." },
	{ .name = "transmit-interval",
	  BFD_INTERVAL(transmit_interval_ms, 300),
	  .doc = "Milliseconds between packets to the router." },
	{ .name = "detect-multiplier",
	  .type = &schema_others_int,
	  .min = 2,
	  .max = 255,
	  .by_default = 3,
	  .invalid = "invalid detect multiplier",
	  SCHEMA_FIELD(struct config_bfd_profile, detect_multiplier),
	  .doc = "How many packets may be missed before the session is down." },
	{ .name = "echo-interval",
	  BFD_INTERVAL(echo_interval_ms, 50),
	  .doc = "Milliseconds between echo packets, both ways." },
	{ .name = "echo-mode",
	  .type = &schema_bool,
	  SCHEMA_FIELD(struct config_bfd_profile, echo_mode),
	  .doc = "Echo packets are sent, too." },
	{ .name = "passive-mode",
	  .type = &schema_bool,
	  SCHEMA_FIELD(struct config_bfd_profile, passive_mode),
	  .doc = "The router begins." },
	{ .name = "minimum-ttl",
	  .type = &schema_others_int,
	  .min = 1,
	  .max = 254,
	  .by_default = 254,
	  .invalid = "invalid minimum ttl",
	  SCHEMA_FIELD(struct config_bfd_profile, minimum_ttl),
	  .doc = "Of packets from a router that is more than one hop away." },
};

const struct schema_table bfd_table = SCHEMA_TABLE("bfd-profiles", bfd_keys);

static void bfd_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct draft *d = target;
	struct configuration *c = d->config;
	struct config_bfd_profile profile = { 0 };

	schema_read(x, &bfd_table, node, &profile);
	for (size_t i = 0; profile.name && i < c->n_bfd_profiles; i++)
		if (c->bfd_profiles[i].name && !strcmp(c->bfd_profiles[i].name, profile.name)) {
			size_t mark = schema_enter_key(x, "name");
			schema_error(x, schema_line(node, "name"),
			             "found duplicate bfd profile name %.64s; give it another name",
			             profile.name);
			schema_leave(x, mark);
			break;
		}
	ARRAY_RESERVE(c->bfd_profiles, d->cap_bfd_profiles, c->n_bfd_profiles + 1);
	c->bfd_profiles[c->n_bfd_profiles++] = profile;
}

void parse_bfd_profiles(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_list(x, node, CONFIG_BFD_PROFILES_MAX, bfd_item, d);
}
