/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_IPTABLES_SHOW_H
#define FAIRLEAD_PROXY_IPTABLES_SHOW_H

/* What a node without any rules would be given for these Services, for people: pure text. */

#include <stddef.h>

#include "fairlead/buf.h"
#include "proxy/iptables/render.h"

/*
 * As iptables-restore reads it: what stands first in each table is what packets meet first, and
 * before the rules of a Service stands a comment with its key.  @halves are of the options' family,
 * in any order; the text is the same for any.
 */
void show(const struct render_options *o, const struct proxy_half *const *halves, size_t n,
          struct buf *ret_text);

#endif
