/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/watched.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "fairlead/mem.h"

/* Files may be on any file system, and none tells what is written on another machine. */
#define LOOK_MS 300

struct watched_file {
	const char *path;
	struct stat seen; /* all 0: it is not there */
};

static struct stat look(const char *path)
{
	struct stat now;

	return stat(path, &now) == 0 ? now : (struct stat){ .st_ino = 0 };
}

static bool differs(const struct stat *a, const struct stat *b)
{
	return a->st_ino != b->st_ino || a->st_dev != b->st_dev || a->st_size != b->st_size ||
	       a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

void watched_add(struct watched *w, const char *path)
{
	ARRAY_RESERVE(w->files, w->cap, w->n + 1);
	w->files[w->n++] = (struct watched_file){ .path = path, .seen = look(path) };
}

static bool any_differs(struct watched *w)
{
	bool any = false;

	for (size_t i = 0; i < w->n; i++) {
		struct stat now = look(w->files[i].path);
		any |= differs(&now, &w->files[i].seen);
		w->files[i].seen = now;
	}
	return any;
}

void watched_wait(struct watched *w)
{
	static const struct timespec pause = { 0, LOOK_MS * 1000000L };

	while (!any_differs(w))
		nanosleep(&pause, NULL);
}

void watched_fini(struct watched *w)
{
	free(w->files);
	*w = (struct watched){ .n = 0 };
}
