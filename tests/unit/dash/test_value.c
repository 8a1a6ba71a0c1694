/* Attributes of a manifest: durations, numbers, byte ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/dash/value.h"

static void durations(void **state)
{
	assert_true(spate_mpd_duration("PT1H2M3.5S") == 3723.5);
	assert_true(spate_mpd_duration("P1DT1S") == 86401);
	assert_true(spate_mpd_duration("PT0S") == 0);
	assert_true(spate_mpd_duration("PT.5S") == 0.5);
	assert_true(spate_mpd_duration("P0Y0M0DT0H1M2S") == 62);
}

static void no_durations(void **state)
{
	static const char *const all[] = {"",      "P",    "1S",     "PT1",   "P1Y",    "P1M",
					  "P1S",   "PT1D", "PTS",    "PT.S",  "PT0x1S", "PT1e3S",
					  "PT-1S", "PTTS", "PTinfS", "PT1S2", "PT1..S"};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (spate_mpd_duration(all[i]) >= 0)
			fail_msg("\"%s\" is taken for a duration", all[i]);
	assert_true(spate_mpd_duration(NULL) < 0);
}

static void numbers(void **state)
{
	uint64_t n = 7;

	assert_false(spate_mpd_number(NULL, &n));
	assert_false(spate_mpd_number("", &n));
	assert_false(spate_mpd_number("-1", &n));
	assert_false(spate_mpd_number("1 ", &n));
	assert_false(spate_mpd_number("18446744073709551616", &n));
	assert_int_equal(n, 7);
	assert_true(spate_mpd_number("18446744073709551615", &n));
	assert_true(n == UINT64_MAX);
}

static void byte_ranges(void **state)
{
	struct spate_mpd_range r = {1, 2};

	assert_false(spate_mpd_byte_range(NULL, &r));
	assert_false(spate_mpd_byte_range("5", &r));
	assert_false(spate_mpd_byte_range("-5", &r));
	assert_false(spate_mpd_byte_range("5-4", &r));
	assert_false(spate_mpd_byte_range("0-4,6-7", &r));
	assert_true(r.first == 1 && r.last == 2);
	assert_true(spate_mpd_byte_range("0-796", &r));
	assert_true(r.first == 0 && r.last == 796);
	assert_true(spate_mpd_byte_range("797-", &r));
	assert_true(r.first == 797 && r.last == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(no_durations),
		cmocka_unit_test(numbers),
		cmocka_unit_test(byte_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
