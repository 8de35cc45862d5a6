/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * fairlead-echo: what the Pods of the lab run.  Answers every HTTP request with a short text that
 * says which Pod answered and from which address the request came, and every UDP datagram likewise.
 *
 * It speaks the dialect of the public image traefik/whoami, so that one manifest serves the lab and
 * a real cluster: the environment variables WHOAMI_NAME, WHOAMI_PORT_NUMBER and HOSTNAME, the lines
 * of the answer, and /health, whose GET returns the status that the last POST had as its body (200
 * at first).
 */

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>

enum { DEFAULT_PORT = 80, REQUEST_MAX_BYTES = 64 * 1024, DATAGRAM_MAX_BYTES = 2048 };

struct echo {
	const char *name, *hostname;
	int health; /* status of GET /health */
};

/* IPv4 clients of a dual-stack socket come as ::ffff:192.0.2.1. */
static const char *plain_address(const char *address)
{
	static const char mapped[] = "::ffff:";

	return !strncmp(address, mapped, sizeof(mapped) - 1) ? address + sizeof(mapped) - 1
	                                                     : address;
}

static void describe(const struct echo *e, const char *address, unsigned int port,
                     struct evbuffer *out)
{
	if (e->name)
		evbuffer_add_printf(out, "Name: %s\n", e->name);
	evbuffer_add_printf(out, "Hostname: %s\n", e->hostname);
	const char *plain = plain_address(address);
	evbuffer_add_printf(out,
	                    strchr(plain, ':') ? "RemoteAddr: [%s]:%u\n" : "RemoteAddr: %s:%u\n",
	                    plain, port);
}

/* What came, with the headers that a proxy on the way has added. */
static void describe_request(struct evhttp_request *request, struct evbuffer *out)
{
	evbuffer_add_printf(out, "GET %s HTTP/1.1\n", evhttp_request_get_uri(request));
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	for (struct evkeyval *h = headers->tqh_first; h; h = h->next.tqe_next)
		evbuffer_add_printf(out, "%s: %s\n", h->key, h->value);
}

static void answer(struct evhttp_request *request, void *arg)
{
	const struct echo *e = arg;
	char *address = NULL;
	uint16_t port = 0;
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct evbuffer *body = evbuffer_new();

	if (!connection || !body) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		goto out;
	}
	evhttp_connection_get_peer(connection, &address, &port);
	describe(e, address ? address : "", port, body);
	describe_request(request, body);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
	                  "text/plain; charset=utf-8");
	evhttp_send_reply(request, HTTP_OK, "OK", body);
out:
	if (body)
		evbuffer_free(body);
}

static void health(struct evhttp_request *request, void *arg)
{
	struct echo *e = arg;

	if (evhttp_request_get_command(request) != EVHTTP_REQ_POST) {
		evhttp_send_reply(request, e->health, "health", NULL);
		return;
	}
	char text[8] = "";
	evbuffer_remove(evhttp_request_get_input_buffer(request), text, sizeof(text) - 1);
	char *end;
	long status = strtol(text, &end, 10);
	if (end == text || status < 200 || status > 599) {
		evhttp_send_error(request, HTTP_BADREQUEST, NULL);
		return;
	}
	e->health = (int)status;
	evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

static void datagram(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	const struct echo *e = arg;
	char in[DATAGRAM_MAX_BYTES], address[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in6 from = { 0 };
	socklen_t from_size = sizeof(from);
	if (recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &from_size) < 0)
		return;
	unsigned int port = ntohs(from.sin6_port);
	if (from.sin6_family == AF_INET6) {
		inet_ntop(AF_INET6, &from.sin6_addr, address, sizeof(address));
	} else {
		struct sockaddr_in four;
		memcpy(&four, &from, sizeof(four));
		inet_ntop(AF_INET, &four.sin_addr, address, sizeof(address));
	}
	struct evbuffer *out = evbuffer_new();
	if (!out)
		return;
	describe(e, address, port, out);
	size_t size = evbuffer_get_length(out);
	if (sendto(fd, evbuffer_pullup(out, -1), size, 0, (struct sockaddr *)&from, from_size) < 0)
		perror("fairlead-echo: sendto");
	evbuffer_free(out);
}

/*
 * A socket on all addresses of both families, or of IPv4 alone where the kernel has no IPv6; -1
 * with errno.
 */
static evutil_socket_t open_socket(int type, uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, off = 0;
	evutil_socket_t fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct sockaddr *sa = (const struct sockaddr *)&six;
	socklen_t sa_size = sizeof(six);

	if (fd >= 0) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	} else {
		fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		sa = (const struct sockaddr *)&four;
		sa_size = sizeof(four);
	}
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, sa, sa_size) < 0 || (type == SOCK_STREAM && listen(fd, 128) < 0)) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void stop(evutil_socket_t signal_number, short what, void *arg)
{
	(void)signal_number;
	(void)what;
	event_base_loopexit(arg, NULL);
}

static uint16_t port_from_environment(void)
{
	const char *text = getenv("WHOAMI_PORT_NUMBER");

	if (!text)
		return DEFAULT_PORT;
	char *end;
	long port = strtol(text, &end, 10);
	if (end == text || *end || port < 1 || port > 65535) {
		fprintf(stderr, "fairlead-echo: WHOAMI_PORT_NUMBER=%s is not a port\n", text);
		exit(2);
	}
	return (uint16_t)port;
}

int main(void)
{
	char hostname[256] = "";

	gethostname(hostname, sizeof(hostname) - 1);
	struct echo e = { getenv("WHOAMI_NAME"), getenv("HOSTNAME"), HTTP_OK };
	if (!e.hostname)
		e.hostname = hostname;
	uint16_t port = port_from_environment();
	signal(SIGPIPE, SIG_IGN);

	int status = 1;
	struct event *term = NULL, *interrupt = NULL, *udp_event = NULL;
	struct event_base *base = event_base_new();
	struct evhttp *http = base ? evhttp_new(base) : NULL;
	evutil_socket_t tcp = open_socket(SOCK_STREAM, port), udp = open_socket(SOCK_DGRAM, port);
	if (!http || tcp < 0 || udp < 0) {
		fprintf(stderr, "fairlead-echo: port %u: %s\n", port, strerror(errno));
		goto out;
	}
	evhttp_set_max_body_size(http, REQUEST_MAX_BYTES);
	evhttp_set_max_headers_size(http, REQUEST_MAX_BYTES);
	evhttp_set_cb(http, "/health", health, &e);
	evhttp_set_gencb(http, answer, &e);
	term = evsignal_new(base, SIGTERM, stop, base);
	interrupt = evsignal_new(base, SIGINT, stop, base);
	udp_event = event_new(base, udp, EV_READ | EV_PERSIST, datagram, &e);
	if (!term || !interrupt || !udp_event || evhttp_accept_socket(http, tcp) < 0)
		goto out;
	tcp = -1; /* evhttp's now */
	event_add(term, NULL);
	event_add(interrupt, NULL);
	event_add(udp_event, NULL);
	event_base_dispatch(base);
	status = 0;
out:
	if (tcp >= 0)
		close(tcp);
	if (udp_event)
		event_free(udp_event);
	if (udp >= 0)
		close(udp);
	if (term)
		event_free(term);
	if (interrupt)
		event_free(interrupt);
	if (http)
		evhttp_free(http);
	if (base)
		event_base_free(base);
	return status;
}
