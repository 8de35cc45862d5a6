/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_STATE_H
#define FAIRLEAD_SPEAKER_STATE_H

/*
 * What the speaker's files share: its options, what it knows, and what is under way.  Nothing is
 * decided here.  The files are layered: each includes those below it, and the lower ones request a
 * turn by speaker_schedule().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/facts.h"
#include "fairlead/kube.h"
#include "fairlead/l2.h"
#include "fairlead/metrics.h"
#include "fairlead/options.h"
#include "fairlead/proxy.h"
#include "fairlead/view.h"
#include "speaker/announce.h"
#include "speaker/moves.h"
#include "speaker/news.h"
#include "speaker/nowhere.h"
#include "speaker/ownership.h"
#include "speaker/routes.h"
#include "speaker/trouble_news.h"

struct event;
struct event_base;
struct health_ports;
struct large;
struct relaying;

struct speaker_options {
	struct options_daemon daemon;
	const char *node;
	const char *proxy_mode, *iptables_variant;
	const char *healthz_bind_address; /* NULL: none */
	struct facts_flags plane;
	bool service_metrics;
	const char *heartbeat_key_file, *heartbeat_key_secret; /* at most one of them */
	const char *bgp_password_secret;
	const char *interface;
	const char *first_use_probe; /* "on", "off" */
	struct view_node_rules node_rules;
	const char *bgp_socket_dir; /* NULL: no BGP */
	bool bgp_shared_instance;
	bool cleanup;
};

enum speaker_feed { FEED_CONFIG, FEED_NODES, FEED_SERVICES, FEED_SLICES, N_FEEDS };
enum speaker_uninstall { UNINSTALL_NOT, UNINSTALL_ASKED, UNINSTALL_WITHDRAWN, UNINSTALL_DONE };
enum speaker_secret { SECRET_HEARTBEAT, SECRET_PASSWORDS, N_SECRETS };

struct speaker {
	struct speaker_options opts;
	char *namespace;
	struct event_base *base;
	struct kube_access *access;
	struct kube_client *client;
	struct kube_informer *feeds[N_FEEDS];
	struct kube_informer *secrets[N_SECRETS]; /* NULL: not asked for */
	struct view *view;
	struct announce *announce;
	struct proxy *proxy;
	struct large *large;         /* NULL where others carry the traffic */
	struct proxy_node facts;     /* of this node: facts.h */
	struct health_ports *health; /* NULL where others forward */
	struct l2 *l2;               /* NULL while the heartbeat key is not known */
	uint64_t key_hash;
	bool key_changed; /* the Secret holds a key that differs from the one in force */
	/* why the Secret's content is not a key; no blame: it is one, or there is no Secret */
	struct err key_error;
	struct relaying *relaying; /* NULL where others carry the traffic, or without nftables */
	struct routes *routes;
	struct news *news;
	struct latency *latency;            /* NULL where others carry the traffic */
	struct lasting *troubles, *nowhere; /* what was reported about each */
	struct lasting *substitutes;        /* of schedulers, likewise, by Service */
	struct uncarried *uncarried;        /* NULL where others carry the traffic */
	struct ownership *ownership;        /* addresses taken over from others, to be told of */
	struct moves *moves;                /* the same, as they were */
	struct budget ownership_events;
	struct budget events, tenant_events; /* the second one for what tenants can cause at will */
	char *node_uid;                      /* of this node's Node; NULL: there is none */
	struct metrics_server *http;
	struct event *turn, *tick, *wake, *sigterm, *sigint, *sighup;
	int wake_fd; /* the urgent thread has news */
	unsigned int n_synced;
	enum speaker_uninstall uninstall; /* how far it has come; never goes back */
	struct err uninstall_error;       /* why it comes no further; no blame: nothing is wrong */
	bool failed;                      /* and so it ends */
	bool complete;                    /* everything was synced and acted on once */
	bool hindered;                    /* some address was, at the last turn */
	enum proxy_passage passages[2];   /* IPv4, IPv6: as last told by an Event */
	bool told_full;                   /* conntrack's table, likewise */
	bool view_fresh;                  /* as last published, */
	bool refuses4, refuses6;          /* likewise */
	char *rebalance_mark;             /* at the active configuration; NULL: that is not known */
	uint64_t rebalances, published_rebalances; /* how often it became another one */
	bool needed_left_out; /* more gateways than speaker_look_for_needed() reads */
	struct {
		struct kube_request *request; /* under way */
		int64_t asked_ms, answered_ms;
	} pulse;   /* of the API server */
	bool trim; /* there was work since memory was last given back */
	uint64_t turns, publishes, ticks;
};

/* Something changed: look at it when the callbacks of this turn of the event loop are done. */
void speaker_schedule(struct speaker *sp);

#endif
