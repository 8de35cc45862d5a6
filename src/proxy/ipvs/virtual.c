/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shell around the ledger: sockets, a timer, and how much is done at a time.  What is to be
 * written goes first; lists come by a socket of their own, datagram by datagram, so that a change
 * waits neither for one of all virtual servers nor for one of very many endpoints.
 */
#include "config.h"

#include "proxy/ipvs/virtual.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/out.h"
#include "proxy/ipvs/channel.h"
#include "proxy/ipvs/ledger.h"
#include "proxy/ipvs/settings.h"

/* Of the event loop's time, for what can be done in pieces. */
#define VIRTUAL_SLICE_MS 5
/* One batch is made larger while it takes less than the first, smaller beyond the second. */
#define VIRTUAL_BATCH_SHORT_NS 2000000
#define VIRTUAL_BATCH_LONG_NS 4000000
#define VIRTUAL_BATCH_MIN 16
/* A list that broke off is begun again. */
#define VIRTUAL_RELIST_MS 1000
/* How often a look tells whether somebody has emptied IPVS. */
#define VIRTUAL_LOOK_MS 1000

struct virtuals {
	uint32_t tag;
	const struct virtuals_ops *ops;
	void *arg;
	bool has_v6;
	struct channel *channel, *lister;
	struct ledger *ledger;
	struct event *timer, *look;

	bool list_wanted, listing;
	int64_t list_ms; /* not before */
	/* One whose endpoints are listed; as long as it is to be read, nothing is written of it. */
	struct virtual_id reading;
	bool is_reading;

	struct server_operations todo;
	size_t n_sent; /* of them */
	size_t batch;
	int errors[CHANNEL_BATCH_MAX];

	struct ipvs_endpoint *endpoints; /* of the one that is read */
	size_t n_endpoints, cap_endpoints;
	bool found;     /* the one that was asked for */
	bool unstamped; /* one of its mark, without our stamp */

	struct histogram batch_seconds;
	int64_t last_success_ms;
	bool changed;       /* answers may have, since others were told */
	uint64_t n_repairs; /* that were told of, or belong to what was told */
	bool told;          /* that somebody changed some, which are not all dealt with yet */
	char last_error[ERR_MSG_SIZE];
};

static void kick(struct virtuals *v)
{
	struct timeval now = { 0, 0 };

	evtimer_add(v->timer, &now);
}

static void say_failed(struct virtuals *v, const struct err *e)
{
	memcpy(v->last_error, e->msg, sizeof(v->last_error));
	v->ops->failed(e, v->arg);
}

/* ---- writing ---- */

/* What is moved must not be gone for as long as something else is done. */
static size_t next_batch(const struct virtuals *v)
{
	size_t left = v->todo.n - v->n_sent, n = left < v->batch ? left : v->batch;

	while (n > 1 && v->todo.list[v->n_sent + n - 1].moves)
		n--;
	return n;
}

static bool any_moves(const struct ipvs_operation *list, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any = any || list[i].moves;
	return any;
}

static void adapt(struct virtuals *v, size_t n, int64_t took_ns)
{
	if (took_ns > VIRTUAL_BATCH_LONG_NS && v->batch > VIRTUAL_BATCH_MIN)
		v->batch /= 2;
	else if (n == v->batch && took_ns < VIRTUAL_BATCH_SHORT_NS && v->batch < CHANNEL_BATCH_MAX)
		v->batch *= 2;
}

static void write_batch(struct virtuals *v)
{
	const struct ipvs_operation *list = &v->todo.list[v->n_sent];
	size_t n = next_batch(v);
	struct err e = ERR_INIT;
	int64_t begun_ns = clock_ns();
	bool moves = any_moves(list, n);
	int expiry = moves ? settings_suspend_expiry() : 0;
	int r = channel_apply(v->channel, list, n, v->errors);

	if (moves)
		settings_resume_expiry(expiry);
	int64_t took_ns = clock_ns() - begun_ns, now_ms = clock_ms();

	histogram_observe(&v->batch_seconds, (double)took_ns / 1e9);
	adapt(v, n, took_ns);
	for (size_t i = 0; i < n; i++)
		ledger_did(v->ledger, &list[i], v->errors[i], now_ms);
	v->n_sent += n;
	if (v->n_sent == v->todo.n)
		v->todo.n = v->n_sent = 0;
	if (r == 0)
		v->last_success_ms = now_ms;
	if (ledger_settle(v->ledger, &e))
		say_failed(v, &e);
}

static bool write_some(struct virtuals *v)
{
	if (v->todo.n == 0 && !ledger_take(v->ledger, v->batch, clock_ms(), &v->todo))
		return false;
	if (v->todo.n > 0)
		write_batch(v);
	v->changed = true;
	return true;
}

/* ---- schedulers ---- */

/* A virtual server that nothing leads to; it is gone again at once. */
static int probe(struct channel *c, struct virtual_id id, const char *scheduler)
{
	struct ipvs_operation list[] = { { .verb = IPVS_ADD_SERVER, .id = id },
		                         { .verb = IPVS_REMOVE_SERVER, .id = id } };
	int errors[ARRAY_LEN(list)];

	strcpy(list[0].scheduler, scheduler);
	int r = channel_apply(c, list, ARRAY_LEN(list), errors);
	/* One that an earlier life left is gone now. */
	if (r == 0 && errors[0] == -EEXIST)
		r = channel_apply(c, list, ARRAY_LEN(list), errors);
	return r < 0 ? r : errors[0];
}

static bool learn_scheduler(struct virtuals *v)
{
	const char *name = ledger_unknown_scheduler(v->ledger);

	if (!name)
		return false;
	int r = probe(v->channel, (struct virtual_id){ v->tag, 4 }, name);
	if (r < 0)
		log_warn(r == -ENOENT
		                 ? "the kernel does not have the scheduler that a Service asks for"
		                 : "the kernel does not take the scheduler that a Service asks for",
		         KV_S("scheduler", name), KV_S("in_its_place", VIRTUAL_SCHEDULER_DEFAULT),
		         KV_S("error", strerror(-r)));
	ledger_know_scheduler(v->ledger, name, r, clock_ms());
	v->changed = true;
	return true;
}

/* ---- reading ---- */

static void on_listed(const struct nlmsghdr *h, void *arg)
{
	struct virtuals *v = arg;
	struct ipvs_server s;

	if (ipvs_read_server(h, &s))
		ledger_found(v->ledger, &s);
}

static void list_failed(struct virtuals *v, int r)
{
	struct err e = ERR_INIT;

	v->list_wanted = true;
	v->list_ms = clock_ms() + VIRTUAL_RELIST_MS;
	if (r == -EINTR)
		return;
	err_set(&e, r, ERR_SYSTEM, "virtual servers cannot be read: %s", strerror(-r));
	say_failed(v, &e);
}

static bool list_some(struct virtuals *v)
{
	int r = 1;

	if (!v->listing && (!v->list_wanted || clock_ms() < v->list_ms))
		return false;
	if (!v->listing) {
		ledger_begin_reading(v->ledger);
		v->list_wanted = false;
		r = channel_list_servers(v->lister);
		r = r < 0 ? r : 1;
	} else {
		r = channel_step(v->lister, on_listed, v);
	}
	v->listing = r == 1;
	if (r == 0) {
		ledger_end_reading(v->ledger);
		v->changed = true;
	}
	if (r < 0)
		list_failed(v, r);
	return true;
}

static void on_asked(const struct nlmsghdr *h, void *arg)
{
	struct virtuals *v = arg;
	struct ipvs_server s;

	if (!ipvs_read_server(h, &s))
		return;
	v->found = s.stamped;
	v->unstamped = !s.stamped;
	ledger_found(v->ledger, &s);
}

static void on_endpoint(const struct nlmsghdr *h, void *arg)
{
	struct virtuals *v = arg;

	ARRAY_RESERVE(v->endpoints, v->cap_endpoints, v->n_endpoints + 1);
	if (ipvs_read_endpoint(h, v->reading.family, &v->endpoints[v->n_endpoints]))
		v->n_endpoints++;
}

static int ask(struct virtuals *v, struct virtual_id id)
{
	v->found = v->unstamped = false;
	int r = channel_ask_server(v->channel, id);
	while (r == 0 && (r = channel_step(v->channel, on_asked, v)) == 1)
		r = 0;
	return r == -ESRCH ? 0 : r;
}

/*
 * Who empties IPVS tells nobody: `ipvsadm -C`, and kube-proxy's clean-up, which it also does as it
 * starts in some modes.  Then all are gone, whichever is asked for.
 */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval again = { VIRTUAL_LOOK_MS / 1000, VIRTUAL_LOOK_MS % 1000 * 1000 };
	struct virtuals *v = arg;
	struct virtual_id id;

	(void)fd;
	(void)what;
	evtimer_add(v->look, &again);
	if (v->list_wanted || v->listing || !ledger_any_at_rest(v->ledger, &id))
		return;
	if (ask(v, id) < 0 || v->found)
		return;
	v->list_wanted = true;
	kick(v);
}

/* @r: of its list: 1, there is more; 0, that was all; a negative errno. */
static void read_on(struct virtuals *v, int r)
{
	v->is_reading = r == 1;
	if (r == 0)
		ledger_found_endpoints(v->ledger, v->reading, v->endpoints, v->n_endpoints);
	else if (r < 0)
		ledger_not_read(v->ledger, v->reading, strerror(-r), clock_ms());
	v->changed = v->changed || r != 1;
}

/* Otherwise the ledger is told that it is gone. */
static bool is_there_unstamped(const struct virtuals *v)
{
	if (v->unstamped)
		return ledger_found_unstamped(v->ledger, v->reading);
	ledger_found_none(v->ledger, v->reading);
	return false;
}

static bool read_next(struct virtuals *v)
{
	bool itself;

	if (!ledger_next_unread(v->ledger, &v->reading, &itself))
		return false;
	v->n_endpoints = 0;
	int r = itself ? ask(v, v->reading) : 0;
	if (r == 0 && itself && !v->found && !is_there_unstamped(v)) {
		v->changed = true;
		return true;
	}
	if (r == 0)
		r = channel_list_endpoints(v->lister, v->reading);
	read_on(v, r == 0 ? 1 : r);
	return true;
}

static bool read_some(struct virtuals *v)
{
	if (!v->is_reading)
		return read_next(v);
	read_on(v, channel_step(v->lister, on_endpoint, v));
	return true;
}

/* ---- the machine ---- */

static void say_changed(struct virtuals *v, bool settled)
{
	uint64_t n = ledger_n_repairs(v->ledger);

	if (n > v->n_repairs && !v->told)
		log_warn("somebody changed the service proxy's virtual servers; writing them "
		         "again");
	v->told = (v->told || n > v->n_repairs) && !settled;
	v->n_repairs = n;
}

static bool step(struct virtuals *v)
{
	ledger_wake(v->ledger, clock_ms());
	return learn_scheduler(v) || write_some(v) || (!v->is_reading && list_some(v)) ||
	       read_some(v);
}

static void arm(struct virtuals *v)
{
	int64_t due = ledger_due_ms(v->ledger), now = clock_ms();

	if (v->list_wanted && v->list_ms < due)
		due = v->list_ms;
	if (due == LEDGER_NEVER)
		return;
	int64_t wait = due > now ? due - now : 0;
	struct timeval tv = { wait / 1000, wait % 1000 * 1000 };
	evtimer_add(v->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct virtuals *v = arg;
	int64_t until = clock_ms() + VIRTUAL_SLICE_MS;
	bool more;

	(void)fd;
	(void)what;
	do
		more = step(v);
	while (more && clock_ms() < until);
	if (more)
		kick(v);
	else
		arm(v);
	bool in_sync = virtuals_is_in_sync(v);
	if (in_sync)
		v->last_error[0] = '\0';
	say_changed(v, virtuals_is_settled(v));
	if (v->changed) {
		v->changed = false;
		v->ops->applied(v->arg);
	}
}

/* ---- its life ---- */

static int check_kernel(struct virtuals *v, struct err *e)
{
	int r = probe(v->channel, (struct virtual_id){ v->tag, 4 }, VIRTUAL_SCHEDULER_DEFAULT);

	if (r == -ENOENT)
		return err_set(e, -ENOTSUP, ERR_SYSTEM,
		               "the kernel has no IPVS scheduler " VIRTUAL_SCHEDULER_DEFAULT
		               " (module ip_vs_" VIRTUAL_SCHEDULER_DEFAULT ")");
	if (r < 0)
		return err_set(e, r, ERR_SYSTEM, "the kernel's IPVS cannot be used: %s",
		               strerror(-r));
	v->has_v6 =
		probe(v->channel, (struct virtual_id){ v->tag, 6 }, VIRTUAL_SCHEDULER_DEFAULT) == 0;
	return 0;
}

int virtuals_start(struct event_base *base, uint32_t tag, const struct virtuals_ops *ops, void *arg,
                   struct virtuals **ret_self, struct err *e)
{
	struct virtuals *v = xcalloc(1, sizeof(*v));

	v->tag = tag;
	v->ops = ops;
	v->arg = arg;
	v->batch = VIRTUAL_BATCH_MIN;
	v->ledger = ledger_new();
	v->timer = evtimer_new(base, on_timer, v);
	v->look = evtimer_new(base, on_look, v);
	int r = channel_open(&v->channel, e);
	if (r == 0)
		r = channel_open(&v->lister, e);
	if (r == 0)
		r = check_kernel(v, e);
	if (r < 0) {
		virtuals_stop(v);
		return r;
	}
	v->list_wanted = true;
	kick(v);
	on_look(-1, 0, v);
	*ret_self = v;
	return 0;
}

void virtuals_stop(struct virtuals *v)
{
	if (!v)
		return;
	event_free(v->timer);
	event_free(v->look);
	channel_close(v->channel);
	channel_close(v->lister);
	ledger_free(v->ledger);
	free(v->todo.list);
	free(v->endpoints);
	free(v);
}

bool virtuals_has_family(const struct virtuals *v, uint8_t family)
{
	return family == 4 || v->has_v6;
}

/* ---- what is wanted ---- */

void virtuals_set(struct virtuals *v, const struct virtual_server *server)
{
	ledger_want(v->ledger, server);
	kick(v);
}

void virtuals_remove(struct virtuals *v, struct virtual_id id)
{
	ledger_unwant(v->ledger, id);
	kick(v);
}

void virtuals_complete(struct virtuals *v)
{
	ledger_complete(v->ledger);
	kick(v);
}

void virtuals_audit(struct virtuals *v)
{
	ledger_audit(v->ledger);
	v->list_wanted = true;
	kick(v);
}

/* ---- what became of it ---- */

bool virtuals_is_applied(const struct virtuals *v, struct virtual_id id)
{
	return ledger_is_applied(v->ledger, id);
}

const char *virtuals_refusal(const struct virtuals *v, struct virtual_id id)
{
	return ledger_refusal(v->ledger, id);
}

const char *virtuals_substitute(const struct virtuals *v, struct virtual_id id)
{
	return ledger_substitute(v->ledger, id);
}

bool virtuals_lack_schedulers(const struct virtuals *v)
{
	return ledger_lacks_schedulers(v->ledger);
}

bool virtuals_is_damaged(const struct virtuals *v, uint8_t family)
{
	return ledger_is_damaged(v->ledger, family);
}

size_t virtuals_n_refused(const struct virtuals *v, uint8_t family)
{
	return ledger_n_refused(v->ledger, family);
}

bool virtuals_is_settled(const struct virtuals *v)
{
	return ledger_is_settled(v->ledger);
}

bool virtuals_is_in_sync(const struct virtuals *v)
{
	return ledger_is_in_sync(v->ledger);
}

bool virtuals_counters(const struct virtuals *v, struct virtual_id id,
                       struct virtual_counters *ret_counters)
{
	return ledger_counters(v->ledger, id, ret_counters);
}

struct virtuals_stats virtuals_stats(const struct virtuals *v)
{
	struct virtuals_stats st = ledger_stats(v->ledger);

	st.batch_seconds = v->batch_seconds;
	st.last_success_ms = v->last_success_ms;
	return st;
}

const char *virtuals_last_error(const struct virtuals *v)
{
	return v->last_error;
}

const struct ledger *virtuals_ledger(const struct virtuals *v)
{
	return v->ledger;
}

static void refused_status(struct virtual_id id, const char *error, void *arg)
{
	struct out *o = arg;

	out_object(o, NULL);
	out_printf(o, "mark", "0x%x", id.mark);
	out_int(o, "family", id.family);
	out_str(o, "error", error);
	out_close(o);
}

void virtuals_status(const struct virtuals *v, struct out *o)
{
	struct virtuals_stats st = virtuals_stats(v);

	out_bool(o, "in_sync", virtuals_is_in_sync(v));
	out_uint(o, "servers", st.servers);
	out_uint(o, "endpoints", st.endpoints);
	out_uint(o, "draining", st.draining);
	out_uint(o, "repairs", st.repairs);
	out_list(o, "refused");
	ledger_each_refused(v->ledger, refused_status, o);
	out_close(o);
	out_str(o, "last_error", *v->last_error ? v->last_error : NULL);
}
