/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As test_ipam_oracle.c, of what that leaves out: Services that share addresses, and those that
 * want some of each family.  Two pools of few addresses, so that most histories are about who may
 * join whom, who has to go, and who goes without the other family.
 *
 * At each step it also holds that all who have an address together were let in, and that whoever
 * gets something else than before would have been woken.
 */
#include "config.h"

#include "unit.h"

#include <stdlib.h>

#include "fairlead/ipam.h"
#include "fairlead/mem.h"
#include "fairlead/tenancy.h"

enum { POOLS = 2, SPAN = 4, ADDRS = POOLS * SPAN, SERVICES = 8, PORTS = 3 };
enum { STEPS = 60, SEEDS = 1000 };
#define NONE (-1)

static unsigned int rnd_state, seed_now, step_now;

static unsigned int rnd(unsigned int below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

/* ---- the world ---- */

/* Addresses of each family: bits, by number. */
struct both {
	unsigned int a[2];
};

static const struct both nothing = { { 0, 0 } };

struct service {
	bool exists;
	int created;
	int key;            /* NONE: it does not share */
	unsigned int ports; /* bits */
	bool local;
	int selector; /* what it selects, where that matters */
	bool wants[2], needs_both, six_first;
	struct both asked;
	struct both held;
	bool granted;
	bool changed, woken; /* in this step; by the one before */
};

static struct {
	int n_addrs[POOLS][2]; /* the first so many of its span */
	bool is_across[POOLS], is_disabled[POOLS];
	int most[POOLS]; /* that a Service may ask for */
	struct service services[SERVICES];
	int n_created;
	bool all_again;
	struct ipam *ipam;
} w;

static int namespace_of(int i)
{
	return i % 2;
}

static struct addr addr_of(int f, int n)
{
	char text[32];
	struct addr a;

	snprintf(text, sizeof(text), f ? "fd00::%d:%d" : "10.0.%d.%d", n / SPAN, n % SPAN);
	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static int number_of(const struct addr *a)
{
	return a->family == 4 ? a->b[2] * SPAN + a->b[3] : a->b[13] * SPAN + a->b[15];
}

static const char *key_of(int i)
{
	static char key[16];

	snprintf(key, sizeof(key), "n%d/s%d", namespace_of(i), i);
	return key;
}

/* ---- the plain allocator: sharing ---- */

static bool has(int i, int f, int a)
{
	return w.services[i].exists && w.services[i].held.a[f] & 1u << a;
}

static bool go_together(int i, int j, bool across)
{
	const struct service *s = &w.services[i], *t = &w.services[j];

	return s->key != NONE && s->key == t->key && !(s->ports & t->ports) &&
	       s->local == t->local && (!s->local || s->selector == t->selector) &&
	       (across || namespace_of(i) == namespace_of(j));
}

static bool is_free(int f, int a)
{
	for (int i = 0; i < SERVICES; i++)
		if (has(i, f, a))
			return false;
	return true;
}

/* All who have it let this one in, and came before it. */
static bool may_join(int i, int f, int a)
{
	if (is_free(f, a) || has(i, f, a))
		return false;
	for (int j = 0; j < SERVICES; j++)
		if (has(j, f, a) && (!go_together(i, j, w.is_across[a / SPAN]) ||
		                     w.services[j].created > w.services[i].created))
			return false;
	return true;
}

/* The next younger one that has it; @than: NONE: the oldest. */
static int next_younger(int f, int a, int than)
{
	int next = NONE;

	for (int j = 0; j < SERVICES; j++)
		if (has(j, f, a) &&
		    (than == NONE || w.services[j].created > w.services[than].created) &&
		    (next == NONE || w.services[j].created < w.services[next].created))
			next = j;
	return next;
}

/* It does not go together with those before it that may stay. */
static bool is_misfit(int i, int f, int a)
{
	bool fits[SERVICES] = { false };

	for (int j = next_younger(f, a, NONE); j != NONE; j = next_younger(f, a, j)) {
		fits[j] = true;
		for (int k = 0; k < SERVICES; k++)
			if (k != j && fits[k] && !go_together(j, k, true))
				fits[j] = false;
		if (j == i)
			return !fits[i];
	}
	return false;
}

/* ---- the plain allocator: choosing ---- */

static bool has_any(const struct both *b)
{
	return b->a[0] || b->a[1];
}

static int pool_of(const struct both *b)
{
	return __builtin_ctz(b->a[0] ? b->a[0] : b->a[1]) / SPAN;
}

/* One to share before one of its own. */
static unsigned int next_in(int i, int pool, int f)
{
	for (int k = 0; k < w.n_addrs[pool][f]; k++)
		if (may_join(i, f, pool * SPAN + k))
			return 1u << (pool * SPAN + k);
	for (int k = 0; k < w.n_addrs[pool][f]; k++)
		if (is_free(f, pool * SPAN + k))
			return 1u << (pool * SPAN + k);
	return 0;
}

/* True if no family that is wanted lacks one now. */
static bool fill(int i, int pool, struct both *b)
{
	bool complete = true;

	for (int f = 0; f < 2; f++) {
		if (w.services[i].wants[f] && !b->a[f] && !w.is_disabled[pool])
			b->a[f] = next_in(i, pool, f);
		complete &= !w.services[i].wants[f] || b->a[f];
	}
	return complete;
}

static bool from_any_pool(int i, struct both *b)
{
	const struct service *s = &w.services[i];

	for (int p = 0; p < POOLS; p++) {
		struct both all = nothing;
		if (fill(i, p, &all)) {
			*b = all;
			return true;
		}
	}
	for (int k = 0; k < 2 && s->wants[0] && s->wants[1] && !s->needs_both; k++)
		for (int p = 0; p < POOLS; p++) {
			int f = s->six_first ? !k : k;
			if (w.is_disabled[p])
				continue;
			b->a[f] = next_in(i, p, f);
			if (b->a[f])
				return true;
		}
	return false;
}

/* One that is new to it comes from the pool of all others. */
static bool may_ask(int i, int f, int a)
{
	const struct both *asked = &w.services[i].asked;

	if (!w.services[i].wants[f])
		return false;
	if (has(i, f, a))
		return true;
	for (int b = 0; b < ADDRS; b++)
		if ((asked->a[0] | asked->a[1]) & 1u << b && b / SPAN != a / SPAN)
			return false;
	return !w.is_disabled[a / SPAN] && (is_free(f, a) || may_join(i, f, a)) &&
	       __builtin_popcount(asked->a[f]) <= w.most[a / SPAN];
}

static bool may_ask_all(int i)
{
	for (int f = 0; f < 2; f++)
		for (int a = 0; a < ADDRS; a++)
			if (w.services[i].asked.a[f] & 1u << a && !may_ask(i, f, a))
				return false;
	return true;
}

/* @avoids: what it may not share any more is not chosen. */
static bool choose(int i, bool avoids, struct both *b)
{
	const struct service *s = &w.services[i];

	*b = nothing;
	if (!may_ask_all(i))
		return false;
	*b = s->asked;
	for (int f = 0; f < 2; f++)
		for (int a = 0; a < ADDRS; a++)
			if (has(i, f, a) && s->wants[f] && !b->a[f] &&
			    (!has_any(b) || pool_of(b) == a / SPAN) &&
			    !(avoids && is_misfit(i, f, a)))
				b->a[f] = 1u << a;
	if (!has_any(b))
		return from_any_pool(i, b);
	return fill(i, pool_of(b), b) || !s->needs_both;
}

/* False: it waits, and keeps what it has. */
static bool plain_answer(int i, struct both *b)
{
	const struct service *s = &w.services[i];
	bool any = false, replaced = true;

	for (int f = 0; f < 2; f++)
		for (int a = 0; a < ADDRS; a++)
			any |= has(i, f, a) && is_misfit(i, f, a);
	if (!any)
		return choose(i, false, b);
	if (choose(i, true, b)) {
		for (int f = 0; f < 2; f++)
			replaced &= !s->held.a[f] || !s->wants[f] || b->a[f];
		if (replaced)
			return true;
	}
	return choose(i, false, b);
}

/* ---- the allocator ---- */

static size_t addrs_of(const struct both *b, struct addr *out)
{
	size_t n = 0;

	for (int f = 0; f < 2; f++)
		for (int a = 0; a < ADDRS; a++)
			if (b->a[f] & 1u << a)
				out[n++] = addr_of(f, a);
	return n;
}

static struct tenancy *tenancy_for(int i)
{
	static struct label selected = { .key = (char *)(uintptr_t) "app" };
	static struct tenancy_port ports[PORTS];
	static struct addr granted[2 * ADDRS];
	static struct tenancy t;
	static char namespace[8], key[8], value[8];
	const struct service *s = &w.services[i];

	if (s->key == NONE && !s->granted)
		return NULL;
	snprintf(namespace, sizeof(namespace), "n%d", namespace_of(i));
	snprintf(key, sizeof(key), "k%d", s->key);
	snprintf(value, sizeof(value), "v%d", s->selector);
	selected.value = value;
	t = (struct tenancy){ .namespace = namespace,
		              .key = s->key == NONE ? NULL : key,
		              .local = s->local,
		              .ports = ports,
		              .creation_us = s->created,
		              .granted = granted };
	t.n_granted = s->granted ? addrs_of(&s->held, granted) : 0;
	if (s->local)
		t.selector = (struct labels){ .kvs = &selected, .n = 1 };
	for (unsigned int k = 0; k < PORTS; k++)
		if (s->ports & 1u << k)
			ports[t.n_ports++] = (struct tenancy_port){ .port = (uint16_t)(k + 1) };
	return &t;
}

static struct ipam_request request_of(int i)
{
	const struct service *s = &w.services[i];
	struct ipam_request r = { .wish = IPAM_WISH_ADDRESS,
		                  .use = CONFIG_USE_LOAD_BALANCER,
		                  .assigned_by_us = true,
		                  .needs_both = s->needs_both };

	for (int k = 0; k < 2; k++) {
		int f = s->six_first ? !k : k;
		if (s->wants[f])
			r.families[r.n_families++] = f ? 6 : 4;
	}
	r.n_held = (uint8_t)addrs_of(&s->held, r.held);
	r.n_asked = (uint8_t)addrs_of(&s->asked, r.asked);
	r.tenancy = tenancy_copy(tenancy_for(i));
	return r;
}

static void print_pool(int p, struct buf *out)
{
	const char *comma = "";

	buf_printf(out,
	           "- {name: p%d, protocol: layer2, share-across-namespaces: %s, disabled: %s, "
	           "addresses-per-service: %d, addresses: [",
	           p, w.is_across[p] ? "true" : "false", w.is_disabled[p] ? "true" : "false",
	           w.most[p]);
	for (int f = 0; f < 2; f++)
		for (int k = 0; k < w.n_addrs[p][f]; k++) {
			const struct addr a = addr_of(f, p * SPAN + k);
			buf_printf(out, "%s'%s/%d'", comma, addr_str(&a), f ? 128 : 32);
			comma = ", ";
		}
	buf_puts(out, "]}\n");
}

/* The next one to be decided; @than: NONE: the first. */
static int next_created(int than)
{
	int next = NONE;

	for (int j = 0; j < SERVICES; j++)
		if (w.services[j].exists &&
		    (than == NONE || w.services[j].created > w.services[than].created) &&
		    (next == NONE || w.services[j].created < w.services[next].created))
			next = j;
	return next;
}

/* A new leader, or a new configuration: everybody holds first what he has. */
static void start(void)
{
	cleanup(buf_fini) struct buf yaml = BUF_INIT;
	cleanup(config_problems_fini) struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	ipam_free(w.ipam);
	buf_puts(&yaml, "address-pools:\n");
	for (int p = 0; p < POOLS; p++)
		print_pool(p, &yaml);
	if (configuration_parse(buf_str(&yaml), yaml.size, &c, &errors, NULL) < 0)
		fail_msg("%s: %s", errors.items[0].message, buf_str(&yaml));
	w.ipam = ipam_new(c);
	configuration_unref(c);
	for (int i = next_created(NONE); i != NONE; i = next_created(i))
		ipam_set_tenancy(w.ipam, key_of(i), tenancy_for(i));
	for (int i = next_created(NONE); i != NONE; i = next_created(i)) {
		struct ipam_request r = request_of(i);
		assert_int_equal(ipam_hold_any(w.ipam, key_of(i), r.held, r.n_held), r.n_held);
		ipam_request_fini(&r);
	}
	w.all_again = true;
}

/* ---- both ---- */

static void compare(int i, const struct both *plain, bool waits, const struct ipam_decision *d)
{
	struct both answer = nothing;

	for (size_t k = 0; k < d->n; k++)
		answer.a[d->addrs[k].family == 6] |= 1u << number_of(&d->addrs[k]);
	bool fails = d->action == IPAM_FAIL;
	if (fails != waits ||
	    (!fails && (answer.a[0] != plain->a[0] || answer.a[1] != plain->a[1])))
		fail_msg("seed %u, step %u: s%d is given %x, %x instead of %x, %x%s: %s %s",
		         seed_now, step_now, i, answer.a[0], answer.a[1], plain->a[0], plain->a[1],
		         waits ? " (waits)" : "", reason_name(d->reason), d->message);
}

static void decide(int i)
{
	struct service *s = &w.services[i];
	struct ipam_decision d;
	struct both plain;

	ipam_set_tenancy(w.ipam, key_of(i), tenancy_for(i));
	struct ipam_request r = request_of(i);
	bool woken =
		w.all_again || s->changed || s->woken || ipam_is_concerned(w.ipam, key_of(i), &r);
	ipam_decide(w.ipam, key_of(i), &r, &d);
	bool waits = !plain_answer(i, &plain);
	compare(i, &plain, waits, &d);
	s->granted = d.shares && d.n > 0;
	if (!waits) {
		if (!woken && memcmp(&plain, &s->held, sizeof(plain)) != 0)
			fail_msg("seed %u, step %u: s%d is not woken", seed_now, step_now, i);
		assert_int_equal(ipam_hold(w.ipam, key_of(i), d.addrs, d.n), d.n);
		ipam_retain(w.ipam, key_of(i), d.addrs, d.n);
		s->held = plain;
	}
	ipam_request_fini(&r);
}

static void check(int i)
{
	for (int j = 0; j < i; j++)
		for (int f = 0; f < 2; f++)
			if (w.services[j].exists &&
			    w.services[i].held.a[f] & w.services[j].held.a[f])
				assert_true(w.services[i].granted && w.services[j].granted);
}

/* What its owner writes. */
static void random_wish(struct service *s)
{
	unsigned int families = rnd(4);

	s->key = (int)rnd(3) - 1;
	s->ports = 1 + rnd((1u << PORTS) - 1);
	s->local = rnd(4) == 0;
	s->selector = (int)rnd(2);
	s->wants[0] = families != 1;
	s->wants[1] = families != 0;
	s->needs_both = families == 3;
	s->six_first = rnd(3) == 0;
	s->asked = nothing;
	int pool = (int)rnd(POOLS);
	for (unsigned int n = rnd(3) ? 0 : 1 + rnd(3); n > 0; n--) {
		int f = (int)rnd(2);
		if (w.n_addrs[pool][f] > 0)
			s->asked.a[f] |=
				1u << (pool * SPAN + (int)rnd((unsigned int)w.n_addrs[pool][f]));
	}
	/* Often what it has, but for one or so. */
	for (int f = 0; f < 2 && rnd(4) == 0; f++)
		s->asked.a[f] = s->wants[f] ? s->held.a[f] & ~(1u << rnd(ADDRS)) : 0;
	s->changed = true;
}

static void come_or_go(int i)
{
	struct service *s = &w.services[i];

	if (s->exists) {
		ipam_release(w.ipam, key_of(i));
		*s = (struct service){ .exists = false };
		return;
	}
	*s = (struct service){ .exists = true, .created = ++w.n_created };
	random_wish(s);
}

static void happen(void)
{
	int i = (int)rnd(SERVICES);

	switch (rnd(10)) {
	case 0: /* another leader */
		start();
		break;
	case 1: /* an edit */
		w.is_across[rnd(POOLS)] ^= true;
		w.is_disabled[rnd(POOLS)] = rnd(3) == 0;
		w.most[rnd(POOLS)] = 1 + (int)rnd(3);
		start();
		break;
	case 2:
	case 3:
		if (w.services[i].exists)
			random_wish(&w.services[i]);
		break;
	case 4: /* of the key or the ports alone */
		w.services[i].key = (int)rnd(3) - 1;
		w.services[i].ports = 1 + rnd((1u << PORTS) - 1);
		w.services[i].changed = true;
		break;
	default:
		come_or_go(i);
		break;
	}
}

/* Who waits and would be woken by what was let go, or gained, in this step. */
static void end_step(void)
{
	for (int i = next_created(NONE); i != NONE; i = next_created(i)) {
		struct ipam_request r = request_of(i);
		w.services[i].woken = ipam_is_concerned(w.ipam, key_of(i), &r);
		ipam_request_fini(&r);
	}
	ipam_freed_seen(w.ipam);
}

static void step(void)
{
	w.all_again = false;
	for (int i = 0; i < SERVICES; i++)
		w.services[i].changed = false;
	happen();
	for (int i = next_created(NONE); i != NONE; i = next_created(i))
		ipam_set_tenancy(w.ipam, key_of(i), tenancy_for(i));
	for (int i = next_created(NONE); i != NONE; i = next_created(i))
		decide(i);
	for (int i = 0; i < SERVICES; i++)
		if (w.services[i].exists)
			check(i);
	end_step();
}

static void begin(unsigned int seed)
{
	rnd_state = seed;
	memset(&w, 0, sizeof(w));
	for (int p = 0; p < POOLS; p++) {
		w.n_addrs[p][0] = 1 + (int)rnd(3);
		w.n_addrs[p][1] = (int)rnd(4);
		w.is_across[p] = rnd(2);
		w.most[p] = 1 + (int)rnd(3);
	}
	start();
}

static void test_same_answers(void **state)
{
	(void)state;
	const char *more = getenv("FAIRLEAD_SEEDS");
	unsigned int n_seeds = more ? (unsigned int)strtoul(more, NULL, 10) : SEEDS;

	for (seed_now = 1; seed_now <= n_seeds; seed_now++) {
		begin(seed_now);
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

	return cmocka_run_group_tests_name("sharing beside a plain one", tests, NULL, NULL);
}
