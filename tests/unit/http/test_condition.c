/* Preconditions, a row a rule of RFC 9110 13. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/http/condition.h"

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AT     "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"
#define AT_S   784111777

enum {
	PASS = SPATE_CONDITION_PASS,
	NO_RANGE = SPATE_CONDITION_IGNORE_RANGE,
	SAME = SPATE_CONDITION_NOT_MODIFIED,
	FAILED = SPATE_CONDITION_FAILED
};

static enum spate_condition ask(const char *method, const char *fields,
				const struct spate_validators *v)
{
	struct spate_http_request r;
	char head[600];
	int n = snprintf(head, sizeof(head), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);

	spate_http_request_init(&r);
	assert_int_equal(spate_http_request_parse((const uint8_t *)head, (size_t)n, &r),
			 SPATE_REQUEST_OK);
	return spate_http_condition(&r, v, AT_S + 100);
}

struct row {
	const char *rule, *fields;
	int want;
};

static void check(const struct row *rows, size_t n, const struct spate_validators *v)
{
	for (size_t i = 0; i < n; i++) {
		int got = (int)ask("GET", rows[i].fields, v);

		if (got != rows[i].want)
			fail_msg("%s: %d, not %d", rows[i].rule, got, rows[i].want);
	}
}

#define CHECK(rows, v) check(rows, sizeof(rows) / sizeof((rows)[0]), v)

static const struct spate_validators strong = {SPATE_SLICE("\"a,b\""), AT_S, AT_S + 10};
static const struct spate_validators weak = {SPATE_SLICE("W/\"a\""), AT_S, AT_S};
static const struct spate_validators none = {{NULL, 0}, -1, AT_S};

static void of_a_strong_validator(void **state)
{
	static const struct row rows[] = {
		{"nothing asked", "", PASS},
		{"13.1.1 If-Match", "If-Match: \"a,b\"\r\n", PASS},
		{"star", "If-Match: *\r\n", PASS},
		{"in a list", "If-Match: \"x\", \"a,b\"\r\n", PASS},
		{"other", "If-Match: \"x\"\r\n", FAILED},
		{"8.8.3.2: strong comparison", "If-Match: W/\"a,b\"\r\n", FAILED},
		{"not a tag", "If-Match: a,b\r\n", FAILED},
		{"part of a tag", "If-Match: \"b\"\r\n", FAILED},
		{"case counts", "If-Match: \"A,B\"\r\n", FAILED},
		{"second line", "If-Match: \"x\"\r\nIf-Match: \"a,b\"\r\n", PASS},
		{"neither line", "If-Match: \"x\"\r\nIf-Match: \"y\"\r\n", FAILED},
		{"13.1.4 If-Unmodified-Since, later", "If-Unmodified-Since: " AFTER "\r\n", PASS},
		{"same", "If-Unmodified-Since: " AT "\r\n", PASS},
		{"earlier", "If-Unmodified-Since: " BEFORE "\r\n", FAILED},
		{"no date: MUST ignore", "If-Unmodified-Since: x\r\n", PASS},
		{"13.1.4: MUST ignore beside If-Match",
		 "If-Match: \"a,b\"\r\nIf-Unmodified-Since: " BEFORE "\r\n", PASS},
		{"13.1.2 If-None-Match", "If-None-Match: \"a,b\"\r\n", SAME},
		{"weak comparison", "If-None-Match: W/\"a,b\"\r\n", SAME},
		{"star", "If-None-Match: *\r\n", SAME},
		{"in a list", "If-None-Match: \"x\" , \"a,b\"\r\n", SAME},
		{"empty elements", "If-None-Match: ,, \"a,b\"\r\n", SAME},
		{"other", "If-None-Match: \"x\"\r\n", PASS},
		{"unquoted", "If-None-Match: a,b\r\n", PASS},
		{"open quote", "If-None-Match: \"a,b\r\n", PASS},
		{"second line", "If-None-Match: \"x\"\r\nIf-None-Match: \"a,b\"\r\n", SAME},
		{"13.1.3 If-Modified-Since, later", "If-Modified-Since: " AFTER "\r\n", SAME},
		{"same", "If-Modified-Since: " AT "\r\n", SAME},
		{"earlier", "If-Modified-Since: " BEFORE "\r\n", PASS},
		{"no date: MUST ignore", "If-Modified-Since: x\r\n", PASS},
		{"13.1.3: MUST ignore beside If-None-Match",
		 "If-None-Match: \"x\"\r\nIf-Modified-Since: " AFTER "\r\n", PASS},
		{"13.2.2: If-Match comes first", "If-Match: \"x\"\r\nIf-None-Match: \"a,b\"\r\n",
		 FAILED},
		{"then If-None-Match", "If-Match: \"a,b\"\r\nIf-None-Match: \"a,b\"\r\n", SAME},
		{"304 before the range",
		 "Range: bytes=0-\r\nIf-Range: \"x\"\r\nIf-None-Match: *\r\n", SAME},
		{"13.1.5 If-Range", "Range: bytes=0-\r\nIf-Range: \"a,b\"\r\n", PASS},
		{"other", "Range: bytes=0-\r\nIf-Range: \"x\"\r\n", NO_RANGE},
		{"strong comparison", "Range: bytes=0-\r\nIf-Range: W/\"a,b\"\r\n", NO_RANGE},
		{"date", "Range: bytes=0-\r\nIf-Range: " AT "\r\n", PASS},
		{"exactly", "Range: bytes=0-\r\nIf-Range: " AFTER "\r\n", NO_RANGE},
		{"no validator", "Range: bytes=0-\r\nIf-Range: x\r\n", NO_RANGE},
		{"empty", "Range: bytes=0-\r\nIf-Range:\r\n", NO_RANGE},
		{"13.1.5: MUST ignore without Range", "If-Range: \"x\"\r\n", PASS},
	};

	CHECK(rows, &strong);
}

static void of_a_weak_validator(void **state)
{
	static const struct row rows[] = {
		{"If-Match never", "If-Match: W/\"a\"\r\n", FAILED},
		{"If-Match strong", "If-Match: \"a\"\r\n", FAILED},
		{"If-None-Match", "If-None-Match: W/\"a\"\r\n", SAME},
		{"either way", "If-None-Match: \"a\"\r\n", SAME},
		{"If-Range never", "Range: bytes=0-\r\nIf-Range: W/\"a\"\r\n", NO_RANGE},
		{"8.8.2.2: Last-Modified in the second of Date",
		 "Range: bytes=0-\r\nIf-Range: " AT "\r\n", NO_RANGE},
	};

	CHECK(rows, &weak);
}

static void of_no_validator(void **state)
{
	static const struct row rows[] = {
		{"If-Match", "If-Match: \"a\"\r\n", FAILED},
		{"star", "If-Match: *\r\n", PASS},
		{"If-None-Match", "If-None-Match: \"\"\r\n", PASS},
		{"star", "If-None-Match: *\r\n", SAME},
		{"13.1.3: no modification date", "If-Modified-Since: " AFTER "\r\n", PASS},
		{"13.1.4: no modification date", "If-Unmodified-Since: " BEFORE "\r\n", PASS},
		{"If-Range", "Range: bytes=0-\r\nIf-Range: " AT "\r\n", NO_RANGE},
	};

	CHECK(rows, &none);
}

static void of_other_methods(void **state)
{
	assert_int_equal(ask("HEAD", "If-None-Match: *\r\n", &strong), SAME);
	assert_int_equal(ask("HEAD", "Range: bytes=0-\r\nIf-Range: \"x\"\r\n", &strong), PASS);
	/* 13.2.1 */
	assert_int_equal(ask("OPTIONS", "If-None-Match: *\r\n", &strong), PASS);
	assert_int_equal(ask("OPTIONS", "If-Match: \"x\"\r\n", &strong), PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_strong_validator),
		cmocka_unit_test(of_a_weak_validator),
		cmocka_unit_test(of_no_validator),
		cmocka_unit_test(of_other_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
