/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From peers, advertisements and addresses to the state that bgpd should have (struct bgp_state,
 * which running.c reads back).
 *
 * Everything that a user wrote is checked here, once, against what bgpd can take as a word of a
 * command, so that nothing later has to quote.  What bgpd cannot take is refused individually, with
 * words for /status, and the rest goes on.
 *
 * Attributes are interned: ten thousand prefixes share a handful of classes, each a route-map named
 * by the hash of its own lines.  A class is never changed.  Another policy is another class, and
 * moving a prefix to it takes one command; classes that no prefix uses are removed last.  That
 * keeps every intermediate state of bgpd a valid one, wherever a batch ends.
 *
 * Several addresses and advertisements may want one prefix, an aggregate above all.  It then gets
 * the attributes of all of them; combinations that do not work are refused with an explanation.
 */
#include "config.h"

#include "bgp/want.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"

#define HOLD_TIME_MAX_S 65535

struct bgp_want *bgp_want_new(void)
{
	return xcalloc(1, sizeof(struct bgp_want));
}

static void want_peer_fini(struct want_peer *p)
{
	free(p->name);
	free(p->bfd_profile);
	free(p->waits);
	bgp_peer_fini(&p->peer);
}

void bgp_want_free(struct bgp_want *w)
{
	struct want_prefix *p, *next;

	if (!w)
		return;
	for (size_t i = 0; i < w->n_peers; i++)
		want_peer_fini(&w->peers[i]);
	for (size_t i = 0; i < w->n_refused; i++) {
		free(w->refused[i].name);
		free(w->refused[i].why);
	}
	HASH_ITER(hh, w->prefixes, p, next) {
		HASH_DEL(w->prefixes, p);
		free(p);
	}
	for (size_t i = 0; i < w->n_attrs; i++)
		bgp_attr_fini(&w->attrs[i]);
	for (size_t i = 0; i < w->n_classes; i++)
		bgp_lines_fini(&w->classes[i]);
	for (size_t i = 0; i < w->n_profiles; i++)
		free(w->profiles[i].name);
	free(w->peers);
	free(w->refused);
	free(w->attrs);
	free(w->addresses);
	free(w->classes);
	free(w->profiles);
	free(w);
}

/* ---- strings of users ---- */

/* One word for bgpd: printable, without blanks. */
static int check_word(const char *what, const char *s, size_t max, struct err *e)
{
	size_t len = strnlen(s, max + 1);

	if (len == 0 || len > max)
		return err_set(e, -EINVAL, ERR_CONFIG, "%s: must have 1 to %zu characters", what,
		               max);
	for (size_t i = 0; i < len; i++)
		if (s[i] <= 0x20 || s[i] > 0x7e)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "%s: character %zu is a blank or no printable ASCII, which "
			               "bgpd cannot take",
			               what, i + 1);
	return 0;
}

/* Makes a description of any user string: what bgpd might interpret becomes '_'. */
static void add_description(struct bgp_lines *lines, const char *name)
{
	char text[sizeof("description " BGP_MARK " ") + BGP_NAME_MAX];
	size_t at = (size_t)snprintf(text, sizeof(text), "description " BGP_MARK " ");

	for (size_t i = 0; i < BGP_NAME_MAX && name && name[i]; i++) {
		unsigned char c = (unsigned char)name[i];
		bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
		             c == '-' || c == '.' || c == ':' || c == '/';
		text[at++] = plain ? (char)c : '_';
	}
	while (at > 0 && text[at - 1] == ' ')
		at--;
	text[at] = 0;
	bgp_lines_add(lines, text);
}

static __attribute__((format(printf, 2, 3))) void add_line(struct bgp_lines *lines, const char *fmt,
                                                           ...)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	bgp_lines_add(lines, buf_str(&b));
}

/* ---- peers ---- */

_Static_assert(CONFIG_BFD_PROFILE_NAME_MAX == BGP_NAME_MAX - (sizeof(BGP_MAP_PREFIX) - 1),
               "a profile's name with our prefix is a name for bgpd");

static int check_peer(const struct bgp_want *w, const struct config_peer *p, struct err *e)
{
	int r = 0;

	if (w->n_peers == BGP_PEERS_MAX)
		return err_set(e, -E2BIG, ERR_LIMIT, "more than %d peers", BGP_PEERS_MAX);
	if (addr_is_none(&p->address) || p->my_asn == 0 || p->peer_asn == 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "a peer without address or AS numbers");
	for (size_t i = 0; i < w->n_peers; i++)
		if (addr_eq(&w->peers[i].peer.address, &p->address))
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "a second peer of the address %s on one node",
			               addr_str(&p->address));
	if (!addr_is_none(&p->source_address) && p->source_address.family != p->address.family)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "source-address and peer-address are of different families");
	if (p->hold_time_s > HOLD_TIME_MAX_S || p->hold_time_s == 1 || p->hold_time_s == 2)
		return err_set(e, -EINVAL, ERR_CONFIG, "hold-time must be 0 or 3 to %d seconds",
		               HOLD_TIME_MAX_S);
	if (p->password && p->password[0])
		r = check_word("password", p->password, BGP_PASSWORD_MAX, e);
	if (r == 0 && p->bfd_profile && p->bfd_profile[0])
		r = check_word("bfd-profile", p->bfd_profile, CONFIG_BFD_PROFILE_NAME_MAX, e);
	return r;
}

/* bgpd cuts the keepalive time to a third of the hold time, and prints that. */
static void add_timers(struct bgp_lines *lines, uint32_t hold, uint32_t keepalive)
{
	if (keepalive == 0 || keepalive > hold / 3)
		keepalive = hold / 3;
	add_line(lines, "timers %" PRIu32 " %" PRIu32, keepalive, hold);
	add_line(lines, "timers connect %d", BGP_CONNECT_RETRY_S);
	/* Some bgpds wait 30 s between updates by default for eBGP. */
	add_line(lines, "advertisement-interval 0");
}

int bgp_want_peer(struct bgp_want *w, const struct config_peer *p, struct err *e)
{
	int r = check_peer(w, p, e);

	if (r) {
		err_prefix(e, "peer %s", addr_str(&p->address));
		return r;
	}
	ARRAY_RESERVE(w->peers, w->cap_peers, w->n_peers + 1);
	struct want_peer *n = &w->peers[w->n_peers++];
	*n = (struct want_peer){ .name = xstrdup(p->name ? p->name : ""), .my_asn = p->my_asn };
	n->peer.address = p->address;
	n->peer.remote_as = p->peer_asn;
	n->way = (struct probe_way){ .to = p->address,
		                     .from = p->source_address,
		                     .port = p->port,
		                     .one_hop = !p->ebgp_multihop && p->my_asn != p->peer_asn };
	struct bgp_lines *lines = &n->peer.lines;
	add_description(lines, p->name);
	add_timers(lines, p->hold_time_s, p->keepalive_time_s);
	if (p->port && p->port != 179)
		add_line(lines, "port %u", p->port);
	if (p->password && p->password[0])
		add_line(lines, "password %s", p->password);
	if (p->ebgp_multihop && p->my_asn != p->peer_asn)
		add_line(lines, "ebgp-multihop 255");
	if (!addr_is_none(&p->source_address))
		add_line(lines, "update-source %s", addr_str(&p->source_address));
	if (p->bfd_profile && p->bfd_profile[0]) {
		n->bfd_profile = xstrdup(p->bfd_profile);
		add_line(lines, "bfd profile " BGP_MAP_PREFIX "%s", p->bfd_profile);
	}
	if (addr_is_none(&w->router_id) && p->router_id.family == 4)
		w->router_id = p->router_id;
	return 0;
}

int bgp_want_waiting_peer(struct bgp_want *w, const struct config_peer *p, const char *why,
                          struct err *e)
{
	int r = bgp_want_peer(w, p, e);

	if (r == 0) {
		struct want_peer *n = &w->peers[w->n_peers - 1];
		n->waits = xstrdup(why);
		n->peer.waits = true;
	}
	return r;
}

void bgp_want_refused(struct bgp_want *w, const struct config_peer *p, const char *why)
{
	if (w->n_refused == BGP_PEERS_MAX)
		return;
	ARRAY_RESERVE(w->refused, w->cap_refused, w->n_refused + 1);
	w->refused[w->n_refused++] = (struct want_refused){ .name = xstrdup(p->name ? p->name : ""),
		                                            .why = xstrdup(why),
		                                            .address = p->address,
		                                            .my_asn = p->my_asn,
		                                            .asn = p->peer_asn };
}

void bgp_bfd_profile_init(struct bgp_bfd_profile *p, const char *name)
{
	*p = (struct bgp_bfd_profile){
		.name = xstrdup(name),
		.detect_multiplier = 3,
		.transmit_ms = 300,
		.receive_ms = 300,
		.echo_transmit_ms = 50,
		.echo_receive_ms = 50,
		.minimum_ttl = 254,
	};
}

void bgp_want_router_id(struct bgp_want *w, const struct addr *id)
{
	w->router_id = *id;
}

/* Not from 0/8, 127/8 or 224/3, with which routers refuse the session. */
void bgp_want_router_id_of(struct bgp_want *w, const char *name)
{
	uint64_t h = hash64_str(name, 0);
	struct in_addr id;

	if (!addr_is_none(&w->router_id))
		return;
	uint32_t first = 1 + (uint32_t)(h >> 32) % 222;
	if (first >= 127)
		first++;
	id.s_addr = htonl(first << 24 | ((uint32_t)h & 0xffffff));
	w->router_id = addr_from_in(id);
}

int bgp_want_bfd_profile(struct bgp_want *w, const struct config_bfd_profile *p, struct err *e)
{
	int r = check_word("bfd-profile", p->name ? p->name : "", CONFIG_BFD_PROFILE_NAME_MAX, e);

	if (r)
		return r;
	if (w->n_profiles == BGP_BFD_PROFILES_MAX)
		return err_set(e, -E2BIG, ERR_LIMIT, "more than %d BFD profiles",
		               BGP_BFD_PROFILES_MAX);
	cleanup_free char *name = xasprintf(BGP_MAP_PREFIX "%s", p->name);
	for (size_t i = 0; i < w->n_profiles; i++)
		if (!strcmp(w->profiles[i].name, name))
			return err_set(e, -EINVAL, ERR_CONFIG, "a second BFD profile %s", p->name);
	ARRAY_RESERVE(w->profiles, w->cap_profiles, w->n_profiles + 1);
	struct bgp_bfd_profile *n = &w->profiles[w->n_profiles++];
	bgp_bfd_profile_init(n, name);
	n->passive = p->passive_mode;
	n->echo = p->echo_mode;
	if (p->detect_multiplier)
		n->detect_multiplier = p->detect_multiplier;
	if (p->transmit_interval_ms)
		n->transmit_ms = p->transmit_interval_ms;
	if (p->receive_interval_ms)
		n->receive_ms = p->receive_interval_ms;
	if (p->echo_interval_ms)
		n->echo_transmit_ms = n->echo_receive_ms = p->echo_interval_ms;
	if (p->minimum_ttl)
		n->minimum_ttl = p->minimum_ttl;
	return 0;
}

/* ---- prefixes ---- */

static int attr_of(const struct config_advertisement *ad, struct bgp_attr *a, struct err *e)
{
	int r = 0;

	a->has_localpref = ad->has_localpref;
	a->localpref = ad->has_localpref ? ad->localpref : 0;
	for (size_t i = 0; r == 0 && i < ad->n_communities; i++)
		r = bgp_attr_add(a, ad->communities[i], e);
	return r;
}

static unsigned int length_of(const struct config_advertisement *ad, uint8_t family, bool local)
{
	unsigned int bits = family == 4 ? 32 : 128;
	unsigned int len = family == 4 ? ad->aggregation_len : ad->aggregation_len_v6;

	return local || len > bits ? bits : len;
}

/* The index of these attributes; takes over what @attr holds. */
static size_t intern(struct bgp_want *w, struct bgp_attr *attr)
{
	for (size_t i = 0; i < w->n_attrs; i++)
		if (bgp_attr_eq(&w->attrs[i], attr))
			return i;
	ARRAY_RESERVE(w->attrs, w->cap_attrs, w->n_attrs + 1);
	w->attrs[w->n_attrs] = *attr;
	*attr = (struct bgp_attr){ 0 };
	return w->n_attrs++;
}

static int add_prefix(struct bgp_want *w, const struct prefix *prefix, size_t attr, struct err *e)
{
	struct want_prefix *p;

	HASH_FIND(hh, w->prefixes, prefix, sizeof(*prefix), p);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->prefix = *prefix;
		p->attr = attr;
		HASH_ADD(hh, w->prefixes, prefix, sizeof(*prefix), p);
	}
	if (p->attr == attr)
		return 0;
	cleanup(bgp_attr_fini) struct bgp_attr sum = { 0 };
	int r = bgp_attr_merge(&sum, &w->attrs[p->attr], e);
	if (r == 0)
		r = bgp_attr_merge(&sum, &w->attrs[attr], e);
	if (r)
		err_prefix(e, "prefix %s/%u", addr_str(&prefix->addr), prefix->len);
	else
		p->attr = intern(w, &sum);
	return r;
}

int bgp_want_address(struct bgp_want *w, const struct addr *a, bool local,
                     const struct config_advertisement *ads, size_t n_ads, struct err *e)
{
	struct config_advertisement plain;
	int r = 0;

	if (addr_is_none(a))
		return err_set(e, -EINVAL, ERR_BUG, "no address to announce");
	if (n_ads == 0) {
		config_advertisement_init(&plain);
		ads = &plain;
		n_ads = 1;
	}
	for (size_t i = 0; r == 0 && i < n_ads; i++) {
		cleanup(bgp_attr_fini) struct bgp_attr attr = { 0 };
		struct prefix prefix = prefix_of(a, length_of(&ads[i], a->family, local));
		r = attr_of(&ads[i], &attr, e);
		if (r == 0)
			r = add_prefix(w, &prefix, intern(w, &attr), e);
		if (r == 0) {
			ARRAY_RESERVE(w->addresses, w->cap_addresses, w->n_addresses + 1);
			w->addresses[w->n_addresses++] = (struct want_address){ *a, prefix };
		}
	}
	return r;
}

void bgp_want_only_less(struct bgp_want *w)
{
	w->only_less = true;
}

size_t bgp_want_aggregates(const struct bgp_want *w, struct prefix **ret_prefixes)
{
	struct prefix *prefixes = xcalloc(HASH_COUNT(w->prefixes) + 1, sizeof(*prefixes));
	size_t n = 0;

	for (const struct want_prefix *p = w->prefixes; p; p = p->hh.next)
		if (p->prefix.len < addr_bits(&p->prefix.addr))
			prefixes[n++] = p->prefix;
	*ret_prefixes = prefixes;
	return n;
}

size_t bgp_want_n_prefixes(struct bgp_want *w)
{
	return HASH_COUNT(w->prefixes);
}

static void add_class(struct bgp_want *w, const struct bgp_attr *attr)
{
	struct bgp_lines lines = { 0 };

	w->scopes |= 1u << bgp_attr_scope(attr);
	bgp_attr_lines(attr, &lines);
	for (size_t i = 0; i < w->n_classes; i++)
		if (bgp_lines_eq(&w->classes[i], &lines)) {
			bgp_lines_fini(&lines);
			return;
		}
	ARRAY_RESERVE(w->classes, w->cap_classes, w->n_classes + 1);
	w->classes[w->n_classes++] = lines;
}

int bgp_want_pool(struct bgp_want *w, const struct config_pool *pool, struct err *e)
{
	const struct config_advertisement *ads = pool->advertisements;
	size_t n_ads = pool->n_advertisements;
	struct config_advertisement plain;
	int r = 0;

	if (n_ads == 0) {
		config_advertisement_init(&plain);
		ads = &plain;
		n_ads = 1;
	}
	/*
	 * An address's prefixes: with the advertisements' lengths, or the whole address alone for
	 * policy Local.
	 */
	for (int family = 4; family <= 6; family += 2)
		for (int local = 0; local < 2; local++)
			for (size_t i = 0; i < n_ads; i++) {
				cleanup(bgp_attr_fini) struct bgp_attr sum = { 0 };
				unsigned int len = length_of(&ads[i], (uint8_t)family, local != 0);
				for (size_t k = 0; r == 0 && k < n_ads; k++) {
					cleanup(bgp_attr_fini) struct bgp_attr one = { 0 };
					if (length_of(&ads[k], (uint8_t)family, local != 0) != len)
						continue;
					r = attr_of(&ads[k], &one, e);
					if (r == 0)
						r = bgp_attr_merge(&sum, &one, e);
				}
				if (r) {
					err_prefix(e, "pool %s", pool->name ? pool->name : "");
					return r;
				}
				add_class(w, &sum);
			}
	return 0;
}

/* ---- the state ---- */

static uint64_t class_for(struct bgp_state *s, const struct bgp_lines *lines)
{
	char name[BGP_CLASS_NAME_SIZE];
	uint64_t class = bgp_lines_hash(lines);
	bool is_new;
	struct bgp_map *m = bgp_state_map(s, bgp_class_name(class, name), BGP_SEQ, &is_new);

	if (is_new)
		bgp_lines_copy(&m->lines, lines);
	return class;
}

static uint64_t class_of_attr(struct bgp_state *s, const struct bgp_attr *attr)
{
	struct bgp_lines lines = { 0 };

	bgp_attr_lines(attr, &lines);
	uint64_t class = class_for(s, &lines);
	bgp_lines_fini(&lines);
	return class;
}

/* Makes the outbound policy for networks of these scopes, and always for those of none. */
static void add_out_map(struct bgp_state *s, unsigned int scopes,
                        char ret_name[static BGP_CLASS_NAME_SIZE])
{
	struct bgp_lines lines[BGP_SCOPES] = { 0 };
	uint64_t hash = 0;
	uint32_t seq = BGP_SEQ;

	scopes |= 1;
	for (unsigned int scope = 0; scope < BGP_SCOPES; scope++)
		if (scopes & 1u << scope) {
			bgp_scope_lines(scope, &lines[scope]);
			hash ^= bgp_lines_hash(&lines[scope]);
		}
	snprintf(ret_name, BGP_CLASS_NAME_SIZE, BGP_MAP_OUT_PREFIX "%08" PRIx32, (uint32_t)hash);
	for (unsigned int scope = 0; scope < BGP_SCOPES; scope++)
		if (scopes & 1u << scope) {
			bgp_state_map(s, ret_name, seq, NULL)->lines = lines[scope];
			seq += BGP_SEQ;
		}
}

static void add_peers(const struct bgp_want *w, unsigned int scopes, struct bgp_state *s)
{
	char out[BGP_CLASS_NAME_SIZE];

	add_out_map(s, scopes, out);
	bgp_state_map(s, BGP_MAP_IN, BGP_SEQ, NULL)->permit = false;
	for (size_t i = 0; i < w->n_peers; i++) {
		struct bgp_peer *p = bgp_state_add_peer(s, &w->peers[i].peer.address);
		bgp_peer_copy(p, &w->peers[i].peer);
		if (w->peers[i].my_asn != s->asn)
			add_line(&p->lines, "local-as %" PRIu32 " no-prepend replace-as",
			         w->peers[i].my_asn);
		/*
		 * An IPv4 session carries both families, with the interface's IPv6 address as next
		 * hop.  Not the other way round: without an IPv4 address bgpd would send the next
		 * hop 0.0.0.0, for which the peer ends the session.
		 */
		for (int af = p->address.family == 6 ? BGP_AF6 : BGP_AF4; af < BGP_N_AF; af++) {
			p->af[af].active = true;
			p->af[af].in = xstrdup(BGP_MAP_IN);
			p->af[af].out = xstrdup(out);
		}
	}
}

static int address_cmp(const void *a, const void *b)
{
	const struct want_address *x = a, *y = b;
	int c = addr_cmp(&x->addr, &y->addr);

	return c ? c : prefix_cmp(&x->prefix, &y->prefix);
}

void bgp_want_state(struct bgp_want *w, struct bgp_state *ret_state)
{
	struct bgp_state *s = ret_state;
	struct want_prefix *p, *next;

	if (w->n_addresses)
		qsort(w->addresses, w->n_addresses, sizeof(*w->addresses), address_cmp);
	*s = (struct bgp_state){ 0 };
	if (w->n_peers == 0)
		return;
	s->asn = s->marker = w->peers[0].my_asn;
	s->own = true;
	bgp_lines_add(&s->instance, "no bgp default ipv4-unicast");
	bgp_lines_add(&s->instance, "no bgp network import-check");
	if (!addr_is_none(&w->router_id))
		add_line(&s->instance, "bgp router-id %s", addr_str(&w->router_id));
	unsigned int scopes = w->scopes;
	for (p = w->prefixes; p; p = p->hh.next)
		scopes |= 1u << bgp_attr_scope(&w->attrs[p->attr]);
	add_peers(w, scopes, s);
	for (size_t i = 0; i < w->n_classes; i++)
		class_for(s, &w->classes[i]);
	cleanup_free uint64_t *classes = xcalloc(w->n_attrs + 1, sizeof(*classes));
	HASH_ITER(hh, w->prefixes, p, next) {
		/* Only now: attributes that were merged into others may have no prefix left. */
		if (!classes[p->attr])
			classes[p->attr] = class_of_attr(s, &w->attrs[p->attr]);
		bgp_state_add_network(s, &(struct bgp_network){ p->prefix, classes[p->attr] });
	}
	bgp_state_sort(s);
}

/* The first address that is not before @a. */
static size_t lower_bound(const struct bgp_want *w, const struct addr *a)
{
	size_t lo = 0, hi = w->n_addresses;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (addr_cmp(&w->addresses[mid].addr, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void bgp_want_find(const struct bgp_want *w, const struct addr *a, size_t *ret_first,
                   size_t *ret_end)
{
	size_t first = lower_bound(w, a), end = first;

	while (end < w->n_addresses && addr_eq(&w->addresses[end].addr, a))
		end++;
	*ret_first = first;
	*ret_end = end;
}

bool bgp_want_leads(const struct bgp_want *w, const struct prefix *p)
{
	size_t at = lower_bound(w, &p->addr);

	return at < w->n_addresses && prefix_contains(p, &w->addresses[at].addr);
}
