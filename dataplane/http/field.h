/* field.h: a field line as the head parsers see it; see field_line.h. */
#ifndef SPATE_HTTP_FIELD_H
#define SPATE_HTTP_FIELD_H

#include "dataplane/http/slice.h"

enum field_verdict {
	FIELD_LINE_OK,
	FIELD_LINE_END, /* the empty line */
	FIELD_LINE_MORE,
	FIELD_LINE_BAD,
};

struct field {
	const uint8_t *name, *value;
	uint32_t name_len, value_len;
};

#endif
