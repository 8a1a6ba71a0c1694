/*
 * request.c: any bytes as a request head: every instruction set says the same, at once or in
 * pieces; slices stay inside; what is accepted has no ambiguous line end; what follows from it
 * (URI, ranges, conditions) holds too.
 */
#include "check.h"
#include "dataplane/http/condition.h"
#include "dataplane/http/range.h"
#include "dataplane/http/request.h"
#include "dataplane/http/uri.h"

#define SLICES 15

static void slices_of(const struct spate_http_request *r, struct spate_slice out[SLICES])
{
	const struct spate_slice all[SLICES] = {
		r->method_name,
		r->target,
		r->path_query,
		r->path,
		r->query,
		r->host,
		r->range,
		r->if_range,
		r->if_match,
		r->if_none_match,
		r->if_modified_since,
		r->if_unmodified_since,
		r->user_agent,
		r->referer,
		r->origin,
	};

	memcpy(out, all, sizeof(all));
}

static void check_same(const struct spate_http_request *a, const struct spate_http_request *b)
{
	struct spate_slice x[SLICES], y[SLICES];

	slices_of(a, x);
	slices_of(b, y);
	for (int i = 0; i < SLICES; i++)
		CHECK(x[i].p == y[i].p && x[i].len == y[i].len);
	CHECK(a->head_len == b->head_len && a->method == b->method && a->form == b->form);
	CHECK(a->minor == b->minor && a->repeated == b->repeated && a->fields == b->fields);
	CHECK(a->keep_alive == b->keep_alive && a->expect_100 == b->expect_100);
	CHECK(a->chunked == b->chunked && a->has_length == b->has_length);
	CHECK(a->content_length == b->content_length);
}

/* Pieces of a size that the input's length picks. */
static enum spate_request_verdict in_pieces(const uint8_t *data, size_t size,
					    struct spate_http_request *r)
{
	enum spate_request_verdict v = SPATE_REQUEST_NEED_MORE;
	size_t step = 1 + size % 37;

	spate_http_request_init(r);
	for (size_t n = 0; n < size && v == SPATE_REQUEST_NEED_MORE;) {
		n = n + step < size ? n + step : size;
		v = spate_http_request_parse(data, n, r);
	}
	return v;
}

static void check_accepted(const uint8_t *data, size_t size, const struct spate_http_request *r)
{
	struct spate_validators v = {SPATE_SLICE("\"a\""), 784111777, 784111778};
	struct spate_slice all[SLICES], value, out;
	struct spate_ranges set;
	uint32_t at = 0;
	static char buf[SPATE_URI_MAX(SPATE_REQUEST_LINE_MAX)];

	CHECK(r->head_len <= size && r->head_len <= SPATE_REQUEST_HEAD_MAX);
	check_head(data, r->head_len);
	slices_of(r, all);
	for (int i = 0; i < SLICES; i++)
		CHECK(inside(all[i], data, r->head_len));
	CHECK(r->method_name.len > 0 && r->target.len > 0);
	CHECK(r->minor == 0 || r->host.len > 0);
	CHECK(!(r->chunked && r->has_length));
	while (spate_http_request_field(r, SPATE_SLICE("if-none-match"), &at, &value))
		CHECK(inside(value, data, r->head_len));
	if (r->path_query.p != NULL)
		spate_http_uri_normalise(r->path_query, buf, sizeof(buf), &out);
	spate_http_range(r->range, 1000, &set);
	spate_http_condition(r, &v, 784111777);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spate_http_request plain, other;
	enum spate_request_verdict v, w;

	if (size == 0)
		return 0;
	spate_http_request_init(&plain);
	v = spate_http_request_parse_as(SPATE_ISA_PLAIN, data, size, &plain);
	CHECK(v < SPATE_REQUEST_VERDICTS);
	CHECK((spate_http_request_status(v) == 0) ==
	      (v == SPATE_REQUEST_OK || v == SPATE_REQUEST_NEED_MORE));
	for (int isa = 1; isa < SPATE_ISAS; isa++) {
		spate_http_request_init(&other);
		w = spate_http_request_parse_as((enum spate_isa)isa, data, size, &other);
		CHECK(w == v);
		if (v == SPATE_REQUEST_OK)
			check_same(&plain, &other);
	}
	/* Pieces may hold an error back until its line has ended. */
	w = in_pieces(data, size, &other);
	CHECK(w == v || (w == SPATE_REQUEST_NEED_MORE && v != SPATE_REQUEST_OK));
	if (v == SPATE_REQUEST_OK) {
		check_same(&plain, &other);
		check_accepted(data, size, &plain);
	}
	return 0;
}
