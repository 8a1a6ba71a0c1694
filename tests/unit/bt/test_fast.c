/* test_fast.c: the allowed fast set, against BEP 6's own example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bt/fast.h"

static const uint8_t ip4[16] = {[10] = 0xff, 0xff, 80, 4, 4, 200};
static uint8_t hash[20];

static int set_up(void **state)
{
	(void)state;
	memset(hash, 0xaa, sizeof(hash));
	return 0;
}

static void published_example(void **state)
{
	static const uint32_t want[] = {1059, 431, 808, 1217, 287, 376, 1188, 353, 508};
	uint32_t got[9];

	(void)state;
	assert_int_equal(spate_bt_fast_set(ip4, hash, 1313, 7, got), 7);
	assert_memory_equal(got, want, 7 * sizeof(uint32_t));
	assert_int_equal(spate_bt_fast_set(ip4, hash, 1313, 9, got), 9);
	assert_memory_equal(got, want, sizeof(want));
}

static void neighbours_get_the_same(void **state)
{
	uint8_t other[16];
	uint32_t a[5], b[5];

	(void)state;
	memcpy(other, ip4, 16);
	other[15] = 1;
	spate_bt_fast_set(ip4, hash, 1000, 5, a);
	spate_bt_fast_set(other, hash, 1000, 5, b);
	assert_memory_equal(a, b, sizeof(a));
	other[14] = 5;
	spate_bt_fast_set(other, hash, 1000, 5, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void ipv6_by_its_64(void **state)
{
	uint8_t six[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
	uint32_t a[5], b[5];

	(void)state;
	spate_bt_fast_set(six, hash, 1000, 5, a);
	six[15] = 2;
	spate_bt_fast_set(six, hash, 1000, 5, b);
	assert_memory_equal(a, b, sizeof(a));
	six[7] = 2;
	spate_bt_fast_set(six, hash, 1000, 5, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* No piece twice, and it ends, where there are hardly more pieces than wanted, or fewer. */
static void few_pieces(void **state)
{
	(void)state;
	for (uint32_t pieces = 1; pieces < 13; pieces++) {
		uint32_t set[10], seen = 0;
		unsigned n = spate_bt_fast_set(ip4, hash, pieces, 10, set);

		assert_int_equal(n, pieces < 10 ? pieces : 10);
		for (unsigned i = 0; i < n; i++) {
			assert_true(set[i] < pieces);
			assert_int_equal(seen & 1u << set[i], 0);
			seen |= 1u << set[i];
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_example),
		cmocka_unit_test(neighbours_get_the_same),
		cmocka_unit_test(ipv6_by_its_64),
		cmocka_unit_test(few_pieces),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
