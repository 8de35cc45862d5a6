/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgp/md5.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/mem.h"

/* Two lines of names and values, some 130 of each. */
#define TEXT_MAX_BYTES 16384
#define SECTION "TcpExt:"

static const char *const names[MD5_N_DROPS] = {
	[MD5_MISSING] = "TCPMD5NotFound",
	[MD5_UNEXPECTED] = "TCPMD5Unexpected",
	[MD5_WRONG] = "TCPMD5Failure",
};

/* The next word of a line, which ends with the line; its length. */
static size_t next_word(const char **at)
{
	*at += strspn(*at, " ");
	return strcspn(*at, " \n");
}

void md5_parse(const char *text, uint64_t ret_count[static MD5_N_DROPS])
{
	const char *name = strstr(text, SECTION);
	const char *value = name ? strstr(name + 1, SECTION) : NULL;
	size_t name_len, value_len;

	memset(ret_count, 0, MD5_N_DROPS * sizeof(*ret_count));
	if (!value)
		return;
	while ((name_len = next_word(&name)) && (value_len = next_word(&value))) {
		for (size_t i = 0; i < MD5_N_DROPS; i++)
			if (strlen(names[i]) == name_len && !strncmp(name, names[i], name_len))
				ret_count[i] = strtoull(value, NULL, 10);
		name += name_len;
		value += value_len;
	}
}

void md5_take(struct md5_watch *w, const uint64_t count[static MD5_N_DROPS], int64_t now_ms)
{
	for (size_t i = 0; i < MD5_N_DROPS; i++) {
		if (w->began && count[i] > w->count[i])
			w->grew_ms[i] = now_ms;
		w->count[i] = count[i];
	}
	w->began = true;
}

void md5_look(struct md5_watch *w, int64_t now_ms)
{
	char text[TEXT_MAX_BYTES];
	uint64_t count[MD5_N_DROPS];
	int fd = open(MD5_COUNTERS_PATH, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	md5_parse(text, count);
	md5_take(w, count, now_ms);
}

static bool grew_lately(const struct md5_watch *w, enum md5_drop drop, int64_t now_ms)
{
	return w->grew_ms[drop] && now_ms - w->grew_ms[drop] < MD5_LATELY_MS;
}

const char *md5_words(const struct md5_watch *w, bool password, int64_t now_ms)
{
	if (password && grew_lately(w, MD5_WRONG, now_ms))
		return "segments with a wrong MD5 signature come in: the router has another password";
	if (password && grew_lately(w, MD5_MISSING, now_ms))
		return "segments without MD5 signature come in: the router has no password";
	if (!password && grew_lately(w, MD5_UNEXPECTED, now_ms))
		return "segments with an MD5 signature come in: the router has a password, the "
		       "configuration none";
	return password ? "has the router the same password?" : "";
}
