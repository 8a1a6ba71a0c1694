#include "control/torrent/bencode.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/log/text.h"

void *spate_buf_room(struct spate_buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > b->cap - b->len) {
		size_t cap = b->cap < 128 ? 256 : b->cap * 2;
		char *more;

		while (cap - b->len < n)
			cap *= 2;
		more = realloc(b->p, cap);
		if (more == NULL) {
			b->failed = true;
			return NULL;
		}
		b->p = more;
		b->cap = cap;
	}
	b->len += n;
	return b->p + b->len - n;
}

void spate_buf_add(struct spate_buf *b, const void *p, size_t n)
{
	void *to = spate_buf_room(b, n);

	if (to != NULL && n > 0)
		memcpy(to, p, n);
}

void spate_buf_text(struct spate_buf *b, const char *text)
{
	spate_buf_add(b, text, strlen(text));
}

void spate_buf_printf(struct spate_buf *b, const char *format, ...)
{
	va_list ap, again;
	char few[128], *to;
	int n;

	va_start(ap, format);
	va_copy(again, ap);
	n = vsnprintf(few, sizeof(few), format, ap);
	va_end(ap);
	/* One byte more for the NUL that vsnprintf insists on. */
	to = n < 0 ? NULL : spate_buf_room(b, (size_t)n + 1);
	if (to != NULL) {
		vsnprintf(to, (size_t)n + 1, format, again);
		b->len--;
	}
	va_end(again);
}

static bool unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void spate_buf_percent(struct spate_buf *b, const char *p, size_t n, const char *keep)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)p[i];

		if (unreserved(p[i]) || (c != 0 && strchr(keep, c) != NULL))
			spate_buf_add(b, &p[i], 1);
		else
			spate_buf_add(b, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
	}
}

void spate_buf_json(struct spate_buf *b, const char *p, size_t n)
{
	size_t most = 6 * n + 2; /* \u00XX for each */
	char *to = spate_buf_room(b, most);
	struct spate_text t = SPATE_TEXT(to, most);

	if (to == NULL)
		return;
	spate_text_json(&t, p, n);
	b->len -= most - t.len;
}

void spate_bencode_open(struct spate_buf *b, char what)
{
	spate_buf_add(b, &what, 1);
}

void spate_bencode_close(struct spate_buf *b)
{
	spate_buf_add(b, "e", 1);
}

void spate_bencode_int(struct spate_buf *b, uint64_t n)
{
	spate_buf_printf(b, "i%" PRIu64 "e", n);
}

void spate_bencode_bytes(struct spate_buf *b, const void *p, size_t n)
{
	spate_buf_printf(b, "%zu:", n);
	spate_buf_add(b, p, n);
}

void spate_bencode_text(struct spate_buf *b, const char *text)
{
	spate_bencode_bytes(b, text, strlen(text));
}
