/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The urgent thread: gives the segments frames, snapshots and time, and publishes what came out.
 *
 * It waits in poll() only.  Snapshots come through an atomic pointer, interfaces from the watch, and what others
 * read lies behind a lock that the thread takes only when nobody has it; else it publishes a moment later.
 */
#include "fairlead/l2.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "l2/ifaces.h"
#include "l2/link.h"
#include "l2/segment.h"
#include "l2/snapshot.h"
#include "l2/troubles.h"

#define STACK_SIZE (256 * 1024)
#define SEGMENTS_MAX 32
/* Frames taken from one interface before the others have their turn. */
#define FRAMES_PER_TURN 64
/* An interface that could not be opened, or failed, is tried again after this. */
#define REOPEN_MS 500
/* Publishing again where the lock was taken; peers and counters are published no more often than this. */
#define PUBLISH_RETRY_MS 1
#define PUBLISH_PEERS_MS 100
#define TROUBLES_MS 1000
#define IDLE_MS 1000
/* Complaints that wait to be taken; and how often the same is said. */
#define COMPLAINTS_MAX 8
#define COMPLAIN_MS 60000

/* An interface with a segment on it. */
struct attached {
	struct l2 *l2;
	struct iface iface;
	struct link *link; /* NULL: could not be opened yet */
	struct segment *segment;
	int64_t reopen_ms;
	bool complained;
	int64_t namesake_ms; /* when one was complained of, 0: never */
};

struct complaints {
	struct err list[COMPLAINTS_MAX];
	size_t n;
};

enum stopping { STOP_NOT, STOP_RESTARTING, STOP_YIELD };

struct l2 {
	struct l2_options opts; /* strings are ours */
	struct wire_key *key;
	l2_changed_cb *changed;
	void *changed_arg;
	struct ifaces_watch *watch;
	pthread_t thread;
	int wake_fd;
	_Atomic(struct l2_snapshot *) pending;
	_Atomic int stopping;
	_Atomic int64_t last_turn_ms, answered_ms;

	/* Published, under the lock. */
	pthread_mutex_t lock;
	struct l2_state *states; /* sorted by address */
	size_t n_states;
	struct l2_peer *peers;
	size_t n_peers;
	struct l2_stats stats;
	struct complaints said;
	struct troubles troubles;

	/* The thread's own. */
	struct troubles found; /* at found_ms */
	int64_t found_ms;
	bool segments_full;
	struct complaints unsaid;
	struct l2_snapshot *snapshot; /* NULL before the first */
	struct ifaces ifaces;
	struct attached *attached[SEGMENTS_MAX];
	size_t n_attached;
	uint32_t *changes; /* addresses whose state is to be published */
	size_t n_changes, changes_cap;
	bool republish; /* all states */
	bool tell_troubles;
	int64_t peers_published_ms;
};

/* ---- complaints ---- */

static void complain(struct complaints *to, const struct err *e)
{
	if (to->n < COMPLAINTS_MAX)
		to->list[to->n++] = *e;
}

/* Another node has our name, or we lie on the segment with two interfaces; either way peers believe one of both only. */
static void review_namesake(struct l2 *l2, struct attached *at, int64_t now)
{
	uint8_t m[6];
	struct err e = ERR_INIT;
	if (!segment_take_namesake(at->segment, m) ||
	    (at->namesake_ms && now - at->namesake_ms < COMPLAIN_MS))
		return;
	at->namesake_ms = now;
	for (size_t i = 0; i < l2->n_attached; i++)
		if (memcmp(l2->attached[i]->iface.mac, m, sizeof(m)) == 0)
			err_set(&e, 0, ERR_CONFIG,
			        "interfaces %s and %s lie on one segment: leave one out by --interface",
			        at->iface.name, l2->attached[i]->iface.name);
	if (e.blame == ERR_NONE)
		err_set(&e, 0, ERR_CONFIG,
		        "%s: the speaker at %02x:%02x:%02x:%02x:%02x:%02x calls itself %s, too: each node"
		        " needs a name of its own, and each cluster a heartbeat key",
		        at->iface.name, m[0], m[1], m[2], m[3], m[4], m[5], l2->opts.node);
	complain(&l2->unsaid, &e);
}

/* ---- attaching ---- */

static uint32_t number_of(const struct addr *a)
{
	uint32_t n;
	memcpy(&n, a->b, sizeof(n));
	return ntohl(n);
}

static int on_send(const void *frame, size_t size, void *arg)
{
	struct attached *at = arg;
	return at->link ? link_send(at->link, frame, size) : 0;
}

static void on_changed(uint32_t addr, void *arg)
{
	struct l2 *l2 = ((struct attached *)arg)->l2;
	ARRAY_RESERVE(l2->changes, l2->changes_cap, l2->n_changes + 1);
	l2->changes[l2->n_changes++] = addr;
}

static void try_open(struct attached *at, int64_t now)
{
	struct err e = ERR_INIT;
	if (at->link || !at->iface.up || now < at->reopen_ms)
		return;
	if (link_open(at->iface.name, &at->link, &e) < 0) {
		at->reopen_ms = now + REOPEN_MS;
		if (!at->complained)
			complain(&at->l2->unsaid, &e);
		at->complained = true;
		return;
	}
	at->complained = false;
	segment_link(at->segment, now, true);
}

static void close_link(struct attached *at, int64_t now)
{
	segment_link(at->segment, now, false);
	link_close(at->link);
	at->link = NULL;
	at->reopen_ms = now + REOPEN_MS;
}

static struct attached *attach(struct l2 *l2, const struct iface *iface, int64_t now)
{
	for (size_t i = 0; i < l2->n_attached; i++)
		if (l2->attached[i]->iface.index == iface->index)
			return l2->attached[i];
	if (l2->n_attached == SEGMENTS_MAX) {
		l2->segments_full = true;
		return NULL;
	}
	struct attached *at = xcalloc(1, sizeof(*at));
	struct segment_options so = { .l2 = &l2->opts,
		                      .source = number_of(&iface->subnets[0].own),
		                      .mtu = iface->mtu };
	struct segment_ops ops = { .send = on_send, .changed = on_changed, .arg = at };
	memcpy(so.mac, iface->mac, sizeof(so.mac));
	while (so.incarnation == 0)
		clock_random(&so.incarnation, sizeof(so.incarnation));
	clock_random(&so.seed, sizeof(so.seed));
	at->l2 = l2;
	at->iface = *iface;
	at->segment = segment_new(&so, l2->key, &ops, now);
	l2->attached[l2->n_attached++] = at;
	try_open(at, now);
	return at;
}

static void detach(struct l2 *l2, size_t i, int64_t now)
{
	struct attached *at = l2->attached[i];
	segment_farewell(at->segment, now, L2_STOP_YIELD);
	link_close(at->link);
	segment_free(at->segment);
	free(at);
	l2->attached[i] = l2->attached[--l2->n_attached];
	l2->republish = true;
}

/* ---- what is wanted, and where ---- */

static void leave_silent(struct l2 *l2, int64_t now)
{
	for (size_t i = l2->n_attached; i-- > 0;)
		if (ifaces_is_spare(&l2->ifaces, l2->attached[i]->iface.index))
			detach(l2, i, now);
}

/*
 * Joins the segments that wants or pools lie on, and tells each its wants.  Of two interfaces in one subnet one stays
 * silent until the other loses its carrier: on the wire, a node is one speaker.
 */
static void distribute(struct l2 *l2, int64_t now)
{
	const struct l2_snapshot *s = l2->snapshot;
	if (!s)
		return;
	l2->segments_full = false;
	leave_silent(l2, now);
	const struct attached **place = xcalloc(s->n_wants, sizeof(const struct attached *));
	const struct l2_want **part = xcalloc(s->n_wants, sizeof(const struct l2_want *));
	for (size_t i = 0; i < s->n_wants; i++) {
		const struct iface *iface = ifaces_find(&l2->ifaces, &s->wants[i].addr);
		place[i] = iface ? attach(l2, iface, now) : NULL;
	}
	for (size_t r = 0; r < s->n_ranges; r++)
		for (size_t i = 0; i < l2->ifaces.n; i++)
			if (ifaces_serves(&l2->ifaces, &l2->ifaces.list[i], &s->ranges[r]))
				attach(l2, &l2->ifaces.list[i], now);
	for (size_t a = 0; a < l2->n_attached; a++) {
		size_t n = 0;
		for (size_t i = 0; i < s->n_wants; i++)
			if (place[i] == l2->attached[a])
				part[n++] = &s->wants[i];
		segment_set_wants(l2->attached[a]->segment, now, s, part, n);
	}
	free(part);
	free(place);
	l2->republish = true;
}

static const struct iface *iface_by_index(const struct ifaces *i, int index)
{
	for (size_t n = 0; n < i->n; n++)
		if (i->list[n].index == index)
			return &i->list[n];
	return NULL;
}

static void take_ifaces(struct l2 *l2, int64_t now)
{
	struct ifaces fresh;
	if (!ifaces_watch_take(l2->watch, &fresh))
		return;
	ifaces_fini(&l2->ifaces);
	l2->ifaces = fresh;
	for (size_t i = 0; i < l2->n_attached; i++)
		for (size_t k = 0; k < fresh.n; k++)
			fresh.list[k].in_use |= fresh.list[k].index == l2->attached[i]->iface.index;
	for (size_t i = l2->n_attached; i-- > 0;) {
		struct attached *at = l2->attached[i];
		const struct iface *iface = iface_by_index(&fresh, at->iface.index);
		if (!iface || memcmp(iface->mac, at->iface.mac, sizeof(iface->mac)) != 0 ||
		    strcmp(iface->name, at->iface.name) != 0) {
			detach(l2, i, now);
			continue;
		}
		at->iface = *iface;
		segment_set_source(at->segment, number_of(&iface->subnets[0].own));
		segment_set_mtu(at->segment, now, iface->mtu);
		if (!iface->up && at->link)
			close_link(at, now);
		at->reopen_ms = now;
	}
	distribute(l2, now);
}

static void take_snapshot(struct l2 *l2, int64_t now)
{
	struct l2_snapshot *fresh = atomic_exchange(&l2->pending, NULL), *old = l2->snapshot;
	if (!fresh)
		return;
	l2->snapshot = fresh;
	distribute(l2, now);
	free(old);
}

/* ---- publishing ---- */

static void state_of(const struct l2 *l2, const struct l2_want *w, struct l2_state *ret_state)
{
	const struct iface *iface = ifaces_find(&l2->ifaces, &w->addr);
	for (size_t i = 0; iface && i < l2->n_attached; i++)
		if (l2->attached[i]->iface.index == iface->index) {
			segment_state(l2->attached[i]->segment, number_of(&w->addr), ret_state);
			memcpy(ret_state->interface, iface->name, sizeof(ret_state->interface));
			if (ret_state->ownership != L2_OWNER &&
			    ifaces_kernel_answers(&l2->ifaces, iface, &w->addr)) {
				ret_state->ownership = L2_KERNEL_ANSWERS;
				ret_state->peer_kernel = false;
			}
			return;
		}
	*ret_state = (struct l2_state){ .addr = w->addr, .ownership = L2_NO_INTERFACE };
}

static int state_by_addr(const void *key, const void *element)
{
	const struct l2_state *s = element;
	return addr_cmp(key, &s->addr);
}

static struct l2_state *find_state(const struct l2 *l2, const struct addr *a)
{
	if (l2->n_states == 0)
		return NULL;
	return bsearch(a, l2->states, l2->n_states, sizeof(*l2->states), state_by_addr);
}

/* All states anew, in the order of the wants.  The lock is held. */
static void replace_states(struct l2 *l2)
{
	const struct l2_snapshot *s = l2->snapshot;
	l2->n_states = s ? s->n_wants : 0;
	l2->states = xreallocarray(l2->states, l2->n_states, sizeof(*l2->states));
	for (size_t i = 0; i < l2->n_states; i++)
		state_of(l2, &s->wants[i], &l2->states[i]);
}

static void update_states(struct l2 *l2)
{
	for (size_t i = 0; i < l2->n_changes; i++) {
		struct in_addr in = { .s_addr = htonl(l2->changes[i]) };
		struct l2_want key = { .addr = addr_from_in(in) };
		struct l2_state *s = find_state(l2, &key.addr);
		if (s)
			state_of(l2, &key, s);
	}
}

static void replace_peers(struct l2 *l2)
{
	size_t n = 0, max = 0;
	for (size_t i = 0; i < l2->n_attached; i++)
		max += segment_n_slots(l2->attached[i]->segment);
	l2->peers = xreallocarray(l2->peers, max, sizeof(*l2->peers));
	l2->stats = (struct l2_stats){ 0 };
	for (size_t i = 0; i < l2->n_attached; i++) {
		const struct attached *at = l2->attached[i];
		segment_add_stats(at->segment, &l2->stats);
		for (size_t slot = 0; slot < segment_n_slots(at->segment); slot++)
			if (segment_peer(at->segment, slot, &l2->peers[n])) {
				memcpy(l2->peers[n].interface, at->iface.name,
				       sizeof(l2->peers[n].interface));
				n++;
			}
	}
	l2->n_peers = n;
}

/* Anew from time to time; true if something has changed. */
static bool look_for_troubles(struct l2 *l2, int64_t now)
{
	if (now - l2->found_ms < TROUBLES_MS)
		return false;
	struct troubles t = { 0 };
	for (size_t i = 0; i < l2->n_attached; i++)
		troubles_of_segment(&t, l2->attached[i]->segment, now, &l2->attached[i]->iface);
	if (l2->snapshot)
		troubles_of_kernel(&t, &l2->ifaces, l2->snapshot);
	troubles_of_states(&t, l2->states, l2->n_states);
	if (l2->segments_full)
		troubles_add(
			&t, REASON_LimitReached, "",
			"more than %d interfaces have segments to serve; the others are not used",
			SEGMENTS_MAX);
	if (l2->ifaces.n_left_out)
		troubles_add(
			&t, REASON_LimitReached, "",
			"%zu interfaces, subnets or addresses of this node are beyond what can be "
			"known",
			l2->ifaces.n_left_out);
	l2->found_ms = now;
	bool changed = !troubles_eq(&t, &l2->found);
	troubles_fini(&l2->found);
	l2->found = t;
	return changed;
}

static void replace_troubles(struct l2 *l2)
{
	l2->troubles.n = 0;
	ARRAY_RESERVE(l2->troubles.list, l2->troubles.cap, l2->found.n);
	for (size_t i = 0; i < l2->found.n; i++)
		l2->troubles.list[l2->troubles.n++] = l2->found.list[i];
}

static void publish(struct l2 *l2, int64_t now)
{
	l2->tell_troubles |= look_for_troubles(l2, now);
	bool states = l2->republish || l2->n_changes > 0;
	bool complaints = l2->unsaid.n > 0 || l2->tell_troubles;
	if (!states && !complaints && now - l2->peers_published_ms < PUBLISH_PEERS_MS)
		return;
	if (pthread_mutex_trylock(&l2->lock) != 0)
		return;
	if (l2->republish)
		replace_states(l2);
	else
		update_states(l2);
	replace_peers(l2);
	replace_troubles(l2);
	for (size_t i = 0; i < l2->unsaid.n; i++)
		complain(&l2->said, &l2->unsaid.list[i]);
	pthread_mutex_unlock(&l2->lock);
	l2->peers_published_ms = now;
	l2->unsaid.n = 0;
	l2->republish = l2->tell_troubles = false;
	l2->n_changes = 0;
	if ((states || complaints) && l2->changed)
		l2->changed(l2->changed_arg);
}

/* ---- the thread ---- */

static int timeout_of(const struct l2 *l2, int64_t now)
{
	int64_t at = now + IDLE_MS;
	for (size_t i = 0; i < l2->n_attached; i++) {
		const struct attached *a = l2->attached[i];
		int64_t due = segment_deadline(a->segment);
		if (!a->link && a->iface.up && a->reopen_ms < due)
			due = a->reopen_ms;
		if (due < at)
			at = due;
	}
	if ((l2->republish || l2->n_changes > 0) && now + PUBLISH_RETRY_MS < at)
		at = now + PUBLISH_RETRY_MS;
	return at > now ? (int)(at - now) : 0;
}

static void on_frame(const void *frame, size_t size, void *arg)
{
	struct attached *at = arg;
	segment_receive(at->segment, clock_ms(), frame, size);
}

/* Waits for something to do, and receives; frames are taken before timers, or a peer seems dead that only we did not hear. */
static void wait_and_receive(struct l2 *l2)
{
	struct pollfd fds[1 + SEGMENTS_MAX] = { { .fd = l2->wake_fd, .events = POLLIN } };
	size_t n = l2->n_attached;
	for (size_t i = 0; i < n; i++)
		fds[1 + i] = (struct pollfd){ .fd = l2->attached[i]->link
			                                    ? link_fd(l2->attached[i]->link)
			                                    : -1,
			                      .events = POLLIN };
	int ready = poll(fds, 1 + n, timeout_of(l2, clock_ms()));
	int64_t now = clock_ms();
	l2->last_turn_ms = now;
	if (ready <= 0)
		return;
	eventfd_t count;
	if (fds[0].revents)
		(void)eventfd_read(l2->wake_fd, &count);
	for (size_t i = 0; i < n; i++) {
		struct attached *at = l2->attached[i];
		if (fds[1 + i].revents && link_receive(at->link, FRAMES_PER_TURN, on_frame, at) < 0)
			close_link(at, now);
	}
}

static void turn(struct l2 *l2)
{
	wait_and_receive(l2);
	int64_t now = clock_ms();
	take_ifaces(l2, now);
	take_snapshot(l2, now);
	for (size_t i = 0; i < l2->n_attached; i++) {
		try_open(l2->attached[i], now);
		segment_set_answered(l2->attached[i]->segment, l2->answered_ms);
		if (segment_deadline(l2->attached[i]->segment) <= now)
			segment_tick(l2->attached[i]->segment, now);
		review_namesake(l2, l2->attached[i], now);
	}
	publish(l2, now);
}

static void *run(void *arg)
{
	struct l2 *l2 = arg;
	while (l2->stopping == STOP_NOT)
		turn(l2);
	for (size_t i = 0; i < l2->n_attached; i++)
		segment_farewell(l2->attached[i]->segment, clock_ms(),
		                 l2->stopping == STOP_YIELD ? L2_STOP_YIELD : L2_STOP_RESTARTING);
	return NULL;
}

/* ---- the door ---- */

static void wake(void *arg)
{
	struct l2 *l2 = arg;
	(void)eventfd_write(l2->wake_fd, 1);
}

static void l2_free(struct l2 *l2)
{
	ifaces_watch_stop(l2->watch);
	for (size_t i = 0; i < l2->n_attached; i++) {
		link_close(l2->attached[i]->link);
		segment_free(l2->attached[i]->segment);
		free(l2->attached[i]);
	}
	ifaces_fini(&l2->ifaces);
	free(l2->snapshot);
	free(atomic_exchange(&l2->pending, NULL));
	free(l2->states);
	free(l2->peers);
	free(l2->changes);
	troubles_fini(&l2->found);
	troubles_fini(&l2->troubles);
	wire_key_free(l2->key);
	if (l2->wake_fd >= 0)
		close(l2->wake_fd);
	pthread_mutex_destroy(&l2->lock);
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
	if (o->heartbeat_ms <= 0 || o->dead_ms <= o->heartbeat_ms || o->restart_hold_ms < 0 ||
	    o->probe_ms <= 0)
		return err_set(
			e, -EINVAL, ERR_CONFIG,
			"heartbeat times must be positive, and death later than a heartbeat");
	return 0;
}

static int start_thread(struct l2 *l2, struct err *e)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&l2->thread, &attr, run, l2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return r < 0 ? err_set(e, r, ERR_SYSTEM, "thread: %s", strerror(-r)) : 0;
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
	pthread_mutex_init(&l2->lock, NULL);
	l2->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = l2->wake_fd < 0 ? err_set(e, -errno, ERR_SYSTEM, "eventfd: %s", strerror(errno)) : 0;
	if (r == 0 && opts->key_size > 0 && wire_key_empty(l2->key))
		r = err_set(e, -EIO, ERR_SYSTEM, "libcrypto has no HMAC-SHA-256");
	if (r == 0)
		r = ifaces_watch_start(opts->interface_pattern, wake, l2, &l2->watch, e);
	if (r == 0)
		r = start_thread(l2, e);
	if (r < 0) {
		l2_free(l2);
		return r;
	}
	if (opts->key_size == 0)
		log_warn(
			"no heartbeat key: speakers do not hear each other, and only ARP probes keep"
			" them from owning an address twice");
	*ret_l2 = l2;
	return 0;
}

void l2_publish(struct l2 *l2, const struct l2_snapshot *s)
{
	free(atomic_exchange(&l2->pending, snapshot_copy(s)));
	wake(l2);
}

void l2_set_answered(struct l2 *l2, int64_t at_ms)
{
	l2->answered_ms = at_ms;
}

/* Readers may wait for the thread, which may not wait for them. */
static void lock(const struct l2 *l2)
{
	pthread_mutex_lock((pthread_mutex_t *)&l2->lock);
}

static void unlock(const struct l2 *l2)
{
	pthread_mutex_unlock((pthread_mutex_t *)&l2->lock);
}

void l2_states(const struct l2 *l2, struct l2_state **ret_states, size_t *ret_n)
{
	lock(l2);
	*ret_states = xmemdup(l2->states, l2->n_states * sizeof(*l2->states));
	*ret_n = l2->n_states;
	unlock(l2);
}

void l2_peers(const struct l2 *l2, struct l2_peer **ret_peers, size_t *ret_n)
{
	lock(l2);
	*ret_peers = xmemdup(l2->peers, l2->n_peers * sizeof(*l2->peers));
	*ret_n = l2->n_peers;
	unlock(l2);
}

void l2_troubles(const struct l2 *l2, struct l2_trouble **ret_troubles, size_t *ret_n)
{
	lock(l2);
	*ret_troubles = xmemdup(l2->troubles.list, l2->troubles.n * sizeof(*l2->troubles.list));
	*ret_n = l2->troubles.n;
	unlock(l2);
}

struct l2_stats l2_stats(const struct l2 *l2)
{
	lock(l2);
	struct l2_stats s = l2->stats;
	unlock(l2);
	return s;
}

bool l2_take_complaint(struct l2 *l2, struct err *ret_complaint)
{
	lock(l2);
	bool has = l2->said.n > 0;
	if (has)
		*ret_complaint = l2->said.list[--l2->said.n];
	unlock(l2);
	return has;
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
	l2_free(l2);
}
