/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: two planes, one a family, or none of them.
 */
#include "config.h"

#include "fairlead/proxy.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "fairlead/metrics.h"
#include "fairlead/out.h"
#include "proxy/foreign.h"
#include "proxy/iptables/plane.h"
#include "proxy/iptables/variant.h"

struct proxy {
	enum proxy_mode mode;
	const struct variant *variant;
	const struct variant *other; /* has rules of ours from an earlier life; NULL: it has none */
	struct plane *planes[2];     /* IPv4, IPv6; NULL in mode none */
	int audit_ms;
	struct event *remove;    /* tries to remove those; NULL in mode none */
	struct event *removed;   /* hears of it, while that is under way */
	struct foreign *foreign; /* NULL in mode none */
	struct proxy_ops ops;
	void *arg;
	struct event *applied; /* mode none: tells the caller, from the loop */
};

/* Whatever the planes say of themselves. */
static struct proxy_stats planes_stats(const struct proxy *p)
{
	struct proxy_stats st = { .in_sync = true, .settled = true };

	for (int i = 0; i < 2; i++)
		if (p->planes[i])
			plane_add_stats(p->planes[i], &st);
	return st;
}

static bool planes_are_settled(const struct proxy *p)
{
	return planes_stats(p).settled;
}

static void on_failed(const struct err *e, void *arg)
{
	struct proxy *p = arg;

	if (p->ops.failed)
		p->ops.failed(e, p->arg);
}

/* ---- the rules of the other variant ---- */

struct removal {
	const struct variant *variant;
	int fd; /* where the answer goes */
};

struct answer {
	int r;
	struct err e;
};

/* In a thread: it runs programs and waits for them, and for whoever holds iptables' lock. */
static void *remove_in_thread(void *arg)
{
	struct removal *job = arg;
	struct answer a = { .e = ERR_INIT };

	a.r = variant_clean(job->variant, &a.e);
	/* Where nobody listens any more, nobody needs it. */
	(void)!send(job->fd, &a, sizeof(a), MSG_NOSIGNAL);
	close(job->fd);
	free(job);
	return NULL;
}

static int start_removal(const struct variant *v, int fd)
{
	struct removal *job = xcalloc(1, sizeof(*job));
	pthread_t thread;

	*job = (struct removal){ v, fd };
	int r = pthread_create(&thread, NULL, remove_in_thread, job);
	if (r != 0)
		free(job);
	else
		pthread_detach(thread);
	return -r;
}

static void drop_removed(struct proxy *p)
{
	if (!p->removed)
		return;
	int fd = event_get_fd(p->removed);
	event_free(TAKE(p->removed));
	close(fd);
}

static void remove_later(struct proxy *p, const struct err *e)
{
	struct timeval tv = { p->audit_ms / 1000, p->audit_ms % 1000 * 1000 };

	on_failed(e, p);
	evtimer_add(p->remove, &tv);
}

static void on_removed(evutil_socket_t fd, short what, void *arg)
{
	struct proxy *p = arg;
	struct answer a = { .r = -EIO, .e = ERR_INIT };

	(void)what;
	(void)!recv(fd, &a, sizeof(a), 0);
	drop_removed(p);
	if (a.r < 0) {
		remove_later(p, &a.e);
		return;
	}
	p->other = NULL;
	if (p->ops.applied)
		p->ops.applied(p->arg);
}

/* When all rules are here, those that an earlier life wrote with the other programs go. */
static void on_remove(evutil_socket_t unused, short what, void *arg)
{
	struct proxy *p = arg;
	struct err e = ERR_INIT;
	int fds[2];

	(void)unused;
	(void)what;
	if (p->removed || !p->other || !planes_are_settled(p))
		return;
	log_info("removing our rules of the other variant of iptables",
	         KV_S("variant", p->other->name));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		err_set(&e, -errno, ERR_SYSTEM, "socketpair: %s", strerror(errno));
		remove_later(p, &e);
		return;
	}
	p->removed = event_new(event_get_base(p->remove), fds[0], EV_READ, on_removed, p);
	event_add(p->removed, NULL);
	if (start_removal(p->other, fds[1]) < 0)
		close(fds[1]); /* which is an answer, too */
}

static void on_applied(void *arg)
{
	struct proxy *p = arg;

	if (p->other && !evtimer_pending(p->remove, NULL))
		on_remove(-1, 0, p);
	if (p->ops.applied)
		p->ops.applied(p->arg);
}

static void on_foreign_rules(void *arg)
{
	const struct proxy *p = arg;

	if (p->foreign)
		foreign_hint(p->foreign);
}

static void on_nothing_to_do(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	on_applied(arg);
}

/*
 * With this sysctl on, the kernel itself lets odd packets of known flows pass translated; dropping
 * them would undo that.
 */
static bool tcp_is_liberal(void)
{
	FILE *f = fopen("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c == '1';
}

static int check_mark(uint32_t mark, struct err *e)
{
	if (mark == 0 || (mark & (mark - 1)) != 0)
		return err_set(e, -EINVAL, ERR_CONFIG, "the mark 0x%x is not one bit", mark);
	return 0;
}

/* The first line that is no remark, as iptables-nft makes one where legacy tables exist. */
static char *complaint(const char *said)
{
	while (*said == '#') {
		said += strcspn(said, "\n");
		said += *said == '\n';
	}
	return xstrndup(said, strcspn(said, "\n"));
}

static int start_planes(struct proxy *p, struct event_base *base, const struct proxy_options *opts,
                        struct err *e)
{
	static const struct plane_ops ops = { .applied = on_applied,
		                              .failed = on_failed,
		                              .foreign = on_foreign_rules };
	struct render_options o = {
		.mark = opts->mark ? opts->mark : PROXY_MARK_DEFAULT,
		.cluster_cidrs = opts->cluster_cidrs,
		.n_cluster_cidrs = opts->n_cluster_cidrs,
		.drop_invalid = !tcp_is_liberal(),
		.clamp_mss = opts->clamp_mss,
	};
	int audit_ms = p->audit_ms = opts->audit_ms ? opts->audit_ms : PROXY_AUDIT_MS;
	int r = check_mark(o.mark, e);

	if (r == 0)
		r = variant_choose(opts->variant ? opts->variant : "auto", &p->variant, e);
	if (r < 0)
		return r;
	o.random_fully = variant_random_fully(p->variant);
	for (int i = 0; i < 2; i++) {
		o.family = i == 0 ? 4 : 6;
		cleanup(buf_fini) struct buf why = BUF_INIT;
		if (variant_has_family(p->variant, o.family, &why)) {
			p->planes[i] = plane_new(base, p->variant, &o, audit_ms, NULL, &ops, p);
			continue;
		}
		cleanup_free char *said = complaint(buf_str(&why));
		if (i == 0)
			return err_set(e, -ENOTSUP, ERR_SYSTEM,
			               "%s cannot use the kernel's nat table%s%s",
			               p->variant->iptables[0], *said ? ": " : "", said);
		log_warn("no iptables for IPv6 here; Services get IPv4 rules only, and no IPv6 "
		         "address is announced until there is",
		         KV_S("program", p->variant->iptables[1]), KV_S("error", said));
		p->planes[i] = plane_new(base, p->variant, &o, audit_ms, said, &ops, p);
	}
	p->foreign = foreign_new(base, p->variant == &variants[0], audit_ms, on_applied, p);
	p->remove = evtimer_new(base, on_remove, p);
	const struct variant *other = &variants[p->variant == &variants[0]];
	if (variant_has_ours(other))
		p->other = other;
	log_info("service proxy programs iptables", KV_S("variant", p->variant->name));
	return 0;
}

int proxy_start(struct event_base *base, const struct proxy_options *opts,
                const struct proxy_ops *ops, void *arg, struct proxy **ret_proxy, struct err *e)
{
	struct proxy *p = xcalloc(1, sizeof(*p));
	int r = 0;

	p->mode = opts->mode;
	p->ops = ops ? *ops : (struct proxy_ops){ .applied = NULL };
	p->arg = arg;
	switch (p->mode) {
	case PROXY_NONE:
		p->applied = evtimer_new(base, on_nothing_to_do, p);
		break;
	case PROXY_IPTABLES:
		r = start_planes(p, base, opts, e);
		break;
	}
	if (r < 0) {
		proxy_free(p);
		return r;
	}
	*ret_proxy = p;
	return 0;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	plane_free(p->planes[0]);
	plane_free(p->planes[1]);
	foreign_free(p->foreign);
	drop_removed(p);
	if (p->remove)
		event_free(p->remove);
	if (p->applied)
		event_free(p->applied);
	free(p);
}

void proxy_end(struct proxy *p)
{
	plane_end(TAKE(p->planes[0]));
	plane_end(TAKE(p->planes[1]));
	proxy_free(p);
}

static struct plane *plane_of(const struct proxy *p, uint8_t family)
{
	return p->planes[variant_index(family)];
}

static void tell_applied(struct proxy *p)
{
	struct timeval now = { 0, 0 };

	if (p->applied)
		evtimer_add(p->applied, &now);
}

void proxy_set(struct proxy *p, const struct proxy_service *s)
{
	tell_applied(p);
	for (int i = 0; i < PROXY_HALVES; i++) {
		if (p->planes[i] && s->halves[i])
			plane_set(p->planes[i], s->halves[i]);
		else if (p->planes[i])
			plane_remove(p->planes[i], s->key);
	}
}

void proxy_remove(struct proxy *p, const char *key)
{
	proxy_set(p, &(struct proxy_service){ .key = key });
}

void proxy_complete(struct proxy *p)
{
	for (int i = 0; i < 2; i++)
		if (p->planes[i])
			plane_complete(p->planes[i]);
}

bool proxy_is_applied(const struct proxy *p, const char *key, uint8_t family)
{
	const struct plane *plane = plane_of(p, family);

	return plane ? plane_is_applied(plane, key) : p->mode == PROXY_NONE;
}

bool proxy_is_damaged(const struct proxy *p, const char *key, uint8_t family)
{
	const struct plane *plane = plane_of(p, family);

	return plane && plane_is_damaged(plane, key);
}

const char *proxy_refusal(const struct proxy *p, const char *key, uint8_t family)
{
	const struct plane *plane = plane_of(p, family);

	return plane ? plane_refusal(plane, key) : NULL;
}

enum proxy_passage proxy_passage(const struct proxy *p, uint8_t family, const char **ret_where)
{
	const struct plane *plane = plane_of(p, family);

	*ret_where = "";
	if (!plane)
		return PROXY_PASSES;
	if (plane_forward_is_refused(plane)) {
		*ret_where = "iptables' chain FORWARD";
		return PROXY_REFUSED;
	}
	const struct foreign_finding *found = foreign_finding(p->foreign, family);
	*ret_where = found->where;
	return found->passage;
}

bool proxy_forward_is_refused(const struct proxy *p, uint8_t family)
{
	const char *where;

	return proxy_passage(p, family, &where) == PROXY_REFUSED;
}

bool proxy_any_hindrance(const struct proxy *p)
{
	for (int i = 0; i < 2; i++)
		if (p->planes[i] &&
		    (plane_any_damaged(p->planes[i]) || plane_n_refused(p->planes[i]) > 0 ||
		     proxy_forward_is_refused(p, i == 0 ? 4 : 6)))
			return true;
	return false;
}

struct proxy_stats proxy_stats(const struct proxy *p)
{
	struct proxy_stats st = planes_stats(p);

	st.in_sync = st.in_sync && !p->other;
	return st;
}

static const struct metrics_stat stat_rows[] = {
#define PROXY_STAT(member, from, name, type, help) METRICS_STAT(struct proxy_stats, member, name),
#include "fairlead/metrics.def"
};

void proxy_metrics(const struct proxy *p, struct metrics_writer *w)
{
	const struct proxy_stats st = proxy_stats(p);

	metrics_stats(w, stat_rows, ARRAY_LEN(stat_rows), &st);
	metrics_value(w, METRIC_fairlead_proxy_in_sync, st.in_sync);
}

static void put_passages(const struct proxy *p, struct out *o)
{
	static const char *const words[] = { [PROXY_PASSES] = "passes",
		                             [PROXY_UNCERTAIN] = "uncertain",
		                             [PROXY_REFUSED] = "refused" };

	out_list(o, "forward");
	for (int i = 0; i < 2; i++) {
		const char *where;
		enum proxy_passage passage = proxy_passage(p, i == 0 ? 4 : 6, &where);
		out_object(o, NULL);
		out_int(o, "family", i == 0 ? 4 : 6);
		out_str(o, "passage", words[passage]);
		out_str(o, "where", where);
		out_close(o);
	}
	out_close(o);
}

void proxy_status(const struct proxy *p, const char *key, struct out *o)
{
	struct proxy_stats st = proxy_stats(p);

	out_object(o, key);
	out_str(o, "mode", p->mode == PROXY_NONE ? "none" : "iptables");
	out_str(o, "variant", p->variant ? p->variant->name : NULL);
	out_bool(o, "in_sync", st.in_sync);
	metrics_stats_put(stat_rows, ARRAY_LEN(stat_rows), &st, o);
	out_int(o, "last_success_ms", st.last_success_ms);
	put_passages(p, o);
	out_list(o, "families");
	for (int i = 0; i < 2; i++)
		if (p->planes[i])
			plane_status(p->planes[i], o);
	out_close(o);
	out_close(o);
}
