/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_RULE_PRIVATE_H
#define FAIRLEAD_PROXY_NFTABLES_RULE_PRIVATE_H

/*
 * The expressions that rules have most of: rule.c puts rules together, conditions.c has what they
 * ask of a packet.
 */

#include "proxy/nftables/rule.h"

struct nftnl_expr;

/* As the kernel numbers registers. */
uint32_t rule_reg(unsigned int reg);
/* To be filled and added. */
struct nftnl_expr *rule_expression(const char *name);
void rule_add(struct rule *r, struct nftnl_expr *e);

void rule_add_meta(struct rule *r, uint32_t key, unsigned int reg);
/* Returns the expression, to which a direction may be added. */
struct nftnl_expr *rule_add_ct(struct rule *r, uint32_t key, unsigned int reg);
void rule_add_comparison(struct rule *r, unsigned int reg, uint32_t op, const void *data,
                         uint32_t size);
/* to = (from & mask) ^ flip */
void rule_add_bits(struct rule *r, unsigned int from, unsigned int to, const void *mask,
                   const void *flip, uint32_t size);

#endif
