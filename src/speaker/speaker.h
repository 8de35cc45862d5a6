/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_SPEAKER_SPEAKER_H
#define FAIRLEAD_SPEAKER_SPEAKER_H

/*
 * The speaker: informers feed the view, and once an event-loop turn the dirty Services are decided upon, layer 2 gets a
 * new snapshot, bgpd its routes, and the proxy its Services.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/kube.h"
#include "fairlead/l2.h"
#include "fairlead/metrics.h"
#include "fairlead/options.h"
#include "fairlead/proxy.h"
#include "fairlead/view.h"
#include "speaker/announce.h"
#include "speaker/news.h"
#include "speaker/nowhere.h"
#include "speaker/ownership.h"
#include "speaker/routes.h"
#include "speaker/trouble_news.h"

struct event;
struct event_base;

#define SPEAKER_CLUSTER_CIDRS_MAX 8

struct speaker_options {
	struct options_daemon daemon;
	const char *node;
	const char *proxy_mode, *iptables_variant;
	const char *clamp_mss;    /* as given */
	int clamp_mss_bytes;      /* as in struct proxy_options */
	const char *cluster_cidr; /* as given; parsed into cluster_cidrs */
	struct prefix cluster_cidrs[SPEAKER_CLUSTER_CIDRS_MAX];
	size_t n_cluster_cidrs;
	const char *heartbeat_key_file, *heartbeat_key_secret; /* at most one of them */
	const char *bgp_password_secret;
	const char *interface;
	const char *first_use_probe; /* "on", "off" */
	struct view_node_rules node_rules;
	const char *bgp_socket_dir; /* NULL: no BGP */
	bool bgp_shared_instance;
	bool cleanup;
};

/* Ends with what to do: OPTIONS_RUN, OPTIONS_DONE, or -EINVAL. */
int speaker_options_parse(int argc, char **argv, struct speaker_options *ret, struct err *e);
/* The one rule for heartbeat keys, wherever they come from: -EINVAL, in words, for a size that is no key's. */
#define SPEAKER_KEY_MIN_BYTES 16
#define SPEAKER_KEY_MAX_BYTES 4096
int speaker_key_check(size_t size, struct err *e);
/*
 * Reads a heartbeat key that speaker_key_check() accepts; one newline at its end is not part of it.  *ret_loose: others may
 * read the file.
 */
int speaker_key_read(const char *path, uint8_t **ret_key, size_t *ret_size, bool *ret_loose,
                     struct err *e);

/* The data key of the Secret that holds it. */
#define SPEAKER_KEY_NAME "key"

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
	struct proxy *proxy; /* NULL in mode none */
	struct l2 *l2;       /* NULL while the heartbeat key is not known */
	uint64_t key_hash;
	bool key_changed; /* the Secret holds another key than the one in force */
	struct err
		key_error; /* why the Secret's content is no key; no blame: it is one, or there is no Secret */
	struct routes *routes;
	struct news *news;
	struct lasting *troubles, *nowhere; /* what was told of each */
	struct ownership *ownership;        /* addresses taken over from others */
	struct budget ownership_events;
	struct budget events,
		tenant_events; /* the second one for what tenants can bring about at will */
	char *node_uid;        /* of this node's Node; NULL: there is none */
	struct metrics_server *http;
	struct event *turn, *tick, *wake, *sigterm, *sigint, *sighup;
	int wake_fd; /* the urgent thread has news */
	unsigned int n_synced;
	enum speaker_uninstall uninstall; /* how far it has come; never goes back */
	bool failed;                      /* and so it ends */
	bool complete;                    /* everything was synced and acted upon once */
	bool hindered;                    /* some address was, at the last turn */
	enum proxy_passage passages[2];   /* IPv4, IPv6: as last told by an Event */
	bool view_fresh;                  /* as last published */
	bool needed_left_out;             /* more gateways than speaker_look_for_needed() reads */
	struct {
		struct kube_request *request; /* under way */
		int64_t asked_ms, answered_ms;
	} pulse;   /* of the API server */
	bool trim; /* there was work since memory was last given back */
	uint64_t turns, publishes, ticks;
};

/* ---- feeds.c: the API server's objects into the view ---- */
extern const char *const speaker_feed_names[N_FEEDS];
void speaker_feeds_start(struct speaker *sp);
/* When all of what decisions depend on was last heard of. */
int64_t speaker_last_contact_ms(const struct speaker *sp);

/* ---- needed.c ---- */
/* Tells the view the addresses that this node needs as they are: gateways and the API server's.  Bounded work. */
void speaker_look_for_needed(struct speaker *sp);

/* ---- pulse.c: whether the API server answers ---- */
/* Asks it, if it is time; to be called every two seconds or so. */
void speaker_pulse(struct speaker *sp);
/* When the API server was last known to be there: it answered, or a watch brought something. */
int64_t speaker_answered_ms(const struct speaker *sp);
/* What the speaker knows of the cluster is as new as can be. */
bool speaker_is_fresh(const struct speaker *sp);

/* ---- secrets.c: what it reads from Secrets ---- */
extern const char *const speaker_secret_names[N_SECRETS];
void speaker_secrets_start(struct speaker *sp);

/* ---- uninstall.c ---- */
/* The cluster says that we are uninstalled: from now on this process only takes away what it made. */
void speaker_uninstall(struct speaker *sp);
/* The next step, if there is one. */
void speaker_uninstall_tick(struct speaker *sp);
const char *speaker_uninstall_name(const struct speaker *sp);

/* ---- speaker.c ---- */
int speaker_start(struct speaker *sp, struct err *e);
/* As for a restart: rules stay, and the peers hold our claims for a while. */
void speaker_stop(struct speaker *sp);
/* Something changed: look at it when the callbacks of this event-loop turn are through. */
void speaker_schedule(struct speaker *sp);

/* ---- events.c ---- */
/* An Event on this node; a news_tell. */
void speaker_tell_of_node(enum reason reason, const char *note, void *arg);
/* Events on the Node about what is new of BGP, what is wrong with layer 2, and firewalls that refuse to forward. */
void speaker_tell(struct speaker *sp);
/* An Event on the Service of an address that cannot be announced for a reason of its own, or is announced again, after @old. */
void speaker_tell_of_service(struct speaker *sp, const struct announcement *a, enum reason old);

/* Adds what the effectors know beyond the reason's sentence. */
void speaker_add_detail(const struct speaker *sp, const struct announcement *a, struct buf *out);

/* ---- report.c: what the speaker says of itself ---- */
extern const struct metrics_server_ops speaker_http_ops;
void speaker_log_change(const struct announcement *a, enum reason old_reason,
                        const char *old_owner);

#endif
