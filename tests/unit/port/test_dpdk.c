/*
 * The DPDK port. What a device still holds (tx_mark, tx_past), over DPDK's ring device: a packet is
 * let go of when the receiver frees it. And what only a real NIC meets, as far as it can be had
 * without: the hash of its queues, its limit of pieces, physical addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include <cmocka.h>

#include <rte_thash.h>

#include "dataplane/port/dpdk_internal.h"
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

static void test_what_the_device_counts(void **state)
{
	struct spate_port_status before, after;

	port.ops->status(&port, &before);
	for (int i = 0; i < 5; i++) {
		send_one(1);
		leave_one();
	}
	port.ops->status(&port, &after);
	assert_int_equal(after.tx_packets - before.tx_packets, 5);
	assert_int_equal(after.rx_packets - before.rx_packets, 5);
	assert_int_equal(after.tx_copied, before.tx_copied);
	assert_true(after.link_up);
}

/* A device that takes four pieces gets no more, and the same bytes. */
static void test_no_more_pieces_than_the_device_takes(void **state)
{
	struct dpdk *d = port.priv;
	struct spate_port_status before, after;
	struct spate_pkt_rx rx;
	struct iovec rest[8];
	unsigned limit = d->seg_max, n;
	uint8_t got[6000];
	uint32_t at = 0;

	for (unsigned i = 0; i < ARENA; i++)
		arena[i] = (uint8_t)(i * 7 + i / 251);
	port.ops->status(&port, &before);
	d->seg_max = 4;
	for (unsigned frags = 3; frags <= 6; frags += 3) {
		send_one(frags);
		assert_int_equal(port.ops->rx(&port, 0, &rx, 1), 1);
		assert_int_equal(((struct rte_mbuf *)rx.handle)->nb_segs, 4);
		n = port.ops->rx_rest(&port, &rx, rest, 8);
		assert_int_equal(n, 3);
		at = 0;
		for (unsigned i = 0; i < n; at += (uint32_t)rest[i++].iov_len)
			memcpy(got + at, rest[i].iov_base, rest[i].iov_len);
		assert_int_equal(at, 1000 * frags);
		for (unsigned i = 0; i < frags; i++)
			assert_memory_equal(got + 1000 * i, arena + 4096 * i, 1000);
		port.ops->rx_free(&port, 0, &rx, 1);
	}
	d->seg_max = limit;
	port.ops->status(&port, &after);
	assert_int_equal(after.tx_copied - before.tx_copied, 1);
}

/* Without an IOMMU the next page may be anywhere: a piece ends where its page does. */
static void test_pieces_end_with_their_page(void **state)
{
	struct dpdk *d = port.priv;
	rte_iova_t to[2] = {0x200000, 0x100000}; /* the second page lies before the first */
	struct spate_pkt_tx tx = {.handle = NULL};
	struct spate_pkt_rx rx;
	struct rte_mbuf *m;

	assert_int_equal(port.ops->tx_get(&port, 0, &tx, 1), 1);
	tx.head_len = 54;
	tx.nfrags = 1;
	tx.frag_len = 1000;
	tx.frag[0] = (struct iovec){arena + 32768 - 300, 1000};
	d->arena_iova = to;
	d->arena_page_shift = 15;
	port.ops->tx(&port, 0, &tx, 1);
	d->arena_iova = NULL;
	assert_int_equal(port.ops->rx(&port, 0, &rx, 1), 1);
	m = ((struct rte_mbuf *)rx.handle)->next;
	assert_int_equal(m->data_len, 300);
	assert_int_equal(m->buf_iova, 0x200000 + 32768 - 300);
	assert_int_equal(m->next->data_len, 700);
	assert_int_equal(m->next->buf_iova, 0x100000);
	assert_null(m->next->next);
	port.ops->rx_free(&port, 0, &rx, 1);
}

static void test_limits_that_devices_leave_out(void **state)
{
	const struct {
		uint16_t all, each;
		unsigned max;
	} l[] = {{0, 0, 8},
		 {0, 8, 8},
		 {255, 8, 8},
		 {40, 40, 40},
		 {24, 16, 16},
		 {0, 16, 16},
		 {UINT16_MAX, UINT16_MAX, UINT16_MAX}};

	for (unsigned i = 0; i < sizeof(l) / sizeof(l[0]); i++)
		assert_int_equal(spate_dpdk_seg_max(&(struct rte_eth_desc_lim){
					 .nb_seg_max = l[i].all, .nb_mtu_seg_max = l[i].each}),
				 l[i].max);
}

static void test_a_device_that_goes_is_told_of(void **state)
{
	struct spate_port_status s;
	struct dpdk *d = port.priv;

	port.ops->status(&port, &s);
	assert_false(s.lost);
	/* Debian has no header for a driver's side of it; nothing here can be unplugged. */
	spate_dpdk_on_end(d->id, RTE_ETH_EVENT_INTR_RMV, d, NULL);
	port.ops->status(&port, &s);
	assert_true(s.lost);
}

/* Both directions of a flow come to one queue; and flows do not all come to the same. */
static void test_hash_of_the_queues_is_symmetric(void **state)
{
	uint32_t seen[16];
	union rte_thash_tuple t;

	for (uint32_t i = 0; i < 16; i++) {
		union rte_thash_tuple there = {.v4 = {.src_addr = 0x0a000001 + i * 0x01010101,
						      .dst_addr = 0x0a0000fe,
						      .sport = (uint16_t)(40000 + i * 77),
						      .dport = 80}};
		union rte_thash_tuple back = {.v4 = {.src_addr = there.v4.dst_addr,
						     .dst_addr = there.v4.src_addr,
						     .sport = there.v4.dport,
						     .dport = there.v4.sport}};

		seen[i] = rte_softrss((uint32_t *)&there, RTE_THASH_V4_L4_LEN, spate_dpdk_rss_key);
		assert_int_equal(seen[i], rte_softrss((uint32_t *)&back, RTE_THASH_V4_L4_LEN,
						      spate_dpdk_rss_key));
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
	}
	for (unsigned i = 0; i < 32; i++)
		((uint8_t *)&t)[i] = (uint8_t)(i * 37);
	t.v6.sport = 4242;
	t.v6.dport = 443;
	seen[0] = rte_softrss((uint32_t *)&t, RTE_THASH_V6_L4_LEN, spate_dpdk_rss_key);
	for (unsigned i = 0; i < 16; i++) {
		uint8_t a = t.v6.src_addr[i];

		t.v6.src_addr[i] = t.v6.dst_addr[i];
		t.v6.dst_addr[i] = a;
	}
	t.v6.sport = 443;
	t.v6.dport = 4242;
	assert_int_equal(rte_softrss((uint32_t *)&t, RTE_THASH_V6_L4_LEN, spate_dpdk_rss_key),
			 seen[0]);
}

static const char *unreadable;

/* As DPDK's: a page that is not there has no address. */
static rte_iova_t where(const void *p)
{
	unsigned char there = 0;

	if (p == unreadable || mincore((void *)(uintptr_t)p, 4096, &there) != 0 || !(there & 1))
		return RTE_BAD_IOVA;
	return (rte_iova_t)(uintptr_t)p + 0x1000000;
}

static void test_each_page_has_an_address(void **state)
{
	struct spate_arena_info a = {.bytes = 4u << 20, .page_bytes = 2u << 20};
	rte_iova_t to[2];

	a.base = mmap(NULL, a.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(a.base, MAP_FAILED);
	assert_int_equal(where(a.base), RTE_BAD_IOVA); /* fresh */
	assert_int_equal(spate_dpdk_page_addresses(&a, where, to), 0);
	assert_int_equal(to[1], (rte_iova_t)(uintptr_t)a.base + (2u << 20) + 0x1000000);
	unreadable = (char *)a.base + (2u << 20);
	assert_int_equal(spate_dpdk_page_addresses(&a, where, to), -EPERM);
	a.page_bytes = 4096; /* the kernel may move it */
	assert_int_equal(spate_dpdk_page_addresses(&a, where, to), -EINVAL);
	munmap(a.base, a.bytes);
}

#define T(name) cmocka_unit_test_teardown(name, nothing_is_left)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing_sent_nothing_held),
		T(test_held_until_it_is_freed),
		T(test_what_is_sent_later_does_not_count),
		T(test_two_marks),
		T(test_a_packet_behind_a_full_queue_counts),
		T(test_what_the_device_counts),
		T(test_no_more_pieces_than_the_device_takes),
		T(test_hash_of_the_queues_is_symmetric),
		T(test_each_page_has_an_address),
		T(test_pieces_end_with_their_page),
		T(test_limits_that_devices_leave_out),
		T(test_a_device_that_goes_is_told_of),
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
	failed = !port.caps.zero_copy || !port.ops->link_up(&port); /* nobody has asked it yet */
	failed += cmocka_run_group_tests(tests, NULL, NULL);
	port.ops->close(&port);
	spate_eal_stop();
	free(arena);
	return failed;
}
