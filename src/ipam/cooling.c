/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that cool down: for a while after the last Service has given one up, only that Service
 * may have it, by its namespace and name, since clients and caches may still send there.  So a
 * Service that is deleted and created anew, as tools do that apply manifests, has its address
 * again; whoever else comes does not get what was meant for it.
 *
 * The allocator has no clock: ipam_set_time() tells it.  The addresses of a pool end in the order
 * in which they were released, so the first of its list is the next one to be free, and an address
 * that was free longest is given first when there is no other.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "fairlead/limits.h"
#include "fairlead/mem.h"
#include "ipam/choice.h"

/* A line of the text: an address, names of 63 and 253 characters, a number of seconds. */
#define LINE_MAX_BYTES 420
#define KEY_SIZE 320

/* Whose they are: "namespace/name". */
struct ipam_cooler {
	char *key;
	struct ipam_cooling *all;
	UT_hash_handle hh;
};

/* ---- by Service ---- */

/* @key: with or without " (external IPs)". */
static struct ipam_cooler *cooler_find(const struct ipam *ipam, const char *key)
{
	struct ipam_cooler *who;

	HASH_FIND(hh, ipam->coolers, key, strcspn(key, " "), who);
	return who;
}

static struct ipam_cooler *cooler_get(struct ipam *ipam, const char *key)
{
	struct ipam_cooler *who = cooler_find(ipam, key);

	if (!who) {
		who = xcalloc(1, sizeof(*who));
		who->key = xasprintf("%.*s", (int)strcspn(key, " "), key);
		HASH_ADD_KEYPTR(hh, ipam->coolers, who->key, strlen(who->key), who);
	}
	return who;
}

static void cooler_drop(struct ipam *ipam, struct ipam_cooler *who)
{
	if (who->all)
		return;
	HASH_DEL(ipam->coolers, who);
	free(who->key);
	free(who);
}

/* ---- what cools ---- */

const struct ipam_cooling *ipam_cooling_of(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_cooling *cooling;

	HASH_FIND(hh, ipam->coolings, a, sizeof(*a), cooling);
	return cooling;
}

static int64_t end_of(const struct ipam *ipam, const struct ipam_cooling *cooling)
{
	const struct ipam_pool *pool = ipam_pool_of(ipam, &cooling->addr);

	return cooling->since_s + pool->conf->cool_down_s;
}

/*
 * Those of a pool stand in the order in which they end.  Looked for from where the last one was put
 * in, as the lines of a text are in that order, too.
 */
static void enlist(struct ipam *ipam, struct ipam_pool *pool, struct ipam_cooling *cooling)
{
	struct ipam_cooling *before = pool->cooled_last;

	for (; before && before->since_s > cooling->since_s; ipam->n_cooling_steps++)
		before = before == pool->cooling ? NULL : before->prev;
	for (; before && before->next && before->next->since_s <= cooling->since_s;
	     ipam->n_cooling_steps++)
		before = before->next;
	if (before)
		DL_APPEND_ELEM(pool->cooling, before, cooling);
	else
		DL_PREPEND(pool->cooling, cooling);
	pool->cooled_last = cooling;
}

static void delist(struct ipam_pool *pool, struct ipam_cooling *cooling)
{
	if (pool->cooled_last == cooling)
		pool->cooled_last = cooling == pool->cooling ? cooling->next : cooling->prev;
	DL_DELETE(pool->cooling, cooling);
}

/* ---- by namespace ---- */

/* @key: "namespace/name". */
static struct ipam_cooled *cooled_get(struct ipam_pool *pool, const char *key)
{
	size_t n = strcspn(key, "/");
	struct ipam_cooled *among;

	HASH_FIND(hh, pool->cooled, key, n, among);
	if (!among) {
		among = xcalloc(1, sizeof(*among));
		among->namespace = xasprintf("%.*s", (int)n, key);
		HASH_ADD_KEYPTR(hh, pool->cooled, among->namespace, n, among);
	}
	return among;
}

static void cooled_drop(struct ipam_pool *pool, struct ipam_cooled *among)
{
	if (among->n[0] + among->n[1] > 0)
		return;
	HASH_DEL(pool->cooled, among);
	free(among->namespace);
	free(among);
}

/* ---- beginning and end ---- */

static void begin_cooling(struct ipam *ipam, struct ipam_pool *pool, const struct addr *a,
                          const char *key, int64_t since_s)
{
	struct ipam_cooling *cooling = xcalloc(1, sizeof(*cooling));

	cooling->addr = *a;
	cooling->since_s = since_s;
	cooling->began_in = ipam->span;
	cooling->who = cooler_get(ipam, key);
	cooling->among = cooled_get(pool, key);
	cooling->among->n[ipam_family_index(a->family)]++;
	HASH_ADD(hh, ipam->coolings, addr, sizeof(cooling->addr), cooling);
	DL_APPEND2(cooling->who->all, cooling, prev_of_who, next_of_who);
	enlist(ipam, pool, cooling);
	ipam_place(ipam, a);
}

static void end_cooling(struct ipam *ipam, struct ipam_cooling *cooling)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, &cooling->addr);
	const struct addr a = cooling->addr;

	HASH_DEL(ipam->coolings, cooling);
	DL_DELETE2(cooling->who->all, cooling, prev_of_who, next_of_who);
	cooler_drop(ipam, cooling->who);
	cooling->among->n[ipam_family_index(a.family)]--;
	cooled_drop(pool, cooling->among);
	delist(pool, cooling);
	free(cooling);
	ipam_place(ipam, &a);
}

/* It is for anybody from now on. */
static void end_for_all(struct ipam *ipam, struct ipam_cooling *cooling)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, &cooling->addr);

	pool->freed[ipam_family_index(cooling->addr.family)] = true;
	ipam_note_freed(ipam, &cooling->addr);
	end_cooling(ipam, cooling);
}

/*
 * The one that was let go first, and of several the lowest, so that every replica finds the same.
 */
static struct ipam_cooling *first_among(const struct ipam_pool *pool,
                                        const struct ipam_cooled *among, size_t f)
{
	struct ipam_cooling *cooling, *first = NULL;

	DL_FOREACH(pool->cooling, cooling) {
		if (first && cooling->since_s > first->since_s)
			break;
		if (cooling->among == among && ipam_family_index(cooling->addr.family) == f &&
		    (!first || addr_cmp(&cooling->addr, &first->addr) < 0))
			first = cooling;
	}
	return first;
}

/*
 * Whoever creates and deletes Services without end would otherwise keep all addresses of a pool
 * from everybody else, quota or not.
 */
static void bound_namespace(struct ipam *ipam, struct ipam_pool *pool, const char *key, size_t f)
{
	struct ipam_cooled *among = cooled_get(pool, key);
	uint64_t quota = ipam_least_quota(ipam, key, pool);
	uint64_t total = ipam_total(pool, f);
	uint64_t max = total / 100 * LIMIT_COOLING_PERCENT +
	               (total % 100 * LIMIT_COOLING_PERCENT + 99) / 100;

	max = max < quota ? max : quota;
	while (among->n[f] > (max ? max : 1))
		end_for_all(ipam, first_among(pool, among, f));
}

/* Of more than so many the one that was let go first ends early. */
static void bound_cooling(struct ipam *ipam, struct ipam_pool *pool, const struct addr *a,
                          const char *key)
{
	struct ipam_cooling *first = NULL;

	bound_namespace(ipam, pool, key, ipam_family_index(a->family));
	if (HASH_COUNT(ipam->coolings) <= LIMIT_COOLING_ADDRESSES)
		return;
	for (size_t i = 0; i < ipam->n_pools; i++) {
		struct ipam_cooling *cooling = ipam->pools[i].cooling;
		if (cooling && (!first || cooling->since_s < first->since_s))
			first = cooling;
	}
	end_for_all(ipam, first);
}

bool ipam_cool(struct ipam *ipam, struct ipam_pool *pool, const struct addr *a, const char *key)
{
	if (pool->conf->cool_down_s == 0)
		return false;
	size_t f = ipam_family_index(a->family);
	if (!ipam_pool_cooled_at(ipam, pool, f))
		pool->began_in[f] = ipam->span;
	begin_cooling(ipam, pool, a, key, ipam->now_s);
	bound_cooling(ipam, pool, a, key);
	ipam->n_noted++;
	return true;
}

void ipam_warm(struct ipam *ipam, const struct addr *a)
{
	struct ipam_cooling *cooling;

	HASH_FIND(hh, ipam->coolings, a, sizeof(*a), cooling);
	if (cooling)
		end_cooling(ipam, cooling);
}

void ipam_free_cooling(struct ipam *ipam)
{
	while (ipam->coolings)
		end_cooling(ipam, ipam->coolings);
}

bool ipam_cools_for_another(const struct ipam *ipam, const char *key, const struct addr *a)
{
	const struct ipam_cooling *cooling = ipam_cooling_of(ipam, a);

	return cooling && cooling->who != cooler_find(ipam, key);
}

bool ipam_first_cooling(const struct ipam *ipam, const char *key, const struct ipam_pool *pool,
                        size_t family_index, struct addr *ret_addr)
{
	const struct ipam_cooler *who = cooler_find(ipam, key);
	const struct ipam_cooling *cooling;
	bool found = false;

	if (!who)
		return false;
	DL_FOREACH2(who->all, cooling, next_of_who)
	{
		const struct addr *a = &cooling->addr;
		if (ipam_family_index(a->family) != family_index || ipam_pool_of(ipam, a) != pool ||
		    !ipam_is_assignable(ipam, pool, a) || ipam_is_anothers(ipam, key, a) ||
		    (found && addr_cmp(a, ret_addr) > 0))
			continue;
		*ret_addr = *a;
		found = true;
	}
	return found;
}

/* ---- time ---- */

/* The clock was ahead, and nothing cools down for as long as that.  Their order stays. */
static void set_back(struct ipam *ipam, int64_t now_s)
{
	struct ipam_cooling *cooling;

	for (size_t i = 0; i < ipam->n_pools; i++)
		DL_FOREACH(ipam->pools[i].cooling, cooling)
			if (cooling->since_s > now_s) {
				cooling->since_s = now_s;
				ipam->n_noted++;
			}
}

bool ipam_set_time(struct ipam *ipam, int64_t now_s)
{
	bool freed = false;

	if (now_s < ipam->now_s)
		set_back(ipam, now_s);
	ipam->now_s = now_s;
	for (size_t i = 0; i < ipam->n_pools; i++) {
		struct ipam_pool *pool = &ipam->pools[i];
		while (pool->cooling && end_of(ipam, pool->cooling) <= now_s) {
			end_for_all(ipam, pool->cooling);
			freed = true;
		}
	}
	return freed;
}

int64_t ipam_next_cooled(const struct ipam *ipam)
{
	int64_t next_s = INT64_MAX;

	for (size_t i = 0; i < ipam->n_pools; i++) {
		const struct ipam_cooling *first = ipam->pools[i].cooling;
		if (first && end_of(ipam, first) < next_s)
			next_s = end_of(ipam, first);
	}
	return next_s;
}

const char *ipam_cools_for(const struct ipam *ipam, const struct addr *a, int64_t *ret_until_s)
{
	const struct ipam_cooling *cooling = ipam_cooling_of(ipam, a);

	if (!cooling)
		return NULL;
	*ret_until_s = end_of(ipam, cooling);
	return cooling->who->key;
}

int64_t ipam_cooled_at(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_cooling *cooling = ipam_cooling_of(ipam, a);

	return cooling ? end_of(ipam, cooling) : 0;
}

/* Would it be given to anybody after that? */
static bool is_for_all(const struct ipam *ipam, const struct ipam_pool *pool, const struct addr *a,
                       size_t family_index)
{
	return ipam_family_index(a->family) == family_index && !ipam_reserved_for(ipam, a) &&
	       ipam_is_assignable(ipam, pool, a);
}

int64_t ipam_pool_cooled_at(const struct ipam *ipam, const struct ipam_pool *pool,
                            size_t family_index)
{
	const struct ipam_cooling *cooling;

	DL_FOREACH(pool->cooling, cooling)
		if (is_for_all(ipam, pool, &cooling->addr, family_index))
			return end_of(ipam, cooling);
	return 0;
}

uint64_t ipam_n_cooling(const struct ipam *ipam, const struct ipam_pool *pool, size_t family_index)
{
	const struct ipam_cooling *cooling;
	uint64_t n = 0;

	DL_FOREACH(pool->cooling, cooling)
		n += is_for_all(ipam, pool, &cooling->addr, family_index);
	return n;
}

/* ---- as text ---- */

uint64_t ipam_n_noted(const struct ipam *ipam)
{
	return ipam->n_noted;
}

/* The latest first: of a text that is too long, what ends soonest is left out. */
static int by_latest(const void *a, const void *b)
{
	const struct ipam_cooling *ca = *(const struct ipam_cooling *const *)a;
	const struct ipam_cooling *cb = *(const struct ipam_cooling *const *)b;

	if (ca->since_s != cb->since_s)
		return ca->since_s > cb->since_s ? -1 : 1;
	return addr_cmp(&ca->addr, &cb->addr);
}

void ipam_print_cooling(const struct ipam *ipam, size_t max_bytes, struct buf *out)
{
	size_t n = HASH_COUNT(ipam->coolings), i = 0;
	const struct ipam_cooling **all = xcalloc(n + 1, sizeof(*all));

	ipam_print_turns(ipam, out);
	for (const struct ipam_cooling *cooling = ipam->coolings; cooling;
	     cooling = cooling->hh.next)
		all[i++] = cooling;
	qsort(all, n, sizeof(*all), by_latest);
	for (i = 0; i < n && out->size + LINE_MAX_BYTES <= max_bytes; i++)
		buf_printf(out, "%s %s %" PRId64 "\n", addr_str(&all[i]->addr), all[i]->who->key,
		           all[i]->since_s);
	free(all);
}

/* What of it concerns this configuration, and was not known here. */
static void take_in(struct ipam *ipam, const struct addr *a, const char *key, int64_t since_s)
{
	struct ipam_pool *pool = ipam_pool_of(ipam, a);
	const struct ipam_cooling *known = ipam_cooling_of(ipam, a);

	/* Of a clock that was ahead of ours. */
	if (since_s > ipam->now_s)
		since_s = ipam->now_s;
	if (!pool || ipam_holder_of(ipam, a) || since_s + pool->conf->cool_down_s <= ipam->now_s ||
	    (known && known->since_s >= since_s))
		return;
	ipam_warm(ipam, a);
	begin_cooling(ipam, pool, a, key, since_s);
	bound_cooling(ipam, pool, a, key);
}

/* "192.0.2.1 lan", of earlier leaders "192.0.2.1" */
static void read_turn(struct ipam *ipam, const char *text)
{
	char address[ADDR_STR_SIZE];
	size_t n = strcspn(text, " ");
	struct addr a;

	if (n >= sizeof(address))
		return;
	snprintf(address, sizeof(address), "%.*s", (int)n, text);
	if (addr_parse(address, &a) == 0)
		ipam_read_turn(ipam, &a, text + n + (text[n] == ' '));
}

/* "192.0.2.1 shop/web 1764547200", or "last 192.0.2.1 lan" */
static void read_line(struct ipam *ipam, const char *line)
{
	char address[ADDR_STR_SIZE], key[KEY_SIZE], since[24], *end;
	struct addr a;

	if (!strncmp(line, "last ", 5))
		read_turn(ipam, line + 5);
	if (sscanf(line, "%45s %319s %23s", address, key, since) != 3 ||
	    addr_parse(address, &a) < 0 || !strchr(key, '/'))
		return;
	long long since_s = strtoll(since, &end, 10);
	if (!*end && since_s > 0)
		take_in(ipam, &a, key, since_s);
}

void ipam_read_cooling(struct ipam *ipam, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char line[LINE_MAX_BYTES];
		if (n < sizeof(line)) {
			snprintf(line, sizeof(line), "%.*s", (int)n, text);
			read_line(ipam, line);
		}
		text += n + (text[n] == '\n');
	}
}
