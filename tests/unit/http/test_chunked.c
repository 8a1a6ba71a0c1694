/* The chunked coding (RFC 9112 7.1), cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/http/chunked.h"

struct result {
	enum spate_chunked_verdict verdict;
	size_t used, n;
	char body[100];
};

/* Feeds `piece` bytes at a time, from memory of exactly that size. */
static void decode(const char *in, size_t len, size_t piece, struct result *out)
{
	struct spate_chunked c;
	size_t at = 0;

	memset(out, 0, sizeof(*out));
	spate_chunked_init(&c);
	while (at < len) {
		size_t n = len - at < piece ? len - at : piece, used = 0;
		uint8_t *copy = malloc(n), *p = copy;

		assert_non_null(copy);
		memcpy(copy, in + at, n);
		do {
			struct spate_slice body;

			out->verdict = spate_chunked_next(&c, p, n, &used, &body);
			assert_in_range(used, 0, n);
			if (body.len > 0) {
				assert_int_equal(out->verdict, SPATE_CHUNKED_BODY);
				assert_true((const uint8_t *)body.p >= p);
				assert_true((const uint8_t *)body.p + body.len <= p + used);
				assert_true(out->n + body.len <= sizeof(out->body));
				memcpy(out->body + out->n, body.p, body.len);
				out->n += body.len;
			}
			p += used;
			n -= used;
			at += used;
		} while (out->verdict == SPATE_CHUNKED_BODY && n > 0);
		if (out->verdict == SPATE_CHUNKED_NEED_MORE)
			assert_int_equal(n, 0);
		free(copy);
		if (out->verdict == SPATE_CHUNKED_DONE || out->verdict == SPATE_CHUNKED_BAD)
			break;
	}
	out->used = at;
}

static void good_ones(void **state)
{
	static const struct {
		const char *rule, *in, *body;
	} rows[] = {
		{"none", "0\r\n\r\n", ""},
		{"one", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"two", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
		{"hex, either case", "0A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n",
		 "01234567890123456789a"},
		{"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello"},
		{"data may look like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n"},
		{"7.1.1: extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"},
		{"quoted", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"},
		{"white space before it", "5 ;a\r\nhello\r\n0\r\n\r\n", "hello"},
		{"7.1.2: trailers", "5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", "hello"},
	};
	struct result r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].in);
		char in[200];

		memcpy(in, rows[i].in, len);
		memcpy(in + len, "GET", 3);
		for (size_t piece = 1; piece <= len + 3; piece++) {
			decode(in, len + 3, piece, &r);
			if (r.verdict != SPATE_CHUNKED_DONE || r.used != len ||
			    r.n != strlen(rows[i].body) || memcmp(r.body, rows[i].body, r.n) != 0)
				fail_msg("%s, in pieces of %zu: %d, used %zu", rows[i].rule, piece,
					 r.verdict, r.used);
		}
	}
}

static void bad_ones(void **state)
{
	static const struct {
		const char *rule, *in;
	} rows[] = {
		{"no size", "\r\n"},
		{"not hex", "g\r\n"},
		{"sign", "+5\r\nhello\r\n0\r\n\r\n"},
		{"0x", "0x5\r\nhello\r\n0\r\n\r\n"},
		{"white space before", " 5\r\nhello\r\n0\r\n\r\n"},
		{"white space after and no extension", "5 \r\nhello\r\n0\r\n\r\n"},
		{"extension without semicolon", "5 a\r\nhello\r\n0\r\n\r\n"},
		{"bare LF after the size", "5\nhello\r\n0\r\n\r\n"},
		{"bare CR after the size", "5\rhello\r\n0\r\n\r\n"},
		{"bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"},
		{"control in an extension", "5;a\x01\r\nhello\r\n0\r\n\r\n"},
		{"data longer than said", "5\r\nhello!\r\n0\r\n\r\n"},
		{"data shorter than said", "5\r\nhell\r\n0\r\n\r\n"},
		{"anything but CR after the data", "5\r\nhello!\n0\r\n\r\n"},
		{"bare LF after the data", "5\r\nhello\n0\r\n\r\n"},
		{"2^63", "8000000000000000\r\n"},
		{"2^64", "10000000000000000\r\n"},
		{"zeros without end", "00000000000000000000000000000000000000000\r\n"},
		{"trailer without colon", "0\r\nabc\r\n\r\n"},
		{"space before the colon", "0\r\nabc : d\r\n\r\n"},
		{"trailer folded", "0\r\nA: b\r\n c\r\n\r\n"},
		{"trailer without name", "0\r\n: b\r\n\r\n"},
		{"bare LF after a trailer", "0\r\nA: b\n\r\n"},
		{"bare LF at the end", "0\r\n\n"},
		{"bare CR at the end", "0\r\n\rX"},
		{"NUL would be", "0\r\nA: \x02\r\n\r\n"},
	};
	struct result r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].in); piece++) {
			decode(rows[i].in, strlen(rows[i].in), piece, &r);
			if (r.verdict != SPATE_CHUNKED_BAD)
				fail_msg("%s: %d", rows[i].rule, r.verdict);
		}
	}
}

static void not_whole(void **state)
{
	static const char in[] = "5;x\r\nhello\r\n0\r\nA: b\r\n\r\n";
	struct result r;

	for (size_t len = 1; len < sizeof(in) - 1; len++) {
		decode(in, len, len, &r);
		assert_true(r.verdict == SPATE_CHUNKED_NEED_MORE ||
			    r.verdict == SPATE_CHUNKED_BODY);
		assert_int_equal(r.used, len);
	}
}

static void after_the_end_it_stays_ended(void **state)
{
	struct spate_chunked c;
	struct spate_slice body;
	size_t used;

	spate_chunked_init(&c);
	assert_int_equal(spate_chunked_next(&c, (const uint8_t *)"0\r\n\r\n", 5, &used, &body),
			 SPATE_CHUNKED_DONE);
	assert_int_equal(spate_chunked_next(&c, (const uint8_t *)"5", 1, &used, &body),
			 SPATE_CHUNKED_DONE);
	assert_int_equal(used, 0);

	spate_chunked_init(&c);
	assert_int_equal(spate_chunked_next(&c, (const uint8_t *)"x", 1, &used, &body),
			 SPATE_CHUNKED_BAD);
	assert_int_equal(spate_chunked_next(&c, (const uint8_t *)"0", 1, &used, &body),
			 SPATE_CHUNKED_BAD);
}

static enum spate_chunked_verdict feed(struct spate_chunked *c, const char *text)
{
	struct spate_slice body;
	size_t used;

	return spate_chunked_next(c, (const uint8_t *)text, strlen(text), &used, &body);
}

static void extensions_and_trailers_are_bounded(void **state)
{
	struct spate_chunked c;
	int n = 0;

	spate_chunked_init(&c);
	while (feed(&c, "1;abcdef\r\n") == SPATE_CHUNKED_NEED_MORE && n < 100000) {
		assert_int_equal(feed(&c, "x"), SPATE_CHUNKED_BODY);
		assert_int_equal(feed(&c, "\r\n"), SPATE_CHUNKED_NEED_MORE);
		n++;
	}
	assert_in_range(n, SPATE_CHUNKED_EXTENSIONS_MAX / 8, SPATE_CHUNKED_EXTENSIONS_MAX / 6);

	spate_chunked_init(&c);
	assert_int_equal(feed(&c, "0\r\n"), SPATE_CHUNKED_NEED_MORE);
	for (n = 0; feed(&c, "A: bcdef\r\n") == SPATE_CHUNKED_NEED_MORE && n < 100000;)
		n++;
	assert_in_range(n, SPATE_CHUNKED_TRAILERS_MAX / 11, SPATE_CHUNKED_TRAILERS_MAX / 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones),
		cmocka_unit_test(not_whole),
		cmocka_unit_test(after_the_end_it_stays_ended),
		cmocka_unit_test(extensions_and_trailers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
