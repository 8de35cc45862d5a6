/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a Service asks of a data plane that writes a rule for each endpoint of each port.
 * Counted, not rendered, from what every node knows alike, so that all nodes give the same answer:
 * a node that forwards what others refuse would only be announced by itself.  The count is from
 * above: an endpoint in two slices counts twice.
 *
 * The bound is from measurements (iptables 1.8.9, an empty table, two cores): 10 000 endpoint
 * chains, which are 40 000 lines, take iptables-nft 6 s and legacy 0.8 s, and the time of the first
 * grows faster than the number.
 */
#include "config.h"

#include "fairlead/decide.h"

/* A chain for the endpoint, two rules in it, and one that leads there. */
#define RULES_ENDPOINT 4
/* One in each table. */
#define RULES_ADDRESS 2

/* Also those that serve without being used, which are looked at for each port, and kept of UDP. */
static size_t n_usable(const struct view_slice *slice)
{
	size_t n = 0;

	for (size_t i = 0; i < slice->n_endpoints; i++) {
		const struct view_endpoint *ep = &slice->endpoints[i];
		n += ep->ready || ep->serving;
	}
	return n;
}

static size_t n_ports_of(const struct view_service *s, const struct view_slice *slice)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_ports; i++)
		n += view_slice_port(slice, &s->ports[i]) != NULL;
	return n;
}

static size_t n_of_addresses(const struct view_service *s, uint8_t family)
{
	size_t n = 2 * RULES_ADDRESS; /* a cluster IP and a node port */

	for (size_t i = 0; i < s->n_addresses; i++)
		if (s->addresses[i].addr.family == family)
			n += RULES_ADDRESS;
	for (size_t i = 0; i < s->n_source_ranges; i++)
		n += s->source_ranges[i].addr.family == family;
	return s->n_ports * n;
}

size_t decide_rules(const struct view_service *s, uint8_t family)
{
	size_t n = n_of_addresses(s, family), usable = 0;
	size_t each = RULES_ENDPOINT + (s->traffic.affinity_s > 0);

	if (s->traffic.external_local || s->traffic.internal_local)
		each += 1 +
		        (s->traffic.affinity_s > 0); /* perhaps in the set of this node as well */
	for (const struct view_slice *slice = s->slices; slice; slice = slice->next)
		usable += slice->family == family ? n_usable(slice) : 0;
	/*
	 * Which ports an endpoint serves takes long to find out where there are many, and matters
	 * only then.
	 */
	if (n + usable * s->n_ports * each <= DECIDE_RULES_MAX)
		return n + usable * s->n_ports * each;
	for (const struct view_slice *slice = s->slices; slice && n <= DECIDE_RULES_MAX;
	     slice = slice->next)
		if (slice->family == family)
			n += n_usable(slice) * n_ports_of(s, slice) * each;
	return n;
}

bool decide_is_too_large(const struct view_service *s)
{
	return decide_rules(s, 4) > DECIDE_RULES_MAX || decide_rules(s, 6) > DECIDE_RULES_MAX;
}
