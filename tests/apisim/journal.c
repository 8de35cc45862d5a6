/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fairlead/buf.h"
#include "fairlead/log.h"
#include "fairlead/mem.h"
#include "js.h"
#include "store.h"

#define JOURNAL_MIN_LINES 4096 /* shorter files are not worth rewriting */
#define JOURNAL_SLACK 4        /* lines per object at which a rewrite is due */
#define JOURNAL_MAX_BYTES (1u << 30)

struct journal {
	char *path;
	int fd;
	size_t lines;
	struct buf line;
};

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int append(struct journal *j, struct err *err)
{
	off_t end = lseek(j->fd, 0, SEEK_END);
	int r = write_all(j->fd, j->line.data, j->line.size);

	if (r < 0) {
		/* Half a line would spoil the next one. */
		if (end >= 0 && ftruncate(j->fd, end) < 0)
			log_error("journal is torn", KV_S("file", j->path));
		return err_set(err, r, ERR_SYSTEM, "%s: %s", j->path, strerror(-r));
	}
	j->lines++;
	return 0;
}

static void put_line(struct buf *b, enum store_id id, const struct version *v)
{
	buf_printf(b, "{\"put\":\"%s\",\"rv\":%" PRIu64 ",\"object\":{",
	           kind_of_store(id)->resource, v->rv);
	buf_add(b, v->text + v->rest, v->size - v->rest);
	buf_puts(b, "}\n");
}

int journal_put(struct journal *j, enum store_id id, const struct version *v, struct err *err)
{
	buf_clear(&j->line);
	put_line(&j->line, id, v);
	return append(j, err);
}

int journal_delete(struct journal *j, enum store_id id, const char *key, uint64_t rv,
                   struct err *err)
{
	buf_clear(&j->line);
	buf_printf(&j->line,
	           "{\"delete\":\"%s\",\"rv\":%" PRIu64 ",\"key\":", kind_of_store(id)->resource,
	           rv);
	buf_json_str(&j->line, key);
	buf_puts(&j->line, "}\n");
	return append(j, err);
}

/* The counter and how far back each kind can tell, which the objects alone do not say. */
static void head_line(struct buf *b, const struct store *s)
{
	buf_printf(b, "{\"head\":%" PRIu64 ",\"reset\":%s,\"last\":{", s->rv,
	           s->was_reset ? "true" : "false");
	for (int id = 0; id < STORE_N; id++)
		buf_printf(b, "%s\"%s\":%" PRIu64, id ? "," : "",
		           kind_of_store((enum store_id)id)->resource, s->shelves[id].last);
	buf_puts(b, "}}\n");
}

int journal_compact(struct journal *j, const struct store *s, struct err *err)
{
	cleanup(buf_fini) struct buf b = BUF_INIT;

	head_line(&b, s);
	size_t lines = 1;
	for (int id = 0; id < STORE_N; id++) {
		for (size_t i = 0; i < s->shelves[id].n; i++, lines++)
			put_line(&b, (enum store_id)id, s->shelves[id].v[i]);
	}
	cleanup_free char *beside = xasprintf("%s.new", j->path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_all(fd, b.data, b.size);
	if (r == 0 && rename(beside, j->path) < 0)
		r = -errno;
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return err_set(err, r, ERR_SYSTEM, "%s: %s", beside, strerror(-r));
	}
	close(j->fd);
	j->fd = fd;
	j->lines = lines;
	return 0;
}

void journal_compact_if_due(struct journal *j, const struct store *s)
{
	size_t objects = 0;

	for (int id = 0; id < STORE_N; id++)
		objects += s->shelves[id].n;
	if (j->lines < JOURNAL_MIN_LINES || j->lines < JOURNAL_SLACK * objects)
		return;
	struct err err = ERR_INIT;
	if (journal_compact(j, s, &err) < 0) {
		log_err("journal not rewritten", &err);
		j->lines = 0; /* try again after as many lines */
	}
}

static int load_line(struct store *s, const char *line, size_t size, struct err *err)
{
	cleanup(js_put) struct json_object *o = js_parse(line, size, err);

	if (!o)
		return -EINVAL;
	const char *put = js_str(o, "put"), *del = js_str(o, "delete");
	if (js_get(o, "head")) {
		s->rv = (uint64_t)js_int(o, "head", 0);
		s->was_reset = js_bool(o, "reset", false);
		for (int id = 0; id < STORE_N; id++) {
			struct json_object *last = js_object(o, "last");
			s->shelves[id].floor = s->shelves[id].last = (uint64_t)js_int(
				last, kind_of_store((enum store_id)id)->resource, 0);
		}
		return 0;
	}
	const struct kind *k = kind_of_resource(put ? put : del ? del : "");
	uint64_t rv = (uint64_t)js_int(o, "rv", 0);
	struct json_object *object = js_object(o, "object");
	if (k && rv && put && object) {
		uint64_t last = s->shelves[k->store].last;
		store_load(s, k->store, rv, object);
		/* After a rewrite the lines come in the order of keys, not of versions. */
		if (s->shelves[k->store].last < last)
			s->shelves[k->store].floor = s->shelves[k->store].last = last;
	} else if (k && rv && del && js_str(o, "key")) {
		store_unload(s, k->store, rv, js_str(o, "key"));
	} else {
		return err_set(err, -EINVAL, ERR_SYSTEM, "neither put nor delete");
	}
	return 0;
}

/* Returns how many bytes hold whole lines. */
static int load(struct journal *j, struct store *s, const char *data, size_t size,
                size_t *ret_whole, struct err *err)
{
	size_t at = 0;

	while (at < size) {
		const char *nl = memchr(data + at, '\n', size - at);
		if (!nl)
			break;
		size_t len = (size_t)(nl - data) - at;
		int r = load_line(s, data + at, len, err);
		if (r < 0) {
			err_prefix(err, "%s: line %zu", j->path, j->lines + 1);
			return r;
		}
		j->lines++;
		at += len + 1;
	}
	*ret_whole = at;
	return 0;
}

static int read_file(int fd, struct buf *b)
{
	for (;;) {
		ssize_t n = read(fd, buf_reserve(b, 1 << 16), 1 << 16);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		buf_advance(b, (size_t)n);
		if (b->size > JOURNAL_MAX_BYTES)
			return -EFBIG;
	}
}

int journal_open(const char *path, struct store *s, struct journal **ret_journal, struct err *err)
{
	struct journal *j = xcalloc(1, sizeof(*j));

	j->path = xstrdup(path);
	j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	cleanup(buf_fini) struct buf b = BUF_INIT;
	int r = j->fd < 0 ? -errno : read_file(j->fd, &b);
	size_t whole = 0;
	if (r < 0)
		err_set(err, r, ERR_SYSTEM, "%s: %s", path, strerror(-r));
	else
		r = load(j, s, buf_str(&b), b.size, &whole, err);
	if (r == 0 && whole < b.size && ftruncate(j->fd, (off_t)whole) < 0)
		r = err_set(err, -errno, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	if (r < 0) {
		journal_free(j);
		return r;
	}
	*ret_journal = j;
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	buf_fini(&j->line);
	free(j->path);
	free(j);
}
