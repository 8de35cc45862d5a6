/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgp/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "fairlead/mem.h"

static const struct {
	const char *name;
	enum bgp_session_state state;
} names[] = {
	{ "Unknown", BGP_SESSION_UNKNOWN },         { "Idle", BGP_SESSION_IDLE },
	{ "Connect", BGP_SESSION_CONNECT },         { "Active", BGP_SESSION_ACTIVE },
	{ "OpenSent", BGP_SESSION_OPENSENT },       { "OpenConfirm", BGP_SESSION_OPENCONFIRM },
	{ "Established", BGP_SESSION_ESTABLISHED }, { "Shutdown", BGP_SESSION_SHUTDOWN },
	{ "Idle (Admin)", BGP_SESSION_SHUTDOWN },   { "Idle (PfxCt)", BGP_SESSION_IDLE },
};

const char *bgp_session_state_name(enum bgp_session_state s)
{
	return names[s].name;
}

static enum bgp_session_state state_of(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i].name, name))
			return names[i].state;
	return BGP_SESSION_UNKNOWN;
}

/* ---- strict accessors ---- */

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *m;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &m) ||
	    !json_object_is_type(m, type))
		return NULL;
	return m;
}

static const char *string(struct json_object *o, const char *key)
{
	struct json_object *m = member(o, key, json_type_string);

	return m ? json_object_get_string(m) : NULL;
}

static int64_t integer(struct json_object *o, const char *key)
{
	struct json_object *m = member(o, key, json_type_int);
	int64_t v = m ? json_object_get_int64(m) : 0;

	return v < 0 ? 0 : v;
}

static int parse(const char *json, size_t size, struct json_object **ret)
{
	if (size > SESSION_JSON_MAX)
		return -EMSGSIZE;
	struct json_tokener *t = json_tokener_new();
	struct json_object *o = json_tokener_parse_ex(t, json, (int)size);
	/* A number or a literal at the very end is complete only once something follows. */
	json_tokener_free(t);
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return -EINVAL;
	}
	*ret = o;
	return 0;
}

/* ---- the summary ---- */

static void forget_established(struct bgp_session *s)
{
	s->lacks_next_hop6 = false;
	s->hold_ms = s->session_hold_ms = s->began_hold_ms = 0;
}

static void read_peer(struct json_object *o, struct bgp_session *s, int af)
{
	enum bgp_session_state state = state_of(string(o, "state"));

	if (state != BGP_SESSION_UNKNOWN)
		s->state = state;
	int64_t uptime_ms = state == BGP_SESSION_ESTABLISHED ? integer(o, "peerUptimeMsec") : 0;
	int64_t ordinal = integer(o, "connectionsEstablished");
	/* Another session; it may already be older than the last one was when we looked. */
	if (uptime_ms < s->seen_uptime_ms || ordinal != s->seen_ordinal)
		forget_established(s);
	s->uptime_ms = s->seen_uptime_ms = uptime_ms;
	s->seen_ordinal = ordinal;
	s->sent[af] = integer(o, "pfxSnt");
	s->received[af] = integer(o, "pfxRcd");
	s->resets = integer(o, "connectionsDropped");
}

int bgp_session_read_summary(const char *json, size_t size, struct bgp_session *sessions, size_t n)
{
	static const char *const families[BGP_N_AF] = { "ipv4Unicast", "ipv6Unicast" };
	struct json_object *root;
	int r = parse(json, size, &root);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct bgp_session *s = &sessions[i];
		s->state = BGP_SESSION_UNKNOWN;
		s->uptime_ms = 0;
		for (int af = 0; af < BGP_N_AF; af++) {
			struct json_object *peers =
				member(member(root, families[af], json_type_object), "peers",
			               json_type_object);
			struct json_object *p =
				member(peers, addr_str(&s->address), json_type_object);
			s->sent[af] = s->received[af] = 0;
			if (p)
				read_peer(p, s, af);
		}
		if (s->state == BGP_SESSION_ESTABLISHED)
			s->error[0] = 0;
		else
			forget_established(s);
	}
	json_object_put(root);
	return 0;
}

/* ---- one neighbour ---- */

/* Strings from bgpd, or from a router behind it: made printable, and cut. */
static void set_text(char *out, size_t size, const char *a, const char *b)
{
	snprintf(out, size, "%s%s", a, b);
	for (char *p = out; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

/* Which side's number is wrong, and which number it is: bgpd does not say what the router sent. */
static void add_as_numbers(struct json_object *o, const char *why, bool received,
                           struct bgp_session *s)
{
	char words[96];
	size_t len = strlen(s->error);

	if (!why || !strstr(why, "Bad Peer AS"))
		return;
	if (received)
		snprintf(words, sizeof(words), "; it expects another AS number than our %lld",
		         (long long)integer(o, "localAs"));
	else
		snprintf(words, sizeof(words),
		         "; the router's AS number is not the %lld of the configuration",
		         (long long)integer(o, "remoteAs"));
	set_text(s->error + len, sizeof(s->error) - len, words, "");
}

static void add_words(const char *words, struct bgp_session *s)
{
	size_t len = strlen(s->error);

	if (*words)
		set_text(s->error + len, sizeof(s->error) - len, len ? "; " : "", words);
}

static void read_error(struct json_object *o, const char *contact, const char *hint,
                       struct bgp_session *s)
{
	const char *due = string(o, "lastResetDueTo");
	const char *why = string(o, "lastNotificationReason");
	struct json_object *shut = member(o, "adminShutDown", json_type_boolean);

	s->error[0] = 0;
	/*
	 * What bgpd reports for a new neighbour, before we activate it; for one that is connecting
	 * it is no longer true.
	 */
	if (due && !strcmp(due, "No AFI/SAFI activated for peer") &&
	    (s->state == BGP_SESSION_CONNECT || s->state == BGP_SESSION_ACTIVE))
		due = NULL;
	if (shut && json_object_get_boolean(shut)) {
		s->state = BGP_SESSION_SHUTDOWN;
		set_text(s->error, sizeof(s->error), "shut down by hand in bgpd", "");
	} else if (why && due && strstr(due, "received")) {
		set_text(s->error, sizeof(s->error), "the router said: ", why);
	} else if (why) {
		set_text(s->error, sizeof(s->error), "bgpd said to the router: ", why);
	} else if (due) {
		set_text(s->error, sizeof(s->error), "", due);
	}
	add_as_numbers(o, why, due && strstr(due, "received"), s);
	bool tries = s->state == BGP_SESSION_CONNECT || s->state == BGP_SESSION_ACTIVE;
	if (tries)
		add_words(contact, s);
	if (!s->error[0])
		add_words("the router does not answer", s);
	if (tries)
		add_words(hint, s);
}

/*
 * Whether a router can send packets to it: not ::, ::ffff:…, or fe80:…, which goes along with a
 * global one only.
 */
static bool is_usable_next_hop6(const char *text)
{
	struct in6_addr a;

	return text && inet_pton(AF_INET6, text, &a) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&a) &&
	       !IN6_IS_ADDR_V4MAPPED(&a) && !IN6_IS_ADDR_LINKLOCAL(&a);
}

static void read_established(struct json_object *o, struct bgp_session *s)
{
	const char *global = string(o, "nexthopGlobal");

	s->lacks_next_hop6 = s->address.family == 4 && global && !is_usable_next_hop6(global);
	s->hold_ms = integer(o, "bgpTimerConfiguredHoldTimeMsecs");
	s->session_hold_ms = integer(o, "bgpTimerHoldTimeMsecs");
	if (!s->began_hold_ms)
		s->began_hold_ms = s->hold_ms;
}

bool bgp_session_hold_waits(const struct bgp_session *s)
{
	/* The session uses the shorter of both ends' times. */
	return s->state == BGP_SESSION_ESTABLISHED && s->hold_ms &&
	       (s->hold_ms != s->began_hold_ms || s->hold_ms < s->session_hold_ms);
}

int bgp_session_read_neighbor(const char *json, size_t size, const char *contact, const char *hint,
                              struct bgp_session *s)
{
	struct json_object *root, *o;
	int r = parse(json, size, &root);

	if (r)
		return r;
	o = member(root, addr_str(&s->address), json_type_object);
	if (!o) {
		json_object_put(root);
		return -EINVAL;
	}
	const char *bfd = string(member(o, "peerBfdInfo", json_type_object), "status");
	set_text(s->bfd, sizeof(s->bfd), bfd ? bfd : "", "");
	if (s->state != BGP_SESSION_ESTABLISHED)
		read_error(o, contact, hint, s);
	else
		read_established(o, s);
	json_object_put(root);
	return 0;
}
