/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_RENDER_H
#define FAIRLEAD_PROXY_IPTABLES_RENDER_H

/*
 * What a Service is in iptables: pure text from plain data, the same for the same input.
 *
 *   nat                                                       filter
 *   PREROUTING, OUTPUT → FL-SVC                               INPUT   → FL-IN  → FL-FLT, and FL-NPF
 *                                                             for node ports
 *     destination's low octet → FL-B-xx (bucket)              FORWARD → FL-FWD → FL-FLT
 *       cluster IP → FL-C-id or FL-L-id                       OUTPUT  → FL-OUT → FL-FLT
 *       address from outside → FL-E-id, or FL-F-id → FL-E-id    FL-FLT: low octet → FL-D-xx:
 *                                                               REJECT, DROP, guard
 *     a local address → FL-NP                                   FL-NPF: port range → FL-R-xxx
 *       port range → FL-N-xxx → FL-E-id                       FORWARD, late → FL-ACC: ACCEPT what
 *                                                             is ours
 *   FL-E external traffic: FL-MARK (masquerade) and FL-C, or the short circuits of policy Local and
 *   FL-L FL-C, FL-L the cluster and the local set: DNAT; with affinity → FL-P-id one endpoint
 *   FL-R also accepts health checks of Services, and FL-IN what follows them
 *   POSTROUTING → FL-POST: masquerade what carries the mark, and an endpoint that reaches itself
 *
 * That one rule finds all who reach themselves needs the match "bpf".  Where there is none, each
 * endpoint of each port has a chain FL-P with a rule for what comes from it: twice as many rules.
 *
 * The filter rules see only destinations that no nat rule rewrote: that is how "no endpoints"
 * rejects and how a refused source is dropped.  A bucket gathers lines of many Services, so the
 * renderer yields a Service's dispatch lines one by one, each with its bucket.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/iptables/chain.h"
#include "fairlead/proxy.h"

struct traffic_destination;

struct render_options {
	uint8_t family;
	/*
	 * bit of the packet mark: masquerade; same bit of the connection mark: ours, not
	 * masqueraded
	 */
	uint32_t mark;
	struct proxy_node node;
	enum proxy_pods pods_by;
	char pod_interface[IFNAMSIZ];
	bool localhost_node_ports; /* IPv4 alone */
	bool localhost_guard;      /* keep others from there */
	bool masquerade_all;
	bool random_fully; /* MASQUERADE knows --random-fully */
	bool knows_bpf;    /* there is the match "bpf" */
	/* drop Pods' packets that conntrack cannot place rather than leak them untranslated */
	bool drop_invalid;
	int clamp_mss; /* as in struct proxy_options */
};

/*
 * A bucket is a chain that holds dispatch lines of several Services: by the low octet of an
 * address, or by protocol and the upper bits of a node port.  Buckets of all kinds are numbered
 * through.
 */
enum bucket_kind { BUCKET_NAT_ADDR, BUCKET_NAT_PORT, BUCKET_FILTER_ADDR, BUCKET_FILTER_PORT };
/* ports of one bucket differ in these low bits */
#define BUCKET_KINDS 4
#define BUCKET_PORT_BITS 7
#define BUCKETS_ADDR 256
#define BUCKETS_PORT (3 * (65536 >> BUCKET_PORT_BITS))
#define BUCKETS (2 * (BUCKETS_ADDR + BUCKETS_PORT))

enum bucket_kind bucket_kind(unsigned int bucket);
void bucket_name(unsigned int bucket, char ret_name[static CHAIN_NAME_SIZE]);

/* @after: the line comes after those of all other Services of the bucket. */
typedef void render_line_fn(unsigned int bucket, bool after, const char *rule, void *arg);
typedef void render_chain_fn(const struct chain *c, void *arg);

/* The Service's own chains, each once. */
void render_service(const struct render_options *o, const struct proxy_half *s, render_chain_fn *fn,
                    void *arg);
/* The lines by which packets find those chains, or are refused. */
void render_dispatch(const struct render_options *o, const struct proxy_half *s, render_line_fn *fn,
                     void *arg);
/* Of those only the lines of one bucket; much less work where there are many. */
void render_bucket(const struct render_options *o, const struct proxy_half *s, unsigned int bucket,
                   render_line_fn *fn, void *arg);
/* The lines for one destination of one port, and the one of the guard of an address. */
void render_caught(const struct render_options *o, const struct proxy_half *s, size_t port,
                   const struct traffic_destination *d, render_line_fn *fn, void *arg);
void render_guard(const struct addr *a, render_line_fn *fn, void *arg);
/* The frame: chains that do not depend on any Service. */
void render_frame(const struct render_options *o, render_chain_fn *fn, void *arg);
/*
 * FL-SVC, FL-NP, FL-FLT or FL-NPF: the chain that leads to the buckets of this kind which are in
 * use.
 */
void render_index(const struct render_options *o, enum bucket_kind kind,
                  bool (*in_use)(unsigned int bucket, void *arg), void *arg,
                  struct chain *ret_chain);

/* The name of that chain. */
const char *render_index_name(enum bucket_kind kind);

/* Where the built-in chains must jump to ours. */
struct render_jump {
	enum chain_table table;
	const char *builtin;
	const char *target;
	bool accepts; /* where path_place() says, rather than at the start */
};
#define RENDER_JUMPS 7
extern const struct render_jump render_jumps[RENDER_JUMPS];

#endif
