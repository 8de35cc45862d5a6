/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failover and layer2-timing: how fast a dead node is noticed.  The three numbers hang together (a
 * probe must be answered within its time on a machine that is as busy as the multiplier allows
 * for), so there are names for sets of them that were tried together; single numbers are for those
 * who have measured their own network.
 */
#include "config.h"

#include "config/parse.h"

#include <string.h>

#include "fairlead/mem.h"

/* Below this a process that the scheduler lets wait may count as dead. */
#define BRISK_MS 80

const char *const failover_words[] = {
	[FAILOVER_NORMAL] = "normal",
	[FAILOVER_FAST] = "fast",
	[FAILOVER_CALM] = "calm",
	NULL,
};
static const struct config_layer2_timing sets[] = {
	[FAILOVER_NORMAL] = { .heartbeat_ms = 70, .multiplier = 5, .probe_ms = 25 },
	[FAILOVER_FAST] = { .heartbeat_ms = 20, .multiplier = 4, .probe_ms = 15 },
	[FAILOVER_CALM] = { .heartbeat_ms = 250, .multiplier = 4, .probe_ms = 100 },
};

struct config_layer2_timing config_failover_timing(enum failover f)
{
	return sets[f];
}

void parse_failover(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	const char *s = schema_text(x, node);

	int i = s ? schema_word_index(failover_words, s) : -1;

	if (i >= 0)
		d->config->failover = (enum failover)i;
	else if (s)
		schema_error(x, node->line,
		             "invalid failover \"%.64s\": write fast, normal or calm", s);
}

void print_failover(struct out *o, const struct schema_key *key, const void *config)
{
	const struct configuration *c = config;

	out_str(o, key->name, failover_words[c->failover]);
}

static const struct schema_key timing_keys[] = {
	{ .name = "heartbeat",
	  .type = &schema_int,
	  .min = 10,
	  .max = 1000,
	  .unit = "milliseconds, such as 70",
	  .invalid = "invalid heartbeat interval",
	  SCHEMA_FIELD(struct config_layer2_timing, heartbeat_ms),
	  .otherwise = "that of `failover`",
	  .doc = "Milliseconds between two heartbeats of a node." },
	{ .name = "multiplier",
	  .type = &schema_int,
	  .min = 3,
	  .max = 50,
	  .invalid = "invalid multiplier",
	  SCHEMA_FIELD(struct config_layer2_timing, multiplier),
	  .otherwise = "that of `failover`",
	  .doc = "A node is dead after so many intervals without a heartbeat." },
	{ .name = "probe",
	  .type = &schema_int,
	  .min = 10,
	  .max = 1000,
	  .unit = "milliseconds, such as 25",
	  .invalid = "invalid time for a probe",
	  SCHEMA_FIELD(struct config_layer2_timing, probe_ms),
	  .otherwise = "that of `failover`",
	  .doc = "Milliseconds within which an owner that is still there answers the probe before a "
	         "takeover." },
};

const struct schema_table timing_table = SCHEMA_TABLE("layer2-timing", timing_keys);

void parse_layer2_timing(struct schema_ctx *x, const struct ynode *node, struct draft *d)
{
	struct config_layer2_timing *t = &d->config->layer2_timing;

	if (!schema_read(x, &timing_table, node, t))
		return;
	fill_layer2_timing(d->config);
	int dead_ms = t->heartbeat_ms * t->multiplier;
	if (dead_ms < BRISK_MS)
		schema_warning(
			x, node->line,
			"a node counts as dead after %d ms, for which a busy machine may let it "
			"wait; %d ms are the least that was tried",
			dead_ms, BRISK_MS);
}

void fill_layer2_timing(struct configuration *c)
{
	const struct config_layer2_timing *set = &sets[c->failover];
	struct config_layer2_timing *t = &c->layer2_timing;

	if (!t->heartbeat_ms)
		t->heartbeat_ms = set->heartbeat_ms;
	if (!t->multiplier)
		t->multiplier = set->multiplier;
	if (!t->probe_ms)
		t->probe_ms = set->probe_ms;
}
