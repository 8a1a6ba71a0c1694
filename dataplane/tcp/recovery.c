/*
 * The congestion state machine: OPEN, CWR (ECN said so), RECOVERY (RACK or duplicate ACKs), LOSS
 * (timeout); and the way back when the reduction turns out to have been wrong (Eifel, RFC 3522 and
 * 4015; DSACK, RFC 3708).
 */
#include "dataplane/tcp/conn.h"

static void remember(struct spate_tcp_conn *c)
{
	c->undo_cwnd = c->cwnd;
	c->undo_ssthresh = c->ssthresh;
	c->undo_bytes = 0;
	if (!(c->flags & F_TLP_REXMIT))
		c->undo_ts = 0; /* nothing was sent again yet */
	c->flags |= F_UNDO;
}

/* RFC 3168 6.1.2: CWR, whatever the reason was. */
static void say_reduced(struct spate_tcp_conn *c)
{
	if (c->flags & F_ECN)
		c->flags |= F_CWR;
}

void tcp_enter_cwr(struct spate_tcp_conn *c)
{
	remember(c);
	c->flags &= ~F_UNDO; /* ECN is no guess */
	c->ssthresh = c->t->cc->ssthresh(c);
	if (!c->t->cc->owns_cwnd)
		c->cwnd = min32(c->cwnd, c->ssthresh);
	c->ca = CA_CWR;
	c->recover = c->snd_nxt;
	say_reduced(c);
}

void tcp_enter_recovery(struct spate_tcp_conn *c)
{
	if (c->ca == CA_OPEN) {
		remember(c);
		c->ssthresh = c->t->cc->ssthresh(c);
	}
	c->ca = CA_RECOVERY;
	c->recover = c->snd_nxt;
	say_reduced(c);
	tcp_prr_start(c);
	c->t->cc->event(c, CC_RECOVERY);
	tcp_count(c->t, SPATE_TCP_RECOVERY, 1);
}

/* A timeout (RFC 5681 section 3.1): ssthresh falls once for what was in flight, cwnd to one
 * segment. */
void tcp_enter_loss(struct spate_tcp_conn *c)
{
	bool renege = c->runs.head != NULL && (c->runs.head->flags & RUN_SACKED);

	if (c->ca < CA_RECOVERY || (c->ca == CA_LOSS && !seq_lt(c->snd_una, c->recover))) {
		remember(c);
		c->ssthresh = c->t->cc->ssthresh(c);
	} else if (c->ca == CA_RECOVERY) {
		c->flags &= ~F_UNDO;
	}
	tcp_runs_lose_all(c, renege); /* RFC 2018 section 8: the peer took a SACK back */
	c->cwnd = c->mss;
	c->ca = CA_LOSS;
	c->recover = c->snd_nxt;
	c->flags &= ~(F_TLP_OUT | F_TLP_REXMIT | F_TLP_SEND);
	say_reduced(c);
	c->t->cc->event(c, CC_RTO);
	tcp_count(c->t, SPATE_TCP_RTO, 1);
}

/* Marked lost and never sent again: so they are in flight after all. */
static void unmark_lost(struct spate_tcp_conn *c)
{
	struct tcp_run *r;

	while ((r = c->lost.head) != NULL) {
		tcp_list_del(&c->lost, r);
		r->flags &= (uint8_t)~RUN_LOST;
		c->lost_out -= r->end - r->start;
		/* Its true age would break the order of the list; as young as the last one is safe,
		 * but is no measure of a round trip. */
		if (c->flight.tail != NULL) {
			r->sent_us = c->flight.tail->sent_us;
			r->flags |= RUN_REXMIT;
		}
		tcp_list_add(&c->flight, r);
	}
}

static void undo(struct spate_tcp_conn *c)
{
	unmark_lost(c);
	c->cwnd = max32(c->cwnd, c->undo_cwnd);
	c->ssthresh = max32(c->ssthresh, c->undo_ssthresh);
	c->ca = CA_OPEN;
	c->flags &= ~F_UNDO;
	c->backoff = 0;
	c->t->cc->event(c, CC_UNDO);
	tcp_count(c->t, SPATE_TCP_UNDO, 1);
}

/*
 * The ACK answers the first transmission of what we have sent again; or every repeat was a DSACK;
 * or what we thought lost has come although we have not sent it again yet.
 */
static bool spurious(const struct spate_tcp_conn *c, const struct tcp_ack *a,
		     const struct tcp_seg *s)
{
	if (!(c->flags & F_UNDO))
		return false;
	if (c->undo_ts == 0)
		return a->acked != 0 &&
		       (c->ca == CA_LOSS || (c->ca == CA_RECOVERY && c->lost_out == 0));
	if (a->acked != 0 && (c->flags & F_TS) && s->has_ts && c->ca >= CA_RECOVERY &&
	    seq_lt(s->tsecr, c->undo_ts))
		return true;
	return a->dsack && c->undo_bytes == 0;
}

static void leave(struct spate_tcp_conn *c)
{
	if (c->ca == CA_RECOVERY && !c->t->cc->owns_cwnd)
		c->cwnd = max32(c->ssthresh, 2 * (uint32_t)c->mss);
	if (c->ca == CA_RECOVERY && c->reo_persist != 0 && --c->reo_persist == 0)
		c->reo_mult = 1;
	c->ca = CA_OPEN;
	c->t->cc->event(c, CC_RECOVERED);
}

static void enter_by_ack(struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	tcp_enter_recovery(c);
	c->prr_fs += a->delivered;
}

void tcp_recovery_ack(struct spate_tcp_conn *c, struct tcp_ack *a, const struct tcp_seg *s)
{
	if (spurious(c, a, s)) {
		a->spurious = true;
		undo(c);
		return;
	}
	/* Without SACK, an ACK of exactly `recover` may be followed by duplicates of our own
	 * repeats. */
	if (c->ca != CA_OPEN && seq_leq(c->recover, c->snd_una)) {
		a->left = c->ca != CA_LOSS;
		leave(c);
	}
	switch (c->ca) {
	case CA_OPEN:
		if (c->lost_out != 0) {
			enter_by_ack(c, a);
		} else if (a->ece && !a->left) {
			tcp_enter_cwr(c);
			tcp_count(c->t, SPATE_TCP_ECN_REDUCED, 1);
		}
		break;
	case CA_CWR:
		if (c->lost_out != 0)
			enter_by_ack(c, a);
		break;
	default:
		break;
	}
	if (c->ca == CA_RECOVERY && !c->t->cc->owns_cwnd)
		tcp_prr_ack(c, a);
}

/*
 * Without SACK (RFC 5681, 6582): each duplicate ACK says one segment has left, the third that the
 * first is lost; a partial ACK in recovery says the next one is lost too. sacked_out stands for the
 * duplicates.
 */
uint32_t tcp_reno_loss(struct spate_tcp_conn *c, const struct tcp_ack *a, bool dupack)
{
	bool lose = false;
	struct tcp_run *r;

	if (dupack) {
		uint32_t out = c->snd_nxt - c->snd_una - c->lost_out;

		if (c->dupacks < 255)
			c->dupacks++;
		c->sacked_out =
			min32((uint32_t)c->dupacks * c->mss, out > c->mss ? out - c->mss : 0);
		lose = c->dupacks == TCP_DUPTHRESH && c->ca < CA_RECOVERY &&
		       seq_lt(c->recover, c->snd_una); /* RFC 6582 3.2 (2) */
	} else if (a->acked != 0) {
		c->dupacks = 0;
		c->sacked_out = 0;
		lose = c->ca == CA_RECOVERY && seq_lt(c->snd_una, c->recover);
	}
	r = c->runs.head;
	if (!lose || r == NULL || (r->flags & RUN_LOST))
		return 0;
	if (r->end - r->start > c->mss)
		tcp_run_split(c, r, r->start + c->mss, true);
	tcp_run_lose(c, r);
	if (tcp_flight(c) >
	    c->snd_nxt - c->snd_una) /* the duplicates cannot be more than what is left */
		c->sacked_out = c->snd_nxt - c->snd_una - c->lost_out;
	return r->end - r->start;
}

/* Does a DSACK say that both copies of the probe have come? Of a FIN it need not: nothing follows
 * that could be too much. */
static bool probe_came_twice(const struct spate_tcp_conn *c, const struct tcp_ack *a,
			     const struct tcp_seg *s)
{
	return a->dsack && seq_lt(s->sack[0][0], c->tlp_end) && seq_leq(c->tlp_end, s->sack[0][1]);
}

/* RFC 8985 section 7.4. */
void tcp_tlp_ack(struct spate_tcp_conn *c, const struct tcp_ack *a, const struct tcp_seg *s)
{
	bool ends = seq_leq(c->tlp_end, s->ack);

	if (!(c->flags & F_TLP_OUT) || !ends)
		return;
	if ((c->flags & F_TLP_REXMIT) && !probe_came_twice(c, a, s)) {
		/* Either copy may have arrived. An ACK that only repeats the one before tells, or
		 * one that goes beyond; bytes or a window of the peer's say nothing about it. */
		if (s->ack == c->tlp_end && (!a->repeats || s->nsack != 0))
			return;
		if (s->ack != c->tlp_end) {
			/* Only one copy arrived: the probe repaired a loss, which counts as one. */
			tcp_count(c->t, SPATE_TCP_TLP_RECOVERED, 1);
			if (c->ca == CA_OPEN)
				tcp_enter_cwr(c);
		}
	}
	c->flags &= ~(F_TLP_OUT | F_TLP_REXMIT);
}
