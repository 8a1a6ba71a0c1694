/* Pool: fixed-size nodes up to a limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/util/pool.h"

static void nodes_do_not_overlap(void **state)
{
	struct spate_pool p;
	uint8_t *node[1000];

	spate_pool_init(&p, 100, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		node[i] = spate_pool_get(&p);
		assert_non_null(node[i]);
		memset(node[i], (int)i, 100);
	}
	for (unsigned i = 0; i < 1000; i++)
		for (unsigned j = 0; j < 100; j++)
			assert_int_equal(node[i][j], (uint8_t)i);
	spate_pool_finish(&p);
}

static void the_limit_holds_and_puts_come_back(void **state)
{
	struct spate_pool p;
	void *node[10];

	spate_pool_init(&p, 64, 10);
	for (unsigned i = 0; i < 10; i++)
		node[i] = spate_pool_get(&p);
	assert_null(spate_pool_get(&p));
	assert_int_equal(p.used, 10);
	spate_pool_put(&p, node[3]);
	assert_int_equal(p.used, 9);
	assert_ptr_equal(spate_pool_get(&p), node[3]);
	assert_null(spate_pool_get(&p));
	spate_pool_finish(&p);
}

static void big_nodes_are_on_cache_lines(void **state)
{
	struct spate_pool p;

	spate_pool_init(&p, 65, 100000);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal((uintptr_t)spate_pool_get(&p) % 64, 0);
	assert_int_equal(p.used, 5000);
	spate_pool_finish(&p);
}

static void nodes_larger_than_a_chunk(void **state)
{
	struct spate_pool p;
	uint8_t *a, *b;

	spate_pool_init(&p, 1 << 20, 20);
	a = spate_pool_get(&p);
	b = spate_pool_get(&p);
	memset(a, 1, 1 << 20);
	memset(b, 2, 1 << 20);
	assert_int_equal(a[(1 << 20) - 1], 1);
	spate_pool_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_do_not_overlap),
		cmocka_unit_test(the_limit_holds_and_puts_come_back),
		cmocka_unit_test(big_nodes_are_on_cache_lines),
		cmocka_unit_test(nodes_larger_than_a_chunk),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
