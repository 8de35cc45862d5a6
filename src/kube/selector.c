/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube_types.h"

#include <string.h>

#include "fairlead/mem.h"

/* metav1.LabelSelector: NotIn also holds where the key is missing. */

static bool has_value(const struct kube_requirement *r, const char *value)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (strcmp(r->values[i], value) == 0)
			return true;
	return false;
}

static bool holds(const struct kube_requirement *r, const struct kube_labels *labels)
{
	const char *value = kube_labels_get(labels, r->key);
	switch (r->op) {
	case KUBE_IN:
		return value && has_value(r, value);
	case KUBE_NOT_IN:
		return !value || !has_value(r, value);
	case KUBE_EXISTS:
		return value != NULL;
	case KUBE_DOES_NOT_EXIST:
		return value == NULL;
	}
	return false;
}

bool kube_selector_matches(const struct kube_selector *sel, const struct kube_labels *labels)
{
	for (size_t i = 0; i < sel->n; i++)
		if (!holds(&sel->requirements[i], labels))
			return false;
	return true;
}

void kube_selector_fini(struct kube_selector *sel)
{
	for (size_t i = 0; i < sel->n; i++) {
		struct kube_requirement *r = &sel->requirements[i];
		for (size_t j = 0; j < r->n_values; j++)
			free(r->values[j]);
		free(r->values);
		free(r->key);
	}
	free(sel->requirements);
	*sel = (struct kube_selector){ 0 };
}
