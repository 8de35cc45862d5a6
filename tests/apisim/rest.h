/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_REST_H
#define APISIM_REST_H

/* What rest.c, bind.c and delete.c share; others go through rest_handle() in server.h. */

#include "server.h"

/* NULL if it is not there. */
struct version *rest_find(struct server *s, const struct api_request *rq, const char *name);
void rest_answer(const struct api_request *rq, struct reply *r, int code, struct version *v);
/* The write has changed something; after the reply is filled. */
void rest_note_change(struct server *s, struct reply *r);
int rest_store_error(struct reply *r, const struct err *err);
/* Now, or @plus_s seconds later. */
void rest_set_time(struct json_object *o, const char *path, int64_t plus_s);

void rest_bind(struct server *s, const struct api_request *rq, struct reply *r);
void rest_delete(struct server *s, const struct api_request *rq, struct reply *r);
void rest_deletecollection(struct server *s, const struct api_request *rq, struct reply *r);

#endif
