/*
 * port.h: bursts of packets. The seam below TCP. Backends: DPDK (dpdk.c), memory (mem.c, simulation and tests).
 *
 * Packets are described, not copied: a received packet is a view into a buffer that the port owns until it is
 * freed; a packet to send is up to SPATE_PKT_HEAD bytes of headers, written in place in a buffer of the port, and
 * up to SPATE_PKT_FRAGS views into the cache arena.
 *
 *   n = port->ops->rx(port, queue, pkts, max)         views; valid until rx_free
 *   port->ops->rx_free(port, queue, pkts, n)          (a packet kept for later is simply not freed yet)
 *   n = port->ops->tx_get(port, queue, tx, want)      gives header room; n < want: no buffers now
 *   ... fill tx[i]
 *   port->ops->tx(port, queue, tx, n)                 takes all n over; drops what the device does not take,
 *                                                     and counts it (TCP will find out as it does on a wire)
 *   port->ops->tx_put(port, queue, tx, n)             gives unused ones back
 *
 * Payload frags point into memory that may be reused once TCP has released it. That is safe without a
 * completion: bytes are only released when acknowledged, so a copy still in the device's queue can only be a
 * retransmission, which the receiver throws away.
 */
#ifndef SPATE_PORT_H
#define SPATE_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define SPATE_PKT_HEAD  128 /* ethernet + vlan + ipv6 + tcp with options, and room to spare */
#define SPATE_PKT_FRAGS 8   /* payload pieces a packet; a 64 KiB TSO segment over 16 KiB blocks needs 5 */

struct spate_pkt_rx {
	uint8_t *data;    /* ethernet header; contiguous */
	uint16_t len;     /* bytes */
	uint16_t flags;   /* SPATE_RX_* */
	uint32_t hash;    /* RSS hash when the port has one, else 0 */
	void *handle;     /* the port's */
};
#define SPATE_RX_IP_GOOD 0x1 /* the device checked it; without these software does */
#define SPATE_RX_L4_GOOD 0x2
#define SPATE_RX_IP_BAD  0x4
#define SPATE_RX_L4_BAD  0x8

struct spate_pkt_tx {
	uint8_t *head;      /* SPATE_PKT_HEAD bytes of room, port's memory */
	uint16_t head_len;  /* ethernet + ip + l4 headers (and small payloads that were copied in) */
	uint8_t l2_len, l3_len, l4_len;
	uint8_t flags;      /* SPATE_TX_* */
	uint16_t tso_mss;   /* with SPATE_TX_TSO: payload bytes a segment */
	uint16_t nfrags;
	uint32_t frag_len;  /* sum */
	struct iovec frag[SPATE_PKT_FRAGS];
	void *handle;       /* the port's */
};
#define SPATE_TX_IP4     0x1  /* else IPv6 */
#define SPATE_TX_IP_CSUM 0x2  /* please fill the IPv4 header checksum */
#define SPATE_TX_L4_CSUM 0x4  /* please fill it; the field holds the pseudo-header sum */
#define SPATE_TX_UDP     0x8  /* else TCP, when L4_CSUM */
#define SPATE_TX_TSO     0x10

struct spate_port_caps {
	uint32_t tx_offloads; /* SPATE_TX_* the port does itself; the rest is done in software before tx */
	uint32_t tso_max;     /* payload bytes of one TSO packet; 0: none */
	uint16_t mtu;
	uint16_t queues;
	uint8_t mac[6];
	bool zero_copy;       /* frags are sent from where they are; false: the port copies them */
	bool link_up;
};

struct spate_port;

struct spate_port_ops {
	const char *name;
	unsigned (*rx)(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts, unsigned max);
	void (*rx_free)(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts, unsigned n);
	unsigned (*tx_get)(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned want);
	void (*tx_put)(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n);
	void (*tx)(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n);
};

struct spate_port {
	const struct spate_port_ops *ops;
	struct spate_port_caps caps;
	void *priv;
};

#endif
