/* One segment: headers from the template, options, payload pieces; and segments that no connection
 * sends. */
#include "dataplane/port/txq.h"
#include "dataplane/tcp/conn.h"
#include "dataplane/tcp/csum.h"

#define ECT0 2

/* IP length, ID and ECN; the checksum is the port's. tcp_len: header, options and payload. */
static void patch_ip(struct spate_tcp *t, uint8_t *ip, bool v6, uint32_t tcp_len, uint8_t ecn)
{
	if (v6) {
		ip[1] = (uint8_t)((ip[1] & ~0x30) | ecn << 4);
		put16(ip + 4, (uint16_t)tcp_len);
	} else {
		ip[1] = (uint8_t)((ip[1] & ~3) | ecn);
		put16(ip + 2, (uint16_t)(tcp_len + 20));
		put16(ip + 4, t->ip_id++);
		ip[10] = ip[11] = 0;
	}
}

struct head {
	uint32_t seq, ack;
	uint16_t local_port, peer_port; /* network order */
	uint16_t wnd;
	uint8_t flags, opts_len;
};

static void put_tcp(uint8_t *p, const struct head *h)
{
	memcpy(p, &h->local_port, 2);
	memcpy(p + 2, &h->peer_port, 2);
	put32(p + 4, h->seq);
	put32(p + 8, h->flags & TCP_ACK ? h->ack : 0);
	p[12] = (uint8_t)((20 + h->opts_len) / 4 << 4);
	p[13] = h->flags;
	put16(p + 14, h->wnd);
	memset(p + 16, 0, 4);
}

/* The descriptor's fields and the pseudo-header sum. With TSO the device adds each segment's length
 * itself. */
static void finish(struct spate_tcp *t, struct spate_pkt_tx *tx, unsigned l2, unsigned l3,
		   unsigned l4, uint64_t phsum, uint32_t len, uint8_t ecn, uint16_t tso_mss)
{
	bool v6 = l3 == 40, tso = tso_mss != 0;

	tx->l2_len = (uint8_t)l2;
	tx->l3_len = (uint8_t)l3;
	tx->l4_len = (uint8_t)l4;
	tx->head_len = (uint16_t)(l2 + l3 + l4);
	tx->flags = (uint8_t)((v6 ? 0 : SPATE_TX_IP4 | SPATE_TX_IP_CSUM) | SPATE_TX_L4_CSUM |
			      (tso ? SPATE_TX_TSO : 0));
	tx->tso_mss = tso_mss;
	tx->frag_len = len;
	patch_ip(t, tx->head + l2, v6, l4 + len, ecn);
	if (!tso)
		phsum += __builtin_bswap16((uint16_t)(l4 + len));
	uint16_t sum = csum_fold(phsum);

	memcpy(tx->head + l2 + l3 + 16, &sum, 2);
	tcp_count(t, SPATE_TCP_SEG_SENT, 1);
}

/* How many of `want` bytes fit into one packet's pieces. */
uint32_t tcp_fits(const struct spate_tcp_conn *c, const struct tcp_cut *cut, uint32_t want)
{
	uint32_t have = 0;
	size_t off = cut->off;

	for (unsigned i = 0; i < cut->n && i < SPATE_PKT_FRAGS && have < want; i++, off = 0)
		have += min32((uint32_t)(cut->iov[i].iov_len - off), want - have);
	return have;
}

static void put_payload(struct spate_pkt_tx *tx, struct tcp_cut *cut, uint32_t len)
{
	uint16_t n = 0;

	while (len > 0) {
		uint32_t piece = min32((uint32_t)cut->iov->iov_len - cut->off, len);

		assert(n < SPATE_PKT_FRAGS && cut->n > 0);
		tx->frag[n].iov_base = (uint8_t *)cut->iov->iov_base + cut->off;
		tx->frag[n++].iov_len = piece;
		len -= piece;
		cut->off += piece;
		if (cut->off == cut->iov->iov_len) {
			cut->iov++;
			cut->n--;
			cut->off = 0;
		}
	}
	tx->nfrags = n;
}

/* The template, and the addresses, which the TCB holds anyway. */
static void put_path(const struct spate_tcp_conn *c, uint8_t *p)
{
	memcpy(p, c->head, TCP_HEAD);
	if (c->l3_len == 40) {
		memcpy(p + c->l2_len + 8, c->local_ip, 16);
		memcpy(p + c->l2_len + 24, c->peer_ip, 16);
	} else {
		memcpy(p + c->l2_len + 12, c->local_ip + 12, 4);
		memcpy(p + c->l2_len + 16, c->peer_ip + 12, 4);
	}
}

static unsigned put_timestamp(uint8_t *p, uint32_t tsval, uint32_t tsecr)
{
	put32(p, 0x0101080a);
	put32(p + 4, tsval);
	put32(p + 8, tsecr);
	return 12;
}

/* As many SACK blocks as there is room for; on data only if the segment stays within the MSS. */
static unsigned put_sack(struct spate_tcp_conn *c, uint8_t *p, unsigned used, uint32_t len)
{
	uint32_t blocks[TCP_SACK_MAX][2];
	unsigned room = 40 - used, n;

	if (len != 0)
		room = len < c->mss ? min32(room, c->mss - len) : 0;
	if (room < 12)
		return 0;
	n = tcp_sack_blocks(c, blocks, min32((room - 4) / 8, TCP_SACK_MAX));
	if (n == 0)
		return 0;
	put32(p, 0x01010500 | (2 + 8 * n));
	for (unsigned i = 0; i < n; i++) {
		put32(p + 4 + 8 * i, blocks[i][0]);
		put32(p + 8 + 8 * i, blocks[i][1]);
	}
	c->flags &= ~F_DSACK;
	return 4 + 8 * n;
}

static void acked(struct spate_tcp_conn *c)
{
	c->ack_sent = c->rcv_nxt;
	c->ack_segs = 0;
	c->flags &= ~F_ACK_NOW;
	tcp_disarm(c, TM_DELACK);
}

bool tcp_emit(struct spate_tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags,
	      struct tcp_cut *cut)
{
	struct spate_tcp *t = c->t;
	struct spate_pkt_tx *tx = spate_txq_next(c->txq);
	unsigned l3_end = c->l2_len + c->l3_len, opts = 0;
	bool fresh = len != 0 && seq == c->snd_nxt, told = true;

	if (tx == NULL) {
		tcp_count(t, SPATE_TCP_TX_NO_BUFFER, 1);
		return false;
	}
	put_path(c, tx->head);
	uint8_t *p = tx->head + l3_end;

	if (c->flags & F_TS)
		opts += put_timestamp(p + 20, tcp_tsval(c), c->ts_recent);
	if ((c->flags & F_SACK) && (c->held != NULL || (c->flags & F_DSACK))) {
		unsigned n = put_sack(c, p + 20 + opts, opts, len);

		/* Data that had no room for what must be told does not count as the ACK. */
		told = n != 0 || len == 0;
		opts += n;
	}
	if (c->flags & F_ECE)
		flags |= TCP_ECE;
	if (fresh && (c->flags & F_CWR)) {
		flags |= TCP_CWR;
		c->flags &= ~F_CWR;
	}
	struct head h = {seq,   c->rcv_nxt,   c->local_port, c->peer_port, tcp_rcv_wnd_field(c),
			 flags, (uint8_t)opts};

	put_tcp(p, &h);
	tx->nfrags = 0;
	if (len != 0) {
		put_payload(tx, cut, len);
		t->gave = true;
	}
	finish(t, tx, c->l2_len, c->l3_len, 20 + opts, c->phsum, len,
	       fresh && (c->flags & F_ECN) ? ECT0 : 0, len > c->mss ? c->mss : 0);
	spate_txq_push(c->txq);
	if (told)
		acked(c);
	if (len == 0 && !(flags & (TCP_FIN | TCP_RST)))
		tcp_count(t, SPATE_TCP_ACK_SENT, 1);
	return true;
}

unsigned tcp_syn_options(const struct spate_tcp *t, uint8_t *p, uint16_t mss, bool ts,
			 uint32_t tsval, uint32_t tsecr, bool sack, uint8_t wscale)
{
	unsigned n = 4;

	put32(p, 0x02040000 | mss);
	if (ts) {
		put32(p + n, sack ? 0x0402080a : 0x0101080a);
		put32(p + n + 4, tsval);
		put32(p + n + 8, tsecr);
		n += 12;
	} else if (sack) {
		put32(p + n, 0x01010402);
		n += 4;
	}
	if (wscale != 0xff) {
		put32(p + n, 0x01030300 | wscale);
		n += 4;
	}
	return n;
}

/* SYN, or SYN and ACK (RFC 9293 3.7.1: MSS always said; RFC 3168 6.1.1). */
bool tcp_emit_syn(struct spate_tcp_conn *c)
{
	struct spate_tcp *t = c->t;
	struct spate_pkt_tx *tx = spate_txq_next(c->txq);
	bool ack = c->state == SPATE_TCP_SYN_RCVD;
	uint32_t wnd = min32(t->cfg.rcv_buf, 65535);

	if (tx == NULL) {
		tcp_count(t, SPATE_TCP_TX_NO_BUFFER, 1);
		return false;
	}
	put_path(c, tx->head);
	uint8_t *p = tx->head + c->l2_len + c->l3_len;
	uint8_t flags = ack ? TCP_SYN | TCP_ACK : TCP_SYN;

	/* ECN is only asked for once: a middlebox may dislike it. */
	if (ack && (c->flags & F_ECN))
		flags |= TCP_ECE;
	else if (!ack && t->cfg.ecn && c->retries == 0)
		flags |= TCP_ECE | TCP_CWR;
	unsigned opts =
		tcp_syn_options(t, p + 20, (uint16_t)(c->mtu - c->l3_len - 20), c->flags & F_TS,
				tcp_tsval(c), ack ? c->ts_recent : 0, c->flags & F_SACK,
				c->flags & F_WSCALE ? c->rcv_scale : 0xff);
	struct head h = {c->snd_una,    c->rcv_nxt, c->local_port, c->peer_port,
			 (uint16_t)wnd, flags,      (uint8_t)opts};

	put_tcp(p, &h);
	tx->nfrags = 0;
	finish(t, tx, c->l2_len, c->l3_len, 20 + opts, c->phsum, 0, 0, 0);
	spate_txq_push(c->txq);
	c->rcv_adv = c->rcv_nxt + wnd;
	c->ack_sent = c->rcv_nxt;
	return true;
}

void tcp_answer(struct spate_tcp *t, const struct tcp_seg *s, uint8_t flags, uint32_t seq,
		uint32_t ack, uint16_t wnd, const uint8_t *opts, unsigned opts_len)
{
	struct spate_tcp_path path;
	struct spate_pkt_tx *tx;

	if (t->lower.path(t->lower.net, s->key.local_ip, s->key.peer_ip, &path) !=
	    SPATE_TCP_PATH_READY)
		return;
	tx = spate_txq_next(path.txq);
	if (tx == NULL)
		return;
	memcpy(tx->head, path.head, SPATE_TCP_PATH_HEAD);
	uint8_t *p = tx->head + path.l2_len + path.l3_len;
	struct head h = {seq, ack,   s->key.local_port, s->key.peer_port,
			 wnd, flags, (uint8_t)opts_len};

	put_tcp(p, &h);
	if (opts_len != 0)
		memcpy(p + 20, opts, opts_len);
	tx->nfrags = 0;
	finish(t, tx, path.l2_len, path.l3_len, 20 + opts_len,
	       csum_pseudo(s->in->dst, s->in->src, s->in->v6), 0, 0, 0);
	spate_txq_push(path.txq);
}

/* RFC 9293 3.5.2, group 1. */
void tcp_answer_reset(struct spate_tcp *t, const struct tcp_seg *s)
{
	if (s->flags & TCP_RST)
		return;
	tcp_count(t, SPATE_TCP_RST_SENT, 1);
	if (s->flags & TCP_ACK)
		tcp_answer(t, s, TCP_RST, s->ack, 0, 0, NULL, 0);
	else
		tcp_answer(t, s, TCP_RST | TCP_ACK, 0, s->end, 0, NULL, 0);
}

/* RFC 5961 section 7, but a limit for each connection: a common one could be watched from outside.
 */
void tcp_challenge(struct spate_tcp_conn *c)
{
	struct spate_tcp *t = c->t;

	uint8_t second = (uint8_t)(t->now_ms / 1000);

	if (c->challenge_s != second) {
		c->challenge_s = second;
		c->challenges = 0;
	}
	if (c->challenges >= t->cfg.challenge_per_s)
		return;
	c->challenges++;
	tcp_count(t, SPATE_TCP_CHALLENGE, 1);
	c->flags |= F_ACK_NOW;
	tcp_dirty(c);
}

/* The window to tell: never moved back, and forward only in steps worth telling (RFC
 * 9293 3.8.6.2.2). */
uint16_t tcp_rcv_wnd_field(struct spate_tcp_conn *c)
{
	uint32_t edge = c->rcv_nxt + tcp_rcv_wnd(c), field;
	uint32_t step = min32(c->t->cfg.rcv_buf / 2, c->mss);

	if (seq_lt(edge, c->rcv_adv + step))
		edge = seq_max(c->rcv_adv, c->rcv_nxt);
	field = (edge - c->rcv_nxt + (1u << c->rcv_scale) - 1) >> c->rcv_scale;
	field = min32(field, 65535);
	c->rcv_adv = seq_max(c->rcv_adv, c->rcv_nxt + (field << c->rcv_scale));
	return (uint16_t)field;
}
