/* Single values: units, ranges of numbers, nearest names. */
#include "tests/unit/control/config.h"

#include "control/config/table.h"
#include "control/config/values.h"

static void test_sizes_come_back_as_they_were_written(void **state)
{
	static const char *const texts[] = {"0",    "1",     "1023", "1KiB",
					    "1025", "64KiB", "2GiB", "3TiB"};
	uint64_t n;
	char buf[32];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_null(spate_value_size(texts[i], &n));
		assert_string_equal(spate_format_size(n, buf), texts[i]);
	}
}

static void test_times_come_back_as_they_were_written(void **state)
{
	static const char *const texts[] = {"0ms", "1ms", "999ms", "1s", "61s", "2m", "3h"};
	uint64_t n;
	char buf[32];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_null(spate_value_time(texts[i], &n));
		assert_string_equal(spate_format_time(n, buf), texts[i]);
	}
}

static void test_numbers_that_do_not_fit_are_no_numbers(void **state)
{
	uint64_t n = 7;

	assert_null(spate_value_count("18446744073709551615", &n));
	assert_int_equal(n, UINT64_MAX);
	assert_non_null(spate_value_count("18446744073709551616", &n));
	assert_non_null(spate_value_size("16777216TiB", &n));
	assert_null(spate_value_size("16777215TiB", &n));
	assert_non_null(spate_value_size("", &n));
	assert_non_null(spate_value_size("KiB", &n));
	assert_non_null(spate_value_size("1.5GiB", &n));
	assert_non_null(spate_value_time("1", &n));
	assert_non_null(spate_value_count("1x", &n));
}

static void test_edit_distance(void **state)
{
	assert_int_equal(spate_edit_distance("", ""), 0);
	assert_int_equal(spate_edit_distance("memory", "memory"), 0);
	assert_int_equal(spate_edit_distance("memroy", "memory"), 1); /* a swap is one edit */
	assert_int_equal(spate_edit_distance("kitten", "sitting"), 3);
	assert_int_equal(spate_edit_distance("", "abc"), 3);
}

/* Every default must be a value that its own row takes. */
static void test_the_table_agrees_with_itself(void **state)
{
	for (unsigned i = 0; i < SPATE_PARAM_COUNT; i++) {
		const struct spate_param *p = &spate_params[i];
		uint64_t low, high, n;

		assert_ptr_equal(spate_param_find(p->path), p); /* no path twice */
		assert_true(strlen(p->help) > 10);
		switch (p->kind) {
		case SPATE_KIND_SIZE:
			assert_null(spate_value_size(p->low, &low));
			assert_null(spate_value_size(p->high, &high));
			assert_null(spate_value_size(p->fallback, &n));
			break;
		case SPATE_KIND_TIME:
			assert_null(spate_value_time(p->low, &low));
			assert_null(spate_value_time(p->high, &high));
			assert_null(spate_value_time(p->fallback, &n));
			assert_true(high <= UINT32_MAX);
			break;
		case SPATE_KIND_COUNT:
			assert_null(spate_value_count(p->low, &low));
			assert_null(spate_value_count(p->high, &high));
			assert_null(spate_value_count(p->fallback, &n));
			break;
		case SPATE_KIND_ENUM:
			assert_true(spate_value_enum(p->fallback, p->low, &n));
			continue;
		default:
			continue;
		}
		assert_true(low <= n && n <= high);
		assert_true(p->size == 8 || (p->size == 4 && high <= UINT32_MAX));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_come_back_as_they_were_written),
		cmocka_unit_test(test_times_come_back_as_they_were_written),
		cmocka_unit_test(test_numbers_that_do_not_fit_are_no_numbers),
		cmocka_unit_test(test_edit_distance),
		cmocka_unit_test(test_the_table_agrees_with_itself),
	};

	return cmocka_run_group_tests_name("config values", tests, NULL, NULL);
}
