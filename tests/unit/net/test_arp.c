/* ARP and the neighbour table. */
#include "world.h"

static void test_request_for_us_is_answered(void **state)
{
	give(frame, arp(1, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_true(take());
	assert_memory_equal(us.out, mac_peer, 6);
	assert_int_equal(us.out[21], 2);
	assert_memory_equal(us.out + 22, mac_us, 6);
	assert_memory_equal(us.out + 28, "\x0a\0\0\1", 4);
	assert_memory_equal(us.out + 38, "\x0a\0\0\2", 4);
	assert_true(us.out_len >= 60);
}

static void test_request_for_another_is_not(void **state)
{
	give(frame, arp(1, mac_peer, "10.0.0.2", "10.0.0.9"));
	assert_false(take());
}

static void test_probe_is_answered_and_teaches_nothing(void **state)
{
	struct spate_net_path p;

	give(frame, arp(1, mac_peer, "0.0.0.0", "10.0.0.1"));
	assert_true(take());
	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	assert_int_equal(p.gen, 0);
}

static void test_unknown_neighbour_is_asked_and_the_packet_waits(void **state)
{
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	assert_true(send_bare(&us, &p));
	assert_true(take()); /* the question */
	assert_memory_equal(us.out, mac_all, 6);
	assert_int_equal(us.out[13], 6);
	assert_memory_equal(us.out + 38, "\x0a\0\0\2", 4);
	assert_false(take());
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_true(take()); /* the packet */
	assert_memory_equal(us.out, mac_peer, 6);
	assert_int_equal(us.out[13], 0);
	assert_int_equal(us.out_len, 54);
	assert_true(send_bare(&us, &p)); /* and the next at once */
	assert_true(take());
	assert_memory_equal(us.out, mac_peer, 6);
}

static void test_only_two_packets_wait(void **state)
{
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_true(send_bare(&us, &p));
	assert_int_equal(count(SPATE_NET_DROP_NO_NEIGHBOUR), 3);
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_true(take() && take() && take());
	assert_false(take());
}

static void test_silent_neighbour_fails_after_three_questions(void **state)
{
	struct spate_net_path p;
	unsigned asked = 0;

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	assert_true(send_bare(&us, &p));
	for (unsigned i = 0; i < 60; i++) {
		us.now_us += 100000;
		host_turn(&us);
		while (take())
			asked++;
	}
	assert_int_equal(asked, 3);
	assert_int_equal(count(SPATE_NET_DROP_NO_NEIGHBOUR), 1); /* the one that waited */
	us.now_us += 10000000;
	host_turn(&us);
	assert_true(send_bare(&us, &p)); /* later it may ask again */
	assert_true(take());
}

static void test_in_use_neighbour_is_probed_and_lost_when_silent(void **state)
{
	struct spate_net_path p;
	unsigned unicast = 0, broadcast = 0;

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_true(send_bare(&us, &p));
	while (take())
		;
	for (unsigned i = 0; i < 52; i++) {
		us.now_us += 1000000;
		host_turn(&us);
		while (take()) {
			unicast += memcmp(us.out, mac_peer, 6) == 0;
			broadcast += memcmp(us.out, mac_all, 6) == 0;
		}
	}
	assert_int_equal(unicast, 3);
	assert_int_equal(broadcast, 0);
	assert_true(send_bare(&us, &p));
	assert_int_equal(p.gen, 0); /* the path noticed */
}

static void test_confirmed_neighbour_is_not_probed(void **state)
{
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_true(send_bare(&us, &p));
	while (take())
		;
	for (unsigned i = 0; i < 200; i++) {
		us.now_us += 1000000;
		host_turn(&us);
		spate_net_confirm(us.net, &p, us.now_us);
	}
	assert_false(take());
}

static void test_moved_neighbour_moves_the_path(void **state)
{
	const uint8_t elsewhere[6] = {2, 0, 0, 0, 0, 9};
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_true(send_bare(&us, &p));
	assert_int_not_equal(p.gen, 0);
	give(frame, arp(1, elsewhere, "10.0.0.2", "10.0.0.2")); /* gratuitous */
	while (take())
		;
	assert_true(send_bare(&us, &p));
	assert_true(take());
	assert_memory_equal(us.out, elsewhere, 6);
}

static void test_gratuitous_from_a_stranger_is_not_remembered(void **state)
{
	struct spate_net_path p;

	give(frame, arp(1, mac_peer, "10.0.0.77", "10.0.0.77"));
	assert_int_equal(path_to(&us, &p, "10.0.0.77"), 0);
	assert_int_equal(p.gen, 0);
}

/* RFC 5227 2.4 (c): two hosts that both defend must not go on for ever. */
static void test_claim_to_our_address_is_defended_once_in_ten_seconds(void **state)
{
	static const struct {
		uint64_t at_s;
		bool defended;
	} claims[] = {{0, true}, {0, false}, {5, false}, {9, false}, {11, true}, {20, false}};
	uint64_t start_us = us.now_us;

	for (unsigned i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		us.now_us = start_us + claims[i].at_s * 1000000;
		give(frame, arp(1, mac_peer, "10.0.0.1", "10.0.0.1"));
		assert_int_equal(take(), claims[i].defended);
		if (claims[i].defended)
			assert_memory_equal(us.out + 22, mac_us, 6);
	}
	assert_int_equal(count(SPATE_NET_DROP_ARP_CONFLICT), 6);
}

/* A neighbour says by ND that `ip` is its own. */
static void claim6(const char *ip)
{
	uint8_t *m = ip6_from(ip, "ff02::1", 58, 32);

	memcpy(frame, "\x33\x33\0\0\0\1", 6);
	frame[14 + 7] = 255;
	m[0] = 136;
	m[4] = 0x20;
	ip_of(ip, m + 8);
	m[24] = 2;
	m[25] = 1;
	memcpy(m + 26, mac_peer, 6);
	give(frame, seal(2));
}

static void test_each_address_is_defended_for_itself(void **state)
{
	uint8_t second[16];

	ip_of("10.0.0.7", second);
	assert_int_equal(spate_net_add_address(us.net, 0, second, 24), 0);
	give(frame, arp(1, mac_peer, "10.0.0.1", "10.0.0.1"));
	assert_true(take());
	assert_memory_equal(us.out + 28, "\x0a\0\0\1", 4);
	give(frame, arp(1, mac_peer, "10.0.0.7", "10.0.0.7"));
	assert_true(take());
	assert_memory_equal(us.out + 28, "\x0a\0\0\7", 4);
	for (unsigned i = 0; i < 2; i++) {
		claim6("fd00::1");
		assert_int_equal(take(), i == 0);
	}
	assert_int_equal(us.out[54], 136);
	assert_int_equal(count(SPATE_NET_DROP_ARP_CONFLICT), 4);
}

static void test_table_is_bounded_and_keeps_who_is_in_use(void **state)
{
	struct spate_net_path p;
	char text[32];

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t *a;

		give(frame, (snprintf(text, sizeof(text), "10.0.0.%u", 3 + i % 250),
			     arp(1, mac_peer, text, "10.0.0.1")));
		while (take())
			;
		/* and a thousand neighbours more over IPv6 */
		snprintf(text, sizeof(text), "fd00::1:%x", i);
		a = ip6_from(text, "fd00::1", 58, 32);
		frame[14 + 7] = 255;
		a[0] = 135;
		ip_of("fd00::1", a + 8);
		a[24] = 1;
		a[25] = 1;
		memcpy(a + 26, mac_peer, 6);
		give(frame, seal(2));
		while (take())
			;
		us.now_us += 1000;
		if (i % 100 == 0)
			spate_net_resolve(us.net, &p);
	}
	assert_true(count(SPATE_NET_ND) >= 3000);
	assert_true(send_bare(&us, &p));
	assert_int_not_equal(p.gen, 0); /* still known: its entry was in use */
}

#define T(name) cmocka_unit_test_setup_teardown(name, us_open, us_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_request_for_us_is_answered),
		T(test_request_for_another_is_not),
		T(test_probe_is_answered_and_teaches_nothing),
		T(test_unknown_neighbour_is_asked_and_the_packet_waits),
		T(test_only_two_packets_wait),
		T(test_silent_neighbour_fails_after_three_questions),
		T(test_in_use_neighbour_is_probed_and_lost_when_silent),
		T(test_confirmed_neighbour_is_not_probed),
		T(test_moved_neighbour_moves_the_path),
		T(test_gratuitous_from_a_stranger_is_not_remembered),
		T(test_claim_to_our_address_is_defended_once_in_ten_seconds),
		T(test_each_address_is_defended_for_itself),
		T(test_table_is_bounded_and_keeps_who_is_in_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
