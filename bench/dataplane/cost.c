/*
 * cost.c: what our dataplane costs a core, in TSC cycles: the real worker (http, cache, tcp, net)
 * over a memory port, and a client stack of our own at its other end, in one thread, turn by turn.
 * Only the server's turns are on the clock. With the memory port the payload is gathered by whoever
 * receives, so the server's side of a transfer is what a NIC with scatter-gather and checksum
 * offload would leave to it.
 *
 *   spate-cost [--json FILE]
 *
 * Cases: bulk (1 MiB objects, 8 connections, 512 MiB of them so that metadata and order are cold)
 * at MTU 1500 without TSO and with 60 KiB TSO; requests (1 KiB, keep-alive, 64 connections, 100,000
 * objects); connections (handshake, GET of 1 KiB, FIN from the client).
 *
 * Nothing here is a wire: line rate is `./dev bench line`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "dataplane/backend_dpdk.h"
#include "dataplane/cache/write.h"
#include "dataplane/http/conn.h"
#include "dataplane/net/lower.h"
#include "dataplane/port/mem.h"
#include "dataplane/tcp/tcp.h"

#define PORT 80

struct client_conn {
	struct spate_sendq q;
	uint64_t left; /* body bytes of the answer under way */
	bool in_head;
	uint32_t matched; /* of "\r\n\r\n" */
};

static struct {
	/* the edge */
	struct spate_cache *cache;
	struct spate_ring to_control, from_control;
	struct spate_stats stats;
	struct spate_worker_config config;
	struct spate_worker *w;
	struct spate_port server_port, client_port;
	uint64_t turn_cycles, flush_cycles, turns;
	/* the client */
	struct spate_net *net;
	struct spate_tcp *tcp;
	struct spate_stats client_stats;
	struct spate_pool bytes_pool, range_pool;
	struct spate_sendq_env env;
	struct spate_net_in in;
	uint8_t scratch[SPATE_NET_SCRATCH];
	struct spate_addr server;
	/* the case */
	uint64_t object_bytes;
	unsigned objects, next;
	bool close_each;
	uint64_t answers, bodies, started, open;
} b;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "spate-cost: %s\n", what);
	exit(1);
}

static void address(struct spate_addr *a, uint8_t host, uint16_t port)
{
	*a = (struct spate_addr){.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = host},
				 .port = port};
}

/* --- the edge --- */

static int url_of(char *out, size_t cap, unsigned i)
{
	return snprintf(out, cap, "/video/1080p/%06u.m4s", i);
}

static void store(unsigned i)
{
	static const char head[] =
		"Content-Type: video/iso.segment\r\nETag: \"65f1c0de-400\"\r\n"
		"Date: Mon, 23 Nov 2026 12:00:00 GMT\r\nCache-Control: max-age=3600\r\n";
	char url[64];
	struct spate_key key = spate_key_of(url, (size_t)url_of(url, sizeof(url), i));
	struct spate_object *o = spate_cache_insert(b.cache, &key);
	struct spate_meta *m = calloc(1, sizeof(*m) + sizeof(head));
	uint64_t waiting;

	must(o != NULL && m != NULL, "no room for an object");
	memcpy(m->head, head, sizeof(head) - 1);
	m->head_len = sizeof(head) - 1;
	m->status = 200;
	m->etag_off = 39;
	m->etag_len = 14;
	m->last_modified_s = -1;
	must(spate_cache_publish(b.cache, o, m, b.object_bytes, INT64_MAX) == 0, "publish");
	for (uint64_t at = 0; at < b.object_bytes;) {
		struct iovec iov[16];
		unsigned n;
		uint64_t room = spate_cache_room(b.cache, o, b.object_bytes - at, iov, 16, &n);

		must(room > 0, "the cache is too small for the case");
		for (unsigned k = 0; k < n; k++)
			memset(iov[k].iov_base, (int)(i + k), iov[k].iov_len);
		spate_cache_filled(b.cache, o, room);
		at += room;
	}
	spate_cache_complete(b.cache, o, &waiting);
	spate_cache_release(b.cache, o);
}

static void open_edge(uint64_t memory, uint32_t block, uint32_t tso)
{
	static const struct spate_dpdk_address at = {
		.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}, .prefix = 24};
	struct spate_mem_setup ms = {
		.mac = {2, 0, 0, 0, 0, 1},
		.tx_offloads = SPATE_TX_IP_CSUM | SPATE_TX_L4_CSUM | (tso ? SPATE_TX_TSO : 0),
		.tso_max = tso,
		.tso_whole = tso != 0,
		.rx_checked = true,
		.tx_packets = 4096,
		.rx_packets = 4096,
	};
	struct spate_listener l = {.accept = spate_http_accept};
	struct spate_dpdk_if f = {.port = &b.server_port, .addresses = &at, .naddresses = 1};
	struct spate_dpdk_setup ds = {
		.ifs = &f, .nifs = 1, .listeners = &l, .nlisteners = 1, .spin = true};
	struct spate_worker_setup ws = {
		.cpu = -1, .backend = &spate_dpdk_backend, .backend_setup = &ds};
	const char *why = "";
	int fd = eventfd(0, EFD_NONBLOCK);

	address(&l.addr, 1, PORT);
	must(spate_mem_open(&b.server_port, &ms) == 0, "server port");
	ms.mac[5] = 2;
	ms.tx_offloads = SPATE_TX_IP_CSUM | SPATE_TX_L4_CSUM;
	ms.tso_max = 0;
	ms.tso_whole = false;
	ms.rx_buffer = tso ? tso + 256 : 0;
	must(spate_mem_open(&b.client_port, &ms) == 0, "client port");
	spate_mem_pair(&b.server_port, &b.client_port);
	must(spate_cache_create(&b.cache, memory, block, 1) == 0, "cache");
	must(spate_ring_init(&b.to_control, SPATE_HTTP_RING_MIN, fd) == 0, "ring");
	must(spate_ring_init(&b.from_control, SPATE_HTTP_RING_MIN, fd) == 0, "ring");
	b.config = (struct spate_worker_config){.header_timeout_ms = 60000,
						.idle_timeout_ms = 60000,
						.send_timeout_ms = 60000,
						.max_connections = 100000};
	ws.cache = b.cache;
	ws.config = &b.config;
	ws.stats = &b.stats;
	ws.to_control = &b.to_control;
	ws.from_control = &b.from_control;
	must(spate_worker_create(&b.w, &ws, &why) == 0, why);
	spate_cache_online(b.cache, 0);
}

/* --- the client --- */

static void ask(struct spate_tcp_conn *c)
{
	struct client_conn *cc = spate_tcp_user_of(c);
	char url[64], text[256];
	int n;

	url_of(url, sizeof(url), (b.next++ * 7919u) % b.objects);
	n = snprintf(text, sizeof(text),
		     "GET %s HTTP/1.1\r\nHost: edge.example\r\nUser-Agent: spate-cost\r\n"
		     "Accept: */*\r\n\r\n",
		     url);
	must(spate_sendq_bytes(&b.env, &cc->q, text, (size_t)n) == 0, "client queue");
	cc->in_head = true;
	cc->matched = 0;
	cc->left = b.object_bytes;
	spate_tcp_kick(c);
}

static void on_connected(struct spate_tcp_conn *c)
{
	struct client_conn *cc = spate_tcp_user_of(c);

	spate_sendq_init(&cc->q);
	spate_tcp_attach(c, &cc->q);
	ask(c);
}

static size_t on_data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	struct client_conn *cc = spate_tcp_user_of(c);
	size_t at = 0;

	while (at < n && cc->in_head) {
		char want = "\r\n\r\n"[cc->matched];

		cc->matched = p[at] == (uint8_t)want ? cc->matched + 1 : p[at] == '\r';
		at++;
		cc->in_head = cc->matched < 4;
	}
	must(n - at <= cc->left, "more bytes than were asked for");
	cc->left -= n - at;
	b.bodies += n - at;
	if (!cc->in_head && cc->left == 0) {
		b.answers++;
		if (b.close_each)
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
	struct client_conn *cc = spate_tcp_user_of(c);

	must(why == SPATE_TCP_DONE || why == SPATE_TCP_STOPPED, "a connection broke");
	spate_sendq_clear(&b.env, &cc->q);
	b.open--;
}

static const struct spate_tcp_user user = {
	.connected = on_connected, .data = on_data, .event = on_event, .closed = on_closed};

static void open_client(void)
{
	struct spate_net_setup ns = {.seed = 7};
	struct spate_net_iface_setup is = {.port = &b.client_port};
	struct spate_tcp_config cfg;
	struct spate_tcp_lower lower;
	struct spate_addr a;

	b.net = spate_net_create(&ns);
	must(b.net != NULL && spate_net_add_iface(b.net, &is) == 0, "client net");
	address(&a, 2, 0);
	must(spate_net_add_address(b.net, 0, a.ip, 24) == 0, "client address");
	spate_net_lower(b.net, &lower);
	spate_tcp_config_init(&cfg);
	cfg.user_bytes = sizeof(struct client_conn);
	cfg.time_wait_us = 1; /* ports are used again at once: this end is not measured */
	cfg.rcv_buf = 4 << 20;
	spate_pool_init(&b.bytes_pool, SPATE_SENDQ_NODE_BYTES, 1 << 16);
	spate_pool_init(&b.range_pool, 64, 1 << 10);
	b.env = (struct spate_sendq_env){b.cache, 0, &b.bytes_pool, &b.range_pool};
	must(spate_tcp_create(&b.tcp, &cfg, &lower, &b.env, &b.client_stats) == 0, "client tcp");
	address(&b.server, 1, PORT);
}

static void connect_up_to(uint64_t n)
{
	while (b.open < n) {
		struct spate_tcp_conn *c;

		if (spate_tcp_connect(b.tcp, NULL, &b.server, &user, &c) != 0)
			return;
		b.open++;
		b.started++;
	}
}

static void client_turn(void)
{
	struct spate_pkt_rx pkts[SPATE_BURST];
	uint64_t now = now_us();
	unsigned n;

	spate_tcp_clock(b.tcp, now);
	for (int round = 0; round < 8; round++) {
		n = b.client_port.ops->rx(&b.client_port, 0, pkts, SPATE_BURST);
		if (n == 0)
			break;
		spate_net_rx(b.net, 0, pkts, n, now, &b.in);
		for (unsigned i = 0; i < b.in.ntcp; i++) {
			struct spate_tcp_in in;

			if (spate_net_tcp_in(b.net, &b.in.tcp[i], b.scratch, &in))
				spate_tcp_input(b.tcp, &in);
		}
		b.client_port.ops->rx_free(&b.client_port, 0, pkts, n);
	}
	b.in.nevents = 0;
	spate_net_tick(b.net, now, &b.in);
	spate_tcp_flush(b.tcp);
	spate_net_flush(b.net);
}

/* --- measuring --- */

static void server_turn(void)
{
	uint64_t t0 = __rdtsc(), t1, t2;

	b.w->backend_ops->turn(b.w, 0);
	t1 = __rdtsc();
	b.w->backend_ops->flush(b.w);
	spate_cache_quiesce(b.cache, 0);
	t2 = __rdtsc();
	b.turn_cycles += t1 - t0;
	b.flush_cycles += t2 - t1;
	b.turns++;
}

static void run(uint64_t conns, uint64_t answers)
{
	uint64_t until = b.answers + answers, limit = now_us() + 60000000;

	while (b.answers < until) {
		connect_up_to(conns);
		client_turn();
		server_turn();
		must(now_us() < limit, "a case takes more than a minute");
	}
}

static FILE *json;
static bool first_row = true;
static double tsc_hz;

static void row(const char *name, const char *metric, double value, const char *unit, double aim,
		bool at_most)
{
	printf("  %-14s %-22s %12.2f %-12s", name, metric, value, unit);
	if (aim > 0)
		printf(" aim %s %g%s", at_most ? "<=" : ">=", aim,
		       (at_most ? value <= aim : value >= aim) ? "" : "  MISSED");
	putchar('\n');
	if (json != NULL) {
		char text[32] = "null";

		if (aim > 0)
			snprintf(text, sizeof(text), "%g", aim);
		fprintf(json,
			"%s\n {\"bench\": \"dataplane\", \"case\": \"%s\", \"metric\": \"%s\", "
			"\"value\": %.4f, "
			"\"unit\": \"%s\", \"aim\": %s, \"peer\": null}",
			first_row ? "" : ",", name, metric, value, unit, text);
	}
	first_row = false;
}

static void one(const char *name, uint64_t object_bytes, unsigned objects, uint64_t memory,
		uint32_t block, uint32_t tso, uint64_t conns, bool close_each, uint64_t warm,
		uint64_t answers)
{
	memset(&b, 0, sizeof(b));
	b.object_bytes = object_bytes;
	b.objects = objects;
	b.close_each = close_each;
	open_edge(memory, block, tso);
	for (unsigned i = 0; i < objects; i++)
		store(i);
	open_client();
	run(conns, warm);
	b.turn_cycles = b.flush_cycles = b.turns = 0;
	const struct spate_port_queue *q = b.server_port.ops->queue(&b.server_port, 0);
	uint64_t tx0 = q->tx_packets, rx0 = q->rx_packets, bodies0 = b.bodies, answers0 = b.answers;

	run(conns, answers);
	double cycles = (double)(b.turn_cycles + b.flush_cycles),
	       got = (double)(b.answers - answers0);
	double tx = (double)(q->tx_packets - tx0), rx = (double)(q->rx_packets - rx0);

	if (object_bytes >= 1 << 20) {
		row(name, "cycles/byte", cycles / (double)(b.bodies - bodies0), "cycles",
		    tso ? 0.08 : 0.20, true);
		row(name, "cycles/data packet", (double)b.flush_cycles / tx, "cycles", 0, true);
		row(name, "cycles/ACK", (double)b.turn_cycles / rx, "cycles", 0, true);
		row(name, "ACKs/data packet", rx / tx, "", 0, true);
		row(name, "one core", tsc_hz / (cycles / (double)(b.bodies - bodies0)) * 8 / 1e9,
		    "Gbit/s", 0, false);
	} else if (close_each) {
		row(name, "cycles/connection", cycles / got, "cycles", 0, true);
		row(name, "one core", tsc_hz / (cycles / got) / 1e6, "M conn/s", 1.0, false);
	} else {
		row(name, "cycles/request", cycles / got, "cycles", 0, true);
		row(name, "one core", tsc_hz / (cycles / got) / 1e6, "M req/s", 2.5, false);
	}
	spate_tcp_destroy(b.tcp);
	spate_net_flush(b.net);
	spate_net_destroy(b.net);
	spate_worker_destroy(b.w);
	b.client_port.ops->close(&b.client_port);
	b.server_port.ops->close(&b.server_port);
	spate_pool_finish(&b.bytes_pool);
	spate_pool_finish(&b.range_pool);
	close(b.to_control.eventfd);
	spate_ring_finish(&b.to_control);
	spate_ring_finish(&b.from_control);
	spate_cache_destroy(b.cache);
}

static void measure_tsc(void)
{
	uint64_t t0 = now_us(), c0 = __rdtsc();

	while (now_us() - t0 < 100000)
		;
	tsc_hz = (double)(__rdtsc() - c0) / (double)(now_us() - t0) * 1e6;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--json") == 0)
		json = fopen(argv[2], "w");
	else if (argc > 1)
		must(false, "usage: spate-cost [--json FILE]");
	measure_tsc();
	printf("TSC %.2f GHz; server's cycles only, nothing of the memory port is a wire\n",
	       tsc_hz / 1e9);
	if (json != NULL)
		fputc('[', json);
	one("bulk 1500", 1 << 20, 512, 640ull << 20, 16384, 0, 8, false, 200, 2000);
	one("bulk TSO", 1 << 20, 512, 640ull << 20, 16384, 61440, 8, false, 200, 4000);
	one("requests 1 KiB", 1024, 100000, 512ull << 20, 1024, 0, 64, false, 100000, 500000);
	one("connections", 1024, 100000, 512ull << 20, 1024, 0, 64, true, 20000, 100000);
	if (json != NULL) {
		fputs("\n]\n", json);
		fclose(json);
	}
	return 0;
}
