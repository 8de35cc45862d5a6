/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/link.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "fairlead/mem.h"
#include "member/wire.h"

/* The ring is private memory, so it is no larger than a burst of messages from a few peers needs. */
#define BUFFER_SIZE (256 * 1024)
#define SNAPSHOT_SIZE 1514

/* The test for VLAN tags comes last, since it moves the offsets of what follows it. */
#define FILTER_FORMAT "(arp or (udp dst port %d and ip dst %s)) and not vlan"

struct link {
	pcap_t *pcap;
};

struct receiver {
	link_frame_fn *fn;
	void *arg;
};

/* Has the network card let the group through; the port need not be promiscuous. */
static int join_group(int fd, const char *interface)
{
	struct packet_mreq mreq = { .mr_ifindex = (int)if_nametoindex(interface),
		                    .mr_type = PACKET_MR_MULTICAST,
		                    .mr_alen = WIRE_MAC_SIZE };
	memcpy(mreq.mr_address, wire_group_mac, WIRE_MAC_SIZE);
	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0 ? -errno
	                                                                                  : 0;
}

static int set_filter(pcap_t *pcap)
{
	char filter[128];
	struct bpf_program program;
	snprintf(filter, sizeof(filter), FILTER_FORMAT, WIRE_PORT, WIRE_GROUP_TEXT);
	if (pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) < 0)
		return -EINVAL;
	int r = pcap_setfilter(pcap, &program);
	pcap_freecode(&program);
	return r < 0 ? -EIO : 0;
}

static int configure(pcap_t *pcap, const char *interface, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE];
	/* Frames one by one as they come: a batch is a delay. */
	if (pcap_set_snaplen(pcap, SNAPSHOT_SIZE) < 0 || pcap_set_promisc(pcap, 0) < 0 ||
	    pcap_set_immediate_mode(pcap, 1) < 0 || pcap_set_buffer_size(pcap, BUFFER_SIZE) < 0 ||
	    pcap_activate(pcap) < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, pcap_geterr(pcap));
	if (pcap_datalink(pcap) != DLT_EN10MB)
		return err_set(e, -ENOTSUP, ERR_SYSTEM, "%s: not an Ethernet", interface);
	if (pcap_setnonblock(pcap, 1, why) < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, why);
	if (pcap_setdirection(pcap, PCAP_D_IN) < 0 || set_filter(pcap) < 0)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, pcap_geterr(pcap));
	int r = join_group(pcap_get_selectable_fd(pcap), interface);
	if (r < 0)
		return err_set(e, r, ERR_SYSTEM, "%s: joining the group: %s", interface,
		               strerror(-r));
	return 0;
}

int link_open(const char *interface, struct link **ret_link, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_create(interface, why);
	if (!pcap)
		return err_set(e, -EIO, ERR_SYSTEM, "%s: %s", interface, why);
	int r = configure(pcap, interface, e);
	if (r < 0) {
		pcap_close(pcap);
		return r;
	}
	struct link *l = xcalloc(1, sizeof(*l));
	l->pcap = pcap;
	*ret_link = l;
	return 0;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	pcap_close(l->pcap);
	free(l);
}

int link_fd(const struct link *l)
{
	return pcap_get_selectable_fd(l->pcap);
}

static void on_frame(u_char *arg, const struct pcap_pkthdr *header, const u_char *frame)
{
	const struct receiver *r = (const struct receiver *)(const void *)arg;
	if (header->caplen == header->len)
		r->fn(frame, header->caplen, r->arg);
}

int link_receive(struct link *l, int max, link_frame_fn *fn, void *arg)
{
	struct receiver r = { .fn = fn, .arg = arg };
	int n = pcap_dispatch(l->pcap, max, on_frame, (u_char *)&r);
	return n < 0 ? -EIO : n;
}

void link_send(struct link *l, const void *frame, size_t size)
{
	(void)pcap_inject(l->pcap, frame, size);
}
