/*
 * mem.c: a port in memory (mem.h).
 *
 *    stack a ── tx ──► [ring of descriptors] ── gather ──► rx buffers of b ──► stack b
 *                        or spate_mem_take()        or spate_mem_give()
 *
 * A descriptor in the ring still points at its payload; gathering it is the receiver's work. Head
 * buffers and receive buffers lie in two arrays with a stack of free indices each.
 */
#include "dataplane/port/mem.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/port/soft.h"

#define HEAD_STRIDE \
	192 /* 2 bytes so that the IP header is aligned, the head, and to a cache line */
#define HEAD_PAD 2

struct mem {
	struct spate_mem_setup setup;
	struct spate_port *self, *peer;
	struct spate_port_queue count;
	bool link_down;
	/* sending */
	uint8_t *heads;
	uint32_t *head_free;
	uint32_t heads_free;
	struct spate_pkt_tx *ring;
	uint32_t ring_head, ring_tail;
	unsigned cut; /* next segment of the TSO packet at ring_head */
	/* receiving */
	uint8_t *bufs;
	uint32_t *buf_free, *given; /* given: buffers filled by spate_mem_give, oldest first */
	uint32_t *buf_len;
	uint32_t bufs_free, given_head, given_tail;
	uint32_t stride;
};

static struct mem *mem_of(const struct spate_port *p)
{
	return p->priv;
}

/* The next packet of m's ring into dst; 0: none (or it does not fit and was dropped). */
static size_t take(struct mem *m, uint8_t *dst, size_t cap, bool whole, bool csum)
{
	size_t n;

	if (m->ring_head == m->ring_tail)
		return 0;
	struct spate_pkt_tx *tx = &m->ring[m->ring_head & (m->setup.tx_packets - 1)];

	if ((tx->flags & SPATE_TX_TSO) && !whole) {
		n = tx->head_len + tx->tso_mss <= cap ? spate_soft_cut(tx, m->cut, dst, csum) : 0;
		if (n != 0 && (m->cut + 1) * tx->tso_mss < tx->frag_len) {
			m->cut++;
			return n;
		}
		m->cut = 0;
	} else {
		n = tx->head_len + tx->frag_len;
		if (n <= cap) {
			if (csum)
				spate_soft_csum(tx, 0);
			spate_soft_gather(tx, dst);
		} else {
			n = 0;
		}
	}
	m->head_free[m->heads_free++] = (uint32_t)((tx->head - m->heads) / HEAD_STRIDE);
	m->ring_head++;
	if (n == 0)
		m->count.tx_dropped++;
	return n;
}

static void describe(struct mem *m, uint32_t buf, size_t len, struct spate_pkt_rx *pkt)
{
	*pkt = (struct spate_pkt_rx){
		.data = m->bufs + (size_t)buf * m->stride + HEAD_PAD,
		.len = (uint16_t)len,
		.flags = m->setup.rx_checked ? SPATE_RX_IP_GOOD | SPATE_RX_L4_GOOD : 0,
		.handle = m->bufs + (size_t)buf * m->stride,
	};
	m->count.rx_packets++;
	m->count.rx_bytes += len;
}

static unsigned mem_rx(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts,
		       unsigned max)
{
	struct mem *m = mem_of(p);
	unsigned n = 0;

	while (n < max && m->given_head != m->given_tail) {
		uint32_t buf = m->given[m->given_head++ & (m->setup.rx_packets - 1)];

		describe(m, buf, m->buf_len[buf], &pkts[n++]);
	}
	if (m->peer == NULL)
		return n;
	struct mem *from = mem_of(m->peer);

	while (n < max && m->bufs_free != 0 && from->ring_head != from->ring_tail) {
		uint32_t buf = m->buf_free[m->bufs_free - 1];
		/* Who believes without a checksum needs none made. */
		size_t len =
			take(from, m->bufs + (size_t)buf * m->stride + HEAD_PAD,
			     m->stride - HEAD_PAD, from->setup.tso_whole, !m->setup.rx_checked);

		if (len == 0)
			continue;
		m->bufs_free--;
		describe(m, buf, len, &pkts[n++]);
	}
	return n;
}

static void mem_rx_free(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts, unsigned n)
{
	struct mem *m = mem_of(p);

	for (unsigned i = 0; i < n; i++)
		if (pkts[i].handle != NULL)
			m->buf_free[m->bufs_free++] =
				(uint32_t)(((uint8_t *)pkts[i].handle - m->bufs) / m->stride);
}

static unsigned mem_rx_rest(struct spate_port *p, const struct spate_pkt_rx *pkt, struct iovec *iov,
			    unsigned max)
{
	return 0;
}

static unsigned mem_tx_get(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx,
			   unsigned want)
{
	struct mem *m = mem_of(p);
	unsigned n = want < m->heads_free ? want : m->heads_free;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *at = m->heads + (size_t)m->head_free[--m->heads_free] * HEAD_STRIDE;

		tx[i].head = at + HEAD_PAD;
		tx[i].handle = at;
	}
	m->count.tx_out += n;
	if (n < want)
		m->count.tx_nobuf++;
	return n;
}

static void mem_tx_put(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n)
{
	struct mem *m = mem_of(p);

	for (unsigned i = 0; i < n; i++)
		m->head_free[m->heads_free++] =
			(uint32_t)(((uint8_t *)tx[i].handle - m->heads) / HEAD_STRIDE);
	m->count.tx_out -= n;
}

/* There is a slot for each head buffer, so the ring is never full. */
static void mem_tx(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n)
{
	struct mem *m = mem_of(p);

	for (unsigned i = 0; i < n; i++) {
		struct spate_pkt_tx *slot = &m->ring[m->ring_tail++ & (m->setup.tx_packets - 1)];

		/*
		 * the struct up to the frags in use: copying all of it would be most of a bench's
		 * cost
		 */
		memcpy(slot, &tx[i],
		       offsetof(struct spate_pkt_tx, frag) + tx[i].nfrags * sizeof(tx[i].frag[0]));
		m->count.tx_packets++;
		m->count.tx_bytes += tx[i].head_len + tx[i].frag_len;
	}
	m->count.tx_out -= n;
}

static unsigned mem_tx_room(struct spate_port *p, unsigned queue)
{
	return mem_of(p)->heads_free;
}

static uint64_t mem_tx_mark(struct spate_port *p, unsigned queue)
{
	return (uint64_t)mem_of(p)->ring_tail + 1;
}

static bool mem_tx_past(struct spate_port *p, unsigned queue, uint64_t mark)
{
	return (int32_t)(mem_of(p)->ring_head - (uint32_t)(mark - 1)) >= 0;
}

static bool mem_link_up(const struct spate_port *p)
{
	return !mem_of(p)->link_down;
}

static void mem_status(struct spate_port *p, struct spate_port_status *out)
{
	const struct spate_port_queue *q = &mem_of(p)->count;

	*out = (struct spate_port_status){
		.link_up = mem_link_up(p),
		.full_duplex = true,
		.rx_packets = q->rx_packets,
		.rx_bytes = q->rx_bytes,
		.tx_packets = q->tx_packets,
		.tx_bytes = q->tx_bytes,
		.tx_errors = q->tx_dropped,
	};
}

static const struct spate_port_queue *mem_queue(const struct spate_port *p, unsigned queue)
{
	return &mem_of(p)->count;
}

void spate_mem_link(struct spate_port *p, bool up)
{
	mem_of(p)->link_down = !up;
}

static void mem_close(struct spate_port *p)
{
	struct mem *m = mem_of(p);

	if (m->peer != NULL)
		mem_of(m->peer)->peer = NULL;
	free(m->heads);
	free(m->head_free);
	free(m->ring);
	free(m->bufs);
	free(m->buf_free);
	free(m->given);
	free(m->buf_len);
	free(m);
	p->priv = NULL;
}

static const struct spate_port_ops mem_ops = {
	.name = "mem",
	.rx = mem_rx,
	.rx_free = mem_rx_free,
	.rx_rest = mem_rx_rest,
	.tx_get = mem_tx_get,
	.tx_put = mem_tx_put,
	.tx = mem_tx,
	.tx_room = mem_tx_room,
	.tx_mark = mem_tx_mark,
	.tx_past = mem_tx_past,
	.status = mem_status,
	.queue = mem_queue,
	.link_up = mem_link_up,
	.close = mem_close,
};

int spate_mem_open(struct spate_port *p, const struct spate_mem_setup *setup)
{
	struct mem *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	m->setup = *setup;
	if (m->setup.mtu == 0)
		m->setup.mtu = 1500;
	if (m->setup.tx_packets == 0)
		m->setup.tx_packets = 1024;
	if (m->setup.rx_packets == 0)
		m->setup.rx_packets = 1024;
	if (m->setup.rx_buffer == 0)
		m->setup.rx_buffer = m->setup.mtu + 64u;
	uint32_t txn = m->setup.tx_packets, rxn = m->setup.rx_packets;

	*p = (struct spate_port){.ops = &mem_ops, .priv = m};
	if ((txn & (txn - 1)) != 0 || (rxn & (rxn - 1)) != 0 || m->setup.rx_buffer > UINT16_MAX ||
	    (m->setup.tso_whole && !m->setup.rx_checked)) {
		mem_close(p);
		return -EINVAL;
	}
	m->self = p;
	m->stride = (m->setup.rx_buffer + HEAD_PAD + 63) & ~63u;
	m->heads = aligned_alloc(64, (size_t)txn * HEAD_STRIDE);
	m->head_free = calloc(txn, sizeof(*m->head_free));
	m->ring = calloc(txn, sizeof(*m->ring));
	m->bufs = aligned_alloc(64, (size_t)rxn * m->stride);
	m->buf_free = calloc(rxn, sizeof(*m->buf_free));
	m->given = calloc(rxn, sizeof(*m->given));
	m->buf_len = calloc(rxn, sizeof(*m->buf_len));
	if (m->heads == NULL || m->head_free == NULL || m->ring == NULL || m->bufs == NULL ||
	    m->buf_free == NULL || m->given == NULL || m->buf_len == NULL) {
		mem_close(p);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < txn; i++)
		m->head_free[i] = txn - 1 - i;
	for (uint32_t i = 0; i < rxn; i++)
		m->buf_free[i] = rxn - 1 - i;
	m->heads_free = txn;
	m->bufs_free = rxn;
	p->caps = (struct spate_port_caps){
		.tx_offloads = setup->tx_offloads,
		.tso_max = setup->tso_max,
		.mtu = m->setup.mtu,
		.queues = 1,
		.zero_copy = true,
	};
	memcpy(p->caps.mac, setup->mac, 6);
	return 0;
}

void spate_mem_pair(struct spate_port *a, struct spate_port *b)
{
	mem_of(a)->peer = b;
	mem_of(b)->peer = a;
}

void spate_mem_deliver(struct spate_port *p)
{
	struct mem *m = mem_of(p), *from = mem_of(m->peer);

	while (m->bufs_free != 0 && from->ring_head != from->ring_tail) {
		uint32_t buf = m->buf_free[m->bufs_free - 1];
		size_t len =
			take(from, m->bufs + (size_t)buf * m->stride + HEAD_PAD,
			     m->stride - HEAD_PAD, from->setup.tso_whole, !m->setup.rx_checked);

		if (len == 0)
			continue;
		m->bufs_free--;
		m->buf_len[buf] = (uint32_t)len;
		m->given[m->given_tail++ & (m->setup.rx_packets - 1)] = buf;
	}
}

size_t spate_mem_take(struct spate_port *p, uint8_t *buf, size_t cap)
{
	struct mem *m = mem_of(p);
	size_t n = 0;

	while (n == 0 && m->ring_head != m->ring_tail)
		n = take(m, buf, cap, false, true);
	return n;
}

bool spate_mem_give(struct spate_port *p, const uint8_t *bytes, size_t n)
{
	struct mem *m = mem_of(p);

	if (m->bufs_free == 0 || n > m->stride - HEAD_PAD) {
		m->count.rx_too_long += n > m->stride - HEAD_PAD;
		return false;
	}
	uint32_t buf = m->buf_free[--m->bufs_free];

	memcpy(m->bufs + (size_t)buf * m->stride + HEAD_PAD, bytes, n);
	m->buf_len[buf] = (uint32_t)n;
	m->given[m->given_tail++ & (m->setup.rx_packets - 1)] = buf;
	return true;
}

unsigned spate_mem_sent(const struct spate_port *p)
{
	const struct mem *m = mem_of(p);

	return m->ring_tail - m->ring_head;
}

bool spate_mem_idle(const struct spate_port *p)
{
	const struct mem *m = mem_of(p);

	return m->count.tx_out == 0 && m->ring_head == m->ring_tail &&
	       m->heads_free == m->setup.tx_packets && m->bufs_free == m->setup.rx_packets;
}
