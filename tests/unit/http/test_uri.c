/* Normal form of path?query, a row a rule of RFC 3986. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/http/uri.h"

static const char refused[] = "(refused)";

static void check(const char *rule, const char *in, const char *want)
{
	char buf[300];
	struct spate_slice out = {NULL, 0};
	enum spate_uri_verdict v =
		spate_http_uri_normalise(spate_slice_of(in, strlen(in)), buf, sizeof(buf), &out);

	if (want == refused) {
		if (v != SPATE_URI_BAD)
			fail_msg("%s: %s became %.*s", rule, in, (int)out.len, out.p);
	} else if (v != SPATE_URI_OK || !spate_slice_eq(out, spate_slice_of(want, strlen(want)))) {
		fail_msg("%s: %s became %.*s (%d), not %s", rule, in, (int)out.len, out.p, v, want);
	}
}

static void rules(void **state)
{
	static const struct {
		const char *rule, *in, *want;
	} rows[] = {
		{"normal", "/a/b.m4s?c=d", "/a/b.m4s?c=d"},
		{"6.2.3: empty path", "", "/"},
		{"empty path and query", "?a", "/?a"},
		{"no slash", "a", refused},
		{"6.2.2.1: upper-case hex", "/%2f%3A%c3%a4", "/%2F%3A%C3%A4"},
		{"first digit alone", "/%c3", "/%C3"},
		{"second digit alone", "/%3a", "/%3A"},
		{"6.2.2.2: unreserved are decoded", "/%41%7a%30%2D%2e%5f%7E", "/Az0-._~"},
		{"reserved are not", "/%2F%3F%23%5B%40%21%24%26%27",
		 "/%2F%3F%23%5B%40%21%24%26%27"},
		{"percent is not", "/%25%32%35", "/%2525"},
		{"decoded once", "/%2541", "/%2541"},
		{"query too", "/a?%61=%2f", "/a?a=%2F"},
		{"half", "/%4", refused},
		{"none", "/%", refused},
		{"no hex", "/%4g", refused},
		{"sign", "/%+1", refused},
		{"NUL", "/a%00b", refused},
		{"NUL in the query", "/a?%00", refused},
		{"fragment", "/a#b", refused},
		{"no URI characters", "/a|b^{c}\"<>\\`", "/a%7Cb%5E%7Bc%7D%22%3C%3E%5C%60"},
		{"space, control, 8-bit", "/ \x01\xc3", "/%20%01%C3"},
		{"brackets stay", "/a?b[]=1", "/a?b[]=1"},
		/* 5.2.4 */
		{"dot", "/a/./b", "/a/b"},
		{"dot last", "/a/.", "/a/"},
		{"dot alone", "/.", "/"},
		{"dot, slash", "/./", "/"},
		{"dots", "/a/b/../c", "/a/c"},
		{"dots last", "/a/b/..", "/a/"},
		{"dots, slash", "/a/b/../", "/a/"},
		{"to the root", "/a/..", "/"},
		{"example of the RFC", "/a/b/c/./../../g", "/a/g"},
		{"above the root", "/..", refused},
		{"above, slash", "/../a", refused},
		{"above, later", "/a/../../b", refused},
		{"above, between", "/a/../../a/b", refused},
		{"encoded dots", "/a/%2e%2E/b", "/b"},
		{"encoded, above", "/%2e%2e/etc/passwd", refused},
		{"half encoded", "/a/.%2e/b", "/b"},
		{"three dots", "/a/.../b", "/a/.../b"},
		{"hidden name", "/a/.b/c", "/a/.b/c"},
		{"name ends in dots", "/a../b", "/a../b"},
		{"encoded slash is no slash", "/a/..%2Fb", "/a/..%2Fb"},
		{"encoded slash, above", "/..%2f..%2fb", "/..%2F..%2Fb"},
		{"empty segments stay", "//a///b//", "//a///b//"},
		{"dots take an empty segment", "/a//../b", "/a/b"},
		{"dots in the query stay", "/a?/../b/./c", "/a?/../b/./c"},
		{"dots before a query", "/a/..?b", "/?b"},
		{"empty query stays", "/a?", "/a?"},
		{"second question mark", "/a?b?c", "/a?b?c"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(rows[i].rule, rows[i].in, rows[i].want);
}

static void nothing_to_change_is_not_copied(void **state)
{
	static const char in[] = "/live/ch-1/1080p/seg_000123.m4s?token=a%2Fb&x=.";
	struct spate_slice out;

	/* No buffer at all. */
	assert_int_equal(spate_http_uri_normalise(SPATE_SLICE("/a/b.mpd?c"), NULL, 0, &out),
			 SPATE_URI_OK);
	assert_int_equal(
		spate_http_uri_normalise(spate_slice_of(in, sizeof(in) - 1), NULL, 0, &out),
		SPATE_URI_OK);
	assert_ptr_equal(out.p, in);
	assert_int_equal(out.len, sizeof(in) - 1);
}

static void a_short_buffer_is_said(void **state)
{
	char buf[8];
	struct spate_slice out;

	assert_int_equal(spate_http_uri_normalise(SPATE_SLICE("/1234%41x"), buf, 7, &out),
			 SPATE_URI_OK);
	assert_int_equal(out.len, 7);
	for (size_t cap = 0; cap < 7; cap++)
		assert_int_equal(spate_http_uri_normalise(SPATE_SLICE("/1234%41x"), buf, cap, &out),
				 SPATE_URI_TOO_LONG);
	assert_int_equal(spate_http_uri_normalise(SPATE_SLICE("/12345|"), buf, 8, &out),
			 SPATE_URI_TOO_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(nothing_to_change_is_not_copied),
		cmocka_unit_test(a_short_buffer_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
