/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_ORDER_H
#define FAIRLEAD_PROXY_NFTABLES_ORDER_H

/*
 * Which endpoint of a set has which index: those that stay keep theirs as far as the set's size
 * allows, so that a change writes as many elements as there are changes.  Pure.
 */

#include <stddef.h>

#include "fairlead/proxy.h"

/*
 * @have: by index.  @want: in any order, each once.  @ret has room for @n_want, and gets indices
 * into @want.
 */
void order_endpoints(const struct proxy_endpoint *have, size_t n_have,
                     const struct proxy_endpoint *want, size_t n_want, size_t *ret);

#endif
