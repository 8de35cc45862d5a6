/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The engine's eye on the sessions: the two cheap shows, often while something is down, seldom else. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "bgp/engine.h"
#include "bgp/vty.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

void engine_sessions_reset(struct bgp *b)
{
	struct bgp_session *fresh = xcalloc(b->want->n_peers + 1, sizeof(*fresh));

	for (size_t i = 0; i < b->want->n_peers; i++) {
		fresh[i].address = b->want->peers[i].peer.address;
		for (size_t k = 0; k < b->n_sessions; k++)
			if (addr_eq(&b->sessions[k].address, &fresh[i].address))
				fresh[i] = b->sessions[k];
	}
	free(b->sessions);
	b->sessions = fresh;
	b->n_sessions = b->want->n_peers;
}

static void poll_in(struct bgp *b, unsigned int ms)
{
	event_add(b->ev_poll,
	          &(struct timeval){ .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 });
}

void engine_poll_start(struct bgp *b)
{
	poll_in(b, 0);
}

void engine_poll_stop(struct bgp *b)
{
	event_del(b->ev_poll);
	b->polling = false;
	for (size_t i = 0; i < b->n_sessions; i++) {
		b->sessions[i].state = BGP_SESSION_UNKNOWN;
		b->sessions[i].uptime_ms = 0;
	}
}

static void poll_again(struct bgp *b)
{
	b->polling = false;
	poll_in(b, bgp_n_established(b) == b->n_sessions ? BGP_POLL_SLOW_MS : BGP_POLL_FAST_MS);
}

void engine_poll_tick(struct bgp *b)
{
	if (b->polling || !vty_client_is_up(b->client))
		return;
	/* Also while one command is refused again and again: the other peers' sessions live on. */
	if (b->n_sessions == 0 || b->have.ours.asn == 0) {
		poll_again(b);
		return;
	}
	b->polling =
		vty_client_send(b->client, "do show bgp summary json", 0, TAG_SUMMARY, NULL) == 0;
}

static void log_change(const struct bgp *b, size_t i, enum bgp_session_state before)
{
	const struct bgp_session *s = &b->sessions[i];

	if (s->state == BGP_SESSION_ESTABLISHED)
		log_info("BGP session established", KV_S("peer", b->want->peers[i].name),
		         KV_S("address", addr_str(&s->address)));
	else if (before == BGP_SESSION_ESTABLISHED)
		log_warn("BGP session lost", KV_S("peer", b->want->peers[i].name),
		         KV_S("address", addr_str(&s->address)),
		         KV_S("state", bgp_session_state_name(s->state)));
}

static void forget_all(struct bgp *b, const char *why)
{
	for (size_t i = 0; i < b->n_sessions; i++) {
		b->sessions[i] = (struct bgp_session){ .address = b->sessions[i].address };
		snprintf(b->sessions[i].error, sizeof(b->sessions[i].error), "%s", why);
	}
}

static void on_summary(struct bgp *b, const char *text, size_t size)
{
	enum bgp_session_state before[BGP_PEERS_MAX];
	bool changed = false, lost = false;
	size_t asked = 0;

	for (size_t i = 0; i < b->n_sessions; i++)
		before[i] = b->sessions[i].state;
	int r = bgp_session_read_summary(text, size, b->sessions, b->n_sessions);
	if (r)
		forget_all(b, r == -EMSGSIZE ? "what bgpd says of its sessions is too long"
		                             : "what bgpd says of its sessions cannot be read");
	md5_look(&b->md5, clock_ms());
	for (size_t i = 0; i < b->n_sessions; i++) {
		struct bgp_session *s = &b->sessions[i];
		/* A session of others with that address carries nothing of ours. */
		if (bgp_have_foreign_peer(&b->have, &s->address))
			*s = (struct bgp_session){ .address = s->address };
		if (before[i] != s->state) {
			changed = true;
			lost |= s->state == BGP_SESSION_UNKNOWN;
			log_change(b, i, before[i]);
		}
		if (s->state == BGP_SESSION_UNKNOWN || asked == BGP_NEIGHBORS_POLLED_MAX)
			continue;
		cleanup_free char *show =
			xasprintf("do show bgp neighbors %s json", addr_str(&s->address));
		if (vty_client_send(b->client, show, 0, TAG_NEIGHBOR + (uint32_t)i, NULL) == 0)
			asked++;
	}
	if (changed)
		engine_notify(b);
	/* Somebody has removed the neighbour, or the instance: it is not waited for the next reading. */
	if (lost)
		engine_doubt(b);
}

static bool has_password(const struct bgp_peer *p)
{
	if (p->waits)
		return true;
	for (size_t i = 0; i < p->lines.n; i++)
		if (strncmp(p->lines.v[i], "password ", 9) == 0)
			return true;
	return false;
}

/* What is known of why a session does not come up, beyond what bgpd says. */
static void hints_of(struct bgp *b, size_t i, const char **ret_contact, const char **ret_hint)
{
	const struct want_peer *p = &b->want->peers[i];
	enum bgp_session_state state = b->sessions[i].state;
	bool password = has_password(&p->peer);
	int64_t now_ms = clock_ms();

	*ret_hint = md5_words(&b->md5, password, now_ms);
	*ret_contact = "";
	if (state == BGP_SESSION_CONNECT || state == BGP_SESSION_ACTIVE)
		*ret_contact = probes_ask(b->probes, &p->way, **ret_hint != 0, now_ms);
}

bool engine_poll_reply(struct bgp *b, uint32_t tag, uint8_t status, const char *text, size_t size)
{
	if (tag == TAG_SUMMARY) {
		/* Of no instance bgpd warns, and has a summary of nothing. */
		on_summary(b, text, status == VTY_SUCCESS || status == VTY_WARNING ? size : 0);
		poll_again(b);
		return true;
	}
	if (tag < TAG_NEIGHBOR || tag >= TAG_BATCH)
		return false;
	/* A publication may have changed the list meanwhile: the address inside decides. */
	size_t i = tag - TAG_NEIGHBOR;
	if (status == VTY_SUCCESS && i < b->n_sessions) {
		bool lacked = b->sessions[i].lacks_next_hop6;
		const char *contact, *hint;
		hints_of(b, i, &contact, &hint);
		bgp_session_read_neighbor(text, size, contact, hint, &b->sessions[i]);
		if (lacked != b->sessions[i].lacks_next_hop6)
			engine_notify(b);
	}
	return true;
}
