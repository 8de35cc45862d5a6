/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Others that answer by ARP or neighbour discovery for our addresses, whoever owns them.  In each
 * case we go on as before and report it, since nothing that we could do would end it:
 *
 *   - This node's kernel, for an address that some interface has (kube-proxy in IPVS mode binds all
 *     to kube-ipvs0).  It answers with our own Ethernet address, so owning the address makes
 *     nothing worse, and yielding it nothing better.
 *   - A peer's kernel.  The address is not claimed while it answers, as with any other that answers
 *     a probe: a second one would make it worse.
 *   - A router with proxy ARP, or whatever answers for everything.  As with a stranger that uses
 *     one address.
 *
 * A second speaker of our name is believed by the peers, or we are, and the other one is a
 * stranger: it asks by probes before it claims, and so do we.  If we stopped at its word, anybody
 * who can replay a node's old frames could silence it.
 */
#include "l2/troubles.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"

/* What was seen within this time counts as lasting. */
#define LATELY_MS 30000
/* A stranger that answers for so many addresses is not just a user of one. */
#define PROXY_ANSWERS 3
/* So many strangers are told apart; more are just as bad. */
#define ANSWERERS_MAX 16

void troubles_fini(struct troubles *t)
{
	free(t->list);
	*t = (struct troubles){ 0 };
}

bool troubles_eq(const struct troubles *a, const struct troubles *b)
{
	return a->n == b->n && (a->n == 0 || !memcmp(a->list, b->list, a->n * sizeof(*a->list)));
}

void troubles_add(struct troubles *t, enum reason reason, const char *interface, const char *fmt,
                  ...)
{
	va_list args;

	ARRAY_RESERVE(t->list, t->cap, t->n + 1);
	struct l2_trouble *one = &t->list[t->n++];
	memset(one, 0, sizeof(*one)); /* compared as bytes */
	one->reason = reason;
	snprintf(one->interface, sizeof(one->interface), "%s", interface);
	va_start(args, fmt);
	vsnprintf(one->message, sizeof(one->message), fmt, args);
	va_end(args);
}

static bool lately(int64_t at_ms, int64_t now)
{
	return at_ms && now - at_ms < LATELY_MS;
}

void troubles_of_segment(struct troubles *t, struct segment *s, int64_t now,
                         const struct iface *iface)
{
	struct segment_health h;

	segment_health(s, now, &h);
	if (h.mtu < h.mtu_min)
		troubles_add(
			t, REASON_SendFailed, iface->name,
			"the MTU of %zu bytes has no room for what speakers tell each other, which "
			"takes %zu",
			h.mtu, h.mtu_min);
	else if (lately(h.send_error_ms, now))
		troubles_add(t, REASON_SendFailed, iface->name,
		             "the kernel does not take frames of ours: %s",
		             strerror(-h.send_error));
	if (lately(h.peers_refused_ms, now))
		troubles_add(
			t, REASON_TooManyPeers, iface->name,
			"more than %d other speakers are on the segment; those beyond are not known "
			"here",
			MEMBER_PEERS_MAX);
	if (lately(h.claims_refused_ms, now))
		troubles_add(
			t, REASON_LimitReached, iface->name,
			"more than %d addresses on the segment, or %d of one peer; claims beyond are "
			"not known here",
			CLAIMS_ENTRIES_MAX, CLAIMS_PER_PEER_MAX);
	if (lately(h.namesake_ms, now)) {
		const uint8_t *m = h.namesake_mac;
		troubles_add(
			t, REASON_DuplicateNodeName, iface->name,
			"the speaker at %02x:%02x:%02x:%02x:%02x:%02x has this node's name, too",
			m[0], m[1], m[2], m[3], m[4], m[5]);
	}
}

/* What a process or the kernel has no room for: other errors are no bound. */
static bool is_bound(int error)
{
	return error == -ENOMEM || error == -ENOBUFS || error == -EMFILE || error == -ENFILE;
}

void troubles_of_groups(struct troubles *t, size_t n, int error)
{
	if (n > 0)
		troubles_add(
			t, is_bound(error) ? REASON_LimitReached : REASON_JoinFailed, "",
			"%zu multicast groups to which questions for IPv6 addresses go could not be "
			"joined: %s",
			n, strerror(-error));
}

/* What the kernel answers for on one interface. */
struct answered {
	const struct l2_want *first;
	const char *where;
	size_t n;
};

/* @by_arp: it has wants that are resolved by ARP. */
static void add_kernel(struct troubles *t, const struct iface *iface, const struct answered *a,
                       bool by_arp)
{
	char ignores[32] = "";

	if (a->first && a->first->addr.family == 4)
		snprintf(ignores, sizeof(ignores), ", and arp_ignore is %d", iface->arp_ignore);
	if (a->first)
		troubles_add(t, REASON_KernelAnswers, iface->name,
		             "%s is an address of this node's own on %s%s: its kernel answers for "
		             "it whether it owns it or not (%zu addresses)",
		             addr_str(&a->first->addr), a->where, ignores, a->n);
	if (by_arp && iface->proxy_arp > 0)
		troubles_add(
			t, REASON_ProxyArp, iface->name,
			"proxy_arp is on: the kernel answers ARP for each address that it would "
			"route elsewhere");
}

/* The node has few addresses of its own, and may want many: so each of its own is looked up. */
void troubles_of_kernel(struct troubles *t, const struct ifaces *ifaces,
                        const struct places *places, const struct want_map *wants,
                        const struct iface_tally *tally)
{
	static const struct answered none;
	struct answered *answered = NULL; /* by interface, once there is something */

	for (size_t i = 0; i < ifaces->n_locals; i++) {
		const struct addr *own = &ifaces->locals[i].addr;
		if (i > 0 && addr_eq(own, &ifaces->locals[i - 1].addr))
			continue;
		const struct l2_want *want = want_map_find(wants, own);
		const struct iface *iface =
			want ? places_find(places, want->place, ifaces, own) : NULL;
		const char *where = iface ? ifaces_kernel_answers(ifaces, iface, own) : NULL;
		if (!where)
			continue;
		if (!answered)
			answered = xcalloc(ifaces->n, sizeof(*answered));
		struct answered *by = &answered[iface - ifaces->list];
		if (by->n++ == 0) {
			by->first = want;
			by->where = where;
		}
	}
	for (size_t i = 0; i < ifaces->n; i++)
		add_kernel(t, &ifaces->list[i], answered ? &answered[i] : &none, tally[i].n4 > 0);
	free(answered);
}

/* One that answers for addresses that are not its own. */
struct answerer {
	const struct l2_state *first;
	size_t n;
};

static void format_mac(const uint8_t *m, char out[static 18])
{
	snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

/* About the machine that answers without owning it. */
static const uint8_t *mac_of(const struct l2_state *s)
{
	return s->ownership == L2_OWNER ? s->rival : s->mac;
}

static bool is_alike(const struct l2_state *a, const struct l2_state *b)
{
	return a->peer_kernel == b->peer_kernel && !memcmp(mac_of(a), mac_of(b), sizeof(a->mac)) &&
	       !strcmp(a->interface, b->interface);
}

static void add_answerer(struct troubles *t, const struct answerer *a)
{
	const struct l2_state *s = a->first;
	char mac[18];

	format_mac(mac_of(s), mac);
	if (s->peer_kernel)
		troubles_add(
			t, REASON_KernelAnswers, s->interface,
			"the kernel of the node at %s answers for %s, which that node does not "
			"own (%zu addresses)",
			mac, addr_str(&s->addr), a->n);
	else if (a->n >= PROXY_ANSWERS)
		troubles_add(t, REASON_ProxyArp, s->interface,
		             "%s, which is no node of ours, answers for %zu of our addresses, such "
		             "as %s",
		             mac, a->n, addr_str(&s->addr));
}

bool troubles_suspects(const struct l2_state *s)
{
	static const uint8_t none[6];

	return (s->ownership == L2_CONFLICT || s->peer_kernel) &&
	       memcmp(mac_of(s), none, sizeof(none)) != 0;
}

void troubles_of_states(struct troubles *t, const struct l2_state *states, size_t n)
{
	struct answerer answerers[ANSWERERS_MAX];
	size_t n_answerers = 0;
	bool beyond = false;

	for (size_t i = 0; i < n; i++) {
		const struct l2_state *s = &states[i];
		if (!troubles_suspects(s))
			continue;
		size_t k = 0;
		while (k < n_answerers && !is_alike(answerers[k].first, s))
			k++;
		if (k == ANSWERERS_MAX) {
			beyond = true;
			continue;
		}
		if (k == n_answerers)
			answerers[n_answerers++] = (struct answerer){ .first = s };
		answerers[k].n++;
	}
	for (size_t k = 0; k < n_answerers; k++)
		add_answerer(t, &answerers[k]);
	if (beyond)
		troubles_add(t, REASON_LimitReached, "",
		             "more than %d machines answer for addresses that they do not own; "
		             "those beyond are not looked at",
		             ANSWERERS_MAX);
}
