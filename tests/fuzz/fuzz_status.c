/* SPDX-License-Identifier: Apache-2.0 */
/* A speaker's answer to /status, as `fairlead status` and `fairlead bgp` read it. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/model.h"
#include "cli/verdict.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(struct model *m, enum out_format format, struct buf *status, struct buf *bgp)
{
	cleanup(out_fini) struct out a, b;
	cleanup(findings_fini) struct findings f = { .items = NULL };

	verdict_find(m, ~0U, &f);
	out_init(&a, format, status);
	cluster_print(m, &f, &a);
	out_init(&b, format, bgp);
	cluster_bgp_print(m, &f, &b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_ingress ingress = { .ip = { .family = 4, .b = { 192, 0, 2, 1 } } };
	const struct kube_service service = {
		.meta = { .namespace = (char[]){ "shop" },
		          .name = (char[]){ "web" },
		          .uid = (char[]){ "u" } },
		.type = KUBE_LOAD_BALANCER,
		.ingress = &ingress,
		.n_ingress = 1,
	};
	const struct kube_node node = { .meta = { .name = (char[]){ "n1" } } };
	cleanup(buf_fini) struct buf text = BUF_INIT, json = BUF_INIT, bgp = BUF_INIT;
	struct json_tokener *tok = json_tokener_new();
	struct json_object *status = json_tokener_parse_ex(tok, (const char *)data, (int)size);
	struct model *m = cluster_new();

	cluster_put_service(m, &service);
	cluster_put_node(m, &node);
	cluster_put_speaker(m, "n1", status, status ? NULL : "no JSON");
	print(m, OUT_TEXT, &text, &text);
	print(m, OUT_JSON, &json, &bgp);
	/* Whatever it was, what is printed is text without control characters, and JSON. */
	for (const char *p = buf_str(&text); *p; p++)
		if ((unsigned char)*p < ' ' && *p != '\n')
			abort();
	const struct buf *answers[] = { &json, &bgp };
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct json_object *printed = json_tokener_parse(buf_str(answers[i]));
		if (!printed)
			abort();
		json_object_put(printed);
	}
	cluster_free(m);
	json_object_put(status);
	json_tokener_free(tok);
	return 0;
}
