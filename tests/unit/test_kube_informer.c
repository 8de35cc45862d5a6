/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/kube_types.h"
#include "kube/scanner.h"
#include "kube_world.h"

/*
 * Scripts: what the informer must ask, in this order, and what it is answered; then what it must
 * have told its receiver, as one line: "+name=version" for an upsert, "-name.uid" for a removal,
 * "S" for synced.
 */

enum answer {
	ANSWER,  /* 200 with the body, complete */
	STATUS,  /* the status, with the body */
	STREAM,  /* the body as the beginning of a watch that stays open */
	END,     /* the body, then a clean end */
	CUT,     /* the body, then cut within the stream */
	NOTHING, /* not a byte */
};

struct step {
	const char *asked; /* part of the path */
	enum answer answer;
	const char *body;
	int status;
	const char *not_asked; /* must not be part of the path */
	const char *headers;   /* of the answer, or NULL */
};

struct script {
	struct kube_world kube;
	const struct step *steps;
	int n_steps, at;
	struct buf told;
	struct kube_informer *inf;
	int n_refreshed;
	const char *refuse;  /* name of an object that upsert refuses */
	const char *stop_at; /* stops the informer when told of this */
	bool tell_all;       /* also what cannot be read */
};

static void play(struct loopback_conn *conn, const struct loopback_request *r, void *arg)
{
	struct script *s = arg;

	if (s->at >= s->n_steps)
		fail_msg("asked beyond the script: %s", r->path);
	const struct step *step = &s->steps[s->at++];
	if (!strstr(r->path, step->asked) || (step->not_asked && strstr(r->path, step->not_asked)))
		fail_msg("step %d: asked %s, not %s", s->at - 1, r->path, step->asked);
	switch (step->answer) {
	case ANSWER:
		loopback_answer(conn, 200, "", step->body);
		break;
	case STATUS:
		loopback_answer(conn, step->status, step->headers ? step->headers : "", step->body);
		break;
	case STREAM:
	case END:
	case CUT:
		loopback_open(conn, true);
		if (*step->body)
			loopback_chunk(conn, step->body);
		if (step->answer == END)
			loopback_send(conn, "0\r\n\r\n");
		if (step->answer == CUT)
			loopback_close(conn);
		break;
	case NOTHING:
		break;
	}
}

static void maybe_stop(struct script *s, const char *what)
{
	if (s->stop_at && !strcmp(s->stop_at, what))
		kube_informer_stop(TAKE(s->inf));
}

static int on_upsert(struct json_object *obj, void *arg, struct err *e)
{
	struct script *s = arg;
	struct json_object *meta = kube_json_get(obj, "metadata", json_type_object, NULL);
	const char *name = kube_json_str(meta, "name", NULL);

	if (s->refuse && !strcmp(s->refuse, name))
		return err_set(e, -EINVAL, ERR_REMOTE, "refused");
	buf_printf(&s->told, "+%s=%s ", name, kube_json_str(meta, "resourceVersion", NULL));
	maybe_stop(s, name);
	return 0;
}

static void on_remove(const char *namespace, const char *name, const char *uid, void *arg)
{
	struct script *s = arg;

	assert_string_equal(namespace, "n");
	buf_printf(&s->told, "-%s.%s ", name, uid);
	maybe_stop(s, "removed");
}

static void on_synced(void *arg)
{
	struct script *s = arg;

	buf_puts(&s->told, "S ");
	maybe_stop(s, "synced");
}

static void on_refreshed(void *arg)
{
	struct script *s = arg;

	buf_puts(&s->told, "R ");
	s->n_refreshed++;
}

static const struct kube_informer_ops ops = { on_upsert, on_remove, on_synced };

/* "?name=version[ingress]" */
static void on_unreadable(const struct kube_remains *r, const struct err *why, void *arg)
{
	struct script *s = arg;

	assert_true(*why->msg);
	buf_printf(&s->told, "?%s=%s[", r->meta.name, r->meta.resource_version);
	for (size_t i = 0; i < r->n_ingress; i++)
		buf_printf(&s->told, "%s%s", i ? "," : "", addr_str(&r->ingress[i]));
	buf_puts(&s->told, "] ");
	maybe_stop(s, r->meta.name);
}

/* "L1" */
static void on_lost(size_t n, void *arg)
{
	struct script *s = arg;

	buf_printf(&s->told, "L%zu ", n);
}

static const struct kube_informer_ops all_ops = { on_upsert, on_remove, on_synced, on_unreadable,
	                                          on_lost };

static void script_start(struct script *s, const struct step *steps, int n, int silence_ms)
{
	s->steps = steps;
	s->n_steps = n;
	kube_world_start(&s->kube, NULL, play, s);
	kube_world_connect(&s->kube, "http", "", "");
	s->inf = kube_informer_start(s->kube.client,
	                             &(struct kube_informer_spec){ .path = "/api/v1/things",
	                                                           .query = "labelSelector=a",
	                                                           .what = "things",
	                                                           .silence_ms = silence_ms },
	                             s->tell_all ? &all_ops : &ops, s);
}

/* Until every step was played, what it sent has arrived, and @told has become @want. */
static void script_run(struct script *s, const char *want)
{
	kube_world_run_until(&s->kube, &s->at, s->n_steps);
	for (int i = 0; i < 200 && strcmp(buf_str(&s->told), want) != 0; i++)
		kube_world_run_for(&s->kube, 5);
	assert_string_equal(buf_str(&s->told), want);
}

static void script_stop(struct script *s)
{
	kube_world_stop(&s->kube);
	buf_fini(&s->told);
}

#define OBJ(name, uid, version)                                                   \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"" uid \
	"\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, obj) "{\"type\":\"" type "\",\"object\":" obj "}\n"
#define BOOKMARK(version) \
	"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version "\"}}}\n"
#define ERROR(code, message) \
	"{\"type\":\"ERROR\",\"object\":{\"code\":" code ",\"message\":\"" message "\"}}\n"
#define LIST(version, token, items)                                       \
	"{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"" version \
	"\",\"continue\":\"" token "\"},\"items\":[" items "]}"

static void pages_events_and_resume(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "/api/v1/things?labelSelector=a&limit=500&resourceVersion=", ANSWER,
		  LIST("7", "t=/1", OBJ("a", "ua", "5")), 0, "resourceVersion=7" },
		{ "limit=500&continue=t%3D%2F1", ANSWER, LIST("7", "", OBJ("b", "ub", "6")), 0,
		  "resourceVersion" },
		{ "labelSelector=a&watch=1&allowWatchBookmarks=true", END,
		  EVENT("ADDED", OBJ("c", "uc", "8")) EVENT("MODIFIED", OBJ("a", "ua", "9"))
		          EVENT("DELETED", OBJ("b", "ub", "10"))
		                  EVENT("DELETED", OBJ("x", "ux", "10")) BOOKMARK("12") },
		{ "resourceVersion=12", STREAM,
		  EVENT("MODIFIED", OBJ("c", "uc", "13")) "{\"type\":" },
	};
	for (int split = 0; split < 2; split++) {
		struct script s = { 0 };
		script_start(&s, steps, ARRAY_LEN(steps), 0);
		loopback_split(s.kube.server, split);
		script_run(&s, "+a=5 +b=6 S +c=8 +a=9 -b.ub +c=13 ");
		struct kube_informer_stats stats = kube_informer_stats(s.inf);
		assert_true(stats.synced && stats.watching);
		assert_int_equal(stats.objects, 2);
		assert_int_equal(stats.lists, 1);
		assert_int_equal(stats.watches, 2);
		assert_int_equal(stats.bookmarks, 1);
		assert_int_equal(stats.events, 5);
		script_stop(&s);
	}
}

static void lost_history_is_listed_again(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500&resourceVersion=", ANSWER,
		  LIST("7", "",
		       OBJ("a", "ua", "1") "," OBJ("b", "ub", "2") "," OBJ("c", "uc", "3")) },
		{ "resourceVersion=7", STATUS, "{\"code\":410,\"reason\":\"Expired\"}", 410 },
		/* a is unchanged, b changed, c was made anew, d is new. */
		{ "limit=500&resourceVersion=", ANSWER,
		  LIST("20", "",
		       OBJ("a", "ua", "1") "," OBJ("b", "ub", "12") "," OBJ("c", "uC", "3") "," OBJ(
			       "d", "ud", "4")),
		  0, "resourceVersion=7" },
		{ "resourceVersion=20", STREAM,
		  EVENT("MODIFIED", OBJ("d", "ud", "21"))
		          ERROR("410", "too old resource version") },
		/* The history starts anew, and a is gone. */
		{ "limit=500&resourceVersion=", ANSWER,
		  LIST("3", "",
		       OBJ("b", "ub", "12") "," OBJ("c", "uC", "3") "," OBJ("d", "ud", "2")) },
		{ "resourceVersion=3", STATUS,
		  "{\"code\":504,\"reason\":\"Timeout\",\"message\":\"Too large resource version: 3\"}",
		  504 },
		{ "limit=500&resourceVersion=", ANSWER, LIST("1", "", ""), 0, "resourceVersion=3" },
		{ "resourceVersion=1", NOTHING, "" },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s,
	           "+a=1 +b=2 +c=3 S +b=12 -c.uc +c=3 +d=4 +d=21 +d=2 -a.ua -b.ub -c.uC -d.ud ");
	assert_int_equal(kube_informer_stats(s.inf).expired, 2);
	assert_int_equal(kube_informer_stats(s.inf).lists, 4);
	script_stop(&s);
}

static void pages_that_expire_are_listed_whole(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500&resourceVersion=", ANSWER, LIST("7", "t", OBJ("a", "ua", "1")) },
		{ "continue=t", STATUS, "{\"code\":410}", 410 },
		{ "&resourceVersion=", ANSWER,
		  LIST("9", "", OBJ("a", "ua", "1") "," OBJ("b", "ub", "2")), 0, "limit" },
		{ "resourceVersion=9", NOTHING, "" },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s, "+a=1 +b=2 S ");
	script_stop(&s);
}

static void broken_lists_are_asked_again(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500&resourceVersion=", CUT,
		  "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[" OBJ("a", "ua", "1") "," },
		{ "limit=500&resourceVersion=", ANSWER, "[]" },
		{ "limit=500&resourceVersion=", ANSWER, "{\"items\":[" OBJ("a", "ua", "1") "]}" },
		{ "limit=500&resourceVersion=", ANSWER, LIST("9", "", OBJ("a", "ua", "1")) },
		{ "resourceVersion=9", NOTHING, "" },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s, "+a=1 S ");
	script_stop(&s);
}

static void malformed_objects_are_skipped_alone(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf list = BUF_INIT, events = BUF_INIT;
	cleanup_free char *padding = xcalloc(1, SCANNER_OBJECT_SIZE_MAX + 1);
	memset(padding, 'x', SCANNER_OBJECT_SIZE_MAX);
#define GIGANTIC(name, uid, version)                                              \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"" uid \
	"\",\"resourceVersion\":\"" version "\"},\"spec\":\"%s\"}"
	/* "known" became gigantic while we were away: what we have of it stays. */
	buf_printf(
		&list,
		LIST("9", "",
	             "{\"metadata\":{},}," GIGANTIC("big", "u1", "5") ",17,{\"metadata\":{}}," OBJ(
			     "bad", "u2", "3") "," GIGANTIC("known", "u4", "8") "," OBJ("good",
	                                                                                "u3", "4")),
		padding, padding);
	buf_puts(&events, "garbage\n{\"type\":5}\n{}\n" EVENT("ADDED", "{\"metadata\":7}"));
	buf_printf(&events, EVENT("MODIFIED", GIGANTIC("good", "u3", "10")), padding);
	buf_puts(&events, EVENT("MODIFIED", OBJ("good", "u3", "11")));
	buf_printf(&events, EVENT("DELETED", GIGANTIC("known", "u4", "12")), padding);
	const struct step steps[] = {
		{ "limit=500", ANSWER, LIST("7", "", OBJ("known", "u4", "1")) },
		{ "resourceVersion=7", STATUS, "{}", 410 },
		{ "limit=500", ANSWER, buf_str(&list) },
		{ "resourceVersion=9", STREAM, buf_str(&events) },
	};
	struct script s = { .refuse = "bad" };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s, "+known=1 S +good=4 +good=11 -known.u4 ");
	assert_int_equal(kube_informer_stats(s.inf).malformed, 11);
	script_stop(&s);
}

#define NEST8(x) "[[[[[[[[" x "]]]]]]]]"
#define NEST64(x) NEST8(NEST8(NEST8(NEST8(NEST8(NEST8(NEST8(NEST8(x))))))))
/* As anybody may write an object: json-c alone would not read it. */
#define DEEP(name, uid, version)                                                                  \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name                                     \
	"\",\"managedFields\":" NEST64("1") ",\"uid\":\"" uid "\",\"resourceVersion\":\"" version \
					    "\"}}"
#define BROKEN(name, uid, version, ip)                                                             \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"" uid                  \
	"\",\"resourceVersion\":\"" version "\"},\"spec\":nonsense,\"status\":{\"loadBalancer\":{" \
	"\"ingress\":[{\"ip\":\"" ip "\"}]}}}"

static void deep_objects_are_read_and_removed(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500", ANSWER,
		  LIST("7", "", DEEP("a", "ua", "1") "," DEEP("b", "ub", "2")) },
		{ "resourceVersion=7", STREAM,
		  EVENT("MODIFIED", DEEP("a", "ua", "8")) EVENT("DELETED", DEEP("b", "ub", "9"))
		          EVENT("ADDED", DEEP("c", "uc", "10"))
		                  EVENT("DELETED", DEEP("c", "uc", "11")) },
	};
	struct script s = { .tell_all = true };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s, "+a=1 +b=2 S +a=8 -b.ub +c=10 -c.uc ");
	assert_int_equal(kube_informer_stats(s.inf).malformed, 0);
	script_stop(&s);
}

/* Whatever the reason, it ends in one place: the receiver hears what the text tells. */
static void unreadable_objects_are_outlined(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf list = BUF_INIT, events = BUF_INIT;
	cleanup_free char *padding = xcalloc(1, SCANNER_OBJECT_SIZE_MAX + 1);
	memset(padding, ' ', SCANNER_OBJECT_SIZE_MAX);
	buf_puts(&list, LIST("7", "",
	                     BROKEN("a", "ua", "1",
	                            "10.0.0.1") "," OBJ("bad", "ux", "2") "," OBJ("c", "uc", "4")));
	buf_puts(&events, EVENT("MODIFIED", BROKEN("c", "uc", "8", "10.0.0.3")));
	buf_puts(&events, EVENT("ADDED", BROKEN("d", "ud", "9", "10.0.0.4")));
	/* Too large, and its addresses lie behind what is kept of it. */
	buf_printf(&events, "{\"type\":\"ADDED\",\"object\":{\"x\":\"%s\",%s}\n", padding,
	           &BROKEN("e", "ue", "10", "10.0.0.5")[1]);
	/* Made anew in between. */
	buf_puts(&events, EVENT("MODIFIED", BROKEN("c", "uC", "11", "10.0.0.6")));
	buf_puts(&events, EVENT("DELETED", BROKEN("a", "ua", "12", "10.0.0.1")));
	/* Readable again. */
	buf_puts(&events, EVENT("MODIFIED", OBJ("d", "ud", "13")));
	const struct step steps[] = {
		{ "limit=500", ANSWER, buf_str(&list) },
		{ "resourceVersion=7", STREAM, buf_str(&events) },
	};
	struct script s = { .tell_all = true, .refuse = "bad" };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s, "?a=1[10.0.0.1] ?bad=2[] +c=4 S ?c=8[10.0.0.3] ?d=9[10.0.0.4] "
	               "?e=10[10.0.0.5] -c.uc ?c=11[10.0.0.6] -a.ua +d=13 ");
	assert_int_equal(kube_informer_stats(s.inf).malformed, 6);
	assert_int_equal(kube_informer_stats(s.inf).lost, 0);
	script_stop(&s);
}

/*
 * What has no name may be any of those that a list does not name; the next list that is whole ends
 * the doubt.
 */
static void lost_objects_are_told(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500", ANSWER, LIST("7", "", OBJ("a", "ua", "1") "," OBJ("b", "ub", "2")) },
		{ "resourceVersion=7", STATUS, "{}", 410 },
		{ "limit=500", ANSWER, LIST("9", "", "{\"metadata\":{}},17") },
		{ "resourceVersion=9", STREAM, "garbage\n" },
		{ "limit=500", ANSWER, LIST("12", "", OBJ("b", "ub", "2")) },
		{ "resourceVersion=12", STREAM, "" },
	};
	struct script s = { .tell_all = true };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	kube_world_run_until(&s.kube, &s.at, 4);
	for (int i = 0; i < 200 && !strstr(buf_str(&s.told), "L3"); i++)
		kube_world_run_for(&s.kube, 5);
	assert_int_equal(kube_informer_stats(s.inf).lost, 3);
	kube_informer_refresh(s.inf, on_refreshed, &s);
	script_run(&s, "+a=1 +b=2 S L1 L2 L3 -a.ua L0 R ");
	assert_int_equal(kube_informer_stats(s.inf).lost, 0);
	script_stop(&s);
}

static void silent_watches_are_replaced(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500", NOTHING, "" },
		{ "limit=500", ANSWER, LIST("7", "", "") },
		{ "resourceVersion=7", STREAM, BOOKMARK("8") },
		{ "resourceVersion=8", STREAM, EVENT("ADDED", OBJ("a", "ua", "9")) },
		{ "resourceVersion=9", NOTHING, "" },
		{ "resourceVersion=9", STREAM, EVENT("ADDED", OBJ("b", "ub", "10")) },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 1000);
	script_run(&s, "S +a=9 +b=10 ");
	script_stop(&s);
}

static void cut_watches_make_progress(void **state)
{
	(void)state;
	/* With doubling pauses this would take minutes. */
	static const struct step steps[] = {
		{ "limit=500", ANSWER, LIST("0", "", "") },
		{ "resourceVersion=0", CUT, EVENT("ADDED", OBJ("a", "ua", "1")) },
		{ "resourceVersion=1", CUT,
		  EVENT("MODIFIED", OBJ("a", "ua", "2")) "{\"type\":\"MODI" },
		{ "resourceVersion=2", END, EVENT("MODIFIED", OBJ("a", "ua", "3")) },
		{ "resourceVersion=3", CUT, EVENT("MODIFIED", OBJ("a", "ua", "4")) },
		{ "resourceVersion=4", CUT, BOOKMARK("5") },
		{ "resourceVersion=5", CUT, EVENT("MODIFIED", OBJ("a", "ua", "6")) },
		{ "resourceVersion=6", CUT, EVENT("MODIFIED", OBJ("a", "ua", "7")) },
		{ "resourceVersion=7", CUT, EVENT("MODIFIED", OBJ("a", "ua", "8")) },
		{ "resourceVersion=8", CUT, EVENT("MODIFIED", OBJ("a", "ua", "9")) },
		{ "resourceVersion=9", STREAM, EVENT("DELETED", OBJ("a", "ua", "10")) },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s, "S +a=1 +a=2 +a=3 +a=4 +a=6 +a=7 +a=8 +a=9 -a.ua ");
	assert_int_equal(kube_informer_stats(s.inf).lists, 1);
	script_stop(&s);
}

static void throttled_watch_keeps_its_place(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500", ANSWER, LIST("7", "", "") },
		{ "resourceVersion=7", STATUS, "{}", 429 },
		{ "resourceVersion=7", STATUS, "{}", 500 },
		{ "resourceVersion=7", STREAM, EVENT("ADDED", OBJ("a", "ua", "9")) },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	script_run(&s, "S +a=9 ");
	assert_int_equal(kube_client_stats(s.kube.client).throttled, 1);
	script_stop(&s);
}

static void refresh_lists_anew(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500&resourceVersion=", ANSWER, LIST("7", "t", OBJ("a", "ua", "1")) },
		/*
		 * Asked for while this list was under way: it may be older than what the caller
		 * wants.
		 */
		{ "continue=t", ANSWER, LIST("7", "", "") },
		{ "limit=500&resourceVersion=", ANSWER, LIST("8", "", OBJ("b", "ub", "2")) },
		{ "resourceVersion=8", STREAM, BOOKMARK("9") },
		/* Asked for in a watch. */
		{ "limit=500&resourceVersion=", ANSWER, LIST("10", "", OBJ("b", "ub", "2")), 0,
		  "resourceVersion=9" },
		{ "resourceVersion=10", STREAM, "" },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	kube_world_run_until(&s.kube, &s.at, 1);
	kube_informer_refresh(s.inf, on_refreshed, &s);
	kube_world_run_until(&s.kube, &s.n_refreshed, 1);
	kube_world_run_until(&s.kube, &s.at, 4);
	kube_world_run_for(&s.kube, 20);
	kube_informer_refresh(s.inf, on_refreshed, &s);
	kube_informer_refresh(s.inf, on_refreshed, &s);
	kube_world_run_until(&s.kube, &s.n_refreshed, 3);
	script_run(&s, "+a=1 S +b=2 -a.ua R R R ");
	script_stop(&s);
}

static void refresh_ends_a_pause(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500", ANSWER, LIST("7", "", "") },
		{ "resourceVersion=7", STATUS, "{}", 429, NULL, "Retry-After: 60\r\n" },
		{ "limit=500&resourceVersion=", ANSWER, LIST("9", "", OBJ("a", "ua", "8")) },
		{ "resourceVersion=9", STREAM, "" },
	};
	struct script s = { 0 };
	script_start(&s, steps, ARRAY_LEN(steps), 0);
	kube_world_run_until(&s.kube, &s.at, 2);
	kube_world_run_for(&s.kube, 20);
	kube_informer_refresh(s.inf, on_refreshed, &s);
	kube_world_run_until(&s.kube, &s.n_refreshed, 1);
	script_run(&s, "S +a=8 R ");
	script_stop(&s);
}

static void it_can_be_stopped_anywhere(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "limit=500", ANSWER, LIST("7", "", OBJ("a", "ua", "1") "," OBJ("b", "ub", "2")) },
		{ "resourceVersion=7", STREAM,
		  EVENT("DELETED", OBJ("a", "ua", "8")) EVENT("ADDED", OBJ("c", "uc", "9"))
		          EVENT("ADDED", OBJ("d", "ud", "10")) },
	};
	static const struct {
		const char *at, *told;
		int steps;
	} cases[] = {
		{ "a", "+a=1 ", 1 },
		{ "synced", "+a=1 +b=2 S ", 1 },
		{ "removed", "+a=1 +b=2 S -a.ua ", 2 },
		{ "c", "+a=1 +b=2 S -a.ua +c=9 ", 2 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct script s = { .stop_at = cases[i].at };
		script_start(&s, steps, cases[i].steps, 0);
		script_run(&s, cases[i].told);
		kube_world_run_for(&s.kube, 30);
		assert_string_equal(buf_str(&s.told), cases[i].told);
		script_stop(&s);
	}
	/* From outside, with a watch open. */
	struct script s = { 0 };
	script_start(&s, steps, 2, 0);
	script_run(&s, "+a=1 +b=2 S -a.ua +c=9 +d=10 ");
	kube_informer_stop(s.inf);
	kube_world_run_for(&s.kube, 10);
	script_stop(&s);
}

/* ---- tokens ---- */

struct refused {
	const char *path; /* of the token */
	int n_requests, n_failed;
};

static void write_token(const char *path, int n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "token-%d", n);
	fclose(f);
}

/* Each time the token that was used is refused, and the file holds another one by then. */
static void wants_ever_newer(struct loopback_conn *conn, const struct loopback_request *r,
                             void *arg)
{
	struct refused *w = arg;

	(void)r;
	write_token(w->path, ++w->n_requests);
	loopback_answer(conn, 401, "", "{}");
}

static bool on_failed(int status, const struct err *e, void *arg)
{
	struct refused *w = arg;

	(void)e;
	assert_int_equal(status, 401);
	w->n_failed++;
	return false;
}

static void a_401_is_asked_again_at_once_but_only_once(void **state)
{
	(void)state;
	char path[] = "/tmp/fairlead-token-XXXXXX";
	close(mkstemp(path));
	write_token(path, 0);
	cleanup_free char *user = xasprintf("tokenFile: %s", path);
	const struct kube_informer_ops refused_ops = { on_upsert, on_remove, on_synced,
		                                       .failed = on_failed };
	struct refused w = { .path = path };
	struct kube_world kube;
	kube_world_start(&kube, NULL, wants_ever_newer, &w);
	kube_world_connect(&kube, "http", "", user);
	kube_informer_start(kube.client,
	                    &(struct kube_informer_spec){ .path = "/api/v1/things",
	                                                  .what = "things" },
	                    &refused_ops, &w);
	kube_world_run_until(&kube, &w.n_failed, 1);
	assert_int_equal(w.n_requests, 2);
	unlink(path);
	kube_world_stop(&kube);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_events_and_resume),
		cmocka_unit_test(lost_history_is_listed_again),
		cmocka_unit_test(pages_that_expire_are_listed_whole),
		cmocka_unit_test(broken_lists_are_asked_again),
		cmocka_unit_test(malformed_objects_are_skipped_alone),
		cmocka_unit_test(deep_objects_are_read_and_removed),
		cmocka_unit_test(unreadable_objects_are_outlined),
		cmocka_unit_test(lost_objects_are_told),
		cmocka_unit_test(silent_watches_are_replaced),
		cmocka_unit_test(cut_watches_make_progress),
		cmocka_unit_test(throttled_watch_keeps_its_place),
		cmocka_unit_test(refresh_lists_anew),
		cmocka_unit_test(refresh_ends_a_pause),
		cmocka_unit_test(it_can_be_stopped_anywhere),
		cmocka_unit_test(a_401_is_asked_again_at_once_but_only_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
