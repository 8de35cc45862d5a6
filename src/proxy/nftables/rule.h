/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_PROXY_NFTABLES_RULE_H
#define FAIRLEAD_PROXY_NFTABLES_RULE_H

/*
 * One rule of nftables, put together expression by expression.  What is not the case ends the rule,
 * and the next one is tried.
 *
 * Registers are numbered 0 to 15, of 4 bytes each; an IPv6 address takes four.  A function whose
 * name begins with load_ writes to one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fairlead/addr.h"

struct nlmsghdr;
struct nftnl_rule;

struct rule {
	uint8_t family; /* 4 or 6 */
	struct nftnl_rule *r;
};

/* Where a Service's key goes when a packet is looked up: address, protocol, port. */
unsigned int rule_addr_regs(uint8_t family); /* 1 or 4 */

void rule_begin(struct rule *r, uint8_t family);
/*
 * Puts the rule into a message that adds it to a chain, with @comment for people and a digest of
 * what it does, and forgets it.  Returns the digest.
 */
uint64_t rule_end(struct rule *r, struct nlmsghdr *h, const char *table, const char *chain,
                  const char *comment);
/* The digest of a rule as the kernel tells it, 0 if it has none of ours. */
uint64_t rule_digest(const struct nlmsghdr *h);

/* ---- from the packet ---- */

void rule_load_source(struct rule *r, unsigned int reg);
void rule_load_destination(struct rule *r, unsigned int reg);
void rule_load_protocol(struct rule *r, unsigned int reg);
void rule_load_destination_port(struct rule *r, unsigned int reg);
/* What the connection was meant for before it was translated, and which of its ways this is. */
void rule_load_first_destination(struct rule *r, unsigned int reg);
void rule_load_first_destination_port(struct rule *r, unsigned int reg);
void rule_load_direction(struct rule *r, unsigned int reg);
/* The Ethernet address of who sent it: six bytes; ends the rule where there is none. */
void rule_load_sender(struct rule *r, unsigned int reg);
/* By which it comes in. */
void rule_load_interface(struct rule *r, unsigned int reg);

/* ---- conditions ---- */

void rule_source_in(struct rule *r, const struct prefix *p, bool in);
void rule_destination_in(struct rule *r, const struct prefix *p, bool in);
/* @prefix: any interface whose name begins so. */
void rule_comes_in_by(struct rule *r, const char *interface, bool prefix);
/* By the loopback interface. */
void rule_comes_in_by_lo(struct rule *r, bool does);
void rule_goes_out_by_lo(struct rule *r);
/* Whether the address is one of this node. */
void rule_source_is_local(struct rule *r);
void rule_destination_is_local(struct rule *r, bool local);
void rule_is_translated(struct rule *r);
void rule_is_untranslated(struct rule *r);
/* No packet of its connection has passed this node yet. */
void rule_is_first_of_all(struct rule *r);
void rule_is_invalid(struct rule *r);
/* It belongs to no connection, nor to what one has caused, and is not translated. */
void rule_is_unrelated(struct rule *r);
void rule_is_tcp_syn(struct rule *r);
/* Of TCP. */
void rule_has_no_syn(struct rule *r);
/* NF_CT_STATE_BIT(…) and its like: in one of these. */
void rule_connection_state(struct rule *r, uint32_t states);
void rule_protocol_is(struct rule *r, uint8_t protocol);
/* Its time to live is more than 1. */
void rule_may_travel_on(struct rule *r);
/* The packet's mark has this bit. */
void rule_has_mark(struct rule *r, uint32_t bit);
/* The same of the connection. */
void rule_has_connection_mark(struct rule *r, uint32_t bit);
/* It is this one. */
void rule_connection_mark_is(struct rule *r, uint32_t mark);
/* It goes the other way than the connection's first packet. */
void rule_is_reply(struct rule *r, bool is);
/* Some of these bits are set, and where a bit is to go, they are cleared. */
void rule_any_bit(struct rule *r, unsigned int reg, uint32_t bits);

/* ---- registers ---- */

void rule_load_masked(struct rule *r, unsigned int from, unsigned int to, uint32_t mask);
/*
 * What a map gave, as something to look up: a program that lists rules cannot show that, but it can
 * show marks.  So the value passes through the packet's mark, which has its own again at once.
 */
void rule_settle(struct rule *r, unsigned int reg, unsigned int spare);
/* A number below @n, by lot. */
void rule_load_lot(struct rule *r, unsigned int reg, uint32_t n);
/* One that follows from @size bytes in @from and after it. */
void rule_load_share(struct rule *r, unsigned int from, uint32_t size, unsigned int to, uint32_t n);

/* ---- maps and sets ---- */

/* What is not there ends the rule. */
void rule_in_set(struct rule *r, const char *set, unsigned int reg, bool in);
void rule_load_from_map(struct rule *r, const char *map, unsigned int from, unsigned int to);
/* A map of verdicts: goes there. */
void rule_verdict_from_map(struct rule *r, const char *map, unsigned int from);
/* Adds to a map or renews, for so long; ends the rule if the map is full. */
void rule_remember(struct rule *r, const char *map, unsigned int key, unsigned int value,
                   uint32_t seconds);
void rule_forget(struct rule *r, const char *map, unsigned int key);
/*
 * Counts the packet by a key, which is kept for so long after its last one; ends the rule if the
 * set is full.
 */
void rule_count(struct rule *r, const char *set, unsigned int key, uint32_t seconds);

/* ---- what is done ---- */

/* Counts the packets that come so far. */
void rule_counter(struct rule *r);
/*
 * Sends a copy, by the interface of one register, to the neighbour of its family whose address the
 * other has.
 */
void rule_duplicate(struct rule *r, unsigned int neighbor, unsigned int interface);
void rule_set_mark(struct rule *r, uint32_t bit, bool on);
void rule_set_connection_mark(struct rule *r, uint32_t bit, bool on);
void rule_clear_mark(struct rule *r);
/* All of it. */
void rule_write_mark(struct rule *r, uint32_t mark);
/* What the register has, with this bit, which it has not. */
void rule_put_mark(struct rule *r, unsigned int reg, uint32_t bit);
void rule_goto(struct rule *r, const char *chain);
void rule_jump(struct rule *r, const char *chain);
void rule_return(struct rule *r);
void rule_drop(struct rule *r);
void rule_reject_tcp(struct rule *r);
void rule_reject(struct rule *r);
void rule_redirect_to(struct rule *r, unsigned int addr, unsigned int port);
/* To where it goes anyway. */
void rule_keep_destination(struct rule *r);
void rule_masquerade(struct rule *r);
/* Bytes, or 0 for what fits the path. */
void rule_clamp_mss(struct rule *r, uint16_t bytes);

#endif
