/*
 * Many connections over one device that is behind: each gets its share, whatever the order in which
 * they were stopped. Plain engines on both sides; the edge's device takes a few packets a turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"

#define CONNS 16
#define TURNS 2000

static struct {
	struct host viewer, edge;
	struct spate_cache *cache;
	uint64_t now, got[CONNS];
	struct spate_tcp_conn *from[CONNS];
	struct spate_sendq q[CONNS], none[CONNS];
	unsigned accepted, left;
} x;

static const uint8_t piece[SPATE_SENDQ_NODE_BYTES];

static void fill(struct spate_sendq *q)
{
	while (!spate_sendq_full(q))
		assert_int_equal(spate_sendq_bytes(&x.edge.env, q, piece, sizeof(piece)), 0);
}

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	spate_sendq_init(&x.q[x.accepted]);
	*(unsigned *)spate_tcp_user_of(c) = x.accepted;
	spate_tcp_attach(c, &x.q[x.accepted]);
	fill(&x.q[x.accepted]);
	x.from[x.accepted++] = c;
	spate_tcp_kick(c);
	return true;
}

static void connected(struct spate_tcp_conn *c)
{
}

/* Both sides': the edge is sent nothing. */
static size_t data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	x.got[*(unsigned *)spate_tcp_user_of(c)] += n;
	return n;
}

static void event(struct spate_tcp_conn *c, unsigned what)
{
}

static void edge_event(struct spate_tcp_conn *c, unsigned what)
{
	fill(&x.q[*(unsigned *)spate_tcp_user_of(c)]);
	spate_tcp_kick(c);
}

static void viewer_closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	spate_sendq_clear(&x.viewer.env, &x.none[*(unsigned *)spate_tcp_user_of(c)]);
}

static void edge_closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	spate_sendq_clear(&x.edge.env, &x.q[*(unsigned *)spate_tcp_user_of(c)]);
}

static const struct spate_tcp_user edge = {accepted, connected, data, edge_event, edge_closed};
static const struct spate_tcp_user viewer = {NULL, connected, data, event, viewer_closed};

static unsigned room(struct spate_port *p, unsigned queue)
{
	unsigned left = x.left;

	x.left = 0;
	return left;
}

static void turn(unsigned packets)
{
	uint8_t frame[HOST_FRAME_MAX];
	size_t n;

	x.now += 1000;
	host_clock(&x.viewer, x.now);
	host_clock(&x.edge, x.now);
	host_flush(&x.viewer);
	while ((n = host_take(&x.viewer, frame)) != 0)
		host_input(&x.edge, frame, n);
	x.left = packets;
	host_flush(&x.edge);
	while ((n = host_take(&x.edge, frame)) != 0)
		host_input(&x.viewer, frame, n);
}

static void share(unsigned conns, unsigned packets)
{
	struct host_setup s = {.id = 1, .mtu = 1500};
	struct spate_tcp_listener *l;
	struct spate_port_ops ops;
	struct spate_addr at;
	uint64_t least = UINT64_MAX, sum = 0;

	memset(&x, 0, sizeof(x));
	x.now = 1000000;
	assert_int_equal(spate_cache_create(&x.cache, 8 << 20, 0, 2), 0);
	spate_tcp_config_init(&s.tcp);
	s.tcp.max_conns = s.tcp.max_time_wait = 64;
	s.tcp.user_bytes = sizeof(unsigned);
	s.tcp.pacing = false;
	s.cache = x.cache;
	host_init(&x.viewer, &s);
	s.id = 2;
	s.reader = 1;
	host_init(&x.edge, &s);
	ops = *x.edge.port.ops;
	ops.tx_room = room;
	x.edge.port.ops = &ops;
	host_addr(2, false, 80, &at);
	host_clock(&x.viewer, x.now);
	host_clock(&x.edge, x.now);
	assert_int_equal(spate_tcp_listen(x.edge.t, &at, &edge, NULL, &l), 0);
	for (unsigned i = 0; i < conns; i++) {
		struct spate_tcp_conn *c;

		spate_sendq_init(&x.none[i]);
		assert_int_equal(spate_tcp_connect(x.viewer.t, NULL, &at, &viewer, &c), 0);
		*(unsigned *)spate_tcp_user_of(c) = i;
		spate_tcp_attach(c, &x.none[i]);
	}
	while (x.accepted < conns)
		turn(64);
	memset(x.got, 0, sizeof(x.got));
	for (unsigned i = 0; i < TURNS; i++)
		turn(packets);
	for (unsigned i = 0; i < conns; i++) {
		sum += x.got[i];
		if (x.got[i] < least)
			least = x.got[i];
	}
	/* All of the device is used, and nobody has less than half of the mean. */
	assert_true(sum > (uint64_t)TURNS * packets * 1400 * 9 / 10);
	assert_true(least * 2 * conns > sum);
	spate_tcp_unlisten(x.edge.t, l);
	host_finish(&x.viewer);
	host_finish(&x.edge);
	spate_cache_destroy(x.cache);
}

static void test_few_with_more_than_the_device_takes(void **state)
{
	share(3, 20);
}

static void test_many_with_a_packet_now_and_then(void **state)
{
	share(CONNS, 5);
}

static void test_each_device_turn_is_one_packet(void **state)
{
	share(CONNS, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_with_more_than_the_device_takes),
		cmocka_unit_test(test_many_with_a_packet_now_and_then),
		cmocka_unit_test(test_each_device_turn_is_one_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
