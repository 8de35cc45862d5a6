/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator beside one so plain that it is right at a glance: addresses are numbers, several of
 * them bits, who has one is found by looking at everybody, and every choice walks all pools and all
 * addresses.  Both live through the same random histories of Services, labels, Namespaces,
 * machines, edits and restarts, and must give the same answer to everybody at every step.
 *
 * At each step it also holds that no address belongs to two, that nobody is given one that his pool
 * would not give, that nobody loses one who asked for nothing else, that no quota is exceeded more
 * than an edit had it, that whoever gets what he waited for would have been woken, and (since the
 * plain one looks everywhere) that nobody waits for what would fit.
 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/ipam.h"
#include "fairlead/mem.h"

enum { POOLS = 5, SPAN = 4, SPANS = 8, ADDRS = SPAN * SPANS, SERVICES = 14, NAMESPACES = 3 };
enum { QUOTAS = 2, STEPS = 100, SEEDS = 1000 };
#define LOT(service) ((int)(service)*7 + 3)
#define NONE (-1)
#define WAITS 0 /* an answer: it has nothing, or keeps what it has, since it cannot have more */

static unsigned int rnd_state, seed_now, step_now;

static unsigned int rnd(unsigned int below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

/* One of so many, or with the same chance NONE. */
static int rnd_or_none(unsigned int n)
{
	return (int)rnd(n + 1) - 1;
}

/* ---- the world ---- */

struct pool {
	bool is_there; /* has addresses */
	bool auto_assign, avoids_buggy, is_disabled;
	int excluded;            /* of each of its spans this one; NONE: none */
	int priority;            /* NONE: none */
	unsigned int namespaces; /* bits: by name; 0: not named */
	/* which Namespaces' and Services' label value; NONE: not selected by */
	int team, tier;
	struct {
		unsigned int namespaces; /* bits; 0: there is none */
		int addresses;
	} quotas[QUOTAS];
	int most;      /* that a Service may ask for */
	int cool_down; /* seconds */
	enum config_allocation allocation;
};

struct service {
	bool exists;
	int namespace, tier; /* labels; NONE: no such label */
	int asked_pool;      /* POOLS: one that is not there */
	uint32_t asked, held;
	char message[IPAM_MESSAGE_SIZE];
	bool is_true;
	uint32_t before; /* what it held before this step */
	bool changed;    /* what it asks for, in this step */
	bool woken;      /* at the end of the step before */
};

static struct {
	struct pool pools[POOLS];
	int owner[SPANS]; /* of so many addresses each; NONE: no pool's */
	struct service services[SERVICES];
	int reserved[ADDRS]; /* for which Service; NONE: for nobody in particular */
	int team[NAMESPACES];
	bool known[NAMESPACES];
	bool machine[ADDRS];
	int cools_for[ADDRS], cools_since[ADDRS]; /* NONE: for nobody in particular */
	int given_last[POOLS];                    /* in turn; NONE: none yet */
	int now;
	struct ipam *ipam;
	bool all_again; /* what happened has everybody decided again */
} w;

static const char *addr_text(int a)
{
	static char text[16];

	snprintf(text, sizeof(text), "10.0.%d.%d", a / 8, a % 8);
	return text;
}

static struct addr addr_of(int a)
{
	struct addr out;

	assert_int_equal(addr_parse(addr_text(a), &out), 0);
	return out;
}

static int number_of(const struct addr *a)
{
	return a->b[2] * 8 + a->b[3];
}

_Static_assert(ADDRS == 32, "a bit for each");

static uint32_t bit(int a)
{
	return (uint32_t)1 << a;
}

static int count(uint32_t set)
{
	return __builtin_popcount(set);
}

static int lowest(uint32_t set)
{
	return set ? __builtin_ctz(set) : NONE;
}

static size_t addrs_of(uint32_t set, struct addr *out)
{
	size_t n = 0;

	for (int a = 0; a < ADDRS; a++)
		if (set & bit(a))
			out[n++] = addr_of(a);
	return n;
}

/* All that are written to be the pool's. */
static uint32_t owned_by(int pool)
{
	uint32_t set = 0;

	for (int a = 0; a < ADDRS; a++)
		set |= w.owner[a / SPAN] == pool ? bit(a) : 0;
	return set;
}

static bool is_reserved(const struct pool *p)
{
	return p->namespaces || p->team != NONE || p->tier != NONE;
}

static void random_pools(void)
{
	memset(w.pools, 0, sizeof(w.pools));
	for (int i = 0; i < SPANS; i++) {
		w.owner[i] = rnd_or_none(POOLS);
		if (w.owner[i] != NONE)
			w.pools[w.owner[i]].is_there = true;
	}
	for (int i = 0; i < POOLS; i++) {
		struct pool *p = &w.pools[i];
		p->auto_assign = rnd(4);
		p->avoids_buggy = rnd(3) == 0;
		p->is_disabled = rnd(6) == 0;
		p->excluded = rnd_or_none(2);
		p->priority = rnd_or_none(2);
		p->namespaces = rnd(3) == 0 ? 1 + rnd(7) : 0;
		p->team = rnd(3) == 0 ? (int)rnd(2) : NONE;
		p->tier = rnd(4) == 0 ? (int)rnd(2) : NONE;
		for (int k = 0; k < QUOTAS; k++) {
			p->quotas[k].namespaces = rnd(3) == 0 ? 1 + rnd(7) : 0;
			p->quotas[k].addresses = (int)rnd(4);
		}
		p->most = rnd(2) ? 1 : 1 + (int)rnd(3);
		p->cool_down = rnd(2) ? (int)rnd(40) : 0;
		p->allocation = (enum config_allocation)rnd(4);
	}
}

static void print_excluded(int i, struct buf *out)
{
	const char *comma = "";

	if (w.pools[i].excluded == NONE)
		return;
	buf_puts(out, ", exclude: [");
	for (int k = 0; k < SPANS; k++)
		if (w.owner[k] == i) {
			buf_printf(out, "%s%s/32", comma,
			           addr_text(k * SPAN + w.pools[i].excluded));
			comma = ", ";
		}
	buf_putc(out, ']');
}

static const char *key_of(int i);

/* The first one of each Service is it, in whatever pool. */
static void random_reservations(void)
{
	bool has[SERVICES] = { false };

	for (int a = 0; a < ADDRS; a++) {
		int i = rnd(5) ? NONE : (int)rnd(SERVICES);
		w.reserved[a] = NONE;
		if (i == NONE || has[i] || w.owner[a / SPAN] == NONE)
			continue;
		w.reserved[a] = i;
		has[i] = true;
	}
}

static void print_reservations(int i, struct buf *out)
{
	const char *comma = "";

	buf_puts(out, ", reservations: [");
	for (int a = 0; a < ADDRS; a++)
		if (w.owner[a / SPAN] == i && w.reserved[a] != NONE) {
			buf_printf(out, "%s{service: %s, address: %s}", comma,
			           key_of(w.reserved[a]), addr_text(a));
			comma = ", ";
		}
	buf_putc(out, ']');
}

static void print_namespaces(unsigned int bits, struct buf *out)
{
	const char *comma = "";

	buf_puts(out, "namespaces: [");
	for (int n = 0; n < NAMESPACES; n++)
		if (bits & 1u << n) {
			buf_printf(out, "%sn%d", comma, n);
			comma = ", ";
		}
	buf_putc(out, ']');
}

static void print_quotas(const struct pool *p, struct buf *out)
{
	const char *comma = "";

	buf_puts(out, ", quota: [");
	for (int k = 0; k < QUOTAS; k++)
		if (p->quotas[k].namespaces) {
			buf_printf(out, "%s{", comma);
			print_namespaces(p->quotas[k].namespaces, out);
			buf_printf(out, ", addresses: %d}", p->quotas[k].addresses);
			comma = ", ";
		}
	buf_putc(out, ']');
}

static void print_pool(int i, struct buf *out)
{
	static const char *const allocations[] = { "lowest", "random", "least-used-pool",
		                                   "round-robin" };
	const struct pool *p = &w.pools[i];
	const char *comma = "";

	buf_printf(out, "- {name: p%d, protocol: layer2, auto-assign: %s, avoid-buggy-ips: %s", i,
	           p->auto_assign ? "true" : "false", p->avoids_buggy ? "true" : "false");
	if (p->priority != NONE)
		buf_printf(out, ", priority: %d", p->priority);
	if (p->is_disabled)
		buf_puts(out, ", disabled: true");
	buf_printf(out, ", allocation: %s, addresses-per-service: %d", allocations[p->allocation],
	           p->most);
	if (p->cool_down)
		buf_printf(out, ", cool-down: %ds", p->cool_down);
	print_excluded(i, out);
	print_reservations(i, out);
	print_quotas(p, out);
	if (p->namespaces) {
		buf_puts(out, ", ");
		print_namespaces(p->namespaces, out);
	}
	if (p->team != NONE)
		buf_printf(out, ", namespace-selectors: [{match-labels: {team: t%d}}]", p->team);
	if (p->tier != NONE)
		buf_printf(out, ", service-selectors: [{match-labels: {tier: t%d}}]", p->tier);
	buf_puts(out, ", addresses: [");
	comma = "";
	for (int k = 0; k < SPANS; k++)
		if (w.owner[k] == i) {
			buf_printf(out, "%s%s-", comma, addr_text(k * SPAN));
			buf_puts(out, addr_text(k * SPAN + SPAN - 1));
			comma = ", ";
		}
	buf_puts(out, "]}\n");
}

/* ---- the plain allocator ---- */

static int holder_of(int a)
{
	for (int i = 0; i < SERVICES; i++)
		if (w.services[i].exists && w.services[i].held & bit(a))
			return i;
	return NONE;
}

static enum config_match matches(const struct pool *p, const struct service *s)
{
	if (p->tier != NONE && p->tier != s->tier)
		return CONFIG_MATCHES_NOT;
	if ((!p->namespaces && p->team == NONE) || (p->namespaces & 1u << s->namespace))
		return CONFIG_MATCHES;
	if (p->team == NONE)
		return CONFIG_MATCHES_NOT;
	if (!w.known[s->namespace])
		return CONFIG_MATCHES_PERHAPS;
	return w.team[s->namespace] == p->team ? CONFIG_MATCHES : CONFIG_MATCHES_NOT;
}

/* Is it one that the pool may give, held or not? */
static bool is_given_by(int a, int pool)
{
	return w.owner[a / SPAN] == pool && !w.machine[a] &&
	       !(w.pools[pool].avoids_buggy && a % 8 == 0) && a % SPAN != w.pools[pool].excluded;
}

/* How many addresses of the pool those have whom its quota names. */
static int n_counted(int pool, int quota)
{
	int n = 0;

	for (int i = 0; i < SERVICES; i++)
		if (w.services[i].exists &&
		    w.pools[pool].quotas[quota].namespaces & 1u << w.services[i].namespace)
			n += count(w.services[i].held & owned_by(pool));
	return n;
}

/* So many addresses of the pool, in place of what it has. */
static bool has_quota(int i, int pool, int n)
{
	const struct service *s = &w.services[i];
	int more = n - count(s->held & owned_by(pool));

	for (int k = 0; k < QUOTAS; k++)
		if (w.pools[pool].quotas[k].namespaces & 1u << s->namespace && more > 0 &&
		    n_counted(pool, k) + more > w.pools[pool].quotas[k].addresses)
			return false;
	return true;
}

static int cool_down_of(int a)
{
	return w.owner[a / SPAN] == NONE ? 0 : w.pools[w.owner[a / SPAN]].cool_down;
}

/* No namespace keeps more than half of a pool from others, nor more than its quotas. */
static void bound_cooling(int pool, int namespace)
{
	int n_given = 0;

	for (int a = 0; a < ADDRS; a++)
		n_given += is_given_by(a, pool);
	int max = (n_given + 1) / 2;
	for (int k = 0; k < QUOTAS; k++)
		if (w.pools[pool].quotas[k].namespaces & 1u << namespace &&
		    w.pools[pool].quotas[k].addresses < max)
			max = w.pools[pool].quotas[k].addresses;
	for (;;) {
		int n = 0, first = NONE;
		for (int a = 0; a < ADDRS; a++) {
			if (w.owner[a / SPAN] != pool || w.cools_for[a] == NONE ||
			    w.cools_for[a] % NAMESPACES != namespace)
				continue;
			n++;
			if (first == NONE || w.cools_since[a] < w.cools_since[first])
				first = a;
		}
		if (n <= (max ? max : 1))
			return;
		w.cools_for[first] = NONE;
	}
}

static void let_go(int a, int i)
{
	w.cools_for[a] = cool_down_of(a) ? i : NONE;
	w.cools_since[a] = w.now;
	if (cool_down_of(a))
		bound_cooling(w.owner[a / SPAN], i % NAMESPACES);
}

/* What somebody has, or has cooled down, or of whose pool that is not said any more. */
static void forget_cooled(void)
{
	for (int a = 0; a < ADDRS; a++)
		if (holder_of(a) != NONE || w.cools_since[a] + cool_down_of(a) <= w.now)
			w.cools_for[a] = NONE;
}

static bool cools_for_another(int a, int i)
{
	return w.cools_for[a] != NONE && w.cools_for[a] != i;
}

/* The first from which free ones are looked for. */
static int drawn(int i, int pool)
{
	int n = 0, at;

	if (w.pools[pool].allocation == CONFIG_ALLOCATION_ROUND_ROBIN)
		return w.given_last[pool] + 1; /* NONE is before the first */
	for (int a = 0; a < ADDRS; a++)
		n += w.owner[a / SPAN] == pool;
	if (w.pools[pool].allocation != CONFIG_ALLOCATION_RANDOM || n == 0)
		return 0;
	at = LOT(i) % n;
	for (int a = 0; a < ADDRS; a++)
		if (w.owner[a / SPAN] == pool && at-- == 0)
			return a;
	return 0;
}

/* By the pool's allocation. */
static int next_for_anybody(int i, int pool)
{
	for (int k = 0; k < ADDRS; k++) {
		int a = (drawn(i, pool) + k) % ADDRS;
		if (is_given_by(a, pool) && holder_of(a) == NONE && w.reserved[a] == NONE &&
		    w.cools_for[a] == NONE)
			return a;
	}
	return NONE;
}

static int next_free(int i, int pool)
{
	if (!has_quota(i, pool, 1))
		return NONE;
	for (int a = 0; a < ADDRS; a++)
		if (is_given_by(a, pool) && w.cools_for[a] == i &&
		    (w.reserved[a] == NONE || w.reserved[a] == i))
			return a;
	return next_for_anybody(i, pool);
}

/* The one whose turn it is has it from now on, asked for or not. */
static void count_turn(int i, int a)
{
	int pool = w.owner[a / SPAN];

	if (pool != NONE && w.pools[pool].allocation == CONFIG_ALLOCATION_ROUND_ROBIN &&
	    a == next_for_anybody(i, pool))
		w.given_last[pool] = a;
}

/* How full it is, as a fraction of so many that no two are the same but those that are. */
static int fullness(int pool)
{
	int used = 0, total = 0;

	for (int a = 0; a < ADDRS; a++) {
		total += is_given_by(a, pool);
		used += is_given_by(a, pool) && holder_of(a) != NONE;
	}
	return total ? used * 1000000 / total : 1000000;
}

/* Is @a tried before @b? */
static bool is_before(int a, int b)
{
	const struct pool *pa = &w.pools[a], *pb = &w.pools[b];
	int ka = pa->priority == NONE ? 99 : pa->priority,
	    kb = pb->priority == NONE ? 99 : pb->priority;

	if (is_reserved(pa) != is_reserved(pb))
		return is_reserved(pa);
	bool la = pa->allocation == CONFIG_ALLOCATION_LEAST_USED_POOL;
	bool lb = pb->allocation == CONFIG_ALLOCATION_LEAST_USED_POOL;

	if (ka != kb)
		return ka < kb;
	if (la != lb)
		return la;
	return la && fullness(a) != fullness(b) ? fullness(a) < fullness(b) : a < b;
}

static int first_pool_but(unsigned int tried)
{
	int best = NONE;

	for (int i = 0; i < POOLS; i++)
		if (w.pools[i].is_there && !(tried & 1u << i) &&
		    (best == NONE || is_before(i, best)))
			best = i;
	return best;
}

static uint32_t from_any_pool(int who)
{
	const struct service *s = &w.services[who];
	unsigned int tried = 0;

	for (int i; (i = first_pool_but(tried)) != NONE; tried |= 1u << i) {
		if (!w.pools[i].auto_assign || w.pools[i].is_disabled ||
		    matches(&w.pools[i], s) == CONFIG_MATCHES_NOT)
			continue;
		if (matches(&w.pools[i], s) == CONFIG_MATCHES_PERHAPS)
			return WAITS;
		if (next_free(who, i) != NONE)
			return bit(next_free(who, i));
	}
	return WAITS;
}

static bool is_elsewhere(const struct service *s, int a)
{
	return s->asked_pool != NONE && s->asked_pool < POOLS && w.pools[s->asked_pool].is_there &&
	       w.owner[a / SPAN] != s->asked_pool;
}

/* One that it has not, or not from where it asks for it. */
static bool gets_asked(int i, int a)
{
	const struct service *s = &w.services[i];
	int pool = w.owner[a / SPAN];

	return pool != NONE && !is_elsewhere(s, a) && !w.pools[pool].is_disabled &&
	       matches(&w.pools[pool], s) == CONFIG_MATCHES && holder_of(a) == NONE &&
	       (w.reserved[a] == NONE || w.reserved[a] == i) && !cools_for_another(a, i) &&
	       is_given_by(a, pool) && count(s->asked) <= w.pools[pool].most;
}

/* All of them, or none: what it has stays, and the rest is of the pool that has any of it. */
static uint32_t asked_addresses(int i, bool stays)
{
	const struct service *s = &w.services[i];
	uint32_t has = 0;

	for (int a = 0; a < ADDRS; a++)
		if (s->asked & s->held & bit(a) && (stays || !is_elsewhere(s, a)))
			has |= bit(a);
	for (int a = 0; a < ADDRS; a++) {
		int pool = w.owner[a / SPAN];
		if (!(s->asked & ~has & bit(a)))
			continue;
		if (!gets_asked(i, a))
			return WAITS;
		for (int b = 0; b < ADDRS; b++)
			if (s->asked & bit(b) && w.owner[b / SPAN] != NONE &&
			    w.owner[b / SPAN] != pool)
				return WAITS;
		if (!has_quota(i, pool, count(s->asked & owned_by(pool))))
			return WAITS;
	}
	return s->asked;
}

/* What a pool that gives to the Service, or may, reserves for it; NONE: nothing. */
static int reserved_for(int i)
{
	for (int a = 0; a < ADDRS; a++) {
		int owner = w.owner[a / SPAN];
		if (w.reserved[a] == i && is_given_by(a, owner) && !w.pools[owner].is_disabled &&
		    matches(&w.pools[owner], &w.services[i]) != CONFIG_MATCHES_NOT)
			return a;
	}
	return NONE;
}

/* It waits for one that is another's, or whose pool may be for it. */
static uint32_t take_booked(int i, int a)
{
	bool is_known = matches(&w.pools[w.owner[a / SPAN]], &w.services[i]) == CONFIG_MATCHES;

	return is_known && holder_of(a) == NONE && !cools_for_another(a, i) &&
	                       has_quota(i, w.owner[a / SPAN], 1)
	               ? bit(a)
	               : WAITS;
}

/* @honoured: what it holds was given when it asked for this pool, which so does not count. */
static uint32_t plain_answer(int i, bool honoured)
{
	const struct service *s = &w.services[i];
	bool stays = honoured && s->held;
	int pool = stays ? NONE : s->asked_pool;

	if (pool != NONE &&
	    (pool == POOLS || !w.pools[pool].is_there || w.pools[pool].is_disabled ||
	     matches(&w.pools[pool], s) != CONFIG_MATCHES))
		return WAITS;
	if (s->asked)
		return asked_addresses(i, stays);
	uint32_t has = s->held & (pool == NONE ? UINT32_MAX : owned_by(pool));
	if (has)
		return bit(lowest(has));
	int booked = reserved_for(i);
	if (booked != NONE && (pool == NONE || w.owner[booked / SPAN] == pool))
		return take_booked(i, booked);
	if (pool == NONE)
		return from_any_pool(i);
	return next_free(i, pool) == NONE ? WAITS : bit(next_free(i, pool));
}

/* ---- the allocator ---- */

static const char *key_of(int i)
{
	static char key[16];

	snprintf(key, sizeof(key), "n%d/s%02d", i % NAMESPACES, i);
	return key;
}

static struct labels label(const char *key, int value)
{
	char text[8];

	snprintf(text, sizeof(text), "t%d", value);
	struct label one = { .key = (char *)(uintptr_t)key, .value = text };
	const struct labels l = { .kvs = &one, .n = value != NONE };
	return labels_copy(&l);
}

static struct ipam_request request_of(const struct service *s)
{
	struct ipam_request r = { .wish = IPAM_WISH_ADDRESS,
		                  .use = CONFIG_USE_LOAD_BALANCER,
		                  .assigned_by_us = true,
		                  .families = { 4 },
		                  .n_families = 1 };

	r.labels = label("tier", s->tier);
	r.lot = (uint64_t)LOT(s - w.services);
	r.n_asked = (uint8_t)addrs_of(s->asked, r.asked);
	r.n_held = (uint8_t)addrs_of(s->held, r.held);
	if (s->asked_pool != NONE)
		r.pool = xasprintf("p%d", s->asked_pool);
	r.honoured = r.pool && ipam_message_honours(s->message, s->is_true, r.pool);
	return r;
}

static void tell_namespace(int n)
{
	char name[8];
	struct labels l = label("team", w.team[n]);

	snprintf(name, sizeof(name), "n%d", n);
	ipam_set_namespace(w.ipam, name, w.known[n] ? &l : NULL);
	labels_fini(&l);
}

/*
 * What was given last goes along with the address, wherever that belongs now; if to nobody that
 * gives in turn, the pool stays where it was.
 */
static void keep_turns(const char *text)
{
	int was[POOLS], n = 0;

	memcpy(was, w.given_last, sizeof(was));
	for (int p = 0; p < POOLS; p++)
		w.given_last[p] = NONE;
	for (const char *at = text; (at = strstr(at, "last ")); n++) {
		char address[16];
		struct addr a;
		int p;
		assert_int_equal(sscanf(at, "last %15s p%d", address, &p), 2);
		assert_int_equal(addr_parse(address, &a), 0);
		int owner = w.owner[number_of(&a) / SPAN];
		assert_true(p < POOLS && was[p] == number_of(&a));
		if (owner == NONE || w.pools[owner].allocation != CONFIG_ALLOCATION_ROUND_ROBIN)
			owner = p;
		if (w.pools[owner].is_there &&
		    w.pools[owner].allocation == CONFIG_ALLOCATION_ROUND_ROBIN)
			w.given_last[owner] = number_of(&a);
		at++;
	}
	for (int p = 0; p < POOLS; p++)
		n -= was[p] != NONE;
	assert_int_equal(n, 0);
}

/* A new leader, or a new configuration: everybody holds first what he has. */
static void start(void)
{
	w.all_again = true;
	cleanup(buf_fini) struct buf yaml = BUF_INIT;
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;
	cleanup(buf_fini) struct buf cooling = BUF_INIT;

	if (w.ipam)
		ipam_print_cooling(w.ipam, SIZE_MAX, &cooling);
	ipam_free(w.ipam);
	buf_puts(&yaml, "address-pools:\n");
	for (int i = 0; i < POOLS; i++)
		if (w.pools[i].is_there)
			print_pool(i, &yaml);
	if (configuration_parse(buf_str(&yaml), yaml.size, &c, &errors, NULL) < 0)
		fail_msg("%s: %s", errors.items[0].message, buf_str(&yaml));
	config_problems_fini(&errors);
	w.ipam = ipam_new(c);
	configuration_unref(c);
	for (int n = 0; n < NAMESPACES; n++)
		tell_namespace(n);
	for (int a = 0; a < ADDRS; a++)
		if (w.machine[a]) {
			const struct addr at = addr_of(a);
			ipam_add_machine(w.ipam, &at, REASON_NodeAddress, "Node node1");
		}
	for (int i = 0; i < SERVICES; i++)
		if (w.services[i].exists) {
			struct addr held[ADDRS];
			size_t n = addrs_of(w.services[i].held, held);
			assert_int_equal(ipam_hold_any(w.ipam, key_of(i), held, n), n);
		}
	ipam_set_time(w.ipam, w.now);
	ipam_read_cooling(w.ipam, buf_str(&cooling));
	keep_turns(buf_str(&cooling));
	forget_cooled();
	for (int p = 0; p < POOLS; p++)
		for (int n = 0; n < NAMESPACES; n++)
			bound_cooling(p, n);
}

/* ---- both ---- */

/* Goes over to what it is given; each that is new counts by itself, in order. */
static void take(int i, uint32_t answer, const struct ipam_decision *d)
{
	struct service *s = &w.services[i];
	uint32_t before = s->held;

	for (int a = 0; a < ADDRS; a++)
		if (answer & bit(a) && holder_of(a) == NONE) {
			count_turn(i, a);
			s->held |= bit(a);
			w.cools_for[a] = NONE;
		}
	ipam_give(w.ipam, key_of(i), d->addrs, d->n);
	ipam_hold_any(w.ipam, key_of(i), d->addrs, d->n);
	ipam_retain(w.ipam, key_of(i), d->addrs, d->n);
	s->held = answer;
	for (int a = 0; a < ADDRS; a++)
		if (before & ~answer & bit(a))
			let_go(a, i);
}

static void decide(int i)
{
	struct service *s = &w.services[i];
	struct ipam_request r = request_of(s);
	struct ipam_decision d;

	bool woken =
		w.all_again || s->changed || s->woken || ipam_is_concerned(w.ipam, key_of(i), &r);
	ipam_decide(w.ipam, key_of(i), &r, &d);
	uint32_t plain = plain_answer(i, r.honoured), answer = WAITS;
	for (size_t k = 0; k < d.n && d.action != IPAM_FAIL; k++)
		answer |= bit(number_of(&d.addrs[k]));
	if (answer != plain)
		fail_msg("seed %u, step %u: s%02d is given %x instead of %x: %s %s", seed_now,
		         step_now, i, answer, plain, reason_name(d.reason), d.message);
	if (answer != WAITS) {
		if (!woken && answer != s->held)
			fail_msg("seed %u, step %u: s%02d is not woken for %x", seed_now, step_now,
			         i, answer);
		assert_int_equal(d.n, count(answer));
		take(i, answer, &d);
	}
	snprintf(s->message, sizeof(s->message), "%s", d.message);
	s->is_true = reason_holds(d.reason);
	ipam_request_fini(&r);
}

static void check(int i)
{
	const struct service *s = &w.services[i];
	uint32_t gained = s->held & ~s->before, lost = s->before & ~s->held;

	if (!s->exists)
		return;
	for (int k = 0; k < i; k++)
		assert_false(w.services[k].exists && w.services[k].held & s->held);
	for (int a = 0; a < ADDRS; a++) {
		int pool = w.owner[a / SPAN];
		if (gained & bit(a))
			assert_true(pool != NONE && is_given_by(a, pool) &&
			            !w.pools[pool].is_disabled &&
			            count(s->held) <= w.pools[pool].most &&
			            matches(&w.pools[pool], s) == CONFIG_MATCHES);
	}
	if (lost)
		assert_true(s->changed || s->asked || s->asked_pool != NONE);
	/* Nor does it lose what it asks for all the same, or the last one to nothing. */
	assert_false(lost & s->asked && s->asked_pool == NONE);
	assert_true(!lost || s->held);
}

/* Time goes on. */
static void wait_a_while(void)
{
	w.now += (int)rnd(20);
	ipam_set_time(w.ipam, w.now);
	forget_cooled();
}

static void random_wish(struct service *s)
{
	s->asked = rnd(4) ? 0 : bit((int)rnd(ADDRS));
	/* Often some of one pool, and of what it has. */
	if (s->asked && rnd(2))
		s->asked |= bit(lowest(s->asked) ^ 1);
	if (s->asked && rnd(3) == 0)
		s->asked |= bit(lowest(s->asked) ^ (1 + (int)rnd(SPAN - 1)));
	if (s->held && rnd(3) == 0)
		s->asked = s->held & ~bit((int)rnd(ADDRS));
	if (s->held && rnd(4) == 0 && count(s->held) < CONFIG_ADDRESSES_PER_SERVICE_MAX)
		s->asked = s->held | bit(lowest(s->held) ^ (1 + (int)rnd(SPAN - 1)));
	s->asked_pool = rnd(2) ? NONE : (int)rnd(POOLS + 1);
	s->changed = true;
}

static void come_or_go(int i)
{
	struct service *s = &w.services[i];

	if (s->exists) {
		ipam_release(w.ipam, key_of(i));
		for (int a = 0; a < ADDRS; a++)
			if (s->held & bit(a))
				let_go(a, i);
		*s = (struct service){ .exists = false };
		return;
	}
	*s = (struct service){ .exists = true,
		               .namespace = i % NAMESPACES,
		               .tier = rnd_or_none(2) };
	random_wish(s);
}

static void toggle_machine(int a)
{
	const struct addr at = addr_of(a);

	w.machine[a] = !w.machine[a];
	if (w.machine[a])
		ipam_add_machine(w.ipam, &at, REASON_NodeAddress, "Node node1");
	else
		ipam_remove_machine(w.ipam, &at, REASON_NodeAddress, "Node node1");
}

static void happen(void)
{
	int i = (int)rnd(SERVICES), n = (int)rnd(NAMESPACES);

	switch (rnd(13)) {
	case 0: /* another leader */
		start();
		break;
	case 1: /* an edit */
		random_pools();
		random_reservations();
		start();
		break;
	case 2: /* a smaller one */
		random_reservations();
		w.pools[rnd(POOLS)].tier = rnd_or_none(2);
		w.pools[rnd(POOLS)].is_disabled ^= true;
		w.pools[rnd(POOLS)].excluded = rnd_or_none(SPAN - 1);
		w.pools[rnd(POOLS)].quotas[0].addresses = (int)rnd(4);
		w.pools[rnd(POOLS)].cool_down = (int)rnd(30);
		w.pools[rnd(POOLS)].most = 1 + (int)rnd(3);
		start();
		break;
	case 3:
		w.team[n] = rnd_or_none(2);
		w.known[n] = rnd(4);
		tell_namespace(n);
		w.all_again = true;
		break;
	case 4:
		w.all_again = true;
		toggle_machine((int)rnd(ADDRS));
		break;
	case 5:
		w.services[i].tier = rnd_or_none(2);
		w.services[i].changed = true;
		break;
	case 12:
		wait_a_while();
		break;
	case 6:
	case 7:
		if (w.services[i].exists)
			random_wish(&w.services[i]);
		break;
	default:
		come_or_go(i);
		break;
	}
}

/* Who waits and would be woken by what was let go in this step. */
static void end_step(void)
{
	for (int i = 0; i < SERVICES; i++) {
		struct service *s = &w.services[i];
		if (!s->exists)
			continue;
		struct ipam_request r = request_of(s);
		s->woken = ipam_is_concerned(w.ipam, key_of(i), &r);
		ipam_request_fini(&r);
	}
	ipam_freed_seen(w.ipam);
}

/* No quota is exceeded, or more so than before. */
static void count_quotas(int counted[POOLS][QUOTAS], bool first)
{
	for (int p = 0; p < POOLS; p++)
		for (int k = 0; k < QUOTAS; k++) {
			int n = w.pools[p].quotas[k].namespaces ? n_counted(p, k) : 0;
			if (first)
				counted[p][k] = n;
			else if (n > counted[p][k] && n > w.pools[p].quotas[k].addresses)
				fail_msg("seed %u, step %u: quota %d of p%d has %d", seed_now,
				         step_now, k, p, n);
		}
}

static void step(void)
{
	int counted[POOLS][QUOTAS];

	w.all_again = false;
	for (int i = 0; i < SERVICES; i++) {
		w.services[i].before = w.services[i].held;
		w.services[i].changed = false;
	}
	happen();
	count_quotas(counted, true);
	for (int i = 0; i < SERVICES; i++)
		if (w.services[i].exists)
			decide(i);
	count_quotas(counted, false);
	for (int i = 0; i < SERVICES; i++)
		check(i);
	end_step();
}

static void test_same_answers(void **state)
{
	(void)state;
	const char *more = getenv("FAIRLEAD_SEEDS");
	unsigned int n_seeds = more ? (unsigned int)strtoul(more, NULL, 10) : SEEDS;

	for (seed_now = 1; seed_now <= n_seeds; seed_now++) {
		rnd_state = seed_now;
		memset(&w, 0, sizeof(w));
		for (int a = 0; a < ADDRS; a++)
			w.cools_for[a] = NONE;
		for (int p = 0; p < POOLS; p++)
			w.given_last[p] = NONE;
		w.now = 1000;
		random_pools();
		random_reservations();
		start();
		for (step_now = 0; step_now < STEPS; step_now++)
			step();
		ipam_free(w.ipam);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers),
	};

	return cmocka_run_group_tests_name("ipam beside a plain one", tests, NULL, NULL);
}
