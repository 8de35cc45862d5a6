/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgp/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "bgp/md5.h"
#include "bgp/probe.h"
#include "bgp/vty.h"
#include "fairlead/clock.h"
#include "fairlead/limits.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

struct sessions {
	struct event *timer;
	struct vty_client *client;
	const struct sessions_ops *ops;
	void *arg;
	const struct bgp_want *want; /* NULL: nothing was wanted yet */
	struct bgp_session *list;    /* one for each wanted peer, in its order */
	size_t n;
	bool polling; /* a summary is under way */
	struct md5_watch md5;
	struct probes *probes;
};

void sessions_set(struct sessions *s, const struct bgp_want *want)
{
	struct bgp_session *fresh = xcalloc(want->n_peers + 1, sizeof(*fresh));

	for (size_t i = 0; i < want->n_peers; i++) {
		fresh[i].address = want->peers[i].peer.address;
		for (size_t k = 0; k < s->n; k++)
			if (addr_eq(&s->list[k].address, &fresh[i].address))
				fresh[i] = s->list[k];
	}
	free(s->list);
	s->list = fresh;
	s->n = want->n_peers;
	s->want = want;
}

size_t sessions_n(const struct sessions *s)
{
	return s->n;
}

const struct bgp_session *sessions_at(const struct sessions *s, size_t i)
{
	return &s->list[i];
}

size_t sessions_n_established(const struct sessions *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->list[i].state == BGP_SESSION_ESTABLISHED;
	return n;
}

/* ---- polling ---- */

static void poll_in(struct sessions *s, unsigned int ms)
{
	event_add(s->timer,
	          &(struct timeval){ .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 });
}

void sessions_poll(struct sessions *s)
{
	poll_in(s, 0);
}

void sessions_stop(struct sessions *s)
{
	event_del(s->timer);
	s->polling = false;
	for (size_t i = 0; i < s->n; i++) {
		s->list[i].state = BGP_SESSION_UNKNOWN;
		s->list[i].uptime_ms = 0;
	}
}

static void poll_again(struct sessions *s)
{
	s->polling = false;
	poll_in(s, sessions_n_established(s) == s->n ? BGP_POLL_SLOW_MS : BGP_POLL_FAST_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sessions *s = arg;

	(void)fd;
	(void)what;
	if (s->polling || !vty_client_is_up(s->client))
		return;
	/* Also while one command is refused over and over: the other peers' sessions live on. */
	if (s->n == 0 || !s->ops->has_instance(s->arg)) {
		poll_again(s);
		return;
	}
	s->polling = vty_client_send(s->client, "do show bgp summary json", 0, SESSIONS_TAG_SUMMARY,
	                             NULL) == 0;
}

static void log_change(const struct sessions *s, size_t i, enum bgp_session_state before)
{
	const struct bgp_session *one = &s->list[i];

	if (one->state == BGP_SESSION_ESTABLISHED)
		log_info("BGP session established", KV_S("peer", s->want->peers[i].name),
		         KV_S("address", addr_str(&one->address)));
	else if (before == BGP_SESSION_ESTABLISHED)
		log_warn("BGP session lost", KV_S("peer", s->want->peers[i].name),
		         KV_S("address", addr_str(&one->address)),
		         KV_S("state", bgp_session_state_name(one->state)));
}

static void forget_all(struct sessions *s, const char *why)
{
	for (size_t i = 0; i < s->n; i++) {
		s->list[i] = (struct bgp_session){ .address = s->list[i].address };
		snprintf(s->list[i].error, sizeof(s->list[i].error), "%s", why);
	}
}

static void on_summary(struct sessions *s, const char *text, size_t size)
{
	enum bgp_session_state before[BGP_PEERS_MAX];
	bool changed = false, lost = false;
	size_t asked = 0;

	for (size_t i = 0; i < s->n; i++)
		before[i] = s->list[i].state;
	int r = bgp_session_read_summary(text, size, s->list, s->n);
	if (r)
		forget_all(s, r == -EMSGSIZE ? "what bgpd says of its sessions is too long"
		                             : "what bgpd says of its sessions cannot be read");
	md5_look(&s->md5, clock_ms());
	for (size_t i = 0; i < s->n; i++) {
		struct bgp_session *one = &s->list[i];
		/* A session of others with that address carries none of our routes. */
		if (s->ops->is_foreign(&one->address, s->arg))
			*one = (struct bgp_session){ .address = one->address };
		if (before[i] != one->state) {
			changed = true;
			lost |= one->state == BGP_SESSION_UNKNOWN;
			log_change(s, i, before[i]);
		}
		if (one->state == BGP_SESSION_UNKNOWN || asked == BGP_NEIGHBORS_POLLED_MAX)
			continue;
		cleanup_free char *show =
			xasprintf("do show bgp neighbors %s json", addr_str(&one->address));
		if (vty_client_send(s->client, show, 0, SESSIONS_TAG_NEIGHBOR + (uint32_t)i,
		                    NULL) == 0)
			asked++;
	}
	if (changed)
		s->ops->changed(s->arg);
	/*
	 * Somebody has removed the neighbour, or the instance: do not wait for the next reading.
	 */
	if (lost)
		s->ops->lost(s->arg);
}

static bool has_password(const struct bgp_peer *p)
{
	if (p->waits)
		return true;
	for (size_t i = 0; i < p->lines.n; i++)
		if (!strncmp(p->lines.v[i], "password ", 9))
			return true;
	return false;
}

/* Why a session does not come up, as far as known beyond what bgpd says. */
static void hints_of(struct sessions *s, size_t i, const char **ret_contact, const char **ret_hint)
{
	const struct want_peer *p = &s->want->peers[i];
	enum bgp_session_state state = s->list[i].state;
	bool password = has_password(&p->peer);
	int64_t now_ms = clock_ms();

	*ret_hint = md5_words(&s->md5, password, now_ms);
	*ret_contact = "";
	if (state == BGP_SESSION_CONNECT || state == BGP_SESSION_ACTIVE)
		*ret_contact = probes_ask(s->probes, &p->way, **ret_hint != 0, now_ms);
}

bool sessions_reply(struct sessions *s, uint32_t tag, uint8_t status, const char *text, size_t size)
{
	if (tag == SESSIONS_TAG_SUMMARY) {
		/* Without an instance bgpd prints a warning and an empty summary. */
		on_summary(s, text, status == VTY_SUCCESS || status == VTY_WARNING ? size : 0);
		poll_again(s);
		return true;
	}
	if (tag < SESSIONS_TAG_NEIGHBOR || tag >= SESSIONS_TAG_END)
		return false;
	/* A publication may have changed the list meanwhile: the address inside decides. */
	size_t i = tag - SESSIONS_TAG_NEIGHBOR;
	if (status == VTY_SUCCESS && i < s->n) {
		bool lacked = s->list[i].lacks_next_hop6;
		const char *contact, *hint;
		hints_of(s, i, &contact, &hint);
		bgp_session_read_neighbor(text, size, contact, hint, &s->list[i]);
		if (lacked != s->list[i].lacks_next_hop6)
			s->ops->changed(s->arg);
	}
	return true;
}

void sessions_forget_questions(struct sessions *s)
{
	s->polling = false;
}

/* ---- its life ---- */

struct sessions *sessions_new(struct event_base *base, struct vty_client *client,
                              const struct sessions_ops *ops, void *arg)
{
	struct sessions *s = xcalloc(1, sizeof(*s));

	s->client = client;
	s->ops = ops;
	s->arg = arg;
	s->probes = probes_new(base);
	s->timer = event_new(base, -1, 0, on_timer, s);
	return s;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	probes_free(s->probes);
	event_free(s->timer);
	free(s->list);
	free(s);
}
