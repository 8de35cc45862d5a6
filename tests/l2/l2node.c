/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * A speaker's layer 2 alone, for tests in network namespaces: wants a few addresses, and tells who
 * owns them.
 *
 *	l2node NODE NODES KEY FIRST_ADDRESS COUNT PROBE_MS MULTIPLIER
 *
 * NODES is the comma-separated, sorted list of all nodes; an empty KEY is none.  Commands on stdin,
 * a line each: `eligible ADDRESS 0|1`, `rebalance PER_MINUTE ASKED`, `states`, `stats`, `peers`,
 * `troubles`, `complaints`, `restart` and `yield` (ends the program); a lone `.` follows what each
 * prints. SIGTERM is `restart`.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/l2.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

#define NODES_MAX 16

static const char *const ownership_names[] = {
	[L2_IDLE] = "idle",
	[L2_WAITING] = "waiting",
	[L2_PROBING] = "probing",
	[L2_OWNER] = "owner",
	[L2_OTHER] = "other",
	[L2_STILL_ANSWERED] = "still-answered",
	[L2_CONFLICT] = "conflict",
	[L2_KERNEL_ANSWERS] = "kernel-answers",
	[L2_NO_INTERFACE] = "no-interface",
	[L2_NOT_SELECTED] = "not-selected",
};

static volatile sig_atomic_t terminated;

static void on_sigterm(int signal_number)
{
	(void)signal_number;
	terminated = 1;
}

/* What the node wants; everything in it is the program's for its whole life. */
struct wants {
	const char *nodes[NODES_MAX];
	uint16_t candidates[NODES_MAX];
	bool awaited[NODES_MAX]; /* all of them */
	struct l2_want *list;
	struct l2_state *states; /* in the same order, as they were told last */
	size_t n;
	struct want_map map;
	struct l2_range range;
	struct l2_snapshot view;
};

static void take_states(struct l2 *l2, struct wants *w)
{
	cleanup_free struct l2_state *states = NULL;
	size_t n;

	l2_take_states(l2, &states, &n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < w->n; k++)
			if (addr_eq(&w->list[k].addr, &states[i].addr))
				w->states[k] = states[i];
}

static void print_states(struct l2 *l2, struct wants *w)
{
	take_states(l2, w);
	for (size_t i = 0; i < w->n; i++) {
		const struct l2_state *s = &w->states[i];
		if (!s->addr.family)
			continue;
		printf("%s %s owner=%s interface=%s epoch=%u "
		       "mac=%02x:%02x:%02x:%02x:%02x:%02x\n",
		       addr_str(&s->addr), ownership_names[s->ownership], s->owner, s->interface,
		       s->epoch, s->mac[0], s->mac[1], s->mac[2], s->mac[3], s->mac[4], s->mac[5]);
	}
}

static void print_stats(const struct l2 *l2)
{
	struct l2_stats s = l2_stats(l2);

	printf("arp_requests=%llu arp_replies=%llu gratuitous=%llu probes=%llu "
	       "ndp_solicitations=%llu ndp_advertisements=%llu ndp_unsolicited=%llu ndp_probes=%llu "
	       "sent=%llu received=%llu refused=%llu takeovers=%llu yields=%llu conflicts=%llu "
	       "send_failures=%llu two_owners=%llu stood_in=%llu stale_neighbours=%llu\n",
	       (unsigned long long)s.arp_requests, (unsigned long long)s.arp_replies,
	       (unsigned long long)s.gratuitous, (unsigned long long)s.probes,
	       (unsigned long long)s.ndp_solicitations, (unsigned long long)s.ndp_advertisements,
	       (unsigned long long)s.ndp_unsolicited, (unsigned long long)s.ndp_probes,
	       (unsigned long long)s.heartbeats_sent, (unsigned long long)s.heartbeats_received,
	       (unsigned long long)s.heartbeats_refused, (unsigned long long)s.takeovers,
	       (unsigned long long)s.yields, (unsigned long long)s.conflicts,
	       (unsigned long long)s.send_failures, (unsigned long long)s.two_owners,
	       (unsigned long long)s.stood_in, (unsigned long long)s.stale_neighbours);
}

static void print_peers(const struct l2 *l2)
{
	cleanup_free struct l2_peer *peers = NULL;
	size_t n;

	l2_peers(l2, &peers, &n);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %s\n", peers[i].node, peers[i].interface,
		       peers[i].alive        ? "alive"
		       : peers[i].restarting ? "restarting"
		                             : "dead");
}

static void print_troubles(const struct l2 *l2)
{
	cleanup_free struct l2_trouble *list = NULL;
	size_t n;

	l2_troubles(l2, &list, &n);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %s\n", reason_name(list[i].reason),
		       *list[i].interface ? list[i].interface : "-", list[i].message);
}

static void print_complaints(struct l2 *l2)
{
	struct err e;

	while (l2_take_complaint(l2, &e))
		printf("%s\n", e.msg);
}

static bool fill_wants(struct wants *w, char *nodes, const char *first, size_t count)
{
	struct addr a;

	if (addr_parse(first, &a) < 0)
		return false;
	for (char *save, *n = strtok_r(nodes, ",", &save); n && w->view.n_nodes < NODES_MAX;
	     n = strtok_r(NULL, ",", &save)) {
		w->candidates[w->view.n_nodes] = (uint16_t)w->view.n_nodes;
		w->awaited[w->view.n_nodes] = true;
		w->nodes[w->view.n_nodes++] = n;
	}
	w->range.range.first = a;
	w->list = xcalloc(count, sizeof(*w->list));
	w->states = xcalloc(count, sizeof(*w->states));
	w->n = count;
	for (size_t i = 0; i < count; i++) {
		w->list[i] = (struct l2_want){ .addr = a,
			                       .identity = { { (uint8_t)i, (uint8_t)(i >> 8), 1 },
			                                     .since_us = 1 },
			                       .eligible = true,
			                       .candidates = w->candidates,
			                       .n_candidates = w->view.n_nodes };
		w->range.range.last = a;
		if (!addr_next(&a, &a))
			return false;
	}
	w->view.nodes = w->nodes;
	w->view.awaited = w->awaited;
	for (size_t i = 0; i < count; i++)
		want_map_put(&w->map, &w->list[i], NULL);
	w->view.ranges = &w->range;
	w->view.n_ranges = 1;
	w->view.view_fresh = true;
	return true;
}

static void set_eligible(struct wants *w, const char *arguments)
{
	char text[ADDR_STR_SIZE];
	int eligible;
	struct addr a;

	if (sscanf(arguments, "%45s %d", text, &eligible) != 2 || addr_parse(text, &a) < 0)
		return;
	for (size_t i = 0; i < w->n; i++)
		if (addr_eq(&w->list[i].addr, &a)) {
			w->list[i].eligible = eligible;
			want_map_put(&w->map, &w->list[i], NULL);
		}
}

/* Carries a command out; false if it is to end. */
static bool command(struct l2 *l2, struct wants *w, const char *line, enum l2_stop *how)
{
	if (!strncmp(line, "eligible ", 9)) {
		set_eligible(w, line + 9);
		l2_publish(l2, &w->view, &w->map);
	} else if (sscanf(line, "rebalance %u %" SCNu64, &w->view.rebalance.per_minute,
	                  &w->view.rebalance.asked) == 2) {
		l2_publish(l2, &w->view, &w->map);
	} else if (!strcmp(line, "states\n")) {
		print_states(l2, w);
	} else if (!strcmp(line, "stats\n")) {
		print_stats(l2);
	} else if (!strcmp(line, "peers\n")) {
		print_peers(l2);
	} else if (!strcmp(line, "troubles\n")) {
		print_troubles(l2);
	} else if (!strcmp(line, "complaints\n")) {
		print_complaints(l2);
	} else {
		*how = !strcmp(line, "yield\n") ? L2_STOP_YIELD : L2_STOP_RESTARTING;
		return false;
	}
	printf(".\n");
	fflush(stdout);
	return true;
}

int main(int argc, char **argv)
{
	struct wants w = { .list = NULL };
	struct err e = ERR_INIT;

	if (argc != 8 || !fill_wants(&w, argv[2], argv[4], strtoul(argv[5], NULL, 10))) {
		fprintf(stderr,
		        "usage: l2node NODE NODES KEY FIRST_ADDRESS COUNT PROBE_MS MULTIPLIER\n");
		return 2;
	}
	struct l2_options opts = { .node = argv[1],
		                   .key = (const uint8_t *)argv[3],
		                   .key_size = strlen(argv[3]),
		                   .timing = { 70, (int)strtoul(argv[7], NULL, 10),
		                               (int)strtoul(argv[6], NULL, 10) },
		                   .restart_hold_ms = 5000,
		                   .first_use_probe = true };
	struct sigaction sa = { .sa_handler = on_sigterm };
	sigaction(SIGTERM, &sa, NULL);
	struct l2 *l2;
	if (l2_start(&opts, NULL, NULL, &l2, &e) < 0) {
		log_err("l2node", &e);
		return 1;
	}
	l2_publish(l2, &w.view, &w.map);

	enum l2_stop how = L2_STOP_RESTARTING;
	char line[128];
	while (!terminated && fgets(line, sizeof(line), stdin) && command(l2, &w, line, &how))
		;
	l2_stop(l2, how);
	free(w.list);
	free(w.states);
	want_map_fini(&w.map);
	return 0;
}
