/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "proxy/owned.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define OFF '0'
#define OURS '2'

/* Its value's first character, or a negative errno. */
static int read_value(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, &c, 1);
	int r = n == 1 ? c : n < 0 ? -errno : -EIO;
	close(fd);
	return r;
}

static int write_value(const char *path, char value)
{
	const char text[] = { value, '\n' };
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = write(fd, text, sizeof(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int owned_take(const char *path)
{
	int value = read_value(path);

	return value == OFF ? write_value(path, OURS) : value < 0 ? value : 0;
}

bool owned_is_ours(const char *path)
{
	return read_value(path) == OURS;
}

int owned_give_back(const char *path)
{
	return owned_is_ours(path) ? write_value(path, OFF) : 0;
}

int owned_suspend(const char *path)
{
	int value = read_value(path);
	int r = value < 0 ? value : value == OFF ? -EALREADY : write_value(path, OFF);

	return r < 0 ? r : value;
}

void owned_resume(const char *path, int value)
{
	if (value >= 0)
		write_value(path, (char)value);
}
