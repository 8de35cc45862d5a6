/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/news.h"

#include <inttypes.h>
#include <stdlib.h>

#include "fairlead/mem.h"

enum seen { SEEN_UNKNOWN, SEEN_UP, SEEN_DOWN, SEEN_TAKEN, SEEN_REFUSED, SEEN_NO_PASSWORD };

struct session {
	struct addr address;
	bool refused; /* beside one that bgpd runs there may be others with its address */
	enum seen now, told;
	int64_t since_ms; /* the current one */
	bool was_up;
};

struct news {
	enum reason reason, told; /* REASON_Announced: nothing is in the way */
	int64_t since_ms;         /* of the reason */
	struct session *sessions; /* in the order of the peers last seen */
	size_t n_sessions;
};

struct news *news_new(void)
{
	struct news *n = xcalloc(1, sizeof(*n));

	n->reason = n->told = REASON_Announced;
	return n;
}

void news_free(struct news *n)
{
	if (!n)
		return;
	free(n->sessions);
	free(n);
}

/* ---- all of BGP ---- */

static void look_at_all(struct news *n, const struct news_view *v, struct budget *budget,
                        int64_t now_ms, news_tell *tell, void *arg)
{
	if (v->reason != n->reason) {
		n->reason = v->reason;
		n->since_ms = now_ms;
	}
	if (n->reason == n->told || now_ms - n->since_ms < NEWS_LASTS_MS)
		return;
	if (reason_about(n->reason) == REASON_ABOUT_BGP) {
		if (!budget_take(budget, now_ms))
			return;
		tell(n->reason, v->message, arg);
		n->told = n->reason;
	} else if (n->reason == REASON_Announced) {
		if (!budget_take(budget, now_ms))
			return;
		tell(REASON_BgpReady, reason_sentence(REASON_BgpReady), arg);
		n->told = REASON_Announced;
	} else if (n->reason == REASON_BgpNoPeer) {
		n->told = REASON_Announced; /* no longer of interest */
	}
}

/* ---- sessions ---- */

static enum seen seen_of(const struct bgp_peer_status *p)
{
	if (p->reason == REASON_BgpPeerTaken)
		return SEEN_TAKEN;
	if (p->reason == REASON_BgpPeerRefused)
		return SEEN_REFUSED;
	if (p->reason == REASON_BgpNoPassword)
		return SEEN_NO_PASSWORD;
	switch (p->state) {
	case BGP_SESSION_UNKNOWN:
		return SEEN_UNKNOWN;
	case BGP_SESSION_ESTABLISHED:
		return SEEN_UP;
	case BGP_SESSION_IDLE:
	case BGP_SESSION_CONNECT:
	case BGP_SESSION_ACTIVE:
	case BGP_SESSION_OPENSENT:
	case BGP_SESSION_OPENCONFIRM:
	case BGP_SESSION_SHUTDOWN:
		break;
	}
	return SEEN_DOWN;
}

static bool is_of(const struct session *s, const struct bgp_peer_status *p)
{
	return addr_eq(&s->address, &p->address) &&
	       s->refused == (p->reason == REASON_BgpPeerRefused);
}

/* The sessions of these peers, with what is known about those that existed before. */
static void follow_peers(struct news *n, const struct news_view *v, int64_t now_ms)
{
	struct session *fresh = xcalloc(v->n_peers + 1, sizeof(*fresh));

	for (size_t i = 0; i < v->n_peers; i++) {
		const struct bgp_peer_status *p = &v->peers[i];
		fresh[i] = (struct session){ .address = p->address,
			                     .refused = p->reason == REASON_BgpPeerRefused,
			                     .since_ms = now_ms };
		for (size_t k = 0; k < n->n_sessions; k++)
			if (is_of(&n->sessions[k], p))
				fresh[i] = n->sessions[k];
	}
	free(n->sessions);
	n->sessions = fresh;
	n->n_sessions = v->n_peers;
}

static bool same_peers(const struct news *n, const struct news_view *v)
{
	if (n->n_sessions != v->n_peers)
		return false;
	for (size_t i = 0; i < v->n_peers; i++)
		if (!is_of(&n->sessions[i], &v->peers[i]))
			return false;
	return true;
}

/* Whether the current state has lasted long enough and differs from what was reported. */
static bool is_news(const struct session *s, int64_t now_ms)
{
	bool never = s->now == SEEN_DOWN && !s->was_up;

	return s->now != SEEN_UNKNOWN && s->now != s->told &&
	       now_ms - s->since_ms >= (never ? NEWS_NEVER_UP_MS : NEWS_LASTS_MS);
}

static enum reason reason_of(const struct session *s, const char **ret_words)
{
	switch (s->now) {
	case SEEN_UNKNOWN:
	case SEEN_UP:
		break;
	case SEEN_DOWN:
		*ret_words = s->was_up ? "is lost" : "does not come up";
		return s->was_up ? REASON_BgpSessionLost : REASON_BgpNoSession;
	case SEEN_TAKEN:
		*ret_words = "is not made";
		return REASON_BgpPeerTaken;
	case SEEN_REFUSED:
		*ret_words = "is not made";
		return REASON_BgpPeerRefused;
	case SEEN_NO_PASSWORD:
		*ret_words = "is not made";
		return REASON_BgpNoPassword;
	}
	*ret_words = "is established";
	return REASON_BgpSessionUp;
}

static void look_at_session(struct session *s, const struct bgp_peer_status *p,
                            struct budget *budget, int64_t now_ms, news_tell *tell, void *arg)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;
	const char *words;

	if (seen_of(p) != s->now) {
		s->now = seen_of(p);
		s->since_ms = now_ms;
	}
	/* A session that comes up for the first time is no news. */
	if (s->now == SEEN_UP && s->told == SEEN_UNKNOWN)
		s->told = SEEN_UP;
	if (is_news(s, now_ms) && budget_take(budget, now_ms)) {
		enum reason reason = reason_of(s, &words);
		buf_printf(&note, "the session with peer %.64s (%s, AS %" PRIu32 ") %s", p->name,
		           addr_str(&p->address), p->asn, words);
		if (s->now != SEEN_UP)
			buf_printf(&note, ": %s", p->error);
		tell(reason, buf_str(&note), arg);
		s->told = s->now;
	}
	s->was_up |= s->now == SEEN_UP;
}

void news_look(struct news *n, const struct news_view *v, struct budget *budget, int64_t now_ms,
               news_tell *tell, void *arg)
{
	look_at_all(n, v, budget, now_ms, tell, arg);
	if (!same_peers(n, v))
		follow_peers(n, v, now_ms);
	for (size_t i = 0; i < n->n_sessions; i++)
		look_at_session(&n->sessions[i], &v->peers[i], budget, now_ms, tell, arg);
}
