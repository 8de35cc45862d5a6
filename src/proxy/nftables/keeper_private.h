/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_KEEPER_PRIVATE_H
#define FAIRLEAD_PROXY_NFTABLES_KEEPER_PRIVATE_H

/*
 * The inside of a keeper: keeper.c is the machine and the door, services.c has the Services,
 * planning.c turns them into wishes, reading.c compares with the kernel, writing.c writes.
 */

#include "fairlead/hash.h"
#include "fairlead/table.h"
#include "proxy/fronts.h"
#include "proxy/nftables/keeper.h"
#include "proxy/nftables/plan.h"
#include "proxy/nftables/store.h"
#include "proxy/spec.h"
#include "proxy/udp.h"

struct event;
struct virtual_server;
struct wire;

enum keeper_state {
	KEEPER_ABSENT,
	KEEPER_READING,
	KEEPER_LISTING,
	KEEPER_LEAVING, /* what was read is of no use, and is forgotten */
	KEEPER_HELD,
	KEEPER_PLANNING,
	KEEPER_COMPARING,
	KEEPER_KEEPING,
};

/* A set that IPVS has been told of; when nobody wants it, until nothing leads there any more. */
struct keeper_virtual {
	uint32_t set;
	bool wanted;
};

struct keeper_virtuals {
	size_t n, cap;
	struct keeper_virtual *list;
};

/* What a Service waits for; in each of them by stamp. */
enum keeper_wait {
	KEEPER_WAITS,       /* for what belongs to those that are not large */
	KEEPER_WAITS_HELD,  /* also for what is deferred of these: something of it is */
	KEEPER_WAITS_LARGE, /* for everything, as it is large */
	KEEPER_WAITS_LARGE_HELD,
};
#define KEEPER_WAITS_N 4

/* What the store has of a Service, or is being told. */
struct keeper_form {
	struct spec *spec;
	struct keeper_group *group; /* of its source ranges; NULL: none */
	uint32_t ids[];             /* of its ports */
};

/* What few Services have: keys that others have, or elements that the kernel refuses. */
struct keeper_trouble {
	struct keeper_service *s;
	struct keeper_trouble *prev, *next; /* while it is lost */
	bool lost;
	char *error; /* refused; NULL: not */
};

struct keeper_service {
	struct store_owner owner; /* first: see keeper_service_of() */
	struct keeper *k;
	struct spec *want;                /* NULL: to be removed */
	struct keeper_form *planned;      /* NULL: the store has nothing of it */
	struct spec *have;                /* what the kernel had when the store was last written */
	int64_t created_us;               /* as it was wanted last */
	struct keeper_virtuals *virtuals; /* NULL: none */
	struct keeper_trouble *trouble;   /* NULL: none */
	uint64_t stamp;                   /* of the store, when it was planned */
	struct keeper_service *prev_unplanned, *next_unplanned;
	struct keeper_service *prev_waiting, *next_waiting;
	struct table_link link;
	uint8_t waits; /* enum keeper_wait, while it is waiting */
	bool unplanned, waiting;
	bool large;   /* too large to be planned in one go */
	bool awaited; /* what was read is not compared before it is planned */
	bool rounded; /* clients stay longer than it says */
	char key[];
};

/* A number that one Service's source ranges have. */
struct keeper_group {
	uint32_t number;
	size_t refs;
	const struct keeper_service *owner;
	UT_hash_handle hh;
};

struct keeper_kind {
	frame_kind kind;
	size_t sets;  /* that want it */
	bool there;   /* in the kernel, and right */
	bool wrong;   /* in the kernel, but not right */
	bool written; /* by the transaction under way */
	bool stood;   /* right and in use, before it was forgotten */
	UT_hash_handle hh;
};

/* One Service that is being planned. */
struct keeper_planning {
	struct keeper_service *s; /* NULL: none */
	struct keeper_form *to;   /* what it is to be; NULL: nothing */
	size_t part, n;           /* parts that are done; elements that they were about */
	bool again;               /* the node has changed meanwhile */
};

/* Numbers of the kernel's, as they were read; then sorted. */
struct keeper_numbers {
	uint32_t *list;
	size_t n, cap;
};

struct keeper {
	struct store_owner owner; /* of what belongs to all */
	struct frame frame;
	struct traffic_node node;
	const struct keeper_ops *ops;
	void *arg;

	enum keeper_state state;
	bool complete;
	bool adopted; /* everything was compared once */
	struct wire *wire;
	struct store *store;
	struct virtuals *virtuals; /* NULL: without IPVS */
	/* In its place; NULL: it is told itself. */
	void (*show_virtual)(const struct virtual_server *server, void *arg);
	void *show_arg;
	struct fronts *fronts; /* of what is wanted, and of what the kernel had */
	struct udp *udp;
	struct event *timer;

	struct table services;
	struct keeper_service *unplanned, *waiting[KEEPER_WAITS_N];
	struct keeper_trouble *losers;
	struct keeper_planning planning; /* of one that is unplanned, and still is */
	size_t n_awaited;                /* before what was read is compared */
	uint64_t small_stamp; /* of the store: what is new of small ones is in the kernel */
	uint64_t large_stamp; /* of the store, when the last large one was planned */
	size_t n_refused;
	bool retry_losers;
	struct keeper_kind *kinds;
	struct keeper_group *groups;
	/* Until it is adopted: sets that ways lead to, and groups of source ranges. */
	struct keeper_numbers led_to, found_groups;
	bool sweep; /* kinds that nobody uses may go */

	/* what is known of the frame */
	bool no_table, wrong_table, wrong_rules;
	bool due;              /* the frame is to be written: what it lacks nobody else took away */
	bool look_again;       /* or than when they were looked at, for the first time */
	bool damaged;          /* by others, and not mended yet */
	uint64_t damage_stamp; /* of the store: what is up to there mends it */
	bool doubt;            /* to be read again */
	bool unsure;           /* what our last transaction did, so nobody else is blamed */
	struct frame_list list;        /* of what the kernel has, while it is read */
	int64_t read_ms, next_read_ms; /* when reading began; not again before */
	int64_t next_look_ms;          /* nor is the frame looked at, while that waits */
	unsigned int audits;           /* since everything was read */

	size_t batch;           /* the largest transaction now */
	size_t n_kinds_written; /* by the one under way */
	unsigned int failures;
	unsigned int refusals;  /* of elements alone, since something was taken */
	int64_t next_ms;        /* nothing is tried before */
	bool pause_for_refused; /* only what was refused waits for that */
	/* Or, while large Services leave no pause, for this one of its own. */
	int64_t retry_ms;
	unsigned int retries; /* in vain, since one succeeded */
	bool doubted;         /* since a transaction succeeded */
	uint64_t rendered, repairs;
	size_t n_services, n_truncated, n_rounded, n_pending;
	struct proxy_stats stats;
	char last_error[ERR_MSG_SIZE];
};

static inline struct keeper_service *keeper_service_of(const struct store_owner *owner)
{
	return (struct keeper_service *)(uintptr_t)owner;
}

static inline struct spec *keeper_planned_spec(const struct keeper_service *s)
{
	return s->planned ? s->planned->spec : NULL;
}

static inline const char *keeper_error(const struct keeper_service *s)
{
	return s->trouble ? s->trouble->error : NULL;
}

/* ---- keeper.c ---- */

const char *keeper_family(const struct keeper *k);
void keeper_kick(struct keeper *k);
void keeper_say_failed(struct keeper *k, const struct err *e, bool aloud);
void keeper_back_off(struct keeper *k);
struct keeper_kind *keeper_kind_of(struct keeper *k, frame_kind kind);
/* The kind by which a set is served that wants this one: its own, or the rounded one. */
frame_kind keeper_kind_for(const struct keeper *k, frame_kind kind);

/* ---- services.c ---- */

extern const struct store_ops keeper_store_ops;
extern const struct table_kind keeper_services_kind;
/* As traffic_precedence(). */
int keeper_precedence(const struct keeper_service *a, const struct keeper_service *b);
/* Of no kernel's yet, and nothing is wanted of it; what will be may have its key. */
struct keeper_service *keeper_service_new(struct keeper *k, const char *key);
/* Takes @want, NULL: nothing. */
void keeper_want(struct keeper_service *s, struct spec *want);
/* It is planned later. */
void keeper_postpone(struct keeper_service *s);
/* It is planned at once, or later if that takes long, or while the kernel is read and compared. */
void keeper_wish(struct keeper_service *s);
/* All that are unplanned now are to be planned before what was read is compared. */
void keeper_await_unplanned(struct keeper *k);
/* The store wants what the Service wanted when its planning began; it may have to be again. */
void keeper_planned(struct keeper_service *s, bool again);
void keeper_unlose(struct keeper_service *s);
/* Those that lost a key try again, as one is free. */
void keeper_retry_losers(struct keeper *k);
/* The Service waits until all that is queued now, and matters to it, is in the kernel. */
void keeper_wait(struct keeper_service *s);
bool keeper_any_waiting(const struct keeper *k);
/* Whether anything is pending but large Services that are in the kernel as they were before. */
bool keeper_any_behind(const struct keeper *k);
/* What is in the kernel now: Services that waited for it are applied, or gone. */
void keeper_settle(struct keeper *k);
/* The kernel does not take an element of the Service's, which waits for it on. */
void keeper_refuse(struct keeper_service *s, const char *error);
/* The same for one that is not one Service's alone. */
void keeper_refuse_sharers(struct keeper *k, enum frame_map map, const void *key,
                           const char *error);
void keeper_service_free(struct keeper_service *s);

/* ---- planning.c ---- */

/* Makes the store want what the Service wants. */
void keeper_plan(struct keeper_service *s);
/*
 * A piece of that for one of those that are postponed; adds to *@n how many elements it was about.
 * False: none is to be planned now.
 */
bool keeper_plan_some(struct keeper *k, size_t *n);
void keeper_give_up_planning(struct keeper_planning *p);
/* Whether it can be planned in one go. */
bool keeper_is_small(const struct keeper_service *s);
/* Whether it has a share in an element, as it is planned. */
bool keeper_shares(const struct keeper_service *s, enum frame_map map, const void *key);
void keeper_form_free(struct keeper *k, struct keeper_form *f);
/* ---- virtuals.c: sets that IPVS picks from ---- */

bool keeper_is_virtual(const struct keeper *k, const struct plan_set *set);
/* @scheduler: NULL: the default one. */
void keeper_want_virtual(struct keeper_service *s, const struct plan_set *set,
                         const char *scheduler);
/* Those that are wanted no more stand until what led there is gone. */
void keeper_unwant_virtuals(struct keeper_service *s);
void keeper_settle_virtuals(struct keeper_service *s);
/* Of a Service that is gone; IPVS is told nothing. */
void keeper_virtuals_free(struct keeper_service *s);
bool keeper_virtuals_are_applied(const struct keeper_service *s);
/* NULL: none is refused. */
const char *keeper_virtuals_refusal(const struct keeper_service *s);
/* The scheduler in place of the one that the Service names; NULL: it has that one. */
const char *keeper_virtuals_substitute(const struct keeper_service *s);
/* Nothing may be written that leads to what is not there yet. */
bool keeper_waits_for_virtuals(const struct keeper *k);

/* ---- reading.c ---- */

void keeper_read(struct keeper *k);
/* In doubt, but it was read just now: as nothing is written meanwhile, the frame has to stand. */
void keeper_wait_to_read(struct keeper *k);
void keeper_list(struct keeper *k);
void keeper_leave(struct keeper *k);
/* What was read is compared with what is wanted. */
void keeper_compare(struct keeper *k);
/* Before what is read is planned for, and asked about. */
void keeper_sort_numbers(struct keeper *k);
void keeper_forget_numbers(struct keeper *k);
/* Whether a way in the kernel leads to one of the port's two sets, before all was compared. */
bool keeper_is_led_to(const struct keeper *k, uint32_t id);
/* Whether the kernel had ranges of that group, likewise. */
bool keeper_has_group(const struct keeper *k, uint32_t number);

/* ---- writing.c ---- */

void keeper_write(struct keeper *k);
/* Whether the table or its rules are not there as they should be. */
bool keeper_needs_frame(const struct keeper *k);
/* Whether there is anything to write. */
bool keeper_has_work(const struct keeper *k);

#endif
