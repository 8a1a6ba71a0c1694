/* The response parser: the same whatever the cuts, and framing that is held to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/load/response.h"

static struct load_response r;
static uint8_t body[4096];
static size_t body_len;

static void take(void *ctx, const uint8_t *p, size_t n)
{
	(void)ctx;
	assert_true(n > 0 && body_len + n <= sizeof(body));
	memcpy(body + body_len, p, n);
	body_len += n;
}

/* Feeds text in pieces of `cut` bytes; returns bytes used. */
static size_t feed(const char *text, size_t cut, bool head_only)
{
	size_t n = strlen(text), at = 0;

	load_response_begin(&r, head_only);
	body_len = 0;
	while (at < n && r.state != LOAD_RESPONSE_DONE && r.state != LOAD_RESPONSE_BAD) {
		size_t k = n - at < cut ? n - at : cut;
		size_t used = load_response_feed(&r, (const uint8_t *)text + at, k, take, NULL);

		assert_true(used == k || r.state == LOAD_RESPONSE_DONE ||
			    r.state == LOAD_RESPONSE_BAD);
		at += used;
	}
	return at;
}

static void is_body(const char *want)
{
	assert_int_equal(r.state, LOAD_RESPONSE_DONE);
	assert_int_equal(body_len, strlen(want));
	assert_memory_equal(body, want, body_len);
	assert_int_equal(r.body, body_len);
}

static void length_with_any_cut(void **state)
{
	const char *text = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1";

	(void)state;
	for (size_t cut = 1; cut < 80; cut++) {
		assert_int_equal(feed(text, cut, false), strlen(text) - 8);
		is_body("hello");
		assert_int_equal(r.status, 200);
		assert_false(r.close);
	}
}

static void chunked_with_any_cut(void **state)
{
	const char *text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			   "5;a=b\r\nhello\r\nB\r\n world-wide\r\n0\r\nX: y\r\n\r\n";

	(void)state;
	for (size_t cut = 1; cut < 110; cut++) {
		assert_int_equal(feed(text, cut, false), strlen(text));
		is_body("hello world-wide");
	}
}

static void until_close(void **state)
{
	(void)state;
	feed("HTTP/1.0 200 OK\r\n\r\nabc", 7, false);
	assert_int_equal(r.state, LOAD_RESPONSE_UNTIL_CLOSE);
	assert_true(load_response_eof(&r));
	is_body("abc");
	assert_true(r.close);
}

static void range_is_told(void **state)
{
	(void)state;
	feed("HTTP/1.1 206 P\r\ncontent-range: bytes 100-104/70000\r\nContent-Length: "
	     "5\r\n\r\nabcde",
	     99, false);
	is_body("abcde");
	assert_int_equal(r.first, 100);
	assert_int_equal(r.total, 70000);
}

static void no_body(void **state)
{
	(void)state;
	feed("HTTP/1.1 304 N\r\nContent-Length: 7\r\n\r\n", 3, false);
	is_body("");
	feed("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 3, true);
	is_body("");
	feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: foo, Close\r\n\r\n", 3, false);
	is_body("");
	assert_true(r.close);
}

static void interim_is_passed_over(void **state)
{
	(void)state;
	feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 9,
	     false);
	is_body("ok");
	assert_int_equal(r.status, 200);
}

static void early_end_is_not_whole(void **state)
{
	(void)state;
	feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 99, false);
	assert_false(load_response_eof(&r));
	feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 99, false);
	assert_false(load_response_eof(&r));
}

static void skipped_bytes_count(void **state)
{
	(void)state;
	feed("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", 99, false);
	assert_int_equal(load_response_rest(&r), 997);
	load_response_skip(&r, 900);
	assert_int_equal(r.state, LOAD_RESPONSE_LENGTH);
	load_response_skip(&r, 97);
	assert_int_equal(r.state, LOAD_RESPONSE_DONE);
	assert_int_equal(r.body, 1000);
}

static void nonsense_is_refused(void **state)
{
	static const char *const bad[] = {
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"220 ftp.example\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
		"HTTP/1.1 206 OK\r\nContent-Range: pages 1-2/3\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t cut = 1; cut < 90; cut += 11) {
			feed(bad[i], cut, false);
			assert_int_equal(r.state, LOAD_RESPONSE_BAD);
		}
}

static void endless_head_is_refused(void **state)
{
	(void)state;
	load_response_begin(&r, false);
	for (int i = 0; i < LOAD_HEAD_MAX && r.state != LOAD_RESPONSE_BAD; i++)
		load_response_feed(&r, (const uint8_t *)"x", 1, take, NULL);
	assert_int_equal(r.state, LOAD_RESPONSE_BAD);
}

static int teardown(void **state)
{
	(void)state;
	load_response_finish(&r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(length_with_any_cut),
		cmocka_unit_test(chunked_with_any_cut),
		cmocka_unit_test(until_close),
		cmocka_unit_test(range_is_told),
		cmocka_unit_test(no_body),
		cmocka_unit_test(interim_is_passed_over),
		cmocka_unit_test(early_end_is_not_whole),
		cmocka_unit_test(skipped_bytes_count),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(endless_head_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
