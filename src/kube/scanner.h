/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_SCANNER_H
#define FAIRLEAD_KUBE_SCANNER_H

/*
 * Cuts what the API server streams into single objects, whatever the pieces it arrives in, without
 * building a document of the whole: memory is bounded by the largest object that is taken.
 *
 * A list page is one JSON object; each element of its "items" is handed over as text, and its
 * "metadata" is kept.  A watch is one JSON object a line.  Neither validates what it hands over:
 * that is the JSON parser's task.  Objects above SCANNER_OBJECT_SIZE_MAX are handed over cut short,
 * with the outline of the whole; what follows them is not affected.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/buf.h"
#include "kube/outline.h"

#define SCANNER_OBJECT_SIZE_MAX (4u << 20)

/*
 * One object's text; @cut: the outline of one whose text is cut short, else NULL.  false:
 * scanner_feed returns -ECANCELED.
 */
typedef bool scanner_cb(const char *data, size_t size, struct outline *cut, void *arg);

enum scanner_member { SCANNER_OTHER, SCANNER_ITEMS, SCANNER_METADATA };

struct scanner {
	scanner_cb *cb;
	void *arg;
	size_t max;    /* SCANNER_OBJECT_SIZE_MAX */
	uint64_t maps; /* a bit for each open bracket, the outermost in bit 0: 1 for { */
	unsigned int depth;
	bool in_string, escaped, expect_key, in_key, stray_item;
	bool bad, complete;
	char key[16];
	size_t key_len;
	enum scanner_member member; /* the one of the page that we are in */
	bool capturing, cut_short;
	struct buf capture;
	struct outline outline; /* of an object that is cut short */
	struct buf metadata;    /* the page's, as text */
};

void scanner_init(struct scanner *s, scanner_cb *cb, void *arg);
void scanner_fini(struct scanner *s);
/* The next piece of a page.  -EINVAL once it is no JSON object; sticky. */
int scanner_feed(struct scanner *s, const char *data, size_t size);
/* The page came to its end. */
bool scanner_complete(const struct scanner *s);

struct lines {
	scanner_cb *cb;
	void *arg;
	size_t max;
	bool cut_short;
	struct buf line;
	struct outline outline; /* of a line that is cut short */
};

void lines_init(struct lines *l, scanner_cb *cb, void *arg);
void lines_fini(struct lines *l);
/* The next piece of a watch; empty lines are left out. */
int lines_feed(struct lines *l, const char *data, size_t size);

#endif
