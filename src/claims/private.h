/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLAIMS_PRIVATE_H
#define FAIRLEAD_CLAIMS_PRIVATE_H

/*
 * Shared only by the files of the claims core: entries.c keeps addresses and timers, tables.c keeps
 * the copies of peers' claims and talks about them, contest.c answers questions about one address,
 * order.c says whose turn it is, start.c waits for others after a start, gate.c asks the network,
 * rivals.c deals with others that answer, nodes.c asks whether a restarting peer's node is there,
 * handover.c has an owner stay until another one is there, rebalance.c has owners hand over what is
 * beyond their share, untaken.c keeps what nobody took of that, stand_in.c answers in the name of a
 * restarting peer, cause.c tells why an address is ours, claims.c decides.
 */

#include "fairlead/claims.h"

/* ---- entries.c ---- */

struct claims_entry *entry_find(const struct claims *c, const struct addr *addr);
/* Finds or creates an entry; NULL if there are too many. */
struct claims_entry *entry_get(struct claims *c, const struct addr *addr);
/* Frees the entry if nothing is left to remember. */
void entry_prune(struct claims *c, struct claims_entry *e);
/* What a claim adds to the digest of its table. */
uint64_t claim_digest(const struct wire_claim *claim);
/* Sets when to look at the entry again. */
void entry_wake_at(struct claims *c, struct claims_entry *e, int64_t at_ms);
void entry_forget_recalled(struct claims_entry *e);
void entries_free(struct claims *c);

void action_add(struct claims *c, enum claims_action_type type, const struct addr *addr);
void set_state(struct claims *c, struct claims_entry *e, enum l2_ownership state);
/* Makes @claim ours, in place of what was there, or gives ours up, and has the peers informed. */
void own_set(struct claims *c, struct claims_entry *e, const struct wire_claim *claim);
void own_clear(struct claims *c, int64_t now, struct claims_entry *e);

/* ---- tables.c ---- */

/* Makes room for the tables of so many slots. */
void tables_reserve(struct claims *c, size_t n_slots);
void table_drop(struct claims *c, struct claims_held *h);
/* Makes @claim one of @p's; false if there are too many. */
bool table_put(struct claims *c, int64_t now, struct member_peer *p,
               const struct wire_claim *claim);
void tables_receive(struct claims *c, int64_t now, struct member_peer *p,
                    const struct wire_msg *msg);
/* @p is a new incarnation: what it claimed before is held for it, or forgotten. */
void table_renew(struct claims *c, int64_t now, struct member_peer *p, bool hold);
/*
 * Forgets everything that @p claimed (or only what its former incarnation did); @how says in which
 * way it became free.
 */
void table_clear(struct claims *c, int64_t now, struct member_peer *p, bool former_only,
                 enum claims_freed how);
/* Recomputes c->synced. */
void tables_review_synced(struct claims *c);

/* ---- contest.c ---- */

/*
 * For this long an address is known to have been let go, and the node that did so is not a
 * candidate.
 */
#define CLAIMS_YIELDED_MS 2000
/* Probes to send where losing one would make two owners. */
#define CLAIMS_ASKS_UNSURE 3
/* A fresh candidate supersedes an owner whose view has been stale for this long, */
#define CLAIMS_STALE_MS 5000
/*
 * provided that its own view has been fresh for this long: a broken watch is retried within ten
 * seconds.
 */
#define CLAIMS_FRESH_MS 15000

/* This node may own the address. */
bool entitled(const struct claims_entry *e);
bool same_identity(const struct l2_want *w, const struct wire_claim *claim);
/* The best claim of a peer that still stands; NULL if none. */
const struct claims_held *best_rival(const struct claims *c, const struct claims_entry *e);
/* The last holder known is a peer that died. */
bool orphaned(const struct claims_entry *e);
/* Ours is claimed, and a claim that stands wins over it. */
bool contested_and_lost(const struct claims *c, int64_t now, const struct claims_entry *e);
/* A node's weight for an address in the rendezvous order; the highest comes first. */
uint64_t score(const struct addr *addr, uint64_t name_hash);
bool is_candidate(const struct l2_want *w, int node_index);
/* Its place among the candidates, or -1. */
int position(const struct l2_want *w, int node_index);
/* Its holder answers for it only until somebody else has claimed it. */
bool is_offered(const struct claims_held *h, int64_t now);
/*
 * The peer in that slot offers it, or was the last to let go of it, so recently that it is no
 * candidate.
 */
bool has_just_let_go(const struct claims_entry *e, uint16_t slot, int64_t now);
/* It was ours before we restarted, and the peers still hold it for us. */
bool resumes(const struct claims_entry *e, int64_t now);
/* Whether we have to ask, as it is not certain that nobody answers for it. */
bool must_ask(const struct claims *c, int64_t now, const struct claims_entry *e);
/* How many probes must go unanswered before we conclude that nobody answers. */
uint8_t asks_needed(const struct claims *c, int64_t now, const struct claims_entry *e);
/* @rival may be overruled: see contest.c. */
bool outdated(struct claims *c, int64_t now, const struct claims_entry *e,
              const struct claims_held *rival);

/* ---- order.c ---- */

void order_init(struct claims *c);
void order_fini(struct claims *c);
/* The view is another one, or a peer came, went, has listened to the end or has another view. */
void order_forget(struct claims *c);
/* What is known of the claims for the entry has changed; @rival: the best of a peer's, or NULL. */
void order_follow(struct claims *c, int64_t now, struct claims_entry *e,
                  const struct claims_held *rival);
/* The name's hash of the node to which it goes; 0: it goes to none. */
uint64_t order_goes_to(struct claims *c, int64_t now, const struct claims_entry *e);
/* It goes to us, and we may own all that goes with it. */
bool order_goes_to_us(struct claims *c, int64_t now, const struct claims_entry *e);
/* What is to go elsewhere so that all have their share, until the order is found anew. */
struct order_move {
	struct claims_entry *const *entries; /* NULL: not ours */
	size_t n;
	int from;           /* a node's index; -1: something is on its way, or has no owner */
	uint64_t name_hash; /* of the node to which it goes */
};
/* False if nothing is. */
bool order_next_move(struct claims *c, int64_t now, const struct identity *after,
                     struct order_move *ret_move);
/* How many living candidates come before us for this address. */
size_t rank(struct claims *c, int64_t now, const struct claims_entry *e);
/*
 * Entries that were gathered, and candidates that were looked at, to find places for all; ever.
 */
uint64_t order_steps(const struct claims *c);
/* A candidate for it whose Node is Ready is no living peer yet, or listens. */
bool order_awaits(struct claims *c, int64_t now, const struct claims_entry *e);
/* Some Node that is Ready is no living peer yet, or listens. */
bool order_lacks_nodes(struct claims *c, int64_t now);
/* A living candidate might claim it now. */
bool order_has_heir(const struct claims *c, const struct claims_entry *e);
/* The index of the node, -1 if there is none of that name. */
int node_index(const struct l2_snapshot *s, const char *name);

/* ---- start.c ---- */

/* This node has listened to the end. */
void start_listened(struct claims *c, int64_t now);
void start_tick(struct claims *c, int64_t now);
/* A believed message of @p came: it may wait no more. */
void start_heard(struct claims *c, int64_t now, const struct member_peer *p,
                 const struct wire_msg *msg);

/* ---- gate.c ---- */

/* Somebody answered for it: it is asked for again after a while. */
bool backing_off(const struct claims_entry *e);
void back_off(struct claims *c, int64_t now, struct claims_entry *e, enum l2_ownership state,
              const uint8_t *mac);
/*
 * True if this node may answer for the address from now on; otherwise what is missing was started,
 * and the entry's state says what.  @overrule: a rival holds it and will let go, so there is no
 * need to ask.
 */
bool gate_passes(struct claims *c, int64_t now, struct claims_entry *e, bool overrule);
/* When one more probe may go out; if that is @now, it counts as sent. */
int64_t probe_turn(struct claims *c, int64_t now);
/* An address that was answered, lost or held by somebody else: stop waiting. */
void gate_close(struct claims_entry *e);
/* What another machine sent waited for so long that it may have taken an address of ours. */
bool came_late(const struct claims *c, int64_t waited_ms);
/* As an owner: does not answer any more until it has asked. */
void ask_again(struct claims *c, int64_t now, struct claims_entry *e);

/* ---- rivals.c ---- */

/* This node owns the address from now on. */
void rivals_begin(struct claims *c, int64_t now, struct claims_entry *e);
/* As an owner: asks whether somebody else answers, too, when that is due. */
void rivals_verify(struct claims *c, int64_t now, struct claims_entry *e);
/* Two owners were seen, and not again for a while. */
void rivals_expire(struct claims *c, int64_t now, struct claims_entry *e);
/* Recomputes c->exposed. */
void rivals_review(struct claims *c, int64_t now);
/*
 * For a while from now on there is reason to ask more often, including for addresses that are
 * already being probed.
 */
void doubt(struct claims *c, int64_t now);

/* ---- nodes.c ---- */

/* A believed message of @p came from @source. */
void nodes_heard(struct claims *c, int64_t now, struct member_peer *p, enum member_state was,
                 bool is_new, const struct addr *source);
void nodes_tick(struct claims *c, int64_t now);
int64_t nodes_deadline(const struct claims *c);

/* ---- handover.c ---- */

/*
 * How long an offer stands: some heirs may find that they cannot take it, their rules not being
 * ready, and the next ones each wait a step (gate.c).  For those that hear of it, too: should the
 * message get lost that takes it back, no other would tell them, as digests leave offers out.
 */
#define CLAIMS_OFFER_MS 1000
/*
 * As an owner that may not be one any more: true while it goes on answering until another node has
 * claimed the address.
 */
bool hands_over(struct claims *c, int64_t now, struct claims_entry *e);
/* As an owner that may be one still: offers it to the one to which it goes, and to nobody else. */
void handover_move(struct claims *c, int64_t now, struct claims_entry *e);
bool handover_may_move(const struct claims *c, const struct claims_entry *e);
/* Nobody has taken it, or it may be one again. */
void handover_cancel(struct claims *c, struct claims_entry *e);
/* Another machine, maybe the peer @p, has announced the address; true if it was waited for. */
bool handover_ends(struct claims *c, int64_t now, struct claims_entry *e,
                   const struct member_peer *p);

/* ---- rebalance.c ---- */

/* The view is another one. */
void rebalance_follow(struct claims *c, int64_t now);
/* Something is wrong on the segment. */
void rebalance_trouble(struct claims *c, int64_t now);
/* An address was offered, or has another owner. */
void rebalance_saw(struct claims *c, int64_t now);
/* @p offers it to the one to which it goes. */
void rebalance_offered(struct claims *c, int64_t now, const struct member_peer *p,
                       const struct claims_entry *e);
/* Of ours, offered to the one to which it goes: true if it is to stay after all. */
bool rebalance_ends(struct claims *c, int64_t now, const struct claims_entry *e);
void rebalance_tick(struct claims *c, int64_t now);

/* ---- untaken.c ---- */

/* Counts from then on, unless somebody else owns it before. */
void untaken_note(struct claims *c, int64_t from_ms, const struct identity *identity,
                  uint64_t name_hash);
/* The Service has another owner. */
void untaken_forget(struct claims *c, const struct identity *identity);
/* When all nodes know of the last change in what counts. */
int64_t untaken_settled_ms(const struct claims *c, int64_t now);
/* All of it. */
void untaken_reset(struct claims *c);
/* Has places passed over; until when that holds. */
int64_t untaken_apply(const struct claims *c, int64_t now, struct spread *s);

/* ---- cause.c ---- */

/* This node is about to claim the address, which @rival holds, or nobody (NULL). */
void note_cause(int64_t now, struct claims_entry *e, const struct claims_held *rival);

/* ---- claims.c ---- */

/* Decides about the entry from what is known now; may free it. */
void settle(struct claims *c, int64_t now, struct claims_entry *e);
/* The entry lost a claim of @p's. */
void freed_by(struct claims_entry *e, int64_t now, const struct member_peer *p,
              enum claims_freed how);

#endif
