/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_TYPES_H
#define FAIRLEAD_KUBE_TYPES_H

/*
 * The Kubernetes objects we read, as typed values with only the fields we use.
 *
 * Each comes from one JSON object by its _parse function, is never changed afterwards, and is freed
 * with its _free (which accepts NULL).  Defaults of the API are filled in; a malformed field is an
 * error that names the object and the field, and concerns that object alone.  Every string and list
 * is bounded (constants in src/kube/).  Source: the Kubernetes API reference, core/v1,
 * discovery.k8s.io/v1.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/labels.h"
#include "fairlead/traffic.h"

struct json_object;

struct kube_meta {
	char *namespace; /* "" for cluster-scoped kinds */
	char *name;
	char *uid;
	char *resource_version;
	int64_t creation_us; /* wall clock; 0 if missing */
	bool deleting;       /* deletionTimestamp is set */
	struct labels labels;
	/*
	 * Only those under fairlead.io/, metallb.io/, metallb.universe.tf/ and
	 * service.kubernetes.io/.
	 */
	struct labels annotations;
};

/* "namespace/name" in one of several thread-local buffers, or the name alone if cluster-scoped. */
const char *kube_key(const struct kube_meta *meta);

enum kube_proto { KUBE_TCP, KUBE_UDP, KUBE_SCTP };

enum kube_service_type { KUBE_CLUSTER_IP, KUBE_NODE_PORT, KUBE_LOAD_BALANCER, KUBE_EXTERNAL_NAME };
const char *kube_service_type_name(enum kube_service_type t);

struct kube_service_port {
	char *name; /* "" if unnamed */
	enum kube_proto proto;
	uint16_t port;
	uint16_t node_port; /* 0: none */
};

struct kube_ingress {
	struct addr ip;     /* none if only a hostname was given */
	char *hostname;     /* NULL if an address was given */
	bool ip_mode_proxy; /* ipMode: Proxy */
	bool has_ip_mode;
	/* kube_ports_digest() of the ports that it lists; 0: it lists none */
	uint64_t ports;
};

struct kube_condition {
	char *type, *status, *reason, *message;
	int64_t transition_us;
	int64_t observed_generation; /* 0 if missing */
};

enum kube_family_policy { KUBE_SINGLE_STACK, KUBE_PREFER_DUAL_STACK, KUBE_REQUIRE_DUAL_STACK };

/* How IPVS picks an endpoint. */
#define KUBE_ANNOTATION_SCHEDULER "fairlead.io/scheduler"
/* False: it cannot be the name of a scheduler. */
bool kube_is_scheduler(const char *text);

/*
 * External IPs from a pool: the one asked for, and the record of what was assigned, "A" or "A,B".
 */
#define KUBE_ANNOTATION_EXTERNAL_IPS "fairlead.io/external-ips"
#define KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED "fairlead.io/external-ips-assigned"
/*
 * The condition that confirms the record, and how its message then opens; the addresses follow,
 * separated by ", ".
 */
#define KUBE_CONDITION_EXTERNAL_IPS "fairlead.io/ExternalIPsAssigned"
#define KUBE_CONFIRMS_ASSIGNED "assigned external IP "
#define KUBE_CONFIRMS_KEPT "keeps external IP "
#define KUBE_CONFIRMS_FAILED "spec.externalIPs keeps "
/* Behind the addresses: Services have them together, or may (tenancy.h). */
#define KUBE_CONFIRMS_SHARED " (may be shared)"

struct kube_service {
	struct kube_meta meta;
	enum kube_service_type type;
	/* none-terminated; empty for headless, ExternalName, or not yet allocated */
	struct addr cluster_ips[2];
	size_t n_cluster_ips;
	bool headless; /* clusterIP: None */
	enum kube_family_policy family_policy;
	uint8_t families[2]; /* 4, 6, in the order of ipFamilies; 0 if missing */
	struct kube_service_port *ports;
	size_t n_ports;
	struct labels selector;    /* with policy Local alone */
	struct addr *external_ips; /* spec.externalIPs, whoever wrote them */
	size_t n_external_ips;
	char *external_pool; /* annotation fairlead.io/external-ips; NULL if none, or blank */
	/*
	 * Those that the controller wrote, by its record, one of each family at most; none if that
	 * is malformed.
	 */
	struct addr external_assigned[2];
	size_t n_external_assigned;
	bool external_record_malformed;
	char *load_balancer_ip;    /* spec.loadBalancerIP as written, NULL if none */
	char *load_balancer_class; /* NULL if none */
	struct traffic traffic;
	struct prefix *source_ranges;
	size_t n_source_ranges;
	struct kube_ingress *ingress; /* status.loadBalancer.ingress */
	size_t n_ingress;
	struct kube_condition *conditions; /* status.conditions, all of them */
	size_t n_conditions;
};

struct kube_endpoint {
	struct addr addr; /* addresses[0] */
	char *node;       /* nodeName, NULL if none: never local */
	/* hints.forZones and forNodes, each as ",a,b,"; NULL if there are none. */
	char *hint_zones, *hint_nodes;
	bool ready, serving, terminating;
};

struct kube_endpoint_port {
	char *name; /* "" if unnamed */
	enum kube_proto proto;
	uint16_t port;
};

struct kube_slice {
	struct kube_meta meta;
	char *service; /* label kubernetes.io/service-name, "" if missing */
	/* of the Service that it was made for, by its ownerReferences; "" if none is there */
	char *owner_uid;
	/*
	 * When the Pod or Service changed that this version of it is for, wall clock; 0: not said,
	 * or not in a way that can be read.
	 */
	int64_t trigger_us;
	uint8_t family; /* 4, 6; 0 for FQDN */
	struct kube_endpoint *endpoints;
	size_t n_endpoints;
	struct kube_endpoint_port *ports;
	size_t n_ports;
};

struct kube_node {
	struct kube_meta meta;
	bool ready;               /* condition Ready is True */
	bool network_unavailable; /* condition NetworkUnavailable is True */
	/* label node.kubernetes.io/exclude-from-external-load-balancers: true or not a bool */
	bool excluded;
	bool drained;        /* annotation fairlead.io/drain: true or not a bool */
	bool cordoned;       /* spec.unschedulable */
	bool shutting_down;  /* the kubelet says so in condition Ready, or the cloud by its taint */
	bool out_of_service; /* taint node.kubernetes.io/out-of-service */
	bool to_be_deleted;  /* taint ToBeDeletedByClusterAutoscaler */
	struct addr *internal_ips, *external_ips; /* status.addresses of these two types */
	size_t n_internal_ips, n_external_ips;
	struct prefix pod_cidrs[2];
	size_t n_pod_cidrs;
};

struct kube_container {
	char *name;
	bool is_init;
	bool runs, has_ended;   /* neither: it waits */
	char *reason, *message; /* why it waits, or has ended; NULL: not given */
	/* how it ended, now or the last time; 0 and NULL: it did not end, or ended well */
	int exit_code;
	char *exit_reason;
};

struct kube_pod {
	struct kube_meta meta;
	char *node; /* the node it runs on, or that a DaemonSet's Pod waits for; NULL: none yet */
	struct addr ip;
	char *phase;
	char *reason, *message; /* for its phase; NULL: not given */
	char *unscheduled;      /* why it is not scheduled; NULL: it is, or nobody tried */
	/* those that the kubelet has started on, init containers first */
	struct kube_container *containers;
	size_t n_containers;
	uint16_t http_port; /* the container port named "http"; 0: there is none */
};

struct kube_config_map {
	struct kube_meta meta;
	struct labels data;
};

struct kube_secret_item {
	char *key;
	uint8_t *value; /* decoded; a NUL follows it */
	size_t size;
};

struct kube_secret {
	struct kube_meta meta;
	struct kube_secret_item *items;
	size_t n;
};

/* The item of @key, or NULL. */
const struct kube_secret_item *kube_secret_get(const struct kube_secret *s, const char *key);

/* Namespaces and other kinds of which only metadata matters. */
struct kube_object {
	struct kube_meta meta;
};

int kube_service_parse(struct json_object *obj, struct kube_service **ret_service, struct err *e);
void kube_service_free(struct kube_service *s);
/* The same for the same ports, in any order; 0: there are none. */
uint64_t kube_ports_digest(const struct kube_service *s);
/* What each of them adds. */
uint64_t kube_port_digest(enum kube_proto proto, uint16_t port);
const char *kube_proto_name(enum kube_proto p);
/*
 * The external IPs that the controller's condition names, one of each family at most: how many.
 * Only controllers write statuses, so a record (external_assigned) can be trusted as far as this
 * confirms it, whoever wrote it.
 */
size_t kube_external_confirmed(const struct kube_service *s, struct addr ret[static 2]);
/* The same, from the text of such a condition's message. */
size_t kube_external_confirmed_by(const char *message, struct addr ret[static 2]);
/* Does it say that Services may have them together (KUBE_CONFIRMS_SHARED)? */
bool kube_external_shares(const struct kube_service *s);
bool kube_external_shares_by(const char *message);

/*
 * What is known about an object that cannot be read: what it is, and the addresses that a Service
 * holds, however many.
 */
struct kube_remains {
	/* names, UID, version and age alone; "" and 0 where they are missing */
	struct kube_meta meta;
	struct addr *ingress, *external_ips;
	size_t n_ingress, n_external_ips;
	struct addr confirmed[2]; /* as of kube_external_confirmed() */
	size_t n_confirmed;
};
/*
 * From an object's text, which need not be readable as JSON; NULL if its name or some of its
 * addresses cannot be found.
 */
struct kube_remains *kube_remains_of(const char *text, size_t size);
struct kube_remains *kube_remains_copy(const struct kube_remains *r);
void kube_remains_free(struct kube_remains *r);
/*
 * Who wrote the status last, other than @but, according to metadata.managedFields: a string of
 * @obj, or NULL if it does not tell.  API reference: FieldsV1, ManagedFieldsEntry.
 */
const char *kube_service_status_writer(struct json_object *obj, const char *but);
int kube_slice_parse(struct json_object *obj, struct kube_slice **ret_slice, struct err *e);
void kube_slice_free(struct kube_slice *s);
int kube_node_parse(struct json_object *obj, struct kube_node **ret_node, struct err *e);
void kube_node_free(struct kube_node *n);
/* Its internal and external addresses, each once: a new array of *ret_n. */
struct addr *kube_node_addresses(const struct kube_node *n, size_t *ret_n);
int kube_pod_parse(struct json_object *obj, struct kube_pod **ret_pod, struct err *e);
void kube_pod_free(struct kube_pod *pod);
int kube_config_map_parse(struct json_object *obj, struct kube_config_map **ret_map, struct err *e);
void kube_config_map_free(struct kube_config_map *m);
int kube_secret_parse(struct json_object *obj, struct kube_secret **ret_secret, struct err *e);
/* Wipes the values. */
void kube_secret_free(struct kube_secret *s);
int kube_object_parse(struct json_object *obj, struct kube_object **ret_object, struct err *e);
void kube_object_free(struct kube_object *o);

#endif
