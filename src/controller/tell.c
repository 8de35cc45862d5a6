/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "controller/tell.h"

#include "fairlead/mem.h"

void tell_event(struct controller *ctl, const char *kind, const char *namespace, const char *name,
                const char *uid, bool warning, enum reason reason, const char *action,
                const char *what)
{
	cleanup(buf_fini) struct buf note = BUF_INIT;

	buf_puts(&note, what);
	if (*reason_remedy(reason))
		buf_printf(&note, ". %s", reason_remedy(reason));
	const struct kube_event ev = {
		.kind = kind,
		.api_version = "v1",
		.namespace = namespace,
		.name = name,
		.uid = uid,
		.warning = warning,
		.reason = reason_name(reason),
		.action = action,
		.note = buf_str(&note),
	};
	ctl->stats.events++;
	kube_event_emit(ctl->client, CONTROLLER_NAME, ctl->identity, &ev);
}

void tell_event_of(struct record *r, bool warning, enum reason reason, const char *action,
                   const char *what)
{
	tell_event(r->ctl, "Service", r->namespace, r->name, r->uid, warning, reason, action, what);
}
