/*
 * What a device still holds (tx_mark, tx_past), over DPDK's ring device: a packet is let go of when
 * the receiver frees it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/port/dpdk.h"
#include "dataplane/port/eal.h"

#define ARENA (64u << 10)

static uint8_t *arena;
static struct spate_port port;

static void send_one(unsigned frags)
{
	struct spate_pkt_tx tx = {.handle = NULL};

	assert_int_equal(port.ops->tx_get(&port, 0, &tx, 1), 1);
	memset(tx.head, 0, 54);
	tx.head_len = 54;
	tx.flags = 0;
	tx.nfrags = (uint16_t)frags;
	tx.frag_len = 1000 * frags;
	for (unsigned i = 0; i < frags; i++)
		tx.frag[i] = (struct iovec){arena + 4096 * i, 1000};
	port.ops->tx(&port, 0, &tx, 1);
}

/* The device lets go of its oldest packet. */
static void leave_one(void)
{
	struct spate_pkt_rx rx;

	assert_int_equal(port.ops->rx(&port, 0, &rx, 1), 1);
	port.ops->rx_free(&port, 0, &rx, 1);
}

static bool past(uint64_t mark)
{
	return port.ops->tx_past(&port, 0, mark);
}

static uint64_t mark(void)
{
	return port.ops->tx_mark(&port, 0);
}

static int nothing_is_left(void **state)
{
	struct spate_port_status s;

	port.ops->status(&port, &s);
	return s.buffers_used != 0;
}

static void test_nothing_sent_nothing_held(void **state)
{
	assert_true(mark() != 0);
	assert_true(past(mark()));
}

static void test_held_until_it_is_freed(void **state)
{
	send_one(2);
	uint64_t m = mark();

	assert_false(past(m));
	leave_one();
	assert_true(past(m));
}

static void test_what_is_sent_later_does_not_count(void **state)
{
	send_one(1);
	uint64_t m = mark();

	assert_false(past(m));
	for (int i = 0; i < 3; i++)
		send_one(1);
	assert_false(past(m));
	leave_one();
	leave_one(); /* the first one behind the mark: all before it are gone */
	assert_true(past(m));
	assert_false(past(mark()));
	leave_one();
	leave_one();
	assert_true(past(mark()));
}

static void test_two_marks(void **state)
{
	send_one(1);
	uint64_t first = mark();

	assert_false(past(first));
	send_one(1);
	uint64_t second = mark();

	assert_false(past(second));
	send_one(1);
	leave_one();
	leave_one();
	assert_true(past(first));
	assert_false(past(second)); /* not known before something behind it has left */
	send_one(1);
	leave_one();
	assert_false(past(second));
	leave_one();
	assert_true(past(second));
}

static void test_a_packet_behind_a_full_queue_counts(void **state)
{
	unsigned n = 0;

	while (port.ops->queue(&port, 0)->tx_backlog < 40) {
		send_one(1);
		n++;
		assert_true(n < 20000);
	}
	uint64_t m = mark();

	for (unsigned i = 0; i < n; i++) {
		assert_false(past(m));
		leave_one();
		port.ops->tx_room(&port, 0);
	}
	assert_true(past(m));
}

#define T(name) cmocka_unit_test_teardown(name, nothing_is_left)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing_sent_nothing_held),           T(test_held_until_it_is_freed),
		T(test_what_is_sent_later_does_not_count),   T(test_two_marks),
		T(test_a_packet_behind_a_full_queue_counts),
	};
	const char *args[] = {"--no-huge", "-m", "128", "--no-pci", "--vdev=net_ring0"};
	struct spate_dpdk_port_setup setup = {.queues = 1};
	struct spate_arena_info info = {.bytes = ARENA, .page_bytes = 4096, .fd = -1};
	char why[1024];
	int failed;

	if (spate_eal_start(args, 5, why, sizeof why) != 0) {
		fprintf(stderr, "EAL: %s\n", why);
		return 77;
	}
	info.base = arena = aligned_alloc(4096, ARENA);
	setup.arena = &info;
	if (spate_dpdk_open(&port, 0, &setup, why, sizeof why) != 0) {
		fprintf(stderr, "port: %s\n", why);
		return 1;
	}
	failed = !port.caps.zero_copy;
	failed += cmocka_run_group_tests(tests, NULL, NULL);
	port.ops->close(&port);
	spate_eal_stop();
	free(arena);
	return failed;
}
