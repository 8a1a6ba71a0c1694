#include "dataplane/http/request.h"

#include <assert.h>
#include <stdatomic.h>

#include "dataplane/http/field.h"
#include "dataplane/http/host.h"
#include "dataplane/http/scan_x86.h"

/* What the field loop notes for finish(): errors wait there, so that every head is judged whole. */
struct seen {
	bool host, length, coding, close, keep_alive, if_range, range, if_modified, if_unmodified;
	bool range_again, if_range_again, if_modified_again, if_unmodified_again;
	bool bad_host, bad_framing, bad_coding, bad_expectation;
};

/*
 * memset, 16 bytes a store: for a size this large gcc would put a "rep stos" here, whose start-up
 * costs as much as parsing a short request.
 */
static inline void clear(struct spate_http_request *r)
{
	typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));
	char *p = (char *)r;
	size_t i = 0;

	static_assert(sizeof(*r) % 8 == 0, "cleared whole");
	for (; i + sizeof(pair) <= sizeof(*r); i += sizeof(pair)) {
		*(pair *)(void *)(p + i) = (pair){0, 0};
		__asm__ volatile("" ::: "memory"); /* or the loop would become memset again */
	}
	if (i < sizeof(*r))
		*(uint64_t *)(void *)(p + i) = 0;
}

static enum spate_http_method method_of(struct spate_slice m)
{
	switch (m.len) {
	case 3:
		if (memcmp(m.p, "GET", 3) == 0)
			return SPATE_HTTP_GET;
		return memcmp(m.p, "PUT", 3) == 0 ? SPATE_HTTP_PUT : SPATE_HTTP_UNKNOWN;
	case 4:
		if (memcmp(m.p, "HEAD", 4) == 0)
			return SPATE_HTTP_HEAD;
		return memcmp(m.p, "POST", 4) == 0 ? SPATE_HTTP_POST : SPATE_HTTP_UNKNOWN;
	case 5:
		if (memcmp(m.p, "PATCH", 5) == 0)
			return SPATE_HTTP_PATCH;
		return memcmp(m.p, "TRACE", 5) == 0 ? SPATE_HTTP_TRACE : SPATE_HTTP_UNKNOWN;
	case 6:
		return memcmp(m.p, "DELETE", 6) == 0 ? SPATE_HTTP_DELETE : SPATE_HTTP_UNKNOWN;
	case 7:
		if (memcmp(m.p, "OPTIONS", 7) == 0)
			return SPATE_HTTP_OPTIONS;
		return memcmp(m.p, "CONNECT", 7) == 0 ? SPATE_HTTP_CONNECT : SPATE_HTTP_UNKNOWN;
	default:
		return SPATE_HTTP_UNKNOWN;
	}
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x\r\n" at p (RFC 9112 2.3). A prefix that can't become one is refused before the rest
 * comes. */
static enum spate_request_verdict version(const uint8_t *p, const uint8_t *end, uint8_t *minor)
{
	static const char form[] = "HTTP/d.d\r\n";

	for (unsigned i = 0; i < sizeof(form) - 1; i++) {
		if (p + i == end)
			return SPATE_REQUEST_NEED_MORE;
		if (form[i] == 'd' ? !is_digit(p[i]) : p[i] != (uint8_t)form[i])
			return SPATE_REQUEST_BAD_LINE;
	}
	if (p[5] != '1')
		return SPATE_REQUEST_BAD_VERSION;
	*minor = p[7] - '0';
	return SPATE_REQUEST_OK;
}

static void split_query(struct spate_http_request *r)
{
	const char *q =
		r->path_query.len == 0 ? NULL : memchr(r->path_query.p, '?', r->path_query.len);

	r->path = r->path_query;
	if (q == NULL)
		return;
	r->path.len = (uint32_t)(q - r->path.p);
	r->query = spate_slice_of(q + 1, r->path_query.len - r->path.len - 1);
}

/* "http://authority/path?query" (RFC 9112 3.2.2). */
static enum spate_request_verdict absolute_form(struct spate_http_request *r)
{
	struct spate_slice t = r->target;
	uint32_t scheme = 0;

	if (t.len >= 7 && spate_slice_is(spate_slice_of(t.p, 7), SPATE_SLICE("http://")))
		scheme = 7;
	else if (t.len >= 8 && spate_slice_is(spate_slice_of(t.p, 8), SPATE_SLICE("https://")))
		scheme = 8;
	else
		return SPATE_REQUEST_BAD_TARGET;

	uint32_t i = scheme;

	while (i < t.len && t.p[i] != '/' && t.p[i] != '?')
		i++;
	r->form = SPATE_FORM_ABSOLUTE;
	r->host = spate_slice_of(t.p + scheme, i - scheme);
	if (!spate_http_host_valid(r->host, NULL))
		return SPATE_REQUEST_BAD_TARGET;
	r->path_query = spate_slice_of(t.p + i, t.len - i);
	split_query(r);
	return SPATE_REQUEST_OK;
}

static enum spate_request_verdict target_form(struct spate_http_request *r)
{
	struct spate_slice t = r->target;
	bool has_port;

	if (r->method == SPATE_HTTP_CONNECT) {
		r->form = SPATE_FORM_AUTHORITY;
		r->host = t;
		return spate_http_host_valid(t, &has_port) && has_port ? SPATE_REQUEST_OK
								       : SPATE_REQUEST_BAD_TARGET;
	}
	if (t.p[0] == '/') {
		r->form = SPATE_FORM_ORIGIN;
		r->path_query = t;
		split_query(r);
		return SPATE_REQUEST_OK;
	}
	if (t.len == 1 && t.p[0] == '*') {
		r->form = SPATE_FORM_ASTERISK;
		return r->method == SPATE_HTTP_OPTIONS ? SPATE_REQUEST_OK
						       : SPATE_REQUEST_BAD_TARGET;
	}
	return absolute_form(r);
}

/*
 * Case-insensitive, for names that are tokens: no tchar but the letter itself becomes a lower-case
 * letter, '-' or a digit by setting 0x20. len is a constant wherever this is called, so the loop is
 * gone.
 */
static inline bool name_is(const uint8_t *p, const char *lower, size_t len)
{
	uint8_t diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= (uint8_t)((p[i] | 0x20) ^ (uint8_t)lower[i]);
	return diff == 0;
}

#define NAME_IS(f, s) name_is((f)->name, s, sizeof(s) - 1)

static void take_connection(struct seen *seen, struct spate_slice list)
{
	struct spate_slice option;

	while (spate_slice_next(&list, &option)) {
		if (spate_slice_is(option, SPATE_SLICE("close")))
			seen->close = true;
		else if (spate_slice_is(option, SPATE_SLICE("keep-alive")))
			seen->keep_alive = true;
	}
}

/*
 * A lone "chunked" is understood. Chunked last after other codings is a body we could delimit but
 * not read: 501 (RFC 9112 6.1). Chunked not last, or twice, can't be delimited: 400 (6.3, 7.1).
 */
static void take_coding(struct spate_http_request *r, struct seen *seen, struct spate_slice list)
{
	struct spate_slice coding;
	unsigned n = 0, chunked = 0;
	bool last = false;

	if (seen->coding)
		seen->bad_framing = true;
	seen->coding = true;
	while (spate_slice_next(&list, &coding)) {
		last = spate_slice_is(coding, SPATE_SLICE("chunked"));
		chunked += last;
		n++;
	}
	if (!last || chunked != 1)
		seen->bad_framing = true;
	else if (n > 1)
		seen->bad_coding = true;
	r->chunked = true;
}

static void take_length(struct spate_http_request *r, struct seen *seen, struct spate_slice value)
{
	if (seen->length || !spate_slice_u64(value, &r->content_length) ||
	    r->content_length > INT64_MAX)
		seen->bad_framing = true;
	seen->length = true;
	r->has_length = true;
}

static void take_once(struct spate_slice *slot, bool *seen, bool *again, struct spate_slice value)
{
	*again |= *seen;
	*seen = true;
	*slot = value;
}

static void take_list(struct spate_http_request *r, struct spate_slice *slot, uint8_t bit,
		      struct spate_slice value)
{
	if (slot->p != NULL)
		r->repeated |= bit;
	else
		*slot = value;
}

static void take_first(struct spate_slice *slot, struct spate_slice value)
{
	if (slot->p == NULL)
		*slot = value;
}

static inline void take_field(struct spate_http_request *r, struct seen *seen,
			      const struct field *f)
{
	struct spate_slice value = spate_slice_of(f->value, f->value_len);

	switch (f->name_len) {
	case 4:
		if (NAME_IS(f, "host")) {
			seen->bad_host |= seen->host || !spate_http_host_valid(value, NULL);
			seen->host = true;
			if (r->form == SPATE_FORM_ORIGIN || r->form == SPATE_FORM_ASTERISK)
				r->host = value;
		}
		break;
	case 5:
		if (NAME_IS(f, "range"))
			take_once(&r->range, &seen->range, &seen->range_again, value);
		break;
	case 6:
		if (NAME_IS(f, "origin"))
			take_first(&r->origin, value);
		else if (NAME_IS(f, "expect")) {
			if (spate_slice_is(value, SPATE_SLICE("100-continue")))
				r->expect_100 = true;
			else
				seen->bad_expectation = true;
		}
		break;
	case 7:
		if (NAME_IS(f, "referer"))
			take_first(&r->referer, value);
		break;
	case 8:
		if (NAME_IS(f, "if-match"))
			take_list(r, &r->if_match, SPATE_REPEATED_IF_MATCH, value);
		else if (NAME_IS(f, "if-range"))
			take_once(&r->if_range, &seen->if_range, &seen->if_range_again, value);
		break;
	case 10:
		if (NAME_IS(f, "user-agent"))
			take_first(&r->user_agent, value);
		else if (NAME_IS(f, "connection"))
			take_connection(seen, value);
		break;
	case 13:
		if (NAME_IS(f, "if-none-match"))
			take_list(r, &r->if_none_match, SPATE_REPEATED_IF_NONE_MATCH, value);
		break;
	case 14:
		if (NAME_IS(f, "content-length"))
			take_length(r, seen, value);
		break;
	case 17:
		if (NAME_IS(f, "if-modified-since"))
			take_once(&r->if_modified_since, &seen->if_modified,
				  &seen->if_modified_again, value);
		else if (NAME_IS(f, "transfer-encoding"))
			take_coding(r, seen, value);
		break;
	case 19:
		if (NAME_IS(f, "if-unmodified-since"))
			take_once(&r->if_unmodified_since, &seen->if_unmodified,
				  &seen->if_unmodified_again, value);
		break;
	default:
		break;
	}
}

/* The head is whole: what its fields say together. */
static inline enum spate_request_verdict finish(struct spate_http_request *r,
						const struct seen *seen)
{
	/* RFC 9112 6.1: both, or a coding in HTTP/1.0, is how smuggling begins. */
	if (seen->bad_framing || (seen->coding && (seen->length || r->minor == 0)))
		return SPATE_REQUEST_BAD_FRAMING;
	if (seen->bad_host || (!seen->host && r->minor > 0))
		return SPATE_REQUEST_BAD_HOST;
	if (seen->bad_coding)
		return SPATE_REQUEST_BAD_CODING;
	if (r->minor == 0)
		r->expect_100 = false; /* RFC 9110 10.1.1: MUST ignore */
	else if (seen->bad_expectation)
		return SPATE_REQUEST_BAD_EXPECTATION;
	r->keep_alive = !seen->close && (r->minor > 0 || seen->keep_alive);

	const struct spate_slice none = {NULL, 0};

	if (seen->range_again || seen->if_range_again)
		r->range = r->if_range = none;
	if (seen->if_modified_again)
		r->if_modified_since = none;
	if (seen->if_unmodified_again)
		r->if_unmodified_since = none;
	return SPATE_REQUEST_OK;
}

/* One parser an instruction set, so that its scans are inlined into it. */
#define ISA
#define PARSE_HEAD  parse_head_plain
#define FIELD_LINE  field_line_plain
#define SCAN_TOKEN  scan_token_plain
#define SCAN_VALUE  scan_value_plain
#define SCAN_TARGET scan_target_plain
#include "dataplane/http/request_head.h"

#if SPATE_SCAN_X86
#define ISA         SSE42_TARGET
#define PARSE_HEAD  parse_head_sse42
#define FIELD_LINE  field_line_sse42
#define SCAN_TOKEN  scan_token_sse42
#define SCAN_VALUE  scan_value_sse42
#define SCAN_TARGET scan_target_sse42
#include "dataplane/http/request_head.h"

#define ISA         AVX2_TARGET
#define PARSE_HEAD  parse_head_avx2
#define FIELD_LINE  field_line_avx2
#define SCAN_TOKEN  scan_token_avx2
#define SCAN_VALUE  scan_value_avx2
#define SCAN_TARGET scan_target_avx2
#include "dataplane/http/request_head.h"
#endif

typedef enum spate_request_verdict parse_head_fn(const uint8_t *start, const uint8_t *end,
						 struct spate_http_request *r);

static parse_head_fn *parser_of(enum spate_isa isa)
{
#if SPATE_SCAN_X86
	if (isa == SPATE_ISA_AVX2)
		return parse_head_avx2;
	if (isa == SPATE_ISA_SSE42)
		return parse_head_sse42;
#endif
	return parse_head_plain;
}

/*
 * After a NEED_MORE only a new line end, or a limit, can change the verdict. So a head that
 * trickles in is parsed at most once a line and once a limit, however many pieces it comes in.
 */
static bool nothing_new(const uint8_t *p, size_t len, uint32_t scanned)
{
	const size_t line_limit = SPATE_REQUEST_LINE_MAX + 4;

	if (scanned == 0 || scanned > len || len >= SPATE_REQUEST_HEAD_MAX)
		return false;
	if (scanned < line_limit && len >= line_limit)
		return false;
	return memchr(p + scanned, '\n', len - scanned) == NULL;
}

static inline enum spate_request_verdict parse_with(parse_head_fn *parse_head, const uint8_t *p,
						    size_t len, struct spate_http_request *r)
{
	size_t most = len < SPATE_REQUEST_HEAD_MAX ? len : SPATE_REQUEST_HEAD_MAX;

	if (nothing_new(p, len, r->scanned)) {
		r->scanned = (uint32_t)most;
		return SPATE_REQUEST_NEED_MORE;
	}

	enum spate_request_verdict v = parse_head(p, p + most, r);

	if (v == SPATE_REQUEST_NEED_MORE) {
		if (most == SPATE_REQUEST_HEAD_MAX)
			return SPATE_REQUEST_HEAD_TOO_LARGE;
		r->scanned = (uint32_t)most;
	}
	return v;
}

static parse_head_fn first_parse;
/* The first call picks the parser; two threads that race here store the same pointer. */
static _Atomic(parse_head_fn *) best_parser = first_parse;

static enum spate_request_verdict first_parse(const uint8_t *start, const uint8_t *end,
					      struct spate_http_request *r)
{
	parse_head_fn *best = parser_of(spate_isa_best());

	atomic_store_explicit(&best_parser, best, memory_order_relaxed);
	return best(start, end, r);
}

enum spate_request_verdict spate_http_request_parse(const uint8_t *p, size_t len,
						    struct spate_http_request *r)
{
	return parse_with(atomic_load_explicit(&best_parser, memory_order_relaxed), p, len, r);
}

enum spate_request_verdict spate_http_request_parse_as(enum spate_isa isa, const uint8_t *p,
						       size_t len, struct spate_http_request *r)
{
	return parse_with(parser_of(isa <= spate_isa_best() ? isa : SPATE_ISA_PLAIN), p, len, r);
}

unsigned spate_http_request_status(enum spate_request_verdict v)
{
	static const uint16_t status[SPATE_REQUEST_VERDICTS] = {
		[SPATE_REQUEST_BAD_LINE] = 400,        [SPATE_REQUEST_BAD_TARGET] = 400,
		[SPATE_REQUEST_BAD_FIELD] = 400,       [SPATE_REQUEST_BAD_HOST] = 400,
		[SPATE_REQUEST_BAD_FRAMING] = 400,     [SPATE_REQUEST_BAD_CODING] = 501,
		[SPATE_REQUEST_BAD_VERSION] = 505,     [SPATE_REQUEST_BAD_EXPECTATION] = 417,
		[SPATE_REQUEST_TARGET_TOO_LONG] = 414, [SPATE_REQUEST_HEAD_TOO_LARGE] = 431,
	};

	return v < SPATE_REQUEST_VERDICTS ? status[v] : 400;
}

bool spate_http_request_field(const struct spate_http_request *r, struct spate_slice name,
			      uint32_t *at, struct spate_slice *value)
{
	const uint8_t *head = (const uint8_t *)r->head;
	const uint8_t *end = head + r->head_len;
	struct field f;

	if (*at == 0) {
		const uint8_t *target_end = (const uint8_t *)r->target.p + r->target.len;

		*at = (uint32_t)(target_end - head) + sizeof(" HTTP/1.1\r\n") - 1;
	}

	const uint8_t *p = head + *at;

	while (field_line_plain(&p, end, &f) == FIELD_LINE_OK) {
		*at = (uint32_t)(p - head);
		if (spate_slice_is(spate_slice_of(f.name, f.name_len), name)) {
			*value = spate_slice_of(f.value, f.value_len);
			return true;
		}
	}
	return false;
}
