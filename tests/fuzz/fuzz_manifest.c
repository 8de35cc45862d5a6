/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests that an administrator was handed, as the state of a plan. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plan.h"
#include "cli/state.h"
#include "fairlead/configuration.h"
#include "fairlead/manifest.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int put(const char *kind, struct json_object *obj, void *arg, struct err *e)
{
	return state_put(arg, kind, obj, e);
}

static struct configuration *pools(void)
{
	static const char yaml[] =
		"address-pools:\n"
		"- {name: lan, protocol: layer2, addresses: [192.168.1.240/30]}\n"
		"- {name: lab, protocol: layer2, addresses: [192.168.2.10/32]}\n";
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;

	if (configuration_parse(yaml, strlen(yaml), &c, &errors, NULL) < 0)
		abort();
	return c;
}

static void print(const struct plan *p, enum out_format format, struct buf *text)
{
	cleanup(out_fini) struct out o;

	out_init(&o, format, text);
	plan_print(p, &o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct configuration *c = pools();
	struct state s = { 0 };
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	unsigned int line = 0;
	struct plan_input in = { 0 };
	/* A copy with an end that a sanitizer sees, and a NUL behind it as file_read() leaves. */
	char *text = xmalloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	struct manifest_problems problems = { .n = 0 };
	if (manifest_read(text, size, put, &s, &problems, &line, &e) < 0 && e.blame == ERR_NONE)
		abort();
	const struct kube_service **services = state_services(&s, &in.n_services);
	const struct kube_remains **remains = state_remains(&s, &in.n_remains);
	const struct kube_node **nodes = state_nodes(&s, &in.n_nodes);
	in.services = services;
	in.remains = remains;
	in.nodes = nodes;
	struct plan *p = plan_new(c, NULL, &in);
	plan_warnings(p, &out);
	print(p, OUT_JSON, &out);
	print(p, OUT_YAML, &out);
	print(p, OUT_TEXT, &out);
	plan_free(p);
	manifest_problems_fini(&problems);
	free(nodes);
	free(remains);
	free(services);
	free(text);
	buf_fini(&out);
	state_fini(&s);
	configuration_unref(c);
	return 0;
}
