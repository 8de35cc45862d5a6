/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/wire.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "fairlead/cursor.h"
#include "fairlead/mem.h"

#define ETHERNET_SIZE 14
#define ETHERTYPE_IPV4 0x0800
#define IPV4_SIZE 20
#define UDP_SIZE 8
#define HEADERS_SIZE (ETHERNET_SIZE + IPV4_SIZE + UDP_SIZE)
#define PROTOCOL_UDP 17
/* HMAC-SHA-256 */
#define TTL 255
/* of the payload, before the body and without the name */
#define MAC_SIZE 32
#define FIXED_SIZE 38
#define COUNT_SIZE 2
#define ECHO_SIZE 13
#define CLAIM_SIZE 33
/* of a snapshot; a recall's target is as large */
#define TARGET_SIZE 8
#define RANGE_SIZE 8
#define MTU_SHIFT 4
#define MTU_STEPS 15
#define MAGIC 0x464c4842u
#define WIRE_VERSION 1

const uint8_t wire_group_mac[WIRE_MAC_SIZE] = { 0x01, 0x00, 0x5e, 0x00, 0x00, 0xad };

struct wire_key {
	EVP_MAC_CTX *ctx; /* NULL: no key */
};

struct wire_key *wire_key_new(const uint8_t *key, size_t size)
{
	struct wire_key *k = xcalloc(1, sizeof(*k));

	if (size == 0)
		return k;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	k->ctx = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (!k->ctx || !EVP_MAC_init(k->ctx, key, size, params)) {
		EVP_MAC_CTX_free(k->ctx);
		k->ctx = NULL;
	}
	return k;
}

void wire_key_free(struct wire_key *k)
{
	if (!k)
		return;
	EVP_MAC_CTX_free(k->ctx);
	free(k);
}

bool wire_key_empty(const struct wire_key *k)
{
	return !k->ctx;
}

static bool sign(struct wire_key *k, const void *data, size_t size, uint8_t out[static MAC_SIZE])
{
	size_t n = 0;

	return k->ctx && EVP_MAC_init(k->ctx, NULL, 0, NULL) &&
	       EVP_MAC_update(k->ctx, data, size) && EVP_MAC_final(k->ctx, out, &n, MAC_SIZE) &&
	       n == MAC_SIZE;
}

/* ---- encoding ---- */

size_t wire_room(enum wire_type type, size_t name_len, size_t mtu)
{
	size_t head = IPV4_SIZE + UDP_SIZE + FIXED_SIZE + name_len + COUNT_SIZE + MAC_SIZE;
	size_t size = CLAIM_SIZE, max = WIRE_CLAIM_MAX;

	switch (type) {
	case WIRE_HEARTBEAT:
		size = ECHO_SIZE;
		max = WIRE_ECHO_MAX;
		break;
	case WIRE_REQUEST:
		size = TARGET_SIZE;
		max = WIRE_TARGET_MAX;
		break;
	case WIRE_SNAPSHOT:
	case WIRE_RECALL:
		head += RANGE_SIZE;
		break;
	case WIRE_DELTA:
		break;
	}
	if (mtu > WIRE_DATAGRAM_MAX)
		mtu = WIRE_DATAGRAM_MAX;
	size_t n = mtu > head ? (mtu - head) / size : 0;
	return n < max ? n : max;
}

size_t wire_mtu_min(size_t name_len)
{
	return IPV4_SIZE + UDP_SIZE + FIXED_SIZE + name_len + COUNT_SIZE + MAC_SIZE + RANGE_SIZE +
	       CLAIM_SIZE;
}

/* In steps below the largest; an MTU in between counts as the step below it. */
static uint8_t mtu_steps(size_t mtu)
{
	if (mtu == 0 || mtu >= WIRE_DATAGRAM_MAX)
		return 0;
	size_t steps = (WIRE_DATAGRAM_MAX - mtu + WIRE_MTU_STEP - 1) / WIRE_MTU_STEP;
	return (uint8_t)(steps < MTU_STEPS ? steps : MTU_STEPS);
}

/* The Internet checksum (RFC 1071) over @size bytes, on top of @sum. */
static uint16_t checksum(const uint8_t *p, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void write_headers(struct writer *w, const struct wire_msg *m, uint32_t source,
                          size_t payload_size)
{
	writer_bytes(w, wire_group_mac, WIRE_MAC_SIZE);
	writer_bytes(w, m->mac, WIRE_MAC_SIZE);
	writer_u16(w, ETHERTYPE_IPV4);

	uint8_t *ip = w->p + w->size;
	writer_u8(w, 0x45);
	writer_u8(w, 0xc0); /* DSCP CS6, network control */
	writer_u16(w, (uint16_t)(IPV4_SIZE + UDP_SIZE + payload_size));
	writer_u16(w, 0);
	writer_u16(w, 0x4000); /* don't fragment */
	writer_u8(w, TTL);
	writer_u8(w, PROTOCOL_UDP);
	writer_u16(w, 0);
	writer_u32(w, source);
	writer_u32(w, WIRE_GROUP);
	put_u16(ip + 10, checksum(ip, IPV4_SIZE, 0));

	writer_u16(w, WIRE_PORT);
	writer_u16(w, WIRE_PORT);
	writer_u16(w, (uint16_t)(UDP_SIZE + payload_size));
	writer_u16(w, 0);
}

/* The UDP checksum covers the addresses, too; it comes last, when the payload is there. */
static void finish_udp(uint8_t *frame, size_t size)
{
	uint8_t *udp = frame + ETHERNET_SIZE + IPV4_SIZE;
	size_t udp_size = size - ETHERNET_SIZE - IPV4_SIZE;
	uint32_t pseudo = PROTOCOL_UDP + (uint32_t)udp_size;
	const uint8_t *addresses = udp - 8;

	for (size_t i = 0; i < 8; i += 2)
		pseudo += (uint32_t)addresses[i] << 8 | addresses[i + 1];
	uint16_t sum = checksum(udp, udp_size, pseudo);
	put_u16(udp + 6, sum ? sum : 0xffff);
}

static void write_claim(struct writer *w, const struct wire_claim *c)
{
	writer_u32(w, c->addr);
	writer_bytes(w, c->uid, sizeof(c->uid));
	writer_u64(w, (uint64_t)c->created_us);
	writer_u32(w, c->epoch);
	writer_u8(w, c->flags);
}

static void write_body(struct writer *w, const struct wire_msg *m)
{
	switch (m->type) {
	case WIRE_HEARTBEAT:
		writer_u16(w, (uint16_t)m->n);
		for (size_t i = 0; i < m->n; i++) {
			writer_u64(w, m->echoes[i].incarnation);
			writer_u32(w, m->echoes[i].seq);
			writer_u8(w, m->echoes[i].proven);
		}
		return;
	case WIRE_REQUEST:
		writer_u16(w, (uint16_t)m->n);
		for (size_t i = 0; i < m->n; i++)
			writer_u64(w, m->targets[i]);
		return;
	case WIRE_SNAPSHOT:
		writer_u32(w, m->first);
		writer_u32(w, m->last);
		break;
	case WIRE_RECALL:
		writer_u64(w, m->target);
		break;
	case WIRE_DELTA:
		break;
	}
	writer_u16(w, (uint16_t)m->n);
	for (size_t i = 0; i < m->n; i++)
		write_claim(w, &m->claims[i]);
}

static void write_payload(struct writer *w, const struct wire_msg *m)
{
	size_t name_len = strnlen(m->name, WIRE_NAME_SIZE - 1);

	writer_u32(w, MAGIC);
	writer_u8(w, WIRE_VERSION);
	writer_u8(w, (uint8_t)m->type);
	writer_u8(w, (uint8_t)((m->flags & WIRE_FLAGS) | mtu_steps(m->mtu) << MTU_SHIFT));
	writer_u8(w, (uint8_t)name_len);
	writer_bytes(w, m->name, name_len);
	writer_bytes(w, m->mac, WIRE_MAC_SIZE);
	writer_u64(w, m->incarnation);
	writer_u32(w, m->seq);
	writer_u64(w, m->digest);
	writer_u32(w, m->n_claims);
	write_body(w, m);
}

size_t wire_encode(struct wire_key *k, const struct wire_msg *m, uint32_t source,
                   uint8_t frame[static WIRE_FRAME_MAX])
{
	uint8_t payload[WIRE_FRAME_MAX - HEADERS_SIZE], mac[MAC_SIZE];
	struct writer body = writer_of(payload, sizeof(payload) - MAC_SIZE);

	write_payload(&body, m);
	if (!writer_ok(&body) || !sign(k, payload, body.size, mac))
		return 0;

	struct writer w = writer_of(frame, WIRE_FRAME_MAX);
	write_headers(&w, m, source, body.size + MAC_SIZE);
	writer_bytes(&w, payload, body.size);
	writer_bytes(&w, mac, MAC_SIZE);
	finish_udp(frame, w.size);
	return w.size;
}

/* ---- decoding ---- */

/*
 * Checks the headers; yields the UDP payload and the source address, or fails as wire_decode()
 * does.
 */
static int read_headers(const void *frame, size_t size, struct cursor *ret_payload,
                        uint32_t *ret_source)
{
	struct cursor c = cursor_of(frame, size);

	cursor_skip(&c, 2 * WIRE_MAC_SIZE);
	uint16_t ethertype = cursor_u16(&c);
	uint8_t version_ihl = cursor_u8(&c);
	cursor_skip(&c, 1);
	uint16_t total = cursor_u16(&c);
	cursor_skip(&c, 2);
	uint16_t fragment = cursor_u16(&c);
	uint8_t ttl = cursor_u8(&c), protocol = cursor_u8(&c);
	cursor_skip(&c, 2);
	uint32_t source = cursor_u32(&c);
	uint32_t destination = cursor_u32(&c);
	size_t options = version_ihl >> 4 == 4 && (version_ihl & 15) >= 5
	                         ? (size_t)(version_ihl & 15) * 4 - IPV4_SIZE
	                         : size;
	cursor_skip(&c, options);
	cursor_skip(&c, 2);
	uint16_t port = cursor_u16(&c), udp_size = cursor_u16(&c);
	cursor_skip(&c, 2);
	if (!cursor_ok(&c) || ethertype != ETHERTYPE_IPV4 || protocol != PROTOCOL_UDP ||
	    destination != WIRE_GROUP || port != WIRE_PORT)
		return -ENOMSG;
	if (ttl != TTL || (fragment & 0x3fff) || udp_size < UDP_SIZE ||
	    (size_t)udp_size + IPV4_SIZE + options != total || (size_t)udp_size - UDP_SIZE > c.left)
		return -EBADMSG;
	*ret_payload = cursor_of(c.p, (size_t)udp_size - UDP_SIZE);
	*ret_source = source;
	return 0;
}

static void read_claim(struct cursor *c, struct wire_claim *claim)
{
	claim->addr = cursor_u32(c);
	cursor_bytes(c, claim->uid, sizeof(claim->uid));
	claim->created_us = (int64_t)cursor_u64(c);
	claim->epoch = cursor_u32(c);
	claim->flags = cursor_u8(c) & WIRE_CLAIM_FLAGS;
}

/* A count of elements; an impossible one makes the cursor bad. */
static size_t read_count(struct cursor *c, size_t max)
{
	size_t n = cursor_u16(c);

	if (n <= max)
		return n;
	cursor_skip(c, SIZE_MAX);
	return 0;
}

static bool read_body(struct cursor *c, struct wire_msg *m)
{
	switch (m->type) {
	case WIRE_HEARTBEAT:
		m->n = read_count(c, WIRE_ECHO_MAX);
		for (size_t i = 0; i < m->n; i++) {
			m->echoes[i].incarnation = cursor_u64(c);
			m->echoes[i].seq = cursor_u32(c);
			m->echoes[i].proven = cursor_u8(c) & 1;
		}
		return true;
	case WIRE_REQUEST:
		m->n = read_count(c, WIRE_TARGET_MAX);
		for (size_t i = 0; i < m->n; i++)
			m->targets[i] = cursor_u64(c);
		return true;
	case WIRE_SNAPSHOT:
		m->first = cursor_u32(c);
		m->last = cursor_u32(c);
		break;
	case WIRE_RECALL:
		m->target = cursor_u64(c);
		break;
	case WIRE_DELTA:
		break;
	}
	if (m->type < WIRE_HEARTBEAT || m->type > WIRE_RECALL)
		return false;
	m->n = read_count(c, WIRE_CLAIM_MAX);
	for (size_t i = 0; i < m->n; i++)
		read_claim(c, &m->claims[i]);
	return true;
}

/* Node names are DNS names (RFC 1123); checked here because they are shown to people. */
static bool name_ok(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-' ||
		      *s == '.'))
			return false;
	return true;
}

int wire_parse(const void *payload, size_t size, struct wire_msg *ret_msg)
{
	struct cursor c = cursor_of(payload, size);
	struct wire_msg m = { 0 };
	uint32_t magic = cursor_u32(&c);
	uint8_t version = cursor_u8(&c);

	m.type = (enum wire_type)cursor_u8(&c);
	uint8_t flags = cursor_u8(&c), steps = flags >> MTU_SHIFT;
	m.flags = flags & WIRE_FLAGS;
	m.mtu = steps ? (uint16_t)(WIRE_DATAGRAM_MAX - steps * WIRE_MTU_STEP) : 0;
	size_t name_len = cursor_u8(&c);
	if (name_len >= WIRE_NAME_SIZE)
		return -EPROTO;
	cursor_bytes(&c, m.name, name_len);
	cursor_bytes(&c, m.mac, WIRE_MAC_SIZE);
	m.incarnation = cursor_u64(&c);
	m.seq = cursor_u32(&c);
	m.digest = cursor_u64(&c);
	m.n_claims = cursor_u32(&c);
	if (magic != MAGIC || version != WIRE_VERSION || !name_ok(m.name) || !read_body(&c, &m) ||
	    !cursor_ok(&c) || c.left > 0)
		return -EPROTO;
	*ret_msg = m;
	return 0;
}

int wire_decode(struct wire_key *k, const void *frame, size_t size, struct wire_msg *ret_msg)
{
	struct cursor c;
	uint8_t expected[MAC_SIZE];
	uint32_t source;
	int r = read_headers(frame, size, &c, &source);

	if (r < 0)
		return r;
	if (c.left < MAC_SIZE)
		return -EBADMSG;
	const uint8_t *payload = c.p;
	size_t payload_size = c.left - MAC_SIZE;
	if (!sign(k, payload, payload_size, expected) ||
	    CRYPTO_memcmp(expected, payload + payload_size, MAC_SIZE) != 0)
		return -EBADMSG;
	r = wire_parse(payload, payload_size, ret_msg);
	if (r == 0)
		ret_msg->source = source;
	return r;
}
