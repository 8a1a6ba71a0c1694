#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/log/text.h"

static char buf[256];

static void expect(const struct spate_text *t, const char *want)
{
	assert_false(t->full);
	assert_int_equal(t->len, strlen(want));
	assert_memory_equal(t->p, want, t->len);
}

/* Literals with their length, as they hold zero bytes. */
struct row {
	const char *in;
	size_t n;
	const char *want;
};
#define ROW(in, want)                    \
	{                                \
		in, sizeof(in) - 1, want \
	}

static void test_json_escapes_any_byte(void **state)
{
	static const struct row rows[] = {
		ROW("", "\"\""),
		ROW("/v/1.m4s?a=b&c", "\"/v/1.m4s?a=b&c\""),
		ROW("a\"b\\c/", "\"a\\\"b\\\\c/\""),
		ROW("\n\r\t", "\"\\n\\r\\t\""),
		ROW("\0x\x1f\x7f", "\"\\u0000x\\u001f\\u007f\""),
		ROW("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xac",
		    "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xac\""),
		ROW("\xe9t\xe9", "\"\\u00e9t\\u00e9\""),                     /* ISO-8859-1 */
		ROW("\xc3", "\"\\u00c3\""),                                  /* cut short */
		ROW("\xe2\x82", "\"\\u00e2\\u0082\""),                       /* cut short */
		ROW("\xc0\xaf", "\"\\u00c0\\u00af\""),                       /* overlong '/' */
		ROW("\xe0\x80\xaf", "\"\\u00e0\\u0080\\u00af\""),            /* overlong */
		ROW("\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\""),            /* surrogate */
		ROW("\xf4\x90\x80\x80", "\"\\u00f4\\u0090\\u0080\\u0080\""), /* over U+10FFFF */
		ROW("\xc2\x9b", "\"\\u009b\""), /* CSI, as a C1 control */
		ROW("\xc2\xa0", "\"\xc2\xa0\""),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spate_text t = SPATE_TEXT(buf, sizeof(buf));

		spate_text_json(&t, rows[i].in, rows[i].n);
		expect(&t, rows[i].want);
	}
}

static void test_hex_escapes_any_byte(void **state)
{
	static const struct row rows[] = {
		ROW("Mozilla/5.0 (X11)", "Mozilla/5.0 (X11)"),
		ROW("\"\\\n\0\x7f\xff", "\\x22\\x5C\\x0A\\x00\\x7F\\xFF"),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spate_text t = SPATE_TEXT(buf, sizeof(buf));

		spate_text_hex(&t, rows[i].in, rows[i].n);
		expect(&t, rows[i].want);
	}
}

static void test_numbers(void **state)
{
	struct spate_text t = SPATE_TEXT(buf, sizeof(buf));

	spate_text_u64(&t, 0);
	spate_text_lit(&t, " ");
	spate_text_u64(&t, UINT64_MAX);
	spate_text_lit(&t, " ");
	spate_text_i64(&t, INT64_MIN);
	expect(&t, "0 18446744073709551615 -9223372036854775808");
}

static void test_addresses(void **state)
{
	static const struct {
		uint8_t ip[16];
		const char *want;
	} rows[] = {
		{{[10] = 0xff, 0xff, 192, 0, 2, 255}, "192.0.2.255"},
		{{0x20, 0x01, 0x0d, 0xb8, [15] = 1}, "2001:db8::1"},
		{{[15] = 1}, "::1"},
		{{[9] = 1, 0xff, 0xff, 1, 2, 3, 4}, "::1:ffff:102:304"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spate_text t = SPATE_TEXT(buf, sizeof(buf));

		spate_text_ip(&t, rows[i].ip);
		expect(&t, rows[i].want);
	}
}

static void test_times(void **state)
{
	static const struct {
		int64_t us;
		const char *iso, *clf;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"},
		{1709210096789999, "2024-02-29T12:34:56.789Z", "29/Feb/2024:12:34:56 +0000"},
		{4102444799000999, "2099-12-31T23:59:59.000Z", "31/Dec/2099:23:59:59 +0000"},
		{-1, "1969-12-31T23:59:59.999Z", "31/Dec/1969:23:59:59 +0000"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spate_text t = SPATE_TEXT(buf, sizeof(buf));

		spate_text_iso(&t, rows[i].us);
		expect(&t, rows[i].iso);
		t = SPATE_TEXT(buf, sizeof(buf));
		spate_text_clf(&t, rows[i].us);
		expect(&t, rows[i].clf);
	}
}

static void test_full_keeps_whole_pieces(void **state)
{
	struct spate_text t = SPATE_TEXT(buf, 8);

	spate_text_lit(&t, "12345");
	spate_text_lit(&t, "6789"); /* one too many */
	spate_text_lit(&t, "x");    /* would fit, but a hole is worse than an end */
	assert_true(t.full);
	assert_int_equal(t.len, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_escapes_any_byte),
		cmocka_unit_test(test_hex_escapes_any_byte),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_full_keeps_whole_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
