/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_NFT_STATE_H
#define FAIRLEAD_TESTS_NFT_STATE_H

/*
 * What the elements in a made-up kernel (nft_kernel.h) come to, and what they should, from the plan
 * of each Service: as lines that name no number that was chosen.
 */

#include "nft_kernel.h"
#include "proxy/nftables/plan.h"
#include "proxy/spec.h"

/* Fails the test unless whatever is in the kernel leads to what is there. */
void nft_state_check(void);
/* Lines, sorted; to be freed. */
char *nft_state_of_kernel(void);
/* @list: sorted by key; NULL for one that there is not. */
char *nft_state_wanted(uint8_t family, const struct traffic_node *node, struct spec *const *list,
                       size_t n);
/* The line of a cluster IP's port in the kernel; "" if there is none; to be freed. */
char *nft_state_of_address(const struct addr *a, uint8_t proto, uint16_t port);

#endif
