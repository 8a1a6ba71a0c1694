/* test_congestion.c: what the kernel says about a congestion control, before anybody depends on it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/stream/sock.h"

static void test_one_that_any_process_may_have(void **state)
{
	(void)state;
	assert_int_equal(spate_sock_may_have("reno"), 0);
}

static void test_one_that_no_kernel_has(void **state)
{
	(void)state;
	assert_int_equal(spate_sock_may_have("none such"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_any_process_may_have),
		cmocka_unit_test(test_one_that_no_kernel_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
