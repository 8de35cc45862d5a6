/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_LABELS_H
#define FAIRLEAD_LABELS_H

/*
 * Labels as Kubernetes has them, names with a value each, and what selects by them.  Annotations
 * and the data of a ConfigMap have the same shape.
 *
 * Keys are unique; their order means nothing.  Lists are short: looking for a key walks them.
 */

#include <stdbool.h>
#include <stddef.h>

struct buf;

struct label {
	char *key;
	char *value;
};

struct labels {
	struct label *kvs;
	size_t n;
};

/* The value of @key, or NULL. */
const char *labels_get(const struct labels *l, const char *key);
bool labels_eq(const struct labels *a, const struct labels *b);
struct labels labels_copy(const struct labels *l);
void labels_fini(struct labels *l);

/* metav1.LabelSelector, as in node-selectors and the like. */
enum label_op { LABEL_IN, LABEL_NOT_IN, LABEL_EXISTS, LABEL_DOES_NOT_EXIST };
struct label_requirement {
	char *key;
	enum label_op op;
	char **values;
	size_t n_values;
};
struct label_selector {
	struct label_requirement *requirements; /* all must hold; none: matches everything */
	size_t n;
};
bool label_selector_matches(const struct label_selector *sel, const struct labels *labels);
/* As kubectl writes it: "rack=a,tier in (x,y),!spare". */
void label_selector_put(const struct label_selector *sel, struct buf *out);
void label_selector_fini(struct label_selector *sel);

/* Several of them, ORed. */
struct label_selectors {
	struct label_selector *items;
	size_t n;
};
/* The same, as they are written. */
bool label_selector_eq(const struct label_selector *a, const struct label_selector *b);
bool label_selectors_eq(const struct label_selectors *a, const struct label_selectors *b);
/* As label_selector_put(), with commas between them. */
void label_selectors_put(const struct label_selectors *s, struct buf *out);
/* Does one of them match?  None: no. */
bool label_selectors_match(const struct label_selectors *s, const struct labels *labels);
void label_selectors_fini(struct label_selectors *s);

#endif
