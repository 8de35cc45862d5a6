/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_DELIVERY_H
#define FAIRLEAD_KUBE_DELIVERY_H

/*
 * The receiving end of an informer: objects come in as text, from a list or a watch, and go to the receiver where they
 * differ from what it has.  What cannot be read is reported and skipped alone; whatever the receiver has
 * of such an object stays.  Any call to the receiver may set @stopped, after which nothing more is delivered.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fairlead/kube.h"
#include "store.h"

struct json_object;

struct delivery {
	const char *what;
	struct kube_informer_ops ops;
	void *arg;
	struct store store;
	uint32_t list; /* number of the list under way or last made */
	uint64_t malformed;
	bool stopped;
};

/* Of an object's metadata; pointers into the JSON, "" where there is none. */
struct delivery_names {
	const char *namespace, *name, *uid, *version;
};

struct delivery_names delivery_names_of(struct json_object *obj);
/* The JSON object in the text, or NULL where there is none, which is then reported. */
struct json_object *delivery_parse(struct delivery *d, const char *data, size_t size,
                                   bool cut_short);
/* Reports an object, or an event about one, that is not what it should be. */
void delivery_skip(struct delivery *d, const char *data, size_t size, bool too_large);
void delivery_upsert(struct delivery *d, struct json_object *obj);
/* No more is there of that name; what we never had is left out. */
void delivery_remove(struct delivery *d, const char *namespace, const char *name);
/* The same where only text that cannot be read names it. */
void delivery_remove_unread(struct delivery *d, const char *data, size_t size);
/* The list is complete: whatever it did not name is gone. */
void delivery_end_list(struct delivery *d);

#endif
