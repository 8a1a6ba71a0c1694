/* Segments in LISTEN and SYN-SENT (RFC 9293 3.10.7.2 and .3). */
#include "dataplane/tcp/conn.h"

void tcp_take_syn_options(struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	const struct spate_tcp_config *cfg = &c->t->cfg;
	uint16_t mss = s->mss != 0 ? s->mss : s->in->v6 ? 1220 : 536;

	c->peer_mss = (uint16_t)max32(mss, cfg->mss_min);
	if (s->wscale != 0xff && (c->flags & F_WSCALE)) {
		c->snd_scale = s->wscale;
	} else {
		c->flags &= ~F_WSCALE;
		c->snd_scale = c->rcv_scale = 0;
	}
	if (!s->sack_ok)
		c->flags &= ~F_SACK;
	if (s->has_ts && (c->flags & F_TS)) {
		c->ts_recent = s->tsval;
		c->ts_recent_ms = c->t->now_ms;
	} else {
		c->flags &= ~F_TS;
	}
}

static void offer(struct spate_tcp_conn *c)
{
	const struct spate_tcp_config *cfg = &c->t->cfg;

	c->flags |= (cfg->sack ? F_SACK : 0) | (cfg->timestamps ? F_TS : 0) |
		    (cfg->wscale ? F_WSCALE : 0);
}

static struct spate_tcp_conn *half_open(struct spate_tcp *t, struct spate_tcp_listener *l,
					const struct tcp_seg *s, uint32_t hash, uint32_t irs,
					uint32_t iss)
{
	struct spate_tcp_conn *c = tcp_conn_new(t, &s->key, hash);

	if (c == NULL)
		return NULL;
	c->state = SPATE_TCP_SYN_RCVD;
	c->cc.listener = l;
	t->half_open++;
	c->rcv_nxt = irs + 1;
	c->ack_sent = c->rcv_nxt;
	c->rcv_adv = c->rcv_nxt + min32(t->cfg.rcv_buf, 65535);
	c->snd_una = c->recover = iss;
	c->snd_nxt = iss + 1;
	c->snd_wnd = c->max_wnd = s->wnd;
	offer(c);
	return c;
}

/* A SYN cookie came back: the connection exists from here on. */
static enum spate_tcp_verdict cookie_input(struct spate_tcp *t, struct spate_tcp_listener *l,
					   struct tcp_seg *s, uint32_t hash)
{
	struct tcp_seg syn = *s; /* as if its options had come with this ACK */
	struct spate_tcp_conn *c;
	bool ecn;

	if (!tcp_cookie_check(t, s, &syn.mss, &syn.wscale, &syn.sack_ok, &ecn)) {
		/* While cookies are about, it may be data that overtook the ACK that proves its
		 * cookie. */
		if (!tcp_cookies_about(t))
			tcp_answer_reset(t, s);
		return SPATE_TCP_DROP_LISTEN_ACK;
	}
	c = half_open(t, l, s, hash, s->seq - 1, s->ack - 1);
	if (c == NULL)
		return SPATE_TCP_DROP_NO_CONN;
	tcp_take_syn_options(c, &syn);
	if (ecn)
		c->flags |= F_ECN;
	c->retries = TCP_NO_SAMPLE;
	tcp_count(t, SPATE_TCP_COOKIE_TAKEN, 1);
	return tcp_segment(c, s);
}

enum spate_tcp_verdict tcp_listen_input(struct spate_tcp *t, struct spate_tcp_listener *l,
					struct tcp_seg *s, uint32_t hash, uint32_t iss,
					bool iss_given)
{
	const struct spate_tcp_config *cfg = &t->cfg;
	struct spate_tcp_conn *c;

	if (s->flags & TCP_RST)
		return SPATE_TCP_DROP_CLOSED_RST;
	if ((s->flags & TCP_ACK) && !(s->flags & TCP_SYN))
		return cookie_input(t, l, s, hash);
	if (s->flags & TCP_ACK) {
		tcp_answer_reset(t, s);
		return SPATE_TCP_DROP_LISTEN_ACK;
	}
	if (!(s->flags & TCP_SYN))
		return SPATE_TCP_DROP_NO_ACK;
	/* A cookie cannot carry the number that TIME-WAIT asks for. */
	if ((t->half_open >= cfg->max_half_open || cfg->cookies_always) && !iss_given) {
		tcp_cookie_send(t, s);
		return SPATE_TCP_OK;
	}
	c = half_open(t, l, s, hash, s->seq, iss_given ? iss : tcp_isn(t, &s->key));
	if (c == NULL && !iss_given) {
		tcp_cookie_send(t, s); /* one may be free when its ACK comes */
		return SPATE_TCP_OK;
	}
	if (c == NULL)
		return SPATE_TCP_DROP_NO_CONN;
	tcp_take_syn_options(c, s);
	/* RFC 3168 6.1.1: both bits ask. */
	if (cfg->ecn && (s->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR))
		c->flags |= F_ECN;
	c->flags |= F_SEND_SYN;
	c->first_us = t->now32;
	c->rexmit_kind = REXMIT_SYN;
	tcp_arm(c, TM_REXMIT, cfg->rto_init_us);
	tcp_dirty(c);
	return SPATE_TCP_OK;
}

enum spate_tcp_verdict tcp_syn_sent_input(struct spate_tcp_conn *c, struct tcp_seg *s)
{
	struct spate_tcp *t = c->t;
	bool ack = s->flags & TCP_ACK;

	if (ack && s->ack != c->snd_nxt) {
		tcp_answer_reset(t, s);
		return SPATE_TCP_DROP_BAD_ACK;
	}
	if (s->flags & TCP_RST) {
		if (!ack)
			return SPATE_TCP_DROP_RST_BAD;
		tcp_close(c, SPATE_TCP_REFUSED);
		return SPATE_TCP_TAKEN_RST;
	}
	if (!(s->flags & TCP_SYN))
		return SPATE_TCP_DROP_NO_ACK;
	c->rcv_nxt = s->seq + 1;
	c->rcv_adv = c->rcv_nxt + min32(t->cfg.rcv_buf, 65535);
	c->ack_sent = c->rcv_nxt;
	c->rcv_ms = t->now_ms;
	tcp_take_syn_options(c, s);
	c->snd_wnd = c->max_wnd = s->wnd; /* never scaled on a SYN (RFC 7323 2.2) */
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	tcp_dirty(c);
	if (!ack) {
		/* Simultaneous open (RFC 9293 3.5, figure 7). */
		c->state = SPATE_TCP_SYN_RCVD;
		c->flags |= F_SEND_SYN;
		return SPATE_TCP_OK;
	}
	/* Nothing is marked once a SYN of ours did not ask (RFC 3168 6.1.1). */
	if (t->cfg.ecn && c->retries == 0 && (s->flags & (TCP_ECE | TCP_CWR)) == TCP_ECE)
		c->flags |= F_ECN;
	c->snd_una = s->ack;
	tcp_established(c);
	c->flags |= F_CONNECTED | F_ACK_NOW;
	return SPATE_TCP_OK;
}
