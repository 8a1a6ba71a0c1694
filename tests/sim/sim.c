/*
 * sim: two of our stacks over a seeded, impaired wire. Everything follows from the seed: sizes,
 * options, delays, losses, who closes first, who pauses. The streams must arrive byte-exact, every
 * connection must end, nothing may leak, and tcp_check holds after each step.
 *
 *   sim --from N --count M          runs seeds N..N+M-1
 *   sim --seed N [--pcap FILE]      one seed again, with its story, and the wire in FILE
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/cache/write.h"
#include "host.h"
#include "link.h"

#define FLOWS    4
#define CHUNKS   64
#define OBJECT   (256u << 10)
#define LIMIT_US (4ull * 3600 * 1000000)
#define STEPS    3000000u

#define REQUIRE(cond, ...)                                                              \
	do {                                                                            \
		if (!(cond)) {                                                          \
			fprintf(stderr, "sim: %s:%d: %s: ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__);                                   \
			fprintf(stderr, "\n");                                          \
			abort();                                                        \
		}                                                                       \
	} while (0)

struct chunk {
	bool object;
	uint32_t off, len; /* off: in the object */
};

struct plan {
	struct chunk chunk[CHUNKS];
	unsigned n;
	uint64_t total;
};

struct side {
	struct flow *flow;
	struct side *peer;
	struct spate_tcp_conn *c;
	struct spate_sendq q;
	struct plan plan;
	unsigned queued;    /* chunks */
	unsigned got_chunk; /* of the peer's plan: where the next byte belongs */
	uint32_t got_in_chunk;
	uint64_t got;
	unsigned host;
	bool wait_eof; /* finishes only after the peer */
	bool dry, eof, finished, closed, started, aborts, aborted;
	uint64_t abort_at; /* bytes received */
	uint32_t pause;    /* per million, a call of data */
	enum spate_tcp_close_why why;
};

struct flow {
	struct side side[2]; /* 0: client on host 0, 1: server on host 1 */
	unsigned id;
	uint64_t salt;
};

struct world {
	struct host host[2];
	struct link link;
	struct rng rng;
	uint64_t now;
	struct flow flow[FLOWS];
	unsigned flows;
	struct spate_object *object;
	uint32_t filled;
	uint64_t next_fill, mtu_at;
	uint32_t fail_at; /* the fill fails when so many bytes are there; 0: it does not */
	bool failed;
	uint16_t mtu_then;
	bool v6, detours; /* routes that change between two ports of a host, in the midst of it */
};

static struct spate_cache *cache;
static struct world *w; /* the engine's callbacks have no other way to it than the connection */
static uint64_t current_seed;
static bool single;

static uint8_t object_byte(uint32_t off)
{
	return (uint8_t)(off * 7 + (off >> 8) * 13 + (off >> 16) * 29 + 5);
}

static uint8_t stream_byte(const struct side *s, unsigned chunk, uint32_t off)
{
	return (uint8_t)(s->flow->salt >> (s->host * 8)) + (uint8_t)(off * 3 + chunk * 101);
}

static uint8_t plan_byte(const struct side *from, unsigned chunk, uint32_t in_chunk)
{
	const struct chunk *k = &from->plan.chunk[chunk];

	return k->object ? object_byte(k->off + in_chunk) : stream_byte(from, chunk, in_chunk);
}

/* --- the application on each side --- */

static void maybe_finish(struct side *s)
{
	if (s->finished || s->queued != s->plan.n || (s->wait_eof && !s->eof))
		return;
	s->finished = true;
	spate_tcp_finish(s->c);
}

static void fill(struct side *s)
{
	while (s->queued < s->plan.n && !spate_sendq_full(&s->q)) {
		const struct chunk *k = &s->plan.chunk[s->queued];
		struct spate_sendq_env *env = &w->host[s->host].env;

		if (k->object) {
			spate_cache_pin(cache, s->host, w->object);
			REQUIRE(spate_sendq_object(env, &s->q, w->object, k->off, k->len) == 0,
				"pool");
		} else {
			uint8_t buf[4096];

			for (uint32_t i = 0; i < k->len; i++)
				buf[i] = stream_byte(s, s->queued, i);
			REQUIRE(spate_sendq_bytes(env, &s->q, buf, k->len) == 0, "pool");
		}
		s->queued++;
	}
	spate_tcp_kick(s->c);
	maybe_finish(s);
}

static struct side *side_of(struct spate_tcp_conn *c)
{
	return *(struct side **)spate_tcp_user_of(c);
}

static void start(struct side *s, struct spate_tcp_conn *c)
{
	s->c = c;
	s->started = true;
	*(struct side **)spate_tcp_user_of(c) = s;
	spate_sendq_init(&s->q);
	spate_tcp_attach(c, &s->q);
	fill(s);
}

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	struct spate_addr local, peer;

	spate_tcp_addrs(c, &local, &peer);
	REQUIRE(peer.port >= 40000 && peer.port < 40000 + w->flows, "port %u", peer.port);
	struct side *s = &w->flow[peer.port - 40000].side[1];

	if (s->started) {
		/* A cookie may come back late, when its connection has ended already. */
		REQUIRE(spate_tcp_count(w->host[1].t, SPATE_TCP_COOKIE_TAKEN) > 1 && s->closed,
			"accepted twice");
		return false;
	}
	start(s, c);
	return true;
}

static void connected(struct spate_tcp_conn *c)
{
	start(side_of(c), c);
}

static size_t data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	struct side *s = side_of(c);
	const struct side *from = s->peer;
	size_t take = n;

	if (s->aborts && s->got >= s->abort_at && !s->aborted) {
		s->aborted = true;
		spate_tcp_abort(c);
		return n;
	}
	if (rng_chance(&w->rng, s->pause)) {
		take = rng_below(&w->rng, (uint32_t)n);
		spate_tcp_timer(c, 1 + rng_below(&w->rng, 300));
	}
	for (size_t i = 0; i < take; i++) {
		while (s->got_chunk < from->plan.n &&
		       s->got_in_chunk == from->plan.chunk[s->got_chunk].len) {
			s->got_chunk++;
			s->got_in_chunk = 0;
		}
		REQUIRE(s->got_chunk < from->plan.n, "more bytes than were sent");
		REQUIRE(p[i] == plan_byte(from, s->got_chunk, s->got_in_chunk),
			"flow %u side %u: wrong byte at %" PRIu64, s->flow->id, s->host, s->got);
		s->got_in_chunk++;
		s->got++;
	}
	return take;
}

static void event(struct spate_tcp_conn *c, unsigned what)
{
	struct side *s = side_of(c);

	if (what & SPATE_TCP_EV_TIMER)
		spate_tcp_resume(c);
	if (what & SPATE_TCP_EV_EOF) {
		REQUIRE(!s->eof, "eof twice");
		REQUIRE(s->got == s->peer->plan.total, "eof after %" PRIu64 " of %" PRIu64, s->got,
			s->peer->plan.total);
		s->eof = true;
	}
	if (what & SPATE_TCP_EV_DRY) {
		uint64_t off;

		REQUIRE(spate_tcp_dry(c, &off) == w->object || w->failed, "dry at what?");
		s->dry = true;
	}
	if (what & SPATE_TCP_EV_ACKED)
		fill(s);
	else
		maybe_finish(s);
}

static void closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	struct side *s = side_of(c);

	REQUIRE(!s->closed, "closed twice");
	s->closed = true;
	s->why = why;
	s->c = NULL;
	if (s->started)
		spate_sendq_clear(&w->host[s->host].env, &s->q);
}

static const struct spate_tcp_user user = {accepted, connected, data, event, closed};

/* --- a world from a seed --- */

static uint32_t log_below(struct rng *r, uint32_t low, uint32_t high)
{
	double span = (double)high / low, x = rng_below(r, 1 << 20) / (double)(1 << 20);
	double v = low;

	/* low * span^x, by squaring halves: no libm, so no two machines differ */
	for (double step = 0.5, root = span; step > 1e-3; step /= 2) {
		double lo = 1, hi = root;

		for (int i = 0; i < 60; i++) {
			double mid = (lo + hi) / 2;

			if (mid * mid < root)
				lo = mid;
			else
				hi = mid;
		}
		root = lo;
		if (x >= step) {
			x -= step;
			v *= root;
		}
	}
	return (uint32_t)v;
}

static bool one_in(struct rng *r, uint32_t n)
{
	return rng_below(r, n) == 0;
}

static void make_link(struct world *world, struct link_setup *l)
{
	struct rng *r = &world->rng;

	*l = (struct link_setup){.delay_us = log_below(r, 50, 100000), .mtu = 1500};
	if (one_in(r, 2))
		l->jitter_us = rng_below(r, l->delay_us);
	if (one_in(r, 2)) {
		l->rate = log_below(r, 50000, 500000000);
		l->queue = log_below(r, 20000, 1000000);
	}
	if (one_in(r, 2))
		l->loss = log_below(r, 1000, 60000);
	if (one_in(r, 4)) {
		l->burst_start = log_below(r, 500, 10000);
		l->burst_end = log_below(r, 100000, 500000);
	}
	if (one_in(r, 3)) {
		l->reorder = log_below(r, 1000, 300000);
		l->reorder_us = log_below(r, 50, 50000);
	}
	if (one_in(r, 4))
		l->duplicate = log_below(r, 1000, 100000);
	if (one_in(r, 4))
		l->corrupt = log_below(r, 1000, 30000);
	if (one_in(r, 4))
		l->mark = log_below(r, 1000, 100000);
	if (one_in(r, 8)) {
		world->mtu_at = world->now + log_below(r, 1000, 3000000);
		world->mtu_then = (uint16_t)(1280 + rng_below(r, 200));
	}
	world->detours = one_in(r, 8);
}

static void make_config(struct world *world, struct spate_tcp_config *cfg)
{
	struct rng *r = &world->rng;

	spate_tcp_config_init(cfg);
	cfg->max_conns = 8;
	cfg->max_time_wait = 8;
	cfg->user_bytes = sizeof(struct side *);
	cfg->max_half_open = one_in(r, 8) ? 1 : 8;
	cfg->rcv_buf = log_below(r, 4096, 1 << 20);
	cfg->rcv_total = one_in(r, 8) ? 32 << 10 : 8 << 20;
	cfg->max_runs = 4096;
	cfg->conn_runs = one_in(r, 8) ? 4 : 1024;
	cfg->init_window = one_in(r, 4) ? 1 + rng_below(r, 10) : 10;
	cfg->give_up_us = 1800000000;
	cfg->persist_us = 1800000000;
	cfg->fin_wait_2_us = 600000000;
	cfg->syn_retries = cfg->synack_retries = 12;
	cfg->rto_max_us = 10000000;
	cfg->keepalive_s = 30;
	cfg->keepalive_interval_s = 5;
	cfg->cc = one_in(r, 4) ? SPATE_TCP_BBR : SPATE_TCP_CUBIC;
	cfg->sack = !one_in(r, 5);
	cfg->timestamps = !one_in(r, 4);
	cfg->wscale = !one_in(r, 5);
	cfg->ecn = !one_in(r, 3);
	cfg->pacing = !one_in(r, 3);
	cfg->hystart = !one_in(r, 4);
	cfg->cookies_always = one_in(r, 8);
	for (unsigned i = 0; i < sizeof cfg->secret; i++)
		cfg->secret[i] = (uint8_t)rng_next(r);
}

static void make_plan(struct rng *r, struct plan *p, uint32_t upto)
{
	uint32_t want = one_in(r, 8) ? 0 : log_below(r, 1, upto);

	p->n = 0;
	p->total = 0;
	while (p->total < want && p->n < CHUNKS) {
		struct chunk *k = &p->chunk[p->n++];

		k->object = one_in(r, 3);
		k->len = 1 + rng_below(r, k->object ? 100000 : 4000);
		if (k->len > want - p->total)
			k->len = (uint32_t)(want - p->total);
		k->off = k->object ? rng_below(r, OBJECT - k->len) : 0;
		p->total += k->len;
	}
}

static void grow_object(uint32_t n)
{
	uint64_t waiting;

	while (n > 0 && w->filled < OBJECT) {
		struct iovec iov[4];
		unsigned k;
		uint64_t got = spate_cache_room(cache, w->object, n, iov, 4, &k), at = w->filled;

		REQUIRE(got != 0, "cache");
		for (unsigned i = 0; i < k; i++)
			for (size_t b = 0; b < iov[i].iov_len; b++)
				((uint8_t *)iov[i].iov_base)[b] = object_byte((uint32_t)at++);
		if (got > OBJECT - w->filled)
			got = OBJECT - w->filled;
		if (got > n)
			got = n;
		spate_cache_filled(cache, w->object, got);
		w->filled += (uint32_t)got;
		n -= (uint32_t)got;
	}
	if (w->filled == OBJECT && atomic_load(&w->object->state) == SPATE_OBJECT_FILLING)
		REQUIRE(spate_cache_complete(cache, w->object, &waiting) == 0, "complete");
}

static void make_object(void)
{
	struct spate_key key = {w->rng.s, 1};
	struct spate_meta *meta = calloc(1, sizeof *meta);

	w->object = spate_cache_insert(cache, &key);
	REQUIRE(w->object != NULL && meta != NULL, "cache");
	REQUIRE(spate_cache_publish(cache, w->object, meta, OBJECT, INT64_MAX) == 0, "publish");
	w->filled = 0;
	grow_object(one_in(&w->rng, 2) ? OBJECT : 1 + rng_below(&w->rng, OBJECT));
	w->next_fill = w->filled == OBJECT ? UINT64_MAX : w->now;
	if (one_in(&w->rng, 20))
		w->fail_at = rng_below(&w->rng, OBJECT);
}

static void fill_step(void)
{
	uint64_t waiting;

	if (w->now < w->next_fill)
		return;
	if (w->fail_at != 0 && w->filled >= w->fail_at) {
		/* Whoever still has an extent of it beyond `filled` is reset (SPATE_TCP_SHORT). */
		spate_cache_fail(cache, w->object, &waiting);
		w->failed = true;
		w->filled = OBJECT;
	} else {
		grow_object(1 + rng_below(&w->rng, 40000));
	}
	w->next_fill = w->filled == OBJECT ? UINT64_MAX : w->now + 1000 + rng_below(&w->rng, 50000);
	for (unsigned i = 0; i < 2 * w->flows; i++) {
		struct side *s = &w->flow[i / 2].side[i % 2];

		if (s->dry && s->c != NULL)
			spate_tcp_kick(s->c);
		s->dry = false;
	}
}

static void make_flows(bool cookies)
{
	struct rng *r = &w->rng;
	uint32_t upto = one_in(r, 10) ? 400000 : 60000;

	w->flows = one_in(r, 3) ? 1 + rng_below(r, FLOWS) : 1;
	for (unsigned i = 0; i < w->flows; i++) {
		struct flow *f = &w->flow[i];

		f->id = i;
		f->salt = rng_next(r);
		for (unsigned k = 0; k < 2; k++) {
			struct side *s = &f->side[k];

			s->flow = f;
			s->peer = &f->side[1 - k];
			s->host = k;
			s->pause = one_in(r, 5) ? 1000 + rng_below(r, 200000) : 0;
			/* A client that says nothing waits for ever if the ACK that brings its
			 * cookie back is lost: known of cookies, not ours to mend. */
			do
				make_plan(r, &s->plan, one_in(r, 3) ? upto : 3000 + k * upto);
			while (k == 0 && cookies && s->plan.total == 0);
		}
		if (one_in(r, 2))
			f->side[rng_below(r, 2)].wait_eof = true;
		if (one_in(r, 20)) {
			struct side *s = &f->side[rng_below(r, 2)];

			s->aborts = true;
			s->abort_at = rng_below(r, 20000);
		}
	}
}

static void connect_all(void)
{
	for (unsigned i = 0; i < w->flows; i++) {
		struct spate_addr local, peer;
		struct side *s = &w->flow[i].side[0];

		host_addr(1, w->v6, (uint16_t)(40000 + i), &local);
		host_addr(2, w->v6, 80, &peer);
		REQUIRE(spate_tcp_connect(w->host[0].t, &local, &peer, &user, &s->c) == 0,
			"connect");
		*(struct side **)spate_tcp_user_of(s->c) = s;
	}
}

static void collect(unsigned from)
{
	uint8_t frame[HOST_FRAME_MAX];
	size_t n;

	while ((n = host_take(&w->host[from], frame)) != 0)
		if (!link_send(&w->link, w->now, from, 1 - from, frame, n))
			host_too_big(&w->host[from], frame, w->link.setup.mtu);
}

static void step(void)
{
	struct link_frame *f;

	for (unsigned i = 0; i < 2; i++)
		host_clock(&w->host[i], w->now);
	if (w->detours && one_in(&w->rng, 50)) {
		struct host *h = &w->host[rng_below(&w->rng, 2)];

		h->detour = !h->detour;
		host_path_changed(h);
	}
	if (w->mtu_at != 0 && w->now >= w->mtu_at) {
		w->link.setup.mtu = w->mtu_then;
		w->mtu_at = 0;
	}
	fill_step();
	while ((f = link_due(&w->link, w->now)) != NULL) {
		host_input(&w->host[f->to], f->data, f->len);
		free(f);
	}
	for (unsigned i = 0; i < 2; i++) {
		host_flush(&w->host[i]);
		collect(i);
		/* What a PTB changed goes out at once. */
		host_flush(&w->host[i]);
		collect(i);
		spate_tcp_check_all(w->host[i].t);
	}
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_time(void)
{
	uint64_t next = link_next(&w->link);

	for (unsigned i = 0; i < 2; i++) {
		uint64_t wait = spate_tcp_wait_us(w->host[i].t);

		if (wait != UINT64_MAX)
			next = earliest(next, w->now + wait);
	}
	next = earliest(next, w->next_fill);
	return next > w->now ? next : w->now + 1;
}

static bool all_closed(void)
{
	for (unsigned i = 0; i < w->flows; i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct side *s = &w->flow[i].side[k];

			/* A server side that never came to be, because its client gave up first. */
			if (!s->closed && (s->started || k == 0))
				return false;
		}
	return true;
}

static void story(const struct link_setup *l, const struct spate_tcp_config *c)
{
	printf("%s, delay %u us jitter %u, rate %" PRIu64
	       " queue %u, loss %u/M burst %u/%u, reorder %u by %u us, "
	       "dup %u, corrupt %u, mark %u, mtu -> %u\n",
	       w->v6 ? "IPv6" : "IPv4", l->delay_us, l->jitter_us, l->rate, l->queue, l->loss,
	       l->burst_start, l->burst_end, l->reorder, l->reorder_us, l->duplicate, l->corrupt,
	       l->mark, w->mtu_then);
	for (int i = 0; i < 2; i++)
		printf("host %d: rcv_buf %u rcv_total %u runs %u iw %u cc %d sack %d ts %d ws %d "
		       "ecn %d pacing %d "
		       "cookies %d tso_max %u\n",
		       i + 1, c[i].rcv_buf, c[i].rcv_total, c[i].conn_runs, c[i].init_window,
		       c[i].cc, c[i].sack, c[i].timestamps, c[i].wscale, c[i].ecn, c[i].pacing,
		       c[i].cookies_always, w->host[i].port.caps.tso_max);
	for (unsigned i = 0; i < w->flows; i++)
		for (unsigned k = 0; k < 2; k++) {
			const struct side *s = &w->flow[i].side[k];

			printf("flow %u %s: sends %" PRIu64 " in %u chunks, pause %u/M%s%s\n", i,
			       k ? "server" : "client", s->plan.total, s->plan.n, s->pause,
			       s->wait_eof ? ", finishes last" : "", s->aborts ? ", aborts" : "");
		}
}

static void verify(void)
{
	for (unsigned i = 0; i < w->flows; i++) {
		const struct flow *f = &w->flow[i];
		bool aborted = f->side[0].aborted || f->side[1].aborted || w->failed;

		for (unsigned k = 0; k < 2; k++) {
			const struct side *s = &f->side[k];

			if (aborted)
				continue;
			REQUIRE(s->started && s->closed, "flow %u side %u: started %d closed %d", i,
				k, s->started, s->closed);
			REQUIRE(s->why == SPATE_TCP_DONE, "flow %u side %u: closed for %d", i, k,
				s->why);
			REQUIRE(s->got == s->peer->plan.total, "flow %u side %u: got %" PRIu64, i,
				k, s->got);
		}
	}
}

static void counters(unsigned i)
{
	for (unsigned v = 0; v < SPATE_TCP_COUNTERS; v++)
		if (spate_tcp_count(w->host[i].t, v) != 0)
			printf("  host %u %s %" PRIu64 "\n", i + 1, spate_tcp_verdict_name(v),
			       spate_tcp_count(w->host[i].t, v));
}

static void run(uint64_t seed, const char *pcap)
{
	struct link_setup l;
	struct spate_tcp_config cfg[2];
	struct spate_tcp_listener *listener;
	struct spate_addr any = {.port = 80};
	uint32_t steps = 0;
	uint64_t from;

	w = calloc(1, sizeof *w);
	REQUIRE(w != NULL, "memory");
	w->rng.s = seed * 0x2545f4914f6cdd1dull + 1;
	w->now = 1000000 + (rng_next(&w->rng) >> 24);
	w->v6 = one_in(&w->rng, 3);
	make_link(w, &l);
	link_init(&w->link, &l, seed, pcap);
	for (unsigned i = 0; i < 2; i++) {
		struct host_setup s = {.id = i + 1,
				       .mtu = 1500,
				       .tso = one_in(&w->rng, 3),
				       .cache = cache,
				       .reader = i};

		make_config(w, &s.tcp);
		cfg[i] = s.tcp;
		host_init(&w->host[i], &s);
		spate_cache_online(cache, i);
		host_clock(&w->host[i], w->now);
	}
	make_object();
	make_flows(cfg[1].cookies_always || cfg[1].max_half_open == 1);
	if (single)
		story(&l, cfg);
	REQUIRE(spate_tcp_listen(w->host[1].t, &any, &user, NULL, &listener) == 0, "listen");
	connect_all();
	from = w->now;
	for (;;) {
		step();
		if (all_closed() && w->link.n == 0)
			break;
		REQUIRE(++steps < STEPS, "no end after %u steps", steps);
		w->now = next_time();
		REQUIRE(w->now - from < LIMIT_US, "no end after %" PRIu64 " s",
			(w->now - from) / 1000000);
	}
	if (single)
		printf("%u steps, %.3f s, %" PRIu64 " frames, %" PRIu64 " lost\n", steps,
		       (double)(w->now - from) / 1e6, w->link.sent, w->link.lost);
	verify();
	/* What is left is TIME-WAIT, and half-open ones whose client has gone. */
	for (int i = 0; i < 40; i++) {
		w->now += 10000000;
		step();
	}
	for (unsigned i = 0; i < 2; i++) {
		struct spate_tcp_usage u;

		spate_tcp_usage(w->host[i].t, &u);
		REQUIRE(u.conns == 0 && u.half_open == 0 && u.time_wait == 0 && u.runs == 0 &&
				u.held_nodes == 0,
			"host %u: conns %u half open %u time wait %u runs %u nodes %u", i, u.conns,
			u.half_open, u.time_wait, u.runs, u.held_nodes);
		REQUIRE(w->host[i].bytes_pool.used == 0 && w->host[i].range_pool.used == 0,
			"queue nodes");
		if (single)
			counters(i);
		host_finish(&w->host[i]);
		spate_cache_quiesce(cache, i);
		spate_cache_offline(cache, i);
	}
	grow_object(OBJECT);
	if (!w->failed)
		spate_cache_remove(cache, w->object);
	spate_cache_release(cache, w->object);
	REQUIRE(spate_cache_reclaim(cache) == 0, "a pin was left on the object");
	link_finish(&w->link);
	free(w);
}

static char *self;

/* The failing seed once more, for its pcap. */
static void on_abort(int sig)
{
	char seed[32], file[64];

	snprintf(seed, sizeof seed, "%" PRIu64, current_seed);
	snprintf(file, sizeof file, "sim-%" PRIu64 ".pcap", current_seed);
	if (single) {
		counters(0);
		counters(1);
		fflush(stdout);
		_exit(1);
	}
	fprintf(stderr,
		"sim: seed %s failed. Again: %s --seed %s --pcap %s (its wire is being written "
		"there)\n",
		seed, self, seed, file);
	fflush(stderr);
	sigset_t none;

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
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGABRT, on_abort);
	signal(SIGSEGV, on_abort);
	if (spate_cache_create(&cache, 64 << 20, 0, 2) != 0)
		return 1;
	for (uint64_t s = from; s < from + count; s++) {
		current_seed = s;
		run(s, pcap);
	}
	printf("%" PRIu64 " seeds from %" PRIu64 ": all streams exact, all connections ended\n",
	       count, from);
	spate_cache_destroy(cache);
	return 0;
}
