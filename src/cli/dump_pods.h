/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_CLI_DUMP_PODS_H
#define FAIRLEAD_CLI_DUMP_PODS_H

/* The daemons' Pods, as far as one has to know them to ask them and for their logs. */

#include <stdbool.h>
#include <stddef.h>

#include "fairlead/addr.h"

struct json_object;

struct dump_container {
	char *name;
	bool has_previous; /* it has ended before, and been started again */
};

struct dump_pod {
	char *namespace, *name, *component, *node; /* "" where it has none */
	struct addr address;                       /* none: not yet */
	int http_port;                             /* of the port called http; 0: it names none */
	struct dump_container *containers;
	size_t n_containers;
};

struct dump_pods {
	struct dump_pod *list;
	size_t n, cap;
};

void dump_pods_fini(struct dump_pods *p);
/* One without a name is passed over. */
void dump_pods_add(struct dump_pods *p, struct json_object *obj);
/* The one of the component on that node, or NULL. */
const struct dump_pod *dump_pods_on_node(const struct dump_pods *p, const char *component,
                                         const char *node);

#endif
