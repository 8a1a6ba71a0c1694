/*
 * port.h: bursts of packets. The seam below TCP. Backends: DPDK (dpdk.c), memory (mem.c,
 * simulation and tests).
 *
 * Packets are described, not copied: a received packet is a view into a buffer that the port owns
 * until it is freed; a packet to send is up to SPATE_PKT_HEAD bytes of headers, written in place
 * in a buffer of the port, and up to SPATE_PKT_FRAGS views into the cache arena. Bursts are at
 * most SPATE_BURST packets.
 *
 *   n = port->ops->rx(port, queue, pkts, max)     views; valid until rx_free
 *   port->ops->rx_free(port, queue, pkts, n)      entries whose handle is NULL are skipped: who
 *                                                 keeps a packet copies the entry and sets
 *                                                 handle to NULL here
 *   n = port->ops->tx_get(port, queue, tx, want)  gives header room; n < want: no buffers now
 *   ... fill tx[i]                                everything but head and handle is the
 *                                                 caller's to set
 *   port->ops->tx(port, queue, tx, n)             takes all n over; what the device does not
 *                                                 take now waits in a short backlog, and past
 *                                                 that is dropped and counted (TCP will find
 *                                                 out as it does on a wire)
 *   port->ops->tx_put(port, queue, tx, n)         gives unused ones back
 *   port->ops->tx_room(port, queue)               packets that fit now without a drop: a sender
 *                                                 that asks first never loses a packet at home.
 *                                                 Also moves the backlog
 *
 * txq.h batches the sending half. One thread a queue; rx and tx of one queue are the same
 * thread's.
 *
 * Payload frags point into memory that may be reused once TCP has released it. That is safe
 * without a completion: bytes are only released when acknowledged, so a copy still in the
 * device's queue can only be a retransmission, which the receiver throws away. (A receiver that
 * acknowledges what has not reached it may get bytes of another object in their stead: what it
 * could have asked for as well.) Whoever gives up what was not acknowledged (a connection that is
 * aborted) asks the port first:
 *
 *   mark = port->ops->tx_mark(port, queue)        all that was handed to tx() up to now
 *   port->ops->tx_past(port, queue, mark)         true: the device has let go of it
 */
#ifndef SPATE_PORT_H
#define SPATE_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define SPATE_PKT_HEAD 128 /* ethernet + vlan + ipv6 + tcp with options, and room to spare */
#define SPATE_PKT_FRAGS \
	8 /* payload pieces a packet; a 64 KiB TSO segment over 16 KiB blocks needs 5 */
#define SPATE_BURST 32

struct spate_pkt_rx {
	uint8_t *data;  /* ethernet header */
	uint16_t len;   /* bytes at data, contiguous; all of the packet unless rest != 0 */
	uint16_t flags; /* SPATE_RX_* */
	uint32_t hash;  /* RSS hash when the port has one, else 0 */
	uint32_t rest;  /* bytes after those, in further buffers: ops->rx_rest. Only with receive
			   offloads */
	void *handle;   /* the port's */
};
#define SPATE_RX_IP_GOOD 0x1 /* the device checked it; without these software does */
#define SPATE_RX_L4_GOOD 0x2
#define SPATE_RX_IP_BAD  0x4
#define SPATE_RX_L4_BAD  0x8

struct spate_pkt_tx {
	uint8_t *head; /* SPATE_PKT_HEAD bytes of room, port's memory, 64-byte aligned but for l2 */
	uint16_t head_len; /* ethernet + ip + l4 headers (and small payloads that were copied in) */
	uint8_t l2_len, l3_len, l4_len;
	uint8_t flags;    /* SPATE_TX_* */
	uint16_t tso_mss; /* with SPATE_TX_TSO: payload bytes a segment */
	uint16_t nfrags;
	uint32_t frag_len; /* sum */
	struct iovec frag[SPATE_PKT_FRAGS];
	void *handle; /* the port's */
};
#define SPATE_TX_IP4     0x1 /* else IPv6 */
#define SPATE_TX_IP_CSUM 0x2 /* please fill the IPv4 header checksum (the field is 0) */
#define SPATE_TX_L4_CSUM \
	0x4 /* please fill it; the field holds the folded pseudo-header sum, with the length */
#define SPATE_TX_UDP 0x8 /* else TCP, when L4_CSUM */
#define SPATE_TX_TSO \
	0x10 /* with L4_CSUM (and IP_CSUM on IPv4): cut into tso_mss; the pseudo-header sum \
				 is then without the length (as NICs want it) */

struct spate_port_caps {
	uint32_t tx_offloads; /* SPATE_TX_* the device does itself. The port does checksums in
				 software for the rest; it never cuts, so no TSO packet may be sent
				 unless tso_max != 0 */
	uint32_t tso_max;     /* payload bytes of one TSO packet; 0: none */
	uint16_t mtu;         /* largest IP packet */
	uint16_t queues;
	uint8_t mac[6];
	bool zero_copy; /* frags are sent from where they are; false: the port copies them */
	bool reads;     /* sending makes this core read the payload: a checksum, a copy. Then txq.h
			   fetches it while the burst is still being made */
	bool tx_untold; /* may keep what it has sent until more is sent: tx_past may stay false */
	bool strays;    /* a flow's packets may come to several queues (net/strays.h) */
};

struct spate_port_status {
	bool link_up, full_duplex;
	bool lost;     /* the device was removed, or wants to be reset: nothing comes any more */
	uint32_t mbps; /* 0: the device does not say */
	/* the whole device, where it counts; else the sum over queues */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_missed, rx_errors, rx_nobuf, tx_errors;
	uint64_t tx_dropped, tx_copied; /* sums over queues */
	uint64_t buffers_used,
		buffers; /* packet buffers that are out, and that there are; 0: not counted */
};

/* One queue's own counts, written by its thread. */
struct spate_port_queue {
	uint64_t rx_packets, rx_bytes, rx_too_long;
	uint64_t tx_packets, tx_bytes, tx_dropped; /* dropped: backlog full */
	uint64_t tx_nobuf;   /* tx_get gave less than asked, or no payload mbuf */
	uint64_t tx_copied;  /* packets whose payload was copied */
	uint32_t tx_backlog; /* packets waiting now */
	uint32_t tx_out;     /* handed out by tx_get, not yet sent or put back */
};

struct spate_port;

struct spate_port_ops {
	const char *name;
	unsigned (*rx)(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts,
		       unsigned max);
	void (*rx_free)(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts,
			unsigned n);
	/*
	 * The bytes after pkt->len, in order; returns iovecs used, or max + 1 when they do not
	 * fit.
	 */
	unsigned (*rx_rest)(struct spate_port *p, const struct spate_pkt_rx *pkt, struct iovec *iov,
			    unsigned max);
	unsigned (*tx_get)(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx,
			   unsigned want);
	void (*tx_put)(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n);
	void (*tx)(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n);
	unsigned (*tx_room)(struct spate_port *p, unsigned queue);
	/* Slow path; both NULL: the port never keeps views. A mark is never 0. */
	uint64_t (*tx_mark)(struct spate_port *p, unsigned queue);
	bool (*tx_past)(struct spate_port *p, unsigned queue, uint64_t mark);
	/* Slow path, one thread: it may ask the device, with system calls. */
	void (*status)(struct spate_port *p, struct spate_port_status *out);
	const struct spate_port_queue *(*queue)(const struct spate_port *p, unsigned queue);
	bool (*link_up)(const struct spate_port *p); /* any thread: as it was when last asked */
	void (*close)(struct spate_port *p);
};

struct spate_port {
	const struct spate_port_ops *ops;
	struct spate_port_caps caps;
	void *priv;
};

#endif
