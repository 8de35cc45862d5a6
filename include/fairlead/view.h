/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_VIEW_H
#define FAIRLEAD_VIEW_H

/*
 * What a node knows of the world: Services joined with their EndpointSlices, Nodes, and the
 * configuration in force.
 *
 * Objects come in one at a time as parsed values, in any order, and are kept as compact copies; a
 * slice may be there before its Service.  What is kept about a Service is compared with what was
 * kept before, and only a difference that somebody here would act upon makes the Service dirty; so
 * does a change of a node, of the configuration or of another Service where the answers for this
 * one depend on it.  The reader takes the dirty Services, decides anew for those, and calls
 * view_clean().
 *
 * The view does not decide: see decide.h.  It does no I/O, and one thread uses it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/configuration.h"
#include "fairlead/err.h"
#include "fairlead/kube_types.h"
#include "fairlead/labels.h"

struct view;

#define VIEW_UID_SIZE 16
/* A UID is a UUID; what is not is folded, so that equal ones stay equal.  "" is 0. */
void view_parse_uid(const char *text, uint8_t ret_uid[static VIEW_UID_SIZE]);

/* Of a Node. */
#define VIEW_LABEL_ZONE "topology.kubernetes.io/zone"

/*
 * Annotation fairlead.io/terminating of a Service: none, so that its pool decides; "give-way";
 * "hold".
 */
enum view_ending { VIEW_ENDING_OF_POOL, VIEW_ENDING_GIVES_WAY, VIEW_ENDING_HOLDS };

/*
 * What an object says is a table of rows (fields.h): what is not a row is the view's own.  An
 * object in which every row is unchanged changes nothing.
 */
/* clang-format off */
#define VIEW_PORT_FIELDS(X)                                                                      \
	X(NAME, name)                  /* "" if unnamed */                                       \
	X(VALUE, uint8_t, proto)       /* IPPROTO_TCP … */                                       \
	X(VALUE, uint16_t, port)                                                                 \
	X(VALUE, uint16_t, node_port)  /* 0: none; always 0 in a slice */

#define VIEW_ADDRESS_FIELDS(X)                                                                   \
	X(STRUCT, addr, addr)                                                                    \
	X(VALUE, bool, ip_mode_proxy)                                                            \
	X(VALUE, bool, shared)         /* its status says so: tenancy.h */                       \
	X(VALUE, bool, external)       /* of spec.externalIPs */                                 \
	X(VALUE, bool, recorded)       /* and in the controller's record, which anybody writes */ \
	X(VALUE, bool, confirmed)      /* and its status says so, too */

#define VIEW_ENDPOINT_FIELDS(X)                                                                  \
	X(STRUCT, addr, addr)                                                                    \
	X(FLAG, ready)                                                                           \
	X(FLAG, serving)                                                                         \
	X(FLAG, terminating)                                                                     \
	X(SAME, view_place, place)

#define VIEW_SLICE_FIELDS(X)                                                                     \
	X(LIST, view_endpoint, endpoints)                                                        \
	X(LIST, view_port, ports)      /* the endpoints' own; looked up by view_slice_port() */  \
	X(VALUE, uint8_t, family)

#define VIEW_SERVICE_FIELDS(X)                                                                   \
	X(VALUE, int64_t, created_us)                                                            \
	X(NAME, class)                 /* NULL: none */                                          \
	X(STRUCT, labels, labels)      /* by which layer2 of its pool selects it */              \
	X(LIST, view_port, ports)                                                                \
	X(LIST, view_address, addresses) /* from outside; each once */                           \
	X(LIST, prefix, source_ranges)                                                           \
	X(BYTES, uid, VIEW_UID_SIZE)                                                             \
	X(VALUE, enum kube_service_type, type)                                                   \
	X(VALUE, enum view_ending, ending)                                                       \
	X(STRUCT, traffic, traffic)                                                              \
	X(VALUE, bool, known)          /* false: only slices of it are known, or it is gone */   \
	X(VALUE, bool, deleting)                                                                 \
	X(VALUE, bool, foreign_proxy)  /* label VIEW_LABEL_PROXY_NAME: not ours to forward */    \
	X(VALUE, bool, proxyless)      /* label VIEW_LABEL_HEADLESS: no proxy carries it */      \
	X(ARRAY, addr, cluster_ips, 2) /* none for headless ones and ExternalName */
/* clang-format on */

struct view_port {
	VIEW_PORT_FIELDS(FIELD_DECLARE)
};

struct view_address {
	VIEW_ADDRESS_FIELDS(FIELD_DECLARE)
};

/* Where an endpoint is, and whom it is meant for; NULL: not said. */
struct view_place {
	const char *node;
	const char *hint_zones, *hint_nodes; /* ",a,b," */
};

/* Packed: there may be hundreds of thousands. */
struct view_endpoint {
	VIEW_ENDPOINT_FIELDS(FIELD_DECLARE)
} __attribute__((packed));

struct view_slice {
	const struct view_slice *next; /* of the same Service */
	VIEW_SLICE_FIELDS(FIELD_DECLARE)
	VIEW_SLICE_FIELDS(FIELD_DECLARE_N)
	/* Counted when it comes, or the Service's ports change: what size.h asks of it. */
	uint32_t n_used, n_ending; /* endpoints that are ready or serve; others that only end */
	uint32_t n_served;         /* ports of the Service that they serve */
};

struct view_service {
	const char *key; /* "namespace/name" */
	const char *namespace, *name;
	/* in no particular order; without those that an earlier Service of this name has left */
	const struct view_slice *slices;
	VIEW_SERVICE_FIELDS(FIELD_DECLARE)
	VIEW_SERVICE_FIELDS(FIELD_DECLARE_N)
	uint32_t passes; /* how often it was taken as dirty */
};

struct view_node {
	const char *name;
	bool excluded, drained, cordoned, shutting_down, out_of_service, network_unavailable;
	bool leaving; /* deleted, or about to be: kube-proxy's /healthz; decides nothing else */
	/*
	 * Decides only who is waited for at a start: an unready kubelet says little of a speaker.
	 */
	bool ready;
	struct labels labels;         /* decide where layer2 of a pool selects by them */
	const struct addr *addresses; /* InternalIP */
	size_t n_addresses;
	const struct addr *external_ips; /* ExternalIP */
	size_t n_external_ips;
	struct prefix pod_cidrs[2]; /* spec.podCIDRs */
	size_t n_pod_cidrs;
};

/*
 * Which properties of a Node count.  All speakers of a cluster have to agree on them: each judges
 * every node.
 */
struct view_node_rules {
	bool ignore_exclude_label; /* node.kubernetes.io/exclude-from-external-load-balancers */
	bool drain_on_cordon;      /* an unschedulable node is drained */
	bool forwards; /* the speakers carry the traffic, rather than kube-proxy or the like */
	bool by_rules; /* and by a rule for each endpoint of each port: mode iptables */
};

struct view_stats {
	size_t services, slices, nodes;
	uint64_t passes;    /* dirty Services taken, ever */
	uint64_t unchanged; /* upserts that changed nothing that matters here */
};

/* @node: this node's name.  @load_balancer_class: NULL: Services without a class are ours. */
struct view *view_new(const char *node, const char *load_balancer_class);
void view_free(struct view *v);
/* Call it before the first Node comes in; without it the label counts, and cordons do not. */
void view_set_node_rules(struct view *v, struct view_node_rules rules);

void view_upsert_service(struct view *v, const struct kube_service *s);
/*
 * The Service changed and cannot be read: what is known of it stays, except for addresses that it
 * no longer names.
 */
void view_service_unreadable(struct view *v, const struct kube_remains *r);
void view_remove_service(struct view *v, const char *namespace, const char *name);
/*
 * Slices labelled as headless, of FQDNs and of no Service are taken as removed.  Whether anything
 * that is kept has changed.
 */
bool view_upsert_slice(struct view *v, const struct kube_slice *s);
void view_remove_slice(struct view *v, const char *namespace, const char *name);
void view_upsert_node(struct view *v, const struct kube_node *n);
void view_remove_node(struct view *v, const char *name);
/*
 * Takes the configuration that the leader published.  One that does not parse is an error, and the
 * previous one stays in force.
 */
int view_load_configuration(struct view *v, const struct kube_config_map *map, struct err *e);

/* Takes one that was parsed already; the reference changes hands. */
void view_set_configuration(struct view *v, struct configuration *c, uint64_t generation);

/* Makes the Service dirty if its address is in no pool; returns whether it did. */
bool view_touch(struct view *v, const char *key, const struct addr *a);

/*
 * The dirty Services, each once; counts one pass for each.  The array is good until view_clean(),
 * which forgets them and frees those that are gone; nothing may be changed in between.
 */
const struct view_service *const *view_take_dirty(struct view *v, size_t *ret_n);
void view_clean(struct view *v);
/*
 * Which of the large Services (size.h) have room in a data plane made of elements: the oldest come
 * first, and one that would exceed SIZE_ALL_ELEMENTS_MAX is left out.  Judged by view_settle(),
 * which view_take_dirty() begins with and whose reader need not be there otherwise; it makes those
 * dirty whose answer has changed.  O(log n) for each of these, and for each dirty one.
 */
void view_settle(struct view *v);
bool view_has_room(const struct view_service *s);
bool view_is_dirty(const struct view *v);
/* Grows with every change of the nodes or of the configuration. */
uint64_t view_revision(const struct view *v);

const char *view_self(const struct view *v);
struct view_node_rules view_node_rules(const struct view *v);
/* The zone of this node, by its label topology.kubernetes.io/zone; NULL: none, or not known. */
const char *view_zone(const struct view *v);
/* Whether the Service is of the load balancer class that is ours. */
bool view_is_our_class(const struct view *v, const struct view_service *s);
/* NULL until one was published. */
const struct configuration *view_configuration(const struct view *v);
uint64_t view_generation(const struct view *v);
/* Sorted by name. */
const struct view_node *view_nodes(const struct view *v, size_t *ret_n);
const struct view_node *view_node_named(const struct view *v, const char *name);
/* Whether a Node has the address itself. */
bool view_is_node_address(const struct view *v, const struct addr *a);
/* Whether an API server has it, by the slice that they keep for the Service default/kubernetes. */
bool view_is_api_server(const struct view *v, const struct addr *a);
/*
 * Addresses that this node itself depends on: its gateways, and a load balancer in front of the API
 * server.  Other nodes may not know of them.
 */
void view_set_needed(struct view *v, const struct addr *addrs, size_t n);
bool view_is_needed(const struct view *v, const struct addr *a);
const struct view_service *view_service_named(const struct view *v, const char *key);
/* All Services that are known, sorted by namespace and name: a new array of pointers for free(). */
const struct view_service **view_services(const struct view *v, size_t *ret_n);

/* ---- addresses from outside ---- */

/*
 * Those of the Service: of its status if it is of type LoadBalancer, then its external IPs that are
 * not among them.  A new array for free().
 */
struct view_address *view_addresses_of(const struct kube_service *s, uint32_t *ret_n);
/* The one that is @a; NULL: the Service has no such address. */
const struct view_address *view_address_of(const struct view_service *s, const struct addr *a);
/*
 * Whether the node forwards to the Service in that family: kube-proxy and we do so only with a
 * cluster IP.
 */
bool view_has_family(const struct view_service *s, uint8_t family);
/* Whether it is there for the cluster's service proxy at all, in that family. */
bool view_is_for_proxies(const struct view_service *s, uint8_t family);
/*
 * All Services that may have @a from outside: excludes those that leave it to others by ipMode
 * Proxy, and those that name it in spec.externalIPs without a confirmed record of it and without
 * being allowed to.  In no particular order, good until the view changes.
 */
const struct view_service *const *view_holders(const struct view *v, const struct addr *a,
                                               size_t *ret_n);
/*
 * Which of these comes first: decide.h judges that, and it is remembered here until one of them or
 * the configuration changes.  NULL: none of them may have it.
 */
bool view_recall_first(const struct view *v, const struct addr *a,
                       const struct view_service **ret_first);
void view_remember_first(const struct view *v, const struct addr *a,
                         const struct view_service *first);
/* The slice's port of that name and protocol; NULL: it has none.  O(log n). */
const struct view_port *view_slice_port(const struct view_slice *s, const struct view_port *port);
struct view_stats view_stats(const struct view *v);

#endif
