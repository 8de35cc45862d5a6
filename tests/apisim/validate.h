/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APISIM_VALIDATE_H
#define APISIM_VALIDATE_H

/*
 * What the real server would refuse, in its words, as far as it matters here: types of the fields
 * that we use, names, labels, Services in depth, EndpointSlices, Leases, ConfigMaps and Events
 * where a client could plausibly get them wrong.
 */

#include <json.h>

#include "reply.h"

/* A value of the wrong JSON type: 400 as a failed decoding is.  0 or the code. */
int validate_types(const struct kind *k, struct json_object *o, struct reply *r);
/* Everything else; @old NULL for a creation. */
void validate_object(const struct kind *k, struct json_object *o, struct json_object *old,
                     struct causes *c);
/* Of a write to the status subresource. */
void validate_status(const struct kind *k, struct json_object *o, struct json_object *old,
                     struct causes *c);

/* For validate_service.c. */
void validate_service(struct json_object *svc, struct json_object *old, struct causes *c);
void validate_service_status(struct json_object *svc, struct causes *c);
bool is_dns_label(const char *s);     /* RFC 1123, 63 characters */
bool is_dns1035_label(const char *s); /* the same, beginning with a letter */
bool is_dns_subdomain(const char *s);
bool is_qualified_name(const char *s); /* label keys, finalizers, classes */
#define DNS_LABEL_MSG                                                                            \
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " \
	"and must start and end with an alphanumeric character (e.g. 'my-name',  or "            \
	"'123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define QUALIFIED_NAME_MSG                                                                        \
	"name part must consist of alphanumeric characters, '-', '_' or '.', and must start and " \
	"end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "       \
	"regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
/* @value as JSON text in the message. */
void cause_invalid_str(struct causes *c, const char *field, const char *value, const char *msg);

#endif
