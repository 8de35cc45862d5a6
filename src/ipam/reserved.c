/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that a pool reserves for one Service, by its name: they are no longer among those that
 * are given to whoever comes, and wait for that Service even while it does not exist.  Another one
 * that holds such an address from before keeps it, and the Service waits for it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "ipam/choice.h"

/* @service: with or without " (external IPs)". */
static struct ipam_booking *find_booking(const struct ipam *ipam, const char *service)
{
	struct ipam_booking *b;

	HASH_FIND(hh, ipam->bookings, service, strcspn(service, " "), b);
	return b;
}

static void book(struct ipam *ipam, const struct config_pool *pool,
                 const struct config_reservation *r)
{
	struct ipam_booking *b = find_booking(ipam, r->service);

	if (!b) {
		b = xcalloc(1, sizeof(*b));
		b->service = r->service;
		b->pool = pool;
		HASH_ADD_KEYPTR(hh, ipam->bookings, b->service, strlen(b->service), b);
	}
	b->addrs[ipam_family_index(r->address.family)] = r->address;
}

void ipam_reserve(struct ipam *ipam, const struct config_pool *pool)
{
	for (size_t i = 0; i < pool->n_reservations; i++) {
		struct ipam_reservation *r = xcalloc(1, sizeof(*r));
		r->addr = pool->reservations[i].address;
		r->service = pool->reservations[i].service;
		HASH_ADD(hh, ipam->reservations, addr, sizeof(r->addr), r);
		ipam_place(ipam, &r->addr);
		book(ipam, pool, &pool->reservations[i]);
	}
}

void ipam_free_reservations(struct ipam *ipam)
{
	struct ipam_reservation *r, *next;
	struct ipam_booking *b, *next_b;

	HASH_ITER(hh, ipam->bookings, b, next_b) {
		HASH_DEL(ipam->bookings, b);
		free(b);
	}
	HASH_ITER(hh, ipam->reservations, r, next) {
		HASH_DEL(ipam->reservations, r);
		free(r);
	}
}

const char *ipam_reserved_for(const struct ipam *ipam, const struct addr *a)
{
	const struct ipam_reservation *r;

	HASH_FIND(hh, ipam->reservations, a, sizeof(*a), r);
	return r ? r->service : NULL;
}

bool ipam_has_reservation(const struct ipam *ipam, const char *key)
{
	return find_booking(ipam, key) != NULL;
}

bool ipam_is_anothers(const struct ipam *ipam, const char *key, const struct addr *a)
{
	const char *service = ipam_reserved_for(ipam, a);
	size_t n = strcspn(key, " "); /* without " (external IPs)" */

	return service && (strlen(service) != n || strncmp(service, key, n) != 0);
}

bool ipam_is_withheld(const struct ipam *ipam, const char *key, const struct addr *a)
{
	if (!ipam_is_anothers(ipam, key, a))
		return false;
	for (const struct ipam_tenant *t = ipam_tenants_of(ipam, a); t; t = t->next)
		if (!ipam_is_anothers(ipam, t->service->key, a))
			return false;
	return true;
}

uint64_t ipam_n_reserved_free(const struct ipam *ipam, const struct ipam_pool *pool, size_t f)
{
	uint64_t n = 0;

	for (size_t i = 0; i < pool->conf->n_reservations; i++) {
		const struct addr *a = &pool->conf->reservations[i].address;
		n += ipam_family_index(a->family) == f && !ipam_holder_of(ipam, a) &&
		     ipam_is_assignable(ipam, pool, a);
	}
	return n;
}

/* The Service has it already, as the load balancer's where external IPs are chosen, or so. */
static bool is_other_parts(const struct choice *c, const struct addr *a)
{
	for (const struct ipam_tenant *t = ipam_tenants_of(c->ipam, a); t; t = t->next)
		if (!ipam_is_anothers(c->ipam, t->service->key, a))
			return choice_is_taken(c, a);
	return false;
}

const struct addr *choice_reserved(const struct choice *c, const struct ipam_pool *pool,
                                   uint8_t family)
{
	const struct ipam_booking *b = find_booking(c->ipam, c->key);

	if (!b || b->pool != pool->conf)
		return NULL;
	const struct addr *a = &b->addrs[ipam_family_index(family)];
	return !addr_is_none(a) && ipam_is_assignable(c->ipam, pool, a) && !is_other_parts(c, a)
	               ? a
	               : NULL;
}

bool choice_has_reserved(const struct choice *c, const struct ipam_pool *pool)
{
	for (size_t i = 0; i < c->r->n_families; i++)
		if (choice_reserved(c, pool, c->r->families[i]))
			return true;
	return false;
}
