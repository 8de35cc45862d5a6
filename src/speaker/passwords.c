/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "speaker/passwords.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"

void passwords_fini(struct passwords *p)
{
	kube_secret_free(p->secret);
	*p = (struct passwords){ 0 };
}

static bool same(const struct kube_secret *a, const struct kube_secret *b)
{
	if (!a || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct kube_secret_item *other = kube_secret_get(b, a->items[i].key);
		if (!other || other->size != a->items[i].size ||
		    memcmp(other->value, a->items[i].value, other->size) != 0)
			return false;
	}
	return true;
}

bool passwords_set(struct passwords *p, struct kube_secret *s)
{
	bool differs = !p->known || (s && !same(p->secret, s));

	p->known = true;
	if (s) {
		kube_secret_free(p->secret);
		p->secret = s;
	}
	return differs;
}

int passwords_of(const struct passwords *p, const struct config_peer *peer, char **ret_password,
                 struct err *e)
{
	const struct kube_secret_item *item;

	*ret_password = NULL;
	if (!peer->password_secret)
		return 0;
	if (!p->name)
		return err_set(e, -ENOENT, ERR_CONFIG,
		               "password-secret: the speaker was given no --bgp-password-secret, "
		               "which is to hold the key %s",
		               peer->password_secret);
	if (!p->secret)
		return err_set(e, -ENOENT, ERR_CONFIG,
		               p->known ? "password-secret: there is no Secret %s with the key %s"
		                        : "password-secret: Secret %s with the key %s could not be "
		                          "read yet",
		               p->name, peer->password_secret);
	item = kube_secret_get(p->secret, peer->password_secret);
	if (!item)
		return err_set(e, -ENOENT, ERR_CONFIG, "password-secret: Secret %s has no key %s",
		               p->name, peer->password_secret);
	/* It includes the last line break of a file. */
	size_t size = item->size;
	if (size && item->value[size - 1] == '\n')
		size--;
	if (!size || memchr(item->value, '\0', size))
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "password-secret: what Secret %s holds under %s is no password",
		               p->name, peer->password_secret);
	*ret_password = xstrndup((const char *)item->value, size);
	return 0;
}
