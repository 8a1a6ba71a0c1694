/*
 * request_head.h: the request head parser, compiled once for each instruction set by request.c.
 * Define PARSE_HEAD and FIELD_LINE (names), SCAN_TOKEN, SCAN_VALUE, SCAN_TARGET and ISA before each
 * inclusion. No include guard.
 */
#include "dataplane/http/field_line.h"

/* Bounded by end; NEED_MORE when the head does not end before it. Clears r. */
ISA static enum spate_request_verdict PARSE_HEAD(const uint8_t *start, const uint8_t *end,
						 struct spate_http_request *r)
{
	const uint8_t *p = start;

	/* One empty line before the request line is forgiven (RFC 9112 2.2). */
	if (*p == '\r') {
		if (p + 1 == end)
			return SPATE_REQUEST_NEED_MORE;
		if (p[1] != '\n')
			return SPATE_REQUEST_BAD_LINE;
		p += 2;
	}

	const uint8_t *line = p;
	const uint8_t *sp = SCAN_TOKEN(p, end);

	if (sp - line > SPATE_REQUEST_LINE_MAX)
		return SPATE_REQUEST_TARGET_TOO_LONG;
	if (sp == end)
		return SPATE_REQUEST_NEED_MORE;
	if (*sp != ' ' || sp == p)
		return SPATE_REQUEST_BAD_LINE;

	struct spate_slice method_name = spate_slice_of(p, (size_t)(sp - p));
	const uint8_t *target = sp + 1;

	sp = SCAN_TARGET(target, end);
	if (sp - line > SPATE_REQUEST_LINE_MAX)
		return SPATE_REQUEST_TARGET_TOO_LONG;
	if (sp == end)
		return SPATE_REQUEST_NEED_MORE;
	if (*sp != ' ')
		return *sp == '#' || *sp >= 0x7f ? SPATE_REQUEST_BAD_TARGET
						 : SPATE_REQUEST_BAD_LINE;
	if (sp == target)
		return SPATE_REQUEST_BAD_LINE;

	clear(r);
	r->head = (const char *)start;
	r->method_name = method_name;
	r->target = spate_slice_of(target, (size_t)(sp - target));
	p = sp + 1;

	enum spate_request_verdict v = version(p, end, &r->minor);

	if (v != SPATE_REQUEST_OK)
		return v;
	p += sizeof("HTTP/1.1\r\n") - 1;
	if (p - 2 - line > SPATE_REQUEST_LINE_MAX)
		return SPATE_REQUEST_TARGET_TOO_LONG;
	r->method = (uint8_t)method_of(method_name);
	v = target_form(r);
	if (v != SPATE_REQUEST_OK)
		return v;

	struct seen seen = {0};

	for (;;) {
		struct field f;

		switch (FIELD_LINE(&p, end, &f)) {
		case FIELD_LINE_MORE:
			return SPATE_REQUEST_NEED_MORE;
		case FIELD_LINE_BAD:
			return SPATE_REQUEST_BAD_FIELD;
		case FIELD_LINE_END:
			r->head_len = (uint32_t)(p - start);
			return finish(r, &seen);
		case FIELD_LINE_OK:
			break;
		}
		if (++r->fields > SPATE_REQUEST_FIELDS_MAX)
			return SPATE_REQUEST_HEAD_TOO_LARGE;
		take_field(r, &seen, &f);
	}
}

#undef ISA
#undef PARSE_HEAD
#undef FIELD_LINE
#undef SCAN_TOKEN
#undef SCAN_VALUE
#undef SCAN_TARGET
