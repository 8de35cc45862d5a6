/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "wlog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "js.h"
#include "server.h"

#define WLOG_BODY_MAX 512
#define OUR_CONDITIONS "fairlead.io/"

struct wlog {
	int fd;
};

int wlog_open(const char *path, struct wlog **ret_log, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_set(err, -errno, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	struct wlog *l = xcalloc(1, sizeof(*l));
	l->fd = fd;
	*ret_log = l;
	return 0;
}

void wlog_free(struct wlog *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}

static void copy_member(struct json_object *to, const char *name, struct json_object *from,
                        const char *path)
{
	struct json_object *v = js_at(from, path);

	if (v)
		js_set(to, name, json_object_get(v));
}

/* Ours if there is one, else the first; NULL if there is none. */
static struct json_object *telling_condition(struct json_object *o)
{
	struct json_object *list = js_array(o, "status.conditions");

	for (size_t i = 0; i < js_len(list); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		if (!strncmp(js_str0(c, "type"), OUR_CONDITIONS, strlen(OUR_CONDITIONS)))
			return c;
	}
	return js_len(list) ? json_object_array_get_idx(list, 0) : NULL;
}

static void add_object(struct json_object *line, struct json_object *o)
{
	copy_member(line, "rv", o, "metadata.resourceVersion");
	copy_member(line, "kind", o, "kind");
	copy_member(line, "namespace", o, "metadata.namespace");
	copy_member(line, "name", o, "metadata.name");
	copy_member(line, "uid", o, "metadata.uid");
	copy_member(line, "type", o, "spec.type");
	copy_member(line, "external", o, "spec.externalIPs");
	copy_member(line, "holder", o, "spec.holderIdentity");
	copy_member(line, "deleting", o, "metadata.deletionTimestamp");
	struct json_object *ingress = js_array(o, "status.loadBalancer.ingress");
	if (ingress) {
		struct json_object *ips = json_object_new_array();
		for (size_t i = 0; i < js_len(ingress); i++) {
			struct json_object *e = json_object_array_get_idx(ingress, i);
			json_object_array_add(ips, json_object_new_string(js_str0(e, "ip")));
		}
		js_set(line, "ingress", ips);
	}
	struct json_object *c = telling_condition(o);
	if (js_is_str(js_get(o, "kind"), "Service") && c) {
		copy_member(line, "condition.type", c, "type");
		copy_member(line, "condition.status", c, "status");
		copy_member(line, "condition.reason", c, "reason");
	}
}

void wlog_add(struct wlog *l, const struct api_request *rq, const struct reply *r)
{
	if (!l)
		return;
	char time[CLOCK_RFC3339_SIZE];
	cleanup(js_put) struct json_object *line = json_object_new_object();
	js_set_str(line, "time", clock_rfc3339_micro(clock_wall_us(), time));
	js_set_str(line, "verb", verb_names[rq->verb]);
	js_set_str(line, "path", rq->path);
	js_set_str(line, "agent", rq->user_agent ? rq->user_agent : "");
	js_set_int(line, "code", r->code);
	js_set(line, "changed", json_object_new_boolean(r->changed));
	if (r->version) {
		cleanup(js_put) struct json_object *o =
			js_parse(r->version->text, r->version->size, NULL);
		add_object(line, o);
	} else if (r->obj) {
		copy_member(line, "name", r->obj, "details.name");
		copy_member(line, "uid", r->obj, "details.uid");
		if (r->code >= 400)
			copy_member(line, "error", r->obj, "message");
	}
	cleanup_free char *body =
		xstrndup(rq->body ? rq->body : "",
	                 rq->body_size < WLOG_BODY_MAX ? rq->body_size : WLOG_BODY_MAX);
	cleanup(buf_fini) struct buf b = BUF_INIT;
	size_t size;
	const char *text = js_text(line, &size);
	buf_add(&b, text, size - 1);
	buf_puts(&b, ",\"body\":");
	buf_json_str(&b, body);
	buf_puts(&b, "}\n");
	if (write(l->fd, b.data, b.size) != (ssize_t)b.size)
		log_error("write log is incomplete", KV_S("error", strerror(errno)));
}
