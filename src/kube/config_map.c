/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube_types.h"

#include "fairlead/mem.h"
#include "kube/parse.h"

/* core/v1 ConfigMap; the API keeps the whole below 1 MiB. */
#define CONFIG_MAP_KEYS_MAX 1024
#define CONFIG_MAP_VALUE_MAX (1 << 20)

int kube_config_map_parse(struct json_object *obj, struct kube_config_map **ret_map, struct err *e)
{
	struct parse p = { .kind = "ConfigMap", .index = -1, .e = e };
	struct kube_config_map *m = xcalloc(1, sizeof(*m));

	parse_meta(&p, obj, &m->meta);
	parse_at(&p, NULL);
	m->data = parse_map(&p, obj, "data", CONFIG_MAP_KEYS_MAX, CONFIG_MAP_VALUE_MAX, NULL);
	if (p.ret)
		kube_config_map_free(m);
	else
		*ret_map = m;
	return p.ret;
}

void kube_config_map_free(struct kube_config_map *m)
{
	if (!m)
		return;
	kube_meta_fini(&m->meta);
	labels_fini(&m->data);
	free(m);
}
