/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: one connection, one known state of bgpd, one batch at a time.
 *
 *	DOWN ──up──► READING ──running-config──► IDLE ──difference──► APPLYING ──all acknowledged──►
 *	IDLE
 *	  ▲              ▲                        │ timer                  │ refused
 *	  └── any loss   └────────────────────────┴────────────────────────┘
 *
 * After a batch that bgpd acknowledged completely, its state is known without asking.  After
 * anything else it is read.  While a batch is under way publications only replace what is wanted,
 * so that a slow bgpd meets fewer and larger batches, never a queue of old ones.  And if a batch
 * takes long, the rest of it is not sent: the next one begins with its withdrawals.
 *
 * The connection is left inside the instance's address family, where one more network is one
 * command.  Rejected: entering it anew for every change, which costs more commands, and would make
 * an empty instance if somebody has removed it.  As it is, bgpd says that the object was deleted,
 * and the state is read again. (bgpd 8.4 crashes on a network line in the 50 ms during which it
 * takes an instance with neighbours down; no order of ours can avoid that.)
 */
#include "config.h"

#include "bgp/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "bgp/vty.h"
#include "fairlead/clock.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"

static void step(struct bgp *b);

static struct timeval timeval_of_ms(unsigned int ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };
}

void engine_notify(struct bgp *b)
{
	event_active(b->ev_notify, EV_TIMEOUT, 0);
}

static void resync_in(struct bgp *b, unsigned int ms)
{
	struct timeval tv = timeval_of_ms(ms);

	event_add(b->ev_resync, &tv);
}

void engine_doubt(struct bgp *b)
{
	resync_in(b, 0);
}

static unsigned int resync_interval(const struct bgp *b)
{
	unsigned int ms = b->opts.resync_ms;
	int64_t since_up_ms = clock_ms() - b->up_ms;

	if (since_up_ms < BGP_FIRST_RESYNC_MS)
		since_up_ms = BGP_FIRST_RESYNC_MS;
	if (since_up_ms < ms)
		ms = (unsigned int)since_up_ms;
	bool hindered = b->want && b->want_state.asn && !reason_holds(b->verdict.reason);
	return hindered && ms > BGP_REFUSED_RESYNC_MS ? BGP_REFUSED_RESYNC_MS : ms;
}

/* ---- reading ---- */

static void read_running(struct bgp *b)
{
	if (vty_client_send(b->client, "do show running-config", VTY_WAIT, TAG_RUNNING, NULL) == 0)
		b->phase = ENGINE_READING;
}

/* Moves to where the next change will most likely be, while nobody waits. */
static void park(struct bgp *b)
{
	char text[32];

	if (b->node != BGP_AT_CONFIG || b->phase != ENGINE_IDLE || !b->have.ours.asn ||
	    b->have.ours.asn != b->want_state.asn || !reason_holds(b->verdict.reason))
		return;
	snprintf(text, sizeof(text), "router bgp %" PRIu32, b->have.ours.asn);
	b->parking = vty_client_send(b->client, text, VTY_WAIT, TAG_PARK_BGP, NULL) == 0;
}

static void on_parked(struct bgp *b, uint32_t tag, uint8_t status)
{
	b->parking = false;
	if (status != VTY_SUCCESS) {
		/* Somebody changed the instance: what we know of it is out of date. */
		b->have_valid = false;
		resync_in(b, 0);
		return;
	}
	b->node = tag == TAG_PARK_AF ? BGP_AT_AF4 : BGP_AT_BGP;
	if (tag == TAG_PARK_BGP && b->phase == ENGINE_IDLE)
		b->parking = vty_client_send(b->client, "address-family ipv4 unicast", VTY_WAIT,
		                             TAG_PARK_AF, NULL) == 0;
	if (!b->parking && b->generation != b->batch_generation)
		step(b);
}

static void on_running(struct bgp *b, uint8_t status, const char *text, size_t size)
{
	const struct bgp_state *ours = &b->have.ours;

	b->phase = ENGINE_IDLE;
	if (status != VTY_SUCCESS) {
		struct err e;
		err_set(&e, -EPROTO, ERR_SYSTEM, "bgpd shows no running configuration: %s",
		        vty_status_name(status));
		vty_client_reset(b->client, &e);
		return;
	}
	uint32_t asn = ours->asn;
	bgp_have_fini(&b->have);
	bgp_running_parse(text, size, &b->have);
	b->have_bytes = size;
	if (ours->asn != asn)
		b->node = BGP_AT_CONFIG; /* the instance that the connection was in is gone */
	b->instance_stays &= ours->asn == asn;
	b->have.foreign_lines |= b->instance_stays;
	b->have_valid = true;
	b->looked = b->looking_first;
	b->just_read |= !b->looking_first;
	b->looking_first = false;
	b->stats.resyncs++;
	bool nothing = ours->n_networks == 0 && ours->n_peers == 0 && !ours->own;
	if (nothing && b->held)
		b->stats.replays++;
	b->held = !nothing;
	if (ours->asn)
		b->former = ours->own ? FORMER_OWN : FORMER_OTHERS;
	if (b->just_read)
		resync_in(b, resync_interval(b));
	step(b);
}

/* ---- applying ---- */

static void set_applied(struct bgp *b, uint64_t generation)
{
	if (b->applied == generation)
		return;
	b->applied = generation;
	engine_notify(b);
}

/* Takes over what the batch has made of bgpd. */
static void accept_pending(struct bgp *b)
{
	struct bgp_state *ours = &b->have.ours;

	if (b->pending.asn == 0 && b->have.foreign_lines) {
		/* The instance stays, as it belongs to others. */
		b->pending.asn = ours->asn;
		bgp_lines_copy(&b->pending.instance, &ours->instance);
	}
	bgp_state_fini(ours);
	*ours = b->pending;
	b->pending = (struct bgp_state){ 0 };
	b->held = ours->n_networks || ours->n_peers || ours->own;
	if (ours->asn)
		b->former = ours->own ? FORMER_OWN : FORMER_OTHERS;
}

/*
 * FRR's daemons start empty and are given their configuration by `vtysh -b` a moment later.  An
 * instance that we made in between would be merged with others', or refuse theirs.
 */
static bool settles(struct bgp *b)
{
	int64_t now = clock_ms(), wait = b->opts.settle_ms;

	b->settling = false;
	if (b->have.ours.asn || b->have.ours.marker) {
		b->settle_from_ms = 0;
		b->seen_instance = true;
		return false;
	}
	if (!b->want_state.asn || b->former == FORMER_OWN || b->seen_instance ||
	    b->want->only_less || bgp_only_waits(&b->want_state, &b->have))
		return false;
	if (b->former == FORMER_OTHERS)
		wait = BGP_SETTLE_OTHERS_MS;
	if (!b->settle_from_ms)
		b->settle_from_ms = now;
	b->settling = now - b->settle_from_ms < wait;
	if (b->settling)
		resync_in(b, BGP_SETTLE_READ_MS);
	return b->settling;
}

/*
 * Others may have changed the same bgpd since the last reading: if it is cheap, a last look keeps
 * us from touching a line or a neighbour that is theirs by now.
 */
static bool looks_first(struct bgp *b)
{
	if (b->hidden || b->have_bytes > BGP_LOOK_FIRST_MAX_BYTES)
		return false;
	b->looking_first = true;
	read_running(b);
	return true;
}

static void judge(struct bgp *b)
{
	b->verdict = bgp_judge(&b->want_state, &b->have, b->opts.shared_instance);
	if (b->want->only_less && reason_holds(b->verdict.reason)) {
		b->verdict.reason = REASON_BgpPending;
		snprintf(b->verdict.message, sizeof(b->verdict.message),
		         "nothing is added before the data plane is ready");
		/*
		 * The prefix by which an address is announced may change only when the new one can
		 * be announced.
		 */
		b->verdict.leads = b->want;
	}
}

/*
 * What bgpd refused is tried again when its time comes, or when something else is wanted; until
 * then only bgpd's state is read.
 */
static bool waits_to_retry(struct bgp *b)
{
	int64_t left_ms = b->retry_at_ms - clock_ms();

	if (!b->refused || b->generation != b->batch_generation || left_ms <= 0)
		return false;
	if (b->just_read)
		sessions_poll(b->sessions);
	b->just_read = b->looked = false;
	resync_in(b, (unsigned int)left_ms);
	engine_notify(b);
	return true;
}

static void retry_later(struct bgp *b)
{
	b->stats.failures++;
	b->refused = true;
	b->verifying = false;
	b->retry_at_ms = clock_ms() + b->retry_ms;
	if (b->retry_ms < BGP_RETRY_MAX_MS)
		b->retry_ms *= 2;
	resync_in(b, 0);
	engine_notify(b);
}

/*
 * What bgpd accepted but does not show (a default, say) is not repeated after every reading.  But
 * bgpd does show networks and neighbours: if one is missing that was acknowledged a moment ago,
 * somebody undoes what we do.
 */
static bool is_undone(struct bgp *b, uint64_t hash)
{
	const struct bgp_command *c = bgp_script_shown(&b->script);

	if (!b->verifying || hash != b->last_drift || !c)
		return false;
	snprintf(b->error, sizeof(b->error), "bgpd acknowledged `%s`, and it is undone again",
	         c->text);
	log_warn("somebody undoes what bgpd is told", KV_S("command", c->text));
	return true;
}

static void step(struct bgp *b)
{
	/* Commands are made for the node where the connection stands, so not while it moves. */
	if (b->phase != ENGINE_IDLE || b->parking || !b->have_valid || !b->want)
		return;
	if (settles(b) || waits_to_retry(b))
		return;
	enum reason before = b->verdict.reason;
	bool read = b->just_read, looked = b->looked, collect = read || b->collect;
	b->just_read = b->looked = b->collect = false;
	judge(b);
	if (b->verdict.reason != before) {
		engine_notify(b);
		if (!reason_holds(b->verdict.reason) && b->verdict.reason != REASON_BgpPending &&
		    b->want_state.asn)
			log_warn("BGP is held back", KV_S("reason", reason_name(b->verdict.reason)),
			         KV_S("why", b->verdict.message));
	}
	bgp_state_fini(&b->pending);
	bgp_script_fini(&b->script);
	bgp_effective(&b->want_state, &b->have, &b->verdict, collect, &b->pending);
	b->verdict.leads = NULL; /* no longer than what is wanted */
	bgp_diff(&b->pending, &b->have.ours, b->have.foreign_lines, b->node, &b->script);
	uint64_t hash = engine_script_hash(&b->script);
	b->batch_generation = b->generation;
	if (read && is_undone(b, hash)) {
		retry_later(b);
		return;
	}
	if (read && (b->verifying ? hash == b->last_drift : hash != b->hidden))
		b->hidden = b->verifying ? hash : 0;
	if (read)
		b->verifying = false;
	if (b->script.n == 0 || (read && hash == b->hidden)) {
		accept_pending(b);
		b->refused = false;
		b->error[0] = 0;
		b->decided_ns = 0;
		set_applied(b, b->batch_generation);
		if (read)
			sessions_poll(b->sessions);
		park(b);
		return;
	}
	if (!read && !looked && looks_first(b)) {
		b->collect = collect;
		return;
	}
	b->last_drift = read ? hash : 0;
	engine_batch_send(b);
}

static void finish_batch(struct bgp *b)
{
	b->phase = ENGINE_IDLE;
	b->stats.last_batch_commands = b->answered;
	b->stats.last_batch_us = (clock_ns() - b->batch_start_ns) / 1000;
	if (b->failures == 0) {
		accept_pending(b);
		b->refused = false;
		b->error[0] = 0;
		b->retry_ms = BGP_RETRY_MIN_MS;
		set_applied(b, b->batch_generation);
		sessions_poll(b->sessions);
		park(b);
		b->verifying = b->last_drift != 0;
		if (b->verifying)
			resync_in(b, 0);
		if (b->generation != b->batch_generation)
			step(b);
		return;
	}
	b->node = BGP_AT_CONFIG; /* to be entered anew; the instance may have gone under us */
	b->have_valid = false;
	sessions_poll(b->sessions);
	retry_later(b);
}

static void on_batch_reply(struct bgp *b, size_t i, uint8_t status, const char *text)
{
	switch (engine_batch_reply(b, i, status, text)) {
	case BATCH_GOES_ON:
		break;
	case BATCH_IS_OVER:
		finish_batch(b);
		break;
	case BATCH_GIVES_WAY:
		/*
		 * Its outcome is read; until then nothing that it reports counts.
		 */
		b->node = BGP_AT_CONFIG;
		b->have_valid = b->verifying = false;
		b->phase = ENGINE_IDLE;
		sessions_poll(b->sessions);
		read_running(b);
		break;
	}
}

/* ---- the connection ---- */

static void on_up(void *arg)
{
	struct bgp *b = arg;

	log_info("connected to bgpd", KV_S("socket", b->bgpd_socket));
	b->tried = true;
	if (vty_client_n_up(b->client) > 1)
		b->stats.reconnects++;
	b->node = BGP_AT_CONFIG;
	b->last_drift = b->hidden = 0;
	b->settle_from_ms = 0;
	b->seen_instance = false;
	b->verifying = b->parking = b->instance_stays = b->looking_first = b->looked = false;
	b->up_ms = clock_ms();
	b->error[0] = 0;
	vty_client_send(b->client, "configure terminal", VTY_WAIT, TAG_SETUP, NULL);
	read_running(b);
	engine_notify(b);
}

static void on_down(const struct err *e, void *arg)
{
	struct bgp *b = arg;
	bool news = b->phase != ENGINE_DOWN || strcmp(b->error, e->msg) != 0;

	if (b->phase == ENGINE_APPLYING)
		b->stats.failures++;
	b->tried = true;
	b->phase = ENGINE_DOWN;
	b->have_valid = false;
	snprintf(b->error, sizeof(b->error), "%s", e->msg);
	event_del(b->ev_resync);
	sessions_stop(b->sessions);
	if (news) {
		log_err("no connection to bgpd", e);
		engine_notify(b);
	}
}

static void on_reply(uint32_t tag, uint8_t status, const char *text, size_t size, void *arg)
{
	struct bgp *b = arg;

	if (sessions_reply(b->sessions, tag, status, text, size))
		return;
	if (tag >= TAG_BATCH) {
		if (b->phase == ENGINE_APPLYING && tag - TAG_BATCH < b->script.n)
			on_batch_reply(b, tag - TAG_BATCH, status, text);
	} else if (tag == TAG_RUNNING) {
		on_running(b, status, text, size);
	} else if (tag == TAG_SETUP) {
		struct err e;
		if (status == VTY_SUCCESS)
			return;
		err_set(&e, -EPROTO, ERR_SYSTEM, "bgpd refuses `configure terminal`: %s",
		        vty_status_name(status));
		vty_client_reset(b->client, &e);
	} else {
		on_parked(b, tag, status);
	}
}

static void on_resync(evutil_socket_t fd, short what, void *arg)
{
	struct bgp *b = arg;

	(void)fd;
	(void)what;
	if (b->phase == ENGINE_IDLE)
		read_running(b);
	else if (b->phase != ENGINE_DOWN)
		resync_in(b, resync_interval(b));
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	step(arg);
}

static void on_notify(evutil_socket_t fd, short what, void *arg)
{
	struct bgp *b = arg;

	(void)fd;
	(void)what;
	if (b->ops.changed)
		b->ops.changed(b->arg);
}

/* ---- what sessions ask ---- */

static bool has_instance(void *arg)
{
	return ((struct bgp *)arg)->have.ours.asn != 0;
}

static bool is_foreign(const struct addr *a, void *arg)
{
	return bgp_have_foreign_peer(&((struct bgp *)arg)->have, a);
}

static void on_session_changed(void *arg)
{
	engine_notify(arg);
}

/* Does not wait for the next reading. */
static void on_session_lost(void *arg)
{
	engine_doubt(arg);
}

static const struct sessions_ops sessions_ops = { .has_instance = has_instance,
	                                          .is_foreign = is_foreign,
	                                          .changed = on_session_changed,
	                                          .lost = on_session_lost };

/* ---- the door ---- */

int bgp_start(struct event_base *base, const struct bgp_options *opts, const struct bgp_ops *ops,
              void *arg, struct bgp **ret_bgp, struct err *e)
{
	static const struct vty_client_ops client_ops = { on_up, on_reply, on_down };
	struct bgp *b = xcalloc(1, sizeof(*b));

	b->base = base;
	b->opts = *opts;
	if (!b->opts.command_timeout_ms)
		b->opts.command_timeout_ms = BGP_COMMAND_TIMEOUT_MS;
	if (!b->opts.settle_ms)
		b->opts.settle_ms = BGP_SETTLE_MS;
	if (!b->opts.resync_ms)
		b->opts.resync_ms = BGP_RESYNC_MS;
	b->bgpd_socket = xstrdup(opts->bgpd_socket ? opts->bgpd_socket : BGP_SOCKET);
	b->bfdd_socket = xstrdup(opts->bfdd_socket ? opts->bfdd_socket : BGP_BFDD_SOCKET);
	b->opts.bgpd_socket = b->opts.bfdd_socket = NULL;
	if (ops)
		b->ops = *ops;
	b->arg = arg;
	b->retry_ms = BGP_RETRY_MIN_MS;
	b->verdict.reason = REASON_Announced;
	snprintf(b->error, sizeof(b->error), "not connected yet");
	b->ev_resync = event_new(base, -1, 0, on_resync, b);
	b->ev_kick = event_new(base, -1, 0, on_kick, b);
	b->ev_notify = event_new(base, -1, 0, on_notify, b);
	int r = vty_client_new(base, b->bgpd_socket, b->opts.command_timeout_ms, &client_ops, b,
	                       &b->client, e);
	if (r) {
		bgp_free(b);
		return r;
	}
	b->sessions = sessions_new(base, b->client, &sessions_ops, b);
	*ret_bgp = b;
	return 0;
}

void bgp_free(struct bgp *b)
{
	if (!b)
		return;
	vty_client_free(b->client);
	bgp_bfd_free(b->bfd);
	sessions_free(b->sessions);
	event_free(b->ev_resync);
	event_free(b->ev_kick);
	event_free(b->ev_notify);
	bgp_want_free(b->want);
	bgp_state_fini(&b->want_state);
	bgp_state_fini(&b->pending);
	bgp_script_fini(&b->script);
	bgp_have_fini(&b->have);
	free(b->bgpd_socket);
	free(b->bfdd_socket);
	free(b);
}

static void publish_bfd(struct bgp *b)
{
	struct err e;

	if (!b->bfd) {
		if (b->want->n_profiles == 0 && access(b->bfdd_socket, F_OK) != 0)
			return;
		if (bgp_bfd_start(b->base, b->bfdd_socket, b->opts.command_timeout_ms, &b->bfd,
		                  &e)) {
			log_err("no BFD", &e);
			return;
		}
	}
	bgp_bfd_set(b->bfd, b->want->profiles, b->want->n_profiles);
}

uint64_t bgp_publish(struct bgp *b, struct bgp_want *want)
{
	if (!b->decided_ns)
		b->decided_ns = clock_ns();
	bgp_state_fini(&b->want_state);
	bgp_want_state(want, &b->want_state);
	/*
	 * Classes go with the configuration that needed them, not with a Service that comes and
	 * goes.
	 */
	if (b->want && b->want->ready != want->ready)
		b->collect = true;
	bgp_want_free(b->want);
	b->want = want;
	sessions_set(b->sessions, want);
	publish_bfd(b);
	b->generation++;
	/* After a refusal the next attempt waits its turn, but a new state is tried at once. */
	if (b->phase == ENGINE_IDLE && !b->have_valid)
		resync_in(b, 0);
	event_active(b->ev_kick, EV_TIMEOUT, 0);
	return b->generation;
}

uint64_t bgp_applied_generation(const struct bgp *b)
{
	return b->applied;
}

bool bgp_is_done(const struct bgp *b)
{
	bool bfd_left = b->bfd && !bgp_bfd_in_sync(b->bfd) && !bgp_bfd_is_down(b->bfd);

	return b->want && b->want->n_peers == 0 && b->want->n_refused == 0 &&
	       b->want->n_profiles == 0 && b->applied == b->generation && !bfd_left;
}

struct bgp_stats bgp_stats(const struct bgp *b)
{
	return b->stats;
}
