/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_H
#define FAIRLEAD_PROXY_H

/*
 * The service proxy: what the kernel of this node should forward, and how it learns that.  The mode
 * selects the backend; in mode none there is none, as others do all this.
 *
 * A Service comes in as one struct proxy_service: plain data, complete, already decided upon (which
 * endpoints, which addresses), a half for each family.  A backend turns it into what the kernel
 * understands, compares with what it last wrote, and writes only the difference.  Nothing here
 * knows of Kubernetes.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/err.h"
#include "fairlead/histogram.h"
#include "fairlead/traffic.h"

struct event_base;
struct metrics_writer;
struct out;
struct proxy;

/* As --proxy-mode names them; a row each in proxy.c. */
enum proxy_mode { PROXY_NONE, PROXY_IPTABLES, PROXY_NFTABLES, PROXY_IPVS };
#define PROXY_MODES "none|iptables|nftables|ipvs"

/* PROXY_NONE for a name that is none of them. */
enum proxy_mode proxy_mode_named(const char *name);
/* Whether the node carries the traffic itself then. */
bool proxy_mode_forwards(enum proxy_mode mode);

/*
 * What the rules are made of is a table of rows (fields.h), so that a Service in which any of them
 * has changed is rendered again.
 *
 * Of a port, endpoint sets follow kube-proxy's selection: ready ones, else serving ones that
 * terminate; the local set is a subset by node, chosen by the same rule.  Those that are kept get
 * nothing new but may go on with what they have, as they are terminating or policies select others;
 * of TCP and SCTP they matter to IPVS alone, as connection tracking ends no connection of these.
 *
 * Of what is outside, no address may be both in vips (its ingress of mode VIP) and in external_ips.
 * The open ones of both are those whose other ports stay open, as the addresses may belong to
 * somebody else.  All others are guarded: traffic to a port that no Service has there is refused.
 */
/* clang-format off */
#define PROXY_ENDPOINT_FIELDS(X)                                                                 \
	X(STRUCT, addr, addr)                                                                    \
	X(VALUE, uint16_t, port)

#define PROXY_PORT_FIELDS(X)                                                                     \
	X(TEXT, name)                  /* "" if unnamed */                                       \
	X(LIST, proxy_endpoint, cluster)                                                         \
	X(LIST, proxy_endpoint, local)                                                           \
	X(LIST, proxy_endpoint, kept)                                                            \
	X(VALUE, uint8_t, proto)       /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */              \
	X(VALUE, bool, has_any)        /* any usable endpoint anywhere; else all reject */       \
	X(VALUE, uint16_t, port)                                                                 \
	X(VALUE, uint16_t, node_port)  /* 0: none */

#define PROXY_OUTSIDE_FIELDS(X)                                                                  \
	X(LIST, addr, vips)                                                                      \
	X(LIST, addr, external_ips)                                                              \
	X(LIST, addr, open)                                                                      \
	X(LIST, prefix, source_ranges) /* for the VIPs alone; none: everybody */

#define PROXY_HALF_FIELDS(X)                                                                     \
	X(VALUE, int64_t, created_us)  /* of two that claim one port, the older has it */        \
	X(PART, proxy_outside, outside) /* read it by proxy_outside() */                         \
	X(LIST, proxy_port, ports)                                                               \
	X(STRUCT, traffic, traffic)                                                              \
	X(VALUE, uint8_t, family)      /* 4 or 6 */                                              \
	X(STRUCT, addr, cluster_ip)    /* none: no ClusterIP rules */
/* clang-format on */

struct proxy_endpoint {
	PROXY_ENDPOINT_FIELDS(FIELD_DECLARE)
	bool local; /* on this node; for the selection, not for the rules */
};

/*
 * The endpoints of a port: copied, sorted and without duplicates.  Immutable and counted, so that
 * what is made of a large Service again and again shares those of the ports that have not changed.
 */
struct proxy_lists;

/* One port of one Service in one family. */
struct proxy_port {
	/* The three lists are these; NULL: they are the caller's, and are copied. */
	struct proxy_lists *lists;
	PROXY_PORT_FIELDS(FIELD_DECLARE)
	PROXY_PORT_FIELDS(FIELD_DECLARE_N)
};

/* Of the port's lists, of one family. */
struct proxy_lists *proxy_lists_new(const struct proxy_port *p, uint8_t family);
struct proxy_lists *proxy_lists_ref(struct proxy_lists *l);
/* Accepts NULL. */
void proxy_lists_unref(struct proxy_lists *l);
bool proxy_lists_eq(const struct proxy_lists *a, const struct proxy_lists *b);
/* The port has these; it does not hold them. */
void proxy_lists_put(struct proxy_lists *l, struct proxy_port *p);

/* By which addresses it is reached from outside, node ports apart, and by whom. */
struct proxy_outside {
	PROXY_OUTSIDE_FIELDS(FIELD_DECLARE)
	PROXY_OUTSIDE_FIELDS(FIELD_DECLARE_N)
};

/* A Service in one family. */
struct proxy_half {
	const char *key; /* "namespace/name" */
	PROXY_HALF_FIELDS(FIELD_DECLARE)
	PROXY_HALF_FIELDS(FIELD_DECLARE_N)
};

/* Most Services have none of it, which is never NULL here. */
static inline const struct proxy_outside *proxy_outside(const struct proxy_half *s)
{
	static const struct proxy_outside none;

	return s->outside ? s->outside : &none;
}

#define PROXY_HALVES 2

struct proxy_service {
	const char *key;
	const struct proxy_half *halves[PROXY_HALVES]; /* IPv4, IPv6; NULL: not carried there */
};

/* By what the packets of Pods are told from all others. */
enum proxy_pods {
	PROXY_PODS_BY_SOURCE,           /* the source address: pod_cidrs of the struct proxy_node */
	PROXY_PODS_BY_INTERFACE,        /* they came in by the one named pod_interface */
	PROXY_PODS_BY_INTERFACE_PREFIX, /* by one whose name begins with pod_interface */
};

/* As it is for the process's life; what may come late, or change, is in struct proxy_node. */
struct proxy_options {
	enum proxy_mode mode;
	const char *variant; /* "auto", "nft", "legacy" */
	enum proxy_pods pods_by;
	/* letters, digits, '.', '_' and '-'; "" if they are known by their source */
	char pod_interface[IFNAMSIZ];
	/*
	 * IPv4: node ports also at the node's loopback addresses, for the node itself alone.  Takes
	 * a sysctl, which is set once the rules that keep others away from there are in force.
	 */
	bool localhost_node_ports;
	bool masquerade_all; /* also Pods, toward cluster IPs */
	/* one bit, ours alone, of packet and connection marks; 0: PROXY_MARK_DEFAULT */
	uint32_t mark;
	/* of translated TCP connections: bytes, PROXY_CLAMP_PMTU, or 0: left alone */
	int clamp_mss;
	int audit_ms;         /* how often to check that the rules still stand; 0: PROXY_AUDIT_MS */
	bool service_metrics; /* connections of each Service, and in mode nftables packets */
};

/*
 * A bit that none of these uses: kube-proxy (0x4000, 0x8000), the portmap plugin (0x2000), Calico
 * (0xffff0000), Cilium (0x0f00), kube-vip (0x40), the AWS CNI (0x80), Tailscale (0xff0000).
 */
#define PROXY_MARK_DEFAULT 0x1000u

#define PROXY_AUDIT_MS 30000

/* Whatever fits the path, as far as this node knows it. */
#define PROXY_CLAMP_PMTU (-1)

#define PROXY_CIDRS_MAX 16

/*
 * What the rules have to know of the node; a plain value.  All zero, as before the first
 * proxy_set_node(): no Pod is known, and node ports are nowhere.
 */
struct proxy_node {
	/*
	 * Pods' addresses of both families, not masqueraded toward cluster IPs.  Without any in a
	 * family, Pods are like everybody else there; of no concern if an interface tells.
	 */
	struct prefix pod_cidrs[PROXY_CIDRS_MAX];
	size_t n_pod_cidrs;
	/*
	 * Which of the node's addresses have node ports: those in one of these.  A family's /0: all
	 * of them; none of a family: nowhere.  Loopback addresses never have by this.
	 */
	struct prefix node_port_cidrs[PROXY_CIDRS_MAX];
	size_t n_node_port_cidrs;
};

bool proxy_node_eq(const struct proxy_node *a, const struct proxy_node *b);

/* In one list of a flag; a node has room for what is added to it. */
#define PROXY_CIDRS_GIVEN_MAX 8
/*
 * The values of flags: "10.244.0.0/16,fd00::/56", NULL for none; "off", "pmtu" or bytes, as
 * clamp_mss has them.  -EINVAL: @e names the flag (@option) and what would be right.
 */
int proxy_parse_cidrs(const char *option, const char *given,
                      struct prefix ret_cidrs[static PROXY_CIDRS_GIVEN_MAX], size_t *ret_n,
                      struct err *e);
/* A family for which no address was chosen has node ports at all of the node's. */
void proxy_node_complete(struct proxy_node *n);
int proxy_parse_clamp(const char *given, int *ret_bytes, struct err *e);

/* What other firewalls on the node do with the packets that we forward. */
enum proxy_passage {
	PROXY_PASSES,
	/* a chain may refuse them or let them through: only running it would tell */
	PROXY_UNCERTAIN,
	PROXY_REFUSED,
};
#define PROXY_WHERE_SIZE 192

/* Of both families together. */
struct proxy_stats {
#define PROXY_STAT(member, from, name, type, help) uint64_t member;
#include "fairlead/metrics.def"
	struct histogram batch_seconds; /* how long each of the batches took */
	int64_t last_success_ms;        /* clock_ms(); 0: never */
	bool in_sync; /* everything wanted is in the kernel, and no old flow is looked for */
	bool settled; /* all that the kernel takes is in it */
};

/*
 * Called from the event loop when the answers to the questions below may have changed: when a batch
 * that contained the Service's newest state was applied, so that what was set before is in the
 * kernel now ("up: data plane, then announcement"); and when others were found to have changed our
 * rules.
 */
struct proxy_ops {
	void (*applied)(void *arg);
	void (*failed)(const struct err *e, void *arg);
};

/*
 * Starts to read what is there; blocks for some milliseconds.  In mode none it removes what a run
 * in another mode has left, which may take longer; a failure of that is only logged.
 */
int proxy_start(struct event_base *base, const struct proxy_options *opts,
                const struct proxy_ops *ops, void *arg, struct proxy **ret_proxy, struct err *e);
/* Leaves every rule in place.  A batch under way is left to end by itself. */
void proxy_free(struct proxy *p);
/*
 * Takes everything of ours out of the kernel, and is then as in mode none.  Blocks.  If it fails,
 * it may be called again.  Nothing to do where it was started in mode none.
 */
int proxy_uninstall(struct proxy *p, struct err *e);
/*
 * What the node is like from now on; copied.  What is in the kernel is changed to that without a
 * gap, or nothing is written where it is the same.  Call it before proxy_complete() with what is
 * known by then.
 */
void proxy_set_node(struct proxy *p, const struct proxy_node *n);
/* Whether the node carries the traffic: not in mode none. */
bool proxy_forwards(const struct proxy *p);
/*
 * Sets the wanted state of this Service, in both families; copied, in any order.  Unchanged input
 * costs no write.  Before proxy_complete() nothing is written at all: rules of a former run stand
 * untouched until all Services are known.
 */
void proxy_set(struct proxy *p, const struct proxy_service *s);
void proxy_remove(struct proxy *p, const char *key);
/*
 * All Services known so far were set: writing may begin, and chains of ours that belong to none of
 * them may go.  Call once, after the first sync, also if there are none.
 */
void proxy_complete(struct proxy *p);
/*
 * Whether the newest state given for this Service in this family is in the kernel.  Never if the
 * node has no iptables for the family: nothing may be announced there.  Trouble in one family does
 * not affect the other.
 */
bool proxy_is_applied(const struct proxy *p, const char *key, uint8_t family);
/*
 * Whether the Service's traffic suffers even though its rules were written: others have changed
 * them, and they are not restored yet.
 */
bool proxy_is_damaged(const struct proxy *p, const char *key, uint8_t family);
/*
 * Why the Service's rules were refused, in one line, good until the event loop runs again; NULL:
 * they were not.  They are tried again after a while; until then the kernel keeps what it had.
 */
const char *proxy_refusal(const struct proxy *p, const char *key, uint8_t family);
/*
 * The scheduler by which the Service's endpoints are picked in place of the one that it names,
 * which the kernel does not have; NULL: by that one.  Whether there may be any such Service at all.
 */
const char *proxy_substitute(const struct proxy *p, const char *key, uint8_t family);
bool proxy_any_substitute(const struct proxy *p);
/* Whether rules of others refuse all forwarding in one family, and must not be bypassed. */
bool proxy_forward_is_refused(const struct proxy *p, uint8_t family);
/*
 * The same, including what is uncertain, and where: "table inet filter, chain forward", "" where
 * they pass.
 */
enum proxy_passage proxy_passage(const struct proxy *p, uint8_t family, const char **ret_where);
/* Whether the node has what it takes to carry this family. */
bool proxy_has_family(const struct proxy *p, uint8_t family);
/* Whether one of these may hold for any Service at all. */
bool proxy_any_hindrance(const struct proxy *p);
/*
 * Whether some Service is yet to be set to a state that is wanted: while it is so, the proxy is not
 * in sync.  For the answers that come next.
 */
void proxy_set_behind(struct proxy *p, bool behind);
struct proxy_stats proxy_stats(const struct proxy *p);
/* Conntrack's table, as at the last audit. */
struct proxy_flows {
	uint64_t count, max; /* connections, and how many have room; 0: not known */
	bool full;           /* or nearly: new ones are dropped once it is */
};
struct proxy_flows proxy_flows(const struct proxy *p);
/* An object: the mode and, if the node forwards, counters and the backend's own status. */
void proxy_status(const struct proxy *p, const char *key, struct out *o);
/*
 * Appends the metric families of the counters, and fairlead_proxy_in_sync; nothing in mode none.
 * With service_metrics, also what the Services' traffic amounts to: as far as that can be read in a
 * moment now, and otherwise as it was when this was called before.
 */
void proxy_metrics(const struct proxy *p, struct metrics_writer *w);
/*
 * All rules of the node, whoever made them, of both families, as the programs of the mode print
 * them, up to LIMIT_HTTP_DUMP_BYTES.  Runs in parallel, blocks nothing and changes nothing.  @done
 * is called once, from the event loop, and takes the text's bytes; after that, or after cancel(),
 * the dump no longer exists.  It does not need @p once this has returned.  NULL: others carry the
 * traffic.
 */
struct proxy_dump;
struct proxy_dump *proxy_dump_start(const struct proxy *p, struct event_base *base,
                                    void (*done)(struct buf *text, void *arg), void *arg);
void proxy_dump_cancel(struct proxy_dump *d);
/*
 * Whether the kernel has what is wanted, and nothing else of ours: as JSON, what is missing,
 * changed and foreign in each family, up to LIMIT_PROXY_DIFFERENCES of them.  It blocks nothing,
 * and neither repairs anything nor has anything repaired.  @done is called once, from the event
 * loop, and takes the text's bytes; after that, or after cancel(), there is no comparison any more.
 * Without @p, when that is freed or uninstalled meanwhile, it ends with no family, and says why.
 * NULL: others carry the traffic.
 */
struct proxy_diff;
struct proxy_diff *proxy_diff_start(struct proxy *p, struct event_base *base,
                                    void (*done)(struct buf *text, void *arg), void *arg);
void proxy_diff_cancel(struct proxy_diff *d);
/*
 * What such a node with these options would program for these Services in this family, if it had no
 * rules and these were all: pure text, the same for any order.  -ENOTSUP in a mode in which others
 * carry the traffic.
 */
int proxy_render(const struct proxy_options *opts, const struct proxy_node *node, uint8_t family,
                 const struct proxy_service *const *services, size_t n, struct buf *ret_text,
                 struct err *e);
/*
 * Whether a run in any mode has left something here that would go on sending traffic to its
 * endpoints.  A quick check; changes nothing.
 */
bool proxy_has_leftovers(void);
/* Removes everything of ours, whatever mode wrote it, and nothing else.  Blocks. */
int proxy_cleanup(struct err *e);

#endif
