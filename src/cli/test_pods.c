/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/test_pods.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "cli/commands.h"
#include "cli/test_probe.h"
#include "fairlead/addr.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"

#define REQUEST_MAX_BYTES 4096
#define CLIENT_PATIENCE_S 5
#define SECONDS_MAX 3600

/* ---- the echo ---- */

static void answer(struct evhttp_request *req, void *arg)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(req);
	struct evbuffer *body = evbuffer_new();
	cleanup(buf_fini) struct buf text = BUF_INIT;
	char *peer = NULL;
	ev_uint16_t port;
	struct addr client;

	(void)arg;
	evhttp_connection_get_peer(connection, &peer, &port);
	buf_puts(&text, "{\"node\":");
	buf_json_str(&text, getenv("NODE_NAME"));
	buf_puts(&text, ",\"pod\":");
	buf_json_str(&text, getenv("POD_NAME"));
	buf_puts(&text, ",\"client\":");
	buf_json_str(&text, peer && addr_parse(peer, &client) == 0 ? addr_str(&client) : NULL);
	buf_puts(&text, "}\n");
	evbuffer_add(body, text.data, text.size);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
	                  "application/json");
	/* Whoever asks again shall be carried there anew. */
	evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
	evhttp_send_reply(req, HTTP_OK, "OK", body);
	evbuffer_free(body);
}

static void end(evutil_socket_t signal_number, short what, void *arg)
{
	(void)signal_number, (void)what;
	event_base_loopbreak(arg);
}

/* On all addresses of both families, or of IPv4 alone where the kernel has no other; -1. */
static evutil_socket_t open_socket(uint16_t port)
{
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, off = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool has_six = fd >= 0;

	if (has_six)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	else
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if ((has_six ? bind(fd, (const struct sockaddr *)&six, sizeof(six))
	             : bind(fd, (const struct sockaddr *)&four, sizeof(four))) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
	close(fd);
	return -1;
}

static void serve(evutil_socket_t fd)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct event *term = evsignal_new(base, SIGTERM, end, base);
	struct event *interrupt = evsignal_new(base, SIGINT, end, base);

	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http, REQUEST_MAX_BYTES);
	evhttp_set_max_body_size(http, REQUEST_MAX_BYTES);
	evhttp_set_timeout(http, CLIENT_PATIENCE_S);
	evhttp_set_gencb(http, answer, NULL);
	evhttp_accept_socket(http, fd);
	event_add(term, NULL);
	event_add(interrupt, NULL);
	event_base_dispatch(base);
	event_free(interrupt);
	event_free(term);
	evhttp_free(http);
	event_base_free(base);
}

/* -1 if it is none of 1 … @max. */
static int number_of(const char *text, int max)
{
	char *rest = NULL;
	long n = text ? strtol(text, &rest, 10) : 0;

	return text && rest != text && !*rest && n >= 1 && n <= max ? (int)n : -1;
}

int test_echo_main(char **argv)
{
	int port = number_of(argv[0], UINT16_MAX);
	evutil_socket_t fd = port > 0 ? open_socket((uint16_t)port) : -1;

	if (port < 0) {
		fputs("fairlead " TEST_ECHO_WORD ": no port\n", stderr);
		return COMMAND_USAGE;
	}
	if (fd < 0) {
		fprintf(stderr, "fairlead " TEST_ECHO_WORD ": port %d: %s\n", port,
		        strerror(errno));
		return COMMAND_FAILED;
	}
	serve(fd);
	return COMMAND_OK;
}

/* ---- the probe ---- */

static int write_file(const char *path, const struct buf *text)
{
	FILE *f = fopen(path, "we");
	bool written = f && fwrite(text->data, 1, text->size, f) == text->size;

	if (f && fclose(f) != 0)
		written = false;
	if (!written)
		fprintf(stderr, "fairlead " TEST_PROBE_WORD ": %s: %s\n", path, strerror(errno));
	return written ? COMMAND_OK : COMMAND_FAILED;
}

int test_probe_main(char **argv)
{
	struct test_probe *probes = xcalloc(TEST_PROBES_MAX, sizeof(*probes));
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	int seconds = number_of(argv[0], SECONDS_MAX), exit_status = COMMAND_USAGE;
	size_t n = 0;

	if (seconds < 0 || !argv[1])
		err_set(&e, -EINVAL, ERR_CONFIG, "no seconds, or no file");
	for (char **word = argv + 2; e.blame == ERR_NONE && *word; word++)
		if (n == TEST_PROBES_MAX)
			err_set(&e, -EINVAL, ERR_LIMIT, "more than %d targets", TEST_PROBES_MAX);
		else
			test_probe_parse(*word, &probes[n++], &e);
	if (e.blame == ERR_NONE) {
		test_probe_all(probes, n, seconds, NULL);
		test_probe_put(probes, n, &text);
		exit_status = write_file(argv[1], &text);
	} else {
		fprintf(stderr, "fairlead " TEST_PROBE_WORD ": %s\n", e.msg);
	}
	free(probes);
	return exit_status;
}
