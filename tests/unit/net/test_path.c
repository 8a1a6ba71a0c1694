/* Routes and header templates: two stacks wired together. */
#include "world.h"

#include "dataplane/net/board.h"

static struct host peer;

static void wire(uint16_t vlan)
{
	host_open(&us, mac_us, "10.0.0.1", "fd00::1", vlan, NULL);
	host_open(&peer, mac_peer, "10.0.0.2", "fd00::2", vlan, NULL);
	spate_mem_pair(&us.port, &peer.port);
}

static void unwire(void)
{
	for (unsigned i = 0; i < 4; i++) {
		host_turn(&us);
		host_turn(&peer);
	}
	host_close(&us);
	host_close(&peer);
}

/* A segment with payload of `len` goes from us to the peer, first contact included. */
static void exchange(const char *to, uint16_t vlan, size_t len)
{
	static uint8_t payload[1460];
	struct spate_net_path p;
	uint8_t src[16], dst[16], want[16];

	wire(vlan);
	assert_int_equal(path_to(&us, &p, to), 0);
	assert_true(send_bare(&us, &p)); /* parked */
	host_turn(&peer);                /* answers */
	host_turn(&us);                  /* learns, sends it */
	host_turn(&peer);
	assert_int_equal(peer.in.ntcp, 1);
	for (size_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(i * 3);
	struct spate_pkt_tx *tx = spate_net_begin(us.net, &p);

	memset(spate_net_l4(tx) + 4, 0, 16);
	spate_net_l4(tx)[12] = 5 << 4;
	tx->frag[0] = (struct iovec){payload, len};
	tx->nfrags = 1;
	tx->frag_len = (uint32_t)len;
	spate_net_send(us.net, &p, tx, 20, SPATE_TCP_CSUM_AT, 2, 0);
	spate_net_flush(us.net);
	host_turn(&peer);
	assert_int_equal(peer.in.ntcp, 1);
	assert_int_equal(peer.in.tcp[0].len, 20 + len);
	assert_int_equal(peer.in.tcp[0].tos, 2);
	assert_memory_equal(peer.in.tcp[0].l4 + 20, payload, len);
	assert_memory_equal(peer.in.tcp[0].l4, "\0\x50\x9c\x40", 4);
	spate_seg_addrs(&peer.in.tcp[0], src, dst);
	ip_of(to, want);
	assert_memory_equal(dst, want, 16);
	unwire();
}

static void test_segment_reaches_the_peer_ip4(void **state)
{
	exchange("10.0.0.2", 0, 1460);
	exchange("10.0.0.2", 0, 1);
}

static void test_segment_reaches_the_peer_ip6(void **state)
{
	exchange("fd00::2", 0, 1440);
}

static void test_segment_reaches_the_peer_over_vlan(void **state)
{
	exchange("10.0.0.2", 7, 999);
	exchange("fd00::2", 7, 999);
}

static void test_longest_prefix_wins(void **state)
{
	uint8_t dst[16], gw[16];
	struct spate_net_path p;
	const char *const routes[][3] = {{"0.0.0.0", "0", "10.0.0.254"},
					 {"192.168.0.0", "16", "10.0.0.253"},
					 {"192.168.7.0", "24", "10.0.0.252"}};
	const char *const expect[][2] = {{"8.8.8.8", "\x0a\0\0\xfe"},
					 {"192.168.1.1", "\x0a\0\0\xfd"},
					 {"192.168.7.1", "\x0a\0\0\xfc"},
					 {"10.0.0.77", "\x0a\0\0\x4d"}};

	us_open(NULL);
	for (unsigned i = 0; i < 3; i++) {
		ip_of(routes[i][0], dst);
		ip_of(routes[i][2], gw);
		assert_int_equal(
			spate_net_add_route(us.net, 0, dst, (unsigned)atoi(routes[i][1]), gw), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(path_to(&us, &p, expect[i][0]), 0);
		spate_net_flush(us.net);
		assert_true(take()); /* asks for the next hop */
		assert_memory_equal(us.out + 38, expect[i][1], 4);
	}
	us_close(NULL);
}

static void test_no_route_and_wrong_source(void **state)
{
	uint8_t local[16], remote[16];
	struct spate_net_path p;

	us_open(NULL);
	assert_int_equal(path_to(&us, &p, "8.8.8.8"), -ENETUNREACH);
	assert_int_equal(path_to(&us, &p, "10.0.0.1"), -ENETUNREACH); /* ourselves */
	ip_of("10.0.0.5", local);
	ip_of("10.0.0.2", remote);
	assert_int_equal(spate_net_path(us.net, &p, 6, local, 1, remote, 2, 0), -EADDRNOTAVAIL);
	us_close(NULL);
}

static void test_source_address_fits_the_destination(void **state)
{
	uint8_t ip[16], local[16], remote[16];
	struct spate_net_path p;

	us_open(NULL);
	ip_of("10.1.0.1", ip);
	assert_int_equal(spate_net_add_address(us.net, 0, ip, 16), 0);
	assert_int_equal(path_to(&us, &p, "10.1.2.3"), 0);
	spate_net_path_addrs(&p, local, remote);
	assert_memory_equal(local, ip, 16);
	assert_int_equal(path_to(&us, &p, "fe80::99"), 0);
	spate_net_path_addrs(&p, local, remote);
	assert_int_equal(local[0], 0xfe);
	us_close(NULL);
}

static void test_path_mtu_is_kept_for_ten_minutes_and_never_raised(void **state)
{
	struct spate_net_path p;
	uint8_t ip[16];

	us_open(NULL);
	ip_of("10.0.0.2", ip);
	spate_net_pmtu(us.net, ip, 1400, us.now_us);
	spate_net_pmtu(us.net, ip, 1450, us.now_us);
	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	assert_int_equal(p.mtu, 1400);
	assert_int_equal(path_to(&us, &p, "10.0.0.3"), 0);
	assert_int_equal(p.mtu, 1500);
	us.now_us += 601000000;
	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	assert_int_equal(p.mtu, 1500);
	us_close(NULL);
}

static void test_workers_share_what_they_learn(void **state)
{
	static struct spate_net_board board;
	struct spate_net_setup a = {.board = &board, .worker = 0},
			       b = {.board = &board, .worker = 1};
	struct spate_net_path p;

	spate_net_board_init(&board);
	host_open(&us, mac_us, "10.0.0.1", "fd00::1", 0, &a);
	host_open(&peer, mac_us, "10.0.0.1", "fd00::1", 0, &b);
	assert_int_equal(path_to(&peer, &p, "10.0.0.2"),
			 0); /* worker 1 asks, worker 0 gets the answer */
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	host_turn(&peer);
	assert_true(send_bare(&peer, &p));
	assert_int_not_equal(p.gen, 0);
	assert_memory_equal(p.head, mac_peer, 6);
	host_close(&us);
	host_close(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segment_reaches_the_peer_ip4),
		cmocka_unit_test(test_segment_reaches_the_peer_ip6),
		cmocka_unit_test(test_segment_reaches_the_peer_over_vlan),
		cmocka_unit_test(test_longest_prefix_wins),
		cmocka_unit_test(test_no_route_and_wrong_source),
		cmocka_unit_test(test_source_address_fits_the_destination),
		cmocka_unit_test(test_path_mtu_is_kept_for_ten_minutes_and_never_raised),
		cmocka_unit_test(test_workers_share_what_they_learn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
