/* HTTP-date in its three forms (RFC 9110 5.6.7), against timegm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "dataplane/http/date.h"

#define NOW 1784000000 /* July 2026 */

static int64_t parse(const char *text)
{
	int64_t t = -7;

	if (!spate_http_date_parse(spate_slice_of(text, strlen(text)), NOW, &t))
		assert_int_equal(t, -7);
	return t;
}

static void the_three_forms(void **state)
{
	assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	assert_int_equal(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	assert_int_equal(parse("Sun Nov  6 08:49:37 1994"), 784111777);
	assert_int_equal(parse("Wed Nov 16 08:49:37 1994"), 784111777 + 864000);
	assert_int_equal(parse("Wednesday, 16-Nov-94 08:49:37 GMT"), 784111777 + 864000);
}

static void edges(void **state)
{
	assert_int_equal(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
	assert_int_equal(parse("Wed, 31 Dec 1969 23:59:59 GMT"), 0); /* clamped */
	assert_int_equal(parse("Mon, 01 Jan 0001 00:00:00 GMT"), 0);
	assert_int_equal(parse("Thu, 29 Feb 2024 12:00:00 GMT"), 1709208000);
	assert_int_equal(parse("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400);
	assert_int_equal(parse("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800); /* leap second */
	assert_int_equal(parse("Fri, 31 Dec 9999 23:59:59 GMT"), 253402300799);
}

static void what_is_none(void **state)
{
	static const char *const rows[] = {
		"",
		"0",
		"-1",
		"now",
		"784111777",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 +00",
		"Sun, 06 Nov 1994 08:49:37 gmt",
		"sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06-Nov-1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 1994 08:49 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Wed, 29 Feb 2023 12:00:00 GMT",
		"Thu, 29 Feb 1900 12:00:00 GMT",
		"Xyz, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Xyz 1994 08:49:37 GMT",
		"Sun, +6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 06 Nov 1994 08:49:37 GMT, Sun",
		"Someday, 06-Nov-94 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT",
		"Sun Nov 06 08:49:37 94",
		"Sun Nov 6  08:49:37 1994",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (parse(rows[i]) != -7)
			fail_msg("%s was taken", rows[i]);
}

/* More than 50 years ahead is the past. */
static void two_digits_of_a_year(void **state)
{
	assert_int_equal(parse("Thursday, 01-Jan-26 00:00:00 GMT"), 1767225600);
	assert_int_equal(parse("Wednesday, 01-Jan-76 00:00:00 GMT"),
			 3345062400); /* 49.5 years ahead */
	assert_int_equal(parse("Saturday, 01-Jan-77 00:00:00 GMT"), 220924800); /* 50.5: 1977 */
	assert_int_equal(parse("Friday, 31-Dec-99 00:00:00 GMT"), 946598400);
	assert_int_equal(parse("Tuesday, 29-Feb-00 00:00:00 GMT"), 951782400);
}

static void agrees_with_the_libc(void **state)
{
	char want[40], got[SPATE_HTTP_DATE_LEN];

	/* A bit over 13 days a step, from 1970 to 9999. */
	for (int64_t t = 0; t < 253402300800; t += 1150337) {
		time_t libc_t = (time_t)t;
		struct tm tm;
		int64_t back = -1;

		gmtime_r(&libc_t, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		spate_http_date_format(t, got);
		assert_memory_equal(got, want, SPATE_HTTP_DATE_LEN);
		assert_true(spate_http_date_parse(spate_slice_of(got, sizeof(got)), NOW, &back));
		assert_int_equal(back, t);
	}
}

static void format_clamps(void **state)
{
	char got[SPATE_HTTP_DATE_LEN];

	spate_http_date_format(-5, got);
	assert_memory_equal(got, "Thu, 01 Jan 1970 00:00:00 GMT", sizeof(got));
	spate_http_date_format(INT64_MAX, got);
	assert_memory_equal(got, "Fri, 31 Dec 9999 23:59:59 GMT", sizeof(got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_three_forms),      cmocka_unit_test(edges),
		cmocka_unit_test(what_is_none),         cmocka_unit_test(two_digits_of_a_year),
		cmocka_unit_test(agrees_with_the_libc), cmocka_unit_test(format_clamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
