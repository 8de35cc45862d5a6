/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "config/parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

#define PEER_PORT_DEFAULT 179
#define SECRET_KEY_MAX 253
#define HOLD_TIME_DEFAULT_S 90
#define HOLD_TIME_MIN_S 3
#define HOLD_TIME_MAX_S UINT16_MAX /* RFC 4271, 4.2: two octets */
#define NS_PER_S 1000000000

struct peer_target {
	struct config_peer peer;
	bool has_hold, has_keepalive;
	unsigned int keepalive_line, multihop_line, bfd_line, secret_line, source_line;
};

/* ---- times ---- */

/* Whole seconds of a Go duration, as the old daemon cut them. */
static bool read_seconds(struct schema_ctx *x, const char *what, const struct ynode *node,
                         int64_t *ret_s)
{
	const char *s = schema_text(x, node);
	int64_t ns;

	if (!s || !s[0])
		return false;
	if (duration_parse(s, &ns) < 0) {
		bool bare = s[strspn(s, "0123456789")] == '\0';
		schema_error(x, node->line,
		             "invalid %s \"%.64s\": write a number with its unit, such as %.20s%s",
		             what, s, bare ? s : "90", "s");
		return false;
	}
	*ret_s = ns / NS_PER_S;
	if (ns != 0 && *ret_s == 0)
		schema_warning(x, node->line,
		               "\"%.64s\" is cut to whole seconds and so counts as 0", s);
	return true;
}

static void set_hold(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                     void *target)
{
	struct peer_target *t = target;
	int64_t s;

	(void)key;
	if (!read_seconds(x, "hold time", node, &s))
		return;
	if (s != 0 && (s < HOLD_TIME_MIN_S || s > HOLD_TIME_MAX_S)) {
		schema_error(x, node->line,
		             "invalid hold time \"%.64s\": must be 0 or >=3s, and at most %ds",
		             node->text, HOLD_TIME_MAX_S);
		return;
	}
	t->has_hold = true;
	t->peer.hold_time_s = (uint32_t)s;
}

static void set_keepalive(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *target)
{
	struct peer_target *t = target;
	int64_t s;

	(void)key;
	if (!read_seconds(x, "keepaliveTime", node, &s))
		return;
	if (s < 0 || s > HOLD_TIME_MAX_S) {
		schema_error(x, node->line, "invalid keepaliveTime \"%.64s\": write 0s to %ds",
		             node->text, HOLD_TIME_MAX_S);
		return;
	}
	t->has_keepalive = true;
	t->keepalive_line = node->line;
	t->peer.keepalive_time_s = (uint32_t)s;
}

static void settle_times(struct schema_ctx *x, struct peer_target *t)
{
	struct config_peer *p = &t->peer;

	if (!t->has_hold)
		p->hold_time_s = HOLD_TIME_DEFAULT_S;
	if (!t->has_keepalive) {
		p->keepalive_time_s = p->hold_time_s / 3;
	} else if (p->keepalive_time_s > p->hold_time_s) {
		size_t mark = schema_enter_key(x, "keepalive-time");
		schema_error(x, t->keepalive_line,
		             "invalid keepaliveTime \"%us\": must be at most the hold time, %us",
		             p->keepalive_time_s, p->hold_time_s);
		schema_leave(x, mark);
	}
}

/* ---- node-selectors (metav1.LabelSelector) ---- */

/* Letters and digits at both ends, "-_." besides in between; at most 63. */
static bool is_label_name(const char *s, size_t n)
{
	if (n == 0 || n > 63 || !isalnum((unsigned char)s[0]) || !isalnum((unsigned char)s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

/* A DNS subdomain: lower-case labels with dots. */
static bool is_subdomain(const char *s, size_t n)
{
	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool alnum = islower((unsigned char)s[i]) || isdigit((unsigned char)s[i]);
		bool edge = i == 0 || i == n - 1 || s[i - 1] == '.' || s[i + 1] == '.';
		if (!alnum && (edge || (s[i] != '-' && s[i] != '.')))
			return false;
	}
	return true;
}

static bool is_label_key(const char *s)
{
	const char *slash = strchr(s, '/');
	if (!slash)
		return is_label_name(s, strlen(s));
	return is_subdomain(s, (size_t)(slash - s)) && is_label_name(slash + 1, strlen(slash + 1));
}

static struct label_requirement *requirement_new(struct label_selector *sel, const char *key,
                                                 enum label_op op)
{
	sel->requirements =
		xreallocarray(sel->requirements, sel->n + 1, sizeof(*sel->requirements));
	struct label_requirement *r = &sel->requirements[sel->n++];
	*r = (struct label_requirement){ .key = xstrdup(key), .op = op };
	return r;
}

static void requirement_add_value(struct label_requirement *r, const char *value)
{
	r->values = xreallocarray(r->values, r->n_values + 1, sizeof(*r->values));
	r->values[r->n_values++] = xstrdup(value);
}

/* The value of a label; null is an empty one. */
static const char *label_value(struct schema_ctx *x, const struct ynode *node)
{
	const char *s = ynode_is_null(node) ? "" : schema_text(x, node);
	if (s && s[0] && !is_label_name(s, strlen(s))) {
		schema_error(x, node->line, "parsing node selector: \"%.64s\" is no label value",
		             s);
		return NULL;
	}
	return s;
}

static void match_label(struct schema_ctx *x, const char *key, unsigned int line,
                        const struct ynode *node, void *target)
{
	const char *value = label_value(x, node);
	if (!is_label_key(key))
		schema_error(x, line, "parsing node selector: \"%.64s\" is no label key", key);
	else if (value)
		requirement_add_value(requirement_new(target, key, LABEL_IN), value);
}

static void set_match_labels(struct schema_ctx *x, const struct schema_key *key,
                             const struct ynode *node, void *target)
{
	(void)key;
	schema_pairs(x, node, CONFIG_SELECTORS_MAX, match_label, target);
}

struct expression_target {
	char *key;
	const char *op;
	size_t n_values;                 /* that were written */
	struct label_requirement values; /* only these: those that are right */
};

static void value_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct expression_target *t = target;
	const char *s = label_value(x, node);

	t->n_values++;
	if (s)
		requirement_add_value(&t->values, s);
}

static void set_values(struct schema_ctx *x, const struct schema_key *key, const struct ynode *node,
                       void *target)
{
	(void)key;
	schema_list(x, node, CONFIG_SELECTORS_MAX, value_item, target);
}

static void set_operator(struct schema_ctx *x, const struct schema_key *key,
                         const struct ynode *node, void *target)
{
	struct expression_target *t = target;
	(void)key;
	t->op = schema_text(x, node);
}

static const struct schema_key expression_keys[] = {
	{ .name = "key",
	  .set = schema_set_string,
	  .required = "parsing node selector: the expression has no key; write key: LABEL",
	  SCHEMA_FIELD(struct expression_target, key) },
	{ .name = "operator",
	  .set = set_operator,
	  .required =
	          "parsing node selector: the expression has no operator; write In, NotIn, Exists "
	          "or DoesNotExist" },
	{ .name = "values", .set = set_values },
};

static void __attribute__((format(printf, 4, 5)))
expression_error(struct schema_ctx *x, const struct ynode *node, const char *key, const char *fmt,
                 ...)
{
	cleanup(buf_fini) struct buf why = BUF_INIT;
	size_t mark = schema_enter_key(x, key);
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&why, fmt, ap);
	va_end(ap);
	schema_error(x, schema_line(node, key), "parsing node selector: %s", buf_str(&why));
	schema_leave(x, mark);
}

/* The operator's rule for values; false, and reported, where it is broken. */
static bool settle_expression(struct schema_ctx *x, const struct expression_target *t,
                              const struct ynode *node, enum label_op *ret_op)
{
	static const struct {
		const char *name;
		enum label_op op;
		bool wants_values;
	} ops[] = {
		{ "In", LABEL_IN, true },
		{ "NotIn", LABEL_NOT_IN, true },
		{ "Exists", LABEL_EXISTS, false },
		{ "DoesNotExist", LABEL_DOES_NOT_EXIST, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		if (strcmp(ops[i].name, t->op) != 0)
			continue;
		*ret_op = ops[i].op;
		if (ops[i].wants_values == (t->n_values > 0))
			return true;
		expression_error(x, node, "values", "operator %s %s values", t->op,
		                 ops[i].wants_values ? "needs" : "takes no");
		return false;
	}
	expression_error(x, node, "operator",
	                 "\"%.64s\" is not a valid operator; write In, NotIn, Exists or "
	                 "DoesNotExist",
	                 t->op);
	return false;
}

static void expression_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct expression_target t = { 0 };
	enum label_op op;

	schema_map(x, expression_keys, ARRAY_LEN(expression_keys), node, &t);
	if (t.key && !is_label_key(t.key)) {
		expression_error(x, node, "key", "\"%.64s\" is no label key", t.key);
	} else if (t.key && t.op && settle_expression(x, &t, node, &op)) {
		struct label_requirement *r = requirement_new(target, t.key, op);
		r->values = TAKE(t.values.values);
		r->n_values = t.values.n_values;
	}
	for (size_t i = 0; t.values.values && i < t.values.n_values; i++)
		free(t.values.values[i]);
	free(t.values.values);
	free(t.key);
}

static void set_match_expressions(struct schema_ctx *x, const struct schema_key *key,
                                  const struct ynode *node, void *target)
{
	(void)key;
	schema_list(x, node, CONFIG_SELECTORS_MAX, expression_item, target);
}

static const struct schema_key selector_keys[] = {
	{ .name = "match-labels", .set = set_match_labels },
	{ .name = "match-expressions", .set = set_match_expressions },
};

static void selector_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct config_peer *p = target;
	struct label_selector *sel = &p->node_selectors[p->n_node_selectors++];
	schema_map(x, selector_keys, ARRAY_LEN(selector_keys), node, sel);
}

static void set_node_selectors(struct schema_ctx *x, const struct schema_key *key,
                               const struct ynode *node, void *target)
{
	struct config_peer *p = target;
	(void)key;
	p->node_selectors = xcalloc(node->n_entries + 1, sizeof(*p->node_selectors));
	schema_list(x, node, CONFIG_SELECTORS_MAX, selector_item, p);
}

/* ---- peers ---- */

static void set_bfd_profile(struct schema_ctx *x, const struct schema_key *key,
                            const struct ynode *node, void *target)
{
	struct peer_target *t = target;
	t->bfd_line = node->line;
	schema_set_string(x, key, node, &t->peer.bfd_profile);
}

static void set_multihop(struct schema_ctx *x, const struct schema_key *key,
                         const struct ynode *node, void *target)
{
	struct peer_target *t = target;
	t->multihop_line = node->line;
	schema_set_bool(x, key, node, &t->peer.ebgp_multihop);
}

/* Not every special address: somebody may well have a router at 169.254.0.1, or on the node itself. */
static void set_peer_address(struct schema_ctx *x, const struct schema_key *key,
                             const struct ynode *node, void *target)
{
	struct addr *a = target;

	schema_set_addr(x, key, node, a);
	if (a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80)
		schema_warning(x, node->line,
		               "%s is link-local, and needs an interface, which cannot be given "
		               "here: no session can come up; write the router's global address",
		               addr_str(a));
}

static void set_router_id(struct schema_ctx *x, const struct schema_key *key,
                          const struct ynode *node, void *target)
{
	struct addr *id = target;
	const char *s = schema_text(x, node);

	if (s && s[0] && (addr_parse(s, id) < 0 || id->family != 4))
		schema_error(x, node->line, "%s \"%.64s\": write it as an IPv4 address",
		             key->invalid, s);
}

/* What the API takes as a key in a Secret's data. */
static void set_password_secret(struct schema_ctx *x, const struct schema_key *key,
                                const struct ynode *node, void *target)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	struct peer_target *t = target;
	const char *s = schema_text(x, node);

	(void)key;
	if (!s || !*s)
		return;
	t->secret_line = node->line;
	if (strlen(s) > SECRET_KEY_MAX || s[strspn(s, letters)])
		schema_error(x, node->line,
		             "\"%.64s\" is no key of a Secret; write letters, digits, '-', '.' and "
		             "'_', at most %d",
		             s, SECRET_KEY_MAX);
	else
		t->peer.password_secret = xstrdup(s);
}

static const struct schema_key peer_keys[] = {
	{ .name = "my-asn",
	  .set = schema_set_int,
	  .required = "missing local ASN; write my-asn: NUMBER",
	  .min = 1,
	  .max = UINT32_MAX,
	  .invalid = "invalid local ASN",
	  SCHEMA_FIELD(struct peer_target, peer.my_asn) },
	{ .name = "peer-asn",
	  .set = schema_set_int,
	  .required = "missing peer ASN; write peer-asn: NUMBER",
	  .min = 1,
	  .max = UINT32_MAX,
	  .invalid = "invalid peer ASN",
	  SCHEMA_FIELD(struct peer_target, peer.peer_asn) },
	{ .name = "peer-address",
	  .set = set_peer_address,
	  .required = "missing peer address; write peer-address: ADDRESS",
	  .invalid = "invalid peer IP",
	  SCHEMA_FIELD(struct peer_target, peer.address) },
	{ .name = "source-address",
	  .set = schema_set_addr,
	  .invalid = "invalid source IP",
	  SCHEMA_FIELD(struct peer_target, peer.source_address) },
	{ .name = "peer-port",
	  .set = schema_set_int,
	  .min = 0,
	  .max = UINT16_MAX,
	  .invalid = "invalid peer port",
	  SCHEMA_FIELD(struct peer_target, peer.port) },
	{ .name = "hold-time", .set = set_hold },
	{ .name = "keepalive-time", .set = set_keepalive },
	{ .name = "router-id",
	  .set = set_router_id,
	  .invalid = "invalid router ID",
	  SCHEMA_FIELD(struct peer_target, peer.router_id) },
	{ .name = "node-selectors",
	  .set = set_node_selectors,
	  SCHEMA_FIELD(struct peer_target, peer) },
	{ .name = "password",
	  .set = schema_set_word,
	  .max = CONFIG_PASSWORD_MAX,
	  SCHEMA_FIELD(struct peer_target, peer.password) },
	{ .name = "password-secret", .set = set_password_secret },
	{ .name = "bfd-profile", .set = set_bfd_profile },
	{ .name = "ebgp-multihop", .set = set_multihop },
};

static void check_references(struct schema_ctx *x, const struct draft *d,
                             const struct peer_target *t)
{
	const struct config_peer *p = &t->peer;
	const struct configuration *c = d->config;
	bool found = !p->bfd_profile;

	for (size_t i = 0; i < c->n_bfd_profiles && !found; i++)
		found = c->bfd_profiles[i].name && !strcmp(c->bfd_profiles[i].name, p->bfd_profile);
	if (!found) {
		size_t mark = schema_enter_key(x, "bfd-profile");
		schema_error(
			x, t->bfd_line,
			"peer #%zu referencing non existing bfd profile %.64s; define it under "
			"bfd-profiles",
			c->n_peers + 1, p->bfd_profile);
		schema_leave(x, mark);
	}
	if (p->password && p->password_secret) {
		size_t mark = schema_enter_key(x, "password-secret");
		schema_error(x, t->secret_line, "given beside password; keep one of them");
		schema_leave(x, mark);
	}
	if (p->source_address.family && p->address.family &&
	    p->source_address.family != p->address.family) {
		size_t mark = schema_enter_key(x, "source-address");
		schema_warning(x, t->source_line,
		               "is IPv%u, but peer-address is IPv%u: no session can come up",
		               p->source_address.family, p->address.family);
		schema_leave(x, mark);
	}
	if (p->ebgp_multihop && p->my_asn != 0 && p->my_asn == p->peer_asn) {
		size_t mark = schema_enter_key(x, "ebgp-multihop");
		schema_error(x, t->multihop_line,
		             "invalid ebgp-multihop parameter set for an ibgp peer; remove it");
		schema_leave(x, mark);
	}
}

static void peer_item(struct schema_ctx *x, const struct ynode *node, void *target)
{
	struct draft *d = target;
	struct configuration *c = d->config;
	struct peer_target t = { .peer = {
					 .line = node->line,
					 .asn_line = schema_line(node, "my-asn"),
					 .address_line = schema_line(node, "peer-address"),
					 .router_id_line = schema_line(node, "router-id"),
				 } };

	t.source_line = schema_line(node, "source-address");
	schema_map(x, peer_keys, ARRAY_LEN(peer_keys), node, &t);
	if (t.peer.port == 0)
		t.peer.port = PEER_PORT_DEFAULT;
	settle_times(x, &t);
	check_references(x, d, &t);
	t.peer.name = xasprintf("peer-%zu", c->n_peers + 1);
	ARRAY_RESERVE(c->peers, d->cap_peers, c->n_peers + 1);
	c->peers[c->n_peers++] = t.peer;
}

void parse_peers(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	schema_list(x, node, CONFIG_PEERS_MAX, peer_item, d);
}
