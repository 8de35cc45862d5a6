/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * Sends one frame over and over, at a rate.
 *
 *	flood INTERFACE PER_SECOND SECONDS MACHINES FRAME
 *
 * FRAME is in hexadecimal; the bytes 02:f1:00:00:00:00 in it, wherever they stand, become the
 * Ethernet address of one of so many MACHINES, in turn, at most 65536; no checksum becomes wrong by
 * that.  Prints how many frames were sent.
 */
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define FRAME_MAX 1514

static const uint8_t machine[6] = { 2, 0xf1 };

static size_t parse(const char *hex, uint8_t *frame)
{
	size_t size = 0;

	for (unsigned int byte; size < FRAME_MAX && sscanf(hex + 2 * size, "%2x", &byte) == 1;)
		frame[size++] = (uint8_t)byte;
	return size;
}

/* The number, and its complement: their sum is that of zeros. */
static void put_machine(uint8_t *frame, const uint8_t *pattern, size_t size, uint32_t number)
{
	const uint8_t high = (uint8_t)(number >> 8), low = (uint8_t)number;
	const uint8_t bytes[] = { high, low, (uint8_t)~high, (uint8_t)~low };

	for (size_t i = 0; i + sizeof(machine) <= size; i++)
		if (!memcmp(pattern + i, machine, sizeof(machine)))
			memcpy(frame + i + 2, bytes, sizeof(bytes));
}

static int open_socket(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		                  .sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	perror(interface);
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	static uint8_t frames[BATCH][FRAME_MAX], pattern[FRAME_MAX];
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec parts[BATCH];

	if (argc != 6) {
		fprintf(stderr, "usage: flood INTERFACE PER_SECOND SECONDS MACHINES FRAME\n");
		return 2;
	}
	size_t size = parse(argv[5], pattern);
	int64_t rate = atoll(argv[2]), last = atoll(argv[3]) * 1000000, sent = 0;
	uint32_t machines = (uint32_t)strtoul(argv[4], NULL, 10);
	for (size_t i = 0; i < BATCH; i++) {
		memcpy(frames[i], pattern, size);
		parts[i] = (struct iovec){ frames[i], size };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	int fd = open_socket(argv[1]);
	for (int64_t began = now_us(), at; (at = now_us() - began) < last;) {
		if (sent >= at * rate / 1000000) {
			usleep(200);
			continue;
		}
		for (size_t i = 0; i < BATCH; i++)
			put_machine(frames[i], pattern, size,
			            (uint32_t)(sent + (int64_t)i) % machines);
		int n = sendmmsg(fd, messages, BATCH, 0);
		sent += n > 0 ? n : 0;
	}
	printf("%lld\n", (long long)sent);
	return 0;
}
