/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_DIFF_H
#define FAIRLEAD_BGP_DIFF_H

/*
 * From what is wanted and what bgpd has to what it should have, and from there to commands.
 *
 * Two pure steps.  bgp_effective() takes others' rights into account (their instance, neighbours,
 * networks), so that its result is reachable without touching a line of theirs; bgp_diff() then is
 * a difference of two states of ours.
 */

#include "bgp/model.h"
#include "bgp/running.h"
#include "fairlead/reason.h"

/*
 * Where a connection stands; the parser of bgpd climbs from the inner ones to the outer ones by
 * itself.
 */
enum bgp_node { BGP_AT_CONFIG, BGP_AT_MAP, BGP_AT_BGP, BGP_AT_AF4, BGP_AT_AF6 };

struct bgp_command {
	char *text;
	enum bgp_node node; /* after it */
	bool enters;        /* later commands depend on it: wait for its reply, stop if it fails */
	bool removes;       /* a missing object counts as success */
	bool shown;         /* the running configuration says whether it was done */
};

struct bgp_script {
	struct bgp_command *v;
	size_t n, cap;
	enum bgp_node node; /* at the end */
};
void bgp_script_fini(struct bgp_script *s);
/* The first command whose effect the running configuration is sure to show, or NULL. */
const struct bgp_command *bgp_script_shown(const struct bgp_script *s);

struct bgp_verdict {
	enum reason reason; /* REASON_Announced: nothing is in the way */
	char message[256];
	/*
	 * If something is: networks that lead to an address wanted here stay too; NULL: only those
	 * of a wanted prefix stay.
	 */
	const struct bgp_want *leads;
};

/*
 * Whether we may use the existing instance.  @shared: others' neighbours without an outbound policy
 * are no obstacle.
 */
struct bgp_verdict bgp_judge(const struct bgp_state *want, const struct bgp_have *have,
                             bool shared);
/*
 * Whether there are peers, but every one waits for its password, and bgpd has a neighbour of ours
 * for none of them.
 */
bool bgp_only_waits(const struct bgp_state *want, const struct bgp_have *have);
/*
 * The part of @want that can be applied.  If the verdict is against us nothing is added, but what
 * is no longer wanted still goes.  Unused classes stay unless @collect.
 */
void bgp_effective(const struct bgp_state *want, const struct bgp_have *have,
                   const struct bgp_verdict *verdict, bool collect, struct bgp_state *ret_state);
/*
 * The commands from @have to @to, for a connection that stands at @node: withdrawals first, then
 * classes, the instance, networks, neighbours, and last the deletion of what is unused.
 * @keep_instance: others have lines in the instance, so it stays when our part is to go.
 */
void bgp_diff(const struct bgp_state *to, const struct bgp_state *have, bool keep_instance,
              enum bgp_node node, struct bgp_script *ret_script);

#endif
