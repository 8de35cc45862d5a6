/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <json-c/json.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fairlead/clock.h"
#include "fairlead/kube.h"
#include "fairlead/mem.h"
#include "kube/access.h"
#include "kube/client.h"

static int resolve(const char *a, const char *b, const char *context, struct kube_access **ret,
                   struct err *e)
{
	const struct kubeconfig_file files[] = {
		{ a, strlen(a), "/etc/a" },
		{ b ? b : "", b ? strlen(b) : 0, "/etc/b" },
	};

	*ret = xcalloc(1, sizeof(**ret));
	return kubeconfig_resolve(files, b ? 2 : 1, context, *ret, e);
}

static const char two_contexts[] =
	"current-context: one\n"
	"contexts:\n"
	"- {name: one, context: {cluster: k, user: cert, namespace: shop}}\n"
	"- {name: two, context: {cluster: tls, user: file}}\n"
	"- {name: open, context: {cluster: plain}}\n"
	"clusters:\n"
	"- {name: k, cluster: {server: 'https://api:6443//', certificate-authority: ca.crt, proxy-url: 'http://p'}}\n"
	"- {name: tls, cluster: {server: 'https://[fd00::1]/k8s', certificate-authority-data: QUJDRA==, "
	"certificate-authority: /x, tls-server-name: api.test, proxy-url: 'socks5://127.0.0.1:1080'}}\n"
	"- {name: plain, cluster: {server: 'http://127.0.0.1:1', insecure-skip-tls-verify: true, proxy-url: ''}}\n"
	"users:\n"
	"- {name: cert, user: {client-certificate: /abs/c.pem, client-key-data: 'QUJD'}}\n"
	"- {name: file, user: {token: fallback, tokenFile: t, exec: null, username: '', as: ''}}\n";

static void contexts_are_resolved(void **state)
{
	(void)state;
	struct kube_access *a;
	assert_int_equal(resolve(two_contexts, NULL, NULL, &a, NULL), 0);
	assert_string_equal(kube_access_server(a), "https://api:6443");
	assert_string_equal(kube_access_namespace(a), "shop");
	assert_string_equal(a->ca.path, "/etc/a/ca.crt");
	assert_string_equal(a->cert.path, "/abs/c.pem");
	assert_string_equal(buf_str(&a->key.data), "ABC");
	assert_null(a->key.path);
	assert_false(a->insecure);
	assert_string_equal(a->proxy, "http://p");
	kube_access_free(a);

	assert_int_equal(resolve(two_contexts, NULL, "two", &a, NULL), 0);
	assert_string_equal(kube_access_server(a), "https://[fd00::1]/k8s");
	assert_string_equal(kube_access_namespace(a), "default");
	assert_string_equal(a->tls_server_name, "api.test");
	assert_string_equal(buf_str(&a->ca.data), "ABCD");
	assert_null(a->ca.path);
	assert_string_equal(a->token_path, "/etc/a/t");
	assert_null(a->token);
	assert_string_equal(a->proxy, "socks5h://127.0.0.1:1080");
	kube_access_free(a);

	assert_int_equal(resolve(two_contexts, NULL, "open", &a, NULL), 0);
	assert_true(a->insecure);
	assert_null(a->proxy);
	assert_null(kube_access_token(a, 0));
	kube_access_free(a);

	/* The parts may stand in several files; the first that has one wins. */
	assert_int_equal(
		resolve("current-context: far\nusers: [{name: cert, user: {token: mine}}]",
	                "current-context: one\ncontexts: [{name: far, context: {cluster: k, user: cert}}]\n"
	                "clusters: [{name: k, cluster: {server: 'https://b', certificate-authority: c}}]\n"
	                "users: [{name: cert, user: {token: other}}]",
	                NULL, &a, NULL),
		0);
	assert_string_equal(kube_access_server(a), "https://b");
	assert_string_equal(a->ca.path, "/etc/b/c");
	assert_string_equal(kube_access_token(a, 0), "mine");
	kube_access_free(a);
}

#define ONE(cluster, user)                                                                                  \
	"{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k, " \
	"cluster: {" cluster "}}], users: [{name: u, user: {" user "}}]}"

static void wrong_kubeconfigs_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "", "no current-context" },
		{ "a: [", "did not find expected node" },
		{ "\n\t:", "line 2" },
		{ "current-context: [x]", "line 1: current-context is not a plain text" },
		{ "current-context: x", "no context named \"x\"" },
		{ "{current-context: c, contexts: [{name: c, context: {cluster: k}}]}",
		  "no cluster named \"k\"" },
		{ "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k, "
		  "cluster: {server: 'http://a'}}]}",
		  "no user named \"u\"" },
		{ ONE("", ""), "no http(s) URL" },
		{ ONE("server: 'ftp://a'", ""), "no http(s) URL" },
		{ ONE("server: 'https://a', insecure-skip-tls-verify: yes", ""),
		  "neither true nor false" },
		{ ONE("server: 'https://a', certificate-authority-data: '%%%'", ""), "not base64" },
		{ ONE("server: 'https://a', certificate-authority-data: QUJ", ""), "not base64" },
		{ ONE("server: 'https://a'", "exec: {command: aws}"),
		  "exec, which is not supported" },
		{ ONE("server: 'https://a'", "username: a, password: b"),
		  "username, which is not supported" },
		{ ONE("server: 'https://a'", "token: 'a b'"), "holds blanks" },
		{ ONE("server: 'https://a'", "token: a, as: admin"), "as another one by as," },
		{ ONE("server: 'https://a'", "token: a, as-groups: [b]"), "by as-groups, " },
		{ ONE("server: 'https://a', proxy-url: 'p:3128'", ""), "proxy-url is no http" },
		{ ONE("server: 'https://a', proxy-url: [p]", ""),
		  "line 1: proxy-url is not a plain text" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct kube_access *a;
		struct err e = ERR_INIT;
		int r = resolve(cases[i].text, NULL, NULL, &a, &e);
		if (r >= 0 || !strstr(e.msg, cases[i].said) || e.blame != ERR_CONFIG)
			fail_msg("case %zu: %d %s", i, r, e.msg);
		kube_access_free(a);
	}
}

static void write_file(const char *dir, const char *name, const char *text)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void remove_file(const char *dir, const char *name)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);

	unlink(path);
}

static void pods_have_an_account(void **state)
{
	(void)state;
	char dir[] = "/tmp/fairlead-account-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct kube_access *a;
	struct err e = ERR_INIT;
	assert_true(kube_access_load_pod(dir, "10.96.0.1", "443", &a, &e) < 0);
	write_file(dir, "token", "abc\n");
	write_file(dir, "namespace", "fairlead-system");
	assert_int_equal(kube_access_load_pod(dir, "10.96.0.1", "443", &a, &e), 0);
	assert_string_equal(kube_access_server(a), "https://10.96.0.1:443");
	assert_string_equal(kube_access_namespace(a), "fairlead-system");
	assert_string_equal(kube_access_token(a, clock_ms()), "abc");
	assert_non_null(strstr(a->ca.path, "/ca.crt"));
	kube_access_free(a);
	assert_int_equal(kube_access_load_pod(dir, "fd00::1", "443", &a, &e), 0);
	assert_string_equal(kube_access_server(a), "https://[fd00::1]:443");
	kube_access_free(a);

	/* The same token file through a kubeconfig, by $KUBECONFIG and by name. */
	write_file(dir, "config", ONE("server: 'http://a'", "tokenFile: token"));
	cleanup_free char *path = xasprintf("%s/config", dir);
	cleanup_free char *list = xasprintf("%s/missing:%s", dir, path);
	setenv("KUBECONFIG", list, 1);
	e = (struct err)ERR_INIT;
	assert_int_equal(kube_access_load(NULL, NULL, &a, &e), 0);
	assert_int_equal(e.blame, ERR_NONE);
	assert_string_equal(kube_access_token(a, clock_ms()), "abc");
	kube_access_free(a);
	assert_int_equal(kube_access_load(path, "c", &a, &e), 0);
	kube_access_free(a);
	assert_true(kube_access_load(path, "other", &a, &e) < 0);
	assert_non_null(strstr(e.msg, path));
	remove_file(dir, "token");
	assert_true(kube_access_load(path, NULL, &a, &e) < 0);
	assert_non_null(strstr(e.msg, "token"));
	assert_int_equal(kube_access_load("/nowhere/config", NULL, &a, &e), -ENOENT);
	unsetenv("KUBECONFIG");
	remove_file(dir, "namespace");
	remove_file(dir, "config");
	rmdir(dir);
}

static void events_keep_within_limits(void **state)
{
	(void)state;
	char long_name[300], long_note[1100];
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	/* Two bytes a character, so that a cut at 1024 would fall within one. */
	long_note[0] = 'x';
	for (size_t i = 1; i + 2 < sizeof(long_note); i += 2)
		memcpy(long_note + i, "\xc3\xa9", 3);
	const struct kube_event ev = { .kind = "Service",
		                       .api_version = "v1",
		                       .namespace = "shop",
		                       .name = long_name,
		                       .uid = "u1",
		                       .warning = true,
		                       .reason = "PoolExhausted",
		                       .action = "Allocate",
		                       .note = long_note };
	cleanup(buf_fini) struct buf b = BUF_INIT;
	kube_event_body(&b, "fairlead.io/controller", "pod-1", &ev, 1767323045000000, 0xabcdef);
	struct json_object *obj = kube_json_parse(b.data, b.size);
	assert_non_null(obj);
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	struct json_object *about = kube_json_get(obj, "involvedObject", json_type_object, NULL);
	const char *name = kube_json_str(meta, "name", NULL);
	assert_int_equal(strlen(name), 253);
	assert_string_equal(name + 253 - 17, ".0000000000abcdef");
	assert_string_equal(kube_json_str(meta, "namespace", NULL), "shop");
	assert_string_equal(kube_json_str(obj, "type", NULL), "Warning");
	assert_string_equal(kube_json_str(obj, "eventTime", NULL), "2026-01-02T03:04:05.000000Z");
	/* kubectl sorts by this one. */
	assert_string_equal(kube_json_str(obj, "lastTimestamp", NULL), "2026-01-02T03:04:05Z");
	assert_string_equal(kube_json_str(obj, "firstTimestamp", NULL), "2026-01-02T03:04:05Z");
	assert_string_equal(kube_json_str(obj, "reason", NULL), "PoolExhausted");
	assert_string_equal(kube_json_str(about, "uid", NULL), "u1");
	const char *note = kube_json_str(obj, "message", NULL);
	assert_int_equal(strlen(note), 1023);
	assert_memory_equal(note, long_note, 1023);
	json_object_put(obj);

	const struct kube_event bare = { .kind = "Node", .api_version = "v1", .name = "n1" };
	buf_clear(&b);
	kube_event_body(&b, "c", "i", &bare, 0, 1);
	obj = kube_json_parse(b.data, b.size);
	assert_string_equal(kube_json_str(kube_json_get(obj, "metadata", json_type_object, NULL),
	                                  "namespace", NULL),
	                    "default");
	assert_null(kube_json_str(kube_json_get(obj, "involvedObject", json_type_object, NULL),
	                          "namespace", NULL));
	json_object_put(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contexts_are_resolved),
		cmocka_unit_test(wrong_kubeconfigs_are_refused),
		cmocka_unit_test(pods_have_an_account),
		cmocka_unit_test(events_keep_within_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
