/* uri.c: any bytes as path?query: the normal form is one, and normalising it again changes nothing.
 */
#include "check.h"
#include "dataplane/http/uri.h"

static void check_normal(struct spate_slice s)
{
	bool query = false;
	uint32_t segment = 1;

	CHECK(s.len > 0 && s.p[0] == '/');
	for (uint32_t i = 1; i <= s.len && !query; i++) {
		if (i < s.len && s.p[i] != '/' && s.p[i] != '?')
			continue;
		CHECK(!(i - segment == 1 && s.p[segment] == '.'));
		CHECK(!(i - segment == 2 && s.p[segment] == '.' && s.p[segment + 1] == '.'));
		query = i < s.len && s.p[i] == '?';
		segment = i + 1;
	}
	for (uint32_t i = 0; i < s.len; i++) {
		CHECK(s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '#');
		if (s.p[i] == '%') {
			CHECK(i + 2 < s.len + 0u);
			CHECK(memcmp(s.p + i, "%00", 3) != 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spate_slice in = spate_slice_of(data, size), once, twice;

	if (size > 65536)
		return 0;

	char *buf = malloc(SPATE_URI_MAX(size)), *other = malloc(SPATE_URI_MAX(size));
	enum spate_uri_verdict v = spate_http_uri_normalise(in, buf, SPATE_URI_MAX(size), &once);

	CHECK(v != SPATE_URI_TOO_LONG);
	if (v == SPATE_URI_OK) {
		CHECK(once.p == in.p || once.p == buf);
		CHECK(once.len <= SPATE_URI_MAX(size));
		check_normal(once);
		CHECK(spate_http_uri_normalise(once, other, SPATE_URI_MAX(size), &twice) ==
		      SPATE_URI_OK);
		CHECK(spate_slice_eq(once, twice));
		/* A buffer too small is said, or was not needed that far. */
		v = spate_http_uri_normalise(in, other, size / 2, &twice);
		CHECK(v != SPATE_URI_BAD);
		CHECK(v == SPATE_URI_TOO_LONG || spate_slice_eq(once, twice));
	}
	free(buf);
	free(other);
	return 0;
}
