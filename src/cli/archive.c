/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar format, as far as plain files need it (POSIX.1-2017, pax): a header of 512 bytes, the
 * content, zeros up to the next 512.  A name that does not fit goes into a header of its own
 * before.
 *
 * libarchive would do it, too, and bring libxml2 and ICU with it, 38 MB of an image
 * that has no tar(1) either.  zlib is there already, for libcurl.
 */
#include "config.h"

#include "cli/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "fairlead/buf.h"
#include "fairlead/clock.h"
#include "fairlead/mem.h"

#define BLOCK 512
#define LEVEL "wb6"

struct archive {
	int fd;
	gzFile gz;  /* NULL: nothing was written yet */
	char *path; /* NULL: standard output */
	char *directory;
	size_t size;
	int error;
};

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
		magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155],
		padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

int archive_open(const char *path, const char *directory, struct archive **ret_archive,
                 struct err *e)
{
	bool to_stdout = !strcmp(path, "-");
	int fd = to_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
	                   : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(e, -errno, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	struct archive *a = xcalloc(1, sizeof(*a));
	*a = (struct archive){ .fd = fd,
		               .path = to_stdout ? NULL : xstrdup(path),
		               .directory = xstrdup(directory) };
	*ret_archive = a;
	return 0;
}

static void put(struct archive *a, const void *data, size_t size)
{
	const char *p = data;

	if (!a->gz)
		a->gz = gzdopen(a->fd, LEVEL);
	if (!a->gz)
		a->error = ENOMEM;
	while (size && !a->error) {
		unsigned int piece = size < BLOCK * 1024 ? (unsigned int)size : BLOCK * 1024;
		errno = 0;
		if (gzwrite(a->gz, p, piece) != (int)piece)
			a->error = errno ? errno : EIO;
		p += piece;
		size -= piece;
	}
}

static void put_padded(struct archive *a, const void *data, size_t size)
{
	static const char zeros[BLOCK];

	put(a, data, size);
	put(a, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

static void put_header(struct archive *a, const char *name, size_t size, char type)
{
	struct header h = { .type = type };
	unsigned int sum = 0;

	memcpy(h.name, name, strnlen(name, sizeof(h.name)));
	snprintf(h.mode, sizeof(h.mode), "%07o", 0644u);
	snprintf(h.uid, sizeof(h.uid), "%07o", 0u);
	snprintf(h.gid, sizeof(h.gid), "%07o", 0u);
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)size);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo",
	         (unsigned long long)(clock_wall_us() / 1000000));
	memcpy(h.magic, "ustar", sizeof(h.magic));
	memcpy(h.version, "00", sizeof(h.version));
	memset(h.checksum, ' ', sizeof(h.checksum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((const unsigned char *)&h)[i];
	snprintf(h.checksum, sizeof(h.checksum), "%06o", sum);
	put(a, &h, sizeof(h));
}

/* "LEN path=NAME\n", where LEN counts all of it. */
static void put_long_name(struct archive *a, const char *name)
{
	size_t rest = strlen(" path=\n") + strlen(name), len = rest;

	for (size_t last = 0; last != len;) {
		last = len;
		len = rest + (size_t)snprintf(NULL, 0, "%zu", last);
	}
	cleanup_free char *record = xasprintf("%zu path=%s\n", len, name);
	put_header(a, "long name", len, 'x');
	put_padded(a, record, len);
}

int archive_add(struct archive *a, const char *name, const void *data, size_t size)
{
	cleanup_free char *full = xasprintf("%s/%s", a->directory, name);

	if (size > ARCHIVE_MAX_BYTES - a->size)
		return -EFBIG;
	a->size += size;
	if (strlen(full) >= sizeof(((struct header *)NULL)->name))
		put_long_name(a, full);
	put_header(a, full, size, '0');
	put_padded(a, data, size);
	return 0;
}

static void archive_free(struct archive *a)
{
	free(a->path);
	free(a->directory);
	free(a);
}

int archive_close(struct archive *a, struct err *e)
{
	static const char end[2 * BLOCK];
	int r = 0;

	put(a, end, sizeof(end));
	errno = 0;
	if (a->gz && gzclose(a->gz) != Z_OK && !a->error)
		a->error = errno ? errno : EIO;
	if (a->error) {
		r = err_set(e, -a->error, ERR_SYSTEM, "%s: %s",
		            a->path ? a->path : "standard output", strerror(a->error));
		if (a->path)
			unlink(a->path);
	}
	archive_free(a);
	return r;
}

void archive_discard(struct archive *a)
{
	if (!a)
		return;
	if (a->gz)
		gzclose(a->gz);
	else
		close(a->fd);
	if (a->path)
		unlink(a->path);
	archive_free(a);
}
