/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The payload and its signature.
 *
 * Two versions.  A speaker of version 1 reads everything that comes to its port and group, and
 * takes what it does not understand for the words of a stranger: it would then ask three times
 * before it takes anything.  So version 2 has a port of its own, of which version 1 hears nothing,
 * and peers of version 1 are spoken to in their own version.  That is a copy of what version 2 says
 * (member.h tells when it is made), under the same number: so there is one order of messages for
 * everybody, and a peer of version 1 sees no gaps.  For those who understand version 2 the copy
 * would come late, when the number is known already, or, were the frames to change places, in the
 * original's stead, with less in it.  They leave it alone, and know it by its source port.  That is
 * not signed, and need not be: whoever can change it could as well have dropped the frame.
 */
#include "fairlead/wire.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "claims/datagram.h"
#include "fairlead/cursor.h"
#include "fairlead/mem.h"

/* HMAC-SHA-256 */
#define MAC_SIZE 32
/* of the payload, before the body and without the name */
#define FIXED_SIZE 38
#define COUNT_SIZE 2
#define TIMING_SIZE 3
#define MORE_SIZE 1
#define SOURCE6_SIZE 16
#define ECHO_SIZE 13
#define CLAIM_SIZE 45
/* of a snapshot */
#define RANGE_SIZE 32
#define TARGET_SIZE 8
#define MTU_SHIFT 4
#define MTU_STEPS 15
#define MAGIC 0x464c4842u
#define V2 2
#define V1 1

const struct addr wire_first = { .family = 4 };
const struct addr wire_last = { .family = 6,
	                        .b = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
	                               255, 255, 255, 255 } };
static const struct addr last_v4 = { .family = 4, .b = { 255, 255, 255, 255 } };

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

static size_t head_size(size_t name_len)
{
	return DATAGRAM_IP_MAX + DATAGRAM_UDP_SIZE + FIXED_SIZE + name_len + COUNT_SIZE + MAC_SIZE;
}

size_t wire_room(enum wire_type type, size_t name_len, size_t mtu)
{
	size_t head = head_size(name_len), size = CLAIM_SIZE, max = WIRE_CLAIM_FIT;

	switch (type) {
	case WIRE_HEARTBEAT:
		head += TIMING_SIZE + MORE_SIZE + SOURCE6_SIZE;
		size = ECHO_SIZE;
		max = WIRE_ECHO_MAX;
		break;
	case WIRE_REQUEST:
		size = TARGET_SIZE;
		max = WIRE_TARGET_MAX;
		break;
	case WIRE_SNAPSHOT:
		head += RANGE_SIZE;
		break;
	case WIRE_RECALL:
		head += TARGET_SIZE;
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
	return head_size(name_len) + RANGE_SIZE + CLAIM_SIZE;
}

/* In steps below the largest; an MTU in between counts as the step below it. */
static uint8_t mtu_steps(size_t mtu)
{
	if (mtu == 0 || mtu >= WIRE_DATAGRAM_MAX)
		return 0;
	size_t steps = (WIRE_DATAGRAM_MAX - mtu + WIRE_MTU_STEP - 1) / WIRE_MTU_STEP;
	return (uint8_t)(steps < MTU_STEPS ? steps : MTU_STEPS);
}

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static void write_addr(struct writer *w, const struct addr *a, uint8_t version)
{
	if (version != V1 && a->family == 4)
		writer_bytes(w, mapped, sizeof(mapped));
	writer_bytes(w, a->b, addr_size(a->family));
}

/* Version 1 knows no other. */
static bool is_told(const struct wire_claim *c, uint8_t version)
{
	return version != V1 || c->addr.family == 4;
}

static void write_claims(struct writer *w, const struct wire_msg *m, uint8_t version)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += is_told(&m->claims[i], version);
	writer_u16(w, (uint16_t)n);
	for (size_t i = 0; i < m->n; i++) {
		const struct wire_claim *c = &m->claims[i];
		if (!is_told(c, version))
			continue;
		write_addr(w, &c->addr, version);
		writer_bytes(w, c->identity.id, IDENTITY_SIZE);
		writer_u64(w, (uint64_t)c->identity.since_us);
		writer_u32(w, c->epoch);
		writer_u8(w, version == V1 ? c->flags & WIRE_V1_CLAIM_FLAGS : c->flags);
	}
}

/* A part that has no IPv4 addresses is, in version 1, about none. */
static void write_range(struct writer *w, const struct wire_msg *m, uint8_t version)
{
	struct addr first = m->first, last = m->last;

	if (version == V1 && last.family == 6)
		last = last_v4;
	if (version == V1 && first.family == 6) {
		first = last_v4;
		last = wire_first;
	}
	write_addr(w, &first, version);
	write_addr(w, &last, version);
}

static void write_heartbeat(struct writer *w, const struct wire_msg *m, uint8_t version)
{
	if (version != V1) {
		writer_u16(w, m->heartbeat_ms);
		writer_u8(w, m->multiplier);
	}
	writer_u16(w, (uint16_t)m->n);
	for (size_t i = 0; i < m->n; i++) {
		writer_u64(w, m->echoes[i].incarnation);
		writer_u32(w, m->echoes[i].seq);
		writer_u8(w, m->echoes[i].proven);
	}
	if (version == V1)
		return;
	writer_u8(w, m->more);
	/* What it does not have is all zero. */
	writer_bytes(w, m->source6.b, SOURCE6_SIZE);
}

static void write_body(struct writer *w, const struct wire_msg *m, uint8_t version)
{
	switch (m->type) {
	case WIRE_HEARTBEAT:
		write_heartbeat(w, m, version);
		return;
	case WIRE_REQUEST:
		writer_u16(w, (uint16_t)m->n);
		for (size_t i = 0; i < m->n; i++)
			writer_u64(w, m->targets[i]);
		return;
	case WIRE_SNAPSHOT:
		write_range(w, m, version);
		break;
	case WIRE_RECALL:
		writer_u64(w, m->target);
		break;
	case WIRE_DELTA:
		break;
	}
	write_claims(w, m, version);
}

static void write_payload(struct writer *w, const struct wire_msg *m, uint8_t version)
{
	size_t name_len = strnlen(m->name, WIRE_NAME_SIZE - 1);
	bool v1 = version == V1;

	writer_u32(w, MAGIC);
	writer_u8(w, version);
	writer_u8(w, (uint8_t)m->type);
	writer_u8(w, (uint8_t)((m->flags & WIRE_FLAGS) | mtu_steps(m->mtu) << MTU_SHIFT));
	writer_u8(w, (uint8_t)name_len);
	writer_bytes(w, m->name, name_len);
	writer_bytes(w, m->mac, WIRE_MAC_SIZE);
	writer_u64(w, m->incarnation);
	writer_u32(w, m->seq);
	writer_u64(w, v1 ? m->digest_v4 : m->digest);
	writer_u32(w, v1 ? m->n_claims_v4 : m->n_claims);
	write_body(w, m, version);
}

size_t wire_encode(struct wire_key *k, const struct wire_msg *m, const struct addr *source,
                   uint8_t frame[static WIRE_FRAME_MAX])
{
	uint8_t payload[WIRE_FRAME_MAX], mac[MAC_SIZE];
	uint8_t version = m->version == V1 ? V1 : V2;
	struct writer w = writer_of(payload, sizeof(payload)),
		      out = writer_of(frame, WIRE_FRAME_MAX);
	struct datagram d = { .source = *source,
		              .source_port = WIRE_PORT,
		              .port = version == V1 ? WIRE_PORT_V1 : WIRE_PORT };

	write_payload(&w, m, version);
	if (!writer_ok(&w) || !sign(k, payload, w.size, mac))
		return 0;
	writer_bytes(&w, mac, MAC_SIZE);
	if (!writer_ok(&w))
		return 0;
	datagram_write(&out, &d, m->mac, payload, w.size);
	return writer_ok(&out) ? out.size : 0;
}

/* ---- decoding ---- */

static struct addr read_addr(struct cursor *c, uint8_t version)
{
	struct addr a = { .family = 4 };

	if (version == V1) {
		cursor_bytes(c, a.b, 4);
		return a;
	}
	a.family = 6;
	cursor_bytes(c, a.b, 16);
	if (!memcmp(a.b, mapped, sizeof(mapped))) {
		struct addr v4 = { .family = 4 };
		memcpy(v4.b, a.b + sizeof(mapped), 4);
		return v4;
	}
	return a;
}

static void read_claim(struct cursor *c, uint8_t version, struct wire_claim *claim)
{
	claim->addr = read_addr(c, version);
	cursor_bytes(c, claim->identity.id, IDENTITY_SIZE);
	claim->identity.since_us = (int64_t)cursor_u64(c);
	claim->epoch = cursor_u32(c);
	claim->flags = cursor_u8(c) & WIRE_CLAIM_FLAGS;
}

/* What heartbeats got later, as far as it is there. */
static void read_more(struct cursor *c, struct wire_msg *m)
{
	struct addr a = { .family = 6 };

	if (m->version == V1 || c->left == 0)
		return;
	m->more = cursor_u8(c);
	if (c->left < SOURCE6_SIZE)
		return;
	cursor_bytes(c, a.b, SOURCE6_SIZE);
	for (size_t i = 0; i < SOURCE6_SIZE; i++)
		if (a.b[i])
			m->source6 = a;
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

/* False if nobody could keep to it. */
static bool read_timing(struct cursor *c, struct wire_msg *m)
{
	if (m->version == V1)
		return true;
	m->heartbeat_ms = cursor_u16(c);
	m->multiplier = cursor_u8(c);
	return m->heartbeat_ms > 0 && m->multiplier > 0;
}

static bool read_body(struct cursor *c, struct wire_msg *m)
{
	switch (m->type) {
	case WIRE_HEARTBEAT:
		if (!read_timing(c, m))
			return false;
		m->n = read_count(c, WIRE_ECHO_MAX);
		for (size_t i = 0; i < m->n; i++) {
			m->echoes[i].incarnation = cursor_u64(c);
			m->echoes[i].seq = cursor_u32(c);
			m->echoes[i].proven = cursor_u8(c) & 1;
		}
		read_more(c, m);
		return true;
	case WIRE_REQUEST:
		m->n = read_count(c, WIRE_TARGET_MAX);
		for (size_t i = 0; i < m->n; i++)
			m->targets[i] = cursor_u64(c);
		return true;
	case WIRE_SNAPSHOT:
		m->first = read_addr(c, m->version);
		m->last = read_addr(c, m->version);
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
		read_claim(c, m->version, &m->claims[i]);
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

	m.version = cursor_u8(&c);
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
	if (m.version == V1) {
		m.digest_v4 = m.digest;
		m.n_claims_v4 = m.n_claims;
	}
	if (magic != MAGIC || (m.version != V2 && m.version != V1) || !name_ok(m.name) ||
	    !read_body(&c, &m) || !cursor_ok(&c) || (m.version == V1 && c.left > 0))
		return -EPROTO;
	*ret_msg = m;
	return 0;
}

/* Version 1 goes by IPv4, and is left alone if it is a copy of what was said in version 2. */
static bool is_for_us(const struct datagram *d)
{
	return d->port == WIRE_PORT || (d->source.family == 4 && d->source_port != WIRE_PORT);
}

int wire_decode(struct wire_key *k, const void *frame, size_t size, struct wire_msg *ret_msg)
{
	struct cursor c;
	uint8_t expected[MAC_SIZE];
	struct datagram d;
	struct wire_msg m;
	int r = datagram_read(frame, size, &d, &c);

	if (r < 0 || !is_for_us(&d))
		return r < 0 ? r : -ENOMSG;
	if (c.left < MAC_SIZE)
		return -EBADMSG;
	const uint8_t *payload = c.p;
	size_t payload_size = c.left - MAC_SIZE;
	if (!sign(k, payload, payload_size, expected) ||
	    CRYPTO_memcmp(expected, payload + payload_size, MAC_SIZE) != 0)
		return -EBADMSG;
	r = wire_parse(payload, payload_size, &m);
	if (r < 0 || (m.version == V1) != (d.port == WIRE_PORT_V1))
		return -EPROTO;
	m.source = d.source;
	*ret_msg = m;
	return 0;
}
