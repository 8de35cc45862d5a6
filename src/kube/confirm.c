/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controller has put into spec.externalIPs stands in an annotation, the record, which
 * whoever may write Services may write as well.  So the controller repeats the addresses in its
 * condition, in the status, which only controllers write, and a record counts as far as the
 * condition names the same.
 *
 * The addresses open the condition's message, before anything that a user may have written,
 * whatever the condition's status: "assigned external IP 192.0.2.1, 2001:db8::1 from pool edge",
 * "spec.externalIPs keeps 192.0.2.1; pool x was asked for, but …".  Behind them stands whether
 * Services may have them together: "keeps external IP 192.0.2.1 (may be shared) of pool edge".
 */
#include "config.h"

#include <string.h>

#include "fairlead/kube_types.h"
#include "fairlead/mem.h"

static const char *after_opening(const char *message)
{
	static const char *const openings[] = { KUBE_CONFIRMS_ASSIGNED, KUBE_CONFIRMS_KEPT,
		                                KUBE_CONFIRMS_FAILED };

	for (size_t i = 0; i < ARRAY_LEN(openings); i++)
		if (!strncmp(message, openings[i], strlen(openings[i])))
			return message + strlen(openings[i]);
	return NULL;
}

/* @ret_rest: what follows the addresses. */
static size_t read_list(const char *message, struct addr ret[static 2], const char **ret_rest)
{
	const char *s = after_opening(message);
	size_t n = 0;

	while (s && n < 2) {
		size_t len = strcspn(s, " ,;");
		char text[ADDR_STR_SIZE];
		struct addr a;

		if (len == 0 || len >= sizeof(text))
			break;
		memcpy(text, s, len);
		text[len] = '\0';
		if (addr_parse(text, &a) < 0 || (n > 0 && ret[0].family == a.family))
			break;
		ret[n++] = a;
		s += len;
		if (strncmp(s, ", ", 2) != 0)
			break;
		s += 2;
	}
	*ret_rest = n > 0 ? s : "";
	return n;
}

size_t kube_external_confirmed_by(const char *message, struct addr ret[static 2])
{
	const char *rest;

	return read_list(message, ret, &rest);
}

bool kube_external_shares_by(const char *message)
{
	const char *rest;
	struct addr addrs[2];

	read_list(message, addrs, &rest);
	return !strncmp(rest, KUBE_CONFIRMS_SHARED, strlen(KUBE_CONFIRMS_SHARED));
}

static const char *message_of(const struct kube_service *s)
{
	for (size_t i = 0; i < s->n_conditions; i++)
		if (!strcmp(s->conditions[i].type, KUBE_CONDITION_EXTERNAL_IPS))
			return s->conditions[i].message;
	return "";
}

size_t kube_external_confirmed(const struct kube_service *s, struct addr ret[static 2])
{
	return kube_external_confirmed_by(message_of(s), ret);
}

bool kube_external_shares(const struct kube_service *s)
{
	return kube_external_shares_by(message_of(s));
}
