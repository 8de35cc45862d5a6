/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "route.h"

#include <errno.h>
#include <event2/http.h>
#include <string.h>

#include "fairlead/mem.h"

#define SEGMENTS_MAX 9

/*
 * Cuts @path at its slashes and decodes the segments in place; returns their number, -1 for too
 * many.
 */
static int cut(char *path, char *seg[SEGMENTS_MAX])
{
	int n = 0;

	for (char *s = path, *next; s; s = next) {
		next = strchr(s, '/');
		if (next)
			*next++ = 0;
		if (!*s && (!next || n == 0))
			continue;
		if (n == SEGMENTS_MAX)
			return -1;
		size_t size;
		cleanup_free char *plain = evhttp_uridecode(s, 0, &size);
		if (!plain || size != strlen(plain) || strchr(plain, '/'))
			return -1;
		memcpy(s, plain, size + 1);
		seg[n++] = s;
	}
	return n;
}

int route_parse(const char *path, struct route *ret_route)
{
	struct route *r = ret_route;
	char *seg[SEGMENTS_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(r->path))
		return -ENOENT;
	memcpy(r->path, path, len + 1);
	r->kind = NULL;
	r->ns = r->name = r->sub = NULL;
	int n = cut(r->path, seg), at;
	const char *group, *version;
	if (n >= 3 && !strcmp(seg[0], "api")) {
		group = "";
		version = seg[1];
		at = 2;
	} else if (n >= 4 && !strcmp(seg[0], "apis")) {
		group = seg[1];
		version = seg[2];
		at = 3;
	} else {
		return -ENOENT;
	}
	/* "namespaces/NS" is an object; with a resource of ours behind it, a place. */
	if (n - at >= 3 && !strcmp(seg[at], "namespaces")) {
		r->kind = kind_find(group, version, seg[at + 2]);
		if (r->kind && r->kind->namespaced) {
			r->ns = seg[at + 1];
			at += 2;
		} else {
			r->kind = NULL;
		}
	}
	if (!r->kind)
		r->kind = kind_find(group, version, seg[at]);
	if (!r->kind || n - at > 3)
		return -ENOENT;
	r->name = n - at > 1 ? seg[at + 1] : NULL;
	r->sub = n - at > 2 ? seg[at + 2] : NULL;
	if (r->name && r->kind->namespaced && !r->ns)
		return -ENOENT;
	return 0;
}
