/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_TRIAL_H
#define FAIRLEAD_CLI_TRIAL_H

/*
 * A cluster, live or in manifests, that edits are tried on before anybody makes them: by plans, of
 * the Services as they would be, or under the configuration as it would be.
 */

#include "cli/commands.h"
#include "cli/plan.h"
#include "cli/state.h"

struct trial {
	const struct command_options *o;
	struct gather *g; /* NULL: the cluster is that of manifests */
	struct state state;
	struct configuration *config; /* in force; NULL: none, or it cannot be used */
	const char *text;             /* its own, without what is retained beside it */
	struct plan_input in;         /* of the state, and of that configuration */
	/* the arrays in @in, which are ours */
	const struct kube_service **services;
	const struct kube_remains **remains;
	const struct kube_node **nodes;
	const struct kube_object **namespaces;
};

/* -ENOENT if no configuration is in force.  To be ended by trial_fini() in either case. */
int trial_read(struct trial *t, const struct command_options *o, struct err *e);
/* The same where none need be in force, which may be why @c is to be tried. */
int trial_read_for(struct trial *t, const struct command_options *o, const struct configuration *c,
                   struct err *e);
void trial_fini(struct trial *t);

/* "namespace/name" of an operand; the namespace is "default" if none is given. */
char *trial_key(const char *word);
bool trial_find(const struct trial *t, const char *key, size_t *ret_at);

/*
 * Under the configuration in force: with @s in place of the Service at that place, and @another
 * beside all others, unless it is NULL.
 */
struct plan *trial_plan(const struct trial *t, size_t at, const struct kube_service *s,
                        const struct kube_service *another);
/* Of the Services as they are.  @c: which nobody else has. */
struct plan *trial_plan_under(const struct trial *t, struct configuration *c);
/* The configuration in force once more, for that: without what is retained, which a plan adds. */
struct configuration *trial_configuration(const struct trial *t);

#endif
