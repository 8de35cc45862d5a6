/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the service proxy from a text, for tests that look at packets.
 *
 *	proxyctl [--mode M] [--variant V] [--audit-ms MS] [--clamp-mss BYTES|pmtu]
 *	[--masquerade-all] [--service-metrics]
 *	         [--cluster-cidr CIDR]… | [--pod-bridge-interface NAME] |
 *	         [--pod-interface-name-prefix PREFIX]
 *	         [--nodeport-address CIDR]… [--localhost-nodeports] < COMMANDS
 *	proxyctl --cleanup
 *
 * One command a line:
 *	service KEY FAMILY [cluster-ip=A] [vip=A]… [external-ip=A]… [range=CIDR]… [external=Local]
 *	[internal=Local]
 *	        [affinity=SECONDS] [port=PROTO/PORT[/NODEPORT] [cluster=A;PORT]… [local=A;PORT]…
 *	        [kept=A;PORT]… [any]]…
 *	node [pods=CIDR]… [ports=CIDR]…            what it is like from now on; a family's
 *	                                           node ports are nowhere without any ports=
 *	remove KEY FAMILY complete wait            until everything is in the kernel, then prints
 *	the status as one line of JSON status          prints it now ready KEY FAMILY  prints
 *	whether the Service may be announced: ready, pending, damaged, or refused: and why sleep MS
 * metrics: prints what is told of Services, as one line.
 * diff: prints what the kernel has otherwise than is wanted, as one line of JSON.
 * The input must be a pipe.  It exits, leaving the rules, when the input ends; non-zero if
 * something was refused.  A wait ends after 60 s at the latest, and the status tells.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "fairlead/out.h"
#include "fairlead/proxy.h"

#define MAX_ITEMS 64
#define WAIT_MS 60000

static struct event_base *base;
static struct proxy *proxy;
static struct event *input, *resume;
static struct buf pending = BUF_INIT;
static bool waiting, sleeping;
static int status;

static _Noreturn void fail(const char *what, const char *detail)
{
	fprintf(stderr, "proxyctl: %s: %s\n", what, detail);
	exit(2);
}

static struct addr parse_addr(const char *s)
{
	struct addr a;

	if (addr_parse(s, &a) < 0)
		fail("not an address", s);
	return a;
}

static struct prefix parse_prefix(const char *s)
{
	struct prefix p;

	if (prefix_parse(s, false, &p) < 0)
		fail("not a CIDR", s);
	return p;
}

/* Everything that one line may fill. */
struct line {
	struct proxy_half s;
	struct proxy_outside outside;
	struct addr vips[MAX_ITEMS], external_ips[MAX_ITEMS];
	struct prefix ranges[MAX_ITEMS];
	struct proxy_port ports[MAX_ITEMS];
	struct proxy_endpoint endpoints[MAX_ITEMS][3][MAX_ITEMS];
};

/* What the proxy was last given of a Service: it takes both families at once. */
struct given {
	struct given *next;
	struct line *lines[PROXY_HALVES];
	char key[];
};

static struct given *all_given;

static struct given *given_of(const char *key)
{
	struct given *g = all_given;
	size_t size = strlen(key) + 1;

	while (g && strcmp(g->key, key) != 0)
		g = g->next;
	if (g)
		return g;
	g = xcalloc(1, sizeof(*g) + size);
	memcpy(g->key, key, size);
	g->next = all_given;
	all_given = g;
	return g;
}

/* @l, or NULL for nothing, takes the place of what was given in the family. */
static void give(const char *key, int family, struct line *l)
{
	struct given *g = given_of(key);
	struct proxy_service s = { .key = g->key };

	free(g->lines[family == 6]);
	g->lines[family == 6] = l;
	for (int i = 0; i < PROXY_HALVES; i++)
		if (g->lines[i]) {
			g->lines[i]->s.key = g->key;
			s.halves[i] = &g->lines[i]->s;
		}
	proxy_set(proxy, &s);
}

static void free_given(void)
{
	while (all_given) {
		struct given *g = all_given;
		all_given = g->next;
		free(g->lines[0]);
		free(g->lines[1]);
		free(g);
	}
}

static const char *value(const char *word, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(word, name, len) && word[len] == '=' ? word + len + 1 : NULL;
}

static void add_port(struct line *l, const char *v)
{
	char proto[8];
	int port, node_port = 0;

	if (l->s.n_ports == MAX_ITEMS || sscanf(v, "%7[^/]/%d/%d", proto, &port, &node_port) < 2)
		fail("not a port", v);
	struct proxy_port *p = &l->ports[l->s.n_ports];
	*p = (struct proxy_port){ .name = "", .port = (uint16_t)port };
	p->node_port = (uint16_t)node_port;
	p->proto = !strcmp(proto, "udp")    ? IPPROTO_UDP
	           : !strcmp(proto, "sctp") ? IPPROTO_SCTP
	                                    : IPPROTO_TCP;
	p->cluster = l->endpoints[l->s.n_ports][0];
	p->local = l->endpoints[l->s.n_ports][1];
	p->kept = l->endpoints[l->s.n_ports][2];
	l->s.n_ports++;
}

enum set { SET_CLUSTER, SET_LOCAL, SET_KEPT };

static void add_endpoint(struct line *l, const char *v, enum set set)
{
	char text[ADDR_STR_SIZE];
	int port;

	if (l->s.n_ports == 0 || sscanf(v, "%45[^;];%d", text, &port) != 2)
		fail("not an endpoint", v);
	struct proxy_port *p = &l->ports[l->s.n_ports - 1];
	uint32_t *counts[] = { &p->n_cluster, &p->n_local, &p->n_kept }, *n = counts[set];
	if (*n == MAX_ITEMS)
		fail("too many endpoints", v);
	l->endpoints[l->s.n_ports - 1][set][(*n)++] = (struct proxy_endpoint){
		.addr = parse_addr(text), .port = (uint16_t)port, .local = set == SET_LOCAL
	};
	p->has_any |= set != SET_KEPT;
}

static void one_word(struct line *l, const char *word)
{
	const char *v;

	if ((v = value(word, "cluster-ip")))
		l->s.cluster_ip = parse_addr(v);
	else if ((v = value(word, "vip")) && l->outside.n_vips < MAX_ITEMS)
		l->vips[l->outside.n_vips++] = parse_addr(v);
	else if ((v = value(word, "external-ip")) && l->outside.n_external_ips < MAX_ITEMS)
		l->external_ips[l->outside.n_external_ips++] = parse_addr(v);
	else if ((v = value(word, "range")) && l->outside.n_source_ranges < MAX_ITEMS)
		l->ranges[l->outside.n_source_ranges++] = parse_prefix(v);
	else if ((v = value(word, "external")))
		l->s.traffic.external_local = !strcmp(v, "Local");
	else if ((v = value(word, "internal")))
		l->s.traffic.internal_local = !strcmp(v, "Local");
	else if ((v = value(word, "affinity")))
		l->s.traffic.affinity_s = (uint32_t)atoi(v);
	else if ((v = value(word, "port")))
		add_port(l, v);
	else if ((v = value(word, "cluster")))
		add_endpoint(l, v, SET_CLUSTER);
	else if ((v = value(word, "local")))
		add_endpoint(l, v, SET_LOCAL);
	else if ((v = value(word, "kept")))
		add_endpoint(l, v, SET_KEPT);
	else if (!strcmp(word, "any") && l->s.n_ports > 0)
		l->ports[l->s.n_ports - 1].has_any = true;
	else
		fail("not understood", word);
}

static void set_service(char **words)
{
	struct line *l = xcalloc(1, sizeof(*l));
	const char *key = strtok_r(NULL, " ", words), *family = strtok_r(NULL, " ", words);

	if (!key || !family)
		fail("service", "KEY FAMILY");
	l->s.family = (uint8_t)atoi(family);
	for (const char *word; (word = strtok_r(NULL, " ", words));)
		one_word(l, word);
	l->s.outside = &l->outside;
	l->outside.vips = l->vips;
	l->outside.external_ips = l->external_ips;
	l->outside.source_ranges = l->ranges;
	l->s.ports = l->ports;
	give(key, l->s.family, l);
}

static struct proxy_node node;

static void add_prefix(struct prefix *list, size_t *n, const char *text)
{
	if (*n == PROXY_CIDRS_MAX)
		fail("too many CIDRs", text);

	list[(*n)++] = parse_prefix(text);
}

static void set_node(char **words)
{
	const char *v;

	node = (struct proxy_node){ .n_pod_cidrs = 0 };
	for (const char *word; (word = strtok_r(NULL, " ", words));)
		if ((v = value(word, "pods")))
			add_prefix(node.pod_cidrs, &node.n_pod_cidrs, v);
		else if ((v = value(word, "ports")))
			add_prefix(node.node_port_cidrs, &node.n_node_port_cidrs, v);
		else
			fail("not understood", word);
	proxy_set_node(proxy, &node);
}

/* A family for which none was given has node ports at all addresses. */
static void start_node(void)
{
	static const char *const all[] = { "0.0.0.0/0", "::/0" };

	for (int i = 0; i < PROXY_HALVES; i++) {
		bool any = false;
		for (size_t k = 0; k < node.n_node_port_cidrs; k++)
			any |= node.node_port_cidrs[k].addr.family == (i == 0 ? 4 : 6);
		if (!any)
			add_prefix(node.node_port_cidrs, &node.n_node_port_cidrs, all[i]);
	}
	proxy_set_node(proxy, &node);
}

static void print_status(void)
{
	cleanup(buf_fini) struct buf json = BUF_INIT;
	cleanup(out_fini) struct out o;

	out_init(&o, OUT_JSON, &json);
	proxy_status(proxy, NULL, &o);
	printf("%s\n", buf_str(&json));
	fflush(stdout);
}

static void print_ready(char **words)
{
	const char *key = strtok_r(NULL, " ", words), *family = strtok_r(NULL, " ", words);

	if (!key || !family)
		fail("ready", "KEY FAMILY");
	uint8_t f = (uint8_t)atoi(family);
	const char *why = proxy_refusal(proxy, key, f);
	if (why)
		printf("refused: %s\n", why);
	else if (proxy_is_damaged(proxy, key, f))
		printf("damaged\n");
	else
		printf("%s\n", proxy_is_applied(proxy, key, f) ? "ready" : "pending");
	fflush(stdout);
}

static void run_lines(void);

static void pause_input(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(resume, &tv);
	waiting = true;
}

static void on_compared(struct buf *text, void *arg)
{
	(void)arg;
	printf("%s\n", buf_str(text));
	fflush(stdout);
	waiting = sleeping = false;
	run_lines();
}

/* Nothing else is done until the answer is there. */
static void compare(void)
{
	waiting = sleeping = true;
	proxy_diff_start(proxy, base, on_compared, NULL);
}

/* The samples of fairlead_service_…, on one line. */
static void print_metrics(void)
{
	cleanup(buf_fini) struct buf text = BUF_INIT;
	struct metrics_writer w = { .out = &text };
	const char *separator = "";

	proxy_metrics(proxy, &w);
	for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n") + 1)
		if (!strncmp(line, "fairlead_service_", 17)) {
			printf("%s%.*s", separator, (int)strcspn(line, "\n"), line);
			separator = ";";
		}
	printf("\n");
	fflush(stdout);
}

static void one_line(char *text)
{
	char *words = NULL;
	const char *verb = strtok_r(text, " ", &words);

	if (!verb || *verb == '#')
		return;
	if (!strcmp(verb, "service")) {
		set_service(&words);
	} else if (!strcmp(verb, "node")) {
		set_node(&words);
	} else if (!strcmp(verb, "remove")) {
		const char *key = strtok_r(NULL, " ", &words);
		const char *family = strtok_r(NULL, " ", &words);
		if (!key || !family)
			fail("remove", "KEY FAMILY");
		give(key, atoi(family), NULL);
	} else if (!strcmp(verb, "complete")) {
		proxy_complete(proxy);
	} else if (!strcmp(verb, "wait")) {
		if (proxy_stats(proxy).in_sync)
			print_status();
		else
			pause_input(WAIT_MS);
	} else if (!strcmp(verb, "status")) {
		print_status();
	} else if (!strcmp(verb, "diff")) {
		compare();
	} else if (!strcmp(verb, "metrics")) {
		print_metrics();
	} else if (!strcmp(verb, "ready")) {
		print_ready(&words);
	} else if (!strcmp(verb, "sleep")) {
		sleeping = true;
		pause_input(atoi(words));
	} else {
		fail("not understood", verb);
	}
}

static void run_lines(void)
{
	char *nl;

	while (!waiting && (nl = strchr(buf_str(&pending), '\n'))) {
		size_t size = (size_t)(nl - pending.data);
		cleanup_free char *text = xstrndup(pending.data, size);
		buf_consume(&pending, size + 1);
		one_line(text);
	}
	if (!waiting && !input)
		event_base_loopbreak(base);
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	(void)arg;
	ssize_t n = read(fd, buf_reserve(&pending, 65536), 65536);
	if (n > 0) {
		buf_advance(&pending, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		event_free(input);
		input = NULL;
	}
	run_lines();
}

/* The end of a sleep, or of a wait that took too long. */
static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	waiting = false;
	if (!sleeping)
		print_status();
	sleeping = false;
	run_lines();
}

static void on_applied(void *arg)
{
	(void)arg;
	if (!waiting || sleeping || !proxy_stats(proxy).in_sync)
		return;
	waiting = false;
	evtimer_del(resume);
	print_status();
	run_lines();
}

static void on_failed(const struct err *e, void *arg)
{
	(void)arg;
	log_err("service proxy", e);
	status = 1;
}

static int clean_up(void)
{
	struct err e = ERR_INIT;

	if (proxy_cleanup(&e) < 0) {
		log_err("cleanup", &e);
		return 1;
	}
	return 0;
}

static void know_by_interface(struct proxy_options *o, bool prefix, const char *name)
{
	o->pods_by = prefix ? PROXY_PODS_BY_INTERFACE_PREFIX : PROXY_PODS_BY_INTERFACE;
	snprintf(o->pod_interface, sizeof(o->pod_interface), "%s", name);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mode", required_argument, NULL, 'M' },
		{ "variant", required_argument, NULL, 'v' },
		{ "cluster-cidr", required_argument, NULL, 'c' },
		{ "pod-bridge-interface", required_argument, NULL, 'b' },
		{ "pod-interface-name-prefix", required_argument, NULL, 'p' },
		{ "localhost-nodeports", no_argument, NULL, 'l' },
		{ "audit-ms", required_argument, NULL, 'a' },
		{ "clamp-mss", required_argument, NULL, 'm' },
		{ "nodeport-address", required_argument, NULL, 'n' },
		{ "masquerade-all", no_argument, NULL, 'q' },
		{ "service-metrics", no_argument, NULL, 's' },
		{ "cleanup", no_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct proxy_ops ops = { .applied = on_applied, .failed = on_failed };
	struct proxy_options o = { .mode = PROXY_IPTABLES, .variant = "auto" };
	struct err e = ERR_INIT;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'M')
			o.mode = proxy_mode_named(optarg);
		else if (c == 'v')
			o.variant = optarg;
		else if (c == 'a')
			o.audit_ms = atoi(optarg);
		else if (c == 'm')
			o.clamp_mss = strcmp(optarg, "pmtu") ? atoi(optarg) : PROXY_CLAMP_PMTU;
		else if (c == 'c')
			add_prefix(node.pod_cidrs, &node.n_pod_cidrs, optarg);
		else if (c == 'n')
			add_prefix(node.node_port_cidrs, &node.n_node_port_cidrs, optarg);
		else if (c == 'b' || c == 'p')
			know_by_interface(&o, c == 'p', optarg);
		else if (c == 'l')
			o.localhost_node_ports = true;
		else if (c == 'q')
			o.masquerade_all = true;
		else if (c == 's')
			o.service_metrics = true;
		else
			return c == 'x' ? clean_up() : 2;
	}
	base = event_base_new();
	if (!base || proxy_start(base, &o, &ops, NULL, &proxy, &e) < 0) {
		log_err("cannot start", &e);
		return 1;
	}
	start_node();
	resume = evtimer_new(base, on_resume, NULL);
	evutil_make_socket_nonblocking(STDIN_FILENO);
	input = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, NULL);
	if (!input || event_add(input, NULL) < 0)
		fail("input", "give it through a pipe");
	event_base_dispatch(base);
	proxy_free(proxy);
	free_given();
	event_free(resume);
	event_base_free(base);
	buf_fini(&pending);
	return status;
}
