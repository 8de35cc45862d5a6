/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "kube/store.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"

/* Longest "namespace" + "name" that a key can have; the API's limits are 63 and 253. */
#define STORE_KEY_MAX 1024
#define UUID_SIZE 16
#define UUID_LEN 36
#define UUID_TEXT "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"

/* The key is the text up to the uid: "namespace\0name". */
static size_t make_key(char out[static STORE_KEY_MAX], const char *namespace, const char *name)
{
	size_t a = strlen(namespace), b = strlen(name);

	if (a + b + 1 > STORE_KEY_MAX)
		return 0;
	memcpy(out, namespace, a + 1);
	memcpy(out + a + 1, name, b);
	return a + 1 + b;
}

static const void *key_of(const void *record, size_t *ret_size)
{
	const struct store_entry *e = record;

	*ret_size = e->uid_at - 1u;
	return e->text;
}

static const struct table_kind kind = { .link = offsetof(struct store_entry, link), .key = key_of };

void store_init(struct store *s)
{
	*s = (struct store){ .entries.kind = &kind };
}

void store_fini(struct store *s)
{
	struct store_entry *e;

	for (uint32_t at = 0; (e = store_next(s, &at));)
		store_remove(s, e);
}

size_t store_count(const struct store *s)
{
	return s->entries.n;
}

struct store_entry *store_find(const struct store *s, const char *namespace, const char *name)
{
	char key[STORE_KEY_MAX];
	size_t size = make_key(key, namespace, name);

	return size ? table_find(&s->entries, key, size) : NULL;
}

static char *print_uuid(const uint8_t b[static UUID_SIZE])
{
	return xasprintf(UUID_TEXT, b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
	                 b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* False: it is not a UUID as the API server writes them. */
static bool parse_uuid(const char *text, uint8_t ret[static UUID_SIZE])
{
	static const char digits[] = "0123456789abcdef",
			  shape[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
	uint8_t uuid[UUID_SIZE] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < UUID_LEN; i++) {
		const char *d = text[i] ? strchr(digits, text[i]) : NULL;
		if (shape[i] == '-' ? text[i] != '-' : !d)
			return false;
		if (shape[i] == '-')
			continue;
		uuid[n / 2] = (uint8_t)(uuid[n / 2] << 4 | (d - digits));
		n++;
	}
	if (text[UUID_LEN])
		return false;
	memcpy(ret, uuid, sizeof(uuid));
	return true;
}

bool store_has_uid(const struct store_entry *entry, const char *uid)
{
	uint8_t uuid[UUID_SIZE];

	if (!entry->has_uuid)
		return !strcmp(entry->text + entry->uid_at, uid);
	return parse_uuid(uid, uuid) && !memcmp(entry->text + entry->uid_at, uuid, sizeof(uuid));
}

char *store_uid(const struct store_entry *entry)
{
	const char *uid = entry->text + entry->uid_at;

	return entry->has_uuid ? print_uuid((const uint8_t *)uid) : xstrdup(uid);
}

struct store_entry *store_add(struct store *s, const char *namespace, const char *name,
                              const char *uid)
{
	char key[STORE_KEY_MAX];
	size_t size = make_key(key, namespace, name), uid_size = strlen(uid) + 1;
	uint8_t uuid[UUID_SIZE];

	if (!size || uid_size > STORE_KEY_MAX)
		return NULL;
	const bool has_uuid = parse_uuid(uid, uuid);
	if (has_uuid)
		uid_size = sizeof(uuid);
	struct store_entry *e = xcalloc(1, sizeof(*e) + size + 1 + uid_size);
	memcpy(e->text, key, size);
	memcpy(e->text + size + 1, has_uuid ? (const char *)uuid : uid, uid_size);
	e->name_at = (uint16_t)(strlen(namespace) + 1);
	e->uid_at = (uint16_t)(size + 1) & 0x7fff;
	e->has_uuid = has_uuid;
	table_add(&s->entries, e);
	return e;
}

void store_remove(struct store *s, struct store_entry *entry)
{
	table_remove(&s->entries, entry);
	free(entry);
}

struct store_entry *store_next(const struct store *s, uint32_t *at)
{
	return table_next(&s->entries, at);
}
