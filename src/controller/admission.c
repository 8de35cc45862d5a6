/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every replica serves the webhook by the certificate, the key and the path in one Secret.  The
 * leader makes the Secret, and makes it anew before the certificate expires or where it does not
 * serve; then it writes certificate and path into the ValidatingWebhookConfiguration, and again now
 * and then, since whoever installs the chart anew takes them out.
 *
 * At a change the API server may for a moment know one certificate and reach the other: it then
 * takes an edit unasked, and the controller judges it as if there were no webhook.
 */
#include "config.h"

#include "controller/admission.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/base64.h"
#include "fairlead/clock.h"
#include "fairlead/hash.h"
#include "fairlead/kube_types.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/webhook.h"

#define KEY_CERTIFICATE "tls.crt"
#define KEY_KEY "tls.key"
#define KEY_PATH "path"
#define US_PER_S 1000000
/* after a refusal: an administrator may be granting the right */
#define ATTEMPTS 5
/* the certificate may be old by then, or what was written may be gone */
#define AGAIN_S 30
#define AFRESH_S 600

struct admission {
	struct controller *ctl;
	struct webhook *webhook;
	struct kube_informer *secrets;
	struct kube_request *request; /* of one of the two objects */
	struct event *again;
	bool seen;     /* whether there is a Secret is known */
	char *version; /* of the Secret; NULL: there is none */
	struct webhook_identity identity;
	bool serves;  /* it does */
	bool is_told; /* the API server knows it */
	char *error;  /* why it does not; NULL: nothing is wrong */
};

static int64_t now_s(void)
{
	return clock_wall_us() / US_PER_S;
}

static void set_error(struct admission *a, const char *what, const struct err *e)
{
	free(TAKE(a->error));
	if (!e)
		return;
	a->error = xasprintf("%s: %s", what, e->msg);
	log_warn("admission webhook", KV_S("error", a->error));
}

static void come_again(struct admission *a, int seconds)
{
	const struct timeval tv = { seconds, 0 };

	evtimer_add(a->again, &tv);
}

/* ---- the API server ---- */

static void keep(struct admission *a);

static void told(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct admission *a = arg;

	(void)status, (void)obj;
	a->request = NULL;
	a->is_told = !e;
	set_error(a, "ValidatingWebhookConfiguration", e);
	if (!e)
		log_info("the API server knows the admission webhook",
		         KV_S("configuration", a->ctl->opts.webhook_configuration));
	come_again(a, e ? AGAIN_S : AFRESH_S);
}

static void tell_api_server(struct admission *a)
{
	const struct controller_options *o = &a->ctl->opts;
	cleanup(buf_fini) struct buf path = BUF_INIT, body = BUF_INIT;

	buf_printf(&path,
	           "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/%s",
	           o->webhook_configuration);
	buf_puts(&body, "{\"webhooks\":[{\"name\":\"" ADMISSION_WEBHOOK "\",\"clientConfig\":{"
	                "\"caBundle\":\"");
	base64_encode(a->identity.certificate, strlen(a->identity.certificate), &body);
	buf_puts(&body, "\",\"service\":{\"namespace\":");
	buf_json_str(&body, a->ctl->namespace);
	buf_puts(&body, ",\"name\":");
	buf_json_str(&body, o->webhook_service);
	buf_puts(&body, ",\"path\":");
	buf_json_str(&body, a->identity.path);
	buf_puts(&body, "}}}]}");
	const struct kube_request_spec spec = { .method = "PATCH",
		                                .path = buf_str(&path),
		                                .body = buf_str(&body),
		                                .patch = KUBE_PATCH_STRATEGIC,
		                                .max_retries = ATTEMPTS - 1 };
	a->request = kube_request_start(a->ctl->client, &spec, told, a);
}

/* ---- the Secret ---- */

static char *item(const struct kube_secret *s, const char *key)
{
	const struct kube_secret_item *i = kube_secret_get(s, key);

	return xstrdup(i ? (const char *)i->value : "");
}

static void take(struct admission *a, const struct kube_secret *s)
{
	cleanup_free char *path = item(s, KEY_PATH);

	free(a->version);
	a->version = xstrdup(s->meta.resource_version);
	webhook_identity_fini(&a->identity);
	a->identity = (struct webhook_identity){ .certificate = item(s, KEY_CERTIFICATE),
		                                 .key = item(s, KEY_KEY) };
	snprintf(a->identity.path, sizeof(a->identity.path), "%s", path);
}

static bool does_serve(const struct admission *a, struct err *e)
{
	return webhook_identity_check(&a->identity, a->ctl->opts.webhook_service, a->ctl->namespace,
	                              now_s(), e) == 0;
}

static int upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct admission *a = arg;
	struct kube_secret *s;
	struct err why = ERR_INIT;
	int r = kube_secret_parse(obj, &s, e);

	if (r < 0)
		return r;
	if (a->version && !strcmp(a->version, s->meta.resource_version)) {
		kube_secret_free(s);
		return 0;
	}
	take(a, s);
	kube_secret_free(s);
	a->is_told = false;
	a->serves = does_serve(a, &why) && webhook_identify(a->webhook, &a->identity, &why) == 0;
	if (!a->serves)
		set_error(a, "Secret", &why);
	keep(a);
	return 0;
}

/* 409: another one has written; the informer shows what. */
static void written(int status, struct json_object *obj, const struct err *e, void *arg)
{
	struct admission *a = arg;
	struct err why = ERR_INIT;

	a->request = NULL;
	if (!e)
		log_info("certificate of the admission webhook made",
		         KV_S("secret", a->ctl->opts.webhook_service));
	if (!e && upsert(obj, a, &why) < 0)
		e = &why;
	if (e && status != 409)
		set_error(a, "Secret", e);
	if (a->serves)
		keep(a);
	else
		come_again(a, AGAIN_S);
}

static void put_item(const char *key, const char *value, struct buf *out)
{
	buf_printf(out, "%s\"%s\":\"", out->data[out->size - 1] == '{' ? "" : ",", key);
	base64_encode(value, strlen(value), out);
	buf_putc(out, '"');
}

static void put_secret(const struct admission *a, const struct webhook_identity *id,
                       struct buf *out)
{
	buf_puts(out, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"type\":\"kubernetes.io/tls\","
	              "\"metadata\":{\"name\":");
	buf_json_str(out, a->ctl->opts.webhook_service);
	if (a->version) {
		buf_puts(out, ",\"resourceVersion\":");
		buf_json_str(out, a->version);
	}
	buf_puts(out, "},\"data\":{");
	put_item(KEY_CERTIFICATE, id->certificate, out);
	put_item(KEY_KEY, id->key, out);
	put_item(KEY_PATH, id->path, out);
	buf_puts(out, "}}");
}

static void make_secret(struct admission *a)
{
	const struct controller *ctl = a->ctl;
	cleanup(webhook_identity_fini) struct webhook_identity id = { .certificate = NULL };
	cleanup(buf_fini) struct buf path = BUF_INIT, body = BUF_INIT;
	struct err e = ERR_INIT;

	if (webhook_identity_make(ctl->opts.webhook_service, ctl->namespace, now_s(), &id, &e) <
	    0) {
		set_error(a, "certificate", &e);
		come_again(a, AGAIN_S);
		return;
	}
	buf_printf(&path, "/api/v1/namespaces/%s/secrets", ctl->namespace);
	if (a->version)
		buf_printf(&path, "/%s", ctl->opts.webhook_service);
	put_secret(a, &id, &body);
	const struct kube_request_spec spec = { .method = a->version ? "PATCH" : "POST",
		                                .path = buf_str(&path),
		                                .body = buf_str(&body),
		                                .patch = a->version ? KUBE_PATCH_MERGE
		                                                    : KUBE_PATCH_NONE,
		                                .max_retries = ATTEMPTS - 1 };
	a->request = kube_request_start(ctl->client, &spec, written, a);
	explicit_bzero(body.data, body.size);
}

/* The leader does the next thing that is to be done. */
static void keep(struct admission *a)
{
	if (!a->ctl->leading || a->ctl->stopping || !a->seen || a->request)
		return;
	if (!a->serves)
		make_secret(a);
	else if (!a->is_told)
		tell_api_server(a);
}

static void removed(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct admission *a = arg;

	(void)namespace, (void)name, (void)uid;
	free(TAKE(a->version));
	a->serves = false;
	keep(a);
}

static void synced(void *arg)
{
	struct admission *a = arg;

	a->seen = true;
	keep(a);
}

static const struct kube_informer_ops secret_ops = { .upsert = upsert,
	                                             .remove = removed,
	                                             .synced = synced };

/* ---- time ---- */

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct admission *a = arg;
	struct err why = ERR_INIT;

	(void)fd, (void)what;
	a->serves = a->serves && does_serve(a, &why);
	a->is_told = false;
	keep(a);
}

/* ---- the door ---- */

int admission_start(struct controller *ctl, struct err *e)
{
	const struct controller_options *o = &ctl->opts;
	const struct webhook_subject subject = { ctl->namespace, o->config_map };

	if (!o->webhook)
		return 0;
	struct admission *a = xcalloc(1, sizeof(*a));
	a->ctl = ctl;
	ctl->admission = a;
	a->again = evtimer_new(ctl->base, on_again, a);
	int r = webhook_start(o->webhook, &subject, &a->webhook, e);
	if (r < 0)
		return r;
	cleanup_free char *path = xasprintf("/api/v1/namespaces/%s/secrets", ctl->namespace);
	cleanup_free char *query =
		xasprintf("fieldSelector=metadata.name%%3D%s", o->webhook_service);
	const struct kube_informer_spec spec = { .path = path, .query = query, .what = "secrets" };
	a->secrets = kube_informer_start(ctl->client, &spec, &secret_ops, a);
	log_info("admission webhook", KV_S("address", o->webhook),
	         KV_S("service", o->webhook_service));
	return 0;
}

void admission_lead(struct controller *ctl)
{
	if (!ctl->admission)
		return;
	ctl->admission->is_told = false;
	keep(ctl->admission);
}

/* The client has ended the informer and the request. */
void admission_stop(struct controller *ctl)
{
	struct admission *a = TAKE(ctl->admission);

	if (!a)
		return;
	webhook_stop(a->webhook);
	webhook_identity_fini(&a->identity);
	event_free(a->again);
	free(a->version);
	free(a->error);
	free(a);
}

void admission_put(const struct controller *ctl, struct out *o)
{
	const struct admission *a = ctl->admission;

	if (!a)
		return;
	struct webhook_stats stats = webhook_stats(a->webhook);
	out_object(o, "webhook");
	out_bool(o, "serves", a->serves);
	out_uint(o, "allowed", stats.allowed);
	out_uint(o, "denied", stats.denied);
	out_uint(o, "refused", stats.refused);
	out_str(o, "error", a->error);
	out_close(o);
}

void admission_metrics(const struct controller *ctl, struct metrics_writer *w)
{
	if (!ctl->admission)
		return;
	struct webhook_stats stats = webhook_stats(ctl->admission->webhook);
	metrics_family(w, METRIC_fairlead_webhook_reviews_total);
	metrics_sample(w, (double)stats.allowed, "result", "allowed", NULL);
	metrics_sample(w, (double)stats.denied, "result", "denied", NULL);
	metrics_sample(w, (double)stats.refused, "result", "refused", NULL);
}
