/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kube-proxy's configuration that an administrator was handed: whatever is in it, the values are
 * one document with none but our keys, or there is an error.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/kube_proxy.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "fairlead/ytree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_values(const struct buf *values)
{
	struct ytree tree;
	struct ytree_error broken;

	if (ytree_parse(buf_str(values), values->size, 0, &tree, &broken) < 0)
		abort();
	for (size_t i = 0; i < tree.root->n_entries; i++)
		if (strcmp(tree.root->entries[i].key, "speaker") != 0 &&
		    strcmp(tree.root->entries[i].key, "apiServer") != 0)
			abort();
	ytree_fini(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_proxy p = { .values = BUF_INIT };
	/* A copy with an end that a sanitizer sees, and a NUL behind it as file_read() leaves. */
	char *text = xmalloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	bool ours = kube_proxy_is(text, size);
	int r = kube_proxy_read(text, size, &p);
	if ((r < 0) != (p.errors.n > 0) || (r < 0) != (p.values.size == 0) || (!ours && r == 0))
		abort();
	if (r == 0)
		check_values(&p.values);
	kube_proxy_fini(&p);
	p = (struct kube_proxy){ .values = BUF_INIT };
	r = kube_proxy_read_args(text, &p);
	if ((r < 0) != (p.errors.n > 0) || (r < 0) != (p.values.size == 0))
		abort();
	if (r == 0)
		check_values(&p.values);
	kube_proxy_fini(&p);
	free(text);
	return 0;
}
