/*
 * The board between workers: posts arrive whole and in order, in threads, also when a reader is
 * lapped.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/net/board.h"

#define POSTS 20000

static struct spate_net_board board;

static void test_posts_are_read_in_order_once(void **state)
{
	struct spate_net_post p = {0}, got;
	uint64_t at = 0;

	spate_net_board_init(&board);
	for (unsigned i = 0; i < 10; i++) {
		p.iface = (uint8_t)i;
		spate_net_board_post(&board, &p);
	}
	for (unsigned i = 0; i < 10; i++) {
		assert_true(spate_net_board_read(&board, &at, &got));
		assert_int_equal(got.iface, i);
	}
	assert_false(spate_net_board_read(&board, &at, &got));
}

static void test_a_lapped_reader_goes_on_with_the_oldest_left(void **state)
{
	struct spate_net_post p = {0}, got;
	uint64_t at = 0;

	spate_net_board_init(&board);
	for (unsigned i = 0; i < SPATE_BOARD_SLOTS + 100; i++) {
		p.event.seq = i;
		spate_net_board_post(&board, &p);
	}
	assert_true(spate_net_board_read(&board, &at, &got));
	assert_int_equal(got.event.seq, 100);
}

static void *post_many(void *arg)
{
	struct spate_net_post p = {.worker = *(uint8_t *)arg};

	for (uint32_t i = 1; i <= POSTS; i++) {
		p.event.seq = i;
		memset(p.ip, (int)(i & 0xff), sizeof(p.ip));
		memset(p.mac, (int)(i & 0xff), sizeof(p.mac));
		spate_net_board_post(&board, &p);
	}
	return NULL;
}

static void test_no_post_is_torn(void **state)
{
	uint8_t names[2] = {0, 1};
	uint32_t last[2] = {0, 0};
	struct spate_net_post got;
	pthread_t t[2];
	uint64_t at = 0;

	spate_net_board_init(&board);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, post_many, &names[i]), 0);
	/* Lapped or not, the last post of all is always left to be read. */
	while (at < 2 * POSTS) {
		if (!spate_net_board_read(&board, &at, &got))
			continue;
		assert_true(got.worker < 2);
		assert_true(got.event.seq > last[got.worker]);
		last[got.worker] = got.event.seq;
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(got.ip[i], got.event.seq & 0xff);
		for (unsigned i = 0; i < 6; i++)
			assert_int_equal(got.mac[i], got.event.seq & 0xff);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_true(last[0] == POSTS || last[1] == POSTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_posts_are_read_in_order_once),
		cmocka_unit_test(test_a_lapped_reader_goes_on_with_the_oldest_left),
		cmocka_unit_test(test_no_post_is_torn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
