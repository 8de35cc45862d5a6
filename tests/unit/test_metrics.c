/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/buf.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"

static void text_is_escaped_and_grouped(void **state)
{
	(void)state;
	cleanup(buf_fini) struct buf b = BUF_INIT;
	struct metrics_writer w = { .out = &b };

	metrics_family(&w, "a_total", METRICS_COUNTER, "First\nline \\ \"quoted\".");
	metrics_sample(&w, 12345678901.0, NULL);
	metrics_sample(&w, 1, "service", "shop/\"web\"\\\n", "empty", "", NULL);
	metrics_family(&w, "b", METRICS_GAUGE, "Second.");
	metrics_sample(&w, 0.25, "x", "y", NULL);
	metrics_sample(&w, -3, "x", "z", NULL);
	metrics_sample(&w, INFINITY, "x", "inf", NULL);
	metrics_sample(&w, (double)NAN, "x", "nan", NULL);
	assert_string_equal(buf_str(&b),
	                    "# HELP a_total First\\nline \\\\ \"quoted\".\n"
	                    "# TYPE a_total counter\n"
	                    "a_total 12345678901\n"
	                    "a_total{service=\"shop/\\\"web\\\"\\\\\\n\",empty=\"\"} 1\n"
	                    "# HELP b Second.\n"
	                    "# TYPE b gauge\n"
	                    "b{x=\"y\"} 0.25\n"
	                    "b{x=\"z\"} -3\n"
	                    "b{x=\"inf\"} +Inf\n"
	                    "b{x=\"nan\"} NaN\n");
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
	metrics_family(w, "up", METRICS_GAUGE, "Up.");
	metrics_sample(w, 1, NULL);
}

static bool healthy(struct buf *why, void *arg)
{
	const struct world *wo = arg;
	if (!wo->healthy)
		buf_puts(why, "the loop stands");
	return wo->healthy;
}

static void status(struct buf *json, void *arg)
{
	(void)arg;
	buf_puts(json, "{\"node\":\"n1\"}");
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
		  "# HELP up Up.\n# TYPE up gauge\nup 1\n" },
		{ "GET /metrics?x=y HTTP/1.1\r\nHost: h\r\n\r\n", "200", "up 1\n" },
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
	static const char *const bad[] = { "",         "7472",      ":7472",      "0.0.0.0",
		                           "0.0.0.0:", "0.0.0.0:x", "0.0.0.0:1x", "0.0.0.0:65536",
		                           ":::7472",  "[::]",      "[0.0.0.0:1", "::1:7472",
		                           "[]:7472",  "host:7472", "0.0.0.0:-1", "0.0.0.0: 1" };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_escaped_and_grouped),
		cmocka_unit_test(process_families_have_values),
		cmocka_unit_test(server_answers),
		cmocka_unit_test(bad_listen_addresses_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
