/* The parser of an origin's response head, a row a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "control/origin/response.h"
#include "spate/cache.h"

#define OK200 "HTTP/1.1 200 OK\r\n"
#define END   "\r\n"

static uint8_t *copy; /* what the slices of the last response point into */

static enum spate_response_verdict parse_as(const char *head, size_t len, bool head_request,
					    struct spate_response *r)
{
	free(copy);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, head, len);
	spate_response_init(r, head_request);
	return spate_response_parse(copy, len, r);
}

static enum spate_response_verdict parse(const char *head, struct spate_response *r)
{
	return parse_as(head, strlen(head), false, r);
}

struct row {
	const char *rule, *head;
	enum spate_response_verdict want;
};

static void check(const struct row *rows, size_t n)
{
	struct spate_response r;

	for (size_t i = 0; i < n; i++) {
		enum spate_response_verdict v = parse(rows[i].head, &r);

		if (v != rows[i].want)
			fail_msg("%s: got %d, want %d", rows[i].rule, v, rows[i].want);
	}
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void status_line(void **state)
{
	static const struct row rows[] = {
		{"200", OK200 END, SPATE_RESPONSE_OK},
		{"9112 4: empty reason", "HTTP/1.1 200 \r\n\r\n", SPATE_RESPONSE_OK},
		{"space forgotten", "HTTP/1.1 200\r\n\r\n", SPATE_RESPONSE_OK},
		{"any reason", "HTTP/1.1 200 \t\xc3\xa4 b\r\n\r\n", SPATE_RESPONSE_OK},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", SPATE_RESPONSE_OK},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"HTTP/0.9", "<html>\r\n", SPATE_RESPONSE_BAD_LINE},
		{"ICY", "ICY 200 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"two digits", "HTTP/1.1 20 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"under 100", "HTTP/1.1 099 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"over 599", "HTTP/1.1 600 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"control in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"bare LF", "HTTP/1.1 200 OK\n\n", SPATE_RESPONSE_BAD_LINE},
		{"bare CR", "HTTP/1.1 200 O\rK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"empty line before", "\r\nHTTP/1.1 200 OK\r\n\r\n", SPATE_RESPONSE_BAD_LINE},
		{"not whole", "HTTP/1.1 20", SPATE_RESPONSE_NEED_MORE},
	};

	CHECK(rows);
}

static void field_lines(void **state)
{
	static const struct row rows[] = {
		{"9112 5.1: space before the colon", OK200 "A : b\r\n" END,
		 SPATE_RESPONSE_BAD_FIELD},
		{"5.2: obs-fold", OK200 "A: b\r\n c\r\n" END, SPATE_RESPONSE_BAD_FIELD},
		{"no colon", OK200 "A\r\n" END, SPATE_RESPONSE_BAD_FIELD},
		{"bare LF", OK200 "A: b\nC: d\r\n" END, SPATE_RESPONSE_BAD_FIELD},
		{"bare CR", OK200 "A: b\rxC: d\r\n" END, SPATE_RESPONSE_BAD_FIELD},
		{"control", OK200 "A: \x02\r\n" END, SPATE_RESPONSE_BAD_FIELD},
		{"obs-text", OK200 "A: \xe9\r\n" END, SPATE_RESPONSE_OK},
		{"not whole", OK200 "A: b\r\n", SPATE_RESPONSE_NEED_MORE},
	};

	CHECK(rows);
}

static void ambiguous_framing(void **state)
{
	static const struct row rows[] = {
		{"9112 6.3: no number", OK200 "Content-Length: x\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"negative", OK200 "Content-Length: -1\r\n" END, SPATE_RESPONSE_BAD_FRAMING},
		{"empty", OK200 "Content-Length:\r\n" END, SPATE_RESPONSE_BAD_FRAMING},
		{"2^63", OK200 "Content-Length: 9223372036854775808\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"9110 8.6: differing lines",
		 OK200 "Content-Length: 5\r\nContent-Length: 6\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"differing list", OK200 "Content-Length: 5, 6\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"8.6: same lines", OK200 "Content-Length: 5\r\nContent-Length: 5\r\n" END,
		 SPATE_RESPONSE_OK},
		{"8.6: same list", OK200 "Content-Length: 5, 5\r\n" END, SPATE_RESPONSE_OK},
		{"6.1: both", OK200 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"both, other way", OK200 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"chunked not final", OK200 "Transfer-Encoding: chunked, gzip\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"a coding we did not ask for", OK200 "Transfer-Encoding: gzip, chunked\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"unknown", OK200 "Transfer-Encoding: identity\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"twice", OK200 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END,
		 SPATE_RESPONSE_BAD_FRAMING},
		{"6.1: in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		 SPATE_RESPONSE_BAD_FRAMING},
		{"hidden by a control",
		 OK200 "Transfer-Encoding: \x0b"
		       "chunked\r\n" END,
		 SPATE_RESPONSE_BAD_FIELD},
	};

	CHECK(rows);
}

static void how_the_body_ends(void **state)
{
	static const struct {
		const char *rule, *head;
		bool head_request;
		enum spate_response_body body;
		bool keep_alive;
	} rows[] = {
		{"length", OK200 "Content-Length: 5\r\n" END, false, SPATE_BODY_LENGTH, true},
		{"length 0", OK200 "Content-Length: 0\r\n" END, false, SPATE_BODY_LENGTH, true},
		{"chunked", OK200 "Transfer-Encoding: Chunked\r\n" END, false, SPATE_BODY_CHUNKED,
		 true},
		{"neither", OK200 END, false, SPATE_BODY_CLOSE, false},
		{"9112 6.3: HEAD", OK200 "Content-Length: 5\r\n" END, true, SPATE_BODY_NONE, true},
		{"HEAD, chunked", OK200 "Transfer-Encoding: chunked\r\n" END, true, SPATE_BODY_NONE,
		 true},
		{"HEAD, nothing said", OK200 END, true, SPATE_BODY_NONE, true},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", false, SPATE_BODY_NONE, true},
		{"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false,
		 SPATE_BODY_NONE, false},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false,
		 SPATE_BODY_NONE, true},
		{"206", "HTTP/1.1 206 Partial\r\nContent-Length: 5\r\n\r\n", false,
		 SPATE_BODY_LENGTH, true},
		{"9.3: close", OK200 "Content-Length: 5\r\nConnection: x, Close\r\n" END, false,
		 SPATE_BODY_LENGTH, false},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false,
		 SPATE_BODY_LENGTH, false},
		{"HTTP/1.0, keep-alive",
		 "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", false,
		 SPATE_BODY_LENGTH, true},
		{"HTTP/1.0, keep-alive, no length",
		 "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false, SPATE_BODY_CLOSE,
		 false},
	};
	struct spate_response r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			parse_as(rows[i].head, strlen(rows[i].head), rows[i].head_request, &r),
			SPATE_RESPONSE_OK);
		if (r.body != rows[i].body || r.keep_alive != rows[i].keep_alive)
			fail_msg("%s: body %d, keep-alive %d", rows[i].rule, r.body, r.keep_alive);
	}
}

static void assert_slice(struct spate_slice s, const char *want)
{
	assert_non_null(s.p);
	assert_true(spate_slice_eq(s, spate_slice_of(want, strlen(want))));
}

static void fields_are_kept(void **state)
{
	static const char head[] = OK200 "content-type: video/mp4\r\n"
					 "Content-Length: 5\r\n"
					 "Content-Encoding: gzip\r\n"
					 "Content-Range: bytes 0-4/10\r\n"
					 "DATE: d\r\n"
					 "Age: 7\r\n"
					 "Expires: 0\r\n"
					 "Cache-Control: max-age=5\r\n"
					 "Cache-Control: public\r\n"
					 "ETag: W/\"e\"\r\n"
					 "Last-Modified: l\r\n"
					 "Location: /x\r\n"
					 "Retry-After: 3\r\n"
					 "Vary: Origin\r\n"
					 "Set-Cookie: a=b\r\n" END "hello";
	struct spate_response r;

	assert_int_equal(parse(head, &r), SPATE_RESPONSE_OK);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.minor, 1);
	assert_int_equal(r.head_len, sizeof(head) - 1 - 5);
	assert_true(r.has_length);
	assert_int_equal(r.content_length, 5);
	assert_slice(r.content_type, "video/mp4");
	assert_slice(r.content_encoding, "gzip");
	assert_slice(r.content_range, "bytes 0-4/10");
	assert_slice(r.date, "d");
	assert_slice(r.age, "7");
	assert_slice(r.expires, "0");
	assert_slice(r.cache_control, "max-age=5");
	assert_slice(r.etag, "W/\"e\"");
	assert_slice(r.last_modified, "l");
	assert_slice(r.location, "/x");
	assert_slice(r.retry_after, "3");
	assert_slice(r.vary, "Origin");
	assert_true(r.has_set_cookie);
	assert_int_equal(r.fields, 15);
}

static void every_line_is_handed_out(void **state)
{
	struct spate_response r;
	struct spate_slice name, value;
	uint32_t at = 0;

	assert_int_equal(
		parse("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" OK200 "A: b\r\nC:\r\n" END, &r),
		SPATE_RESPONSE_OK);
	assert_true(spate_response_next(&r, &at, &name, &value));
	assert_slice(name, "A");
	assert_slice(value, "b");
	assert_true(spate_response_next(&r, &at, &name, &value));
	assert_slice(name, "C");
	assert_slice(value, "");
	assert_false(spate_response_next(&r, &at, &name, &value));

	at = 0;
	assert_int_equal(parse(OK200 END, &r), SPATE_RESPONSE_OK);
	assert_false(spate_response_next(&r, &at, &name, &value));
}

static void interim_responses_are_skipped(void **state)
{
	static const char two[] =
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
	struct spate_response r;
	char both[300];

	assert_int_equal(parse(two, &r), SPATE_RESPONSE_NEED_MORE);
	snprintf(both, sizeof(both), "%s%s", two, OK200 "Content-Length: 3\r\n" END);
	assert_int_equal(parse(both, &r), SPATE_RESPONSE_OK);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.content_length, 3);
	assert_int_equal(r.head_len, strlen(both));
	assert_int_equal(r.fields, 1);
	/* We never ask for an upgrade. */
	assert_int_equal(parse("HTTP/1.1 101 Switching\r\n\r\n", &r), SPATE_RESPONSE_BAD_LINE);
}

static void a_byte_at_a_time(void **state)
{
	static const char head[] =
		"HTTP/1.1 100 Continue\r\n\r\n" OK200 "Content-Length: 5\r\nA: b\r\n" END;
	struct spate_response r;

	spate_response_init(&r, false);
	for (size_t n = 1; n < sizeof(head) - 1; n++) {
		uint8_t *p = malloc(n);

		assert_non_null(p);
		memcpy(p, head, n);
		assert_int_equal(spate_response_parse(p, n, &r), SPATE_RESPONSE_NEED_MORE);
		free(p);
	}
	assert_int_equal(spate_response_parse((const uint8_t *)head, sizeof(head) - 1, &r),
			 SPATE_RESPONSE_OK);
	assert_int_equal(r.content_length, 5);
}

static void limits(void **state)
{
	static char big[SPATE_RESPONSE_HEAD_MAX + 10];
	struct spate_response r;

	memset(big, 'x', sizeof(big));
	memcpy(big, OK200 "A: ", sizeof(OK200 "A: ") - 1);
	memcpy(big + SPATE_RESPONSE_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(parse_as(big, sizeof(big), false, &r), SPATE_RESPONSE_OK);
	memcpy(big + SPATE_RESPONSE_HEAD_MAX - 4, "xxxx\r\n\r\n", 8);
	assert_int_equal(parse_as(big, sizeof(big), false, &r), SPATE_RESPONSE_TOO_LARGE);

	strcpy(big, OK200);
	for (int i = 0; i <= SPATE_RESPONSE_FIELDS_MAX; i++)
		strcat(big, "A:\r\n");
	strcat(big, END);
	assert_int_equal(parse(big, &r), SPATE_RESPONSE_TOO_LARGE);
}

static void content_range(void **state)
{
	static const struct {
		const char *value;
		bool valid;
		uint64_t first, last, size;
	} rows[] = {
		{"bytes 0-4/10", true, 0, 4, 10},
		{"Bytes 9-9/10", true, 9, 9, 10},
		{"bytes 0-4/*", true, 0, 4, SPATE_SIZE_UNKNOWN},
		{"bytes */10", true, 1, 0, 10},
		{"bytes */*", false, 0, 0, 0},
		{"bytes 0-10/10", false, 0, 0, 0}, /* 9110 14.4: last-pos < complete-length */
		{"bytes 5-4/10", false, 0, 0, 0},
		{"bytes 0-4", false, 0, 0, 0},
		{"bytes=0-4/10", false, 0, 0, 0},
		{"bytes -4/10", false, 0, 0, 0},
		{"bytes 0-/10", false, 0, 0, 0},
		{"bytes 0-4/", false, 0, 0, 0},
		{"bytes 0-4/10 ", false, 0, 0, 0},
		{"bytes  0-4/10", false, 0, 0, 0},
		{"bytes 0-4/99999999999999999999", false, 0, 0, 0},
		{"bytes 0-18446744073709551615/*", false, 0, 0, 0},
		{"items 0-4/10", false, 0, 0, 0},
		{"", false, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t first, last, size;
		bool valid = spate_content_range_parse(
			spate_slice_of(rows[i].value, strlen(rows[i].value)), &first, &last, &size);

		if (valid != rows[i].valid ||
		    (valid &&
		     (first != rows[i].first || last != rows[i].last || size != rows[i].size)))
			fail_msg("%s", rows[i].value);
	}
}

static void fields_of_the_hop(void **state)
{
	static const char *const hop[] = {"Connection",   "keep-alive",     "Proxy-Authenticate",
					  "TE",           "Trailer",        "Transfer-Encoding",
					  "Upgrade",      "Content-Length", "Content-Range",
					  "Age",          "Date",           "Set-Cookie",
					  "Accept-Ranges"};
	static const char *const kept[] = {"Content-Type",  "ETag",    "Last-Modified",
					   "Cache-Control", "Expires", "Vary",
					   "Proxy",         "Agent",   ""};

	for (size_t i = 0; i < sizeof(hop) / sizeof(hop[0]); i++)
		if (!spate_response_field_is_hop(spate_slice_of(hop[i], strlen(hop[i]))))
			fail_msg("%s", hop[i]);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (spate_response_field_is_hop(spate_slice_of(kept[i], strlen(kept[i]))))
			fail_msg("%s", kept[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_line),
		cmocka_unit_test(field_lines),
		cmocka_unit_test(ambiguous_framing),
		cmocka_unit_test(how_the_body_ends),
		cmocka_unit_test(fields_are_kept),
		cmocka_unit_test(every_line_is_handed_out),
		cmocka_unit_test(interim_responses_are_skipped),
		cmocka_unit_test(a_byte_at_a_time),
		cmocka_unit_test(limits),
		cmocka_unit_test(content_range),
		cmocka_unit_test(fields_of_the_hop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
