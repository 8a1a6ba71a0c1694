/*
 * field_line.h: one line of a field section (RFC 9112 5), strictly. Inlined into the head parsers;
 * define FIELD_LINE (its name), SCAN_TOKEN, SCAN_VALUE and ISA (a function attribute) before each
 * inclusion. No include guard.
 */
#include "dataplane/http/field.h"

/* *at moves past the line on OK and END. */
ISA static inline enum field_verdict FIELD_LINE(const uint8_t **at, const uint8_t *end,
						struct field *f)
{
	const uint8_t *p = *at;

	if (p == end)
		return FIELD_LINE_MORE;
	if (*p == '\r') {
		if (p + 1 == end)
			return FIELD_LINE_MORE;
		*at = p + 2;
		return p[1] == '\n' ? FIELD_LINE_END : FIELD_LINE_BAD;
	}

	/* White space first is obs-fold (5.2), before the colon it is refused too (5.1). */
	const uint8_t *colon = SCAN_TOKEN(p, end);

	if (colon == end)
		return FIELD_LINE_MORE;
	if (*colon != ':' || colon == p)
		return FIELD_LINE_BAD;
	f->name = p;
	f->name_len = (uint32_t)(colon - p);

	const uint8_t *v = colon + 1;

	while (v < end && (*v == ' ' || *v == '\t'))
		v++;

	const uint8_t *cr = SCAN_VALUE(v, end);

	if (cr == end)
		return FIELD_LINE_MORE;
	if (*cr != '\r')
		return FIELD_LINE_BAD;
	if (cr + 1 == end)
		return FIELD_LINE_MORE;
	if (cr[1] != '\n')
		return FIELD_LINE_BAD;
	*at = cr + 2;
	while (cr > v && (cr[-1] == ' ' || cr[-1] == '\t'))
		cr--;
	f->value = v;
	f->value_len = (uint32_t)(cr - v);
	return FIELD_LINE_OK;
}
