/* The checksum's twins agree with each other, with RFC 1071's example, and over pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/net/checksum.h"

static uint8_t buf[4096 + 64];

static uint32_t next(uint32_t *s)
{
	*s = *s * 1664525 + 1013904223;
	return *s >> 8;
}

static int setup(void **state)
{
	uint32_t s = 1;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)next(&s);
	return 0;
}

static void test_rfc1071_example(void **state)
{
	const uint8_t words[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(spate_csum_fold(spate_csum_plain(words, 8)), __builtin_bswap16(0xddf2));
}

static void test_avx2_equals_plain(void **state)
{
	if (!__builtin_cpu_supports("avx2"))
		skip();
	for (size_t at = 0; at < 33; at++)
		for (size_t n = 0; n < 600; n++)
			assert_int_equal(spate_csum_fold(spate_csum_avx2(buf + at, n)),
					 spate_csum_fold(spate_csum_plain(buf + at, n)));
	memset(buf, 0xff, sizeof(buf)); /* most carries */
	assert_int_equal(spate_csum_fold(spate_csum_avx2(buf, 4096)),
			 spate_csum_fold(spate_csum_plain(buf, 4096)));
	setup(NULL);
}

static void test_pieces_equal_the_whole(void **state)
{
	uint32_t s = 7;

	for (unsigned round = 0; round < 2000; round++) {
		struct iovec iov[5];
		size_t at = 0;

		for (unsigned i = 0; i < 5; i++) {
			iov[i] = (struct iovec){buf + at, next(&s) % 300};
			at += iov[i].iov_len;
		}
		assert_int_equal(spate_csum_fold(spate_csum_iov(0, iov, 5)),
				 spate_csum_fold(spate_csum_plain(buf, at)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1071_example),
		cmocka_unit_test(test_avx2_equals_plain),
		cmocka_unit_test(test_pieces_equal_the_whole),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
