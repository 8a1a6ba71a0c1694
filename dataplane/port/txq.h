/*
 * txq.h: the sending half of a port queue, in bursts. One a (worker, port); shared by net and
 * tcp, so that all that a turn sends leaves in order and in bursts.
 *
 *   p = spate_txq_next(q)  the packet to fill; NULL: the port has no buffers now. Asking again
 *                          without a push gives the same one
 *   spate_txq_push(q)      it is filled; a full burst is sent
 *   spate_txq_flush(q)     sends what is there; once at the end of each turn
 *   spate_txq_full(q)      the device is behind: who has bulk to send waits for the next turn.
 *                          Acknowledgements and the like need not ask
 *   spate_txq_finish(q)    flush, and the unused ones go back to the port
 */
#ifndef SPATE_TXQ_H
#define SPATE_TXQ_H

#include <string.h>

#include "dataplane/port/port.h"

struct spate_txq {
	struct spate_port *port;
	unsigned queue;
	unsigned n, have; /* filled; got from the port (n <= have) */
	unsigned room;    /* packets to be pushed until the port is asked for room again */
	struct spate_pkt_tx pkt[SPATE_BURST];
};

static inline void spate_txq_init(struct spate_txq *q, struct spate_port *port, unsigned queue)
{
	q->port = port;
	q->queue = queue;
	q->n = q->have = q->room = 0;
}

static inline bool spate_txq_full(struct spate_txq *q)
{
	if (__builtin_expect(q->room == 0, 0))
		q->room = q->port->ops->tx_room(q->port, q->queue);
	return q->room == 0;
}

static inline struct spate_pkt_tx *spate_txq_next(struct spate_txq *q)
{
	if (__builtin_expect(q->n == q->have, 0)) {
		q->n = 0;
		q->have = q->port->ops->tx_get(q->port, q->queue, q->pkt, SPATE_BURST);
		if (q->have == 0)
			return NULL;
	}
	return &q->pkt[q->n];
}

/*
 * Payload comes from memory that no cache holds. Asked for here, it arrives while the rest of the
 * burst is cut; asked for by the checksum or the copy, each packet would wait for its own. Long
 * ones (TSO) are left to the hardware's prefetcher, which does well on them.
 */
static inline void txq_fetch(const struct spate_pkt_tx *tx)
{
	if (tx->frag_len > 2048)
		return;
	for (unsigned i = 0; i < tx->nfrags; i++) {
		const uint8_t *p = tx->frag[i].iov_base, *end = p + tx->frag[i].iov_len;

		for (p -= (uintptr_t)p & 63; p < end; p += 64)
			__builtin_prefetch(p);
	}
}

static inline void spate_txq_push(struct spate_txq *q)
{
	if (q->port->caps.reads)
		txq_fetch(&q->pkt[q->n]);
	q->room -= q->room != 0;
	if (++q->n == q->have) {
		q->port->ops->tx(q->port, q->queue, q->pkt, q->n);
		q->n = q->have = 0;
	}
}

static inline void spate_txq_flush(struct spate_txq *q)
{
	unsigned left = q->have - q->n;

	/* Also moves what the device did not take earlier, which nobody else might do for long. */
	q->room = q->port->ops->tx_room(q->port, q->queue);
	if (q->n == 0)
		return;
	q->port->ops->tx(q->port, q->queue, q->pkt, q->n);
	/*
	 * The unused ones keep their place for the next turn: moving a descriptor is cheaper than
	 * a put and a get. Only the port's own two fields matter.
	 */
	for (unsigned i = 0; i < left; i++) {
		q->pkt[i].head = q->pkt[q->n + i].head;
		q->pkt[i].handle = q->pkt[q->n + i].handle;
	}
	q->n = 0;
	q->have = left;
}

/*
 * Takes packet *out (filled, head copied nowhere: the port's buffer itself) out of the burst, to
 * be sent later with spate_txq_give; used by who must wait for something before it can be sent
 * (ARP).
 */
static inline void spate_txq_keep(struct spate_txq *q, struct spate_pkt_tx *out)
{
	*out = q->pkt[q->n];
	q->have--;
	q->pkt[q->n].head = q->pkt[q->have].head;
	q->pkt[q->n].handle = q->pkt[q->have].handle;
	if (q->n == q->have && q->n != 0) {
		/* It was the burst's last: what is filled goes now, as in push. */
		q->port->ops->tx(q->port, q->queue, q->pkt, q->n);
		q->n = q->have = 0;
	}
}

static inline void spate_txq_give(struct spate_txq *q, struct spate_pkt_tx *kept)
{
	q->port->ops->tx(q->port, q->queue, kept, 1);
}

static inline void spate_txq_finish(struct spate_txq *q)
{
	spate_txq_flush(q);
	if (q->have != 0)
		q->port->ops->tx_put(q->port, q->queue, q->pkt, q->have);
	q->have = 0;
}

#endif
