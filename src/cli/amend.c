/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of each request there are three spellings, the first of which counts where several are there
 * (ipam/request.c).  What is asked for is written in ours, and the others are removed only where
 * they would count by that, or contradict: an edit is no bigger than it has to be.
 */
#include "config.h"

#include "cli/amend.h"

#include <stdlib.h>
#include <string.h>

#include "fairlead/ipam.h"
#include "fairlead/mem.h"

static const char *const pool_names[] = { IPAM_ANNOTATION_POOL, "metallb.io/address-pool",
	                                  "metallb.universe.tf/address-pool" };
static const char *const addr_names[] = { IPAM_ANNOTATION_ADDRESSES, "metallb.io/loadBalancerIPs",
	                                  "metallb.universe.tf/loadBalancerIPs" };

void amend_init(struct amendment *m, const struct kube_service *s)
{
	*m = (struct amendment){ .was = s, .service = *s };
	m->service.meta.annotations = labels_copy(&s->meta.annotations);
}

void amend_fini(struct amendment *m)
{
	labels_fini(&m->service.meta.annotations);
	labels_fini(&m->set);
}

bool amend_is_empty(const struct amendment *m)
{
	return m->set.n == 0 && !m->drops_ip;
}

/* ---- one change ---- */

static size_t find(const struct labels *l, const char *key)
{
	size_t i = 0;

	while (i < l->n && strcmp(l->kvs[i].key, key) != 0)
		i++;
	return i;
}

static void put(struct labels *l, const char *key, const char *value)
{
	size_t i = find(l, key);

	if (i == l->n) {
		l->kvs = xreallocarray(l->kvs, l->n + 1, sizeof(*l->kvs));
		l->kvs[l->n++] = (struct label){ .key = xstrdup(key) };
	}
	free(l->kvs[i].value);
	l->kvs[i].value = xstrdup_null(value);
}

static void take_out(struct labels *l, const char *key)
{
	size_t i = find(l, key);

	if (i == l->n)
		return;
	free(l->kvs[i].key);
	free(l->kvs[i].value);
	l->kvs[i] = l->kvs[--l->n];
}

static void annotate(struct amendment *m, const char *name, const char *value)
{
	const char *is = labels_get(&m->service.meta.annotations, name);

	if (is && !strcmp(is, value))
		return;
	put(&m->service.meta.annotations, name, value);
	put(&m->set, name, value);
}

static void withdraw(struct amendment *m, const char *name)
{
	if (!labels_get(&m->service.meta.annotations, name))
		return;
	take_out(&m->service.meta.annotations, name);
	put(&m->set, name, NULL);
}

/* The API server has it deprecated; what it says must not differ from the annotation. */
static void drop_ip(struct amendment *m)
{
	const char *is = m->service.load_balancer_ip;

	m->drops_ip |= is && *is;
	m->service.load_balancer_ip = NULL;
}

/* ---- requests ---- */

void amend_ask_addresses(struct amendment *m, const struct addr *addrs, size_t n, const char *pool)
{
	cleanup(buf_fini) struct buf list = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%s", i ? "," : "", addr_str(&addrs[i]));
	annotate(m, IPAM_ANNOTATION_ADDRESSES, buf_str(&list));
	drop_ip(m);
	for (size_t i = 0; pool && i < ARRAY_LEN(pool_names); i++) {
		const char *is = labels_get(&m->service.meta.annotations, pool_names[i]);
		if (is && strcmp(is, pool) != 0)
			withdraw(m, pool_names[i]);
	}
}

void amend_ask_any(struct amendment *m)
{
	for (size_t i = 0; i < ARRAY_LEN(addr_names); i++)
		withdraw(m, addr_names[i]);
	drop_ip(m);
}

void amend_ask_pool(struct amendment *m, const char *pool)
{
	annotate(m, IPAM_ANNOTATION_POOL, pool);
	amend_ask_any(m);
}

/* ---- how it is written ---- */

/* For a shell: in quotes, unless it is of harmless characters alone. */
static void put_word(const char *s, struct buf *out)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-_./:,=@%+";

	if (*s && !s[strspn(s, harmless)]) {
		buf_puts(out, s);
		return;
	}
	buf_putc(out, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, *s);
	buf_putc(out, '\'');
}

static void put_target(const struct amendment *m, const char *verb, struct buf *out)
{
	buf_puts(out, "kubectl -n ");
	put_word(m->was->meta.namespace, out);
	buf_printf(out, " %s service ", verb);
	put_word(m->was->meta.name, out);
}

void amend_put_commands(const struct amendment *m, struct buf *out)
{
	if (m->drops_ip) {
		put_target(m, "patch", out);
		buf_puts(out, " --type merge -p '{\"spec\":{\"loadBalancerIP\":null}}'\n");
	}
	if (m->set.n == 0)
		return;
	put_target(m, "annotate --overwrite", out);
	for (size_t i = 0; i < m->set.n; i++) {
		const struct label *l = &m->set.kvs[i];
		cleanup_free char *word =
			l->value ? xasprintf("%s=%s", l->key, l->value) : xasprintf("%s-", l->key);
		buf_putc(out, ' ');
		put_word(word, out);
	}
	buf_putc(out, '\n');
}

void amend_put_patch(const struct amendment *m, struct buf *out)
{
	const char *version = m->was->meta.resource_version;

	buf_puts(out, "{\"metadata\":{");
	if (version && *version) {
		buf_puts(out, "\"resourceVersion\":");
		buf_json_str(out, version);
		buf_puts(out, m->set.n ? "," : "");
	}
	for (size_t i = 0; i < m->set.n; i++) {
		buf_puts(out, i ? "," : "\"annotations\":{");
		buf_json_str(out, m->set.kvs[i].key);
		buf_putc(out, ':');
		buf_json_str(out, m->set.kvs[i].value);
	}
	buf_puts(out, m->set.n ? "}}" : "}");
	buf_puts(out, m->drops_ip ? ",\"spec\":{\"loadBalancerIP\":null}}" : "}");
}
