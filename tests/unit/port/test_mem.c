/* The packet seam in memory: order, ownership, checksums, TSO cutting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/net/checksum.h"
#include "dataplane/port/mem.h"
#include "dataplane/port/txq.h"

static uint8_t payload[8000];

static int setup(void **state)
{
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + (i >> 8));
	return 0;
}

/* An Ethernet + IPv4 + TCP packet whose checksum fields are as spate_net_send leaves them. */
static void fill(struct spate_pkt_tx *tx, uint32_t len, uint16_t mss)
{
	uint8_t *ip = tx->head + 14, *tcp = ip + 20;
	uint16_t total = (uint16_t)(40 + len);
	uint64_t pseudo = 0;
	uint16_t seed;

	memset(tx->head, 0, 54);
	ip[0] = 0x45;
	ip[2] = (uint8_t)(total >> 8);
	ip[3] = (uint8_t)total;
	ip[9] = 6;
	memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
	tcp[12] = 5 << 4;
	tcp[13] = 0x18;
	pseudo = spate_csum_plain(ip + 12, 8) + __builtin_bswap16(6);
	if (mss == 0)
		pseudo += __builtin_bswap16((uint16_t)(20 + len));
	seed = spate_csum_fold(pseudo);
	memcpy(tcp + 16, &seed, 2);
	tx->l2_len = 14;
	tx->l3_len = 20;
	tx->l4_len = 20;
	tx->head_len = 54;
	tx->flags =
		SPATE_TX_IP4 | SPATE_TX_L4_CSUM | SPATE_TX_IP_CSUM | (mss != 0 ? SPATE_TX_TSO : 0);
	tx->tso_mss = mss;
	tx->frag_len = len;
	tx->nfrags = 0;
	if (len != 0) {
		/* two pieces, the first of odd length, to exercise the swapped sum */
		uint32_t a = len / 2 | 1;

		tx->frag[0] = (struct iovec){payload, a};
		tx->frag[1] = (struct iovec){payload + a, len - a};
		tx->nfrags = len > a ? 2 : 1;
	}
}

static void assert_good(const uint8_t *pkt, size_t n)
{
	const uint8_t *ip = pkt + 14;
	size_t total = (size_t)ip[2] << 8 | ip[3];
	uint64_t sum;

	assert_int_equal(n, 14 + total);
	assert_int_equal(spate_csum_fold(spate_csum_plain(ip, 20)), 0xffff);
	sum = spate_csum_plain(ip + 12, 8) + __builtin_bswap16(6) +
	      __builtin_bswap16((uint16_t)(total - 20));
	assert_int_equal(spate_csum_fold(sum + spate_csum_plain(ip + 20, total - 20)), 0xffff);
}

/* early: the wire has done its work before the receiver looks. */
static void fifty_packets(bool early)
{
	struct spate_port a, b;
	struct spate_mem_setup s = {.tx_packets = 64, .rx_packets = 64};
	struct spate_txq q;
	struct spate_pkt_rx pkts[SPATE_BURST];

	assert_int_equal(spate_mem_open(&a, &s), 0);
	assert_int_equal(spate_mem_open(&b, &s), 0);
	spate_mem_pair(&a, &b);
	spate_txq_init(&q, &a, 0);
	for (unsigned i = 0; i < 50; i++) {
		struct spate_pkt_tx *tx = spate_txq_next(&q);

		assert_non_null(tx);
		fill(tx, 1 + i, 0);
		spate_txq_push(&q);
	}
	spate_txq_finish(&q);
	if (early) {
		spate_mem_deliver(&b);
		assert_int_equal(spate_mem_sent(&a), 0);
		assert_true(spate_mem_idle(&a)); /* its buffers and payload are its own again */
		assert_false(spate_mem_idle(&b));
	}
	for (unsigned got = 0, n; got < 50; got += n) {
		n = b.ops->rx(&b, 0, pkts, SPATE_BURST);
		assert_int_not_equal(n, 0);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(pkts[i].len, 54 + 1 + got + i);
			assert_memory_equal(pkts[i].data + 54, payload, 1 + got + i);
			assert_good(pkts[i].data, pkts[i].len);
		}
		b.ops->rx_free(&b, 0, pkts, n);
	}
	assert_true(spate_mem_idle(&a));
	assert_true(spate_mem_idle(&b));
	a.ops->close(&a);
	b.ops->close(&b);
}

static void test_pair_delivers_in_order_and_buffers_return(void **state)
{
	fifty_packets(false);
}

static void test_delivered_before_it_is_asked_for(void **state)
{
	fifty_packets(true);
}

static void test_no_buffers_gives_less(void **state)
{
	struct spate_port a;
	struct spate_mem_setup s = {.tx_packets = 16};
	struct spate_pkt_tx tx[SPATE_BURST];

	assert_int_equal(spate_mem_open(&a, &s), 0);
	assert_int_equal(a.ops->tx_get(&a, 0, tx, SPATE_BURST), 16);
	assert_int_equal(a.ops->tx_get(&a, 0, tx, 1), 0);
	assert_int_equal(a.ops->queue(&a, 0)->tx_out, 16);
	a.ops->tx_put(&a, 0, tx, 16);
	assert_true(spate_mem_idle(&a));
	a.ops->close(&a);
}

static void test_tso_is_cut_as_a_device_would(void **state)
{
	struct spate_port a;
	struct spate_mem_setup s = {.tx_offloads = SPATE_TX_L4_CSUM | SPATE_TX_TSO,
				    .tso_max = 8000};
	struct spate_pkt_tx tx;
	uint8_t buf[2000];
	uint32_t off = 0;
	size_t n;

	assert_int_equal(spate_mem_open(&a, &s), 0);
	assert_int_equal(a.ops->tx_get(&a, 0, &tx, 1), 1);
	fill(&tx, 5000, 1448);
	a.ops->tx(&a, 0, &tx, 1);
	while ((n = spate_mem_take(&a, buf, sizeof(buf))) != 0) {
		uint32_t len = (uint32_t)n - 54;
		uint32_t seq = (uint32_t)buf[38] << 24 | (uint32_t)buf[39] << 16 |
			       (uint32_t)buf[40] << 8 | buf[41];

		assert_good(buf, n);
		assert_int_equal(seq, off);
		assert_memory_equal(buf + 54, payload + off, len);
		assert_int_equal(buf[47],
				 off + len == 5000 ? 0x18 : 0x10); /* PSH only on the last */
		off += len;
	}
	assert_int_equal(off, 5000);
	assert_true(spate_mem_idle(&a));
	a.ops->close(&a);
}

/* The last of a burst is kept back for later: those before it leave all the same. */
static void test_keeping_the_last_of_a_burst_loses_none(void **state)
{
	struct spate_port a;
	struct spate_mem_setup s = {.tx_packets = 64};
	struct spate_txq q;
	struct spate_pkt_tx kept;

	assert_int_equal(spate_mem_open(&a, &s), 0);
	spate_txq_init(&q, &a, 0);
	for (unsigned i = 0; i < SPATE_BURST - 1; i++) {
		struct spate_pkt_tx *tx = spate_txq_next(&q);

		fill(tx, 100, 1448);
		spate_txq_push(&q);
	}
	fill(spate_txq_next(&q), 100, 1448);
	spate_txq_keep(&q, &kept);
	assert_non_null(spate_txq_next(&q));
	assert_int_equal(spate_mem_sent(&a), SPATE_BURST - 1);
	spate_txq_give(&q, &kept);
	assert_int_equal(spate_mem_sent(&a), SPATE_BURST);
	spate_txq_finish(&q);
	assert_int_equal(a.ops->queue(&a, 0)->tx_out, 0);
	a.ops->close(&a);
}

static void test_kept_packet_survives_rx_free(void **state)
{
	struct spate_port a;
	struct spate_mem_setup s = {.rx_packets = 16};
	struct spate_pkt_rx pkts[2], kept;

	assert_int_equal(spate_mem_open(&a, &s), 0);
	assert_true(spate_mem_give(&a, payload, 100));
	assert_true(spate_mem_give(&a, payload + 100, 100));
	assert_int_equal(a.ops->rx(&a, 0, pkts, 2), 2);
	kept = pkts[0];
	pkts[0].handle = NULL;
	a.ops->rx_free(&a, 0, pkts, 2);
	for (unsigned i = 0; i < 15; i++)
		assert_true(spate_mem_give(&a, payload + 200, 100));
	assert_false(spate_mem_give(&a, payload, 100)); /* all 16 are out */
	assert_memory_equal(kept.data, payload, 100);
	a.ops->rx_free(&a, 0, &kept, 1);
	assert_true(spate_mem_give(&a, payload, 100));
	a.ops->close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair_delivers_in_order_and_buffers_return),
		cmocka_unit_test(test_delivered_before_it_is_asked_for),
		cmocka_unit_test(test_no_buffers_gives_less),
		cmocka_unit_test(test_tso_is_cut_as_a_device_would),
		cmocka_unit_test(test_keeping_the_last_of_a_burst_loses_none),
		cmocka_unit_test(test_kept_packet_survives_rx_free),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
