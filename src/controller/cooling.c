/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses cool down (cool-down of a pool) no object tells once the Services that had them
 * are gone.  So the leader writes them into a ConfigMap of their own, which no speaker follows, a
 * second after one was let go, though not more often than every ten, and before it ends.  A standby
 * sees Services go as well and has them in its books by itself; what the ConfigMap says comes to
 * that when it leads, and is all that a controller knows which was just started.  As the ConfigMap
 * may lack what only the standby knows, it is compared whenever the books are new.
 *
 * Nor does any object tell which address a pool gave last that gives them in turn (round-robin),
 * so that is written with it.  A standby does not follow that by itself, since it may see Services
 * in another order than they were decided in: whoever leads goes on where the ConfigMap says.
 *
 * The ConfigMap helps, and nothing waits for it: if it cannot be written, addresses cool down as
 * long as one of the controllers lives.
 */
#include "config.h"

#include "controller/cooling.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "controller/books.h"
#include "controller/term.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

/* What is let go at once is written at once. */
#define GATHER_S 1
#define EVERY_S 10
#define RETRY_DOUBLINGS_MAX 6
/* The wall clock may be set while the timer runs. */
#define LOOK_S 60
/* of the 1 MiB of a ConfigMap */
#define TEXT_MAX_BYTES 900000

static void arm(struct event *ev, int64_t s)
{
	const struct timeval tv = { s, 0 };

	if (!evtimer_pending(ev, NULL))
		evtimer_add(ev, &tv);
}

/* ---- writing ---- */

static bool is_unwritten(const struct controller *ctl)
{
	return ctl->ipam &&
	       (ctl->cooling.is_unwritten || ipam_n_noted(ctl->ipam) != ctl->cooling.n_written);
}

static void write_later(struct controller *ctl)
{
	int64_t delay_s = GATHER_S << ctl->cooling.n_failed;
	int64_t next_ms = ctl->cooling.sent_ms ? ctl->cooling.sent_ms + EVERY_S * 1000 : 0;
	int64_t left_s = (next_ms - clock_ms() + 999) / 1000;

	if (is_unwritten(ctl) && !ctl->cooling.request)
		arm(ctl->cooling.write, left_s > delay_s ? left_s : delay_s);
}

static void written(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct controller *ctl = arg;

	(void)obj;
	ctl->cooling.request = NULL;
	if (!kube_status_is_final(status))
		term_unanswered(ctl);
	if (!e) {
		ctl->cooling.n_failed = 0;
		ctl->cooling.exists = true;
	} else {
		if (ctl->cooling.n_failed == 0)
			log_warn("cannot write which addresses cool down, or were given last; a "
			         "controller that is started will not know",
			         KV_S("config_map", IPAM_COOLING_MAP), KV_S("error", e->msg));
		if (status == 404 || status == 409)
			ctl->cooling.exists = status == 409;
		ctl->cooling.n_failed += ctl->cooling.n_failed < RETRY_DOUBLINGS_MAX;
		ctl->cooling.is_unwritten = true;
		free(TAKE(ctl->cooling.text));
	}
	if (ctl->stopping && !e)
		cooling_flush(ctl);
	else if (ctl->leading)
		write_later(ctl);
}

/* Also after SIGTERM, as the lease is handed over only once the write has ended. */
static bool may_send(void *arg)
{
	const struct controller *ctl = arg;

	return ctl->leading && lease_may_write(ctl->elector);
}

static void send_text(struct controller *ctl, const char *text)
{
	cleanup(buf_fini) struct buf path = BUF_INIT;
	cleanup(buf_fini) struct buf body = BUF_INIT;
	bool exists = ctl->cooling.exists;

	buf_printf(&path, "/api/v1/namespaces/%s/configmaps%s?timeout=%dms", ctl->namespace,
	           exists ? "/" IPAM_COOLING_MAP : "", ctl->timing.effect_ms);
	buf_puts(&body, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
	                "\"" IPAM_COOLING_MAP "\"},\"data\":{\"" IPAM_COOLING_KEY "\":");
	buf_json_str(&body, text);
	buf_puts(&body, "}}");
	const struct kube_request_spec spec = {
		.method = exists ? "PATCH" : "POST",
		.path = buf_str(&path),
		.body = buf_str(&body),
		.patch = exists ? KUBE_PATCH_MERGE : KUBE_PATCH_NONE,
		.timeout_ms = ctl->timing.effect_ms,
		.may_send = may_send,
	};
	free(ctl->cooling.text);
	ctl->cooling.text = xstrdup(text);
	ctl->cooling.sent_ms = clock_ms();
	ctl->cooling.request = kube_request_start(ctl->client, &spec, written, ctl);
}

void cooling_flush(struct controller *ctl)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	if (!is_unwritten(ctl) || ctl->cooling.request || !may_send(ctl))
		return;
	evtimer_del(ctl->cooling.write);
	ipam_print_cooling(ctl->ipam, TEXT_MAX_BYTES, &text);
	ctl->cooling.n_written = ipam_n_noted(ctl->ipam);
	ctl->cooling.is_unwritten = false;
	const char *seen = ctl->cooling.text ? ctl->cooling.text : "";
	if (strcmp(seen, buf_str(&text)) != 0)
		send_text(ctl, buf_str(&text));
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	cooling_flush(arg);
}

/* ---- time ---- */

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;

	(void)fd;
	(void)what;
	if (!ctl->ipam)
		return;
	books_tell_time(ctl);
	cooling_look(ctl);
}

void cooling_look(struct controller *ctl)
{
	if (!ctl->leading || ctl->stopping || !ctl->ipam)
		return;
	write_later(ctl);
	int64_t next_s = ipam_next_cooled(ctl->ipam);
	if (next_s == INT64_MAX)
		return;
	int64_t left_s = next_s - clock_wall_us() / 1000000;
	evtimer_del(ctl->cooling.due);
	arm(ctl->cooling.due, left_s < 1 ? 1 : left_s < LOOK_S ? left_s : LOOK_S);
}

/* Is there anything to write, or was there once? */
static bool is_needed(const struct controller *ctl)
{
	return ctl->cooling.text || configuration_is_noted(ipam_configuration(ctl->ipam));
}

void cooling_fill(struct controller *ctl)
{
	if (!is_needed(ctl))
		return;
	ctl->cooling.is_unwritten = true;
	/* Once what the old ones had is in the new ones. */
	evtimer_del(ctl->cooling.due);
	arm(ctl->cooling.due, GATHER_S);
}

/* ---- what was written ---- */

void cooling_seen(struct controller *ctl, const struct kube_config_map *m)
{
	const char *text = m ? labels_get(&m->data, IPAM_COOLING_KEY) : NULL;
	const char *known = ctl->cooling.text;

	ctl->cooling.is_unwritten |= strcmp(text ? text : "", known ? known : "") != 0;
	ctl->cooling.exists = m;
	free(ctl->cooling.text);
	ctl->cooling.text = xstrdup_null(text);
	cooling_look(ctl);
}

int cooling_start(struct controller *ctl)
{
	ctl->cooling.due = evtimer_new(ctl->base, on_due, ctl);
	ctl->cooling.write = evtimer_new(ctl->base, on_write, ctl);
	return ctl->cooling.due && ctl->cooling.write ? 0 : -1;
}

void cooling_free(struct controller *ctl)
{
	if (ctl->cooling.due)
		event_free(ctl->cooling.due);
	if (ctl->cooling.write)
		event_free(ctl->cooling.write);
	free(ctl->cooling.text);
}
