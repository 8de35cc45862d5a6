/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule that refuses only some packets is somebody's wish about these and not a finding, as in
 * iptables' chains (path.c).  So of each rule it counts whether all packets of ours come to its
 * verdict, or some may.
 */
#include "config.h"

#include "proxy/passage.h"

#include <stdlib.h>

#include "fairlead/mem.h"

enum end { END_NONE, END_ACCEPTED, END_REFUSED };

struct walk {
	passage_read_fn *read;
	void *arg;
	bool drops;
	int error;
	size_t n_visits;
	bool maybe; /* some packets may have got through, or away, before */
};

void passage_add(struct passage_rules *r, const struct ruleset_rule *rule)
{
	if (rule->when == RULESET_NEVER || rule->verdict == RULESET_NONE ||
	    (rule->when == RULESET_SOMETIMES && rule->verdict == RULESET_REFUSE))
		return;
	if (r->n >= PASSAGE_MAX_RULES) {
		r->beyond = true;
		return;
	}
	ARRAY_RESERVE(r->list, r->cap, r->n + 1);
	r->list[r->n++] = *rule;
}

static enum end walk(struct walk *w, const char *chain, unsigned int depth);

/* What a rule does with the packets that reach it; *ret_over: none goes on to the next rule. */
static enum end apply(struct walk *w, const struct ruleset_rule *rule, unsigned int depth,
                      bool *ret_over)
{
	bool always = rule->when == RULESET_ALWAYS;
	enum end end = END_NONE;

	*ret_over = always;
	switch (rule->verdict) {
	case RULESET_ACCEPT:
		w->maybe = w->maybe || !always;
		return END_ACCEPTED;
	case RULESET_REFUSE:
		return END_REFUSED;
	case RULESET_RETURN:
		/* From a base chain, to its policy. */
		w->maybe = w->maybe || (!always && (depth > 0 || !w->drops));
		return END_NONE;
	case RULESET_JUMP:
	case RULESET_GOTO:
		end = walk(w, rule->target, depth + 1);
		if (!always)
			w->maybe = w->maybe || end == END_ACCEPTED ||
			           (rule->verdict == RULESET_GOTO && end == END_NONE);
		*ret_over = always && (end != END_NONE || rule->verdict == RULESET_GOTO);
		return end;
	case RULESET_ANY:
		w->maybe = true;
		*ret_over = false;
		return END_NONE;
	case RULESET_NONE:
		break;
	}
	*ret_over = false;
	return END_NONE;
}

static enum end walk(struct walk *w, const char *chain, unsigned int depth)
{
	struct passage_rules r = { .n = 0 };
	enum end end = END_NONE;
	bool over = false;

	if (depth > PASSAGE_MAX_DEPTH || ++w->n_visits > PASSAGE_MAX_VISITS) {
		w->maybe = true;
		return END_NONE;
	}
	int error = w->read(chain, &r, w->arg);
	if (error < 0)
		w->error = error;
	w->maybe = w->maybe || r.beyond;
	for (size_t i = 0; i < r.n && !over && w->error == 0; i++)
		end = apply(w, &r.list[i], depth, &over);
	free(r.list);
	return over ? end : END_NONE;
}

/*
 * Whether some chain of the table lets all connections of ours through: those that maps lead to are
 * not followed.
 */
static bool accepts_ours(struct walk *w)
{
	struct passage_rules r = { .n = 0 };
	bool found = false;
	int error = w->read(NULL, &r, w->arg);

	if (error < 0)
		w->error = error;
	for (size_t i = 0; i < r.n && !found; i++)
		found = r.list[i].is_for_ours && r.list[i].when == RULESET_ALWAYS &&
		        r.list[i].verdict == RULESET_ACCEPT;
	free(r.list);
	return found;
}

int passage_judge(const char *chain, bool drops, passage_read_fn *read, void *arg,
                  enum proxy_passage *ret_passage)
{
	struct walk w = { .read = read, .arg = arg, .drops = drops };
	enum end end = walk(&w, chain, 0);
	enum proxy_passage passage = PROXY_PASSES;

	if (end == END_NONE)
		end = drops ? END_REFUSED : END_ACCEPTED;
	if (end == END_REFUSED && !w.maybe)
		passage = PROXY_REFUSED;
	else if (end == END_REFUSED && !accepts_ours(&w))
		passage = PROXY_UNCERTAIN;
	if (w.error == 0)
		*ret_passage = passage;
	return w.error;
}
