/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fault.h"
#include "http.h"
#include "journal.h"
#include "js.h"
#include "server.h"
#include "wlog.h"

#define DEFAULT_CIDR "10.96.0.0/16"
#define DEFAULT_HISTORY 4096
#define DEFAULT_BOOKMARK_MS 60000

static const char usage[] =
	"Usage: fairlead-apisim --listen ADDRESS:PORT [OPTION]…\n"
	"A small Kubernetes API server for the demo and the tests.\n"
	"\n"
	"  --listen ADDRESS:PORT   may be repeated; port 0 picks a free one\n"
	"  --tls-cert FILE --tls-key FILE\n"
	"                          serve HTTPS (PEM)\n"
	"  --token TOKEN           401 for requests without this bearer token\n"
	"  --service-cidr CIDR[,CIDR]\n"
	"                          clusterIPs (" DEFAULT_CIDR "); two for dual stack\n"
	"  --data FILE             keep the state there\n"
	"  --write-log FILE        one JSON line for each write request\n"
	"  --history N             events kept for each kind (4096)\n"
	"  --bookmark-ms N         how often watches get a bookmark (60000)\n"
	"  --help\n"
	"\n"
	"Faults: PUT, GET and DELETE /sim/faults; POST /sim/reset-history; GET /sim/stats.\n";

struct options {
	const char *listen[HTTP_MAX_LISTENERS];
	size_t n_listen;
	const char *cert, *key, *token, *data, *write_log;
	struct prefix cidrs[2];
	size_t n_cidrs;
	long history, bookmark_ms;
};

static int parse_cidrs(const char *text, struct options *opt, struct err *err)
{
	cleanup_free char *copy = xstrdup(text);
	char *save, *s = strtok_r(copy, ",", &save);

	opt->n_cidrs = 0;
	for (; s; s = strtok_r(NULL, ",", &save)) {
		if (opt->n_cidrs == 2 || prefix_parse(s, false, &opt->cidrs[opt->n_cidrs]) < 0 ||
		    (opt->n_cidrs == 1 && opt->cidrs[0].addr.family == opt->cidrs[1].addr.family))
			return err_set(
				err, -EINVAL, ERR_CONFIG,
				"--service-cidr %s: one CIDR of each family at most is wanted",
				text);
		opt->n_cidrs++;
	}
	return opt->n_cidrs ? 0 : err_set(err, -EINVAL, ERR_CONFIG, "--service-cidr is empty");
}

static int parse_number(const char *name, const char *text, long *ret_n, struct err *err)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || n < 1 || n > 1000000000)
		return err_set(err, -EINVAL, ERR_CONFIG, "--%s %s: a positive number is wanted",
		               name, text);
	*ret_n = n;
	return 0;
}

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "tls-cert", required_argument, NULL, 'c' },
	{ "tls-key", required_argument, NULL, 'k' },
	{ "token", required_argument, NULL, 't' },
	{ "service-cidr", required_argument, NULL, 's' },
	{ "data", required_argument, NULL, 'd' },
	{ "write-log", required_argument, NULL, 'w' },
	{ "history", required_argument, NULL, 'h' },
	{ "bookmark-ms", required_argument, NULL, 'b' },
	{ "help", no_argument, NULL, '?' + 1 },
	{ NULL },
};

/* 0, 1 for --help, or a negative errno. */
static int parse_options(int argc, char **argv, struct options *opt, struct err *err)
{
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'l':
			if (opt->n_listen == HTTP_MAX_LISTENERS)
				return err_set(err, -EINVAL, ERR_CONFIG, "too many --listen");
			opt->listen[opt->n_listen++] = optarg;
			break;
		case 'c':
			opt->cert = optarg;
			break;
		case 'k':
			opt->key = optarg;
			break;
		case 't':
			opt->token = optarg;
			break;
		case 's':
			r = parse_cidrs(optarg, opt, err);
			break;
		case 'd':
			opt->data = optarg;
			break;
		case 'w':
			opt->write_log = optarg;
			break;
		case 'h':
			r = parse_number("history", optarg, &opt->history, err);
			break;
		case 'b':
			r = parse_number("bookmark-ms", optarg, &opt->bookmark_ms, err);
			break;
		case '?' + 1:
			return 1;
		default:
			return err_set(err, -EINVAL, ERR_CONFIG, "see --help");
		}
	}
	if (r == 0 && (!opt->n_listen || optind < argc || !opt->cert != !opt->key))
		r = err_set(err, -EINVAL, ERR_CONFIG, "--listen is needed; see --help");
	return r;
}

static void count_service(struct server *s, struct version *v, int sign)
{
	cleanup(js_put) struct json_object *o = v ? version_parse(v) : NULL;

	if (o)
		alloc_count(&s->alloc, o, sign);
}

static void on_event(void *arg, enum store_id id, const struct event *e)
{
	struct server *s = arg;

	if (id == STORE_SERVICES) {
		count_service(s, e->before, -1);
		if (e->type != EVENT_DELETED)
			count_service(s, e->now, +1);
	}
	watch_deliver(s, id, e);
}

static int open_files(struct server *s, const struct options *opt, struct err *err)
{
	struct journal *journal = NULL;
	int r = opt->data ? journal_open(opt->data, &s->store, &journal, err) : 0;

	s->store.journal = journal;
	for (size_t i = 0; r == 0 && i < s->store.shelves[STORE_SERVICES].n; i++)
		count_service(s, s->store.shelves[STORE_SERVICES].v[i], +1);
	if (r == 0 && opt->write_log)
		r = wlog_open(opt->write_log, &s->wlog, err);
	return r == 0 ? rest_create_namespaces(s, err) : r;
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static int serve(struct server *s, const struct options *opt, struct err *err)
{
	struct http *http = NULL;
	int r = http_new(s, opt->cert, opt->key, &http, err);

	for (size_t i = 0; r == 0 && i < opt->n_listen; i++)
		r = http_listen(http, opt->listen[i], err);
	if (r < 0) {
		http_free(http);
		return r;
	}
	struct event *term = evsignal_new(s->base, SIGTERM, on_signal, s->base);
	struct event *interrupt = evsignal_new(s->base, SIGINT, on_signal, s->base);
	event_add(term, NULL);
	event_add(interrupt, NULL);
	char *url;
	for (size_t i = 0; (url = http_url(http, i)); i++) {
		printf("listening on %s\n", url);
		free(url);
	}
	fflush(stdout);
	event_base_dispatch(s->base);
	event_free(term);
	event_free(interrupt);
	http_free(http);
	return 0;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct options opt = { .history = DEFAULT_HISTORY, .bookmark_ms = DEFAULT_BOOKMARK_MS };
	int r = parse_cidrs(DEFAULT_CIDR, &opt, &err);

	if (r == 0)
		r = parse_options(argc, argv, &opt, &err);
	if (r == 1) {
		fputs(usage, stdout);
		return 0;
	}
	if (r < 0) {
		fprintf(stderr, "fairlead-apisim: %s\n", err.msg);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	struct server s = { .base = event_base_new(),
		            .faults = fault_new(),
		            .token = opt.token,
		            .bookmark_ms = opt.bookmark_ms,
		            .started_ms = clock_ms() };
	store_init(&s.store, (size_t)opt.history);
	alloc_init(&s.alloc, opt.cidrs, opt.n_cidrs);
	s.store.on_event = on_event;
	s.store.arg = &s;
	r = open_files(&s, &opt, &err);
	if (r == 0)
		r = serve(&s, &opt, &err);
	if (r < 0)
		log_err("fairlead-apisim", &err);
	list_forget_snapshots(&s);
	journal_free(s.store.journal);
	store_fini(&s.store);
	alloc_fini(&s.alloc);
	wlog_free(s.wlog);
	fault_free(s.faults);
	event_base_free(s.base);
	return r < 0;
}
