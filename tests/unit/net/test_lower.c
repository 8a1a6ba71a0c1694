/* What of ICMP reaches further than the connection it is about: net/ remembers a path's MTU only
 * once TCP has found the quoted bytes to be on their way (RFC 1191, 5927). */
#include "dataplane/net/lower.h"
#include "world.h"

static struct spate_tcp *tcp;

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	return false;
}

static void nothing(struct spate_tcp_conn *c)
{
}

static size_t data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	return n;
}

static void event(struct spate_tcp_conn *c, unsigned what)
{
}

static void closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
}

static const struct spate_tcp_user user = {
	.accepted = accepted, .connected = nothing, .data = data, .event = event, .closed = closed};

/* A router says that what we sent to 10.0.0.2 with this number was too big for its 1000. */
static void too_big(uint16_t lport, uint32_t seq)
{
	uint8_t *m = ip4_from("10.0.0.254", "10.0.0.1", 1, 36);

	m[0] = 3;
	m[1] = 4;
	spate_store16(m + 6, 1000);
	m[8] = 0x45;
	m[8 + 9] = 6;
	memcpy(m + 8 + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
	spate_store16(m + 28, lport);
	spate_store16(m + 30, 80);
	for (unsigned i = 0; i < 4; i++)
		m[32 + i] = (uint8_t)(seq >> (24 - 8 * i));
	give(frame, seal(2));
	assert_int_equal(us.in.nevents, 1);
	spate_net_tcp_event(us.net, tcp, &us.in.events[0]);
}

static uint16_t mtu(void)
{
	struct spate_net_path p;

	assert_int_equal(path_to(&us, &p, "10.0.0.2"), 0);
	return p.mtu;
}

static void test_only_what_is_in_flight_changes_the_path(void **state)
{
	struct spate_tcp_config cfg;
	struct spate_tcp_lower lower;
	struct spate_addr peer = {.port = 80};
	struct spate_tcp_conn *c;
	uint16_t port;
	uint32_t seq;

	spate_tcp_config_init(&cfg);
	spate_net_lower(us.net, &lower);
	assert_int_equal(spate_tcp_create(&tcp, &cfg, &lower, NULL, NULL), 0);
	spate_tcp_clock(tcp, us.now_us);
	ip_of("10.0.0.2", peer.ip);
	assert_int_equal(spate_tcp_connect(tcp, NULL, &peer, &user, &c), 0);
	spate_tcp_flush(tcp);
	spate_net_flush(us.net);
	assert_true(take()); /* who has it? */
	give(frame, arp(2, mac_peer, "10.0.0.2", "10.0.0.1"));
	us.now_us += 1000;
	spate_tcp_clock(tcp, us.now_us);
	spate_tcp_flush(tcp);
	spate_net_flush(us.net);
	assert_true(take());
	assert_int_equal(us.out[14 + 20 + 13] & 0x3f, 2); /* the SYN */
	port = (uint16_t)(us.out[34] << 8 | us.out[35]);
	seq = (uint32_t)us.out[38] << 24 | (uint32_t)us.out[39] << 16 | (uint32_t)us.out[40] << 8 |
	      us.out[41];
	assert_int_equal(mtu(), 1500);
	too_big(port, seq + 5);
	assert_int_equal(mtu(), 1500);
	too_big((uint16_t)(port + 1), seq);
	assert_int_equal(mtu(), 1500);
	too_big(port, seq);
	assert_int_equal(mtu(), 1000);
	spate_tcp_destroy(tcp);
}

#define T(name) cmocka_unit_test_setup_teardown(name, us_open, us_close)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_only_what_is_in_flight_changes_the_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
