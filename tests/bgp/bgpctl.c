/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Drives the room bgp by hand and by test: bgpctl [--bgpd SOCKET] [--bfdd SOCKET] [--timeout MS]
 * [--resync MS] [--settle MS] [--shared] [--cleanup]
 *
 * Each line on stdin is a JSON object.  {"status":true} asks for a line with the status,
 * {"reason":ADDRESS} for one with what is said of an address; everything else is the whole of what
 * is wanted:
 *	{"peers":[{"name","address","my_asn","asn","port","source","hold","keepalive",
 *	           "router_id","password","bfd_profile","multihop"}],
 *	 "bfd_profiles":[{"name","transmit","receive","multiplier"}],
 *	 "pools":[[ADVERTISEMENT…]],
 *	 "addresses":[{"address","local",
 *	               "advertisements":[{"length","length_v6","localpref","communities":[…]}]}]}
 * It is answered by {"generation":N} or {"error":…}.  The end of the input ends the program, and
 * leaves everything in place.
 */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <json-c/json.h>

#include "fairlead/bgp.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"

#define ADVERTISEMENTS_MAX 8

struct driver {
	struct event_base *base;
	struct bgp *bgp;
	struct buf in;
};

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *m = NULL;

	json_object_object_get_ex(o, key, &m);
	return m;
}

static const char *text(struct json_object *o, const char *key)
{
	struct json_object *m = get(o, key);

	return m ? json_object_get_string(m) : NULL;
}

static uint32_t number(struct json_object *o, const char *key)
{
	return (uint32_t)json_object_get_int64(get(o, key));
}

static struct addr address(struct json_object *o, const char *key)
{
	struct addr a = { 0 };
	const char *s = text(o, key);

	if (s)
		addr_parse(s, &a);
	return a;
}

static size_t length(struct json_object *o)
{
	return json_object_is_type(o, json_type_array) ? json_object_array_length(o) : 0;
}

static size_t read_advertisements(struct json_object *list, struct config_advertisement *out)
{
	size_t n = length(list);

	if (n > ADVERTISEMENTS_MAX)
		n = ADVERTISEMENTS_MAX;
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		struct json_object *c = get(o, "communities");
		struct config_advertisement *ad = &out[i];
		*ad = (struct config_advertisement){ .aggregation_len = 32,
			                             .aggregation_len_v6 = 128 };
		if (get(o, "length"))
			ad->aggregation_len = (uint8_t)number(o, "length");
		if (get(o, "length_v6"))
			ad->aggregation_len_v6 = (uint8_t)number(o, "length_v6");
		ad->has_localpref = get(o, "localpref") != NULL;
		ad->localpref = number(o, "localpref");
		ad->communities = xcalloc(length(c) + 1, sizeof(char *));
		for (; ad->n_communities < length(c); ad->n_communities++)
			ad->communities[ad->n_communities] = xstrdup(json_object_get_string(
				json_object_array_get_idx(c, ad->n_communities)));
	}
	return n;
}

static void free_advertisements(struct config_advertisement *ads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ads[i].n_communities; k++)
			free(ads[i].communities[k]);
		free(ads[i].communities);
	}
}

static int read_peer(struct bgp_want *w, struct json_object *o, struct err *e)
{
	struct config_peer p = {
		.name = (char *)(uintptr_t)text(o, "name"),
		.my_asn = number(o, "my_asn"),
		.peer_asn = number(o, "asn"),
		.address = address(o, "address"),
		.source_address = address(o, "source"),
		.router_id = address(o, "router_id"),
		.port = (uint16_t)number(o, "port"),
		.hold_time_s = get(o, "hold") ? number(o, "hold") : 90,
		.keepalive_time_s = number(o, "keepalive"),
		.password = (char *)(uintptr_t)text(o, "password"),
		.bfd_profile = (char *)(uintptr_t)text(o, "bfd_profile"),
		.ebgp_multihop = json_object_get_boolean(get(o, "multihop")),
	};

	return bgp_want_peer(w, &p, e);
}

static int read_profile(struct bgp_want *w, struct json_object *o, struct err *e)
{
	struct config_bfd_profile p = {
		.name = (char *)(uintptr_t)text(o, "name"),
		.transmit_interval_ms = number(o, "transmit"),
		.receive_interval_ms = number(o, "receive"),
		.detect_multiplier = (uint8_t)number(o, "multiplier"),
	};

	return bgp_want_bfd_profile(w, &p, e);
}

static int read_pool(struct bgp_want *w, struct json_object *list, struct err *e)
{
	struct config_advertisement ads[ADVERTISEMENTS_MAX];
	struct config_pool pool = { .advertisements = ads,
		                    .n_advertisements = read_advertisements(list, ads) };
	int r = bgp_want_pool(w, &pool, e);

	free_advertisements(ads, pool.n_advertisements);
	return r;
}

static int read_address(struct bgp_want *w, struct json_object *o, struct err *e)
{
	struct config_advertisement ads[ADVERTISEMENTS_MAX];
	size_t n = read_advertisements(get(o, "advertisements"), ads);
	struct addr a = address(o, "address");
	int r = bgp_want_address(w, &a, json_object_get_boolean(get(o, "local")), ads, n, e);

	free_advertisements(ads, n);
	return r;
}

static int read_want(struct json_object *o, struct bgp_want *w, struct err *e)
{
	static const struct {
		const char *key;
		int (*read)(struct bgp_want *w, struct json_object *o, struct err *e);
	} lists[] = {
		{ "peers", read_peer },
		{ "bfd_profiles", read_profile },
		{ "pools", read_pool },
		{ "addresses", read_address },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++) {
		struct json_object *list = get(o, lists[i].key);
		for (size_t k = 0; r == 0 && k < length(list); k++)
			r = lists[i].read(w, json_object_array_get_idx(list, k), e);
	}
	return r;
}

static void put(struct buf *out)
{
	buf_putc(out, '\n');
	fwrite(out->data, 1, out->size, stdout);
	fflush(stdout);
}

/* NULL, and the error in @out, where it cannot be wanted. */
static struct bgp_want *make_want(struct json_object *o, struct buf *out)
{
	struct bgp_want *w = bgp_want_new();
	struct err e = ERR_INIT;

	if (read_want(o, w, &e) == 0)
		return w;
	buf_puts(out, "{\"error\":");
	buf_json_str(out, e.msg);
	buf_putc(out, '}');
	bgp_want_free(w);
	return NULL;
}

static void put_reason(const struct driver *d, struct addr a, struct buf *out)
{
	cleanup(buf_fini) struct buf message = BUF_INIT;
	enum reason reason = bgp_reason_of(d->bgp, &a, &message);

	buf_printf(out, "{\"reason\":\"%s\",\"message\":", reason_name(reason));
	buf_json_str(out, buf_str(&message));
	buf_putc(out, '}');
}

static void put_status(struct driver *d, struct buf *json)
{
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, json);
	bgp_status(d->bgp, NULL, &o);
}

static void on_line(struct driver *d, const char *line)
{
	cleanup(buf_fini) struct buf out = BUF_INIT;
	struct json_object *o = json_tokener_parse(line);
	struct bgp_want *w = NULL;

	if (!o)
		buf_puts(&out, "{\"error\":\"not JSON\"}");
	else if (get(o, "reason"))
		put_reason(d, address(o, "reason"), &out);
	else if (get(o, "status"))
		put_status(d, &out);
	else
		w = make_want(o, &out);
	json_object_put(o); /* before the clock of the batch starts */
	if (w)
		buf_printf(&out, "{\"generation\":%llu}",
		           (unsigned long long)bgp_publish(d->bgp, w));
	put(&out);
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
	struct driver *d = arg;
	char *at = buf_reserve(&d->in, 65536), *end;
	ssize_t n = read(fd, at, 65536);

	(void)what;
	if (n <= 0) {
		event_base_loopbreak(d->base);
		return;
	}
	buf_advance(&d->in, (size_t)n);
	while (d->in.size && (end = memchr(d->in.data, '\n', d->in.size))) {
		*end = 0;
		size_t size = (size_t)(end - d->in.data) + 1;
		on_line(d, d->in.data);
		buf_consume(&d->in, size);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "bgpd", required_argument, NULL, 'b' },
		{ "bfdd", required_argument, NULL, 'f' },
		{ "timeout", required_argument, NULL, 't' },
		{ "resync", required_argument, NULL, 'r' },
		{ "settle", required_argument, NULL, 'w' },
		{ "shared", no_argument, NULL, 's' },
		{ "cleanup", no_argument, NULL, 'c' },
		{ 0 },
	};
	struct bgp_options opts = { .bfdd_socket = "/nonexistent/bfdd.vty" };
	struct driver d = { 0 };
	struct err e = ERR_INIT;
	bool cleaning = false;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'b':
			opts.bgpd_socket = optarg;
			break;
		case 'f':
			opts.bfdd_socket = optarg;
			break;
		case 't':
			opts.command_timeout_ms = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			opts.resync_ms = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			opts.settle_ms = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			opts.shared_instance = true;
			break;
		case 'c':
			cleaning = true;
			break;
		default:
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	if (cleaning) {
		if (bgp_cleanup(&opts, &e)) {
			fprintf(stderr, "bgpctl: %s\n", e.msg);
			return 1;
		}
		return 0;
	}
	d.base = event_base_new();
	if (!d.base || bgp_start(d.base, &opts, NULL, NULL, &d.bgp, &e)) {
		fprintf(stderr, "bgpctl: %s\n", e.msg);
		return 1;
	}
	struct event *input = event_new(d.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &d);
	event_add(input, NULL);
	event_base_dispatch(d.base);
	event_free(input);
	bgp_free(d.bgp);
	event_base_free(d.base);
	buf_fini(&d.in);
	return 0;
}
