/* test_utp.c: what a uTP packet is answered with (BEP 29). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bt/utp.h"

static const uint8_t syn[20] = {0x41, 0, 0xab, 0xcd, 0,    0, 0, 100,  0,
				0,    0, 0,    0,    0x10, 0, 0, 0x12, 0x34};

static void syn_is_reset(void **state)
{
	static const uint8_t want[20] = {0x31, 0,    0xab, 0xcd, 0, 0, 3, 0xe8, 0,    0,
					 3,    0x84, 0,    0,    0, 0, 0, 0,    0x12, 0x34};
	uint8_t out[20];

	(void)state;
	assert_int_equal(spate_utp_reset(syn, sizeof(syn), 1000, out), 20);
	assert_memory_equal(out, want, 20);
}

static void nothing_else_is_answered(void **state)
{
	uint8_t p[20], out[20];

	(void)state;
	assert_int_equal(spate_utp_reset(syn, 19, 1000, out), 0);
	for (unsigned b = 0; b < 256; b++) {
		memcpy(p, syn, 20);
		p[0] = (uint8_t)b;
		assert_int_equal(spate_utp_reset(p, 20, 1000, out), b == 0x41 ? 20 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syn_is_reset),
		cmocka_unit_test(nothing_else_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
