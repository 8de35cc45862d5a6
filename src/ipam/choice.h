/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_IPAM_CHOICE_H
#define FAIRLEAD_IPAM_CHOICE_H

/*
 * One decision in the making: decide.c knows what is not ours, choose.c chooses, answer.c puts it
 * into words, and stays.c knows what an edit of the pools must not take away.
 */

#include "ipam/ipam.h"

/* What was chosen so far: no address twice, in the order of addrs_sort(), so IPv4 first. */
struct choice_picks {
	struct addr addrs[IPAM_ADDRS_MAX];
	size_t n;
};

struct choice {
	const struct ipam *ipam;
	const char *key;
	const struct ipam_request *r;
	char namespace[256]; /* the Service's; longer ones do not exist */
	const struct ipam_pool *asked_pool;
	bool stays; /* the pool asked for was honoured by what is held: not asked for again */
	/* also free addresses that a Service names without being allowed to have them */
	bool last_resort;
	/* an address that the Service may not share any more is not chosen */
	bool avoids_misfits;
	bool overstays;                 /* one such was, as there is no other */
	const struct ipam_pool **order; /* of all pools; NULL: as they stand */
	struct choice_picks picks;
	struct ipam_decision *out;
};

/* Everything but @ipam, @key and @r is for whoever chooses. */
struct choice choice_of(const struct ipam *ipam, const char *key, const struct ipam_request *r);

/* Chooses.  False if that fails, and c->out says why. */
bool choice_make(struct choice *c);
/*
 * Refuses.  What the status holds stays, and the message says so if there is anything.  Returns
 * false.
 */
bool choice_refuse(struct choice *c, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The answer: what the object holds. */
void choice_answer_held(const struct ipam_request *r, struct ipam_decision *out);
/*
 * The answer to what was chosen, compared with what the object holds: what is to be done, as an
 * action and in words.
 */
void choice_conclude(struct choice *c);

bool choice_is_external(const struct choice *c);
bool choice_is_for_use(const struct choice *c, const struct ipam_pool *pool);
/* Is the pool for this Service? */
enum config_match choice_match(const struct choice *c, const struct ipam_pool *pool);
/* It is for this use, and for this Service. */
bool choice_may_use(const struct choice *c, const struct ipam_pool *pool);
/* And gives new addresses. */
bool choice_is_giving(const struct choice *c, const struct ipam_pool *pool);
/* Whether it would give to this Service is not known yet. */
bool choice_may_give(const struct choice *c, const struct ipam_pool *pool);
/* It gives, and does so to those who do not ask for it. */
bool choice_is_automatic(const struct choice *c, const struct ipam_pool *pool);
/* Does the object hold it?  Do the books say that it is this Service's? */
bool choice_is_held(const struct ipam_request *r, const struct addr *a);
bool choice_is_mine(const struct choice *c, const struct addr *a);
/* Others have the address, and this Service may have it together with them. */
bool choice_may_join(const struct choice *c, const struct addr *a);
/* Others have it, and it may not. */
bool choice_is_taken(const struct choice *c, const struct addr *a);
/* It has it together with others, and should not. */
bool choice_is_misfit(const struct choice *c, const struct addr *a);
/* It has any such address. */
bool choice_has_misfit(const struct choice *c);
/* The lowest that others have and that the Service may share. */
bool choice_find_shared(const struct choice *c, const struct ipam_pool *pool, size_t family_index,
                        struct addr *ret_addr);
/* One that the Service may share, else the lowest free one. */
bool choice_find(const struct choice *c, const struct ipam_pool *pool, size_t family_index,
                 struct addr *ret_addr);
bool choice_wants(const struct ipam_request *r, uint8_t family);
/* By name. */
bool choice_asks_for(const struct ipam_request *r, uint8_t family);
/* Chooses it, too.  There is room: for as many as may be asked for, or for one of each family. */
void choice_pick(struct choice *c, const struct addr *a);
/* Is it chosen, or any of the family, or any at all? */
bool choice_has(const struct choice *c, const struct addr *a);
bool choice_has_family(const struct choice *c, uint8_t family);
bool choice_has_any(const struct choice *c);
/* Is there one of each family that is wanted? */
bool choice_is_complete(const struct choice *c);
/* The pool of the first of what was chosen that is in one; NULL: nothing is. */
const struct ipam_pool *choice_pool(const struct choice *c);
/*
 * The address of the family that the pool reserves for the Service, or NULL.  Another Service may
 * have it from before; one that the Service's other part has does not count.
 */
const struct addr *choice_reserved(const struct choice *c, const struct ipam_pool *pool,
                                   uint8_t family);
/* Is there one of any family that the Service wants? */
bool choice_has_reserved(const struct choice *c, const struct ipam_pool *pool);
/*
 * Takes the lowest free address of the pool for each family that lacks one.  True if no family
 * lacks one now.
 */
bool choice_take_free(struct choice *c, const struct ipam_pool *pool);
/* The same, all or nothing. */
bool choice_take_all_free(struct choice *c, const struct ipam_pool *pool);

/* What a Service would be given: an address, or a free one of each of these families. */
struct choice_gain {
	unsigned int families;   /* bits, by family index: the address's own, or of the free ones */
	const struct addr *addr; /* NULL: none that anybody has */
};
/*
 * The quota of the pool that is against it, beside what is chosen, and what stays of a family of
 * which nothing is; NULL: none is.
 */
const struct config_quota *choice_quota_against(const struct choice *c,
                                                const struct ipam_pool *pool,
                                                const struct choice_gain *gain);
bool choice_quota_allows(const struct choice *c, const struct ipam_pool *pool,
                         const struct addr *a);
/* The same for an address of the family that nobody has. */
bool choice_quota_allows_new(const struct choice *c, const struct ipam_pool *pool,
                             size_t family_index);
/* And for what the Service still lacks. */
const struct config_quota *choice_quota_reached(const struct choice *c,
                                                const struct ipam_pool *pool);

/* Says why the pool, called @who, gives no address of this family. */
void choice_explain_family(const struct choice *c, const struct ipam_pool *pool, uint8_t family,
                           const char *who, char *out, size_t size);
/* Says that the quota is in use. */
void choice_explain_quota(const struct choice *c, const struct config_quota *q, const char *who,
                          char *out, size_t size);
void choice_explain_pool(const struct choice *c, const struct ipam_pool *pool, char *out,
                         size_t size);
/* Why it may not join those that say the same key, if there are any; "" or "; …". */
void choice_explain_sharing(const struct choice *c, struct buf *out);
/* Why the Service may not have an address together with others. */
void choice_put_obstacle(const struct choice *c, const struct ipam_obstacle *o, struct buf *out);

/*
 * Chooses addresses of a pool that takes the Service in.  False if there is none, or it is not the
 * time to do so.
 */
bool choice_renumber(struct choice *c);
/*
 * Says that the chosen addresses are retained, and why.  False if they are where they belong.
 */
bool choice_retain(struct choice *c, const char *addrs);

#endif
