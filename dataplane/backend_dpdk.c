/*
 * backend_dpdk.c: the loop of backend_dpdk.h, and when to sleep.
 *
 *     turn:   clock ─► rx burst of each port ─► net ─► tcp input ─► rx_free ─► timers
 *     (worker: control's messages)
 *     flush:  tcp cuts segments, as many as the port takes ─► tx bursts
 *
 * Sleeping. A device cannot wake us (few of them can, and none of the vdevs), so an idle worker
 * sleeps in steps that grow from SLEEP_MIN_US to SLEEP_MAX_US: a packet waits one step at most,
 * and an edge that was busy a moment ago is still spinning. docs/design/port.md has what a
 * wake-up costs.
 *
 *     since the last packet:   0 .... SPIN_US     then
 *                              no sleep           5 us, 10, 20, ... 500 us; any packet: back to 0
 */
#include "dataplane/backend_dpdk.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <immintrin.h>

#include "dataplane/net/lower.h"
#include "dataplane/port/eal.h"
#include "dataplane/stream/net_dgram.h"
#include "dataplane/stream/tcp.h"

#define SPIN_US       100u
#define SLEEP_MIN_US  5u
#define SLEEP_MAX_US  500u
#define WALL_EVERY_US 10000u
#define TAP_EVERY_US  200u
#define TAP_BATCH     16
#define TAP_BYTES     9728
/*
 * As long as the socket backend goes on reading once its FIN is out: a viewer who does not close
 * holds no connection of the limit for longer.
 */
#define FIN_WAIT_2_US 2000000u

struct backend {
	struct spate_net *net;
	struct spate_tcp *tcp;
	struct spate_stream_tcp *streams;
	struct spate_net_dgram *dgrams; /* NULL: nobody listens */
	struct spate_port *port[SPATE_NET_IFACES];
	unsigned nports;
	bool spin, thread_ready;
	uint32_t sleep_us;
	uint64_t busy_us; /* when the last packet came */
	uint64_t net_due_us, wall_due_us;
	struct spate_strays *strays;
	unsigned hops;                /* of what is being taken in; 0: from a port */
	int tap_fd[SPATE_NET_IFACES]; /* -1: none */
	bool taps;
	uint64_t tap_due_us;
	uint8_t tap_buf[TAP_BATCH][TAP_BYTES];
	struct spate_net_in in;
	struct spate_pkt_rx pkts[SPATE_BURST];
	uint8_t scratch[SPATE_NET_SCRATCH];
};

static struct backend *of(const struct spate_worker *w)
{
	return w->backend;
}

static void set_gauge(_Atomic uint64_t *g, uint64_t v)
{
	atomic_store_explicit(g, v, memory_order_relaxed);
}

static void show_usage(struct spate_worker *w)
{
	struct spate_tcp_usage u;

	spate_tcp_usage(of(w)->tcp, &u);
	set_gauge(&w->stats->tcp_conns, u.conns);
	set_gauge(&w->stats->tcp_half_open, u.half_open);
	set_gauge(&w->stats->tcp_time_wait, u.time_wait);
	set_gauge(&w->stats->tcp_runs, u.runs);
	set_gauge(&w->stats->tcp_held, u.held_nodes);
}

static void read_clock(struct spate_worker *w)
{
	struct backend *b = of(w);
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	w->now_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	if (w->now_us < b->wall_due_us)
		return;
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	w->wall_s = ts.tv_sec;
	b->wall_due_us = w->now_us + WALL_EVERY_US;
	show_usage(w);
}

static int add_port(struct backend *b, const struct spate_worker *w, const struct spate_dpdk_if *f,
		    const char **why)
{
	struct spate_net_iface_setup is = {.port = f->port,
					   .queue = w->id,
					   .vlan = f->vlan,
					   .quiet = w->id != 0,
					   .routers = f->routers};
	int i = spate_net_add_iface(b->net, &is), err;

	*why = "dpdk.ports: too many, or a VLAN tag over 4094";
	if (i < 0)
		return i;
	b->tap_fd[b->nports] = f->tap_fd;
	b->port[b->nports++] = f->port;
	for (unsigned k = 0; k < f->naddresses; k++) {
		err = spate_net_add_address(b->net, (unsigned)i, f->addresses[k].ip,
					    f->addresses[k].prefix);
		*why = err == -ENOSPC   ? "dpdk.ports: too many addresses"
		       : err == -EEXIST ? "dpdk.ports: the same address twice"
					: "dpdk.ports: an address that no host can have";
		if (err != 0)
			return err;
	}
	for (unsigned k = 0; k < f->nroutes; k++) {
		const struct spate_dpdk_route *r = &f->routes[k];

		*why = "dpdk.ports: a route by a gateway that is on none of the port's networks";
		err = spate_net_add_route(b->net, (unsigned)i, r->dst, r->prefix, r->via);
		if (err != 0)
			return err;
	}
	return 0;
}

/* What is not ours goes to the kernel; when its queue is full, as on any wire. */
static void to_tap(void *ctx, unsigned iface, const struct spate_pkt_rx *pkt)
{
	struct backend *b = ctx;

	if (b->tap_fd[iface] >= 0 && pkt->rest == 0 &&
	    write(b->tap_fd[iface], pkt->data, pkt->len) < 0)
		return;
}

/* And what the kernel sends there goes out as it is. Worker 0 only: its queue is as good as any. */
static void from_tap(struct backend *b, unsigned i)
{
	struct spate_txq *q = &spate_net_hot(b->net)->iface[i]->txq;

	for (unsigned k = 0; k < TAP_BATCH; k++) {
		ssize_t n = read(b->tap_fd[i], b->tap_buf[k], TAP_BYTES);
		struct spate_pkt_tx *tx;

		if (n < 14 || (tx = spate_txq_next(q)) == NULL)
			break;
		uint32_t head = n < SPATE_PKT_HEAD ? (uint32_t)n : SPATE_PKT_HEAD;

		memcpy(tx->head, b->tap_buf[k], head);
		tx->head_len = (uint16_t)head;
		tx->l2_len = 14;
		tx->l3_len = tx->l4_len = tx->flags = 0;
		tx->tso_mss = 0;
		tx->nfrags = (uint32_t)n > head;
		tx->frag_len = (uint32_t)n - head;
		tx->frag[0] = (struct iovec){b->tap_buf[k] + head, tx->frag_len};
		spate_txq_push(q);
	}
	spate_txq_flush(q); /* copied by now: the next port reads into the same buffers */
}

static void serve_taps(struct spate_worker *w)
{
	struct backend *b = of(w);

	b->tap_due_us = w->now_us + TAP_EVERY_US;
	for (unsigned i = 0; i < b->nports; i++)
		if (b->tap_fd[i] >= 0)
			from_tap(b, i);
}

static int start_tcp(struct backend *b, struct spate_worker *w, const struct spate_dpdk_setup *s,
		     const char **why)
{
	struct spate_tcp_config cfg;
	struct spate_tcp_lower lower;
	int err;

	spate_tcp_config_init(&cfg);
	cfg.cc = s->congestion;
	cfg.fin_wait_2_us = FIN_WAIT_2_US;
	/* Some more than the limit: those over it are refused in order, not left unanswered. And a
	 * flood of SYNs takes none of those that viewers need: at max_half_open cookies begin. */
	cfg.max_conns = w->config->max_connections + w->config->max_connections / 8 + 64 +
			cfg.max_half_open;
	cfg.user_bytes = spate_stream_tcp_bytes();
	*why = "no random bytes";
	if (getrandom(cfg.secret, sizeof(cfg.secret), 0) != sizeof(cfg.secret))
		return -EIO;
	spate_net_lower(b->net, &lower);
	*why = "no memory for connections";
	err = spate_tcp_create(&b->tcp, &cfg, &lower, &w->sendq, w->stats);
	if (err != 0)
		return err;
	return spate_stream_tcp_open(w, b->tcp, s->listeners, s->nlisteners, &b->streams, why);
}

static void free_backend(struct spate_worker *w)
{
	struct backend *b = of(w);

	if (b->dgrams != NULL)
		spate_net_dgram_close(b->dgrams);
	if (b->streams != NULL)
		spate_stream_tcp_close(b->streams);
	if (b->tcp != NULL)
		spate_tcp_destroy(b->tcp);
	if (b->net != NULL) {
		spate_net_flush(b->net);
		spate_net_destroy(b->net);
	}
	free(b);
	w->backend = NULL;
}

static int dpdk_open(struct spate_worker *w, const void *backend_setup, const char **why)
{
	const struct spate_dpdk_setup *s = backend_setup;
	struct spate_net_setup ns = {.board = s->board, .worker = w->id};
	struct backend *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);
	uint16_t ports[64];
	int err = 0;

	*why = "out of memory";
	if (b == NULL)
		return -ENOMEM;
	memset(b, 0, sizeof(*b));
	b->spin = s->spin;
	b->sleep_us = SLEEP_MIN_US;
	b->strays = s->strays;
	w->backend = b;
	for (unsigned i = 0; i < s->nifs; i++)
		b->taps |= s->ifs[i].tap_fd >= 0;
	for (unsigned i = 0; b->taps && i < s->nlisteners && i < 64; i++)
		ports[i] = s->listeners[i].addr.port;
	if (b->taps) {
		ns.exception = to_tap;
		ns.exception_ctx = b;
		ns.tcp_ports = ports;
		ns.ntcp_ports = s->nlisteners < 64 ? s->nlisteners : 64;
	}
	b->taps &= w->id == 0;
	if (getrandom(&ns.seed, sizeof(ns.seed), 0) != sizeof(ns.seed))
		ns.seed = w->now_us;
	ns.stats = w->stats;
	b->net = spate_net_create(&ns);
	if (b->net == NULL)
		err = -ENOMEM;
	for (unsigned i = 0; err == 0 && i < s->nifs; i++)
		err = add_port(b, w, &s->ifs[i], why);
	if (err == 0)
		err = start_tcp(b, w, s, why);
	if (err == 0)
		err = spate_net_dgram_open(w, b->net, s->dgrams, s->ndgrams, &b->dgrams, why);
	if (err != 0)
		free_backend(w);
	return err;
}

/* What only the worker's own thread can do. */
static void first_turn(struct spate_worker *w)
{
	struct backend *b = of(w);

	b->thread_ready = true;
	spate_eal_thread();
	prctl(PR_SET_TIMERSLACK, 1UL); /* the default of 50 us would be most of a short sleep */
	spate_net_watch_links(b->net, w->now_us);
}

/*
 * One that nobody here knows goes to the next worker. Once all have seen it, it is ours to answer:
 * the hash sent it here.
 */
static bool hand_on(struct spate_worker *w, const struct spate_seg *s,
		    const struct spate_tcp_in *in)
{
	struct backend *b = of(w);
	unsigned n = spate_strays_workers(b->strays);

	if (b->hops == n || spate_tcp_knows(b->tcp, in))
		return false;
	if (s->pkt->rest == 0 && spate_strays_put(b->strays, (w->id + 1) % n, s->iface, b->hops + 1,
						  s->pkt->data, s->pkt->len))
		SPATE_COUNT(w->stats, tcp_strays);
	else
		SPATE_COUNT(w->stats, tcp_strays_dropped);
	return true;
}

/* Segments in one buffer go as a burst; one that has to be put together has the only scratch. */
static void tcp_input(struct spate_worker *w)
{
	struct backend *b = of(w);
	struct spate_tcp_in in[SPATE_BURST];
	unsigned n = 0;

	static_assert(SPATE_BURST <= SPATE_TCP_BURST, "a burst is a burst");
	for (unsigned k = 0; k < b->in.ntcp; k++) {
		const struct spate_seg *s = &b->in.tcp[k];
		bool whole = s->l4_near == s->len;

		if (!spate_net_tcp_in(b->net, s, b->scratch, &in[n]))
			continue;
		if (__builtin_expect(b->strays != NULL, 0) && hand_on(w, s, &in[n]))
			continue;
		n++;
		if (!whole) {
			w->burst++;
			spate_tcp_input_burst(b->tcp, in, n);
			n = 0;
		}
	}
	w->burst++;
	if (n != 0)
		spate_tcp_input_burst(b->tcp, in, n);
}

static unsigned receive(struct spate_worker *w, unsigned i)
{
	struct backend *b = of(w);
	struct spate_port *p = b->port[i];
	unsigned n = p->ops->rx(p, w->id, b->pkts, SPATE_BURST);

	if (n == 0)
		return 0;
	spate_net_rx(b->net, i, b->pkts, n, w->now_us, &b->in);
	tcp_input(w);
	for (unsigned k = 0; k < b->in.nudp; k++)
		spate_net_dgram_input(b->dgrams, &b->in.udp[k]);
	for (unsigned k = 0; k < b->in.nevents; k++)
		spate_net_tcp_event(b->net, b->tcp, &b->in.events[k]);
	p->ops->rx_free(p, w->id, b->pkts, n);
	return n;
}

/* What other workers had no connection for. */
static unsigned receive_strays(struct spate_worker *w)
{
	struct backend *b = of(w);
	struct spate_stray *t;
	unsigned n = 0;

	while (n < SPATE_BURST && (t = spate_strays_first(b->strays, w->id)) != NULL) {
		struct spate_pkt_rx pkt = {.data = t->frame, .len = t->len};

		b->hops = t->hops;
		spate_net_rx(b->net, t->iface, &pkt, 1, w->now_us, &b->in);
		tcp_input(w);
		spate_strays_done(b->strays, w->id);
		n++;
	}
	b->hops = 0;
	return n;
}

/*
 * At most until net's or tcp's next timer, the caller's limit, and the step that idleness has
 * earned.
 */
static void nap(struct spate_worker *w, uint32_t wait_us)
{
	struct backend *b = of(w);
	struct pollfd fd = {.fd = w->wake_fd, .events = POLLIN};
	uint64_t us = spate_tcp_wait_us(b->tcp), junk;

	if (us > wait_us)
		us = wait_us;
	if (b->net_due_us < w->now_us + us)
		us = b->net_due_us > w->now_us ? b->net_due_us - w->now_us : 0;
	if (us > b->sleep_us)
		us = b->sleep_us;
	b->sleep_us = b->sleep_us * 2 < SLEEP_MAX_US ? b->sleep_us * 2 : SLEEP_MAX_US;
	for (unsigned i = 0; i < b->nports; i++)
		if (b->port[i]->ops->queue(b->port[i], w->id)->tx_backlog != 0)
			return; /* the device is busy, not idle */
	if (us == 0 || !spate_worker_sleep(w))
		return;
	struct timespec ts = {.tv_nsec = (long)us * 1000};

	if (ppoll(&fd, 1, &ts, NULL) > 0 && read(w->wake_fd, &junk, sizeof(junk)) < 0) {
		/* another worker's wake-up took it: no harm */
	}
	spate_worker_awake(w);
	read_clock(w);
	/* What control has woken us for is sent, and timed, now. */
	spate_tcp_clock(b->tcp, w->now_us);
}

static void dpdk_turn(struct spate_worker *w, uint32_t wait_us)
{
	struct backend *b = of(w);
	unsigned n = 0;

	read_clock(w);
	if (__builtin_expect(!b->thread_ready, 0))
		first_turn(w);
	spate_tcp_clock(b->tcp, w->now_us);
	for (unsigned i = 0; i < b->nports; i++)
		n += receive(w, i);
	if (__builtin_expect(b->strays != NULL, 0))
		n += receive_strays(w);
	if (__builtin_expect(b->taps, 0) && w->now_us >= b->tap_due_us)
		serve_taps(w);
	b->in.nevents = 0;
	b->net_due_us = spate_net_tick(b->net, w->now_us, &b->in);
	for (unsigned k = 0; k < b->in.nevents; k++)
		spate_net_tcp_event(b->net, b->tcp, &b->in.events[k]);
	if (n != 0) {
		b->busy_us = w->now_us;
		b->sleep_us = SLEEP_MIN_US;
		return;
	}
	if (b->spin || w->now_us - b->busy_us < SPIN_US) {
		_mm_pause();
		return;
	}
	nap(w, wait_us);
}

static void dpdk_flush(struct spate_worker *w)
{
	struct backend *b = of(w);

	spate_tcp_flush(b->tcp);
	spate_net_flush(b->net);
	if (b->dgrams != NULL)
		spate_net_dgram_flushed(b->dgrams);
}

static void dpdk_drain(struct spate_worker *w)
{
	spate_stream_tcp_drain(of(w)->streams);
}

static void dpdk_close(struct spate_worker *w)
{
	if (of(w) == NULL)
		return;
	free_backend(w);
	spate_eal_thread_end();
}

const struct spate_backend_ops spate_dpdk_backend = {
	.name = "dpdk",
	.open = dpdk_open,
	.turn = dpdk_turn,
	.flush = dpdk_flush,
	.drain = dpdk_drain,
	.close = dpdk_close,
};
