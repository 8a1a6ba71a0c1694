/*
 * throughput: one of our stacks sends to another over a seeded wire; how fast, in the wire's time.
 * No host's noise is in it, so it says what the engine would do on a machine that is never late.
 *
 *   throughput [--delay US] [--loss PER_MILLION] [--reorder PER_MILLION --reorder-us US]
 *              [--rate BYTES_S --queue BYTES] [--bytes N] [--turn US] [--bbr 1]
 *              [--burst PER_MILLION] [--count SEEDS] [--from SEED] [--least MBIT] [--pushes N]
 *              [--rexmits N] [--trace 1] [--pcap FILE]
 *
 * Loss and reordering are on the data's way only. --turn: both hosts run only so often. Prints one
 * line of JSON, Mbit/s of the payload from the SYN on: the median and the extremes over the seeds;
 * --least: exit 1 when the median is below; --pushes, --rexmits: when more segments of a run have
 * PSH, or are sent again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/cache/write.h"
#include "host.h"
#include "link.h"

#define OBJECT   (1u << 20)
#define SEEDS    1000
#define LIMIT_US (3600ull * 1000000)

static struct {
	struct link_setup link;
	uint64_t bytes, from, turn_us, pushes, rexmits;
	unsigned count;
	double least;
	bool bbr, trace;
	const char *pcap;
} opt = {.link = {.delay_us = 10000, .mtu = 1500, .fault_way = 2},
	 .bytes = 10u << 20,
	 .from = 1,
	 .turn_us = 1,
	 .pushes = UINT64_MAX,
	 .rexmits = UINT64_MAX,
	 .count = 15};

static struct spate_cache *cache;
static struct spate_object *object;
static struct host host[2]; /* 0 receives, 1 sends */
static struct spate_sendq queue[2];
static struct spate_tcp_conn *sender;
static uint64_t queued, got, pushes, rexmits;
static bool ended;

static void die(const char *what)
{
	fprintf(stderr, "throughput: %s\n", what);
	exit(2);
}

static void fill(void)
{
	while (queued < opt.bytes && !spate_sendq_full(&queue[1])) {
		uint64_t n = opt.bytes - queued < OBJECT ? opt.bytes - queued : OBJECT;

		spate_cache_pin(cache, 1, object);
		if (spate_sendq_object(&host[1].env, &queue[1], object, 0, n) != 0)
			die("no room in the queue");
		queued += n;
	}
	spate_tcp_kick(sender);
}

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	sender = c;
	spate_tcp_attach(c, &queue[1]);
	fill();
	return true;
}

static void connected(struct spate_tcp_conn *c)
{
	spate_tcp_attach(c, &queue[0]);
}

static size_t data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	got += n;
	return n;
}

static void event(struct spate_tcp_conn *c, unsigned what)
{
	if (c == sender && (what & SPATE_TCP_EV_ACKED))
		fill();
}

static void closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	unsigned i = c == sender;

	spate_sendq_clear(&host[i].env, &queue[i]);
	if (i == 1) {
		ended = true;
		sender = NULL;
	}
}

static const struct spate_tcp_user user = {accepted, connected, data, event, closed};

static void make_object(void)
{
	struct spate_key key = {1, 1};
	struct spate_meta *meta = calloc(1, sizeof(*meta));
	uint64_t waiting, left = OBJECT;

	object = spate_cache_insert(cache, &key);
	if (object == NULL || meta == NULL ||
	    spate_cache_publish(cache, object, meta, OBJECT, INT64_MAX) != 0)
		die("no room in the cache");
	while (left > 0) {
		struct iovec iov[4];
		unsigned n;
		uint64_t room = spate_cache_room(cache, object, left, iov, 4, &n);

		for (unsigned i = 0; i < n; i++)
			memset(iov[i].iov_base, 0x5a, iov[i].iov_len);
		room = room < left ? room : left;
		spate_cache_filled(cache, object, room);
		left -= room;
	}
	if (spate_cache_complete(cache, object, &waiting) != 0)
		die("object");
}

static void hosts_init(uint64_t now)
{
	for (unsigned i = 0; i < 2; i++) {
		struct host_setup s = {.id = i + 1, .mtu = 1500, .cache = cache, .reader = i};

		spate_tcp_config_init(&s.tcp);
		s.tcp.max_conns = s.tcp.max_half_open = s.tcp.max_time_wait = 4;
		s.tcp.rcv_buf = 8 << 20;
		s.tcp.rcv_total = 32 << 20;
		if (opt.bbr)
			s.tcp.cc = SPATE_TCP_BBR;
		host_init(&host[i], &s);
		host_clock(&host[i], now);
		spate_sendq_init(&queue[i]);
	}
}

static void collect(struct link *l, unsigned from, uint64_t now)
{
	uint8_t frame[HOST_FRAME_MAX];
	size_t n;

	host_flush(&host[from]);
	while ((n = host_take(&host[from], frame)) != 0) {
		pushes += from == 1 &&
			  (frame[14 + 20 + 13] & 0x08) != 0; /* TCP's flags, behind IPv4 */
		link_send(l, now, from, 1 - from, frame, n);
	}
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void trace(uint64_t us)
{
	static uint64_t next;
	struct spate_tcp_info i;

	if (!opt.trace || sender == NULL || us < next)
		return;
	next = us + 2ull * opt.link.delay_us;
	spate_tcp_info(sender, &i);
	printf("%7.1f ms  cwnd %5u  ssthresh %10u  flight %5u  srtt %6u us  rate %6.1f Mbit/s  ca "
	       "%u  got %" PRIu64 "\n",
	       (double)us / 1e3, i.cwnd / i.mss, i.ssthresh, i.in_flight / i.mss, i.srtt_us,
	       (double)i.pacing_rate * 8 / 1e6, i.ca, got);
}

/* Mbit/s */
static double run(uint64_t seed)
{
	uint64_t start = 1000000 + seed * 977, now = start, last = start;
	struct spate_addr any = {.port = 80}, local, peer;
	struct spate_tcp_listener *listener;
	struct spate_tcp_conn *c;
	struct link link;

	got = queued = 0;
	ended = false;
	link_init(&link, &opt.link, seed, opt.pcap);
	hosts_init(now);
	host_addr(1, false, 40000, &local);
	host_addr(2, false, 80, &peer);
	if (spate_tcp_listen(host[1].t, &any, &user, NULL, &listener) != 0 ||
	    spate_tcp_connect(host[0].t, &local, &peer, &user, &c) != 0)
		die("connect");
	while (got < opt.bytes) {
		struct link_frame *f;
		uint64_t next;

		if (now - start > LIMIT_US || ended)
			die("the transfer does not end");
		for (unsigned i = 0; i < 2; i++)
			host_clock(&host[i], now);
		while ((f = link_due(&link, now)) != NULL) {
			host_input(&host[f->to], f->data, f->len);
			if (f->to == 0)
				last = now;
			free(f);
		}
		trace(now - start);
		for (unsigned i = 0; i < 2; i++)
			collect(&link, i, now);
		next = link_next(&link);
		for (unsigned i = 0; i < 2; i++)
			next = earliest(next,
					now + earliest(spate_tcp_wait_us(host[i].t), LIMIT_US));
		now = next > now ? next : now + 1;
		now = (now + opt.turn_us - 1) / opt.turn_us * opt.turn_us;
	}
	if (opt.trace)
		for (unsigned v = 0; v < SPATE_TCP_COUNTERS; v++)
			if (spate_tcp_count(host[1].t, v) != 0)
				printf("%s %" PRIu64 "\n", spate_tcp_verdict_name(v),
				       spate_tcp_count(host[1].t, v));
	rexmits += spate_tcp_count(host[1].t, SPATE_TCP_REXMIT);
	for (unsigned i = 0; i < 2; i++)
		host_finish(&host[i]);
	link_finish(&link);
	return (double)opt.bytes * 8 / (double)(last - start);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void options(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *v = argv[i + 1];
		uint64_t n = strtoull(v, NULL, 0);

#define IS(text) (strcmp(name, text) == 0)
		if (IS("--delay"))
			opt.link.delay_us = (uint32_t)n;
		else if (IS("--loss"))
			opt.link.loss = (uint32_t)n;
		else if (IS("--burst"))
			opt.link.burst_start = (uint32_t)n, opt.link.burst_end = 83000;
		else if (IS("--reorder"))
			opt.link.reorder = (uint32_t)n;
		else if (IS("--reorder-us"))
			opt.link.reorder_us = (uint32_t)n;
		else if (IS("--rate"))
			opt.link.rate = n;
		else if (IS("--queue"))
			opt.link.queue = (uint32_t)n;
		else if (IS("--bytes"))
			opt.bytes = n;
		else if (IS("--turn"))
			opt.turn_us = n;
		else if (IS("--count"))
			opt.count = n < SEEDS ? (unsigned)n : SEEDS;
		else if (IS("--from"))
			opt.from = n;
		else if (IS("--pushes"))
			opt.pushes = n;
		else if (IS("--rexmits"))
			opt.rexmits = n;
		else if (IS("--least"))
			opt.least = atof(v);
		else if (IS("--bbr"))
			opt.bbr = n != 0;
		else if (IS("--trace"))
			opt.trace = n != 0;
		else if (IS("--pcap"))
			opt.pcap = v;
		else
			die("see the top of throughput.c");
#undef IS
	}
	if (opt.count == 0 || opt.bytes == 0 || opt.turn_us == 0)
		die("nothing to do");
}

int main(int argc, char **argv)
{
	static double mbit[SEEDS];

	options(argc, argv);
	if (spate_cache_create(&cache, 16 << 20, 0, 2) != 0)
		die("no memory");
	spate_cache_online(cache, 0);
	spate_cache_online(cache, 1);
	make_object();
	for (unsigned i = 0; i < opt.count; i++)
		mbit[i] = run(opt.from + i);
	qsort(mbit, opt.count, sizeof(mbit[0]), by_value);
	printf("{\"delay_us\": %u, \"loss\": %u, \"seeds\": %u, \"mbit\": %.3f, \"low\": %.3f, "
	       "\"high\": %.3f, \"pushes\": %" PRIu64 ", \"rexmits\": %" PRIu64 "}\n",
	       opt.link.delay_us, opt.link.loss, opt.count, mbit[opt.count / 2], mbit[0],
	       mbit[opt.count - 1], pushes / opt.count, rexmits / opt.count);
	return mbit[opt.count / 2] < opt.least || pushes / opt.count > opt.pushes ||
	       rexmits / opt.count > opt.rexmits;
}
