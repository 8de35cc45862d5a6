/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/http.h"

#include <stdint.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "fairlead/mem.h"

#define HEADERS_MAX_BYTES 8192

struct http_call {
	struct evhttp_connection *connection;
	void (*done)(const struct http_answer *a, void *arg);
	void *arg;
	const char *why; /* there is no answer */
};

static void on_error(enum evhttp_request_error error, void *arg)
{
	struct http_call *c = arg;

	c->why = error == EVREQ_HTTP_TIMEOUT         ? "unreachable: timed out"
	         : error == EVREQ_HTTP_DATA_TOO_LONG ? "its answer is too long"
	                                             : "unreachable: no answer";
}

static void on_answer(struct evhttp_request *req, void *arg)
{
	struct http_call *c = arg;
	struct http_answer a = { .code = req ? evhttp_request_get_response_code(req) : 0 };

	if (a.code) {
		struct evbuffer *body = evhttp_request_get_input_buffer(req);
		a.size = evbuffer_get_length(body);
		a.data = a.size ? (const char *)evbuffer_pullup(body, -1) : "";
	} else {
		a.why = c->why ? c->why : "unreachable: refused";
	}
	c->done(&a, c->arg);
}

struct http_call *http_get(struct event_base *base, const struct http_question *q,
                           void (*done)(const struct http_answer *a, void *arg), void *arg)
{
	struct http_call *c = xcalloc(1, sizeof(*c));
	char host[ADDR_STR_SIZE];

	*c = (struct http_call){ .done = done, .arg = arg };
	c->connection = evhttp_connection_base_new(base, NULL, addr_format(q->address, host),
	                                           (uint16_t)q->port);
	evhttp_connection_set_timeout(c->connection, q->silence_s);
	evhttp_connection_set_max_headers_size(c->connection, HEADERS_MAX_BYTES);
	evhttp_connection_set_max_body_size(c->connection, (ev_ssize_t)q->max_bytes);
	struct evhttp_request *req = evhttp_request_new(on_answer, c);
	evhttp_request_set_error_cb(req, on_error);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Host", host);
	if (*q->authorization)
		evhttp_add_header(evhttp_request_get_output_headers(req), "Authorization",
		                  q->authorization);
	if (evhttp_make_request(c->connection, req, EVHTTP_REQ_GET, q->path) < 0)
		done(&(struct http_answer){ .why = "unreachable" }, arg);
	return c;
}

void http_call_free(struct http_call *c)
{
	if (!c)
		return;
	evhttp_connection_free(c->connection);
	free(c);
}
