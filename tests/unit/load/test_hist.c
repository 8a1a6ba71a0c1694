/* The histogram: bounded error at every magnitude, percentiles as a sorted list has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/load/hist.h"

static struct load_hist h, other;

static int setup(void **state)
{
	(void)state;
	h = other = (struct load_hist){0};
	return 0;
}

static void empty_is_zero(void **state)
{
	(void)state;
	assert_int_equal(load_hist_at(&h, 0.5), 0);
	assert_true(load_hist_mean(&h) == 0);
}

/* One value alone is every percentile, exactly: its slot's end may not pass max. */
static void one_value_is_exact(void **state)
{
	(void)state;
	for (uint64_t v = 1; v < UINT64_C(1) << 45; v = v * 3 + 1) {
		h = (struct load_hist){0};
		load_hist_add(&h, v);
		assert_int_equal(load_hist_at(&h, 0.001), v);
		assert_int_equal(load_hist_at(&h, 1), v);
	}
}

static void error_is_within_a_128th(void **state)
{
	(void)state;
	for (uint64_t v = 1; v < UINT64_C(1) << 40; v += v / 7 + 1) {
		uint64_t got;

		h = (struct load_hist){0};
		load_hist_add(&h, v);
		load_hist_add(&h, UINT64_C(1) << 41);
		got = load_hist_at(&h, 0.5);
		assert_true(got >= v);
		assert_true(got - v <= v / 128);
	}
}

static void percentiles_of_a_ramp(void **state)
{
	(void)state;
	for (uint64_t v = 1; v <= 1000000; v++)
		load_hist_add(&h, v * 1000);
	assert_in_range(load_hist_at(&h, 0.5), 500000000, 504000000);
	assert_in_range(load_hist_at(&h, 0.99), 990000000, 998000000);
	assert_in_range(load_hist_at(&h, 0.99999), 999990000, 1000000000);
	assert_int_equal(load_hist_at(&h, 1), 1000000000);
	assert_int_equal(h.min, 1000);
}

/* 99 fast ones and a slow one: p99 must not see it, p99.9 must. */
static void the_tail_is_seen(void **state)
{
	(void)state;
	for (int i = 0; i < 999; i++)
		load_hist_add(&h, 1000);
	load_hist_add(&h, 50000000);
	assert_in_range(load_hist_at(&h, 0.999), 1000, 1008);
	assert_int_equal(load_hist_at(&h, 0.9991), 50000000);
}

static void merged_as_if_added(void **state)
{
	struct load_hist both = {0};

	(void)state;
	for (uint64_t v = 1; v < 5000; v++) {
		load_hist_add(v % 3 ? &h : &other, v * v);
		load_hist_add(&both, v * v);
	}
	load_hist_merge(&h, &other);
	assert_memory_equal(&h, &both, sizeof(h));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_is_zero, setup),
		cmocka_unit_test_setup(one_value_is_exact, setup),
		cmocka_unit_test_setup(error_is_within_a_128th, setup),
		cmocka_unit_test_setup(percentiles_of_a_ramp, setup),
		cmocka_unit_test_setup(the_tail_is_seen, setup),
		cmocka_unit_test_setup(merged_as_if_added, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
