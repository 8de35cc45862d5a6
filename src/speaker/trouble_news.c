/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/trouble_news.h"

#include <stdio.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

struct key {
	enum reason reason;
	char interface[sizeof(((struct l2_trouble *)NULL)->interface)];
};

static struct key key_of(const struct l2_trouble *trouble)
{
	struct key key;

	memset(&key, 0, sizeof(key));
	key.reason = trouble->reason;
	snprintf(key.interface, sizeof(key.interface), "%s", trouble->interface);
	return key;
}

struct listener {
	news_tell *tell;
	void *arg;
};

static void over(const void *key, void *arg)
{
	const struct key *k = key;
	const struct listener *l = arg;
	cleanup(buf_fini) struct buf note = BUF_INIT;

	if (*k->interface)
		buf_printf(&note, "%s: ", k->interface);
	buf_printf(&note, "%s is over", reason_name(k->reason));
	l->tell(REASON_TroubleOver, buf_str(&note), l->arg);
	log_info("a layer-2 problem is over", KV_S("reason", reason_name(k->reason)),
	         KV_S("interface", k->interface));
}

static void tell_of(const struct l2_trouble *trouble, news_tell *tell, void *arg)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;

	if (*trouble->interface)
		buf_printf(&note, "%s: ", trouble->interface);
	buf_puts(&note, trouble->message);
	tell(trouble->reason, buf_str(&note), arg);
	log_warn("layer-2 problem", KV_S("reason", reason_name(trouble->reason)),
	         KV_S("interface", trouble->interface), KV_S("message", trouble->message));
}

void trouble_news_look(struct lasting *known, const struct l2_trouble *list, size_t n,
                       struct budget *budget, int64_t now_ms, news_tell *tell, void *arg)
{
	for (size_t i = 0; i < n; i++) {
		const struct key key = key_of(&list[i]);
		struct lasting_state *s = lasting_see(known, &key, sizeof(key), now_ms);
		if (lasting_is_due(s, NEWS_LASTS_MS, budget, now_ms))
			tell_of(&list[i], tell, arg);
	}
	lasting_forget(known, NEWS_LASTS_MS, TROUBLE_FORGET_MS, now_ms, over,
	               &(struct listener){ tell, arg });
}
