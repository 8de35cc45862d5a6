/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_IPAM_IPAM_H
#define FAIRLEAD_IPAM_IPAM_H

/* The allocator's inside: pools with their free addresses, and who holds what. */

#include "fairlead/hash.h"
#include "fairlead/ipam.h"
#include "fairlead/table.h"
#include "fairlead/tenancy.h"
#include "ipam/runs.h"

/* A Service as the holder of one kind of addresses. */
struct ipam_service {
	struct table_link link;
	size_t n, cap;
	struct addr *held; /* those in the object, and those on their way to it */
	size_t n_squatted, cap_squatted;
	struct addr *squatted;            /* named by hand, and denied */
	struct tenancy *tenancy;          /* what it says of sharing; NULL: nothing */
	int64_t creation_us;              /* once it has said anything */
	struct ipam_service *prev, *next; /* of the same key */
	char key[];
};

/* One of the Services that have an address. */
struct ipam_tenant {
	struct ipam_service *service;
	struct ipam_tenant *next;
};

struct ipam_holding {
	struct ipam_tenant first; /* the oldest, and those after it by age */
	struct table_link link;
	struct addr addr;
};

/* Services that share by one key. */
struct ipam_sharers {
	char *key;
	struct ipam_service *services;
	uint64_t gained_in; /* the last span in which one of them was given an address */
	UT_hash_handle hh;
};

/* One of the machines that have an address. */
struct ipam_owner {
	enum reason reason;
	char *what;
	struct ipam_owner *next;
};

struct ipam_machine {
	struct addr addr;
	struct ipam_owner *owners; /* the first is named */
	UT_hash_handle hh;
};

/* An address of a pool that Services name though they are denied it. */
struct ipam_squat {
	struct addr addr;
	struct ipam_service **services; /* the first is named */
	size_t n, cap;
	UT_hash_handle hh;
};

/* An address that is for one Service. */
struct ipam_reservation {
	struct addr addr;
	const char *service; /* the configuration's */
	UT_hash_handle hh;
};

/* What is reserved for a Service, all of it in one pool. */
struct ipam_booking {
	const char *service; /* the configuration's */
	const struct config_pool *pool;
	struct addr addrs[IPAM_FAMILIES]; /* none: no such */
	UT_hash_handle hh;
};

/* A bound of a pool on what some namespaces have together. */
struct ipam_quota {
	const struct ipam_pool *pool;
	const struct config_quota *conf;
	uint64_t used; /* addresses of the pool that they have, each once */
	bool is_freed; /* fewer than before, since ipam_freed_seen() */
	struct ipam_quota *next, *next_freed;
};

/* A namespace, and what bounds it. */
struct ipam_bounded {
	const char *namespace; /* the configuration's */
	struct ipam_quota **quotas;
	size_t n, cap;
	UT_hash_handle hh;
};

/* An address that its last Service alone may have for a while. */
struct ipam_cooling {
	struct addr addr;
	struct ipam_cooler *who;
	struct ipam_cooled *among;
	int64_t since_s;
	uint64_t began_in;                              /* the span */
	struct ipam_cooling *prev, *next;               /* of the pool */
	struct ipam_cooling *prev_of_who, *next_of_who; /* of the Service */
	UT_hash_handle hh;
};

/* How many of a pool cool down after Services of one namespace. */
struct ipam_cooled {
	char *namespace;
	uint64_t n[2];
	UT_hash_handle hh;
};

/* A Namespace whose labels are known. */
struct ipam_namespace {
	char *name;
	struct labels labels;
	UT_hash_handle hh;
};

/*
 * Every address that may be handed out is in one of the two, unless somebody holds it, a machine
 * has it, it is reserved, or it cools down.
 */
struct ipam_pool {
	const struct config_pool *conf;
	struct runs runs[2], squatted[2];
	uint64_t used[2], used_assignable[2], n_machines[2], n_squatted[2];
	bool freed[2];                    /* since ipam_freed_seen() */
	uint64_t began_in[2];             /* the last span in which its first began to cool down */
	struct ipam_cooling *cooling;     /* in the order in which they end */
	struct ipam_cooling *cooled_last; /* the one that was put in last, or one beside it */
	struct ipam_cooled *cooled;       /* by namespace */
	struct addr given_last[2];        /* in turn; none: the lowest is next */
};

struct ipam {
	struct configuration *config;
	struct ipam_pool *pools; /* in the order in which they are tried */
	size_t n_pools;
	size_t *position;             /* of each of the configuration's pools in @pools */
	struct table services;        /* struct ipam_service, by key */
	struct table holdings;        /* struct ipam_holding, by address */
	struct ipam_sharers *sharers; /* by key */
	bool tells_holders;
	struct ipam_machine *machines;
	struct ipam_squat *squats;
	struct ipam_namespace *namespaces;
	struct ipam_reservation *reservations; /* by address */
	struct ipam_booking *bookings;         /* by Service */
	struct ipam_quota *quotas, *freed_quotas;
	struct ipam_bounded *bounded;  /* by namespace */
	struct ipam_cooling *coolings; /* by address */
	struct ipam_cooler *coolers;   /* by Service */
	bool balances;                 /* some pools go by how much of them is in use */
	uint64_t span;                 /* from one ipam_freed_seen() to the next; the first is 1 */
	struct addr *freed;            /* in this one */
	size_t n_freed, cap_freed;
	uint64_t gained_in; /* the last in which any Service that shares gained one */
	/*
	 * One of those that go by use is for namespaces by their labels, which may not be known;
	 * the last span in which the order of these may have changed.
	 */
	bool may_be_open;
	uint64_t reordered_in;
	int64_t now_s;
	uint64_t n_noted;         /* ever, that the next leader should know */
	uint64_t n_cooling_steps; /* by which places in the lists of these were found */
};

/* 0 for IPv4, 1 for IPv6. */
static inline size_t ipam_family_index(uint8_t family)
{
	return family == 4 ? 0 : 1;
}

struct ipam_pool *ipam_pool_of(const struct ipam *ipam, const struct addr *a);
/*
 * For a message about an address that stays though its pool is not the one asked for, or though
 * something else that is asked for is not available; the pool's name follows, as much of it as
 * IPAM_NAME_TEXT says.
 */
#define IPAM_GIVEN_FOR " given for the request for pool "
#define IPAM_NAME_TEXT "%.100s"
/*
 * Longer names are distinguished by so many bytes: a cut may have damaged a character at the end.
 */
#define IPAM_NAME_SAME 96

/* Whether the condition of this type says that what is asked for was honoured. */
void ipam_read_honoured(const struct kube_service *s, const char *type, struct ipam_request *r);
/* A key that is too long is a problem. */
void ipam_check_sharing(struct ipam_request *r);
void ipam_read_families(const struct kube_service *s, struct ipam_request *r);
/* What the Service draws; objects in files may have no UID, and then go by their names. */
uint64_t ipam_lot_of(const struct kube_service *s, uint64_t seed);
bool ipam_is_our_class(const struct kube_service *s, const char *class);
/*
 * For a Service that names no pool for external IPs: what there is to take back, and to report
 * about those written by hand.
 */
void ipam_judge_written(const struct configuration *c, const struct ipam_request *r,
                        struct ipam_decision *out);
/*
 * Of a Service that is left alone: adds to the message which addresses of pools its list or its
 * record names without being allowed to.
 */
void ipam_note_named(const struct configuration *c, const struct ipam_request *r,
                     struct ipam_decision *out);
struct ipam_service *ipam_service_find(const struct ipam *ipam, const char *key);
/* Created if there is none; dropped once it holds nothing and names nothing. */
struct ipam_service *ipam_service_get(struct ipam *ipam, const char *key);
void ipam_service_drop(struct ipam *ipam, struct ipam_service *s);
/* Those that have the address; NULL: nobody. */
const struct ipam_tenant *ipam_tenants_of(const struct ipam *ipam, const struct addr *a);
/* The first of them, or NULL. */
const struct ipam_service *ipam_holder_of(const struct ipam *ipam, const struct addr *a);

/* ---- freed.c ---- */

/* Nobody has the address any more, or it began or ended to cool down. */
void ipam_note_freed(struct ipam *ipam, const struct addr *a);

/* ---- tenants.c ---- */

/* Makes the Service one of those that have the address, if it may be; it has one already. */
bool ipam_join(struct ipam *ipam, struct ipam_holding *h, const char *key);
/* The Service leaves; true if nobody has the address any more. */
bool ipam_leave(struct ipam_holding *h, const struct ipam_service *s);
/* The Service has one address more: others that say the same key may be able to join it there. */
void ipam_gained(struct ipam *ipam, const struct ipam_service *s);
/* Has anybody who says the same key gained one since ipam_freed_seen()? */
bool ipam_sharers_gained(const struct ipam *ipam, const struct tenancy *t);
void ipam_free_sharers(struct ipam *ipam);
void ipam_forget_tenancy(struct ipam *ipam, struct ipam_service *s);

/* What keeps a Service from an address, and who does. */
struct ipam_obstacle {
	struct tenancy_verdict verdict;
	const struct ipam_service *other;
};
/*
 * May a Service that says this, and does not have the address, join those that have it?  All of
 * them count, and none may be younger.
 */
struct ipam_obstacle ipam_obstacle_of(const struct ipam *ipam, const char *key,
                                      const struct tenancy *t, const struct addr *a);
/*
 * May a Service that has the address together with others go on so?  Only older ones count, and of
 * these only those that may.
 */
struct ipam_obstacle ipam_misfit(const struct ipam *ipam, const char *key, const struct addr *a);
/* Of the addresses that a Service may join, which ones do count? */
typedef bool ipam_may_fn(const struct addr *a, const void *arg);
/* The lowest address of the pool that a Service which says this may join, if @may says so too. */
bool ipam_first_shared(const struct ipam *ipam, const char *key, const struct tenancy *t,
                       const struct ipam_pool *pool, size_t family_index, ipam_may_fn *may,
                       const void *arg, struct addr *ret_addr);
/* Has a Service of another namespace the address, too? */
bool ipam_is_across(const struct ipam *ipam, const char *key, const struct addr *a);
/*
 * The lowest address of those that say the same key, and what keeps the Service from it; but not
 * that their namespace is another one.
 */
bool ipam_first_unshared(const struct ipam *ipam, const char *key, const struct tenancy *t,
                         struct addr *ret_addr, struct ipam_obstacle *ret_obstacle);

/* ---- audience.c ---- */

/* Is the pool for a Service with these labels? */
enum config_match ipam_match(const struct ipam *ipam, const struct ipam_pool *pool,
                             const char *namespace, const struct labels *labels);
void ipam_free_namespaces(struct ipam *ipam);

/* ---- reserved.c ---- */

/* Takes the pool's reservations in, once the pools are in order. */
void ipam_reserve(struct ipam *ipam, const struct config_pool *pool);
void ipam_free_reservations(struct ipam *ipam);
/* Is anything reserved for the Service with this key? */
bool ipam_has_reservation(const struct ipam *ipam, const char *key);
/* Is it reserved, and not for the Service with this key? */
bool ipam_is_anothers(const struct ipam *ipam, const char *key, const struct addr *a);
/* And does that Service not have it, to share it? */
bool ipam_is_withheld(const struct ipam *ipam, const char *key, const struct addr *a);
/* How many wait for their Services. */
uint64_t ipam_n_reserved_free(const struct ipam *ipam, const struct ipam_pool *pool, size_t f);

/* ---- quota.c ---- */

/* Takes the pool's quotas in, once the pools are in order. */
void ipam_set_quotas(struct ipam *ipam, const struct ipam_pool *pool);
void ipam_free_quotas(struct ipam *ipam);
/*
 * The Service has the address from now on, or no longer.  Whether it is among the address's tenants
 * makes no difference.
 */
void ipam_count_quotas(struct ipam *ipam, const char *key, const struct addr *a, bool added);
/* Have namespaces that share a bound with the Service's given up any of the pool? */
bool ipam_quota_is_freed(const struct ipam *ipam, const char *key, const struct ipam_pool *pool);
void ipam_quotas_seen(struct ipam *ipam);
/* Could the namespace have one more address of the pool? */
bool ipam_has_quota(const struct ipam *ipam, const char *namespace, const struct ipam_pool *pool);

/* The least that a quota of the pool allows the namespace; UINT64_MAX: none bounds it. */
uint64_t ipam_least_quota(const struct ipam *ipam, const char *namespace,
                          const struct ipam_pool *pool);

/* ---- cooling.c ---- */

/* The Service gave it up; nobody has it now.  False if the pool does not let it cool down. */
bool ipam_cool(struct ipam *ipam, struct ipam_pool *pool, const struct addr *a, const char *key);
/* Somebody has it. */
void ipam_warm(struct ipam *ipam, const struct addr *a);
void ipam_free_cooling(struct ipam *ipam);
const struct ipam_cooling *ipam_cooling_of(const struct ipam *ipam, const struct addr *a);
/* Does it cool down, and not for the Service with this key? */
bool ipam_cools_for_another(const struct ipam *ipam, const char *key, const struct addr *a);
/* The lowest that cools down for the Service, and that the pool would give it. */
bool ipam_first_cooling(const struct ipam *ipam, const char *key, const struct ipam_pool *pool,
                        size_t family_index, struct addr *ret_addr);
/* When it, or the next one of the pool that it gives to anybody, is free; 0: none cools down. */
int64_t ipam_cooled_at(const struct ipam *ipam, const struct addr *a);
int64_t ipam_pool_cooled_at(const struct ipam *ipam, const struct ipam_pool *pool,
                            size_t family_index);
/* How many are neither used nor reserved. */
uint64_t ipam_n_cooling(const struct ipam *ipam, const struct ipam_pool *pool, size_t family_index);

/* ---- round_robin.c ---- */

/* From where on the pool gives in turn; false: from its lowest address on. */
bool ipam_next_in_turn(const struct ipam_pool *pool, size_t family_index, struct addr *ret_addr);
/*
 * The lines of ipam_print_cooling() that say which address each pool gave last; and one of them,
 * with the pool's name, "" where it says none.
 */
void ipam_print_turns(const struct ipam *ipam, struct buf *out);
void ipam_read_turn(struct ipam *ipam, const struct addr *a, const char *name);

/* ---- order.c ---- */

/*
 * The pools in the order in which a Service that has this family first tries them; NULL: as they
 * stand.  For free().
 */
const struct ipam_pool **ipam_order(const struct ipam *ipam, uint8_t family);

/* ---- places.c ---- */

/*
 * The holder of the address, or what kind of address it is, has changed: works out whether it is
 * free, and first or last.
 */
void ipam_place(struct ipam *ipam, const struct addr *a);
/* May this pool hand the address out, held or not? */
bool ipam_is_assignable(const struct ipam *ipam, const struct ipam_pool *pool,
                        const struct addr *a);
/* How many may be handed out, held or not; UINT64_MAX: that many or more. */
uint64_t ipam_total(const struct ipam_pool *pool, size_t family_index);
/* The lowest free address that nobody names; with @squatted, else the lowest that somebody does. */
bool ipam_first_free(const struct ipam_pool *pool, size_t family_index, bool squatted,
                     struct addr *ret_addr);
/* The same by the pool's allocation, for a Service that has drawn this lot. */
bool ipam_next_free(const struct ipam_pool *pool, size_t family_index, bool squatted, uint64_t lot,
                    struct addr *ret_addr);
const struct ipam_squat *ipam_squat_of(const struct ipam *ipam, const struct addr *a);
/* The first Service that names an address of the pool that it is denied; NULL: there is none. */
const char *ipam_squatter_in(const struct ipam *ipam, const struct ipam_pool *pool);
void ipam_free_marks(struct ipam *ipam);

#endif
