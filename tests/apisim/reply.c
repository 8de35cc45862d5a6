/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "reply.h"

#include <stdarg.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "js.h"
#include "store.h"

void reply_fini(struct reply *r)
{
	json_object_put(r->obj);
	version_unref(r->version);
	*r = (struct reply)REPLY_INIT;
}

static struct json_object *status_new(int code, const char *status, const char *reason)
{
	struct json_object *o = json_object_new_object();

	js_set_str(o, "kind", "Status");
	js_set_str(o, "apiVersion", "v1");
	js_set(o, "metadata", json_object_new_object());
	js_set_str(o, "status", status);
	if (reason)
		js_set_str(o, "reason", reason);
	js_set_int(o, "code", code);
	return o;
}

static struct json_object *details_new(const struct kind *k, const char *name,
                                       const char *kind_name)
{
	struct json_object *d = json_object_new_object();

	if (name && *name)
		js_set_str(d, "name", name);
	if (k && *k->group)
		js_set_str(d, "group", k->group);
	if (k)
		js_set_str(d, "kind", kind_name);
	return d;
}

int reply_status(struct reply *r, int code, const char *reason, const struct kind *k,
                 const char *name, const char *fmt, ...)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	reply_fini(r);
	r->code = code;
	r->obj = status_new(code, "Failure", reason);
	js_set_str(r->obj, "message", buf_str(&b));
	if (k)
		js_set(r->obj, "details", details_new(k, name, k->resource));
	return code;
}

int reply_not_found(struct reply *r, const struct kind *k, const char *name)
{
	return reply_status(r, 404, "NotFound", k, name, "%s \"%s\" not found", kind_qualified(k),
	                    name);
}

int reply_exists(struct reply *r, const struct kind *k, const char *name)
{
	return reply_status(r, 409, "AlreadyExists", k, name, "%s \"%s\" already exists",
	                    kind_qualified(k), name);
}

int reply_conflict(struct reply *r, const struct kind *k, const char *name, const char *why)
{
	return reply_status(r, 409, "Conflict", k, name,
	                    "Operation cannot be fulfilled on %s \"%s\": %s", kind_qualified(k),
	                    name,
	                    why ? why
	                        : "the object has been modified; please apply your changes to the "
	                          "latest version and try again");
}

int reply_bad_request(struct reply *r, const char *fmt, ...)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	return reply_status(r, 400, "BadRequest", NULL, NULL, "%s", buf_str(&b));
}

int reply_unknown_path(struct reply *r)
{
	reply_status(r, 404, "NotFound", NULL, NULL,
	             "the server could not find the requested resource");
	js_set(r->obj, "details", json_object_new_object());
	return 404;
}

int reply_internal(struct reply *r, const char *fmt, ...)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	return reply_status(r, 500, "InternalError", NULL, NULL, "Internal error occurred: %s",
	                    buf_str(&b));
}

static const struct {
	int code;
	const char *reason, *message;
} codes[] = {
	{ 401, "Unauthorized", "Unauthorized" },
	{ 403, "Forbidden", "forbidden: not allowed" },
	{ 405, "MethodNotAllowed",
	  "the server does not allow this method on the requested resource" },
	{ 409, "Conflict",
	  "Operation cannot be fulfilled: the object has been modified; please apply your changes "
	  "to "
	  "the latest version and try again" },
	{ 410, "Expired", "The resourceVersion for the provided list is too old." },
	{ 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728" },
	{ 415, "UnsupportedMediaType",
	  "the body of the request was in an unknown format - accepted media types include: "
	  "application/json" },
	{ 429, "TooManyRequests", "Too many requests, please try again later." },
	{ 500, "InternalError", "Internal error occurred: injected" },
	{ 502, "InternalError", "Bad Gateway" },
	{ 503, "ServiceUnavailable", "the server is currently unable to handle the request" },
	{ 504, "Timeout", "the server was unable to return a response in the time allotted" },
};

int reply_code(struct reply *r, int code, int retry_after_s)
{
	const char *reason = NULL, *message =
					   "an error on the server has prevented the request from "
					   "succeeding";

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i].code == code) {
			reason = codes[i].reason;
			message = codes[i].message;
		}
	}
	reply_status(r, code, reason, NULL, NULL, "%s", message);
	r->retry_after_s = retry_after_s;
	if (retry_after_s > 0)
		js_set_int(r->obj, "details.retryAfterSeconds", retry_after_s);
	return code;
}

void reply_created(struct reply *r)
{
	reply_fini(r);
	r->code = 201;
	r->obj = status_new(201, "Success", NULL);
}

void reply_deleted(struct reply *r, const struct kind *k, const char *name, const char *uid)
{
	reply_fini(r);
	r->code = 200;
	r->obj = status_new(200, "Success", NULL);
	json_object_object_del(r->obj, "code");
	js_set(r->obj, "details", details_new(k, name, k->resource));
	js_set_str(r->obj, "details.uid", uid);
}

void causes_fini(struct causes *c)
{
	json_object_put(c->list);
	c->list = NULL;
}

static void cause_add(struct causes *c, const char *reason, const char *field, const char *message)
{
	if (!c->list)
		c->list = json_object_new_array();
	struct json_object *o = json_object_new_object();
	js_set_str(o, "reason", reason);
	js_set_str(o, "message", message);
	js_set_str(o, "field", field);
	json_object_array_add(c->list, o);
}

void cause_invalid(struct causes *c, const char *field, const char *value, const char *fmt, ...)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "Invalid value: %s: ", value);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	cause_add(c, "FieldValueInvalid", field, buf_str(&b));
}

void cause_required(struct causes *c, const char *field, const char *detail)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "Required value%s%s", *detail ? ": " : "", detail);
	cause_add(c, "FieldValueRequired", field, buf_str(&b));
}

void cause_forbidden(struct causes *c, const char *field, const char *detail)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "Forbidden: %s", detail);
	cause_add(c, "FieldValueForbidden", field, buf_str(&b));
}

void cause_duplicate(struct causes *c, const char *field, const char *value)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "Duplicate value: %s", value);
	cause_add(c, "FieldValueDuplicate", field, buf_str(&b));
}

void cause_unsupported(struct causes *c, const char *field, const char *value,
                       const char *supported)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_puts(&b, "Unsupported value: ");
	buf_json_str(&b, value);
	buf_printf(&b, ": supported values: %s", supported);
	cause_add(c, "FieldValueNotSupported", field, buf_str(&b));
}

void cause_too_long(struct causes *c, const char *field, int max)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "Too long: may not be more than %d bytes", max);
	cause_add(c, "FieldValueTooLong", field, buf_str(&b));
}

void cause_too_many(struct causes *c, const char *field, size_t n, int max)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	buf_printf(&b, "Too many: %zu: must have at most %d items", n, max);
	cause_add(c, "FieldValueTooMany", field, buf_str(&b));
}

int reply_invalid(struct reply *r, const struct kind *k, const char *name, const struct causes *c)
{
	size_t n = js_len(c->list);

	if (n == 0)
		return 0;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	if (n > 1)
		buf_putc(&b, '[');
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(c->list, i);
		buf_printf(&b, "%s%s: %s", i ? ", " : "", js_str0(o, "field"),
		           js_str0(o, "message"));
	}
	if (n > 1)
		buf_putc(&b, ']');
	cleanup_free char *kind_name =
		*k->group ? xasprintf("%s.%s", k->kind, k->group) : xstrdup(k->kind);
	reply_status(r, 422, "Invalid", NULL, NULL, "%s \"%s\" is invalid: %s", kind_name, name,
	             buf_str(&b));
	struct json_object *d = details_new(k, name, k->kind);
	js_set(d, "causes", json_object_get(c->list));
	js_set(r->obj, "details", d);
	return 422;
}
