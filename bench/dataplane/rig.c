#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <rte_eth_ring.h>

#include "dataplane/backend_dpdk.h"
#include "dataplane/cache/write.h"
#include "dataplane/http/conn.h"
#include "dataplane/port/dpdk.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/mem.h"
#include "dataplane/port/soft.h"

#define BROKEN_CYCLES 1000000u   /* 0.4 ms; what is preempted waits for 1 ms and more */
#define LIMIT_US      120000000u /* of one run */

static struct spate_cache *cache; /* all workers' */
static _Thread_local struct {
	struct rig_setup setup;
	unsigned id;
	struct spate_ring to_control, from_control;
	struct spate_stats stats;
	struct spate_worker_config config;
	struct spate_worker *w;
	struct spate_port server, client;
	struct spate_port_ops server_ops;
	const struct spate_port_ops *real;
	struct rig_count count, mark;
} b;

uint64_t rig_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void rig_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "spate-cost: %s\n", what);
	exit(1);
}

/* --- the objects --- */

int rig_url(char *out, size_t cap, unsigned i)
{
	return snprintf(out, cap, "/video/1080p/%07u.m4s", i);
}

static void store(const struct rig_setup *s, unsigned i)
{
	static const char head[] =
		"Content-Type: video/iso.segment\r\nETag: \"65f1c0de-400\"\r\n"
		"Date: Mon, 23 Nov 2026 12:00:00 GMT\r\nCache-Control: max-age=3600\r\n";
	uint64_t size = s->object_bytes, waiting;
	char url[64];
	struct spate_key key = spate_key_of(url, (size_t)rig_url(url, sizeof(url), i));
	struct spate_object *o = spate_cache_insert(cache, &key);
	struct spate_meta *m = calloc(1, sizeof(*m) + sizeof(head));

	rig_must(o != NULL && m != NULL, "no room for an object");
	memcpy(m->head, head, sizeof(head) - 1);
	m->head_len = sizeof(head) - 1;
	m->status = 200;
	m->etag_off = 39;
	m->etag_len = 14;
	m->last_modified_s = -1;
	m->stored_s = time(NULL);
	rig_must(spate_cache_publish(cache, o, m, size, INT64_MAX) == 0, "publish");
	for (uint64_t at = 0; at < size;) {
		struct iovec iov[16];
		unsigned n;
		uint64_t room = spate_cache_room(cache, o, size - at, iov, 16, &n);

		rig_must(room > 0, "the cache is too small for the case");
		for (unsigned k = 0; k < n; k++)
			memset(iov[k].iov_base, (int)(i + k), iov[k].iov_len);
		spate_cache_filled(cache, o, room);
		at += room;
	}
	spate_cache_complete(cache, o, &waiting);
	spate_cache_release(cache, o);
}

static void fill_cache(const struct rig_setup *s)
{
	uint32_t block = s->object_bytes >= 16384 ? 16384 : 1024;
	uint64_t blocks = (s->object_bytes + block - 1) / block;

	/* A block, a slot and its share of the tables for each; the cache keeps 1/32 free. */
	uint64_t bytes = s->objects * blocks * (block + 768ull) * 17 / 16 + (64ull << 20);

	rig_must(spate_cache_create(&cache, bytes, block, s->workers > 1 ? s->workers : 1) == 0,
		 "cache");
	for (unsigned i = 0; i < s->objects; i++)
		store(s, i);
}

/* --- the ports --- */

static void soft_csum_tx(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		spate_soft_csum(&tx[i], 0);
	b.real->tx(p, queue, tx, n);
}

static void open_mem(void)
{
	uint32_t tso = b.setup.tso;
	struct spate_mem_setup ms = {
		.mac = {2, 0, 0, 0, 0, 1},
		.tx_offloads = SPATE_TX_IP_CSUM | SPATE_TX_L4_CSUM | (tso ? SPATE_TX_TSO : 0),
		.tso_max = tso,
		.tso_whole = tso != 0,
		.rx_checked = true,
		.tx_packets = 16384,
		.rx_packets = 16384,
	};

	rig_must(spate_mem_open(&b.server, &ms) == 0, "server port");
	ms.mac[5] = 2;
	ms.tx_offloads = SPATE_TX_IP_CSUM | SPATE_TX_L4_CSUM;
	ms.tso_max = 0;
	ms.tso_whole = false;
	ms.rx_buffer = tso ? tso + 256 : 0;
	ms.rx_packets = tso ? 1024 : 16384;
	rig_must(spate_mem_open(&b.client, &ms) == 0, "client port");
	spate_mem_pair(&b.server, &b.client);
	b.real = b.server.ops;
	if (b.setup.soft_csum) {
		b.server_ops = *b.real;
		b.server_ops.tx = soft_csum_tx;
		b.server.ops = &b.server_ops;
	}
}

static void start_dpdk(void)
{
	/* Small pages: the arena, and others on the host, take the huge ones. */
	const char *const args[] = {
		"--no-pci", "--no-telemetry", "--log-level=error", "--no-huge", "-m", "256"};
	char why[256] = "";

	rig_must(spate_eal_start(args, sizeof(args) / sizeof(*args), why, sizeof(why)) == 0, why);
	spate_eal_thread();
}

/* Closing a port ends its device, so each case has new ones over the same two rings. */
static void open_ring(void)
{
	static struct rte_ring *up, *down;
	static unsigned nth;
	char edge[16], viewer[16];
	struct spate_arena_info arena;
	struct spate_dpdk_port_setup ps = {.queues = 1};
	char why[256] = "";

	if (up == NULL) {
		start_dpdk();
		up = rte_ring_create("up", 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		down = rte_ring_create("down", 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		rig_must(up != NULL && down != NULL, "rings");
	}
	snprintf(edge, sizeof(edge), "edge%u", nth);
	snprintf(viewer, sizeof(viewer), "viewer%u", nth++);
	rig_must(rte_eth_from_rings(edge, &up, 1, &down, 1, 0) >= 0 &&
			 rte_eth_from_rings(viewer, &down, 1, &up, 1, 0) >= 0,
		 "net_ring");
	spate_cache_arena(cache, &arena);
	ps.arena = &arena;
	rig_must(spate_dpdk_open(&b.server, 0, &ps, why, sizeof(why)) == 0, why);
	ps.arena = NULL;
	rig_must(spate_dpdk_open(&b.client, 1, &ps, why, sizeof(why)) == 0, why);
	/* net_ring gives all its devices one address, all zero. */
	memcpy(b.server.caps.mac, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	memcpy(b.client.caps.mac, (uint8_t[]){2, 0, 0, 0, 0, 2}, 6);
	b.real = b.server.ops;
}

/* --- the edge --- */

static void open_edge(void)
{
	static const struct spate_dpdk_address at = {
		.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}, .prefix = 24};
	struct spate_listener l = {
		.addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}, .port = RIG_PORT},
		.accept = spate_http_accept,
	};
	struct spate_dpdk_if f = {
		.port = &b.server, .addresses = &at, .naddresses = 1, .tap_fd = -1};
	struct spate_dpdk_setup ds = {
		.ifs = &f, .nifs = 1, .listeners = &l, .nlisteners = 1, .spin = true};
	struct spate_worker_setup ws = {.id = b.id,
					.cpu = -1,
					.cache = cache,
					.config = &b.config,
					.stats = &b.stats,
					.to_control = &b.to_control,
					.from_control = &b.from_control,
					.backend = &spate_dpdk_backend,
					.backend_setup = &ds};
	const char *why = "";
	int fd = eventfd(0, EFD_NONBLOCK);

	rig_must(spate_ring_init(&b.to_control, SPATE_HTTP_RING_MIN, fd) == 0, "ring");
	rig_must(spate_ring_init(&b.from_control, SPATE_HTTP_RING_MIN, fd) == 0, "ring");
	b.config = (struct spate_worker_config){.header_timeout_ms = 60000,
						.idle_timeout_ms = 60000,
						.send_timeout_ms = 60000,
						.max_connections = 100000};
	rig_must(spate_worker_create(&b.w, &ws, &why) == 0, why);
	spate_cache_online(cache, b.id);
}

void rig_join(const struct rig_setup *setup, unsigned worker)
{
	memset(&b, 0, sizeof(b));
	b.setup = *setup;
	b.id = worker;
	if (setup->ring)
		open_ring();
	else
		open_mem();
	open_edge();
	client_open(setup, &b.client, worker);
}

void rig_open(const struct rig_setup *setup)
{
	fill_cache(setup);
	rig_join(setup, 0);
}

/* Of its own, so that a profile can be limited to it: callgrind --toggle-collect=server_turn. */
__attribute__((noinline)) static void server_turn(void)
{
	uint64_t t0, t1, t2;

	if (!b.setup.ring)
		spate_mem_deliver(&b.server);
	t0 = __rdtsc();
	b.w->backend_ops->turn(b.w, 0);
	t1 = __rdtsc();
	b.w->backend_ops->flush(b.w);
	spate_cache_quiesce(cache, b.id);
	t2 = __rdtsc();
	b.count.turn_cycles += t1 - t0;
	b.count.flush_cycles += t2 - t1;
	b.count.turns++;
	b.count.broken += t2 - t0 > BROKEN_CYCLES;
}

void rig_run(uint64_t answers)
{
	uint64_t until = client_answers() + answers, limit = rig_now_us() + LIMIT_US;

	while (client_answers() < until) {
		client_connect_up_to(b.setup.conns);
		client_turn();
		server_turn();
		if ((b.count.turns & 1023) == 0)
			rig_must(rig_now_us() < limit, "a case takes too long");
	}
}

static void count_now(struct rig_count *c)
{
	const struct spate_port_queue *q = b.server.ops->queue(&b.server, 0);

	*c = b.count;
	c->answers = client_answers();
	c->bodies = client_bodies();
	c->tx_packets = q->tx_packets;
	c->rx_packets = q->rx_packets;
}

void rig_mark(void)
{
	count_now(&b.mark);
}

void rig_counted(struct rig_count *out)
{
	count_now(out);
	out->turn_cycles -= b.mark.turn_cycles;
	out->flush_cycles -= b.mark.flush_cycles;
	out->turns -= b.mark.turns;
	out->broken -= b.mark.broken;
	out->answers -= b.mark.answers;
	out->bodies -= b.mark.bodies;
	out->tx_packets -= b.mark.tx_packets;
	out->rx_packets -= b.mark.rx_packets;
}

/* What is still on its way points into pools and an arena that are about to go. */
static void drain(struct spate_port *p)
{
	struct spate_pkt_rx pkts[SPATE_BURST];
	unsigned n;

	while ((n = p->ops->rx(p, 0, pkts, SPATE_BURST)) != 0)
		p->ops->rx_free(p, 0, pkts, n);
}

void rig_leave(void)
{
	client_close();
	drain(&b.client);
	drain(&b.server);
	spate_worker_destroy(b.w);
	b.client.ops->close(&b.client);
	b.server.ops = b.real;
	b.server.ops->close(&b.server);
	close(b.to_control.eventfd);
	spate_ring_finish(&b.to_control);
	spate_ring_finish(&b.from_control);
}

void rig_close(void)
{
	rig_leave();
	spate_cache_destroy(cache);
}
