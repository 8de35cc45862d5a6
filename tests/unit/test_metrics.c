/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <fcntl.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/buf.h"
#include "fairlead/http_ports.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "metrics/clients.h"
#include "metrics/guard.h"
#include "metrics/page.h"
#include "metrics/request.h"

static void text_is_escaped_and_grouped(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	struct metrics_writer w = { .out = &b };

	metrics_value(&w, METRIC_fairlead_l2_probes_total, 12345678901.0);
	metrics_sample(&w, 1, "service", "shop/\"web\"\\\n", "empty", "", NULL);
	metrics_family(&w, METRIC_fairlead_leader);
	metrics_sample(&w, 0.25, "x", "y", NULL);
	metrics_sample(&w, -3, "x", "z", NULL);
	metrics_sample(&w, INFINITY, "x", "inf", NULL);
	metrics_sample(&w, (double)NAN, "x", "nan", NULL);
	assert_string_equal(
		buf_str(&b),
		"# HELP fairlead_l2_probes_total ARP probes sent.\n"
		"# TYPE fairlead_l2_probes_total counter\n"
		"fairlead_l2_probes_total 12345678901\n"
		"fairlead_l2_probes_total{service=\"shop/\\\"web\\\"\\\\\\n\",empty=\"\"} 1\n"
		"# HELP fairlead_leader 1 while this replica leads.\n"
		"# TYPE fairlead_leader gauge\n"
		"fairlead_leader{x=\"y\"} 0.25\n"
		"fairlead_leader{x=\"z\"} -3\n"
		"fairlead_leader{x=\"inf\"} +Inf\n"
		"fairlead_leader{x=\"nan\"} NaN\n");
}

static void histograms_are_cumulative(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	struct metrics_writer w = { .out = &b };
	struct histogram h = { .sum = 0 };

	histogram_observe(&h, 0.004);
	histogram_observe(&h, 0.25);
	histogram_observe(&h, 1000.5);
	metrics_histogram(&w, METRIC_fairlead_proxy_batch_duration_seconds, &h);
	assert_string_equal(
		buf_str(&b),
		"# HELP fairlead_proxy_batch_duration_seconds How long batches took until the "
		"kernel had them, those that failed included.\n"
		"# TYPE fairlead_proxy_batch_duration_seconds histogram\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.001\"} 0\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.0025\"} 0\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.005\"} 1\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.01\"} 1\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.025\"} 1\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.05\"} 1\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.1\"} 1\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.25\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"0.5\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"1\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"2.5\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"5\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"10\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"30\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"60\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"120\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"300\"} 2\n"
		"fairlead_proxy_batch_duration_seconds_bucket{le=\"+Inf\"} 3\n"
		"fairlead_proxy_batch_duration_seconds_sum 1000.754\n"
		"fairlead_proxy_batch_duration_seconds_count 3\n");
}

static void process_families_have_values(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	struct metrics_writer w = { .out = &b };

	metrics_process(&w);
	assert_non_null(
		strstr(buf_str(&b), "fairlead_build_info{version=\"" PACKAGE_VERSION "\"} 1\n"));
	assert_non_null(strstr(buf_str(&b), "\nfairlead_private_memory_bytes "));
	assert_null(strstr(buf_str(&b), "\nprocess_start_time_seconds 0\n"));
	assert_null(strstr(buf_str(&b), "\nprocess_resident_memory_bytes 0\n"));
}

struct world {
	bool healthy;
};

static void collect(struct metrics_writer *w, void *arg)
{
	(void)arg;
	metrics_value(w, METRIC_fairlead_view_fresh, 1);
}

static bool healthy(struct buf *why, void *arg)
{
	const struct world *wo = arg;

	if (!wo->healthy)
		buf_puts(why, "the loop stands");
	return wo->healthy;
}

static void status(struct out *o, void *arg)
{
	(void)arg;
	out_object(o, NULL);
	out_str(o, "node", "n1");
	out_close(o);
}

/* Sends @request to the server of @port on @family's loopback and returns the whole answer. */
static void ask(struct event_base *base, sa_family_t family, uint16_t port, const char *request,
                struct buf *answer)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		                  .sin_port = htons(port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		                    .sin6_port = htons(port),
		                    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char chunk[4096];
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(
		connect(fd, family == AF_INET ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
	                family == AF_INET ? sizeof(in) : sizeof(in6)),
		0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	buf_clear(answer);
	for (;;) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n == 0)
			break;
		if (n > 0)
			buf_add(answer, chunk, (size_t)n);
	}
	close(fd);
}

static void server_answers(void **state)
{
	(void)state;
	static const struct metrics_server_ops ops = {
		.collect = collect, .healthy = healthy, .ready = healthy, .status = status
	};
	static const struct {
		const char *request, *code, *body;
		bool unhealthy;
	} cases[] = {
		{ "GET /metrics HTTP/1.0\r\n\r\n", "200",
		  "# TYPE fairlead_view_fresh gauge\nfairlead_view_fresh 1\n" },
		{ "GET /metrics?x=y HTTP/1.1\r\nHost: h\r\n\r\n", "200",
		  "fairlead_view_fresh 1\n" },
		{ "GET /healthz HTTP/1.0\r\n\r\n", "200", "ok\n" },
		{ "GET /healthz HTTP/1.0\r\n\r\n", "503", "the loop stands\n", true },
		{ "GET /readyz HTTP/1.0\r\n\r\n", "503", "the loop stands\n", true },
		{ "GET /status HTTP/1.0\r\n\r\n", "200", "{\"node\":\"n1\"}\n" },
		{ "GET / HTTP/1.0\r\n\r\n", "404", "no such path" },
		{ "POST /metrics HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "405", "method" },
		{ "DELETE /status HTTP/1.0\r\n\r\n", "405", "Allow: GET, HEAD\r\n" },
		{ "PATCH /status HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "405", "method" },
		{ "PUT /loglevel HTTP/1.0\r\nContent-Length: 6\r\n\r\nerror\n", "200", "error\n" },
		{ "GET /loglevel HTTP/1.0\r\n\r\n", "200", "error\n" },
		{ "PUT /loglevel HTTP/1.0\r\nContent-Length: 4\r\n\r\nloud", "400",
		  "one of error" },
		{ "PUT /loglevel HTTP/1.0\r\nContent-Length: 99999\r\n\r\nx", "413", "" },
	};
	static const struct {
		const char *address;
		sa_family_t family;
	} listens[] = { { "127.0.0.1:0", AF_INET }, { "[::1]:0", AF_INET6 } };
	enum log_level before = log_get_level();

	for (size_t l = 0; l < ARRAY_LEN(listens); l++) {
		struct event_base *base = event_base_new();
		struct metrics_server *s = NULL;
		struct world world = { .healthy = true };
		struct err e = ERR_INIT;
		if (metrics_server_start(base, listens[l].address, &ops, &world, &s, &e) < 0) {
			/* A machine without IPv6 proves the IPv4 half. */
			assert_int_equal(listens[l].family, AF_INET6);
			event_base_free(base);
			continue;
		}
		assert_int_not_equal(metrics_server_port(s), 0);
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			cleanup(buf_fini) struct buf b = BUF_INIT;
			world.healthy = !cases[i].unhealthy;
			ask(base, listens[l].family, metrics_server_port(s), cases[i].request, &b);
			if (strncmp(buf_str(&b) + strlen("HTTP/1.x "), cases[i].code, 3) ||
			    !strstr(buf_str(&b), cases[i].body))
				fail_msg("%s: %s", cases[i].request, buf_str(&b));
		}
		metrics_server_stop(s);
		event_base_free(base);
	}
	log_set_level(before);
}

static void bad_listen_addresses_are_named(void **state)
{
	(void)state;
	static const char *const bad[] = { "",         "17482",      ":17482",     "0.0.0.0",
		                           "0.0.0.0:", "0.0.0.0:x",  "0.0.0.0:1x", "0.0.0.0:65536",
		                           ":::17482", "[::]",       "[0.0.0.0:1", "::1:17482",
		                           "[]:17482", "host:17482", "0.0.0.0:-1", "0.0.0.0: 1" };
	static const struct metrics_server_ops ops = { 0 };
	struct event_base *base = event_base_new();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct metrics_server *s = NULL;
		struct err e = ERR_INIT;
		int r = metrics_server_start(base, bad[i], &ops, NULL, &s, &e);
		if (r != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_non_null(strstr(e.msg, "ADDRESS:PORT"));
		assert_int_equal(e.blame, ERR_CONFIG);
	}
	event_base_free(base);
}

/* ---- a crowd ---- */

enum { PAGE_BYTES = 2 << 20, N_CROWD = 300 };

struct crowd {
	struct event_base *base;
	struct metrics_server *server;
	unsigned int n_rendered;
	int fds[N_CROWD];
};

static void big_status(struct out *o, void *arg)
{
	struct crowd *c = arg;
	char *text = xmalloc(PAGE_BYTES + 1);

	c->n_rendered++;
	memset(text, 'x', PAGE_BYTES);
	text[PAGE_BYTES] = '\0';
	out_str(o, NULL, text);
	free(text);
}

static void crowd_start(struct crowd *c)
{
	static const struct metrics_server_ops ops = { .collect = collect, .status = big_status };
	struct err e = ERR_INIT;

	*c = (struct crowd){ .base = event_base_new() };
	assert_int_equal(metrics_server_start(c->base, "127.0.0.1:0", &ops, c, &c->server, &e), 0);
	for (size_t i = 0; i < N_CROWD; i++)
		c->fds[i] = -1;
}

static void crowd_stop(struct crowd *c)
{
	for (size_t i = 0; i < N_CROWD; i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
	metrics_server_stop(c->server);
	event_base_free(c->base);
}

static void turn(struct crowd *c)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(c->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* @n clients of that many addresses of 127/8, each of which sends @request and reads nothing. */
static void crowd_come(struct crowd *c, size_t n, unsigned int n_addresses, const char *request)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons(metrics_server_port(c->server)),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int small = 4096;

	for (size_t i = 0; i < n; i++) {
		struct sockaddr_in from = { .sin_family = AF_INET,
			                    .sin_addr.s_addr = htonl(0x7f000100u +
			                                             (uint32_t)i % n_addresses) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
		assert_int_equal(write(fd, request, strlen(request)), strlen(request));
		c->fds[i] = fd;
		turn(c);
	}
}

static void assert_answers(struct crowd *c, const char *request, const char *code)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	ask(c->base, AF_INET, metrics_server_port(c->server), request, &b);
	if (strncmp(buf_str(&b) + strlen("HTTP/1.x "), code, 3) != 0)
		fail_msg("%s: %.200s", request, buf_str(&b));
}

static size_t n_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/*
 * Half a request, a whole one whose answer nobody reads, and nothing at all: the probes are
 * answered all the same.
 */
static void a_crowd_is_bounded_and_probes_get_through(void **state)
{
	static const struct {
		const char *request;
		unsigned int n_addresses;
	} rows[] = {
		{ "GET /status HT", 1 },
		{ "GET /status HT", 200 },
		{ "GET /status HTTP/1.1\r\n\r\n", 1 },
		{ "GET /status HTTP/1.1\r\n\r\n", 200 },
		{ "", 200 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct crowd c;
		crowd_start(&c);
		size_t before = n_descriptors();
		crowd_come(&c, N_CROWD, rows[i].n_addresses, rows[i].request);
		size_t theirs = N_CROWD, ours = n_descriptors() - before - theirs;
		if (ours > LIMIT_HTTP_CLIENTS + LIMIT_HTTP_PROBES)
			fail_msg("row %zu: %zu connections are kept", i, ours);
		assert_true(c.n_rendered <= LIMIT_HTTP_PAGES_BYTES / PAGE_BYTES);
		assert_answers(&c, "GET /healthz HTTP/1.1\r\n\r\n", "200");
		assert_answers(&c, "GET /readyz HTTP/1.1\r\n\r\n", "200");
		if (rows[i].n_addresses == 1 &&
		    *rows[i].request) /* another address has places of its own */
			assert_answers(&c, "GET /metrics HTTP/1.1\r\n\r\n", "200");
		else
			assert_answers(&c, "GET /metrics HTTP/1.1\r\n\r\n", "503");
		crowd_stop(&c);
	}
}

/*
 * With no descriptor left, accept() fails as often as it is tried: the loop rests, the log is
 * short, probes are answered.
 */
static void without_descriptors_probes_are_answered_and_the_loop_rests(void **state)
{
	enum { N_FILLED = 64 };
	char path[] = "/tmp/fairlead-log-XXXXXX";
	int filled[N_FILLED], log = mkstemp(path);
	struct rlimit old, low;
	struct crowd c;

	(void)state;
	assert_true(log >= 0);
	unlink(path);
	crowd_start(&c);
	crowd_come(&c, N_CROWD, 1, "");
	int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons(metrics_server_port(c.server)),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = (struct rlimit){ .rlim_cur = n_descriptors() + 8, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	size_t n = 0;
	while (n < N_FILLED && (filled[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	assert_int_equal(errno, EMFILE);
	log_set_fd(log);
	assert_int_equal(connect(probe, (struct sockaddr *)&to, sizeof(to)), 0);
	static const char request[] = "GET /healthz HTTP/1.1\r\n\r\n";
	char answer[512] = "";
	assert_int_equal(write(probe, request, strlen(request)), strlen(request));
	for (int i = 0; i < 1000; i++)
		event_base_loop(c.base, EVLOOP_NONBLOCK);
	assert_true(recv(probe, answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0);
	assert_non_null(strstr(answer, " 200 "));
	log_set_fd(STDERR_FILENO);
	assert_true(lseek(log, 0, SEEK_END) < 32768);
	setrlimit(RLIMIT_NOFILE, &old);
	while (n)
		close(filled[--n]);
	close(probe);
	close(log);
	crowd_stop(&c);
}

/* ---- slow clients ---- */

static int64_t later_ms;
int64_t __real_clock_ms(void);
int64_t __wrap_clock_ms(void);

/* The linker leads the server's calls here; the loop's timers go by the time that is. */
int64_t __wrap_clock_ms(void)
{
	return __real_clock_ms() + later_ms;
}

/* Reads what is there; the server has closed the connection. */
static bool is_cut_off(int fd)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

/*
 * A client has so long for the request, and so long for the answer.  A byte now and then is no
 * reason to wait for longer: with the next one after that time it is cut off.
 */
static void a_slow_client_is_cut_off(void **state)
{
	static const struct {
		const char *request, *more;
		bool beyond_bounds;
		int64_t after_ms;
		bool cut_off;
	} rows[] = {
		{ "GET /healthz HT", "T", false, LIMIT_HTTP_READ_MS - 1000, false },
		{ "GET /healthz HT", "T", false, LIMIT_HTTP_READ_MS + 1, true },
		{ "GET /healthz HT", "T", true, 1000, false },
		{ "GET /healthz HT", "T", true, 2001, true },
		{ "GET /status HTTP/1.1\r\n\r\n", "", false, LIMIT_HTTP_WRITE_MS - 1000, false },
		{ "GET /status HTTP/1.1\r\n\r\n", "", false, LIMIT_HTTP_WRITE_MS + 1, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct crowd c;
		bool cut_off = false;
		later_ms = 0;
		crowd_start(&c);
		size_t last = rows[i].beyond_bounds ? LIMIT_HTTP_CLIENTS_PER_ADDRESS : 0;
		crowd_come(&c, last + 1, 1, rows[i].request);
		later_ms = rows[i].after_ms;
		assert_int_equal(write(c.fds[last], rows[i].more, strlen(rows[i].more)),
		                 strlen(rows[i].more));
		/* It reads a bit of the answer, of which there is much more. */
		for (int n = 0; n < 4; n++) {
			turn(&c);
			cut_off = cut_off || is_cut_off(c.fds[last]);
		}
		if (cut_off != rows[i].cut_off)
			fail_msg("row %zu", i);
		crowd_stop(&c);
	}
	later_ms = 0;
}

static void a_large_page_arrives_whole(void **state)
{
	cleanup(buf_fini) struct buf b = BUF_INIT, head = BUF_INIT;
	struct crowd c;

	(void)state;
	crowd_start(&c);
	ask(c.base, AF_INET, metrics_server_port(c.server), "GET /status HTTP/1.1\r\n\r\n", &b);
	const char *body = strstr(buf_str(&b), "\r\n\r\n");
	assert_non_null(body);
	assert_int_equal(b.size - (size_t)(body + 4 - b.data), PAGE_BYTES + 3);
	ask(c.base, AF_INET, metrics_server_port(c.server), "HEAD /status HTTP/1.1\r\n\r\n", &head);
	assert_non_null(strstr(buf_str(&head), "Content-Length: 2097155\r\n"));
	assert_true(head.size < 1024);
	crowd_stop(&c);
}

/* Whoever asks over and over again costs a share of the thread's time, not all of it. */
static void pages_are_shared_by_those_who_ask_at_a_time(void **state)
{
	struct page_cache c = { 0 };
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(page_cache_look(&c, 1000), PAGE_RENDER);
	buf_puts(&b, "one");
	page_cache_put(&c, &b, 1000, 50 * 1000000);
	assert_int_equal(page_cache_look(&c, 1999), PAGE_CACHED);
	assert_int_equal(page_cache_look(&c, 2000), PAGE_RENDER);
	page_cache_expire(&c, 1999);
	assert_non_null(c.page);
	struct page *read = page_ref(c.page);
	page_cache_expire(&c, 2000);
	assert_non_null(c.page);
	page_unref(read);
	page_cache_expire(&c, 2000);
	assert_null(c.page);
	assert_int_equal(c.bytes, 0);
	page_cache_fini(&c);
}

/* Readers that do not read keep two pages at most, if they are large. */
static void pages_that_are_still_read_are_bounded(void **state)
{
	enum { BIG = LIMIT_HTTP_PAGES_BYTES / 4 * 3 };
	struct page_cache c = { 0 };
	struct page *readers[2];
	int64_t now_ms = 0;

	(void)state;
	for (size_t i = 0; i < 2; i++, now_ms += 1000) {
		struct buf b = BUF_INIT;
		assert_int_equal(page_cache_look(&c, now_ms), PAGE_RENDER);
		buf_reserve(&b, BIG);
		buf_advance(&b, BIG);
		page_cache_put(&c, &b, now_ms, 0);
		readers[i] = page_ref(c.page);
	}
	assert_int_equal(page_cache_look(&c, now_ms), PAGE_CACHED);
	assert_int_equal(page_cache_look(&c, now_ms + 60000), PAGE_NO_ROOM);
	page_unref(readers[0]);
	assert_int_equal(page_cache_look(&c, now_ms + 60000), PAGE_RENDER);
	page_cache_fini(&c);
	page_unref(readers[1]);
	assert_int_equal(c.bytes, 0);
}

static void requests_are_read_as_they_are_written(void **state)
{
	static const struct {
		const char *text;
		int r;
		enum request_method method;
		const char *path, *token, *body;
	} rows[] = {
		{ "GET / HTTP/1.0\r\n\r\n", 0, REQUEST_GET, "/", "", "" },
		{ "\r\nGET /a?b#c HTTP/1.1\nX: y\n\n", 0, REQUEST_GET, "/a", "", "" },
		{ "HEAD http://host/a HTTP/1.1\r\n\r\n", 0, REQUEST_HEAD, "/a", "", "" },
		{ "GET http://host HTTP/1.1\r\n\r\n", 0, REQUEST_GET, "/", "", "" },
		{ "PUT /l HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcd", 0, REQUEST_PUT, "/l", "",
		  "abc" },
		{ "get / HTTP/1.1\r\n\r\n", 0, REQUEST_OTHER, "/", "", "" },
		{ "GET / HTTP/1.1\r\nAUTHORIZATION:bearer  x \r\n\r\n", 0, REQUEST_GET, "/", " x",
		  "" },
		{ "GET / HTTP/1.1\r\nAuthorization: Basic x\r\n\r\n", 0, REQUEST_GET, "/", "", "" },
		{ "GET / HTTP/1.1\r\nX: y\r\n", -EAGAIN },
		{ "PUT /l HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", -EAGAIN },
		{ "\r\n\r\n", -EAGAIN },
		{ "", -EAGAIN },
		{ "GET /\r\n\r\n", -400 },
		{ "GET  / HTTP/1.1\r\n\r\n", -400 },
		{ "GET / HTTP/2.0\r\n\r\n", -400 },
		{ "GET / HTTP/1.1\r\nno colon\r\n\r\n", -400 },
		{ "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", -400 },
		{ "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx", -400 },
		{ "GET / HTTP/1.1\r\nContent-Length: 65\r\n\r\n", -413 },
		{ "GET / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\n", -413 },
		{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", -411 },
	};
	static char long_one[LIMIT_HTTP_HEAD_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct request r = { 0 };
		int got = request_parse(rows[i].text, strlen(rows[i].text), &r);
		if (got != rows[i].r)
			fail_msg("%s: %d", rows[i].text, got);
		if (got == 0 &&
		    (r.method != rows[i].method || strcmp(r.path, rows[i].path) != 0 ||
		     strcmp(r.token, rows[i].token) != 0 || strcmp(r.body, rows[i].body) != 0))
			fail_msg("%s: %s, \"%s\", \"%s\"", rows[i].text, r.path, r.token, r.body);
	}
	struct request r;
	memset(long_one, 'a', sizeof(long_one));
	static const char nuls[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	assert_int_equal(request_parse(nuls, sizeof(nuls) - 1, &r), -400);
	assert_int_equal(request_parse(long_one, LIMIT_HTTP_HEAD_BYTES, &r), -EAGAIN);
	assert_int_equal(request_parse(long_one, LIMIT_HTTP_HEAD_BYTES + 1, &r), -431);
}

/* ---- ports of health checks ---- */

static void say_port(const char *path, struct http_answer *ret, void *arg)
{
	ret->code = strcmp(path, "/down") ? 200 : 503;
	ret->type = "application/json";
	buf_puts(&ret->header, "X-Some: thing\r\n");
	buf_printf(&ret->body, "%s says %s", (const char *)arg, path);
}

static uint16_t free_port(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET };
	socklen_t size = sizeof(in6);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in6, sizeof(struct sockaddr_in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in6, &size), 0);
	close(fd);
	return ntohs(in6.sin6_port);
}

static void each_port_has_its_own_answers(void **state)
{
	static char one[] = "one", two[] = "two";

	static const char *const requests[] = {
		"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /healthz?x HTTP/1.0\r\n\r\n",
		"OPTIONS /healthz HTTP/1.1\r\n\r\n",
		"POST /healthz HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
	};
	struct event_base *base = event_base_new();
	struct http_ports *ps = http_ports_new(base);
	struct http_port *a = NULL, *b = NULL, *c = NULL;
	uint16_t port_a = free_port(), port_b = free_port();
	cleanup(buf_fini) struct buf got = BUF_INIT;

	(void)state;
	assert_int_equal(http_port_open(ps, NULL, port_a, say_port, one, &a), 0);
	assert_int_equal(http_port_open(ps, NULL, port_b, say_port, two, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		ask(base, AF_INET, port_a, requests[i], &got);
		assert_non_null(strstr(buf_str(&got), "\r\nX-Some: thing\r\n"));
		assert_non_null(strstr(buf_str(&got), "\r\n\r\none says /healthz"));
		assert_int_equal(strncmp(buf_str(&got) + strlen("HTTP/1.x "), "200", 3), 0);
	}
	ask(base, AF_INET, port_b, "GET /down HTTP/1.1\r\n\r\n", &got);
	assert_non_null(strstr(buf_str(&got), "503 Service Unavailable\r\n"));
	assert_non_null(strstr(buf_str(&got), "\r\n\r\ntwo says /down"));
	ask(base, AF_INET, port_b, "HEAD / HTTP/1.1\r\n\r\n", &got);
	assert_non_null(strstr(buf_str(&got), "\r\nContent-Length: 10\r\n"));
	assert_null(strstr(buf_str(&got), "says"));
	/* A port that somebody has is not taken, and is free when it is closed. */
	assert_int_equal(http_port_open(ps, NULL, port_a, say_port, two, &c), -EADDRINUSE);
	assert_null(c);
	http_port_close(a);
	assert_int_equal(http_port_open(ps, NULL, port_a, say_port, two, &c), 0);
	ask(base, AF_INET, port_a, "GET / HTTP/1.1\r\n\r\n", &got);
	assert_non_null(strstr(buf_str(&got), "two says /"));
	http_port_close(NULL);
	http_ports_free(ps);
	event_base_free(base);
}

/* Who sends nothing on one port, or on all of them, keeps no probe from its answer. */
static void crowds_on_ports_are_bounded_together(void **state)
{
	enum { PORTS = 12, EACH = LIMIT_HEALTH_CLIENTS_PER_PORT + LIMIT_HTTP_PROBES + 8 };
	static char name[] = "port";
	struct event_base *base = event_base_new();
	struct http_ports *ps = http_ports_new(base);
	uint16_t ports[PORTS];
	int fds[PORTS * EACH];
	cleanup(buf_fini) struct buf got = BUF_INIT;
	size_t before;

	(void)state;
	for (size_t i = 0; i < PORTS; i++) {
		struct http_port *p = NULL;
		ports[i] = free_port();
		assert_int_equal(http_port_open(ps, NULL, ports[i], say_port, name, &p), 0);
	}
	before = n_descriptors();
	for (size_t i = 0; i < PORTS * EACH; i++) {
		struct sockaddr_in to = { .sin_family = AF_INET,
			                  .sin_port = htons(ports[i / EACH]),
			                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		struct sockaddr_in from = { .sin_family = AF_INET,
			                    .sin_addr.s_addr = htonl(0x7f000100u + (uint32_t)i) };
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fds[i], (struct sockaddr *)&from, sizeof(from)), 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof(to)), 0);
		for (int t = 0; t < 8; t++)
			event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		if (i + 1 == EACH) {
			/* of one port */
			size_t ours = n_descriptors() - before - EACH;
			assert_true(ours <= LIMIT_HEALTH_CLIENTS_PER_PORT + LIMIT_HTTP_PROBES);
		}
	}
	size_t ours = n_descriptors() - before - PORTS * EACH;
	assert_true(ours <= LIMIT_HEALTH_CLIENTS + LIMIT_HTTP_PROBES);
	for (size_t i = 0; i < PORTS; i++) {
		ask(base, AF_INET, ports[i], "GET / HTTP/1.1\r\n\r\n", &got);
		assert_non_null(strstr(buf_str(&got), "port says /"));
	}
	for (size_t i = 0; i < PORTS * EACH; i++)
		close(fds[i]);
	http_ports_free(ps);
	event_base_free(base);
}

/* Whoever makes Services does not use up the descriptors. */
static void ports_take_half_of_the_descriptors(void **state)
{
	static char name[] = "port";
	struct event_base *base = event_base_new();
	struct http_ports *ps = http_ports_new(base);
	struct http_port *p[4] = { NULL };
	struct rlimit was, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = 6;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(http_port_open(ps, NULL, free_port(), say_port, name, &p[i]), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	int r = http_port_open(ps, NULL, 1, say_port, name, &p[3]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(r, -ENFILE);
	http_port_close(p[0]);
	assert_int_equal(http_port_open(ps, NULL, free_port(), say_port, name, &p[3]), 0);
	http_ports_free(ps);
	event_base_free(base);
}

static void status_can_be_kept_to_a_token_or_to_the_host(void **state)
{
	char path[] = "/tmp/fairlead-token-XXXXXX";
	int fd = mkstemp(path);
	const struct metrics_guard open_to_all = { 0 }, host = { .host_only = true },
				   token = { .token_file = path },
				   missing = { .token_file = "/nonexistent" };
	const struct {
		const struct metrics_guard *guard;
		bool from_this_host, writes;
		const char *token;
		enum guard_answer want;
	} rows[] = {
		{ &open_to_all, true, true, "", GUARD_PASS },
		{ &open_to_all, false, false, "", GUARD_PASS },
		{ &open_to_all, false, true, "", GUARD_NEEDS_HOST },
		{ &host, true, false, "", GUARD_PASS },
		{ &host, false, false, "", GUARD_NEEDS_HOST },
		{ &host, false, true, "s3cret", GUARD_NEEDS_HOST },
		{ &token, true, true, "", GUARD_PASS },
		{ &token, false, false, "", GUARD_NEEDS_TOKEN },
		{ &token, false, false, "s3cre", GUARD_NEEDS_TOKEN },
		{ &token, false, false, "s3crets", GUARD_NEEDS_TOKEN },
		{ &token, false, false, "s3cret", GUARD_PASS },
		{ &token, false, true, "s3cret", GUARD_PASS },
		{ &missing, false, false, "", GUARD_NEEDS_TOKEN },
	};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(write(fd, "s3cret\n", 7), 7);
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (guard_ask(rows[i].guard, rows[i].from_this_host, rows[i].writes,
		              rows[i].token) != rows[i].want)
			fail_msg("row %zu", i);
	assert_int_equal(guard_check(&token, &e), 0);
	assert_int_equal(guard_check(&missing, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "/nonexistent"));
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(guard_check(&token, &e), -EINVAL);
	assert_int_equal(guard_ask(&token, false, false, ""), GUARD_NEEDS_TOKEN);
	unlink(path);
}

/* ---- pages that take a while ---- */

struct maker {
	int n_started, n_cancelled;
	void (*done)(struct buf *text, void *done_arg);
	void *done_arg;
};

static void *start_making(void *arg, void (*done)(struct buf *text, void *done_arg), void *done_arg)
{
	struct maker *m = arg;

	m->n_started++;
	m->done = done;
	m->done_arg = done_arg;
	return m;
}

static void cancel_making(void *job)
{
	((struct maker *)job)->n_cancelled++;
}

static const struct metrics_dump dumps[] = {
	{ "/dump/a", start_making, cancel_making },
	{ "/dump/b", start_making, cancel_making },
	{ .path = NULL },
};

static int ask_dump(struct event_base *base, uint16_t port, const char *path)
{
	cleanup_free char *request = xasprintf("GET %s HTTP/1.0\r\n\r\n", path);
	struct sockaddr_in in = { .sin_family = AF_INET,
		                  .sin_port = htons(port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	/* One turn accepts, one reads. */
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	return fd;
}

static void expect_dump(struct event_base *base, int fd, const char *body)
{
	cleanup(buf_fini) struct buf all = BUF_INIT;
	char chunk[4096];
	ssize_t n;

	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n > 0)
			buf_add(&all, chunk, (size_t)n);
	} while (n != 0);
	close(fd);
	assert_int_equal(strncmp(buf_str(&all), "HTTP/1.1 200 ", 13), 0);
	assert_non_null(strstr(buf_str(&all), body));
}

/* All who ask meanwhile wait for the one that is made; who goes is forgotten, and probes go on. */
static void a_dump_is_made_once_for_all_who_wait(void **state)
{
	(void)state;
	static const struct metrics_server_ops ops = { .dumps = dumps };
	struct event_base *base = event_base_new();
	struct maker m = { 0 };
	struct metrics_server *s;
	struct err e = ERR_INIT;
	cleanup(buf_fini) struct buf text = BUF_INIT, answer = BUF_INIT;

	assert_int_equal(metrics_server_start(base, "127.0.0.1:0", &ops, &m, &s, &e), 0);
	uint16_t port = metrics_server_port(s);
	int first = ask_dump(base, port, "/dump/a"), second = ask_dump(base, port, "/dump/a");
	int gone = ask_dump(base, port, "/dump/a");
	assert_int_equal(m.n_started, 1);
	close(gone);
	ask(base, AF_INET, port, "GET /x HTTP/1.0\r\n\r\n", &answer);
	assert_non_null(strstr(buf_str(&answer), "/status, /dump/a, /dump/b and /loglevel"));
	ask(base, AF_INET, port, "POST /dump/a HTTP/1.0\r\nContent-Length: 0\r\n\r\n", &answer);
	assert_non_null(strstr(buf_str(&answer), " 405 "));
	buf_puts(&text, "the rules\n");
	m.done(&text, m.done_arg);
	expect_dump(base, first, "\r\n\r\nthe rules\n");
	expect_dump(base, second, "\r\n\r\nthe rules\n");
	/* Another page is another work; one that nobody waits for any more ends with the server. */
	int other = ask_dump(base, port, "/dump/b");
	assert_int_equal(m.n_started, 2);
	close(other);
	assert_int_equal(m.n_cancelled, 0);
	metrics_server_stop(s);
	assert_int_equal(m.n_cancelled, 1);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_escaped_and_grouped),
		cmocka_unit_test(histograms_are_cumulative),
		cmocka_unit_test(process_families_have_values),
		cmocka_unit_test(server_answers),
		cmocka_unit_test(bad_listen_addresses_are_named),
		cmocka_unit_test(a_crowd_is_bounded_and_probes_get_through),
		cmocka_unit_test(without_descriptors_probes_are_answered_and_the_loop_rests),
		cmocka_unit_test(a_slow_client_is_cut_off),
		cmocka_unit_test(a_large_page_arrives_whole),
		cmocka_unit_test(pages_are_shared_by_those_who_ask_at_a_time),
		cmocka_unit_test(pages_that_are_still_read_are_bounded),
		cmocka_unit_test(requests_are_read_as_they_are_written),
		cmocka_unit_test(each_port_has_its_own_answers),
		cmocka_unit_test(crowds_on_ports_are_bounded_together),
		cmocka_unit_test(ports_take_half_of_the_descriptors),
		cmocka_unit_test(status_can_be_kept_to_a_token_or_to_the_host),
		cmocka_unit_test(a_dump_is_made_once_for_all_who_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
