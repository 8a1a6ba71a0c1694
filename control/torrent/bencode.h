/*
 * bencode.h: a buffer that grows, and bencoding (BEP 3) into it. Dictionaries' keys must be written
 * in order of their bytes: that is the caller's, and checked by nobody.
 *
 *   struct spate_buf b = {0};
 *   spate_bencode_open(&b, 'd');
 *   spate_bencode_text(&b, "length"); spate_bencode_int(&b, 42);
 *   spate_bencode_close(&b);
 *   if (b.failed) ...                no memory: said once, here; the content is then of no use
 *   free(b.p)
 */
#ifndef SPATE_TORRENT_BENCODE_H
#define SPATE_TORRENT_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spate_buf {
	char *p; /* malloc'd; not terminated */
	size_t len, cap;
	bool failed;
};

/* n bytes to be written by the caller, which are counted already; NULL: failed. */
void *spate_buf_room(struct spate_buf *b, size_t n);
void spate_buf_add(struct spate_buf *b, const void *p, size_t n);
void spate_buf_text(struct spate_buf *b, const char *text);
void spate_buf_printf(struct spate_buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Everything but unreserved characters (RFC 3986 2.3) and those in `keep` becomes %XX. */
void spate_buf_percent(struct spate_buf *b, const char *p, size_t n, const char *keep);
/* A JSON string, quotes included: see spate_text_json. */
void spate_buf_json(struct spate_buf *b, const char *p, size_t n);

void spate_bencode_open(struct spate_buf *b, char what); /* 'd' or 'l' */
void spate_bencode_close(struct spate_buf *b);
void spate_bencode_int(struct spate_buf *b, uint64_t n);
void spate_bencode_bytes(struct spate_buf *b, const void *p, size_t n);
void spate_bencode_text(struct spate_buf *b, const char *text);

#endif
