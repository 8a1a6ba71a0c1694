/*
 * From the wire to the application: ethernet, IP, ICMP (dataplane/net) and TCP (dataplane/tcp) with
 * a live connection, an application that echoes, and a virtual clock. The bytes are a program:
 * advance the clock, inject a segment whose numbers are near what the connection expects (so that
 * checks are passed often), or any frame; a neighbour discovery message; an ICMP error that quotes
 * what was sent; let the user send, pause, finish, abort, connect. The first byte chooses the
 * configuration and the family. Every invariant is checked after each step, each frame sent
 * must be a sound one, and at the end no buffer, record or byte may be left anywhere.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/lower.h"
#include "dataplane/tcp/conn.h"
#include "dataplane/tcp/csum.h"
#include "host.h"

#define QUEUE_MAX 100000

static struct {
	struct spate_port port;
	struct spate_net *net;
	struct spate_net_in in;
	struct spate_tcp *t;
	struct spate_sendq_env env;
	struct spate_pool bytes_pool, range_pool;
} h;
static uint8_t scratch[SPATE_NET_SCRATCH];
static struct spate_tcp_conn *conn;
static struct spate_sendq q;
static bool queue, paused, asked, silent, v6;
static uint64_t now;
static uint8_t sent_ip[48]; /* header of the last segment we sent and its first 8 bytes: what ICMP
			       would quote */

static void attach(struct spate_tcp_conn *c)
{
	conn = c;
	queue = true;
	spate_sendq_init(&q);
	spate_tcp_attach(c, &q);
}

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	if (conn != NULL)
		return false;
	attach(c);
	return true;
}

static void connected(struct spate_tcp_conn *c)
{
}

static size_t echo(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	if (paused)
		n /= 2;
	if (c == conn && n != 0 && !(c->flags & F_FINISH) && spate_sendq_len(&q) < QUEUE_MAX) {
		spate_sendq_bytes(&h.env, &q, p, n);
		spate_tcp_kick(c);
	}
	return n;
}

static void event(struct spate_tcp_conn *c, unsigned what)
{
	if (what & SPATE_TCP_EV_EOF)
		spate_tcp_finish(c);
}

static void closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	if (c != conn)
		return;
	if (queue)
		spate_sendq_clear(&h.env, &q);
	queue = false;
	conn = NULL;
}

static const struct spate_tcp_user user = {accepted, connected, echo, event, closed};

/* One turn of a worker; the frame, if any, has just arrived. */
static void turn(const uint8_t *frame, size_t n)
{
	struct spate_pkt_rx pkts[SPATE_BURST];

	if (frame != NULL)
		CHECK(spate_mem_give(&h.port, frame, n));
	unsigned got = h.port.ops->rx(&h.port, 0, pkts, SPATE_BURST);

	spate_net_rx(h.net, 0, pkts, got, now, &h.in);
	for (unsigned i = 0; i < h.in.ntcp; i++) {
		struct spate_tcp_in in;

		if (spate_net_tcp_in(h.net, &h.in.tcp[i], scratch, &in))
			spate_tcp_input(h.t, &in);
	}
	for (unsigned i = 0; i < h.in.nevents; i++)
		spate_net_tcp_event(h.net, h.t, &h.in.events[i]);
	h.port.ops->rx_free(&h.port, 0, pkts, got);
	spate_tcp_check_all(h.t);
}

/* An ICMPv6 message of n bytes behind the headers of f, from the peer to us, is made complete; the
 * frame's length. */
static size_t icmp6(uint8_t *f, size_t n, uint8_t hops)
{
	static const uint8_t head[54] = {
		2,    0,    0, 0, 0, 2, 2, 0,  0,           0,        0,           1,       0x86,
		0xdd, 0x60, 0, 0, 0, 0, 0, 58, [22] = 0xfd, [37] = 1, [38] = 0xfd, [53] = 2};
	uint16_t sum;

	memcpy(f, head, sizeof head);
	put16(f + 18, (uint16_t)n);
	f[21] = hops;
	f[56] = f[57] = 0;
	sum = (uint16_t)~spate_csum_fold(spate_csum_plain(f + 22, 32) + __builtin_bswap16(58) +
					 __builtin_bswap16((uint16_t)n) +
					 spate_csum_plain(f + 54, n));
	memcpy(f + 56, &sum, 2);
	return 54 + n;
}

/* A solicitation (135) of ours, or an advertisement (136) of itself, by the peer. */
static size_t neighbour(uint8_t *f, uint8_t type)
{
	static const uint8_t link[8] = {1, 1, 2, 0, 0, 0, 0, 1};

	memset(f + 54, 0, 32);
	f[54] = type;
	f[58] = type == 136 ? 0x60 : 0;
	f[62] = 0xfd;
	f[77] = type == 136 ? 1 : 2;
	memcpy(f + 78, link, 8);
	f[78] = type == 136 ? 2 : 1;
	return icmp6(f, 32, 255);
}

static void look_at(const uint8_t *f, size_t n)
{
	struct spate_tcp_in in = {.src = f + (v6 ? 22 : 26), .dst = f + (v6 ? 38 : 30)};
	uint8_t ecn;
	size_t len;

	CHECK(n <= 14 + 1500);
	if (f[12] == 8 && f[13] == 6) {
		asked |= f[21] == 1 && f[41] == 1;
		return;
	}
	if (f[12] == 0x86 && f[20] == 58)
		asked |= f[54] == 135 && f[77] == 1;
	/* The other family has no connection; resets and errors answer what came in it. */
	if (v6 ? f[12] != 0x86 || f[20] != 6 : f[12] != 8 || f[23] != 6)
		return;
	in.seg = host_tcp_of(f, n, &len, &in.v6, &ecn);
	CHECK(in.seg != NULL);
	in.len = (uint32_t)len;
	CHECK(len >= 20 && tcp_csum_good(&in));
	CHECK((size_t)(in.seg[12] >> 4) * 4 <= len && in.seg[12] >= 0x50);
	CHECK(!(in.seg[13] & TCP_URG));
	memcpy(sent_ip, f + 14, v6 ? 48 : 28);
}

/* What we sent; a question for the peer's MAC address is answered. */
static void sent(void)
{
	uint8_t frame[HOST_FRAME_MAX];
	size_t n;

	spate_tcp_flush(h.t);
	spate_net_flush(h.net);
	for (int i = 0; i < 2; i++) {
		while ((n = spate_mem_take(&h.port, frame, sizeof frame)) != 0)
			look_at(frame, n);
		if (!asked || silent)
			break;
		static const uint8_t reply[42] = {2,  0, 0, 0, 0, 2, 2, 0, 0, 0, 0,  1, 8, 6,
						  0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  0, 0, 1,
						  10, 0, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2};

		asked = false;
		if (v6)
			turn(frame, neighbour(frame, 136));
		else
			turn(reply, sizeof reply);
		spate_net_tick(h.net, now, &h.in);
		spate_tcp_flush(h.t);
		spate_net_flush(h.net);
	}
	spate_tcp_check_all(h.t);
}

struct program {
	const uint8_t *p;
	size_t n;
};

static uint8_t next(struct program *g)
{
	if (g->n == 0)
		return 0;
	g->n--;
	return *g->p++;
}

static uint32_t next_signed(struct program *g)
{
	int8_t b = (int8_t)next(g);

	/* Small steps mostly, sometimes far. */
	return (uint32_t)(b > 100 ? (b - 100) * 100000 : b < -100 ? (b + 100) * 100000 : b * 16);
}

static void segment(struct program *g)
{
	uint8_t seg[2200] = {0}, frame[HOST_FRAME_MAX];
	uint8_t flags = next(g), shape = next(g);
	uint32_t seq = conn != NULL ? conn->rcv_nxt : 1000,
		 ack = conn != NULL ? conn->snd_una : h.t->now32;
	uint16_t port = conn != NULL ? __builtin_bswap16(conn->local_port) : 80;
	uint16_t opts = 0, len = (uint16_t)((shape & 3) == 3 ? next(g) * 8u : (shape & 3) * 5u);

	seg[0] = 4;
	seg[1] = shape & 0x80 ? 1 : 0;
	put16(seg + 2, shape & 0x40 ? 81 : port);
	seq += next_signed(g);
	ack += next_signed(g);
	if ((shape & 4) && conn != NULL)
		ack = conn->snd_nxt;
	put32(seg + 4, seq);
	put32(seg + 8, ack);
	if (shape & 8) {
		put32(seg + 20, 0x0101080a);
		put32(seg + 24, next(g) + (conn != NULL ? conn->ts_recent : 0));
		put32(seg + 28, h.t->now_ms + (conn != NULL ? conn->ts_off : 0) - next(g));
		opts = 12;
	}
	if (shape & 16) {
		put32(seg + 20 + opts, 0x01010512);
		for (unsigned i = 0; i < 4; i++)
			put32(seg + 24 + opts + 4 * i,
			      (conn != NULL ? conn->snd_una : 0) + next_signed(g));
		opts += 20;
	}
	if (shape & 32) {
		uint16_t raw = next(g) % 3 * 4;

		for (unsigned i = 0; i < raw && opts + 4 <= 40; i++)
			seg[20 + opts + i] = next(g);
		opts = (uint16_t)(opts + raw <= 40 ? opts + raw : opts);
	}
	seg[12] = (uint8_t)((20 + opts) / 4 << 4);
	seg[13] = flags;
	seg[14] = next(g);
	seg[15] = 0x10;
	put16(seg + 18, len);
	turn(frame, host_frame(frame, 1, 2, v6, flags >> 6, seg, 20 + opts + len));
}

/* Whatever the bytes say, after our address. */
static void any_frame(struct program *g)
{
	uint8_t frame[600] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	size_t n = 12 + next(g) * 2u;

	for (size_t i = 12; i < n; i++)
		frame[i] = next(g);
	turn(frame, n);
}

/* Router and neighbour solicitations and advertisements, redirects: as the bytes say. */
static void discovery(struct program *g)
{
	uint8_t f[54 + 80] = {0};
	size_t n = 8 + next(g) % 72;

	for (size_t i = 0; i < n; i++)
		f[54 + i] = next(g);
	f[54] = (uint8_t)(133 + f[54] % 5);
	if (f[55] & 1) { /* about an address that matters */
		memset(f + 62, 0, 16);
		f[62] = 0xfd;
		f[77] = (uint8_t)(1 + (f[55] >> 1) % 2);
	}
	f[55] = f[55] > 0xf0;
	turn(f, icmp6(f, n, f[56] == 7 ? 64 : 255));
}

static void icmp_v6(struct program *g)
{
	uint8_t f[54 + 8 + 48] = {0};

	f[54] = next(g) % 8;
	f[55] = next(g) % 8;
	put16(f + 60, (uint16_t)(next(g) * 8));
	memcpy(f + 62, sent_ip, 48);
	put32(f + 62 + 44, get32(f + 62 + 44) + next_signed(g));
	turn(f, icmp6(f, 56, 64));
}

/* An ICMP error about the last segment; its quoted number a little off when the fuzzer likes. */
static void icmp(struct program *g)
{
	if (v6) {
		icmp_v6(g);
		return;
	}
	uint8_t f[14 + 20 + 8 + 28] = {
		2,         0,        0,         0,        0,         2,       2,    0,
		0,         0,        0,         1,        8,         0,       0x45, [17] = 56,
		[22] = 64, [23] = 1, [26] = 10, [29] = 1, [30] = 10, [33] = 2};
	uint8_t *m = f + 34;
	uint16_t sum;

	m[0] = next(g) % 16;
	m[1] = next(g) % 16;
	put16(m + 6, (uint16_t)(next(g) * 8));
	memcpy(m + 8, sent_ip, 28);
	put32(m + 8 + 24, get32(m + 8 + 24) + next_signed(g));
	sum = (uint16_t)~spate_csum_fold(spate_csum_plain(m, 36));
	memcpy(m + 2, &sum, 2);
	sum = (uint16_t)~spate_csum_fold(spate_csum_plain(f + 14, 20));
	memcpy(f + 24, &sum, 2);
	turn(f, sizeof f);
}

static void connect_out(void)
{
	struct spate_tcp_conn *c;
	struct spate_addr peer;

	host_addr(1, v6, 1024, &peer);
	if (conn == NULL && spate_tcp_connect(h.t, NULL, &peer, &user, &c) == 0)
		attach(c);
}

static void user_step(struct program *g)
{
	static const uint8_t bytes[4000];
	uint8_t what = next(g) % 8;

	if (conn == NULL) {
		if (what == 0)
			connect_out();
		return;
	}
	switch (what) {
	case 0:
	case 1:
	case 2:
		if (!(conn->flags & F_FINISH) && spate_sendq_len(&q) < QUEUE_MAX)
			spate_sendq_bytes(&h.env, &q, bytes, next(g) * 15u);
		spate_tcp_kick(conn);
		break;
	case 3:
		paused = !paused;
		break;
	case 4:
		spate_tcp_resume(conn);
		break;
	case 5:
		spate_tcp_finish(conn);
		break;
	case 6:
		if (next(g) < 8)
			spate_tcp_abort(conn);
		break;
	default:
		spate_tcp_timer(conn, next(g));
	}
}

static void step(struct program *g)
{
	uint8_t what = next(g);

	if (what < 150) {
		segment(g);
	} else if (what < 156) {
		any_frame(g);
	} else if (what < 158) {
		discovery(g);
	} else if (what < 160) {
		silent = what == 159;
	} else if (what < 200) {
		user_step(g);
	} else if (what < 208) {
		icmp(g);
	} else {
		now += what < 240 ? what * 50u : (uint64_t)next(g) << (what - 236);
		spate_net_tick(h.net, now, &h.in);
		spate_tcp_clock(h.t, now);
	}
	if (what & 1)
		sent();
	spate_tcp_check_all(h.t);
}

/* A client's handshake with all options. */
static void handshake(void)
{
	uint8_t frame[HOST_FRAME_MAX], syn[40] = {4, 0, 0, 80}, ack[32] = {4, 0, 0, 80};
	size_t n, len;
	bool six;
	uint8_t ecn;

	put32(syn + 4, 999);
	put32(syn + 20, 0x020405b4);
	put32(syn + 24, 0x0402080a);
	put32(syn + 36, 0x01030307);
	syn[12] = 0xa0;
	syn[13] = TCP_SYN;
	syn[14] = 0xff;
	turn(frame, host_frame(frame, 1, 2, v6, 0, syn, sizeof syn));
	spate_tcp_flush(h.t);
	spate_net_flush(h.net);
	n = spate_mem_take(&h.port, frame, sizeof frame);
	const uint8_t *tcp = n != 0 ? host_tcp_of(frame, n, &len, &six, &ecn) : NULL;

	if (tcp == NULL || len < 40)
		return;
	put32(ack + 4, 1000);
	put32(ack + 8, get32(tcp + 4) + 1);
	ack[12] = 0x80;
	ack[13] = TCP_ACK;
	ack[14] = 0x10;
	put32(ack + 20, 0x0101080a);
	put32(ack + 28, get32(tcp + 28));
	turn(frame, host_frame(frame, 1, 2, v6, 0, ack, sizeof ack));
	sent();
}

static void start(uint8_t mode)
{
	struct spate_mem_setup mem = {
		.mac = {2, 0, 0, 0, 0, 2}, .tx_packets = 256, .rx_packets = 64, .rx_buffer = 4096};
	struct spate_net_setup ns = {.seed = 1};
	struct spate_net_iface_setup is = {.port = &h.port};
	struct spate_tcp_config cfg;
	struct spate_tcp_lower lower;
	struct spate_addr local;

	memset(&h, 0, sizeof h);
	conn = NULL;
	queue = paused = asked = silent = false;
	v6 = mode & 128;
	now = 1000000;
	CHECK(spate_mem_open(&h.port, &mem) == 0);
	h.net = spate_net_create(&ns);
	CHECK(h.net != NULL && spate_net_add_iface(h.net, &is) == 0);
	host_addr(2, false, 0, &local);
	CHECK(spate_net_add_address(h.net, 0, local.ip, 24) == 0);
	host_addr(2, true, 0, &local);
	CHECK(spate_net_add_address(h.net, 0, local.ip, 64) == 0);
	spate_pool_init(&h.bytes_pool, SPATE_SENDQ_NODE_BYTES, 1 << 16);
	spate_pool_init(&h.range_pool, 64, 1 << 16);
	h.env = (struct spate_sendq_env){NULL, 0, &h.bytes_pool, &h.range_pool};
	spate_tcp_config_init(&cfg);
	cfg.max_conns = 4;
	cfg.max_time_wait = 2;
	cfg.rcv_buf = mode & 1 ? 4096 : 200000;
	cfg.rcv_total = mode & 2 ? 8192 : 1 << 20;
	cfg.conn_runs = mode & 4 ? 3 : 100;
	cfg.cc = mode & 8 ? SPATE_TCP_BBR : SPATE_TCP_CUBIC;
	cfg.cookies_always = mode & 16;
	cfg.keepalive_s = 20;
	cfg.pacing = mode & 32;
	spate_net_lower(h.net, &lower);
	CHECK(spate_tcp_create(&h.t, &cfg, &lower, &h.env, NULL) == 0);
	spate_net_tick(h.net, now, &h.in);
	spate_tcp_clock(h.t, now);
	/* The peer asks for us, as it has to before its first packet; so net knows it. */
	static const uint8_t who[42] = {2,  0, 0, 0, 0, 2, 2, 0, 0, 0, 0,  1, 8, 6,
					0,  1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 1,
					10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
	uint8_t answer[128];

	if (v6)
		turn(answer, neighbour(answer, 135));
	else
		turn(who, sizeof who);
	spate_net_flush(h.net);
	while (spate_mem_take(&h.port, answer, sizeof answer) != 0)
		;
}

/* Everything that lived is ended, and then nothing may be left. */
static void end(struct spate_tcp_listener *l)
{
	uint8_t frame[HOST_FRAME_MAX];
	struct spate_tcp_usage u;

	spate_tcp_unlisten(h.t, l);
	if (conn != NULL)
		spate_tcp_abort(conn);
	sent();
	sent(); /* one that had segments out is told one turn later */
	spate_tcp_usage(h.t, &u);
	CHECK(conn == NULL && u.conns == 0 && u.half_open == 0 && u.runs == 0 && u.held_nodes == 0);
	CHECK(h.bytes_pool.used == 0 && h.range_pool.used == 0);
	spate_tcp_destroy(h.t);
	spate_net_destroy(h.net);
	while (spate_mem_take(&h.port, frame, sizeof frame) != 0)
		;
	CHECK(spate_mem_idle(&h.port));
	h.port.ops->close(&h.port);
	spate_pool_finish(&h.bytes_pool);
	spate_pool_finish(&h.range_pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program g = {data, size};
	struct spate_addr any = {.port = 80};
	struct spate_tcp_listener *l;
	uint8_t mode = next(&g);

	start(mode);
	CHECK(spate_tcp_listen(h.t, &any, &user, NULL, &l) == 0);
	if (!(mode & 64))
		handshake();
	while (g.n > 0)
		step(&g);
	end(l);
	return 0;
}
