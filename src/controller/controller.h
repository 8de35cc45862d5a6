/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_CONTROLLER_H
#define FAIRLEAD_CONTROLLER_CONTROLLER_H

/*
 * The controller's wiring.
 *
 *	informers --> records, configuration --> dirty records --turn--> ipam_decide() --> queue --> patches
 *
 * Every replica follows Services, Nodes and ConfigMaps and keeps its books.  Only the elected leader decides and writes, and it
 * starts with a consistent look at everything (controller_lead()).  What a record says comes from the informer, and from
 * the answer to our own patch until the informer has shown that; so its version never runs backwards.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/configuration.h"
#include "fairlead/ipam.h"
#include "fairlead/kube.h"
#include "fairlead/lease.h"
#include "fairlead/metrics.h"
#include "fairlead/options.h"
#include "fairlead/record.h"

#define CONTROLLER_NAME "fairlead.io/controller"
#define CONTROLLER_LEASE "fairlead-controller"
#define CONTROLLER_MANAGER "fairlead-controller" /* as the API server calls us in managedFields */
#define CONTROLLER_PATCHES_IN_FLIGHT 32
/* A write takes effect within this time or never, unless the lease is so short that a fifth of it is less. */
#define CONTROLLER_EFFECT_MS 3000

struct event;
struct event_base;
struct json_object;
struct machine_node;

struct controller_options {
	struct options_daemon daemon;
	const char *config_map, *identity; /* identity NULL: HOSTNAME_UUID */
	const char *heartbeat_key_secret;  /* NULL: made by others */
	const char *external_ips;          /* "on", "off" */
	bool tell_holders; /* messages on Services name Services of other namespaces */
	int lease_duration_s, renew_deadline_s, retry_period_s;
};
int controller_options_parse(int argc, char **argv, struct controller_options *ret, struct err *e);

/* One ConfigMap as it was last seen. */
struct config_map_seen {
	bool exists;
	char *uid, *version, *text, *retained; /* the last two NULL: no such key */
	int64_t generation;                    /* of the annotation; 0: none */
};

/* The administrator's ConfigMap, the published one, and what is in force. */
struct config_state {
	struct config_map_seen admin, active;
	bool judged_good;                        /* admin.text is a configuration */
	bool oversized;                          /* it is, but for what has to be retained */
	struct config_problems errors, warnings; /* of it */
	struct configuration *judged;            /* admin.text, if that is one */
	struct configuration *in_force;          /* NULL: none was ever accepted */
	char *text, *retained;                   /* of what is in force; no retained: NULL */
	int64_t generation;
	uint64_t rejected_hash; /* of the text about which the last Event went out; 0: none */
	struct kube_request *write;
	struct event *retry;
	unsigned int n_failed; /* publications, in a row */
	uint64_t publications;
	uint64_t sent_hash; /* of the text that was sent last to be published */
};

struct controller_stats {
#define CONTROLLER_STAT(member, name, help) uint64_t member;
#define PATCH_RESULT(member, result) uint64_t member;
#include "fairlead/metrics.def"
	uint64_t turns, events;
};

struct controller {
	struct controller_options opts;
	char *namespace, *identity;
	struct lease_timing timing;
	struct event_base *base;
	struct event *renumber, *retain, *contest;
	struct event *signals[3], *turn, *clock, *last_call, *second_try;
	struct kube_access *access;
	struct kube_client *client;
	struct kube_informer *services, *config_maps, *node_feed;
	struct lease_elector *elector;
	struct metrics_server *http;

	bool elected;     /* the lease is ours */
	bool leading;     /* and everything was seen since then */
	bool taking_over; /* the first turn of a leader: nothing in it is news */
	bool stopping;
	bool resigning, resigned; /* no longer a candidate, and the lease is handed over */
	unsigned int n_looks;     /* refreshes that are still to come in */

	struct kube_request *key_request; /* the heartbeat key is being made */
	struct event *key_retry;
	bool key_exists;

	enum {
		CONTROLLER_STAYS,
		CONTROLLER_KEEPS,    /* uninstalled; addresses stay in the statuses */
		CONTROLLER_RELEASES, /* uninstalled; they do not */
	} uninstall;
	/* The versions of fairlead-active that ask for addresses: to be answered; being answered.  Or NULL. */
	char *uninstall_unanswered, *uninstall_answering;
	struct kube_request *uninstall_answer_request;

	struct config_state config;
	struct ipam *ipam; /* NULL while no configuration is in force */
	struct record *records, *dirty, *due, *waiting;
	struct record *queue; /* QUEUED, in the order of their decisions */
	size_t n_in_flight;
	int64_t open_until_ms;      /* a write that got no answer may take effect until then */
	size_t n_lost;              /* Services that may be there, and that nobody can make out */
	bool may_renumber;          /* one Service, until the clock lets the next one */
	int64_t contest_told_ms;    /* an Event last told of one contested Service; 0: none has */
	int64_t contests_told_ms;   /* an Event last told of several */
	struct machine *nodes;      /* by name */
	struct machine *api_server; /* NULL: nothing is known of it yet */
	struct record_server server;
	struct controller_stats stats;
};

/* controller.c */
int controller_start(struct controller *ctl, struct err *e);
void controller_stop(struct controller *ctl);
/* Books from scratch under the configuration in force; everybody is to be decided again. */
void controller_rebuild(struct controller *ctl);
bool controller_may_write(const struct controller *ctl);
/* A write ended without an answer that tells what became of it: the lease stays ours until it can take no effect. */
void controller_unanswered(struct controller *ctl);
/* Leads no more, and hands the lease over as soon as what is under way has ended; or is a candidate again. */
void controller_resign(struct controller *ctl);
void controller_run_again(struct controller *ctl);
/* Wakes the clock soon while something is due or held up. */
void controller_arm_clock(struct controller *ctl);
/* So many Services may be there that nobody can make out: while it is not 0, nothing new is assigned. */
void controller_lose_sight(struct controller *ctl, size_t n);
/* An Event about an object: @what, in the words of this case, and then what a person should do about @reason. */
void controller_event(struct controller *ctl, const char *kind, const char *namespace,
                      const char *name, const char *uid, bool warning, enum reason reason,
                      const char *action, const char *what);
/* The same about a Service. */
void controller_event_of(struct record *r, bool warning, enum reason reason, const char *action,
                         const char *what);

/* registry.c: records, from the informer and on the lists */
extern const struct kube_informer_ops registry_ops;
void registry_read(struct record *r, const struct kube_service *s, struct json_object *obj);
void registry_adopt(struct controller *ctl, struct record *r);
void registry_mark(struct record *r); /* to be decided in the next turn */
void registry_set_flight(struct record *r, enum record_flight flight, int64_t due_ms);
/* All that wait for something are decided again; only those whom what became free concerns. */
void registry_wake_waiting(struct controller *ctl);
void registry_wake_concerned(struct controller *ctl);
void registry_set_waiting(struct record *r, bool waiting);
void registry_free(struct controller *ctl);

/* contest.c: others who write the same statuses; @what of it, as record_overwritten() says; @writer NULL: nobody knows who */
int contest_start(struct controller *ctl);
void contest_free(struct controller *ctl);
void contest_overwritten(struct record *r, const char *what, const char *writer);
/* A status is about to be written: is that too often, each time so soon after the one before? */
bool contest_is_rapid(struct record *r, int64_t now_ms);

/* assign.c: decisions */
void assign_turn(struct controller *ctl);

/* machines.c: addresses that machines have, which nobody is given */
extern const struct kube_informer_ops machines_ops;
/* Puts those that are known into new books. */
void machines_fill(struct controller *ctl);
/* The API server may answer from another address by now. */
void machines_see_api_server(struct controller *ctl);
/* Adds "; pool … holds …" for those that lie in pools. */
void machines_tell(const struct controller *ctl, struct buf *note);
void machines_free(struct controller *ctl);

/* writer.c: patches */
void writer_queue(struct record *r);
void writer_run(struct controller *ctl);
/* The object has been seen while nobody knew whether our write took effect: if it did, log and Events tell of it now. */
void writer_tell_found(struct record *r);
/* What is due: looks at doubtful records, tries refused ones again. */
void writer_tick(struct controller *ctl, int64_t now_ms);

/* publish.c: the ConfigMaps */
extern const struct kube_informer_ops publish_ops;
int publish_start(struct controller *ctl);
/* A leader has seen everything: puts the configuration in force and publishes what has to be. */
void publish_lead(struct controller *ctl);
void publish_free(struct controller *ctl);

/* What is published may be more or less by now: addresses were freed. */
void publish_again(struct controller *ctl);

/* retain.c: addresses in use, when the pools are edited */
int retain_start(struct controller *ctl);
void retain_free(struct controller *ctl);
/* Adds what has to be retained if @next comes into force. */
void retain_print(const struct controller *ctl, const struct configuration *next, struct buf *out);
/* What an edit does to addresses in use: counted by Service. */
struct retain_effect {
	size_t n_retained; /* that were in a pool before */
	size_t n_silenced; /* that were announced by some protocol, and are by none */
	char *silenced;    /* the first of these, for free(); NULL: none */
};
struct retain_effect retain_effect_of(const struct controller *ctl,
                                      const struct configuration *next);
/* An address was freed: what is retained is looked at again, soon. */
void retain_freed(struct controller *ctl);
/* Before and after a decision: who may be renumbered, one after the other. */
void retain_request(struct record *r, int64_t now_ms);
void retain_decided(struct record *r, int64_t now_ms);

/* heartbeat_key.c: the speakers' key */
#define CONTROLLER_KEY_NAME "key"
int heartbeat_key_start(struct controller *ctl);
/* A leader makes it unless it is there. */
void heartbeat_key_lead(struct controller *ctl);

/* uninstall.c: the mark on what is published; @active NULL: that is gone */
void uninstall_see(struct controller *ctl, const struct kube_config_map *active);
/* Where addresses are taken back, no Service wants one. */
void uninstall_request(struct record *r);
/* And the decision that comes of it says so. */
void uninstall_explain(struct record *r);
/* Where addresses are taken back, and all have been: says so.  At the end of a turn, and after patches. */
void uninstall_answer(struct controller *ctl);

/* report.c: /metrics, /healthz, /readyz, /status */
extern const struct metrics_server_ops report_ops;

#endif
