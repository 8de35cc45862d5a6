/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_H
#define FAIRLEAD_BGP_H

/*
 * BGP by way of FRR's bgpd (and bfdd), driven over the vty sockets that vtysh uses.
 *
 * The caller says what this node is to announce and to whom (struct bgp_want); the engine reads
 * what bgpd has, sends only the lines that differ, and reads again when something may have been
 * lost.  What is ours carries our name: every network line of ours points to a route-map
 * FAIRLEAD-A-…, every neighbour's description begins with FAIRLEAD, and the instance that we
 * created is marked by a large-community-list FAIRLEAD-INSTANCE.  Everything else belongs to others
 * and stays as it is, byte for byte.  No route is ever accepted from our neighbours.
 *
 * It is not a BGP speaker, and it never writes bgpd's configuration file.  One thread: the event
 * loop's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/configuration.h"
#include "fairlead/err.h"
#include "fairlead/limits.h"
#include "fairlead/metrics.h"
#include "fairlead/reason.h"

struct event_base;
struct out;
struct bgp;

/* ---- what is wanted ---- */

/* of each kind, on one prefix */
#define BGP_PEERS_MAX LIMIT_BGP_PEERS
#define BGP_COMMUNITIES_MAX LIMIT_BGP_COMMUNITIES
#define BGP_PASSWORD_MAX CONFIG_PASSWORD_MAX
#define BGP_NAME_MAX 64

struct bgp_want;
struct bgp_want *bgp_want_new(void);
void bgp_want_free(struct bgp_want *w);
/*
 * One peer of this node (the caller has applied the node selectors).  The first peer's my-asn is
 * the instance's; a peer with another my-asn gets it by local-as. -EINVAL with blame CONFIG for a
 * string that bgpd could not take, or a second peer with the same address; the want is then
 * unchanged.
 */
int bgp_want_peer(struct bgp_want *w, const struct config_peer *peer, struct err *e);
/*
 * A peer whose password is not known, @why in words.  If bgpd already has a neighbour of ours for
 * it, that stays as it is; otherwise the peer waits (REASON_BgpNoPassword), and announcements are
 * as if the configuration did not have it.
 */
int bgp_want_waiting_peer(struct bgp_want *w, const struct config_peer *peer, const char *why,
                          struct err *e);
/*
 * A peer that bgpd cannot run (REASON_BgpPeerRefused), and why: bgpd is not configured with it, and
 * this node's status shows it.  Announcements are as if the configuration did not have it.
 */
void bgp_want_refused(struct bgp_want *w, const struct config_peer *peer, const char *why);
/* A BFD profile for bfdd, named FAIRLEAD-<name> there. */
int bgp_want_bfd_profile(struct bgp_want *w, const struct config_bfd_profile *p, struct err *e);
/*
 * The router id for a node without an IPv4 address, from which bgpd would otherwise take one, where
 * no peer names one: derived from @name, the node's name, and so the same after every restart.
 * Call it after adding the peers.
 */
void bgp_want_router_id_of(struct bgp_want *w, const char *name);
/* This node's router id, which overrides those of its peers. */
void bgp_want_router_id(struct bgp_want *w, const struct addr *id);
/*
 * Makes the policy classes of the pool's advertisements ready, so that the first Service that uses
 * them costs only its network lines.
 */
int bgp_want_pool(struct bgp_want *w, const struct config_pool *pool, struct err *e);
/*
 * Announces @a: one prefix for each advertisement, cut to its aggregation length, or the whole
 * address where @local (policy Local: an aggregate would attract traffic for addresses whose
 * endpoints are elsewhere).  Advertisements are those that apply on this node; each is for the
 * peers that it names, or for all.  No advertisement at all means one with default values.  Where
 * several addresses or advertisements yield the same prefix, a peer gets the union of the
 * communities, and the highest localpref, of those that are for it.  A community is "65535:65281"
 * or "large:64500:1:2".  Call it, and bgp_want_pool(), after adding the peers.
 */
int bgp_want_address(struct bgp_want *w, const struct addr *a, bool local,
                     const struct config_advertisement *ads, size_t n_ads, struct err *e);
/*
 * With this, nothing is added to bgpd: whatever of ours it holds that is wanted here, or that leads
 * to a wanted address, stays as it is, and the rest is removed (REASON_BgpPending until something
 * else is published).  For what an earlier run left, while there is no data plane yet for more.
 */
void bgp_want_only_less(struct bgp_want *w);
/*
 * The distinct prefixes so far that are not single addresses, in no particular order: a new array,
 * and how many.
 */
size_t bgp_want_aggregates(const struct bgp_want *w, struct prefix **ret_prefixes);
/* The distinct prefixes so far. */
size_t bgp_want_n_prefixes(struct bgp_want *w);

/* ---- the engine ---- */

#define BGP_SOCKET "/run/frr/bgpd.vty"
#define BGP_BFDD_SOCKET "/run/frr/bfdd.vty"

struct bgp_options {
	const char *bgpd_socket, *bfdd_socket; /* NULL: the above; bfdd is used only for profiles */
	/*
	 * The instance is shared with others on purpose: use it even if their neighbours have no
	 * outbound policy.
	 */
	bool shared_instance;
	unsigned int command_timeout_ms; /* 0: 10000; no reply for so long means a hung daemon */
	/*
	 * 0: 2000; a bgpd without any instance is left alone for this long, as it may not have read
	 * its own configuration yet.  Does not apply if the instance was ours when bgpd restarted.
	 */
	unsigned int settle_ms;
	unsigned int resync_ms; /* 0: 30000; how often the running configuration is read again */
};

struct bgp_ops {
	/*
	 * A session, the reason or the applied generation changed.  From the event loop, never from
	 * inside a call; may be NULL.
	 */
	void (*changed)(void *arg);
};

struct bgp_stats {
#define BGP_STAT(member, name, help) uint64_t member;
#include "fairlead/metrics.def"
	uint64_t resyncs; /* running configurations read */
	uint64_t last_batch_commands;
	int64_t last_batch_us; /* from bgp_publish() to the last acknowledgement */
};

enum bgp_session_state {
	BGP_SESSION_UNKNOWN,
	BGP_SESSION_IDLE,
	BGP_SESSION_CONNECT,
	BGP_SESSION_ACTIVE,
	BGP_SESSION_OPENSENT,
	BGP_SESSION_OPENCONFIRM,
	BGP_SESSION_ESTABLISHED,
	BGP_SESSION_SHUTDOWN, /* by the administrator of bgpd */
};
const char *bgp_session_state_name(enum bgp_session_state s);

/*
 * Starts connecting.  Nothing is changed before the first bgp_publish(): what bgpd holds from an
 * earlier run stays.
 */
int bgp_start(struct event_base *base, const struct bgp_options *opts, const struct bgp_ops *ops,
              void *arg, struct bgp **ret_bgp, struct err *e);
/* Closes the sockets and leaves everything in place: a restart changes no route. */
void bgp_free(struct bgp *b);
/*
 * The complete new state, which the engine takes over.  Returns its generation, which grows by one
 * with each call.  Publications that come while a batch is under way are applied together; a batch
 * that takes bgpd more than a second gives way to them.
 */
uint64_t bgp_publish(struct bgp *b, struct bgp_want *want);
/*
 * The newest generation for which bgpd has acknowledged everything that it could apply
 * (bgp_reason() says what it could not); whatever that generation withdraws has been withdrawn by
 * then.
 */
uint64_t bgp_applied_generation(const struct bgp *b);
/*
 * Whether nothing is wanted of the daemons and nothing of ours is left in them (in bfdd as far as
 * it answers): the engine may go.
 */
bool bgp_is_done(const struct bgp *b);
/*
 * What stands in the way of all of BGP here (REASON_Announced: nothing), in words in @msg unless it
 * is NULL.
 */
enum reason bgp_reason(const struct bgp *b, struct buf *msg);
/*
 * Whether @a is announced: Announced if a network line for one of the prefixes wanted for it stands
 * and at least one session is up; else why not.
 */
enum reason bgp_reason_of(const struct bgp *b, const struct addr *a, struct buf *msg);
/*
 * The peers in the order of the want, those that bgpd runs first, and the state of their sessions.
 */
struct bgp_peer_status {
	const char *name; /* as the user wrote it */
	struct addr address;
	uint32_t asn;
	enum bgp_session_state state;
	enum reason reason; /* Announced: the session is established */
	const char *error;  /* in words; "" */
	const char *waits;  /* why the password is not known; NULL: it is, or see @error */
};
size_t bgp_n_peers(const struct bgp *b);
/*
 * Adds to the message about an announcement that this peer does not get it.
 */
void bgp_put_left_out(const char *name, const struct addr *address, enum reason reason,
                      const char *why, struct buf *msg);
/* Good until something happens. */
struct bgp_peer_status bgp_peer_status(const struct bgp *b, size_t i);
size_t bgp_n_established(const struct bgp *b);
struct bgp_stats bgp_stats(const struct bgp *b);
/* An object: connection, instance, peers, prefixes, counters.  Holds no password. */
void bgp_status(const struct bgp *b, const char *key, struct out *o);
/* Appends the metric families fairlead_bgp_…. */
void bgp_metrics(const struct bgp *b, struct metrics_writer *w);

/*
 * What bgpd at this socket reports about its version, its sessions, its own routes and its
 * configuration, without passwords, up to LIMIT_HTTP_DUMP_BYTES.  Over a connection of its own;
 * changes nothing.  @done is called once, from the event loop, and takes the text's bytes; after
 * that, or after cancel(), the dump no longer exists.
 */
struct bgp_dump;
struct bgp_dump *bgp_dump_start(struct event_base *base, const char *socket,
                                void (*done)(struct buf *text, void *arg), void *arg);
void bgp_dump_cancel(struct bgp_dump *d);
/*
 * Removes everything of ours from bgpd and bfdd, and nothing else; blocks for at most a few seconds
 * each.  A daemon that does not run has nothing of ours.
 */
int bgp_cleanup(const struct bgp_options *opts, struct err *e);

#endif
