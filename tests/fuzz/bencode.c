/* bencode.c: any bytes read as a value; what was read whole is written again, to the same bytes. */
#include <stdlib.h>

#include "check.h"
#include "dataplane/bt/bencode.h"

/* Copies one value, by the reader into the writer. */
static bool copy(struct spate_bdec *d, struct spate_benc *e)
{
	struct spate_bstr s;
	int64_t v;

	switch (spate_bdec_peek(d)) {
	case 's':
		if (!spate_bdec_str(d, &s))
			return false;
		spate_benc_str(e, s.p, s.len);
		return true;
	case 'i':
		if (!spate_bdec_int(d, &v))
			return false;
		spate_benc_int(e, v);
		return true;
	case 'd':
	case 'l':
		if (spate_bdec_peek(d) == 'd' ? !spate_bdec_dict(d) : !spate_bdec_list(d))
			return false;
		spate_benc_raw(e, d->p - 1, 1);
		while (spate_bdec_more(d))
			if (!copy(d, e))
				return false;
		spate_benc_end(e);
		return spate_bdec_ok(d);
	default:
		return false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *out = malloc(len + 1);
	struct spate_bdec d, again;
	struct spate_benc e;
	bool whole;

	spate_bdec_init(&d, data, len);
	spate_bdec_init(&again, data, len);
	spate_benc_init(&e, out, len);
	whole = copy(&d, &e);
	CHECK(whole == spate_bdec_skip(&again));
	if (whole) {
		CHECK(d.p == again.p && d.depth == 0);
		CHECK(!e.full && e.len == (size_t)(d.p - data));
		CHECK(memcmp(out, data, e.len) == 0);
	}
	free(out);
	return 0;
}
