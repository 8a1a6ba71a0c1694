/* What may be stored and for how long, a row a rule of RFC 9111. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "control/origin/freshness.h"

/* The clock stands at 2026-07-14 03:33:20 UTC. */
#define NOW_S   1784000000
#define NOW     "Tue, 14 Jul 2026 03:33:20 GMT"
#define AGO_10  "Tue, 14 Jul 2026 03:33:10 GMT"
#define IN_60   "Tue, 14 Jul 2026 03:34:20 GMT"
#define AGO_1K  "Tue, 14 Jul 2026 03:16:40 GMT"
#define YEARS   "Wed, 14 Jul 2021 03:33:20 GMT"
#define DEFAULT 33

static void judge(unsigned status, const char *fields, int64_t request_s, struct spate_freshness *f)
{
	struct spate_response r;
	char head[700];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\n%s\r\n", status, fields);

	spate_response_init(&r, false);
	assert_int_equal(spate_response_parse((const uint8_t *)head, (size_t)n, &r),
			 SPATE_RESPONSE_OK);
	spate_freshness_of(&r, request_s, NOW_S, DEFAULT, f);
}

static void lifetimes(void **state)
{
	static const struct {
		const char *rule, *fields;
		uint32_t lifetime_s;
		int source;
	} rows[] = {
		{"nothing said", "", DEFAULT, SPATE_FRESH_NONE},
		{"5.2.2.1 max-age", "Cache-Control: max-age=60\r\n", 60, SPATE_FRESH_MAX_AGE},
		{"5.2.2.10 s-maxage wins", "Cache-Control: max-age=60, s-maxage=5\r\n", 5,
		 SPATE_FRESH_S_MAXAGE},
		{"any order", "Cache-Control: s-maxage=5,max-age=60\r\n", 5, SPATE_FRESH_S_MAXAGE},
		{"two lines", "Cache-Control: max-age=60\r\nCache-Control: s-maxage=5\r\n", 5,
		 SPATE_FRESH_S_MAXAGE},
		{"any case", "CACHE-CONTROL: Max-Age=60\r\n", 60, SPATE_FRESH_MAX_AGE},
		{"5.2: quoted", "Cache-Control: max-age=\"60\"\r\n", 60, SPATE_FRESH_MAX_AGE},
		{"inside another's quotes", "Cache-Control: x=\"a, max-age=5\", max-age=60\r\n", 60,
		 SPATE_FRESH_MAX_AGE},
		{"escaped quote", "Cache-Control: x=\"a\\\", max-age=5\", max-age=60\r\n", 60,
		 SPATE_FRESH_MAX_AGE},
		{"zero", "Cache-Control: max-age=0\r\n", 0, SPATE_FRESH_MAX_AGE},
		{"1.2.2: too large", "Cache-Control: max-age=99999999999999999999999\r\n",
		 2147483648u, SPATE_FRESH_MAX_AGE},
		{"4.2.1: negative is stale", "Cache-Control: max-age=-1\r\n", 0,
		 SPATE_FRESH_MAX_AGE},
		{"no number is stale", "Cache-Control: max-age=abc\r\n", 0, SPATE_FRESH_MAX_AGE},
		{"no argument is stale", "Cache-Control: max-age\r\n", 0, SPATE_FRESH_MAX_AGE},
		{"a fraction is stale", "Cache-Control: max-age=1.5\r\n", 0, SPATE_FRESH_MAX_AGE},
		{"invalid beats Expires", "Cache-Control: max-age=x\r\nExpires: " IN_60 "\r\n", 0,
		 SPATE_FRESH_MAX_AGE},
		{"4.2.1: of two the first", "Cache-Control: max-age=60, max-age=5\r\n", 60,
		 SPATE_FRESH_MAX_AGE},
		{"5.2.3: unknown directives", "Cache-Control: x, y=z, max-age=60, max-ages=1\r\n",
		 60, SPATE_FRESH_MAX_AGE},
		{"empty elements", "Cache-Control: ,, max-age=60 ,\r\n", 60, SPATE_FRESH_MAX_AGE},
		{"5.3 Expires", "Date: " NOW "\r\nExpires: " IN_60 "\r\n", 60, SPATE_FRESH_EXPIRES},
		{"against Date, not our clock", "Date: " AGO_10 "\r\nExpires: " IN_60 "\r\n", 70,
		 SPATE_FRESH_EXPIRES},
		{"no Date: our clock", "Expires: " IN_60 "\r\n", 60, SPATE_FRESH_EXPIRES},
		{"5.3: max-age wins", "Cache-Control: max-age=5\r\nExpires: " IN_60 "\r\n", 5,
		 SPATE_FRESH_MAX_AGE},
		{"5.3: \"0\" has expired", "Expires: 0\r\n", 0, SPATE_FRESH_EXPIRES},
		{"-1", "Expires: -1\r\n", 0, SPATE_FRESH_EXPIRES},
		{"in the past", "Date: " NOW "\r\nExpires: " AGO_10 "\r\n", 0, SPATE_FRESH_EXPIRES},
		{"4.2.2: a tenth", "Date: " NOW "\r\nLast-Modified: " AGO_1K "\r\n", 100,
		 SPATE_FRESH_HEURISTIC},
		{"a day at most", "Date: " NOW "\r\nLast-Modified: " YEARS "\r\n", 86400,
		 SPATE_FRESH_HEURISTIC},
		{"modified in the future", "Date: " NOW "\r\nLast-Modified: " IN_60 "\r\n", 0,
		 SPATE_FRESH_HEURISTIC},
		{"explicit beats heuristic",
		 "Cache-Control: max-age=5\r\nLast-Modified: " YEARS "\r\n", 5,
		 SPATE_FRESH_MAX_AGE},
		{"5.2.2.4 no-cache: never fresh", "Cache-Control: no-cache, max-age=60\r\n", 0,
		 SPATE_FRESH_MAX_AGE},
	};
	struct spate_freshness f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge(200, rows[i].fields, NOW_S, &f);
		if (f.lifetime_s != rows[i].lifetime_s || f.source != rows[i].source)
			fail_msg("%s: %u s from %d", rows[i].rule, f.lifetime_s, f.source);
		if (!f.storable)
			fail_msg("%s: not storable", rows[i].rule);
	}
}

static void storable(void **state)
{
	static const struct {
		unsigned status;
		const char *fields;
		bool storable;
	} rows[] = {
		{200, "", true},
		{200, "Cache-Control: no-store\r\n", false},
		{200, "Cache-Control: no-store, max-age=60\r\n", false},
		{200, "Cache-Control: private\r\n", false},
		{200, "Cache-Control: private=\"x-a\"\r\n", false},
		{200, "Cache-Control: x=\"private\"\r\n", true},
		{200, "Cache-Control: no-cache\r\n", true},
		{200, "Cache-Control: no-cache=\"set-cookie\"\r\n", true},
		{200, "Cache-Control: public\r\n", true},
		{200, "Set-Cookie: a=b\r\n", false},
		{200, "Vary: *\r\n", false},
		{200, "Vary: Accept-Encoding\r\nVary: x, *\r\n", false},
		{200, "Vary: Accept-Encoding\r\n", true},
		{203, "", true},
		{204, "", true},
		{206, "", true},
		{301, "", true},
		{308, "", true},
		{404, "", true},
		{410, "", true},
		/* not by heuristic, but where it is said */
		{302, "", false},
		{302, "Cache-Control: max-age=60\r\n", true},
		{307, "Expires: " IN_60 "\r\n", true},
		{403, "", false},
		{403, "Cache-Control: s-maxage=5\r\n", true},
		{403, "Cache-Control: public\r\n", true},
		{302, "Last-Modified: " AGO_1K "\r\n", false},
		{304, "Cache-Control: max-age=60\r\n", false},
		{500, "Cache-Control: max-age=60\r\n", false},
		{503, "Cache-Control: public\r\n", false},
	};
	struct spate_freshness f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge(rows[i].status, rows[i].fields, NOW_S, &f);
		if (f.storable != rows[i].storable)
			fail_msg("%u %s", rows[i].status, rows[i].fields);
	}
}

/* 4.2.3 */
static void ages(void **state)
{
	static const struct {
		const char *rule, *fields;
		int64_t delay_s;
		uint32_t age_s;
	} rows[] = {
		{"fresh from the origin", "Date: " NOW "\r\n", 0, 0},
		{"apparent_age", "Date: " AGO_10 "\r\n", 0, 10},
		{"a clock ahead of ours", "Date: " IN_60 "\r\n", 0, 0},
		{"Age", "Date: " NOW "\r\nAge: 7\r\n", 0, 7},
		{"Age and delay", "Date: " NOW "\r\nAge: 7\r\n", 3, 10},
		{"the larger", "Date: " AGO_1K "\r\nAge: 7\r\n", 3, 1000},
		{"delay alone", "Date: " NOW "\r\n", 3, 3},
		{"no Date", "Age: 7\r\n", 0, 7},
		{"5.1: invalid Age is ignored", "Age: x\r\n", 0, 0},
		{"negative", "Age: -5\r\n", 0, 0},
		{"first of a list", "Age: 7, 100\r\n", 0, 7},
		{"1.2.2: too large", "Age: 99999999999999999999\r\n", 0, 2147483648u},
		{"no HTTP-date", "Date: yesterday\r\n", 0, 0},
	};
	struct spate_freshness f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge(200, rows[i].fields, NOW_S - rows[i].delay_s, &f);
		if (f.initial_age_s != rows[i].age_s)
			fail_msg("%s: %u", rows[i].rule, f.initial_age_s);
	}
}

static void stale_rules(void **state)
{
	static const struct {
		const char *fields;
		bool must_revalidate;
		uint32_t swr_s, sie_s;
	} rows[] = {
		{"", false, 0, 0},
		{"Cache-Control: max-age=1, stale-while-revalidate=5, stale-if-error=6\r\n", false,
		 5, 6},
		{"Cache-Control: max-age=1, stale-while-revalidate=x\r\n", false, 0, 0},
		{"Cache-Control: must-revalidate, stale-if-error=6\r\n", true, 0, 0},
		{"Cache-Control: proxy-revalidate\r\n", true, 0, 0},
		{"Cache-Control: no-cache\r\n", true, 0, 0},
		{"Cache-Control: s-maxage=5, stale-while-revalidate=5\r\n", true, 0,
		 0}, /* 5.2.2.10 */
		{"Cache-Control: immutable\r\n", false, 0, 0},
	};
	struct spate_freshness f;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge(200, rows[i].fields, NOW_S, &f);
		if (f.must_revalidate != rows[i].must_revalidate ||
		    f.stale_while_revalidate_s != rows[i].swr_s ||
		    f.stale_if_error_s != rows[i].sie_s)
			fail_msg("%s", rows[i].fields);
	}
}

static void defaults_are_for_whole_answers(void **state)
{
	struct spate_freshness f;

	judge(206, "", NOW_S, &f);
	assert_int_equal(f.lifetime_s, DEFAULT);
	judge(404, "", NOW_S, &f);
	assert_int_equal(f.lifetime_s, 0);
	judge(301, "", NOW_S, &f);
	assert_int_equal(f.lifetime_s, 0);
}

static void vary_is_told(void **state)
{
	struct spate_freshness f;

	judge(200, "Vary: Accept-Encoding, origin\r\n", NOW_S, &f);
	assert_false(f.varies);
	judge(200, "Vary: Accept-Encoding\r\nVary: User-Agent\r\n", NOW_S, &f);
	assert_true(f.varies);
}

static void times_are_handed_on(void **state)
{
	struct spate_freshness f;

	judge(200, "Date: " AGO_10 "\r\nLast-Modified: " AGO_1K "\r\n", NOW_S, &f);
	assert_int_equal(f.date_s, NOW_S - 10);
	assert_int_equal(f.last_modified_s, NOW_S - 1000);
	judge(200, "Last-Modified: x\r\n", NOW_S, &f);
	assert_int_equal(f.date_s, NOW_S);
	assert_int_equal(f.last_modified_s, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(storable),
		cmocka_unit_test(ages),
		cmocka_unit_test(stale_rules),
		cmocka_unit_test(defaults_are_for_whole_answers),
		cmocka_unit_test(vary_is_told),
		cmocka_unit_test(times_are_handed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
