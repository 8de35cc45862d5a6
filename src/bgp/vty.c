/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "bgp/vty.h"

#include <errno.h>
#include <string.h>

#include "fairlead/mem.h"

static const char *const status_names[] = {
	"success",         "warning",
	"no match",        "ambiguous",
	"incomplete",      "too many arguments",
	"nothing to do",   "complete full match",
	"complete match",  "complete list match",
	"success, daemon", "no file",
	"suspended",       "configuration failed",
	"not my instance", "no level up",
	"no daemon",
};

const char *vty_status_name(uint8_t status)
{
	return status < ARRAY_LEN(status_names) ? status_names[status] : "unknown";
}

int vty_check(const char *text, struct err *e)
{
	size_t len = strnlen(text, VTY_COMMAND_MAX + 1);

	if (len == 0)
		return err_set(e, -EINVAL, ERR_BUG, "an empty command");
	if (len > VTY_COMMAND_MAX)
		return err_set(e, -EINVAL, ERR_LIMIT, "a command of more than %d bytes",
		               VTY_COMMAND_MAX);
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return err_set(e, -EINVAL, ERR_CONFIG,
			               "a command with the unprintable byte 0x%02x",
			               (unsigned char)text[i]);
	if (strstr(text, "| "))
		return err_set(e, -EINVAL, ERR_CONFIG, "a command with a pipe");
	return 0;
}

int vty_frame(const char *text, struct buf *out, struct err *e)
{
	int r = vty_check(text, e);

	if (r == 0)
		buf_add(out, text, strlen(text) + 1);
	return r;
}

void vty_redact(const char *text, struct buf *out)
{
	static const char word[] = "password ";
	const char *secret = strstr(text, word);
	const char *end = secret ? secret + strlen(word) : text + strlen(text);

	for (const char *p = text; p < end; p++)
		buf_putc(out, *p >= 0x20 && *p <= 0x7e ? *p : '?');
	if (secret)
		buf_puts(out, "***");
}

void vty_reader_init(struct vty_reader *r)
{
	*r = (struct vty_reader){ .max_bytes = VTY_REPLY_MAX };
}

void vty_reader_fini(struct vty_reader *r)
{
	buf_fini(&r->text);
}

int vty_reader_feed(struct vty_reader *r, const void *data, size_t size, size_t *ret_used,
                    uint8_t *ret_status)
{
	const uint8_t *p = data, *end = p + size;

	if (r->nuls == 4) { /* the reply returned last */
		buf_clear(&r->text);
		r->nuls = 0;
	}
	while (p < end && r->nuls < 3) {
		if (*p == 0) {
			r->nuls++;
			p++;
			continue;
		}
		if (r->nuls)
			return -EPROTO;
		const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
		size_t run = (size_t)((nul ? nul : end) - p);
		if (run > r->max_bytes - r->text.size)
			return -EMSGSIZE;
		buf_add(&r->text, p, run);
		p += run;
	}
	if (p == end) {
		*ret_used = size;
		return 0;
	}
	r->nuls = 4;
	*ret_status = *p++;
	*ret_used = (size_t)(p - (const uint8_t *)data);
	return 1;
}
