/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine reports about itself: reasons, /status, metrics. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "bgp/engine.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

size_t bgp_n_established(const struct bgp *b)
{
	return sessions_n_established(b->sessions);
}

static size_t n_refused(const struct bgp *b)
{
	return b->want ? b->want->n_refused : 0;
}

size_t bgp_n_peers(const struct bgp *b)
{
	return sessions_n(b->sessions) + n_refused(b);
}

/* bgpd has no neighbour of ours for it. */
static bool is_left_out(enum reason peer)
{
	return peer != REASON_Announced && peer != REASON_BgpNoSession;
}

static enum reason session_reason(const struct bgp *b, size_t i)
{
	const struct bgp_session *s = sessions_at(b->sessions, i);

	if (b->have_valid && bgp_have_foreign_peer(&b->have, &s->address))
		return REASON_BgpPeerTaken;
	if (b->want->peers[i].waits && b->have_valid &&
	    !bgp_state_find_peer(&b->have.ours, &s->address))
		return REASON_BgpNoPassword;
	return s->state == BGP_SESSION_ESTABLISHED ? REASON_Announced : REASON_BgpNoSession;
}

struct bgp_peer_status bgp_peer_status(const struct bgp *b, size_t i)
{
	if (i >= sessions_n(b->sessions)) {
		const struct want_refused *p = &b->want->refused[i - sessions_n(b->sessions)];
		return (struct bgp_peer_status){ .name = p->name,
			                         .address = p->address,
			                         .asn = p->asn,
			                         .reason = REASON_BgpPeerRefused,
			                         .error = p->why };
	}
	const struct bgp_session *s = sessions_at(b->sessions, i);
	const struct want_peer *p = &b->want->peers[i];
	enum reason reason = session_reason(b, i);

	return (struct bgp_peer_status){
		.name = p->name,
		.address = s->address,
		.asn = p->peer.remote_as,
		.state = s->state,
		.reason = reason,
		.error = reason == REASON_BgpPeerTaken    ? reason_sentence(reason)
		         : reason == REASON_BgpNoPassword ? p->waits
		                                          : s->error,
		.waits = is_left_out(reason) ? NULL : p->waits,
	};
}

static enum reason say(struct buf *msg, enum reason reason, const char *words)
{
	if (msg)
		buf_puts(msg, words && *words ? words : reason_sentence(reason));
	return reason;
}

enum reason bgp_reason(const struct bgp *b, struct buf *msg)
{
	if (!b->want)
		return say(msg, REASON_NoConfiguration, NULL);
	if (b->want->n_peers == 0 && b->want->n_refused)
		return say(msg, REASON_BgpPeerRefused, b->want->refused[0].why);
	if (b->want->n_peers == 0)
		return say(msg, REASON_BgpNoPeer, NULL);
	if (b->phase == ENGINE_DOWN)
		return say(msg, b->tried ? REASON_BgpUnreachable : REASON_BgpPending, b->error);
	if (b->have_valid && bgp_only_waits(&b->want_state, &b->have))
		return say(msg, REASON_BgpNoPassword, b->want->peers[0].waits);
	if (b->settling)
		return say(msg, REASON_BgpPending,
		           "bgpd has no instance yet; it may still be reading its configuration");
	if (!reason_holds(b->verdict.reason))
		return say(msg, b->verdict.reason, b->verdict.message);
	if (b->refused)
		return say(msg, REASON_BgpRefused, b->error);
	return say(msg, REASON_Announced, NULL);
}

void bgp_put_left_out(const char *name, const struct addr *address, enum reason reason,
                      const char *why, struct buf *msg)
{
	buf_printf(msg, "; not to %s (%s), %s: %s", name, addr_str(address), reason_name(reason),
	           why);
}

/* The sessions by which a prefix is sent. */
struct reach {
	size_t n_peers, n_established, n_carrying;
};

static bool gets(const struct bgp *b, const struct prefix *p, size_t i)
{
	size_t n = sessions_n(b->sessions);

	return bgp_want_reaches(b->want, p,
	                        i < n ? b->want->peers[i].recipient
	                              : b->want->refused[i - n].recipient);
}

/* The session does not carry prefixes of the family. */
static bool lacks_next_hop(const struct bgp *b, size_t i, uint8_t family)
{
	return family == 6 && sessions_at(b->sessions, i)->lacks_next_hop6;
}

static struct reach reach_of(const struct bgp *b, const struct prefix *p)
{
	struct reach r = { 0 };

	for (size_t i = 0; i < sessions_n(b->sessions); i++) {
		bool up = sessions_at(b->sessions, i)->state == BGP_SESSION_ESTABLISHED;
		if (!gets(b, p, i))
			continue;
		r.n_peers++;
		r.n_established += up;
		r.n_carrying += up && !lacks_next_hop(b, i, p->addr.family);
	}
	return r;
}

/*
 * The network is there; the message also names the peers that do not get it though it is for them,
 * for lack of a neighbour, or that cannot use it.
 */
static enum reason say_set(const struct bgp *b, const struct prefix *p, struct buf *msg)
{
	const struct reach r = reach_of(b, p);
	enum reason reason = !r.n_established ? REASON_BgpNoSession
	                     : r.n_carrying   ? REASON_Announced
	                                      : REASON_BgpNoNextHop;

	say(msg, reason,
	    reason == REASON_BgpNoSession && bgp_n_established(b)
	            ? "no session with a peer that the advertisements are for is established"
	            : NULL);
	for (size_t i = 0; msg && reason == REASON_Announced && i < sessions_n(b->sessions); i++)
		if (gets(b, p, i) && lacks_next_hop(b, i, p->addr.family))
			bgp_put_left_out(b->want->peers[i].name,
			                 &sessions_at(b->sessions, i)->address, REASON_BgpNoNextHop,
			                 reason_sentence(REASON_BgpNoNextHop), msg);
	for (size_t i = 0; msg && i < bgp_n_peers(b); i++) {
		const struct bgp_peer_status peer = bgp_peer_status(b, i);
		if (is_left_out(peer.reason) && gets(b, p, i))
			bgp_put_left_out(peer.name, &peer.address, peer.reason, peer.error, msg);
	}
	return reason;
}

/* Why a prefix that is for refused peers alone is not sent; NULL: it is for others, too. */
static const char *why_refused(const struct bgp *b, const struct prefix *p)
{
	if (reach_of(b, p).n_peers)
		return NULL;
	for (size_t i = 0; i < n_refused(b); i++)
		if (bgp_want_reaches(b->want, p, b->want->refused[i].recipient))
			return b->want->refused[i].why;
	return NULL;
}

enum reason bgp_reason_of(const struct bgp *b, const struct addr *a, struct buf *msg)
{
	enum reason r = bgp_reason(b, NULL), worst = REASON_BgpPending;
	const char *why = NULL;
	size_t first, end;

	if (!reason_holds(r) && r != REASON_BgpRefused)
		return bgp_reason(b, msg);
	bgp_want_find(b->want, a, &first, &end);
	for (size_t i = first; i < end; i++) {
		const struct prefix *p = &b->want->addresses[i].prefix;
		why = why_refused(b, p);
		if (why)
			worst = REASON_BgpPeerRefused;
		else if (bgp_state_find_network(&b->have.ours, p))
			return say_set(b, p, msg);
		else if (bgp_have_foreign_network(&b->have, p))
			worst = REASON_BgpPrefixTaken;
	}
	if (worst == REASON_BgpPending && r == REASON_BgpRefused)
		return bgp_reason(b, msg);
	return say(msg, worst, worst == REASON_BgpPeerRefused ? why : NULL);
}

/* Those that are for it, of the families that the session carries. */
static size_t n_wanted(const struct bgp *b, const struct bgp_peer_status *peer, size_t recipient)
{
	const struct bgp_peer *p = bgp_state_find_peer(&b->want_state, &peer->address);
	size_t n = 0;

	if (peer->reason == REASON_BgpNoPassword)
		return 0;
	for (size_t i = 0; p && i < b->want_state.n_networks; i++) {
		const struct prefix *prefix = &b->want_state.networks[i].prefix;
		n += p->af[prefix->addr.family == 6 ? BGP_AF6 : BGP_AF4].active &&
		     bgp_want_reaches(b->want, prefix, recipient);
	}
	return n;
}

static void put_error(const struct bgp *b, const struct bgp_peer_status *peer,
                      const struct bgp_session *s, struct out *o)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	buf_puts(&text, peer->error);
	if (bgp_session_hold_waits(s))
		buf_printf(&text,
		           "%sthe hold time of %" PRId64
		           " s is in force from the next session on; this one "
		           "has %" PRId64 " s",
		           text.size ? "; " : "", s->hold_ms / 1000, s->session_hold_ms / 1000);
	if (peer->waits)
		buf_printf(&text, "%s%s%s", text.size ? "; " : "", peer->waits,
		           b->have_valid ? "; the neighbour stays as bgpd has it" : "");
	out_str(o, "last_error", buf_str(&text));
}

static void put_session(const struct bgp *b, size_t i, struct out *o)
{
	const struct bgp_session *s = sessions_at(b->sessions, i);
	const struct want_peer *p = &b->want->peers[i];
	const struct bgp_peer_status now = bgp_peer_status(b, i);

	out_object(o, NULL);
	out_str(o, "name", now.name);
	out_addr(o, "address", &s->address);
	out_uint(o, "my_asn", p->my_asn);
	out_uint(o, "asn", now.asn);
	out_str(o, "state", bgp_session_state_name(s->state));
	out_bool(o, "established", s->state == BGP_SESSION_ESTABLISHED);
	out_int(o, "uptime_ms", s->uptime_ms);
	out_uint(o, "prefixes_wanted", n_wanted(b, &now, p->recipient));
	out_int(o, "prefixes_sent", s->sent[BGP_AF4] + s->sent[BGP_AF6]);
	out_int(o, "resets", s->resets);
	put_error(b, &now, s, o);
	out_str(o, "reason", reason_name(now.reason));
	if (p->bfd_profile) {
		out_str(o, "bfd_profile", p->bfd_profile);
		/* What bgpd remembers of a bfdd that is gone does not count. */
		out_str(o, "bfd", b->bfd && bgp_bfd_is_down(b->bfd) ? "Unknown" : s->bfd);
	}
	out_close(o);
}

static void put_refused(const struct want_refused *p, struct out *o)
{
	out_object(o, NULL);
	out_str(o, "name", p->name);
	out_addr(o, "address", &p->address);
	out_uint(o, "my_asn", p->my_asn);
	out_uint(o, "asn", p->asn);
	out_str(o, "state", bgp_session_state_name(BGP_SESSION_UNKNOWN));
	out_bool(o, "established", false);
	out_int(o, "uptime_ms", 0);
	out_uint(o, "prefixes_wanted", 0);
	out_int(o, "prefixes_sent", 0);
	out_int(o, "resets", 0);
	out_str(o, "last_error", p->why);
	out_str(o, "reason", reason_name(REASON_BgpPeerRefused));
	out_close(o);
}

static const struct metrics_stat stat_rows[] = {
#define BGP_STAT(member, name, help) METRICS_STAT(struct bgp_stats, member, name),
#include "fairlead/metrics.def"
};

static void put_peers(const struct bgp *b, struct out *o)
{
	out_list(o, "peers");
	for (size_t i = 0; i < sessions_n(b->sessions); i++)
		put_session(b, i, o);
	for (size_t i = 0; i < n_refused(b); i++)
		put_refused(&b->want->refused[i], o);
	out_close(o);
}

static void put_stats(const struct bgp_stats *s, struct out *o)
{
	out_object(o, "stats");
	metrics_stats_put(stat_rows, ARRAY_LEN(stat_rows), s, o);
	out_uint(o, "resyncs", s->resyncs);
	out_uint(o, "last_batch_commands", s->last_batch_commands);
	out_int(o, "last_batch_us", s->last_batch_us);
	out_close(o);
}

void bgp_status(const struct bgp *b, const char *key, struct out *o)
{
	cleanup(buf_fini) struct buf msg = BUF_INIT;
	enum reason reason = bgp_reason(b, &msg);

	out_object(o, key);
	out_bool(o, "connected", b->phase != ENGINE_DOWN);
	out_str(o, "reason", reason_name(reason));
	out_str(o, "message", buf_str(&msg));
	out_uint(o, "generation", b->generation);
	out_uint(o, "applied", b->applied);
	out_object(o, "instance");
	out_uint(o, "asn", b->have.ours.asn);
	out_bool(o, "own", b->have.ours.own);
	out_close(o);
	put_peers(b, o);
	out_object(o, "prefixes");
	out_uint(o, "wanted", b->want_state.n_networks);
	out_uint(o, "set", b->have.ours.n_networks);
	out_close(o);
	out_object(o, "bfd");
	out_bool(o, "in_sync", !b->bfd || bgp_bfd_in_sync(b->bfd));
	out_str(o, "error", b->bfd ? bgp_bfd_error(b->bfd) : "");
	out_close(o);
	put_stats(&b->stats, o);
	out_close(o);
}

static void add_left_out(const struct bgp *b, struct metrics_writer *w)
{
	unsigned int counts[REASON_COUNT] = { 0 };

	for (size_t i = 0; i < bgp_n_peers(b); i++)
		counts[bgp_peer_status(b, i).reason]++;
	metrics_family(w, METRIC_fairlead_bgp_peers_left_out);
	for (int r = 0; r < REASON_COUNT; r++)
		if (counts[r] && is_left_out((enum reason)r))
			metrics_sample(w, counts[r], "reason", reason_name((enum reason)r), NULL);
}

void bgp_metrics(const struct bgp *b, struct metrics_writer *w)
{
	enum reason reason = bgp_reason(b, NULL);

	metrics_value(w, METRIC_fairlead_bgp_connected, b->phase != ENGINE_DOWN);
	metrics_family(w, METRIC_fairlead_bgp_hindered);
	if (!reason_holds(reason))
		metrics_sample(w, 1, "reason", reason_name(reason), NULL);
	metrics_family(w, METRIC_fairlead_bgp_session_up);
	for (size_t i = 0; i < sessions_n(b->sessions); i++)
		metrics_sample(w, sessions_at(b->sessions, i)->state == BGP_SESSION_ESTABLISHED,
		               "peer", addr_str(&sessions_at(b->sessions, i)->address), NULL);
	add_left_out(b, w);
	metrics_family(w, METRIC_fairlead_bgp_prefixes_sent);
	for (size_t i = 0; i < sessions_n(b->sessions); i++)
		metrics_sample(w,
		               (double)(sessions_at(b->sessions, i)->sent[BGP_AF4] +
		                        sessions_at(b->sessions, i)->sent[BGP_AF6]),
		               "peer", addr_str(&sessions_at(b->sessions, i)->address), NULL);
	metrics_value(w, METRIC_fairlead_bgp_prefixes_wanted, (double)b->want_state.n_networks);
	metrics_value(w, METRIC_fairlead_bgp_prefixes_set, (double)b->have.ours.n_networks);
	metrics_stats(w, stat_rows, ARRAY_LEN(stat_rows), &b->stats);
}
