/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "metrics/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "metrics/request.h"

/* The first line of the file, without white space at its end. */
static int read_token(const char *path, char token[static REQUEST_TOKEN_SIZE], struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, token, REQUEST_TOKEN_SIZE);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return err_set(e, -error, ERR_CONFIG, "--http-token-file %s: %s", path,
		               strerror(error));
	if (n == REQUEST_TOKEN_SIZE)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--http-token-file %s: a token has at most %d bytes", path,
		               REQUEST_TOKEN_SIZE - 1);
	token[n] = '\0';
	token[strcspn(token, " \t\r\n")] = '\0';
	if (!*token)
		return err_set(e, -EINVAL, ERR_CONFIG,
		               "--http-token-file %s: there is no token in it", path);
	return 0;
}

/* Takes as long for a wrong token as for the right one. */
static bool is_same(const char *token, const char *given)
{
	size_t size = strlen(token);
	unsigned char differ = strlen(given) != size;

	for (size_t i = 0; i < size && strlen(given) == size; i++)
		differ |= (unsigned char)(token[i] ^ given[i]);
	return !differ;
}

enum guard_answer guard_ask(const struct metrics_guard *g, bool from_this_host, bool writes,
                            const char *token)
{
	char want[REQUEST_TOKEN_SIZE];

	if (from_this_host)
		return GUARD_PASS;
	if (!g->token_file)
		return writes || g->host_only ? GUARD_NEEDS_HOST : GUARD_PASS;
	if (read_token(g->token_file, want, NULL) == 0 && is_same(want, token))
		return GUARD_PASS;
	return GUARD_NEEDS_TOKEN;
}

int guard_check(const struct metrics_guard *g, struct err *e)
{
	char token[REQUEST_TOKEN_SIZE];

	return g->token_file ? read_token(g->token_file, token, e) : 0;
}
