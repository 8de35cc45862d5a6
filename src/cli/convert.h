/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_CONVERT_H
#define FAIRLEAD_CLI_CONVERT_H

/*
 * MetalLB's custom resources into the text of Fairlead's configuration.
 *
 * Objects go in, in any order; conversion_run() then writes the text and has it judged by the
 * parser that the controller uses.  Whatever does not carry over, and whatever the parser finds
 * wrong, is a note that names the object.  Pure.  Same objects, same text.
 */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/err.h"

struct json_object;
struct conversion;

struct conversion_note {
	char *object;  /* "BGPPeer/tor-a"; "configuration" where it is that of no object */
	char *message; /* "connectTime: what is lost, what to do" */
	bool is_error; /* the configuration is not valid; else something was lost */
};

struct conversion *conversion_new(void);
void conversion_free(struct conversion *c);
/*
 * Takes an object of a manifest; if one comes twice, the later one counts.  An object that is not
 * MetalLB's becomes a note. -EINVAL: it has no name that a cluster would accept.
 */
int conversion_put(struct conversion *c, const char *kind, struct json_object *obj, struct err *e);
/* Once, with every object in.  Is the configuration valid? */
bool conversion_run(struct conversion *c);
/* The configuration, valid or not. */
const char *conversion_text(const struct conversion *c);
/* In the order of the configuration; errors last. */
const struct conversion_note *conversion_notes(const struct conversion *c, size_t *ret_n);

#endif
