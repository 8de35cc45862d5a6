/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal as controllers write it, without network and in virtual time: what Services get and
 * lose stands in it, whoever leads, whatever becomes of its ConfigMaps; and no Service waits for
 * it.
 */
#include "config.h"

#include "unit.h"

#include <event2/event.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../apisim/js.h"
#include "controller/controller.h"
#include "controller/scribe_private.h"
#include "fairlead/clock.h"
#include "fairlead/journal.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "virtual_kube.h"
#include "virtual_loop.h"

#define MAPS "/api/v1/namespaces/fairlead-system/configmaps/"
#define SERVICES "/api/v1/namespaces/default/services"
#define PATIENCE_MS 120000

static struct {
	struct controller ctls[2];
	unsigned int n_writes; /* of the journal */
	bool unanswered;       /* the next of them takes effect, and gets no answer */
	const char *copy;      /* --journal-copy; NULL: none */
} scene;

static void on_send(struct event_base *base, const char *path)
{
	/* To make one, that of all; what else is made there has a time limit behind it. */
	bool is_journal =
		strstr(path, JOURNAL_MAP_PREFIX) || !strcmp(strrchr(path, '/'), "/configmaps");

	(void)base;
	scene.n_writes += is_journal;
	virtual_faults.unanswered = is_journal && scene.unanswered ? 1000 : 0;
}

static void on_change(const char *what, const char *key, struct json_object *now)
{
	(void)what, (void)key, (void)now;
}

static const struct virtual_ops ops = { .changed = on_change, .sends = on_send };

/* ---- the journal ---- */

static void put(struct journal_entry *e, void *arg)
{
	struct buf *out = arg;

	buf_printf(out, "%s %s", journal_event_name(e->event), e->service ? e->service : "-");
	for (size_t i = 0; i < e->n_before; i++)
		buf_printf(out, " -%s", addr_str(&e->before[i]));
	for (size_t i = 0; i < e->n; i++)
		buf_printf(out, " %s", addr_str(&e->addrs[i]));
	if (e->count)
		buf_printf(out, " %llu", (unsigned long long)e->count);
	buf_printf(out, " by %s; ", e->by);
}

static int map_cmp(const void *a, const void *b)
{
	int64_t na = strtoll(js_str0(*(struct json_object *const *)a, "data.number"), NULL, 10);
	int64_t nb = strtoll(js_str0(*(struct json_object *const *)b, "data.number"), NULL, 10);

	return (na > nb) - (na < nb);
}

/* "assigned default/web 10.0.0.0 by a; …" */
static const char *journal(void)
{
	static struct buf out;
	struct json_object *maps[JOURNAL_MAPS];
	size_t n = 0;

	buf_clear(&out);
	for (size_t i = 0; i < JOURNAL_MAPS; i++) {
		cleanup_free char *path = xasprintf(MAPS JOURNAL_MAP_PREFIX "%zu", i);
		maps[n] = virtual_kube_get(path);
		n += maps[n] != NULL;
	}
	if (n)
		qsort(maps, n, sizeof(maps[0]), map_cmp);
	for (size_t i = 0; i < n; i++) {
		const char *text = js_str0(maps[i], "data.entries");
		assert_int_equal(journal_read(text, strlen(text), put, &out), 0);
		json_object_put(maps[i]);
	}
	return buf_str(&out);
}

/* ---- what happens ---- */

static void run_for(int64_t ms)
{
	virtual_loop_run(virtual_now() + ms);
}

static void wait_for(const char *wanted)
{
	for (int64_t until = virtual_now() + PATIENCE_MS; strcmp(journal(), wanted) != 0;) {
		if (virtual_now() > until)
			fail_msg("the journal is: %s\nand not: %s", journal(), wanted);
		run_for(100);
	}
}

static void configure(const char *method, const char *where, const char *more)
{
	cleanup_free char *path =
		xasprintf("/api/v1/namespaces/fairlead-system/configmaps%s", where);

	virtual_kube_do(method, path,
	                "{'metadata':{'name':'fairlead','namespace':'fairlead-system'},'data':"
	                "{'config':'address-pools:\\n- {name: lan, protocol: layer2, addresses: "
	                "[10.0.0.0/28], use: [load-balancer, external-ip]}\\n%s'}}",
	                more);
}

static void create(const char *name)
{
	virtual_kube_do("POST", SERVICES,
	                "{'metadata':{'name':'%s'},'spec':{'type':'LoadBalancer','ports':[{'port':"
	                "80}]}}",
	                name);
}

static void delete (const char *name)
{
	cleanup_free char *path = xasprintf(SERVICES "/%s", name);

	virtual_kube_do("DELETE", path, "%s", "");
}

static bool is_served(const char *name)
{
	cleanup_free char *path = xasprintf(SERVICES "/%s", name);
	cleanup(js_put) struct json_object *o = virtual_kube_get(path);

	return o && js_len(js_array(o, "status.loadBalancer.ingress")) > 0;
}

static void wait_until_served(const char *name)
{
	for (int i = 0; i < PATIENCE_MS && !is_served(name); i++)
		run_for(1);
	assert_true(is_served(name));
}

static void start(size_t i)
{
	static const char *const names[] = { "a", "b" };
	struct controller *ctl = &scene.ctls[i];
	struct err e = ERR_INIT;

	*ctl = (struct controller){ .opts = {
					    .daemon = { .kube = { .namespace = "fairlead-system" },
		                                        .http_status = "all" },
					    .config_map = "fairlead",
					    .external_ips = "on",
					    .lease_duration_s = 10,
					    .renew_deadline_s = 7,
					    .retry_period_s = 1,
					    .identity = names[i],
					    .journal_copy = scene.copy,
				    } };
	if (controller_start(ctl, &e) < 0)
		fail_msg("%s", e.msg);
}

static void begin_with(const char *more, const char *copy)
{
	memset(&scene, 0, sizeof(scene));
	scene.copy = copy;
	virtual_loop_init(1);
	virtual_faults = (struct virtual_faults){ .lag_ms = 20 };
	virtual_kube_init(&ops);
	virtual_kube_do("POST", "/api/v1/namespaces", "{'metadata':{'name':'%s'}}",
	                "fairlead-system");
	configure("POST", "", more);
	start(0);
	run_for(5000);
	assert_true(scene.ctls[0].leading);
}

static void begin(const char *more)
{
	begin_with(more, NULL);
}

static void stop(size_t i)
{
	controller_stop(&scene.ctls[i]);
}

static void end(void)
{
	virtual_kube_fini();
}

#define WITH_JOURNAL "journal: {}\\n"

/* ---- the promises ---- */

static void test_what_happens_is_written(void **state)
{
	(void)state;
	begin(WITH_JOURNAL);
	create("web");
	run_for(1000);
	create("db");
	wait_for("assigned default/web 10.0.0.0 by a; assigned default/db 10.0.0.1 by a; ");
	virtual_kube_do("PATCH", SERVICES "/web",
	                "{'metadata':{'annotations':{'fairlead.io/addresses':'%s'}}}", "10.0.0.5");
	delete ("db");
	run_for(1000);
	virtual_kube_do("PATCH", SERVICES "/web", "{'spec':{'type':'%s'}}", "ClusterIP");
	wait_for("assigned default/web 10.0.0.0 by a; assigned default/db 10.0.0.1 by a; "
	         "deleted default/db -10.0.0.1 by a; moved default/web -10.0.0.0 10.0.0.5 by a; "
	         "changed default/web -10.0.0.5 by a; ");
	stop(0);
	end();
}

static void test_there_is_none_unless_asked_for(void **state)
{
	(void)state;
	begin("");
	create("web");
	run_for(60000);
	assert_true(is_served("web"));
	assert_int_equal(scene.n_writes, 0);
	/* Who asks for it later gets what there is. */
	configure("PATCH", "/fairlead", WITH_JOURNAL);
	wait_for("found default/web 10.0.0.0 by a; ");
	stop(0);
	end();
}

/* Many changes are few writes: each rewrites a whole ConfigMap. */
static void test_writes_are_few(void **state)
{
	unsigned int most;

	(void)state;
	begin(WITH_JOURNAL);
	int64_t began_ms = virtual_now();
	for (int i = 0; i < 200; i++) {
		create("web");
		run_for(300);
		delete ("web");
		run_for(300);
	}
	run_for(15000);
	most = (unsigned int)((virtual_now() - began_ms) / 10000) + 2;
	assert_in_range(scene.n_writes, 10, most);
	stop(0);
	end();
}

/* What the first could not write before it died, the next one finds. */
static void test_another_leader_goes_on(void **state)
{
	(void)state;
	begin(WITH_JOURNAL);
	create("web");
	run_for(1000);
	create("gone");
	wait_for("assigned default/web 10.0.0.0 by a; assigned default/gone 10.0.0.1 by a; ");
	create("last");
	wait_until_served("last");
	stop(0);
	delete ("gone");
	start(1);
	wait_for("assigned default/web 10.0.0.0 by a; assigned default/gone 10.0.0.1 by a; "
	         "found default/last 10.0.0.2 by b; missed default/gone -10.0.0.1 by b; ");
	create("next");
	wait_for("assigned default/web 10.0.0.0 by a; assigned default/gone 10.0.0.1 by a; "
	         "found default/last 10.0.0.2 by b; missed default/gone -10.0.0.1 by b; "
	         "assigned default/next 10.0.0.1 by b; ");
	stop(1);
	end();
}

/* Nothing is missing where a leader ends in peace. */
static void test_the_end_is_written(void **state)
{
	(void)state;
	begin(WITH_JOURNAL);
	run_for(20000);
	create("web");
	wait_until_served("web");
	run_for(100);
	assert_string_equal(journal(), "");
	virtual_loop_signal(scene.ctls[0].base, SIGTERM);
	for (int i = 0; i < 20000 && !virtual_loop_is_over(scene.ctls[0].base); i++)
		run_for(1);
	assert_true(virtual_loop_is_over(scene.ctls[0].base));
	stop(0);
	assert_string_equal(journal(), "assigned default/web 10.0.0.0 by a; ");
	end();
}

static void test_somebody_else_writes_it(void **state)
{
	(void)state;
	begin(WITH_JOURNAL);
	create("web");
	wait_for("assigned default/web 10.0.0.0 by a; ");
	/* What is written into it stays, and what is removed is known to be missing. */
	virtual_kube_do("PATCH", MAPS JOURNAL_MAP_PREFIX "0", "{'data':{'entries':'%s'}}", "");
	create("db");
	wait_for("assigned default/db 10.0.0.1 by a; found default/web 10.0.0.0 by a; ");
	virtual_kube_do("DELETE", MAPS JOURNAL_MAP_PREFIX "0", "%s", "");
	create("more");
	run_for(30000);
	assert_non_null(strstr(journal(), "assigned default/more 10.0.0.2 by a; "));
	assert_non_null(strstr(journal(), "found default/web 10.0.0.0 by a; "));
	stop(0);
	end();
}

/* No answer is no reason to write twice. */
static void test_unanswered_writes_are_there_once(void **state)
{
	(void)state;
	begin(WITH_JOURNAL);
	run_for(20000);
	create("web");
	wait_until_served("web");
	scene.unanswered = true;
	for (unsigned int i = 0, before = scene.n_writes; scene.n_writes == before; i++) {
		assert_true(i < PATIENCE_MS);
		run_for(1);
	}
	scene.unanswered = false;
	virtual_faults.unanswered = 0;
	create("db");
	wait_for("assigned default/web 10.0.0.0 by a; assigned default/db 10.0.0.1 by a; ");
	stop(0);
	end();
}

/* A ConfigMap of the journal with this text. */
static void put_map(size_t i, const char *text)
{
	cleanup(buf_fini) struct buf body = BUF_INIT;
	cleanup_free char *path = xasprintf(MAPS JOURNAL_MAP_PREFIX "%zu", i);

	buf_printf(&body,
	           "{'metadata':{'name':'" JOURNAL_MAP_PREFIX
	           "%zu'},'data':{'number':'%zu','entries':",
	           i, i + 1);
	buf_json_str(&body, text);
	buf_puts(&body, "}}");
	virtual_kube_do("DELETE", path, "%s", "");
	assert_int_equal(virtual_kube_do("POST", "/api/v1/namespaces/fairlead-system/configmaps",
	                                 "%s", buf_str(&body)),
	                 201);
}

static struct journal_entry old_entry(const char *service)
{
	static char uid[] = "u", by[] = "z";

	return (struct journal_entry){ .event = JOURNAL_ASSIGNED,
		                       .service = (char *)(uintptr_t)service,
		                       .uid = uid,
		                       .by = by,
		                       .time_us = INT64_C(4102444800000000) };
}

static void fill(struct buf *text)
{
	cleanup(buf_fini) struct buf line = BUF_INIT;
	struct journal_entry e = old_entry("shop/old");

	journal_print(&e, &line);
	while (text->size + line.size <= JOURNAL_MAP_BYTES)
		buf_add(text, line.data, line.size);
}

/* One after another, the oldest gives way, and nothing else is lost. */
static void test_full_maps_give_way(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;

	(void)state;
	fill(&text);
	begin(WITH_JOURNAL);
	stop(0);
	for (size_t i = 0; i < JOURNAL_MAPS; i++)
		put_map(i, buf_str(&text));
	start(1);
	run_for(30000);
	create("web");
	run_for(30000);
	cleanup(js_put) struct json_object *first = virtual_kube_get(MAPS JOURNAL_MAP_PREFIX "0");
	assert_string_equal(js_str0(first, "data.number"), "17");
	assert_non_null(strstr(js_str0(first, "data.entries"), "default/web"));
	assert_null(strstr(js_str0(first, "data.entries"), "shop/old"));
	cleanup(js_put) struct json_object *second = virtual_kube_get(MAPS JOURNAL_MAP_PREFIX "1");
	assert_string_equal(js_str0(second, "data.number"), "2");
	assert_non_null(strstr(js_str0(second, "data.entries"), "shop/old"));
	stop(1);
	end();
}

static char *text_of_first(void)
{
	cleanup(js_put) struct json_object *m = virtual_kube_get(MAPS JOURNAL_MAP_PREFIX "0");

	return xstrdup(js_str0(m, "data.entries"));
}

/* Who still has an address stays in the journal when the ConfigMap that says so goes. */
static void test_living_holders_stay(void **state)
{
	cleanup(buf_fini) struct buf text = BUF_INIT, since = BUF_INIT;

	(void)state;
	fill(&text);
	begin(WITH_JOURNAL);
	create("web");
	wait_for("assigned default/web 10.0.0.0 by a; ");
	stop(0);
	cleanup_free char *web = text_of_first();
	put_map(0, web);
	put_map(JOURNAL_MAPS - 1, buf_str(&text));
	start(1);
	run_for(30000);
	cleanup_free char *now = text_of_first();
	const char *time = strstr(web, "\"time\":") + strlen("\"time\":");
	buf_printf(&since, "\"since\":%.*s", (int)strcspn(time, ","), time);
	assert_null(strstr(now, "assigned"));
	assert_non_null(strstr(now, "kept"));
	assert_non_null(strstr(now, buf_str(&since)));
	/* Once is enough. */
	run_for(INT64_C(300) * 1000);
	cleanup_free char *later = text_of_first();
	assert_string_equal(now, later);
	stop(1);
	end();
}

/* Where a copy goes: a file in a directory in a directory. */
static struct {
	char top[32], dir[48], file[64], away[64];
} place;

/* The inner directory is not made yet. */
static void place_make(void)
{
	snprintf(place.top, sizeof(place.top), "/tmp/fairlead-copy-XXXXXX");
	assert_non_null(mkdtemp(place.top));
	snprintf(place.dir, sizeof(place.dir), "%s/later", place.top);
	snprintf(place.file, sizeof(place.file), "%s/journal", place.dir);
	snprintf(place.away, sizeof(place.away), "%s/journal.1", place.dir);
}

static void place_open(void)
{
	assert_int_equal(mkdir(place.dir, 0700), 0);
}

static void place_remove(void)
{
	unlink(place.file);
	unlink(place.away);
	rmdir(place.dir);
	rmdir(place.top);
}

static const char *copied(const char *path)
{
	static struct buf out;
	cleanup(buf_fini) struct buf text = BUF_INIT;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	buf_clear(&out);
	while (fd >= 0 && (n = read(fd, buf_reserve(&text, 4096), 4096)) > 0)
		buf_advance(&text, (size_t)n);
	if (fd >= 0)
		close(fd);
	assert_int_equal(journal_read(buf_str(&text), text.size, put, &out), 0);
	return buf_str(&out);
}

/* And when its entry becomes too old; what is only repeated goes into no copy. */
static void test_days_do_not_forget_living_holders(void **state)
{
	cleanup(buf_fini) struct buf old = BUF_INIT;
	char then[CLOCK_RFC3339_SIZE];

	(void)state;
	place_make();
	place_open();
	begin_with(WITH_JOURNAL, place.file);
	create("web");
	wait_for("assigned default/web 10.0.0.0 by a; ");
	stop(0);
	cleanup_free char *web = text_of_first();
	const char *time = strstr(web, "\"time\":\"") + strlen("\"time\":\"");
	buf_add(&old, web, (size_t)(time - web));
	buf_puts(&old, clock_rfc3339(clock_wall_us() - INT64_C(89) * 86400 * 1000000, then));
	buf_puts(&old, time + strcspn(time, "\""));
	put_map(0, buf_str(&old));
	start(1);
	wait_for("assigned default/web 10.0.0.0 by a; kept default/web 10.0.0.0 by b; ");
	assert_string_equal(copied(place.file), "assigned default/web 10.0.0.0 by a; ");
	stop(1);
	end();
	place_remove();
}

static size_t n_of(const char *what)
{
	size_t n = 0;

	for (const char *p = journal(); (p = strstr(p, what)); p++)
		n++;
	return n;
}

/* What is more than a look takes is entered by the next ones. */
static void test_nothing_found_is_dropped(void **state)
{
	(void)state;
	begin(WITH_JOURNAL);
	stop(0);
	for (size_t i = 0; i < 2; i++) {
		cleanup(buf_fini) struct buf text = BUF_INIT;
		for (size_t k = 0; k < 1250; k++) {
			cleanup_free char *name = xasprintf("n%zu/s%zu", i, k);
			struct journal_entry e = old_entry(name);
			e.addrs[e.n++] = (struct addr){ .family = 4, .b = { 10 } };
			journal_print(&e, &text);
		}
		put_map(i, buf_str(&text));
	}
	create("web");
	start(1);
	run_for(60000);
	assert_int_equal(n_of("missed ") + n_of("assigned default/web "), SCRIBE_FOUND_MAX + 1);
	run_for(INT64_C(180) * 1000);
	assert_int_equal(n_of("missed "), 2500);
	assert_int_equal(n_of("lost "), 0);
	assert_int_equal(scene.ctls[1].stats.journal_dropped, 0);
	stop(1);
	end();
}

/* Nobody writes over what the journal says of other namespaces. */
static void test_a_namespace_has_its_share(void **state)
{
	(void)state;
	begin(WITH_JOURNAL);
	virtual_kube_do("POST", "/api/v1/namespaces", "{'metadata':{'name':'%s'}}", "shop");
	for (int i = 0; i < SCRIBE_SHARE_BURST * 6 / 10; i++) {
		create("web");
		run_for(100);
		delete ("web");
		run_for(100);
	}
	virtual_kube_do("POST", "/api/v1/namespaces/shop/services", "%s",
	                "{'metadata':{'name':'web'},'spec':{'type':'LoadBalancer','ports':[{'port':"
	                "80}]}}");
	run_for(30000);
	/* One more each 30 s. */
	assert_in_range(n_of("assigned default/") + n_of("deleted default/"), SCRIBE_SHARE_BURST,
	                SCRIBE_SHARE_BURST + 20);
	assert_int_equal(n_of("lost default/* "), 1);
	assert_int_equal(n_of("assigned shop/web "), 1);
	stop(0);
	end();
}

/* A tenant may write any record of external IPs; nobody held what stands in it. */
static void test_a_record_by_hand_is_no_holder(void **state)
{
	static const char *const wrong[] = {
		"{'metadata':{'name':'liar','annotations':{'fairlead.io/external-ips-assigned':"
		"'10.0.0.0'}},'spec':{'type':'ClusterIP','externalIPs':['10.0.0.0'],'ports':[{"
		"'port':80}]}}",
		"{'metadata':{'name':'asks','annotations':{'fairlead.io/external-ips':'none',"
		"'fairlead.io/external-ips-assigned':'10.0.0.0'}},'spec':{'type':'ClusterIP',"
		"'externalIPs':['10.0.0.0'],'ports':[{'port':80}]}}",
	};

	(void)state;
	begin(WITH_JOURNAL);
	create("web");
	run_for(1000);
	virtual_kube_do("POST", SERVICES, "%s",
	                "{'metadata':{'name':'edge','annotations':{'fairlead.io/external-ips':'lan'"
	                "}},'spec':{'type':'ClusterIP','ports':[{'port':80}]}}");
	wait_for("assigned default/web 10.0.0.0 by a; "
	         "assigned default/edge (external IPs) 10.0.0.1 by a; ");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		virtual_kube_do("POST", SERVICES, "%s", wrong[i]);
	/* Another leader looks at all of it; gone are they, then. */
	stop(0);
	start(1);
	run_for(60000);
	delete ("liar");
	delete ("asks");
	delete ("edge");
	wait_for("assigned default/web 10.0.0.0 by a; "
	         "assigned default/edge (external IPs) 10.0.0.1 by a; "
	         "deleted default/edge (external IPs) -10.0.0.1 by b; ");
	stop(1);
	end();
}

/* ---- the copy ---- */

/* At once; the file may be renamed away. */
static void test_a_copy_goes_to_a_file(void **state)
{
	(void)state;
	place_make();
	place_open();
	begin_with(WITH_JOURNAL, place.file);
	create("web");
	wait_until_served("web");
	run_for(1000);
	assert_string_equal(copied(place.file), "assigned default/web 10.0.0.0 by a; ");
	assert_int_equal(rename(place.file, place.away), 0);
	delete ("web");
	run_for(1000);
	assert_string_equal(copied(place.file), "deleted default/web -10.0.0.0 by a; ");
	assert_string_equal(copied(place.away), "assigned default/web 10.0.0.0 by a; ");
	stop(0);
	end();
	place_remove();
}

/* While it cannot be written, Services get their addresses, and the entries wait. */
static void test_a_copy_waits_for_its_file(void **state)
{
	(void)state;
	place_make();
	begin_with(WITH_JOURNAL, place.file);
	create("web");
	wait_until_served("web");
	run_for(20000);
	assert_string_equal(copied(place.file), "");
	place_open();
	create("db");
	run_for(10000);
	assert_string_equal(copied(place.file), "assigned default/web 10.0.0.0 by a; "
	                                        "assigned default/db 10.0.0.1 by a; ");
	stop(0);
	end();
	place_remove();
}

static void create_and_delete(const char *name, int n)
{
	for (int i = 0; i < n; i++) {
		create(name);
		run_for(100);
		delete (name);
		run_for(100);
	}
}

/* A pipe that nobody empties keeps nobody waiting, and what comes out of it in the end is whole. */
static void test_a_copy_waits_for_its_reader(void **state)
{
	cleanup(buf_fini) struct buf all = BUF_INIT, told = BUF_INIT;
	ssize_t n;

	(void)state;
	place_make();
	place_open();
	assert_int_equal(mkfifo(place.file, 0600), 0);
	int fd = open(place.file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fcntl(fd, F_SETPIPE_SZ, 4096) >= 4096);
	begin_with(WITH_JOURNAL, place.file);
	create_and_delete("web", 100);
	assert_true(scene.ctls[0].scribe->copy.waiting.size > 0);
	for (int i = 0; i < 100; i++) {
		while ((n = read(fd, buf_reserve(&all, 4096), 4096)) > 0)
			buf_advance(&all, (size_t)n);
		run_for(6000);
	}
	assert_int_equal(journal_read(buf_str(&all), all.size, put, &told), 0);
	assert_string_equal(buf_str(&told), journal());
	stop(0);
	end();
	close(fd);
	place_remove();
}

/* What is too much is counted, and the copy says so. */
static void test_a_copy_has_a_bound(void **state)
{
	(void)state;
	place_make();
	begin_with(WITH_JOURNAL, place.file);
	create_and_delete("web", 100);
	size_t each = scene.ctls[0].scribe->copy.waiting.size / 200;
	create_and_delete("web", (int)(SCRIBE_QUEUE_BYTES_MAX / each / 2) + 50);
	assert_in_range(scene.ctls[0].scribe->copy.waiting.size, SCRIBE_QUEUE_BYTES_MAX,
	                SCRIBE_QUEUE_BYTES_MAX + JOURNAL_LINE_MAX);
	place_open();
	run_for(10000);
	assert_non_null(strstr(copied(place.file), "lost - "));
	assert_int_equal(scene.ctls[0].scribe->copy.waiting.size, 0);
	stop(0);
	end();
	place_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_happens_is_written),
		cmocka_unit_test(test_there_is_none_unless_asked_for),
		cmocka_unit_test(test_writes_are_few),
		cmocka_unit_test(test_another_leader_goes_on),
		cmocka_unit_test(test_the_end_is_written),
		cmocka_unit_test(test_somebody_else_writes_it),
		cmocka_unit_test(test_unanswered_writes_are_there_once),
		cmocka_unit_test(test_full_maps_give_way),
		cmocka_unit_test(test_living_holders_stay),
		cmocka_unit_test(test_days_do_not_forget_living_holders),
		cmocka_unit_test(test_nothing_found_is_dropped),
		cmocka_unit_test(test_a_namespace_has_its_share),
		cmocka_unit_test(test_a_record_by_hand_is_no_holder),
		cmocka_unit_test(test_a_copy_goes_to_a_file),
		cmocka_unit_test(test_a_copy_waits_for_its_file),
		cmocka_unit_test(test_a_copy_waits_for_its_reader),
		cmocka_unit_test(test_a_copy_has_a_bound),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
