/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/kube_types.h"

#include <string.h>

#include "fairlead/base64.h"
#include "fairlead/buf.h"
#include "fairlead/mem.h"
#include "kube/parse.h"

/* core/v1 Secret; the API keeps the whole below 1 MiB. */
/* in base64 */
#define SECRET_KEYS_MAX 1024
#define SECRET_VALUE_MAX (2 << 20)

static void wipe(void *p, size_t size)
{
	if (p)
		explicit_bzero(p, size);
	free(p);
}

static void decode(struct parse *p, struct kube_secret *s, const struct labels *data)
{
	s->items = xcalloc(data->n + 1, sizeof(*s->items));
	for (size_t i = 0; i < data->n; i++) {
		struct buf value = BUF_INIT;
		/* A buffer that grew would leave copies of the secret behind. */
		buf_reserve(&value, strlen(data->kvs[i].value) / 4 * 3 + 1);
		buf_advance(&value, 0);
		if (base64_decode(data->kvs[i].value, &value) < 0)
			parse_fail(p, data->kvs[i].key, "not base64");
		s->items[s->n++] = (struct kube_secret_item){ .key = xstrdup(data->kvs[i].key),
			                                      .value = (uint8_t *)value.data,
			                                      .size = value.size };
	}
}

int kube_secret_parse(struct json_object *obj, struct kube_secret **ret_secret, struct err *e)
{
	struct parse p = { .kind = "Secret", .index = -1, .e = e };
	struct kube_secret *s = xcalloc(1, sizeof(*s));

	parse_meta(&p, obj, &s->meta);
	parse_at(&p, NULL);
	struct labels data = parse_map(&p, obj, "data", SECRET_KEYS_MAX, SECRET_VALUE_MAX, NULL);
	parse_at(&p, "data");
	decode(&p, s, &data);
	for (size_t i = 0; i < data.n; i++)
		explicit_bzero(data.kvs[i].value, strlen(data.kvs[i].value));
	labels_fini(&data);
	if (p.ret)
		kube_secret_free(s);
	else
		*ret_secret = s;
	return p.ret;
}

void kube_secret_free(struct kube_secret *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].key);
		wipe(s->items[i].value, s->items[i].size);
	}
	free(s->items);
	kube_meta_fini(&s->meta);
	free(s);
}

const struct kube_secret_item *kube_secret_get(const struct kube_secret *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->items[i].key, key))
			return &s->items[i];
	return NULL;
}
