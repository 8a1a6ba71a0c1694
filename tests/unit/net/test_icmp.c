/* ICMP, ICMPv6, neighbour discovery. */
#include "world.h"

static void assert_sum_good(void)
{
	const uint8_t *ip = us.out + 14;

	if (ip[0] >> 4 == 4) {
		assert_int_equal(spate_csum_fold(spate_csum_plain(ip, 20)), 0xffff);
		assert_int_equal(spate_csum_fold(spate_csum_plain(ip + 20, us.out_len - 34)),
				 0xffff);
		return;
	}
	assert_int_equal(spate_csum_fold(spate_csum_plain(ip + 8, 32) + __builtin_bswap16(58) +
					 __builtin_bswap16((uint16_t)(us.out_len - 54)) +
					 spate_csum_plain(ip + 40, us.out_len - 54)),
			 0xffff);
}

static void test_echo_small_and_large(void **state)
{
	const size_t sizes[] = {8, 9, 64, 86, 87, 500, 1480};

	for (unsigned i = 0; i < 7; i++) {
		size_t n = ping4(sizes[i]);

		give(frame, n);
		assert_true(take());
		assert_int_equal(us.out_len, n);
		assert_int_equal(us.out[34], 0);
		assert_memory_equal(us.out, mac_peer, 6);
		assert_memory_equal(us.out + 42, frame + 42, sizes[i] - 8);
		assert_sum_good();
	}
}

static void test_echo_is_rate_limited(void **state)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < 3000; i++) {
		give(frame, ping4(16));
		answered += take();
	}
	assert_int_equal(answered, 1000);
	us.now_us += 10000;
	give(frame, ping4(16));
	assert_true(take());
}

static size_t echo6(const char *dst, size_t len)
{
	uint8_t *m = ip6_from("fd00::2", dst, 58, len);

	if (strncmp(dst, "ff", 2) == 0)
		memcpy(frame, "\x33\x33\0\0\0\1", 6);
	m[0] = 128;
	m[7] = 5;
	return seal(2);
}

static void test_echo6_unicast_and_to_all_nodes(void **state)
{
	give(frame, echo6("fd00::1", 64));
	assert_true(take());
	assert_int_equal(us.out[54], 129);
	assert_sum_good();
	give(frame, echo6("ff02::1", 700));
	assert_true(take());
	assert_int_equal(us.out[14 + 8], 0xfd); /* from an address of ours */
	assert_int_equal(us.out_len, 754);
	assert_sum_good();
}

static size_t ns(const char *src, const char *dst, const char *target, uint8_t hops)
{
	uint8_t *m = ip6_from(src, dst, 58, 32);

	frame[14 + 7] = hops;
	m[0] = 135;
	ip_of(target, m + 8);
	m[24] = 1;
	m[25] = 1;
	memcpy(m + 26, mac_peer, 6);
	if (strncmp(dst, "ff", 2) == 0)
		memcpy(frame, "\x33\x33\xff\0\0\1", 6);
	return seal(2);
}

static void test_solicitation_is_answered_and_learnt(void **state)
{
	struct spate_net_path p;

	give(frame, ns("fd00::2", "ff02::1:ff00:1", "fd00::1", 255));
	assert_true(take());
	assert_int_equal(us.out[54], 136);
	assert_int_equal(us.out[58], 0x60); /* solicited, override */
	assert_memory_equal(us.out + 54 + 26, mac_us, 6);
	assert_int_equal(us.out[14 + 7], 255);
	assert_sum_good();
	assert_int_equal(path_to(&us, &p, "fd00::2"), 0);
	assert_int_not_equal(p.gen, 0);
	assert_memory_equal(p.head, mac_peer, 6);
}

/* The frame made above behind a fragment header that says: all of it is here. */
static size_t in_one_fragment(size_t n)
{
	memmove(frame + 14 + 48, frame + 14 + 40, n - 14 - 40);
	memset(frame + 14 + 40, 0, 8);
	frame[14 + 40] = frame[14 + 6];
	frame[14 + 6] = 44;
	frame[14 + 5] = (uint8_t)(frame[14 + 5] + 8);
	return n + 8;
}

static void test_discovery_never_comes_in_fragments(void **state)
{
	give(frame, in_one_fragment(ns("fd00::2", "ff02::1:ff00:1", "fd00::1", 255)));
	assert_false(take());
	assert_int_equal(count(SPATE_NET_DROP_ND), 1);
	give(frame, in_one_fragment(echo6("fd00::1", 64))); /* anything else may (RFC 6946) */
	assert_true(take());
	assert_int_equal(us.out[54], 129);
}

static void test_solicitation_from_off_link_is_refused(void **state)
{
	give(frame, ns("fd00::2", "ff02::1:ff00:1", "fd00::1", 254));
	assert_false(take());
	assert_int_equal(count(SPATE_NET_DROP_ND), 1);
	give(frame,
	     ns("fd99::2", "ff02::1:ff00:1", "fd00::1", 255)); /* answered, but not remembered */
	assert_true(take());
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, "fd99::2"), -ENETUNREACH);
}

static void test_malformed_option_is_refused(void **state)
{
	size_t n = ns("fd00::2", "ff02::1:ff00:1", "fd00::1", 255);

	frame[14 + 40 + 25] = 0; /* length 0 would loop for ever */
	give(frame, seal(2));
	assert_int_equal(count(SPATE_NET_DROP_ND), 1);
	assert_true(n > 0);
}

static void test_unknown_neighbour6_is_solicited(void **state)
{
	struct spate_net_path p;
	uint8_t *m;

	assert_int_equal(path_to(&us, &p, "fd00::2"), 0);
	assert_true(send_bare(&us, &p));
	assert_true(take());
	assert_memory_equal(us.out, "\x33\x33\xff\0\0\2", 6);
	assert_int_equal(us.out[54], 135);
	assert_sum_good();
	m = ip6_from("fd00::2", "fd00::1", 58, 32);
	frame[14 + 7] = 255;
	m[0] = 136;
	m[4] = 0x60;
	ip_of("fd00::2", m + 8);
	m[24] = 2;
	m[25] = 1;
	memcpy(m + 26, mac_peer, 6);
	give(frame, seal(2));
	assert_true(take());
	assert_memory_equal(us.out, mac_peer, 6);
	assert_int_equal(us.out[14 + 6], 6);
}

/* Fragmentation needed, quoting a segment from `src` to the peer. */
static size_t frag_needed(const char *src, uint16_t mtu)
{
	uint8_t quote[28] = {0x45, 0, 5, 0xdc, 0, 0, 0x40, 0, 64, 6}, a[16], *m;

	ip_of(src, a);
	memcpy(quote + 12, a + 12, 4);
	memcpy(quote + 16, "\x0a\0\0\2", 4);
	spate_store16(quote + 20, 80);
	spate_store16(quote + 22, 40000);
	memcpy(quote + 24, "\1\2\3\4", 4);
	m = ip4_from("10.0.0.254", "10.0.0.1", 1, 36);
	m[0] = 3;
	m[1] = 4;
	spate_store16(m + 6, mtu);
	memcpy(m + 8, quote, 28);
	return seal(2);
}

static void test_frag_needed_becomes_an_event(void **state)
{
	give(frame, frag_needed("10.0.0.1", 1400));
	assert_int_equal(us.in.nevents, 1);
	assert_int_equal(us.in.events[0].type, SPATE_NET_PMTU);
	assert_int_equal(us.in.events[0].mtu, 1400);
	assert_int_equal(us.in.events[0].lport, 80);
	assert_int_equal(us.in.events[0].rport, 40000);
	assert_int_equal(us.in.events[0].seq, 0x01020304);
	give(frame,
	     frag_needed("10.0.0.1", 0)); /* a router of before 1990: the plateau below 1500 */
	assert_int_equal(us.in.events[0].mtu, 1492);
	give(frame, frag_needed("10.0.0.1", 1));
	assert_int_equal(us.in.events[0].mtu, 68);
}

/* RFC 1122 4.2.3.9: protocol, port, and what is forbidden end an attempt; the others may pass. */
static void test_unreachable_is_hard_or_soft(void **state)
{
	for (uint8_t code = 0; code <= 13; code++) {
		if (code == 4)
			continue;
		frag_needed("10.0.0.1", 0);
		frame[34 + 1] = code;
		give(frame, seal(2));
		assert_int_equal(us.in.nevents, 1);
		assert_int_equal(us.in.events[0].type, SPATE_NET_UNREACHABLE);
		assert_int_equal(us.in.events[0].hard, code == 2 || code == 3 || code == 13);
	}
	for (uint8_t code = 0; code <= 4; code++) {
		uint8_t *m = ip6_from("fd00::fe", "fd00::1", 58, 8 + 48);

		m[0] = 1;
		m[1] = code;
		m[8] = 0x60;
		m[8 + 6] = 6;
		ip_of("fd00::1", m + 16);
		ip_of("fd00::2", m + 32);
		give(frame, seal(2));
		assert_int_equal(us.in.nevents, 1);
		assert_int_equal(us.in.events[0].type, SPATE_NET_UNREACHABLE);
		assert_int_equal(us.in.events[0].hard, code == 1 || code == 4);
	}
}

static void test_frag_needed_about_another_is_refused(void **state)
{
	give(frame, frag_needed("10.0.0.7", 1400));
	assert_int_equal(us.in.nevents, 0);
	assert_int_equal(count(SPATE_NET_DROP_ICMP_QUOTE), 1);
}

static void test_too_big_below_1280_is_refused(void **state)
{
	for (uint32_t mtu = 1279; mtu <= 1280; mtu++) {
		uint8_t *m = ip6_from("fd00::fe", "fd00::1", 58, 56);

		m[0] = 2;
		m[6] = (uint8_t)(mtu >> 8);
		m[7] = (uint8_t)mtu;
		m[8] = 0x60;
		m[14] = 6;
		ip_of("fd00::1", m + 16);
		ip_of("fd00::2", m + 32);
		give(frame, seal(2));
		assert_int_equal(us.in.nevents, mtu == 1280);
	}
}

/* A datagram of `len` bytes to a port where nobody listens. */
static size_t udp6(size_t len)
{
	uint8_t *u = ip6_from("fd00::2", "fd00::1", 17, 8 + len);

	spate_store16(u + 2, 6969);
	spate_store16(u + 4, (uint16_t)(8 + len));
	for (size_t i = 0; i < len; i++)
		u[8 + i] = (uint8_t)(i * 7);
	return seal(6);
}

/* RFC 4443 2.4 (c): as much of it as goes into the least MTU. */
static void test_error6_quotes_all_that_fits(void **state)
{
	const size_t sizes[] = {0, 1, 18, 19, 500, 1184, 1185, 1452};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = udp6(sizes[i]), quote = n - 14 < 1232 ? n - 14 : 1232;

		give(frame, n);
		assert_true(take());
		assert_int_equal(us.out_len, 14 + 48 + quote);
		assert_memory_equal(us.out + 54, "\1\4", 2); /* port unreachable */
		assert_memory_equal(us.out + 58, "\0\0\0\0", 4);
		assert_memory_equal(us.out + 62, frame + 14, quote);
		assert_sum_good();
	}
}

/* RFC 8200 4: the sender hears which header nobody here knows, and where it was named. */
static void test_unknown_next_header_is_told(void **state)
{
	uint8_t *m;

	ip6_from("fd00::2", "fd00::1", 50, 40);
	give(frame, 14 + 40 + 40);
	assert_true(take());
	assert_int_equal(us.out_len, 14 + 48 + 80);
	assert_memory_equal(us.out + 54, "\4\1", 2);
	assert_memory_equal(us.out + 58, "\0\0\0\6", 4);
	assert_memory_equal(us.out + 62, frame + 14, 80);
	assert_sum_good();
	m = ip6_from("fd00::2", "fd00::1", 60, 40); /* behind options that may be skipped */
	memcpy(m, "\x3c\0\1\4\0\0\0\0", 8);
	memcpy(m + 8, "\x32\0\1\4\0\0\0\0", 8);
	give(frame, 14 + 40 + 40);
	assert_true(take());
	assert_memory_equal(us.out + 58, "\0\0\0\x30", 4);
	m = ip6_from("fd00::2", "fd00::1", 60, 16); /* hop-by-hop comes first or is unknown */
	memcpy(m, "\0\0\1\4\0\0\0\0\x3b\0\1\4\0\0\0\0", 16);
	give(frame, 14 + 40 + 16);
	assert_true(take());
	assert_memory_equal(us.out + 58, "\0\0\0\x28", 4);
	assert_int_equal(count(SPATE_NET_DROP_PROTOCOL), 3);
}

static void test_unknown_next_header_is_not_told_to_everybody(void **state)
{
	unsigned told = 0;

	ip6_from("fd00::2", "fd00::1", 59, 40); /* there is none, it says itself */
	give(frame, 14 + 40 + 40);
	ip6_from("fd00::2", "ff02::1", 50, 40);
	memcpy(frame, "\x33\x33\0\0\0\1", 6);
	give(frame, 14 + 40 + 40);
	ip6_from("::1", "fd00::1", 50, 40);
	give(frame, 14 + 40 + 40);
	assert_false(take());
	ip6_from("fd00::2", "fd00::1", 50, 40);
	for (unsigned i = 0; i < 1500; i++) {
		give(frame, 14 + 40 + 40);
		told += take();
	}
	assert_int_equal(told, 1000);
	assert_int_equal(count(SPATE_NET_DROP_ICMP_RATE), 500);
}

static void test_announce_says_who_we_are(void **state)
{
	unsigned arps = 0, nas = 0, reports = 0;

	spate_net_announce(us.net, us.now_us);
	while (take()) {
		arps += us.out[12] == 8 && us.out[13] == 6;
		nas += us.out[13] == 0xdd && us.out[14 + 6] == 58 && us.out[54] == 136;
		reports += us.out[13] == 0xdd && us.out[14 + 6] == 0 && us.out[62] == 143;
	}
	assert_int_equal(arps, 1);
	assert_int_equal(nas, 2); /* link-local and fd00::1 */
	assert_int_equal(reports, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, us_open, us_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_echo_small_and_large),
		T(test_echo_is_rate_limited),
		T(test_echo6_unicast_and_to_all_nodes),
		T(test_solicitation_is_answered_and_learnt),
		T(test_discovery_never_comes_in_fragments),
		T(test_solicitation_from_off_link_is_refused),
		T(test_malformed_option_is_refused),
		T(test_unknown_neighbour6_is_solicited),
		T(test_frag_needed_becomes_an_event),
		T(test_unreachable_is_hard_or_soft),
		T(test_frag_needed_about_another_is_refused),
		T(test_too_big_below_1280_is_refused),
		T(test_error6_quotes_all_that_fits),
		T(test_unknown_next_header_is_told),
		T(test_unknown_next_header_is_not_told_to_everybody),
		T(test_announce_says_who_we_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
