/*
 * mem.h: the packet seam in memory: no NIC, no root, no clock, nothing random. For unit tests,
 * the simulator and the cost benches.
 *
 *   spate_mem_open(&p, &setup)  p is a port as any other, with one queue
 *   spate_mem_pair(a, b)        what a sends, b receives, and the other way round, at once and
 *                               in order
 * or, without a pair, by hand (a simulator decides what arrives, and when):
 *   n = spate_mem_take(p, buf, cap)  the next packet that the stack sent: complete, checksums
 *                                    filled, a TSO packet already cut. 0: none
 *   spate_mem_give(p, bytes, n)      a packet arrives (copied). false: the receive queue is
 *                                    full, it is lost
 *   p->ops->close(p)
 *
 * As on a NIC the payload of a packet in flight is a view: it is read when the packet is taken or
 * received, not when it is sent. So the cost of gathering falls on the receiving side, and the
 * sender's cost can be measured.
 */
#ifndef SPATE_PORT_MEM_H
#define SPATE_PORT_MEM_H

#include <stddef.h>

#include "dataplane/port/port.h"

struct spate_mem_setup {
	uint8_t mac[6];
	uint16_t mtu;         /* 0: 1500 */
	uint32_t tx_offloads; /* SPATE_TX_*; 0: none, checksums are made in software when sent */
	uint32_t tso_max;     /* payload bytes; 0: no TSO */
	bool tso_whole;  /* hand TSO packets over uncut, as virtio does; rx_buffer must hold them;
			    only  with rx_checked */
	bool rx_checked; /* received packets carry IP_GOOD and L4_GOOD, as from a NIC that checks */
	uint32_t tx_packets; /* buffers, a power of two; 0: 1024 */
	uint32_t rx_packets; /* likewise */
	uint32_t rx_buffer;  /* bytes each; 0: mtu + 64 */
};

/* 0 or -ENOMEM, -EINVAL. On success close() frees it. */
int spate_mem_open(struct spate_port *p, const struct spate_mem_setup *setup);
void spate_mem_pair(struct spate_port *a, struct spate_port *b);
size_t spate_mem_take(struct spate_port *p, uint8_t *buf, size_t cap);
bool spate_mem_give(struct spate_port *p, const uint8_t *bytes, size_t n);
/*
 * Gathers what the other side of the pair has sent into p's receive buffers now, so that p's rx
 * only hands it out: the wire and the device, for who measures p's stack. As far as p has buffers.
 */
void spate_mem_deliver(struct spate_port *p);
unsigned spate_mem_sent(
	const struct spate_port *p); /* packets sent and not yet taken (a TSO packet is one) */

void spate_mem_link(struct spate_port *p, bool up); /* it is up at first */

/* Every buffer is where it should be: none handed out, queued or kept. Tests, at the end. */
bool spate_mem_idle(const struct spate_port *p);

#endif
