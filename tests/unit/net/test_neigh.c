/* The neighbour table under pressure, and what several interfaces and links ask of net/. */
#include "dataplane/net/board.h"
#include "world.h"

static void address(unsigned iface, const char *ip, unsigned prefix)
{
	uint8_t a[16];

	ip_of(ip, a);
	assert_int_equal(spate_net_add_address(us.net, iface, a, prefix), 0);
}

static int route(unsigned iface, const char *dst, unsigned prefix, const char *via)
{
	uint8_t a[16], b[16];

	ip_of(dst, a);
	ip_of(via, b);
	return spate_net_add_route(us.net, iface, a, prefix, b);
}

static void drain(void)
{
	spate_net_flush(us.net);
	while (take())
		;
}

/* RFC 6583: random addresses of our own /64 ask for neighbours that are not there. */
static void test_strangers_do_not_push_out_the_gateway(void **state)
{
	struct spate_net_path p, gone;
	char ip[64];

	assert_int_equal(route(0, "0.0.0.0", 0, "10.0.0.254"), 0);
	assert_int_equal(path_to(&us, &p, "192.0.2.1"), 0);
	drain();
	give(frame, arp(2, mac_peer, "10.0.0.254", "10.0.0.1"));
	assert_true(spate_net_resolve(us.net, &p));
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(ip, sizeof(ip), "fd00::%x:%x", i / 100 + 1, i + 2);
		us.now_us += 10;
		assert_int_equal(path_to(&us, &gone, ip), 0);
		assert_int_equal(gone.gen, 0);
		drain();
	}
	assert_true(count(SPATE_NET_DROP_ARP_RATE) + count(SPATE_NET_DROP_NEIGHBOUR_FULL) > 1000);
	assert_true(spate_net_resolve(us.net, &p));
	assert_memory_equal(p.head, mac_peer, 6);
	/* And the question whether it is still there has tokens of its own. */
	us.now_us += 46000000;
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(ip, sizeof(ip), "fd00::ffff:%x", i + 2);
		path_to(&us, &gone, ip);
		drain();
	}
	host_turn(&us);
	assert_true(take());
	for (bool asked = false; !asked; assert_true(asked || take()))
		asked = us.out[12] == 8 && us.out[13] == 6 &&
			memcmp(us.out + 38, "\x0a\0\0\xfe", 4) == 0;
	drain();
}

/* Nor those who are there; and who is there does not push out the gateway, however quiet that is.
 */
static void test_who_is_known_stays(void **state)
{
	struct spate_net_path p, gone;
	char ip[64];

	address(0, "10.1.0.1", 16);
	assert_int_equal(route(0, "0.0.0.0", 0, "10.0.0.254"), 0);
	assert_int_equal(path_to(&us, &p, "192.0.2.1"), 0);
	drain();
	give(frame, arp(2, mac_peer, "10.0.0.254", "10.0.0.1"));
	for (unsigned i = 0; i < 500; i++) {
		us.now_us += 10;
		snprintf(ip, sizeof(ip), "10.1.1%02u.%u", i / 100, i % 100 + 1);
		give(frame, arp(1, mac_peer, ip, "10.1.0.1"));
		drain();
	}
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(ip, sizeof(ip), "fd00::dead:%x", i + 2);
		us.now_us += 10;
		path_to(&us, &gone, ip);
		drain();
	}
	for (unsigned i = 0; i < 500; i++) {
		snprintf(ip, sizeof(ip), "10.1.1%02u.%u", i / 100, i % 100 + 1);
		assert_int_equal(path_to(&us, &gone, ip), 0);
		assert_int_not_equal(gone.gen, 0);
	}
	for (unsigned i = 0; i < 2000; i++) {
		us.now_us += 10;
		snprintf(ip, sizeof(ip), "10.1.2%02u.%u", i / 100, i % 100 + 1);
		give(frame, arp(1, mac_peer, ip, "10.1.0.1"));
		assert_int_equal(path_to(&us, &gone, ip), 0);
		drain();
	}
	assert_true(spate_net_resolve(us.net, &p));
}

/* Nor do those go that are there when somebody looks slowly at address after address. */
static void test_a_slow_scan_takes_nobodys_place(void **state)
{
	struct spate_net_path p;
	char ip[64];

	address(0, "10.1.0.1", 16);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(ip, sizeof(ip), "10.1.1%02u.%u", i / 100, i % 100 + 1);
		give(frame, arp(1, mac_peer, ip, "10.1.0.1"));
		drain();
	}
	for (unsigned i = 0; i < 3000; i++) { /* 80 a second */
		us.now_us += 12500;
		snprintf(ip, sizeof(ip), "fd00::dead:%x", i + 2);
		path_to(&us, &p, ip);
		host_turn(&us);
		drain();
	}
	for (unsigned i = 0; i < 300; i++) {
		snprintf(ip, sizeof(ip), "10.1.1%02u.%u", i / 100, i % 100 + 1);
		assert_int_equal(path_to(&us, &p, ip), 0);
		assert_int_not_equal(p.gen, 0);
	}
}

/* A part of the link's network goes by a router; the link's hosts are neighbours all the same. */
static void test_a_route_hides_no_neighbour(void **state)
{
	struct spate_net_path p;

	assert_int_equal(route(0, "10.0.0.128", 25, "10.0.0.254"), 0);
	assert_int_equal(path_to(&us, &p, "10.0.0.200"), 0);
	drain();
	give(frame, arp(2, mac_peer, "10.0.0.254", "10.0.0.1"));
	assert_true(spate_net_resolve(us.net, &p));
	give(frame, arp(1, mac_peer, "10.0.0.200", "10.0.0.1"));
	assert_true(take());
}

/* Whoever waits for an answer is pushed out by those who come later, not by none. */
static void test_a_live_neighbour_is_found_among_dead_ones(void **state)
{
	struct spate_net_path p, gone;
	char ip[64];

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(ip, sizeof(ip), "fd00::dead:%x", i + 2);
		us.now_us += 2000;
		path_to(&us, &gone, ip);
		drain();
	}
	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	drain();
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	assert_true(spate_net_resolve(us.net, &p));
	assert_int_equal(count(SPATE_NET_DROP_NEIGHBOUR_FULL), 0);
}

/* RFC 1122 3.3.4.2: what answers for an address leaves where the address is. */
static void test_each_address_has_its_interfaces_gateway(void **state)
{
	struct spate_mem_setup ms = {.mac = {2, 0, 0, 0, 0, 9}};
	struct spate_port second;
	struct spate_net_iface_setup is = {.port = &second};
	struct spate_net_path p;
	uint8_t local[16], remote[16];

	assert_int_equal(spate_mem_open(&second, &ms), 0);
	assert_int_equal(spate_net_add_iface(us.net, &is), 1);
	address(1, "10.0.1.1", 24);
	address(1, "fd01::1", 64);
	assert_int_equal(route(0, "0.0.0.0", 0, "10.0.0.254"), 0);
	assert_int_equal(route(1, "0.0.0.0", 0, "10.0.1.254"), 0);
	assert_int_equal(route(0, "0.0.0.0", 0, "10.0.1.254"), -ENETUNREACH);
	assert_int_equal(route(1, "::", 0, "fe80::1"), 0); /* each link has its own */
	ip_of("192.0.2.1", remote);
	for (unsigned i = 0; i < 2; i++) {
		ip_of(i == 0 ? "10.0.0.1" : "10.0.1.1", local);
		assert_int_equal(spate_net_path(us.net, &p, 6, local, 80, remote, 9, us.now_us), 0);
		assert_int_equal(p.iface, i);
	}
	/* Only the other one leads there: better than nothing. */
	assert_int_equal(route(0, "198.51.100.0", 24, "10.0.0.253"), 0);
	ip_of("2001:db8::1", remote);
	ip_of("fd00::1", local);
	assert_int_equal(spate_net_path(us.net, &p, 6, local, 80, remote, 9, us.now_us), 0);
	assert_int_equal(p.iface, 1);
	drain();
	/* Another has it on this link, where it is not ours: counted, not answered. */
	uint8_t *m = ip6_from("fd01::1", "fd00::1", 58, 32);

	frame[14 + 7] = 255;
	m[0] = 136;
	ip_of("fd01::1", m + 8);
	memcpy(m + 24, "\2\1\2\0\0\0\0\2", 8);
	give(frame, seal(2));
	assert_false(take());
	give(frame, arp(1, mac_peer, "10.0.1.1", "10.0.1.1"));
	assert_false(take());
	assert_int_equal(count(SPATE_NET_DROP_ARP_CONFLICT), 2);
	spate_net_destroy(us.net);
	us.net = spate_net_create(&(struct spate_net_setup){.seed = 1});
	uint8_t sink[2048];

	while (spate_mem_take(&second, sink, sizeof(sink)) != 0)
		;
	assert_true(spate_mem_idle(&second));
	second.ops->close(&second);
}

static unsigned announced(void)
{
	unsigned n = 0;

	spate_net_flush(us.net);
	while (take())
		n += us.out[12] == 8 && us.out[13] == 6 && us.out[21] == 1 &&
		     memcmp(us.out + 28, us.out + 38, 4) == 0;
	return n;
}

static void test_said_again_when_the_link_comes_up(void **state)
{
	spate_mem_link(&us.port, false);
	spate_net_watch_links(us.net, us.now_us);
	assert_int_equal(announced(), 1); /* perhaps the device is only slow to tell */
	for (unsigned s = 0; s < 5; s++) {
		us.now_us += 1000000;
		host_turn(&us);
		assert_int_equal(announced(), 0);
	}
	spate_mem_link(&us.port, true);
	for (unsigned s = 0; s < 6; s++) { /* RFC 5227 1.1: ANNOUNCE_INTERVAL */
		us.now_us += 1000000;
		host_turn(&us);
		assert_int_equal(announced(), s == 0 || s == 2);
	}
	spate_mem_link(&us.port, false);
	us.now_us += 1000000;
	host_turn(&us);
	spate_mem_link(&us.port, true);
	us.now_us += 1000000;
	host_turn(&us);
	assert_int_equal(announced(), 1);
	drain();
}

/* A flood of ICMP errors at one queue does not keep neighbours from the other workers. */
static void test_errors_leave_neighbours_their_way(void **state)
{
	static struct spate_net_board board;
	struct spate_net_setup mine = {.seed = 1, .board = &board, .worker = 0},
			       theirs = {.seed = 2, .board = &board, .worker = 1};
	struct host other;
	struct spate_net_path p;
	uint8_t *m;

	us_close(NULL);
	spate_net_board_init(&board);
	host_open(&us, mac_us, "10.0.0.1", "fd00::1", 0, &mine);
	host_open(&other, mac_us, "10.0.0.1", "fd00::1", 0, &theirs);
	path_to(&other, &p, "10.0.0.2");
	spate_net_flush(other.net);
	for (unsigned i = 0; i < 5000; i++) {
		m = ip4_from("192.0.2.9", "10.0.0.1", 1, 36);
		m[0] = 3;
		m[1] = 1;
		m[8] = 0x45;
		m[8 + 9] = 6;
		memcpy(m + 8 + 12, "\x0a\0\0\1\xc0\0\2\1", 8);
		give(frame, seal(2));
		if (i % 8 == 0)
			host_turn(&other);
	}
	assert_int_equal(count(SPATE_NET_ICMP_EVENT), 5000);
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	for (unsigned i = 0; i < 100; i++)
		host_turn(&other);
	assert_true(spate_net_resolve(other.net, &p));
	host_close(&other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, us_open, us_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_strangers_do_not_push_out_the_gateway),
		T(test_who_is_known_stays),
		T(test_a_slow_scan_takes_nobodys_place),
		T(test_a_route_hides_no_neighbour),
		T(test_a_live_neighbour_is_found_among_dead_ones),
		T(test_each_address_has_its_interfaces_gateway),
		T(test_said_again_when_the_link_comes_up),
		T(test_errors_leave_neighbours_their_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
