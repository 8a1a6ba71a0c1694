/* Message ring: two threads, nothing lost, nothing out of order, no wake-up missed. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "spate/msg.h"

static void push_ok(struct spate_ring *r, uint32_t arg)
{
	struct spate_msg m = {.type = SPATE_MSG_PROGRESS, .arg = arg};

	assert_true(spate_ring_push(r, &m));
}

static void full_and_empty(void **state)
{
	struct spate_ring r;
	struct spate_msg m = {0};

	assert_int_equal(spate_ring_init(&r, 4, -1), 0);
	assert_false(spate_ring_pop(&r, &m));
	for (uint32_t round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < 4; i++)
			push_ok(&r, round * 4 + i);
		assert_false(spate_ring_push(&r, &m));
		for (uint32_t i = 0; i < 4; i++) {
			assert_true(spate_ring_pop(&r, &m));
			assert_int_equal(m.arg, round * 4 + i);
		}
		assert_false(spate_ring_pop(&r, &m));
	}
	spate_ring_finish(&r);
}

static void indexes_may_wrap(void **state)
{
	struct spate_ring r;
	struct spate_msg m;

	spate_ring_init(&r, 2, -1);
	r.head = r.tail = r.tail_seen = r.head_seen = UINT32_MAX;
	push_ok(&r, 1);
	push_ok(&r, 2);
	assert_false(spate_ring_push(&r, &m));
	assert_true(spate_ring_pop(&r, &m) && m.arg == 1);
	assert_true(spate_ring_pop(&r, &m) && m.arg == 2);
	assert_false(spate_ring_pop(&r, &m));
	spate_ring_finish(&r);
}

static void odd_sizes_are_refused(void **state)
{
	struct spate_ring r;

	assert_int_equal(spate_ring_init(&r, 0, -1), -EINVAL);
	assert_int_equal(spate_ring_init(&r, 1, -1), -EINVAL);
	assert_int_equal(spate_ring_init(&r, 100, -1), -EINVAL);
}

static void wake_writes_only_to_sleepers(void **state)
{
	struct spate_ring r;
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t n;

	spate_ring_init(&r, 4, fd);
	push_ok(&r, 1);
	spate_ring_wake(&r);
	assert_int_equal(read(fd, &n, sizeof(n)), -1);
	assert_false(spate_ring_sleep(&r)); /* there is a message */
	struct spate_msg m;

	spate_ring_pop(&r, &m);
	assert_true(spate_ring_sleep(&r));
	push_ok(&r, 2);
	spate_ring_wake(&r);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	spate_ring_awake(&r);
	spate_ring_wake(&r);
	assert_int_equal(read(fd, &n, sizeof(n)), -1);
	close(fd);
	spate_ring_finish(&r);
}

#define MESSAGES 200000u

/* Bursts of odd sizes, each followed by one wake, as the planes do it. */
static void *producer(void *arg)
{
	struct spate_ring *r = arg;

	for (uint32_t i = 0; i < MESSAGES;) {
		for (uint32_t burst = i % 7 + 1; burst > 0 && i < MESSAGES; burst--) {
			struct spate_msg m = {
				.type = i % 3, .arg = i, .ptr = (void *)(uintptr_t)(i * 3u)};

			if (!spate_ring_push(r, &m))
				break;
			i++;
		}
		spate_ring_wake(r);
		if (i % 512 == 0)
			usleep(1); /* lets the consumer fall asleep */
	}
	return NULL;
}

/* Sleeps whenever there is nothing: a lost wake-up shows as the poll running out. */
static void order_and_wake_ups_between_threads(void **state)
{
	struct spate_ring r;
	int fd = eventfd(0, EFD_NONBLOCK);
	pthread_t t;
	uint32_t next = 0, slept = 0;

	spate_ring_init(&r, 64, fd);
	pthread_create(&t, NULL, producer, &r);
	while (next < MESSAGES) {
		struct spate_msg m;

		while (spate_ring_pop(&r, &m)) {
			assert_int_equal(m.arg, next);
			assert_int_equal(m.type, next % 3);
			assert_ptr_equal(m.ptr, (uintptr_t)(next * 3u));
			next++;
		}
		if (next < MESSAGES && spate_ring_sleep(&r)) {
			struct pollfd p = {.fd = fd, .events = POLLIN};
			uint64_t n;

			slept++;
			assert_int_equal(poll(&p, 1, 30000), 1);
			assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
			spate_ring_awake(&r);
		}
	}
	pthread_join(t, NULL);
	assert_true(slept > 0);
	close(fd);
	spate_ring_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_empty),
		cmocka_unit_test(indexes_may_wrap),
		cmocka_unit_test(odd_sizes_are_refused),
		cmocka_unit_test(wake_writes_only_to_sleepers),
		cmocka_unit_test(order_and_wake_ups_between_threads),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
