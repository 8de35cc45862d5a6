/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_OPENAPI_H
#define APISIM_OPENAPI_H

/*
 * What a client reads to find its way: /version, /api, /apis, the resource lists, and /openapi/v3
 * with just enough for kubectl (the kinds, and that fieldValidation is understood).
 */

#include <event2/http.h>
#include <stdbool.h>

/* Answers the request if @path is one of these. */
bool openapi_handle(struct evhttp_request *req, const char *path);

#endif
