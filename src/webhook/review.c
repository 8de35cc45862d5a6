/* SPDX-License-Identifier: Apache-2.0 */
/* https://kubernetes.io/docs/reference/config-api/apiserver-admission.v1/ */
#include "config.h"

#include "fairlead/webhook.h"

#include <string.h>

#include <json-c/json.h>

#include "fairlead/configuration.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"

#define ERRORS_SAID 20
/* The API server cuts longer ones. */
#define WARNINGS_SAID 16
#define WARNING_SIZE 256

/* The text in an object of the review; NULL: none. */
static const char *text_of(struct json_object *request, const char *which)
{
	struct json_object *object = kube_json_get(request, which, json_type_object, NULL);
	struct json_object *data = kube_json_get(object, "data", json_type_object, NULL);

	return kube_json_str(data, CONFIG_MAP_KEY, NULL);
}

static bool says(struct json_object *request, const char *key, const char *value)
{
	const char *said = kube_json_str(request, key, NULL);

	return said && !strcmp(said, value);
}

static bool is_about(struct json_object *request, const struct webhook_subject *subject)
{
	struct json_object *kind = kube_json_get(request, "kind", json_type_object, NULL);
	struct json_object *object = kube_json_get(request, "object", json_type_object, NULL);
	struct json_object *meta = kube_json_get(object, "metadata", json_type_object, NULL);

	/* The request names no object that is being created by generateName. */
	return says(kind, "kind", "ConfigMap") && says(request, "namespace", subject->namespace) &&
	       says(meta, "name", subject->config_map);
}

static bool is_unchanged(struct json_object *request)
{
	struct json_object *old = kube_json_get(request, "oldObject", json_type_object, NULL);
	const char *before = text_of(request, "oldObject"), *after = text_of(request, "object");

	return old && (before && after ? !strcmp(before, after) : before == after);
}

static void put_warnings(const struct config_problems *warnings, struct buf *out)
{
	for (size_t i = 0; i < warnings->n && i < WARNINGS_SAID; i++) {
		const struct config_problems one = { .items = &warnings->items[i], .n = 1 };
		cleanup(buf_fini) struct buf text = BUF_INIT;
		buf_puts(&text, "Fairlead: ");
		config_problems_say(&one, 1, &text);
		if (text.size > WARNING_SIZE)
			text.data[text.size = WARNING_SIZE] = '\0';
		buf_mend(text.data);
		buf_puts(out, i ? "," : ",\"warnings\":[");
		buf_json_str(out, buf_str(&text));
	}
	buf_puts(out, warnings->n ? "]" : "");
}

static void put_refusal(const struct config_problems *errors, struct buf *out)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	buf_printf(&text, "%zu error%s, the configuration in force stays as it is: ", errors->n,
	           errors->n == 1 ? "" : "s");
	config_problems_say(errors, ERRORS_SAID, &text);
	buf_puts(out, ",\"status\":{\"code\":422,\"reason\":\"Invalid\",\"message\":");
	buf_json_str(out, buf_str(&text));
	buf_putc(out, '}');
}

/* The members of the response behind the UID. */
static bool judge(struct json_object *request, const struct webhook_subject *subject,
                  struct buf *out)
{
	cleanup(config_problems_fini) struct config_problems errors = { 0 }, warnings = { 0 };
	struct configuration *c = NULL;
	int r = 0;

	if (is_about(request, subject))
		r = configuration_judge(subject->namespace, subject->config_map,
		                        text_of(request, "object"), &c, &errors, &warnings);
	configuration_unref(c);
	bool allowed = r == 0 || is_unchanged(request);
	buf_printf(out, ",\"allowed\":%s", allowed ? "true" : "false");
	if (!allowed)
		put_refusal(&errors, out);
	put_warnings(r < 0 && allowed ? &errors : &warnings, out);
	return allowed;
}

enum webhook_verdict webhook_review(const char *json, size_t size,
                                    const struct webhook_subject *subject, struct buf *out)
{
	struct json_object *review = kube_json_parse(json, size);
	struct json_object *request = kube_json_get(review, "request", json_type_object, NULL);
	const char *uid = kube_json_str(request, "uid", NULL);
	enum webhook_verdict verdict = WEBHOOK_UNREADABLE;

	if (uid && says(review, "apiVersion", "admission.k8s.io/v1")) {
		buf_puts(out,
		         "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
		         "\"response\":{\"uid\":");
		buf_json_str(out, uid);
		verdict = judge(request, subject, out) ? WEBHOOK_ALLOWED : WEBHOOK_DENIED;
		buf_puts(out, "}}");
	}
	json_object_put(review);
	return verdict;
}
