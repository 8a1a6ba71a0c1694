/* response.c: any bytes as an origin's response head, and what freshness and Content-Range make of
 * it. */
#include "check.h"
#include "control/origin/freshness.h"
#include "control/origin/response.h"

static enum spate_response_verdict in_pieces(const uint8_t *data, size_t size, bool head_request,
					     struct spate_response *r)
{
	enum spate_response_verdict v = SPATE_RESPONSE_NEED_MORE;
	size_t step = 1 + size % 41;

	spate_response_init(r, head_request);
	for (size_t n = 0; n < size && v == SPATE_RESPONSE_NEED_MORE;) {
		n = n + step < size ? n + step : size;
		v = spate_response_parse(data, n, r);
	}
	return v;
}

static void check_accepted(const uint8_t *data, const struct spate_response *r)
{
	const struct spate_slice all[] = {
		r->content_type,  r->content_encoding, r->content_range, r->date,
		r->age,           r->expires,          r->cache_control, r->etag,
		r->last_modified, r->location,         r->retry_after,   r->vary,
	};
	struct spate_slice name, value;
	struct spate_freshness f;
	uint64_t first, last, length;
	uint32_t at = 0, lines = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		CHECK(inside(all[i], data, r->head_len));
	check_head(data + r->fields_off - 2, r->head_len - r->fields_off + 2);
	while (spate_response_next(r, &at, &name, &value)) {
		CHECK(inside(name, data, r->head_len) && inside(value, data, r->head_len));
		CHECK(name.len > 0);
		spate_response_field_is_hop(name);
		lines++;
	}
	CHECK(lines == r->fields);
	CHECK(r->status >= 200 && r->status <= 599);
	CHECK(!(r->chunked && r->has_length));
	CHECK(r->body != SPATE_BODY_CLOSE || !r->keep_alive);
	if (r->content_range.p != NULL &&
	    spate_content_range_parse(r->content_range, &first, &last, &length))
		CHECK((first == 1 && last == 0) || (first <= last && last < length));

	spate_freshness_of(r, 1784000000, 1784000003, 10, &f);
	CHECK(f.lifetime_s <= SPATE_DELTA_MAX_S && f.initial_age_s <= SPATE_DELTA_MAX_S);
	CHECK(!f.storable || (r->status < 500 && !r->has_set_cookie));
	CHECK(f.date_s >= 0 && f.last_modified_s >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spate_response r, pieces;
	bool head_request;

	if (size < 2)
		return 0;
	head_request = data[0] & 1;
	data++;
	size--;
	spate_response_init(&r, head_request);

	enum spate_response_verdict v = spate_response_parse(data, size, &r);

	/* Pieces may hold an error back until its line has ended. */
	enum spate_response_verdict w = in_pieces(data, size, head_request, &pieces);

	CHECK(w == v || (w == SPATE_RESPONSE_NEED_MORE && v != SPATE_RESPONSE_OK));
	if (v == SPATE_RESPONSE_OK) {
		CHECK(r.head_len <= size && r.head_len <= SPATE_RESPONSE_HEAD_MAX);
		CHECK(pieces.head_len == r.head_len && pieces.status == r.status);
		CHECK(pieces.body == r.body && pieces.content_length == r.content_length);
		CHECK(pieces.keep_alive == r.keep_alive);
		check_accepted(data, &r);
	}
	return 0;
}
