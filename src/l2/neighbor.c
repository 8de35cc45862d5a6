/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "l2/neighbor.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"

static const struct neighbor_ops *const table[] = { &neighbor_arp, &neighbor_ndp };

const struct neighbor_ops *neighbor_of(uint8_t family)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i]->family == family)
			return table[i];
	return NULL;
}

int neighbor_decode(const void *frame, size_t size, const struct neighbor_ops **ret_ops,
                    struct neighbor_packet *ret_packet)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i]->decode(frame, size, ret_packet) == 0) {
			*ret_ops = table[i];
			return 0;
		}
	return -EINVAL;
}

size_t neighbor_answer_for(const struct neighbor_ops *ops, const uint8_t *mac, const uint8_t *owner,
                           const struct neighbor_packet *question,
                           uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	size_t size = ops->answer(owner, question, frame);

	/* Switches learn from the Ethernet header where a machine is: that is ours. */
	memcpy(frame + NEIGHBOR_MAC_SIZE, mac, NEIGHBOR_MAC_SIZE);
	return size;
}

size_t neighbor_send_on(const struct neighbor_ops *ops, const uint8_t *mac, const uint8_t *owner,
                        const struct neighbor_packet *question,
                        uint8_t frame[static NEIGHBOR_FRAME_MAX])
{
	size_t size = neighbor_answer_for(ops, mac, owner, question, frame);

	/*
	 * An advertisement to nobody in particular is one to all nodes: of these, one (RFC 6085).
	 */
	memcpy(frame, question->mac, NEIGHBOR_MAC_SIZE);
	return size;
}
