/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_BGP_BFD_H
#define FAIRLEAD_BGP_BFD_H

/*
 * Our BFD profiles in bfdd: profiles named FAIRLEAD-…, read, compared and corrected over bfdd's own
 * socket.
 *
 * bfdd prints no value that is its default and has no command to return to one, so a profile is a
 * record with the defaults filled in, and every value that differs is set.
 */

#include "bgp/want.h"

struct event_base;
struct bgp_bfd;

struct bgp_bfd_state {
	struct bgp_bfd_profile *v;
	size_t n, cap;
};
void bgp_bfd_state_fini(struct bgp_bfd_state *s);
/* Our profiles in the text of `show running-config`. */
void bgp_bfd_parse(const char *text, size_t size, struct bgp_bfd_state *ret_state);
/*
 * Appends the commands that lead from @have to @want, each followed by a NUL; they begin in the
 * configuration node.
 */
void bgp_bfd_diff(const struct bgp_bfd_state *want, const struct bgp_bfd_state *have,
                  struct buf *commands);

int bgp_bfd_start(struct event_base *base, const char *path, unsigned int timeout_ms,
                  struct bgp_bfd **ret_bfd, struct err *e);
void bgp_bfd_free(struct bgp_bfd *b);
/* Copies the wanted profiles. */
void bgp_bfd_set(struct bgp_bfd *b, const struct bgp_bfd_profile *v, size_t n);
bool bgp_bfd_in_sync(const struct bgp_bfd *b);
/* Whether bfdd was tried and does not answer. */
bool bgp_bfd_is_down(const struct bgp_bfd *b);
/* Why not, or "". */
const char *bgp_bfd_error(const struct bgp_bfd *b);

#endif
