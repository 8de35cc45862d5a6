/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_REPLY_H
#define APISIM_REPLY_H

/*
 * What a request is answered with: an object or a stored version, or a metav1.Status with the
 * words, reasons and codes of the real API server.  Functions that can refuse a request return 0 or
 * the HTTP code (>= 400) and have filled the reply then, so that `if (…) return …;` reads in one
 * line.
 */

#include <json.h>

#include "kind.h"

struct version;

struct reply {
	int code;
	struct json_object *obj; /* owned: the whole body */
	struct version *version; /* or this one, a reference */
	int retry_after_s;       /* 0: no Retry-After header */
	bool changed;            /* something was stored or removed */
};

#define REPLY_INIT        \
	{                 \
		.code = 0 \
	}

void reply_fini(struct reply *r);

/* A Status of any kind; @k and @name may be NULL. */
int reply_status(struct reply *r, int code, const char *reason, const struct kind *k,
                 const char *name, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
int reply_not_found(struct reply *r, const struct kind *k, const char *name);
int reply_exists(struct reply *r, const struct kind *k, const char *name);
/* 409 with the well-known sentence (@why NULL) or another reason. */
int reply_conflict(struct reply *r, const struct kind *k, const char *name, const char *why);
int reply_bad_request(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int reply_unknown_path(struct reply *r);
int reply_internal(struct reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The bare answer of a fault or a limit: the code decides about reason and message. */
int reply_code(struct reply *r, int code, int retry_after_s);
/* Status "Success" of a subresource that was created. */
void reply_created(struct reply *r);
/* Status "Success" of a deletion. */
void reply_deleted(struct reply *r, const struct kind *k, const char *name, const char *uid);

/* Field errors of one object, collected and then answered in one 422. */
struct causes {
	struct json_object *list; /* NULL: none */
};
void causes_fini(struct causes *c);
void cause_invalid(struct causes *c, const char *field, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void cause_required(struct causes *c, const char *field, const char *detail);
void cause_forbidden(struct causes *c, const char *field, const char *detail);
void cause_duplicate(struct causes *c, const char *field, const char *value);
/* @supported: as it is printed, "\"A\", \"B\"". */
void cause_unsupported(struct causes *c, const char *field, const char *value,
                       const char *supported);
void cause_too_long(struct causes *c, const char *field, int max);
void cause_too_many(struct causes *c, const char *field, size_t n, int max);
/* 0 if there is none, else 422 Invalid. */
int reply_invalid(struct reply *r, const struct kind *k, const char *name, const struct causes *c);

#endif
