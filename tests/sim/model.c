/*
 * model: our stack as server against a receiver that is as plain as can be, and shares no code with
 * it: a bitmap of what has arrived, an ACK of the first gap. From the seed: which options it knows,
 * how lazily it acknowledges, how its window breathes, whether it forgets what it has SACKed
 * (reneging), over the wire of link.h.
 *
 *   model --from N --count M | --seed N [--pcap FILE]
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "link.h"

#define MAX   (512u << 10)
#define LIMIT (4ull * 3600 * 1000000)

#define REQUIRE(cond, ...)                                                                \
	do {                                                                              \
		if (!(cond)) {                                                            \
			fprintf(stderr, "model: %s:%d: %s: ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__);                                     \
			fprintf(stderr, "\n");                                            \
			abort();                                                          \
		}                                                                         \
	} while (0)

static struct {
	struct host h;
	struct link link;
	struct rng rng;
	uint64_t now;
	uint32_t total; /* bytes the server sends */
	bool v6;
	/* the server */
	struct spate_tcp_conn *c;
	struct spate_sendq q;
	uint32_t queued;
	bool accepted, closed;
	enum spate_tcp_close_why why;
	/* the model: relative numbers, the SYN is 0 on both sides */
	bool sack, ts, reneges, established, fin_seen, done;
	uint32_t isn, irs, base /* first byte missing, 1.. */, edge /* right edge told */, buf;
	uint32_t their_ts, my_fin, unacked, lazy, breathe;
	uint64_t syn_at, ack_at, fin_at, open_at;
	uint8_t have[MAX + 2];
	uint32_t recent[3];
} x;

static uint64_t current_seed;
static bool single;

static uint8_t byte_at(uint32_t off)
{
	return (uint8_t)(off * 11 + (off >> 8) * 3 + (off >> 16));
}

/* --- the server's application: sends it all, then FIN --- */

static void fill(struct spate_tcp_conn *c)
{
	uint8_t buf[3000];

	while (x.queued < x.total && !spate_sendq_full(&x.q)) {
		uint32_t n = 1 + rng_below(&x.rng, sizeof buf);

		if (n > x.total - x.queued)
			n = x.total - x.queued;
		for (uint32_t i = 0; i < n; i++)
			buf[i] = byte_at(x.queued + i);
		REQUIRE(spate_sendq_bytes(&x.h.env, &x.q, buf, n) == 0, "pool");
		x.queued += n;
	}
	spate_tcp_kick(c);
	if (x.queued == x.total)
		spate_tcp_finish(c);
}

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	x.c = c;
	x.accepted = true;
	spate_sendq_init(&x.q);
	spate_tcp_attach(c, &x.q);
	fill(c);
	return true;
}

static void connected(struct spate_tcp_conn *c)
{
}
static size_t data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	return n;
}

static void event(struct spate_tcp_conn *c, unsigned what)
{
	if (what & SPATE_TCP_EV_ACKED)
		fill(c);
}

static void closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	x.closed = true;
	x.why = why;
	spate_sendq_clear(&x.h.env, &x.q);
}

static const struct spate_tcp_user user = {accepted, connected, data, event, closed};

/* --- the model --- */

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned sack_option(uint8_t *o)
{
	unsigned n = 0, room = x.ts ? 3 : 4;
	uint32_t done[4];

	for (int i = 0; i < 3 && n < room; i++) {
		uint32_t a = x.recent[i], b = a;
		bool twice = false;

		if (a <= x.base || a > x.total || !x.have[a])
			continue;
		while (x.have[a - 1])
			a--;
		while (b <= x.total && x.have[b])
			b++;
		for (unsigned k = 0; k < n; k++)
			twice |= done[k] == a;
		if (twice)
			continue;
		done[n] = a;
		put32(o + 4 + 8 * n, x.irs + a);
		put32(o + 8 + 8 * n, x.irs + b);
		n++;
	}
	if (n == 0)
		return 0;
	put32(o, 0x01010500 | (2 + 8 * n));
	return 4 + 8 * n;
}

static void transmit(uint8_t flags, uint32_t seq)
{
	uint8_t seg[80] = {0}, frame[256], *o = seg + 20;
	bool syn = flags & 2;
	uint32_t ack = x.irs + x.base + (x.fin_seen && x.base == x.total + 1), win;

	if (syn) {
		put32(o, 0x020405b4);
		o += 4;
		if (x.sack) {
			put32(o, 0x01010402);
			o += 4;
		}
	}
	if (x.ts) {
		put32(o, 0x0101080a);
		put32(o + 4, (uint32_t)(x.now / 1000) + 77);
		put32(o + 8, x.their_ts);
		o += 12;
	}
	if (!syn && x.sack)
		o += sack_option(o);
	/* The right edge never moves back, however little room is left. */
	win = x.buf;
	if (x.open_at > x.now)
		win = x.edge > x.base ? x.edge - x.base : 0;
	if (x.base + win < x.edge)
		win = x.edge - x.base;
	if (win > 65535)
		win = 65535;
	x.edge = x.base + win;
	seg[0] = 1024 >> 8;
	seg[3] = 80;
	put32(seg + 4, x.isn + seq);
	put32(seg + 8, flags & 16 ? ack : 0);
	seg[12] = (uint8_t)((o - seg) / 4 << 4);
	seg[13] = flags;
	seg[14] = (uint8_t)(win >> 8);
	seg[15] = (uint8_t)win;
	size_t n = host_frame(frame, 1, 2, x.v6, 0, seg, (size_t)(o - seg));

	link_send(&x.link, x.now, 0, 1, frame, n);
	x.unacked = 0;
	x.ack_at = UINT64_MAX;
}

static void model_data(uint32_t from, const uint8_t *p, uint32_t len, bool fin)
{
	uint32_t before = x.base;

	for (uint32_t i = 0; i < len; i++) {
		uint32_t at = from + i;

		REQUIRE(at >= 1 && at <= x.total, "byte %u of %u", at, x.total);
		REQUIRE(at < x.edge || at < x.base, "byte %u beyond the window's edge %u", at,
			x.edge);
		REQUIRE(p[i] == byte_at(at - 1), "wrong byte at %u", at);
		x.have[at] = 1;
	}
	if (fin) {
		REQUIRE(from + len == x.total + 1, "FIN at %u", from + len);
		x.fin_seen = true;
	}
	while (x.base <= x.total && x.have[x.base])
		x.base++;
	if (len != 0 && from > x.base && x.recent[0] != from) {
		memmove(x.recent + 1, x.recent, 2 * sizeof x.recent[0]);
		x.recent[0] = from;
	}
	/* Forgets what it holds out of order, as it may (RFC 2018 section 8). */
	if (x.reneges && rng_chance(&x.rng, 2000))
		memset(x.have + x.base, 0, MAX + 2 - x.base);
	if (x.breathe != 0 && rng_chance(&x.rng, x.breathe))
		x.open_at = x.now + rng_below(&x.rng, 2000000);
	if (len == 0 && !fin)
		return;
	if (++x.unacked > x.lazy || x.base == before || from != before || fin)
		x.ack_at = x.now;
	else if (x.ack_at == UINT64_MAX)
		x.ack_at = x.now + 40000;
}

static void model_input(const uint8_t *f, size_t flen)
{
	size_t n;
	bool v6;
	uint8_t ecn;
	const uint8_t *h = host_tcp_of(f, flen, &n, &v6, &ecn), *o, *p;
	struct spate_tcp_in in = {.seg = h, .len = (uint32_t)n, .v6 = v6};
	uint64_t sum = 0;

	if (h == NULL || f[5] != 1 || n < 20)
		return;
	(void)in;
	/* Its own checksum, the slow way. */
	const uint8_t *ip = f + (v6 ? 22 : 26);

	for (size_t i = 0; i < (v6 ? 32u : 8u); i++)
		sum += (uint64_t)ip[i] << (i & 1 ? 0 : 8);
	for (size_t i = 0; i < n; i++)
		sum += (uint64_t)h[i] << (i & 1 ? 0 : 8);
	sum += 6 + n;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	if (sum != 0xffff)
		return;
	p = h + (h[12] >> 4) * 4;
	for (o = h + 20; o + 1 < p && *o != 0; o += *o == 1 ? 1 : o[1])
		if (*o == 8 && o + 10 <= p)
			x.their_ts = get32(o + 2);
	if (h[13] & 4) {
		x.done = true;
		return;
	}
	if (h[13] & 2) {
		x.irs = get32(h + 4);
		if (!x.established)
			x.base = 1;
		x.established = true;
		transmit(16, 1);
		return;
	}
	if (!x.established)
		return;
	uint32_t ack = get32(h + 8) - x.isn;

	if (x.my_fin != 0 && ack == 2)
		x.done = true;
	uint32_t from = get32(h + 4) - x.irs;

	if (p == h + n && !(h[13] & 1) && from < x.base) {
		x.ack_at = x.now; /* a probe */
		return;
	}
	model_data(from, p, (uint32_t)(h + n - p), h[13] & 1);
}

static void model_turn(void)
{
	if (!x.established && x.now >= x.syn_at) {
		x.syn_at = x.now + 1000000;
		transmit(2, 0);
	}
	if (x.established && x.now >= x.ack_at)
		transmit(16, 1 + (x.my_fin != 0));
	if (x.open_at != 0 && x.now >= x.open_at) {
		x.open_at = 0;
		transmit(16, 1 + (x.my_fin != 0));
	}
	if (x.fin_seen && x.base == x.total + 1 && !x.done && x.now >= x.fin_at) {
		x.my_fin = 1;
		x.fin_at = x.now + 1000000;
		transmit(17, 1);
	}
}

/* --- a world --- */

static bool one_in(uint32_t n)
{
	return rng_below(&x.rng, n) == 0;
}

static void make(uint64_t seed, const char *pcap)
{
	struct host_setup s = {.id = 2, .mtu = 1500};
	struct link_setup l = {.mtu = 1500};
	struct spate_tcp_listener *listener;
	struct spate_addr any = {.port = 80};

	memset(&x, 0, sizeof x);
	x.rng.s = seed * 0x9e3779b97f4a7c15ull;
	x.now = 5000000 + (rng_next(&x.rng) >> 24);
	l.delay_us = 50 + rng_below(&x.rng, one_in(4) ? 100000 : 5000);
	l.jitter_us = one_in(2) ? rng_below(&x.rng, l.delay_us) : 0;
	l.loss = one_in(2) ? rng_below(&x.rng, 50000) : 0;
	l.reorder = one_in(3) ? rng_below(&x.rng, 200000) : 0;
	l.reorder_us = rng_below(&x.rng, 30000);
	l.duplicate = one_in(4) ? rng_below(&x.rng, 50000) : 0;
	l.corrupt = one_in(4) ? rng_below(&x.rng, 20000) : 0;
	l.rate = one_in(3) ? 100000 + rng_below(&x.rng, 10000000) : 0;
	l.queue = 50000;
	link_init(&x.link, &l, seed, pcap);
	x.v6 = one_in(3);
	x.sack = !one_in(3);
	x.ts = one_in(2);
	x.reneges = x.sack && one_in(6);
	x.isn = (uint32_t)rng_next(&x.rng);
	x.buf = one_in(3) ? 1 + rng_below(&x.rng, 4000) : 4000 + rng_below(&x.rng, 60000);
	x.lazy = one_in(3) ? rng_below(&x.rng, 10) : 1;
	x.breathe = one_in(5) ? rng_below(&x.rng, 50000) : 0;
	x.total = rng_below(&x.rng, one_in(5) ? MAX : 60000);
	if (x.buf < 200)
		x.total %= 3000;
	x.ack_at = UINT64_MAX;
	spate_tcp_config_init(&s.tcp);
	s.tcp.max_conns = s.tcp.max_time_wait = 4;
	s.tcp.give_up_us = s.tcp.persist_us = s.tcp.fin_wait_2_us = 1800000000;
	s.tcp.synack_retries = 12;
	s.tcp.rto_max_us = 10000000;
	s.tcp.pacing = one_in(2);
	s.tcp.cc = one_in(3) ? SPATE_TCP_BBR : SPATE_TCP_CUBIC;
	s.tcp.conn_runs = one_in(6) ? 3 : 1024;
	for (unsigned i = 0; i < sizeof s.tcp.secret; i++)
		s.tcp.secret[i] = (uint8_t)rng_next(&x.rng);
	s.tso = one_in(3);
	host_init(&x.h, &s);
	host_clock(&x.h, x.now);
	REQUIRE(spate_tcp_listen(x.h.t, &any, &user, NULL, &listener) == 0, "listen");
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void run(uint64_t seed, const char *pcap)
{
	struct spate_tcp_usage u;
	struct link_frame *f;
	uint8_t frame[HOST_FRAME_MAX];
	uint64_t from;
	size_t n;

	make(seed, pcap);
	from = x.now;
	if (single)
		printf("%u bytes, buf %u, sack %d ts %d reneges %d lazy %u breathe %u\n", x.total,
		       x.buf, x.sack, x.ts, x.reneges, x.lazy, x.breathe);
	while (!(x.done && x.closed)) {
		uint64_t next, wait;

		host_clock(&x.h, x.now);
		while ((f = link_due(&x.link, x.now)) != NULL) {
			if (f->to == 1)
				host_input(&x.h, f->data, f->len);
			else
				model_input(f->data, f->len);
			free(f);
		}
		model_turn();
		host_flush(&x.h);
		spate_tcp_check_all(x.h.t);
		while ((n = host_take(&x.h, frame)) != 0)
			link_send(&x.link, x.now, 1, 0, frame, n);
		if (x.closed && (x.done || x.my_fin == 0))
			break;
		wait = spate_tcp_wait_us(x.h.t);
		next = least(link_next(&x.link), wait == UINT64_MAX ? wait : x.now + wait);
		if (!x.established)
			next = least(next, x.syn_at);
		next = least(next, x.ack_at);
		if (x.open_at != 0)
			next = least(next, x.open_at);
		if (x.fin_seen && x.base == x.total + 1 && !x.done)
			next = least(next, x.fin_at);
		x.now = next > x.now ? next : x.now + 1;
		REQUIRE(x.now - from < LIMIT, "no end: %u of %u bytes, closed %d done %d", x.base,
			x.total, x.closed, x.done);
	}
	REQUIRE(x.closed && x.why == SPATE_TCP_DONE, "closed for %d", x.why);
	REQUIRE(x.base == x.total + 1, "%u of %u bytes", x.base, x.total);
	x.now += 70000000;
	host_clock(&x.h, x.now);
	host_flush(&x.h);
	spate_tcp_usage(x.h.t, &u);
	REQUIRE(u.conns == 0 && u.runs == 0 && u.held_nodes == 0 && u.time_wait == 0, "leak");
	REQUIRE(x.h.bytes_pool.used == 0, "queue nodes");
	host_finish(&x.h);
	link_finish(&x.link);
}

static char *self;

static void on_abort(int sig)
{
	char seed[32], file[64];
	sigset_t none;

	if (single)
		_exit(1);
	snprintf(seed, sizeof seed, "%" PRIu64, current_seed);
	snprintf(file, sizeof file, "model-%" PRIu64 ".pcap", current_seed);
	fprintf(stderr,
		"model: seed %s failed. Again: %s --seed %s --pcap %s (its wire is being written "
		"there)\n",
		seed, self, seed, file);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execl(self, self, "--seed", seed, "--pcap", file, (char *)NULL);
	_exit(1);
}

int main(int argc, char **argv)
{
	uint64_t from = 1, count = 100;
	const char *pcap = NULL;

	self = argv[0];
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--from") == 0)
			from = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--count") == 0)
			count = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--pcap") == 0)
			pcap = argv[i + 1];
		else if (strcmp(argv[i], "--seed") == 0)
			from = strtoull(argv[i + 1], NULL, 0), count = 1, single = true;
	}
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	for (uint64_t s = from; s < from + count; s++) {
		current_seed = s;
		run(s, pcap);
	}
	printf("%" PRIu64 " seeds from %" PRIu64 ": every byte as the model wants it\n", count,
	       from);
	return 0;
}
