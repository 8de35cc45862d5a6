/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_DECIDE_PRIVATE_H
#define FAIRLEAD_DECIDE_PRIVATE_H

/* What the files of this room share. */

#include "fairlead/decide.h"

/*
 * What keeps the node from announcing anything; REASON_Candidate: nothing.  @n: NULL if the API
 * server has no such Node.
 */
enum reason decide_node_itself(const struct view *v, const struct view_node *n);

/* Sets has_endpoint and has_ready. */
void decide_count_endpoints(struct decision *d);

#endif
