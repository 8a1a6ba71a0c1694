/*
 * wire.c: net.h over our own TCP (dataplane/tcp) and a DPDK port: one port, one queue, one thread,
 * which polls. The same stack as the edge's, used from the other end: it opens connections, and
 * takes payload straight from the packets.
 *
 *     turn:  rx bursts ─► net ─► tcp input ─► rx_free ─► timers ─► tcp flush ─► tx
 */
#include <errno.h>
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bench/load/net.h"
#include "bench/load/options.h"
#include "dataplane/net/lower.h"
#include "dataplane/net/net.h"
#include "dataplane/port/dpdk.h"
#include "dataplane/port/eal.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/util/pool.h"

#define ARGS_MAX  48
#define LINGER_US 20000
#define ROUNDS    4 /* rx bursts a turn at most: what is sent must not wait for too long */

struct wired {
	struct spate_stream s; /* first: a stream is the engine's user memory */
	struct wire *k;
};

struct wire {
	struct load_net net;
	struct spate_port port;
	struct spate_net *ip;
	struct spate_tcp *tcp;
	struct spate_pool bytes_pool, range_pool;
	bool was_idle, stopping, counters;
	struct spate_net_in in;
	struct spate_pkt_rx pkts[SPATE_BURST];
	uint8_t scratch[SPATE_NET_SCRATCH];
	char args[1024];
};

/* --- streams: the engine's words for the app's, and back --- */

static struct wired *of(struct spate_tcp_conn *c)
{
	return spate_tcp_user_of(c);
}

static void op_kick(struct spate_stream *s)
{
	spate_tcp_kick(spate_tcp_of_user(s));
}

static void op_resume(struct spate_stream *s)
{
	spate_tcp_resume(spate_tcp_of_user(s));
}

static void op_finish(struct spate_stream *s)
{
	spate_tcp_finish(spate_tcp_of_user(s));
}

static void op_abort(struct spate_stream *s)
{
	spate_tcp_abort(spate_tcp_of_user(s));
}

static void op_timer(struct spate_stream *s, uint32_t ms)
{
	spate_tcp_timer(spate_tcp_of_user(s), ms);
}

static const struct spate_stream_ops stream_ops = {"tcp",     op_kick,  op_resume,
						   op_finish, op_abort, op_timer};

static void on_connected(struct spate_tcp_conn *c)
{
	spate_tcp_kick(c);
}

static size_t on_data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	struct spate_stream *s = &of(c)->s;

	return s->app->recv(s, p, n);
}

static void on_event(struct spate_tcp_conn *c, unsigned what)
{
	struct spate_stream *s = &of(c)->s;

	if ((what & SPATE_TCP_EV_EOF) && !spate_tcp_closed(c))
		s->app->eof(s);
}

static void on_closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	struct wired *w = of(c);

	w->s.app->closed(&w->s, w->k->stopping             ? SPATE_CLOSE_STOP
				: why == SPATE_TCP_DONE    ? SPATE_CLOSE_DONE
				: why == SPATE_TCP_ABORTED ? SPATE_CLOSE_ABORTED
							   : SPATE_CLOSE_RESET);
	spate_sendq_clear(&w->k->net.env, &w->s.out);
}

static const struct spate_tcp_user user = {
	.connected = on_connected, .data = on_data, .event = on_event, .closed = on_closed};

static struct spate_stream *net_connect(struct load_net *n, const struct spate_addr *to,
					const struct spate_stream_app *app, void *ctx)
{
	struct wire *k = (struct wire *)n;
	struct spate_tcp_conn *c;
	struct wired *w;

	if (spate_tcp_connect(k->tcp, NULL, to, &user, &c) != 0)
		return NULL;
	w = of(c);
	w->k = k;
	w->s.ops = &stream_ops;
	w->s.app = app;
	w->s.ctx = ctx;
	w->s.peer = *to;
	spate_sendq_init(&w->s.out);
	spate_tcp_attach(c, &w->s.out);
	return &w->s;
}

static void net_skip(struct spate_stream *s, uint64_t n)
{
	(void)s; /* payload that nobody looks at is not touched anyway */
	(void)n;
}

/* --- the turn --- */

static unsigned receive(struct wire *k, uint64_t now_us)
{
	struct spate_port *p = &k->port;
	unsigned n = p->ops->rx(p, 0, k->pkts, SPATE_BURST);

	if (n == 0)
		return 0;
	spate_net_rx(k->ip, 0, k->pkts, n, now_us, &k->in);
	for (unsigned i = 0; i < k->in.ntcp; i++) {
		struct spate_tcp_in in;

		if (spate_net_tcp_in(k->ip, &k->in.tcp[i], k->scratch, &in))
			spate_tcp_input(k->tcp, &in);
	}
	for (unsigned i = 0; i < k->in.nevents; i++)
		spate_net_tcp_event(k->ip, k->tcp, &k->in.events[i]);
	p->ops->rx_free(p, 0, k->pkts, n);
	return n;
}

static void net_turn(struct load_net *n, uint64_t wait_ns)
{
	struct wire *k = (struct wire *)n;
	uint64_t now = load_clock_ns(), now_us = now / 1000;
	unsigned got = 0;

	(void)wait_ns; /* it polls: a wake-up would be part of the latency */
	if (k->was_idle)
		n->idle_ns += now - n->now_ns;
	n->now_ns = now;
	n->turns++;
	spate_tcp_clock(k->tcp, now_us);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned k1 = receive(k, now_us);

		got += k1;
		if (k1 < SPATE_BURST)
			break;
	}
	k->in.nevents = 0;
	spate_net_tick(k->ip, now_us, &k->in);
	for (unsigned i = 0; i < k->in.nevents; i++)
		spate_net_tcp_event(k->ip, k->tcp, &k->in.events[i]);
	spate_tcp_flush(k->tcp);
	spate_net_flush(k->ip);
	k->was_idle = got == 0;
	n->idle_turns += k->was_idle;
	if (k->was_idle)
		_mm_pause();
}

/* --counters: what TCP and IP made of what came; only those that are not 0. */
static void say_counters(const struct wire *k)
{
	for (int i = 0; i < SPATE_TCP_COUNTERS; i++)
		if (spate_tcp_count(k->tcp, (enum spate_tcp_verdict)i) != 0)
			fprintf(stderr, "  tcp_%s %llu\n",
				spate_tcp_verdict_name((enum spate_tcp_verdict)i),
				(unsigned long long)spate_tcp_count(k->tcp,
								    (enum spate_tcp_verdict)i));
	for (int i = 0; i < SPATE_NET_VERDICTS; i++)
		if (spate_net_count(k->ip, (enum spate_net_verdict)i) != 0)
			fprintf(stderr, "  %s %llu\n", spate_net_verdicts[i].name,
				(unsigned long long)spate_net_count(k->ip,
								    (enum spate_net_verdict)i));
}

static void net_close(struct load_net *n)
{
	struct wire *k = (struct wire *)n;

	if (k->counters && k->tcp != NULL)
		say_counters(k);
	k->stopping = true;
	if (k->tcp != NULL)
		spate_tcp_destroy(k->tcp);
	if (k->ip != NULL) {
		spate_net_flush(k->ip);
		spate_net_destroy(k->ip);
	}
	/* What was sent last, the resets, is in a ring that ends with us: let the peer take it. */
	usleep(LINGER_US);
	if (k->port.priv != NULL)
		k->port.ops->close(&k->port);
	spate_eal_stop();
	spate_pool_finish(&k->bytes_pool);
	spate_pool_finish(&k->range_pool);
	free(k);
}

static const struct load_net_ops wire_ops = {"dpdk", net_connect, net_skip, net_turn, net_close};

/* --- open --- */

static int start_eal(struct wire *k, const struct load_options *o, char *why, size_t why_len)
{
	const char *args[ARGS_MAX];
	unsigned n = 0;
	char *save = NULL;

	snprintf(k->args, sizeof(k->args), "%s", o->dpdk);
	for (char *p = strtok_r(k->args, " ", &save); p != NULL && n < ARGS_MAX;
	     p = strtok_r(NULL, " ", &save))
		args[n++] = p;
	return spate_eal_start(args, n, why, why_len);
}

static int add_address(struct wire *k, const struct load_options *o, char *why, size_t why_len)
{
	char text[64], *slash;
	struct spate_addr a;
	uint8_t any[16] = {0};

	snprintf(text, sizeof(text), "%s", o->address);
	slash = strchr(text, '/');
	if (slash == NULL) {
		snprintf(why, why_len, "--address %s: want ADDRESS/PREFIX", o->address);
		return -EINVAL;
	}
	*slash = '\0';
	if (!load_address(text, 0, &a) ||
	    spate_net_add_address(k->ip, 0, a.ip, (uint8_t)atoi(slash + 1)) != 0) {
		snprintf(why, why_len, "--address %s: no host can have it", o->address);
		return -EINVAL;
	}
	if (o->gateway == NULL)
		return 0;
	if (load_address(o->gateway, 0, &a)) {
		if (spate_addr_is_ip4(a.ip))
			any[10] = any[11] = 0xff;
		if (spate_net_add_route(k->ip, 0, any, 0, a.ip) == 0)
			return 0;
	}
	snprintf(why, why_len, "--gateway %s: not on the network of --address", o->gateway);
	return -EINVAL;
}

static int open_tcp(struct wire *k, const struct load_options *o, char *why, size_t why_len)
{
	struct spate_net_setup ns = {0};
	struct spate_net_iface_setup is = {.port = &k->port};
	struct spate_tcp_config cfg;
	struct spate_tcp_lower lower;
	int err;

	spate_tcp_config_init(&cfg);
	snprintf(why, why_len, "no random bytes");
	if (getrandom(&ns.seed, sizeof(ns.seed), 0) != sizeof(ns.seed) ||
	    getrandom(cfg.secret, sizeof(cfg.secret), 0) != sizeof(cfg.secret))
		return -EIO;
	snprintf(why, why_len, "out of memory");
	k->ip = spate_net_create(&ns);
	if (k->ip == NULL || spate_net_add_iface(k->ip, &is) < 0)
		return -ENOMEM;
	err = add_address(k, o, why, why_len);
	if (err != 0)
		return err;
	spate_net_lower(k->ip, &lower);
	/* The ports are needed again: this end's TIME-WAIT protects nobody but a later run. */
	cfg.time_wait_us = 1;
	cfg.max_conns = o->connections * 2 + 1024;
	cfg.user_bytes = sizeof(struct wired);
	cfg.rcv_buf = o->window;
	cfg.port_low = 1024;
	cfg.port_high = 65535;
	snprintf(why, why_len, "no memory for connections");
	return spate_tcp_create(&k->tcp, &cfg, &lower, &k->net.env, NULL);
}

int load_wire_open(struct load_net **out, const struct load_options *o, char *why, size_t why_len)
{
	struct spate_dpdk_port_setup ps = {
		.queues = 1, .mtu = o->mtu, .no_tso = o->no_tso, .no_csum = o->no_csum};
	struct wire *k = aligned_alloc(64, (sizeof(*k) + 63) & ~(size_t)63);
	int err;

	snprintf(why, why_len, "out of memory");
	if (k == NULL)
		return -ENOMEM;
	memset(k, 0, sizeof(*k));
	k->counters = o->counters;
	spate_pool_init(&k->bytes_pool, SPATE_SENDQ_NODE_BYTES, 1u << 20);
	spate_pool_init(&k->range_pool, 64, 1u << 10);
	k->net = (struct load_net){
		.ops = &wire_ops,
		.env = {NULL, 0, &k->bytes_pool, &k->range_pool},
		.now_ns = load_clock_ns(),
	};
	err = start_eal(k, o, why, why_len);
	if (err == 0)
		err = spate_dpdk_open(&k->port, 0, &ps, why, why_len);
	if (err == 0)
		err = open_tcp(k, o, why, why_len);
	if (err != 0) {
		net_close(&k->net);
		return err;
	}
	why[0] = '\0';
	spate_tcp_clock(k->tcp, k->net.now_ns / 1000); /* before anybody connects (tcp.h) */
	spate_net_announce(k->ip, k->net.now_ns / 1000);
	*out = &k->net;
	return 0;
}
