/* Zipf draws: the frequencies are the law's, and draws repeat with their seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

#include "bench/load/zipf.h"

#define N     100
#define DRAWS 2000000

static void frequencies(double s)
{
	static uint32_t count[N];
	struct load_zipf z;
	uint64_t seed = 7;
	double sum = 0;

	memset(count, 0, sizeof(count));
	assert_int_equal(load_zipf_init(&z, N, s), 0);
	for (int i = 0; i < DRAWS; i++) {
		uint32_t k = load_zipf_draw(&z, &seed);

		assert_true(k < N);
		count[k]++;
	}
	for (int i = 0; i < N; i++)
		sum += pow(i + 1, -s);
	for (int i = 0; i < N; i++) {
		double want = DRAWS * pow(i + 1, -s) / sum;

		/* Six standard deviations. */
		assert_true(fabs(count[i] - want) < 6 * sqrt(want) + 1);
	}
	load_zipf_finish(&z);
}

static void follows_the_law(void **state)
{
	(void)state;
	frequencies(0.8);
	frequencies(1);
	frequencies(1.3);
}

static void zero_is_uniform(void **state)
{
	(void)state;
	frequencies(0);
}

static void one_item(void **state)
{
	struct load_zipf z;
	uint64_t seed = 1;

	(void)state;
	assert_int_equal(load_zipf_init(&z, 1, 1.1), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(load_zipf_draw(&z, &seed), 0);
	load_zipf_finish(&z);
}

static void no_item_is_an_error(void **state)
{
	struct load_zipf z;

	(void)state;
	assert_int_equal(load_zipf_init(&z, 0, 1), -EINVAL);
	assert_int_equal(load_zipf_init(&z, 5, -1), -EINVAL);
	assert_int_equal(load_zipf_init(&z, 5, NAN), -EINVAL);
}

static void seed_repeats(void **state)
{
	struct load_zipf z;
	uint64_t a = 42, b = 42;

	(void)state;
	assert_int_equal(load_zipf_init(&z, 1000, 0.9), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(load_zipf_draw(&z, &a), load_zipf_draw(&z, &b));
	load_zipf_finish(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_law), cmocka_unit_test(zero_is_uniform),
		cmocka_unit_test(one_item),        cmocka_unit_test(no_item_is_an_error),
		cmocka_unit_test(seed_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
