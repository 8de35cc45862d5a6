/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set's chain has a rule for each endpoint, and what leaves by one of them is a connection; its
 * first rule's comment names the Service.  The rules that mark packets lead back into it.
 */
#include "config.h"

#include "proxy/iptables/hits.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "proxy/child.h"
#include "proxy/tally.h"

#define HITS_PROGRAM_MS 60000

struct hits {
	struct event_base *base;
	const struct variant *v;
	uint8_t family;
	const struct hits_ops *ops;
	void *arg;
	struct child *child;
	int64_t begun_ms, next_ms;
	struct hits_text text;
};

/* ---- the text ---- */

static void end_chain(struct hits_text *t)
{
	if (*t->chain && *t->service)
		t->ops->counted(t->chain, t->service, t->packets, t->bytes, t->arg);
	t->chain[0] = t->service[0] = '\0';
	t->packets = t->bytes = 0;
}

/* "0123456789abcdef/3 namespace/name:port" */
static void note_service(struct hits_text *t, const char *rule)
{
	static const char option[] = "--comment \"";
	const char *comment = strstr(rule, option), *label;
	uint64_t hash;
	size_t n;

	if (!comment || chain_parse_comment(comment + strlen(option), &hash, &n) < 0)
		return;
	label = strchr(comment + strlen(option), ' ');
	size_t len = label ? strcspn(label + 1, ":\"") : 0;
	if (len > 0 && len < sizeof(t->service))
		snprintf(t->service, sizeof(t->service), "%.*s", (int)len, label + 1);
}

static bool leads_to_endpoint(const char *rule)
{
	for (const char *p = rule; *p; p = chain_next_argument(p))
		if (!strncmp(p, "-j ", 3))
			return !strncmp(p + 3, "DNAT ", 5) || !strncmp(p + 3, "FL-P-", 5);
	return false;
}

static void one_rule(struct hits_text *t, uint64_t packets, uint64_t bytes, const char *rule)
{
	size_t len = strcspn(rule, " ");

	if ((strncmp(rule, "FL-C-", 5) != 0 && strncmp(rule, "FL-L-", 5) != 0) ||
	    len >= sizeof(t->chain)) {
		end_chain(t);
		return;
	}
	if (strncmp(t->chain, rule, len) != 0 || t->chain[len]) {
		end_chain(t);
		memcpy(t->chain, rule, len);
		t->chain[len] = '\0';
	}
	if (!*t->service)
		note_service(t, rule);
	if (!leads_to_endpoint(rule))
		return;
	t->packets += packets;
	t->bytes += bytes;
}

/* "[12:720] -A FL-C-ABC …" */
static void one_line(struct hits_text *t)
{
	unsigned long long packets, bytes;
	int n = 0;

	if (sscanf(t->line, "[%llu:%llu] -A %n", &packets, &bytes, &n) == 2 && n > 0)
		one_rule(t, packets, bytes, t->line + n);
	else
		end_chain(t);
}

void hits_text_feed(struct hits_text *t, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n') {
			t->line[t->len] = '\0';
			one_line(t);
			t->len = 0;
		} else if (t->len < sizeof(t->line) - 1) {
			t->line[t->len++] = data[i];
		}
	}
}

void hits_text_end(struct hits_text *t)
{
	end_chain(t);
	t->len = 0;
}

/* ---- the program ---- */

static void on_output(const char *data, size_t size, void *arg)
{
	struct hits *h = arg;

	hits_text_feed(&h->text, data, size);
}

static void on_done(const struct child_result *r, void *arg)
{
	struct hits *h = arg;
	int64_t now = clock_ms(), gap = TALLY_GAPS * (now - h->begun_ms);

	h->child = NULL;
	h->next_ms = now + (gap > HITS_GAP_MS ? gap : HITS_GAP_MS);
	hits_text_end(&h->text);
	if (r->exited && r->code == 0)
		h->ops->done(h->arg);
}

bool hits_read(struct hits *h)
{
	static const struct child_ops ops = { .output = on_output, .done = on_done };

	const char *const argv[] = { h->v->save[variant_index(h->family)], "-c", "-t", "nat",
		                     NULL };

	if (h->child || clock_ms() < h->next_ms)
		return false;
	h->text = (struct hits_text){ .ops = h->ops, .arg = h->arg };
	h->begun_ms = clock_ms();
	return child_start(h->base, argv, NULL, HITS_PROGRAM_MS, &ops, h, &h->child, NULL) == 0;
}

struct hits *hits_new(struct event_base *base, const struct variant *v, uint8_t family,
                      const struct hits_ops *ops, void *arg)
{
	struct hits *h = xcalloc(1, sizeof(*h));

	*h = (struct hits){ .base = base, .v = v, .family = family, .ops = ops, .arg = arg };
	return h;
}

void hits_free(struct hits *h)
{
	if (!h)
		return;
	child_abandon(h->child);
	free(h);
}
