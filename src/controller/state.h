/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CONTROLLER_STATE_H
#define FAIRLEAD_CONTROLLER_STATE_H

/*
 * What the controller's files share: its options, what it knows, and what is under way.  Nothing is
 * decided here.
 *
 * The files are layered, and none calls one above it except by struct controller_calls:
 *
 *	controller
 *	  assign   publish
 *	    uninstall   retain   services   cooling
 *	      writer
 *	        contest   machines   namespaces
 *	          books   heartbeat_key   admission
 *	            tell   term   scribe
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
#include "fairlead/waiting.h"

#define CONTROLLER_NAME "fairlead.io/controller"
#define CONTROLLER_LEASE "fairlead-controller"
#define CONTROLLER_MANAGER "fairlead-controller" /* as the API server calls us in managedFields */
#define CONTROLLER_PATCHES_IN_FLIGHT 32
/*
 * A write takes effect within this time or never, unless the lease is so short that a fifth of it
 * is less.
 */
#define CONTROLLER_EFFECT_MS 3000

struct admission;
struct event;
struct event_base;
struct json_object;
struct machine;
struct namespace_seen;
struct record;
struct scribe;

struct controller_options {
	struct options_daemon daemon;
	const char *config_map, *identity; /* identity NULL: HOSTNAME_UUID */
	const char *heartbeat_key_secret;  /* NULL: made by others */
	const char *external_ips;          /* "on", "off" */
	const char *journal_copy;          /* a file, or "-" for standard output; NULL: none */
	const char *webhook;               /* where it listens; NULL: there is none */
	/* the names of its Service, and Secret, and of the ValidatingWebhookConfiguration */
	const char *webhook_service, *webhook_configuration;
	bool tell_holders; /* messages on Services name Services of other namespaces */
	int lease_duration_s, renew_deadline_s, retry_period_s;
};

/* One ConfigMap as it was last seen. */
struct config_map_seen {
	bool exists;
	char *uid, *version, *text, *retained; /* the last two NULL: no such key */
	/* of the annotations; NULL and 0: none */
	char *source;
	int64_t generation;
};

/* The administrator's ConfigMap, the published one, and what is in force. */
struct config_state {
	struct config_map_seen admin, active;
	bool judged_good;                        /* admin.text is a configuration */
	bool oversized;                          /* it is, except for what has to be retained */
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
	/* What an edit does is told when Namespaces are known; @was may be NULL. */
	struct {
		bool is_due;
		struct configuration *was, *next;
	} effect;
};

struct controller_stats {
#define CONTROLLER_STAT(member, name, help) uint64_t member;
#define PATCH_RESULT(member, result) uint64_t member;
#include "fairlead/metrics.def"
	uint64_t turns, events;
};

struct controller;
/* The calls from lower files to upper ones; set at the start. */
struct controller_calls {
	/*
	 * The books are new: the addresses of machines, and Namespaces, into them.  What cools down
	 * follows.
	 */
	void (*fill)(struct controller *ctl);
	void (*freed)(struct controller *ctl);   /* an address is free */
	void (*written)(struct controller *ctl); /* a patch has ended */
	/* Which addresses cool down was seen; NULL: the ConfigMap is gone. */
	void (*cooling_seen)(struct controller *ctl, const struct kube_config_map *m);
	/* fairlead-active was seen; NULL: it is gone. */
	void (*active_seen)(struct controller *ctl, const struct kube_config_map *active);
	void (*republish)(
		struct controller *ctl); /* what is published may be more or less by now */
	/* A new leader need not wait for them any more: seen, or out of reach. */
	void (*looked_at_namespaces)(struct controller *ctl);
	/*
	 * No longer leads, and hands the lease over as soon as what is under way has ended; or is a
	 * candidate again.
	 */
	void (*resign)(struct controller *ctl);
	void (*run_again)(struct controller *ctl);
};

struct controller {
	const struct controller_calls *calls;
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
	struct admission *admission; /* NULL: no webhook */

	bool elected;     /* the lease is ours */
	bool leading;     /* and everything was seen since then */
	bool taking_over; /* the first turn of a leader: nothing in it is news */
	bool wake;        /* Services are gone that had addresses: books_settle() */
	bool stopping;
	bool resigning, resigned;       /* no longer a candidate, and the lease is handed over */
	unsigned int n_looks;           /* refreshes that are still pending */
	bool looks_at_namespaces;       /* those of Namespaces count as one of them */
	unsigned int n_namespace_looks; /* how many, of earlier times at the top as well */

	struct kube_request *key_request; /* the heartbeat key is being made */
	struct event *key_retry;
	bool key_exists;

	enum {
		CONTROLLER_STAYS,
		CONTROLLER_KEEPS,    /* uninstalled; addresses stay in the statuses */
		CONTROLLER_RELEASES, /* uninstalled; they do not */
	} uninstall;
	/*
	 * The versions of fairlead-active that ask for addresses: to be answered; being answered.
	 * Or NULL.
	 */
	char *uninstall_unanswered, *uninstall_answering;
	struct kube_request *uninstall_answer_request;

	struct config_state config;
	struct ipam *ipam; /* NULL while no configuration is in force */
	struct waiting waiting;
	struct record *records, *dirty, *due;
	struct record *queue; /* QUEUED, in the order of their decisions */
	size_t n_in_flight;
	int64_t open_until_ms;      /* a write that got no answer may take effect until then */
	size_t n_lost;              /* Services that may exist and cannot be read at all */
	int64_t contest_told_ms;    /* when an Event last named one contested Service; 0: never */
	int64_t contests_told_ms;   /* when an Event last reported several */
	struct machine *nodes;      /* by name */
	struct machine *api_server; /* NULL: nothing is known about it yet */
	struct {
		struct kube_informer *feed; /* NULL: no pool asks for their labels */
		struct namespace_seen *all; /* by name */
		bool known;                 /* all of them were seen once */
		char *error;                /* why they cannot be seen; NULL: they can */
		int64_t failing_ms;         /* since when; 0: they can */
		bool unseen;                /* nothing waits for them any more */
		bool told;                  /* by an Event, while this one leads */
	} namespaces;
	struct {
		struct event *due, *write;
		struct kube_request *request;
		char *text; /* as it was seen or written last; NULL: none */
		bool exists;
		/* The books are new, or what was seen last is not what was written last. */
		bool is_unwritten;
		uint64_t n_written;    /* ipam_n_noted() of these books then */
		int64_t sent_ms;       /* when it was written last; 0: never */
		unsigned int n_failed; /* in a row */
	} cooling;
	struct record_server server;
	struct scribe *scribe; /* of the journal */
	struct controller_stats stats;
};

#endif
