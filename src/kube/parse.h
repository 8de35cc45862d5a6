/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_KUBE_PARSE_H
#define FAIRLEAD_KUBE_PARSE_H

/*
 * What the parsers of typed objects share: reading members of a JSON object with bounds, and a
 * sticky error.
 *
 * The first thing that is wrong is recorded with its place ("Service shop/web: spec.ports[2].port:
 * …") and everything read afterwards is harmless, so that a parser reads all its fields and checks
 * p->ret once.  Nothing here keeps a reference to the JSON.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "fairlead/addr.h"
#include "fairlead/err.h"
#include "fairlead/kube_types.h"

struct parse {
	const char *kind; /* "Service" */
	const char *namespace, *name;
	const char *at; /* where we are, "spec.ports"; NULL at the top */
	long index;     /* of the item there, -1: none */
	struct err *e;
	int ret; /* 0, or the first error */
};

/* Records an error about member @key (NULL: the place itself), unless there is one. */
void parse_fail(struct parse *p, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Says where the following reads take place. */
void parse_at(struct parse *p, const char *at);
/* NULL where the member is missing. */
struct json_object *parse_object(struct parse *p, struct json_object *obj, const char *key);
/* An array of at most @max items, and their number (0 where it is missing). */
struct json_object *parse_array(struct parse *p, struct json_object *obj, const char *key,
                                size_t max, size_t *ret_n);
/* Item @i, which must be an object; sets p->index. */
struct json_object *parse_item(struct parse *p, struct json_object *array, size_t i);
/* Item @i, which must be a string; sets p->index. */
const char *parse_item_str(struct parse *p, struct json_object *array, size_t i, size_t max_len);
/* NULL where the member is missing or wrong. */
const char *parse_str(struct parse *p, struct json_object *obj, const char *key, size_t max_len);
/* A copy; of @absent (which may be NULL) where it is missing. */
char *parse_dup(struct parse *p, struct json_object *obj, const char *key, size_t max_len,
                const char *absent);
int64_t parse_int(struct parse *p, struct json_object *obj, const char *key, int64_t min,
                  int64_t max, int64_t absent);
bool parse_bool(struct parse *p, struct json_object *obj, const char *key, bool absent);
/* The index in @names (ended by NULL) of the member's value. */
int parse_enum(struct parse *p, struct json_object *obj, const char *key, const char *const *names,
               int absent);
struct addr parse_addr(struct parse *p, const char *key, const char *s);
struct prefix parse_prefix(struct parse *p, const char *key, const char *s);
int64_t parse_time(struct parse *p, struct json_object *obj, const char *key);
/* All string members of the object @key whose names @keep accepts (NULL: all). */
struct labels parse_map(struct parse *p, struct json_object *obj, const char *key, size_t max_n,
                        size_t max_value_len, bool (*keep)(const char *key));
/* "protocol"; TCP where it is missing. */
enum kube_proto parse_proto(struct parse *p, struct json_object *obj);
/* Fills @meta, and p->namespace and p->name with what it holds. */
void parse_meta(struct parse *p, struct json_object *obj, struct kube_meta *meta);

void kube_meta_fini(struct kube_meta *meta);

#endif
