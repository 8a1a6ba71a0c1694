/* Router advertisements: what is believed, for how long, and what follows from it for paths. */
#include "world.h"

#include "dataplane/net/board.h"

#define SECOND 1000000u

static const uint8_t mac_all6[6] = {0x33, 0x33, 0, 0, 0, 1}, mac_r1[6] = {2, 0, 0, 0, 1, 1},
		     mac_r2[6] = {2, 0, 0, 0, 1, 2};
static uint8_t *option; /* where the next one of the advertisement goes */

static void open_with(struct host *h, const uint8_t mac[6], const struct spate_net_setup *setup,
		      bool routers, bool quiet, uint16_t mtu)
{
	struct spate_mem_setup ms = {.tx_packets = 64, .rx_packets = 64};
	struct spate_net_iface_setup is = {
		.port = &h->port, .routers = routers, .quiet = quiet, .mtu = mtu};
	uint8_t ip[16];

	memset(h, 0, sizeof(*h));
	memcpy(ms.mac, mac, 6);
	assert_int_equal(spate_mem_open(&h->port, &ms), 0);
	h->net = spate_net_create(setup);
	h->now_us = SECOND;
	assert_int_equal(spate_net_add_iface(h->net, &is), 0);
	ip_of("10.0.0.1", ip);
	assert_int_equal(spate_net_add_address(h->net, 0, ip, 24), 0);
	ip_of("fd00::1", ip);
	assert_int_equal(spate_net_add_address(h->net, 0, ip, 64), 0);
}

static int follows(void **state)
{
	open_with(&us, mac_us, &(struct spate_net_setup){.seed = 7}, true, false, 0);
	return 0;
}

/* An advertisement; options are put behind it, then hear() sends it. */
static uint8_t *ra(const char *src, uint16_t lifetime_s)
{
	uint8_t *m = ip6_from(src, "ff02::1", 58, 16);

	memcpy(frame, mac_all6, 6);
	frame[14 + 7] = 255;
	m[0] = 134;
	spate_store16(m + 6, lifetime_s);
	option = m + 16;
	return m;
}

static uint8_t *add_option(uint8_t type, uint8_t words)
{
	uint8_t *o = option;

	o[0] = type;
	o[1] = words;
	option += words * 8;
	spate_store16(frame + 18, (uint16_t)(option - frame - 54));
	return o;
}

static void add_mac(const uint8_t mac[6])
{
	memcpy(add_option(1, 1) + 2, mac, 6);
}

static void add_mtu(uint32_t mtu)
{
	uint8_t *o = add_option(5, 1);

	spate_store16(o + 4, (uint16_t)(mtu >> 16));
	spate_store16(o + 6, (uint16_t)mtu);
}

static void add_prefix(const char *prefix, uint8_t bits, uint8_t flags, uint32_t valid_s)
{
	uint8_t *o = add_option(3, 4);

	o[2] = bits;
	o[3] = flags;
	spate_store16(o + 4, (uint16_t)(valid_s >> 16));
	spate_store16(o + 6, (uint16_t)valid_s);
	ip_of(prefix, o + 16);
}

static void hear(void)
{
	give(frame, seal(2));
}

/* Two routers, each with its address on the link. */
static void hear_r1(uint16_t lifetime_s)
{
	ra("fe80::1:1", lifetime_s);
	add_mac(mac_r1);
	hear();
}

static void hear_r2(uint16_t lifetime_s)
{
	ra("fe80::1:2", lifetime_s);
	add_mac(mac_r2);
	hear();
}

static void pass(struct host *h, uint64_t us_)
{
	for (uint64_t end = h->now_us + us_; h->now_us < end;) {
		h->now_us += 100000;
		host_turn(h);
	}
}

static void take_all(void)
{
	while (take())
		;
}

/* Whose MAC address a packet to `remote` gets; NULL: no way, or its neighbour is not known. */
static const uint8_t *hop(struct host *h, const char *remote)
{
	static struct spate_net_path p;

	return path_to(h, &p, remote) == 0 && p.gen != 0 ? p.head : NULL;
}

static void assert_hop(const char *remote, const uint8_t mac[6])
{
	const uint8_t *got = hop(&us, remote);

	assert_non_null(got);
	assert_memory_equal(got, mac, 6);
}

static uint16_t mtu_to(const char *remote)
{
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, remote), 0);
	return p.mtu;
}

static bool reachable(const char *remote)
{
	struct spate_net_path p;

	return path_to(&us, &p, remote) == 0;
}

/* Turns of 100 ms for so long; how many solicitations left, and when the first and last did. */
static unsigned solicitations(struct host *h, uint64_t us_, uint64_t *first, uint64_t *last)
{
	unsigned count = 0;
	uint8_t out[2048];
	size_t len;

	for (uint64_t end = h->now_us + us_; h->now_us < end;) {
		h->now_us += 100000;
		host_turn(h);
		while ((len = spate_mem_take(&h->port, out, sizeof(out))) != 0) {
			if (len != 70 || out[54] != 133)
				continue;
			if (count++ == 0)
				*first = h->now_us;
			*last = h->now_us;
			memcpy(h->out, out, len);
		}
	}
	return count;
}

static void test_an_advertised_router_is_the_way_to_all_else(void **state)
{
	assert_false(reachable("2001:db8::9"));
	hear_r1(1800);
	assert_int_equal(count(SPATE_NET_ROUTER), 1);
	assert_hop("2001:db8::9", mac_r1);
	assert_false(reachable("192.0.2.1")); /* IPv6 only */
}

static void test_static_counts_and_ignores(void **state)
{
	hear_r1(1800);
	assert_int_equal(count(SPATE_NET_DROP_ROUTER_STATIC), 1);
	assert_int_equal(count(SPATE_NET_ROUTER), 0);
	assert_false(reachable("2001:db8::9"));
	spate_net_announce(us.net, us.now_us);
	uint64_t first, last;

	assert_int_equal(solicitations(&us, 20 * SECOND, &first, &last), 0);
}

/* RFC 4861 6.3.4: that it spoke does not say that it hears us. */
static void test_its_address_is_used_and_checked_soon(void **state)
{
	struct spate_net_path p;
	bool asked = false;

	assert_int_equal(path_to(&us, &p, "fe80::1:1"), 0); /* somebody asks for it already */
	hear_r1(1800);
	assert_hop("2001:db8::9", mac_r1);
	take_all();
	for (unsigned i = 0; i < 6; i++) {
		pass(&us, SECOND);
		while (take())
			asked |= memcmp(us.out, mac_r1, 6) == 0 && us.out[54] == 135;
	}
	assert_true(asked);
}

/* Each in its own way; all else of it is good. */
static void test_invalid_ones_are_refused(void **state)
{
	ra("fe80::1:1", 1800);
	frame[14 + 7] = 254; /* has come through a router */
	hear();
	ra("fe80::1:1", 1800)[1] = 1; /* code */
	hear();
	ra("fd00::fe", 1800); /* not link-local */
	hear();
	ra("fe80::1:1", 1800);
	spate_store16(frame + 18, 15); /* shorter than its own header */
	hear();
	ra("fe80::1:1", 1800);
	add_option(1, 1)[1] = 0; /* would never end */
	hear();
	ra("fe80::1:1", 1800);
	add_option(1, 1)[1] = 2; /* reaches past the end */
	hear();
	ra("fe80::1:1", 1800);
	add_mac(mac_r1);
	spate_store16(frame + 18, 28); /* half an option */
	hear();
	assert_int_equal(count(SPATE_NET_DROP_ROUTER), 7);
	ra("fe80::1:1", 1800);
	size_t n = seal(2);

	frame[56] ^= 1;
	give(frame, n);
	assert_int_equal(count(SPATE_NET_DROP_ICMP_CSUM), 1);
	ra("fe80::ff:fe00:1", 1800); /* our own address */
	hear();
	assert_int_equal(count(SPATE_NET_DROP_ARP_CONFLICT), 1);
	assert_int_equal(count(SPATE_NET_ROUTER), 0);
	assert_false(reachable("2001:db8::9"));
}

static void test_unknown_options_are_skipped(void **state)
{
	ra("fe80::1:1", 1800);
	add_option(25, 3); /* DNS servers: not for us */
	add_mac(mac_r1);
	hear();
	assert_hop("2001:db8::9", mac_r1);
}

static void test_a_router_without_its_mac_is_asked_for_it(void **state)
{
	ra("fe80::1:1", 1800);
	hear();
	assert_true(reachable("2001:db8::9"));
	assert_true((spate_net_flush(us.net), take()));
	assert_int_equal(us.out[54], 135);
	assert_memory_equal(us.out, "\x33\x33\xff\x01\0\x01", 6);
}

static void test_a_router_expires(void **state)
{
	hear_r1(10);
	pass(&us, 9 * SECOND);
	assert_true(reachable("2001:db8::9"));
	hear_r1(10); /* once more: it lasts from now on */
	pass(&us, 9 * SECOND);
	assert_true(reachable("2001:db8::9"));
	pass(&us, 2 * SECOND);
	assert_false(reachable("2001:db8::9"));
}

static void test_expiry_is_a_time_that_tick_asks_for(void **state)
{
	hear_r1(10);
	take_all();
	assert_true(spate_net_tick(us.net, us.now_us, &us.in) <= us.now_us + 10 * SECOND);
}

static void test_lifetime_zero_takes_a_router_back(void **state)
{
	hear_r1(1800);
	hear_r2(1800);
	assert_hop("2001:db8::9", mac_r1);
	hear_r1(0);
	assert_hop("2001:db8::9", mac_r2);
	hear_r2(0);
	assert_false(reachable("2001:db8::9"));
}

static void test_a_path_follows_to_the_next_router(void **state)
{
	struct spate_net_path p;

	hear_r1(1800);
	hear_r2(1800);
	assert_int_equal(path_to(&us, &p, "2001:db8::9"), 0);
	hear_r1(0);
	take_all();
	assert_true(send_bare(&us, &p));
	assert_true(take());
	assert_memory_equal(us.out, mac_r2, 6);
}

static void test_the_list_is_bounded(void **state)
{
	char text[32];

	for (unsigned i = 1; i <= 6; i++) {
		snprintf(text, sizeof(text), "fe80::2:%u", i);
		ra(text, i == 6 ? 1800 : 10);
		add_mac(mac_r1);
		hear();
	}
	assert_int_equal(count(SPATE_NET_DROP_ROUTER_FULL), 6 - SPATE_NET_ROUTERS);
	pass(&us, 11 * SECOND);
	assert_false(reachable("2001:db8::9")); /* the sixth was not among them */
	hear_r1(1800);                          /* there is room again */
	assert_hop("2001:db8::9", mac_r1);
}

static void test_a_configured_gateway_wins(void **state)
{
	uint8_t any[16] = {0}, gw[16];

	ip_of("fd00::fe", gw);
	assert_int_equal(spate_net_add_route(us.net, 0, any, 0, gw), 0);
	hear_r1(1800);
	assert_int_equal(count(SPATE_NET_ROUTER), 1);
	assert_null(hop(&us, "2001:db8::9")); /* the gateway's address is not known yet */
	assert_true((spate_net_flush(us.net), take()));
	assert_memory_equal(us.out, "\x33\x33\xff\0\0\xfe", 6);
}

static void test_preference_decides_among_routers(void **state)
{
	ra("fe80::1:1", 1800)[5] = 3 << 3; /* low */
	add_mac(mac_r1);
	hear();
	assert_hop("2001:db8::9", mac_r1);
	ra("fe80::1:2", 1800)[5] = 2 << 3; /* reserved: medium */
	add_mac(mac_r2);
	hear();
	assert_hop("2001:db8::9", mac_r2);
	ra("fe80::1:1", 1800)[5] = 0; /* medium too: no reason to change */
	add_mac(mac_r1);
	hear();
	assert_hop("2001:db8::9", mac_r2);
	ra("fe80::1:1", 1800)[5] = 1 << 3; /* high */
	add_mac(mac_r1);
	hear();
	assert_hop("2001:db8::9", mac_r1);
}

/* Uses the way until the router in use has been asked in vain. */
static void until_it_fails(const char *remote)
{
	for (unsigned i = 0; i < 12; i++) {
		hop(&us, remote);
		pass(&us, SECOND);
		take_all();
	}
}

static void test_a_silent_router_gives_way(void **state)
{
	hear_r1(1800);
	hear_r2(1800);
	assert_hop("2001:db8::9", mac_r1);
	until_it_fails("2001:db8::9");
	assert_hop("2001:db8::9", mac_r2);
	hear_r1(1800); /* it is back, but nothing is wrong with the other */
	assert_hop("2001:db8::9", mac_r2);
}

static void test_silent_routers_are_tried_in_turn(void **state)
{
	unsigned asked[2] = {0, 0};
	struct spate_net_path p;

	ra("fe80::1:1", 1800);
	hear();
	ra("fe80::1:2", 1800);
	hear();
	for (unsigned i = 0; i < 300; i++) {
		if (path_to(&us, &p, "2001:db8::9") == 0)
			send_bare(&us, &p);
		us.now_us += 100000;
		host_turn(&us);
		while (take())
			if (us.out[54] == 135)
				asked[us.out[54 + 23] - 1]++;
	}
	assert_true(asked[0] >= 6 && asked[1] >= 6);
}

static void test_a_host_is_no_router_any_more(void **state)
{
	uint8_t *m;

	hear_r1(1800);
	assert_hop("2001:db8::9", mac_r1);
	for (unsigned router = 2; router-- != 0;) {
		m = ip6_from("fe80::1:1", "fd00::1", 58, 32);
		frame[14 + 7] = 255;
		m[0] = 136;
		m[4] = router ? 0xe0 : 0x60;
		ip_of("fe80::1:1", m + 8);
		m[24] = 2;
		m[25] = 1;
		memcpy(m + 26, mac_r1, 6);
		hear();
		assert_int_equal(reachable("2001:db8::9"), router);
	}
}

static void test_solicitations_are_three_four_seconds_apart(void **state)
{
	uint64_t first = 0, last = 0, began = us.now_us;

	spate_net_announce(us.net, us.now_us);
	assert_int_equal(solicitations(&us, 40 * SECOND, &first, &last), 3);
	assert_true(first <= began + SECOND + 100000);
	assert_true(last - first >= 8 * SECOND && last - first <= 9 * SECOND);
	/* from link-local to all routers, with our MAC address */
	assert_memory_equal(us.out, "\x33\x33\0\0\0\2", 6);
	assert_int_equal(us.out[14 + 7], 255);
	assert_memory_equal(us.out + 14 + 8, "\xfe\x80\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\1", 16);
	assert_memory_equal(us.out + 14 + 24, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	assert_memory_equal(us.out + 62, "\1\1\2\0\0\0\0\1", 8);
	assert_int_equal(spate_csum_fold(spate_csum_plain(us.out + 22, 32) + __builtin_bswap16(58) +
					 __builtin_bswap16(16) + spate_csum_plain(us.out + 54, 16)),
			 0xffff);
}

static void test_solicitations_end_with_an_advertisement(void **state)
{
	uint64_t first, last;

	spate_net_announce(us.net, us.now_us);
	assert_int_equal(solicitations(&us, 2 * SECOND, &first, &last), 1);
	hear_r1(0); /* no default router: go on */
	assert_int_equal(solicitations(&us, 4 * SECOND, &first, &last), 1);
	hear_r1(1800);
	assert_int_equal(solicitations(&us, 40 * SECOND, &first, &last), 0);
}

static void test_an_early_advertisement_leaves_one_solicitation(void **state)
{
	uint64_t first, last;

	spate_net_announce(us.net, us.now_us);
	hear_r1(1800);
	assert_int_equal(solicitations(&us, 40 * SECOND, &first, &last), 1);
}

static void test_mtu_within_bounds_is_taken(void **state)
{
	static const struct {
		uint32_t said;
		uint16_t then;
	} steps[] = {{1400, 1400}, {1279, 1400}, {1501, 1400}, {0x10000 + 1300, 1400},
		     {0, 1400},    {1280, 1280}, {1500, 1500}};

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		ra("fe80::1:1", 1800);
		add_mac(mac_r1);
		add_mtu(steps[i].said);
		hear();
		assert_int_equal(mtu_to("2001:db8::9"), steps[i].then);
		assert_int_equal(mtu_to("fd00::2"), steps[i].then);
		assert_int_equal(mtu_to("10.0.0.2"), 1500); /* IPv4 is not asked */
	}
}

static void test_mtu_reaches_paths_that_were_there(void **state)
{
	struct spate_net_path p;

	hear_r1(1800);
	assert_int_equal(path_to(&us, &p, "2001:db8::9"), 0);
	assert_int_equal(p.mtu, 1500);
	ra("fe80::1:1", 1800);
	add_mtu(1300);
	hear();
	assert_true(send_bare(&us, &p));
	assert_int_equal(p.mtu, 1300);
}

static void test_on_link_prefix_is_a_direct_route_while_it_lasts(void **state)
{
	ra("fe80::1:1", 0);
	add_prefix("fd77::42", 64, 0x80, 10); /* the bits behind it do not matter */
	hear();
	assert_int_equal(count(SPATE_NET_ROUTER), 1);
	take_all();
	assert_null(hop(&us, "fd77::2"));
	assert_true((spate_net_flush(us.net), take()));
	assert_memory_equal(us.out, "\x33\x33\xff\0\0\2", 6); /* asked on the link */
	assert_false(reachable("fd78::2"));
	pass(&us, 9 * SECOND);
	assert_true(reachable("fd77::2"));
	pass(&us, 2 * SECOND);
	assert_false(reachable("fd77::2"));
}

static void test_prefix_with_lifetime_zero_goes(void **state)
{
	for (unsigned valid = 2; valid-- != 0;) {
		ra("fe80::1:1", 0);
		add_prefix("fd77::", 64, 0x80, valid ? UINT32_MAX : 0);
		hear();
		pass(&us, 100 * SECOND);
		assert_int_equal(reachable("fd77::2"), valid);
	}
}

static void test_prefixes_that_are_not_taken(void **state)
{
	ra("fe80::1:1", 0);
	add_prefix("fd77::", 64, 0x40, 1000); /* for addresses only */
	add_prefix("fd78::", 129, 0x80, 1000);
	add_prefix("fe80::", 10, 0x80, 1000);
	add_prefix("::", 0, 0x80, 1000);
	add_prefix("::ffff:0:0", 96, 0x80, 1000); /* all of IPv4 */
	add_prefix("fd79::", 64, 0x80, 1000);
	option[-32 + 1] = 3; /* a length that is not a prefix option's */
	spate_store16(frame + 18, (uint16_t)(option - 8 - frame - 54));
	hear();
	assert_int_equal(count(SPATE_NET_ROUTER), 1);
	assert_false(reachable("fd77::2"));
	assert_false(reachable("fd78::2"));
	assert_false(reachable("fd79::2"));
	assert_false(reachable("fe90::2"));
	assert_false(reachable("2001:db8::9"));
	assert_false(reachable("192.0.2.1"));
}

static void test_prefixes_are_bounded_and_our_own_takes_no_place(void **state)
{
	char text[32];

	for (unsigned i = 0; i < 10; i++) {
		ra("fe80::1:1", 0);
		add_prefix("fd00::", 64, 0x80, 1000);
		snprintf(text, sizeof(text), "fd70:%u::", i);
		add_prefix(text, 64, 0x80, 1000);
		hear();
	}
	assert_int_equal(count(SPATE_NET_DROP_ROUTER_FULL), 10 - SPATE_NET_PREFIXES);
	assert_true(reachable("fd70:7::2"));
	assert_false(reachable("fd70:8::2"));
	ra("fe80::1:1", 0);
	add_prefix("fd00::", 64, 0x80, 0); /* nor is it taken away */
	hear();
	assert_true(reachable("fd00::2"));
}

static void test_other_workers_hear_of_it(void **state)
{
	static struct spate_net_board board;
	static struct host other;
	uint64_t first, last;

	spate_net_board_init(&board);
	open_with(&us, mac_us, &(struct spate_net_setup){.seed = 7, .board = &board}, true, false,
		  0);
	open_with(&other, mac_us,
		  &(struct spate_net_setup){.seed = 8, .board = &board, .worker = 1}, true, true,
		  0);
	spate_net_announce(other.net, other.now_us);
	assert_int_equal(solicitations(&other, 2 * SECOND, &first, &last),
			 0); /* one asks for all */
	ra("fe80::1:1", 10);
	add_mac(mac_r1);
	add_mtu(1400);
	add_prefix("fd77::", 64, 0x80, 1000);
	hear();
	host_turn(&other);
	assert_non_null(hop(&other, "2001:db8::9"));
	assert_memory_equal(hop(&other, "2001:db8::9"), mac_r1, 6);
	struct spate_net_path p;

	assert_int_equal(path_to(&other, &p, "fd77::2"), 0);
	assert_int_equal(p.mtu, 1400);
	pass(&other, 11 * SECOND);
	assert_null(hop(&other, "2001:db8::9"));
	host_close(&other);
	host_close(&us);
}

#define T(name) cmocka_unit_test_setup_teardown(name, follows, us_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_advertised_router_is_the_way_to_all_else),
		cmocka_unit_test_setup_teardown(test_static_counts_and_ignores, us_open, us_close),
		T(test_its_address_is_used_and_checked_soon),
		T(test_invalid_ones_are_refused),
		T(test_unknown_options_are_skipped),
		T(test_a_router_without_its_mac_is_asked_for_it),
		T(test_a_router_expires),
		T(test_expiry_is_a_time_that_tick_asks_for),
		T(test_lifetime_zero_takes_a_router_back),
		T(test_a_path_follows_to_the_next_router),
		T(test_the_list_is_bounded),
		T(test_a_configured_gateway_wins),
		T(test_preference_decides_among_routers),
		T(test_a_silent_router_gives_way),
		T(test_silent_routers_are_tried_in_turn),
		T(test_a_host_is_no_router_any_more),
		T(test_solicitations_are_three_four_seconds_apart),
		T(test_solicitations_end_with_an_advertisement),
		T(test_an_early_advertisement_leaves_one_solicitation),
		T(test_mtu_within_bounds_is_taken),
		T(test_mtu_reaches_paths_that_were_there),
		T(test_on_link_prefix_is_a_direct_route_while_it_lasts),
		T(test_prefix_with_lifetime_zero_goes),
		T(test_prefixes_that_are_not_taken),
		T(test_prefixes_are_bounded_and_our_own_takes_no_place),
		cmocka_unit_test(test_other_workers_hear_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
