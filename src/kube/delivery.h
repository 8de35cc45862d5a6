/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_DELIVERY_H
#define FAIRLEAD_KUBE_DELIVERY_H

/*
 * The receiving end of an informer: objects come in as text, from a list or a watch, and go to the
 * receiver where they differ from what it has.  What cannot be read, for whatever reason, ends in
 * one place: it is reported, and the receiver gets its outline.  An object without even that is
 * *lost*: it may be any object, so until a list without loss has come in, nothing counts as gone
 * because a list did not name it.  Any call to the receiver may set @stopped, after which nothing
 * more is delivered.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/kube.h"
#include "kube/outline.h"
#include "kube/store.h"

struct json_object;

struct delivery {
	const char *what;
	struct kube_informer_ops ops;
	void *arg;
	struct store store;
	uint32_t list; /* number of the list under way or last made */
	uint64_t malformed;
	size_t lost;         /* since the last list without loss, as the receiver knows it */
	size_t lost_in_list; /* in the list under way */
	bool stopped;
};

#define DELIVERY_VERSION_SIZE 129

/* One object's text as it came, and its outline where the text is cut short. */
struct delivery_text {
	const char *data;
	size_t size;
	struct outline *cut; /* NULL: the text is whole */
};

/* What a watch's event was, beside what the receiver was told of it. */
struct delivery_event {
	enum { DELIVERY_CHANGE, DELIVERY_BOOKMARK, DELIVERY_ERROR } kind;
	char version[DELIVERY_VERSION_SIZE]; /* that it came from; "" if it does not say */
	int code;                            /* ERROR: of its metav1.Status */
	struct err error;
};

void delivery_start_list(struct delivery *d);
/* An element of a list. */
void delivery_item(struct delivery *d, const struct delivery_text *t);
/* A line of a watch. */
void delivery_event(struct delivery *d, const struct delivery_text *t,
                    struct delivery_event *ret_event);
/* The list is complete: whatever it did not name is gone, unless it may be what was lost. */
void delivery_end_list(struct delivery *d);

#endif
