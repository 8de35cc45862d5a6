/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of nftables: messages as they come, taken for whatever list was asked for,
 * and elements of each map.  The first byte chooses the family.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "proxy/nftables/frame_private.h"
#include "proxy/nftables/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_wire_read(struct wire *w, int type, uint8_t family, const char *table, const char *set,
                     datagram_fn *fn, void *arg);

static const char *input;
static size_t input_size;

/* Each list has those of the messages that are of its type. */
int __wrap_wire_read(struct wire *w, int type, uint8_t family, const char *table, const char *set,
                     datagram_fn *fn, void *arg)
{
	int left = (int)input_size;

	(void)w, (void)family, (void)table, (void)set;
	for (const struct nlmsghdr *h = (const void *)input; mnl_nlmsg_ok(h, left);
	     h = mnl_nlmsg_next(h, &left))
		if (h->nlmsg_len >= mnl_nlmsg_size(sizeof(struct nfgenmsg)) &&
		    (h->nlmsg_type & 0xff) == type - 1)
			fn(h, arg);
	return 0;
}

static void note_kind(frame_kind kind, bool right, void *arg)
{
	size_t *n = arg;

	(void)kind;
	*n += right;
}

static void read_elements(const struct frame *f, const struct nlattr *list)
{
	const struct nlattr *a;
	struct frame_counted counted;
	bool ends;

	mnl_attr_for_each_nested(a, list) {
		for (int map = 0; map < FRAME_MAPS; map++) {
			unsigned char *key = malloc(FRAME_KEY_MAX),
				      *value = malloc(FRAME_VALUE_MAX);
			if (key && value)
				frame_read_element(f, (enum frame_map)map, a, key, value, &ends);
			free(key);
			free(value);
		}
		for (int count = 0; count < FRAME_COUNTS; count++)
			frame_read_count(f, (enum frame_count)count, a, &counted);
	}
}

static void read_message(const struct frame *f, const struct nlmsghdr *h)
{
	const struct nlattr *a;

	rule_digest(h);
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
		read_elements(f, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct frame f = { .family = size > 0 && data[0] % 2 ? 4 : 6,
		                 .mark = PROXY_MARK_DEFAULT,
		                 .localhost_node_ports = true,
		                 .counts = true };
	enum frame_state state = FRAME_ABSENT;
	static struct wire *w;
	size_t n = 0;

	if (size < 4 || (!w && wire_new(&w, NULL) < 0))
		return 0;
	/* Messages begin where numbers do. */
	input_size = size - 4;
	char *copy = malloc(input_size + 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 4, input_size);
	input = copy;
	frame_look(&f, w, note_kind, &n, &state, NULL);
	int left = (int)input_size;
	for (const struct nlmsghdr *h = (const void *)input; mnl_nlmsg_ok(h, left);
	     h = mnl_nlmsg_next(h, &left))
		if (h->nlmsg_len >= mnl_nlmsg_size(sizeof(struct nfgenmsg)))
			read_message(&f, h);
	free(copy);
	return 0;
}
