/*
 * text.h: text into a fixed buffer, for lines, metrics and JSON. A piece that does not fit sets
 * `full` and adds nothing from there on, so a caller checks once at the end; what is in the buffer
 * is always whole pieces.
 *
 *   struct spate_text t = SPATE_TEXT(buf, sizeof(buf));
 *   spate_text_lit(&t, "{\"bytes\":"); spate_text_u64(&t, n); ...
 *   if (t.full) ...; write(fd, t.p, t.len);
 *
 * No allocation, no locale, no terminating NUL.
 */
#ifndef SPATE_CONTROL_LOG_TEXT_H
#define SPATE_CONTROL_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spate_text {
	char *p;
	size_t len, cap;
	bool full;
};

#define SPATE_TEXT(buf, size)  ((struct spate_text){.p = (buf), .cap = (size)})
#define spate_text_lit(t, lit) spate_text_put((t), (lit), sizeof(lit) - 1)

void spate_text_put(struct spate_text *t, const void *bytes, size_t n);
void spate_text_str(struct spate_text *t, const char *s); /* NULL: nothing */
void spate_text_u64(struct spate_text *t, uint64_t v);
void spate_text_i64(struct spate_text *t, int64_t v);
void spate_text_f(struct spate_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * A JSON string with its quotes (RFC 8259 section 7), from any bytes. Valid UTF-8 stays as it is; a
 * byte that is not part of any is taken as ISO-8859-1 (what a field value was before RFC 9110 5.5)
 * and written \u00XX, as are control characters, DEL and C1, so that a line is always valid JSON
 * and safe on a terminal.
 */
void spate_text_json(struct spate_text *t, const void *bytes, size_t n);

/* Bytes inside quotes as nginx and Apache write them: `"`, `\`, controls and bytes over 126 become
 * \xHH. */
void spate_text_hex(struct spate_text *t, const void *bytes, size_t n);

/* Dotted IPv4 when it is ::ffff:a.b.c.d, else IPv6 as RFC 5952. */
void spate_text_ip(struct spate_text *t, const uint8_t ip[16]);

/* 2026-11-23T17:02:22.123Z, from microseconds of CLOCK_REALTIME. */
void spate_text_iso(struct spate_text *t, int64_t us);

/* 23/Nov/2026:17:02:22 +0000 */
void spate_text_clf(struct spate_text *t, int64_t us);

#endif
