/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The urgent thread: gives the segments frames, snapshots and time, and publishes what came out.
 *
 * It waits in poll() only.  Snapshots come through an atomic pointer, interfaces from the watch,
 * and what others read lies behind a lock that the thread takes only when nobody holds it;
 * otherwise it publishes a moment later.
 */
#include "fairlead/l2.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/thread.h"
#include "l2/attach.h"
#include "l2/board.h"
#include "l2/brake.h"
#include "l2/filter.h"
#include "l2/ifaces.h"
#include "l2/link.h"
#include "l2/segment.h"
#include "l2/snapshot.h"
#include "l2/telling.h"
#include "l2/troubles.h"
#include "l2/urgent.h"

#define STACK_SIZE (256 * 1024)
/* How many frames are taken from one interface before the others have their turn. */
#define FRAMES_PER_TURN 64
/*
 * When to publish again if the lock was taken; peers and counters are published no more often than
 * this.
 */
#define PUBLISH_RETRY_MS 1
#define PUBLISH_PEERS_MS 100
#define TROUBLES_MS 1000
#define IDLE_MS 1000
/* Longer than a message takes to a node that is busy. */
#define LINGER_MS 50

/* What holds for all addresses: one for as long as that stays as it is. */
struct terrain {
	size_t refs; /* the publishing thread's */
	struct l2_snapshot *snapshot;
	struct places *places;
};

/*
 * What is published.  The publishing thread makes and frees it; when the urgent one has taken the
 * next, it hands it back.
 */
struct publication {
	struct terrain *terrain;
	struct want_map wants;
	struct publication *next_spent;
};

enum stopping { STOP_NOT, STOP_RESTARTING, STOP_YIELD };

struct l2 {
	struct l2_options opts; /* strings are ours */
	struct wire_key *key;
	l2_changed_cb *changed;
	void *changed_arg;
	struct ifaces_watch *watch;
	pthread_t thread;
	struct urgency urgency;
	int wake_fd;
	_Atomic(struct publication *) pending, spent;
	_Atomic int stopping;
	_Atomic int64_t last_turn_ms, answered_ms;

	/* The publishing thread's. */
	struct place_store places;
	struct terrain *terrain; /* of the last snapshot */
	struct filter_store filter;
	struct board board; /* what others read */

	/* The thread's own. */
	struct attach attach;
	struct publication *taken; /* NULL before the first */
	struct brake brake;
	struct troubles found; /* at found_ms */
	int64_t found_ms;
	bool tell_troubles;
	int64_t peers_published_ms;
};

/* ---- what comes in ---- */

static void take_ifaces(struct l2 *l2, int64_t now)
{
	struct ifaces fresh;

	if (ifaces_watch_take(l2->watch, &fresh))
		attach_set_ifaces(&l2->attach, &fresh, now);
}

/* To be freed by the publishing thread, which alone counts references. */
static void hand_back(struct l2 *l2, struct publication *p)
{
	if (!p)
		return;
	p->next_spent = l2->spent;
	while (!atomic_compare_exchange_weak(&l2->spent, &p->next_spent, p))
		;
}

static void take_filter(struct l2 *l2)
{
	struct bpf_program *fresh = filter_store_take(&l2->filter);

	if (fresh)
		attach_set_filter(&l2->attach, fresh);
}

static void take_snapshot(struct l2 *l2, int64_t now)
{
	struct publication *fresh = atomic_exchange(&l2->pending, NULL), *old = l2->taken;

	if (!fresh)
		return;
	l2->taken = fresh;
	attach_follow(&l2->attach, fresh->terrain->snapshot, fresh->terrain->places, &fresh->wants,
	              now);
	hand_back(l2, old);
}

/* ---- publishing ---- */

static int states_by_addr(const void *a, const void *b)
{
	const struct l2_state *x = a, *y = b;

	return addr_cmp(&x->addr, &y->addr);
}

static void troubles_of_board(struct troubles *t, const struct board *b)
{
	if (!b->suspects)
		return;
	struct l2_state *states = xcalloc(HASH_COUNT(b->suspects), sizeof(*states));
	size_t n = 0;

	for (const struct board_state *s = b->suspects; s; s = s->hh.next)
		states[n++] = s->state;
	if (n > 1)
		qsort(states, n, sizeof(*states), states_by_addr);
	troubles_of_states(t, states, n);
	free(states);
}

/* Gathers it anew from time to time; true if something has changed. */
static bool look_for_troubles(struct l2 *l2, int64_t now)
{
	if (now - l2->found_ms < TROUBLES_MS)
		return false;
	const struct attach *on = &l2->attach;
	struct troubles t = { 0 };
	int error;
	size_t n_failed = groups_n_failed(on->groups, &error);
	for (size_t i = 0; i < on->n; i++)
		troubles_of_segment(&t, on->list[i]->segment, now, &on->list[i]->iface);
	if (on->wants)
		troubles_of_kernel(&t, &on->ifaces, on->places, on->wants, on->tally);
	troubles_of_board(&t, &l2->board);
	if (on->full)
		troubles_add(
			&t, REASON_LimitReached, "",
			"more than %d interfaces have segments to serve; the others are not used",
			ATTACH_SEGMENTS_MAX);
	if (on->ifaces.n_left_out)
		troubles_add(
			&t, REASON_LimitReached, "",
			"%zu interfaces, subnets or addresses of this node are beyond what can be "
			"known",
			on->ifaces.n_left_out);
	troubles_of_groups(&t, n_failed, error);
	l2->found_ms = now;
	bool changed = !troubles_eq(&t, &l2->found);
	troubles_fini(&l2->found);
	l2->found = t;
	return changed;
}

static void publish(struct l2 *l2, int64_t now)
{
	struct board *b = &l2->board;

	l2->tell_troubles |= look_for_troubles(l2, now);
	bool states = b->republish || b->n_changes > 0;
	bool complaints = b->unsaid.n > 0 || l2->tell_troubles;
	if (!states && !complaints && now - l2->peers_published_ms < PUBLISH_PEERS_MS)
		return;
	if (pthread_mutex_trylock(&b->lock) != 0)
		return;
	bool peers = telling_write(b, &l2->attach, &l2->found);
	pthread_mutex_unlock(&b->lock);
	l2->peers_published_ms = now;
	b->unsaid.n = 0;
	b->republish = l2->tell_troubles = false;
	b->n_changes = 0;
	if ((states || complaints || peers) && l2->changed)
		l2->changed(l2->changed_arg);
}

/* ---- the thread ---- */

static int timeout_of(const struct l2 *l2, int64_t now)
{
	int64_t at = now + IDLE_MS;

	for (size_t i = 0; i < l2->attach.n; i++) {
		const struct attached *a = l2->attach.list[i];
		int64_t due = segment_deadline(a->segment);
		if (!a->link && a->iface.up && a->reopen_ms < due)
			due = a->reopen_ms;
		if (due < at)
			at = due;
	}
	if ((l2->board.republish || l2->board.n_changes > 0) && now + PUBLISH_RETRY_MS < at)
		at = now + PUBLISH_RETRY_MS;
	return at > now ? (int)(at - now) : 0;
}

static void on_message(int64_t waited_ms, const void *frame, size_t size, void *arg)
{
	struct attached *at = arg;

	segment_receive(at->segment, clock_ms(), waited_ms, frame, size);
}

static void on_neighbor(int64_t waited_ms, const void *frame, size_t size, void *arg)
{
	struct attached *at = arg;
	int64_t now = clock_ms();

	if (at->has_lost)
		segment_lost(at->segment, now, waited_ms);
	at->has_lost = false;
	segment_receive(at->segment, now, waited_ms, frame, size);
}

static int receive_messages(struct attached *at)
{
	return link_receive(at->link, LINK_MESSAGES, FRAMES_PER_TURN, on_message, at);
}

/* What is lost is lost after what has come: nothing of that may be answered before it is known. */
static int receive_neighbors(struct attached *at)
{
	at->has_lost |= link_has_lost(at->link);
	return link_receive(at->link, LINK_NEIGHBORS, FRAMES_PER_TURN, on_neighbor, at);
}

typedef int receive_fn(struct attached *at);

/* From the queues that have something; @fds are theirs, in the order of the segments. */
static void receive(struct l2 *l2, int64_t now, const struct pollfd *fds, size_t n, receive_fn *fn)
{
	for (size_t i = 0; i < n; i++) {
		struct attached *at = l2->attach.list[i];
		if (fds[i].revents && at->link && fn(at) < 0)
			attached_close_link(at, now);
	}
}

/* Questions are for anybody to ask: not more than a share of a processor goes to them first. */
static void review_brake(struct l2 *l2, int64_t now)
{
	int64_t until = brake_until_ms(&l2->brake), due = now + timeout_of(l2, now);

	if (brake_holds(&l2->brake, now, urgent_cpu_us()))
		urgent_relax(&l2->urgency, due < until ? due : until);
	for (size_t i = 0; i < l2->attach.n; i++)
		segment_set_pressed(l2->attach.list[i]->segment, brake_is_pressed(&l2->brake, now));
}

static struct pollfd poll_of(const struct attached *at, enum link_queue queue)
{
	return (struct pollfd){ .fd = at->link ? link_fd(at->link, queue) : -1, .events = POLLIN };
}

/*
 * Waits for something to do, and receives; frames are taken before timers, otherwise a peer would
 * seem dead just because we had not read its frames, and messages before what neighbours ask.
 */
static void wait_and_receive(struct l2 *l2)
{
	struct pollfd fds[1 + 2 * ATTACH_SEGMENTS_MAX] = { { .fd = l2->wake_fd,
		                                             .events = POLLIN } };
	struct pollfd *messages = fds + 1, *neighbors = fds + 1 + l2->attach.n;
	size_t n = l2->attach.n;

	for (size_t i = 0; i < n; i++) {
		messages[i] = poll_of(l2->attach.list[i], LINK_MESSAGES);
		neighbors[i] = poll_of(l2->attach.list[i], LINK_NEIGHBORS);
	}
	int ready = poll(fds, 1 + 2 * n, timeout_of(l2, clock_ms()));
	int64_t now = clock_ms();
	l2->last_turn_ms = now;
	if (ready <= 0)
		return;
	eventfd_t count;
	if (fds[0].revents)
		(void)eventfd_read(l2->wake_fd, &count);
	receive(l2, now, messages, n, receive_messages);
	review_brake(l2, now);
	receive(l2, now, neighbors, n, receive_neighbors);
}

static void turn(struct l2 *l2)
{
	wait_and_receive(l2);
	int64_t now = clock_ms();
	take_ifaces(l2, now);
	take_filter(l2);
	take_snapshot(l2, now);
	for (size_t i = 0; i < l2->attach.n; i++) {
		attached_try_open(l2->attach.list[i], now);
		segment_set_answered(l2->attach.list[i]->segment, l2->answered_ms);
		if (segment_deadline(l2->attach.list[i]->segment) <= now)
			segment_tick(l2->attach.list[i]->segment, now);
		attached_review_namesake(l2->attach.list[i], now);
		attached_look_for_stragglers(l2->attach.list[i], now);
	}
	publish(l2, now);
}

/*
 * Who stands in for us hears of it a moment later; what is asked until then is still answered here,
 * and what both answer is the same.
 */
static void linger(struct l2 *l2)
{
	struct pollfd fds[ATTACH_SEGMENTS_MAX];
	size_t n = l2->attach.n;

	for (int64_t end = clock_ms() + LINGER_MS, now; (now = clock_ms()) < end;) {
		for (size_t i = 0; i < n; i++)
			fds[i] = poll_of(l2->attach.list[i], LINK_NEIGHBORS);
		if (poll(fds, n, (int)(end - now)) > 0)
			receive(l2, now, fds, n, receive_neighbors);
	}
}

static void *run(void *arg)
{
	struct l2 *l2 = arg;

	while (l2->stopping == STOP_NOT)
		turn(l2);
	for (size_t i = 0; i < l2->attach.n; i++)
		segment_farewell(l2->attach.list[i]->segment, clock_ms(),
		                 l2->stopping == STOP_YIELD ? L2_STOP_YIELD : L2_STOP_RESTARTING);
	if (l2->stopping == STOP_RESTARTING)
		linger(l2);
	return NULL;
}

/* ---- the door ---- */

static void wake(void *arg)
{
	struct l2 *l2 = arg;

	(void)eventfd_write(l2->wake_fd, 1);
}

static void terrain_unref(struct terrain *t)
{
	if (!t || --t->refs > 0)
		return;
	free(t->snapshot);
	places_free(t->places);
	free(t);
}

static void publication_free(struct publication *p)
{
	if (!p)
		return;
	terrain_unref(p->terrain);
	want_map_fini(&p->wants);
	free(p);
}

static void free_spent(struct l2 *l2)
{
	for (struct publication *p = atomic_exchange(&l2->spent, NULL), *next; p; p = next) {
		next = p->next_spent;
		publication_free(p);
	}
}

static void l2_free(struct l2 *l2)
{
	ifaces_watch_stop(l2->watch);
	groups_stop(l2->attach.groups);
	attach_fini(&l2->attach);
	publication_free(l2->taken);
	publication_free(atomic_exchange(&l2->pending, NULL));
	free_spent(l2);
	terrain_unref(l2->terrain);
	place_store_fini(&l2->places);
	filter_store_fini(&l2->filter);
	troubles_fini(&l2->found);
	board_fini(&l2->board);
	wire_key_free(l2->key);
	if (l2->wake_fd >= 0)
		close(l2->wake_fd);
	free((char *)l2->opts.node);
	free(l2);
}

static int check_options(const struct l2_options *o, struct err *e)
{
	size_t len = strlen(o->node);

	if (len == 0 || len >= WIRE_NAME_SIZE)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "node name \"%s\" must have 1 to %d characters", o->node,
		               WIRE_NAME_SIZE - 1);
	if (strspn(o->node, "abcdefghijklmnopqrstuvwxyz0123456789-.") != len)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "node name \"%s\" must be a lower-case DNS name", o->node);
	if (o->timing.heartbeat_ms <= 0 || o->timing.multiplier < 2 || o->timing.probe_ms <= 0 ||
	    o->restart_hold_ms < 0)
		return err_set(
			e, -EINVAL, ERR_CONFIG,
			"heartbeat times must be positive, and death later than a heartbeat");
	return 0;
}

static int start_thread(struct l2 *l2, struct err *e)
{
	int r = thread_start(&l2->thread, STACK_SIZE, run, l2);

	if (r < 0)
		return err_set(e, r, ERR_SYSTEM, "thread: %s", strerror(-r));
	urgent_begin(&l2->urgency, l2->thread);
	return 0;
}

static void say_urgency(const struct urgency *u)
{
	if (u->priority < 0)
		log_info("the urgent thread has no real-time priority: on a busy node peers may "
		         "think that this one is dead",
		         KV_S("error", strerror(-u->priority)), KV_S("needs", "CAP_SYS_NICE"));
	if (u->memory < 0)
		log_info("the urgent thread's memory is not locked",
		         KV_S("error", strerror(-u->memory)), KV_S("needs", "CAP_IPC_LOCK"));
}

int l2_start(const struct l2_options *opts, l2_changed_cb *changed, void *arg, struct l2 **ret_l2,
             struct err *e)
{
	int r = check_options(opts, e);

	if (r < 0)
		return r;
	struct l2 *l2 = xcalloc(1, sizeof(*l2));
	l2->opts = *opts;
	l2->opts.node = xstrdup(opts->node);
	l2->opts.interface_pattern = NULL;
	l2->opts.key = NULL;
	l2->key = wire_key_new(opts->key, opts->key_size);
	l2->changed = changed;
	l2->changed_arg = arg;
	l2->last_turn_ms = clock_ms();
	board_init(&l2->board);
	l2->attach = (struct attach){ .opts = &l2->opts, .key = l2->key, .board = &l2->board };
	l2->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = l2->wake_fd < 0 ? err_set(e, -errno, ERR_SYSTEM, "eventfd: %s", strerror(errno)) : 0;
	l2->attach.filters[LINK_MESSAGES] = filter_new_messages();
	l2->attach.filters[LINK_NEIGHBORS] = filter_new(NULL, 0);
	if (r == 0 && (!l2->attach.filters[LINK_MESSAGES] || !l2->attach.filters[LINK_NEIGHBORS]))
		r = err_set(e, -EINVAL, ERR_SYSTEM, "libpcap cannot compile the filters");
	if (r == 0)
		r = groups_start(&l2->attach.groups, e);
	if (r == 0)
		r = ifaces_watch_start(opts->interface_pattern, wake, l2, &l2->watch, e);
	if (r == 0)
		r = start_thread(l2, e);
	if (r < 0) {
		l2_free(l2);
		return r;
	}
	if (opts->key_size == 0)
		log_warn("no heartbeat key: speakers do not hear each other, and only probes keep"
		         " them from owning an address twice");
	say_urgency(&l2->urgency);
	*ret_l2 = l2;
	return 0;
}

static void follow_terrain(struct l2 *l2, const struct l2_snapshot *s)
{
	if (l2->terrain && snapshot_eq(l2->terrain->snapshot, s))
		return;
	terrain_unref(l2->terrain);
	l2->terrain = xcalloc(1, sizeof(*l2->terrain));
	*l2->terrain = (struct terrain){ .refs = 1,
		                         .snapshot = snapshot_copy(s),
		                         .places = places_new(&l2->places, s) };
	filter_store_set(&l2->filter, s);
}

void l2_publish(struct l2 *l2, const struct l2_snapshot *s, const struct want_map *wants)
{
	struct publication *p = xcalloc(1, sizeof(*p));

	free_spent(l2);
	follow_terrain(l2, s);
	p->terrain = l2->terrain;
	p->terrain->refs++;
	p->wants = want_map_share(wants);
	publication_free(atomic_exchange(&l2->pending, p));
	wake(l2);
}

void l2_set_answered(struct l2 *l2, int64_t at_ms)
{
	free_spent(l2);
	l2->answered_ms = at_ms;
}

void l2_take_states(struct l2 *l2, struct l2_state **ret_states, size_t *ret_n)
{
	board_take_states(&l2->board, ret_states, ret_n);
}

void l2_peers(const struct l2 *l2, struct l2_peer **ret_peers, size_t *ret_n)
{
	board_peers(&l2->board, ret_peers, ret_n);
}

void l2_segments(const struct l2 *l2, struct l2_segment **ret_segments, size_t *ret_n)
{
	board_segments(&l2->board, ret_segments, ret_n);
}

void l2_troubles(const struct l2 *l2, struct l2_trouble **ret_troubles, size_t *ret_n)
{
	board_troubles(&l2->board, ret_troubles, ret_n);
}

struct l2_stats l2_stats(const struct l2 *l2)
{
	return board_stats(&l2->board);
}

bool l2_take_complaint(struct l2 *l2, struct err *ret_complaint)
{
	return board_take_complaint(&l2->board, ret_complaint);
}

struct l2_urgency l2_urgency(const struct l2 *l2)
{
	return (struct l2_urgency){ .realtime = l2->urgency.priority == 0,
		                    .memory_locked = l2->urgency.memory == 0 };
}

int64_t l2_last_turn_ms(const struct l2 *l2)
{
	return l2->last_turn_ms;
}

void l2_stop(struct l2 *l2, enum l2_stop how)
{
	if (!l2)
		return;
	l2->stopping = how == L2_STOP_YIELD ? STOP_YIELD : STOP_RESTARTING;
	wake(l2);
	pthread_join(l2->thread, NULL);
	urgent_end(&l2->urgency);
	l2_free(l2);
}
