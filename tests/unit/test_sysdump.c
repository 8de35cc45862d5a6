/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>
#include <zlib.h>

#include "cli/archive.h"
#include "cli/dump.h"
#include "cli/dump_pods.h"
#include "cli/redact.h"
#include "cli_world.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"

static void secrets_go_out_of_texts(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "no newline", "no newline" },
		/* the configuration, as people write it */
		{ "  password: s3cret\n  bfd-profile: x\n", "  password: ***\n  bfd-profile: x\n" },
		{ "  password:   's3cret # 2'\n", "  password: ***\n" },
		{ "- password: |\n    s3cret\n\n    more\n  asn: 1\n",
		  "- password: ***\n  asn: 1\n" },
		{ "password:\n  s3cret\nasn: 1\n", "password: ***\nasn: 1\n" },
		{ "peers: [{password:\n  s3cret}]\nnext: 1", "peers: [{password: ***\nnext: 1" },
		{ "- \"password\" : s3cret\n  asn: 1\n", "- \"password\" : ***\n  asn: 1\n" },
		{ "PASSWORD: s3cret\nrouterPassword: s3cret",
		  "PASSWORD: ***\nrouterPassword: ***" },
		{ "password-secret: tor-a\n", "password-secret: tor-a\n" },
		{ "heartbeat-key: s3cret\napi_token=s3cret\n",
		  "heartbeat-key: ***\napi_token= ***\n" },
		/* JSON as text */
		{ "{\"password\":\"s3cret\",\"asn\":1}\n", "{\"password\": ***\n" },
		{ "{\\\"password\\\":\\\"s3cret\\\"}\n", "{\\\"password\\\": ***\n" },
		/* bgpd */
		{ " neighbor 192.0.2.1 password s3cret\n neighbor 192.0.2.1 bfd\n",
		  " neighbor 192.0.2.1 password ***\n neighbor 192.0.2.1 bfd\n" },
		{ "password s3cret\nenable password 8 s3cret\n",
		  "password ***\nenable password ***\n" },
		{ "  key-string s3cret\n", "  key-string ***\n" },
		/* what only speaks of them */
		{ "level=info its password is not known\n",
		  "level=info its password is not known\n" },
		{ "no passwords: none\n", "no passwords: none\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup(buf_fini) struct buf b = BUF_INIT;
		redact_text(rows[i].in, strlen(rows[i].in), &b);
		assert_string_equal(buf_str(&b), rows[i].out);
	}
}

static void secrets_go_out_of_json(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "{'password':'s3cret','asn':1}", "{'password':'***','asn':1}" },
		{ "{'token':12345,'deep':[{'x':{'apiKey':'s3cret'}}]}",
		  "{'token':'***','deep':[{'x':{'apiKey':'***'}}]}" },
		{ "{'automountServiceAccountToken':false,'token':{'audience':'a'}}",
		  "{'automountServiceAccountToken':false,'token':{'audience':'a'}}" },
		{ "{'password-secret':'tor-a','text':'a: 1'}",
		  "{'password-secret':'tor-a','text':'a: 1'}" },
		{ "['password: s3cret',['token: s3cret']]", "['password: ***',['token: ***']]" },
		{ "{'env':[{'name':'A','value':'s3cret'},{'name':'B','valueFrom':{}}]}",
		  "{'env':[{'name':'A','value':'***'},{'name':'B','valueFrom':{}}]}" },
		{ "{'n':null,'b':true,'f':1.5}", "{'n':null,'b':true,'f':1.5}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_object *obj = world_parse(rows[i].in), *want = world_parse(rows[i].out);
		redact_json(obj);
		cleanup_free char *got =
			xstrdup(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
		assert_string_equal(got,
		                    json_object_to_json_string_ext(want, JSON_C_TO_STRING_PLAIN));
		json_object_put(obj);
		json_object_put(want);
	}
}

/* As kubectl apply leaves it. */
static void json_within_json_is_read(void **state)
{
	(void)state;
	struct json_object *obj = json_tokener_parse(
		"{\"last\":\"{\\\"data\\\":{\\\"config\\\":\\\"password: s3cret\\\\nasn: 1\\\"}}\"}");

	redact_json(obj);
	assert_string_equal(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN),
	                    "{\"last\":\"{\\\"data\\\":{\\\"config\\\":\\\"password: "
	                    "***\\\\nasn: 1\\\"}}\"}");
	json_object_put(obj);
}

/* ---- the archive ---- */

static void read_gz(const char *path, struct buf *out)
{
	gzFile f = gzopen(path, "rb");
	char piece[4096];
	int n;

	assert_non_null(f);
	while ((n = gzread(f, piece, sizeof(piece))) > 0)
		buf_add(out, piece, (size_t)n);
	assert_int_equal(n, 0);
	gzclose(f);
}

/*
 * Files one after the other, each padded; a long name goes before its file; two empty blocks end
 * it.
 */
static void files_are_written_as_tar(void **state)
{
	(void)state;
	char path[] = "/tmp/fairlead-archive-XXXXXX", name[151];
	cleanup(buf_fini) struct buf tar = BUF_INIT;
	struct archive *a;
	struct err e = ERR_INIT;
	struct stat st;

	close(mkstemp(path));
	assert_int_equal(archive_open(path, "d", &a, &e), -EEXIST);
	unlink(path);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(archive_open(path, "d", &a, &e), 0);
	assert_int_equal(archive_add(a, "one", "hello", 5), 0);
	assert_int_equal(archive_add(a, name, NULL, 0), 0);
	assert_int_equal(archive_add(a, "two", NULL, (size_t)ARCHIVE_MAX_BYTES + 1), -EFBIG);
	assert_int_equal(archive_close(a, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	read_gz(path, &tar);
	assert_int_equal(tar.size, 512 * 7);
	assert_string_equal(tar.data, "d/one");
	assert_string_equal(tar.data + 257, "ustar");
	assert_string_equal(tar.data + 124, "00000000005");
	assert_string_equal(tar.data + 512, "hello");
	assert_int_equal(tar.data[1024 + 156], 'x');
	assert_memory_equal(tar.data + 1536, "162 path=d/xxx", 14);
	assert_int_equal(tar.data[1536 + 161], '\n');
	assert_int_equal(tar.data[2048 + 156], '0');
	for (size_t i = 2560; i < tar.size; i++)
		assert_int_equal(tar.data[i], 0);
	unlink(path);
}

static void what_cannot_be_written_is_told_in_the_end(void **state)
{
	(void)state;
	struct archive *a;
	struct err e = ERR_INIT;

	assert_int_equal(archive_open("/nonexistent/x", "d", &a, &e), -ENOENT);
	assert_int_equal(archive_open("/dev/full", "d", &a, &e), -EEXIST);
	int kept = dup(STDOUT_FILENO);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(kept >= 0 && full >= 0);
	assert_true(dup2(full, STDOUT_FILENO) >= 0);
	int r = archive_open("-", "d", &a, &e);
	assert_true(dup2(kept, STDOUT_FILENO) >= 0);
	close(kept);
	close(full);
	assert_int_equal(r, 0);
	assert_int_equal(archive_add(a, "one", "hello", 5), 0);
	assert_int_equal(archive_close(a, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "standard output"));
}

static void names_lead_nowhere_else(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b, *want;
	} rows[] = {
		{ "n1", "status", "speakers/n1/status.json" },
		{ "node.example", NULL, "speakers/node.example.json" },
		{ "..", "../x", "speakers/_./_._x.json" },
		{ "a/b\n", "", "speakers/a_b_.json" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cleanup_free char *name = dump_name("speakers", rows[i].a, rows[i].b, ".json");
		assert_string_equal(name, rows[i].want);
	}
}

static void pods_are_read_as_far_as_they_say(void **state)
{
	(void)state;
	static const char *const nothing[] = { "{}", "{'metadata':{}}",
		                               "{'metadata':{'name':'x'}}" };
	struct dump_pods pods = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
		struct json_object *obj = world_parse(nothing[i]);
		dump_pods_add(&pods, obj);
		json_object_put(obj);
	}
	assert_int_equal(pods.n, 0);
	struct json_object *obj = world_parse(
		"{'metadata':{'namespace':'ns','name':'p','labels':{'app.kubernetes.io/component':"
		"'speaker'}},'spec':{'nodeName':'n1','containers':[{'name':'frr'},{},{'name':'speaker',"
		"'ports':[{'name':'x','containerPort':1},{'name':'http','containerPort':17482}]}],"
		"'initContainers':[{'name':'wait'}]},'status':{'podIP':'192.0.2.1','containerStatuses':["
		"{'name':'frr','lastState':{'terminated':{}}},{'name':'speaker','lastState':{}}]}}");
	dump_pods_add(&pods, obj);
	json_object_put(obj);
	const struct dump_pod *p = dump_pods_on_node(&pods, "speaker", "n1");
	assert_non_null(p);
	assert_null(dump_pods_on_node(&pods, "controller", "n1"));
	assert_null(dump_pods_on_node(&pods, "speaker", "n2"));
	assert_int_equal(p->http_port, 17482);
	assert_int_equal(p->n_containers, 3);
	assert_string_equal(p->containers[0].name, "frr");
	assert_true(p->containers[0].has_previous && !p->containers[1].has_previous);
	assert_string_equal(p->containers[2].name, "wait");
	dump_pods_fini(&pods);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_go_out_of_texts),
		cmocka_unit_test(secrets_go_out_of_json),
		cmocka_unit_test(json_within_json_is_read),
		cmocka_unit_test(files_are_written_as_tar),
		cmocka_unit_test(what_cannot_be_written_is_told_in_the_end),
		cmocka_unit_test(names_lead_nowhere_else),
		cmocka_unit_test(pods_are_read_as_far_as_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
