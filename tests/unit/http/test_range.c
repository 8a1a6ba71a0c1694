/* The Range field, a row a rule of RFC 9110 14. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/http/range.h"

/* The answer as text: "whole", "416", "size?", or the parts. */
static void answer(struct spate_slice value, uint64_t size, char *out, size_t cap)
{
	struct spate_ranges set;
	size_t n = 0;

	switch (spate_http_range(value, size, &set)) {
	case SPATE_RANGE_WHOLE:
		snprintf(out, cap, "whole");
		break;
	case SPATE_RANGE_UNSATISFIABLE:
		snprintf(out, cap, "416");
		break;
	case SPATE_RANGE_NEEDS_SIZE:
		snprintf(out, cap, "size?");
		break;
	case SPATE_RANGE_PARTS:
		for (unsigned i = 0; i < set.n; i++)
			n += (size_t)snprintf(out + n, cap - n, "%s%llu-%llu", i ? "," : "",
					      (unsigned long long)set.part[i].first,
					      (unsigned long long)set.part[i].last);
		return;
	}
	assert_int_equal(set.n, 0);
}

struct row {
	const char *rule, *value, *want;
};

static void check(const struct row *rows, size_t n, uint64_t size)
{
	char got[1000];

	for (size_t i = 0; i < n; i++) {
		answer(spate_slice_of(rows[i].value, strlen(rows[i].value)), size, got,
		       sizeof(got));
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s: %s gives %s, not %s", rows[i].rule, rows[i].value, got,
				 rows[i].want);
	}
}

#define CHECK(rows, size) check(rows, sizeof(rows) / sizeof((rows)[0]), size)

static void of_a_thousand_bytes(void **state)
{
	static const struct row rows[] = {
		{"closed", "bytes=0-499", "0-499"},
		{"one byte", "bytes=0-0", "0-0"},
		{"last byte", "bytes=999-999", "999-999"},
		{"open", "bytes=500-", "500-999"},
		{"all", "bytes=0-", "0-999"},
		{"suffix", "bytes=-500", "500-999"},
		{"14.1.2: last is clamped", "bytes=500-5000", "500-999"},
		{"14.1.2: long suffix is all", "bytes=-5000", "0-999"},
		{"past the end", "bytes=1000-", "416"},
		{"past the end, closed", "bytes=1000-2000", "416"},
		{"suffix of nothing", "bytes=-0", "416"},
		{"2^64 and more", "bytes=0-18446744073709551616", "0-999"},
		{"2^64 - 1", "bytes=0-18446744073709551615", "0-999"},
		{"first too large", "bytes=99999999999999999999999-", "416"},
		{"both too large", "bytes=99999999999999999998-99999999999999999999", "416"},
		{"suffix too large", "bytes=-99999999999999999999999", "0-999"},
		{"leading zeros", "bytes=000000000000000000000000001-2", "1-2"},
		/* 14.2: invalid ones are ignored */
		{"nothing", "bytes=", "whole"},
		{"commas", "bytes=,,", "whole"},
		{"dash", "bytes=-", "whole"},
		{"no dash", "bytes=5", "whole"},
		{"backwards", "bytes=5-4", "whole"},
		{"minus", "bytes=--5", "whole"},
		{"letters", "bytes=a-b", "whole"},
		{"space inside", "bytes=0 - 5", "whole"},
		{"space before =", "bytes =0-5", "whole"},
		{"one bad spoils all", "bytes=0-5,x", "whole"},
		{"backwards spoils all", "bytes=0-5,9-8", "whole"},
		{"no unit", "0-5", "whole"},
		{"unit alone", "bytes", "whole"},
		{"14.2: other units", "seconds=0-5", "whole"},
		{"14.1: unit in any case", "Bytes=0-5", "0-5"},
		/* 5.6.1: lists */
		{"several", "bytes=0-9,20-29", "0-9,20-29"},
		{"white space", "bytes= 0-9 ,\t20-29 ", "0-9,20-29"},
		{"empty elements", "bytes=,0-9,,20-29,", "0-9,20-29"},
		/* 15.3.7.2: order of the request, without what was merged or unsatisfiable */
		{"order", "bytes=900-,0-9,-5", "900-999,0-9"},
		{"kept order", "bytes=500-600,0-9,900-999", "500-600,0-9,900-999"},
		{"overlap", "bytes=0-9,5-14", "0-14"},
		{"touch", "bytes=0-9,10-19", "0-19"},
		{"touch from below", "bytes=10-19,0-9", "0-19"},
		{"a byte between", "bytes=0-9,11-19", "0-9,11-19"},
		{"inside", "bytes=0-99,10-19", "0-99"},
		{"around", "bytes=10-19,0-99", "0-99"},
		{"same", "bytes=0-9,0-9,0-9", "0-9"},
		{"a bridge", "bytes=0-9,20-29,10-19", "0-29"},
		{"a bridge, order", "bytes=50-59,20-29,0-9,10-19", "50-59,0-29"},
		{"a bridge of three", "bytes=40-49,0-9,20-29,5-45", "0-49"},
		{"some past the end", "bytes=1000-,0-9,2000-3000", "0-9"},
		{"all past the end", "bytes=1000-,-0", "416"},
		{"eight", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14",
		 "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14"},
		{"nine", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", "whole"},
		{"nine, merged to eight", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,15-16",
		 "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-16"},
		{"nine of which one is past the end",
		 "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,1600-",
		 "0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14"},
	};

	CHECK(rows, 1000);
}

static void of_nothing(void **state)
{
	static const struct row rows[] = {
		{"closed", "bytes=0-0", "416"},
		{"open", "bytes=0-", "416"},
		{"14.1.2: a suffix is satisfiable", "bytes=-1", "whole"},
		{"suffix of nothing", "bytes=-0", "416"},
		{"invalid", "bytes=1-0", "whole"},
	};

	CHECK(rows, 0);
}

static void of_an_unknown_size(void **state)
{
	static const struct row rows[] = {
		{"closed", "bytes=5-9", "5-9"},
		{"several", "bytes=5-9,0-1", "5-9,0-1"},
		{"no size is over 2^63 - 1", "bytes=0-18446744073709551615",
		 "0-9223372036854775806"},
		{"nor a position", "bytes=9223372036854775807-9223372036854775808", "416"},
		{"open", "bytes=5-", "size?"},
		{"suffix", "bytes=-5", "size?"},
		{"one open", "bytes=0-1,5-", "size?"},
		{"suffix of nothing", "bytes=-0", "416"},
		{"invalid", "bytes=5", "whole"},
		{"invalid after open", "bytes=5-,x", "whole"},
	};

	CHECK(rows, SPATE_SIZE_UNKNOWN);
}

static void an_absent_field_is_no_range(void **state)
{
	struct spate_ranges set;

	assert_int_equal(spate_http_range((struct spate_slice){NULL, 0}, 10, &set),
			 SPATE_RANGE_WHOLE);
}

/* A header of thousands of ranges costs a bounded amount and is the whole. */
static void a_flood_is_ignored(void **state)
{
	char value[6 + 4 * (SPATE_RANGE_SPECS_MAX + 1) + 1] = "bytes=", got[100];

	for (int i = 0; i < SPATE_RANGE_SPECS_MAX; i++)
		strcat(value, "0-0,");
	answer(spate_slice_of(value, strlen(value)), 1000, got, sizeof(got));
	assert_string_equal(got, "0-0");
	strcat(value, "0-0,");
	answer(spate_slice_of(value, strlen(value)), 1000, got, sizeof(got));
	assert_string_equal(got, "whole");
}

static void total_counts_every_part(void **state)
{
	struct spate_ranges set;

	assert_int_equal(spate_http_range(SPATE_SLICE("bytes=0-9,20-20"), 100, &set),
			 SPATE_RANGE_PARTS);
	assert_int_equal(spate_ranges_total(&set), 11);
}

/* Against a bitmap: each byte asked for is covered exactly once, and no other. */
static void random_sets_cover_what_was_asked(void **state)
{
	uint32_t seed = 7;

	for (int round = 0; round < 20000; round++) {
		char value[200] = "bytes=";
		uint8_t asked[40] = {0}, given[40] = {0};
		struct spate_ranges set;
		size_t n = 6;

		for (int i = 0; i < 6; i++) {
			seed = seed * 1664525 + 1013904223;

			unsigned first = (seed >> 8) % 40, last = first + (seed >> 16) % 8;

			n += (size_t)snprintf(value + n, sizeof(value) - n, "%s%u-%u", i ? "," : "",
					      first, last);
			for (unsigned b = first; b <= last && b < 40; b++)
				asked[b] = 1;
		}
		assert_int_equal(spate_http_range(spate_slice_of(value, n), 40, &set),
				 SPATE_RANGE_PARTS);
		for (unsigned i = 0; i < set.n; i++)
			for (uint64_t b = set.part[i].first; b <= set.part[i].last; b++)
				given[b]++;
		assert_memory_equal(asked, given, sizeof(asked));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_thousand_bytes),
		cmocka_unit_test(of_nothing),
		cmocka_unit_test(of_an_unknown_size),
		cmocka_unit_test(an_absent_field_is_no_range),
		cmocka_unit_test(a_flood_is_ignored),
		cmocka_unit_test(total_counts_every_part),
		cmocka_unit_test(random_sets_cover_what_was_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
