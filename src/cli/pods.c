/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/pods.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/buf.h"
#include "fairlead/mem.h"

#define COMPONENT_LABEL "app.kubernetes.io/component"

/* Containers of a Pod have these names, too. */
static const char *const components[] = {
	[PODS_CONTROLLER] = "controller", [PODS_SPEAKER] = "speaker"
};

void pods_fini(struct pods *p)
{
	for (size_t i = 0; i < p->n; i++)
		kube_pod_free(p->items[i]);
	free(p->items);
	*p = (struct pods){ .items = NULL };
}

bool pod_is(const struct kube_pod *pod, enum pods_kind kind)
{
	const char *component = labels_get(&pod->meta.labels, COMPONENT_LABEL);

	return component && !strcmp(component, components[kind]);
}

int pods_put(struct pods *p, struct json_object *obj, struct err *e)
{
	struct kube_pod *pod;
	int r = kube_pod_parse(obj, &pod, e);

	if (r < 0)
		return r;
	if (!pod_is(pod, PODS_CONTROLLER) && !pod_is(pod, PODS_SPEAKER)) {
		kube_pod_free(pod);
		return 0;
	}
	ARRAY_RESERVE(p->items, p->cap, p->n + 1);
	p->items[p->n++] = pod;
	return 0;
}

size_t pods_count(const struct pods *p, enum pods_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += pod_is(p->items[i], kind);
	return n;
}

const struct kube_pod *pods_speaker_of(const struct pods *p, const char *node)
{
	const struct kube_pod *found = NULL;

	for (size_t i = 0; i < p->n; i++) {
		const struct kube_pod *pod = p->items[i];
		if (!pod_is(pod, PODS_SPEAKER) || !pod->node || strcmp(pod->node, node) != 0)
			continue;
		if (!found || (pod_runs(pod) && !pod_runs(found)))
			found = pod;
	}
	return found;
}

/* ---- whether it runs ---- */

/*
 * The container that keeps the daemon from running: an init container, or its own.  Problems of
 * other containers, such as FRR's, are not counted.  NULL: none does.
 */
static const struct kube_container *hindrance(const struct kube_pod *pod)
{
	for (size_t i = 0; i < pod->n_containers; i++) {
		const struct kube_container *c = &pod->containers[i];
		bool is_own = !strcmp(c->name, components[PODS_CONTROLLER]) ||
		              !strcmp(c->name, components[PODS_SPEAKER]);
		if (c->runs || (c->is_init && c->has_ended && c->exit_code == 0))
			continue;
		if (c->is_init || is_own || pod->n_containers == 1)
			return c;
	}
	return NULL;
}

bool pod_runs(const struct kube_pod *pod)
{
	return !strcmp(pod->phase, "Running") && !pod->meta.deleting && !hindrance(pod);
}

static void put_container(const struct kube_container *c, struct buf *out)
{
	buf_printf(out, ", container %s: %s", c->name,
	           c->reason      ? c->reason
	           : c->has_ended ? "has ended"
	                          : "waits");
	if (c->message && *c->message)
		buf_printf(out, ": %s", c->message);
	if (!c->exit_code)
		return;
	buf_printf(out, "; its last exit status was %d", c->exit_code);
	if (c->exit_reason && strcmp(c->exit_reason, "Error") != 0)
		buf_printf(out, " (%s)", c->exit_reason);
}

char *pod_trouble(const struct kube_pod *pod)
{
	const struct kube_container *c = hindrance(pod);
	struct buf out = BUF_INIT;

	buf_printf(&out, "Pod %s", pod->meta.name);
	if (pod->meta.deleting)
		buf_puts(&out, ": it is being deleted");
	else if (c)
		put_container(c, &out);
	else if (pod->unscheduled)
		buf_printf(&out, ": no node takes it%s%s", *pod->unscheduled ? ": " : "",
		           pod->unscheduled);
	else
		buf_printf(&out, ": %s%s%s", pod->reason ? pod->reason : pod->phase,
		           pod->message && *pod->message ? ": " : "",
		           pod->message ? pod->message : "");
	return buf_take(&out);
}

/* ---- how it is asked ---- */

enum reason pods_silence(const struct pods *p, const char *node, const char *error, struct buf *why)
{
	const struct kube_pod *pod = pods_speaker_of(p, node);

	if (pod && !pod_runs(pod)) {
		cleanup_free char *trouble = pod_trouble(pod);
		buf_puts(why, trouble);
		return REASON_SpeakerNotRunning;
	}
	if (!pod && pods_count(p, PODS_SPEAKER) > 0) {
		buf_puts(why, reason_sentence(REASON_SpeakerMissing));
		return REASON_SpeakerMissing;
	}
	buf_puts(why, error);
	return REASON_SpeakerSilent;
}

struct gather_daemon pods_ask_speaker(const struct pods *p, const char *node,
                                      const struct addr *address, int port)
{
	const struct kube_pod *pod = pods_speaker_of(p, node);

	return (struct gather_daemon){ .name = node,
		                       .address = address,
		                       .port = port,
		                       .namespace = pod ? pod->meta.namespace : NULL,
		                       .pod = pod ? pod->meta.name : NULL,
		                       .node = node };
}

struct gather_daemon pods_ask(const struct kube_pod *pod, int port)
{
	return (struct gather_daemon){ .name = pod->meta.name,
		                       .address = &pod->ip,
		                       .port = port,
		                       .namespace = pod->meta.namespace,
		                       .pod = pod->meta.name };
}
