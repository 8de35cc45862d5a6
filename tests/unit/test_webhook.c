/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <json-c/json.h>

#include "fairlead/kube.h"
#include "fairlead/limits.h"
#include "fairlead/mem.h"
#include "fairlead/webhook.h"

#define SERVICE "fairlead-webhook"
#define NAMESPACE "fairlead-system"
#define NOW_S INT64_C(1800000000)
#define DAY_S INT64_C(86400)

static const struct webhook_subject subject = { NAMESPACE, "fairlead" };

#define GOOD "address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/24]}]"
#define SILENT "address-pools: [{name: a, protocol: bgp, addresses: [192.0.2.0/24]}]"
#define BAD "address-pools: [{name: a, protocol: layer3, addresses: [192.0.2.0/24]}]"

/* ---- reviews ---- */

/* The text of an AdmissionReview. */
struct edit {
	const char *kind, *namespace, *name;
	const char *before, *after; /* NULL: no such key; "-": no such object */
};

static void put_object(const char *key, const struct edit *ed, const char *text, struct buf *out)
{
	if (text && !strcmp(text, "-")) {
		buf_printf(out, ",\"%s\":null", key);
		return;
	}
	buf_printf(out, ",\"%s\":{\"metadata\":{\"name\":\"%s\"},\"data\":{\"other\":\"x\"", key,
	           ed->name);
	if (text) {
		buf_puts(out, ",\"config\":");
		buf_json_str(out, text);
	}
	buf_puts(out, "}}");
}

static void put_review(const struct edit *ed, struct buf *out)
{
	buf_printf(out,
	           "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
	           "\"request\":{\"uid\":\"u-1\",\"kind\":{\"group\":\"\",\"version\":\"v1\","
	           "\"kind\":\"%s\"},\"namespace\":\"%s\",\"operation\":\"UPDATE\"",
	           ed->kind, ed->namespace);
	put_object("object", ed, ed->after, out);
	put_object("oldObject", ed, ed->before, out);
	buf_puts(out, "}}");
}

static void edits_are_judged_as_the_controller_would(void **state)
{
	(void)state;
	static const struct {
		struct edit edit;
		enum webhook_verdict verdict;
		const char *says; /* part of the answer */
	} rows[] = {
		{ { "ConfigMap", NAMESPACE, "fairlead", "-", GOOD },
		  WEBHOOK_ALLOWED,
		  "\"uid\":\"u-1\",\"allowed\":true}" },
		{ { "ConfigMap", NAMESPACE, "fairlead", GOOD, SILENT },
		  WEBHOOK_ALLOWED,
		  "\"warnings\":[\"Fairlead: line 1: address-pools[0].protocol: pool" },
		{ { "ConfigMap", NAMESPACE, "fairlead", GOOD, BAD },
		  WEBHOOK_DENIED,
		  "1 error, the configuration in force stays as it is: line 1: "
		  "address-pools[0].protocol: " },
		{ { "ConfigMap", NAMESPACE, "fairlead", "-", BAD }, WEBHOOK_DENIED, "line 1" },
		{ { "ConfigMap", NAMESPACE, "fairlead", GOOD, NULL },
		  WEBHOOK_DENIED,
		  "ConfigMap fairlead-system/fairlead has no key config; add it" },
		/* Labels of one that is wrong already. */
		{ { "ConfigMap", NAMESPACE, "fairlead", BAD, BAD },
		  WEBHOOK_ALLOWED,
		  "\"warnings\":[\"Fairlead: line 1: address-pools[0].protocol: " },
		{ { "ConfigMap", NAMESPACE, "fairlead", NULL, NULL }, WEBHOOK_ALLOWED, "no key" },
		/* Of others. */
		{ { "ConfigMap", NAMESPACE, "other", "-", BAD }, WEBHOOK_ALLOWED, "true}" },
		{ { "ConfigMap", "shop", "fairlead", "-", BAD }, WEBHOOK_ALLOWED, "true}" },
		{ { "Secret", NAMESPACE, "fairlead", "-", BAD }, WEBHOOK_ALLOWED, "true}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf review = BUF_INIT, answer = BUF_INIT;
		put_review(&rows[i].edit, &review);
		assert_int_equal(webhook_review(review.data, review.size, &subject, &answer),
		                 rows[i].verdict);
		assert_non_null(strstr(buf_str(&answer), rows[i].says));
		struct json_object *read = kube_json_parse(answer.data, answer.size);
		assert_non_null(read);
		json_object_put(read);
	}
}

static void what_is_no_review_gets_no_answer(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"{\"request\":{\"uid\":\"x\"}}",
		"{\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}",
		"{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"request\":{\"uid\":\"x\"}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cleanup(buf_fini) struct buf answer = BUF_INIT;
		assert_int_equal(webhook_review(texts[i], strlen(texts[i]), &subject, &answer),
		                 WEBHOOK_UNREADABLE);
		assert_int_equal(answer.size, 0);
	}
}

/* kubectl shows the whole message. */
static void a_long_list_of_errors_is_cut(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf text = BUF_INIT, review = BUF_INIT, answer = BUF_INIT;
	struct edit ed = { "ConfigMap", NAMESPACE, "fairlead", GOOD, NULL };

	buf_puts(&text, "address-pools:\n");
	for (size_t i = 0; i < 25; i++)
		buf_printf(&text, "- {name: p%zu, protocol: layer3, addresses: [10.0.%zu.0/24]}\n",
		           i, i);
	ed.after = buf_str(&text);
	put_review(&ed, &review);
	assert_int_equal(webhook_review(review.data, review.size, &subject, &answer),
	                 WEBHOOK_DENIED);
	assert_non_null(strstr(buf_str(&answer), "25 errors"));
	assert_non_null(strstr(buf_str(&answer), "address-pools[19]"));
	assert_null(strstr(buf_str(&answer), "address-pools[20]"));
	assert_non_null(strstr(buf_str(&answer), "; and 5 more\""));
}

/* ---- identities ---- */

static struct webhook_identity identity(void)
{
	struct webhook_identity id;
	struct err e = ERR_INIT;

	assert_int_equal(webhook_identity_make(SERVICE, NAMESPACE, NOW_S, &id, &e), 0);
	return id;
}

static void assert_serves_not(const struct webhook_identity *id, const char *service, int64_t now_s,
                              const char *why)
{
	struct err e = ERR_INIT;

	assert_int_equal(webhook_identity_check(id, service, NAMESPACE, now_s, &e), -EINVAL);
	assert_string_equal(e.msg, why);
}

static void an_identity_serves_its_service_for_two_thirds_of_its_time(void **state)
{
	(void)state;
	cleanup(webhook_identity_fini) struct webhook_identity id = identity(), other = identity();
	struct err e = ERR_INIT;

	assert_int_equal(webhook_identity_check(&id, SERVICE, NAMESPACE, NOW_S, &e), 0);
	assert_int_equal(webhook_identity_check(&id, SERVICE, NAMESPACE, NOW_S + 242 * DAY_S, &e),
	                 0);
	assert_serves_not(&id, SERVICE, NOW_S + 243 * DAY_S, "tls.crt is about to expire");
	assert_serves_not(&id, SERVICE, NOW_S - 2 * DAY_S, "tls.crt is not valid yet");
	assert_serves_not(&id, "other", NOW_S, "tls.crt is not for other.fairlead-system.svc");
	assert_string_not_equal(id.path, other.path);
	const struct webhook_identity mixed = { .certificate = id.certificate, .key = other.key };
	assert_serves_not(&mixed, SERVICE, NOW_S, "tls.key is not the key of tls.crt");
	const struct webhook_identity none = { .certificate = NULL };
	assert_serves_not(&none, SERVICE, NOW_S, "tls.crt is no certificate");
	/* Whatever is reached by any path is reached by everybody. */
	id.path[0] = '\0';
	assert_serves_not(&id, SERVICE, NOW_S, "path is not \"/\" and 32 hex digits");
}

/* ---- the server ---- */

static size_t keep(const char *data, size_t one, size_t n, void *arg)
{
	(void)one;
	buf_add(arg, data, n);
	return n;
}

/* The HTTP status, or 0 if the server is not the one of @id; as the API server asks. */
static long post(const struct webhook *w, const struct webhook_identity *id, const char *path,
                 const struct buf *body, struct buf *answer)
{
	cleanup_free char *url =
		xasprintf("https://" SERVICE "." NAMESPACE ".svc:%u%s", webhook_port(w), path);
	cleanup_free char *resolve =
		xasprintf(SERVICE "." NAMESPACE ".svc:%u:127.0.0.1", webhook_port(w));
	struct curl_slist *hosts = curl_slist_append(NULL, resolve);
	struct curl_blob ca = { .data = id->certificate, .len = strlen(id->certificate) };
	CURL *c = curl_easy_init();
	long status = 0;

	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_RESOLVE, hosts);
	curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body->size);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body->data);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
	if (curl_easy_perform(c) == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	curl_slist_free_all(hosts);
	return status;
}

/* Certificates of today, since the client looks at the clock. */
static struct webhook_identity identity_of_today(void)
{
	struct webhook_identity id;
	struct err e = ERR_INIT;

	assert_int_equal(webhook_identity_make(SERVICE, NAMESPACE, time(NULL), &id, &e), 0);
	return id;
}

static struct webhook *start(const struct webhook_identity *id)
{
	struct webhook *w;
	struct err e = ERR_INIT;

	assert_int_equal(webhook_start("127.0.0.1:0", &subject, &w, &e), 0);
	if (id)
		assert_int_equal(webhook_identify(w, id, &e), 0);
	return w;
}

static void reviews_are_answered_at_the_path_alone(void **state)
{
	(void)state;
	static const struct edit bad = { "ConfigMap", NAMESPACE, "fairlead", GOOD, BAD };
	static const struct edit good = { "ConfigMap", NAMESPACE, "fairlead", GOOD, GOOD };
	cleanup(webhook_identity_fini) struct webhook_identity id = identity_of_today();
	cleanup(buf_fini) struct buf answer = BUF_INIT, no = BUF_INIT, yes = BUF_INIT,
				     large = BUF_INIT;
	struct webhook *w = start(&id);

	put_review(&bad, &no);
	put_review(&good, &yes);
	assert_int_equal(post(w, &id, id.path, &no, &answer), 200);
	assert_non_null(strstr(buf_str(&answer), "\"allowed\":false"));
	assert_int_equal(post(w, &id, id.path, &yes, &answer), 200);
	assert_int_equal(post(w, &id, "/", &no, &answer), 404);
	assert_int_equal(post(w, &id, "/0123456789abcdef0123456789abcdef", &no, &answer), 404);
	buf_puts(&large, "{}");
	assert_int_equal(post(w, &id, id.path, &large, &answer), 400);
	memset(buf_reserve(&large, LIMIT_WEBHOOK_BODY_BYTES), ' ', LIMIT_WEBHOOK_BODY_BYTES);
	buf_advance(&large, LIMIT_WEBHOOK_BODY_BYTES);
	assert_int_not_equal(post(w, &id, id.path, &large, &answer), 200);
	const struct webhook_stats stats = webhook_stats(w);
	assert_int_equal(stats.allowed, 1);
	assert_int_equal(stats.denied, 1);
	assert_int_equal(stats.refused, 3);
	webhook_stop(w);
}

static void a_new_identity_counts_from_then_on(void **state)
{
	(void)state;
	cleanup(webhook_identity_fini) struct webhook_identity id = identity_of_today(),
							       next = identity_of_today();
	cleanup(buf_fini) struct buf answer = BUF_INIT, body = BUF_INIT;
	struct err e = ERR_INIT;
	struct webhook *w = start(&id);

	buf_puts(&body, "{}");
	assert_int_equal(post(w, &id, id.path, &body, &answer), 400);
	assert_int_equal(post(w, &next, next.path, &body, &answer), 0);
	assert_int_equal(webhook_identify(w, &next, &e), 0);
	while (post(w, &next, next.path, &body, &answer) != 400)
		;
	assert_int_equal(post(w, &id, id.path, &body, &answer), 0);
	assert_int_equal(post(w, &next, id.path, &body, &answer), 404);
	const struct webhook_identity none = { .certificate = (char *)"", .key = (char *)"" };
	assert_int_equal(webhook_identify(w, &none, &e), -EINVAL);
	webhook_stop(w);
}

static int silent_client(const struct webhook *w)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
		                        .sin_port = htons(webhook_port(w)),
		                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Each of them could be silent for long. */
static void who_holds_connections_holds_up_himself(void **state)
{
	(void)state;
	cleanup(webhook_identity_fini) struct webhook_identity id = identity_of_today();
	cleanup(buf_fini) struct buf answer = BUF_INIT, body = BUF_INIT;
	struct webhook *w = start(&id);
	int fds[2 * LIMIT_WEBHOOK_CLIENTS];
	char byte;

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = silent_client(w);
	buf_puts(&body, "{}");
	assert_int_equal(post(w, &id, id.path, &body, &answer), 400);
	/* The oldest ones have been cut off; they would wait for ten seconds otherwise. */
	for (size_t i = 0; i <= LIMIT_WEBHOOK_CLIENTS; i++)
		assert_int_equal(recv(fds[i], &byte, 1, 0), 0);
	for (size_t i = LIMIT_WEBHOOK_CLIENTS + 1; i < ARRAY_LEN(fds); i++)
		assert_int_equal(recv(fds[i], &byte, 1, MSG_DONTWAIT), -1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	webhook_stop(w);
}

static void without_an_identity_it_ends_as_well(void **state)
{
	(void)state;
	struct webhook *w = start(NULL), *other;
	cleanup_free char *same = xasprintf("127.0.0.1:%u", webhook_port(w));
	struct err e = ERR_INIT;

	assert_int_equal(webhook_start(same, &subject, &other, &e), -EADDRINUSE);
	assert_non_null(strstr(e.msg, same));
	assert_int_equal(webhook_start("localhost", &subject, &other, &e), -EINVAL);
	webhook_stop(w);
	webhook_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edits_are_judged_as_the_controller_would),
		cmocka_unit_test(what_is_no_review_gets_no_answer),
		cmocka_unit_test(a_long_list_of_errors_is_cut),
		cmocka_unit_test(an_identity_serves_its_service_for_two_thirds_of_its_time),
		cmocka_unit_test(reviews_are_answered_at_the_path_alone),
		cmocka_unit_test(a_new_identity_counts_from_then_on),
		cmocka_unit_test(who_holds_connections_holds_up_himself),
		cmocka_unit_test(without_an_identity_it_ends_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
