/*
 * dpdk.h: ports of DPDK behind port.h: NICs, and the vdevs that need none.
 *
 *   spate_eal_start(...)
 *   spate_dpdk_open(&p, i, &setup, why, ...)  configures device i and starts it; every queue is
 *                                             ready
 *   spate_dpdk_describe(&p, text, ...)        one line for the log: what the device does, what
 *                                             software must
 *   p.ops->close(&p)
 *
 * Which way payload leaves is decided here, once a port:
 *   direct  multi-segment and the arena is memory that the device can read: mbufs point into
 *           the arena
 *   gather  multi-segment, but the device cannot reach the arena (virtio-user): copied into
 *           chained mbufs
 *   linear  no multi-segment: copied behind the headers
 * A frag outside the arena is always copied before tx() returns.
 */
#ifndef SPATE_PORT_DPDK_H
#define SPATE_PORT_DPDK_H

#include <stddef.h>

#include "dataplane/port/port.h"
#include "spate/cache.h"

struct spate_dpdk_port_setup {
	unsigned queues;      /* one a worker */
	uint16_t mtu;         /* 0: the device's */
	bool no_tso, no_csum; /* leave the device's offloads unused (to measure, or a device that
				 lies) */
	bool whole_csums;     /* received frames are handed on: their checksums must be in them */
	const struct spate_arena_info *arena; /* NULL: none (tests) */
};

/* 0 or negative errno with why filled in. Closed by ops->close. */
int spate_dpdk_open(struct spate_port *p, unsigned index, const struct spate_dpdk_port_setup *setup,
		    char *why, size_t why_len);
/* Stops the device; before close() where several share the cache's memory, which the first one
 * takes away. */
void spate_dpdk_quiet(struct spate_port *p);
/* Asks the device for its link, with system calls where there is no other way; link_up says it to
 * all threads from then on, and this returns it. One thread, the same that calls status(). */
bool spate_dpdk_look(struct spate_port *p);
bool spate_dpdk_lost(
	const struct spate_port *p); /* any thread; as status() says it, for one load */
const char *spate_dpdk_name(const struct spate_port *p); /* of the device */
void spate_dpdk_describe(const struct spate_port *p, char *text, size_t len);

#endif
