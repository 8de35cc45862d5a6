/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the speaker reads from Secrets, each of which it watches by name, so that the right to these
 * names is enough.
 *
 * The heartbeat key is taken once: layer 2 starts with it, and a changed one takes effect with the
 * next start.  All speakers change over together only if all of them restart; until then speakers
 * with different keys ignore each other's heartbeats, and only the probe before a takeover prevents
 * two owners.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/hash.h"
#include "fairlead/kube_types.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "speaker/options.h"
#include "speaker/secrets.h"
#include "speaker/segments.h"

const char *const speaker_secret_names[N_SECRETS] = {
	[SECRET_HEARTBEAT] = "heartbeat-key",
	[SECRET_PASSWORDS] = "bgp-passwords",
};

static const char *secret_name(const struct speaker *sp, enum speaker_secret which)
{
	return which == SECRET_HEARTBEAT ? sp->opts.heartbeat_key_secret
	                                 : sp->opts.bgp_password_secret;
}

/* ---- the heartbeat key ---- */

static void take_key(struct speaker *sp, const struct kube_secret *s)
{
	const struct kube_secret_item *key = kube_secret_get(s, SPEAKER_KEY_NAME);
	struct err e = ERR_INIT;

	if (!key)
		err_set(&e, -ENOENT, ERR_CONFIG, "it has no key \"" SPEAKER_KEY_NAME "\"");
	else
		speaker_key_check(key->size, &e);
	sp->key_error = e;
	if (e.blame != ERR_NONE) {
		err_prefix(&e, "Secret %s/%s", sp->namespace, sp->opts.heartbeat_key_secret);
		log_err(sp->l2 ? "the heartbeat key has changed to one that is refused; the "
		                 "one in force stays until a restart"
		               : "the heartbeat key is refused; nothing is announced by layer 2",
		        &e);
		sp->key_changed = sp->l2 != NULL;
		return;
	}
	if (sp->uninstall != UNINSTALL_NOT)
		return;
	uint64_t hash = hash64(key->value, key->size, 1);
	if (sp->l2) {
		if (!sp->key_changed && hash != sp->key_hash)
			log_warn("the heartbeat key has changed; restart all speakers to use it",
			         KV_S("secret", sp->opts.heartbeat_key_secret));
		sp->key_changed = hash != sp->key_hash;
		return;
	}
	if (segments_start(sp, key->value, key->size, &e) < 0) {
		log_err("cannot announce by layer 2", &e);
		sp->failed = true;
		event_base_loopbreak(sp->base);
		return;
	}
	sp->key_hash = hash;
	log_info("heartbeat key read", KV_S("secret", sp->opts.heartbeat_key_secret));
	speaker_schedule(sp);
}

/* ---- the feeds ---- */

/*
 * Into @ret_secret, unless it is another Secret: a server that ignores the field selector sends
 * those too.
 */
static int read_secret(const struct speaker *sp, enum speaker_secret which, struct json_object *obj,
                       struct kube_secret **ret_secret, struct err *e)
{
	struct kube_secret *s = NULL;
	int r = kube_secret_parse(obj, &s, e);

	*ret_secret = NULL;
	if (r < 0)
		return r;
	if (!strcmp(s->meta.name, secret_name(sp, which)))
		*ret_secret = s;
	else
		kube_secret_free(s);
	return 0;
}

static int upsert_key(struct json_object *obj, void *arg, struct err *e)
{
	struct kube_secret *s;
	int r = read_secret(arg, SECRET_HEARTBEAT, obj, &s, e);

	if (s)
		take_key(arg, s);
	kube_secret_free(s);
	return r;
}

static void remove_key(const char *namespace, const char *name, const char *uid, void *arg)
{
	const struct speaker *sp = arg;

	(void)namespace;
	(void)uid;
	if (!strcmp(name, sp->opts.heartbeat_key_secret))
		log_warn("the heartbeat key's Secret was deleted; a speaker that restarts waits "
		         "for one",
		         KV_S("secret", name));
}

static int upsert_passwords(struct json_object *obj, void *arg, struct err *e)
{
	struct speaker *sp = arg;
	struct kube_secret *s;
	int r = read_secret(sp, SECRET_PASSWORDS, obj, &s, e);

	if (s)
		routes_set_passwords(sp->routes, s);
	speaker_schedule(sp);
	return r;
}

static void remove_passwords(const char *namespace, const char *name, const char *uid, void *arg)
{
	const struct speaker *sp = arg;

	(void)namespace;
	(void)uid;
	if (!strcmp(name, sp->opts.bgp_password_secret))
		log_warn("the Secret of BGP passwords was deleted; those that were read stay in "
		         "force until a restart",
		         KV_S("secret", name));
}

/* Now we know whether there is one. */
static void passwords_synced(void *arg)
{
	struct speaker *sp = arg;

	routes_set_passwords(sp->routes, NULL);
	speaker_schedule(sp);
}

void speaker_secrets_start(struct speaker *sp)
{
	static const struct kube_informer_ops ops[N_SECRETS] = {
		[SECRET_HEARTBEAT] = { upsert_key, remove_key, NULL },
		[SECRET_PASSWORDS] = { upsert_passwords, remove_passwords, passwords_synced },
	};

	for (enum speaker_secret i = 0; i < N_SECRETS; i++) {
		const char *name = secret_name(sp, i);
		if (!name)
			continue;
		cleanup_free char *path = xasprintf("/api/v1/namespaces/%s/secrets", sp->namespace);
		cleanup_free char *query = xasprintf("fieldSelector=metadata.name%%3D%s", name);
		const struct kube_informer_spec spec = { .path = path,
			                                 .query = query,
			                                 .what = speaker_secret_names[i] };
		sp->secrets[i] = kube_informer_start(sp->client, &spec, &ops[i], sp);
	}
}
