/* SPDX-License-Identifier: Apache-2.0 */
/* One batch of the engine's commands on its way to bgpd. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bgp/engine.h"
#include "bgp/vty.h"
#include "fairlead/clock.h"
#include "fairlead/hash.h"
#include "fairlead/log.h"

uint64_t engine_script_hash(const struct bgp_script *s)
{
	uint64_t h = 0;

	for (size_t i = 0; i < s->n; i++)
		h = hash64_str(s->v[i].text, h);
	return s->n ? h : 0;
}

void engine_batch_send(struct bgp *b)
{
	struct err e;

	b->phase = ENGINE_APPLYING;
	b->answered = b->failures = 0;
	b->batch_start_ns = b->decided_ns ? b->decided_ns : clock_ns();
	b->decided_ns = 0;
	b->sent_ns = clock_ns();
	b->stats.batches++;
	for (size_t i = 0; i < b->script.n; i++) {
		const struct bgp_command *c = &b->script.v[i];
		if (vty_client_send(b->client, c->text, c->enters ? VTY_WAIT : 0,
		                    TAG_BATCH + (uint32_t)i, &e)) {
			vty_client_reset(b->client, &e);
			return;
		}
	}
}

/* If bgpd refuses a thousand networks, the first few say it all. */
#define REFUSALS_LOGGED 3

static void log_refusal(struct bgp *b, const struct bgp_command *c, uint8_t status,
                        const char *text)
{
	cleanup(buf_fini) struct buf command = BUF_INIT, words = BUF_INIT;

	vty_redact(c->text, &command);
	vty_redact(text, &words);
	while (words.size && strchr("? ", words.data[words.size - 1]))
		words.data[--words.size] = 0;
	if (b->failures < REFUSALS_LOGGED)
		log_warn("bgpd refused a command", KV_S("command", buf_str(&command)),
		         KV_S("status", vty_status_name(status)), KV_S("reply", buf_str(&words)));
	if (b->failures == 0)
		snprintf(b->error, sizeof(b->error), "bgpd refused `%s`: %s", buf_str(&command),
		         buf_str(&words));
}

static void take_refusal(struct bgp *b, const struct bgp_command *c, uint8_t status,
                         const char *text)
{
	log_refusal(b, c, status, text);
	b->failures++;
	b->instance_stays |= !strncmp(c->text, "no router bgp", 13);
}

static enum batch_outcome over(const struct bgp *b)
{
	if (b->failures > REFUSALS_LOGGED)
		log_warn("bgpd refused more commands",
		         KV_I("more", (long long)b->failures - REFUSALS_LOGGED));
	return BATCH_IS_OVER;
}

static void forget_the_rest(struct bgp *b)
{
	vty_client_cancel(b->client);
	sessions_forget_questions(b->sessions);
}

/*
 * A busy bgpd may take minutes for a large batch: meanwhile something else may be wanted, and a
 * withdrawal must not wait behind additions.
 */
static bool gives_way(const struct bgp *b)
{
	return b->generation != b->batch_generation &&
	       clock_ns() - b->sent_ns > (int64_t)BGP_BATCH_MS * 1000000;
}

enum batch_outcome engine_batch_reply(struct bgp *b, size_t i, uint8_t status, const char *text)
{
	const struct bgp_command *c = &b->script.v[i];
	bool missing = c->removes && status == VTY_CONFIG_FAILED;

	b->stats.commands++;
	b->answered++;
	if (status == VTY_SUCCESS)
		b->node = c->node;
	else if (!missing)
		take_refusal(b, c, status, text);
	if (c->enters && status != VTY_SUCCESS && !missing) {
		/* The commands that follow were meant for another node. */
		forget_the_rest(b);
		return over(b);
	}
	if (i + 1 == b->script.n)
		return over(b);
	if (!gives_way(b))
		return BATCH_GOES_ON;
	forget_the_rest(b);
	return BATCH_GIVES_WAY;
}
