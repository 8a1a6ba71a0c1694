/* Arriving segments: to whom, and the checks of RFC 9293 3.10.7 in its order, hardened by RFC 5961
 * and 7323. */
#include "dataplane/tcp/conn.h"

/* RFC 9293 3.10.7.4, first; a zero window still takes what sits exactly at rcv_nxt, for its ACK. */
static bool acceptable(const struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	if (s->seq == c->rcv_nxt)
		return true;
	if (!seq_lt(s->seq, c->rcv_adv))
		return false;
	return s->seq == s->end ? seq_lt(c->rcv_nxt, s->seq) : seq_lt(c->rcv_nxt, s->end);
}

/* A reset with the number of the FIN before it, as macOS sends when it aborts; Linux takes it too.
 */
static bool own_fins_reset(const struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	return (c->flags & F_FIN_RCVD) && s->seq == c->rcv_nxt - 1;
}

/* RFC 5961 section 3.2. */
static enum spate_tcp_verdict reset_input(struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	if (c->flags & F_ENDED)
		return SPATE_TCP_DROP_TIME_WAIT; /* RFC 1337; only its user still has bytes to take
						  */
	if (s->seq != c->rcv_nxt && !own_fins_reset(c, s)) {
		tcp_challenge(c);
		return SPATE_TCP_DROP_RST_CHALLENGED;
	}
	tcp_close(c, c->state == SPATE_TCP_SYN_RCVD ? SPATE_TCP_REFUSED : SPATE_TCP_RESET);
	return SPATE_TCP_TAKEN_RST;
}

static enum spate_tcp_verdict not_acceptable(struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	bool old = seq_leq(s->end, c->rcv_nxt);

	if (s->flags & TCP_RST)
		return own_fins_reset(c, s) ? reset_input(c, s) : SPATE_TCP_DROP_RST_BAD;
	if (s->len == 0 || (s->flags & TCP_SYN)) {
		tcp_challenge(
			c); /* keep-alives and probes are answered here, but not without limit */
		return old ? SPATE_TCP_DROP_OLD : SPATE_TCP_DROP_OUT_OF_WINDOW;
	}
	if (old)
		c->rcv_ms = c->t->now_ms; /* our ACKs get lost, but it lives */
	if (old && c->rcv_nxt - s->seq <= c->t->cfg.rcv_buf) {
		c->flags |= F_DSACK;
		c->dsack_start = s->seq;
		c->dsack_end = s->seq + s->len;
	}
	c->flags |= F_ACK_NOW;
	tcp_dirty(c);
	return old ? SPATE_TCP_DROP_OLD : SPATE_TCP_DROP_OUT_OF_WINDOW;
}

/* RFC 7323 5.3: R1, and the age after which ts_recent proves nothing. */
static bool paws_rejects(const struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	return seq_lt(s->tsval, c->ts_recent) && c->t->now_ms - c->ts_recent_ms < TCP_PAWS_MS;
}

/* The ACK that ends a handshake we answered. */
static enum spate_tcp_verdict complete(struct spate_tcp_conn *c, struct tcp_seg *s)
{
	struct spate_tcp_listener *l = c->flags & F_CLIENT ? NULL : c->cc.listener;

	if (s->ack != c->snd_nxt) {
		tcp_answer_reset(c->t, s);
		return SPATE_TCP_DROP_BAD_ACK;
	}
	c->snd_una = s->ack;
	c->snd_wnd = c->max_wnd = (uint32_t)s->wnd << c->snd_scale;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	if (l != NULL)
		c->t->half_open--;
	tcp_established(c);
	if (l == NULL) {
		c->flags |= F_CONNECTED;
		return SPATE_TCP_OK;
	}
	c->user = l->user;
	c->flags |= F_ACCEPTED;
	if (!l->user->accepted(c, l->ctx)) {
		c->flags &= ~F_ACCEPTED;
		tcp_reset(c, SPATE_TCP_ABORTED);
	}
	return SPATE_TCP_OK;
}

static void take_timestamp(struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	/* R3: only from what covers the last byte acknowledged, so that delayed ACKs echo the
	 * oldest. Its ACK was looked at first: who guesses must guess that too. */
	if (seq_leq(s->seq, c->ack_sent) &&
	    (seq_leq(c->ts_recent, s->tsval) || c->t->now_ms - c->ts_recent_ms >= TCP_PAWS_MS)) {
		c->ts_recent = s->tsval;
		c->ts_recent_ms = c->t->now_ms;
	}
}

enum spate_tcp_verdict tcp_segment(struct spate_tcp_conn *c, struct tcp_seg *s)
{
	enum spate_tcp_verdict v;
	bool fresh;

	if (c->state == SPATE_TCP_SYN_RCVD && (s->flags & TCP_SYN) && s->seq + 1 == c->rcv_nxt) {
		if (!(s->flags & TCP_ACK)) {
			c->flags |= F_SEND_SYN; /* ours was lost */
			/* Or theirs, for what it asked (RFC 3168 6.1.1). */
			if ((s->flags & (TCP_ECE | TCP_CWR)) != (TCP_ECE | TCP_CWR))
				c->flags &= ~F_ECN;
			if (c->retries == 0)
				c->retries = TCP_NO_SAMPLE; /* the ACK may be for either (Karn) */
			tcp_dirty(c);
			return SPATE_TCP_OK;
		}
		s->seq++; /* simultaneous open: the SYN is known, the ACK counts */
		s->flags &= (uint8_t)~TCP_SYN;
		s->wnd = (uint16_t)(s->wnd >> c->snd_scale); /* not scaled on a SYN */
	}
	if ((c->flags & F_TS) && !(s->flags & TCP_RST)) {
		/* A SYN that has none gets its challenge below: a MUST (RFC 5961 4.2), and to drop
		 * what has none is a SHOULD (RFC 7323 3.2). */
		if (!s->has_ts && !(s->flags & TCP_SYN))
			return SPATE_TCP_DROP_NO_TIMESTAMP;
		if (s->has_ts && paws_rejects(c, s)) {
			tcp_challenge(c);
			return SPATE_TCP_DROP_PAWS;
		}
	}
	if (!acceptable(c, s))
		return not_acceptable(c, s);
	c->rcv_ms = c->t->now_ms;
	if (s->flags & TCP_RST)
		return reset_input(c, s);
	if (s->flags & TCP_SYN) {
		tcp_challenge(c);
		return SPATE_TCP_DROP_SYN_IN_WINDOW;
	}
	if (!(s->flags & TCP_ACK))
		return SPATE_TCP_DROP_NO_ACK;
	if (c->state == SPATE_TCP_SYN_RCVD) {
		v = complete(c, s);
		if (v != SPATE_TCP_OK || (c->flags & F_DEAD))
			return v;
	}
	fresh = seq_leq(c->snd_una, s->ack);
	v = tcp_ack_input(c, s);
	if (v != SPATE_TCP_OK)
		return v;
	if ((c->flags & F_TS) && fresh)
		take_timestamp(c, s);
	if (c->flags & F_ECN) {
		if (s->flags & TCP_CWR)
			c->flags &= ~F_ECE;
		if (s->ecn == 3 && s->len != 0)
			c->flags |= F_ECE;
	}
	if (s->len != 0 || (s->flags & TCP_FIN)) {
		v = tcp_data_input(c, s);
		if (c->flags & F_DEAD)
			return v;
		tcp_fin_rcvd(c);
		tcp_dirty(c);
	}
	return v;
}

enum spate_tcp_verdict tcp_dispatch(struct spate_tcp *t, struct tcp_seg *s, uint32_t hash)
{
	struct spate_tcp_listener *l;
	struct tcp_tw *tw;
	struct spate_tcp_conn *c = tcp_find(t, &s->key, hash, &tw);

	if (c != NULL)
		return c->state == SPATE_TCP_SYN_SENT ? tcp_syn_sent_input(c, s)
						      : tcp_segment(c, s);
	if (tw != NULL)
		return tcp_time_wait_input(t, tw, s);
	l = tcp_find_listener(t, &s->key);
	if (l != NULL)
		return tcp_listen_input(t, l, s, hash, 0, false);
	if (s->flags & TCP_RST)
		return SPATE_TCP_DROP_CLOSED_RST;
	tcp_answer_reset(t, s);
	return SPATE_TCP_DROP_CLOSED;
}

enum spate_tcp_verdict spate_tcp_input(struct spate_tcp *t, const struct spate_tcp_in *in)
{
	struct tcp_seg s;
	enum spate_tcp_verdict v = tcp_parse(t, in, &s);

	if (v == SPATE_TCP_OK)
		v = tcp_dispatch(t, &s, tcp_hash(t, &s.key));
	tcp_count(t, v, 1);
	return v;
}

bool spate_tcp_knows(struct spate_tcp *t, const struct spate_tcp_in *in)
{
	struct tcp_seg s;
	struct tcp_tw *tw;

	if (tcp_parse(t, in, &s) != SPATE_TCP_OK)
		return true; /* input will say what is wrong with it */
	if ((s.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return true;
	return tcp_find(t, &s.key, tcp_hash(t, &s.key), &tw) != NULL || tw != NULL;
}
