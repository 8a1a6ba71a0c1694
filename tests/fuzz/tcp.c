/*
 * TCP input with a live connection and a virtual clock. The bytes are a program: advance the clock, inject a segment whose
 * numbers are near what the connection expects (so that checks are passed often), or a raw one; let the user
 * send, pause, finish, abort. After each step every invariant is checked, and at the end nothing may be left.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/conn.h"
#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host h;
static struct spate_tcp_conn *conn;
static struct spate_sendq q;
static bool queue, paused;
static uint64_t now;

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	if (conn != NULL)
		return false;
	conn = c;
	queue = true;
	spate_sendq_init(&q);
	spate_tcp_attach(c, &q);
	return true;
}
static void connected(struct spate_tcp_conn *c) {}
static size_t take(struct spate_tcp_conn *c, const uint8_t *p, size_t n) { return paused ? n / 2 : n; }
static void event(struct spate_tcp_conn *c, unsigned what) {}
static void closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	if (c != conn)
		return;
	if (queue)
		spate_sendq_clear(&h.env, &q);
	queue = false;
	conn = NULL;
}
static const struct spate_tcp_user user = {accepted, connected, take, event, closed};

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
	uint32_t seq = conn != NULL ? conn->rcv_nxt : 1000, ack = conn != NULL ? conn->snd_una : h.t->now32;
	unsigned opts = 0, len = (shape & 3) == 3 ? next(g) * 8u : (shape & 3) * 5u;

	seg[0] = 4;
	seg[1] = shape & 0x80 ? 1 : 0;
	seg[3] = shape & 0x40 ? 81 : 80;
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
			put32(seg + 24 + opts + 4 * i, (conn != NULL ? conn->snd_una : 0) + next_signed(g));
		opts += 20;
	}
	if (shape & 32) {
		unsigned raw = next(g) % 3 * 4;

		for (unsigned i = 0; i < raw && opts + 4 <= 40; i++)
			seg[20 + opts + i] = next(g);
		opts = opts + raw <= 40 ? opts + raw : opts;
	}
	seg[12] = (uint8_t)((20 + opts) / 4 << 4);
	seg[13] = flags;
	seg[14] = next(g);
	seg[15] = 0x10;
	host_input(&h, frame, host_frame(frame, 1, 2, false, flags >> 6, seg, 20 + opts + len));
}

static void user_step(struct program *g)
{
	static const uint8_t bytes[4000];

	if (conn == NULL)
		return;
	switch (next(g) % 8) {
	case 0:
	case 1:
	case 2:
		if (!(conn->flags & F_FINISH) && spate_sendq_len(&q) < 100000)
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
	static const uint8_t local[16] = {[10] = 0xff, 0xff, 10, 0, 0, 2}, peer[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
	uint8_t what = next(g), quote[8] = {0, 80, 4, 0}, frame[HOST_FRAME_MAX];

	if (what < 160) {
		segment(g);
	} else if (what < 200) {
		user_step(g);
	} else if (what < 208) {
		put32(quote + 4, (conn != NULL ? conn->snd_una : 0) + next_signed(g));
		if (spate_tcp_packet_too_big(h.t, local, peer, quote, next(g) * 8u))
			h.epoch++;
	} else {
		now += what < 240 ? what * 50u : (uint64_t)next(g) << (what - 236);
		host_clock(&h, now);
	}
	if (what & 1)
		host_flush(&h);
	while (host_take(&h, frame) != 0)
		;
	spate_tcp_check_all(h.t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program g = {data, size};
	struct host_setup s = {.id = 2, .mtu = 1500};
	struct spate_addr any = {.port = 80};
	struct spate_tcp_listener *l;
	uint8_t mode = next(&g);

	spate_tcp_config_init(&s.tcp);
	s.tcp.max_conns = 4;
	s.tcp.max_time_wait = 2;
	s.tcp.rcv_buf = mode & 1 ? 4096 : 200000;
	s.tcp.rcv_total = mode & 2 ? 8192 : 1 << 20;
	s.tcp.conn_runs = mode & 4 ? 3 : 100;
	s.tcp.cc = mode & 8 ? SPATE_TCP_BBR : SPATE_TCP_CUBIC;
	s.tcp.cookies_always = mode & 16;
	s.tcp.keepalive_s = 20;
	s.tcp.pacing = mode & 32;
	now = 1000000;
	conn = NULL;
	paused = false;
	host_init(&h, &s);
	host_clock(&h, now);
	if (spate_tcp_listen(h.t, &any, &user, NULL, &l) != 0)
		abort();
	/* A handshake first, most of the time. */
	if (!(mode & 64)) {
		uint8_t seg[40] = {4, 0, 0, 80}, frame[HOST_FRAME_MAX];

		put32(seg + 4, 999);
		put32(seg + 20, 0x020405b4);
		put32(seg + 24, 0x0402080a);
		put32(seg + 32, 0);
		put32(seg + 36, 0x01030307);
		seg[12] = 0xa0;
		seg[13] = TCP_SYN;
		seg[14] = 0xff;
		host_input(&h, frame, host_frame(frame, 1, 2, false, 0, seg, 40));
		host_flush(&h);
		size_t n = host_take(&h, frame);

		if (n != 0) {
			uint32_t iss = get32(frame + 38), ts = get32(frame + 14 + 20 + 28);
			uint8_t ack[32] = {4, 0, 0, 80};

			put32(ack + 4, 1000);
			put32(ack + 8, iss + 1);
			ack[12] = 0x80;
			ack[13] = TCP_ACK;
			ack[14] = 0x10;
			put32(ack + 20, 0x0101080a);
			put32(ack + 28, ts);
			host_input(&h, frame, host_frame(frame, 1, 2, false, 0, ack, 32));
		}
	}
	while (g.n > 0)
		step(&g);
	host_flush(&h);
	host_finish(&h);
	return 0;
}
