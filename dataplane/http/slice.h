/*
 * slice.h: bytes inside somebody else's buffer: a request head, a response head, a static text.
 * Never NUL-terminated, never owned; valid as long as that buffer. p NULL: absent; len 0 with p:
 * present and empty.
 */
#ifndef SPATE_HTTP_SLICE_H
#define SPATE_HTTP_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct spate_slice {
	const char *p;
	uint32_t len;
};

#define SPATE_SLICE(literal) ((struct spate_slice){"" literal, sizeof(literal) - 1})
// clang-format off
#define SPATE_SLICE_INIT(literal) {"" literal, sizeof(literal) - 1} /* in static tables */
// clang-format on

static inline struct spate_slice spate_slice_of(const void *p, size_t len)
{
	return (struct spate_slice){p, (uint32_t)len};
}

static inline bool spate_slice_eq(struct spate_slice a, struct spate_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline char spate_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Case-insensitive for ASCII; b is lower case already (RFC 9110 5.1, 5.6.2). */
static inline bool spate_slice_is(struct spate_slice a, struct spate_slice b)
{
	if (a.len != b.len)
		return false;
	for (uint32_t i = 0; i < a.len; i++)
		if (spate_lower(a.p[i]) != b.p[i])
			return false;
	return true;
}

/* Without the optional white space (SP, HTAB) around it: RFC 9110 5.6.3. */
static inline struct spate_slice spate_slice_trim(struct spate_slice s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/*
 * Walks a comma-separated list of tokens (RFC 9110 5.6.1: empty elements are skipped; no quoted
 * strings). Takes the next element off the front of *list into *item; false at the end.
 */
static inline bool spate_slice_next(struct spate_slice *list, struct spate_slice *item)
{
	while (list->len > 0) {
		const char *comma = memchr(list->p, ',', list->len);
		uint32_t n = comma != NULL ? (uint32_t)(comma - list->p) : list->len;

		*item = spate_slice_trim((struct spate_slice){list->p, n});
		n += comma != NULL;
		list->p += n;
		list->len -= n;
		if (item->len > 0)
			return true;
	}
	return false;
}

/* Digits only, no sign, no space; false when empty, not a number or over 2^64 - 1. */
static inline bool spate_slice_u64(struct spate_slice s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.len == 0)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)(uint8_t)s.p[i] - '0';

		if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*out = v;
	return true;
}

#endif
