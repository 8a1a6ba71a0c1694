/* The connection table, SipHash, and numbers that must not be guessed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/tcp/conn.h"
#include "dataplane/util/siphash.h"
#include "host.h"
#include "link.h"

static struct host h;

static int setup(void **state)
{
	struct host_setup s = {.id = 1, .mtu = 1500};

	spate_tcp_config_init(&s.tcp);
	s.tcp.max_conns = 200;
	s.tcp.max_time_wait = 56;
	for (unsigned i = 0; i < sizeof s.tcp.secret; i++)
		s.tcp.secret[i] = (uint8_t)(i * 37);
	host_init(&h, &s);
	host_clock(&h, 1000000);
	return 0;
}

static int teardown(void **state)
{
	host_finish(&h);
	return 0;
}

/* Of the reference implementation: key 00..0f, message 00..07 (SipHash-2-4-64, vector 8). */
static void test_siphash_vector(void **state)
{
	const uint64_t key[2] = {0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
	const uint64_t msg[1] = {0x0706050403020100ull};

	assert_true(siphash(key, msg, 1, 2, 4) == 0x93f5f5799a932462ull);
	assert_true(siphash(key, NULL, 0, 2, 4) == 0x726fdb47dd0e0e31ull);
}

static struct tcp_tuple tuple(uint16_t port, bool v6)
{
	struct tcp_tuple k = {.local_port = 80, .peer_port = port};
	struct spate_addr a;

	host_addr(1, v6, 0, &a);
	memcpy(k.local_ip, a.ip, 16);
	host_addr(9, v6, 0, &a);
	memcpy(k.peer_ip, a.ip, 16);
	return k;
}

/* Random coming and going: exactly who is there is found. */
static void test_table_against_flags(void **state)
{
	struct rng r = {5};
	struct spate_tcp_conn *there[400] = {0};
	struct tcp_tw *tw;

	for (int step = 0; step < 20000; step++) {
		unsigned i = rng_below(&r, 400);
		struct tcp_tuple k = tuple((uint16_t)(1000 + i), i & 1);
		uint32_t hash = tcp_hash(h.t, &k);

		assert_ptr_equal(tcp_find(h.t, &k, hash, &tw), there[i]);
		if (there[i] != NULL) {
			tcp_close(there[i], SPATE_TCP_ABORTED);
			spate_tcp_flush(h.t);
			there[i] = NULL;
		} else {
			there[i] = tcp_conn_new(h.t, &k, hash);
			if (there[i] == NULL)
				continue; /* all 200 are taken */
			there[i]->state = SPATE_TCP_SYN_SENT;
		}
	}
	for (unsigned i = 0; i < 400; i++)
		if (there[i] != NULL)
			tcp_close(there[i], SPATE_TCP_ABORTED);
	spate_tcp_flush(h.t);
	assert_int_equal(h.t->conns_used, 0);
}

static void test_isn_moves_with_time_and_tuple(void **state)
{
	struct tcp_tuple a = tuple(1, false), b = tuple(2, false);
	uint32_t at = tcp_isn(h.t, &a);

	assert_int_not_equal(at, tcp_isn(h.t, &b));
	host_clock(&h, 1000000 + 4000);
	assert_int_equal(tcp_isn(h.t, &a), at + 1000); /* 4 us a step (RFC 6528) */
}

static void test_timestamp_offset_differs(void **state)
{
	struct tcp_tuple a = tuple(1, false), b = tuple(2, false);

	assert_int_not_equal(tcp_ts_offset(h.t, &a), tcp_ts_offset(h.t, &b));
	assert_int_equal(tcp_ts_offset(h.t, &a), tcp_ts_offset(h.t, &a));
}

static bool refuse(struct spate_tcp_conn *c, void *ctx)
{
	return false;
}
static void nothing(struct spate_tcp_conn *c)
{
}
static void gone(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
}
static const struct spate_tcp_user user = {
	.accepted = refuse, .connected = nothing, .closed = gone};

/* RFC 6056: within the range, no two alike, no counting up by one from the same start for each
 * peer. */
static void test_ephemeral_ports(void **state)
{
	bool seen[65536] = {0};
	unsigned first[2] = {0, 0};

	for (int i = 0; i < 100; i++) {
		struct spate_addr peer, local, got;
		struct spate_tcp_conn *c;

		host_addr(2 + (unsigned)i % 2, false, 80, &peer);
		assert_int_equal(spate_tcp_connect(h.t, NULL, &peer, &user, &c), 0);
		spate_tcp_addrs(c, &local, &got);
		assert_in_range(local.port, 32768, 60999);
		assert_false(i % 2 == 0 && seen[local.port]);
		if (i % 2 == 0)
			seen[local.port] = true;
		if (i < 2)
			first[i] = local.port;
	}
	assert_true(first[0] + 1 != first[1]);
}

static void test_ports_run_out(void **state)
{
	struct spate_addr peer;
	struct spate_tcp_conn *c;
	int err = 0;

	h.t->cfg.port_low = 40000;
	h.t->cfg.port_high = 40003;
	host_addr(2, false, 80, &peer);
	for (int i = 0; i < 5; i++)
		err = spate_tcp_connect(h.t, NULL, &peer, &user, &c);
	assert_int_equal(err, -98); /* EADDRINUSE */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_vector),
		TEST(test_table_against_flags),
		TEST(test_isn_moves_with_time_and_tuple),
		TEST(test_timestamp_offset_differs),
		TEST(test_ephemeral_ports),
		TEST(test_ports_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
