/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of core/v1 with what events.k8s.io/v1 wants as well, because only that takes both kinds of
 * times: kubectl sorts by the last timestamp, which events.k8s.io/v1 refuses to have set, and newer
 * readers look at eventTime.  The server validates those that have an eventTime strictly: every
 * length here is its limit.  Events are news, not state: whatever does not fit or does not arrive
 * is counted and forgotten.
 */
#include "config.h"

#include "fairlead/kube.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kube/client.h"
#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define EVENT_ATTEMPTS 3
#define EVENT_NOTE_MAX 1024
#define EVENT_TELL_AGAIN_MS 60000
#define EVENT_WORD_MAX 128
#define EVENT_NAME_MAX 253

/* Length of @s cut to @max bytes, but not within a UTF-8 character. */
static size_t cut_len(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);

	if (len <= max)
		return len;
	for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80;)
		len--;
	return len;
}

static void add_member(struct buf *b, const char *key, const char *value, size_t max)
{
	cleanup_free char *cut = xstrndup(value ? value : "", cut_len(value ? value : "", max));

	buf_printf(b, ",\"%s\":", key);
	buf_json_str(b, cut);
}

void kube_event_body(struct buf *b, const char *controller, const char *instance,
                     const struct kube_event *ev, int64_t wall_us, uint64_t unique)
{
	char stamp[CLOCK_RFC3339_SIZE];
	const char *namespace = ev->namespace && *ev->namespace ? ev->namespace : "default";
	/* "<object>.<16 hexadecimal digits>" must be a name. */
	int name_len = (int)cut_len(ev->name, EVENT_NAME_MAX - 17);

	buf_puts(b, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":");
	cleanup_free char *name =
		xasprintf("%.*s.%016llx", name_len, ev->name, (unsigned long long)unique);
	buf_json_str(b, name);
	add_member(b, "namespace", namespace, EVENT_NAME_MAX);
	clock_rfc3339_micro(wall_us, stamp);
	buf_printf(b, "},\"type\":\"%s\",\"count\":1,\"eventTime\":\"%s\"",
	           ev->warning ? "Warning" : "Normal", stamp);
	/* The same in whole seconds. */
	snprintf(strchr(stamp, '.'), sizeof("Z"), "Z");
	buf_printf(b, ",\"firstTimestamp\":\"%s\",\"lastTimestamp\":\"%s\"", stamp, stamp);
	buf_puts(b, ",\"source\":{\"component\":");
	buf_json_str(b, controller);
	buf_putc(b, '}');
	add_member(b, "reportingComponent", controller, EVENT_NAME_MAX);
	add_member(b, "reportingInstance", instance, EVENT_WORD_MAX);
	add_member(b, "action", ev->action, EVENT_WORD_MAX);
	add_member(b, "reason", ev->reason, EVENT_WORD_MAX);
	add_member(b, "message", ev->note, EVENT_NOTE_MAX);
	buf_puts(b, ",\"involvedObject\":{\"kind\":");
	buf_json_str(b, ev->kind);
	add_member(b, "apiVersion", ev->api_version, EVENT_NAME_MAX);
	add_member(b, "name", ev->name, EVENT_NAME_MAX);
	if (ev->namespace && *ev->namespace)
		add_member(b, "namespace", ev->namespace, EVENT_NAME_MAX);
	if (ev->uid)
		add_member(b, "uid", ev->uid, EVENT_NAME_MAX);
	buf_puts(b, "}}");
}

/* What is lost is counted each, and said in the log once in a while. */
static void lose(struct kube_client *c, const char *why)
{
	int64_t now_ms = clock_ms();

	c->stats.events_lost++;
	if (c->events_told_ms && now_ms - c->events_told_ms < EVENT_TELL_AGAIN_MS)
		return;
	c->events_told_ms = now_ms;
	log_warn("Events are lost", KV_S("error", why), KV_I("lost", c->stats.events_lost));
}

static void on_recorded(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct kube_client *c = arg;

	(void)status;
	(void)obj;
	c->n_events--;
	if (e)
		lose(c, e->msg);
}

void kube_event_emit(struct kube_client *c, const char *controller, const char *instance,
                     const struct kube_event *ev)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;

	if (c->n_events >= KUBE_EVENTS_QUEUED) {
		lose(c, "too many are waiting to be recorded");
		return;
	}
	kube_event_body(&body, controller, instance, ev, clock_wall_us(),
	                clock_random_below(UINT64_MAX));
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/%s/events",
	                  ev->namespace && *ev->namespace ? ev->namespace : "default");
	c->n_events++;
	kube_request_start(c,
	                   &(struct kube_request_spec){
				   .method = "POST",
				   .path = path,
				   .body = buf_str(&body),
				   .max_retries = EVENT_ATTEMPTS - 1,
				   .background = true,
			   },
	                   on_recorded, c);
}
