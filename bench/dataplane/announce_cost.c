/*
 * announce_cost.c: cycles of one UDP announce through our own stack: burst in, net/, the tracker,
 * answer out, over the memory port (what a NIC that checks and makes checksums leaves to the core;
 * the gathering of an answer's bytes, which a device or its driver does, is outside).
 *
 *   announce-cost [SWARMS [PEERS [SLICES]]]    one line of JSON, the median slice
 *
 * Announces of known peers of many swarms, from 4096 addresses behind one gateway, 50 wanted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <x86intrin.h>

#include "dataplane/bt/tracker.h"
#include "dataplane/port/mem.h"
#include "dataplane/stream/net_dgram.h"

#define HOSTS  4096u
#define BURSTS 64u /* a slice */

static const uint8_t us[6] = {2, 0, 0, 0, 0, 1}, them[6] = {2, 0, 0, 0, 0, 2};
static struct spate_port port;
static struct spate_worker w;
static struct spate_stats stats;
static struct spate_net_in in;
static struct spate_pkt_rx pkts[SPATE_BURST];
static struct spate_net_dgram *dgrams;
static struct spate_net *net;
static uint8_t frame[2048], sink[4096];
static uint64_t rng = 88172645463325252ull;

static uint64_t next(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void mapped(uint8_t ip[16], uint32_t v4)
{
	memset(ip, 0, 10);
	ip[10] = ip[11] = 0xff;
	v4 = __builtin_bswap32(v4);
	memcpy(ip + 12, &v4, 4);
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "announce-cost: %s\n", what);
	exit(1);
}

/* One turn, as backend_dpdk.c has it. How many packets came. */
static unsigned turn(void)
{
	unsigned n = port.ops->rx(&port, 0, pkts, SPATE_BURST);

	spate_net_rx(net, 0, pkts, n, w.now_us, &in);
	for (unsigned i = 0; i < in.nudp; i++)
		spate_net_dgram_input(dgrams, &in.udp[i]);
	port.ops->rx_free(&port, 0, pkts, n);
	spate_net_flush(net);
	spate_net_dgram_flushed(dgrams);
	return n;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Ethernet, IPv4, UDP, an announce of one of `peers` peers of one of `swarms` swarms. */
static size_t announce(unsigned swarms, unsigned peers)
{
	uint8_t *ip = frame + 14, *udp = ip + 20, *q = udp + 8, addr[16];
	uint64_t swarm = next() % swarms, peer = next() % peers, id;
	uint32_t host = 0xac100000u + (uint32_t)((swarm * 7919 + peer * 104729) % HOSTS);
	uint64_t hash = swarm * 0x9e3779b97f4a7c15ull;

	memset(frame, 0, 14 + 20 + 8 + 98);
	memcpy(frame, us, 6);
	memcpy(frame + 6, them, 6);
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 20 + 8 + 98);
	ip[8] = 64;
	ip[9] = 17;
	mapped(addr, host);
	memcpy(ip + 12, addr + 12, 4);
	memcpy(ip + 16, "\x0a\0\0\1", 4);
	put16(udp, 40000);
	put16(udp + 2, 6969);
	put16(udp + 4, 8 + 98);
	id = __builtin_bswap64(spate_tracker_id(w.tracker, addr, w.now_us));
	memcpy(q, &id, 8);
	q[11] = 1;
	memcpy(q + 16, &hash, 8);
	q[71] = peer & 1;
	q[95] = 50;
	put16(q + 96, 1024 + (uint32_t)peer);
	return 14 + 20 + 8 + 98;
}

static void start(void)
{
	struct spate_mem_setup ms = {.mac = {2, 0, 0, 0, 0, 1},
				     .tx_offloads = SPATE_TX_IP_CSUM | SPATE_TX_L4_CSUM,
				     .rx_checked = true};
	struct spate_net_setup ns = {.seed = 7};
	struct spate_net_iface_setup is = {.port = &port};
	struct spate_tracker_setup ts = {.workers = 1,
					 .interval_s = 3600,
					 .announces = 1000000000,
					 .memory_bytes = 256 << 20,
					 .open = true};
	struct spate_dgram_listener l = {.addr = {.port = 6969}, .app = &spate_tracker_udp};
	uint8_t ip[16], any[16], gateway[16], arp[60] = {0};
	const char *why;

	w = (struct spate_worker){.stats = &stats, .now_us = 1000000000};
	must(spate_mem_open(&port, &ms) == 0, "port");
	net = spate_net_create(&ns);
	must(net != NULL && spate_net_add_iface(net, &is) == 0, "net");
	mapped(ip, 0x0a000001);
	mapped(gateway, 0x0a0000fe);
	mapped(any, 0);
	must(spate_net_add_address(net, 0, ip, 24) == 0 &&
		     spate_net_add_route(net, 0, any, 0, gateway) == 0,
	     "address");
	must(spate_tracker_create(&w.tracker, &ts) == 0, "tracker");
	memcpy(l.addr.ip, any, 16);
	must(spate_net_dgram_open(&w, net, &l, 1, &dgrams, &why) == 0, "udp");
	/* The gateway asks who we are, and is known from then on. */
	memset(arp, 0xff, 6);
	memcpy(arp + 6, them, 6);
	memcpy(arp + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	memcpy(arp + 22, them, 6);
	memcpy(arp + 28, "\x0a\0\0\xfe", 4);
	memcpy(arp + 38, "\x0a\0\0\1", 4);
	must(spate_mem_give(&port, arp, sizeof(arp)), "arp");
	turn();
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Cycles an announce; the frames are made and the answers taken away outside. */
static double slice(unsigned swarms, unsigned peers)
{
	uint64_t cycles = 0, n = 0;

	for (unsigned b = 0; b < BURSTS; b++) {
		for (unsigned i = 0; i < SPATE_BURST; i++)
			must(spate_mem_give(&port, frame, announce(swarms, peers)), "give");
		uint64_t t = __rdtsc();

		n += turn();
		cycles += __rdtsc() - t;
		w.now_us += 10;
		while (spate_mem_take(&port, sink, sizeof(sink)) != 0)
			;
	}
	return (double)cycles / (double)n;
}

int main(int argc, char **argv)
{
	unsigned swarms = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	unsigned peers = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
	unsigned slices = argc > 3 ? (unsigned)atoi(argv[3]) : 300;
	double *got = calloc(slices, sizeof(*got));
	uint64_t warm = (uint64_t)swarms * peers * 5 / (BURSTS * SPATE_BURST) + 10;
	uint64_t before;

	must(got != NULL && swarms > 0 && peers > 0 && slices > 0, "arguments");
	start();
	for (uint64_t i = 0; i < warm; i++)
		slice(swarms, peers);
	before = stats.tracker_announces;
	for (unsigned i = 0; i < slices; i++)
		got[i] = slice(swarms, peers);
	must(stats.tracker_announces - before == (uint64_t)slices * BURSTS * SPATE_BURST &&
		     stats.dgram_dropped == 0,
	     "not all were answered");
	qsort(got, slices, sizeof(*got), by_size);
	printf("{\"swarms\": %u, \"peers\": %u, \"cycles\": %.0f, \"low\": %.0f, \"high\": %.0f}\n",
	       swarms, peers, got[slices / 2], got[slices / 20], got[slices - 1 - slices / 20]);
	free(got);
	return 0;
}
