/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_SCENE_H
#define FAIRLEAD_CLI_SCENE_H

/*
 * The cluster that a command is about, live or of manifests, and the view that speakers have of it:
 * in it everything is decided by their own functions.
 */

#include <stddef.h>

#include "cli/commands.h"
#include "cli/state.h"
#include "fairlead/proxy.h"
#include "fairlead/view.h"

struct scene {
	const struct command_options *o;
	struct state state;
	const struct kube_node **nodes;
	size_t n_nodes;
	struct view *view; /* of --node */
};

/*
 * @g: NULL: of the manifests of --state; then speakers are taken to run in the mode of --mode.  On
 * failure there is nothing to end.  -EINVAL: there is no configuration, or it cannot be used.
 */
int scene_open(struct scene *s, const struct command_options *o, struct gather *g, struct err *e);
void scene_close(struct scene *s);
/*
 * The Service of this name, with or without its namespace, and what is known of it.  -ENOENT: there
 * is none; @e tells where there is one of that name.
 */
int scene_service(const struct scene *s, const char *name, const struct kube_service **ret_service,
                  const struct view_service **ret_known, struct err *e);
/* NULL: there is no such Node. */
const struct kube_node *scene_node(const struct scene *s, const char *name);
const struct kube_object *scene_namespace(const struct scene *s, const char *name); /* likewise */
/* Which addresses cool down, as the leader has written it; NULL: it is not known. */
const char *scene_cooling(const struct scene *s);
/* Its zone; NULL: none, or there is no such Node. */
const char *scene_zone(const struct scene *s, const char *node);

/* What the flags say about the speakers' data plane. */
struct scene_plane {
	struct proxy_options options;
	struct facts_flags flags;
};
int scene_plane(const struct command_options *o, struct scene_plane *ret, struct err *e);
/* And what a node's Node says of it. */
struct proxy_node scene_facts(const struct scene *s, const struct scene_plane *p, const char *node);

#endif
