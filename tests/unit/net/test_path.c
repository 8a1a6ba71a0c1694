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

/* RFC 1191 6.3, RFC 8201 5.3: who has a path looks again when the way may be wider. */
static void test_path_mtu_that_is_forgotten_moves_the_paths(void **state)
{
	struct spate_net_path p;
	uint8_t ip[16], later[16];
	uint64_t start_us;
	uint32_t gen;

	us_open(NULL);
	start_us = us.now_us;
	ip_of("10.0.0.2", ip);
	ip_of("fd00::2", later);
	spate_net_pmtu(us.net, ip, 1400, us.now_us);
	us.now_us += 100000000;
	spate_net_pmtu(us.net, later, 1300, us.now_us);
	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	host_turn(&us);
	for (unsigned i = 0; i < 2; i++) {
		gen = spate_net_hot(us.net)->gen;
		us.now_us = start_us + i * 100000000 + 599999999;
		while (spate_net_tick(us.net, us.now_us, &us.in) <= us.now_us)
			;
		spate_net_flush(us.net);
		while (take())
			;
		gen = spate_net_hot(us.net)->gen;
		/* Called when it asked to be, and at no other time. */
		assert_true(spate_net_tick(us.net, us.now_us, &us.in) <= us.now_us + 1);
		assert_int_equal(spate_net_hot(us.net)->gen, gen);
		us.now_us++;
		spate_net_tick(us.net, us.now_us, &us.in);
		assert_int_not_equal(spate_net_hot(us.net)->gen, gen);
		assert_int_equal(path_to(&us, &p, i == 0 ? "10.0.0.2" : "fd00::2"), 0);
		assert_int_equal(p.mtu, 1500);
	}
	assert_int_equal(path_to(&us, &p, "fd00::2"), 0);
	us_close(NULL);
}

/* Nobody can be connected to there; a frame would go to everybody, or to nobody. */
static void test_groups_and_broadcast_are_no_remote(void **state)
{
	const char *const odd[] = {"224.0.0.1",  "239.255.255.255", "240.0.0.1", "255.255.255.255",
				   "10.0.0.255", "10.0.0.0",        "127.0.0.1", "0.0.0.0",
				   "10.0.0.1",   "ff02::1",         "ff0e::1:2", "::1",
				   "::",         "fd00::1"};
	const char *const good[] = {"10.0.0.254", "223.255.255.254", "192.0.2.255", "fd00::2",
				    "2001:db8::1"};
	uint8_t all[16], gw[16];
	struct spate_net_path p;

	us_open(NULL);
	ip_of("0.0.0.0", all); /* so that there is a way to everything */
	ip_of("10.0.0.254", gw);
	assert_int_equal(spate_net_add_route(us.net, 0, all, 0, gw), 0);
	ip_of("::", all);
	ip_of("fd00::fe", gw);
	assert_int_equal(spate_net_add_route(us.net, 0, all, 0, gw), 0);
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (path_to(&us, &p, odd[i]) != -ENETUNREACH)
			fail_msg("a path to %s", odd[i]);
	spate_net_flush(us.net);
	assert_false(take()); /* nor is anybody asked for */
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(path_to(&us, &p, good[i]), 0);
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
		cmocka_unit_test(test_path_mtu_that_is_forgotten_moves_the_paths),
		cmocka_unit_test(test_groups_and_broadcast_are_no_remote),
		cmocka_unit_test(test_workers_share_what_they_learn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
