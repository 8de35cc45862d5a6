/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_STATE_H
#define FAIRLEAD_CLI_STATE_H

/*
 * A cluster's objects as far as the commands look at them, from manifests or from the API server.
 * Of an object that comes twice, the later one counts.
 */

#include <stddef.h>

#include "cli/pods.h"
#include "fairlead/err.h"
#include "fairlead/kube_types.h"
#include "fairlead/options.h"

struct gather;
struct json_object;
struct state_entry;

struct state {
	struct state_entry *entries; /* by kind and key; in the order of coming */
	size_t n_unreadable;         /* objects that were passed over */
	struct pods pods;            /* of the live cluster */
};

void state_fini(struct state *s);
/*
 * Kinds that nobody here looks at are passed over.  A Service without a namespace is in "default",
 * as for kubectl.  Of one that cannot be read the addresses remain.
 */
int state_put(struct state *s, const char *kind, struct json_object *obj, struct err *e);
/* The same for one that nobody can read at all; @r: what its text tells, or NULL. */
void state_pass_over(struct state *s, const char *kind, const struct kube_remains *r,
                     const struct err *why);
/*
 * The files of --state; an object that cannot be read is reported on standard error, with its line,
 * and counted.
 */
int state_read_files(struct state *s, const struct option_list *paths, struct err *e);
/*
 * What a live cluster has: the published configuration, Services and Nodes; with what speakers are
 * asked by and know, slices and Fairlead's Pods, too.  One that cannot be read is reported and
 * counted likewise.
 */
int state_read_live(struct state *s, struct gather *g, const char *namespace, bool with_speakers,
                    struct err *e);
/*
 * Its Namespaces, for pools that select by their labels.  Where one may not list them, that is told
 * on standard error, and none are known.
 */
int state_read_namespaces(struct state *s, struct gather *g, struct err *e);
/* Which addresses cool down; that one may not see that is likewise told. */
int state_read_cooling(struct state *s, struct gather *g, const char *namespace, struct err *e);
void state_tell_unknown_cooling(const struct err *why);
/* As the leader has written it; NULL: not known. */
const char *state_cooling(const struct state *s, const char *namespace);
/* Its journal: the ConfigMaps of that namespace that hold it, as far as they are there. */
int state_read_journal(struct state *s, struct gather *g, const char *namespace, struct err *e);
/* Ends a command that has answered by @exit_status without what was passed over. */
int state_exit(const struct state *s, int exit_status, struct err *e);

/* In no particular order: new arrays for free(), of objects that belong to the state. */
const struct kube_service **state_services(const struct state *s, size_t *ret_n);
/* Services that cannot be read at all, with what they hold. */
const struct kube_remains **state_remains(const struct state *s, size_t *ret_n);
const struct kube_slice **state_slices(const struct state *s, size_t *ret_n);
const struct kube_node **state_nodes(const struct state *s, size_t *ret_n);
const struct kube_object **state_namespaces(const struct state *s, size_t *ret_n);
/*
 * The name of the administrator's ConfigMap: what the command line says (@given), else what the
 * controller says (@told), else the usual one; NULL where one says nothing.
 */
const char *state_config_map_name(const char *given, const char *told);
/*
 * The configuration of the cluster in that namespace: the published one; among manifests without
 * it, the administrator's, of the name that is @given or the usual one.
 */
const struct kube_config_map *state_configuration(const struct state *s, const char *namespace,
                                                  bool is_live, const char *given);
/* Where there is none among manifests. */
#define STATE_NO_CONFIGURATION \
	"no configuration: give --config FILE, or the ConfigMap among the manifests"
/* The one of that name, in that namespace if there is one, else in any; or NULL. */
const struct kube_config_map *state_config_map(const struct state *s, const char *namespace,
                                               const char *name);

#endif
