/* SPDX-License-Identifier: Apache-2.0 */
/*
 * External IPs: what a Service asks for, and what to report about those that somebody wrote by
 * hand.
 *
 * spec.externalIPs is one list, written by anybody who may edit the Service.  Ours are the
 * addresses that our record names, an annotation written in the same patch; all others belong to
 * somebody else and are never changed.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "fairlead/tenancy.h"
#include "ipam/ipam.h"

static bool is_recorded(const struct ipam_request *r, const struct addr *a)
{
	for (size_t i = 0; i < r->n_held; i++)
		if (addr_eq(&r->held[i], a))
			return true;
	return false;
}

bool ipam_is_confirmed(const struct ipam_request *r, const struct addr *a)
{
	return r->use != CONFIG_USE_EXTERNAL_IP || addrs_contain(r->confirmed, r->n_confirmed, a);
}

static void read_addresses(const struct kube_service *s, struct ipam_request *r)
{
	for (size_t i = 0; i < s->n_external_assigned; i++)
		r->held[r->n_held++] = s->external_assigned[i];
	r->assigned_by_us = r->n_held > 0;
	r->n_confirmed = (uint8_t)kube_external_confirmed(s, r->confirmed);
	for (size_t i = 0; i < s->n_external_ips; i++) {
		if (is_recorded(r, &s->external_ips[i]))
			continue;
		if (!r->written)
			r->written = xcalloc(s->n_external_ips, sizeof(*r->written));
		r->written[r->n_written++] = s->external_ips[i];
	}
}

static void find_problem(const struct kube_service *s, bool enabled, struct ipam_request *r)
{
	if (!enabled) {
		r->problem_reason = REASON_ExternalIpsOff;
		r->problem = xstrdup("the controller runs with --external-ips off");
	} else if (r->unserved) {
		r->problem_reason = REASON_NotForwarded;
		r->problem = xasprintf("%s Services have no external IPs: nothing would carry "
		                       "their traffic",
		                       s->headless ? "headless" : "ExternalName");
	} else if (r->n_written > 0) {
		r->problem_reason = REASON_ExternalIpsMixed;
		r->problem = xasprintf(
			"%s%s was written into spec.externalIPs by hand; remove it, or the "
			"annotation " KUBE_ANNOTATION_EXTERNAL_IPS,
			s->external_record_malformed
				? "the record " KUBE_ANNOTATION_EXTERNAL_IPS_ASSIGNED
				  " cannot be read, so it seems that "
				: "",
			addr_str(&r->written[0]));
	}
}

/*
 * Nobody joins what others wrote, nor who gets none of ours.  But whoever may write Services may
 * write that by hand at any time, so it parts nobody.
 */
static bool may_be_joined(const struct ipam_request *r)
{
	return r->n_written == 0 && !r->unserved && r->wish != IPAM_WISH_OTHER &&
	       (r->wish != IPAM_WISH_NONE || r->tenancy->n_granted > 0);
}

void ipam_external_request_of(const struct kube_service *s, const char *class, bool enabled,
                              struct ipam_request *ret_request)
{
	struct ipam_request r = { .wish = IPAM_WISH_ADDRESS, .use = CONFIG_USE_EXTERNAL_IP };

	r.namespace = xstrdup(s->meta.namespace);
	r.labels = labels_copy(&s->meta.labels);
	r.unserved = s->headless || s->type == KUBE_EXTERNAL_NAME;
	read_addresses(s, &r);
	if (s->type == KUBE_LOAD_BALANCER && !ipam_is_our_class(s, class))
		r.wish = IPAM_WISH_OTHER;
	else if (s->meta.deleting)
		r.wish = IPAM_WISH_DELETING;
	else if (!s->external_pool && (enabled || !r.n_held))
		r.wish = IPAM_WISH_NONE;
	r.tenancy = tenancy_of_external(s);
	if (r.tenancy)
		r.tenancy->closed = !may_be_joined(&r);
	if (r.wish == IPAM_WISH_ADDRESS) {
		r.lot = ipam_lot_of(s, 2);
		r.pool = xstrdup_null(s->external_pool);
		ipam_read_honoured(s, IPAM_CONDITION_EXTERNAL, &r);
		ipam_read_families(s, &r);
		find_problem(s, enabled, &r);
		ipam_check_sharing(&r);
	}
	*ret_request = r;
}

/* Does the record name it, of a pool for external IPs, within the quotas? */
static bool is_within(const struct ipam *ipam, const struct ipam_pool *pool,
                      const struct ipam_request *r, const struct addr *a)
{
	return is_recorded(r, a) && pool && pool->conf->uses & CONFIG_USE_EXTERNAL_IP &&
	       (ipam_holder_of(ipam, a) || ipam_has_quota(ipam, r->namespace, pool));
}

bool ipam_may_have_given(const struct ipam *ipam, const char *key, const struct ipam_request *r,
                         const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(ipam, a);

	return is_within(ipam, pool, r, a) && !ipam_is_anothers(ipam, key, a) &&
	       ipam_match(ipam, pool, r->namespace, &r->labels) != CONFIG_MATCHES_NOT;
}

bool ipam_may_claim(const struct ipam *ipam, const struct ipam_request *r, const struct addr *a)
{
	const struct ipam_pool *pool = ipam_pool_of(ipam, a);

	if (r->unserved)
		return false;
	if (configuration_external_ip_allowed(ipam->config, a, r->namespace))
		return true;
	return is_within(ipam, pool, r, a) && r->pool && !strcmp(r->pool, pool->conf->name) &&
	       !pool->conf->disabled && ipam_is_assignable(ipam, pool, a) &&
	       !ipam_reserved_for(ipam, a) && !ipam_cooling_of(ipam, a) &&
	       ipam_match(ipam, pool, r->namespace, &r->labels) == CONFIG_MATCHES;
}

/* The first that is not allowed, or NULL. */
static const struct addr *find_denied(const struct configuration *c, const struct ipam_request *r)
{
	for (size_t i = 0; i < r->n_written; i++)
		if (!configuration_external_ip_allowed(c, &r->written[i], r->namespace))
			return &r->written[i];
	return NULL;
}

/* Addresses of pools are of interest to more than this Service. */
static void note_squatted(const struct configuration *c, const struct ipam_request *r, char *out,
                          size_t size)
{
	const struct config_pool *pool = NULL;
	size_t used = strlen(out), n = 0;

	for (size_t i = 0; i < r->n_written && !r->unserved; i++) {
		const struct addr *a = &r->written[i];
		const struct config_pool *of = configuration_giving_pool_of(c, a);
		if (!of || configuration_external_ip_allowed(c, a, r->namespace))
			continue;
		pool = pool ? pool : of;
		n++;
	}
	if (n == 1)
		snprintf(out + used, size - used,
		         "; it is of pool %s, which gives it to others last: remove it",
		         pool->name);
	else if (n > 1)
		snprintf(out + used, size - used,
		         "; %zu such addresses are of pools (%s first), which give them to others "
		         "last: remove them",
		         n, pool->name);
}

/* The pool that gives it to others last; NULL: it is the Service's own, or in none. */
static const struct config_pool *pool_named(const struct configuration *c,
                                            const struct ipam_request *r, const struct addr *a)
{
	if (r->unserved || ipam_is_confirmed(r, a) || addrs_contain(r->given, r->n_given, a) ||
	    configuration_external_ip_allowed(c, a, r->namespace))
		return NULL;
	return configuration_giving_pool_of(c, a);
}

void ipam_note_named(const struct configuration *c, const struct ipam_request *r,
                     struct ipam_decision *out)
{
	const struct addr *first = NULL;
	size_t used = strlen(out->message), n = 0;

	for (size_t i = 0; i < (size_t)r->n_held + r->n_written; i++) {
		const struct addr *a = i < r->n_held ? &r->held[i] : &r->written[i - r->n_held];
		if (!pool_named(c, r, a))
			continue;
		first = first ? first : a;
		n++;
	}
	if (n == 0)
		return;
	used += (size_t)snprintf(out->message + used, sizeof(out->message) - used,
	                         "; it names %s of pool " IPAM_NAME_TEXT, addr_str(first),
	                         pool_named(c, r, first)->name);
	if (n == 1)
		snprintf(out->message + used, sizeof(out->message) - used,
		         ", which was not given to it: others get that last");
	else
		snprintf(out->message + used, sizeof(out->message) - used,
		         " and %zu more, which were not given to it: others get those last", n - 1);
}

void ipam_judge_written(const struct configuration *c, const struct ipam_request *r,
                        struct ipam_decision *out)
{
	const struct addr *denied = find_denied(c, r);

	if (r->assigned_by_us)
		out->action = IPAM_RELEASE;
	out->reason = denied         ? REASON_ExternalIpNotAllowed
	              : r->n_written ? REASON_ExternalIpsAllowed
	                             : REASON_NoExternalIpsWanted;
	if (denied)
		snprintf(out->message, sizeof(out->message),
		         "%s was written into spec.externalIPs by hand, and external-ips does not "
		         "allow it in namespace %s",
		         addr_str(denied), r->namespace);
	if (denied)
		note_squatted(c, r, out->message, sizeof(out->message));
	else
		snprintf(out->message, sizeof(out->message), "%s", reason_sentence(out->reason));
}
