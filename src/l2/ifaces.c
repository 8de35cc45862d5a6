/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/ifaces.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>

#include "fairlead/mem.h"

#define SETTING_FORMAT "/proc/sys/net/ipv4/conf/%s/%s"

/* ---- reading ---- */

bool ifaces_name_matches(const regex_t *pattern, const char *name)
{
	/*
	 * regexec() finds the first and longest match (POSIX), and so the whole name if that
	 * matches.
	 */
	regmatch_t m;

	return regexec(pattern, name, 1, &m, 0) == 0 && m.rm_so == 0 && !name[m.rm_eo];
}

/* A bridge, a bond or the like takes the interface's frames.  A VRF only takes its routes. */
static bool is_port(struct rtnl_link *link, struct nl_cache *links)
{
	int index = rtnl_link_get_master(link);

	if (index <= 0)
		return false;
	struct rtnl_link *master = rtnl_link_get(links, index);
	bool vrf =
		master && rtnl_link_get_type(master) && !strcmp(rtnl_link_get_type(master), "vrf");
	if (master)
		rtnl_link_put(master);
	return !vrf;
}

static bool usable(struct rtnl_link *link, struct nl_cache *links, const regex_t *pattern)
{
	unsigned int flags = rtnl_link_get_flags(link);
	const char *name = rtnl_link_get_name(link);
	struct nl_addr *mac = rtnl_link_get_addr(link);

	return name && strlen(name) < IFACE_NAME_SIZE && mac && nl_addr_get_len(mac) == 6 &&
	       rtnl_link_get_arptype(link) == ARPHRD_ETHER &&
	       !(flags & (IFF_LOOPBACK | IFF_NOARP)) && !is_port(link, links) &&
	       (!pattern || ifaces_name_matches(pattern, name));
}

static bool own_addr(struct rtnl_addr *ra, struct addr *ret_addr)
{
	struct nl_addr *local = rtnl_addr_get_local(ra);
	unsigned int size = local ? nl_addr_get_len(local) : 0;

	/* Another machine has it. */
	if (rtnl_addr_get_flags(ra) & IFA_F_DADFAILED)
		return false;
	if (size != 4 && size != 16)
		return false;
	struct addr a = { .family = size == 4 ? 4 : 6 };
	memcpy(a.b, nl_addr_get_binary_addr(local), size);
	*ret_addr = a;
	return true;
}

/*
 * Addresses of one IPv6 prefix may be many and change all the time (RFC 8981), and one of them
 * tells the subnet.
 */
static bool is_told(const struct iface *i, const struct prefix *p)
{
	for (size_t s = 0; p->addr.family == 6 && s < i->n_subnets; s++)
		if (prefix_eq(&i->subnets[s].prefix, p))
			return true;
	return false;
}

static void add_subnet(struct iface *i, struct rtnl_addr *ra, size_t *n_left_out)
{
	struct addr own;

	if (rtnl_addr_get_ifindex(ra) != i->index || !own_addr(ra, &own))
		return;
	if (own.family == 6 && rtnl_addr_get_scope(ra) == RT_SCOPE_LINK && !i->link_local.family)
		i->link_local = own;
	if (rtnl_addr_get_scope(ra) != RT_SCOPE_UNIVERSE)
		return;
	int len = rtnl_addr_get_prefixlen(ra);
	struct prefix prefix = prefix_of(&own, len >= 0 ? (unsigned int)len : addr_bits(&own));
	if (is_told(i, &prefix))
		return;
	if (i->n_subnets == IFACE_SUBNETS_MAX) {
		++*n_left_out;
		return;
	}
	i->subnets[i->n_subnets].own = own;
	i->subnets[i->n_subnets++].prefix = prefix;
}

struct addr iface_source(const struct iface *i, uint8_t family)
{
	if (family == 6 && i->link_local.family)
		return i->link_local;
	for (size_t s = 0; s < i->n_subnets; s++)
		if (i->subnets[s].own.family == family)
			return i->subnets[s].own;
	return (struct addr){ 0 };
}

/*
 * The setting as the kernel takes it for the interface (IN_DEV_MAXCONF), -1 if it cannot be read.
 */
static int setting(const char *interface, const char *name)
{
	const char *const of[] = { "all", interface };
	int value = -1;
	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		char path[128];
		int v;
		snprintf(path, sizeof(path), SETTING_FORMAT, of[i], name);
		FILE *f = fopen(path, "re");
		if (!f)
			return -1;
		if (fscanf(f, "%d", &v) == 1 && v > value)
			value = v;
		fclose(f);
	}
	return value;
}

static void read_link(struct rtnl_link *link, struct nl_cache *addrs, size_t *n_left_out,
                      struct iface *ret_iface)
{
	struct iface i = { .index = rtnl_link_get_ifindex(link) };
	unsigned int flags = rtnl_link_get_flags(link);

	memcpy(i.name, rtnl_link_get_name(link), strlen(rtnl_link_get_name(link)) + 1);
	memcpy(i.mac, nl_addr_get_binary_addr(rtnl_link_get_addr(link)), sizeof(i.mac));
	i.mtu = rtnl_link_get_mtu(link);
	i.up = (flags & IFF_UP) && rtnl_link_get_carrier(link);
	for (struct nl_object *o = nl_cache_get_first(addrs); o; o = nl_cache_get_next(o))
		add_subnet(&i, (struct rtnl_addr *)o, n_left_out);
	i.arp_ignore = i.proxy_arp = -1;
	if (iface_source(&i, 4).family) {
		i.arp_ignore = setting(i.name, "arp_ignore");
		i.proxy_arp = setting(i.name, "proxy_arp");
	}
	*ret_iface = i;
}

static int by_addr(const void *a, const void *b)
{
	const struct iface_local *x = a, *y = b;

	return addr_cmp(&x->addr, &y->addr);
}

static void read_locals(struct nl_cache *links, struct nl_cache *addrs, struct ifaces *all)
{
	size_t cap = 0;

	for (struct nl_object *o = nl_cache_get_first(addrs); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *ra = (struct rtnl_addr *)o;
		struct iface_local l = { .index = rtnl_addr_get_ifindex(ra),
			                 .host_scope = rtnl_addr_get_scope(ra) == RT_SCOPE_HOST };
		if (!own_addr(ra, &l.addr) ||
		    (l.addr.family == 6 && rtnl_addr_get_scope(ra) == RT_SCOPE_LINK))
			continue;
		if (all->n_locals == IFACES_LOCALS_MAX) {
			all->n_left_out++;
			continue;
		}
		rtnl_link_i2name(links, l.index, l.interface, sizeof(l.interface));
		ARRAY_RESERVE(all->locals, cap, all->n_locals + 1);
		all->locals[all->n_locals++] = l;
	}
	if (all->n_locals > 0)
		qsort(all->locals, all->n_locals, sizeof(*all->locals), by_addr);
}

static int by_index(const void *a, const void *b)
{
	const struct iface *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int read_all(struct nl_sock *sock, const regex_t *pattern, struct ifaces *ret_ifaces)
{
	struct nl_cache *links = NULL, *addrs = NULL;
	struct ifaces all = { 0 };
	size_t cap = 0;
	int r = rtnl_link_alloc_cache(sock, AF_UNSPEC, &links);

	if (r >= 0)
		r = rtnl_addr_alloc_cache(sock, &addrs);
	for (struct nl_object *o = r < 0 ? NULL : nl_cache_get_first(links); o;
	     o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)o;
		if (!usable(link, links, pattern))
			continue;
		struct iface iface;
		read_link(link, addrs, &all.n_left_out, &iface);
		if (iface.n_subnets == 0)
			continue;
		if (all.n == IFACES_MAX) {
			all.n_left_out++;
			continue;
		}
		ARRAY_RESERVE(all.list, cap, all.n + 1);
		all.list[all.n++] = iface;
	}
	if (r >= 0)
		read_locals(links, addrs, &all);
	nl_cache_free(addrs);
	nl_cache_free(links);
	if (r < 0)
		return r;
	if (all.n > 0)
		qsort(all.list, all.n, sizeof(*all.list), by_index);
	*ret_ifaces = all;
	return 0;
}

int ifaces_read(const regex_t *pattern, struct ifaces *ret_ifaces, struct err *e)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (!sock)
		return err_set(e, -ENOMEM, ERR_SYSTEM, "netlink: out of memory");
	int r = nl_connect(sock, NETLINK_ROUTE);
	if (r >= 0)
		r = read_all(sock, pattern, ret_ifaces);
	nl_socket_free(sock);
	if (r < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "reading the interfaces: %s", nl_geterror(r));
	return 0;
}

void ifaces_fini(struct ifaces *i)
{
	free(i->list);
	free(i->locals);
	*i = (struct ifaces){ 0 };
}

static bool iface_eq(const struct iface *a, const struct iface *b)
{
	if (strcmp(a->name, b->name) != 0 || a->index != b->index || a->up != b->up ||
	    a->mtu != b->mtu || a->arp_ignore != b->arp_ignore || a->proxy_arp != b->proxy_arp ||
	    memcmp(a->mac, b->mac, sizeof(a->mac)) != 0 || a->n_subnets != b->n_subnets ||
	    !addr_eq(&a->link_local, &b->link_local))
		return false;
	for (size_t i = 0; i < a->n_subnets; i++)
		if (!addr_eq(&a->subnets[i].own, &b->subnets[i].own) ||
		    a->subnets[i].prefix.len != b->subnets[i].prefix.len)
			return false;
	return true;
}

static bool local_eq(const struct iface_local *a, const struct iface_local *b)
{
	return addr_eq(&a->addr, &b->addr) && a->index == b->index &&
	       a->host_scope == b->host_scope && !strcmp(a->interface, b->interface);
}

bool ifaces_eq(const struct ifaces *a, const struct ifaces *b)
{
	if (a->n != b->n || a->n_locals != b->n_locals || a->n_left_out != b->n_left_out)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!iface_eq(&a->list[i], &b->list[i]))
			return false;
	for (size_t i = 0; i < a->n_locals; i++)
		if (!local_eq(&a->locals[i], &b->locals[i]))
			return false;
	return true;
}

static bool goes_before(const struct iface *a, const struct iface *b)
{
	if (a->up != b->up)
		return a->up;
	return a->in_use && !b->in_use;
}

const struct iface *ifaces_find(const struct ifaces *i, const bool *allowed, const struct addr *a)
{
	const struct iface *best = NULL;
	int best_len = -1;

	for (size_t n = 0; n < i->n; n++)
		for (size_t s = 0; s < i->list[n].n_subnets; s++) {
			const struct prefix *p = &i->list[n].subnets[s].prefix;
			if (p->len < best_len || !prefix_contains(p, a))
				continue;
			if (allowed && !allowed[n])
				continue;
			if (p->len == best_len && !goes_before(&i->list[n], best))
				continue;
			best = &i->list[n];
			best_len = p->len;
		}
	return best;
}

/*
 * As arp_ignore() in the kernel's net/ipv4/arp.c does, and ndisc_recv_ns() in net/ipv6/ndisc.c,
 * which looks at the addresses of the interface alone.
 */
static bool ignored(const struct iface_local *l, const struct iface *iface)
{
	if (l->addr.family == 6)
		return l->index != iface->index;
	switch (iface->arp_ignore) {
	case -1: /* not known */
		return true;
	case 1:
	case 2:
		return l->index != iface->index;
	case 3:
		return l->host_scope;
	case 8:
		return true;
	default:
		return false;
	}
}

const char *ifaces_kernel_answers(const struct ifaces *i, const struct iface *iface,
                                  const struct addr *a)
{
	size_t low = 0, high = i->n_locals;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (addr_cmp(&i->locals[mid].addr, a) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < i->n_locals; low++) {
		if (!addr_eq(&i->locals[low].addr, a))
			break;
		if (!ignored(&i->locals[low], iface))
			return i->locals[low].interface;
	}
	return NULL;
}

const struct iface *ifaces_first(const struct ifaces *i, const bool *among)
{
	const struct iface *first = NULL;

	for (size_t n = 0; among && n < i->n; n++)
		if (among[n] && (!first || goes_before(&i->list[n], first)))
			first = &i->list[n];
	return first;
}

static bool has_subnet(const struct iface *iface, const struct prefix *p)
{
	for (size_t s = 0; s < iface->n_subnets; s++)
		if (prefix_eq(&iface->subnets[s].prefix, p))
			return true;
	return false;
}

/* The one that ifaces_find() prefers among those with exactly this subnet. */
static const struct iface *first_of(const struct ifaces *i, const struct prefix *p)
{
	const struct iface *first = NULL;

	for (size_t n = 0; n < i->n; n++)
		if (has_subnet(&i->list[n], p) && (!first || goes_before(&i->list[n], first)))
			first = &i->list[n];
	return first;
}

bool ifaces_is_spare(const struct ifaces *i, int index)
{
	for (size_t n = 0; n < i->n; n++)
		for (size_t s = 0; s < i->list[n].n_subnets && i->list[n].index == index; s++)
			if (first_of(i, &i->list[n].subnets[s].prefix) == &i->list[n])
				return false;
	return true;
}

bool ifaces_meet(const struct iface *a, const struct iface *b)
{
	for (size_t s = 0; s < a->n_subnets; s++)
		if (has_subnet(b, &a->subnets[s].prefix))
			return true;
	return false;
}

bool ifaces_serves(const struct ifaces *i, const bool *allowed, const struct iface *iface,
                   const struct addr_range *r)
{
	for (size_t s = 0; s < iface->n_subnets; s++) {
		struct addr_range subnet = prefix_range(&iface->subnets[s].prefix);
		if (addr_range_overlaps(&subnet, r) &&
		    ifaces_find(i, allowed, &iface->subnets[s].own) == iface)
			return true;
	}
	return false;
}

/* The last address of the largest subnet with @a that is allowed; false: there is none. */
static bool subnet_ends(const struct ifaces *i, const bool *allowed, const struct addr *a,
                        struct addr *ret_last)
{
	bool found = false;

	for (size_t n = 0; n < i->n; n++)
		for (size_t s = 0; s < i->list[n].n_subnets; s++) {
			const struct prefix *p = &i->list[n].subnets[s].prefix;
			struct addr last = prefix_range(p).last;
			if ((allowed && !allowed[n]) || !prefix_contains(p, a) ||
			    (found && addr_cmp(&last, ret_last) <= 0))
				continue;
			*ret_last = last;
			found = true;
		}
	return found;
}

bool ifaces_cover(const struct ifaces *i, const bool *allowed, const struct addr_range *r)
{
	struct addr at = r->first, last;

	do {
		if (!subnet_ends(i, allowed, &at, &last))
			return false;
	} while (addr_cmp(&last, &r->last) < 0 && addr_next(&last, &at));
	return true;
}
