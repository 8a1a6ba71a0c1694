/* The viewer's side of the rig: our own stack, asking as fast as the answers come. */
#include <stdio.h>
#include <string.h>

#include "dataplane/net/lower.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/util/pool.h"
#include "rig.h"
#include "spate/stats.h"

#define HEAD_END "\r\n\r\n"

struct viewer {
	struct spate_sendq q;
	uint64_t left; /* body bytes of the answer under way */
	bool in_head;
	uint32_t matched; /* of HEAD_END */
};

static _Thread_local struct {
	struct rig_setup setup;
	struct spate_port *port;
	struct spate_net *net;
	struct spate_tcp *tcp;
	struct spate_stats stats;
	struct spate_pool bytes_pool, range_pool;
	struct spate_sendq_env env;
	struct spate_net_in in;
	uint8_t scratch[SPATE_NET_SCRATCH];
	struct spate_addr server;
	uint64_t random;
	uint64_t answers, bodies, open;
} v;

/* Uniform, in no order that a prefetcher could learn (xorshift64*). */
static unsigned choose(void)
{
	v.random ^= v.random >> 12;
	v.random ^= v.random << 25;
	v.random ^= v.random >> 27;
	return (unsigned)((v.random * 0x2545f4914f6cdd1d >> 32) * v.setup.objects >> 32);
}

static void ask(struct spate_tcp_conn *c)
{
	struct viewer *me = spate_tcp_user_of(c);
	char url[64], text[256];
	int n;

	rig_url(url, sizeof(url), choose());
	n = snprintf(text, sizeof(text),
		     "GET %s HTTP/1.1\r\nHost: edge.example\r\nUser-Agent: spate-cost\r\n"
		     "Accept: */*\r\n\r\n",
		     url);
	rig_must(spate_sendq_bytes(&v.env, &me->q, text, (size_t)n) == 0, "client queue");
	me->in_head = true;
	me->matched = 0;
	me->left = v.setup.object_bytes;
	spate_tcp_kick(c);
}

static void on_connected(struct spate_tcp_conn *c)
{
	struct viewer *me = spate_tcp_user_of(c);

	spate_sendq_init(&me->q);
	spate_tcp_attach(c, &me->q);
	ask(c);
}

static size_t on_data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	struct viewer *me = spate_tcp_user_of(c);
	size_t at = 0;

	while (at < n && me->in_head) {
		char want = HEAD_END[me->matched];

		me->matched = p[at] == (uint8_t)want ? me->matched + 1 : p[at] == '\r';
		at++;
		me->in_head = me->matched < 4;
	}
	rig_must(n - at <= me->left, "more bytes than were asked for");
	me->left -= n - at;
	v.bodies += n - at;
	if (!me->in_head && me->left == 0) {
		v.answers++;
		if (v.setup.close_each)
			spate_tcp_finish(c);
		else
			ask(c);
	}
	return n;
}

static void on_event(struct spate_tcp_conn *c, unsigned what)
{
	(void)c;
	(void)what;
}

static void on_closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	struct viewer *me = spate_tcp_user_of(c);

	rig_must(why == SPATE_TCP_DONE || why == SPATE_TCP_STOPPED, "a connection broke");
	spate_sendq_clear(&v.env, &me->q);
	v.open--;
}

static const struct spate_tcp_user user = {
	.connected = on_connected, .data = on_data, .event = on_event, .closed = on_closed};

void client_open(const struct rig_setup *setup, struct spate_port *port, unsigned worker)
{
	static const uint8_t me[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2};
	struct spate_net_setup ns = {.seed = 7};
	struct spate_net_iface_setup is = {.port = port};
	struct spate_tcp_config cfg;
	struct spate_tcp_lower lower;

	memset(&v, 0, sizeof(v));
	v.setup = *setup;
	v.port = port;
	v.random = 0x9e3779b97f4a7c15 * (worker + 1);
	v.net = spate_net_create(&ns);
	rig_must(v.net != NULL && spate_net_add_iface(v.net, &is) == 0, "client net");
	rig_must(spate_net_add_address(v.net, 0, me, 24) == 0, "client address");
	spate_net_lower(v.net, &lower);
	spate_tcp_config_init(&cfg);
	cfg.user_bytes = sizeof(struct viewer);
	cfg.time_wait_us = 1; /* ports are used again at once: this end is not measured */
	cfg.rcv_buf = setup->client_buf != 0 ? (uint32_t)setup->client_buf : 4 << 20;
	spate_pool_init(&v.bytes_pool, SPATE_SENDQ_NODE_BYTES, 1 << 16);
	spate_pool_init(&v.range_pool, 64, 1 << 10);
	v.env = (struct spate_sendq_env){NULL, 0, &v.bytes_pool, &v.range_pool};
	rig_must(spate_tcp_create(&v.tcp, &cfg, &lower, &v.env, &v.stats) == 0, "client tcp");
	spate_tcp_clock(v.tcp, rig_now_us()); /* before it connects (tcp.h) */
	v.server = (struct spate_addr){.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1},
				       .port = RIG_PORT};
}

void client_connect_up_to(unsigned n)
{
	for (unsigned i = 0; v.open < n && i < 64; i++) {
		struct spate_tcp_conn *c;

		if (spate_tcp_connect(v.tcp, NULL, &v.server, &user, &c) != 0)
			return;
		v.open++;
	}
}

static void input(struct spate_pkt_rx *pkts, unsigned n, uint64_t now)
{
	spate_net_rx(v.net, 0, pkts, n, now, &v.in);
	for (unsigned i = 0; i < v.in.ntcp; i++) {
		struct spate_tcp_in in;

		if (!spate_net_tcp_in(v.net, &v.in.tcp[i], v.scratch, &in))
			continue;
		spate_tcp_input(v.tcp, &in);
		if (v.setup.ack_each != 0 && i % v.setup.ack_each == v.setup.ack_each - 1)
			spate_tcp_flush(v.tcp);
	}
}

void client_turn(void)
{
	struct spate_pkt_rx pkts[SPATE_BURST];
	uint64_t now = rig_now_us();
	unsigned n;

	spate_tcp_clock(v.tcp, now);
	for (int round = 0; round < 8; round++) {
		n = v.port->ops->rx(v.port, 0, pkts, SPATE_BURST);
		if (n == 0)
			break;
		input(pkts, n, now);
		v.port->ops->rx_free(v.port, 0, pkts, n);
	}
	v.in.nevents = 0;
	spate_net_tick(v.net, now, &v.in);
	spate_tcp_flush(v.tcp);
	spate_net_flush(v.net);
}

uint64_t client_answers(void)
{
	return v.answers;
}

uint64_t client_bodies(void)
{
	return v.bodies;
}

void client_close(void)
{
	spate_tcp_destroy(v.tcp);
	spate_net_flush(v.net);
	spate_net_destroy(v.net);
	spate_pool_finish(&v.bytes_pool);
	spate_pool_finish(&v.range_pool);
}
