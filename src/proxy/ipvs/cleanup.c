/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual servers of ours that an earlier life has left, of whatever tag. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fairlead/mem.h"
#include "proxy/ipvs/channel.h"
#include "proxy/ipvs/virtual.h"

#define REMOVED_AT_ONCE 16

struct leftovers {
	struct virtual_id *list;
	size_t n, cap;
};

static void note_leftover(const struct nlmsghdr *h, void *arg)
{
	struct leftovers *l = arg;
	struct ipvs_server s;

	if (!ipvs_read_server(h, &s) || !s.stamped)
		return;
	ARRAY_RESERVE(l->list, l->cap, l->n + 1);
	l->list[l->n++] = s.id;
}

static int find_leftovers(struct channel *c, struct leftovers *l)
{
	int r = channel_list_servers(c);

	if (r < 0)
		return r;
	do
		r = channel_step(c, note_leftover, l);
	while (r == 1);
	return r;
}

static int remove_all(struct channel *c, const struct leftovers *l, struct err *e)
{
	struct ipvs_operation list[REMOVED_AT_ONCE];
	int errors[REMOVED_AT_ONCE], r = 0;

	for (size_t i = 0; i < l->n && r == 0;) {
		size_t n = 0;
		while (n < REMOVED_AT_ONCE && i < l->n)
			list[n++] = (struct ipvs_operation){ .verb = IPVS_REMOVE_SERVER,
				                             .id = l->list[i++] };
		r = channel_apply(c, list, n, errors);
		for (size_t k = 0; k < n && r == 0; k++)
			r = errors[k] == -ESRCH ? 0 : errors[k];
	}
	if (r < 0)
		return err_set(e, r, ERR_SYSTEM, "virtual servers cannot be removed: %s",
		               strerror(-r));
	return 0;
}

bool virtuals_any(void)
{
	struct leftovers l = { 0 };
	struct channel *c;

	if (channel_open(&c, NULL) < 0)
		return false;
	find_leftovers(c, &l);
	channel_close(c);
	free(l.list);
	return l.n > 0;
}

int virtuals_clean(struct err *e)
{
	struct leftovers l = { 0 };
	struct channel *c;

	/* Where there is no IPVS, there is nothing of ours in it. */
	if (channel_open(&c, NULL) < 0)
		return 0;
	int r = find_leftovers(c, &l);
	if (r < 0)
		err_set(e, r, ERR_SYSTEM, "virtual servers cannot be read: %s", strerror(-r));
	else
		r = remove_all(c, &l, e);
	channel_close(c);
	free(l.list);
	return r;
}
