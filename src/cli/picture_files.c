/* SPDX-License-Identifier: Apache-2.0 */
/* The same picture from manifests: without daemons, and without a leader. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/file.h"
#include "cli/history.h"
#include "cli/model.h"
#include "cli/picture.h"
#include "cli/state.h"
#include "fairlead/ipam.h"
#include "fairlead/mem.h"

/* That of --config, else the one among the manifests. */
static int put_configuration(const struct command_options *o, const struct state *s,
                             struct model *m, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	const struct kube_config_map *map = state_configuration(s, namespace, false, o->config_map);
	struct configuration *c;

	if (o->config) {
		int r = file_read_configuration(o->config, &c, e);
		if (r == 0)
			cluster_set_configuration(m, c);
		return r;
	}
	if (!map)
		return err_set(e, -EINVAL, ERR_CONFIG, STATE_NO_CONFIGURATION);
	cluster_put_configuration(m, map);
	const char *wrong = cluster_configuration_error(m);
	return wrong ? err_set(e, -EINVAL, ERR_CONFIG, "the configuration cannot be read: %s",
	                       wrong)
	             : 0;
}

int picture_read(const struct command_options *o, struct picture *p, struct err *e)
{
	cleanup_free char *namespace = options_namespace(&o->kube);
	cleanup(state_fini) struct state s = { 0 };
	struct history h = { .n = 0 };
	size_t n_services, n_nodes;
	int r = state_read_files(&s, &o->state, e);

	if (r < 0)
		return r;
	r = put_configuration(o, &s, p->model, e);
	if (r < 0)
		return r;
	const struct kube_service **services = state_services(&s, &n_services);
	const struct kube_node **nodes = state_nodes(&s, &n_nodes);
	for (size_t i = 0; i < n_services; i++)
		cluster_put_service(p->model, services[i]);
	for (size_t i = 0; i < n_nodes; i++)
		cluster_put_node(p->model, nodes[i]);
	history_read(&h, &s, namespace);
	cluster_set_history(p->model, &h);
	const struct kube_config_map *cooling = state_config_map(&s, namespace, IPAM_COOLING_MAP);
	if (cooling)
		cluster_put_cooling(p->model, cooling);
	p->n_unreadable += s.n_unreadable;
	free(nodes);
	free(services);
	return 0;
}
