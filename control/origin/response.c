#include "control/origin/response.h"

#include "dataplane/http/scan_plain.h"
#include "spate/cache.h"

/* Heads come once a fill: plain scans will do. */
#define ISA
#define FIELD_LINE field_line
#define SCAN_TOKEN scan_token_plain
#define SCAN_VALUE scan_value_plain
#include "dataplane/http/field_line.h"

struct seen {
	bool coding, bad_framing, close, keep_alive;
};

void spate_response_init(struct spate_response *r, bool head_request)
{
	memset(r, 0, sizeof(*r));
	r->head_request = head_request;
}

/* "HTTP/1.x nnn reason" CRLF (RFC 9112 4). The space before an empty reason is often forgotten;
 * nobody is misled. */
static enum spate_response_verdict status_line(const uint8_t **at, const uint8_t *end,
					       struct spate_response *r)
{
	static const char form[] = "HTTP/1.d ddd";
	const uint8_t *p = *at;

	for (unsigned i = 0; i < sizeof(form) - 1; i++) {
		if (p + i == end)
			return SPATE_RESPONSE_NEED_MORE;
		if (form[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != (uint8_t)form[i])
			return SPATE_RESPONSE_BAD_LINE;
	}
	r->minor = p[7] - '0';
	r->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + p[11] - '0');
	if (r->status < 100 || r->status > 599 || r->status == 101)
		return SPATE_RESPONSE_BAD_LINE;
	p += sizeof(form) - 1;
	if (p == end)
		return SPATE_RESPONSE_NEED_MORE;
	if (*p != ' ' && *p != '\r')
		return SPATE_RESPONSE_BAD_LINE;
	p = scan_value_plain(p, end);
	if (p == end)
		return SPATE_RESPONSE_NEED_MORE;
	if (*p != '\r')
		return SPATE_RESPONSE_BAD_LINE;
	if (p + 1 == end)
		return SPATE_RESPONSE_NEED_MORE;
	if (p[1] != '\n')
		return SPATE_RESPONSE_BAD_LINE;
	*at = p + 2;
	return SPATE_RESPONSE_OK;
}

/* Identical lengths may be repeated, in lines or in a list (RFC 9110 8.6); differing ones are an
 * attack or a bug. */
static void take_length(struct spate_response *r, struct seen *seen, struct spate_slice value)
{
	struct spate_slice item;
	uint64_t n;
	bool any = false;

	while (spate_slice_next(&value, &item)) {
		if (!spate_slice_u64(item, &n) || n > INT64_MAX ||
		    (r->has_length && n != r->content_length)) {
			seen->bad_framing = true;
			return;
		}
		r->has_length = any = true;
		r->content_length = n;
	}
	seen->bad_framing |= !any;
}

static void take_connection(struct seen *seen, struct spate_slice list)
{
	struct spate_slice option;

	while (spate_slice_next(&list, &option)) {
		seen->close |= spate_slice_is(option, SPATE_SLICE("close"));
		seen->keep_alive |= spate_slice_is(option, SPATE_SLICE("keep-alive"));
	}
}

static void take_field(struct spate_response *r, struct seen *seen, struct spate_slice name,
		       struct spate_slice value)
{
	const struct {
		struct spate_slice name, *slot;
	} kept[] = {
		{SPATE_SLICE("content-type"), &r->content_type},
		{SPATE_SLICE("content-encoding"), &r->content_encoding},
		{SPATE_SLICE("content-range"), &r->content_range},
		{SPATE_SLICE("date"), &r->date},
		{SPATE_SLICE("age"), &r->age},
		{SPATE_SLICE("expires"), &r->expires},
		{SPATE_SLICE("cache-control"), &r->cache_control},
		{SPATE_SLICE("etag"), &r->etag},
		{SPATE_SLICE("last-modified"), &r->last_modified},
		{SPATE_SLICE("location"), &r->location},
		{SPATE_SLICE("retry-after"), &r->retry_after},
		{SPATE_SLICE("vary"), &r->vary},
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (spate_slice_is(name, kept[i].name)) {
			if (kept[i].slot->p == NULL)
				*kept[i].slot = value;
			return;
		}
	}
	if (spate_slice_is(name, SPATE_SLICE("content-length"))) {
		take_length(r, seen, value);
	} else if (spate_slice_is(name, SPATE_SLICE("transfer-encoding"))) {
		seen->bad_framing |= seen->coding || !spate_slice_is(value, SPATE_SLICE("chunked"));
		seen->coding = r->chunked = true;
	} else if (spate_slice_is(name, SPATE_SLICE("connection"))) {
		take_connection(seen, value);
	} else if (spate_slice_is(name, SPATE_SLICE("set-cookie"))) {
		r->has_set_cookie = true;
	}
}

/* RFC 9112 6.3, from the top; whatever 6.1 calls faulty or suspicious is refused. */
static enum spate_response_verdict finish(struct spate_response *r, const struct seen *seen)
{
	if (seen->bad_framing || (seen->coding && (r->has_length || r->minor == 0)))
		return SPATE_RESPONSE_BAD_FRAMING;
	r->keep_alive = !seen->close && (r->minor > 0 || seen->keep_alive);
	if (r->head_request || r->status == 204 || r->status == 304) {
		r->body = SPATE_BODY_NONE;
		/* A 204 that announces a body (RFC 9110 8.6: MUST NOT) may send one. */
		if (r->status == 204 && (r->chunked || r->content_length > 0))
			r->keep_alive = false;
	} else if (r->chunked) {
		r->body = SPATE_BODY_CHUNKED;
	} else if (r->has_length) {
		r->body = SPATE_BODY_LENGTH;
	} else {
		r->body = SPATE_BODY_CLOSE;
		r->keep_alive = false;
	}
	return SPATE_RESPONSE_OK;
}

/* One head, interim or final. */
static enum spate_response_verdict one_head(const uint8_t *start, const uint8_t **at,
					    const uint8_t *end, struct spate_response *r)
{
	const uint8_t *p = *at;
	struct seen seen = {0};
	bool head_request = r->head_request;

	spate_response_init(r, head_request);
	r->head = (const char *)start;

	enum spate_response_verdict v = status_line(&p, end, r);

	if (v != SPATE_RESPONSE_OK)
		return v;
	r->fields_off = (uint32_t)(p - start);
	for (;;) {
		struct field f;

		switch (field_line(&p, end, &f)) {
		case FIELD_LINE_MORE:
			return SPATE_RESPONSE_NEED_MORE;
		case FIELD_LINE_BAD:
			return SPATE_RESPONSE_BAD_FIELD;
		case FIELD_LINE_END:
			*at = p;
			r->head_len = (uint32_t)(p - start);
			return r->status < 200 ? SPATE_RESPONSE_OK : finish(r, &seen);
		case FIELD_LINE_OK:
			break;
		}
		if (++r->fields > SPATE_RESPONSE_FIELDS_MAX)
			return SPATE_RESPONSE_TOO_LARGE;
		take_field(r, &seen, spate_slice_of(f.name, f.name_len),
			   spate_slice_of(f.value, f.value_len));
	}
}

enum spate_response_verdict spate_response_parse(const uint8_t *p, size_t len,
						 struct spate_response *r)
{
	size_t most = len < SPATE_RESPONSE_HEAD_MAX ? len : SPATE_RESPONSE_HEAD_MAX;
	const uint8_t *at = p, *end = p + most;
	enum spate_response_verdict v;

	/* Only a line end, or the limit, can change the verdict. */
	if (r->scanned > 0 && r->scanned <= most && most < SPATE_RESPONSE_HEAD_MAX &&
	    memchr(p + r->scanned, '\n', most - r->scanned) == NULL) {
		r->scanned = (uint32_t)most;
		return SPATE_RESPONSE_NEED_MORE;
	}
	do {
		if (at == end) {
			v = SPATE_RESPONSE_NEED_MORE;
			break;
		}
		v = one_head(p, &at, end, r);
	} while (v == SPATE_RESPONSE_OK && r->status < 200);

	if (v == SPATE_RESPONSE_NEED_MORE) {
		if (most == SPATE_RESPONSE_HEAD_MAX)
			return SPATE_RESPONSE_TOO_LARGE;
		r->scanned = (uint32_t)most;
	}
	return v;
}

bool spate_response_next(const struct spate_response *r, uint32_t *at, struct spate_slice *name,
			 struct spate_slice *value)
{
	const uint8_t *head = (const uint8_t *)r->head;
	const uint8_t *p = head + (*at == 0 ? r->fields_off : *at);
	struct field f;

	if (field_line(&p, head + r->head_len, &f) != FIELD_LINE_OK)
		return false;
	*at = (uint32_t)(p - head);
	*name = spate_slice_of(f.name, f.name_len);
	*value = spate_slice_of(f.value, f.value_len);
	return true;
}

/* Splits s at the first c; false: there is none. */
static bool split(struct spate_slice s, char c, struct spate_slice *left, struct spate_slice *right)
{
	const char *at = s.len == 0 ? NULL : memchr(s.p, c, s.len);

	if (at == NULL)
		return false;
	*left = spate_slice_of(s.p, (size_t)(at - s.p));
	*right = spate_slice_of(at + 1, s.len - left->len - 1);
	return true;
}

bool spate_content_range_parse(struct spate_slice value, uint64_t *first, uint64_t *last,
			       uint64_t *size)
{
	struct spate_slice unit, range, length, from, to;
	bool unknown;

	if (!split(value, ' ', &unit, &range) || !spate_slice_is(unit, SPATE_SLICE("bytes")) ||
	    !split(range, '/', &range, &length))
		return false;
	unknown = length.len == 1 && length.p[0] == '*';
	*size = SPATE_SIZE_UNKNOWN;
	if (!unknown && (!spate_slice_u64(length, size) || *size > INT64_MAX))
		return false;
	if (range.len == 1 && range.p[0] == '*') {
		*first = 1;
		*last = 0;
		return !unknown;
	}
	return split(range, '-', &from, &to) && spate_slice_u64(from, first) &&
	       spate_slice_u64(to, last) && *first <= *last && *last < *size && *last <= INT64_MAX;
}

bool spate_response_field_is_hop(struct spate_slice name)
{
	static const struct spate_slice hop[] = {
		SPATE_SLICE_INIT("connection"),
		SPATE_SLICE_INIT("keep-alive"),
		SPATE_SLICE_INIT("te"),
		SPATE_SLICE_INIT("trailer"),
		SPATE_SLICE_INIT("upgrade"),
		SPATE_SLICE_INIT("transfer-encoding"),
		SPATE_SLICE_INIT("content-length"),
		SPATE_SLICE_INIT("content-range"),
		SPATE_SLICE_INIT("age"),
		SPATE_SLICE_INIT("date"),
		SPATE_SLICE_INIT("set-cookie"),
		SPATE_SLICE_INIT("accept-ranges"),
	};

	for (size_t i = 0; i < sizeof(hop) / sizeof(hop[0]); i++)
		if (spate_slice_is(name, hop[i]))
			return true;
	return name.len >= 6 && spate_slice_is(spate_slice_of(name.p, 6), SPATE_SLICE("proxy-"));
}
