/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_STATE_H
#define FAIRLEAD_CLI_STATE_H

/*
 * A cluster's objects as far as the commands look at them, from manifests or from the API server.
 * Of an object that comes twice, the later one counts.
 */

#include <stddef.h>

#include "fairlead/err.h"
#include "fairlead/kube_types.h"
#include "fairlead/options.h"

struct json_object;
struct state_entry;

struct state {
	struct state_entry *entries; /* by kind and key; in the order of coming */
	size_t n_unreadable;         /* objects that were passed over */
};

void state_fini(struct state *s);
/*
 * Kinds that nobody here looks at are passed over.  A Service without a namespace is in "default",
 * as for kubectl.  Of one that cannot be read the addresses remain.
 */
int state_put(struct state *s, const char *kind, struct json_object *obj, struct err *e);
/*
 * The same for an object of the API server's; one that cannot be read is told on standard error,
 * and counted.
 */
void state_put_live(struct state *s, const char *kind, struct json_object *obj);
/* The same for one that nobody can read at all; @r: what its text tells, or NULL. */
void state_pass_over(struct state *s, const char *kind, const struct kube_remains *r,
                     const struct err *why);
/*
 * The files of --state; an object that cannot be read is told on standard error, with its line, and
 * counted.
 */
int state_read_files(struct state *s, const struct option_list *paths, struct err *e);
/* Ends a command that has answered by @exit_status without what was passed over. */
int state_exit(const struct state *s, int exit_status, struct err *e);

/* In no particular order: new arrays for free(), of objects that belong to the state. */
const struct kube_service **state_services(const struct state *s, size_t *ret_n);
/* Services that cannot be read at all, with what they hold. */
const struct kube_remains **state_remains(const struct state *s, size_t *ret_n);
const struct kube_slice **state_slices(const struct state *s, size_t *ret_n);
const struct kube_node **state_nodes(const struct state *s, size_t *ret_n);
/* The one of that name, in that namespace if there is one, else in any; or NULL. */
const struct kube_config_map *state_config_map(const struct state *s, const char *namespace,
                                               const char *name);

#endif
