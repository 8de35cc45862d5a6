/* SPDX-License-Identifier: Apache-2.0 */
/* The same picture from manifests: without daemons, and without a leader. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/model.h"
#include "cli/picture.h"
#include "cli/state.h"
#include "fairlead/mem.h"

int picture_read(const struct command_options *o, struct picture *p, struct err *e)
{
	cleanup(state_fini) struct state s = { 0 };
	cleanup_free char *namespace = options_namespace(&o->kube);
	size_t n_services, n_nodes;
	int r = state_read_files(&s, &o->state, e);

	if (r < 0)
		return r;
	const struct kube_config_map *map =
		state_configuration(&s, namespace, false, o->config_map);
	const struct kube_service **services = state_services(&s, &n_services);
	const struct kube_node **nodes = state_nodes(&s, &n_nodes);
	if (map)
		cluster_put_configuration(p->model, map);
	for (size_t i = 0; i < n_services; i++)
		cluster_put_service(p->model, services[i]);
	for (size_t i = 0; i < n_nodes; i++)
		cluster_put_node(p->model, nodes[i]);
	p->n_unreadable += s.n_unreadable;
	free(nodes);
	free(services);
	const char *wrong = cluster_configuration_error(p->model);
	return wrong ? err_set(e, -EINVAL, ERR_CONFIG, "the configuration cannot be read: %s",
	                       wrong)
	             : 0;
}
