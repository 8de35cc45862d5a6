/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With IPVS.  The first packet of a connection is judged in the nat chains, as without; if it goes
 * to a set that IPVS picks from, the connection gets our bit.  The connection's packets, and what
 * is related to them, get a mark as they come in, by which a routing rule delivers them to this
 * node, where IPVS is.  Only just before that the whole mark is the virtual server's, since
 * whatever others have for incoming packets must not take its bits for theirs.  IPVS finds known
 * connections by their addresses, so that those live on whatever became of their ways.  A flow of
 * UDP must not; where nobody may answer it any more its connection gets a mark of its own, by which
 * it is refused before IPVS sees it (conntrack.h).
 *
 * What IPVS sends on passes the output hook from its beginning, with the mark still on; what it
 * leaves to this node itself goes on to the next chains of the same hook.  There it still has the
 * route to where it was sent first, which the loss of its mark in a chain of type route corrects.
 */
#include "config.h"

#include "proxy/nftables/frame_private.h"

#include "fairlead/mem.h"
#include "proxy/conntrack.h"
#include "proxy/ipvs/routing.h"

/* Where things are in registers. */
enum { REG_MARK = 9 };

uint32_t frame_virtual_mark(const struct frame *f, uint32_t set)
{
	return set | f->mark;
}

uint32_t frame_virtual_set(const struct frame *f, uint32_t mark)
{
	return mark & ~f->mark;
}

uint32_t frame_masquerade_bit(const struct frame *f)
{
	return f->mark << 1 ? f->mark << 1 : f->mark >> 1;
}

/* Finishes translating, with nothing changed, so that no rule of others translates it. */
static void put_virtual(struct frame_scribe *s)
{
	struct rule *r = frame_rule_begin(s);

	rule_set_connection_mark(r, s->f->mark, true);
	rule_keep_destination(r);
	frame_rule_end(s, FRAME_VIRTUAL, "IPVS picks");
}

/*
 * Begins a rule for what goes to an endpoint, not for answers.  Mode iptables has the bit for
 * connections that it translates itself, and these outlive it.
 */
static void put_known(struct frame_scribe *s)
{
	struct rule *r = frame_rule_begin(s);

	rule_is_reply(r, false);
	rule_has_connection_mark(r, s->f->mark);
	rule_is_untranslated(r);
}

static void put_to_ipvs(struct frame_scribe *s)
{
	put_known(s);
	rule_write_mark(&s->r, routing_mark(s->f->mark));
	frame_rule_end(s, "to-ipvs", "");
}

/*
 * Before any routing, which must not lead it back.  What IPVS has sent on is no packet for a
 * Service any more, so that `schedule` finds nothing for it.
 */
static void put_from_ipvs(struct frame_scribe *s)
{
	static const char chain[] = "from-ipvs";
	struct rule *r;

	if (s->f->clamp_mss) {
		rule_has_mark(frame_rule_begin(s), s->f->mark);
		frame_put_clamp(s, chain);
	}
	r = frame_rule_begin(s);
	rule_has_mark(r, s->f->mark);
	rule_clear_mark(r);
	frame_rule_end(s, chain, "");
}

static void put_deserted(struct frame_scribe *s, const char *chain)
{
	struct rule *r = frame_rule_begin(s);

	rule_is_reply(r, false);
	rule_connection_mark_is(r, conntrack_refusal(s->f->mark));
	rule_goto(r, FRAME_REJECT);
	frame_rule_end(s, chain, "nothing leads there any more");
}

static void put_before(struct frame_scribe *s)
{
	static const char output[] = "before-ipvs-output";

	put_deserted(s, "before-ipvs-input");
	put_deserted(s, output);
	rule_has_mark(frame_rule_begin(s), s->f->mark);
	rule_goto(&s->r, FRAME_SCHEDULE);
	frame_rule_end(s, "before-ipvs-input", "");
	put_known(s);
	rule_jump(&s->r, FRAME_SCHEDULE);
	frame_rule_end(s, output, "");
	if (!s->f->counts)
		return;
	rule_has_mark(frame_rule_begin(s), s->f->mark);
	rule_goto(&s->r, FRAME_COUNTING);
	frame_rule_end(s, output, "");
}

static void put_after(struct frame_scribe *s, const char *chain)
{
	struct rule *r = frame_rule_begin(s);

	rule_has_mark(r, s->f->mark);
	rule_destination_is_local(r, false);
	rule_drop(r);
	frame_rule_end(s, chain, "IPVS left it");
	r = frame_rule_begin(s);
	rule_has_mark(r, s->f->mark);
	rule_clear_mark(r);
	frame_rule_end(s, chain, "");
}

/* By whichever map it came. */
static void put_marks(struct frame_scribe *s, enum frame_side side)
{
	enum frame_map by[FRAME_WAY_MAPS];
	size_t n = frame_way_maps(side, by);

	for (size_t i = 0; i < n; i++) {
		struct rule *r = frame_rule_begin(s);
		unsigned int way = frame_load_way(r, by[i]);
		rule_load_masked(r, way, REG_MARK, FRAME_WAY_SET);
		rule_put_mark(r, REG_MARK, s->f->mark);
		rule_return(r);
		frame_rule_end(s, frame_marks[side], "");
	}
}

void frame_put_virtual_rules(struct frame_scribe *s)
{
	static const char *const marks[TRAFFIC_ORIGINS] = {
		[TRAFFIC_POD] = "near-marks",
		[TRAFFIC_NODE] = "near-marks",
		[TRAFFIC_OUTSIDE] = "outside-marks",
	};

	put_virtual(s);
	put_to_ipvs(s);
	put_from_ipvs(s);
	put_before(s);
	put_after(s, "after-ipvs-input");
	put_after(s, "after-ipvs-output");
	frame_put_origins(s, FRAME_SCHEDULE, marks);
	for (int i = 0; i < FRAME_SIDES; i++)
		put_marks(s, (enum frame_side)i);
}
