/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/trouble_news.h"

#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

struct known {
	enum reason reason;
	char interface[sizeof(((struct l2_trouble *)NULL)->interface)];
	int64_t since_ms, seen_ms;
	bool told;
};

struct trouble_news {
	struct known *list;
	size_t n, cap;
};

struct trouble_news *trouble_news_new(void)
{
	return xcalloc(1, sizeof(struct trouble_news));
}

void trouble_news_free(struct trouble_news *t)
{
	if (!t)
		return;
	free(t->list);
	free(t);
}

static struct known *known_of(struct trouble_news *t, const struct l2_trouble *trouble,
                              int64_t now_ms)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->list[i].reason == trouble->reason &&
		    !strcmp(t->list[i].interface, trouble->interface))
			return &t->list[i];
	ARRAY_RESERVE(t->list, t->cap, t->n + 1);
	struct known *k = &t->list[t->n++];
	*k = (struct known){ .reason = trouble->reason, .since_ms = now_ms };
	memcpy(k->interface, trouble->interface, sizeof(k->interface));
	return k;
}

static void forget(struct trouble_news *t, int64_t now_ms)
{
	for (size_t i = t->n; i-- > 0;) {
		struct known *k = &t->list[i];
		if (k->seen_ms == now_ms)
			continue;
		if (now_ms - k->seen_ms >= (k->told ? TROUBLE_FORGET_MS : NEWS_LASTS_MS)) {
			if (k->told)
				log_info("a layer-2 problem is over",
				         KV_S("reason", reason_name(k->reason)),
				         KV_S("interface", k->interface));
			*k = t->list[--t->n];
		}
	}
}

void trouble_news_look(struct trouble_news *t, const struct l2_trouble *list, size_t n,
                       struct news *news, int64_t now_ms, news_tell *tell, void *arg)
{
	for (size_t i = 0; i < n; i++) {
		cleanup(buf_fini) struct buf note = BUF_INIT;
		struct known *k = known_of(t, &list[i], now_ms);
		k->seen_ms = now_ms;
		if (k->told || now_ms - k->since_ms < NEWS_LASTS_MS || !news_allow(news, now_ms))
			continue;
		k->told = true;
		if (*list[i].interface)
			buf_printf(&note, "%s: ", list[i].interface);
		buf_puts(&note, list[i].message);
		tell(k->reason, buf_str(&note), arg);
		log_warn("layer-2 problem", KV_S("reason", reason_name(k->reason)),
		         KV_S("interface", k->interface), KV_S("message", list[i].message));
	}
	forget(t, now_ms);
}
