/*
 * An acknowledgement: check it, take the window, then what it says about runs, RTT, loss and
 * congestion, in that order (RFC 9293 3.10.7.4 step five; RFC 5961 section 5). Cost: O(runs it
 * covers).
 */
#include "dataplane/tcp/conn.h"

static void take_window(struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	uint32_t wnd = (uint32_t)s->wnd << c->snd_scale;

	if (!seq_lt(c->snd_wl1, s->seq) && !(c->snd_wl1 == s->seq && seq_leq(c->snd_wl2, s->ack)))
		return;
	if (wnd != c->snd_wnd) {
		if (wnd > c->snd_wnd)
			c->flags |= F_REARM;
		c->snd_wnd = wnd;
		c->max_wnd = max32(c->max_wnd, wnd);
	}
	if (wnd != 0)
		c->probes = 0;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
}

/* Everything below s->ack has arrived. */
static void cumulative(struct spate_tcp_conn *c, const struct tcp_seg *s, struct tcp_ack *a)
{
	struct tcp_run *r;
	bool fin = (c->flags & F_FIN_SENT) && s->ack == c->snd_nxt;

	while ((r = c->runs.head) != NULL && seq_lt(r->start, s->ack)) {
		uint32_t upto = seq_min(r->end, s->ack), len = upto - r->start;

		if (r->flags & RUN_SACKED)
			c->sacked_out -= len;
		else
			tcp_delivered(c, r, r->start, upto, s, a);
		if (r->flags & RUN_LOST)
			c->lost_out -= len;
		if (upto == r->end)
			tcp_run_free(c, r);
		else
			r->start = upto;
	}
	c->snd_una = s->ack;
	c->una_off += a->acked - fin;
	if (c->q != NULL && c->una_off != c->q->base) {
		spate_sendq_release(c->t->env, c->q, c->una_off);
		c->events |= SPATE_TCP_EV_ACKED;
		if (c->una_off == c->q->end)
			c->events |= SPATE_TCP_EV_DRAINED;
	}
	if (seq_lt(c->recover, c->snd_una) && c->ca == CA_OPEN)
		c->recover = c->snd_una - 1; /* stays near: sequence numbers wrap */
	if (fin)
		tcp_state_after_fin_acked(c);
}

/* RFC 5681 section 2: the definition of a duplicate, but for (a), that something is out. */
static bool repeats(const struct spate_tcp_conn *c, const struct tcp_seg *s, uint32_t wnd_before)
{
	return s->ack == c->snd_una && s->len == 0 && !(s->flags & (TCP_SYN | TCP_FIN)) &&
	       c->snd_wnd == wnd_before;
}

/*
 * An answer to a probe, or, from behind a closed window, to a repeat (RFC 9293 3.8.6.1: as long as
 * the peer answers, the connection stays). In FIN-WAIT-2 the time since our FIN's ACK is what
 * counts, and who only has our FIN left to take does not keep us waiting for ever.
 */
static void answered(struct spate_tcp_conn *c)
{
	bool only_fin = (c->flags & F_FINISH) && (c->q == NULL || c->una_off == c->q->end);

	if (c->state != SPATE_TCP_FIN_WAIT_2 && !only_fin)
		c->progress_ms = c->t->now_ms;
}

enum spate_tcp_verdict tcp_ack_input(struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	struct tcp_ack a = {.acked = s->ack - c->snd_una,
			    .prior_flight = tcp_flight(c),
			    .timeout = c->ca == CA_LOSS};
	uint32_t wnd_before = c->snd_wnd;
	bool reno = !(c->flags & F_SACK), dup;

	if (seq_lt(s->ack, c->snd_una)) {
		/* RFC 5961 section 5.2: as old as that is a guess. */
		if (seq_lt(s->ack, c->snd_una - c->max_wnd)) {
			tcp_challenge(c);
			return SPATE_TCP_DROP_OLD_ACK;
		}
		return SPATE_TCP_OK;
	}
	if (seq_lt(c->snd_nxt, s->ack)) {
		tcp_challenge(c);
		return SPATE_TCP_DROP_BAD_ACK;
	}
	take_window(c, s);
	a.ece = (s->flags & TCP_ECE) && (c->flags & F_ECN);
	a.repeats = repeats(c, s, wnd_before);
	dup = a.repeats && c->snd_una != c->snd_nxt;
	if (a.acked == 0 && s->nsack == 0 && !dup && !a.ece && !(c->flags & F_TLP_OUT)) {
		if (c->snd_una == c->snd_nxt || c->snd_wnd == 0)
			answered(c);
		tcp_dirty(c);
		return SPATE_TCP_OK;
	}
	if (a.acked != 0) {
		cumulative(c, s, &a);
		c->progress_ms = c->t->now_ms;
		c->flags |= F_REARM | F_PROGRESS;
	} else if (c->snd_una == c->snd_nxt || c->snd_wnd == 0) {
		answered(c);
	}
	if (!reno && s->nsack != 0)
		tcp_sack_input(c, s, &a);
	if (a.any && seq_lt(c->fack, a.fack))
		c->fack = a.fack;
	if (a.reordered)
		c->flags |= F_REORDER;
	if (a.rtt_us != 0) {
		tcp_rtt_sample(c, a.rtt_us);
		c->backoff = 0; /* only now (RFC 6298 section 5, the note on 5.7) */
	}
	if (reno) {
		uint32_t counted = c->sacked_out;

		a.lost = tcp_reno_loss(c, &a, dup);
		if (dup)
			a.delivered += c->mss;
		else
			a.delivered -= min32(a.delivered, counted);
	} else if (a.any) {
		a.lost = tcp_rack_detect(c);
	}
	if (c->snd_una == c->snd_nxt)
		tcp_rack_reset(c);
	tcp_rate_done(c, &a);
	tcp_tlp_ack(c, &a, s);
	tcp_recovery_ack(c, &a, s);
	if (reno && a.lost != 0 &&
	    c->ca == CA_RECOVERY) /* which always sends the next one (RFC 6582 3.2) */
		c->cwnd = max32(c->cwnd, tcp_flight(c) + c->mss);
	c->t->cc->ack(c, &a);
	if (a.sacked != 0 || a.lost != 0)
		c->flags |= F_REARM;
	tcp_dirty(c);
	return SPATE_TCP_OK;
}
