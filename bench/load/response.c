/*
 * response.c: the parser of response.h. A head that lies whole in one run of bytes, which is nearly
 * each, is parsed where it is; only a head cut in two is gathered in text.
 */
#include "bench/load/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void load_response_begin(struct load_response *r, bool head_only)
{
	char *text = r->text;

	*r = (struct load_response){.head_only = head_only, .text = text};
}

void load_response_finish(struct load_response *r)
{
	free(r->text);
	r->text = NULL;
}

/* A decimal number that fills [p, end) but for white space; false: it is none, or over 2^63. */
static bool number(const char *p, const char *end, uint64_t *out)
{
	uint64_t v = 0;
	const char *begin;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	for (begin = p; p < end && *p >= '0' && *p <= '9'; p++) {
		if (v > (UINT64_MAX >> 1) / 10)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*out = v;
	if (p == begin)
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p == end;
}

static bool is(const char *line, size_t n, const char *name, size_t len)
{
	return n > len && line[len] == ':' && strncasecmp(line, name, len) == 0;
}

/* Is `word` one of the comma-separated tokens of [p, end)? */
static bool has_token(const char *p, const char *end, const char *word)
{
	size_t len = strlen(word);

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;

		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if ((size_t)(stop - p) == len && strncasecmp(p, word, len) == 0)
			return true;
		if (comma == NULL)
			return false;
		p = comma + 1;
	}
	return false;
}

/* bytes FIRST-LAST/TOTAL */
static bool content_range(struct load_response *r, const char *p, const char *end)
{
	const char *dash, *slash;
	uint64_t last;

	while (p < end && *p == ' ')
		p++;
	if (end - p < 6 || strncasecmp(p, "bytes ", 6) != 0)
		return false;
	p += 6;
	dash = memchr(p, '-', (size_t)(end - p));
	slash = memchr(p, '/', (size_t)(end - p));
	return slash != NULL &&
	       (dash == NULL || dash > slash ||
		(number(p, dash, &r->first) && number(dash + 1, slash, &last))) &&
	       number(slash + 1, end, &r->total);
}

static bool field(struct load_response *r, const char *line, size_t n, bool *chunked)
{
	const char *end = line + n;
	uint64_t v;

	switch (line[0] | 0x20) {
	case 'c':
		if (is(line, n, "content-length", 14)) {
			if (!number(line + 15, end, &v) || (r->seen_length && v != r->left))
				return false;
			r->left = v;
			r->seen_length = true;
		} else if (is(line, n, "content-range", 13)) {
			return content_range(r, line + 14, end) || r->status == 416;
		} else if (is(line, n, "connection", 10)) {
			if (has_token(line + 11, end, "close"))
				r->close = true;
			else if (has_token(line + 11, end, "keep-alive"))
				r->close = false;
		}
		return true;
	case 't':
		if (is(line, n, "transfer-encoding", 17))
			*chunked = has_token(line + 18, end, "chunked");
		return true;
	default:
		return true;
	}
}

/* [p, p + n) is a head, with its empty line. false: it is none. */
static bool parse_head(struct load_response *r, const char *p, size_t n)
{
	const char *end = p + n - 2, *eol = memchr(p, '\r', n);
	bool chunked = false;

	if (eol - p < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' ')
		return false;
	for (int i = 9; i < 12; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	r->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
	r->close = p[7] == '0';
	for (p = eol + 2; p < end; p = eol + 2) {
		eol = memchr(p, '\r', (size_t)(end - p) + 1);
		if (eol == NULL || eol[1] != '\n' || !field(r, p, (size_t)(eol - p), &chunked))
			return false;
	}
	if (r->status / 100 == 1 && r->status != 101) {
		bool head_only = r->head_only;

		load_response_begin(r, head_only); /* RFC 9110, 15.2: the real one follows */
		return true;
	}
	/* RFC 9112, 6.3: how long is the body? */
	if (r->head_only || r->status == 204 || r->status == 304) {
		r->left = 0;
		r->state = LOAD_RESPONSE_DONE;
	} else if (chunked) {
		r->left = 0;
		r->state = LOAD_RESPONSE_CHUNK_SIZE;
	} else if (r->seen_length) {
		r->state = r->left != 0 ? LOAD_RESPONSE_LENGTH : LOAD_RESPONSE_DONE;
	} else {
		r->close = true;
		r->state = LOAD_RESPONSE_UNTIL_CLOSE;
	}
	return true;
}

static size_t bad(struct load_response *r, size_t used)
{
	r->state = LOAD_RESPONSE_BAD;
	return used;
}

/* Gathers until the empty line; returns bytes used of p. */
static size_t gather_head(struct load_response *r, const uint8_t *p, size_t n)
{
	size_t room = LOAD_HEAD_MAX - r->held, take = n < room ? n : room, had = r->held;
	size_t from = had > 3 ? had - 3 : 0;
	char *end;

	if (r->text == NULL && (r->text = malloc(LOAD_HEAD_MAX)) == NULL)
		return bad(r, n);
	memcpy(r->text + had, p, take);
	end = memmem(r->text + from, had + take - from, "\r\n\r\n", 4);
	if (end == NULL) {
		r->held += (uint32_t)take;
		return r->held == LOAD_HEAD_MAX ? bad(r, n) : take;
	}
	r->held = 0;
	if (!parse_head(r, r->text, (size_t)(end + 4 - r->text)))
		return bad(r, n);
	return (size_t)(end + 4 - r->text) - had;
}

static size_t feed_head(struct load_response *r, const uint8_t *p, size_t n)
{
	const char *end;

	if (r->held != 0)
		return gather_head(r, p, n);
	end = memmem(p, n, "\r\n\r\n", 4);
	if (end == NULL)
		return gather_head(r, p, n);
	size_t len = (size_t)(end + 4 - (const char *)p);

	if (len > LOAD_HEAD_MAX || !parse_head(r, (const char *)p, len))
		return bad(r, n);
	return len;
}

/* SIZE [; extensions] CRLF, byte by byte: a few of them a chunk. */
static size_t feed_size(struct load_response *r, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = p[i], low = c | 0x20;

		if (c == '\n') {
			if ((r->line_digits & 31) == 0)
				return bad(r, n);
			r->line_digits = r->held = 0;
			r->state = r->left != 0 ? LOAD_RESPONSE_CHUNK : LOAD_RESPONSE_TRAILER;
			return i + 1;
		}
		if (++r->held > 1024)
			return bad(r, n);
		if (r->line_digits >= 32 || c == '\r' || c == ';' || c == ' ')
			r->line_digits |= 32; /* past the number */
		else if (((c >= '0' && c <= '9') || (low >= 'a' && low <= 'f')) &&
			 r->line_digits < 15) {
			r->left = r->left * 16 + ((uint64_t)(c <= '9' ? c - '0' : low - 'a' + 10));
			r->line_digits++;
		} else {
			return bad(r, n);
		}
	}
	return n;
}

/* Lines until an empty one. held: bytes of the line so far, CR not counted. */
static size_t feed_trailer(struct load_response *r, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n') {
			if (r->held == 0) {
				r->state = LOAD_RESPONSE_DONE;
				return i + 1;
			}
			r->held = 0;
		} else if (p[i] != '\r') {
			r->held++;
		}
	}
	return n;
}

void load_response_skip(struct load_response *r, uint64_t n)
{
	r->left -= n;
	r->body += n;
	if (r->left == 0)
		r->state = LOAD_RESPONSE_DONE;
}

static size_t feed_body(struct load_response *r, const uint8_t *p, size_t n,
			void (*body)(void *ctx, const uint8_t *p, size_t n), void *ctx)
{
	size_t take = n;

	if (r->state != LOAD_RESPONSE_UNTIL_CLOSE && take > r->left)
		take = (size_t)r->left;
	body(ctx, p, take);
	r->body += take;
	if (r->state == LOAD_RESPONSE_UNTIL_CLOSE)
		return take;
	r->left -= take;
	if (r->left == 0)
		r->state = r->state == LOAD_RESPONSE_CHUNK ? LOAD_RESPONSE_CHUNK_END
							   : LOAD_RESPONSE_DONE;
	return take;
}

size_t load_response_feed(struct load_response *r, const uint8_t *p, size_t n,
			  void (*body)(void *ctx, const uint8_t *p, size_t n), void *ctx)
{
	size_t at = 0;

	while (at < n) {
		switch (r->state) {
		case LOAD_RESPONSE_HEAD:
			at += feed_head(r, p + at, n - at);
			break;
		case LOAD_RESPONSE_LENGTH:
		case LOAD_RESPONSE_CHUNK:
		case LOAD_RESPONSE_UNTIL_CLOSE:
			at += feed_body(r, p + at, n - at, body, ctx);
			break;
		case LOAD_RESPONSE_CHUNK_SIZE:
			at += feed_size(r, p + at, n - at);
			break;
		case LOAD_RESPONSE_CHUNK_END:
			if (p[at] == '\n')
				r->state = LOAD_RESPONSE_CHUNK_SIZE;
			else if (p[at] != '\r')
				return bad(r, n);
			at++;
			break;
		case LOAD_RESPONSE_TRAILER:
			at += feed_trailer(r, p + at, n - at);
			break;
		case LOAD_RESPONSE_DONE:
		case LOAD_RESPONSE_BAD:
			return at;
		}
	}
	return at;
}

bool load_response_eof(struct load_response *r)
{
	if (r->state == LOAD_RESPONSE_UNTIL_CLOSE)
		r->state = LOAD_RESPONSE_DONE;
	return r->state == LOAD_RESPONSE_DONE;
}
