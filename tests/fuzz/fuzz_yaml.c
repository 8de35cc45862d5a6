/* SPDX-License-Identifier: Apache-2.0 */
/* The ConfigMap's text, from anybody who may edit it. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "fairlead/configuration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As a file, perhaps a manifest; what is printed of it is a configuration again. */
static void as_file(const char *text, size_t size)
{
	struct config_problems errors = { 0 }, warnings = { 0 };
	struct configuration *c = NULL;

	if (configuration_parse_file(text, size, &c, &errors, &warnings) == 0) {
		struct buf out = BUF_INIT;
		configuration_json(c, &out);
		configuration_unref(c);
		buf_fini(&out);
	}
	config_problems_fini(&errors);
	config_problems_fini(&warnings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_problems errors = { 0 }, warnings = { 0 };
	struct configuration *c = NULL;

	if (configuration_parse((const char *)data, size, &c, &errors, &warnings) == 0) {
		/* What is accepted is consistent: every range is found again, in its own pool. */
		for (size_t i = 0; i < c->n_pools; i++)
			for (size_t k = 0; k < c->pools[i].n_ranges; k++) {
				const struct addr_range *r = &c->pools[i].ranges[k];
				if (configuration_pool_of(c, &r->first) != &c->pools[i] ||
				    configuration_pool_of(c, &r->last) != &c->pools[i])
					abort();
			}
		struct config_node_peer *peers;
		size_t n = config_node_peers(c, &(struct labels){ 0 }, &peers);
		config_node_peers_free(peers, n);
		configuration_unref(c);
	} else if (errors.n == 0) {
		abort();
	}
	config_problems_fini(&errors);
	config_problems_fini(&warnings);
	as_file((const char *)data, size);
	return 0;
}
