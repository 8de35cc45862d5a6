/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig, and two of them as $KUBECONFIG may name. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "kube/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const struct kubeconfig_file files[] = {
		{ text, size / 2, "/a" },
		{ text + size / 2, size - size / 2, "/b" },
	};
	const struct kubeconfig_file whole = { text, size, "/a" };

	for (int two = 0; two < 2; two++) {
		struct kube_access *a = xcalloc(1, sizeof(*a));
		struct err e = ERR_INIT;
		int ret = kubeconfig_resolve(two ? files : &whole, two ? 2 : 1, NULL, a, &e);
		if ((ret < 0) != (e.blame != ERR_NONE) ||
		    (ret == 0 && (!a->server || !a->namespace)))
			abort();
		kube_access_free(a);
	}
	return 0;
}
