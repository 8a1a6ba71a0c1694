/* IPv4 and IPv6 input: what is handed up, and what each wrong packet is counted as. */
#include "world.h"

static void expect_drop(size_t n, enum spate_net_verdict v)
{
	uint64_t before = count(v);

	give(frame, n);
	assert_int_equal(count(v), before + 1);
	assert_int_equal(us.in.ntcp, 0);
}

static void test_segment_is_handed_up(void **state)
{
	give(frame, tcp4(100));
	assert_int_equal(us.in.ntcp, 1);
	assert_int_equal(us.in.tcp[0].len, 120);
	assert_true(us.in.tcp[0].ip4);
	assert_memory_equal(spate_seg_src(&us.in.tcp[0]), "\x0a\0\0\2", 4);
	assert_memory_equal(us.in.tcp[0].l4 + 20, frame + 54, 100);
}

static void test_padding_is_not_payload(void **state)
{
	size_t n = tcp4(0);

	assert_int_equal(n, 54);
	give(frame, 60);
	assert_int_equal(us.in.ntcp, 1);
	assert_int_equal(us.in.tcp[0].len, 20);
}

static void test_ip4_bad_packets(void **state)
{
	size_t n;

	n = tcp4(10);
	frame[14 + 10] ^= 1;
	expect_drop(n, SPATE_NET_DROP_IP_CSUM);
	n = tcp4(10);
	frame[14 + 20 + 16] ^= 1;
	expect_drop(n, SPATE_NET_DROP_L4_CSUM);
	n = tcp4(10);
	expect_drop(n - 1, SPATE_NET_DROP_IP_TRUNCATED);
	n = tcp4(10);
	frame[14] = 0x44;
	expect_drop(n, SPATE_NET_DROP_IP_HEADER);
	n = tcp4(10);
	frame[14 + 6] = 0x20; /* more fragments */
	expect_drop(seal(16), SPATE_NET_DROP_FRAGMENT);
	n = tcp4(10);
	frame[14 + 7] = 1; /* offset 8 */
	expect_drop(seal(16), SPATE_NET_DROP_FRAGMENT);
	ip4_from("10.0.0.2", "10.0.0.9", 6, 20);
	expect_drop(seal(16), SPATE_NET_DROP_IP_NOT_US);
	ip4_from("10.0.0.1", "10.0.0.1", 6, 20);
	expect_drop(seal(16), SPATE_NET_DROP_IP_SOURCE);
	ip4_from("224.0.0.1", "10.0.0.1", 6, 20);
	expect_drop(seal(16), SPATE_NET_DROP_IP_SOURCE);
	tcp4(0);
	frame[14 + 20 + 12] = 4 << 4;
	expect_drop(seal(16), SPATE_NET_DROP_L4_SHORT);
	tcp4(0);
	frame[14 + 20 + 12] = 6 << 4; /* header past the end */
	expect_drop(seal(16), SPATE_NET_DROP_L4_SHORT);
	tcp4(0);
	memcpy(frame, mac_peer, 6);
	expect_drop(54, SPATE_NET_DROP_NOT_US);
	tcp4(0);
	memcpy(frame, mac_all, 6);
	expect_drop(54, SPATE_NET_DROP_IP_NOT_US);
	for (size_t cut = 0; cut < 54; cut++) {
		tcp4(0);
		give(frame, cut);
		assert_int_equal(us.in.ntcp, 0);
	}
}

static void options(const char *bytes, size_t n)
{
	uint8_t *ip = frame + 14;

	ip4_from("10.0.0.2", "10.0.0.1", 6, n + 20);
	ip[0] = (uint8_t)(0x45 + n / 4);
	memcpy(ip + 20, bytes, n);
	ip[20 + n + 12] = 5 << 4;
	seal(16);
}

static void test_ip4_options_are_skipped_but_source_routes_refused(void **state)
{
	options("\x94\4\0\0\1\1\1\0", 8); /* router alert */
	give(frame, 14 + 20 + 8 + 20);
	assert_int_equal(us.in.ntcp, 1);
	options("\x83\7\4\1\2\3\4\0", 8);
	expect_drop(14 + 20 + 8 + 20, SPATE_NET_DROP_IP_OPTIONS);
	options("\x94\xc8\0\0", 4); /* longer than the header */
	expect_drop(14 + 20 + 4 + 20, SPATE_NET_DROP_IP_OPTIONS);
}

/* A TCP segment behind extension headers given as bytes; first: their type. */
static size_t extended(uint8_t first, const char *bytes, size_t n)
{
	uint8_t *t = ip6_from("fd00::2", "fd00::1", 6, 20), c[2];

	t[12] = 5 << 4;
	seal(16);
	memcpy(c, t + 16, 2);
	t = ip6_from("fd00::2", "fd00::1", first, n + 20);
	memcpy(t, bytes, n);
	t[n + 12] = 5 << 4;
	memcpy(t + n + 16, c, 2);
	return 14 + 40 + n + 20;
}

static void test_ip6_segment_and_extensions(void **state)
{
	char many[40] = {0};

	ip6_from("fd00::2", "fd00::1", 6, 20)[12] = 5 << 4;
	give(frame, seal(16));
	assert_int_equal(us.in.ntcp, 1);
	assert_false(us.in.tcp[0].ip4);
	give(frame, extended(60, "\6\0\1\4\0\0\0\0", 8)); /* destination options: PadN */
	assert_int_equal(us.in.ntcp, 1);
	give(frame, extended(44, "\6\0\0\0\1\2\3\4", 8)); /* atomic fragment */
	assert_int_equal(us.in.ntcp, 1);
	expect_drop(extended(44, "\6\0\0\1\1\2\3\4", 8), SPATE_NET_DROP_FRAGMENT);
	expect_drop(extended(43, "\6\0\0\1\0\0\0\0", 8), SPATE_NET_DROP_IP_EXTENSION);
	expect_drop(extended(60, "\6\0\xc0\4\0\0\0\0", 8), SPATE_NET_DROP_IP_EXTENSION);
	expect_drop(extended(60, "\6\xff\1\4\0\0\0\0", 8), SPATE_NET_DROP_IP_EXTENSION);
	for (unsigned i = 0; i < 5; i++) {
		many[8 * i] = i == 4 ? 6 : 60;
		many[8 * i + 2] = 1;
		many[8 * i + 3] = 4;
	}
	expect_drop(extended(60, many, 40), SPATE_NET_DROP_IP_EXTENSION);
	ip6_from("fd00::2", "fd00::1", 6, 20)[12] = 5 << 4;
	seal(16);
	frame[14 + 40 + 16] ^= 1;
	expect_drop(74, SPATE_NET_DROP_L4_CSUM);
	ip6_from("::ffff:10.0.0.2", "fd00::1", 6, 20);
	expect_drop(seal(16), SPATE_NET_DROP_IP_SOURCE);
}

static void test_vlan(void **state)
{
	uint8_t tagged[128];
	size_t n = tcp4(0);

	memcpy(tagged, frame, 12);
	memcpy(tagged + 12, "\x81\0\0\5", 4);
	memcpy(tagged + 16, frame + 12, n - 12);
	give(tagged, n + 4);
	assert_int_equal(count(SPATE_NET_DROP_VLAN), 1);
	tagged[15] = 0; /* a priority tag is no VLAN */
	tagged[14] = 0xe0;
	give(tagged, n + 4);
	assert_int_equal(us.in.ntcp, 1);
}

static void test_udp_goes_to_who_listens(void **state)
{
	uint8_t *u = ip4_from("10.0.0.2", "10.0.0.1", 17, 12);

	spate_store16(u, 999);
	spate_store16(u + 2, 6969);
	spate_store16(u + 4, 12);
	assert_int_equal(spate_net_udp_open(us.net, 6969), 0);
	give(frame, seal(6));
	assert_int_equal(us.in.nudp, 1);
	assert_int_equal(us.in.udp[0].len, 12);
	spate_net_udp_close(us.net, 6969);
	give(frame, 46);
	assert_int_equal(count(SPATE_NET_DROP_UDP_PORT), 1);
	assert_true(take()); /* port unreachable, quoting the datagram */
	assert_int_equal(us.out[34], 3);
	assert_int_equal(us.out[35], 3);
	assert_memory_equal(us.out + 42, frame + 14, 28);
}

static unsigned excepted;

static void on_exception(void *ctx, unsigned iface, const struct spate_pkt_rx *pkt)
{
	excepted++;
}

static void test_exception_path_gets_what_is_not_ours(void **state)
{
	const uint16_t ours = 80;
	struct spate_net_setup s = {.exception = on_exception, .tcp_ports = &ours, .ntcp_ports = 1};

	us_close(NULL);
	host_open(&us, mac_us, "10.0.0.1", "fd00::1", 0, &s);
	ip4_from("10.0.0.2", "10.0.0.9", 6, 20);
	give(frame, seal(16));
	eth(mac_us, mac_peer, 0x88cc);
	give(frame, 60);
	give(frame, tcp4(0));
	assert_int_equal(us.in.ntcp, 1);
	tcp4(0);
	frame[14 + 20 + 3] = 22; /* ssh is the kernel's */
	give(frame, seal(16));
	assert_int_equal(us.in.ntcp, 0);
	assert_int_equal(excepted, 3);
	assert_int_equal(count(SPATE_NET_EXCEPTION), 3);
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1")); /* an answer is for both */
	assert_int_equal(excepted, 4);
	assert_int_equal(count(SPATE_NET_ARP), 1);
	give(frame,
	     arp(1, mac_peer, "10.0.0.2", "10.0.0.9")); /* who has an address of the kernel's? */
	assert_int_equal(excepted, 5);
	assert_false(take());
	give(frame, arp(1, mac_peer, "192.0.2.2", "192.0.2.9")); /* in a network that only it has */
	assert_int_equal(excepted, 6);
	give(frame, arp(1, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_int_equal(excepted, 6);
	assert_true(take());
}

/* Nothing begins with a packet from where nobody sends. */
static void test_nobody_sends_from_there(void **state)
{
	const char *const odd4[] = {"10.0.0.255", "10.0.0.0", "127.0.0.1", "10.0.0.7"};
	uint8_t *m, ours[16];

	ip_of("10.0.0.7", ours);
	assert_int_equal(spate_net_add_address(us.net, 0, ours, 24), 0);
	for (unsigned i = 0; i < 4; i++) {
		m = ip4_from(odd4[i], "10.0.0.1", 17, 12); /* a port unreachable would follow */
		spate_store16(m + 4, 12);
		give(frame, seal(6));
		m = ip4_from(odd4[i], "10.0.0.1", 1, 16);
		m[0] = 8;
		give(frame, seal(2));
		m = ip4_from(odd4[i], "10.0.0.1", 6, 20);
		m[12] = 5 << 4;
		m[13] = 2;
		give(frame, seal(16));
		assert_int_equal(us.in.ntcp, 0);
	}
	m = ip6_from("::1", "fd00::1", 6, 20);
	m[12] = 5 << 4;
	m[13] = 2;
	give(frame, seal(16));
	assert_int_equal(us.in.ntcp, 0);
	assert_int_equal(count(SPATE_NET_DROP_IP_SOURCE), 13);
	tcp4(0);
	frame[6] |= 1; /* an answer would go to a group */
	give(frame, seal(16));
	assert_int_equal(us.in.ntcp, 0);
	assert_int_equal(count(SPATE_NET_DROP_MAC_SOURCE), 1);
	assert_false(take());
	give(frame, tcp4(0));
	assert_int_equal(us.in.ntcp, 1);
}

static void test_verdicts_are_counted_in_the_workers_block(void **state)
{
	static struct spate_stats stats;
	struct spate_net_setup s = {.stats = &stats};

	us_close(NULL);
	host_open(&us, mac_us, "10.0.0.1", "fd00::1", 0, &s);
	give(frame, tcp4(100));
	give(frame, tcp4(100) - 60);
	assert_int_equal(stats.net_tcp, 1);
	assert_int_equal(stats.net_drop_ip_truncated, 1);
	assert_int_equal(stats.net_drop_neighbour_full, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, us_open, us_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_segment_is_handed_up),
		T(test_padding_is_not_payload),
		T(test_ip4_bad_packets),
		T(test_ip4_options_are_skipped_but_source_routes_refused),
		T(test_ip6_segment_and_extensions),
		T(test_vlan),
		T(test_udp_goes_to_who_listens),
		T(test_exception_path_gets_what_is_not_ours),
		T(test_nobody_sends_from_there),
		T(test_verdicts_are_counted_in_the_workers_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
