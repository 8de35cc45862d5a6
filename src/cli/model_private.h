/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_MODEL_PRIVATE_H
#define FAIRLEAD_CLI_MODEL_PRIVATE_H

/*
 * The tables of the model, for what fills them (model.c, model_bgp.c), what follows from them
 * (model_derive.c, verdict.c) and what prints (model_print.c, model_bgp.c).
 */

#include "cli/history.h"
#include "cli/model.h"
#include "cli/pods.h"
#include "fairlead/configuration.h"
#include "fairlead/decide.h"
#include "fairlead/hash.h"
#include "fairlead/identity.h"
#include "fairlead/view.h"

/* What one speaker says about one address by one protocol. */
struct verdict {
	char *node, *reason, *message, *owner, *interface, *mac;
	int64_t preference;  /* by layer 2: of the node, to others */
	char *claim, *cause; /* by layer 2: how it stands with the node, and why it is the owner */
	int64_t held_ms;     /* for how long @owner has been the owner, as far as it knows; -1 */
	enum protocol protocol;
	bool announce;
};

struct model_address {
	struct view_address address;
	struct verdict *verdicts; /* sorted before they are printed: speakers answer as they come */
	size_t n_verdicts;
};

struct model_service {
	char *key, *namespace, *name;
	char *reason, *message; /* of the condition AddressAssigned; "" if it is missing */
	char *external_reason, *external_message; /* of ExternalIPsAssigned, likewise */
	char *class;                              /* of load balancers; NULL: none */
	struct labels labels;
	struct identity identity; /* as speakers tell it apart */
	bool hidden;              /* not to be printed */
	bool waits;               /* of type LoadBalancer, and its status holds no address */
	bool external_waits;      /* names a pool for external IPs, and has none from it */
	struct model_address *addresses;
	uint32_t n_addresses;
	UT_hash_handle hh;
};

/* One session of a node's bgpd. */
struct model_session {
	char *peer, *address, *state, *error, *reason;
	char *bfd; /* NULL: without BFD */
	int64_t my_asn, asn, uptime_ms, wanted, sent, resets;
	bool established;
};

/* What a speaker reports about BGP; strings are NULL if it reports nothing. */
struct model_bgp {
	char *reason, *message;
	bool connected, own_instance;
	int64_t asn; /* of bgpd's instance; 0: none */
	int64_t wanted, set;
	struct model_session *sessions;
	size_t n_sessions;
};

/* Something that is wrong with layer 2 on a node. */
struct model_trouble {
	char *interface, *reason, *message;
};

/* What a speaker reports about layer 2. */
struct model_segment {
	char *interface, *mac, *ipv4, *ipv6, *state;
	int64_t mtu, owned, dead_after_ms;
};
struct model_peer {
	char *node, *interface;
	bool alive, restarting;
	int64_t heard_ms, lost;
	int64_t lately, lately_lost; /* of its last messages so many; 0: not told */
};
struct model_move {
	char *address, *service, *from, *cause;
	int64_t took_ms, ago_ms; /* took_ms -1: not known */
};
struct model_l2 {
	struct model_segment *segments;
	size_t n_segments;
	struct model_peer *peers;
	size_t n_peers, n_alive;
	struct model_move *moves;
	size_t n_moves;
};

/* Services of which the node cannot do something: have their rules, or listen on a port. */
struct model_refused {
	char *service, *error;
	int64_t port; /* 0: it is about none */
};
struct model_refusals {
	struct model_refused *items;
	size_t n;
};

/* Of a family that the node carries: others' firewalls refuse what it forwards, or may. */
struct model_passage {
	bool is_told, is_refused;
	char *where;
};

/* The data plane of a node, if it has one. */
struct model_rules {
	bool pending; /* the kernel has not all that is wanted */
	char *error;  /* the last one; NULL: none */
	struct model_refusals refused, substituted;
	struct model_refusals uncarried;  /* on no node; their errors are reasons */
	struct model_passage passages[2]; /* IPv4, IPv6 */
};

struct model_node {
	char *name;
	struct addr addr;
	struct addr *addrs; /* all of them, as Services may not have any */
	size_t n_addrs;
	bool ready;
	bool excluded; /* by its label, which speakers may be set to ignore */
	/*
	 * What keeps it from announcing anything, as the Node says, or its speaker where flags of
	 * that count; Candidate: nothing.
	 */
	enum reason away;
	bool asked, answered;
	char *error;
	char *version, *proxy;
	int64_t generation;
	bool fresh;
	bool uninstalled;                   /* or about to be */
	bool key_awaited;                   /* the heartbeat key */
	struct model_refusals health_ports; /* that are failing */
	struct model_rules rules;
	size_t n_announced;
	struct model_l2 l2;
	struct model_trouble *troubles;
	size_t n_troubles;
	struct model_bgp bgp;
};

/* A controller by its Pod, as far as it was asked. */
struct model_controller {
	char *pod;
	bool answered, leads;
	char *version, *error;
};

struct model {
	struct configuration *config;
	char *config_error; /* NULL: it parsed, or there is none */
	char *rejected;     /* the first error of the administrator's; NULL: none is known */
	size_t n_rejected;
	char *wanted; /* the name of the administrator's; NULL: it is not known */
	char *source; /* of that which the controller follows, as it says; likewise */
	bool config_hidden, leader_hidden; /* may not be read */
	bool uninstalling;                 /* fairlead-active is marked */
	int64_t generation;
	char *leader;
	int64_t leader_silent_s; /* its Lease has expired since; 0: it has not */
	/* which addresses cool down, or were given last, as the leader wrote; NULL: not known */
	char *cooling;
	struct model_service *services;
	struct model_node *nodes;
	size_t n_nodes, cap_nodes;
	struct model_controller *controllers;
	size_t n_controllers;
	struct pods pods;
	bool pods_hidden;      /* may not be read */
	const char *only_pool; /* that is printed; NULL: all */
	bool lists_addresses;  /* of the pools that are printed */
	struct model_books *books;
	struct history history; /* empty: it was not asked for, or there is none */
};

/* ---- what follows ---- */

/* Services, verdicts and Pods in the order in which they are printed. */
void model_sort(struct model *m);
/* "" if it is in none. */
const char *model_pool_name(const struct model *m, const struct addr *a);
/* Whether that pool is only the one that it came from. */
bool model_is_retained(const struct model *m, const struct addr *a);
const char *model_kind_name(const struct model *m, const struct model_address *a);
/*
 * What an edit of the configuration left without a pool: the next such address behind
 * s->addresses[*i], or NULL.
 */
const struct addr *model_next_retained(const struct model *m, const struct model_service *s,
                                       size_t *i, const struct config_pool **ret_pool);
/*
 * The nodes that announce: by layer 2 it should be one.  Where both protocols do, "n3 (layer2)
 * n1,n2,n3 (bgp)".  Of more than @max by one of them the rest is a number: "n1,n2,n3+7".
 */
void model_put_owners(const struct model_address *a, size_t max, struct buf *out);
/* "5m6s": the two largest units; below a second "340ms". */
void model_put_duration(int64_t ms, struct buf *out);
/* The sentence of the reason of this name; the name where it is not known. */
const char *model_sentence(const char *reason);
/* The node that announces it by layer 2; NULL: none. */
const struct verdict *model_l2_owner(const struct model_address *a);
/*
 * Members of the address's object: for how long its layer-2 owner has it, why (cause), and the
 * nodes that may have it; and the cells "held" and "may".
 */
void model_put_held(const struct model_address *a, struct out *o);
/* By layer 2, the node may own it, whether it does or not. */
bool model_may_own(const struct verdict *d);
/* The layer-2 owner, before the nodes that announce it by BGP; NULL: none. */
const struct verdict *model_announcer(const struct model_address *a);
/*
 * Why the node's speaker, which did not answer, is silent: the reason, and in @why, which is empty,
 * what tells of it.
 */
enum reason model_silence(const struct model *m, const struct model_node *n, struct buf *why);
/* The same in a word or two, for a table: "silent". */
const char *model_silence_word(enum reason r);
/* Whether any speaker answered, and is not uninstalled. */
bool model_any_in_service(const struct model *m);
/*
 * Why nobody announces: "NoEndpoints: sentence" where all speakers say the same, else each reason
 * with its nodes: "NodeExcluded on n1; NoLocalEndpoint on n2, n3".
 */
void model_put_reasons(const struct model *m, const struct model_address *a, struct buf *out);

/* ---- the pools' books (model_pools.h) ---- */

struct model_books *model_books_new(void);
void model_books_reset(struct model_books *b);
void model_books_free(struct model_books *b); /* accepts NULL */

/* ---- reading ---- */

/* A copy of the member; "" if there is none. */
char *model_dup_str(struct json_object *obj, const char *key);
/* Takes the member `bgp` out of a speaker's status. */
void model_read_bgp(struct json_object *status, struct model_bgp *ret);
void model_bgp_fini(struct model_bgp *b);
/* The same of the member `l2`. */
void model_read_l2(struct json_object *status, struct model_l2 *ret);
void model_l2_fini(struct model_l2 *l);

#endif
