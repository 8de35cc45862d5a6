/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to be preloaded: lets calls into the kernel's netfilter fail, and those to IPVS and to
 * the node's routes, or processes end beside them, in proxyctl and in every program that it runs.
 *
 * What shall happen stands in a file, whose name is in FAIRLEAD_FAULTS and which all these
 * processes map: struct plan, which tests/e2e/kernelfaults.py writes.  All of them count in it
 * together, so that a number names a call whoever makes it, and the test reads there how many there
 * were.
 *
 * The kernel cannot be made to refuse with any error one likes, so for PLAN_REFUSE a message of the
 * batch is spoilt on its way to the kernel, which then takes none of the batch, or of one to IPVS
 * all but this message, and says so; and in what it says the error is replaced.
 */
#define _GNU_SOURCE
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/*
 * Which calls count: those that write rules, flows or virtual servers, those that read, those that
 * start a child.
 */
#define PLAN_WRITES 1u
#define PLAN_READS 2u
#define PLAN_STARTS 4u

enum plan_action {
	PLAN_COUNT,
	PLAN_END_SELF, /* the process that makes the call, before it or after it */
	PLAN_END_DRIVER,
	PLAN_END_BOTH,
	PLAN_FAIL,      /* the call, without being made */
	PLAN_REFUSE,    /* by the kernel's answer */
	PLAN_INTERRUPT, /* what is read says that it has changed meanwhile */
};

struct plan {
	uint32_t calls;
	uint32_t first, times; /* it happens at so many calls, from this one on; 0: never */
	uint32_t which;
	uint32_t action;
	int32_t error;
	uint32_t done; /* how often it has happened */
	int32_t driver;
	char program[32];  /* only in programs whose name begins so */
	uint32_t n_needle; /* only calls with these bytes in what they write */
	uint8_t needle[28];
};

#define MESSAGE_MAX (1u << 20)
/* The legacy tables' options, the same numbers for both families. */
#define OPTION_REPLACE 64
#define OPTION_ENTRIES 65

static struct plan *plan;
/* The message that was spoilt last, by its number; 0: none. */
static _Thread_local uint32_t spoilt;
/* What the kernel is to say of it, also where the plan has ended meanwhile. */
static _Thread_local int spoilt_error;

#define REAL(name)                     \
	static __typeof__(&name) real; \
	if (!real)                     \
	real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int real_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	REAL(getsockopt);
	return real(fd, level, name, value, size);
}

__attribute__((constructor)) static void map_plan(void)
{
	const char *path = getenv("FAIRLEAD_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	plan = at == MAP_FAILED ? NULL : at;
	if (plan && !strcmp(program_invocation_short_name, "proxyctl"))
		plan->driver = getpid();
}

/* Of netlink's protocols, one that is of interest here; -1: another one, or no netlink at all. */
static int protocol_of(int fd)
{
	int domain = 0, protocol = 0, before = errno;
	socklen_t size = sizeof(int);

	bool is = real_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	          domain == AF_NETLINK &&
	          real_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
	          (protocol == NETLINK_NETFILTER || protocol == NETLINK_GENERIC ||
	           protocol == NETLINK_ROUTE);
	errno = before;
	return is ? protocol : -1;
}

static bool ends_somebody(void)
{
	return plan->action == PLAN_END_SELF || plan->action == PLAN_END_DRIVER ||
	       plan->action == PLAN_END_BOTH;
}

/* Whether it happens at this call, which counts. */
static bool is_due(void)
{
	uint32_t n = __atomic_add_fetch(&plan->calls, 1, __ATOMIC_SEQ_CST);

	if (plan->first == 0 || n < plan->first || n >= plan->first + plan->times)
		return false;
	__atomic_add_fetch(&plan->done, 1, __ATOMIC_SEQ_CST);
	return true;
}

static void end_somebody(void)
{
	if (plan->action != PLAN_END_SELF)
		kill(plan->driver, SIGKILL);
	if (plan->action != PLAN_END_DRIVER)
		kill(getpid(), SIGKILL);
}

static bool counts(uint32_t which, const void *data, size_t size)
{
	return plan && (plan->which & which) &&
	       !strncmp(program_invocation_short_name, plan->program, strlen(plan->program)) &&
	       (plan->n_needle == 0 || memmem(data, size, plan->needle, plan->n_needle));
}

/* Before a call: whether it is to fail, with errno set; @ret_refuse: or to be refused. */
static bool before(uint32_t which, const void *data, size_t size, bool *ret_refuse)
{
	*ret_refuse = false;
	if (!counts(which, data, size) || !is_due())
		return false;
	if (ends_somebody())
		end_somebody();
	*ret_refuse = plan->action == PLAN_REFUSE || plan->action == PLAN_INTERRUPT;
	if (plan->action != PLAN_FAIL)
		return false;
	errno = plan->error;
	return true;
}

/* What ends somebody does so after a call as well. */
static void after(uint32_t which, const void *data, size_t size)
{
	if (counts(which, data, size) && ends_somebody() && is_due())
		end_somebody();
}

/* ---- messages ---- */

static struct genlmsghdr *generic(struct nlmsghdr *h)
{
	return NLMSG_DATA(h);
}

static bool writes(int protocol, struct nlmsghdr *h)
{
	bool flows = h->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE);

	switch (protocol) {
	case NETLINK_GENERIC: /* IPVS' own commands, not the question who it is */
		return h->nlmsg_type != GENL_ID_CTRL && generic(h)->cmd != IPVS_CMD_GET_SERVICE &&
		       generic(h)->cmd != IPVS_CMD_GET_DEST;
	case NETLINK_ROUTE: /* of each four kinds the third one asks */
		return (h->nlmsg_type - RTM_BASE) % 4 != RTM_GETLINK - RTM_BASE;
	default:
		return h->nlmsg_type == NFNL_MSG_BATCH_BEGIN || flows;
	}
}

static uint32_t kind_of(int protocol, char *data, size_t size)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)data;

	if (size < NLMSG_HDRLEN + GENL_HDRLEN)
		return PLAN_READS;
	return writes(protocol, h) ? PLAN_WRITES : PLAN_READS;
}

static bool may_be_spoilt(int protocol, const struct nlmsghdr *h)
{
	return h->nlmsg_type >= NLMSG_MIN_TYPE &&
	       (protocol != NETLINK_NETFILTER || h->nlmsg_type >> 8 != NFNL_SUBSYS_NONE);
}

/* Makes a message one that the kernel does not know: the last one with the needle, or the first. */
static void spoil(int protocol, char *data, size_t size)
{
	struct nlmsghdr *found = NULL;
	int left = (int)size;

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)data; NLMSG_OK(h, left);
	     h = NLMSG_NEXT(h, left)) {
		if (!may_be_spoilt(protocol, h))
			continue;
		if (plan->n_needle ? memmem(h, h->nlmsg_len, plan->needle, plan->n_needle) != NULL
		                   : !found)
			found = h;
	}
	if (!found)
		return;
	if (protocol == NETLINK_GENERIC)
		generic(found)->cmd = UINT8_MAX;
	else
		found->nlmsg_type |= 0xff;
	spoilt = found->nlmsg_seq;
	spoilt_error = plan->error;
}

static void replace_error(char *data, size_t size)
{
	int left = (int)size;

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)data; NLMSG_OK(h, left);
	     h = NLMSG_NEXT(h, left)) {
		int *e = NLMSG_DATA(h);
		if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == spoilt && *e < 0)
			*e = -spoilt_error;
	}
}

static void interrupt(char *data, size_t size)
{
	int left = (int)size;

	for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)data; NLMSG_OK(h, left);
	     h = NLMSG_NEXT(h, left))
		if (h->nlmsg_flags & NLM_F_MULTI)
			h->nlmsg_flags |= NLM_F_DUMP_INTR;
}

static ssize_t plain_sendmsg(int fd, const struct msghdr *m, int flags)
{
	REAL(sendmsg);
	return real(fd, m, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	int protocol = plan ? protocol_of(fd) : -1;
	size_t size = 0;
	bool refuse;

	if (protocol < 0)
		return plain_sendmsg(fd, m, flags);
	char *data = malloc(MESSAGE_MAX);
	for (size_t i = 0; data && i < m->msg_iovlen; i++) {
		size_t n = m->msg_iov[i].iov_len;
		if (size + n > MESSAGE_MAX)
			abort();
		memcpy(data + size, m->msg_iov[i].iov_base, n);
		size += n;
	}
	uint32_t which = kind_of(protocol, data, size);
	ssize_t r = -1;
	if (!before(which, data, size, &refuse)) {
		struct iovec iov = { data, size };
		struct msghdr whole = *m;
		whole.msg_iov = &iov;
		whole.msg_iovlen = 1;
		if (refuse && which == PLAN_WRITES)
			spoil(protocol, data, size);
		r = plain_sendmsg(fd, &whole, flags);
		after(which, data, size);
	}
	free(data);
	return r;
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
               socklen_t to_size)
{
	REAL(sendto);
	struct iovec iov = { (void *)data, size };
	const struct msghdr m = {
		.msg_name = (void *)to, .msg_namelen = to_size, .msg_iov = &iov, .msg_iovlen = 1
	};

	return plan && protocol_of(fd) >= 0 ? sendmsg(fd, &m, flags)
	                                    : real(fd, data, size, flags, to, to_size);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	return sendto(fd, data, size, flags, NULL, 0);
}

static ssize_t plain_recvmsg(int fd, struct msghdr *m, int flags)
{
	REAL(recvmsg);
	return real(fd, m, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	bool intr = false;

	if (!plan || protocol_of(fd) < 0)
		return plain_recvmsg(fd, m, flags);
	if (before(PLAN_READS, NULL, 0, &intr))
		return -1;
	ssize_t n = plain_recvmsg(fd, m, flags);
	size_t size = n > 0 && m->msg_iovlen > 0 ? (size_t)n : 0;
	size = size && m->msg_iov[0].iov_len < size ? m->msg_iov[0].iov_len : size;
	if (size && intr && plan->action == PLAN_INTERRUPT)
		interrupt(m->msg_iov[0].iov_base, size);
	if (size && spoilt)
		replace_error(m->msg_iov[0].iov_base, size);
	return n;
}

ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *from,
                 socklen_t *from_size)
{
	REAL(recvfrom);
	struct iovec iov = { data, size };
	struct msghdr m = { .msg_name = from, .msg_iov = &iov, .msg_iovlen = 1 };

	if (!plan || protocol_of(fd) < 0)
		return real(fd, data, size, flags, from, from_size);
	m.msg_namelen = from_size ? *from_size : 0;
	ssize_t n = recvmsg(fd, &m, flags);
	if (from_size)
		*from_size = m.msg_namelen;
	return n;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	return recvfrom(fd, data, size, flags, NULL, NULL);
}

/* ---- the legacy tables ---- */

static bool is_legacy(int level)
{
	return level == IPPROTO_IP || level == IPPROTO_IPV6;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	REAL(setsockopt);
	bool refuse;

	if (!plan || !is_legacy(level) || name != OPTION_REPLACE)
		return real(fd, level, name, value, size);
	if (before(PLAN_WRITES, value, size, &refuse))
		return -1;
	if (refuse) {
		errno = plan->error;
		return -1;
	}
	int r = real(fd, level, name, value, size);
	after(PLAN_WRITES, value, size);
	return r;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	bool intr;

	if (!plan || !is_legacy(level) || name != OPTION_ENTRIES)
		return real_getsockopt(fd, level, name, value, size);
	if (before(PLAN_READS, NULL, 0, &intr))
		return -1;
	if (intr) {
		errno = EAGAIN; /* its way to say the same */
		return -1;
	}
	return real_getsockopt(fd, level, name, value, size);
}

/* ---- children ---- */

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	REAL(posix_spawnp);
	bool refuse;

	if (before(PLAN_STARTS, NULL, 0, &refuse) || refuse)
		return plan->error;
	int r = real(pid, file, actions, attr, argv, env);
	after(PLAN_STARTS, NULL, 0);
	return r;
}
