/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head is cut into lines, which end with LF; a CR before it belongs to the end.  A NUL, a line
 * that is no field, or a length that is given twice is a bad request: a server that guesses what
 * was meant can be made to guess differently from a proxy in front of it.
 */
#include "config.h"

#include "metrics/request.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct text {
	const char *at;
	size_t size;
};

static bool text_is(struct text t, const char *word)
{
	return t.size == strlen(word) && !strncasecmp(t.at, word, t.size);
}

static struct text trim(struct text t)
{
	while (t.size && (t.at[0] == ' ' || t.at[0] == '\t')) {
		t.at++;
		t.size--;
	}
	while (t.size && (t.at[t.size - 1] == ' ' || t.at[t.size - 1] == '\t'))
		t.size--;
	return t;
}

/* Takes the text up to @end off *@rest; false: there is no @end. */
static bool cut(struct text *rest, char end, struct text *ret)
{
	const char *p = memchr(rest->at, end, rest->size);

	if (!p)
		return false;
	*ret = (struct text){ rest->at, (size_t)(p - rest->at) };
	rest->size -= ret->size + 1;
	rest->at = p + 1;
	return true;
}

static bool next_line(struct text *rest, struct text *ret)
{
	if (!cut(rest, '\n', ret))
		return false;
	if (ret->size && ret->at[ret->size - 1] == '\r')
		ret->size--;
	return true;
}

static enum request_method method_of(struct text word)
{
	static const struct {
		const char *name;
		enum request_method method;
	} methods[] = { { "GET", REQUEST_GET }, { "HEAD", REQUEST_HEAD }, { "PUT", REQUEST_PUT } };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (word.size == strlen(methods[i].name) &&
		    !memcmp(word.at, methods[i].name, word.size))
			return methods[i].method;
	return REQUEST_OTHER;
}

/*
 * The path of an origin-form or absolute-form target; one that is longer than any of ours stays "".
 */
static void put_path(struct text target, char path[static REQUEST_PATH_SIZE])
{
	static const char scheme[] = "http://";
	size_t skip = sizeof(scheme) - 1;

	if (target.size > skip && !strncasecmp(target.at, scheme, skip)) {
		const char *slash = memchr(target.at + skip, '/', target.size - skip);
		size_t left = slash ? (size_t)(target.at + target.size - slash) : 0;
		target = (struct text){ slash ? slash : "/", slash ? left : 1 };
	}
	size_t size = 0;
	while (size < target.size && target.at[size] != '?' && target.at[size] != '#')
		size++;
	if (size >= REQUEST_PATH_SIZE)
		return;
	memcpy(path, target.at, size);
	path[size] = '\0';
}

static int parse_request_line(struct text line, struct request *r)
{
	struct text word, target;

	if (!cut(&line, ' ', &word) || !word.size || !cut(&line, ' ', &target) || !target.size ||
	    line.size != strlen("HTTP/1.1") || memcmp(line.at, "HTTP/1.", strlen("HTTP/1.")))
		return -400;
	r->method = method_of(word);
	put_path(target, r->path);
	return 0;
}

static int parse_length(struct text value, size_t *length, bool *seen)
{
	size_t n = 0;

	if (!value.size || *seen)
		return -400;
	for (size_t i = 0; i < value.size; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return -400;
		if (n <= LIMIT_HTTP_BODY_BYTES)
			n = n * 10 + (size_t)(value.at[i] - '0');
	}
	*seen = true;
	*length = n;
	return n > LIMIT_HTTP_BODY_BYTES ? -413 : 0;
}

static void put_token(struct text value, struct request *r)
{
	static const char scheme[] = "Bearer ";

	if (value.size < sizeof(scheme) || strncasecmp(value.at, scheme, sizeof(scheme) - 1) ||
	    value.size - (sizeof(scheme) - 1) >= sizeof(r->token))
		return;
	memcpy(r->token, value.at + sizeof(scheme) - 1, value.size - (sizeof(scheme) - 1));
	r->token[value.size - (sizeof(scheme) - 1)] = '\0';
}

static int parse_field(struct text line, struct request *r, size_t *length, bool *has_length)
{
	struct text name;

	if (!cut(&line, ':', &name) || !name.size)
		return -400;
	struct text value = trim(line);
	if (text_is(name, "Content-Length"))
		return parse_length(value, length, has_length);
	if (text_is(name, "Transfer-Encoding"))
		return -411;
	if (text_is(name, "Authorization"))
		put_token(value, r);
	return 0;
}

int request_parse(const char *data, size_t size, struct request *ret_request)
{
	struct text rest = { data, size }, line;
	struct request r = { .method = REQUEST_OTHER };
	size_t length = 0;
	bool has_length = false;
	int bad = 0, n_lines = 0;

	/*
	 * The whole head first: what is answered does not depend on how the bytes were cut on their
	 * way.
	 */
	while (next_line(&rest, &line) && (line.size || !n_lines)) {
		if (memchr(line.at, '\0', line.size))
			bad = bad ? bad : -400;
		if (!line.size)
			continue; /* RFC 9112 2.2: an empty line before the request */
		int b = n_lines++ ? parse_field(line, &r, &length, &has_length)
		                  : parse_request_line(line, &r);
		bad = bad ? bad : b;
	}
	bool whole = n_lines && rest.at > data && rest.at[-1] == '\n' && !line.size;
	size_t head = (size_t)(rest.at - data);
	if ((whole ? head : size) > LIMIT_HTTP_HEAD_BYTES)
		return -431;
	if (!whole)
		return -EAGAIN;
	if (bad)
		return bad;
	if (size - head < length)
		return -EAGAIN;
	memcpy(r.body, data + head, length);
	*ret_request = r;
	return 0;
}
