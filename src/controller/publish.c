/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administrator's ConfigMap is judged, and what is good is published as fairlead-active: that
 * one is what speakers, standbys and the next leader follow, so a bad edit and a restart together
 * leave nobody without pools.
 *
 * The leader acts by what it has published, not by what it has read: the published text and the
 * configuration in force change together.  Edits of fairlead-active by others are undone.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <json-c/json.h>

#include "controller/books.h"
#include "controller/machines.h"
#include "controller/namespaces.h"
#include "controller/publish.h"
#include "controller/retain.h"
#include "controller/tell.h"
#include "controller/term.h"
#include "fairlead/hash.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define RETRY_FIRST_S 1
#define RETRY_DOUBLINGS_MAX 5
#define PROBLEMS_IN_EVENT 3
/* A ConfigMap holds 1 MiB, keys included; fairlead-active has two. */
#define PUBLISHED_MAX 1044480 /* of the 1 MiB of a ConfigMap; its metadata takes the rest */

static void publish_act(struct controller *ctl);

static bool str_eq(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void seen_fini(struct config_map_seen *s)
{
	free(s->uid);
	free(s->version);
	free(s->text);
	free(s->retained);
	free(s->source);
	*s = (struct config_map_seen){ .exists = false };
}

static void seen_read(struct config_map_seen *s, const struct kube_config_map *m)
{
	const char *generation = labels_get(&m->meta.annotations, CONFIG_GENERATION_ANNOTATION);

	seen_fini(s);
	s->exists = true;
	s->uid = xstrdup(m->meta.uid);
	s->version = xstrdup(m->meta.resource_version);
	s->text = xstrdup_null(labels_get(&m->data, CONFIG_MAP_KEY));
	s->retained = xstrdup_null(labels_get(&m->data, CONFIG_MAP_RETAINED));
	s->source = xstrdup_null(labels_get(&m->meta.annotations, CONFIG_SOURCE_ANNOTATION));
	s->generation = generation ? strtoll(generation, NULL, 10) : 0;
	if (s->generation < 0 || s->generation > INT64_MAX / 2)
		s->generation = 0;
}

/* ---- judging ---- */

static void log_problems(const struct config_problems *p, enum log_level level, const char *what)
{
	for (size_t i = 0; i < p->n; i++)
		LOG_AT(level, what, KV_I("line", p->items[i].line), KV_S("path", p->items[i].path),
		       KV_S("detail", p->items[i].message));
}

/* Also by those who do not lead, for their /status. */
static void judge(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;
	struct configuration *c = NULL;

	config_problems_fini(&cs->errors);
	config_problems_fini(&cs->warnings);
	cs->judged_good = cs->oversized = false;
	configuration_unref(TAKE(cs->judged));
	if (!cs->admin.exists)
		config_problems_add(&cs->errors,
		                    xasprintf("ConfigMap %s/%s does not exist; create it with the "
		                              "key " CONFIG_MAP_KEY,
		                              ctl->namespace, ctl->opts.config_map));
	else if (configuration_judge(ctl->namespace, ctl->opts.config_map, cs->admin.text, &c,
	                             &cs->errors, &cs->warnings) == 0)
		cs->judged_good = true;
	cs->judged = c;
	log_problems(&cs->errors, LOG_ERROR, "configuration rejected");
	log_problems(&cs->warnings, LOG_WARN, "configuration");
}

static void tell_rejected(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;
	cleanup(buf_fini) struct buf note = BUF_INIT;
	uint64_t hash = cs->admin.text ? hash64_str(cs->admin.text, 1) : 1;

	if (!cs->admin.exists || cs->rejected_hash == hash)
		return;
	cs->rejected_hash = hash;
	buf_printf(&note, "%zu error%s, the last good configuration stays in force: ", cs->errors.n,
	           cs->errors.n == 1 ? "" : "s");
	config_problems_say(&cs->errors, PROBLEMS_IN_EVENT, &note);
	tell_event(ctl, "ConfigMap", ctl->namespace, ctl->opts.config_map, cs->admin.uid, true,
	           REASON_ConfigurationRejected, "Judge", buf_str(&note));
}

static void put_effect(const struct retain_effect *effect, struct buf *note)
{
	if (effect->n_silenced > 0)
		buf_printf(
			note,
			"; it silences %zu Service%s that had an address on the air, among them "
			"%s: the protocols of the pool announce nothing here (BGP needs peers, layer 2 "
			"is for IPv4)",
			effect->n_silenced, effect->n_silenced == 1 ? "" : "s", effect->silenced);
	if (effect->n_moving > 0)
		buf_printf(note, "; %zu Service%s to another address (renumber)", effect->n_moving,
		           effect->n_moving == 1 ? " moves" : "s move");
	if (effect->n_retained > 0)
		buf_printf(note,
		           "; no pool would give %zu Service%s the address in use any more: it is "
		           "retained, and announced as before",
		           effect->n_retained, effect->n_retained == 1 ? "" : "s");
}

static void tell_accepted(struct controller *ctl, const struct retain_effect *effect)
{
	struct config_state *cs = &ctl->config;
	cleanup(buf_fini) struct buf note = BUF_INIT;

	cs->rejected_hash = 0;
	buf_printf(&note, "generation %" PRId64 " is in force", cs->generation);
	put_effect(effect, &note);
	size_t plain = note.size;
	machines_tell(ctl, &note);
	bool holds_machines = note.size > plain;
	for (size_t i = 0; i < cs->warnings.n; i++)
		buf_printf(&note, "; line %u: %s", cs->warnings.items[i].line,
		           cs->warnings.items[i].message);
	tell_event(ctl, "ConfigMap", ctl->namespace, ctl->opts.config_map, cs->admin.uid,
	           effect->n_silenced + effect->n_retained > 0 || holds_machines,
	           REASON_ConfigurationAccepted, "Judge", buf_str(&note));
}

/* ---- in force ---- */

static void adopt_active(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;
	struct config_problems errors = { 0 };
	struct configuration *c = NULL;
	const char *text = cs->active.text;

	if (!cs->active.exists || !text)
		return;
	if (cs->text && !strcmp(cs->text, text) && str_eq(cs->retained, cs->active.retained)) {
		cs->generation = cs->active.generation;
		return;
	}
	if (configuration_parse_published(text, cs->active.retained, &c, &errors, NULL) == 0) {
		configuration_unref(cs->in_force);
		cs->in_force = c;
		free(cs->text);
		cs->text = xstrdup(text);
		free(cs->retained);
		cs->retained = xstrdup_null(cs->active.retained);
		cs->generation = cs->active.generation;
		log_info("configuration in force", KV_I("generation", cs->generation),
		         KV_I("pools", c->n_pools), KV_I("retained", c->n_retained));
		books_rebuild(ctl);
	} else {
		log_problems(&errors, LOG_ERROR, "published configuration is unusable, ignored");
	}
	config_problems_fini(&errors);
}

/* ---- publishing ---- */

static void looked(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct controller *ctl = arg;
	struct kube_config_map *m;

	ctl->config.write = NULL;
	if (!ctl->leading)
		/* the informer tells a follower, and must not find that it knows this already */
		return;
	if (status == 404) {
		seen_fini(&ctl->config.active);
	} else if (status == 200 && kube_config_map_parse(obj, &m, NULL) == 0) {
		seen_read(&ctl->config.active, m);
		kube_config_map_free(m);
	} else {
		log_debug("cannot look at the published configuration",
		          KV_S("error", e ? e->msg : ""));
	}
	publish_act(ctl);
	books_schedule(ctl);
}

/* Reads what is there, and goes on from that. */
static void retry(evutil_socket_t fd, short what, void *arg)
{
	struct controller *ctl = arg;
	cleanup(buf_fini) struct buf path = BUF_INIT;

	(void)fd;
	(void)what;
	if (!ctl->leading || ctl->stopping || ctl->config.write)
		return;
	buf_printf(&path, "/api/v1/namespaces/%s/configmaps/" CONFIG_MAP_ACTIVE, ctl->namespace);
	const struct kube_request_spec spec = { .method = "GET", .path = buf_str(&path) };
	ctl->config.write = kube_request_start(ctl->client, &spec, looked, ctl);
}

static void retry_later(struct controller *ctl)
{
	const struct timeval tv = { RETRY_FIRST_S << ctl->config.n_failed, 0 };

	if (ctl->config.n_failed < RETRY_DOUBLINGS_MAX)
		ctl->config.n_failed++;
	evtimer_add(ctl->config.retry, &tv);
}

static uint64_t hash_published(const char *text, const char *retained)
{
	return hash64_str(retained ? retained : "", hash64_str(text ? text : "", 0));
}

static void published(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct controller *ctl = arg;
	struct config_state *cs = &ctl->config;
	struct kube_config_map *m;

	cs->write = NULL;
	if (!kube_status_is_final(status))
		term_unanswered(ctl);
	if (!ctl->leading)
		return;
	if (status >= 200 && status < 300 && obj && kube_config_map_parse(obj, &m, NULL) == 0) {
		seen_read(&cs->active, m);
		kube_config_map_free(m);
		cs->publications++;
		if (hash_published(cs->active.text, cs->active.retained) != cs->sent_hash) {
			log_warn(
				"the API server does not keep the configuration that is published");
			retry_later(ctl);
		} else {
			cs->n_failed = 0;
			publish_act(ctl);
			adopt_active(ctl); /* also where the next one is on its way already */
		}
	} else {
		if (status != 409)
			log_warn("cannot publish the configuration", KV_I("status", status),
			         KV_S("error", e ? e->msg : ""));
		retry_later(ctl);
	}
	books_schedule(ctl);
}

static bool may_send(void *arg)
{
	return term_may_write(arg);
}

/* @retained: NULL: nothing is */
static void send_active(struct controller *ctl, const char *text, const char *retained)
{
	struct config_state *cs = &ctl->config;
	int64_t last =
		cs->active.generation > cs->generation ? cs->active.generation : cs->generation;
	cleanup(buf_fini) struct buf path = BUF_INIT;
	cleanup(buf_fini) struct buf body = BUF_INIT;

	buf_printf(&path, "/api/v1/namespaces/%s/configmaps%s?timeout=%dms", ctl->namespace,
	           cs->active.exists ? "/" CONFIG_MAP_ACTIVE : "", ctl->timing.effect_ms);
	buf_puts(
		&body,
		"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"" CONFIG_MAP_ACTIVE
		"\",\"namespace\":");
	buf_json_str(&body, ctl->namespace);
	if (cs->active.exists) {
		buf_puts(&body, ",\"resourceVersion\":");
		buf_json_str(&body, cs->active.version);
	}
	buf_printf(&body,
	           ",\"annotations\":{\"" CONFIG_GENERATION_ANNOTATION "\":\"%" PRId64
	           "\",\"" CONFIG_SOURCE_ANNOTATION "\":",
	           last + 1);
	buf_json_str(&body, ctl->opts.config_map);
	buf_puts(&body, "}},\"data\":{\"" CONFIG_MAP_KEY "\":");
	buf_json_str(&body, text);
	if (retained || cs->active.retained) {
		buf_puts(&body, ",\"" CONFIG_MAP_RETAINED "\":");
		buf_json_str(&body, retained);
	}
	buf_puts(&body, "}}");
	const struct kube_request_spec spec = {
		.method = cs->active.exists ? "PATCH" : "POST",
		.path = buf_str(&path),
		.body = buf_str(&body),
		.patch = cs->active.exists ? KUBE_PATCH_MERGE : KUBE_PATCH_NONE,
		.timeout_ms = ctl->timing.effect_ms,
		.may_send = may_send,
	};
	cs->sent_hash = hash_published(text, retained);
	cs->write = kube_request_start(ctl->client, &spec, published, ctl);
}

/*
 * An edit that leaves more addresses in use without a pool than can be retained is refused: the
 * last good one stays.
 */
static void refuse_oversized(struct config_state *cs, size_t size, bool is_news)
{
	cs->judged_good = false;
	cs->oversized = true;
	config_problems_add(
		&cs->errors,
		xasprintf("the edit takes too many addresses in use out of all pools: text and "
	                  "retained addresses would be %zu bytes, and a ConfigMap holds %d; leave "
	                  "their ranges in a pool, or move the Services first",
	                  size, PUBLISHED_MAX));
	if (is_news)
		log_problems(&cs->errors, LOG_ERROR, "configuration rejected");
}

/* Judged by what is in use now: addresses may have become free since. */
static void judge_size(struct config_state *cs, const struct buf *retained)
{
	size_t size = retained->size + strlen(cs->admin.text);
	bool was_oversized = cs->oversized;

	if (was_oversized)
		config_problems_fini(&cs->errors);
	cs->oversized = false;
	cs->judged_good = true;
	if (retained->size > 0 && size > PUBLISHED_MAX)
		refuse_oversized(cs, size, !was_oversized);
}

/* What has to be retained beside what is to be published.  NULL: nothing. */
static char *retained_of(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;
	bool is_good = cs->judged_good || cs->oversized;
	struct buf out = BUF_INIT;

	retain_print(ctl, is_good ? cs->judged : cs->in_force, &out);
	if (is_good)
		judge_size(cs, &out);
	if (is_good && cs->oversized) {
		buf_fini(&out);
		out = (struct buf)BUF_INIT;
		retain_print(ctl, cs->in_force, &out);
	}
	if (out.size > 0)
		return buf_take(&out);
	buf_fini(&out);
	return NULL;
}

static void forget_effect(struct config_state *cs)
{
	configuration_unref(TAKE(cs->effect.was));
	configuration_unref(TAKE(cs->effect.next));
	cs->effect.is_due = false;
}

static void tell_effect(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;

	if (!cs->effect.is_due)
		return;
	struct retain_effect effect = retain_effect_of(ctl, cs->effect.was, cs->effect.next);
	forget_effect(cs);
	tell_accepted(ctl, &effect);
	free(effect.silenced);
}

/* Who moves, and what is retained, may depend on labels that are being asked for. */
void publish_tell_effect(struct controller *ctl)
{
	if (ctl->leading && !ctl->stopping && !namespaces_are_awaited(ctl))
		tell_effect(ctl);
}

/* What was published is in force from now on. */
static void take_effect(struct controller *ctl, const char *text)
{
	struct config_state *cs = &ctl->config;
	bool news = cs->judged_good && !str_eq(cs->text, text);
	struct configuration *was = cs->in_force ? configuration_ref(cs->in_force) : NULL;

	adopt_active(ctl);
	if (news) {
		forget_effect(cs);
		cs->effect.was = TAKE(was);
		cs->effect.next = configuration_ref(cs->judged);
		cs->effect.is_due = true;
		publish_tell_effect(ctl);
	}
	configuration_unref(was);
}

/* What to publish: the administrator's text if it is good, else what was accepted last. */
static void publish_act(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;

	if (!ctl->leading || ctl->stopping || cs->write)
		return;
	cleanup_free char *retained = retained_of(ctl);
	const char *text = cs->judged_good ? cs->admin.text : cs->text;
	if (!cs->judged_good)
		tell_rejected(ctl);
	/* A new leader that has accepted nothing yet starts from what was published. */
	if (!text)
		adopt_active(ctl);
	else if (cs->active.exists && str_eq(cs->active.text, text) &&
	         (!cs->in_force || (str_eq(cs->active.retained, retained) &&
	                            str_eq(cs->active.source, ctl->opts.config_map))))
		take_effect(ctl, text);
	else if (term_may_write(ctl))
		send_active(ctl, text, retained);
	else
		retry_later(ctl);
}

void publish_again(struct controller *ctl)
{
	publish_act(ctl);
	books_schedule(ctl);
}

/* ---- the informer's side ---- */

static void changed(struct controller *ctl, bool is_admin)
{
	/* While its warnings are those of the edit before. */
	if (is_admin && ctl->leading)
		tell_effect(ctl);
	if (is_admin)
		judge(ctl);
	/* A follower takes what is published; a leader only what it has published itself. */
	if (ctl->leading)
		publish_act(ctl);
	else if (!is_admin)
		adopt_active(ctl);
}

static struct config_map_seen *seen_of(struct controller *ctl, const char *name)
{
	if (!strcmp(name, CONFIG_MAP_ACTIVE))
		return &ctl->config.active;
	return !strcmp(name, ctl->opts.config_map) ? &ctl->config.admin : NULL;
}

static int upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct controller *ctl = arg;
	struct kube_config_map *m;
	int r = kube_config_map_parse(obj, &m, e);

	if (r < 0)
		return r;
	struct config_map_seen *seen = seen_of(ctl, m->meta.name);
	if (seen == &ctl->config.active)
		ctl->calls->active_seen(ctl, m);
	if (!strcmp(m->meta.name, IPAM_COOLING_MAP))
		ctl->calls->cooling_seen(ctl, m);
	if (seen && !(seen->exists && str_eq(seen->version, m->meta.resource_version))) {
		bool same_text = seen->exists && !strcmp(seen->uid, m->meta.uid);
		cleanup_free char *before = TAKE(seen->text);
		seen_read(seen, m);
		same_text = same_text && str_eq(before, seen->text);
		if (!same_text || seen == &ctl->config.active)
			changed(ctl, seen == &ctl->config.admin);
	}
	kube_config_map_free(m);
	return 0;
}

static void removed(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct controller *ctl = arg;
	struct config_map_seen *seen = seen_of(ctl, name);

	(void)namespace;
	if (!strcmp(name, IPAM_COOLING_MAP))
		ctl->calls->cooling_seen(ctl, NULL);
	if (!seen || (*uid && seen->uid && strcmp(seen->uid, uid) != 0))
		return;
	seen_fini(seen);
	if (seen == &ctl->config.active)
		ctl->calls->active_seen(ctl, NULL);
	changed(ctl, seen == &ctl->config.admin);
}

static void synced(void *arg)
{
	struct controller *ctl = arg;

	/* Now we know that it is missing, which is worth reporting. */
	if (!ctl->config.admin.exists)
		judge(ctl);
	if (ctl->elector)
		lease_elector_look_again(ctl->elector);
}

const struct kube_informer_ops publish_ops = { .upsert = upsert,
	                                       .remove = removed,
	                                       .synced = synced };

int publish_start(struct controller *ctl)
{
	ctl->config.retry = evtimer_new(ctl->base, retry, ctl);
	return ctl->config.retry ? 0 : -1;
}

void publish_lead(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;

	cs->n_failed = 0;
	forget_effect(cs);
	/*
	 * The last publication is the last good configuration, whatever this process has seen in
	 * between.
	 */
	adopt_active(ctl);
	if (!cs->admin.exists)
		judge(ctl);
	publish_act(ctl);
}

void publish_free(struct controller *ctl)
{
	struct config_state *cs = &ctl->config;

	if (cs->retry)
		event_free(cs->retry);
	seen_fini(&cs->admin);
	seen_fini(&cs->active);
	config_problems_fini(&cs->errors);
	config_problems_fini(&cs->warnings);
	forget_effect(cs);
	configuration_unref(cs->judged);
	configuration_unref(cs->in_force);
	free(cs->text);
	free(cs->retained);
}
