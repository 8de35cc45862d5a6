/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a controller that is uninstalled.  Once the mark was seen on fairlead-active, no
 * replica assigns anything more, also where the mark has gone again since: a replica that takes the
 * lead while the last Pods end must not undo it.
 *
 * Addresses stay in the statuses unless the mark says otherwise, as a new installation must not
 * renumber Services.  Where they are to go, the leader answers on the mark when all of them have,
 * each time that the mark is set.  It answers exactly the version that it has seen: a program that
 * has waited in vain removes the mark, and a later answer would be a mark that nobody removes, at
 * which the next installation would end.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "controller/books.h"
#include "controller/term.h"
#include "controller/uninstall.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define ATTEMPTS 5

void uninstall_see(struct controller *ctl, const struct kube_config_map *active)
{
	const char *mark =
		active ? labels_get(&active->meta.annotations, UNINSTALL_ANNOTATION) : NULL;
	bool release = mark && !strcmp(mark, UNINSTALL_RELEASE);

	free(ctl->uninstall_unanswered);
	ctl->uninstall_unanswered = release ? xstrdup(active->meta.resource_version) : NULL;
	if (release)
		books_schedule(ctl);
	if (!mark || ctl->uninstall == CONTROLLER_RELEASES ||
	    (ctl->uninstall == CONTROLLER_KEEPS && !release))
		return;
	log_info(release ? "being uninstalled: addresses are taken back"
	                 : "being uninstalled: nothing more is assigned");
	ctl->uninstall = release ? CONTROLLER_RELEASES : CONTROLLER_KEEPS;
	/*
	 * Now, as the right to hand the lease over may be gone before this process ends, and the
	 * next installation would wait the lease out.  A controller that takes addresses back has
	 * to lead until that is done.
	 */
	if (release)
		ctl->calls->run_again(ctl);
	else
		ctl->calls->resign(ctl);
	for (struct record *r = ctl->records; ctl->leading && r; r = r->hh.next)
		books_mark(r);
	books_schedule(ctl);
}

void uninstall_request(struct record *r)
{
	struct record_part *const parts[] = { &r->lb, r->external };

	for (size_t i = 0; r->ctl->uninstall == CONTROLLER_RELEASES && i < ARRAY_LEN(parts); i++)
		if (parts[i] && parts[i]->request.wish == IPAM_WISH_ADDRESS)
			parts[i]->request.wish = IPAM_WISH_NONE;
}

void uninstall_explain(struct record *r)
{
	struct record_part *const parts[] = { &r->lb, r->external };

	for (size_t i = 0; r->ctl->uninstall == CONTROLLER_RELEASES && i < ARRAY_LEN(parts); i++) {
		struct record_part *p = parts[i];
		if (!p || p->request.wish != IPAM_WISH_NONE || !p->decided)
			continue;
		p->reason = REASON_Uninstalled;
		free(p->message);
		p->message = xstrdup(reason_sentence(REASON_Uninstalled));
	}
}

static void answered(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct controller *ctl = arg;

	cleanup_free char *version = TAKE(ctl->uninstall_answering);

	(void)obj;
	ctl->uninstall_answer_request = NULL;
	if (!e)
		log_info("all addresses were taken back");
	else if (status != 409)
		log_warn("cannot say that the addresses were taken back", KV_I("status", status),
		         KV_S("error", e->msg));
	if (e && status != 409 && !ctl->uninstall_unanswered)
		ctl->uninstall_unanswered = TAKE(version); /* again with the next turn */
	else if (ctl->uninstall_unanswered)
		books_schedule(ctl);
}

/*
 * Those that wait until the watch has shown their last write, before the next one, are on no list.
 */
static bool is_anything_left(const struct controller *ctl)
{
	if (ctl->dirty || ctl->queue || ctl->due || ctl->n_in_flight > 0)
		return true;
	for (const struct record *r = ctl->records; r; r = r->hh.next)
		if (r->dirty)
			return true;
	return false;
}

void uninstall_answer(struct controller *ctl)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;

	if (ctl->uninstall != CONTROLLER_RELEASES || !ctl->uninstall_unanswered ||
	    ctl->uninstall_answer_request || !term_may_write(ctl))
		return;
	if (ctl->ipam && is_anything_left(ctl))
		return;
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/%s/configmaps/" CONFIG_MAP_ACTIVE, ctl->namespace);
	buf_puts(&body, "{\"metadata\":{\"resourceVersion\":");
	ctl->uninstall_answering = TAKE(ctl->uninstall_unanswered);
	buf_json_str(&body, ctl->uninstall_answering);
	buf_puts(&body,
	         ",\"annotations\":{\"" UNINSTALL_ANNOTATION "\":\"" UNINSTALL_RELEASED "\"}}}");
	const struct kube_request_spec spec = { .method = "PATCH",
		                                .path = path,
		                                .body = buf_str(&body),
		                                .patch = KUBE_PATCH_MERGE,
		                                .max_retries = ATTEMPTS - 1 };
	ctl->uninstall_answer_request = kube_request_start(ctl->client, &spec, answered, ctl);
}
