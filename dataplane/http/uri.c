#include "dataplane/http/uri.h"

#include "dataplane/http/scan.h"

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = spate_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_class(char c, uint8_t class)
{
	return (spate_char_class[(uint8_t)c] & class) != 0;
}

/* Two upper-case hex digits that hide nothing which ought to be plain, nor a NUL. */
static bool is_normal_escape(struct spate_slice s, uint32_t i)
{
	if (i + 2 >= s.len || s.p[i + 1] >= 'a' || s.p[i + 2] >= 'a')
		return false;

	int hi = hex_of(s.p[i + 1]), lo = hex_of(s.p[i + 2]);

	if (hi < 0 || lo < 0 || (hi | lo) == 0)
		return false;
	return !is_class((char)(hi * 16 + lo), SPATE_CHAR_UNRESERVED);
}

/* How many of the first bytes, in eights, need no look of their own: one test for eight. */
static uint32_t plain_eights(struct spate_slice s)
{
	const uint8_t *c = spate_char_class, *p = (const uint8_t *)s.p;
	uint32_t i = 0;

	while (i + 8 <= s.len && (c[p[i]] & c[p[i + 1]] & c[p[i + 2]] & c[p[i + 3]] & c[p[i + 4]] &
				  c[p[i + 5]] & c[p[i + 6]] & c[p[i + 7]] & SPATE_CHAR_URI) != 0)
		i += 8;
	return i;
}

/* Is everything in normal form already? "/." makes it doubtful: the slow way tells. */
static bool is_normal(struct spate_slice s)
{
	if (s.len == 0 || s.p[0] != '/')
		return false;
	for (uint32_t i = plain_eights(s); i < s.len; i++)
		if (!is_class(s.p[i], SPATE_CHAR_URI) && (s.p[i] != '%' || !is_normal_escape(s, i)))
			return false;

	const char *p = s.p, *end = s.p + s.len;

	while ((p = memchr(p, '.', (size_t)(end - p))) != NULL) {
		if (p[-1] == '/')
			return false;
		p++;
	}
	return true;
}

struct writer {
	char *p;
	size_t n, cap;
};

static bool put(struct writer *w, char c)
{
	if (w->n == w->cap)
		return false;
	w->p[w->n++] = c;
	return true;
}

static bool put_encoded(struct writer *w, uint8_t c)
{
	static const char hex[] = "0123456789ABCDEF";

	return put(w, '%') && put(w, hex[c >> 4]) && put(w, hex[c & 15]);
}

/* One character of the input, normalised, at s->p[*i]; *i moves past it. */
static enum spate_uri_verdict copy_char(struct writer *w, struct spate_slice s, uint32_t *i)
{
	char c = s.p[(*i)++];

	if (c == '%') {
		int hi = *i + 1 < s.len ? hex_of(s.p[*i]) : -1;
		int lo = *i + 1 < s.len ? hex_of(s.p[*i + 1]) : -1;
		int byte = hi * 16 + lo;

		if (hi < 0 || lo < 0 || byte == 0)
			return SPATE_URI_BAD;
		*i += 2;
		if (!is_class((char)byte, SPATE_CHAR_UNRESERVED))
			return put_encoded(w, (uint8_t)byte) ? SPATE_URI_OK : SPATE_URI_TOO_LONG;
		c = (char)byte;
	} else if (c == '#' || c == '\0') {
		return SPATE_URI_BAD;
	} else if (!is_class(c, SPATE_CHAR_URI)) {
		return put_encoded(w, (uint8_t)c) ? SPATE_URI_OK : SPATE_URI_TOO_LONG;
	}
	return put(w, c) ? SPATE_URI_OK : SPATE_URI_TOO_LONG;
}

enum segment {
	SEGMENT_NAME,
	SEGMENT_DOTS,
	SEGMENT_ABOVE_ROOT,
};

/*
 * The segment just written is w->p[from, w->n), after its '/'. Dot segments go (RFC 3986 5.2.4):
 * "." leaves the slash before it, ".." takes the segment before with it.
 */
static enum segment end_segment(struct writer *w, size_t from)
{
	size_t n = w->n - from;

	if (n == 1 && w->p[from] == '.') {
		w->n = from;
		return SEGMENT_DOTS;
	}
	if (n == 2 && w->p[from] == '.' && w->p[from + 1] == '.') {
		if (from == 1)
			return SEGMENT_ABOVE_ROOT;
		w->n = from - 1;
		while (w->p[w->n - 1] != '/')
			w->n--;
		return SEGMENT_DOTS;
	}
	return SEGMENT_NAME;
}

enum spate_uri_verdict spate_http_uri_normalise(struct spate_slice in, char *buf, size_t cap,
						struct spate_slice *out)
{
	struct writer w = {.p = buf, .cap = cap};
	enum spate_uri_verdict v = SPATE_URI_OK;
	uint32_t i = 0;

	if (is_normal(in)) {
		*out = in;
		return SPATE_URI_OK;
	}
	if (in.len > 0 && in.p[0] != '/' && in.p[0] != '?')
		return SPATE_URI_BAD;
	if (!put(&w, '/'))
		return SPATE_URI_TOO_LONG;
	if (in.len > 0 && in.p[0] == '/')
		i = 1;

	/* Path: the writer is always just after a '/' when a segment begins. */
	bool more = true;

	while (more) {
		size_t from = w.n;

		while (i < in.len && in.p[i] != '/' && in.p[i] != '?') {
			v = copy_char(&w, in, &i);
			if (v != SPATE_URI_OK)
				return v;
		}
		more = i < in.len && in.p[i] == '/';
		switch (end_segment(&w, from)) {
		case SEGMENT_ABOVE_ROOT:
			return SPATE_URI_BAD;
		case SEGMENT_DOTS: /* ends in the '/' before it already */
			i += more;
			break;
		case SEGMENT_NAME:
			if (more && !put(&w, '/'))
				return SPATE_URI_TOO_LONG;
			i += more;
			break;
		}
	}
	while (i < in.len) {
		v = copy_char(&w, in, &i);
		if (v != SPATE_URI_OK)
			return v;
	}
	*out = spate_slice_of(buf, w.n);
	return SPATE_URI_OK;
}
