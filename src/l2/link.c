/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/link.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fairlead/clock.h"
#include "fairlead/mem.h"
#include "fairlead/wire.h"
#include "l2/filter.h"

/*
 * The rings are private memory, so they are no larger than a burst of messages from a few peers
 * needs.
 */
#define BUFFER_SIZE (256 * 1024)
#define MACS_SIZE 12
#define TAG_SIZE 4

struct link {
	pcap_t *queues[LINK_QUEUES];
	unsigned int dropped; /* by the kernel, as of link_has_lost() */
};

struct receiver {
	link_frame_fn *fn;
	void *arg;
};

/* Makes the network card accept a group; the port need not be promiscuous. */
static int join_group(int fd, const char *interface, const uint8_t *mac)
{
	struct packet_mreq mreq = { .mr_ifindex = (int)if_nametoindex(interface),
		                    .mr_type = PACKET_MR_MULTICAST,
		                    .mr_alen = WIRE_MAC_SIZE };

	memcpy(mreq.mr_address, mac, WIRE_MAC_SIZE);
	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0 ? -errno
	                                                                                  : 0;
}

/* Nodes that have only IPv6 send to its group, for which the kernel asks where IPv6 is on alone. */
static int join_groups(int fd, const char *interface)
{
	int r = join_group(fd, interface, wire_group_mac);

	return r < 0 ? r : join_group(fd, interface, wire_group6_mac);
}

static int configure(pcap_t *pcap, const char *interface, struct bpf_program *filter, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE];

	/* Frames one by one as they come: batching would delay them. */
	if (pcap_set_snaplen(pcap, FILTER_SNAPSHOT_SIZE) < 0 || pcap_set_promisc(pcap, 0) < 0 ||
	    pcap_set_immediate_mode(pcap, 1) < 0 || pcap_set_buffer_size(pcap, BUFFER_SIZE) < 0 ||
	    pcap_activate(pcap) < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, pcap_geterr(pcap));
	if (pcap_datalink(pcap) != DLT_EN10MB)
		return err_set(e, -ENOTSUP, ERR_SYSTEM, "%s: not an Ethernet", interface);
	if (pcap_setnonblock(pcap, 1, why) < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, why);
	if (pcap_setdirection(pcap, PCAP_D_IN) < 0 || pcap_setfilter(pcap, filter) < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, pcap_geterr(pcap));
	return 0;
}

static int open_queue(const char *interface, struct bpf_program *filter, pcap_t **ret_pcap,
                      struct err *e)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_create(interface, why);

	if (!pcap)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, why);
	*ret_pcap = pcap;
	return configure(pcap, interface, filter, e);
}

int link_open(const char *interface, struct bpf_program *const *filters, struct link **ret_link,
              struct err *e)
{
	struct link *l = xcalloc(1, sizeof(*l));
	int r = 0;

	for (size_t i = 0; r == 0 && i < LINK_QUEUES; i++)
		r = open_queue(interface, filters[i], &l->queues[i], e);
	if (r == 0) {
		r = join_groups(link_fd(l, LINK_MESSAGES), interface);
		if (r < 0)
			err_set(e, r, ERR_SYSTEM, "%s: joining the groups: %s", interface,
			        strerror(-r));
	}
	if (r < 0) {
		link_close(l);
		return r;
	}
	*ret_link = l;
	return 0;
}

void link_close(struct link *l)
{
	for (size_t i = 0; l && i < LINK_QUEUES; i++)
		if (l->queues[i])
			pcap_close(l->queues[i]);
	free(l);
}

/* pcap_setfilter() would throw away what has come, and lose what comes meanwhile. */
static int attach(const struct bpf_program *filter, void *arg)
{
	const struct link *l = arg;
	const struct sock_fprog program = { .len = (unsigned short)filter->bf_len,
		                            .filter = (struct sock_filter *)filter->bf_insns };

	return setsockopt(link_fd(l, LINK_NEIGHBORS), SOL_SOCKET, SO_ATTACH_FILTER, &program,
	                  sizeof(program)) < 0
	               ? -errno
	               : 0;
}

int link_set_filter(struct link *l, const struct bpf_program *filter)
{
	return filter_replace(filter, attach, l);
}

int link_fd(const struct link *l, enum link_queue queue)
{
	return pcap_get_selectable_fd(l->queues[queue]);
}

/* The kernel notes by the wall clock when a frame arrived. */
static int64_t waited_ms(const struct timeval *arrived)
{
	int64_t us = clock_wall_us() - ((int64_t)arrived->tv_sec * 1000000 + arrived->tv_usec);

	return us > 0 ? us / 1000 : 0;
}

static void on_frame(u_char *arg, const struct pcap_pkthdr *header, const u_char *frame)
{
	const struct receiver *r = (const struct receiver *)(const void *)arg;
	size_t size = header->caplen;
	int64_t waited = waited_ms(&header->ts);

	if (size != header->len)
		return;
	if (size > MACS_SIZE + TAG_SIZE && frame[MACS_SIZE] == 0x81 && frame[MACS_SIZE + 1] == 0) {
		uint8_t plain[FILTER_SNAPSHOT_SIZE];
		memcpy(plain, frame, MACS_SIZE);
		memcpy(plain + MACS_SIZE, frame + MACS_SIZE + TAG_SIZE,
		       size - MACS_SIZE - TAG_SIZE);
		r->fn(waited, plain, size - TAG_SIZE, r->arg);
		return;
	}
	r->fn(waited, frame, size, r->arg);
}

bool link_has_lost(struct link *l)
{
	struct pcap_stat now;

	if (pcap_stats(l->queues[LINK_NEIGHBORS], &now) < 0)
		return false;
	bool lost = now.ps_drop != l->dropped;
	l->dropped = now.ps_drop;
	return lost;
}

int link_receive(struct link *l, enum link_queue queue, int max, link_frame_fn *fn, void *arg)
{
	struct receiver r = { .fn = fn, .arg = arg };
	int n = pcap_dispatch(l->queues[queue], max, on_frame, (u_char *)&r);

	return n < 0 ? -EIO : n;
}

int link_send(struct link *l, const void *frame, size_t size)
{
	errno = 0;
	if (pcap_inject(l->queues[LINK_MESSAGES], frame, size) >= 0)
		return 0;
	return errno ? -errno : -EIO;
}
