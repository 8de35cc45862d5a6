/* SPDX-License-Identifier: Apache-2.0 */
/* What a Service asks for: read once from the object, so that the object need not be kept. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "ipam/ipam.h"

/* The first spelling that is present; ours wins. */
static const char *annotation(const struct kube_service *s, const char *const *names, size_t n,
                              const char **ret_name)
{
	for (size_t i = 0; i < n; i++) {
		const char *v = labels_get(&s->meta.annotations, names[i]);
		if (v && v[strspn(v, " ,")]) {
			*ret_name = names[i];
			return v;
		}
	}
	return NULL;
}

static void __attribute__((format(printf, 3, 4)))
problem(struct ipam_request *r, enum reason reason, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	if (r->problem)
		return;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	r->problem = buf_take(&text);
	r->problem_reason = reason;
}

static void ask(struct ipam_request *r, const struct addr *a, const char *where)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_asked; i++)
		n += r->asked[i].family == a->family;
	if (addrs_contain(r->asked, r->n_asked, a)) {
		problem(r, REASON_InvalidRequest, "%s asks for %s twice", where, addr_str(a));
	} else if (n == CONFIG_ADDRESSES_PER_SERVICE_MAX) {
		problem(r, REASON_TooManyAddresses,
		        "%s asks for more than %d IPv%u addresses, which no pool gives a Service",
		        where, CONFIG_ADDRESSES_PER_SERVICE_MAX, a->family);
	} else {
		r->asked[r->n_asked++] = *a;
	}
}

/* "192.0.2.1, 2001:db8::1"; @right: what to write in place of anything that is not an address. */
static void ask_list(struct ipam_request *r, const char *list, const char *where, const char *right)
{
	while (*list) {
		list += strspn(list, " ,");
		size_t n = strcspn(list, " ,");
		char text[ADDR_STR_SIZE];
		struct addr a;

		if (n == 0)
			return;
		if (n >= sizeof(text)) {
			problem(r, REASON_InvalidRequest,
			        "%s: \"%.40s…\" is no IP address; write %s", where, list, right);
			return;
		}
		memcpy(text, list, n);
		text[n] = '\0';
		if (addr_parse(text, &a) < 0) {
			problem(r, REASON_InvalidRequest, "%s: \"%s\" is no IP address; write %s",
			        where, text, right);
			return;
		}
		ask(r, &a, where);
		list += n;
	}
}

static void read_wishes(const struct kube_service *s, struct ipam_request *r)
{
	static const char *const pool_names[] = { IPAM_ANNOTATION_POOL, "metallb.io/address-pool",
		                                  "metallb.universe.tf/address-pool" };
	static const char *const addr_names[] = { IPAM_ANNOTATION_ADDRESSES,
		                                  "metallb.io/loadBalancerIPs",
		                                  "metallb.universe.tf/loadBalancerIPs" };
	const char *name;
	const char *pool = annotation(s, pool_names, ARRAY_LEN(pool_names), &name);
	const char *list = annotation(s, addr_names, ARRAY_LEN(addr_names), &name);

	r->pool = xstrdup_null(pool);
	if (list)
		ask_list(r, list, name, "one, or several with commas between");
	if (!s->load_balancer_ip || !s->load_balancer_ip[0])
		return;
	struct ipam_request spec = { 0 };
	ask_list(&spec, s->load_balancer_ip, "spec.loadBalancerIP",
	         "one, or the annotation " IPAM_ANNOTATION_ADDRESSES);
	if (spec.problem)
		problem(r, spec.problem_reason, "%s", spec.problem);
	else if (spec.n_asked > 1)
		problem(r, REASON_InvalidRequest,
		        "spec.loadBalancerIP holds more than one address; write them in " IPAM_ANNOTATION_ADDRESSES);
	else if (!list)
		ask(r, &spec.asked[0], "spec.loadBalancerIP");
	else if (r->n_asked != 1 || !addr_eq(&r->asked[0], &spec.asked[0]))
		problem(r, REASON_InvalidRequest,
		        "spec.loadBalancerIP and the annotation %s differ; remove one", name);
	ipam_request_fini(&spec);
}

void ipam_check_sharing(struct ipam_request *r)
{
	if (r->tenancy && r->tenancy->key && strlen(r->tenancy->key) > TENANCY_KEY_MAX)
		problem(r, REASON_InvalidRequest,
		        TENANCY_ANNOTATION " is longer than %d bytes; write a shorter word",
		        TENANCY_KEY_MAX);
}

void ipam_read_families(const struct kube_service *s, struct ipam_request *r)
{
	for (size_t i = 0; i < s->n_cluster_ips && i < ARRAY_LEN(r->families); i++)
		if (r->n_families == 0 || r->families[0] != s->cluster_ips[i].family)
			r->families[r->n_families++] = s->cluster_ips[i].family;
	r->needs_both = s->family_policy == KUBE_REQUIRE_DUAL_STACK;
}

void ipam_read_held(struct ipam_request *r, const struct addr *addrs, size_t n)
{
	size_t first = n < IPAM_STATUS_MAX ? n : IPAM_STATUS_MAX;

	for (size_t i = 0; i < first; i++)
		r->held[r->n_held++] = addrs[i];
	if (n == first)
		return;
	r->foreign = true;
	r->written = xmemdup(addrs + first, (n - first) * sizeof(*addrs));
	r->n_written = n - first;
}

static void read_status(const struct kube_service *s, struct ipam_request *r)
{
	cleanup_free struct addr *addrs = xcalloc(s->n_ingress + 1, sizeof(*addrs));
	size_t n = 0;

	for (size_t i = 0; i < s->n_ingress; i++) {
		addrs[n] = s->ingress[i].ip;
		n += !addr_is_none(&addrs[n]);
	}
	r->foreign = n < s->n_ingress;
	ipam_read_held(r, addrs, n);
	for (size_t i = 0; i < s->n_ingress; i++)
		r->lists_other_ports |= s->ingress[i].ports != kube_ports_digest(s);
	for (size_t i = 0; i < s->n_conditions; i++)
		if (!strcmp(s->conditions[i].type, IPAM_CONDITION))
			r->assigned_by_us = !strcmp(s->conditions[i].status, "True");
}

/*
 * "… from pool lan", "… of pool lan, which …", "… when pool lan was asked for": after @words comes
 * the name.
 */
static bool names_pool(const char *message, const char *words, const char *pool, bool *ret_same)
{
	const char *at = strstr(message, words);
	size_t n = strlen(pool);
	bool cut = n > IPAM_NAME_SAME;

	if (!at)
		return false;
	at += strlen(words);
	n = cut ? IPAM_NAME_SAME : n;
	*ret_same = !strncmp(at, pool, n) && (cut || strchr(",; ", at[n]));
	return true;
}

bool ipam_message_honours(const char *message, bool is_true, const char *pool)
{
	static const char *const words[] = { IPAM_GIVEN_FOR, " from pool ", " of pool " };
	bool same = false;

	/* A failure message names other pools as well. */
	for (size_t i = 0; i < (is_true ? ARRAY_LEN(words) : 1); i++)
		if (names_pool(message, words[i], pool, &same))
			return same;
	return false;
}

void ipam_read_honoured(const struct kube_service *s, const char *type, struct ipam_request *r)
{
	for (size_t i = 0; r->pool && i < s->n_conditions; i++) {
		const struct kube_condition *c = &s->conditions[i];
		if (!strcmp(c->type, type))
			r->honoured = ipam_message_honours(c->message, !strcmp(c->status, "True"),
			                                   r->pool);
	}
}

bool ipam_is_our_class(const struct kube_service *s, const char *class)
{
	return class ? s->load_balancer_class && !strcmp(s->load_balancer_class, class)
	             : !s->load_balancer_class;
}

/*
 * Is its address ours to share?  One that wants none any more still has what we gave it, until that
 * is taken out of its status.
 */
static bool may_be_joined(const struct ipam_request *r)
{
	return !r->foreign && r->wish != IPAM_WISH_OTHER &&
	       (r->wish != IPAM_WISH_NONE || r->tenancy->n_granted > 0);
}

uint64_t ipam_lot_of(const struct kube_service *s, uint64_t seed)
{
	return hash64_str(s->meta.uid && *s->meta.uid ? s->meta.uid : kube_key(&s->meta), seed);
}

void ipam_request_of(const struct kube_service *s, const char *class,
                     struct ipam_request *ret_request)
{
	struct ipam_request r = { .wish = IPAM_WISH_ADDRESS, .use = CONFIG_USE_LOAD_BALANCER };

	read_status(s, &r);
	if (s->type != KUBE_LOAD_BALANCER)
		r.wish = IPAM_WISH_NONE;
	else if (!ipam_is_our_class(s, class))
		r.wish = IPAM_WISH_OTHER;
	else if (s->meta.deleting)
		r.wish = IPAM_WISH_DELETING;
	/* Whoever leaves is one of those that have the address until it is gone. */
	r.tenancy = tenancy_of(s);
	ipam_check_sharing(&r);
	if (r.tenancy)
		r.tenancy->closed = !may_be_joined(&r);
	if (r.wish == IPAM_WISH_ADDRESS) {
		r.lot = ipam_lot_of(s, 1);
		read_wishes(s, &r);
		r.labels = labels_copy(&s->meta.labels);
		ipam_read_honoured(s, IPAM_CONDITION, &r);
		ipam_read_families(s, &r);
	}
	*ret_request = r;
}

void ipam_request_fini(struct ipam_request *r)
{
	free(r->pool);
	free(r->written);
	free(r->namespace);
	labels_fini(&r->labels);
	tenancy_free(r->tenancy);
	free(r->problem);
	*r = (struct ipam_request){ 0 };
}
