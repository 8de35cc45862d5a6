/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a Service asks of the data plane.  Counted, not rendered, from what every node knows
 * alike, so that all nodes give the same answer: a node that forwards what others refuse would only
 * be announced by itself.  The count is from above: an endpoint in two slices counts twice.  It is
 * the same whether it is compared or charged, and cheap: each slice knows what it adds.
 *
 * Mode iptables writes a rule for each endpoint of each port.  Its bound is from measurements
 * (iptables 1.8.9, an empty table, two cores): 10 000 endpoint chains, which are 40 000 lines, take
 * iptables-nft 6 s and legacy 0.8 s, and the time of the first grows faster than the number.
 *
 * The tables of the modes nftables and ipvs have elements, which are planned and written piece by
 * piece, so that a large Service holds up nobody.  What it costs is memory: an element takes about
 * 60 bytes here, and two or three times as much of the kernel's.  So all that are large have a
 * bound together as well, and the oldest of them come first (ration.h).
 */
#include "config.h"

#include "fairlead/size.h"

struct cost {
	size_t endpoint;        /* of each port */
	size_t affinity, local; /* more of them, with session affinity, in the set of the node */
	size_t address;         /* of each port */
	size_t max;
	bool kept; /* endpoints that only keep what they have count as well */
};

/*
 * A chain for the endpoint, two rules in it, and one that leads there; an address has a rule in
 * each table.
 */
static const struct cost by_rule = {
	.endpoint = 4, .affinity = 1, .local = 1, .address = 2, .max = SIZE_RULES_MAX
};
/* An endpoint may be in both sets of its port; addresses have a way, and perhaps a short cut. */
static const struct cost by_element = { .endpoint = 1,
	                                .affinity = 1,
	                                .local = 1,
	                                .address = 2,
	                                .max = SIZE_ELEMENTS_MAX,
	                                .kept = true };

static size_t n_usable(const struct cost *c, const struct view_slice *slice)
{
	return (size_t)slice->n_used + (c->kept ? slice->n_ending : 0);
}

static size_t n_of_addresses(const struct cost *c, const struct view_service *s, uint8_t family)
{
	size_t n = 2 * c->address; /* a cluster IP and a node port */

	for (size_t i = 0; i < s->n_addresses; i++)
		if (s->addresses[i].addr.family == family)
			n += c->address;
	for (size_t i = 0; i < s->n_source_ranges; i++)
		n += s->source_ranges[i].addr.family == family;
	return s->n_ports * n;
}

static size_t size_of(const struct cost *c, const struct view_service *s, uint8_t family)
{
	size_t affinity = s->traffic.affinity_s > 0 ? c->affinity : 0;
	size_t each = c->endpoint + affinity, n;

	if (!view_is_for_proxies(s, family))
		return 0;
	if (s->traffic.external_local || s->traffic.internal_local)
		each += c->local + affinity; /* perhaps in the set of this node as well */
	n = n_of_addresses(c, s, family);
	for (const struct view_slice *slice = s->slices; slice; slice = slice->next)
		if (slice->family == family)
			n += n_usable(c, slice) * slice->n_served * each;
	return n;
}

static bool exceeds(const struct cost *c, const struct view_service *s)
{
	return size_of(c, s, 4) > c->max || size_of(c, s, 6) > c->max;
}

bool size_is_too_large(const struct view_service *s, bool by_rules)
{
	return exceeds(by_rules ? &by_rule : &by_element, s);
}

bool size_is_large(const struct view_service *s)
{
	struct cost c = by_rule;

	c.kept = true; /* which are looked at, whether or not they have rules */
	return exceeds(&c, s);
}

size_t size_of_large(const struct view_service *s)
{
	if (!size_is_large(s) || exceeds(&by_element, s))
		return 0;
	return size_of(&by_element, s, 4) + size_of(&by_element, s, 6);
}
