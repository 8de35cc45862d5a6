/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_WLOG_H
#define APISIM_WLOG_H

/*
 * The log of writes, for tests to judge by: one JSON line for each write request, also the refused
 * ones, written before the answer leaves.
 *
 *	{"time":"…","verb":"patch","path":"/api/v1/…/status","agent":"fairlead-controller/0.1.0",
 *	 "code":200,"changed":true,"rv":"1234",
 *	 "kind":"Service","namespace":"shop","name":"web","uid":"…",
 *	 "ingress":["192.168.1.240"],"external":["…"],"condition":{"type":…,"status":…,"reason":…},
 *	 "holder":"…","body":"the request's first bytes"}
 *
 * "rv" to "holder" tell of the object as it was stored, and are there as far as it has them;
 * "changed" is false where the write left everything as it was.
 */

#include "fairlead/err.h"

struct api_request;
struct reply;
struct wlog;

int wlog_open(const char *path, struct wlog **ret_log, struct err *err);
void wlog_free(struct wlog *l);
/* Nothing for a NULL log. */
void wlog_add(struct wlog *l, const struct api_request *rq, const struct reply *r);

#endif
