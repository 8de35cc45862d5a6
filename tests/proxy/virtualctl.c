/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives virtual servers (src/proxy/ipvs/virtual.h) from a text, for tests with a kernel that has
 * IPVS.
 *
 *	virtualctl [TAG] < COMMANDS
 *	virtualctl --cleanup      removes all of them, and the rest of what IPVS needs
 *
 * One command a line:
 *	set MARK FAMILY PROTO SCHEDULER GRACE_S [ADDRESS;PORT]…   "-": the default scheduler
 *	many N BASE K           N virtual servers of IPv4 with K endpoints each, from mark BASE on
 *	remove MARK FAMILY
 *	complete
 *	audit
 *	wait                    until everything is settled, then prints the counters in one line
 *	ready MARK FAMILY       applied, pending or refused: and why; and the scheduler in place
 *	counters MARK FAMILY
 *	way                     makes the way of marked packets, and sets the sysctls
 *	repairs                 how often that way was made again
 *	sleep MS
 * It exits, leaving everything, when the input ends; non-zero if a wait takes 60 s.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "proxy/ipvs/routing.h"
#include "proxy/ipvs/settings.h"
#include "proxy/ipvs/virtual.h"

#define ENDPOINTS_MAX 4096
#define WAIT_MS 60000
#define TURN_MS 10

static struct event_base *base;
static struct virtuals *self;
static struct routing *routing;
static uint32_t tag = 0x1000;

static _Noreturn void fail(const char *what, const char *detail)
{
	fprintf(stderr, "virtualctl: %s: %s\n", what, detail);
	exit(2);
}

static const char *word(char **save)
{
	const char *w = strtok_r(NULL, " \n", save);

	if (!w)
		fail("a command", "too short");
	return w;
}

static uint32_t number(char **save)
{
	return (uint32_t)strtoul(word(save), NULL, 0);
}

static struct virtual_id id_of(char **save)
{
	uint32_t mark = number(save);

	return (struct virtual_id){ mark, (uint8_t)number(save) };
}

static uint8_t proto_of(const char *name)
{
	return !strcasecmp(name, "udp")    ? IPPROTO_UDP
	       : !strcasecmp(name, "sctp") ? IPPROTO_SCTP
	                                   : IPPROTO_TCP;
}

static struct virtual_endpoint endpoint_of(char *text)
{
	char *port = strchr(text, ';');
	struct virtual_endpoint e;

	if (!port)
		fail("no ADDRESS;PORT", text);
	*port++ = '\0';
	if (addr_parse(text, &e.addr) < 0)
		fail("no address", text);
	e.port = (uint16_t)atoi(port);
	return e;
}

static void set(char **save)
{
	static struct virtual_endpoint list[ENDPOINTS_MAX];
	struct virtual_server v = { .endpoints = list };
	char *w;

	v.id = id_of(save);
	v.proto = proto_of(word(save));
	const char *scheduler = word(save);
	if (strcmp(scheduler, "-") != 0)
		snprintf(v.scheduler, sizeof(v.scheduler), "%s", scheduler);
	v.grace_s = number(save);
	while ((w = strtok_r(NULL, " \n", save)) && v.n_endpoints < ENDPOINTS_MAX)
		list[v.n_endpoints++] = endpoint_of(w);
	virtuals_set(self, &v);
}

static void set_many(char **save)
{
	static struct virtual_endpoint list[ENDPOINTS_MAX];
	uint32_t n = number(save), first = number(save), k = number(save);

	for (uint32_t i = 0; i < n; i++) {
		struct virtual_server v = { .id = { first + i, 4 },
			                    .proto = IPPROTO_TCP,
			                    .endpoints = list,
			                    .n_endpoints = k };
		for (uint32_t j = 0; j < k; j++) {
			struct in_addr a = { htonl(0x0a000001 + i * k + j) };
			list[j] = (struct virtual_endpoint){ addr_from_in(a), 8080 };
		}
		virtuals_set(self, &v);
	}
}

static void turn(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static void print_stats(void)
{
	struct virtuals_stats s = virtuals_stats(self);

	printf("servers=%" PRIu64 " endpoints=%" PRIu64 " draining=%" PRIu64 " refused=%" PRIu64
	       " operations=%" PRIu64 " batches=%" PRIu64 " failures=%" PRIu64 " repairs=%" PRIu64
	       "\n",
	       s.servers, s.endpoints, s.draining, s.refused, s.operations, s.batches, s.failures,
	       s.repairs);
}

static void wait_settled(void)
{
	int64_t begun = clock_ms(), until = begun + WAIT_MS;

	while (!virtuals_is_settled(self)) {
		if (clock_ms() > until)
			fail("not settled", "in time");
		turn(TURN_MS);
	}
	printf("settled in %" PRId64 " ms: ", clock_ms() - begun);
	print_stats();
}

static void print_ready(char **save)
{
	struct virtual_id id = id_of(save);
	const char *refusal = virtuals_refusal(self, id);
	const char *substitute = virtuals_substitute(self, id);

	printf("%s%s%s%s%s\n",
	       refusal                         ? "refused: "
	       : virtuals_is_applied(self, id) ? "applied"
	                                       : "pending",
	       refusal ? refusal : "", substitute ? " (" : "", substitute ? substitute : "",
	       substitute ? ")" : "");
}

static void print_counters(char **save)
{
	struct virtual_counters c;

	if (!virtuals_counters(self, id_of(save), &c))
		printf("none\n");
	else
		printf("connections=%" PRIu64 " in=%" PRIu64 "/%" PRIu64 " out=%" PRIu64 "/%" PRIu64
		       "\n",
		       c.connections, c.in_packets, c.in_bytes, c.out_packets, c.out_bytes);
}

static void on_applied(void *arg)
{
	(void)arg;
}

static void on_failed(const struct err *e, void *arg)
{
	(void)arg;
	printf("failed: %s\n", e->msg);
}

static void make_way(void)
{
	static const struct routing_ops ops = { .changed = on_applied, .failed = on_failed };
	struct err e = ERR_INIT;

	if (settings_open(&e) < 0 || routing_start(base, tag, &ops, NULL, &routing, &e) < 0)
		fail("way", e.msg);
}

static void clean_up(void)
{
	struct err e = ERR_INIT;

	printf("leftovers: %s %s %s\n", virtuals_any() ? "yes" : "no", routing_any() ? "yes" : "no",
	       settings_any() ? "yes" : "no");
	if (virtuals_clean(&e) < 0 || routing_clean(&e) < 0 || settings_close(&e) < 0)
		fail("cleanup", e.msg);
}

static void run(char *line)
{
	char *save, *command = strtok_r(line, " \n", &save);

	if (!command || *command == '#')
		return;
	if (!strcmp(command, "set"))
		set(&save);
	else if (!strcmp(command, "many"))
		set_many(&save);
	else if (!strcmp(command, "remove"))
		virtuals_remove(self, id_of(&save));
	else if (!strcmp(command, "complete"))
		virtuals_complete(self);
	else if (!strcmp(command, "audit"))
		virtuals_audit(self);
	else if (!strcmp(command, "wait"))
		wait_settled();
	else if (!strcmp(command, "ready"))
		print_ready(&save);
	else if (!strcmp(command, "counters"))
		print_counters(&save);
	else if (!strcmp(command, "way"))
		make_way();
	else if (!strcmp(command, "repairs"))
		printf("%" PRIu64 "\n", routing ? routing_n_repairs(routing) : 0);
	else if (!strcmp(command, "sleep"))
		turn((int)number(&save));
	else
		fail("no command", command);
	turn(0);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct virtuals_ops ops = { .applied = on_applied, .failed = on_failed };
	struct err e = ERR_INIT;
	cleanup_free char *line = NULL;
	size_t cap = 0;

	if (argc > 1 && !strcmp(argv[1], "--cleanup")) {
		clean_up();
		return 0;
	}
	if (argc > 1)
		tag = (uint32_t)strtoul(argv[1], NULL, 0);
	base = event_base_new();
	if (virtuals_start(base, tag, &ops, NULL, &self, &e) < 0)
		fail("start", e.msg);
	while (getline(&line, &cap, stdin) > 0)
		run(line);
	routing_stop(routing);
	virtuals_stop(self);
	event_base_free(base);
	return 0;
}
