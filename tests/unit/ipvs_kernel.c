/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ipvs_kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/ip_vs.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/channel.h"
#include "proxy/ipvs/settings.h"

struct ipvs_kernel kernel;

/* The first that a list tells; messages of a datagram. */
enum { MESSAGES = 3 };

struct channel {
	enum { NOTHING, ALL, ONE, ENDPOINTS } list;
	struct virtual_id id;
	size_t at, gap; /* SIZE_MAX: none */
};

int __wrap_channel_open(struct channel **ret_channel, struct err *e);
void __wrap_channel_close(struct channel *c);
int __wrap_channel_apply(struct channel *c, const struct ipvs_operation *list, size_t n,
                         int *ret_errors);
int __wrap_channel_list_servers(struct channel *c);
int __wrap_channel_ask_server(struct channel *c, struct virtual_id id);
int __wrap_channel_list_endpoints(struct channel *c, struct virtual_id id);
int __wrap_channel_step(struct channel *c, datagram_fn *fn, void *arg);

void ipvs_kernel_init(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.schedulers = "mh rr wlc none";
}

static bool same_id(struct virtual_id a, struct virtual_id b)
{
	return a.mark == b.mark && a.family == b.family;
}

static bool same_endpoint(const struct virtual_endpoint *a, const struct virtual_endpoint *b)
{
	return addr_eq(&a->addr, &b->addr) && a->port == b->port;
}

struct kernel_server *ipvs_kernel_find(struct virtual_id id)
{
	for (size_t i = 0; i < kernel.n; i++)
		if (same_id(kernel.servers[i].id, id))
			return &kernel.servers[i];
	return NULL;
}

struct kernel_endpoint *ipvs_kernel_endpoint(struct kernel_server *s,
                                             const struct virtual_endpoint *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (same_endpoint(&s->list[i].at, e))
			return &s->list[i];
	return NULL;
}

struct kernel_server *ipvs_kernel_add(struct virtual_id id, const char *scheduler)
{
	struct kernel_server *s = &kernel.servers[kernel.n++];

	if (kernel.n > KERNEL_SERVERS)
		abort();
	*s = (struct kernel_server){ .id = id };
	strcpy(s->scheduler, scheduler);
	return s;
}

void ipvs_kernel_edit(struct kernel_server *s, const char *scheduler)
{
	if (scheduler != s->scheduler)
		strcpy(s->scheduler, scheduler);
	s->flags = s->timeout_s = 0;
}

void ipvs_kernel_remove(struct kernel_server *s)
{
	*s = kernel.servers[--kernel.n];
}

void ipvs_kernel_add_endpoint(struct kernel_server *s, const struct virtual_endpoint *e,
                              uint32_t weight)
{
	if (s->n == KERNEL_ENDPOINTS)
		abort();
	memmove(&s->list[1], &s->list[0], s->n++ * sizeof(s->list[0]));
	s->list[0] = (struct kernel_endpoint){ .at = *e, .weight = weight };
}

void ipvs_kernel_remove_endpoint(struct kernel_server *s, size_t i)
{
	memmove(&s->list[i], &s->list[i + 1], (--s->n - i) * sizeof(s->list[0]));
}

/* ---- settings ---- */

int __wrap_settings_suspend_expiry(void);
void __wrap_settings_resume_expiry(int was);

int __wrap_settings_suspend_expiry(void)
{
	kernel.is_expiry_off = true;
	return 2;
}

void __wrap_settings_resume_expiry(int was)
{
	if (was != 2)
		abort();
	kernel.is_expiry_off = false;
}

/* ---- operations ---- */

static bool has_scheduler(const char *name)
{
	const char *at = strstr(kernel.schedulers, name);

	return at && (at[strlen(name)] == ' ' || !at[strlen(name)]);
}

static int do_server(struct kernel_server *s, const struct ipvs_operation *o)
{
	if (o->verb == IPVS_ADD_SERVER && s)
		return -EEXIST;
	if (o->verb != IPVS_ADD_SERVER && !s)
		return -ESRCH;
	if (o->verb == IPVS_REMOVE_SERVER) {
		ipvs_kernel_remove(s);
		return 0;
	}
	if (!has_scheduler(o->scheduler))
		return -ENOENT;
	if (!s)
		s = ipvs_kernel_add(o->id, o->scheduler);
	strcpy(s->scheduler, o->scheduler);
	s->flags = o->flags;
	s->timeout_s = IPVS_STAMP_S;
	return 0;
}

static int do_endpoint(struct kernel_server *s, const struct ipvs_operation *o)
{
	if (!s)
		return -ESRCH;
	struct kernel_endpoint *e = ipvs_kernel_endpoint(s, &o->endpoint);
	if (o->verb == IPVS_ADD_ENDPOINT) {
		if (e)
			return -EEXIST;
		if (kernel.poisoned && same_endpoint(kernel.poisoned, &o->endpoint))
			return -EINVAL;
		ipvs_kernel_add_endpoint(s, &o->endpoint, o->weight);
		return 0;
	}
	if (!e)
		return -ENOENT;
	if (o->verb == IPVS_CHANGE_ENDPOINT)
		e->weight = o->weight;
	else
		ipvs_kernel_remove_endpoint(s, (size_t)(e - s->list));
	return 0;
}

static int do_one(const struct ipvs_operation *o)
{
	struct kernel_server *s = ipvs_kernel_find(o->id);

	/* What it is only probed with has the tag alone in its mark. */
	kernel.n_operations += (o->id.mark & (o->id.mark - 1)) != 0;
	if (kernel.n_errors > 0) {
		kernel.n_errors--;
		return kernel.error;
	}
	if (kernel.lacks_v6 && o->id.family == 6)
		return -EAFNOSUPPORT;
	return o->verb < IPVS_ADD_ENDPOINT ? do_server(s, o) : do_endpoint(s, o);
}

int __wrap_channel_apply(struct channel *c, const struct ipvs_operation *list, size_t n,
                         int *ret_errors)
{
	c->list = NOTHING;
	kernel.n_batches++;
	/* What moves would be gone until the next batch. */
	if (list[n - 1].moves)
		abort();
	for (size_t i = 0; i < n; i++) {
		/* Nor must its connections end. */
		if (list[i].moves && !kernel.is_expiry_off)
			abort();
		ret_errors[i] = do_one(&list[i]);
	}
	if (kernel.n_lost == 0)
		return 0;
	kernel.n_lost--;
	for (size_t i = 0; i < n; i++)
		ret_errors[i] = -ENOBUFS;
	return -ENOBUFS;
}

/* ---- lists ---- */

int __wrap_channel_open(struct channel **ret_channel, struct err *e)
{
	(void)e;
	*ret_channel = xcalloc(1, sizeof(**ret_channel));
	return 0;
}

void __wrap_channel_close(struct channel *c)
{
	free(c);
}

int __wrap_channel_list_servers(struct channel *c)
{
	*c = (struct channel){ .list = ALL, .gap = SIZE_MAX };
	if (kernel.n_gaps > 0 && kernel.n > 0) {
		kernel.n_gaps--;
		c->gap = kernel.n_gaps % kernel.n;
	}
	return 0;
}

int __wrap_channel_ask_server(struct channel *c, struct virtual_id id)
{
	*c = (struct channel){ .list = ONE, .id = id };
	return 0;
}

int __wrap_channel_list_endpoints(struct channel *c, struct virtual_id id)
{
	*c = (struct channel){ .list = ENDPOINTS, .id = id };
	return 0;
}

static uint16_t af_of(uint8_t family)
{
	return family == 4 ? AF_INET : AF_INET6;
}

static struct nl_msg *begin(uint8_t command)
{
	struct nl_msg *m = nlmsg_alloc();

	genlmsg_put(m, 0, 1, 30, 0, NLM_F_MULTI, command, IPVS_GENL_VERSION);
	return m;
}

static void tell_server(const struct kernel_server *s, datagram_fn *fn, void *arg)
{
	struct nl_msg *m = begin(IPVS_CMD_NEW_SERVICE);
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_SERVICE);
	/* The kernel's own bit is among them. */
	const struct ip_vs_flags flags = { s->flags | IP_VS_SVC_F_HASHED, ~0u };

	nla_put_u16(m, IPVS_SVC_ATTR_AF, af_of(s->id.family));
	nla_put_u32(m, IPVS_SVC_ATTR_FWMARK, s->id.mark);
	nla_put_string(m, IPVS_SVC_ATTR_SCHED_NAME, s->scheduler);
	nla_put(m, IPVS_SVC_ATTR_FLAGS, sizeof(flags), &flags);
	nla_put_u32(m, IPVS_SVC_ATTR_TIMEOUT, s->timeout_s);
	struct nlattr *counters = nla_nest_start(m, IPVS_SVC_ATTR_STATS64);
	nla_put_u64(m, IPVS_STATS_ATTR_CONNS, s->id.mark);
	nla_put_u64(m, IPVS_STATS_ATTR_OUTBYTES, 7);
	nla_nest_end(m, counters);
	nla_nest_end(m, nest);
	fn(nlmsg_hdr(m), arg);
	nlmsg_free(m);
}

static void tell_endpoint(const struct kernel_endpoint *e, datagram_fn *fn, void *arg)
{
	struct nl_msg *m = begin(IPVS_CMD_NEW_DEST);
	struct nlattr *nest = nla_nest_start(m, IPVS_CMD_ATTR_DEST);

	nla_put(m, IPVS_DEST_ATTR_ADDR, 16, e->at.addr.b);
	nla_put_u16(m, IPVS_DEST_ATTR_PORT, htons(e->at.port));
	nla_put_u32(m, IPVS_DEST_ATTR_FWD_METHOD,
	            e->tunnels ? IP_VS_CONN_F_TUNNEL : IP_VS_CONN_F_MASQ);
	nla_put_u32(m, IPVS_DEST_ATTR_WEIGHT, e->weight);
	nla_put_u32(m, IPVS_DEST_ATTR_ACTIVE_CONNS, e->active);
	nla_put_u32(m, IPVS_DEST_ATTR_INACT_CONNS, e->idle);
	nla_nest_end(m, nest);
	fn(nlmsg_hdr(m), arg);
	nlmsg_free(m);
}

static int step_all(struct channel *c, datagram_fn *fn, void *arg)
{
	for (int i = 0; i < MESSAGES; i++, c->at++) {
		if (c->at >= kernel.n)
			return 0;
		if (c->at != c->gap)
			tell_server(&kernel.servers[c->at], fn, arg);
	}
	return 1;
}

static int step_endpoints(struct channel *c, datagram_fn *fn, void *arg)
{
	const struct kernel_server *s = ipvs_kernel_find(c->id);

	for (int i = 0; i < MESSAGES; i++, c->at++) {
		if (!s || c->at >= s->n)
			return 0;
		tell_endpoint(&s->list[c->at], fn, arg);
	}
	return 1;
}

int __wrap_channel_step(struct channel *c, datagram_fn *fn, void *arg)
{
	const struct kernel_server *s;

	if (kernel.n_interrupted > 0) {
		kernel.n_interrupted--;
		return -EINTR;
	}
	switch (c->list) {
	case ALL:
		return step_all(c, fn, arg);
	case ENDPOINTS:
		return step_endpoints(c, fn, arg);
	case ONE:
		s = ipvs_kernel_find(c->id);
		if (!s)
			return -ESRCH;
		tell_server(s, fn, arg);
		return 0;
	case NOTHING:
		break;
	}
	abort();
}
