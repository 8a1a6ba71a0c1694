/*
 * dpdk.c: rx and tx of a DPDK port. Setting one up is dpdk_open.c.
 *
 * A packet to send is a head mbuf (headers, and room for a response's head behind them) and a
 * mbuf for each frag:
 *
 *     head mbuf ── next ──► frag mbuf ── next ──► frag mbuf
 *     [eth ip tcp]          │ buf_addr             │
 *                           ▼                      ▼
 *                     arena block            arena block
 *
 * Frag mbufs come from a pool whose elements have no data room at all; their buf_addr is set each
 * time. They are plain direct mbufs to whoever frees them: a compare of the reference count and
 * back to the pool. Attaching an external buffer in the usual way would cost a shared-info line,
 * a callback and a detach a packet (docs/design/port.md has the figures). Nobody owns the arena's
 * memory through them: port.h says why that is safe.
 */
#include "dataplane/port/dpdk_internal.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/port/soft.h"

static inline struct dpdk *dpdk_of(const struct spate_port *p)
{
	return p->priv;
}

static uint16_t rx_flags(uint64_t ol)
{
	uint16_t f = 0;

	if ((ol & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		f |= SPATE_RX_IP_GOOD;
	else if ((ol & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD)
		f |= SPATE_RX_IP_BAD;
	/*
	 * NONE: the data is good though the field is not, as from a virtual peer that never made
	 * it.
	 */
	if ((ol & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD ||
	    (ol & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		f |= SPATE_RX_L4_GOOD;
	else if ((ol & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		f |= SPATE_RX_L4_BAD;
	return f;
}

static unsigned dpdk_rx(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts,
			unsigned max)
{
	struct dpdk *d = dpdk_of(p);
	struct dpdk_queue *q = &d->queue[queue];
	struct rte_mbuf *m[SPATE_BURST];
	unsigned n = rte_eth_rx_burst(d->id, (uint16_t)queue, m,
				      (uint16_t)(max < SPATE_BURST ? max : SPATE_BURST));
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = m[i]->pkt_len;

		pkts[i].data = rte_pktmbuf_mtod(m[i], uint8_t *);
		pkts[i].len = m[i]->data_len;
		pkts[i].flags = d->trust_rx ? rx_flags(m[i]->ol_flags) : 0;
		pkts[i].hash = m[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH ? m[i]->hash.rss : 0;
		pkts[i].rest = len - m[i]->data_len;
		pkts[i].handle = m[i];
		bytes += len;
	}
	q->count.rx_packets += n;
	q->count.rx_bytes += bytes;
	return n;
}

static void dpdk_rx_free(struct spate_port *p, unsigned queue, struct spate_pkt_rx *pkts,
			 unsigned n)
{
	struct rte_mbuf *m[SPATE_BURST];
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (pkts[i].handle == NULL)
			continue;
		m[k++] = pkts[i].handle;
		if (k == SPATE_BURST) {
			rte_pktmbuf_free_bulk(m, k);
			k = 0;
		}
	}
	rte_pktmbuf_free_bulk(m, k);
}

static unsigned dpdk_rx_rest(struct spate_port *p, const struct spate_pkt_rx *pkt,
			     struct iovec *iov, unsigned max)
{
	unsigned n = 0;

	for (struct rte_mbuf *m = ((struct rte_mbuf *)pkt->handle)->next; m != NULL; m = m->next) {
		if (n == max)
			return max + 1;
		iov[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	}
	return n;
}

static unsigned dpdk_tx_get(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx,
			    unsigned want)
{
	struct dpdk_queue *q = &dpdk_of(p)->queue[queue];
	struct rte_mbuf *m[SPATE_BURST];
	unsigned n = want < SPATE_BURST ? want : SPATE_BURST;

	/* All or nothing is the mempool's way; a smaller burst is still worth having. */
	while (n != 0 && rte_mempool_get_bulk(q->heads, (void **)m, n) != 0)
		n /= 2;
	for (unsigned i = 0; i < n; i++) {
		tx[i].head = (uint8_t *)m[i]->buf_addr + HEAD_OFF;
		tx[i].handle = m[i];
	}
	q->count.tx_out += n;
	if (n < want)
		q->count.tx_nobuf++;
	return n;
}

static void dpdk_tx_put(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n)
{
	struct dpdk_queue *q = &dpdk_of(p)->queue[queue];

	for (unsigned i = 0; i < n; i++)
		rte_mempool_put(q->heads, tx[i].handle);
	q->count.tx_out -= n;
}

/* What every mbuf of ours needs when it comes raw from its pool. */
static inline void fresh(struct rte_mbuf *m, uint16_t data_off, uint16_t len)
{
	m->data_off = data_off;
	m->refcnt = 1;
	m->nb_segs = 1;
	m->port = 0xffff;
	m->ol_flags = 0;
	m->data_len = len;
	m->next = NULL;
}

static inline rte_iova_t iova_of(const struct dpdk *d, uintptr_t off)
{
	if (__builtin_expect(d->arena_iova == NULL, 1))
		return (rte_iova_t)(d->arena_base + off);
	return d->arena_iova[off >> d->arena_page_shift] +
	       (off & ((1u << d->arena_page_shift) - 1));
}

/*
 * Copies frags into as few mbufs of the copy pool as it takes, linked after `last`. NULL: the
 * pool is empty.
 */
static struct rte_mbuf *chain_copy(struct dpdk_queue *q, struct rte_mbuf *head,
				   struct rte_mbuf *last, const struct iovec *iov, unsigned n)
{
	uint32_t room = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *from = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left != 0) {
			if (room == 0) {
				struct rte_mbuf *m;

				if (rte_mempool_get(q->copies, (void **)&m) != 0)
					return NULL;
				fresh(m, RTE_PKTMBUF_HEADROOM, 0);
				last->next = m;
				last = m;
				head->nb_segs++;
				room = q->copy_room;
			}
			uint32_t take = left < room ? (uint32_t)left : room;

			memcpy(rte_pktmbuf_mtod_offset(last, void *, last->data_len), from, take);
			last->data_len = (uint16_t)(last->data_len + take);
			from += take;
			left -= take;
			room -= take;
		}
	}
	q->count.tx_copied++;
	return last;
}

/*
 * Bytes at `off` that one piece can have: all of them where addresses are virtual ones, else up to
 * the page's end, as the next page may be anywhere.
 */
static inline uint32_t in_place(const struct dpdk *d, uintptr_t off, uint32_t len)
{
	if (__builtin_expect(d->arena_iova == NULL, 1))
		return len;
	size_t page = (size_t)1 << d->arena_page_shift, left = page - (off & (page - 1));

	return len < left ? len : (uint32_t)left;
}

static unsigned pieces(const struct dpdk *d, const struct spate_pkt_tx *tx)
{
	unsigned n = 1 + tx->nfrags;

	for (unsigned i = 0; d->arena_iova != NULL && i < tx->nfrags; i++) {
		uintptr_t off = (uintptr_t)tx->frag[i].iov_base - d->arena_base;

		n += off < d->arena_bytes &&
		     in_place(d, off, (uint32_t)tx->frag[i].iov_len) != tx->frag[i].iov_len;
	}
	return n;
}

/* A view of bytes in the arena, behind `last`. NULL: no buffers. */
static inline struct rte_mbuf *link_view(const struct dpdk *d, struct dpdk_queue *q,
					 struct rte_mbuf *head, struct rte_mbuf *last,
					 uintptr_t off, uint32_t len)
{
	struct rte_mbuf *m;

	if (__builtin_expect(q->frags_have == 0, 0)) {
		if (rte_mempool_get_bulk(q->frags, (void **)q->frag, SPATE_BURST) != 0)
			return NULL;
		q->frags_have = SPATE_BURST;
	}
	m = q->frag[--q->frags_have];
	fresh(m, 0, (uint16_t)len);
	m->buf_addr = (void *)(d->arena_base + off);
	m->buf_iova = iova_of(d, off);
	m->buf_len = (uint16_t)len;
	last->next = m;
	head->nb_segs++;
	return m;
}

/* Links the frags behind head. false: no buffers; what was linked stays and is freed with head. */
static bool link_frags(const struct dpdk *d, struct dpdk_queue *q, struct rte_mbuf *head,
		       const struct spate_pkt_tx *tx)
{
	struct rte_mbuf *last = head;

	/* More pieces than the device takes (i40e: 8): its driver may not notice, and the device
	 * then stops. */
	if (__builtin_expect(pieces(d, tx) > d->seg_max, 0))
		return chain_copy(q, head, head, tx->frag, tx->nfrags) != NULL;
	for (unsigned i = 0; i < tx->nfrags; i++) {
		uintptr_t off = (uintptr_t)tx->frag[i].iov_base - d->arena_base;
		uint32_t len = (uint32_t)tx->frag[i].iov_len;

		if (off >= d->arena_bytes || __builtin_expect(len > UINT16_MAX, 0)) {
			/*
			 * A response's head, mostly: behind the packet's headers when it comes
			 * first and fits.
			 */
			if (last == head && HEAD_OFF + head->data_len + len <= head->buf_len) {
				memcpy(tx->head + head->data_len, tx->frag[i].iov_base, len);
				head->data_len = (uint16_t)(head->data_len + len);
				continue;
			}
			last = chain_copy(q, head, last, &tx->frag[i], 1);
			if (last == NULL)
				return false;
			continue;
		}
		for (uint32_t n; len != 0; off += n, len -= n) {
			n = in_place(d, off, len);
			last = link_view(d, q, head, last, off, n);
			if (last == NULL)
				return false;
		}
	}
	return true;
}

/* Behind the headers, in the head mbuf itself, which has room for an MTU then. */
static bool copy_frags(struct dpdk_queue *q, struct rte_mbuf *head, const struct spate_pkt_tx *tx)
{
	uint8_t *to = tx->head + tx->head_len;

	if (HEAD_OFF + tx->head_len + tx->frag_len > head->buf_len)
		return false;
	for (unsigned i = 0; i < tx->nfrags; i++) {
		memcpy(to, tx->frag[i].iov_base, tx->frag[i].iov_len);
		to += tx->frag[i].iov_len;
	}
	head->data_len = (uint16_t)(tx->head_len + tx->frag_len);
	q->count.tx_copied++;
	return true;
}

static inline uint64_t ol_flags(const struct spate_pkt_tx *tx)
{
	uint64_t ol = tx->flags & SPATE_TX_IP4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;

	if (tx->flags & SPATE_TX_IP_CSUM)
		ol |= RTE_MBUF_F_TX_IP_CKSUM;
	if (tx->flags & SPATE_TX_L4_CSUM)
		ol |= tx->flags & SPATE_TX_UDP ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	if (tx->flags & SPATE_TX_TSO)
		ol |= RTE_MBUF_F_TX_TCP_SEG;
	return ol;
}

/* Sends what it can of the backlog; what stays moves to its front. */
static void push_backlog(struct dpdk *d, struct dpdk_queue *q, unsigned queue)
{
	unsigned sent = 0;

	while (sent < q->count.tx_backlog) {
		unsigned left = q->count.tx_backlog - sent;
		unsigned n = rte_eth_tx_burst(d->id, (uint16_t)queue, q->backlog + sent,
					      (uint16_t)(left < SPATE_BURST ? left : SPATE_BURST));

		sent += n;
		if (n == 0)
			break;
	}
	if (sent == 0)
		return;
	q->count.tx_backlog -= sent;
	memmove(q->backlog, q->backlog + sent, q->count.tx_backlog * sizeof(q->backlog[0]));
}

/*
 * The next packet becomes the fence. It never is one of those that a full backlog drops: then it
 * would say too early that those before it are gone.
 */
static void set_fence(struct dpdk_queue *q, struct rte_mbuf *m)
{
	if (q->count.tx_backlog != 0)
		return;
	q->want_fence = false;
	q->fence = m;
	q->fence_at = q->handed;
	rte_mbuf_refcnt_set(m, 2);
}

static uint64_t dpdk_tx_mark(struct spate_port *p, unsigned queue)
{
	return dpdk_of(p)->queue[queue].handed + 1;
}

static bool dpdk_tx_past(struct spate_port *p, unsigned queue, uint64_t mark)
{
	struct dpdk *d = dpdk_of(p);
	struct dpdk_queue *q = &d->queue[queue];
	uint64_t upto = mark - 1;

	if (q->past >= upto)
		return true;
	if (q->count.tx_backlog != 0)
		push_backlog(d, q, queue);
	if (rte_eth_tx_done_cleanup(d->id, (uint16_t)queue, 0) < 0)
		p->caps.tx_untold = true;
	if (q->fence != NULL && rte_mbuf_refcnt_read(q->fence) == 1) {
		q->past = q->fence_at;
		rte_pktmbuf_free_seg(q->fence);
		q->fence = NULL;
	}
	/* A quiet queue needs no fence: every payload buffer is back. */
	if (q->count.tx_backlog == 0 && rte_mempool_in_use_count(q->frags) == q->frags_have)
		q->past = q->handed;
	if (q->past >= upto && q->fence != NULL) {
		rte_pktmbuf_free_seg(q->fence); /* the device's own hold stays */
		q->fence = NULL;
	}
	q->want_fence = q->past < upto && q->fence == NULL;
	return q->past >= upto;
}

/*
 * Drops what the device refuses (too many pieces, a length it cannot do); TCP sends it again. It
 * stops at the first one and has not looked at those behind it.
 */
static unsigned prepare(struct dpdk *d, struct dpdk_queue *q, unsigned queue, struct rte_mbuf **m,
			unsigned n)
{
	unsigned good = 0;

	while ((good +=
		rte_eth_tx_prepare(d->id, (uint16_t)queue, m + good, (uint16_t)(n - good))) < n) {
		rte_pktmbuf_free(m[good]);
		memmove(m + good, m + good + 1, (--n - good) * sizeof(m[0]));
		q->count.tx_dropped++;
	}
	return n;
}

static void dpdk_tx(struct spate_port *p, unsigned queue, struct spate_pkt_tx *tx, unsigned n)
{
	struct dpdk *d = dpdk_of(p);
	struct dpdk_queue *q = &d->queue[queue];
	struct rte_mbuf *m[SPATE_BURST];
	uint32_t missing = ~p->caps.tx_offloads & (SPATE_TX_IP_CSUM | SPATE_TX_L4_CSUM);
	unsigned k = 0, sent = 0, all_flags = 0;
	uint64_t bytes = 0;

	q->count.tx_out -= n;
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *head = tx[i].handle;
		bool ok = true;

		if (missing & tx[i].flags)
			spate_soft_csum(&tx[i], p->caps.tx_offloads);
		fresh(head, HEAD_OFF, tx[i].head_len);
		if (tx[i].nfrags != 0)
			ok = d->linear ? copy_frags(q, head, &tx[i])
				       : link_frags(d, q, head, &tx[i]);
		if (__builtin_expect(!ok, 0)) {
			rte_pktmbuf_free(head);
			q->count.tx_nobuf++;
			q->count.tx_dropped++;
			continue;
		}
		head->pkt_len = tx[i].head_len + tx[i].frag_len;
		if (tx[i].flags & (SPATE_TX_IP_CSUM | SPATE_TX_L4_CSUM | SPATE_TX_TSO)) {
			head->ol_flags = ol_flags(&tx[i]);
			head->l2_len = tx[i].l2_len;
			head->l3_len = tx[i].l3_len;
			head->l4_len = tx[i].l4_len;
			head->tso_segsz = tx[i].tso_mss;
		}
		bytes += head->pkt_len;
		all_flags |= tx[i].flags;
		m[k++] = head;
	}
	q->count.tx_packets += k;
	q->count.tx_bytes += bytes;
	/*
	 * Checksums are as devices want them already; only TSO has rules that differ (virtio's
	 * pseudo-header).
	 */
	if (all_flags & SPATE_TX_TSO)
		k = prepare(d, q, queue, m, k);
	if (q->count.tx_backlog != 0)
		push_backlog(d, q, queue);
	if (__builtin_expect(q->want_fence, 0) && k != 0)
		set_fence(q, m[0]);
	q->handed += k;
	if (q->count.tx_backlog == 0 && k != 0)
		sent = rte_eth_tx_burst(d->id, (uint16_t)queue, m, (uint16_t)k);
	if (__builtin_expect(sent < k, 0)) {
		unsigned room = BACKLOG - q->count.tx_backlog,
			 keep = k - sent < room ? k - sent : room;

		memcpy(q->backlog + q->count.tx_backlog, m + sent, keep * sizeof(m[0]));
		q->count.tx_backlog += keep;
		sent += keep;
		q->count.tx_dropped += k - sent;
		rte_pktmbuf_free_bulk(m + sent, k - sent);
	}
}

static unsigned dpdk_tx_room(struct spate_port *p, unsigned queue)
{
	struct dpdk *d = dpdk_of(p);
	struct dpdk_queue *q = &d->queue[queue];

	if (q->count.tx_backlog != 0)
		push_backlog(d, q, queue);
	/*
	 * A device's own free slots cannot be asked for cheaply; the backlog can take this much
	 * of a surprise.
	 */
	return q->count.tx_backlog != 0 ? 0 : BACKLOG - SPATE_BURST;
}

static void count_pool(const struct rte_mempool *m, struct spate_port_status *out)
{
	if (m == NULL)
		return;
	out->buffers += m->size;
	out->buffers_used += rte_mempool_in_use_count(m);
}

/* A burst of frags in frag[] and a burst of heads in the sender's txq are kept ready: not in use.
 */
static void queue_status(const struct dpdk_queue *q, struct spate_port_status *out)
{
	unsigned have = *(const volatile unsigned *)&q->frags_have;
	unsigned heads = *(const volatile uint32_t *)&q->count.tx_out;

	have += heads < SPATE_BURST ? heads : SPATE_BURST;
	out->tx_dropped += q->count.tx_dropped;
	out->tx_copied += q->count.tx_copied;
	count_pool(q->rx, out);
	count_pool(q->heads, out);
	count_pool(q->frags, out);
	count_pool(q->copies, out);
	out->buffers_used -= have < out->buffers_used ? have : out->buffers_used;
}

/* Up, and so is the other end. True as well when nobody can be asked. */
static bool interface_runs(unsigned index)
{
	struct ifreq r = {.ifr_ifindex = (int)index};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up;

	if (s < 0)
		return true;
	up = ioctl(s, SIOCGIFNAME, &r) == 0 && ioctl(s, SIOCGIFFLAGS, &r) == 0 &&
	     r.ifr_flags & IFF_RUNNING;
	close(s);
	return up;
}

/* What the device does not say stays zero. */
static void ask_link(struct dpdk *d, struct rte_eth_link *link)
{
	bool up = d->link_untold;

	*link = (struct rte_eth_link){0};
	if (!up && rte_eth_link_get_nowait(d->id, link) == 0)
		up = link->link_status == RTE_ETH_LINK_UP &&
		     (d->interface == 0 || interface_runs(d->interface));
	atomic_store_explicit(&d->up, up, memory_order_relaxed);
}

bool spate_dpdk_look(struct spate_port *p)
{
	struct rte_eth_link link;

	ask_link(dpdk_of(p), &link);
	return p->ops->link_up(p);
}

static void dpdk_status(struct spate_port *p, struct spate_port_status *out)
{
	struct dpdk *d = dpdk_of(p);
	struct rte_eth_stats s = {0};
	struct rte_eth_link link;

	ask_link(d, &link);
	*out = (struct spate_port_status){
		.link_up = p->ops->link_up(p),
		.full_duplex = link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX,
		.mbps = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed,
	};
	out->lost = spate_dpdk_lost(p);
	for (unsigned i = 0; i < d->queues; i++)
		queue_status(&d->queue[i], out);
	if (rte_eth_stats_get(d->id, &s) != 0)
		return;
	out->rx_packets = s.ipackets;
	out->rx_bytes = s.ibytes;
	out->tx_packets = s.opackets;
	out->tx_bytes = s.obytes;
	out->rx_missed = s.imissed;
	out->rx_errors = s.ierrors;
	out->rx_nobuf = s.rx_nombuf;
	out->tx_errors = s.oerrors;
}

static const struct spate_port_queue *dpdk_queue(const struct spate_port *p, unsigned queue)
{
	return &dpdk_of(p)->queue[queue].count;
}

static bool dpdk_link_up(const struct spate_port *p)
{
	return atomic_load_explicit(&dpdk_of(p)->up, memory_order_relaxed);
}

const struct spate_port_ops spate_dpdk_port_ops = {
	.name = "dpdk",
	.rx = dpdk_rx,
	.rx_free = dpdk_rx_free,
	.rx_rest = dpdk_rx_rest,
	.tx_get = dpdk_tx_get,
	.tx_put = dpdk_tx_put,
	.tx = dpdk_tx,
	.tx_room = dpdk_tx_room,
	.tx_mark = dpdk_tx_mark,
	.tx_past = dpdk_tx_past,
	.status = dpdk_status,
	.queue = dpdk_queue,
	.link_up = dpdk_link_up,
	.close = spate_dpdk_close,
};
