/* Heads that come in pieces, heads that are too long, requests behind each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/http/request.h"

static const char whole[] =
	"\r\nGET /a/b.m4s?c HTTP/1.1\r\nHost: edge:8080\r\nRange: bytes=0-99\r\n"
	"User-Agent: a player of some length/1.2.3\r\n\r\n";

static enum spate_request_verdict parse(const void *p, size_t len, struct spate_http_request *r)
{
	return spate_http_request_parse(p, len, r);
}

static void a_byte_at_a_time(void **state)
{
	struct spate_http_request r;
	size_t len = sizeof(whole) - 1;

	spate_http_request_init(&r);
	for (size_t n = 1; n < len; n++) {
		/* The buffer moves each time, and holds no byte more. */
		uint8_t *p = malloc(n);

		assert_non_null(p);
		memcpy(p, whole, n);
		assert_int_equal(parse(p, n, &r), SPATE_REQUEST_NEED_MORE);
		free(p);
	}
	assert_int_equal(parse(whole, len, &r), SPATE_REQUEST_OK);
	assert_int_equal(r.head_len, len);
	assert_ptr_equal(r.head, whole);
	assert_int_equal(r.range.len, strlen("bytes=0-99"));
	assert_memory_equal(r.range.p, "bytes=0-99", r.range.len);
}

static void in_two_pieces_anywhere(void **state)
{
	struct spate_http_request r;
	size_t len = sizeof(whole) - 1;

	for (size_t n = 1; n < len; n++) {
		spate_http_request_init(&r);
		assert_int_equal(parse(whole, n, &r), SPATE_REQUEST_NEED_MORE);
		assert_int_equal(parse(whole, len, &r), SPATE_REQUEST_OK);
		assert_int_equal(r.head_len, len);
	}
}

/* What is wrong is said as soon as its line is whole, not when the head is. */
static void an_error_is_seen_in_pieces(void **state)
{
	static const char bad[] = "GET / HTTP/1.1\r\nHost: a\nX: y";
	struct spate_http_request r;
	size_t n = 1;

	spate_http_request_init(&r);
	while (n < sizeof(bad) - 1 && parse(bad, n, &r) == SPATE_REQUEST_NEED_MORE)
		n++;
	assert_int_equal(n, strlen("GET / HTTP/1.1\r\nHost: a\n"));
}

static void the_next_request_is_left_alone(void **state)
{
	static const char two[] =
		"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct spate_http_request r;

	spate_http_request_init(&r);
	assert_int_equal(parse(two, sizeof(two) - 1, &r), SPATE_REQUEST_OK);
	assert_int_equal(r.head_len, (sizeof(two) - 1) / 2);

	uint32_t first = r.head_len;

	spate_http_request_init(&r);
	assert_int_equal(parse(two + first, sizeof(two) - 1 - first, &r), SPATE_REQUEST_OK);
	assert_memory_equal(r.target.p, "/2", 2);
}

/* A request whose target, or whose one field value, makes it `len` bytes long. */
static char *padded(const char *before, const char *after, size_t len)
{
	char *p = malloc(len);
	size_t a = strlen(before), b = strlen(after);

	assert_non_null(p);
	memset(p, 'x', len);
	memcpy(p, before, a);
	memcpy(p + len - b, after, b);
	return p;
}

static enum spate_request_verdict all_at_once(const char *p, size_t len)
{
	struct spate_http_request r;

	spate_http_request_init(&r);
	return parse(p, len, &r);
}

static enum spate_request_verdict trickled(const char *p, size_t len)
{
	struct spate_http_request r;
	enum spate_request_verdict v = SPATE_REQUEST_NEED_MORE;

	spate_http_request_init(&r);
	for (size_t n = 1; n <= len && v == SPATE_REQUEST_NEED_MORE; n++)
		v = parse(p, n, &r);
	return v;
}

static void request_line_limit(void **state)
{
	static const char after[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
	size_t fits = SPATE_REQUEST_LINE_MAX + sizeof("\r\nHost: a\r\n\r\n") - 1;
	char *p = padded("GET /", after, fits);

	assert_int_equal(all_at_once(p, fits), SPATE_REQUEST_OK);
	assert_int_equal(trickled(p, fits), SPATE_REQUEST_OK);
	free(p);

	p = padded("GET /", after, fits + 1);
	assert_int_equal(all_at_once(p, fits + 1), SPATE_REQUEST_TARGET_TOO_LONG);
	assert_int_equal(trickled(p, fits + 1), SPATE_REQUEST_TARGET_TOO_LONG);
	free(p);

	/* Without an end in sight the line is refused all the same. */
	p = padded("GET /", "", SPATE_REQUEST_LINE_MAX + 10);
	assert_int_equal(trickled(p, SPATE_REQUEST_LINE_MAX + 10), SPATE_REQUEST_TARGET_TOO_LONG);
	free(p);
	p = padded("", "", SPATE_REQUEST_LINE_MAX + 10);
	assert_int_equal(trickled(p, SPATE_REQUEST_LINE_MAX + 10), SPATE_REQUEST_TARGET_TOO_LONG);
	free(p);
}

static void head_limit(void **state)
{
	static const char before[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	char *p = padded(before, "\r\n\r\n", SPATE_REQUEST_HEAD_MAX);

	assert_int_equal(all_at_once(p, SPATE_REQUEST_HEAD_MAX), SPATE_REQUEST_OK);
	assert_int_equal(trickled(p, SPATE_REQUEST_HEAD_MAX), SPATE_REQUEST_OK);
	free(p);

	p = padded(before, "\r\n\r\n", SPATE_REQUEST_HEAD_MAX + 1);
	assert_int_equal(all_at_once(p, SPATE_REQUEST_HEAD_MAX + 1), SPATE_REQUEST_HEAD_TOO_LARGE);
	assert_int_equal(trickled(p, SPATE_REQUEST_HEAD_MAX), SPATE_REQUEST_HEAD_TOO_LARGE);
	free(p);
}

static void field_limit(void **state)
{
	static char head[64 + 4 * (SPATE_REQUEST_FIELDS_MAX + 1)];

	for (int more = 0; more < 2; more++) {
		strcpy(head, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (int i = 1; i < SPATE_REQUEST_FIELDS_MAX + more; i++)
			strcat(head, "A:\r\n");
		strcat(head, "\r\n");
		assert_int_equal(all_at_once(head, strlen(head)),
				 more ? SPATE_REQUEST_HEAD_TOO_LARGE : SPATE_REQUEST_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_byte_at_a_time),
		cmocka_unit_test(in_two_pieces_anywhere),
		cmocka_unit_test(an_error_is_seen_in_pieces),
		cmocka_unit_test(the_next_request_is_left_alone),
		cmocka_unit_test(request_line_limit),
		cmocka_unit_test(head_limit),
		cmocka_unit_test(field_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
