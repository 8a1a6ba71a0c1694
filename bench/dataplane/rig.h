/*
 * rig.h: what cost.c measures: the real worker (http, cache, tcp, net) behind a port, and a client
 * stack of our own at its other end, in one process and one thread, turn by turn.
 *
 *   rig_open(&setup)          the objects, edge, client
 *   rig_run(answers)          turns until so many more answers were taken; in slices (rig_slice)
 *   rig_close()
 *
 * A second worker over the same objects, on a thread of its own, between the first one's open and
 * close: rig_join(&setup, 1), rig_run, ..., rig_leave(). All calls are about the calling thread's.
 *
 * Only the edge's turns are on the clock. What is not: the client, and with the memory port the
 * wire: what the edge sends is gathered by the client, what the client sends lies in the edge's
 * receive buffers before its turn begins, as a device with DDIO would have left it. So the memory
 * port's rows are what a device with scatter-gather leaves to the core, without driver and mbufs;
 * the ring's rows have both, and checksums in software, for net_ring has no offloads.
 */
#ifndef SPATE_BENCH_RIG_H
#define SPATE_BENCH_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/port/port.h"

struct rig_setup {
	bool ring;      /* net_ring of DPDK; else the memory port */
	uint32_t tso;   /* bytes; 0: none. Memory port only */
	bool soft_csum; /* memory port: as if the device made no checksums: payload is read when
			   sent */
	uint64_t object_bytes;
	unsigned objects;
	unsigned conns;
	unsigned workers;  /* over one cache; 0: one. Memory port only */
	bool close_each;   /* a connection for each request, the client closes */
	unsigned ack_each; /* the client acknowledges after so many packets; 0: a burst at a time */
	uint64_t client_buf; /* its receive window; 0: 4 MiB */
};

/* Counted since the last rig_mark. */
struct rig_count {
	uint64_t turn_cycles;  /* receiving, requests, timers */
	uint64_t flush_cycles; /* cutting and sending */
	uint64_t broken;       /* turns so long that the kernel must have run somebody else */
	uint64_t turns, answers, bodies /* bytes */, tx_packets, rx_packets;
};

void rig_open(const struct rig_setup *setup);
void rig_run(uint64_t answers);
void rig_mark(void);
void rig_counted(struct rig_count *out);
void rig_close(void);
void rig_join(const struct rig_setup *setup, unsigned worker);
void rig_leave(void);

uint64_t rig_now_us(void);
void rig_must(bool ok, const char *what); /* or ends the program */

/* --- between rig.c and client.c --- */
int rig_url(char *out, size_t cap, unsigned i);
void client_open(const struct rig_setup *setup, struct spate_port *port, unsigned worker);
void client_turn(void);
void client_connect_up_to(unsigned n);
uint64_t client_answers(void);
uint64_t client_bodies(void);
void client_close(void);
#define RIG_PORT 80

#endif
