/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_IPAM_H
#define FAIRLEAD_IPAM_H

/*
 * Pools and the allocator.  Pure: no clock, no network, no randomness; the same inputs give the
 * same answers.
 *
 * A struct ipam knows the pools of one configuration and which Service holds which of their
 * addresses.  The caller first lets every Service hold what its status says (ipam_hold(), in the
 * order of seniority_cmp()), and only then asks ipam_decide() for those that wait, in that order
 * too.  An answer changes nothing until the caller applies it by ipam_hold() and ipam_retain(); in
 * between an address belongs to one Service at most.
 *
 * A Service asks for addresses of two kinds, each in a request of its own: those of its load
 * balancer, which stand in its status, and external IPs, which stand in its spec.  All come out of
 * the same pools, as far as these are for that use, and are held under a key that messages name:
 * "namespace/name", and for external IPs "namespace/name (external IPs)".  How answers reach the
 * API server is not the allocator's concern.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/kube_types.h"
#include "fairlead/reason.h"

#define IPAM_FAMILIES 2
/* What a Service may have: of each family as many as a pool may let it ask for, or one. */
#define IPAM_ADDRS_MAX (IPAM_FAMILIES * CONFIG_ADDRESSES_PER_SERVICE_MAX)
/*
 * So many addresses of a status that others wrote are told apart; further ones are held as well,
 * but never chosen from.  A Service that is renumbered has the old ones beside the new for a while.
 */
#define IPAM_STATUS_MAX 8
_Static_assert(IPAM_STATUS_MAX >= IPAM_ADDRS_MAX && IPAM_STATUS_MAX >= 2 * IPAM_FAMILIES, "room");
#define IPAM_MESSAGE_SIZE 512

#define IPAM_ANNOTATION_POOL "fairlead.io/address-pool"
#define IPAM_ANNOTATION_ADDRESSES "fairlead.io/addresses"
#define IPAM_CONDITION "fairlead.io/AddressAssigned"
#define IPAM_CONDITION_EXTERNAL KUBE_CONDITION_EXTERNAL_IPS

/* ---- what a Service asks for, and what it has ---- */

enum ipam_wish {
	IPAM_WISH_OTHER,      /* of another load balancer class: never touched */
	IPAM_WISH_NONE,       /* not of type LoadBalancer; names no pool for external IPs */
	IPAM_WISH_DELETING,   /* keeps what it has until it is gone */
	IPAM_WISH_UNREADABLE, /* not known; keeps what it has */
	IPAM_WISH_ADDRESS,
};

enum ipam_renumber {
	IPAM_RENUMBER_LATER,
	/* the old address stays behind the new one, until it is decided again */
	IPAM_RENUMBER_OVERLAPPING,
	IPAM_RENUMBER_AT_ONCE,
};

struct ipam_request {
	enum ipam_wish wish;
	unsigned int use;    /* CONFIG_USE_…: pools that are not for it give nothing new */
	uint8_t families[2]; /* of its cluster IPs, primary first */
	uint8_t n_families;  /* 0: none allocated yet */
	bool needs_both;     /* RequireDualStack */
	/* our condition stands in the status, and is true; there is a record */
	bool assigned_by_us;
	bool foreign; /* the status holds what we never write: a host name, or too much */
	uint8_t n_asked, n_held;
	struct addr asked[IPAM_ADDRS_MAX]; /* no two the same */
	struct addr held[IPAM_STATUS_MAX]; /* the status; the record of external IPs */
	char *pool;                        /* the pool asked for; NULL: any */
	/*
	 * What is held was given when this pool was asked for: it stays, whatever became of the
	 * pool since.
	 */
	bool honoured;
	/* whether a pool with renumber may take this Service in now */
	enum ipam_renumber renumber;
	/* the new address stands first in the status, and the old one stays for a while */
	bool hands_over;
	char *problem; /* why nothing can be assigned; NULL: no reason */
	enum reason problem_reason;
	/*
	 * External IPs that our condition names, in the record or taken out of it since.  What the
	 * record alone names may have been written by anybody.
	 */
	struct addr confirmed[IPAM_FAMILIES];
	uint8_t n_confirmed;
	/*
	 * The part of @held that the caller put there, though the status may not show it yet: a
	 * refusal then says so.
	 */
	struct addr given[IPAM_FAMILIES];
	uint8_t n_given;
	/*
	 * What the object holds besides, written by others: external IPs that the record does not
	 * name; what a status holds beyond @held.  Nobody else is given any of it, but for external
	 * IPs that the Service may not have (ipam_squat()).
	 */
	struct addr *written;
	size_t n_written;
	char *namespace;         /* of a request for external IPs; else NULL */
	struct labels labels;    /* the Service's, by which pools select it */
	uint64_t lot;            /* from its UID: by this a random address is drawn */
	struct tenancy *tenancy; /* what it says of sharing its addresses; NULL: nothing */
	/* The ports that the status lists for an address are not all of the Service's, or more. */
	bool lists_other_ports;
	bool unserved; /* a list of external IPs that nothing carries: headless, or ExternalName */
};

/*
 * Reads a Service.  @class is the load balancer class that we handle, NULL for Services without
 * one.
 */
void ipam_request_of(const struct kube_service *s, const char *class,
                     struct ipam_request *ret_request);
/* The same for external IPs; not @enabled: we may not write a Service's spec. */
void ipam_external_request_of(const struct kube_service *s, const char *class, bool enabled,
                              struct ipam_request *ret_request);
void ipam_request_fini(struct ipam_request *r);
/* Fills @r, which holds nothing yet, with what a status holds, however much that is. */
void ipam_read_held(struct ipam_request *r, const struct addr *addrs, size_t n);

/* ---- the allocator ---- */

struct ipam;
struct tenancy;

struct ipam *ipam_new(struct configuration *c);
void ipam_free(struct ipam *ipam);
const struct configuration *ipam_configuration(const struct ipam *ipam);

/*
 * Adds to what the Service holds; an address that another Service holds, or that is in no pool and
 * not retained, is left out.  Returns how many of these it holds now.  O(log n) for each.
 */
size_t ipam_hold(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n);
/* The same for what was decided: a pool that gives in turn goes on after that. */
size_t ipam_give(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n);
/* As ipam_hold(), even for addresses that are no longer in any pool. */
size_t ipam_hold_any(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n);
/*
 * As ipam_hold(), for what stands where anybody may write it, and which nothing confirms: others
 * that have it are joined only as by who asks for it, and so never by an older one.
 */
bool ipam_claim(struct ipam *ipam, const char *key, const struct addr *a);
/* Frees all that the Service holds but these.  True if anything was freed. */
bool ipam_retain(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n);
bool ipam_release(struct ipam *ipam, const char *key);
/*
 * What the Service says of sharing; NULL: nothing.  An address that others have is held by those
 * alone that may share it, or that have it together by their statuses (tenancy.h).  True if others
 * may be decided otherwise now.
 */
bool ipam_set_tenancy(struct ipam *ipam, const char *key, const struct tenancy *t);
/*
 * May an address that a Service gained since ipam_freed_seen() have others decided otherwise?
 * Those that share by the same key may join it; and where pools go by how much of them is in use,
 * those that wait for the labels of their namespaces, since another pool may come first now.
 */
bool ipam_may_concern_others(const struct ipam *ipam);
/* The key of the first Service that holds the address, or NULL. */
const char *ipam_holder(const struct ipam *ipam, const struct addr *a);
bool ipam_holds(const struct ipam *ipam, const char *key, const struct addr *a);

enum ipam_action {
	IPAM_NONE,    /* wants nothing and holds nothing of ours, or is not ours to touch */
	IPAM_KEEP,    /* holds what it should hold */
	IPAM_ASSIGN,  /* gets its addresses, or those that it lacks */
	IPAM_RELEASE, /* gives up what its status holds */
	IPAM_FAIL,    /* cannot have what it asks for; what it holds stays */
	IPAM_MOVE,    /* holds something and should hold something else */
};
const char *ipam_action_name(enum ipam_action a); /* "none" … */

struct ipam_decision {
	enum ipam_action action;
	enum reason reason;
	bool hands_off; /* the status is not ours to write */
	/* a pool with renumber is to take it in: it does now, or the request did not allow it */
	bool renumbers;
	bool shares; /* the status is to list the Service's ports with each address (tenancy.h) */
	bool has_company; /* others have one of its addresses, too */
	/* the pool has none free of the second family; it may come when another Service leaves */
	bool partial;
	struct addr addrs[IPAM_STATUS_MAX]; /* what the status is to hold, IPv4 first */
	size_t n;
	const struct config_pool *pool; /* of the addresses; NULL: none */
	/*
	 * The Service that has the address in question, which the message may leave unnamed; valid
	 * until the books change.  NULL: none.
	 */
	const char *holder;
	char message[IPAM_MESSAGE_SIZE];
};

/*
 * Is this external IP of the request's record there because we put it there?  All of a status is.
 */
bool ipam_is_confirmed(const struct ipam_request *r, const struct addr *a);

/*
 * Tenants read the messages: they name Services of the same namespace, and those of others only
 * after ipam_tell_holders().  How a message to the Service @key names @other: its key, or words.
 */
void ipam_tell_holders(struct ipam *ipam, bool tell);
const char *ipam_name(const struct ipam *ipam, const char *key, const char *other);

/*
 * Does this message of our condition, whose status @is_true, say that what is held was given from
 * @pool, or when @pool was asked for?
 */
bool ipam_message_honours(const char *message, bool is_true, const char *pool);
/*
 * Opens the message with the external IPs that stay, and are confirmed by that
 * (kube_external_confirmed()); "" where there are none.
 */
void ipam_open_message(const struct ipam_request *r, struct ipam_decision *out);

/* What should happen to this Service.  O(pools), next free address included. */
void ipam_decide(const struct ipam *ipam, const char *key, const struct ipam_request *r,
                 struct ipam_decision *ret_decision);

/*
 * Could what was freed, or may be joined, since ipam_freed_seen() change the decision?  True if an
 * address that the Service asks for, or that stands in its object, is free now, if a pool from
 * which it may get one has freed an address, or if it may share one that another has gained, or if
 * one begins to cool down, or if another pool may come before the one whose labels it waits for.
 * Sometimes true when nothing changes.
 */
bool ipam_is_concerned(const struct ipam *ipam, const char *key, const struct ipam_request *r);
/*
 * Can nothing concern it but addresses that it asks for, or that stand in its object?  Then it is
 * worth a look only if one of these is among ipam_freed(), or after ipam_freed_more().
 */
bool ipam_goes_by_name(const struct ipam *ipam, const char *key, const struct ipam_request *r);
/* The addresses that nobody has any more, or that begin or end to cool down; some twice. */
const struct addr *ipam_freed(const struct ipam *ipam, size_t *ret_n);
/* Was more freed than addresses: a quota, or an order of pools? */
bool ipam_freed_more(const struct ipam *ipam);
void ipam_freed_seen(struct ipam *ipam);

/* ---- whose a pool is ---- */

/*
 * The labels of a Namespace, by which pools select it; NULL: they are not known.  Until they are,
 * its Services are given nothing that they would decide about (NamespaceUnknown).
 */
void ipam_set_namespace(struct ipam *ipam, const char *name, const struct labels *labels);

/* ---- addresses that nobody is given, or that are given last ---- */

/*
 * A machine has the address: for @reason (NodeAddress and the like), and @what names it in
 * messages: "Node node1".  Nobody is given it; a Service that holds it keeps it, and its messages
 * say so.  Several machines may have one address; each is removed with the arguments it was added
 * with.  The BGP peers of the configuration are known from the start.
 */
void ipam_add_machine(struct ipam *ipam, const struct addr *a, enum reason reason,
                      const char *what);
void ipam_remove_machine(struct ipam *ipam, const struct addr *a, enum reason reason,
                         const char *what);
struct ipam_machine_view {
	struct addr addr;
	enum reason reason;
	const char *what;
	const struct config_pool *pool; /* NULL: it is in none */
};
/* False if no machine has it. */
bool ipam_machine_of(const struct ipam *ipam, const struct addr *a,
                     struct ipam_machine_view *ret_machine);
/* Those with an address in a pool, by address.  A new array for free(). */
struct ipam_machine_view *ipam_machines_in_pools(const struct ipam *ipam, size_t *ret_n);
/* "pool lan holds 192.168.1.11, the address of Node node1: it is assigned to nobody" */
void ipam_put_machine(const struct ipam_machine_view *m, struct buf *out);

/*
 * Sets the addresses that the Service names by hand though it is denied them.  Those that are in
 * pools are given to other Services only when nothing else is free, but they are given: a list that
 * anybody may write must not make a pool smaller.
 */
void ipam_squat(struct ipam *ipam, const char *key, const struct addr *addrs, size_t n);
/* How many of them are in a pool. */
size_t ipam_n_squatted(const struct ipam *ipam, const char *key);
/*
 * May the Service have this external IP, which stands in its list or its record and which nothing
 * confirms?  One from the list may if external-ips allows it; one from the record also if it is in
 * the pool that is asked for.
 */
bool ipam_may_claim(const struct ipam *ipam, const struct ipam_request *r, const struct addr *a);
/*
 * May an earlier leader have given the Service this address of its record, whatever it asked for by
 * then?
 */
bool ipam_may_have_given(const struct ipam *ipam, const char *key, const struct ipam_request *r,
                         const struct addr *a);

/* ---- what no object tells: addresses that cool down, and which one was given last ---- */

/* The ConfigMap in our namespace by which leaders tell each other, and its key. */
#define IPAM_COOLING_MAP "fairlead-cooling"
#define IPAM_COOLING_KEY "cooling"

/*
 * The time, in seconds of the wall clock, by which addresses that are let go cool down from now on.
 * Those that were let go later than that count as let go now: the clock was set back.  True if that
 * freed any: then others may be decided otherwise.
 */
bool ipam_set_time(struct ipam *ipam, int64_t now_s);
/* When the next one is free; INT64_MAX: none cools down. */
int64_t ipam_next_cooled(const struct ipam *ipam);
/* A number that grows with each that begins, or begins anew, and each that is given in turn. */
uint64_t ipam_n_noted(const struct ipam *ipam);
/*
 * As text what no object tells.  A line for each pool and family that gives in turn (round-robin):
 * "last 192.0.2.1 lan", the address that it gave last, and the pool.  And one for each that cools
 * down, the last that was released first: "192.0.2.1 shop/web 1764547200", the address, whose it
 * was, and since when.  At most @max_bytes; of what cools down, what does not fit is left out.
 */
void ipam_print_cooling(const struct ipam *ipam, size_t max_bytes, struct buf *out);
/*
 * Adds what such a text says of addresses that nobody has, as far as their pools let them cool
 * down and the time that was set is not past.  Which address a pool gave last is what was read
 * last.  Anything else in it is ignored.
 */
void ipam_read_cooling(struct ipam *ipam, const char *text);
/* Whose it was, "namespace/name", and until when nobody else is given it; NULL: it does not. */
const char *ipam_cools_for(const struct ipam *ipam, const struct addr *a, int64_t *ret_until_s);

/* ---- accounting ---- */

struct ipam_pool_usage {
	const struct config_pool *pool;
	/* [0] IPv4, [1] IPv6.  Total counts what may be assigned; UINT64_MAX: that many or more. */
	uint64_t total[2], used[2], free[2];
	uint64_t cooling[2]; /* of those that are neither used nor free */
	uint64_t squatted;   /* named by Services that are denied them, held by others or free */
};
size_t ipam_n_pools(const struct ipam *ipam);
/* In the order in which pools are tried. */
struct ipam_pool_usage ipam_usage(const struct ipam *ipam, size_t i);

/* The addresses of one family in a pool; of any number UINT64_MAX stands for that many or more. */
struct ipam_stock {
	uint64_t size;     /* as the pool is written */
	uint64_t total;    /* those that may be assigned, held or free */
	uint64_t used;     /* held, whether they might be assigned now or not */
	uint64_t free;     /* for anybody whom the pool is for */
	uint64_t reserved; /* that wait for the Services that they are reserved for */
	uint64_t cooling;  /* that wait until their pool's cool-down is over */
	uint64_t excluded;
	uint64_t machines;
	/* the longest run of free ones that nobody names, of so many; 0: there is none */
	struct addr_range largest;
	uint64_t n_largest;
};
/* O(runs of free addresses + reservations + cooling).  @pool: of the allocator's configuration. */
void ipam_stock_of(const struct ipam *ipam, const struct config_pool *pool, size_t family_index,
                   struct ipam_stock *ret_stock);

enum ipam_standing {
	IPAM_FREE,
	IPAM_GIVEN_LAST, /* free, but a Service that is denied it names it */
	IPAM_HELD,
	IPAM_RESERVED, /* for a Service that does not have it */
	IPAM_COOLING,  /* for the Service that had it last, for a while */
	IPAM_OF_MACHINE,
	IPAM_EXCLUDED,
	IPAM_SPECIAL, /* never the address of a Service */
	IPAM_BUGGY,   /* ends in .0 or .255, in a pool that avoids these */
};
/* Neighbours that stand alike; one address alone where it is held or named anywhere. */
struct ipam_block {
	struct addr_range range;
	enum ipam_standing standing;
};
/*
 * All of a pool in order, in a new array for free(): O((h + b) log h) for h addresses that are
 * held, named, reserved or cooling and b blocks, whatever the pool's size.  In ranges of more than
 * some thousand addresses those that end in .0 or .255 are not told apart.
 */
struct ipam_block *ipam_survey(const struct ipam *ipam, const struct config_pool *pool,
                               size_t *ret_n);
/* The Service that the address is reserved for, or that names it though it is denied it; or NULL */
const char *ipam_reserved_for(const struct ipam *ipam, const struct addr *a);
const char *ipam_squatter(const struct ipam *ipam, const struct addr *a);

#endif
