/* date.c: any bytes as an HTTP-date: what is one survives formatting. */
#include "check.h"
#include "dataplane/http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int64_t now_s = 1784000000;
	char text[SPATE_HTTP_DATE_LEN];
	int64_t t = -1, again = -1;

	if (size > 100 || !spate_http_date_parse(spate_slice_of(data, size), now_s, &t))
		return 0;
	CHECK(t >= 0 && t <= 253402300800);
	if (t == 253402300800) /* a leap second after the last year */
		return 0;
	spate_http_date_format(t, text);
	CHECK(spate_http_date_parse(spate_slice_of(text, sizeof(text)), now_s, &again));
	CHECK(again == t);
	return 0;
}
