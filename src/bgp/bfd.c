/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgp/bfd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "bgp/client.h"
#include "bgp/vty.h"
#include "fairlead/hash.h"
#include "fairlead/mem.h"

#define BFD_RESYNC_S 60
#define BFD_RETRY_S 5

enum { TAG_ENTER = 1, TAG_RUNNING, TAG_SET };

/* The values of a profile; bfdd's words for them. */
static const struct {
	const char *word;
	size_t offset;
} values[] = {
	{ "detect-multiplier", offsetof(struct bgp_bfd_profile, detect_multiplier) },
	{ "transmit-interval", offsetof(struct bgp_bfd_profile, transmit_ms) },
	{ "receive-interval", offsetof(struct bgp_bfd_profile, receive_ms) },
	{ "echo transmit-interval", offsetof(struct bgp_bfd_profile, echo_transmit_ms) },
	{ "echo receive-interval", offsetof(struct bgp_bfd_profile, echo_receive_ms) },
	{ "minimum-ttl", offsetof(struct bgp_bfd_profile, minimum_ttl) },
};

static uint32_t value_of(const struct bgp_bfd_profile *p, size_t i)
{
	return *(const uint32_t *)((const char *)p + values[i].offset);
}

/* ---- state ---- */

void bgp_bfd_state_fini(struct bgp_bfd_state *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].name);
	free(s->v);
	*s = (struct bgp_bfd_state){ 0 };
}

static void state_add(struct bgp_bfd_state *s, const struct bgp_bfd_profile *p)
{
	ARRAY_RESERVE(s->v, s->cap, s->n + 1);
	s->v[s->n] = *p;
	s->v[s->n++].name = xstrdup(p->name);
}

static const struct bgp_bfd_profile *find(const struct bgp_bfd_state *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

static void read_value(struct bgp_bfd_profile *p, const char *line)
{
	if (!strcmp(line, "passive-mode"))
		p->passive = true;
	if (!strcmp(line, "echo-mode"))
		p->echo = true;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		size_t len = strlen(values[i].word);
		if (!strncmp(line, values[i].word, len) && line[len] == ' ')
			*(uint32_t *)((char *)p + values[i].offset) =
				(uint32_t)strtoul(line + len + 1, NULL, 10);
	}
}

void bgp_bfd_parse(const char *text, size_t size, struct bgp_bfd_state *ret_state)
{
	static const char ours[] = "profile " BGP_MAP_PREFIX;
	struct bgp_bfd_state s = { 0 };
	cleanup_free char *copy = xstrndup(text, size);
	bool in_bfd = false, in_profile = false;
	char *save;

	for (char *l = strtok_r(copy, "\r\n", &save); l; l = strtok_r(NULL, "\r\n", &save)) {
		size_t indent = strspn(l, " ");
		const char *line = l + indent;
		if (*line == '!' || *line == 0 || vty_check(line, NULL))
			continue;
		if (indent == 0) {
			in_bfd = !strcmp(line, "bfd");
			in_profile = false;
		} else if (in_bfd && indent == 1) {
			in_profile = !strncmp(line, ours, strlen(ours)) &&
			             strlen(line) < 2 * BGP_NAME_MAX && s.n < BGP_BFD_PROFILES_MAX;
			if (in_profile) {
				ARRAY_RESERVE(s.v, s.cap, s.n + 1);
				bgp_bfd_profile_init(&s.v[s.n++], line + strlen("profile "));
			}
		} else if (in_profile) {
			read_value(&s.v[s.n - 1], line);
		}
	}
	*ret_state = s;
}

static void say(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
	buf_putc(b, 0);
}

static void diff_profile(const struct bgp_bfd_profile *want, const struct bgp_bfd_profile *have,
                         struct buf *b)
{
	struct bgp_bfd_profile fresh;
	bool is_new = !have;

	bgp_bfd_profile_init(&fresh, want->name);
	if (is_new)
		have = &fresh;
	size_t before = b->size;
	say(b, "profile %s", want->name);
	size_t entered = b->size;
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (value_of(want, i) != value_of(have, i))
			say(b, "%s %u", values[i].word, value_of(want, i));
	if (want->passive != have->passive)
		say(b, "%spassive-mode", want->passive ? "" : "no ");
	if (want->echo != have->echo)
		say(b, "%secho-mode", want->echo ? "" : "no ");
	if (b->size == entered && !is_new)
		b->size = before;
	free(fresh.name);
}

void bgp_bfd_diff(const struct bgp_bfd_state *want, const struct bgp_bfd_state *have,
                  struct buf *commands)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	for (size_t i = 0; i < want->n; i++)
		diff_profile(&want->v[i], find(have, want->v[i].name), &b);
	for (size_t i = 0; i < have->n; i++)
		if (!find(want, have->v[i].name))
			say(&b, "no profile %s", have->v[i].name);
	if (b.size) {
		say(commands, "bfd");
		buf_add(commands, b.data, b.size);
	}
}

/* ---- the engine ---- */

struct bgp_bfd {
	struct vty_client *client;
	struct event *ev_resync;
	struct bgp_bfd_state want, have;
	bool has_want, reading, known, in_sync;
	unsigned int under_way;
	/* their hash: what bfdd accepted but does not show is not repeated for ever */
	uint64_t last_commands;
	char error[256];
};

static void again_in(struct bgp_bfd *b, long seconds)
{
	event_add(b->ev_resync, &(struct timeval){ .tv_sec = seconds });
}

static void read_running(struct bgp_bfd *b)
{
	b->reading = true;
	b->known = false;
	vty_client_send(b->client, "end", VTY_WAIT, TAG_ENTER, NULL);
	vty_client_send(b->client, "configure terminal", VTY_WAIT, TAG_ENTER, NULL);
	vty_client_send(b->client, "do show running-config", VTY_WAIT, TAG_RUNNING, NULL);
}

static void step(struct bgp_bfd *b)
{
	cleanup(buf_fini) struct buf commands = BUF_INIT;

	if (!b->has_want || !b->known || b->reading || b->under_way)
		return;
	bgp_bfd_diff(&b->want, &b->have, &commands);
	uint64_t hash = commands.size ? hash64(commands.data, commands.size, 1) : 0;
	b->in_sync = hash == 0 || hash == b->last_commands;
	b->last_commands = hash;
	if (b->in_sync) {
		b->error[0] = 0;
		return;
	}
	for (size_t at = 0; at < commands.size; at += strlen(commands.data + at) + 1) {
		struct err e = ERR_INIT;
		const char *text = commands.data + at;
		bool enters = !strcmp(text, "bfd") || !strncmp(text, "profile ", 8);
		if (vty_client_send(b->client, text, enters ? VTY_WAIT : 0, TAG_SET, &e) == 0)
			b->under_way++;
		else
			snprintf(b->error, sizeof(b->error), "%s", e.msg);
	}
}

static void on_up(void *arg)
{
	read_running(arg);
}

static void on_set(struct bgp_bfd *b, uint8_t status, const char *text)
{
	b->under_way--;
	if (status != VTY_SUCCESS) {
		cleanup(buf_fini) struct buf words = BUF_INIT;
		vty_redact(text, &words);
		snprintf(b->error, sizeof(b->error), "bfdd refused: %s", buf_str(&words));
		vty_client_cancel(b->client);
		b->under_way = 0;
		b->last_commands = 0;
		again_in(b, BFD_RETRY_S);
	} else if (b->under_way == 0) {
		read_running(b);
	}
}

static void on_reply(uint32_t tag, uint8_t status, const char *text, size_t size, void *arg)
{
	struct bgp_bfd *b = arg;

	if (tag == TAG_RUNNING) {
		b->reading = false;
		if (status != VTY_SUCCESS) {
			snprintf(b->error, sizeof(b->error), "bfdd shows no configuration");
		} else {
			bgp_bfd_state_fini(&b->have);
			bgp_bfd_parse(text, size, &b->have);
			b->known = true;
		}
		again_in(b, BFD_RESYNC_S);
		step(b);
	} else if (tag == TAG_SET && b->under_way) {
		on_set(b, status, text);
	}
}

static void on_down(const struct err *e, void *arg)
{
	struct bgp_bfd *b = arg;

	snprintf(b->error, sizeof(b->error), "%s", e->msg);
	b->known = b->in_sync = b->reading = false;
	b->under_way = 0;
	b->last_commands = 0;
}

static void on_resync(evutil_socket_t fd, short what, void *arg)
{
	struct bgp_bfd *b = arg;

	(void)fd;
	(void)what;
	if (vty_client_is_up(b->client) && !b->reading && !b->under_way)
		read_running(b);
}

int bgp_bfd_start(struct event_base *base, const char *path, unsigned int timeout_ms,
                  struct bgp_bfd **ret_bfd, struct err *e)
{
	static const struct vty_client_ops ops = { on_up, on_reply, on_down };
	struct bgp_bfd *b = xcalloc(1, sizeof(*b));
	int r = vty_client_new(base, path, timeout_ms, &ops, b, &b->client, e);

	if (r) {
		free(b);
		return r;
	}
	b->ev_resync = event_new(base, -1, 0, on_resync, b);
	*ret_bfd = b;
	return 0;
}

void bgp_bfd_free(struct bgp_bfd *b)
{
	if (!b)
		return;
	vty_client_free(b->client);
	event_free(b->ev_resync);
	bgp_bfd_state_fini(&b->want);
	bgp_bfd_state_fini(&b->have);
	free(b);
}

void bgp_bfd_set(struct bgp_bfd *b, const struct bgp_bfd_profile *v, size_t n)
{
	bgp_bfd_state_fini(&b->want);
	for (size_t i = 0; i < n; i++)
		state_add(&b->want, &v[i]);
	b->has_want = true;
	b->in_sync = false;
	b->last_commands = 0;
	step(b);
}

bool bgp_bfd_in_sync(const struct bgp_bfd *b)
{
	return b->in_sync;
}

bool bgp_bfd_is_down(const struct bgp_bfd *b)
{
	return b->error[0] && !vty_client_is_up(b->client);
}

const char *bgp_bfd_error(const struct bgp_bfd *b)
{
	return b->error;
}
